/** Frames: what a record carries, and how one is read from its bytes and written to them (spec/05-session.md). */
import { create, toBinary } from '@bufbuild/protobuf';
import type { Enrol, Enrolled } from '../gen/clawchat/v1/enrolment_pb.ts';
import { ErrorCode } from '../gen/clawchat/v1/error_pb.ts';
import { type Frame as FrameMessage, FrameSchema } from '../gen/clawchat/v1/frame_pb.ts';
import type { Hello } from '../gen/clawchat/v1/handshake_pb.ts';
import type { RotationNotice } from '../gen/clawchat/v1/rotation_pb.ts';
import { FRAME_BYTES_MAX, PAYLOAD_BYTES_MAX, SERVICE_BYTES_MAX } from '../gen/constants.ts';
import { utf8Length } from './bytes.ts';
import { type Fault, fault, isFault } from './fault.ts';
import { decodeHot } from './hot.ts';
import { tryParse } from './parse.ts';

/** Content of a stream. `open` names the service in a stream's first frame, `end` the reason in its last. */
export interface DataFrame {
  readonly kind: 'data';
  readonly sequence: number;
  readonly stream: number;
  readonly payload: Uint8Array;
  readonly more: boolean;
  readonly open: string | undefined;
  readonly end: ErrorCode | undefined;
}

/** Data frames up to this sequence number were taken, in order. */
export interface AckFrame {
  readonly kind: 'ack';
  readonly receivedThrough: number;
}

/** How far a stream may be written: bytes from its beginning, as flow control counts them. */
export interface CreditFrame {
  readonly kind: 'credit';
  readonly stream: number;
  readonly limit: number;
}

/** Asks whether the other side is there, or answers with the id of the question. */
export interface PingFrame {
  readonly kind: 'ping' | 'pong';
  readonly id: number;
}

/** Puts a session on this path, or opens it. `sessionId`: 16 bytes. */
export interface AttachFrame {
  readonly kind: 'attach';
  readonly sessionId: Uint8Array;
  readonly generation: number;
  readonly receivedThrough: number;
  readonly open: boolean;
}

/** The session is on this path, by the Attach of this generation. */
export interface AttachedFrame {
  readonly kind: 'attached';
  readonly generation: number;
  readonly receivedThrough: number;
}

/** Ends the path, and the session too unless it is resumable. */
export interface CloseFrame {
  readonly kind: 'close';
  readonly code: ErrorCode;
  readonly resumable: boolean;
}

/** One frame. `unknown` is a frame without a body that this version knows: it is ignored. */
export type Frame =
  | DataFrame
  | AckFrame
  | CreditFrame
  | PingFrame
  | AttachFrame
  | AttachedFrame
  | CloseFrame
  | { readonly kind: 'hello'; readonly hello: Hello }
  | { readonly kind: 'rotationNotice'; readonly notice: RotationNotice }
  | { readonly kind: 'enrol'; readonly enrol: Enrol }
  | { readonly kind: 'enrolled'; readonly enrolled: Enrolled }
  | { readonly kind: 'unknown' };

const SESSION_ID_BYTES = 16;
const STREAM_MAX = 2 ** 31 - 1;
const FEATURES_MAX = 32;
const FEATURE = /^[\x21-\x7e]{1,32}$/;
const SOFTWARE_BYTES_MAX = 64;
const ROTATES_IN_MS_MAX = 86_400_000;
const OLD_ENDS_IN_MS_MAX = 90_000_000;
const KNOWN_CODES: ReadonlySet<number> = new Set(Object.values(ErrorCode));

/**
 * Read the frame from `start` to `end`. The payload of a Data frame is a view of `bytes`.
 * Faults: FRAME_MALFORMED. Source: SE-002, SE-003.
 */
export function decodeFrame(bytes: Uint8Array, start = 0, end: number = bytes.length): Frame | Fault {
  // @impl SE-002~1
  if (end - start > FRAME_BYTES_MAX) return malformed('a frame is too long');
  return decodeHot(bytes, start, end) ?? decodeFull(bytes.subarray(start, end));
}

