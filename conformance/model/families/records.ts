/** Vectors: transport records and the rows of frames in them (spec/05-session.md, 5.1). */
import {
  FRAME_BYTES_MAX,
  WIRE_RECORD_PLAINTEXT_BYTES_MAX,
  WIRE_RECORDS_HARD_MAX,
} from '../../../src/gen/constants.ts';
import { concat, EMPTY, hex, stream, u8, unhex, utf8, zeros } from '../bytes.ts';
import type { Flag } from '../flags.ts';
import { encodeFrame, pad, row } from '../frame.ts';
import type { Outcome } from '../judge/judge.ts';
import { judgeRecords } from '../judge/records.ts';
import { lengthField, varint } from '../protobuf.ts';
import { clientOf, converse, hostOf, SETTING } from '../sides.ts';
import { sealRecord } from '../transport.ts';
import { type Family, family, type Json, type JsonObject, type Vector } from '../vector.ts';
import { frames } from './frames.ts';

const talk = converse(clientOf(SETTING), hostOf(SETTING));
const KEY = talk.client.initiatorKey;
const OTHER_KEY = talk.client.responderKey;

const ping = (id: number): Uint8Array => encodeFrame({ case: 'ping', value: { id: BigInt(id) } });
const hello = encodeFrame({ case: 'hello', value: { protocolVersion: 1, software: 'example 1' } });
const attach = encodeFrame({
  case: 'attach',
  value: { sessionId: unhex('000102030405060708090a0b0c0d0e0f'), generation: 1n, open: true },
});
const data = encodeFrame({
  case: 'data',
  value: { sequence: 1n, stream: 1, payload: utf8('hi'), open: { service: 'echo.v1' } },
});
const answer = [
  encodeFrame({ case: 'ack', value: { receivedThrough: 300n } }),
  encodeFrame({ case: 'credit', value: { stream: 1, limit: 24_576n } }),
  encodeFrame({ case: 'data', value: { sequence: 1n, stream: 1, end: {} } }),
];

type Head = Pick<Vector, 'note' | 'flags' | 'req' | 'also'>;

/** A vector whose outcome is what the judge says of its input. */
function vector(
  id: string,
  head: Head,
  phase: Vector['phase'],
  input: JsonObject,
  debug?: JsonObject,
): Vector {
  const outcome: Outcome = judgeRecords(input, {}, new Map());
  return {
    id: `records/${id}`,
    ...head,
    phase,
    ...outcome,
    input,
    ...(debug === undefined ? {} : { debug }),
  };
}

/** A Ping of exactly so many bytes, made up with a field of a later version, and how a vector says so. */
function frameOf(length: number): { readonly bytes: Uint8Array; readonly shown: Json } {
  for (const id of [1, 300]) {
    for (let filler = Math.max(0, length - 12); filler < length; filler++) {
      const bytes = concat(ping(id), lengthField(900, stream('later', filler)));
      if (bytes.length !== length) continue;
      const prefix = hex(bytes.slice(0, length - filler));
      return { bytes, shown: filler > 256 ? { prefix, stream: 'later', length: filler } : hex(bytes) };
    }
  }
  throw new Error(`no frame of ${length} bytes`);
}

