/** Frames and the row of frames in a record (spec/05-session.md, 5.1 and 5.2). */
import { create, type MessageInitShape, toBinary } from '@bufbuild/protobuf';
import { ErrorCode } from '../../src/gen/clawchat/v1/error_pb.ts';
import { type Frame, FrameSchema } from '../../src/gen/clawchat/v1/frame_pb.ts';
import { RotationKind } from '../../src/gen/clawchat/v1/rotation_pb.ts';
import * as constants from '../../src/gen/constants.ts';
import { concat, equal, hex, utf8, zeros } from './bytes.ts';
import { decode, readVarint, varint } from './protobuf.ts';
import { demand } from './refusal.ts';
import type { JsonObject } from './vector.ts';

export type Body = Frame['body'];
export type BodyInit = NonNullable<MessageInitShape<typeof FrameSchema>['body']>;

const TAG_BYTES = 16;

/** Every length that a record can have, tag included (RC-012~1). */
const RECORD_LENGTHS: readonly number[] = [
  ...range(constants.WIRE_STEP_BYTES, constants.WIRE_SMALL_BYTES_MAX, constants.WIRE_STEP_BYTES),
  ...range(
    constants.WIRE_SMALL_BYTES_MAX + constants.WIRE_LARGE_STEP_BYTES,
    constants.WIRE_RECORD_BYTES_MAX - 1,
    constants.WIRE_LARGE_STEP_BYTES,
  ),
  constants.WIRE_RECORD_BYTES_MAX,
];

function range(from: number, to: number, step: number): number[] {
  return Array.from({ length: Math.floor((to - from) / step) + 1 }, (_, i) => from + i * step);
}

/** Encode a frame. */
export function encodeFrame(body: BodyInit): Uint8Array {
  return toBinary(FrameSchema, create(FrameSchema, { body }));
}

/** A Close for a reason. */
export function closeBody(code: keyof typeof ErrorCode, resumable = false): BodyInit {
  return { case: 'close', value: { code: ErrorCode[code], resumable } };
}

/** Put frames in a row, without end mark and padding. */
export function row(frames: readonly Uint8Array[]): Uint8Array {
  return concat(...frames.flatMap(frame => [varint(frame.length), frame]));
}

/** Fill a row with zeros to the plaintext of a record. */
export function pad(frames: Uint8Array): Uint8Array {
  const length = RECORD_LENGTHS.find(one => one - TAG_BYTES >= frames.length);
  if (length === undefined) throw new Error('a row too long for a record');
  return concat(frames, zeros(length - TAG_BYTES - frames.length));
}

/** Take the plaintext of a record apart; it is refused as a whole. */
export function readRow(plain: Uint8Array): readonly Uint8Array[] {
  const malformed = (holds: boolean, why: string): void => demand(holds, 'FRAME_MALFORMED', why);
  malformed(RECORD_LENGTHS.includes(plain.length + TAG_BYTES), 'a length that no record has');
  const frames: Uint8Array[] = [];
  for (let at = 0; at < plain.length; ) {
    const length = readVarint(plain, at);
    demand(length !== undefined, 'FRAME_MALFORMED', 'a length is cut off');
    malformed(
      equal(plain.slice(at, length.end), varint(length.value)),
      'a length is not in its shortest form',
    );
    if (length.value === 0n) {
      malformed(
        plain.slice(length.end).every(byte => byte === 0),
        'a byte behind the end is not zero',
      );
      return frames;
    }
    malformed(length.value <= BigInt(constants.FRAME_BYTES_MAX), 'a frame too long');
    const end = length.end + Number(length.value);
    malformed(end <= plain.length, 'a frame beyond the end');
    frames.push(plain.slice(length.end, end));
    at = end;
  }
  return frames;
}

const printable = (text: string, min: number, max: number): boolean =>
  text.length >= min && text.length <= max && /^[\x21-\x7e]*$/.test(text);
const within = (value: bigint | number, from: number, to: number = constants.SEQUENCE_MAX): boolean =>
  BigInt(value) >= BigInt(from) && BigInt(value) <= BigInt(to);
const isStream = (stream: number): boolean => within(stream, 1, 2 ** 31 - 1);

/** Judge one frame by the table of 5.2. */
export function readFrame(bytes: Uint8Array): Body {
  const frame = decode(FrameSchema, bytes);
  demand(frame !== undefined, 'FRAME_MALFORMED', 'does not parse');
  const broken = brokenRule(frame.body);
  demand(broken === undefined, 'FRAME_MALFORMED', broken ?? '');
  return frame.body;
}

