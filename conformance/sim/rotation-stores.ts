/** Stores that are slow, down, frozen or lie, and the host's way of writing to them. */
import {
  type PublishInput,
  type Publishing,
  type PublishOutput,
  publishDeadline,
  publishing,
  stepPublishing,
} from '../../src/discovery/publishing.ts';
import { storeFailed } from '../../src/discovery/store.ts';
import type { Opened, Verdict } from '../../src/discovery/verdict.ts';
import type { RecordPlan } from '../../src/protocol/rotation-state.ts';
import type { Host } from './rotation-host.ts';
import { Violation, type World } from './rotation-world.ts';

/** How a store behaves now. A frozen one takes writes and goes on showing what it had; a lying one shows older files. */
export type StoreMood = 'honest' | 'slow' | 'flaky' | 'down' | 'frozen' | 'lying' | 'equivocating';

/** A record as a store holds it. */
export interface Shown extends Opened {
  readonly plan: RecordPlan;
}

const BYTES = new Uint8Array(0);

/** Name a record of this simulation: equal content has an equal hash. */
export function shown(plan: RecordPlan): Shown {
  const hash = new Uint8Array(8);
  new DataView(hash.buffer).setFloat64(0, plan.issuedAtMs * 7 + plan.sequence);
  return { sequence: plan.sequence, hash, plan };
}

/** One store, for one host and its devices. */
export class Store {
  readonly key: string;
  readonly isRemote: boolean;
  mood: StoreMood = 'honest';
  #files: Shown[] = [];
  #frozen: Shown | undefined;

  constructor(key: string, isRemote: boolean) {
    this.key = key;
    this.isRemote = isRemote;
  }

  get isWorking(): boolean {
    return this.mood === 'honest' || this.mood === 'slow';
  }

  get newest(): Shown | undefined {
    return this.#files.at(-1);
  }

  become(mood: StoreMood): void {
    this.mood = mood;
    this.#frozen = this.#files.at(-1);
  }

  delayMs(world: World): number {
    if (this.mood === 'slow') return world.between(500, 8000);
    return world.between(20, 400);
  }

  write(world: World, file: Shown): boolean {
    if (this.mood === 'down' || (this.mood === 'flaky' && world.chance(0.5))) return false;
    this.#files = [...this.#files.slice(-3), file];
    return true;
  }

  /** What a reader gets; the host that reads back gets the same. */
  read(world: World, isHost: boolean): Verdict<Shown> {
    const failed = storeFailed('unreachable', 'down');
    if (this.mood === 'down' || (this.mood === 'flaky' && world.chance(0.5))) return failed;
    const newest = this.newest;
    const oldest = this.#files[0];
    let file = newest;
    if (this.mood === 'frozen') file = this.#frozen;
    if (this.mood === 'lying') file = oldest;
    if (file === undefined) return { kind: 'absent' };
    if (this.mood === 'equivocating' && !isHost) file = { ...file, hash: Uint8Array.of(1, 2, 3) };
    return { kind: 'record', record: file, bytes: BYTES };
  }
}

/** The host's publishing machine and its driver. */
export class Publisher {
  readonly #world: World;
  readonly #host: Host;
  readonly #stores: readonly Store[];
  #state: Publishing;
  #plan: Shown | undefined;
  #timer = 0;

  constructor(world: World, host: Host, stores: readonly Store[]) {
    this.#world = world;
    this.#host = host;
    this.#stores = stores;
    this.#state = this.#fresh();
  }

  get witness(): Publishing['witness'] {
    return this.#state.witness;
  }

  publish(plan: RecordPlan): void {
    this.#plan = shown(plan);
    this.#input({ kind: 'publish', publication: { record: this.#plan, bytes: BYTES } });
  }

  /** The process ended. */
  crashed(): void {
    this.#state = this.#fresh();
    this.#timer += 1;
  }

  #fresh(): Publishing {
    const { STORE_READ_AGAIN_MS } = this.#host.config.constants;
    return publishing(
      this.#stores.map(({ isRemote }) => isRemote),
      STORE_READ_AGAIN_MS,
    );
  }

  #input(input: PublishInput): void {
    const [next, outputs] = stepPublishing(this.#state, input, this.#host.now);
    this.#state = next;
    for (const output of outputs) this.#perform(output);
    this.#arm();
  }

  #arm(): void {
    this.#timer += 1;
    const at = publishDeadline(this.#state);
    if (at === undefined) return;
    const timer = this.#timer;
    const { life } = this.#host;
    this.#world.after(Math.max(0, at - this.#host.now.mono), () => {
      if (timer !== this.#timer || life !== this.#host.life) return;
      if (this.#host.isAsleep) this.#later(30_000, isAlive => isAlive && this.#arm(), life);
      else this.#input({ kind: 'wake', entropy: this.#world.random() });
    });
  }

  /** A machine that sleeps goes on when it wakes; what a dead process had on its way may still arrive. */
  #later(ms: number, run: (isAlive: boolean) => void, life: number = this.#host.life): void {
    this.#world.after(ms, () => {
      if (this.#host.isAsleep) this.#later(30_000, run, life);
      else run(life === this.#host.life);
    });
  }

  #perform(output: PublishOutput): void {
    const world = this.#world;
    const entropy = world.random();
    switch (output.kind) {
      case 'write': {
        const store = this.#stores[output.store];
        const file = this.#plan;
        if (store === undefined || file === undefined) return;
        this.#later(store.delayMs(world), isAlive => {
          const answer = store.write(world, file)
            ? ({ kind: 'published' } as const)
            : storeFailed('unreachable', 'down');
          if (isAlive)
            this.#input({ kind: 'wrote', store: output.store, attempt: output.attempt, answer, entropy });
        });
        return;
      }
      case 'read': {
        const store = this.#stores[output.store];
        if (store === undefined) return;
        this.#later(store.delayMs(world), isAlive => {
          if (!isAlive) return;
          const verdict = store.read(world, true);
          this.#input({ kind: 'read', store: output.store, attempt: output.attempt, verdict, entropy });
        });
        return;
      }
      case 'verified':
        if (output.counts) this.#host.input({ kind: 'verified', sequence: output.record.sequence });
        return;
      case 'older':
        throw new Violation(
          `a store holds sequence ${output.found.sequence}, which this host did not publish last`,
        );
      case 'cancel':
      case 'failed':
        return;
    }
  }
}
