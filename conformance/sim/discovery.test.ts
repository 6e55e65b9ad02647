/**
 * A host that moves and its clients, in virtual time, over stores that in turn are down, frozen, lying, slow or late
 * (spec/07-discovery.md). Files are their sequence and a mark of forgery; seals and signatures are tested elsewhere.
 */
import fc from 'fast-check';
import { expect, test } from 'vitest';
import {
  isRecordVerified,
  type PublishInput,
  publishDeadline,
  publishing,
  stepPublishing,
} from '../../src/discovery/publishing.ts';
import { type ReadInput, readDeadline, reading, stepReading } from '../../src/discovery/reading.ts';
import { type PublishAnswer, type StoreAnswer, storeFailed } from '../../src/discovery/store.ts';
import { judge, type Opened } from '../../src/discovery/verdict.ts';
import { ErrorCode } from '../../src/gen/clawchat/v1/error_pb.ts';
import { STANDARD } from '../../src/gen/constants.ts';
import { fault, isFault } from '../../src/protocol/fault.ts';
import type { RecordName } from '../../src/protocol/freshness.ts';

const HOUR_MS = STANDARD.ROTATION_INTERVAL_MS;
const WALL = 1_800_000_000_000;
const DIAL_MS = 40;
const MODES = ['good', 'down', 'frozen', 'forging', 'rolling back', 'slow', 'late', 'refusing'] as const;
type Mode = (typeof MODES)[number];

const hashOf = (sequence: number): Uint8Array => new Uint8Array(32).fill(sequence % 251);
const fileOf = (sequence: number, isForged = false): Uint8Array =>
  Uint8Array.of(isForged ? 1 : 0, sequence >>> 8, sequence & 255);
const sequenceOf = (bytes: Uint8Array): number => (bytes[1] ?? 0) * 256 + (bytes[2] ?? 0);

/** What seals and signatures do: a forged file never opens. */
function open(bytes: Uint8Array): Opened | ReturnType<typeof fault> {
  if (bytes[0] !== 0) return fault('peer', ErrorCode.SIGNATURE_INVALID, 'forged');
  return { sequence: sequenceOf(bytes), hash: hashOf(sequenceOf(bytes)) };
}

