/**
 * A client's session, the path it is on and the one that is being made, and what is left when one of them ends
 * (spec/05-session.md, 5.3 and 5.9).
 */
import { ErrorCode } from '../gen/clawchat/v1/error_pb.ts';
import { SESSION_RETAINED_BYTES_MAX } from '../gen/constants.ts';
import { type Fault, fault } from '../wire/fault.ts';
import type { AckFrame, AttachedFrame, CreditFrame, DataFrame } from '../wire/frame.ts';
import { RowWriter } from '../wire/row.ts';
import type { ClientOutput } from './client-io.ts';
import { PathNeed } from './client-need.ts';
import { type ClientPath, destroyKeys, endFor, FINAL, OVER } from './client-path.ts';
import { type Path, type PathEnd, unexpected } from './path.ts';
import { Session } from './session.ts';

interface ClientSession {
  readonly handle: number;
  readonly id: Uint8Array;
  readonly session: Session;
  generation: number;
  /** Whether the host has answered an Attach of it. */
  known: boolean;
}

/** What binds a client to its host. */
export class ClientLink {
  readonly need: PathNeed = new PathNeed();
  /** The path that the session is on. */
  current: ClientPath | undefined;
  /** The path that is being made. */
  pending: ClientPath | undefined;
  /** Whether there may be something to seal. */
  dirty = false;
  private readonly out: { push(output: ClientOutput): unknown };
  private readonly writer = new RowWriter();
  private session: ClientSession | undefined;
  private handles = 0;

  /** `out` takes what the driver is to do. */
  constructor(out: { push(output: ClientOutput): unknown }) {
    this.out = out;
  }

  /** Both paths. */
  get paths(): readonly ClientPath[] {
    return [this.current, this.pending].filter(path => path !== undefined);
  }

  /** Find a path by its number; what is told of one that has ended is for nobody. */
  find(id: number): ClientPath | undefined {
    return this.paths.find(path => path.id === id);
  }

  /** The session that services know by a handle; what they do to it leaves with the next `tick`. */
  use(handle: number): Session | undefined {
    if (this.session?.handle !== handle) return undefined;
    this.dirty = true;
    return this.session.session;
  }

  /** When there is something to do but to seal. */
  deadline(): number {
    let at = this.need.dueAt(this.current, this.pending);
    for (const path of this.paths) {
      at = Math.min(at, path.endsAt, path.path?.deadline ?? Number.POSITIVE_INFINITY);
      if (path.path?.blocked === false)
        at = Math.min(at, this.carriedBy(path)?.ackDeadline ?? Number.POSITIVE_INFINITY);
    }
    return at;
  }

  /** End what is late, seal what is ready, and ask for a path that is due. */
  tick(now: number): void {
    for (const path of this.paths) {
      const wrong =
        now >= path.endsAt
          ? fault('time', ErrorCode.TIMEOUT, `the host did not answer: ${path.phase}`)
          : path.path?.watch(now);
      if (wrong !== undefined) this.fail(path, wrong, now);
    }
    this.dirty = false;
    for (const path of this.paths) {
      const wrong = path.path?.flush(this.writer, this.carriedBy(path), now, this.out);
      if (wrong !== undefined) this.fail(path, wrong, now);
    }
    this.deliver();
    if (now < this.need.dueAt(this.current, this.pending)) return;
    this.need.ask();
    this.out.push({ kind: 'need' });
  }

  /** What the session has to send leaves on this path. */
  private carriedBy(path: ClientPath): Session | undefined {
    return path.phase === 'attached' || path.eager ? this.session?.session : undefined;
  }

  // ---- the session ----

  /** Ask for the session, or a new one, on a path. @impl SE-010~1, SE-011~1 */
  attach(path: ClientPath, on: Path): void {
    path.phase = 'attaching';
    const attaching = this.session ?? this.begin(path.sessionId);
    const { id, session, known } = attaching;
    attaching.generation += 1;
    const { generation } = attaching;
    const receivedThrough = session.announce();
    path.generation = generation;
    path.announced = receivedThrough;
    on.queue({ kind: 'attach', sessionId: id, generation, receivedThrough, open: !known });
    // Nothing of a session that the host may not have can be there twice, so its frames need not wait.
    path.eager = !known;
    if (path.eager) session.rewind();
  }

  private begin(id: Uint8Array): ClientSession {
    this.handles += 1;
    const handle = this.handles;
    const session = new Session('client', { bytes: 0, bytesMax: SESSION_RETAINED_BYTES_MAX * 2 });
    this.session = { handle, id, session, generation: 0, known: false };
    this.out.push({ kind: 'opened', session: handle });
    return this.session;
  }

