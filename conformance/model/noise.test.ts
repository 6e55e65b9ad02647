/** The model's Noise against handshakes that an independent implementation made (test-vectors/noise). */
import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { hex, unhex } from './bytes.ts';
import {
  Noise,
  readMessage1,
  readMessage2,
  readMessage3,
  writeMessage1,
  writeMessage2,
  writeMessage3,
} from './noise.ts';
import { x25519Public } from './primitives.ts';

interface Side {
  readonly static: { readonly private: string };
  readonly ephemeral: { readonly private: string };
}
interface NoiseVector {
  readonly id: string;
  readonly prologue: string;
  readonly psk: string;
  readonly initiator: Side;
  readonly responder: Side;
  readonly messages: readonly { readonly payload: string; readonly message: string }[];
  readonly handshake_hash: string;
}

const path = new URL('../../test-vectors/noise/xkpsk3.json', import.meta.url);
const { vectors }: { readonly vectors: readonly NoiseVector[] } = JSON.parse(readFileSync(path, 'utf8'));

describe.each(vectors)('$id', vector => {
  const keys = (side: Side) => ({
    prologue: unhex(vector.prologue),
    psk: unhex(vector.psk),
    s: unhex(side.static.private),
    e: unhex(side.ephemeral.private),
  });
  const rs = x25519Public(unhex(vector.responder.static.private));
  const sides = () =>
    [new Noise({ ...keys(vector.initiator), rs }, true), new Noise(keys(vector.responder), false)] as const;
  const [one, two, three] = vector.messages.map(
    ({ payload, message }) => [unhex(payload), unhex(message)] as const,
  );
  if (one === undefined || two === undefined || three === undefined) throw new Error('three messages');
  const exact = one[1].length === 48 && two[1].length === 112 && three[1].length === 64;

  if (exact)
    it('both sides agree with it', () => {
      const [initiator, responder] = sides();
      expect(hex(writeMessage1(initiator, one[0]))).toBe(hex(one[1]));
      expect(hex(readMessage1(responder, one[1]))).toBe(hex(one[0]));
      expect(hex(writeMessage2(responder, two[0]))).toBe(hex(two[1]));
      expect(hex(readMessage2(initiator, two[1]))).toBe(hex(two[0]));
      expect(hex(writeMessage3(initiator, three[0]))).toBe(hex(three[1]));
      expect(hex(readMessage3(responder, three[1]))).toBe(hex(three[0]));
      expect([hex(initiator.h), hex(responder.h)]).toEqual([vector.handshake_hash, vector.handshake_hash]);
    });

  it('message 1 is the same', () => {
    expect(hex(writeMessage1(sides()[0], one[0]))).toBe(hex(one[1]));
  });
});

it('has handshakes of the lengths that ClawChat uses', () => {
  expect(vectors.filter(({ messages }) => messages[1]?.payload.length === 128).length).toBeGreaterThan(0);
});
