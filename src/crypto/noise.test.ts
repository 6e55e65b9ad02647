import { readFileSync } from 'node:fs';
import { Ajv2020 } from 'ajv/dist/2020.js';
import { describe, expect, test } from 'vitest';
import oracle from '../../test-vectors/noise/xkpsk3.json' with { type: 'json' };
import { native } from '../node/native.ts';
import { UsageError } from '../wire/usage-error.ts';
import { noble } from './noble.ts';
import { HandshakeState, NOISE_MESSAGE_BYTES_MAX } from './noise.ts';
import { Records } from './record.ts';
import type { Suite, X25519Key } from './suite.ts';

const suites: readonly Suite[] = [noble, native];
const pairs = suites.flatMap(client =>
  suites.map(host => ({ client, host, name: `${client.name}-${host.name}` })),
);
const hex = (text: string): Uint8Array => Uint8Array.from(Buffer.from(text, 'hex'));
const toHex = (bytes: Uint8Array): string => Buffer.from(bytes).toString('hex');
const none = new Uint8Array(0);

type Vector = (typeof oracle.vectors)[number];

/** Both sides as the vector has them; a test changes what it is about. */
function start(
  vector: Vector,
  client: Suite,
  host: Suite,
): { initiator: HandshakeState; responder: HandshakeState } {
  const [prologue, psk] = [hex(vector.prologue), hex(vector.psk)];
  const rs = hex(vector.responder.static.public);
  const s = (suite: Suite, side: 'initiator' | 'responder'): X25519Key =>
    suite.x25519Key(hex(vector[side].static.private));
  return {
    initiator: HandshakeState.initiator({ suite: client, prologue, psk, s: s(client, 'initiator'), rs }),
    responder: HandshakeState.responder({ suite: host, prologue, psk, s: s(host, 'responder') }),
  };
}

function ephemeral(vector: Vector, suite: Suite, index: number): X25519Key | undefined {
  if (index === 2) return undefined;
  return suite.x25519Key(hex(vector[index === 0 ? 'initiator' : 'responder'].ephemeral.private));
}

function written(result: ReturnType<HandshakeState['writeMessage']>): Uint8Array {
  if (result.kind === 'fault') throw new Error(result.code);
  return result.message;
}

function sha256OfSeries(sender: Records, receiver: Records, count: number, plaintext: Uint8Array): string {
  const ciphertexts: Uint8Array[] = [];
  for (let i = 0; i < count; i += 1) {
    const sealed = sender.seal(plaintext);
    if (sealed === undefined || receiver.open(sealed) === undefined) throw new Error(`record ${i}`);
    ciphertexts.push(sealed);
  }
  return toHex(native.sha256(...ciphertexts));
}

test('the transcripts follow their schema', () => {
  const schema = JSON.parse(readFileSync('test-vectors/schema/noise.schema.json', 'utf8'));
  const validate = new Ajv2020({ strict: false }).compile(schema);
  expect(validate(oracle), JSON.stringify(validate.errors)).toBe(true);
  expect(new Set(oracle.vectors.map(({ id }) => id)).size).toBe(oracle.vectors.length);
});

