/** The handshake against transcripts of an independent implementation, and against whatever a peer can send. */
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
import {
  awaiting,
  ephemeral,
  expectDead,
  hex,
  messages,
  none,
  start,
  toHex,
  vector,
  written,
} from './testing/noise-pair.ts';

const suites: readonly Suite[] = [noble, native];
const pairs = suites.flatMap(client =>
  suites.map(host => ({ client, host, name: `${client.name}-${host.name}` })),
);

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
