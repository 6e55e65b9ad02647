/** Time as an argument: the core reads no clock (spec/01-architecture.md). */

/** One reading of both clocks. */
export interface Now {
  /** Unix milliseconds; may be wrong, and may jump. */
  readonly wall: number;
  /** Milliseconds from an arbitrary start; never goes back. */
  readonly mono: number;
}
