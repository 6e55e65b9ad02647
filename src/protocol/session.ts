/**
 * A session: numbered frames in both directions, streams, credit, retention; it knows no path (spec/05-session.md).
 *
 * Whoever owns it hands in the frames of any path (`receive`), lets it fill records for the current path (`fill`),
 * and takes `events` for the application. It never throws for anything that a peer can send.
 */
import { ErrorCode } from '../gen/clawchat/v1/error_pb.ts';
import {
  ACK_BYTES_MAX,
  ACK_DELAY_MS_MAX,
  SEQUENCE_MAX,
  SESSION_RETAINED_BYTES_MAX,
  STREAM_CREDIT_BYTES,
} from '../gen/constants.ts';
import { type Fault, fault } from '../wire/fault.ts';
import { type AckFrame, type CreditFrame, type DataFrame, isService } from '../wire/frame.ts';
import type { RowWriter } from '../wire/row.ts';
import { UsageError } from '../wire/usage-error.ts';
import { creditCost, Grants } from './credit.ts';
import { Retention, retainedCost } from './retention.ts';
import type { Budget, SessionEvent, Written } from './session-io.ts';
import { Stream } from './stream.ts';
import { StreamTable } from './stream-table.ts';

/** One stream accepts no more writes while this much of it waits to be sealed. A choice of this program. */
const QUEUE_BYTES_MAX = 262_144;

/** One side of a session. All times are monotonic milliseconds. */
export class Session {
  /** What happened for the application; the owner takes it out. */
  events: SessionEvent[] = [];
  /** Highest number taken in order from the other side. */
  receivedThrough = 0;

  private readonly retention = new Retention();
  private readonly grants = new Grants();
  private readonly streams: StreamTable;
  private readonly budget: Budget;
  // Rows of streams, linked through `nextReady` and `nextCredit`, so that an idle session keeps no array: those that can
  // seal a frame, in the order in which they became ready, and those with a Credit frame to send.
  private firstReady: Stream | undefined;
  private lastReady: Stream | undefined;
  private firstCredit: Stream | undefined;
  private lastCredit: Stream | undefined;
  // Writers that were refused; undefined until one is.
  private waiting: Set<Stream> | undefined;
  private queued = 0;
  private unackedBytes = 0;
  private ackDueAt: number | undefined;
  private released = false;

  constructor(role: 'client' | 'host', budget: Budget) {
    this.budget = budget;
    this.streams = new StreamTable(role);
  }

  // ---- the application ----

  /** Open a stream for a service; undefined while STREAMS_MAX of this side's are open. */
  open(service: string): number | undefined {
    if (!isService(service)) throw new UsageError('a service is 1 to 32 printable ASCII characters');
    const stream = this.streams.open(service);
    if (stream === undefined) return undefined;
    this.mark(stream);
    return stream.id;
  }

  /**
   * Write a message of at least one byte, or a piece of one when `more` is set. The bytes are kept, not copied: the
   * caller does not change them any more.
   */
  write(id: number, payload: Uint8Array, more = false): Written {
    const stream = this.streams.get(id);
    if (stream === undefined || stream.ending !== undefined) return 'closed';
    if (payload.length === 0) throw new UsageError('a message has at least one byte');
    if (!this.hasRoom(stream, QUEUE_BYTES_MAX)) {
      this.waiting ??= new Set();
      this.waiting.add(stream);
      return 'full';
    }
    stream.push(payload, more);
    this.count(payload.length);
    this.mark(stream);
    return 'accepted';
  }

  /** End this side's direction behind what is written; a stream that is gone stays so. */
  end(id: number): void {
    const stream = this.streams.get(id);
    if (stream === undefined || stream.ending !== undefined) return;
    if (stream.writingMessage) throw new UsageError('a stream cannot end inside a message');
    stream.ending = ErrorCode.UNSPECIFIED;
    this.waiting?.delete(stream);
    this.mark(stream);
  }