function seals(): Vector[] {
  const of = (
    id: string,
    note: string,
    flags: readonly Flag[],
    place: number,
    given: readonly Uint8Array[],
    shown: readonly Json[] = given.map(hex),
    req = 'RC-012~1',
  ): Vector => {
    const plain = pad(row(given));
    const debug: JsonObject = plain.length <= 240 ? { plaintext: hex(plain) } : {};
    return vector(
      `seal/${id}`,
      { note, flags, req: [req, 'RC-001~1', 'RC-002~1'] },
      'derive',
      { what: 'seal', key: hex(KEY), place, frames: shown },
      debug,
    );
  };
  const sizes = [112, 113, 240, 241, 1008, 1009, 2032, 2033, 64_496, 64_497, WIRE_RECORD_PLAINTEXT_BYTES_MAX];
  return [
    of('first', 'The first record of a client: Hello, Attach, Data.', ['known-answer'], 0, [
      hello,
      attach,
      data,
    ]),
    of('answer', 'Ack, Credit, and the end of a stream.', ['known-answer'], 1, answer),
    of('empty', 'No frame.', ['boundary'], 0, []),
    ...[255, 256, 65_535, 65_536, WIRE_RECORDS_HARD_MAX - 1].map(place =>
      of(`place-${place}`, `The record at place ${place}.`, ['nonce', 'byte-order'], place, [ping(1)]),
    ),
    ...sizes.map(size => {
      // Two frames where one could not be that long.
      const first = Math.min(size - varint(size).length, FRAME_BYTES_MAX);
      const rest = size - varint(first).length - first;
      const parts = (rest === 0 ? [first] : [first, rest - varint(rest).length]).map(frameOf);
      const given = parts.map(({ bytes }) => bytes);
      if (row(given).length !== size) throw new Error(`the row has ${row(given).length} bytes`);
      const flags = ['padding-class', 'boundary'] as const;
      return of(
        `row-${size}`,
        `A row of ${size} bytes.`,
        flags,
        0,
        given,
        parts.map(({ shown }) => shown),
      );
    }),
  ];
}

