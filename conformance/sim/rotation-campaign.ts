/** Many runs of the simulation, added up, with what has to happen sometimes. */
import { readFileSync } from 'node:fs';
import {
  type Outcome,
  replayCommand,
  type Scenario,
  SOMETIMES,
  scenarioOf,
  shrink,
  simulate,
} from './rotation.ts';

/** What many runs came to. */
export interface Campaign {
  readonly rotations: number;
  readonly runs: number;
  readonly moves: number;
  readonly messages: number;
  readonly events: number;
  readonly worstStrandedMs: number;
  readonly counts: ReadonlyMap<string, number>;
  readonly failures: readonly string[];
  /** The smallest scenario of each failure: what goes into `found.json`, and is run ever after. */
  readonly found: readonly Found[];
  /** No promise was broken, and nothing that has to happen sometimes never did. */
  readonly isSound: boolean;
}

/** A scenario that broke a promise once. */
export interface Found extends Scenario {
  readonly was: string;
}

/** Read what was found so far. */
export function foundScenarios(): readonly Found[] {
  return JSON.parse(readFileSync(new URL('found.json', import.meta.url), 'utf8'));
}

/** Run seeds from `first` until there were `rotations`; stop early at the third failure. */
export function campaign(
  rotations: number,
  first: number,
  each: number,
  say: (line: string) => void,
): Campaign {
  const counts = new Map<string, number>(SOMETIMES.map(what => [what, 0]));
  const failures: string[] = [];
  const found: Found[] = [];
  let sum = { rotations: 0, runs: 0, moves: 0, messages: 0, events: 0, worstStrandedMs: 0 };
  for (let seed = first; sum.rotations < rotations && failures.length < 3; seed++) {
    const outcome = simulate(scenarioOf(seed, each));
    sum = add(sum, outcome);
    for (const [what, count] of outcome.counts) counts.set(what, (counts.get(what) ?? 0) + count);
    if (outcome.violation !== undefined) {
      const smallest = shrink(outcome.scenario);
      const lines = [
        `seed ${seed}: ${outcome.violation}`,
        `  again:    ${replayCommand(outcome.scenario)}`,
        `  smallest: ${replayCommand(smallest)}`,
        `  for conformance/sim/found.json: ${JSON.stringify({ ...smallest, was: outcome.violation })}`,
      ];
      found.push({ ...smallest, was: outcome.violation });
      failures.push(lines.join('\n'));
      say(lines.join('\n'));
    }
  }
  const isSound = failures.length === 0 && [...counts.values()].every(count => count > 0);
  return { ...sum, counts, failures, found, isSound };
}

type Sum = Pick<Campaign, 'rotations' | 'runs' | 'moves' | 'messages' | 'events' | 'worstStrandedMs'>;

function add(sum: Sum, outcome: Outcome): Sum {
  return {
    rotations: sum.rotations + outcome.rotations,
    runs: sum.runs + 1,
    moves: sum.moves + outcome.moves,
    messages: sum.messages + outcome.messages,
    events: sum.events + outcome.events,
    worstStrandedMs: Math.max(sum.worstStrandedMs, outcome.worstStrandedMs),
  };
}

/** Print it for a person. */
export function report(result: Campaign): string {
  const { rotations, runs, moves, messages, events, worstStrandedMs } = result;
  const lines = [...result.counts].map(([what, count]) => `  ${String(count).padStart(8)}  ${what}`);
  return [
    `${rotations} rotations in ${runs} runs: ${moves} moves, ${messages} messages, ${events} events, ` +
      `nobody cut off for longer than ${Math.round(worstStrandedMs / 1000)} s`,
    ...lines,
    `${result.failures.length} promises broken`,
  ].join('\n');
}
