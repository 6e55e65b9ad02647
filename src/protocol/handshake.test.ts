import { create, toBinary } from '@bufbuild/protobuf';
import { describe, expect, it } from 'vitest';
import { noble } from '../crypto/noble.ts';
import { HandshakeState } from '../crypto/noise.ts';
import type { Suite, X25519Key } from '../crypto/suite.ts';
import { ErrorCode } from '../gen/clawchat/v1/error_pb.ts';
import { HandshakeReplySchema } from '../gen/clawchat/v1/handshake_pb.ts';
import { native } from '../node/native.ts';
import { type Fault, isFault } from './fault.ts';
import { flipped, named } from './fixtures.ts';
import {
  InitiatorHandshake,
  type InitiatorOptions,
  ResponderHandshake,
  type ResponderOptions,
} from './handshake.ts';
import { prologue } from './keys.ts';

/** A key that notes when it is destroyed. */
function watched(suite: Suite, name: string, destroyed: Set<string>): X25519Key {
  const key = suite.x25519Key(named(suite, name));
  return {
    public: key.public,
    dh: of => key.dh(of),
    destroy: () => {
      destroyed.add(name);
      key.destroy();
    },
  };
}

function must<T>(result: T | Fault): T {
  if (isFault(result)) throw new Error(result.detail);
  return result;
}

interface Setting {
  readonly destroyed: Set<string>;
  readonly initiator: InitiatorOptions;
  readonly responder: (token: string, change?: Partial<ResponderOptions>) => ResponderOptions;
}

function setting(client: Suite, host: Suite): Setting {
  const destroyed = new Set<string>();
  const serverId = named(client, 'server');
  const accessKey = { epoch: 9, key: named(client, 'access') };
  const psk = named(client, 'psk');
  const staticKey = watched(client, 'device', destroyed);
  const channel = watched(host, 'channel', destroyed);
  return {
    destroyed,
    initiator: {
      suite: client,
      serverId,
      accessKey,
      responderKey: channel.public,
      staticKey,
      psk,
      gateKey: named(client, 'gate'),
      ephemeral: watched(client, 'initiator e', destroyed),
    },
    responder: (token, change = {}) => ({
      suite: host,
      serverId,
      epoch: 9,
      message1: Uint8Array.from(Buffer.from(token, 'base64url').subarray(24, 72)),
      psk,
      expectedKey: staticKey.public,
      channelKeys: [watched(host, 'other channel', destroyed), channel],
      ephemeral: watched(host, 'responder e', destroyed),
      witness: { sequence: 77, hash: named(host, 'record') },
      ...change,
    }),
  };
}

