/** A device: the real reading and migration machines over a simplified path and session. */
import {
  type ReadInput,
  type Reading,
  type ReadOutput,
  readDeadline,
  reading,
  stepReading,
} from '../../src/discovery/reading.ts';
import { type Migration, stepMigration } from '../../src/protocol/migration.ts';
import type { Now } from '../../src/protocol/now.ts';
import { noticeFor } from '../../src/protocol/rotation-notice.ts';
import type { Notice } from '../../src/protocol/rotation-state.ts';
import type { Host } from './rotation-host.ts';
import { type Shown, type Store, shown } from './rotation-stores.ts';
import { Violation, type World } from './rotation-world.ts';

const PATH_DEAD_MS = 45_000;
const TIMEOUT_MS = 5000;
/** Chance never fails more attempts than this in a row, so that there is a bound for being stranded. */
const LOST_IN_A_ROW_MAX = 3;

interface Path {
  readonly id: number;
  readonly port: number;
  readonly epoch: number;
  readonly life: number;
  readonly latencyMs: number;
  readonly up: { readonly at: number; readonly arrive: () => void }[];
  readonly down: { readonly at: number; readonly arrive: () => void }[];
  isOver: boolean;
  /** Somebody will look again whether the other side can take what is on its way. */
  isWaiting: boolean;
}

/** What a device counts and is told by the simulation around it. */
export interface ClientWorld {
  readonly lossRate: number;
  sometimes(what: string): void;
}

/** One device and what the host knows of its session. */
export class Client {
  readonly world: World;
  readonly host: Host;
  readonly stores: readonly Store[];
  readonly around: ClientWorld;
  skewMs = 0;
  isAwake = true;
  hasNetwork = true;
  held: Shown | undefined;
  path: Path | undefined;
  disconnectedAt = 0;
  failedDials = 0;
  moves = 0;
  /** Posts: numbered by the client, stored by the host once and in order, across every crash. */
  posted = 0;
  stored = 0;
  /** Pushes: the host's history, and up to where the client has it. */
  pushed = 0;
  /** Neither it nor the host to it says anything new. */
  isQuiet = false;
  through = 0;
  #reading: Reading;
  #plan: Migration | undefined;
  /** The path that the host takes frames from and sends on. */
  #fence = 0;
  #older: Path | undefined;
  #dial = 0;
  #paths = 0;
  #readTimer = 0;
  #moveTimer = 0;
  #lost = 0;
  #rotationsWhenLost = 0;

