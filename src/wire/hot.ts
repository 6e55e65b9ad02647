/** The frames of the data path, read and written by hand; byte for byte what protobuf-es does (spec/05-session.md). */
import type { ErrorCode } from '../gen/clawchat/v1/error_pb.ts';
import { PAYLOAD_BYTES_MAX, SERVICE_BYTES_MAX } from '../gen/constants.ts';
import type { AckFrame, CreditFrame, DataFrame, PingFrame } from './frame.ts';
import { type Cursor, readVarint, varintBytes, writeVarint } from './varint.ts';

/** The frames that this file knows. */
export type HotFrame = DataFrame | AckFrame | CreditFrame | PingFrame;

// First byte of a frame: field number of the body << 3 | 2.
const DATA = 0x22;
const ACK = 0x2a;
const CREDIT = 0x32;
const PING = 0x3a;
const PONG = 0x42;

// Codes below this are read here if they are 0; others by the general decoder, which knows the list.
const NO_ERROR: ErrorCode = 0;
const STREAM_MAX = 2 ** 31 - 1;
const EMPTY: Uint8Array = new Uint8Array(0);

/**
 * Read the frame from `start` to `end` if it is of the usual shape: one body, known fields, each at most once where
 * that matters, all in range.
 * Undefined means "not of that shape" and nothing else: `decodeFull` decides about the rest.
 */
export function decodeHot(bytes: Uint8Array, start = 0, end: number = bytes.length): HotFrame | undefined {
  const cursor = { at: start + 1 };
  const kind = start < end ? bytes[start] : undefined;
  if (kind === undefined || kind < DATA || kind > PONG) return undefined;
  if (readVarint(bytes, end, cursor) !== end - cursor.at) return undefined;
  switch (kind) {
    case DATA:
      return decodeData(bytes, end, cursor);
    case ACK: {
      const receivedThrough = decodeNumber(bytes, end, cursor);
      return receivedThrough < 0 ? undefined : { kind: 'ack', receivedThrough };
    }
    case PING:
    case PONG: {
      const id = decodeNumber(bytes, end, cursor);
      return id < 0 ? undefined : { kind: kind === PING ? 'ping' : 'pong', id };
    }
    case CREDIT:
      return decodeCredit(bytes, end, cursor);
    default:
      return undefined;
  }
}

/** A message whose only field is number 1, an integer. */
function decodeNumber(bytes: Uint8Array, end: number, cursor: Cursor): number {
  let value = 0;
  while (cursor.at < end) {
    if (bytes[cursor.at++] !== 0x08) return -1;
    value = readVarint(bytes, end, cursor);
    if (value < 0) return -1;
  }
  return value;
}

function decodeCredit(bytes: Uint8Array, end: number, cursor: Cursor): CreditFrame | undefined {
  let stream = 0;
  let limit = 0;
  while (cursor.at < end) {
    const tag = bytes[cursor.at++];
    const value = readVarint(bytes, end, cursor);
    if (value < 0) return undefined;
    if (tag === 0x08) stream = value;
    else if (tag === 0x10) limit = value;
    else return undefined;
  }
  return stream < 1 || stream > STREAM_MAX ? undefined : { kind: 'credit', stream, limit };
}

function decodeData(bytes: Uint8Array, end: number, cursor: Cursor): DataFrame | undefined {
  let sequence = 0;
  let stream = 0;
  let payload = EMPTY;
  let more = 0;
  let open: string | undefined;
  let ended: ErrorCode | undefined;
  while (cursor.at < end) {
    const tag = bytes[cursor.at++];
    const value = readVarint(bytes, end, cursor);
    if (value < 0) return undefined;
    const start = cursor.at;
    switch (tag) {
      case 0x08:
        sequence = value;
        break;
      case 0x10:
        stream = value;
        break;
      case 0x1a:
        if (value > end - start) return undefined;
        cursor.at = start + value;
        payload = bytes.subarray(start, cursor.at);
        break;
      case 0x20:
        more = value;
        break;
      case 0x2a:
        if (open !== undefined || value > end - start) return undefined;
        cursor.at = start + value;
        open = decodeService(bytes, start, cursor.at);
        if (open === undefined) return undefined;
        break;
      case 0x32:
        if (value !== 0 || ended !== undefined) return undefined;
        ended = NO_ERROR;
        break;
      default:
        return undefined;
    }
  }
  const inRange = sequence >= 1 && stream >= 1 && stream <= STREAM_MAX && payload.length <= PAYLOAD_BYTES_MAX;
  if (!inRange || more > 1 || (more === 1 && ended !== undefined)) return undefined;
  return { kind: 'data', sequence, stream, payload, more: more === 1, open, end: ended };
}