describe.each(pairs)('the transcripts of an independent implementation, $name', ({ client, host, name }) => {
  test.each(oracle.vectors)('$id', vector => {
    const states = start(vector, client, host);
    for (const [index, { from, payload, message, debug }] of vector.messages.entries()) {
      const [writer, reader] =
        from === 'initiator' ? [states.initiator, states.responder] : [states.responder, states.initiator];
      const e = ephemeral(vector, from === 'initiator' ? client : host, index);
      expect(toHex(written(writer.writeMessage(hex(payload), e)))).toBe(message);
      expect(reader.readMessage(hex(message))).toEqual({ kind: 'read', payload: hex(payload) });
      expect([toHex(writer.h), toHex(reader.h)]).toEqual([debug.h, debug.h]);
    }
    const splits = { initiator: states.initiator.split(), responder: states.responder.split() };
    expect(toHex(splits.initiator.h)).toBe(vector.handshake_hash);
    expect(toHex(splits.responder.h)).toBe(vector.handshake_hash);
    expect(toHex(splits.initiator.rs)).toBe(vector.responder.static.public);
    expect(toHex(splits.responder.rs)).toBe(vector.initiator.static.public);
    const paths = { initiator: new Records(splits.initiator), responder: new Records(splits.responder) };
    const from = (side: string): readonly [Records, Records] =>
      side === 'initiator' ? [paths.initiator, paths.responder] : [paths.responder, paths.initiator];
    for (const { from: side, plaintext, ciphertext } of vector.transport) {
      const [sender, receiver] = from(side);
      expect(sender.seal(hex(plaintext))).toEqual(hex(ciphertext));
      expect(receiver.open(hex(ciphertext))).toEqual(hex(plaintext));
    }
    // 70,000 records take noble seconds: one pair is enough for what only counts.
    for (const series of name === 'native-native' ? vector.series : []) {
      const plaintext = new Uint8Array(series.plaintext_length).fill(hex(series.plaintext_byte)[0] ?? 0);
      const [sender, receiver] = from(series.from);
      expect(sha256OfSeries(sender, receiver, series.count, plaintext)).toBe(series.ciphertexts_sha256);
    }
  });
});

const [vector] = oracle.vectors;
if (vector === undefined) throw new Error('no vector');
const messages = vector.messages.map(({ message }) => hex(message));

/** Bring a fresh reader of message `index` to where it awaits it. */
function awaiting(index: number, suite: Suite, change: Partial<Vector> = {}): HandshakeState {
  const changed = { ...vector, ...change } as Vector;
  const { initiator, responder } = start(changed, suite, suite);
  if (index === 1) {
    initiator.writeMessage(none, ephemeral(changed, suite, 0));
    return initiator;
  }
  if (index === 2) {
    expect(responder.readMessage(messages[0] ?? none).kind).toBe('read');
    responder.writeMessage(hex(changed.messages[1]?.payload ?? ''), ephemeral(changed, suite, 1));
  }
  return responder;
}

/** What every fault must leave behind: the same answer to all that comes, and nothing to split. */
function expectDead(state: HandshakeState, code: string): void {
  const fault = { kind: 'fault', code };
  expect(state.readMessage(messages[0] ?? none)).toEqual(fault);
  expect(state.readMessage(messages[2] ?? none)).toEqual(fault);
  expect(state.writeMessage(none)).toEqual(fault);
  expect(() => state.split()).toThrow(UsageError);
}

