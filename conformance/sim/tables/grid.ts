/** A table of states and inputs in Markdown, and what all such tables need (spec/00-terms.md). */
import { native } from '../../../src/node/native.ts';
import { isFault } from '../../../src/protocol/fault.ts';
import { seeded, type TestHost, testHost } from '../../../src/protocol/fixtures.ts';

export const suite: typeof native = seeded(native, 'tables');
export const host: TestHost = testHost(suite, 'tables');

/** What stands for nothing at all. */
export const NOTHING = '·';

/** One row for each input, one column for each state; `cell` drives the machine. */
export function grid<State, Input>(
  states: readonly (readonly [string, State])[],
  inputs: readonly (readonly [string, Input])[],
  cell: (state: State, input: Input) => string,
): string {
  return [
    `| | ${states.map(([name]) => name).join(' | ')} |`,
    `|---|${states.map(() => '---|').join('')}`,
    ...inputs.map(
      ([name, input]) => `| ${name} | ${states.map(([, state]) => cell(state, input)).join(' | ')} |`,
    ),
  ].join('\n');
}

/** A cell: the state that is reached when it is another one, then what is done. */
export function cellOf(before: string, after: string, done: readonly string[]): string {
  const next = after === before ? [] : [`**${after}**`];
  return [...next, ...done].join(', ') || NOTHING;
}

/** A machine whose state is data. */
export interface StateWorld {
  readonly state: unknown;
  /** What its state is called. */
  name(): string;
}

/** The cell of one: `input` gives words for its outputs; a change that has no other sign is noted. */
export function stateCell<World extends StateWorld>(
  world: World,
  input: (world: World) => readonly string[],
): string {
  const { state } = world;
  const before = world.name();
  const words = input(world);
  const isSame = JSON.stringify(state) === JSON.stringify(world.state);
  const isNoted = words.length === 0 && world.name() === before && !isSame;
  return cellOf(before, world.name(), isNoted ? ['noted'] : words);
}

/** The cell of a path: who says Close, or cuts, has ended it; `unexpected` is the most frequent of the ends. */
export function pathCell(before: string, after: string, done: readonly string[]): string {
  const isSaid = after === 'ended' && done.some(word => /^(Close|cuts|closes)/.test(word));
  return cellOf(isSaid ? after : before, after, done).replaceAll('Close{`FRAME_UNEXPECTED`}', 'unexpected');
}

/** The one text that all of these are. */
export function same(cells: readonly string[]): string {
  const [first = NOTHING, ...others] = new Set(cells);
  if (others.length > 0) throw new Error(`one row, but: ${[first, ...others].join(' | ')}`);
  return first;
}

/** The value, which is no fault. */
export function must<T>(value: T): Exclude<T, { kind: 'fault' }> {
  if (isFault(value)) throw new Error(value.detail);
  return value as Exclude<T, { kind: 'fault' }>;
}
