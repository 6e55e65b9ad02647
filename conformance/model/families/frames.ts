/** Vectors: single frames, each field at its bounds and beyond (spec/05-session.md, 5.2). */
import { ErrorCode } from '../../../src/gen/clawchat/v1/error_pb.ts';
import { RotationKind } from '../../../src/gen/clawchat/v1/rotation_pb.ts';
import { concat, EMPTY, hex, stream, unhex, utf8, zeros } from '../bytes.ts';
import * as cast from '../cast.ts';
import type { Flag } from '../flags.ts';
import { type BodyInit, encodeFrame, readFrame, shownFrame } from '../frame.ts';
import { lengthField, varint, varintField } from '../protobuf.ts';
import { attempt, type ErrorName } from '../refusal.ts';
import type { Json, Vector } from '../vector.ts';

const MAX = 2n ** 53n - 1n;

/** A value of an enum that this version does not know. */
const later = (value: number): never => value as never;

/** A frame given as bytes. */
function raw(
  id: string,
  note: string,
  flags: readonly Flag[],
  frame: Uint8Array,
  more: { readonly shown?: Json; readonly req?: string; readonly also?: readonly ErrorName[] } = {},
): Vector {
  const { shown = hex(frame), req = 'SE-003~1', also } = more;
  const outcome = attempt(() => readFrame(frame));
  const common = {
    id: `records/frame/${id}`,
    note,
    req: flags.includes('unknown-code') ? [req, 'ER-002~1'] : [req],
    flags,
    phase: 'parse',
    input: { what: 'frame', frame: shown },
  } as const;
  if ('refusal' in outcome) {
    const refused = { ...common, error: outcome.refusal.code, debug: { why: outcome.refusal.detail } };
    return also === undefined ? refused : { ...refused, also };
  }
  return { ...common, output: { frame: shownFrame(outcome.value) } };
}

const frame = (id: string, note: string, flags: readonly Flag[], body: BodyInit): Vector =>
  raw(id, note, flags, encodeFrame(body));

type Fields<K extends BodyInit['case']> = Extract<BodyInit, { case: K }>['value'];
const SESSION = stream('session', 16);
const attach = (of: Fields<'attach'> = {}): BodyInit => ({
  case: 'attach',
  value: { sessionId: SESSION, generation: 1n, ...of } as Fields<'attach'>,
});
const data = (of: Fields<'data'> = {}): BodyInit => ({
  case: 'data',
  value: { sequence: 1n, stream: 1, payload: utf8('hi'), ...of } as Fields<'data'>,
});
const hello = (of: Fields<'hello'> = {}): BodyInit => ({
  case: 'hello',
  value: { protocolVersion: 1, ...of } as Fields<'hello'>,
});

/** The same number at its bounds. */
function bounds(id: string, min: bigint, max: bigint, make: (value: bigint) => BodyInit): Vector[] {
  const at = (value: bigint): Vector => {
    const flags: readonly Flag[] = value > 2n ** 32n ? ['big-number', 'boundary'] : ['boundary', 'range'];
    return frame(`${id}-${value}`, `${id.replace('/', ': ')} ${value}.`, flags, make(value));
  };
  const below = min === 0n ? [] : [at(min - 1n)];
  return [...below, at(min), at(max), at(max + 1n)];
}

