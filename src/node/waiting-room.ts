/** Where connections wait until they are authenticated: how many there are, and who leaves for whom (spec/10-limits.md, 10.1). */

/** The place of one connection. */
export interface Seat {
  /** It has shown a right MAC: nobody takes its place any more. */
  keep(): void;
  /** Give the place back; any number of times. */
  leave(): void;
}

/**
 * Between the beginnings of two handshakes, for everything that members wait for: a hundred ClientHellos that come at once
 * would otherwise be answered in one turn of the event loop, and nobody else for as long as that takes.
 */
const GAP_MS = 1;

interface Waiting {
  /** Its place in `#replaceable`; -1 when it is kept or has left. */
  at: number;
  hasLeft: boolean;
  readonly displaced: () => void;
}

/** A bounded number of seats. @impl LI-002~2 */
export class WaitingRoom {
  readonly #max: number;
  /** Draw a whole number from 0 to below `count`. */
  readonly #draw: (count: number) => number;
  /** Whether handshakes begin one by one. */
  readonly #isPaced: boolean;
  readonly #replaceable: Waiting[] = [];
  readonly #queue: (() => void)[] = [];
  #isServing = false;
  #taken = 0;

  constructor(max: number, draw: (count: number) => number, isPaced: boolean) {
    this.#max = max;
    this.#draw = draw;
    this.#isPaced = isPaced;
  }

  /** How many wait. */
  get taken(): number {
    return this.#taken;
  }

  /**
   * Take a seat, if need be that of somebody drawn from those who have shown nothing yet, whose `displaced` is called.
   * Undefined when everybody has. Whoever fills the room so shortens everybody's stay, and stops nobody for long.
   */
  enter(displaced: () => void): Seat | undefined {
    if (this.#taken >= this.#max) {
      const victim = this.#replaceable[this.#draw(this.#replaceable.length)];
      if (victim === undefined) return undefined;
      this.#leave(victim);
      victim.displaced();
    }
    const waiting: Waiting = { at: this.#replaceable.length, hasLeft: false, displaced };
    this.#replaceable.push(waiting);
    this.#taken += 1;
    return { keep: () => this.#keep(waiting), leave: () => this.#leave(waiting) };
  }

  /** Begin a handshake: at once, or in its turn. @impl LI-011~1 */
  serve(handshake: () => void): void {
    if (!this.#isPaced) {
      handshake();
      return;
    }
    this.#queue.push(handshake);
    if (!this.#isServing) this.#serveNext();
  }

  #serveNext(): void {
    const next = this.#queue.shift();
    this.#isServing = next !== undefined;
    if (next === undefined) return;
    next();
    // Behind a turn of the event loop, whatever the timer and the handshake took.
    setTimeout(() => setImmediate(() => this.#serveNext()), GAP_MS);
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
    const last = this.#replaceable.pop();
    if (last === undefined || last === waiting) return;
    this.#replaceable[at] = last;
    last.at = at;
  }
}