function rows(): Vector[] {
  const of = (
    id: string,
    note: string,
    flags: readonly Flag[],
    plain: Uint8Array,
    req: string,
    shown: Json = hex(plain),
  ): Vector => vector(`row/${id}`, { note, flags, req: [req] }, 'parse', { what: 'row', plaintext: shown });
  const padded = (bytes: Uint8Array, length = 112): Uint8Array => concat(bytes, zeros(length - bytes.length));
  const good = row([ping(1)]);
  const full = (length: number): Uint8Array => row([frameOf(length - (length > 130 ? 2 : 1)).bytes]);
  const lengthsOff = [0, 16, 111, 113, 128, 1007, 1009, 1136];
  return [
    of(
      'first',
      'The plaintext of the first vector.',
      ['known-answer'],
      pad(row([hello, attach, data])),
      'RC-010~1',
    ),
    of('empty', 'No frame: only zeros.', ['boundary'], zeros(112), 'RC-010~1'),
    of(
      'full',
      'A row that ends where the plaintext ends.',
      ['early-stop', 'boundary'],
      full(112),
      'RC-010~1',
    ),
    of('full-240', 'The same with a length of two bytes.', ['early-stop', 'boundary'], full(240), 'RC-010~1'),
    of('room-for-mark', 'A row that leaves one byte.', ['boundary'], padded(full(111)), 'RC-010~1'),
    of(
      'larger-class',
      'More padding than needed: a reader looks only at the class.',
      ['padding-class'],
      padded(good, 1008),
      'RC-013~1',
    ),
    ...lengthsOff.map(length =>
      of(
        `length-${length + 16}`,
        `A record of ${length + 16} bytes.`,
        ['padding-class', 'boundary'],
        length < good.length ? zeros(length) : padded(good, length),
        'RC-013~1',
      ),
    ),
    ...[2032, 64_496, 65_519].map(length =>
      of(
        `class-${length + 16}`,
        `A record of ${length + 16} bytes.`,
        ['padding-class', 'boundary'],
        padded(good, length),
        'RC-013~1',
        { prefix: hex(good), stream: '', length: 0, zeros: length - good.length },
      ),
    ),
    ...[65_520, 65_518, 64_497].map(length =>
      of(
        `class-${length + 16}-off`,
        `A record of ${length + 16} bytes.`,
        ['padding-class', 'boundary'],
        padded(good, length),
        'RC-013~1',
        { prefix: hex(good), stream: '', length: 0, zeros: length - good.length },
      ),
    ),
    of(
      'long-length',
      'A length in two bytes where one is enough.',
      ['length'],
      padded(concat(unhex(`${hex(u8(ping(1).length | 0x80))}00`), ping(1))),
      'RC-010~1',
    ),
    of(
      'long-zero',
      'An end mark in two bytes.',
      ['length', 'early-stop'],
      padded(concat(good, unhex('8000'))),
      'RC-010~1',
    ),
    of('length-endless', 'A length without an end.', ['length'], new Uint8Array(112).fill(0xff), 'RC-010~1'),
    of(
      'length-cut',
      'A length that is cut off by the end of the plaintext.',
      ['truncation'],
      concat(full(111), u8(0x80)),
      'RC-010~1',
    ),
    of(
      'beyond-by-1',
      'A frame that reaches one byte beyond the end.',
      ['boundary', 'truncation'],
      concat(u8(112), full(112).slice(1)),
      'RC-010~1',
    ),
    of(
      'beyond',
      'A second frame beyond the end: the first is not handled either.',
      ['truncation'],
      padded(concat(good, u8(120))),
      'RC-010~1',
    ),
    of(
      'length-2-32',
      'A length of 2^32.',
      ['big-number'],
      padded(concat(varint(2n ** 32n), zeros(5))),
      'RC-010~1',
    ),
    of('length-2-63', 'A length of 2^63.', ['big-number'], padded(varint(2n ** 63n)), 'RC-010~1'),
    of(
      'frame-max',
      'The longest frame.',
      ['boundary'],
      frameRow(FRAME_BYTES_MAX).bytes,
      'SE-002~1',
      frameRow(FRAME_BYTES_MAX).shown,
    ),
    of(
      'frame-max-and-1',
      'A frame one byte longer.',
      ['boundary'],
      frameRow(FRAME_BYTES_MAX + 1).bytes,
      'RC-010~1',
      frameRow(FRAME_BYTES_MAX + 1).shown,
    ),
    of(
      'not-zero-next',
      'A byte right behind the end mark that is not zero.',
      ['early-stop', 'padding-oracle'],
      padded(concat(good, unhex('0001'))),
      'RC-011~1',
    ),
    of(
      'not-zero-last',
      'The last byte is not zero.',
      ['early-stop', 'padding-oracle'],
      concat(padded(good, 111), u8(1)),
      'RC-011~1',
    ),
    of(
      'frame-behind-end',
      'A good frame behind the end mark.',
      ['early-stop'],
      padded(concat(good, u8(0), good)),
      'RC-011~1',
    ),
    of(
      'bad-frame-second',
      'A good frame, one that does not parse, a good one: the first is handled, the others are not.',
      ['early-stop', 'order-of-steps'],
      padded(row([ping(1), unhex('3aff'), ping(2)])),
      'SE-005~1',
    ),
    of(
      'ignored-between',
      'An unknown frame between two good ones.',
      ['unknown-field'],
      padded(row([ping(1), unhex('ea0600'), ping(2)])),
      'SE-001~1',
    ),
    of(
      'one-byte-frames',
      'Frames too short for anything.',
      ['truncation'],
      padded(row([unhex('3a')])),
      'SE-003~1',
    ),
  ];
}

/** A row of one frame of that length, padded to the largest class, and how a vector says so. */
function frameRow(length: number): { readonly bytes: Uint8Array; readonly shown: Json } {
  const { bytes, shown } = frameOf(length);
  const front = varint(length);
  const rest = WIRE_RECORD_PLAINTEXT_BYTES_MAX - front.length - length;
  const described = shown as { readonly prefix: string };
  return {
    bytes: concat(front, bytes, zeros(rest)),
    shown: { ...(shown as JsonObject), prefix: hex(front) + described.prefix, zeros: rest },
  };
}