  /** End both directions at once, and say why; what is written and not sealed is dropped. */
  abort(id: number, code: ErrorCode): void {
    const stream = this.streams.get(id);
    if (code === ErrorCode.UNSPECIFIED) throw new UsageError('an abort has a reason');
    if (stream === undefined) return;
    stream.dropping = true;
    this.take(stream, stream.received - stream.taken);
    this.cut(stream, code);
  }

  /** Give back the credit of pieces that were handed over: the sum of their `cost`. @impl SE-053~1 */
  taken(id: number, cost: number): void {
    const stream = this.streams.get(id);
    if (stream === undefined || stream.dropping) return;
    if (cost > stream.received - stream.taken) throw new UsageError('more was taken than was handed over');
    this.take(stream, cost);
  }

  /** Say again which waiting writers can go on: the owner calls it when the shared budget has room again. */
  wake(): void {
    const { waiting } = this;
    if (waiting === undefined) return;
    for (const stream of waiting) {
      if (!this.hasRoom(stream, QUEUE_BYTES_MAX / 2)) continue;
      waiting.delete(stream);
      this.events.push({ kind: 'writable', stream: stream.id });
    }
  }

  /** Whether some writer was refused and waits. */
  get hasWaiting(): boolean {
    return (this.waiting?.size ?? 0) > 0;
  }

  /** How many streams have a direction that has not ended. */
  get streamCount(): number {
    return this.streams.size;
  }

  /** Bytes that are written or kept until they are acknowledged. */
  get heldBytes(): number {
    return this.queued + this.retention.bytes;
  }

  /** Give back the shared budget: the session is over. */
  release(): void {
    if (!this.released) this.budget.bytes -= this.heldBytes;
    this.released = true;
  }

  // ---- frames that arrive ----

  /** Take a frame of any path of the session. Any fault ends the session. */
  receive(frame: DataFrame | AckFrame | CreditFrame, now: number): Fault | undefined {
    switch (frame.kind) {
      case 'data':
        return this.receiveData(frame, now);
      case 'ack':
        return this.receiveAck(frame.receivedThrough);
      case 'credit':
        return this.receiveCredit(frame);
    }
  }

  private receiveData(frame: DataFrame, now: number): Fault | undefined {
    // @impl SE-031~1, SE-032~1
    if (frame.sequence <= this.receivedThrough) return undefined;
    if (frame.sequence > this.receivedThrough + 1) {
      return peerFault(ErrorCode.SEQUENCE_GAP, `${frame.sequence} follows ${this.receivedThrough}`);
    }
    const wrong = frame.open === undefined ? undefined : this.streams.judgeOpen(frame.stream);
    if (wrong !== undefined) return wrong;
    const stream =
      frame.open === undefined ? this.streams.get(frame.stream) : new Stream(frame.stream, undefined);
    if (stream === undefined)
      return peerFault(ErrorCode.STREAM_INVALID, `stream ${frame.stream} is not open`);
    // @impl SE-042~1
    if (stream.ended) return peerFault(ErrorCode.STREAM_INVALID, `stream ${frame.stream} has ended`);
    const cost = creditCost(frame);
    // @impl SE-052~1
    if (stream.received + cost > stream.limit) {
      return peerFault(ErrorCode.CREDIT_EXCEEDED, `stream ${frame.stream} goes beyond ${stream.limit}`);
    }
    if (frame.open !== undefined) this.accept(stream, frame.open);
    stream.received += cost;
    // @impl SE-033~1
    this.receivedThrough = frame.sequence;
    this.noteAck(retainedCost(frame), now);
    this.deliver(stream, frame, cost);
    return undefined;
  }

  private accept(stream: Stream, service: string): void {
    this.streams.accept(stream);
    this.events.push({ kind: 'opened', stream: stream.id, service });
  }