/** Name the field that is outside the table, or undefined. */
function brokenRule(body: Body): string | undefined {
  const rule = (holds: boolean, name: string): string | undefined => (holds ? undefined : name);
  switch (body.case) {
    case 'hello': {
      const { protocolVersion, features, software } = body.value;
      return (
        rule(protocolVersion >= 1, 'protocol_version') ??
        rule(features.length <= 32 && features.every(one => printable(one, 1, 32)), 'features') ??
        rule(utf8(software).length <= 64, 'software')
      );
    }
    case 'attach':
      return (
        rule(body.value.sessionId.length === 16, 'session_id') ??
        rule(within(body.value.generation, 1), 'generation') ??
        rule(within(body.value.receivedThrough, 0), 'received_through')
      );
    case 'attached':
      return (
        rule(within(body.value.generation, 1), 'generation') ??
        rule(within(body.value.receivedThrough, 0), 'received_through')
      );
    case 'data': {
      const { sequence, stream, payload, more, open, end } = body.value;
      return (
        rule(within(sequence, 1), 'sequence') ??
        rule(isStream(stream), 'stream') ??
        rule(payload.length <= constants.PAYLOAD_BYTES_MAX, 'payload') ??
        rule(open === undefined || printable(open.service, 1, constants.SERVICE_BYTES_MAX), 'service') ??
        rule(!(more && end !== undefined), 'more and end')
      );
    }
    case 'ack':
      return rule(within(body.value.receivedThrough, 0), 'received_through');
    case 'ping':
    case 'pong':
      return rule(within(body.value.id, 0), 'id');
    case 'credit':
      return rule(isStream(body.value.stream), 'stream') ?? rule(within(body.value.limit, 0), 'limit');
    case 'rotationNotice':
      return (
        rule(body.value.rotatesInMs <= 86_400_000, 'rotates_in_ms') ??
        rule(body.value.oldEndsInMs <= 90_000_000, 'old_ends_in_ms')
      );
    default:
      return undefined;
  }
}

const CODES = new Map<number, string>(Object.entries(ErrorCode).map(([name, code]) => [code, name]));
const KINDS = new Map<number, string>(
  Object.entries(RotationKind).flatMap(([name, kind]) => (kind === 0 ? [] : [[kind, name]])),
);

/** The name of a code; one that nobody knows counts as INTERNAL (ER-002~1). */
export const codeName = (code: number): string => CODES.get(code) ?? 'INTERNAL';

/** A frame as a vector shows it; what is ignored shows nothing. */
export function shownFrame(body: Body): JsonObject {
  switch (body.case) {
    case undefined:
      return {};
    case 'hello': {
      const { protocolVersion, features, software } = body.value;
      return { hello: { protocol_version: protocolVersion, features, software } };
    }
    case 'attach': {
      const { sessionId, generation, receivedThrough, open } = body.value;
      return {
        attach: {
          session_id: hex(sessionId),
          generation: Number(generation),
          received_through: Number(receivedThrough),
          open,
        },
      };
    }
    case 'attached': {
      const { generation, receivedThrough } = body.value;
      return { attached: { generation: Number(generation), received_through: Number(receivedThrough) } };
    }
    case 'data': {
      const { sequence, stream, payload, more, open, end } = body.value;
      return {
        data: {
          sequence: Number(sequence),
          stream,
          payload_bytes: payload.length,
          ...(payload.length <= 64 ? { payload: hex(payload) } : {}),
          more,
          ...(open === undefined ? {} : { open: { service: open.service } }),
          ...(end === undefined ? {} : { end: { code: codeName(end.code) } }),
        },
      };
    }
    case 'ack':
      return { ack: { received_through: Number(body.value.receivedThrough) } };
    case 'credit':
      return { credit: { stream: body.value.stream, limit: Number(body.value.limit) } };
    case 'ping':
      return { ping: { id: Number(body.value.id) } };
    case 'pong':
      return { pong: { id: Number(body.value.id) } };
    case 'rotationNotice': {
      const { kind, rotatesInMs, oldEndsInMs, envelope } = body.value;
      const name = KINDS.get(kind);
      if (name === undefined) return {};
      const times = { rotates_in_ms: rotatesInMs, old_ends_in_ms: oldEndsInMs };
      return { rotation_notice: { kind: name, ...times, envelope: hex(envelope) } };
    }
    case 'close':
      return { close: { code: codeName(body.value.code), resumable: body.value.resumable } };
    case 'enrol':
      return { enrol: { device_key: hex(body.value.deviceKey), name: body.value.name } };
    case 'enrolled': {
      const { deviceSecret, envelope, name } = body.value;
      return { enrolled: { device_secret: hex(deviceSecret), envelope: hex(envelope), name } };
    }
  }
}
