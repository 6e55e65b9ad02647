/** When a client moves its session to the host's next port (spec/06-rotation.md, 6.9). Times are monotonic. */
import { type Constants, DIAL_BACKOFF_MS_MAX, DIAL_BACKOFF_MS_MIN } from '../gen/constants.ts';

/** What a notice says of times, relative to its arrival. */
export interface MoveNotice {
  readonly kind: 'move' | 'hold' | 'emergency' | 'record';
  readonly rotatesInMs: number;
  readonly oldEndsInMs: number;
}

/** A move that is planned: a new path is dialled at `at`, beside the old one. */
export interface Migration {
  readonly at: number;
  /** Attempts of this move that failed in a row. */
  readonly failures: number;
}

/**
 * What concerns a move. `entropy` is uniform, 0 <= entropy < 1.
 *
 * - `notice` the record that came with it was accepted, or it came without one. `isElsewhere`: the path was dialled with
 *   another epoch than the one the newest record names first, or at another port
 * - `moving` the dial goes out
 * - `failed` the dial failed and the old path is still there
 * - `ended` the session is on a new path, or has none: a dead path is dialled for at once, not by plan
 */
export type MigrationInput =
  | {
      readonly kind: 'notice';
      readonly notice: MoveNotice;
      readonly isElsewhere: boolean;
      readonly entropy: number;
    }
  | { readonly kind: 'failed'; readonly entropy: number }
  | { readonly kind: 'moving' }
  | { readonly kind: 'ended' };

/** Say what is planned after this input; undefined for nothing. `now` is monotonic. @impl RT-150~1, RT-152~1, RT-157~1 */
export function stepMigration(
  plan: Migration | undefined,
  input: MigrationInput,
  now: number,
  constants: Constants,
): Migration | undefined {
  switch (input.kind) {
    case 'notice':
      if (input.notice.kind === 'record') return plan;
      if (input.notice.kind === 'hold' || !input.isElsewhere) return undefined;
      return { at: now + moveInMs(input.notice, input.entropy, constants), failures: 0 };
    case 'failed':
      // A hold that came during the dial has taken the plan away.
      if (plan === undefined) return undefined;
      return { at: now + waitMs(plan.failures, input.entropy), failures: plan.failures + 1 };
    case 'moving':
      return plan === undefined ? undefined : { ...plan, at: Number.POSITIVE_INFINITY };
    case 'ended':
      return undefined;
  }
}

/**
 * Draw the instant of a move, in milliseconds from the notice.
 *
 * Uniform from R - MIGRATE_LEAD_MS to R + MIGRATE_LAG_MS, both included, or what is left of it; in an emergency, and when
 * nothing is left, over the first half of the time that the old port still has. @impl RT-150~1, RT-153~1
 */
export function moveInMs(notice: MoveNotice, entropy: number, constants: Constants): number {
  const { MIGRATE_LEAD_MS, MIGRATE_LAG_MS, GRACE_MS } = constants;
  const { rotatesInMs, oldEndsInMs } = notice;
  const half = Math.floor(oldEndsInMs / 2);
  if (notice.kind === 'emergency') return between(0, half, entropy);
  const first = Math.max(0, rotatesInMs - MIGRATE_LEAD_MS);
  // The old port ends no sooner than GRACE_MS after R: of a notice that came late this tells how long ago R was.
  const last = Math.min(rotatesInMs + MIGRATE_LAG_MS, oldEndsInMs - (GRACE_MS - MIGRATE_LAG_MS));
  return last >= first ? between(first, last, entropy) : between(0, half, entropy);
}

function between(first: number, last: number, entropy: number): number {
  return first + Math.floor(entropy * (last - first + 1));
}

/** @impl RT-152~1 */
function waitMs(failures: number, entropy: number): number {
  return Math.floor(
    Math.min(DIAL_BACKOFF_MS_MAX, DIAL_BACKOFF_MS_MIN * 2 ** Math.min(failures, 40)) * entropy,
  );
}