function hellos(): Vector[] {
  const feature = (count: number, name = 'a'): string[] =>
    Array.from({ length: count }, (_, i) => `${name}${i}`.slice(-32));
  const of = (id: string, note: string, flags: readonly Flag[], fields: Fields<'hello'>): Vector =>
    frame(`hello/${id}`, note, flags, hello(fields));
  return [
    of('plain', 'The least there can be.', ['known-answer'], {}),
    of('full', 'Features and software.', ['known-answer'], {
      features: ['chat.v1', 'x'],
      software: 'example 1',
    }),
    of('version-0', 'No version.', ['range', 'boundary'], { protocolVersion: 0 }),
    of('version-2', 'A later version: the lower of the two is spoken.', ['version-first'], {
      protocolVersion: 2,
    }),
    of('features-32', 'As many features as there can be.', ['count', 'boundary'], { features: feature(32) }),
    of('features-33', 'One more.', ['count', 'boundary'], { features: feature(33) }),
    of('feature-empty', 'An empty feature.', ['length', 'boundary'], { features: [''] }),
    of('feature-32', 'The longest feature.', ['length', 'boundary'], { features: ['f'.repeat(32)] }),
    of('feature-33', 'One letter longer.', ['length', 'boundary'], { features: ['f'.repeat(33)] }),
    of('feature-edges', 'The first and the last printable character.', ['character-set', 'boundary'], {
      features: ['!~'],
    }),
    of('feature-space', 'A space.', ['character-set', 'boundary'], { features: ['a b'] }),
    of('feature-delete', 'The character after the last printable one.', ['character-set', 'boundary'], {
      features: ['a\u007f'],
    }),
    of('feature-umlaut', 'A letter outside ASCII.', ['character-set'], { features: ['\u00e4'] }),
    of('feature-line-feed', 'A line feed at the end.', ['character-set'], { features: ['a\n'] }),
    of('software-64', 'The longest software, in bytes, not letters.', ['length', 'boundary'], {
      software: '\u00e4'.repeat(32),
    }),
    of('software-65', 'One byte longer.', ['length', 'boundary'], { software: `${'\u00e4'.repeat(32)}x` }),
  ];
}

function sessions(): Vector[] {
  return [
    frame('attach/plain', 'An attach that opens.', ['known-answer'], attach({ open: true })),
    ...[0, 15, 17].map(length =>
      frame(
        `attach/session-${length}`,
        `A session id of ${length} bytes.`,
        ['length'],
        attach({ sessionId: zeros(length) }),
      ),
    ),
    ...bounds('attach/generation', 1n, MAX, generation => attach({ generation })),
    ...bounds('attach/received-through', 0n, MAX, receivedThrough => attach({ receivedThrough })),
    ...bounds('attached/generation', 1n, MAX, generation => ({ case: 'attached', value: { generation } })),
    ...bounds('attached/received-through', 0n, MAX, receivedThrough => ({
      case: 'attached',
      value: { generation: 1n, receivedThrough },
    })),
    ...bounds('ack', 0n, MAX, receivedThrough => ({ case: 'ack', value: { receivedThrough } })),
    ...bounds('ping', 0n, MAX, id => ({ case: 'ping', value: { id } })),
    ...bounds('pong', 0n, MAX, id => ({ case: 'pong', value: { id } })),
    ...bounds('credit/stream', 1n, 2n ** 31n - 1n, value => ({
      case: 'credit',
      value: { stream: Number(value), limit: 9n },
    })),
    ...bounds('credit/limit', 0n, MAX, limit => ({ case: 'credit', value: { stream: 1, limit } })),
  ];
}