  /** The session is on this path now, and only now is the older one done. @impl SE-014~3, SE-016~1, RT-151~1 */
  attached(path: ClientPath, frame: AttachedFrame, now: number): Fault | undefined {
    const { session, current } = this;
    if (session === undefined || frame.generation !== path.generation) return unexpected(frame);
    const wrong = session.session.resume(frame.receivedThrough, !path.eager);
    if (wrong !== undefined) return wrong;
    // An ack on the older path may have come too late there. @impl SE-018~1
    if (session.session.receivedThrough > path.announced) session.session.oweAck(now);
    session.known = true;
    this.need.moved();
    path.phase = 'attached';
    path.eager = false;
    path.endsAt = Number.POSITIVE_INFINITY;
    path.attachedAt = now;
    this.current = path;
    this.pending = undefined;
    current?.path?.close(this.writer, { code: ErrorCode.UNSPECIFIED, resumable: true }, this.out);
    this.out.push({ kind: 'attached', session: session.handle, path: path.id });
    this.dirty = true;
    return undefined;
  }

  /** Take a frame of the session. */
  receive(frame: DataFrame | AckFrame | CreditFrame, now: number): Fault | undefined {
    return this.session?.session.receive(frame, now);
  }

  /** A record was taken: hand over what came in it, and see what is due by it. */
  recordTaken(path: ClientPath, on: Path, now: number): void {
    this.deliver();
    this.dirty ||= on.sendable(this.carriedBy(path));
    const due = this.session?.session.ackDeadline;
    this.dirty ||= due !== undefined && due <= now;
  }

  private deliver(): void {
    const { session } = this;
    if (session === undefined || session.session.events.length === 0) return;
    const { events } = session.session;
    session.session.events = [];
    for (const event of events) this.out.push({ kind: 'deliver', session: session.handle, event });
  }

  // ---- ends ----

  /** A path is at fault. */
  fail(path: ClientPath, why: Fault, now: number): void {
    this.end(path, endFor(why), why, now);
  }

  /** End a path from this side, or after the other side's Close. @impl SE-081~2 */
  end(path: ClientPath, end: PathEnd, why: Fault, now: number): void {
    if (path.path !== undefined) path.path.close(this.writer, end, this.out);
    else {
      const { code, detail = '' } = end;
      this.out.push({ kind: 'close', path: path.id, code, cut: true, detail });
    }
    // A path that is not attached ends alone.
    const concerns = path === this.current ? end.code !== ErrorCode.GENERATION_STALE : OVER.has(end.code);
    if (!end.resumable && concerns && path.path !== undefined && path.as === 'device') {
      this.lose(why, now, end.quiet === true ? ErrorCode.UNSPECIFIED : end.code);
    }
    this.gone(path, why, now);
    if (!end.resumable && FINAL.has(end.code)) {
      this.stop(why, now);
      this.out.push({ kind: 'stopped', code: end.code, fault: why });
    }
  }

  /** A path has ended: forget it, and see when another is needed. */
  gone(path: ClientPath, why: Fault, now: number): void {
    const { current, pending, session } = this;
    if (path !== current && path !== pending) return;
    if (path === current) this.current = undefined;
    else this.pending = undefined;
    if (path.path === undefined) {
      destroyKeys(path);
      this.out.push({ kind: 'failed', fault: why });
      return;
    }
    if (!path.path.closed) path.path.end();
    if (path === current && session !== undefined) {
      this.deliver();
      this.out.push({ kind: 'detached', session: session.handle, path: path.id });
    } else if (this.current !== undefined) session?.session.oweAck(now);
    this.need.ended(path, why.code, now);
    this.out.push({ kind: 'ended', path: path.id, fault: why });
  }

  /** Give up the path that is being made. */
  giveUp(now: number): void {
    const { pending } = this;
    if (pending === undefined) return;
    if (pending.path === undefined) {
      this.cancel(pending);
      this.need.settle();
      return;
    }
    const done = fault('self', ErrorCode.UNSPECIFIED, 'the path is not needed any more');
    pending.path.close(this.writer, { code: ErrorCode.UNSPECIFIED, resumable: false }, this.out);
    this.gone(pending, done, now);
  }

  /** Give a dial up. */
  cancel(path: ClientPath): void {
    this.pending = undefined;
    destroyKeys(path);
    this.out.push({ kind: 'cancel', path: path.id });
  }

  /** End the session and its paths, and need none. */
  stop(why: Fault, now: number): void {
    this.need.stop();
    if (this.pending !== undefined && this.pending.path === undefined) this.cancel(this.pending);
    this.lose(why, now);
    for (const path of this.paths) {
      path.path?.close(this.writer, { code: ErrorCode.UNSPECIFIED, resumable: false }, this.out);
      this.gone(path, why, now);
    }
  }

  /** The session is over: so is every path that carried it. `code`: what to say where it was. */
  private lose(why: Fault, now: number, code: ErrorCode = ErrorCode.UNSPECIFIED): void {
    const { session } = this;
    if (session === undefined) return;
    this.deliver();
    this.session = undefined;
    session.session.release();
    this.out.push({ kind: 'lost', session: session.handle, fault: why });
    for (const other of this.paths) {
      if (other.path === undefined || other.path.closed || other.as === 'invite') continue;
      const said = other === this.current ? code : ErrorCode.UNSPECIFIED;
      other.path.close(this.writer, { code: said, resumable: false }, this.out);
      this.gone(other, why, now);
    }
  }
}
