/** How long from one rotation to the next, and why not shorter or longer (spec/06-rotation.md, 6.4). */
import { ErrorCode } from '../gen/clawchat/v1/error_pb.ts';
import type { Constants } from '../gen/constants.ts';
import { type Fault, fault } from './fault.ts';

/** An interval that is refused, with the bound that it breaks; undefined when it is no whole number. */
export interface IntervalRefusal extends Fault {
  readonly askedMs: number;
  readonly boundMs: number | undefined;
}

/** Take an interval in milliseconds, or say which bound it breaks and why the bound is there. @impl RT-112~1 */
export function parseInterval(intervalMs: number, constants: Constants): number | IntervalRefusal {
  const { ROTATION_INTERVAL_MS_MIN: min, ROTATION_INTERVAL_MS_MAX: max } = constants;
  if (!Number.isSafeInteger(intervalMs)) {
    return refusal(intervalMs, undefined, 'takes a whole number of milliseconds');
  }
  if (intervalMs < min) {
    const { PREPARE_LEAD_MS, RETIRE_MS, HOLD_MS } = constants;
    const why =
      `a rotation takes ${seconds(PREPARE_LEAD_MS + RETIRE_MS)}, from the bind of the next port to the end of the old one, ` +
      `a hold adds ${seconds(HOLD_MS)}, and the next rotation cannot begin before the old port has ended`;
    return refusal(intervalMs, min, `takes at least ${span(min)}: ${why}`);
  }
  if (intervalMs > max) {
    const why =
      'whoever holds an old file knows address and access key for one interval and the grace, and a notice cannot name ' +
      'a move that is further away';
    return refusal(intervalMs, max, `takes at most ${span(max)}: ${why}`);
  }
  return intervalMs;
}

function refusal(askedMs: number, boundMs: number | undefined, detail: string): IntervalRefusal {
  return { ...fault('self', ErrorCode.USAGE, detail), askedMs, boundMs };
}

/** As an option takes it. */
function span(ms: number): string {
  if (ms % 3_600_000 === 0) return `${ms / 3_600_000}h`;
  return ms % 60_000 === 0 ? `${ms / 60_000}m` : `${ms / 1000}s`;
}

function seconds(ms: number): string {
  return `${ms / 1000} s`;
}
