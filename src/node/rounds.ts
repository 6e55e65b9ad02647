/** Reads what strangers send in rounds, so that they have a bounded share of the event loop (spec/10-limits.md, 10.1). */

/** A connection whose bytes wait in the system while nobody reads them. */
export interface Reading {
  start(): void;
  stop(): void;
}

/** What rounds need of an event loop. */
export interface Loop {
  /** Monotonic milliseconds. */
  now(): number;
  /** Run something when this many milliseconds are over. */
  later(run: () => void, ms: number): void;
  /** Run something when the loop has taken what is there to be read now. */
  afterReads(run: () => void): void;
}

const NODE_LOOP: Loop = {
  now: () => performance.now(),
  later: (run, ms) => void setTimeout(run, ms),
  afterReads: run => void setImmediate(run),
};

/** Connections in one round. It shrinks while rounds take longer than `ROUND_MS`, and grows back. */
export const ROUND_CONNECTIONS_MAX = 16;
const ROUND_CONNECTIONS_MIN = 4;
const ROUND_MS = 2;

/** Behind a round nobody is read for so many times as long as it took: strangers have a quarter of the loop. */
const REST_FACTOR = 3;
const REST_MS_MIN = 1;
/** However much members need, strangers get a round this often: some of them will be members. */
const REST_MS_MAX = 25;

/**
 * Rounds over all connections that were added. Each round is drawn from all: a queue would have those who come wait behind
 * everybody who is there, and first turns before second ones would let nobody through who needs two. @impl LI-011~2
 */
export class Rounds {
  /** Draw a whole number from 0 to below `count`. */
  readonly #draw: (count: number) => number;
  readonly #loop: Loop;
  readonly #unread: Reading[] = [];
  readonly #read = new Set<Reading>();
  #size = ROUND_CONNECTIONS_MAX;
  #phase: 'open' | 'ending' | 'resting' = 'open';
  #workSince = 0;
  #isTimed = false;

  constructor(draw: (count: number) => number, loop: Loop = NODE_LOOP) {
    this.#draw = draw;
    this.#loop = loop;
  }

  /** Read this connection in rounds from now on: at once, when there is room in this one. */
  add(reading: Reading): void {
    if (this.#phase === 'open' && this.#read.size < this.#size) {
      this.#read.add(reading);
      return;
    }
    reading.stop();
    this.#unread.push(reading);
    this.#endInTime();
  }

  /** Leave this connection alone; whether it is read stays as it is. */
  remove(reading: Reading): void {
    if (this.#read.delete(reading)) return;
    const at = this.#unread.indexOf(reading);
    if (at >= 0) this.#takeAt(at);
  }

  /** Somebody who is read begins to cost time: this turn of the loop is the last of the round. */
  work(): void {
    if (this.#phase !== 'open') return;
    this.#phase = 'ending';
    this.#workSince = this.#loop.now();
    this.#loop.afterReads(() => {
      const ms = this.#loop.now() - this.#workSince;
      this.#size =
        ms > ROUND_MS
          ? Math.max(ROUND_CONNECTIONS_MIN, this.#size >> 1)
          : Math.min(ROUND_CONNECTIONS_MAX, this.#size + 1);
      this.#end();
      this.#phase = 'resting';
      const rest = Math.min(Math.max(REST_FACTOR * ms, REST_MS_MIN), REST_MS_MAX);
      this.#loop.later(() => this.#begin(), rest);
    });
  }

  #begin(): void {
    this.#phase = 'open';
    while (this.#read.size < this.#size) {
      const next = this.#takeAt(this.#draw(this.#unread.length));
      if (next === undefined) break;
      this.#read.add(next);
      next.start();
    }
    this.#endInTime();
  }

  #end(): void {
    for (const reading of this.#read) {
      reading.stop();
      this.#unread.push(reading);
    }
    this.#read.clear();
  }

  /** Who says nothing keeps nobody from their turn. */
  #endInTime(): void {
    if (this.#unread.length === 0 || this.#isTimed || this.#phase !== 'open') return;
    this.#isTimed = true;
    this.#loop.later(() => {
      this.#isTimed = false;
      if (this.#phase !== 'open') return;
      this.#size = Math.min(ROUND_CONNECTIONS_MAX, this.#size + 1);
      this.#end();
      this.#begin();
    }, REST_MS_MIN);
  }

  /** Take one out; the last one moves to its place. */
  #takeAt(at: number): Reading | undefined {
    const taken = this.#unread[at];
    const last = this.#unread.pop();
    if (last !== undefined && at < this.#unread.length) this.#unread[at] = last;
    return taken;
  }
}