function opens(): Vector[] {
  const sealedAt = (place: number, key = KEY, plain = pad(row([ping(place)]))): Uint8Array =>
    sealRecord(key, place, plain);
  const flip = (of: Uint8Array, at: number): Uint8Array =>
    of.map((byte, i) => (i === at ? byte ^ 0x10 : byte));
  const of = (
    id: string,
    note: string,
    flags: readonly Flag[],
    records: readonly Uint8Array[],
    place = 0,
    req = 'RC-003~1',
  ): Vector =>
    vector(`open/${id}`, { note, flags, req: [req] }, 'decrypt', {
      what: 'open',
      key: hex(KEY),
      place,
      records: records.map(hex),
    });
  const [r0, r1, r2] = [sealedAt(0), sealedAt(1), sealedAt(2)] as const;
  return [
    of('three', 'Three records in order.', ['known-answer'], [r0, r1, r2], 0, 'RC-002~1'),
    of(
      'late',
      'Records in the middle of a path.',
      ['nonce'],
      [sealedAt(255), sealedAt(256), sealedAt(257)],
      255,
      'RC-002~1',
    ),
    of(
      'last',
      'The last record that a path may carry.',
      ['nonce', 'boundary'],
      [sealedAt(WIRE_RECORDS_HARD_MAX - 1)],
      WIRE_RECORDS_HARD_MAX - 1,
      'RC-005~1',
    ),
    vector(
      'open/beyond-last',
      { note: 'One more.', flags: ['nonce', 'boundary'], req: ['RC-005~1'], also: ['TRANSPORT_FAILED'] },
      'state',
      {
        what: 'open',
        key: hex(KEY),
        place: WIRE_RECORDS_HARD_MAX,
        records: [hex(sealedAt(WIRE_RECORDS_HARD_MAX))],
      },
    ),
    of('flipped-first', 'A bit of the first byte is flipped.', ['bit-flip'], [r0, flip(r1, 0), r2]),
    of('flipped-middle', 'A bit in the middle.', ['bit-flip'], [r0, flip(r1, 64), r2]),
    of('flipped-tag', 'A bit of the tag.', ['bit-flip'], [r0, flip(r1, 127), r2]),
    of('cut', 'The last byte is missing.', ['truncation'], [r0, r1.slice(0, -1)]),
    of('longer', 'A byte too many.', ['extension'], [r0, concat(r1, zeros(1))]),
    of('empty', 'A record of no bytes.', ['truncation'], [r0, EMPTY]),
    of('15-bytes', 'Too short for a tag.', ['truncation', 'boundary'], [r0, zeros(15)]),
    of('16-bytes', 'Nothing but a tag.', ['truncation', 'boundary'], [r0, zeros(16)]),
    of('repeated', 'The same record twice.', ['replay', 'nonce'], [r0, r0]),
    of('skipped', 'A record is missing.', ['nonce'], [r0, r2]),
    of('reordered', 'Two changed places.', ['reorder', 'nonce'], [r1, r0]),
    of(
      'other-direction',
      'Sealed with the key of the other direction.',
      ['wrong-direction'],
      [sealedAt(0, OTHER_KEY)],
    ),
    of(
      'nonce-little-endian',
      'The place least significant byte first.',
      ['nonce', 'byte-order'],
      [littleEndian(1)],
      1,
    ),
    of(
      'class-off',
      'A record that opens and has no length of a record.',
      ['padding-class'],
      [r0, sealedAt(1, KEY, concat(row([ping(1)]), zeros(3)))],
      0,
      'RC-013~1',
    ),
    of(
      'row-bad',
      'A record that opens around a bad row; what came before was handled.',
      ['early-stop'],
      [r0, sealedAt(1, KEY, new Uint8Array(112).fill(0xff))],
      0,
      'RC-010~1',
    ),
  ];
}

/** What a sealer makes that writes the counter as some other protocols do. */
function littleEndian(place: number): Uint8Array {
  const swapped = 2 ** 56 * place;
  return sealRecord(KEY, swapped, pad(row([ping(place)])));
}

/** Make the family. */
export function records(): Family {
  return family(
    'records',
    ['spec/05-session.md#51-transport-records', 'spec/05-session.md#52-frames'],
    '"seal" makes a record of frames, "open" reads records one after the other, "row" takes a plaintext apart, "frame" judges one frame.',
    [...seals(), ...rows(), ...opens(), ...frames()],
  );
}
