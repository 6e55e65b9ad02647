/**
 * Runs the simulation of rotations from the command line.
 *
 *   npx tsx conformance/sim/rotation-deep.ts [--rotations N] [--first SEED]             as many runs as make N rotations
 *   npx tsx conformance/sim/rotation-deep.ts --seed S [--each N] [--faults a,b | --calm]   one run again
 */
import { parseArgs } from 'node:util';
import {
  FAULTS,
  type FaultKind,
  replayCommand,
  type Scenario,
  scenarioOf,
  shrink,
  simulate,
} from './rotation.ts';
import { campaign, report } from './rotation-campaign.ts';

const { values } = parseArgs({
  options: {
    rotations: { type: 'string', default: '1000000' },
    first: { type: 'string', default: '1' },
    seed: { type: 'string' },
    each: { type: 'string', default: '20' },
    faults: { type: 'string' },
    calm: { type: 'boolean', default: false },
  },
});

if (values.seed === undefined) {
  const result = campaign(Number(values.rotations), Number(values.first), Number(values.each), console.log);
  console.log(report(result));
  process.exitCode = result.isSound ? 0 : 1;
} else {
  const drawn = scenarioOf(Number(values.seed), Number(values.each));
  const named = values.faults?.split(',');
  const chosen: readonly FaultKind[] = FAULTS.filter(fault => named?.includes(fault));
  const faults = values.calm ? [] : named === undefined ? drawn.faults : chosen;
  const scenario: Scenario = { ...drawn, faults };
  const outcome = simulate(scenario);
  console.log(outcome);
  if (outcome.violation !== undefined) {
    console.log(`smallest: ${replayCommand(shrink(scenario))}`);
    process.exitCode = 1;
  }
}
