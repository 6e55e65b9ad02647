/** Ten thousand rotations among crashes, lying stores and wrong clocks, and proof that the simulation can see. */
import { expect, test } from 'vitest';
import { step } from '../../src/protocol/rotation.ts';
import { replayCommand, scenarioOf, simulate } from './rotation.ts';
import { Bench } from './rotation-bench.ts';
import { campaign, report } from './rotation-campaign.ts';

test('RT-100~1, RT-121~1, RT-141~1, RT-155~1: 10,000 rotations keep every promise', () => {
  const result = campaign(10_000, 1, 20, console.log);
  console.log(report(result));
  expect(result.failures).toEqual([]);
  expect([...result.counts].filter(([, count]) => count === 0)).toEqual([]);
  expect(result.rotations).toBeGreaterThanOrEqual(10_000);
});

test('the same seed gives the same run', () => {
  const runs = [1, 2].map(() => simulate(scenarioOf(5, 5)));
  expect(runs[0]).toEqual(runs[1]);
  expect(replayCommand(scenarioOf(6, 5))).toBe(
    'npx tsx conformance/sim/rotation-deep.ts --seed 6 --each 5 --calm',
  );
});

test('RT-130~1: a tick before the deadline changes nothing and says nothing', () => {
  for (let seed = 1; seed <= 20; seed++) {
    const bench = new Bench({ seed, isMapped: seed % 2 === 0 });
    bench.run(1);
    for (let at = 1; at < 9_000_000; at += bench.world.between(1000, 400_000)) {
      bench.run(at);
      const [next, outputs] = step(bench.state, { kind: 'tick' }, bench.host.now);
      expect(outputs).toEqual([]);
      expect({ ...next, clock: undefined }).toEqual({ ...bench.state, clock: undefined });
    }
  }
});
