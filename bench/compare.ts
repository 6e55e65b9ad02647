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

/** What does not count, until what is compiled while it runs is compiled: so long, and so many turns. */
const WARM_MS = 2000;
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
  const turn = async (): Promise<readonly [number, number]> => [
    (await cpuUs(times(count), ours)) / scale,
    theirs === undefined ? 0 : (await cpuUs(times(theirCount), theirs)) / scale,
  ];
  const warmUntil = performance.now() + WARM_MS * effort;
  for (let warm = 0; warm < WARM_ROUNDS || performance.now() < warmUntil; warm += 1) await turn();
  for (let round = 0; round < rounds; round += 1) {
    const [a, b] = await turn();
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
