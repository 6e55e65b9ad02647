/** Compares two operations in turns, by the CPU time of this process (bench/README.md). */
import type { PrimitiveRequest } from './primitive-groups.ts';
import type { Aim, Measured } from './stats.ts';

type Operation = () => void | Promise<void>;

/** Microseconds of CPU of one call. */
async function cpuUs(count: number, run: Operation): Promise<number> {
  const before = process.cpuUsage();
  for (let i = 0; i < count; i += 1) {
    const pending = run();
    // Only what has to be waited for is: an await costs more than a small operation.
    if (pending !== undefined) await pending;
  }
  const { user, system } = process.cpuUsage(before);
  return (user + system) / count;
}

/** One row, and how often the operations are repeated for each round. */
export interface Comparison {
  readonly group: string;
  readonly name: string;
  readonly count: number;
  readonly ours: Operation;
  readonly theirs?: Operation;
  /** How often the other one is repeated, when it takes much longer. */
  readonly theirCount?: number;
  readonly what?: string;
  readonly aim?: Aim;
  readonly unit?: 'us' | 'ms';
}

/** Turns that do not count, until what is compiled while it runs is compiled. */
const WARM_ROUNDS = 4;

/** Measure in turns. */
export async function compare(
  { count, theirCount = count, ours, theirs, unit = 'us', ...about }: Comparison,
  { rounds, effort }: PrimitiveRequest,
): Promise<Measured> {
  const mine: number[] = [];
  const other: number[] = [];
  const scale = unit === 'ms' ? 1000 : 1;
  const times = (whole: number): number => Math.max(1, Math.round(whole * effort));
  for (let round = -WARM_ROUNDS; round < rounds; round += 1) {
    const a = (await cpuUs(times(count), ours)) / scale;
    const b = theirs === undefined ? 0 : (await cpuUs(times(theirCount), theirs)) / scale;
    if (round < 0) continue;
    mine.push(a);
    other.push(b);
  }
  const { group, name, what, aim } = about;
  return {
    group,
    name,
    unit,
    ours: mine,
    ...(theirs === undefined ? {} : { theirs: other }),
    ...(what === undefined ? {} : { what }),
    ...(aim === undefined ? {} : { aim }),
  };
}

/** The same for several, one after the other. */
export async function compareAll(
  comparisons: readonly Comparison[],
  request: PrimitiveRequest,
): Promise<readonly Measured[]> {
  const all: Measured[] = [];
  for (const each of comparisons) all.push(await compare(each, request));
  return all;
}