describe.each(suites)('what a peer can send, $name', suite => {
  test.each([0, 1, 2])('message %i with any byte flipped, cut anywhere, or longer', index => {
    const message = messages[index] ?? none;
    const least = index === 2 ? 64 : 48;
    expect(awaiting(index, suite).readMessage(message).kind).toBe('read');
    for (let at = 0; at < message.length; at += 1) {
      const state = awaiting(index, suite);
      // The top bit of a public key does not count in X25519, but it does in the hash.
      const flipped = message.map((byte, i) => (i === at ? byte ^ 0x80 : byte));
      expect(state.readMessage(flipped)).toEqual({ kind: 'fault', code: 'decryption_failed' });
      expectDead(state, 'decryption_failed');
      const cut = awaiting(index, suite);
      const code = at < least ? 'message_length' : 'decryption_failed';
      expect(cut.readMessage(message.subarray(0, at))).toEqual({ kind: 'fault', code });
      expectDead(cut, code);
    }
    const longer = awaiting(index, suite);
    expect(longer.readMessage(Uint8Array.of(...message, 0))).toEqual({
      kind: 'fault',
      code: 'decryption_failed',
    });
    const longest = new Uint8Array(NOISE_MESSAGE_BYTES_MAX + 1);
    longest.set(message);
    expect(awaiting(index, suite).readMessage(longest.subarray(0, -1))).toEqual({
      kind: 'fault',
      code: 'decryption_failed',
    });
    const tooLong = awaiting(index, suite);
    expect(tooLong.readMessage(longest)).toEqual({ kind: 'fault', code: 'message_length' });
    expectDead(tooLong, 'message_length');
  });

  test('a message of another handshake, or out of place', () => {
    for (const [index, other] of [
      [0, 1],
      [0, 2],
      [1, 0],
      [1, 2],
      [2, 0],
      [2, 1],
    ] as const) {
      expect(awaiting(index, suite).readMessage(messages[other] ?? none).kind).toBe('fault');
    }
    const second = oracle.vectors[2]?.messages.map(({ message }) => hex(message)) ?? [];
    for (const index of [0, 1, 2]) {
      expect(awaiting(index, suite).readMessage(second[index] ?? none).kind).toBe('fault');
    }
  });

  test('another PSK is found out by message 3, and only there', () => {
    const psk = '00'.repeat(32);
    expect(awaiting(0, suite, { psk }).readMessage(messages[0] ?? none).kind).toBe('read');
    expect(awaiting(1, suite, { psk }).readMessage(messages[1] ?? none).kind).toBe('read');
    expect(awaiting(2, suite, { psk }).readMessage(messages[2] ?? none)).toEqual({
      kind: 'fault',
      code: 'decryption_failed',
    });
  });

  test('another prologue, or another static key of the responder, is found out by message 1', () => {
    const prologue = `${vector.prologue}00`;
    const responder = { ...vector.responder, static: vector.responder.ephemeral };
    for (const change of [{ prologue }, { responder }]) {
      const state = awaiting(0, suite, change);
      expect(state.readMessage(messages[0] ?? none)).toEqual({ kind: 'fault', code: 'decryption_failed' });
      expectDead(state, 'decryption_failed');
    }
  });

  test('a responder tries its static keys one after the other', () => {
    const keys = [vector.responder.ephemeral, vector.initiator.static, vector.responder.static];
    const kinds = keys.map(pair => {
      const state = awaiting(0, suite, { responder: { ...vector.responder, static: pair } });
      return state.readMessage(messages[0] ?? none).kind;
    });
    expect(kinds).toEqual(['fault', 'fault', 'read']);
  });

  test('an initiator whose static key is another one is who it proves to be', () => {
    const initiator = { ...vector.initiator, static: vector.responder.ephemeral };
    const { initiator: state, responder } = start({ ...vector, initiator }, suite, suite);
    responder.readMessage(written(state.writeMessage(none, ephemeral(vector, suite, 0))));
    state.readMessage(written(responder.writeMessage(none, ephemeral(vector, suite, 1))));
    responder.readMessage(written(state.writeMessage(none)));
    expect(toHex(responder.split().rs)).toBe(initiator.static.public);
  });

  // The seven encodings, and the two that are reached only by the top bit.
  const lowOrder = [
    '00'.repeat(32),
    `01${'00'.repeat(31)}`,
    'e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800',
    '5f9c95bca3508c24b1d0b1559c83ef5b04445cc4581c8e86d8224eddd09f1157',
    `ec${'ff'.repeat(30)}7f`,
    `ed${'ff'.repeat(30)}7f`,
    `ee${'ff'.repeat(30)}7f`,
    `${'00'.repeat(31)}80`,
    `01${'00'.repeat(30)}80`,
  ];

  test.each(lowOrder)('an ephemeral key of low order ends the handshake: %s', point => {
    for (const index of [0, 1]) {
      const state = awaiting(index, suite);
      const message = Uint8Array.from(messages[index] ?? none);
      message.set(hex(point));
      expect(state.readMessage(message)).toEqual({ kind: 'fault', code: 'dh_all_zero' });
      expectDead(state, 'dh_all_zero');
    }
  });

  test.each(lowOrder)('a static key of low order ends the handshake: %s', point => {
    const responder = { ...vector.responder, static: { ...vector.responder.static, public: point } };
    const { initiator } = start({ ...vector, responder }, suite, suite);
    const result = initiator.writeMessage(none, ephemeral(vector, suite, 0));
    expect(result).toEqual({ kind: 'fault', code: 'dh_all_zero' });
    expectDead(initiator, 'dh_all_zero');
    // And sent by the initiator, encrypted as it should be.
    const key = suite.x25519Key(hex(vector.initiator.static.private));
    const forged: X25519Key = { ...key, public: hex(point) };
    const options = { suite, prologue: hex(vector.prologue), psk: hex(vector.psk) };
    const rs = hex(vector.responder.static.public);
    const liar = HandshakeState.initiator({ ...options, s: forged, rs });
    const honest = awaiting(0, suite);
    honest.readMessage(written(liar.writeMessage(none, ephemeral(vector, suite, 0))));
    liar.readMessage(written(honest.writeMessage(none, ephemeral(vector, suite, 1))));
    expect(honest.readMessage(written(liar.writeMessage(none)))).toEqual({
      kind: 'fault',
      code: 'dh_all_zero',
    });
    expectDead(honest, 'dh_all_zero');
  });

  test('a message in a Buffer that is used again does not change the handshake', () => {
    const { initiator, responder } = start(vector, suite, suite);
    const buffer = Buffer.from(written(initiator.writeMessage(none, ephemeral(vector, suite, 0))));
    expect(responder.readMessage(buffer).kind).toBe('read');
    buffer.fill(0);
    expect(
      toHex(
        written(responder.writeMessage(hex(vector.messages[1]?.payload ?? ''), ephemeral(vector, suite, 1))),
      ),
    ).toBe(vector.messages[1]?.message);
  });
});

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