/** Read one frame with the general decoder: the meaning of `decodeFrame`, without its shortcut. */
export function decodeFull(bytes: Uint8Array): Frame | Fault {
  const message = tryParse(FrameSchema, bytes);
  if (message === undefined) return malformed('a frame does not parse');
  const frame = fromMessage(message);
  return isFault(frame) ? frame : checkFrame(frame);
}

/** Write one frame. Integers are below 2^53; lengths are the caller's duty. */
export function encodeFrame(frame: Frame): Uint8Array {
  return toBinary(FrameSchema, toMessage(frame));
}

/** Count a code that this version does not know as INTERNAL. @impl ER-002~1 */
export function knownCode(code: number): ErrorCode {
  return KNOWN_CODES.has(code) ? (code as ErrorCode) : ErrorCode.INTERNAL;
}

/** Whether a name of a service can stand in a StreamOpen. */
export function isService(name: string): boolean {
  return name.length <= SERVICE_BYTES_MAX && /^[\x21-\x7e]+$/.test(name);
}

/** Check the ranges that the schema states for a frame's fields. @impl SE-003~1 */
function checkFrame(frame: Frame): Frame | Fault {
  switch (frame.kind) {
    case 'data':
      if (frame.sequence < 1) return malformed('a sequence number is missing');
      if (!isStream(frame.stream)) return malformed('a stream number is out of range');
      if (frame.payload.length > PAYLOAD_BYTES_MAX) return malformed('a payload is too long');
      if (frame.open !== undefined && !isService(frame.open)) return malformed('a service has no such name');
      if (frame.end !== undefined && frame.more) return malformed('a stream ends inside a message');
      return frame;
    case 'credit':
      return isStream(frame.stream) ? frame : malformed('a stream number is out of range');
    case 'attach':
      if (frame.sessionId.length !== SESSION_ID_BYTES) return malformed('a session id is not 16 bytes');
      return frame.generation < 1 ? malformed('a generation is missing') : frame;
    case 'attached':
      return frame.generation < 1 ? malformed('a generation is missing') : frame;
    case 'hello':
      return checkHello(frame.hello) ? frame : malformed('a Hello is out of range');
    case 'rotationNotice':
      return frame.notice.rotatesInMs > ROTATES_IN_MS_MAX || frame.notice.oldEndsInMs > OLD_ENDS_IN_MS_MAX
        ? malformed('a notice is out of range')
        : frame;
    case 'ack':
    case 'ping':
    case 'pong':
    case 'close':
    case 'enrol':
    case 'enrolled':
    case 'unknown':
      return frame;
  }
}

function checkHello({ protocolVersion, features, software }: Hello): boolean {
  if (protocolVersion < 1 || features.length > FEATURES_MAX) return false;
  return features.every(feature => FEATURE.test(feature)) && utf8Length(software) <= SOFTWARE_BYTES_MAX;
}

function isStream(stream: number): boolean {
  return stream >= 1 && stream <= STREAM_MAX;
}

function malformed(detail: string): Fault {
  return fault('peer', ErrorCode.FRAME_MALFORMED, detail);
}

