/** A stream between two services that keeps order, fills up, and breaks at any instant. For tests only. */
import { ErrorCode } from '../../../gen/clawchat/v1/error_pb.ts';
import type { ServiceStream, StreamHandler } from '../../ports.ts';
import { draw, type Scheduler } from './scheduler.ts';

/** Messages that come although the receiver has paused: its credit was given before. */
const CREDIT_LEFT = 3;

/** Sees every message as it is handed over. */
export type Tap = (to: 'host' | 'client', message: Uint8Array) => void;

/** One stream. Each end gets its handler once; breaking tells each end at an instant of its own. */
export class Line {
  readonly host: End;
  readonly client: End;

  constructor(scheduler: Scheduler, now: () => number, tap: Tap) {
    this.host = new End(this, scheduler, now, message => tap('host', message));
    this.client = new End(this, scheduler, now, message => tap('client', message));
    this.host.other = this.client;
    this.client.other = this.host;
  }

  /** Lose what is under way, and let both ends learn of it some time. */
  break(code: ErrorCode = ErrorCode.SESSION_LOST): void {
    this.host.lose(code);
    this.client.lose(code);
  }

  /** Lose the client's end, but let the host go on for a while with what it was sent. */
  abandon(code: ErrorCode = ErrorCode.SESSION_REPLACED): void {
    this.client.lose(code);
    this.host.finish(code);
  }

  get open(): boolean {
    return !this.host.over && !this.client.over;
  }
}

/** One end of a line. */
export class End implements ServiceStream {
  handler: StreamHandler | undefined;
  other: End | undefined;
  over = false;
  readonly #scheduler: Scheduler;
  readonly #now: () => number;
  readonly #tap: (message: Uint8Array) => void;
  /** What was sent to this end and is not handed over. */
  #incoming: Uint8Array[] = [];
  #capacity: number;
  #scheduled = false;
  #paused = false;
  #creditLeft = 0;
  #ending: ErrorCode | undefined;

  constructor(_line: Line, scheduler: Scheduler, now: () => number, tap: (message: Uint8Array) => void) {
    this.#scheduler = scheduler;
    this.#now = now;
    this.#tap = tap;
    this.#capacity = 1 + draw(scheduler.random, 12);
  }

  send(message: Uint8Array): boolean {
    const other = this.other;
    if (this.over || other === undefined || other.over) return true;
    return other.#receive(message);
  }

  pause(): void {
    this.#scheduler.count('paused');
    this.#paused = true;
    this.#creditLeft = CREDIT_LEFT;
  }

  resume(): void {
    this.#paused = false;
    this.#schedule();
  }

  close(code: ErrorCode): void {
    this.over = true;
    this.#incoming = [];
    this.other?.lose(code);
  }

  /** Lose what is under way to this end, and learn some time that the stream is over. */
  lose(code: ErrorCode): void {
    if (this.over) return;
    this.over = true;
    this.#incoming = [];
    this.#scheduler.add(this, () => this.handler?.closed(code));
  }

  /** Hand over what was sent, and then learn that the stream is over. */
  finish(code: ErrorCode): void {
    if (this.#incoming.length === 0) this.lose(code);
    else this.#ending = code;
  }

  /** The process at this end died. */
  die(): void {
    this.over = true;
    this.#incoming = [];
    this.handler = undefined;
    this.#scheduler.drop(this);
    this.other?.lose(ErrorCode.SESSION_LOST);
  }

  #receive(message: Uint8Array): boolean {
    this.#incoming.push(message);
    this.#schedule();
    if (this.#incoming.length <= this.#capacity) return true;
    this.#scheduler.count('queue full');
    return false;
  }

  #schedule(): void {
    if (this.#scheduled || this.over || this.#incoming.length === 0) return;
    if (this.#paused && this.#creditLeft <= 0 && this.#ending === undefined) return;
    this.#scheduled = true;
    this.#scheduler.add(this, () => this.#hand());
  }

  #hand(): void {
    this.#scheduled = false;
    const wasFull = this.#incoming.length > this.#capacity;
    const message = this.#incoming.shift();
    if (message === undefined) return;
    if (this.#paused) this.#creditLeft -= 1;
    this.#tap(message);
    this.handler?.message(message, this.#now());
    this.#schedule();
    if (this.#ending !== undefined && this.#incoming.length === 0) this.lose(this.#ending);
    const { other } = this;
    if (wasFull && this.#incoming.length <= this.#capacity && other !== undefined && !other.over) {
      this.#scheduler.add(other, () => other.handler?.writable());
    }
  }
}
