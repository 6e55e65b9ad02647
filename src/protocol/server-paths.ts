/**
 * The paths of a host: which there are, which have something to send, which are late, and what is left when one ends
 * (spec/05-session.md, 5.2 and 5.9).
 *
 * Times of many paths are kept as lower bounds, so that a turn of the event loop costs what happened in it and not
 * how many are connected.
 */
import { ErrorCode } from '../gen/clawchat/v1/error_pb.ts';
import { ATTACH_MS_MAX, SESSION_PATHS_MAX } from '../gen/constants.ts';
import type { Fault } from '../wire/fault.ts';
import type { Frame } from '../wire/frame.ts';
import { RowWriter } from '../wire/row.ts';
import { HostSessions, type SessionsPort } from './host-sessions.ts';
import type { PathEnd } from './path.ts';
import type { ServerOutput } from './server-io.ts';
import { endFor, late, type ServerPath } from './server-path.ts';

/** All paths, and the sessions that are on them. */
export class ServerPaths implements SessionsPort {
  readonly sessions: HostSessions;
  private outputs: ServerOutput[] = [];
  private readonly writer = new RowWriter();
  private readonly byId = new Map<number, ServerPath>();
  // Paths that have something to send, each once; one that ends stays until the next `flush`.
  private readonly due: ServerPath[] = [];
  // No path has anything to do before this.
  private watchAt = Number.POSITIVE_INFINITY;

  constructor() {
    this.sessions = new HostSessions(this);
  }

  /** Find a path by its number; what is told of one that has ended is for nobody. */
  get(id: number): ServerPath | undefined {
    return this.byId.get(id);
  }

  /** Every path that has not ended. */
  all(): IterableIterator<ServerPath> {
    return this.byId.values();
  }

  /** Take up a path, which waits for message 3. */
  add(path: ServerPath): void {
    this.byId.set(path.id, path);
    this.watchAt = Math.min(this.watchAt, path.endsAt);
  }

  /** A path whose handshake is done waits for what comes first on it. */
  enter(path: ServerPath, phase: 'invite' | 'device', now: number): void {
    path.phase = phase;
    path.endsAt = now + ATTACH_MS_MAX;
    this.watchAt = Math.min(this.watchAt, path.endsAt);
    this.touch(path);
  }

  /** End the paths of a device that are too many beside this one, and idle. @impl SE-019~1 */
  makeRoom(path: ServerPath, now: number): void {
    const all = [...this.all()].filter(
      other => other.recipient.id === path.recipient.id && other.path !== undefined,
    );
    const idle = all.filter(other => other !== path && other.session === undefined);
    const end = { code: ErrorCode.PATH_SUPERSEDED, resumable: true };
    for (const other of idle.slice(0, Math.max(0, all.length - SESSION_PATHS_MAX)))
      this.stop(other, end, now);
  }

  /** Send a frame on those paths that are a device's. */
  notify(ids: readonly number[], frame: Frame): void {
    for (const id of ids) {
      const path = this.byId.get(id);
      if (path === undefined || (path.phase !== 'device' && path.phase !== 'attached')) continue;
      path.path?.queue(frame);
      this.touch(path);
    }
  }

  /** Let the driver do this behind what it is to do already. */
  emit(output: ServerOutput): void {
    this.outputs.push(output);
  }

  /** Give what the driver is to do, in order. */
  take(): readonly ServerOutput[] {
    const { outputs } = this;
    this.outputs = [];
    return outputs;
  }

  // ---- ends ----

  /** A path is at fault. @impl SE-081~2 */
  fail(path: ServerPath, why: Fault, now: number): void {
    this.stop(path, endFor(why), now);
  }

  /** End a path; a session that is still on it ends too, or waits for another if the end is resumable. */
  stop(path: ServerPath, end: PathEnd, now: number): void {
    if (!this.byId.has(path.id)) return;
    if (path.session !== undefined && !end.resumable) this.sessions.forget(path.session, end.code);
    if (path.path !== undefined) path.path.close(this.writer, end, this.outputs);
    else {
      const { code, detail = '' } = end;
      this.outputs.push({ kind: 'close', path: path.id, code, cut: true, detail });
    }
    this.gone(path, now);
  }

  /** A path has ended. */
  gone(path: ServerPath | undefined, now: number): void {
    if (path === undefined || !this.byId.delete(path.id)) return;
    path.handshake?.destroy();
    if (path.path?.closed === false) path.path.end();
    path.held = undefined;
    if (path.session !== undefined) this.sessions.detach(path.session, now);
  }

  // ---- turns ----

  /** The path has something to send. */
  touch(path: ServerPath): void {
    if (path.isDue) return;
    path.isDue = true;
    this.due.push(path);
  }

  /** When there is something to do but to send; a lower bound. */
  get deadline(): number {
    return Math.min(this.watchAt, this.sessions.deadline);
  }

  /** Whether `flush` has something to do. */
  get hasDue(): boolean {
    return this.due.length > 0;
  }

  /** Look at every path, and find out when to look again. */
  watch(now: number): void {
    if (now < this.watchAt) return;
    this.watchAt = Number.POSITIVE_INFINITY;
    for (const path of this.byId.values()) {
      const wrong = now >= path.endsAt ? late(path) : path.path?.watch(now);
      if (wrong !== undefined) this.fail(path, wrong, now);
      else {
        this.watchAt = Math.min(this.watchAt, path.endsAt, path.path?.deadline ?? Number.POSITIVE_INFINITY);
        if (path.path?.sendable(undefined) === true) this.touch(path);
      }
    }
  }

  /** Seal what is ready on every path that has something to send. */
  flush(now: number): void {
    // What a flush makes due is flushed here, too.
    for (let i = 0; i < this.due.length; i += 1) {
      const path = this.due[i];
      if (path === undefined) break;
      path.isDue = false;
      this.flushPath(path, now);
    }
    this.due.length = 0;
  }

  private flushPath(path: ServerPath, now: number): void {
    if (path.path === undefined || path.phase === 'commit') return;
    const wrong = path.path.flush(this.writer, path.session?.session, now, this.outputs);
    this.watchAt = Math.min(this.watchAt, path.path.deadline);
    if (wrong !== undefined) this.fail(path, wrong, now);
    // The acks that were due have left.
    if (path.session !== undefined) this.sessions.settle(path.session, Number.NEGATIVE_INFINITY);
  }
}