  constructor(world: World, host: Host, stores: readonly Store[], around: ClientWorld) {
    this.world = world;
    this.host = host;
    this.stores = stores;
    this.around = around;
    const { READ_BEFORE_DIAL_MS, STORE_READ_AGAIN_MS } = host.config.constants;
    this.#reading = reading(
      stores.map(({ key }) => key),
      { readBeforeDialMs: READ_BEFORE_DIAL_MS, readAgainMs: STORE_READ_AGAIN_MS },
    );
  }

  get now(): Now {
    return { wall: 1_790_000_000_000 + this.world.now + this.skewMs, mono: this.world.now };
  }

  get isConnected(): boolean {
    return this.path !== undefined;
  }

  get canReach(): boolean {
    return this.isAwake && this.hasNetwork;
  }

  connect(): void {
    const { held } = this;
    this.#dial += 1;
    this.#read({
      kind: 'start',
      held: held && { sequence: held.sequence, hash: held.hash, nextRotationMs: held.plan.nextRotationMs },
    });
  }

  sleep(): void {
    this.isAwake = false;
    this.#read({ kind: 'stop' });
    this.#dial += 1;
    this.#moveTimer += 1;
    const { path } = this;
    this.world.after(PATH_DEAD_MS, () => {
      if (!this.isAwake && path !== undefined) path.isOver = true;
    });
  }

  wake(sleptMs: number): void {
    if (this.isAwake) return;
    this.isAwake = true;
    if (this.path !== undefined && (sleptMs > PATH_DEAD_MS || !this.#isAlive(this.path)))
      this.endPath(this.path);
    else if (this.path === undefined) this.connect();
    else this.#armMove();
  }

  /** The path broke, or was closed. */
  endPath(path: Path | undefined = this.path): void {
    if (path === undefined) return;
    path.isOver = true;
    if (path !== this.path) return;
    this.path = undefined;
    this.disconnectedAt = this.world.now;
    this.#rotationsWhenLost = this.host.rotations;
    this.#plan = stepMigration(this.#plan, { kind: 'ended' }, this.now.mono, this.host.config.constants);
    if (this.isAwake)
      this.world.after(
        this.world.between(1, 100),
        () => this.path === undefined && this.isAwake && this.connect(),
      );
  }

  /** The host closed a listener, died, or fell asleep for too long. */
  endPathsOf(port: number | undefined): void {
    for (const path of [this.path, this.#older]) {
      if (path === undefined || (port !== undefined && path.port !== port)) continue;
      if (this.isAwake && this.hasNetwork) this.endPath(path);
      else {
        path.isOver = true;
        this.#notice(path);
      }
    }
  }

  /** Nothing is heard on a path that is over: a device that is awake sees it in the end, any other when it wakes. */
  #notice(path: Path): void {
    this.world.after(PATH_DEAD_MS, () => {
      if (this.path === path && this.isAwake) this.endPath(path);
    });
  }

  /** A notice arrives on the path. */
  told(notice: Notice): void {
    const { path } = this;
    const { record } = this.host.durable ?? {};
    if (path === undefined || record === undefined) return;
    const entropy = this.world.random();
    this.#send(path, 'down', () => {
      if (notice.sequence !== undefined && record.sequence >= (this.held?.sequence ?? 0)) {
        this.held = shown(record);
        this.#read({ kind: 'learned', record: this.held });
      }
      const [first] = this.held?.plan.ports ?? [];
      const isElsewhere =
        path === this.path && (first?.port !== path.port || this.held?.plan.epoch !== path.epoch);
      const before = this.#plan;
      this.#plan = stepMigration(
        this.#plan,
        { kind: 'notice', notice, isElsewhere, entropy },
        this.now.mono,
        this.host.config.constants,
      );
      if (before !== undefined && notice.kind === 'hold')
        this.around.sometimes('a hold takes back a planned move');
      this.#armMove();
    });
  }

  post(): void {
    if (!this.isAwake || this.isQuiet) return;
    this.posted += 1;
    this.#sendPost(this.posted);
  }

  push(): void {
    if (!this.host.isUp || this.isQuiet) return;
    this.pushed += 1;
    this.#sendPush(this.pushed);
  }

  #sendPost(number: number): void {
    const { path } = this;
    if (path === undefined) return;
    this.#send(path, 'up', () => {
      if (path.id !== this.#fence) {
        this.around.sometimes('a frame in flight at the edge');
        return;
      }
      if (number > this.stored + 1) throw new Violation(`post ${number} leaves a gap behind ${this.stored}`);
      if (number === this.stored + 1) this.stored = number;
    });
  }

  #sendPush(number: number): void {
    const path = this.#fence === this.path?.id ? this.path : this.#older;
    if (path === undefined || path.id !== this.#fence) return;
    this.#send(path, 'down', () => {
      if (number > this.through + 1)
        throw new Violation(`push ${number} leaves a gap behind ${this.through}`);
      if (number === this.through + 1) this.through = number;
    });
  }

  /** What is sent on a path arrives in order, once the other side can take it, or the path is over. */
  #send(path: Path, way: 'up' | 'down', arrive: () => void): void {
    path[way].push({ at: this.world.now + path.latencyMs, arrive });
    this.world.after(path.latencyMs, () => this.#drain(path, way));
  }

  #drain(path: Path, way: 'up' | 'down'): void {
    const queue = path[way];
    if (!this.#isAlive(path)) {
      if (queue.length > 0 && path !== this.path) this.around.sometimes('a frame in flight at the edge');
      queue.length = 0;
      return;
    }
    if (!this.#carries(path)) {
      if (queue.length > 0 && !path.isWaiting) {
        path.isWaiting = true;
        this.world.after(1000, () => {
          path.isWaiting = false;
          this.#drain(path, 'up');
          this.#drain(path, 'down');
        });
      }
      return;
    }
    for (let first = queue[0]; first !== undefined && first.at <= this.world.now; first = queue[0]) {
      queue.shift();
      first.arrive();
    }
  }

  #isAlive(path: Path): boolean {
    return !path.isOver && path.life === this.host.life;
  }

  #carries(path: Path): boolean {
    return this.#isAlive(path) && this.canReach && this.host.isUp;
  }

  #armMove(): void {
    this.#moveTimer += 1;
    const at = this.#plan?.at;
    if (at === undefined || at === Number.POSITIVE_INFINITY) return;
    const timer = this.#moveTimer;
    this.world.after(Math.max(0, at - this.now.mono), () => {
      if (timer !== this.#moveTimer || !this.isAwake || this.path === undefined || this.held === undefined)
        return;
      this.#plan = stepMigration(this.#plan, { kind: 'moving' }, this.now.mono, this.host.config.constants);
      for (let i = 0; i < 3; i++) {
        this.post();
        this.push();
      }
      this.#dialPorts(this.held, true, 0);
    });
  }

  /** Try the ports of a record one after the other: TCP and TLS, the gate, the handshake, Attach. */
  #dialPorts(record: Shown, isMove: boolean, index: number): void {
    if (index === 0) this.#dial += 1;
    const dial = this.#dial;
    const port = record.plan.ports[index]?.port;
    const latencyMs = this.world.between(5, 120);
    const isLost = this.#lost < LOST_IN_A_ROW_MAX && this.world.chance(this.around.lossRate);
    this.#lost = isLost ? this.#lost + 1 : 0;
    const fails = (afterMs: number): void =>
      this.world.after(afterMs, () => {
        if (dial !== this.#dial || !this.isAwake) return;
        if (index + 1 < record.plan.ports.length) this.#dialPorts(record, isMove, index + 1);
        else this.#dialFailed(isMove);
      });
    if (port === undefined || isLost || !this.canReach || this.host.isAsleep) {
      fails(TIMEOUT_MS);
      return;
    }
    const { host } = this;
    this.world.after(latencyMs, () => {
      if (dial !== this.#dial) return;
      if (!host.admits(port, record.plan.epoch)) {
        this.failedDials += 1;
        fails(latencyMs);
        return;
      }
      const { life } = host;
      this.world.after(2 * latencyMs, () => {
        if (dial !== this.#dial) return;
        if (!this.canReach) fails(TIMEOUT_MS);
        else if (life !== host.life || !host.listeners.has(port) || !host.isUp) {
          this.around.sometimes('a listener ends during a handshake');
          fails(latencyMs);
        } else
          this.#attach(
            {
              id: ++this.#paths,
              port,
              epoch: record.plan.epoch,
              life,
              latencyMs,
              up: [],
              down: [],
              isOver: false,
              isWaiting: false,
            },
            isMove,
            dial,
          );
      });
    });
  }

  /** In one step the host fences the older path and reads what it has; the client switches when it hears of it. */
  #attach(path: Path, isMove: boolean, dial: number): void {
    const { host, world } = this;
    this.#older = this.path;
    this.#fence = path.id;
    const { stored } = this;
    const through = this.through;
    const told = host.state && noticeFor(host.state, path, host.now);
    world.after(path.latencyMs, () => {
      if (dial !== this.#dial || !this.#carries(path) || !host.listeners.has(path.port)) {
        // The old path was ended by the attach; whatever comes next begins anew.
        if (this.path !== undefined) this.endPath();
        else if (dial === this.#dial && this.isAwake) this.#dialFailed(false);
        return;
      }
      const older = this.path;
      this.path = path;
      this.#plan = stepMigration(this.#plan, { kind: 'ended' }, this.now.mono, host.config.constants);
      if (older !== undefined) older.isOver = true;
      if (isMove) this.moves += 1;
      else this.#reconnected();
      this.#read({ kind: 'connected', witness: undefined });
      for (let number = stored + 1; number <= this.posted; number++) this.#sendPost(number);
      for (let number = through + 1; number <= this.pushed; number++) this.#sendPush(number);
      if (told !== undefined) {
        if (told.kind !== 'record') this.around.sometimes('a notice for whoever attaches late');
        this.told(told);
      }
    });
  }

  #reconnected(): void {
    if (this.host.rotations - this.#rotationsWhenLost >= 2)
      this.around.sometimes('a client missed two rotations');
    if (this.host.rotations - this.#rotationsWhenLost >= 3)
      this.around.sometimes('a laptop sleeps through three rotations');
  }

  #dialFailed(isMove: boolean): void {
    const entropy = this.world.random();
    if (!isMove) {
      this.#read({ kind: 'dialFailed', entropy });
      return;
    }
    this.around.sometimes('a move fails and is tried again');
    this.#plan = stepMigration(
      this.#plan,
      { kind: 'failed', entropy },
      this.now.mono,
      this.host.config.constants,
    );
    this.#armMove();
  }

  #read(input: ReadInput<Shown>): void {
    const [next, outputs] = stepReading(this.#reading, input, this.now);
    this.#reading = next;
    for (const output of outputs) this.#perform(output);
    this.#armRead();
  }

  #armRead(): void {
    this.#readTimer += 1;
    const at = readDeadline(this.#reading);
    if (at === undefined) return;
    const timer = this.#readTimer;
    this.world.after(Math.max(0, at - this.now.mono), () => {
      if (timer === this.#readTimer && this.isAwake)
        this.#read({ kind: 'wake', entropy: this.world.random() });
    });
  }

  #perform(output: ReadOutput<Shown>): void {
    switch (output.kind) {
      case 'read': {
        const store = this.stores.find(({ key }) => key === output.key);
        if (store === undefined) return;
        this.world.after(store.delayMs(this.world), () => {
          if (!this.isAwake) return;
          const verdict = this.hasNetwork
            ? store.read(this.world, false)
            : ({ kind: 'invalid', fault: NO_NETWORK } as const);
          if (store.mood === 'lying') this.around.sometimes('a store gives an older file');
          const entropy = this.world.random();
          this.#read({ kind: 'answer', key: output.key, attempt: output.attempt, verdict, entropy });
        });
        return;
      }
      case 'accept':
        this.held = output.record;
        return;
      case 'dial':
        if (this.held !== undefined && this.path === undefined) this.#dialPorts(this.held, false, 0);
        return;
      case 'equivocation':
        this.around.sometimes('an equivocating store');
        return;
      case 'stale':
      case 'cancel':
      case 'exhausted':
        return;
    }
  }
}

const NO_NETWORK = { kind: 'fault', by: 'network', code: 13, detail: 'no network' } as const;