describe('a handshake (HS-010~1, HS-011~2, HS-013~1, HS-014~1)', () => {
  it.each([
    [native, native],
    [native, noble],
    [noble, native],
  ])(
    'ends with the same keys on both sides, and with the ephemeral keys destroyed (KD-002~1)',
    (client, host) => {
      const { destroyed, initiator, responder } = setting(client, host);
      const dialling = must(InitiatorHandshake.begin(initiator));
      const answering = must(ResponderHandshake.begin(responder(dialling.token)));
      const dialled = must(dialling.finish(answering.message2));
      const answered = must(answering.finish(dialled.message3, true));
      expect(dialled.witness).toEqual({ sequence: 77, hash: named(host, 'record') });
      expect(dialled.split.h).toEqual(answered.split.h);
      const empty = new Uint8Array(0);
      const text = Uint8Array.of(1, 2, 3);
      const there = dialled.split.send.encryptWithAd(empty, text);
      expect(answered.split.receive.decryptWithAd(empty, there)).toEqual(text);
      const back = answered.split.send.encryptWithAd(empty, text);
      expect(back).not.toEqual(there);
      expect(dialled.split.receive.decryptWithAd(empty, back)).toEqual(text);
      expect(destroyed).toEqual(new Set(['initiator e', 'responder e']));
    },
  );

  it('refuses a member who went away in between, or another one, and keeps no keys', () => {
    for (const [stillExists, expectedKey] of [
      [false, undefined],
      [true, named(native, 'somebody')],
    ] as const) {
      const { initiator, responder, destroyed } = setting(native, native);
      const dialling = must(InitiatorHandshake.begin(initiator));
      const options = responder(dialling.token, expectedKey === undefined ? {} : { expectedKey });
      const answering = must(ResponderHandshake.begin(options));
      const dialled = must(dialling.finish(answering.message2));
      expect(isFault(answering.finish(dialled.message3, stillExists))).toBe(true);
      expect(destroyed).toEqual(new Set(['initiator e', 'responder e']));
    }
  });

  it('destroys the ephemeral key when no channel key opens message 1, and when it is given up', () => {
    const { initiator, responder, destroyed } = setting(native, native);
    const dialling = must(InitiatorHandshake.begin(initiator));
    expect(isFault(ResponderHandshake.begin(responder(dialling.token, { channelKeys: [] })))).toBe(true);
    expect(destroyed).toEqual(new Set(['responder e']));
    dialling.destroy();
    expect(destroyed).toEqual(new Set(['responder e', 'initiator e']));
  });

  /** A suite whose derived keys are seen. */
  const watchingSuite = (): Suite & { readonly derived: Uint8Array[] } => {
    const derived: Uint8Array[] = [];
    const hkdfSha256: Suite['hkdfSha256'] = (...all) => {
      const okm = native.hkdfSha256(...all);
      derived.push(okm);
      return okm;
    };
    return { ...native, hkdfSha256, derived };
  };

  /** Of a handshake that ended well the last ones are the keys of the path. */
  const expectErased = (derived: readonly Uint8Array[], isFinished: boolean): void => {
    const over = isFinished ? derived.slice(0, -1) : derived;
    expect(over.length).toBeGreaterThan(1);
    expect(over.filter(okm => okm.some(byte => byte !== 0))).toEqual([]);
  };

  it('leaves no chaining key and no symmetric key behind, whichever way it ends (KD-002~1)', () => {
    const endings: Record<string, (dialling: InitiatorHandshake, message2: Uint8Array) => unknown> = {
      finished: (dialling, message2) => must(dialling.finish(message2)),
      altered: (dialling, message2) => dialling.finish(flipped(message2, 100)),
      'cut off': (dialling, message2) => dialling.finish(message2.subarray(1)),
      'given up': dialling => dialling.destroy(),
    };
    for (const [ending, end] of Object.entries(endings)) {
      const watching = watchingSuite();
      const { initiator, responder } = setting(watching, native);
      const dialling = must(InitiatorHandshake.begin(initiator));
      end(dialling, must(ResponderHandshake.begin(responder(dialling.token))).message2);
      expectErased(watching.derived, ending === 'finished');
    }
  });

  it('leaves none behind on the host either (KD-002~1)', () => {
    const endings: Record<string, (answering: ResponderHandshake, message3: Uint8Array) => unknown> = {
      finished: (answering, message3) => must(answering.finish(message3, true)),
      altered: (answering, message3) => answering.finish(flipped(message3, 60), true),
      'cut off': (answering, message3) => answering.finish(message3.subarray(1), true),
      'given up': answering => answering.destroy(),
    };
    for (const [ending, end] of Object.entries(endings)) {
      const watching = watchingSuite();
      const { initiator, responder } = setting(native, watching);
      const dialling = must(InitiatorHandshake.begin(initiator));
      const channelKeys = responder(dialling.token).channelKeys.slice(1);
      const answering = must(ResponderHandshake.begin(responder(dialling.token, { channelKeys })));
      end(answering, must(dialling.finish(answering.message2)).message3);
      expectErased(watching.derived, ending === 'finished');
    }
  });

  it('gives a fault for a channel key of small order (KD-003~1)', () => {
    const { initiator, destroyed } = setting(native, native);
    expect(isFault(InitiatorHandshake.begin({ ...initiator, responderKey: new Uint8Array(32) }))).toBe(true);
    expect(destroyed).toEqual(new Set(['initiator e']));
  });

  it('refuses messages of another length although they open (HS-012~1)', () => {
    const { initiator, responder } = setting(native, native);
    const { serverId, accessKey, responderKey, staticKey, psk } = initiator;
    const bound = prologue(serverId, accessKey.epoch);
    const empty = new Uint8Array(0);

    const dialling = must(InitiatorHandshake.begin(initiator));
    const about = responder(dialling.token);
    const [, s] = about.channelKeys;
    if (s === undefined) throw new Error('no channel key');
    const long = HandshakeState.responder({ suite: native, prologue: bound, s, psk });
    expect(long.readMessage(about.message1).kind).toBe('read');
    const reply = toBinary(
      HandshakeReplySchema,
      create(HandshakeReplySchema, { padding: new Uint8Array(63) }),
    );
    const message2 = long.writeMessage(reply, about.ephemeral);
    if (message2.kind === 'fault') throw new Error('no message 2');
    expect(message2.message).toHaveLength(113);
    expect(dialling.finish(message2.message)).toMatchObject({
      kind: 'fault',
      code: ErrorCode.HANDSHAKE_FAILED,
    });

    const rs = responderKey;
    const client = HandshakeState.initiator({ suite: native, prologue: bound, s: staticKey, psk, rs });
    const message1 = client.writeMessage(empty, native.x25519Key(named(native, 'another e')));
    if (message1.kind === 'fault') throw new Error('no message 1');
    const again = setting(native, native).responder(dialling.token, { message1: message1.message });
    const answering = must(ResponderHandshake.begin(again));
    expect(client.readMessage(answering.message2).kind).toBe('read');
    const message3 = client.writeMessage(Uint8Array.of(1));
    if (message3.kind === 'fault') throw new Error('no message 3');
    expect(message3.message).toHaveLength(65);
    expect(isFault(answering.finish(message3.message, true))).toBe(true);
  });

  it('makes another token in every attempt (GT-001~1)', () => {
    const tokens = [0, 1, 2].map(i => {
      const { initiator } = setting(native, native);
      const ephemeral = native.x25519Key(named(native, `attempt ${i}`));
      return must(InitiatorHandshake.begin({ ...initiator, ephemeral })).token;
    });
    expect(new Set(tokens).size).toBe(3);
  });
});
