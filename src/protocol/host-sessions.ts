/** The sessions of a host: one of each device, on at most one path (spec/05-session.md, 5.3). */
import { ErrorCode } from '../gen/clawchat/v1/error_pb.ts';
import { GLOBAL_RETAINED_BYTES_MAX, SESSION_RESUME_MS, SESSIONS_MAX } from '../gen/constants.ts';
import { type Fault, fault } from '../wire/fault.ts';
import type { AttachFrame } from '../wire/frame.ts';
import type { PathEnd } from './path.ts';
import type { ServerOutput } from './server-io.ts';
import type { ServerPath } from './server-path.ts';
import { Session } from './session.ts';
import type { Budget, Written } from './session-io.ts';

/** A session with the path it is on. The host's machine changes it. */
export interface HostSession {
  readonly handle: number;
  readonly device: string;
  /** As its client drew it: a character for each byte, because an array of 16 takes seven times as much. */
  readonly id: string;
  readonly session: Session;
  generation: number;
  path: ServerPath | undefined;
  detachedAt: number;
}

/** What the sessions ask of the machine around them. */
export interface SessionsPort {
  emit(output: ServerOutput): void;
  /** End a path from this side. */
  stop(path: ServerPath, end: PathEnd, now: number): void;
  /** The path has something to send. */
  touch(path: ServerPath): void;
}

/** All sessions. Services use `open` to `taken`; what they do leaves with the machine's next `tick`. */
export class HostSessions {
  private readonly port: SessionsPort;
  private readonly budget: Budget = { bytes: 0, bytesMax: GLOBAL_RETAINED_BYTES_MAX };
  private readonly byHandle = new Map<number, HostSession>();
  private readonly byDevice = new Map<string, HostSession>();
  private handles = 0;
  // In the order in which their acks are due, because all wait equally long.
  private readonly owingAck = new Set<HostSession>();
  // In the order in which they expire.
  private readonly detached = new Set<HostSession>();
  private starving = false;
  // A lower bound: nothing is due before.
  private tickAt = Number.POSITIVE_INFINITY;

  constructor(port: SessionsPort) {
    this.port = port;
  }

  // ---- services ----

  /** Open a stream; undefined while there are too many, or when the session is over. */
  open(handle: number, service: string): number | undefined {
    const session = this.byHandle.get(handle);
    const stream = session?.session.open(service);
    this.touch(session);
    return stream;
  }

  /** Write a message, or a piece of one; see `Session.write`. @impl SE-062~1 */
  write(handle: number, stream: number, payload: Uint8Array, more = false): Written {
    const session = this.byHandle.get(handle);
    if (session === undefined) return 'closed';
    const written = session.session.write(stream, payload, more);
    if (written === 'full') this.starving = true;
    this.touch(session);
    return written;
  }

  /** End this side's direction of a stream. */
  end(handle: number, stream: number): void {
    const session = this.byHandle.get(handle);
    session?.session.end(stream);
    this.touch(session);
  }

  /** End both directions of a stream. */
  abort(handle: number, stream: number, code: ErrorCode): void {
    const session = this.byHandle.get(handle);
    session?.session.abort(stream, code);
    this.touch(session);
  }

  /** Give back credit; see `Session.taken`. */
  taken(handle: number, stream: number, cost: number): void {
    const session = this.byHandle.get(handle);
    session?.session.taken(stream, cost);
    this.touch(session);
  }

  /** For how long the session of a device has had no path; 0 while it has one, or there is no session. */
  pathlessMs(device: string, now: number): number {
    const session = this.byDevice.get(device);
    return session === undefined || session.path !== undefined ? 0 : now - session.detachedAt;
  }

  /** Bytes that are written or kept, over all sessions. */
  get heldBytes(): number {
    return this.budget.bytes;
  }

  // ---- paths ----

  /**
   * Put a device's session on a path, opening it if need be. Faults end the path; ACK_INVALID has ended the session.
   */
  attach(path: ServerPath, frame: AttachFrame, now: number): Fault | undefined {
    const device = path.recipient.id;
    const current = this.byDevice.get(device);
    const id = String.fromCharCode(...frame.sessionId);
    if (current !== undefined && current.id === id) {
      // @impl SE-013~1
      if (frame.generation > current.generation) return this.move(current, path, frame, now);
      return peerFault(ErrorCode.GENERATION_STALE, `${frame.generation} follows ${current.generation}`);
    }
    // @impl SE-012~1
    if (!frame.open) return peerFault(ErrorCode.SESSION_LOST, 'there is no such session');
    if (current !== undefined) this.finish(current, ErrorCode.SESSION_REPLACED, now);
    // @impl SE-020~1
    if (this.byHandle.size >= SESSIONS_MAX || this.budget.bytes >= this.budget.bytesMax) {
      return fault('self', ErrorCode.HOST_BUSY, `${this.byHandle.size} sessions, ${this.budget.bytes} bytes`);
    }
    return this.move(this.create(device, id), path, frame, now);
  }