/** Things that happen at an instant, in order. */
class World {
  now = 0;
  /** By time, the soonest last; of two with one time the later one first. */
  readonly #queue: { readonly at: number; readonly run: () => void }[] = [];
  at(delayMs: number, run: () => void): void {
    const at = this.now + delayMs;
    let place = this.#queue.length;
    while (place > 0 && (this.#queue[place - 1]?.at ?? 0) <= at) place -= 1;
    this.#queue.splice(place, 0, { at, run });
  }
  runUntil(end: number): void {
    for (;;) {
      const next = this.#queue.at(-1);
      if (next === undefined || next.at > end) break;
      this.#queue.pop();
      this.now = next.at;
      next.run();
    }
    this.now = end;
  }
}

class SimStore {
  mode: Mode = 'good';
  #file: Uint8Array | undefined;
  readonly #history: Uint8Array[] = [];
  #visible: Uint8Array | undefined;
  readonly #world: World;
  constructor(world: World) {
    this.#world = world;
  }
  publish(bytes: Uint8Array, answer: (answer: PublishAnswer) => void): void {
    if (this.mode === 'down' || this.mode === 'refusing') {
      const failure = storeFailed(this.mode === 'down' ? 'unreachable' : 'refused', this.mode);
      this.#world.at(20, () => answer(failure));
      return;
    }
    this.#world.at(this.mode === 'slow' ? 30_000 : 50, () => {
      this.#file = bytes;
      this.#history.push(bytes);
      // A frozen store takes everything and shows nothing of it.
      if (this.mode === 'late') this.#world.at(5000, () => this.#show(bytes));
      else if (this.mode !== 'frozen') this.#show(bytes);
      answer({ kind: 'published' });
    });
  }
  read(answer: (answer: StoreAnswer) => void): void {
    if (this.mode === 'down') this.#world.at(20, () => answer(storeFailed('unreachable', 'down')));
    else this.#world.at(this.mode === 'slow' ? 30_000 : 30, () => answer(this.#answer()));
  }
  #show(bytes: Uint8Array): void {
    if (this.#visible === undefined || sequenceOf(bytes) > sequenceOf(this.#visible)) this.#visible = bytes;
  }
  #answer(): StoreAnswer {
    if (this.mode === 'forging' && this.#file !== undefined)
      return { kind: 'file', bytes: fileOf(sequenceOf(this.#file) + 1000, true), others: [] };
    if (this.mode === 'rolling back' && this.#history[0] !== undefined)
      return { kind: 'file', bytes: this.#history[0], others: [] };
    if (this.#visible === undefined) return { kind: 'absent' };
    return { kind: 'file', bytes: this.#visible, others: [] };
  }
}

/** The host: its publishing machine, driven. */
class SimHost {
  state;
  sequence = 0;
  #wakesAt = -1;
  readonly #stores: readonly SimStore[];
  readonly #world: World;
  readonly #entropy: () => number;
  constructor(world: World, stores: readonly SimStore[], entropy: () => number) {
    this.#world = world;
    this.#stores = stores;
    this.#entropy = entropy;
    this.state = publishing(
      stores.map(() => true),
      STANDARD.STORE_READ_AGAIN_MS,
    );
  }
  publishNext(): void {
    this.sequence += 1;
    const record = { sequence: this.sequence, hash: hashOf(this.sequence) };
    this.#step({ kind: 'publish', publication: { record, bytes: fileOf(this.sequence) } });
  }
  #step(input: PublishInput): void {
    const now = { wall: WALL + this.#world.now, mono: this.#world.now };
    const [state, outputs] = stepPublishing(this.state, input, now);
    this.state = state;
    for (const output of outputs) {
      const store = this.#stores[output.store];
      if (output.kind === 'older') throw new Error('no store can be ahead of this host');
      if (store === undefined || (output.kind !== 'write' && output.kind !== 'read')) continue;
      const { store: index, attempt } = output;
      if (output.kind === 'write') {
        store.publish(output.bytes, answer =>
          this.#step({ kind: 'wrote', store: index, attempt, answer, entropy: this.#entropy() }),
        );
      } else {
        store.read(answer =>
          this.#step({
            kind: 'read',
            store: index,
            attempt,
            verdict: judge(answer, open),
            entropy: this.#entropy(),
          }),
        );
      }
    }
    const deadline = publishDeadline(this.state);
    if (deadline === undefined || deadline === this.#wakesAt) return;
    this.#wakesAt = deadline;
    this.#world.at(Math.max(0, deadline - this.#world.now), () => {
      if ((publishDeadline(this.state) ?? Number.POSITIVE_INFINITY) <= this.#world.now)
        this.#step({ kind: 'wake', entropy: this.#entropy() });
    });
  }
}

/** A client: what is on its disk, and its reading machine, driven. */
class SimClient {
  disk: (RecordName & { readonly nextRotationMs: number }) | undefined;
  state;
  connectedAt: number | undefined;
  readonly accepted: number[] = [];
  readonly stale = new Set<string>();
  #dial = 0;
  #wakesAt = -1;
  readonly #host: SimHost;
  readonly #stores: readonly SimStore[];
  readonly #world: World;
  readonly #entropy: () => number;
  constructor(world: World, host: SimHost, stores: readonly SimStore[], entropy: () => number) {
    this.#world = world;
    this.#host = host;
    this.#stores = stores;
    this.#entropy = entropy;
    const { READ_BEFORE_DIAL_MS, STORE_READ_AGAIN_MS } = STANDARD;
    this.state = reading(
      stores.map((_, index) => String(index)),
      { readBeforeDialMs: READ_BEFORE_DIAL_MS, readAgainMs: STORE_READ_AGAIN_MS },
    );
  }
  start(): void {
    this.connectedAt = undefined;
    this.step({ kind: 'start', held: this.disk });
  }
  step(input: ReadInput<Opened>): void {
    const now = { wall: WALL + this.#world.now, mono: this.#world.now };
    const [state, outputs] = stepReading(this.state, input, now);
    this.state = state;
    for (const output of outputs) {
      switch (output.kind) {
        case 'read': {
          const { key, attempt } = output;
          this.#stores[Number(key)]?.read(answer =>
            this.step({
              kind: 'answer',
              key,
              attempt,
              verdict: judge(answer, open),
              entropy: this.#entropy(),
            }),
          );
          break;
        }
        case 'accept':
          if (isFault(open(output.bytes))) throw new Error('a forged record was accepted');
          this.accepted.push(output.record.sequence);
          this.disk = { ...output.record, nextRotationMs: WALL + output.record.sequence * HOUR_MS };
          break;
        case 'dial':
          this.#startDial(output.record.sequence);
          break;
        case 'stale':
          this.stale.add(output.key);
          break;
        case 'cancel':
        case 'equivocation':
        case 'exhausted':
          break;
      }
    }
    const deadline = readDeadline(this.state);
    if (deadline === undefined || deadline === this.#wakesAt) return;
    this.#wakesAt = deadline;
    this.#world.at(Math.max(0, deadline - this.#world.now), () => {
      if ((readDeadline(this.state) ?? Number.POSITIVE_INFINITY) <= this.#world.now)
        this.step({ kind: 'wake', entropy: this.#entropy() });
    });
  }
  #startDial(sequence: number): void {
    this.#dial += 1;
    const dial = this.#dial;
    this.#world.at(DIAL_MS, () => {
      if (dial !== this.#dial) return;
      if (sequence !== this.#host.sequence) this.step({ kind: 'dialFailed', entropy: this.#entropy() });
      else {
        this.connectedAt = this.#world.now;
        this.step({ kind: 'connected', witness: this.#host.state.witness });
      }
    });
  }
}

/** What a reader sees of these is an old file; the others are current, fail, or are caught lying. */
const LOOKS_OLD: readonly Mode[] = ['frozen', 'rolling back', 'refusing'];

test('a client that knows only its own directory finds the host through 50 rotations, whatever the stores do', () => {
  const counts = new Map<string, number>();
  const count = (what: string): void => void counts.set(what, (counts.get(what) ?? 0) + 1);
  const everyMode = fc.array(fc.constantFrom(...MODES), { minLength: 2, maxLength: 2 });
  const run = fc.tuple(fc.array(everyMode, { minLength: 50, maxLength: 50 }), fc.nat());
  fc.assert(
    fc.property(run, ([plan, seed]) => {
      const world = new World();
      let drawn = seed;
      const entropy = (): number => {
        drawn = (drawn * 1_103_515_245 + 12_345) % 2 ** 31;
        return drawn / 2 ** 31;
      };
      const stores = [0, 1, 2].map(() => new SimStore(world));
      const host = new SimHost(world, stores, entropy);
      host.publishNext();
      const sleeper = new SimClient(world, host, stores, entropy);
      const regular = new SimClient(world, host, stores, entropy);
      sleeper.start();
      world.runUntil(60_000);
      sleeper.step({ kind: 'stop' });
      sleeper.disk ??= { sequence: 1, hash: hashOf(1), nextRotationMs: WALL + HOUR_MS };
      for (const [hour, bad] of plan.entries()) {
        world.runUntil((hour + 1) * HOUR_MS);
        // Each store in turn is the one that behaves: the other two do what they like.
        const goodOne = hour % 3;
        const others = [...bad];
        for (const [index, store] of stores.entries())
          store.mode = index === goodOne ? 'good' : (others.pop() ?? 'down');
        for (const { mode } of stores) count(mode);
        host.publishNext();
        regular.start();
        world.runUntil(world.now + STANDARD.PUBLISH_LEAD_MS);
        expect(isRecordVerified(host.state)).toBe(true);
        expect(regular.connectedAt).toBeDefined();
        count('found within 120 s');
        for (const [index, { mode }] of stores.entries()) {
          const seen = regular.state.stores[index];
          if (!LOOKS_OLD.includes(mode)) expect(regular.stale.has(String(index)), mode).toBe(false);
          if (mode === 'forging')
            expect(seen?.standing === 'lying' || seen?.standing === 'unknown').toBe(true);
          if (regular.stale.has(String(index))) count('unmasked as stale');
        }
        regular.step({ kind: 'stop' });
        regular.stale.clear();
      }
      const before = world.now;
      sleeper.start();
      world.runUntil(before + 120_000);
      expect(sleeper.connectedAt).toBeDefined();
      for (const { accepted } of [sleeper, regular])
        expect(accepted).toEqual([...new Set(accepted)].sort((a, b) => a - b));
      count('slept through 50 rotations');
    }),
    { numRuns: 10 },
  );
  console.log(`discovery: ${[...counts].map(([what, n]) => `${what} ${n}`).join(', ')}`);
  for (const what of [...MODES, 'unmasked as stale', 'slept through 50 rotations'])
    expect(counts.get(what) ?? 0, what).toBeGreaterThan(0);
});

test('when every store is down the client goes on dialling what it has, and connects when the host is still there', () => {
  const world = new World();
  const stores = [0, 1].map(() => new SimStore(world));
  const host = new SimHost(world, stores, () => 0.5);
  host.publishNext();
  for (const store of stores) store.mode = 'down';
  const client = new SimClient(world, host, stores, () => 0.5);
  client.disk = { sequence: 1, hash: hashOf(1), nextRotationMs: WALL };
  client.start();
  world.runUntil(1000);
  expect(client.connectedAt).toBeDefined();
  host.sequence = 2;
  client.start();
  world.runUntil(3_600_000);
  expect(client.connectedAt).toBeUndefined();
  for (const store of stores) store.mode = 'good';
  host.publishNext();
  world.runUntil(3_600_000 + 200_000);
  expect(client.connectedAt).toBeDefined();
  expect(client.accepted).toEqual([3]);
});