function datas(): Vector[] {
  const of = (id: string, note: string, flags: readonly Flag[], fields: Fields<'data'>): Vector =>
    frame(`data/${id}`, note, flags, data(fields));
  const payload = (length: number): Vector => {
    const bytes = encodeFrame(data({ payload: stream('payload', length) }));
    const shown = { prefix: hex(bytes.slice(0, bytes.length - length)), stream: 'payload', length };
    const flags = ['length', 'boundary'] as const;
    return raw(`data/payload-${length}`, `A payload of ${length} bytes.`, flags, bytes, { shown });
  };
  return [
    of('open', 'The first frame of a stream.', ['known-answer'], { open: { service: 'echo.v1' } }),
    of('more', 'A piece of a message.', ['known-answer'], { more: true }),
    of('end', 'The last frame of a stream, without content.', ['known-answer'], { payload: EMPTY, end: {} }),
    of('abort', 'One that aborts.', ['known-answer'], {
      payload: EMPTY,
      end: { code: ErrorCode.SERVICE_UNKNOWN },
    }),
    of('abort-unknown', 'One with a code of a later version.', ['unknown-code'], {
      payload: EMPTY,
      end: { code: later(9999) },
    }),
    of('all', 'A whole stream in one frame.', ['known-answer'], { open: { service: 'echo.v1' }, end: {} }),
    of('more-and-end', 'Never both.', ['range'], { more: true, end: {} }),
    ...bounds('data/sequence', 1n, MAX, sequence => data({ sequence })),
    ...bounds('data/stream', 1n, 2n ** 31n - 1n, value => data({ stream: Number(value) })),
    payload(65_000),
    payload(65_001),
    of('service-empty', 'A service without a name.', ['length', 'boundary'], { open: { service: '' } }),
    of('service-32', 'The longest name.', ['length', 'boundary'], { open: { service: 's'.repeat(32) } }),
    of('service-33', 'One letter longer.', ['length', 'boundary'], { open: { service: 's'.repeat(33) } }),
    of('service-space', 'A space in the name.', ['character-set'], { open: { service: 'echo v1' } }),
    of('service-umlaut', 'A letter outside ASCII.', ['character-set'], { open: { service: '\u00e4' } }),
  ];
}

function others(): Vector[] {
  const notice = (
    id: string,
    note: string,
    flags: readonly Flag[],
    of: Partial<Fields<'rotationNotice'>>,
  ): Vector =>
    frame(`notice/${id}`, note, flags, {
      case: 'rotationNotice',
      value: { kind: RotationKind.HOLD, ...of } as Fields<'rotationNotice'>,
    });
  const close = (
    id: string,
    note: string,
    flags: readonly Flag[],
    code: number,
    resumable: boolean,
  ): Vector => frame(`close/${id}`, note, flags, { case: 'close', value: { code: later(code), resumable } });
  return [
    notice('hold', 'A hold.', ['known-answer'], { rotatesInMs: 300_000 }),
    notice('record', 'A record, and no move.', ['known-answer'], {
      kind: RotationKind.RECORD,
      envelope: Uint8Array.of(10, 1, 1, 18, 1, 2),
    }),
    notice('longest', 'The longest times.', ['boundary'], {
      rotatesInMs: 86_400_000,
      oldEndsInMs: 90_000_000,
    }),
    notice('rotates-too-late', 'A millisecond more.', ['boundary', 'range'], { rotatesInMs: 86_400_001 }),
    notice('ends-too-late', 'The same of the end.', ['boundary', 'range'], { oldEndsInMs: 90_000_001 }),
    notice('unknown-kind', 'A kind of a later version: the notice is ignored.', ['unknown-field'], {
      kind: later(9) as RotationKind,
    }),
    notice('no-kind', 'No kind: ignored as well.', ['unknown-field'], { kind: RotationKind.UNSPECIFIED }),
    close('plain', 'A plain end.', ['known-answer'], 0, false),
    close('shutdown', 'An end that can be resumed from.', ['known-answer'], ErrorCode.SHUTDOWN, true),
    close('unknown-code', 'A code of a later version counts as INTERNAL.', ['unknown-code'], 9999, false),
    close(
      'negative-code',
      'A negative one as well: it takes ten bytes.',
      ['unknown-code', 'big-number'],
      -1,
      false,
    ),
    frame('enrol', 'An Enrol is taken as it is: chapter 8 judges it.', ['known-answer'], {
      case: 'enrol',
      value: { deviceKey: cast.device('ada').publicKey, name: 'Ada' },
    }),
    frame('enrolled', 'So is an Enrolled.', ['known-answer'], {
      case: 'enrolled',
      value: { deviceSecret: zeros(5), envelope: zeros(3), name: '' },
    }),
  ];
}