/** The service of a StreamOpen of the usual shape. */
function decodeService(bytes: Uint8Array, start: number, end: number): string | undefined {
  const length = end - start - 2;
  if (length < 1 || length > SERVICE_BYTES_MAX) return undefined;
  if (bytes[start] !== 0x0a || bytes[start + 1] !== length) return undefined;
  let service = '';
  for (let at = start + 2; at < end; at += 1) {
    const byte = bytes[at] ?? 0;
    if (byte < 0x21 || byte > 0x7e) return undefined;
    service += String.fromCharCode(byte);
  }
  return service;
}

/** Count the bytes of a Data frame without those of its payload. */
export function dataOverhead(frame: DataFrame): number {
  const inner = dataInnerBytes(frame);
  return 1 + varintBytes(inner) + inner - frame.payload.length;
}

function dataInnerBytes({ sequence, stream, payload, more, open, end }: DataFrame): number {
  const content = payload.length === 0 ? 0 : 1 + varintBytes(payload.length) + payload.length;
  const opening = open === undefined ? 0 : 4 + open.length;
  const ending = end === undefined ? 0 : 2 + endInnerBytes(end);
  return 1 + varintBytes(sequence) + 1 + varintBytes(stream) + content + (more ? 2 : 0) + opening + ending;
}

function endInnerBytes(code: ErrorCode): number {
  return code === NO_ERROR ? 0 : 1 + varintBytes(code);
}

/** Count the bytes of a frame. */
export function hotBytes(frame: HotFrame): number {
  const inner = hotInnerBytes(frame);
  return 1 + varintBytes(inner) + inner;
}

/** Count the bytes of a frame's body. */
export function hotInnerBytes(frame: HotFrame): number {
  switch (frame.kind) {
    case 'data':
      return dataInnerBytes(frame);
    case 'ack':
      return numberBytes(frame.receivedThrough);
    case 'credit':
      return numberBytes(frame.stream) + numberBytes(frame.limit);
    case 'ping':
    case 'pong':
      return numberBytes(frame.id);
  }
}

/** A field that holds 0 is not written. */
function numberBytes(value: number): number {
  return value === 0 ? 0 : 1 + varintBytes(value);
}

/** Write a frame of which `inner` says the length (`hotInnerBytes`), and return the offset behind it. */
export function encodeHot(
  out: Uint8Array,
  offset: number,
  frame: HotFrame,
  inner: number = hotInnerBytes(frame),
): number {
  switch (frame.kind) {
    case 'data':
      return writeData(out, header(out, offset, DATA, inner), frame);
    case 'ack':
      return writeNumber(out, header(out, offset, ACK, inner), 0x08, frame.receivedThrough);
    case 'credit': {
      const at = writeNumber(out, header(out, offset, CREDIT, inner), 0x08, frame.stream);
      return writeNumber(out, at, 0x10, frame.limit);
    }
    case 'ping':
    case 'pong':
      return writeNumber(
        out,
        header(out, offset, frame.kind === 'ping' ? PING : PONG, inner),
        0x08,
        frame.id,
      );
  }
}

function header(out: Uint8Array, offset: number, kind: number, inner: number): number {
  out[offset] = kind;
  return writeVarint(out, offset + 1, inner);
}

function writeNumber(out: Uint8Array, offset: number, tag: number, value: number): number {
  if (value === 0) return offset;
  out[offset] = tag;
  return writeVarint(out, offset + 1, value);
}

function writeData(out: Uint8Array, offset: number, frame: DataFrame): number {
  const { payload, open, end } = frame;
  let at = writeNumber(out, offset, 0x08, frame.sequence);
  at = writeNumber(out, at, 0x10, frame.stream);
  if (payload.length > 0) {
    at = writeNumber(out, at, 0x1a, payload.length);
    out.set(payload, at);
    at += payload.length;
  }
  if (frame.more) at = writeNumber(out, at, 0x20, 1);
  if (open !== undefined) {
    at = writeNumber(out, at, 0x2a, 2 + open.length);
    at = writeNumber(out, at, 0x0a, open.length);
    for (let i = 0; i < open.length; i += 1) out[at++] = open.charCodeAt(i);
  }
  if (end !== undefined) {
    out[at] = 0x32;
    at = writeVarint(out, at + 1, endInnerBytes(end));
    at = writeNumber(out, at, 0x08, end);
  }
  return at;
}
