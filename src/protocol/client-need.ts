/** When a client needs another path, and how long it waits behind one that ended (spec/05-session.md, 5.9). */
import { ErrorCode } from '../gen/clawchat/v1/error_pb.ts';
import { DIAL_BACKOFF_MS_MAX, DIAL_BACKOFF_MS_MIN } from '../gen/constants.ts';
import type { ClientPath } from './client-path.ts';

/** What ends an attached path and says nothing against the host: the client comes back without its back-off. */
const BLAMELESS: ReadonlySet<ErrorCode> = new Set([
  ErrorCode.HOST_UNREACHABLE,
  ErrorCode.PATH_DEAD,
  ErrorCode.PATH_SUPERSEDED,
  ErrorCode.TRANSPORT_EXHAUSTED,
  ErrorCode.TRANSPORT_FAILED,
]);

/** What decides on the next path. All times are monotonic milliseconds. */
export class PathNeed {
  private started = false;
  private asked = false;
  private moving = false;
  private at = 0;
  // Paths in a row that did not last.
  private flaps = 0;
  private wasLost = false;

  /** Be connected from now on. */
  start(now: number): void {
    this.started = true;
    this.at = now;
  }

  /** The same with another invite, or as another self: nothing is held against the host. */
  startAnew(now: number): void {
    this.start(now);
    this.flaps = 0;
  }

  /** Stay away until `start`. */
  stop(): void {
    this.started = false;
    this.asked = false;
    this.moving = false;
  }

  /** Put the session on a new path, if it is on one. */
  move(isOnPath: boolean, now: number): void {
    this.moving = isOnPath;
    this.at = now;
  }

  /** The session is on a new path. */
  moved(): void {
    this.moving = false;
  }

  /** Wait no longer than until now. */
  hurry(now: number): void {
    this.at = Math.min(this.at, now);
  }

  /** The driver was asked for a dial, or makes one; it says `dial` again by itself until one has come to something. */
  ask(): void {
    this.asked = true;
  }

  /** A dial has come to something, or is not needed any more. */
  settle(): void {
    this.asked = false;
  }

  /** Whether a dial may begin beside the path that the session is on. @impl RC-004~1 */
  allows(current: ClientPath | undefined): boolean {
    return this.started && (current === undefined || this.moving || current.path?.renew === true);
  }

  /** When the driver is to be asked; infinite for not at all. */
  dueAt(current: ClientPath | undefined, pending: ClientPath | undefined): number {
    const isDue = !this.asked && pending === undefined && this.allows(current);
    return isDue ? this.at : Number.POSITIVE_INFINITY;
  }

  /** A path has ended on which the host had proven itself. @impl SE-082~4 */
  ended(path: ClientPath, code: ErrorCode, now: number): void {
    this.at = now + this.waitMs(path, code, now);
  }

  private waitMs(path: ClientPath, code: ErrorCode, now: number): number {
    const hasLasted = now - path.attachedAt >= DIAL_BACKOFF_MS_MAX;
    if (hasLasted) this.flaps = 0;
    const { wasLost } = this;
    this.wasLost = code === ErrorCode.SESSION_LOST;
    if (this.wasLost && !wasLost) return 0;
    if (path.phase === 'attached' && BLAMELESS.has(code))
      return hasLasted ? 0 : DIAL_BACKOFF_MS_MIN * path.jitter;
    const bound = Math.min(DIAL_BACKOFF_MS_MIN * 2 ** Math.min(this.flaps, 10), DIAL_BACKOFF_MS_MAX);
    this.flaps += 1;
    return bound * path.jitter;
  }
}
