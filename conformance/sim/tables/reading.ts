/** What a client does with the answers of its stores (spec/07-discovery.md, 7.4). */
import {
  type ReadInput,
  type Reading,
  type ReadOutput,
  readDeadline,
  reading,
  stepReading,
} from '../../../src/discovery/reading.ts';
import { storeFailed } from '../../../src/discovery/store.ts';
import type { Opened, Verdict } from '../../../src/discovery/verdict.ts';
import { ErrorCode } from '../../../src/gen/clawchat/v1/error_pb.ts';
import { STANDARD } from '../../../src/gen/constants.ts';
import { fault } from '../../../src/protocol/fault.ts';
import { NOW_MS } from '../../../src/protocol/fixtures.ts';
import type { RecordName } from '../../../src/protocol/freshness.ts';
import { grid, stateCell } from './grid.ts';

const TIMES = { readBeforeDialMs: STANDARD.READ_BEFORE_DIAL_MS, readAgainMs: STANDARD.STORE_READ_AGAIN_MS };
const entropy = 0.5;
const FAR = NOW_MS + STANDARD.ROTATION_INTERVAL_MS;

const name = (sequence: number, payload = sequence): RecordName => ({
  sequence,
  hash: new Uint8Array(32).fill(payload),
});
const gives = (sequence: number, payload = sequence, moved = false): Verdict<Opened> => ({
  kind: 'record',
  record: { ...name(sequence, payload), moved },
  bytes: Uint8Array.of(sequence),
});
const invalid = (code: ErrorCode): Verdict<Opened> => ({
  kind: 'invalid',
  fault: fault('peer', code, 'false'),
});
const down = storeFailed('unreachable', 'no connection');

type Move = (world: World) => readonly ReadOutput<Opened>[];

/** A client of two stores. */
class World {
  state: Reading = reading(['first', 'last'], TIMES);
  at = 0;

  step(input: ReadInput<Opened>): readonly ReadOutput<Opened>[] {
    const now = { wall: NOW_MS + this.at, mono: this.at };
    const [state, outputs] = stepReading<Opened>(this.state, input, now);
    this.state = state;
    return outputs;
  }

  do(...moves: readonly Move[]): this {
    for (const move of moves) move(this);
    return this;
  }

  name(): string {
    const { phase, stores, held } = this.state;
    if (phase.kind !== 'searching') return phase.kind;
    const open = stores.filter(store => store.reading !== undefined).length;
    const last = open === 1 ? ', last answer' : '';
    return `searching${last}${held === undefined ? ', no record' : ''}`;
  }
}

const start =
  (nextRotationMs: number, held: RecordName | undefined = name(5)): Move =>
  world =>
    world.step({ kind: 'start', held: held === undefined ? undefined : { ...held, nextRotationMs } });
const startWithNone: Move = world => world.step({ kind: 'start', held: undefined });
/** The answer of a store that is being read; of none when none is. */
const answer =
  (verdict: Verdict<Opened>, of = 0): Move =>
  world => {
    const store = world.state.stores.find(each => each.reading !== undefined);
    const { key = 'first', reading: open } = store ?? {};
    return world.step({ kind: 'answer', key, attempt: (open?.attempt ?? 0) + of, verdict, entropy });
  };
const dialFailed: Move = world => world.step({ kind: 'dialFailed', entropy });
const connected =
  (witness: RecordName | undefined): Move =>
  world =>
    world.step({ kind: 'connected', witness });
const due: Move = world => {
  world.at = readDeadline(world.state) ?? world.at;
  return world.step({ kind: 'wake', entropy });
};

const dialling: readonly Move[] = [start(NOW_MS), answer(gives(5))];
const STATES: readonly (readonly [string, () => World])[] = (
  [
    [],
    [start(NOW_MS)],
    [start(NOW_MS), answer(down)],
    [startWithNone, answer(down)],
    dialling,
    [start(FAR), dialFailed],
    [...dialling, connected(name(5))],
  ] as readonly (readonly Move[])[]
).map(moves => [new World().do(...moves).name(), () => new World().do(...moves)]);

const INPUTS: readonly (readonly [string, Move])[] = [
  ['`start`, R is far', start(FAR)],
  ['`start`, R is near or was', start(NOW_MS)],
  ['`start`, no record yet', startWithNone],
  ['an answer: a higher sequence', answer(gives(6))],
  ['an answer: a succession, whatever its sequence', answer(gives(2, 2, true))],
  ['an answer: the record that is held', answer(gives(5))],
  ['an answer: the same sequence, another payload', answer(gives(5, 9))],
  ['an answer: a lower sequence', answer(gives(4))],
  ['an answer: false', answer(invalid(ErrorCode.FILE_MALFORMED))],
  ['an answer: not for this device', answer(invalid(ErrorCode.NOT_A_RECIPIENT))],
  ['an answer: nothing lies there', answer({ kind: 'absent' })],
  ['an answer: unchanged', answer({ kind: 'unchanged' })],
  ['a failure, or no answer in time', answer(down)],
  ['the answer to a read given up', answer(gives(6), -1)],
  ['the dial failed', dialFailed],
  ['connected, message 2 names the record', connected(name(5))],
  ['connected, message 2 names a higher one', connected(name(6))],
  ['connected, message 2 names none', connected(undefined)],
  ['a record came with a notice', world => world.step({ kind: 'learned', record: name(6) })],
  ['the record names another store', world => world.step({ kind: 'stores', keys: ['first', 'last', 'new'] })],
  ['the record drops a store', world => world.step({ kind: 'stores', keys: ['first'] })],
  ['the network changed, the machine woke', world => world.step({ kind: 'hurry' })],
  ['the deadline of the state', due],
  ['`stop`', world => world.step({ kind: 'stop' })],
];

function cell(make: () => World, input: Move): string {
  return stateCell(make(), world => [...new Set(input(world).map(word))]);
}

function word(output: ReadOutput<Opened>): string {
  switch (output.kind) {
    case 'read':
      return output.unconditional ? 'reads whole' : 'reads';
    case 'cancel':
      return 'cancels';
    case 'accept':
      return `stores record ${output.record.sequence}`;
    case 'dial':
      return `dials by record ${output.record.sequence}`;
    case 'equivocation':
      return 'warns of two payloads';
    case 'stale':
      return 'reports it stale';
    case 'exhausted':
      return 'shows how all stand';
  }
}

/** Make the table. */
export function readingTable(): string {
  return grid(STATES, INPUTS, cell);
}