  /** The fence, the older path's end and what was received, in one step. @impl SE-015~1 */
  private move(session: HostSession, path: ServerPath, frame: AttachFrame, now: number): Fault | undefined {
    const older = session.path;
    const wrong = session.session.resume(frame.receivedThrough);
    if (wrong !== undefined) {
      // @impl SE-014~3
      this.finish(session, wrong.code, now);
      return wrong;
    }
    path.phase = 'attached';
    path.endsAt = Number.POSITIVE_INFINITY;
    path.session = session;
    session.path = path;
    session.generation = frame.generation;
    this.detached.delete(session);
    if (older !== undefined) {
      older.session = undefined;
      this.port.stop(older, { code: ErrorCode.PATH_SUPERSEDED, resumable: true }, now);
    }
    const { generation } = frame;
    path.path?.queue({ kind: 'attached', generation, receivedThrough: session.session.announce() });
    this.port.emit({ kind: 'attached', session: session.handle, path: path.id });
    return undefined;
  }

  private create(device: string, id: string): HostSession {
    this.handles += 1;
    const session: HostSession = {
      handle: this.handles,
      device,
      id,
      session: new Session('host', this.budget),
      generation: 0,
      path: undefined,
      detachedAt: 0,
    };
    this.byHandle.set(session.handle, session);
    this.byDevice.set(device, session);
    this.port.emit({ kind: 'opened', session: session.handle, device });
    return session;
  }

  /** The path of a session is gone, and the session waits for another. */
  detach(session: HostSession, now: number): void {
    const { path } = session;
    if (path === undefined) return;
    this.deliver(session);
    path.session = undefined;
    session.path = undefined;
    session.detachedAt = now;
    this.owingAck.delete(session);
    this.detached.add(session);
    this.tickAt = Math.min(this.tickAt, now + SESSION_RESUME_MS);
    this.port.emit({ kind: 'detached', session: session.handle, path: path.id });
  }

  /** A session is over; its path, if it has one, is the caller's. */
  forget(session: HostSession, code: ErrorCode): void {
    if (!this.byHandle.delete(session.handle)) return;
    this.deliver(session);
    this.byDevice.delete(session.device);
    this.detached.delete(session);
    this.owingAck.delete(session);
    if (session.path !== undefined) session.path.session = undefined;
    session.path = undefined;
    session.session.release();
    this.port.emit({ kind: 'lost', session: session.handle, code });
  }

  /** End a device's session, and its path with the same code. */
  endOf(device: string, code: ErrorCode, now: number): void {
    const session = this.byDevice.get(device);
    if (session !== undefined) this.finish(session, code, now);
  }

  private finish(session: HostSession, code: ErrorCode, now: number): void {
    const { path } = session;
    this.forget(session, code);
    if (path !== undefined) this.port.stop(path, { code, resumable: false }, now);
  }

  // ---- turns ----

  /** Hand over what a session has for its service, and see when its ack is due. */
  settle(session: HostSession, now: number): void {
    this.deliver(session);
    const due = session.session.ackDeadline;
    // A blocked path is looked at again when it is not blocked any more.
    if (due === undefined || session.path?.path?.blocked !== false) this.owingAck.delete(session);
    else if (due <= now) this.port.touch(session.path);
    else {
      this.owingAck.add(session);
      this.tickAt = Math.min(this.tickAt, due);
    }
  }

  private deliver(session: HostSession): void {
    const { events } = session.session;
    if (events.length === 0) return;
    session.session.events = [];
    for (const event of events) this.port.emit({ kind: 'deliver', session: session.handle, event });
  }

  /** Let writers go on that were refused for the sake of all sessions. */
  feed(now: number): void {
    if (!this.starving || this.budget.bytes >= this.budget.bytesMax) return;
    this.starving = false;
    for (const session of this.byHandle.values()) {
      if (!session.session.hasWaiting) continue;
      session.session.wake();
      this.settle(session, now);
      this.starving ||= session.session.hasWaiting;
    }
  }

  /** When `tick` has something to do. */
  get deadline(): number {
    return this.tickAt;
  }

  /** Send the acks that are due, and give up sessions that nobody has come back to. */
  tick(now: number): void {
    if (now < this.tickAt) return;
    for (const session of this.owingAck) {
      if ((session.session.ackDeadline ?? Number.POSITIVE_INFINITY) > now) break;
      this.owingAck.delete(session);
      if (session.path !== undefined) this.port.touch(session.path);
    }
    for (const session of this.detached) {
      // @impl SE-021~1
      if (session.detachedAt + SESSION_RESUME_MS > now) break;
      this.forget(session, ErrorCode.SESSION_LOST);
    }
    const [ack] = this.owingAck;
    const [old] = this.detached;
    const expiry = old === undefined ? Number.POSITIVE_INFINITY : old.detachedAt + SESSION_RESUME_MS;
    this.tickAt = Math.min(expiry, ack?.session.ackDeadline ?? Number.POSITIVE_INFINITY);
  }

  private touch(of: HostSession | undefined): void {
    const path = of?.path;
    if (path === undefined || path.isDue) return;
    if (path.path?.sendable(of?.session) === true) this.port.touch(path);
  }
}

function peerFault(code: ErrorCode, detail: string): Fault {
  return fault('peer', code, detail);
}
