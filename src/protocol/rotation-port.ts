/** Drawing a port, uniformly, among those that may be drawn (spec/06-rotation.md, 6.4). */
import { PORT_MAX, PORT_MIN } from '../gen/constants.ts';

/** Ports from `min` to `max`, both included. */
export interface PortRange {
  readonly min: number;
  readonly max: number;
}

/** Where ports are drawn from unless the operator says otherwise. */
export const PORT_RANGE: PortRange = { min: PORT_MIN, max: PORT_MAX };

/** How many random bytes one draw takes: 32 chances, of which a usual host needs one. */
export const PORT_ENTROPY_BYTES: number = 64;

/**
 * Draw a port, or give undefined when `entropy` runs out before a port comes up that is not excluded.
 *
 * Every port that is not excluded is equally likely: a word beyond the last whole multiple of the range, and an excluded
 * port, are skipped and never mapped to another. @impl RT-110~1, RT-111~1
 */
export function choosePort(
  entropy: Uint8Array,
  range: PortRange,
  isExcluded: (port: number) => boolean,
): number | undefined {
  const size = range.max - range.min + 1;
  const words = 65_536 - (65_536 % size);
  for (let i = 0; i + 1 < entropy.length; i += 2) {
    const word = ((entropy[i] ?? 0) << 8) | (entropy[i + 1] ?? 0);
    if (word >= words) continue;
    const port = range.min + (word % size);
    if (!isExcluded(port)) return port;
  }
  return undefined;
}

/** Is a port within one of these ranges? */
export function isWithin(port: number, ranges: readonly PortRange[]): boolean {
  return ranges.some(({ min, max }) => port >= min && port <= max);
}
