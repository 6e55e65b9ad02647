/** Ten thousand rotations among crashes, lying stores and wrong clocks, and proof that the simulation can see. */
import { execFileSync } from 'node:child_process';
import { afterEach, describe, expect, test } from 'vitest';
import { step } from '../../src/protocol/rotation.ts';
import type { RotationOutput } from '../../src/protocol/rotation-state.ts';
import { replayCommand, scenarioOf, simulate } from './rotation.ts';
import { Bench } from './rotation-bench.ts';
import { campaign, foundScenarios, report } from './rotation-campaign.ts';
import { Host } from './rotation-host.ts';

test('RT-100~1, RT-121~1, RT-141~1, RT-155~1, RT-156~1: 10,000 rotations keep every promise', () => {
  const result = campaign(10_000, 1, 20, console.log);
  console.log(report(result));
  expect(result.failures).toEqual([]);
  expect([...result.counts].filter(([, count]) => count === 0)).toEqual([]);
  expect(result.rotations).toBeGreaterThanOrEqual(10_000);
}, 900_000);

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

test('what was found once stays mended', () => {
  const all = foundScenarios();
  expect(all.length).toBeGreaterThan(0);
  for (const each of all) expect(simulate(each).violation, each.was).toBeUndefined();
});

/** What a host does wrong, and the promise that it breaks. */
const DEFECTS: readonly (readonly [string, NonNullable<typeof Host.defect>, RegExp])[] = [
  [
    'the old port ends at R',
    (outputs, { places }) =>
      outputs.flatMap((output): RotationOutput[] => {
        if (output.kind !== 'note' || output.note.what !== 'rotated') return [output];
        const old = places.find(({ role }) => role === 'old');
        return old === undefined ? [output] : [output, { kind: 'unlisten', port: old.port }];
      }),
    /RT-100/,
  ],
  [
    'a record leaves before its commit',
    (outputs, { commit }) => {
      const early = commit?.then.find(effect => effect.kind === 'publish');
      return early === undefined ? outputs : [early, ...outputs];
    },
    /before its commit/,
  ],
  [
    'keys outlive an emergency',
    outputs => outputs.filter(({ kind }) => kind !== 'retire'),
    /outlives an emergency/,
  ],
  [
    'nobody is told of a move, and files are not written',
    (outputs, { record }) =>
      outputs.filter(({ kind }) => (kind !== 'publish' && kind !== 'notify') || (record?.sequence ?? 0) < 3),
    /no working store|stranded|outside|lacks sequence/,
  ],
  [
    'nobody inside hears of a record that comes without a move',
    outputs => outputs.filter(output => output.kind !== 'notify' || output.notice.kind !== 'record'),
    /RT-156~1: a client inside lacks sequence/,
  ],
];

describe('a defect on purpose', () => {
  afterEach(() => {
    Host.defect = undefined;
  });

  test.each(DEFECTS)(
    '%s: is found, shrunk, written down with its replay, and gone without it',
    (_, defect, promise) => {
      Host.defect = defect;
      const said: string[] = [];
      const { failures, found, isSound } = campaign(2000, 1, 20, line => said.push(line));
      expect(isSound).toBe(false);
      console.log(said.at(0));
      const [first] = found;
      if (first === undefined) throw new Error('nothing was found');
      expect(first.was).toMatch(promise);
      expect(failures[0]).toContain(
        `again:    npx tsx conformance/sim/rotation-deep.ts --seed ${first.seed}`,
      );
      expect(failures[0]).toContain(`smallest: ${replayCommand(first)}`);
      // What is written down is smaller than what was run, and breaks the same way when it is run again.
      const drawn = scenarioOf(first.seed, 20);
      expect(first.faults.length + first.rotations).toBeLessThan(drawn.faults.length + drawn.rotations);
      const again = JSON.parse(JSON.stringify(first));
      expect(simulate(again).violation).toBeDefined();
      Host.defect = undefined;
      expect(simulate(again).violation).toBeUndefined();
    },
  );

  test('the replay command runs what it says', () => {
    const [each] = foundScenarios();
    if (each === undefined) throw new Error('nothing was found yet');
    const shown = execFileSync('sh', ['-c', replayCommand(each)], { encoding: 'utf8' });
    expect(shown).toContain(`seed: ${each.seed}`);
    expect(shown).toContain('violation: undefined');
  });
});
