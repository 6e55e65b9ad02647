/** When a machine is told that time has passed: at the end of a turn of the event loop, or at its instant (spec/01-architecture.md). */

import type { Now } from '../protocol/now.ts';
import { Alarm, readNow } from './now.ts';

/** What such a machine says of its next `tick`. */
export interface TurnMachine {
  deadline(now: Now): { readonly at: number; readonly why: 'flush' | 'timer' } | undefined;
}

/** Ticks one machine. */
export class Turns {
  readonly #machine: TurnMachine;
  readonly #tick: () => void;
  readonly #alarm: Alarm;
  #flushing = false;
  #closed = false;

  constructor(machine: TurnMachine, tick: () => void) {
    this.#machine = machine;
    this.#tick = tick;
    this.#alarm = new Alarm(tick);
  }

  /**
   * Look when the machine wants its next `tick`. What is ready in one turn leaves together at its end. `now`: of the step
   * behind which this is asked, whose reading of the clocks will do.
   */
  schedule(now?: Now): void {
    if (this.#flushing || this.#closed) return;
    const deadline = this.#machine.deadline(now ?? readNow());
    if (deadline?.why !== 'flush') {
      this.#alarm.set(deadline?.at);
      return;
    }
    this.#flushing = true;
    setImmediate(() => {
      this.#flushing = false;
      if (!this.#closed) this.#tick();
    });
  }

  /** Tick no more. */
  close(): void {
    this.#closed = true;
    this.#alarm.set(undefined);
  }
}