  private deliver(stream: Stream, { payload, more, end }: DataFrame, cost: number): void {
    const content = payload.length > 0 || stream.readingMessage;
    stream.readingMessage = more;
    if (content && !stream.dropping && !end) {
      this.events.push({ kind: 'piece', stream: stream.id, payload, more, cost });
      if (this.grants.raise(stream)) this.oweCredit(stream);
    } else this.take(stream, cost);
    if (end === undefined) return;
    stream.ended = true;
    // @impl SE-043~1
    if (!stream.dropping) this.events.push({ kind: 'ended', stream: stream.id, code: end });
    if (end !== ErrorCode.UNSPECIFIED) this.cut(stream, ErrorCode.CANCELLED);
    this.forget(stream);
  }

  private receiveAck(through: number): Fault | undefined {
    const { retention } = this;
    // @impl SE-035~1
    if (through > retention.sealed) {
      return peerFault(ErrorCode.ACK_INVALID, `${through} of ${retention.sealed} sent`);
    }
    if (through <= retention.acked) return undefined;
    this.free(retention.ack(through));
    this.wake();
    return undefined;
  }

  private receiveCredit({ stream: id, limit }: CreditFrame): Fault | undefined {
    const stream = this.streams.get(id);
    if (stream !== undefined) {
      // @impl SE-055~1
      if (limit > stream.sendLimit) stream.sendLimit = limit;
      this.mark(stream);
      return undefined;
    }
    // @impl SE-056~1
    return this.streams.everWas(id)
      ? undefined
      : peerFault(ErrorCode.STREAM_INVALID, `credit for stream ${id}, which never was`);
  }

  // ---- records that leave ----

  /**
   * Write what may be sent now; true if the record was full before everything was in it. Only for the current path.
   * An ack rides on whatever else is sent, and goes alone when it is due.
   */
  fill(writer: RowWriter, now: number): boolean {
    const ackAt = this.ackDeadline;
    if (ackAt !== undefined && (ackAt <= now || this.hasContent) && !this.writeAck(writer)) return true;
    for (let stream = this.firstCredit; stream !== undefined; stream = this.firstCredit) {
      const credit: CreditFrame = { kind: 'credit', stream: stream.id, limit: stream.limit };
      if (!stream.closed && !writer.hot(credit)) return true;
      stream.creditDue = false;
      this.firstCredit = stream.nextCredit;
      stream.nextCredit = undefined;
    }
    for (let frame = this.retention.again(); frame !== undefined; frame = this.retention.again()) {
      if (!writer.hot(frame)) return true;
      this.retention.sentAgain();
    }
    const full = this.sealReady(writer);
    this.wake();
    return full;
  }

  /** Whether `fill` has something to write besides an ack. */
  get hasContent(): boolean {
    if (this.firstCredit !== undefined || this.retention.again() !== undefined) return true;
    return this.firstReady !== undefined && this.retention.bytes < SESSION_RETAINED_BYTES_MAX;
  }

  /** When an ack has to be sent at the latest, for a session that has a path. */
  get ackDeadline(): number | undefined {
    return this.ackDueAt;
  }

  /** Let each stream that can seal a frame do so in turn, so that none waits for many of another. @impl SE-045~1 */
  private sealReady(writer: RowWriter): boolean {
    const { retention } = this;
    for (let stream = this.firstReady; stream !== undefined; stream = this.firstReady) {
      if (stream.sendable) {
        // @impl SE-030~1, SE-061~1
        const frame = stream.nextFrame(retention.sealed + 1, writer.room);
        if (retention.bytes + retainedCost(frame) > SESSION_RETAINED_BYTES_MAX) return false;
        if (retention.sealed >= SEQUENCE_MAX) return false;
        if (!writer.hot(frame)) return true;
        retention.push(frame);
        stream.commit(frame);
        this.queued -= frame.payload.length;
        this.count(retainedCost(frame) - frame.payload.length, 0);
      }
      stream.ready = false;
      this.firstReady = stream.nextReady;
      stream.nextReady = undefined;
      if (stream.closed) this.forget(stream);
      else this.mark(stream);
    }
    return false;
  }

