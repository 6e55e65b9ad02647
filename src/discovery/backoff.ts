/** Waiting longer after each failure, and never in step with others (spec/07-discovery.md). */

/**
 * How long to wait after the `failures`-th failure in a row: uniform between 0 and a bound that doubles. @impl DI-032~1
 *
 * `entropy` is uniform, 0 <= entropy < 1. The bound is `minMs` after the first failure and never above `maxMs`.
 */
export function backoffMs(failures: number, minMs: number, maxMs: number, entropy: number): number {
  const bound = Math.min(maxMs, minMs * 2 ** Math.min(Math.max(0, failures - 1), 40));
  return Math.floor(bound * entropy);
}
