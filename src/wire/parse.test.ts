import { create, toBinary } from '@bufbuild/protobuf';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { ConnectionRecordSchema, SignedEnvelopeSchema } from '../gen/clawchat/v1/connection_file_pb.ts';
import { FrameSchema } from '../gen/clawchat/v1/frame_pb.ts';
import { safeNumber, tryParse } from './parse.ts';

const bytes = (...list: readonly number[]): Uint8Array => Uint8Array.from(list);

describe('what parses (CF-021~1)', () => {
  it.each<[string, Uint8Array, boolean]>([
    ['nothing', bytes(), true],
    ['a payload', bytes(0x0a, 1, 7), true],
    ['a payload as a varint', bytes(0x08, 1), false],
    ['a payload as 4 bytes', bytes(0x0d, 0, 0, 0, 0), false],
    ['a payload whose wire type is reserved', bytes(0x0f, 1, 7), false],
    ['a payload beyond the end', bytes(0x0a, 2, 7), false],
    ['a tag in two bytes', bytes(0x8a, 0, 1, 7), true],
    ['field 0', bytes(0x02, 0), false],
    ['a tag that is cut off', bytes(0x80), false],
    ['the highest field', bytes(0xfa, 0xff, 0xff, 0xff, 0x0f, 0), true],
    ['a field above it', bytes(0xfa, 0xff, 0xff, 0xff, 0x1f, 0), false],
    ['an unknown varint of 10 bytes', bytes(0x78, ...Array<number>(9).fill(0xff), 1), true],
    ['an unknown varint of 11 bytes', bytes(0x78, ...Array<number>(10).fill(0xff), 1), false],
    ['an unknown number of 8 bytes', bytes(0x79, 1, 2, 3, 4, 5, 6, 7, 8), true],
    ['an unknown number of 7 bytes', bytes(0x79, 1, 2, 3, 4, 5, 6, 7), false],
    ['an unknown number of 4 bytes', bytes(0x7d, 1, 2, 3, 4), true],
    ['an unknown number of 3 bytes', bytes(0x7d, 1, 2, 3), false],
    ['an unknown group', bytes(0x7b, 0x08, 1, 0x7c), true],
    ['a group in a group', bytes(0x7b, 0x73, 0x74, 0x7c), true],
    ['groups that end crosswise', bytes(0x7b, 0x73, 0x7c, 0x74), false],
    ['a group without an end', bytes(0x7b, 0x08, 1), false],
    ['an end without a group', bytes(0x7c), false],
    ['100 groups', bytes(...Array<number>(100).fill(0x7b), ...Array<number>(100).fill(0x7c)), false],
    ['a succession', bytes(0x1a, 3, 0x0a, 1, 5), true],
    ['a succession whose statement is longer than itself', bytes(0x1a, 3, 0x0a, 2, 5, 6), false],
    ['a succession with a statement of another wire type', bytes(0x1a, 2, 0x08, 5), false],
  ])('%s', (_, input, expected) => {
    expect(tryParse(SignedEnvelopeSchema, input) !== undefined).toBe(expected);
  });

  it('takes repeated numbers packed and one by one', () => {
    expect(tryParse(ConnectionRecordSchema, bytes(0x6a, 2, 1, 2, 0x68, 3))?.suites).toEqual([1, 2, 3]);
    expect(tryParse(ConnectionRecordSchema, bytes(0x6d, 1, 2, 3, 4))).toBeUndefined();
  });

  it('refuses text that is not UTF-8, and lets the last of two count', () => {
    const endpoint = (...text: readonly number[]): Uint8Array =>
      bytes(0x42, text.length + 2, 0x0a, text.length, ...text);
    expect(tryParse(ConnectionRecordSchema, endpoint(0xff))).toBeUndefined();
    expect(tryParse(ConnectionRecordSchema, endpoint(0x61))?.endpoints[0]?.host).toBe('a');
    expect(tryParse(ConnectionRecordSchema, bytes(0x08, 1, 0x08, 2))?.protocolVersion).toBe(2);
  });

  it('takes whatever protobuf-es writes, and never throws (ER-001~1)', () => {
    const body = fc.oneof(
      fc.record({
        case: fc.constant('ping' as const),
        value: fc.record({ id: fc.bigInt(0n, 2n ** 64n - 1n) }),
      }),
      fc.record({
        case: fc.constant('data' as const),
        value: fc.record({
          sequence: fc.bigInt(0n, 2n ** 53n),
          payload: fc.uint8Array(),
          more: fc.boolean(),
        }),
      }),
      fc.record({
        case: fc.constant('enrol' as const),
        value: fc.record({ name: fc.string({ unit: 'grapheme' }) }),
      }),
    );
    fc.assert(
      fc.property(
        body,
        of => tryParse(FrameSchema, toBinary(FrameSchema, create(FrameSchema, { body: of }))) !== undefined,
      ),
    );
    fc.assert(fc.property(fc.uint8Array(), of => void tryParse(FrameSchema, of)));
  });

  it('gives a number below 2^53, or NaN', () => {
    expect([0n, 2n ** 53n - 1n, 2n ** 53n, 2n ** 64n - 1n].map(safeNumber)).toEqual([
      0,
      2 ** 53 - 1,
      Number.NaN,
      Number.NaN,
    ]);
  });
});
