/** What a refusal tells by its time, and what each sort of stranger costs the host (bench/README.md). */
import { setTimeout as sleep } from 'node:timers/promises';
import { Child } from './child.ts';
import type { Place } from './host.ts';
import type { CostRequest, Refused, Stage, TimingRequest } from './refusal-load.ts';
import { type Group, scaled } from './settings.ts';
import { median } from './stats.ts';

const GROUP = 'Refusals';
const TIMES = 250;
const COUNT = 200;
const SETTLE_MS = 60;
const DEVICES = 64;
const STAGES: readonly Stage[] = ['TCP alone', 'HTTP without TLS', 'TLS and a request'];
/** A guess is right half of the time; of so many answers each, by chance alone, rarely more often than this. */
const GUESS_PERCENT_MAX = 54;

/** How often the larger of one of each is of `ours`, ties counting half: 0.5 when time tells nothing (Mann-Whitney). */
function larger(ours: readonly number[], theirs: readonly number[]): number {
  const sorted = [...theirs].sort((a, b) => a - b);
  const below = (value: number, orEqual: boolean): number => {
    let [low, high] = [0, sorted.length];
    while (low < high) {
      const middle = (low + high) >> 1;
      const at = sorted[middle] ?? 0;
      if (at < value || (orEqual && at === value)) low = middle + 1;
      else high = middle;
    }
    return low;
  };
  const sum = ours.reduce((total, value) => total + (below(value, false) + below(value, true)) / 2, 0);
  return sum / (ours.length * theirs.length);
}

export const refusals: Group = {
  name: 'refusals',
  about: 'whether the time of a refusal tells its reason, and what each sort of stranger costs',
  parts: ['refusal-load'],
  measure: async (settings, show) => {
    const host = new Child(`${settings.built}/host.js`, 'host', settings.hostFlags);
    const load = new Child(`${settings.built}/refusal-load.js`, 'strangers');
    try {
      const { port } = await host.ask<Place>('start', DEVICES);
      const times = scaled(settings, TIMES);
      const ask = (): Promise<Record<Refused, number[]>> =>
        load.ask('timings', { port, times } satisfies TimingRequest);
      await ask();
      const rounds: Record<Refused, number[]>[] = [];
      for (let round = 0; round < settings.rounds; round += 1) rounds.push(await ask());
      const medians = (kind: Refused): readonly number[] => rounds.map(each => median(each[kind]));
      const all = (kind: Refused): readonly number[] => rounds.flatMap(each => each[kind]);
      for (const kind of ['unknown handle', 'unknown epoch', 'wrong MAC'] as const) {
        const name = `${kind}: from request to answer`;
        show([
          {
            group: GROUP,
            name,
            unit: 'us',
            ours: medians(kind),
            theirs: medians('plain GET'),
            what: 'plain GET',
          },
        ]);
        const share = larger(all(kind), all('plain GET'));
        show([
          {
            group: GROUP,
            name: `${kind}: guessed right from one answer's time (of ${all(kind).length} each)`,
            unit: '%',
            ours: [100 * Math.max(share, 1 - share)],
            aim: { max: GUESS_PERCENT_MAX, of: 'value' },
          },
        ]);
      }
      const count = scaled(settings, COUNT);
      const costs = new Map<Stage, number[]>(STAGES.map(stage => [stage, []]));
      for (let round = -1; round < settings.rounds; round += 1) {
        for (const stage of STAGES) {
          const before = await host.usage();
          await load.ask('cost', { port, stage, count } satisfies CostRequest);
          await sleep(SETTLE_MS);
          const after = await host.usage();
          if (round >= 0) costs.get(stage)?.push((after.cpuUs - before.cpuUs) / count);
        }
      }
      for (const [stage, ours] of costs) {
        show([{ group: GROUP, name: `a stranger with ${stage}: CPU of the host`, unit: 'us', ours }]);
      }
    } finally {
      await Promise.all([host.end(), load.end()]);
    }
  },
};
