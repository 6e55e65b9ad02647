/** One path behind its handshake: records, what is due to be sent, whether the other side is there (spec/05-session.md). */
import { create } from '@bufbuild/protobuf';
import type { Split } from '../crypto/noise.ts';
import { RECORD_ROOM_BYTES, type RecordFault, Records } from '../crypto/record.ts';
import { ErrorCode } from '../gen/clawchat/v1/error_pb.ts';
import { HelloSchema } from '../gen/clawchat/v1/handshake_pb.ts';
import { PATH_DEAD_MS, PING_IDLE_MS, PROBE_MS_MAX, WIRE_RECORDS_HARD_MAX } from '../gen/constants.ts';
import { type Fault, fault } from '../wire/fault.ts';
import type { Frame } from '../wire/frame.ts';
import { RowReader, type RowWriter } from '../wire/row.ts';
import { UsageError } from '../wire/usage-error.ts';
import { PROTOCOL_VERSION } from './keys.ts';
import type { Session } from './session.ts';

/** What a path makes its driver do, in order. */
export type PathOutput =
  /**
   * Send one binary WebSocket message, and say with `written` when it has left. The `room` bytes before it in its
   * buffer are free, for a header.
   */
  | { readonly kind: 'send'; readonly path: number; readonly bytes: Uint8Array; readonly room: number }
  /** Close the connection: by WebSocket close code 1000, or at once when it is to be cut. `detail` is for the log. */
  | {
      readonly kind: 'close';
      readonly path: number;
      readonly code: ErrorCode;
      readonly cut: boolean;
      readonly detail: string;
    };

/**
 * How to end a path. `cut`: without a word, because the other side cannot or should not read one. `quiet`: without a
 * Close frame, because the other side has sent one.
 */
export interface PathEnd {
  readonly code: ErrorCode;
  readonly resumable: boolean;
  readonly cut?: boolean;
  readonly quiet?: boolean;
  readonly detail?: string;
}

/**
 * How much may wait in the driver to be written, so that a chat line finds no long row of file pieces before it. A
 * choice of this program.
 */
const UNWRITTEN_BYTES_MAX = 262_144;

/** A path whose keys are agreed. All times are monotonic milliseconds. */
export class Path {
  readonly id: number;
  /** Whether the other side's Hello has come. */
  greeted = false;
  /** Whether it has ended; what still comes is dropped. */
  closed = false;
  private readonly records: Records;
  private heardAt: number;
  private pinged = false;
  private probeEndsAt = Number.POSITIVE_INFINITY;
  private pings = 0;
  private pong: number | undefined;
  // Undefined when none wait: an idle path keeps no array.
  private control: Frame[] | undefined;
  private unwritten = 0;

  constructor(id: number, split: Pick<Split, 'send' | 'receive'>, software: string, now: number) {
    this.id = id;
    this.records = new Records(split);
    this.heardAt = now;
    // @impl HS-020~1
    const hello = create(HelloSchema, { protocolVersion: PROTOCOL_VERSION, features: [], software });
    this.control = [{ kind: 'hello', hello }];
  }

  /** Whether the path has carried so many records that it is time for another. @impl RC-004~1 */
  get renew(): boolean {
    return this.records.renew;
  }

  /** Open one record. Faults: TRANSPORT_FAILED, TRANSPORT_EXHAUSTED. @impl RC-001~1, RC-002~1, RC-003~1 */
  open(record: Uint8Array, now: number): RowReader | Fault {
    const plaintext = this.records.open(record);
    if (plaintext === undefined) return recordFault(this.records.fault);
    this.heardAt = now;
    this.pinged = false;
    this.probeEndsAt = Number.POSITIVE_INFINITY;
    return new RowReader(plaintext);
  }

  /** Take a frame that every path has; false if it is another one. Faults: those of Hello. @impl SE-007~1 */
  common(frame: Frame): boolean | Fault {
    switch (frame.kind) {
      case 'unknown':
      case 'pong':
        return this.greeted || frame.kind === 'unknown' || unexpected(frame);
      case 'ping':
        // A newer Ping's answer is the answer to all before it. @impl SE-072~2
        this.pong = frame.id;
        return this.greeted || unexpected(frame);
      case 'hello':
        if (this.greeted) return unexpected(frame);
        // The lower of both versions is 1, which is the only one there is. @impl HS-021~1
        this.greeted = true;
        return true;
      default:
        return this.greeted ? false : unexpected(frame);
    }
  }

  /** Send a frame ahead of all data. */
  queue(frame: Frame): void {
    this.control ??= [];
    this.control.push(frame);
  }

  /** Ask at once whether the other side is there. @impl SE-073~1 */
  probe(now: number): void {
    this.ping();
    this.probeEndsAt = Math.min(this.probeEndsAt, now + PROBE_MS_MAX);
  }

