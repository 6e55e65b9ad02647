/** What a handshake leaves of its secrets. */
import { describe, expect, test } from 'vitest';
import { native } from '../node/native.ts';
import { noble } from './noble.ts';
import { HandshakeState } from './noise.ts';
import type { Suite } from './suite.ts';
import {
  awaiting,
  ephemeral,
  hex,
  messages,
  none,
  start,
  toHex,
  vector,
  written,
} from './testing/noise-pair.ts';

/** A suite that remembers every secret that passed through it, so that a test can look for what is left. */
function watched(suite: Suite): { suite: Suite; secrets: Uint8Array[]; live: Set<string>; erased: string[] } {
  const secrets: Uint8Array[] = [];
  const erased: string[] = [];
  const live = new Set<string>();
  let count = 0;
  const watch = <H extends { destroy(): void }>(what: string, handle: H): H => {
    const name = `${what} ${count}`;
    count += 1;
    live.add(name);
    const destroy = handle.destroy.bind(handle);
    handle.destroy = () => {
      live.delete(name);
      destroy();
    };
    return handle;
  };
  const keep = (bytes: Uint8Array): Uint8Array => {
    secrets.push(bytes);
    return bytes;
  };
  return {
    secrets,
    live,
    erased,
    suite: {
      ...suite,
      erase: bytes => {
        erased.push(toHex(bytes));
        suite.erase(bytes);
      },
      hkdfSha256: (ikm, salt, info, length) => keep(suite.hkdfSha256(ikm, salt, info, length)),
      aead: key => watch('aead', suite.aead(key)),
      x25519Key: privateKey => {
        const key = suite.x25519Key(privateKey);
        return watch('x25519', {
          ...key,
          dh: (peer: Uint8Array) => keep(key.dh(peer) ?? new Uint8Array(32)),
        });
      },
    },
  };
}

describe('secrets', () => {
  const zero = (bytes: Uint8Array): boolean => bytes.every(byte => byte === 0);

  test('are erased when the handshake ends well', () => {
    for (const role of ['initiator', 'responder'] as const) {
      const { suite, secrets, live, erased } = watched(native);
      const states = start(
        vector,
        role === 'initiator' ? suite : native,
        role === 'responder' ? suite : native,
      );
      const statics = new Set(live);
      for (const index of [0, 1, 2]) {
        const [writer, reader] =
          index === 1 ? [states.responder, states.initiator] : [states.initiator, states.responder];
        const own = (index === 1) === (role === 'responder');
        const payload = hex(vector.messages[index]?.payload ?? '');
        reader.readMessage(
          written(writer.writeMessage(payload, ephemeral(vector, own ? suite : native, index))),
        );
      }
      const split = states[role].split();
      // 5 MixKey, the PSK and Split; 3 DHs.
      expect(secrets).toHaveLength(10);
      const left = secrets.filter(secret => !zero(secret));
      expect(left).toHaveLength(1);
      // What is left is the two keys of Split, until they are used and destroyed.
      expect(left[0]).toHaveLength(64);
      expect(live).toEqual(statics);
      expect(erased).toContain(vector.psk);
      split.send.encryptWithAd(none, none);
      expect(live.size).toBe(statics.size + 1);
      expect(
        [left[0]?.subarray(0, 32), left[0]?.subarray(32)].filter(key => key !== undefined && zero(key)),
      ).toHaveLength(1);
      split.send.destroy();
      split.receive.destroy();
      expect(secrets.filter(secret => !zero(secret))).toEqual([]);
      expect(live).toEqual(statics);
    }
  });

  test.each([0, 1, 2])(
    'are erased when message %i is a forged one, and when the handshake is given up',
    index => {
      for (const end of ['forged', 'given up', 'given up at the end'] as const) {
        const { suite, secrets, live, erased } = watched(noble);
        const state = awaiting(index, suite);
        if (end === 'forged') state.readMessage(new Uint8Array(200).fill(9));
        if (end === 'given up at the end' && index === 2) state.readMessage(messages[2] ?? none);
        if (end !== 'forged') state.destroy();
        // The two static keys of `start` are the caller's.
        expect([...live].filter(name => name.startsWith('x25519'))).toHaveLength(2);
        expect([...live].filter(name => name.startsWith('aead'))).toEqual([]);
        expect(secrets.filter(secret => !zero(secret))).toEqual([]);
        expect(erased).toContain(vector.psk);
        if (end === 'forged') expect(secrets.length).toBeGreaterThan(0);
      }
    },
  );

  test('the PSK is copied: its owner keeps it, and may erase it at once', () => {
    const psk = hex(vector.psk);
    const s = native.x25519Key(hex(vector.responder.static.private));
    const state = HandshakeState.responder({ suite: native, prologue: hex(vector.prologue), psk, s });
    psk.fill(0);
    state.readMessage(messages[0] ?? none);
    state.writeMessage(hex(vector.messages[1]?.payload ?? ''), ephemeral(vector, native, 1));
    expect(state.readMessage(messages[2] ?? none).kind).toBe('read');
  });
});