describe('a caller out of turn gets a UsageError', () => {
  const fresh = (): ReturnType<typeof start> => start(vector, native, native);
  const e = (): X25519Key => native.x25519Key(native.randomBytes(32));

  test('reading instead of writing, and the other way round', () => {
    expect(() => fresh().initiator.readMessage(messages[0] ?? none)).toThrow(UsageError);
    expect(() => fresh().responder.writeMessage(none, e())).toThrow(UsageError);
    const { initiator } = fresh();
    initiator.writeMessage(none, e());
    expect(() => initiator.writeMessage(none, e())).toThrow(UsageError);
  });

  test('without an ephemeral key, or with one too many; the state stays as it was', () => {
    const { initiator } = fresh();
    expect(() => initiator.writeMessage(none)).toThrow(UsageError);
    expect(toHex(written(initiator.writeMessage(none, ephemeral(vector, native, 0))))).toBe(
      vector.messages[0]?.message,
    );
    initiator.readMessage(messages[1] ?? none);
    expect(() => initiator.writeMessage(none, e())).toThrow(UsageError);
    expect(toHex(written(initiator.writeMessage(none)))).toBe(vector.messages[2]?.message);
  });

  test('a payload that fits into no Noise message', () => {
    const { initiator } = fresh();
    const longest = NOISE_MESSAGE_BYTES_MAX - 48;
    expect(() => initiator.writeMessage(new Uint8Array(longest + 1), e())).toThrow(UsageError);
    expect(written(initiator.writeMessage(new Uint8Array(longest), e()))).toHaveLength(
      NOISE_MESSAGE_BYTES_MAX,
    );
  });

  test('after the end', () => {
    const { initiator } = fresh();
    expect(() => initiator.split()).toThrow(UsageError);
    initiator.writeMessage(none, ephemeral(vector, native, 0));
    initiator.readMessage(messages[1] ?? none);
    initiator.writeMessage(none);
    expect(() => initiator.writeMessage(none)).toThrow(UsageError);
    expect(() => initiator.readMessage(messages[1] ?? none)).toThrow(UsageError);
    initiator.split();
    expect(() => initiator.split()).toThrow(UsageError);
    const given = fresh().initiator;
    given.destroy();
    given.destroy();
    expect(() => given.writeMessage(none, e())).toThrow(UsageError);
  });

  test('keys of a wrong length', () => {
    const options = { suite: native, prologue: none, psk: new Uint8Array(32), s: e() };
    expect(() => HandshakeState.responder({ ...options, psk: new Uint8Array(31) })).toThrow(UsageError);
    expect(() => HandshakeState.initiator({ ...options, rs: new Uint8Array(33) })).toThrow(UsageError);
  });
});
