/** A seeded scheduler: everything that waits is a task, and chance says which is next. For tests only. */

/** A generator of numbers from 0 to 1 that a seed fixes (mulberry32). */
export type Random = () => number;

/** Make a generator. */
export function seeded(seed: number): Random {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let t = state;
    t = Math.imul(t ^ (t >>> 15), t | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  };
}

/** Draw a whole number from 0 to `below` - 1. */
export function draw(random: Random, below: number): number {
  return Math.floor(random() * below);
}

interface Task {
  readonly owner: object;
  readonly run: () => void;
}

/** What waits to happen. A task belongs to a process and is gone when that dies. */
export class Scheduler {
  readonly random: Random;
  /** How often each thing happened. */
  readonly counts: Map<string, number> = new Map();
  #tasks: Task[] = [];

  constructor(random: Random) {
    this.random = random;
  }

  /** Let something happen some time. */
  add(owner: object, run: () => void): void {
    this.#tasks.push({ owner, run });
  }

  /** Let nothing of a process happen any more. */
  drop(owner: object): void {
    this.#tasks = this.#tasks.filter(task => task.owner !== owner);
  }

  /** Run one task. False when there was none. */
  step(): boolean {
    const [task] = this.#tasks.splice(draw(this.random, this.#tasks.length), 1);
    task?.run();
    return task !== undefined;
  }

  /** Count that something happened. */
  count(what: string, times = 1): void {
    this.counts.set(what, (this.counts.get(what) ?? 0) + times);
  }
}
