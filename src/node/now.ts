/** Reads both clocks and draws what schedules need. The one place where the shell meets time. */
import type { Now } from '../protocol/now.ts';
import { native } from './native.ts';

/** Read both clocks once. */
export function readNow(): Now {
  return { wall: Date.now(), mono: Math.floor(performance.now()) };
}

/** Draw a number, 0 <= x < 1, that nobody can foresee. */
export function drawUnit(): number {
  const bytes = native.randomBytes(6);
  let value = 0;
  for (const byte of bytes) value = value * 256 + byte;
  return value / 2 ** 48;
}

/** Longest wait that a timer of Node can keep. */
const TIMER_MS_MAX = 2 ** 31 - 1;

/** One alarm clock: set again, it forgets the instant before. */
export class Alarm {
  readonly #ring: () => void;
  #timer: NodeJS.Timeout | undefined;
  #at: number | undefined;

  constructor(ring: () => void) {
    this.#ring = ring;
  }

  /** Ring at `at` by the monotonic clock, soon if that has passed; never when undefined. */
  set(at: number | undefined): void {
    if (at === this.#at) return;
    clearTimeout(this.#timer);
    this.#at = at;
    if (at === undefined) return;
    const waitMs = Math.min(Math.max(0, at - performance.now()), TIMER_MS_MAX);
    this.#timer = setTimeout(() => {
      this.#at = undefined;
      this.#ring();
    }, Math.ceil(waitMs));
  }
}