/** The body as this program holds it; an integer of 2^53 or more is malformed. */
function fromMessage({ body }: FrameMessage): Frame | Fault {
  switch (body.case) {
    // @impl SE-001~1
    case undefined:
      return { kind: 'unknown' };
    case 'data': {
      const { sequence, stream, payload, more, open, end } = body.value;
      return tooLarge(sequence)
        ? malformed('a sequence number is 2^53 or more')
        : {
            kind: 'data',
            sequence: Number(sequence),
            stream,
            payload,
            more,
            open: open?.service,
            end: end === undefined ? undefined : knownCode(end.code),
          };
    }
    case 'ack': {
      const { receivedThrough } = body.value;
      if (tooLarge(receivedThrough)) return malformed('an ack is 2^53 or more');
      return { kind: 'ack', receivedThrough: Number(receivedThrough) };
    }
    case 'credit': {
      const { stream, limit } = body.value;
      return tooLarge(limit)
        ? malformed('a credit is 2^53 or more')
        : { kind: 'credit', stream, limit: Number(limit) };
    }
    case 'ping':
    case 'pong':
      return tooLarge(body.value.id)
        ? malformed('an id is 2^53 or more')
        : { kind: body.case, id: Number(body.value.id) };
    case 'attach': {
      const { sessionId, generation, receivedThrough, open } = body.value;
      if (tooLarge(generation) || tooLarge(receivedThrough))
        return malformed('an attach has a number of 2^53 or more');
      const numbers = { generation: Number(generation), receivedThrough: Number(receivedThrough) };
      return { kind: 'attach', sessionId, ...numbers, open };
    }
    case 'attached': {
      const { generation, receivedThrough } = body.value;
      if (tooLarge(generation) || tooLarge(receivedThrough))
        return malformed('an attached has a number of 2^53 or more');
      return { kind: 'attached', generation: Number(generation), receivedThrough: Number(receivedThrough) };
    }
    case 'close':
      return { kind: 'close', code: knownCode(body.value.code), resumable: body.value.resumable };
    case 'hello':
      return { kind: 'hello', hello: body.value };
    case 'rotationNotice':
      return { kind: 'rotationNotice', notice: body.value };
    case 'enrol':
      return { kind: 'enrol', enrol: body.value };
    case 'enrolled':
      return { kind: 'enrolled', enrolled: body.value };
  }
}

function tooLarge(value: bigint): boolean {
  return value > Number.MAX_SAFE_INTEGER;
}

function toMessage(frame: Frame): FrameMessage {
  switch (frame.kind) {
    case 'unknown':
      return create(FrameSchema);
    case 'data': {
      const { stream, payload, more, open, end } = frame;
      const value = {
        sequence: BigInt(frame.sequence),
        stream,
        payload,
        more,
        ...(open === undefined ? {} : { open: { service: open } }),
        ...(end === undefined ? {} : { end: { code: end } }),
      };
      return create(FrameSchema, { body: { case: 'data', value } });
    }
    case 'ack':
      return create(FrameSchema, {
        body: { case: 'ack', value: { receivedThrough: BigInt(frame.receivedThrough) } },
      });
    case 'credit':
      return create(FrameSchema, {
        body: { case: 'credit', value: { stream: frame.stream, limit: BigInt(frame.limit) } },
      });
    case 'ping':
    case 'pong':
      return create(FrameSchema, { body: { case: frame.kind, value: { id: BigInt(frame.id) } } });
    case 'attach': {
      const { sessionId, open } = frame;
      const numbers = {
        generation: BigInt(frame.generation),
        receivedThrough: BigInt(frame.receivedThrough),
      };
      return create(FrameSchema, { body: { case: 'attach', value: { sessionId, ...numbers, open } } });
    }
    case 'attached': {
      const numbers = {
        generation: BigInt(frame.generation),
        receivedThrough: BigInt(frame.receivedThrough),
      };
      return create(FrameSchema, { body: { case: 'attached', value: numbers } });
    }
    case 'close':
      return create(FrameSchema, {
        body: { case: 'close', value: { code: frame.code, resumable: frame.resumable } },
      });
    case 'hello':
      return create(FrameSchema, { body: { case: 'hello', value: frame.hello } });
    case 'rotationNotice':
      return create(FrameSchema, { body: { case: 'rotationNotice', value: frame.notice } });
    case 'enrol':
      return create(FrameSchema, { body: { case: 'enrol', value: frame.enrol } });
    case 'enrolled':
      return create(FrameSchema, { body: { case: 'enrolled', value: frame.enrolled } });
  }
}