  private writeAck(writer: RowWriter): boolean {
    if (!writer.hot({ kind: 'ack', receivedThrough: this.receivedThrough })) return false;
    this.announced();
    return true;
  }

  // ---- paths ----

  /** The number for an Attach or an Attached; it counts as an ack. */
  announce(): number {
    this.announced();
    return this.receivedThrough;
  }

  /** The path on which `announce` was to be said has failed, and an older one goes on. */
  oweAck(now: number): void {
    if (this.receivedThrough > 0) this.ackDueAt = now;
  }

  /** Send on a new path from the first unacknowledged frame on, and every credit again. @impl SE-017~1, SE-018~1 */
  rewind(): void {
    this.retention.rewind();
    for (const stream of this.streams.all()) {
      if (stream.limit > STREAM_CREDIT_BYTES) this.oweCredit(stream);
    }
  }

  /**
   * Go on where the other side says it stands: an Attach or Attached came in on the path that is now the current one.
   * A number below what is acknowledged is an old one - an Ack on the older path has overtaken it - and as good as it.
   * `again` is false when sending on that path has already begun with `rewind`. Faults: ACK_INVALID. @impl SE-014~3
   */
  resume(receivedThrough: number, again = true): Fault | undefined {
    const wrong = this.receiveAck(receivedThrough);
    if (wrong === undefined && again) this.rewind();
    return wrong;
  }

  // ---- inside ----

  private noteAck(cost: number, now: number): void {
    // @impl SE-034~1
    this.unackedBytes += cost;
    if (this.unackedBytes >= ACK_BYTES_MAX) this.ackDueAt = now;
    else this.ackDueAt ??= now + ACK_DELAY_MS_MAX;
  }

  private announced(): void {
    this.unackedBytes = 0;
    this.ackDueAt = undefined;
  }

  private take(stream: Stream, cost: number): void {
    if (this.grants.take(stream, cost)) this.oweCredit(stream);
  }

  private oweCredit(stream: Stream): void {
    if (stream.creditDue) return;
    stream.creditDue = true;
    if (this.firstCredit === undefined || this.lastCredit === undefined) this.firstCredit = stream;
    else this.lastCredit.nextCredit = stream;
    this.lastCredit = stream;
  }

  /** Put a stream that can seal a frame into the row. */
  private mark(stream: Stream): void {
    if (stream.ready || !stream.sendable) return;
    stream.ready = true;
    if (this.firstReady === undefined || this.lastReady === undefined) this.firstReady = stream;
    else this.lastReady.nextReady = stream;
    this.lastReady = stream;
  }

  /** End this side's direction at once. */
  private cut(stream: Stream, code: ErrorCode): void {
    this.waiting?.delete(stream);
    const dropped = stream.dropQueue();
    this.queued -= dropped;
    this.free(dropped);
    if (!stream.endSealed) stream.ending = code;
    this.mark(stream);
  }

  /** Drop a stream of which both directions have ended. */
  private forget(stream: Stream): void {
    if (stream.closed && this.streams.drop(stream)) this.grants.forget(stream);
  }

  private hasRoom(stream: Stream, queueBytes: number): boolean {
    if (stream.queued >= queueBytes || this.heldBytes >= SESSION_RETAINED_BYTES_MAX) return false;
    return this.budget.bytes < this.budget.bytesMax;
  }

  private free(bytes: number): void {
    if (!this.released) this.budget.bytes -= bytes;
  }

  private count(bytes: number, queued = bytes): void {
    this.queued += queued;
    if (!this.released) this.budget.bytes += bytes;
  }
}

function peerFault(code: ErrorCode, detail: string): Fault {
  return fault('peer', code, detail);
}
