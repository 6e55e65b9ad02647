/** The two directions of one stream, as one side of the session holds them (spec/05-session.md, 5.5). */
import type { ErrorCode } from '../gen/clawchat/v1/error_pb.ts';
import { DATA_COST_BYTES, PAYLOAD_BYTES_MAX, STREAM_CREDIT_BYTES } from '../gen/constants.ts';
import type { DataFrame } from '../wire/frame.ts';
import { creditCost } from './credit.ts';

/** What an application has written: a message, or a piece of one when `more` is set; and what it wrote next. */
interface Item {
  readonly payload: Uint8Array;
  readonly more: boolean;
  next: Item | undefined;
}

const EMPTY: Uint8Array = new Uint8Array(0);
/** What a Data frame and its length take besides the payload, at most, but for the name of a service. */
const FRAMING_BYTES_MAX = 48;
/** A message is cut to fill up a record only if the piece is at least this long: each piece costs a frame. */
const PIECE_BYTES_MIN = 4096;

/** One stream. The session that owns it changes it. */
export class Stream {
  readonly id: number;

  // Sending. Numbers are bytes as credit counts them, from the start of the stream.
  /** The service to name in the first frame; undefined once that is sealed, and for the other side's streams. */
  opening: string | undefined;
  /** How the application ended its direction, sealed or not. */
  ending: ErrorCode | undefined;
  /** Whether the end is sealed. */
  endSealed = false;
  sent = 0;
  sendLimit: number = STREAM_CREDIT_BYTES;
  /** Payload bytes that are written and not sealed. */
  queued = 0;
  /** Whether the stream stands in the session's row of streams with something to send, and which follows there. */
  ready = false;
  nextReady: Stream | undefined;
  /** Whether the last item written goes on in the next one. */
  writingMessage = false;
  private first: Item | undefined;
  private last: Item | undefined;
  // How much of the first item is sealed.
  private offset = 0;

  // Receiving.
  received = 0;
  /** What was handed over and the application has taken. */
  taken = 0;
  /** The limit that the other side knows. */
  limit: number = STREAM_CREDIT_BYTES;
  /** Whether a Credit frame with `limit` waits to be sent, and the stream that follows in that row. */
  creditDue = false;
  nextCredit: Stream | undefined;
  /** Whether the other side ended its direction. */
  ended = false;
  /** Whether what still comes is dropped: this side aborted the stream. */
  dropping = false;
  /** Whether the last piece goes on in the next one. */
  readingMessage = false;

  constructor(id: number, opening: string | undefined) {
    this.id = id;
    this.opening = opening;
  }

  /** Whether both directions have ended. */
  get closed(): boolean {
    return this.ended && this.endSealed;
  }

  /** Queue a message or a piece of one. */
  push(payload: Uint8Array, more: boolean): void {
    const item: Item = { payload, more, next: undefined };
    if (this.first === undefined || this.last === undefined) this.first = item;
    else this.last.next = item;
    this.last = item;
    this.queued += payload.length;
    this.writingMessage = more;
  }

  /** Forget what is queued; gives its payload bytes. */
  dropQueue(): number {
    const dropped = this.queued;
    this.first = undefined;
    this.last = undefined;
    this.offset = 0;
    this.queued = 0;
    return dropped;
  }

  /** Whether a frame could be sealed, as far as this stream's credit goes. @impl SE-051~1 */
  get sendable(): boolean {
    if (this.endSealed) return false;
    if (this.first !== undefined) return this.sent + DATA_COST_BYTES < this.sendLimit;
    return this.opening !== undefined || this.ending !== undefined;
  }

  /**
   * Make the next frame of a sendable stream, with as much payload as credit allows; it counts only once sealed. A long
   * message is cut where a record ends that has `room` bytes left, so that bulk fills its records.
   */
  nextFrame(sequence: number, room: number): DataFrame {
    const { id: stream, opening: open } = this;
    const item = this.first;
    if (item === undefined) {
      return { kind: 'data', sequence, stream, payload: EMPTY, more: false, open, end: this.ending };
    }
    const rest = item.payload.length - this.offset;
    const fitting = room - FRAMING_BYTES_MAX;
    const wanted = Math.min(rest, this.sendLimit - this.sent - DATA_COST_BYTES, PAYLOAD_BYTES_MAX);
    const isCut = wanted > fitting && fitting >= PIECE_BYTES_MIN && open === undefined;
    const length = isCut ? fitting : wanted;
    const whole = this.offset === 0 && length === rest;
    const payload = whole ? item.payload : item.payload.subarray(this.offset, this.offset + length);
    const more = length < rest || item.more;
    const last = length === rest && item.next === undefined;
    return { kind: 'data', sequence, stream, payload, more, open, end: last ? this.ending : undefined };
  }

  /** Note that what `nextFrame` gave is sealed. */
  commit(frame: DataFrame): void {
    this.sent += creditCost(frame);
    this.opening = undefined;
    if (frame.end !== undefined) this.endSealed = true;
    const item = this.first;
    if (item === undefined) return;
    this.queued -= frame.payload.length;
    this.offset += frame.payload.length;
    if (this.offset < item.payload.length) return;
    this.offset = 0;
    this.first = item.next;
    if (this.first === undefined) this.last = undefined;
  }
}