  /** Whether there is something to send and the driver has room for it. */
  sendable(session: Session | undefined): boolean {
    if (this.closed || this.blocked) return false;
    return this.control !== undefined || this.pong !== undefined || (session?.hasContent ?? false);
  }

  /** Seal what is ready, as many records as it takes. @impl RC-014~1. Faults: TRANSPORT_EXHAUSTED. */
  flush(
    writer: RowWriter,
    session: Session | undefined,
    now: number,
    out: { push(output: PathOutput): unknown },
  ): Fault | undefined {
    if (this.closed) return undefined;
    for (let full = true; full && !this.blocked; ) {
      // The last record is for the Close. @impl RC-005~1
      if (this.records.sealed >= WIRE_RECORDS_HARD_MAX - 1) return recordFault('records_exhausted');
      full = this.writeControl(writer) || (session?.fill(writer, now) ?? false);
      if (writer.empty) return undefined;
      const wrong = this.seal(writer, out);
      if (wrong !== undefined) return wrong;
    }
    return undefined;
  }

  /** Whether nothing is sealed until the driver has written more. */
  get blocked(): boolean {
    return this.unwritten >= UNWRITTEN_BYTES_MAX;
  }

  /** Note that the driver has written so much; true if the path is not blocked any more. */
  written(bytes: number): boolean {
    const before = this.blocked;
    this.unwritten = Math.max(0, this.unwritten - bytes);
    return before && !this.blocked;
  }

  /** End the path with a Close frame, or without a word. @impl SE-080~1, ER-004~2 */
  close(writer: RowWriter, end: PathEnd, out: { push(output: PathOutput): unknown }): void {
    if (this.closed) return;
    const { code, resumable, cut = false, quiet = false, detail = '' } = end;
    if (!cut && !quiet) {
      // A path that ends before its first record still says Hello first.
      const first = this.control?.[0];
      if (first?.kind === 'hello') writer.frame(first);
      writer.frame({ kind: 'close', code, resumable });
      this.seal(writer, out);
    }
    this.end();
    out.push({ kind: 'close', path: this.id, code, cut, detail });
  }

  /** Forget everything: the connection is gone. */
  end(): void {
    this.closed = true;
    this.control = undefined;
    this.records.destroy();
  }

  /** When `watch` has something to do. */
  get deadline(): number {
    const idle = this.heardAt + (this.pinged ? PATH_DEAD_MS : PING_IDLE_MS);
    return Math.min(idle, this.probeEndsAt);
  }

  /** Ping after silence, and give up after more of it. Faults: PATH_DEAD. @impl SE-070~1, SE-071~1 */
  watch(now: number): Fault | undefined {
    if (now >= this.probeEndsAt || now >= this.heardAt + PATH_DEAD_MS) {
      return fault('network', ErrorCode.PATH_DEAD, `nothing was heard for ${now - this.heardAt} ms`);
    }
    if (!this.pinged && now >= this.heardAt + PING_IDLE_MS) this.ping();
    return undefined;
  }

  private ping(): void {
    this.pinged = true;
    this.pings += 1;
    this.queue({ kind: 'ping', id: this.pings });
  }

  /** True if the record was full before everything was in it. */
  private writeControl(writer: RowWriter): boolean {
    for (let frame = this.control?.[0]; frame !== undefined; frame = this.control?.[0]) {
      if (!writer.frame(frame)) {
        if (writer.empty) throw new UsageError(`a ${frame.kind} frame of this side fits into no record`);
        return true;
      }
      this.control?.shift();
    }
    this.control = undefined;
    if (this.pong === undefined) return false;
    if (!writer.hot({ kind: 'pong', id: this.pong })) return true;
    this.pong = undefined;
    return false;
  }

  private seal(writer: RowWriter, out: { push(output: PathOutput): unknown }): Fault | undefined {
    const bytes = this.records.seal(writer.finish());
    if (bytes === undefined) return recordFault(this.records.fault);
    this.unwritten += bytes.length;
    out.push({ kind: 'send', path: this.id, bytes, room: RECORD_ROOM_BYTES });
    return undefined;
  }
}

/** The fault of a frame that may not come here. @impl SE-004~1 */
export function unexpected(frame: Frame): Fault {
  return fault('peer', ErrorCode.FRAME_UNEXPECTED, `a frame came where it may not come: ${frame.kind}`);
}

function recordFault(why: RecordFault | undefined): Fault {
  switch (why) {
    case 'record_length':
      return fault('network', ErrorCode.TRANSPORT_FAILED, 'a record has a length that no record can have');
    case 'decryption_failed':
    case undefined:
      return fault('network', ErrorCode.TRANSPORT_FAILED, 'a record does not open');
    case 'records_exhausted':
      return fault('self', ErrorCode.TRANSPORT_EXHAUSTED, 'the path has carried as many records as it may');
  }
}
