/** A record's plaintext: a row of frames, each behind its length, then zero padding (spec/05-session.md). */
import { ErrorCode } from '../gen/clawchat/v1/error_pb.ts';
import {
  FRAME_BYTES_MAX,
  WIRE_LARGE_STEP_BYTES,
  WIRE_RECORD_BYTES_MAX,
  WIRE_RECORD_PLAINTEXT_BYTES_MAX,
  WIRE_SMALL_BYTES_MAX,
  WIRE_STEP_BYTES,
} from '../gen/constants.ts';
import { type Fault, fault } from './fault.ts';
import { decodeFrame, encodeFrame, type Frame } from './frame.ts';
import { encodeHot, type HotFrame, hotInnerBytes } from './hot.ts';
import { type Cursor, readVarint, varintBytes, writeVarint } from './varint.ts';

const TAG_BYTES: number = WIRE_RECORD_BYTES_MAX - WIRE_RECORD_PLAINTEXT_BYTES_MAX;

/** Round a plaintext's length up to that of its wire class, without the tag. @impl RC-012~1 */
export function paddedBytes(plaintextBytes: number): number {
  const wire = plaintextBytes + TAG_BYTES;
  const step = wire <= WIRE_SMALL_BYTES_MAX ? WIRE_STEP_BYTES : WIRE_LARGE_STEP_BYTES;
  return Math.min(Math.ceil(wire / step) * step, WIRE_RECORD_BYTES_MAX) - TAG_BYTES;
}

/**
 * Reads the frames of one record's plaintext, one by one. Payloads are views of `plaintext`, which from here on
 * belongs to whoever holds a frame.
 * Faults: FRAME_MALFORMED; after one there is nothing more to read. A row that is malformed itself gives no frame, a
 * malformed frame leaves what stands before it. Source: RC-010, RC-011, RC-013, SE-005.
 */
export class RowReader {
  private readonly plaintext: Uint8Array;
  private readonly cursor: Cursor = { at: 0 };
  private wrong: Fault | undefined;
  // Where the last frame ends; 0 when there is nothing more to read.
  private end = 0;

  constructor(plaintext: Uint8Array) {
    this.plaintext = plaintext;
    const end = rowEnd(plaintext);
    if (typeof end === 'number') this.end = end;
    else this.wrong = end;
  }

  /** Read the next frame; undefined at the end of the row. */
  next(): Frame | Fault | undefined {
    const { plaintext, cursor, wrong } = this;
    this.wrong = undefined;
    if (wrong !== undefined) return wrong;
    if (cursor.at >= this.end) return undefined;
    const length = readVarint(plaintext, this.end, cursor);
    const from = cursor.at;
    cursor.at += length;
    const frame = decodeFrame(plaintext, from, cursor.at);
    if (frame.kind === 'fault') this.end = 0;
    return frame;
  }
}

/** Find where the last frame of a row ends, and prove that every length up to there can be read. */
function rowEnd(plaintext: Uint8Array): number | Fault {
  // @impl RC-013~1
  if (paddedBytes(plaintext.length) !== plaintext.length) {
    return malformed('a record has the length of no wire class');
  }
  const cursor: Cursor = { at: 0 };
  while (cursor.at < plaintext.length) {
    const start = cursor.at;
    const length = readVarint(plaintext, plaintext.length, cursor);
    // @impl RC-010~1
    if (length < 0 || cursor.at - start !== varintBytes(length)) return malformed('a length is malformed');
    if (length === 0) return isPadding(plaintext, start) ? start : malformed('padding is not zero');
    if (length > FRAME_BYTES_MAX) return malformed('a frame is too long');
    if (length > plaintext.length - cursor.at) return malformed('a frame is cut off');
    cursor.at += length;
  }
  return cursor.at;
}

/** Whether all is zero from the end mark on. @impl RC-011~1 */
function isPadding(plaintext: Uint8Array, start: number): boolean {
  for (let at = start; at < plaintext.length; at += 1) if (plaintext[at] !== 0) return false;
  return true;
}

function malformed(detail: string): Fault {
  return fault('peer', ErrorCode.FRAME_MALFORMED, detail);
}

/** Fills one record after the other with as many frames as fit, in a buffer that it owns. */
export class RowWriter {
  private readonly buffer: Uint8Array = new Uint8Array(WIRE_RECORD_PLAINTEXT_BYTES_MAX);
  private at = 0;
  // How far the buffer is not zero: padding clears only what an earlier, longer record left behind.
  private dirty = 0;

  /** Whether no frame was written since the last record. */
  get empty(): boolean {
    return this.at === 0;
  }

  /** The bytes that are left for a frame with its length. */
  get room(): number {
    return this.buffer.length - this.at;
  }

  /** Write a frame of the data path; false, and nothing written, if it does not fit. */
  hot(frame: HotFrame): boolean {
    const inner = hotInnerBytes(frame);
    const bytes = 1 + varintBytes(inner) + inner;
    if (varintBytes(bytes) + bytes > this.room) return false;
    this.at = encodeHot(this.buffer, writeVarint(this.buffer, this.at, bytes), frame, inner);
    return true;
  }

  /** Write any frame; false, and nothing written, if it does not fit. */
  frame(frame: Frame): boolean {
    switch (frame.kind) {
      case 'data':
      case 'ack':
      case 'credit':
      case 'ping':
      case 'pong':
        return this.hot(frame);
      case 'unknown':
        return true;
      case 'hello':
      case 'attach':
      case 'attached':
      case 'rotationNotice':
      case 'close':
      case 'enrol':
      case 'enrolled': {
        const encoded = encodeFrame(frame);
        if (varintBytes(encoded.length) + encoded.length > this.room) return false;
        const from = writeVarint(this.buffer, this.at, encoded.length);
        this.buffer.set(encoded, from);
        this.at = from + encoded.length;
        return true;
      }
    }
  }

  /** End the record: its plaintext, padded to a wire class. It is a view that holds until the next write. */
  finish(): Uint8Array {
    const length = paddedBytes(this.at);
    if (this.dirty > this.at) this.buffer.fill(0, this.at, Math.min(this.dirty, length));
    if (this.dirty <= length) this.dirty = this.at;
    this.at = 0;
    return this.buffer.subarray(0, length);
  }
}
