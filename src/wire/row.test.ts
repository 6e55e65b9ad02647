import { isDeepStrictEqual } from 'node:util';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { ErrorCode } from '../gen/clawchat/v1/error_pb.ts';
import type { Fault } from './fault.ts';
import { encodeFrame, type Frame } from './frame.ts';
import { paddedBytes, RowReader, RowWriter } from './row.ts';

const TAG = 16;
const PLAINTEXT_MAX = 65_519;

const frame = fc.oneof<fc.Arbitrary<Frame>[]>(
  fc.nat().map(receivedThrough => ({ kind: 'ack' as const, receivedThrough })),
  fc.nat().map(id => ({ kind: 'pong' as const, id })),
  fc.nat({ max: 60 }).map(code => ({
    kind: 'close' as const,
    code: code > 50 ? ErrorCode.ACK_INVALID : ErrorCode.PATH_SUPERSEDED,
    resumable: true,
  })),
  fc.tuple(fc.integer({ min: 1, max: 9 }), fc.nat(9_000)).map(([stream, length]) => ({
    kind: 'data' as const,
    sequence: 3,
    stream,
    payload: new Uint8Array(length).fill(stream),
    more: false,
    open: undefined,
    end: undefined,
  })),
);

function readAll(plaintext: Uint8Array): (Frame | Fault)[] {
  const reader = new RowReader(plaintext);
  const out: (Frame | Fault)[] = [];
  for (let next = reader.next(); next !== undefined; next = reader.next()) out.push(next);
  expect(reader.next()).toBeUndefined();
  return out;
}

describe('RC-012: wire classes', () => {
  it('pads to multiples of 128 up to 1,024, of 1,024 above, and to 65,535 at most', () => {
    const wire = (bytes: number): number => paddedBytes(bytes) + TAG;
    expect([0, 1, 112, 113, 1_008, 1_009, 2_032, 2_033, 64_496, 64_497, PLAINTEXT_MAX].map(wire)).toEqual([
      128, 128, 128, 256, 1_024, 2_048, 2_048, 3_072, 64_512, 65_535, 65_535,
    ]);
  });
});

describe('RC-010, RC-011: a row of frames', () => {
  it('gives back what was packed, record after record, padded with zeros', () => {
    const writer = new RowWriter();
    fc.assert(
      fc.property(fc.array(frame, { maxLength: 30 }), frames => {
        const packed = frames.filter(each => writer.frame(each));
        expect(writer.empty).toBe(packed.length === 0);
        const plaintext = writer.finish();
        expect(paddedBytes(plaintext.length)).toBe(plaintext.length);
        expect(isDeepStrictEqual(readAll(plaintext), packed)).toBe(true);
      }),
      { numRuns: 300 },
    );
  });

  it('refuses what does not fit and keeps what does', () => {
    const writer = new RowWriter();
    const big: Frame = {
      kind: 'data',
      sequence: 1,
      stream: 1,
      payload: new Uint8Array(65_000),
      more: true,
      open: undefined,
      end: undefined,
    };
    expect(writer.frame(big)).toBe(true);
    expect(writer.frame(big)).toBe(false);
    expect(writer.frame({ kind: 'ack', receivedThrough: 1 })).toBe(true);
    expect(readAll(writer.finish()).map(({ kind }) => kind)).toEqual(['data', 'ack']);
  });

  it('reads a row that fills its record without an end mark', () => {
    const ack = [4, ...encodeFrame({ kind: 'ack', receivedThrough: 1 })];
    expect(
      readAll(Uint8Array.from({ length: 112 }, (_, i) => (i < 110 ? (ack[i % 5] ?? 0) : 0))),
    ).toHaveLength(22);
    const closed = [...ack, ...ack, 5, 0x2a, 3, 0x08, 0x81, 0x01];
    const full = Uint8Array.from([...Array.from({ length: 19 }, () => ack).flat(), ...closed, 0]);
    expect(full.length).toBe(112);
    expect(readAll(full)).toHaveLength(22);
  });

  const row = (...head: number[]): Uint8Array => Uint8Array.from({ length: 112 }, (_, i) => head[i] ?? 0);
  const bad: readonly (readonly [string, Uint8Array, number])[] = [
    ['a length beyond the record', row(112), 1],
    ['a length that is not the shortest', row(0x84, 0x00, 0x2a, 2, 8, 1), 1],
    ['an end mark that is not the shortest', row(0x80, 0x00), 1],
    // A malformed row gives none of its frames; a malformed frame leaves the ones before it.
    ['padding that is not zero', row(4, 0x2a, 2, 8, 1, 0, 0, 1), 1],
    ['a length beyond the record behind a good frame', row(4, 0x2a, 2, 8, 1, 112), 1],
    ['a bad frame behind a good one', row(4, 0x2a, 2, 8, 1, 1, 0x22), 2],
    ['a bad frame in a malformed row', row(4, 0x2a, 2, 8, 1, 1, 0x22, 112), 1],
    ['a record of no wire class', new Uint8Array(113), 1],
    ['a record without a byte', new Uint8Array(0), 1],
    ['a length of more than 3 bytes', row(0xff, 0xff, 0xff, 0x7f), 1],
    ['a length that does not end', Uint8Array.from({ length: 112 }, () => 0xff), 1],
    [
      'a frame longer than allowed',
      Uint8Array.from({ length: PLAINTEXT_MAX }, (_, i) => [0x81, 0xfe, 0x03][i] ?? 0),
      1,
    ],
    [
      'a frame longer than allowed behind a good one',
      Uint8Array.from({ length: PLAINTEXT_MAX }, (_, i) => [4, 0x2a, 2, 8, 1, 0x81, 0xfe, 0x03][i] ?? 0),
      1,
    ],
  ];
  it.each(bad)('%s is FRAME_MALFORMED and the last word', (_, plaintext, count) => {
    const out = readAll(plaintext);
    expect(out).toHaveLength(count);
    expect(out.at(-1)).toMatchObject({ kind: 'fault', by: 'peer', code: ErrorCode.FRAME_MALFORMED });
  });

  it('never throws and always ends (ER-001~1)', () => {
    fc.assert(fc.property(fc.uint8Array({ minLength: 112, maxLength: 112 }), bytes => void readAll(bytes)));
  });
});
