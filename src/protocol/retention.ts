/** What one direction of a session has sent and the other side has not acknowledged (spec/05-session.md, 5.6). */
import { DATA_COST_BYTES } from '../gen/constants.ts';
import type { DataFrame } from '../wire/frame.ts';

/** What a frame counts against retention: it is kept whatever it counts as credit. */
export function retainedCost({ payload }: DataFrame): number {
  return payload.length + DATA_COST_BYTES;
}

/** The numbered frames from the first unacknowledged one on, in order, and where sending stands on this path. */
export class Retention {
  /** Highest number given. */
  sealed = 0;
  /** Highest number that the other side has acknowledged. */
  acked = 0;
  /** Bytes kept, by `retainedCost`. */
  bytes = 0;
  /** The number to send next on the current path; `sealed + 1` when nothing waits to be sent again. */
  private next = 1;
  // frames[head] has the number acked + 1; what lies before `head` was acknowledged and is cut off now and then.
  private frames: (DataFrame | undefined)[] = [];
  private head = 0;

  /** Keep a frame that was just written to the current path. Its number is `sealed + 1`. */
  push(frame: DataFrame): void {
    this.frames.push(frame);
    this.sealed = frame.sequence;
    this.next = frame.sequence + 1;
    this.bytes += retainedCost(frame);
  }

  /** Give the next frame that has to be sent again, or undefined. */
  again(): DataFrame | undefined {
    return this.next > this.sealed ? undefined : this.frames[this.head + this.next - this.acked - 1];
  }

  /** Note that what `again` gave was written. */
  sentAgain(): void {
    this.next += 1;
  }

  /** Drop everything up to a number of at most `sealed`; gives the bytes that became free. @impl SE-060~1 */
  ack(through: number): number {
    const before = this.bytes;
    for (; this.acked < through; this.acked += 1) {
      const frame = this.frames[this.head];
      this.frames[this.head] = undefined;
      this.head += 1;
      if (frame !== undefined) this.bytes -= retainedCost(frame);
    }
    if (this.next <= this.acked) this.next = this.acked + 1;
    if (this.head === this.frames.length) {
      // An idle session keeps no row of empty places.
      this.frames = [];
      this.head = 0;
    } else if (this.head > 64 && this.head * 2 > this.frames.length) {
      this.frames = this.frames.slice(this.head);
      this.head = 0;
    }
    return before - this.bytes;
  }

  /** Start over on a new path, at the first frame that is not acknowledged. */
  rewind(): void {
    this.next = this.acked + 1;
  }
}
