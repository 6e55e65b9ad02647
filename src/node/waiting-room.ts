/** Where connections wait until they are authenticated: how many there are, and who leaves for whom (spec/10-limits.md, 10.1). */
import { type Loop, type Reading, Rounds } from './rounds.ts';

/** The place of one connection. */
export interface Seat {
  /** It begins to cost time. */
  work(): void;
  /** It has shown a right MAC: nobody takes its place any more, and it is read at once. */
  keep(): void;
  /** Give the place back; any number of times. */
  leave(): void;
}

interface Waiting {
  /** Its place in `#replaceable`; -1 when it is kept or has left. */
  at: number;
  hasLeft: boolean;
  readonly reading: Reading;
  readonly displaced: () => void;
}

/** A bounded number of seats. @impl LI-002~2 */
export class WaitingRoom {
  readonly #max: number;
  /** Draw a whole number from 0 to below `count`. */
  readonly #draw: (count: number) => number;
  /** Undefined where everybody is read at once. */
  readonly #rounds: Rounds | undefined;
  readonly #replaceable: Waiting[] = [];
  #taken = 0;

  /** `inRounds` says whether its connections share a part of the event loop. */
  constructor(max: number, draw: (count: number) => number, inRounds: boolean, loop?: Loop) {
    this.#max = max;
    this.#draw = draw;
    this.#rounds = inRounds ? new Rounds(draw, loop) : undefined;
  }

  /** How many wait. */
  get taken(): number {
    return this.#taken;
  }

  /**
   * Take a seat, if need be that of somebody drawn from those who have shown nothing yet, whose `displaced` is called.
   * Undefined when everybody has. Whoever fills the room so shortens everybody's stay, and stops nobody for long.
   * `reading` is being read.
   */
  enter(displaced: () => void, reading: Reading): Seat | undefined {
    if (this.#taken >= this.#max) {
      const victim = this.#replaceable[this.#draw(this.#replaceable.length)];
      if (victim === undefined) return undefined;
      this.#leave(victim);
      victim.displaced();
    }
    const waiting: Waiting = { at: this.#replaceable.length, hasLeft: false, reading, displaced };
    this.#replaceable.push(waiting);
    this.#taken += 1;
    this.#rounds?.add(reading);
    return {
      work: () => this.#rounds?.work(),
      keep: () => {
        this.#keep(waiting);
        reading.start();
      },
      leave: () => this.#leave(waiting),
    };
  }

  #leave(waiting: Waiting): void {
    if (waiting.hasLeft) return;
    waiting.hasLeft = true;
    this.#taken -= 1;
    this.#keep(waiting);
  }

  /** The last one moves to the place that becomes free. */
  #keep(waiting: Waiting): void {
    const { at } = waiting;
    if (at < 0) return;
    waiting.at = -1;
    this.#rounds?.remove(waiting.reading);
    const last = this.#replaceable.pop();
    if (last === undefined || last === waiting) return;
    this.#replaceable[at] = last;
    last.at = at;
  }
}
