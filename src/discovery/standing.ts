/** What a reader remembers of a store: current, behind, lying, failing (spec/07-discovery.md, 7.4). */
import { ErrorCode } from '../gen/clawchat/v1/error_pb.ts';
import type { Fault } from '../protocol/fault.ts';
import type { RecordName } from '../protocol/freshness.ts';
import type { StoreFailure } from './store.ts';

/**
 * How a store stood at its last answer.
 *
 * - `unknown` not read yet
 * - `current` its record is the newest that is known
 * - `behind` its record is valid and lower: it lags
 * - `stale` the host's newest verified record did not show there in two reads a while apart: it is frozen, or lies
 * - `lying` what it gave is no file of this host, or was altered, or has another payload under a known sequence
 * - `foreign` its file opens for others and not for this device: an old file, or the device was revoked
 * - `unusable` this program cannot judge its file: a newer version
 * - `absent` nothing lies there
 * - `failing` it did not answer, or not usefully
 */
export type Standing =
  | 'unknown'
  | 'current'
  | 'behind'
  | 'stale'
  | 'lying'
  | 'foreign'
  | 'unusable'
  | 'absent'
  | 'failing';

/** Why a store stands as it does, and how often it stood otherwise. */
export interface StandingReport {
  readonly key: string;
  readonly standing: Standing;
  /** Of the record last read there; undefined for none. */
  readonly sequence: number | undefined;
  /** What went wrong last, for people; undefined when nothing did. */
  readonly fault: Fault | StoreFailure | undefined;
  readonly timesBehind: number;
  readonly timesLying: number;
  readonly timesFailed: number;
}

/** What a reader knows of one store. Times are monotonic milliseconds. */
export interface ReadStore {
  /** Names the store for the driver; the same store in another record has the same key. */
  readonly key: string;
  /** The read that is going on. */
  readonly reading: { readonly attempt: number; readonly endsAt: number } | undefined;
  readonly standing: Standing;
  readonly fault: Fault | StoreFailure | undefined;
  /** The record of its last usable answer. */
  readonly found: RecordName | undefined;
  /** When it last answered. */
  readonly answeredAt: number | undefined;
  /** When to look again whether it still lacks the witnessed record. */
  readonly lookAgainAt: number | undefined;
  /** It asked not to be tried before this. */
  readonly notBefore: number;
  readonly timesBehind: number;
  readonly timesLying: number;
  readonly timesFailed: number;
}

/** Know nothing of a store yet. */
export function freshStore(key: string): ReadStore {
  return {
    key,
    reading: undefined,
    standing: 'unknown',
    fault: undefined,
    found: undefined,
    answeredAt: undefined,
    lookAgainAt: undefined,
    notBefore: 0,
    timesBehind: 0,
    timesLying: 0,
    timesFailed: 0,
  };
}

/** Say how a store stands. */
export function reportOf(store: ReadStore): StandingReport {
  const { key, standing, found, timesBehind, timesLying, timesFailed } = store;
  return {
    key,
    standing,
    sequence: found?.sequence,
    fault: store.fault,
    timesBehind,
    timesLying,
    timesFailed,
  };
}

/** Name what an invalid file says of the store that gave it. @impl DI-035~2 */
export function standingOf(code: ErrorCode): 'behind' | 'lying' | 'foreign' | 'unusable' {
  switch (code) {
    case ErrorCode.RECORD_ROLLBACK:
      return 'behind';
    case ErrorCode.NOT_A_RECIPIENT:
      return 'foreign';
    case ErrorCode.VERSION_UNSUPPORTED:
      return 'unusable';
    default:
      return 'lying';
  }
}

/** What a person is told of a store. */
export interface StandingView {
  /** One of `Standing`; another is said as it is. */
  readonly standing: string;
  readonly sequence: number;
  /** Why; empty when nothing is wrong. */
  readonly detail: string;
}

/** Say in one line, for a person, how a store stands. `name` is its address without credentials. @impl DI-038~1 */
export function describeStanding(name: string, { standing, sequence, detail }: StandingView): string {
  // A failure names its store; once is enough.
  const cause = detail.startsWith(`${name}: `) ? detail.slice(name.length + 2) : detail;
  const why = cause === '' ? '' : ` (${cause})`;
  const says: Readonly<Record<Standing, string>> = {
    unknown: 'not read yet',
    current: `current, record ${sequence}`,
    behind: `behind${why}; a newer file may be on its way`,
    stale: `stale, still at record ${sequence} after a second look; it is frozen or lies`,
    lying: `what lies there is not the host's file${why}`,
    foreign: 'its file is not for this device; it is old, or the device was revoked',
    unusable: `needs a newer version of this program${why}`,
    absent: 'answers, and nothing lies there',
    failing: `no use now${why}`,
  };
  return `${name}: ${says[standing as Standing] ?? `${standing}${why}`}`;
}