function encodings(): Vector[] {
  const ping = encodeFrame({ case: 'ping', value: { id: 7n } });
  const ack = encodeFrame({ case: 'ack', value: { receivedThrough: 7n } });
  const of = (
    id: string,
    note: string,
    flags: readonly Flag[],
    bytes: Uint8Array,
    req = 'SE-001~1',
  ): Vector => raw(`encoding/${id}`, note, flags, bytes, { req });
  return [
    of('unknown-body', 'A body of a later version: ignored.', ['unknown-field'], lengthField(99, zeros(4))),
    of(
      'no-body',
      'No body that stands in an empty field: ignored.',
      ['unknown-field'],
      lengthField(13, EMPTY),
    ),
    of(
      'unknown-field',
      'A field of a later version beside the body.',
      ['unknown-field'],
      concat(ping, varintField(99, 1)),
    ),
    of(
      'unknown-field-inside',
      'One inside the body.',
      ['unknown-field'],
      lengthField(7, concat(varintField(1, 7), varintField(9, 1))),
    ),
    of('two-bodies', 'Two bodies: the last one counts.', ['duplicate-field'], concat(ping, ack), 'SE-003~1'),
    of(
      'body-merged',
      'The same body twice: as protobuf says, the fields of both.',
      ['duplicate-field'],
      concat(lengthField(6, varintField(1, 5)), lengthField(6, varintField(2, 9))),
      'SE-003~1',
    ),
    of(
      'number-twice',
      'A number twice: the last one counts.',
      ['duplicate-field'],
      lengthField(7, concat(varintField(1, 5), varintField(1, 7))),
      'SE-003~1',
    ),
    of(
      'default-written',
      'A number that is 0, written all the same.',
      ['unknown-field'],
      lengthField(7, varintField(1, 0)),
      'SE-003~1',
    ),
    of(
      'long-varint',
      'A number in more bytes than it needs: only lengths in a row must be shortest.',
      ['length'],
      lengthField(7, concat(varint(8), unhex('878000'))),
      'SE-003~1',
    ),
    of('cut', 'The last byte is missing.', ['truncation'], ping.slice(0, -1), 'SE-003~1'),
    of('cut-tag', 'Nothing behind the tag.', ['truncation'], unhex('3a'), 'SE-003~1'),
    of(
      'number-endless',
      'A number that does not end.',
      ['truncation', 'length'],
      lengthField(7, concat(unhex('08'), unhex('ff'.repeat(10)), unhex('01'))),
      'SE-003~1',
    ),
    of('tag-0', 'A field with the number 0.', ['range'], unhex('0000'), 'SE-003~1'),
    of(
      'not-utf-8',
      'A name that is no UTF-8.',
      ['utf-8'],
      lengthField(1, concat(varintField(1, 1), lengthField(3, unhex('ff')))),
      'SE-003~1',
    ),
    of(
      'group-end',
      'A wire type that ends a group that never began.',
      ['wire-type'],
      unhex('6c'),
      'SE-003~1',
    ),
    of(
      'number-for-bytes',
      'A session id with the wire type of a number: whether it is unknown or an error, the sixteen bytes behind it are no id.',
      ['wire-type'],
      lengthField(
        2,
        concat(varintField(1, 16), lengthField(15, zeros(14)), varintField(2, 1), varintField(4, 1)),
      ),
      'SE-003~1',
    ),
    of(
      'four-bytes-for-number',
      'A sequence number with the wire type of four bytes, which would make a good frame if they were read as numbers.',
      ['wire-type'],
      lengthField(4, concat(unhex('0d0110011a'), lengthField(15, zeros(121)))),
      'SE-003~1',
    ),
    of(
      'beyond-its-message',
      'The name of a service that reaches beyond the end of the message it stands in.',
      ['length', 'truncation'],
      lengthField(4, concat(varintField(1, 1), varintField(2, 1), unhex('2a020a07'), utf8('echo.v1'))),
      'SE-003~1',
    ),
  ];
}

/** Make them. */
export function frames(): Vector[] {
  return [...hellos(), ...sessions(), ...datas(), ...others(), ...encodings()];
}
