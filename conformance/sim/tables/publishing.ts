/** What a host does with one of its stores (spec/07-discovery.md, 7.3). */
import {
  type Publication,
  type PublishInput,
  type Publishing,
  type PublishOutput,
  publishDeadline,
  publishing,
  stepPublishing,
} from '../../../src/discovery/publishing.ts';
import { storeFailed } from '../../../src/discovery/store.ts';
import type { Opened, Verdict } from '../../../src/discovery/verdict.ts';
import { ErrorCode } from '../../../src/gen/clawchat/v1/error_pb.ts';
import { STANDARD } from '../../../src/gen/constants.ts';
import { fault } from '../../../src/protocol/fault.ts';
import { NOW_MS } from '../../../src/protocol/fixtures.ts';
import { grid, stateCell } from './grid.ts';

const PATIENCE_MS = 60_000;
const entropy = 0.5;

/** One sealing of one record. */
function publication(sequence: number, payload = sequence, sealing = 0): Publication {
  const record = { sequence, hash: new Uint8Array(32).fill(payload) };
  return { record, bytes: Uint8Array.of(sequence, payload, sealing) };
}

const found = ({ record, bytes }: Publication): Verdict<Opened> => ({ kind: 'record', record, bytes });
const down = storeFailed('unreachable', 'no connection');
const patience = storeFailed('busy', 'later', PATIENCE_MS);
const broken = { kind: 'invalid', fault: fault('peer', ErrorCode.FILE_MALFORMED, 'no file') } as const;

/** The state of a host with this one store, and the clock. */
class World {
  state: Publishing = publishing([true], STANDARD.STORE_READ_AGAIN_MS);
  at = 0;

  step(input: PublishInput): readonly PublishOutput[] {
    const [state, outputs] = stepPublishing(this.state, input, { wall: NOW_MS + this.at, mono: this.at });
    this.state = state;
    return outputs;
  }

  /** Take these inputs one after the other. */
  do(...inputs: readonly Move[]): this {
    for (const input of inputs) input(this);
    return this;
  }

  get attempt(): number {
    const phase = this.state.stores[0]?.phase;
    return phase !== undefined && 'attempt' in phase ? phase.attempt : -1;
  }

  name(): string {
    const { isOld, current, stores } = this.state;
    const [store] = stores;
    if (isOld || store === undefined) return 'halted';
    switch (store.phase.kind) {
      case 'idle':
        return current === undefined ? 'nothing published' : 'resting';
      case 'writing':
        return 'writing';
      case 'reading':
        if (!store.surveyed) return 'first look';
        return store.failures % 2 === 0 ? 'reading back' : 'reading again';
      case 'waiting':
        if (store.settled) return 'verified';
        if (!store.surveyed) return 'waiting to look';
        return store.notBefore > this.at ? 'told to wait' : `waiting to ${store.phase.next}`;
    }
  }
}

type Move = (world: World) => readonly PublishOutput[];

const publish =
  (what: Publication): Move =>
  world =>
    world.step({ kind: 'publish', publication: what });
const wrote =
  (answer: typeof down | { readonly kind: 'published' }, of = 0): Move =>
  world =>
    world.step({ kind: 'wrote', store: 0, attempt: world.attempt + of, answer, entropy });
const read =
  (verdict: Verdict<Opened>, of = 0): Move =>
  world =>
    world.step({ kind: 'read', store: 0, attempt: world.attempt + of, verdict, entropy });
const due: Move = world => {
  world.at = publishDeadline(world.state) ?? world.at;
  return world.step({ kind: 'wake', entropy });
};
const surveyed: Move = world => world.step({ kind: 'surveyed', store: 0 });

const published = { kind: 'published' } as const;
const written: readonly Move[] = [surveyed, publish(publication(5)), wrote(published)];

const STATES: readonly (readonly [string, () => World])[] = (
  [
    [],
    [publish(publication(5))],
    [publish(publication(5)), read(down)],
    [surveyed, publish(publication(5))],
    written,
    [surveyed, publish(publication(5)), wrote(down)],
    [...written, read(down)],
    [...written, read(found(publication(4))), due],
    [surveyed, publish(publication(5)), wrote(patience)],
    [...written, read(found(publication(5)))],
    [...written, read(found(publication(5))), due, read(found(publication(5)))],
    [...written, read(found(publication(6)))],
  ] as readonly (readonly Move[])[]
).map(moves => [new World().do(...moves).name(), () => new World().do(...moves)]);

const INPUTS: readonly (readonly [string, Move])[] = [
  ['`publish`, a new record', publish(publication(6))],
  ['`publish`, the same record sealed anew', publish(publication(5, 5, 1))],
  ['it was read before the start, and is not ahead', surveyed],
  ['written', wrote(published)],
  ['the write failed', wrote(down)],
  ['the write failed, the store asks for patience', wrote(patience)],
  ['an answer to an attempt given up', world => [...wrote(published, -1)(world), ...read(down, -1)(world)]],
  ['read: the very bytes', read(found(publication(5)))],
  ['read: the record, sealed otherwise', read(found(publication(5, 5, 7)))],
  ['read: a lower sequence', read(found(publication(4)))],
  ['read: the same sequence, another payload', read(found(publication(5, 9)))],
  ['read: a higher sequence', read(found(publication(6)))],
  ['read: nothing lies there', read({ kind: 'absent' })],
  ['read: what lies there is not valid', read(broken)],
  ['the read failed', read(down)],
  ['the deadline of the state', due],
];

function cell(make: () => World, input: Move): string {
  return stateCell(make(), world => input(world).map(word));
}

function word(output: PublishOutput): string {
  switch (output.kind) {
    case 'write':
      return 'writes';
    case 'read':
      return 'reads';
    case 'cancel':
      return 'cancels';
    case 'verified':
      return output.sealed ? 'sealing verified' : 'record verified';
    case 'failed':
      return `failed: ${output.failure.trouble}`;
    case 'older':
      return 'the database is old';
  }
}

/** Make the table. */
export function publishingTable(): string {
  return grid(STATES, INPUTS, cell);
}
