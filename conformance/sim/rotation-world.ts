/** Virtual time and seeded chance for the simulation of rotations. */

interface Event {
  readonly at: number;
  readonly order: number;
  readonly run: () => void;
}

/** One queue of events, one source of chance: the same seed gives the same run. */
export class World {
  /** True time, milliseconds. */
  now = 0;
  events = 0;
  readonly #heap: Event[] = [];
  #order = 0;
  #state: number;

  constructor(seed: number) {
    this.#state = (seed ^ 0x9e3779b9) >>> 0;
    for (let i = 0; i < 8; i++) this.random();
  }

  /** Uniform, 0 <= x < 1 (mulberry32). */
  random(): number {
    this.#state = (this.#state + 0x6d2b79f5) >>> 0;
    let z = this.#state;
    z = Math.imul(z ^ (z >>> 15), z | 1);
    z ^= z + Math.imul(z ^ (z >>> 7), z | 61);
    return ((z ^ (z >>> 14)) >>> 0) / 4_294_967_296;
  }

  /** A whole number from `low` to `high`, both included. */
  between(low: number, high: number): number {
    return low + Math.floor(this.random() * (high - low + 1));
  }

  chance(probability: number): boolean {
    return this.random() < probability;
  }

  pick<T>(list: readonly T[]): T {
    const chosen = list[Math.floor(this.random() * list.length)];
    if (chosen === undefined) throw new Error('nothing to pick from');
    return chosen;
  }

  bytes(length: number): Uint8Array {
    return Uint8Array.from({ length }, () => this.between(0, 255));
  }

  after(ms: number, run: () => void): void {
    const event = { at: this.now + Math.max(0, ms), order: this.#order++, run };
    const heap = this.#heap;
    heap.push(event);
    let i = heap.length - 1;
    while (i > 0) {
      const up = (i - 1) >> 1;
      const parent = heap[up];
      if (parent === undefined || isBefore(parent, event)) break;
      heap[i] = parent;
      i = up;
    }
    heap[i] = event;
  }

  /** Run everything up to and including true time `until`. */
  run(until: number): void {
    for (;;) {
      const first = this.#heap[0];
      if (first === undefined || first.at > until) break;
      this.#pop();
      this.now = first.at;
      this.events += 1;
      first.run();
    }
    this.now = Math.max(this.now, until);
  }

  #pop(): void {
    const heap = this.#heap;
    const last = heap.pop();
    if (last === undefined || heap.length === 0) return;
    let i = 0;
    for (;;) {
      let child = 2 * i + 1;
      const left = heap[child];
      if (left === undefined) break;
      const right = heap[child + 1];
      let least = left;
      if (right !== undefined && isBefore(right, left)) {
        least = right;
        child += 1;
      }
      if (isBefore(last, least)) break;
      heap[i] = least;
      i = child;
    }
    heap[i] = last;
  }
}

function isBefore(a: Event, b: Event): boolean {
  return a.at < b.at || (a.at === b.at && a.order < b.order);
}

/** A broken promise: what the simulation is there to find. */
export class Violation extends Error {
  override readonly name = 'Violation';
}
