/** The seeded simulation of rotations: hosts, stores and devices, and everything that can go wrong between them. */
import { STANDARD } from '../../src/gen/constants.ts';
import type { Note } from '../../src/protocol/rotation-state.ts';
import { Client } from './rotation-client.ts';
import { Host } from './rotation-host.ts';
import { Publisher, Store, type StoreMood } from './rotation-stores.ts';
import { Violation, World } from './rotation-world.ts';

const MINUTE = 60_000;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;

/** What can be switched on. A run without any is calm, and then more is promised. */
export const FAULTS = [
  'stores',
  'loss',
  'cuts',
  'crash',
  'down',
  'host sleep',
  'client sleep',
  'clock step',
  'clock off',
  'bind',
  'map',
  'commit',
  'emergency',
  'rotate now',
  'change',
] as const;
export type FaultKind = (typeof FAULTS)[number];

/** What has to happen at least once in a run that is worth anything. */
export const SOMETIMES = [
  'a frame in flight at the edge',
  'a client missed two rotations',
  'a laptop sleeps through three rotations',
  'a host sleeps through three rotations',
  'a hold during migration',
  'a hold takes back a planned move',
  'an emergency inside a rotation',
  'an emergency during an emergency',
  'a hard emergency',
  'an equivocating store',
  'a store gives an older file',
  'a rebind after a crash',
  'a port is lost in a crash',
  'a crash while preparing',
  'a crash while publishing',
  'a crash while verified',
  'a crash in the grace',
  'a crash in an emergency',
  'a commit is durable and never confirmed',
  'a commit fails',
  'a port is refused',
  'no port at all',
  'a mapping is refused',
  'no store is verified in time',
  'a clock goes back',
  'a clock goes forward',
  'a host begins in 1970',
  'a clock unfit for rotation',
  'a host was down for a day',
  'a rotation on demand',
  'a notice for whoever attaches late',
  'a move fails and is tried again',
  'a listener ends during a handshake',
  'another record without a move',
] as const;

/** One run, as a line on the command line says it. */
export interface Scenario {
  readonly seed: number;
  /** Each host rotates this often. */
  readonly rotations: number;
  readonly faults: readonly FaultKind[];
}

/** What came of a run. */
export interface Outcome {
  readonly scenario: Scenario;
  readonly rotations: number;
  readonly moves: number;
  readonly messages: number;
  readonly events: number;
  readonly worstStrandedMs: number;
  readonly counts: ReadonlyMap<string, number>;
  readonly violation: string | undefined;
}

/** Longer than this nobody may be cut off who is awake, has a network, and for whom one store holds the newest record. */
const STRANDED_MS_MAX = 10 * MINUTE;
/** Longer than this nobody inside may lack the newest record. */
const BEHIND_MS_MAX = 2 * MINUTE;
/** Longer than this a working store may not lack the newest record. */
const UNPUBLISHED_MS_MAX = 5 * MINUTE;

/** Choose what goes wrong in the run of a seed: one in six is calm. */
export function scenarioOf(seed: number, rotations = 20): Scenario {
  const world = new World(seed * 7919 + 13);
  const faults = seed % 6 === 0 ? [] : FAULTS.filter(() => world.chance(0.4));
  return { seed, rotations, faults };
}

/** Write the command that repeats a run. */
export function replayCommand({ seed, rotations, faults }: Scenario): string {
  const only = faults.length === 0 ? '--calm' : `--faults '${faults.join(',')}'`;
  return `npx tsx conformance/sim/rotation-deep.ts --seed ${seed} --each ${rotations} ${only}`;
}

/** Run one scenario. */
export function simulate(scenario: Scenario): Outcome {
  const run = new Run(scenario);
  let violation: string | undefined;
  try {
    run.go();
  } catch (error) {
    if (!(error instanceof Violation)) throw error;
    violation = `${error.message} (at ${run.world.now} ms)`;
  }
  return { scenario, ...run.outcome, violation };
}

/** Leave out kinds of fault, then rotations, as long as the run still fails. */
export function shrink(failing: Scenario): Scenario {
  let least = failing;
  const fails = (scenario: Scenario): boolean => simulate(scenario).violation !== undefined;
  for (let isSmaller = true; isSmaller; ) {
    isSmaller = false;
    for (const fault of least.faults) {
      const without = { ...least, faults: least.faults.filter(other => other !== fault) };
      if (!fails(without)) continue;
      least = without;
      isSmaller = true;
      break;
    }
    const fewer = { ...least, rotations: Math.max(1, Math.floor(least.rotations / 2)) };
    if (!isSmaller && fewer.rotations < least.rotations && fails(fewer)) {
      least = fewer;
      isSmaller = true;
    }
  }
  return least;
}

/** A machine's ports are shared by every host on it. */
interface Machine {
  readonly taken: Map<number, Host>;
}

/** One host with its stores and devices. */
interface House {
  readonly host: Host;
  readonly publisher: Publisher;
  readonly stores: readonly Store[];
  readonly clients: readonly Client[];
  readonly rarely: { bind: boolean; map: boolean; commit: boolean };
  clockOffsetMs: number;
  goodSince: number[];
  currentSince: number[];
  publishedSince: number;
  isMigrating: boolean;
}

class Run {
  readonly world: World;
  readonly #scenario: Scenario;
  readonly #counts = new Map<string, number>();
  readonly #houses: House[] = [];
  readonly #intervalMs: number;
  #worstStrandedMs = 0;

  constructor(scenario: Scenario) {
    this.#scenario = scenario;
    this.world = new World(scenario.seed);
    const machine: Machine = { taken: new Map() };
    this.#intervalMs = this.world.pick([900_000, HOUR, HOUR, HOUR, 3 * HOUR]);
    const hosts = this.world.chance(0.25) ? 2 : 1;
    for (let i = 0; i < hosts; i++) this.#houses.push(this.#build(machine));
  }

  get outcome(): Omit<Outcome, 'scenario' | 'violation'> {
    const clients = this.#houses.flatMap(house => house.clients);
    const sum = (numbers: readonly number[]): number => numbers.reduce((a, b) => a + b, 0);
    return {
      rotations: sum(this.#houses.map(({ host }) => host.rotations)),
      moves: sum(clients.map(({ moves }) => moves)),
      messages: sum(clients.map(({ stored, through }) => stored + through)),
      events: this.world.events,
      worstStrandedMs: this.#worstStrandedMs,
      counts: this.#counts,
    };
  }

  go(): void {
    const { world } = this;
    for (const house of this.#houses) {
      house.host.start();
      for (const client of house.clients) world.after(world.between(5000, 30_000), () => client.connect());
      this.#disturb(house);
      for (const client of house.clients) this.#chat(client);
      this.#watch(house);
    }
    const { rotations } = this.#scenario;
    const limit = rotations * 1.7 * this.#intervalMs + 6 * HOUR;
    while (world.now < limit && this.#houses.some(({ host }) => host.rotations < rotations)) {
      world.run(world.now + 10 * MINUTE);
    }
    this.#calm = true;
    for (const house of this.#houses) this.#repair(house);
    world.run(world.now + HOUR);
    // What is under way at the last instant proves nothing: nobody says more, and all of it has to arrive.
    for (const { clients } of this.#houses) for (const client of clients) client.isQuiet = true;
    world.run(world.now + 5 * MINUTE);
    for (const house of this.#houses) this.#judge(house);
  }

  #calm = false;

  #sometimes(what: (typeof SOMETIMES)[number]): void {
    this.#counts.set(what, (this.#counts.get(what) ?? 0) + 1);
  }

  #has(fault: FaultKind): boolean {
    return this.#scenario.faults.includes(fault);
  }

  #build(machine: Machine): House {
    const { world } = this;
    const rarely = { bind: false, map: false, commit: false };
    const isCalm = this.#scenario.faults.length === 0;
    const isIn1970 = this.#has('clock off') && world.chance(0.2);
    if (isIn1970) this.#sometimes('a host begins in 1970');
    const stores = [new Store('a', true)];
    if (!isCalm || world.chance(0.5)) stores.push(new Store('b', true));
    if (world.chance(0.3)) stores.push(new Store('local', false));
    const host: Host = new Host(
      world,
      STANDARD,
      {
        delayMs: what => (what === 'commit' ? world.between(1, 30) : world.between(0, 60)),
        canCommit: () => !rarely.commit || world.chance(0.5),
        canBind: port => {
          const owner = machine.taken.get(port);
          const isFree = owner === undefined || owner === host || !owner.listeners.has(port);
          const can = isFree && (!rarely.bind || world.chance(0.3));
          if (can) machine.taken.set(port, host);
          return can;
        },
        map: () => (rarely.map ? world.pick(['refused', 'taken', 'silent', 'mapped'] as const) : 'mapped'),
        clockOffsetMs: () => (world.chance(0.1) ? undefined : house.clockOffsetMs),
      },
      {
        publish: record => publisher.publish(record),
        notify: notice => {
          if (notice.kind === 'hold' && house.isMigrating) this.#sometimes('a hold during migration');
          if (notice.kind !== 'record') house.isMigrating = notice.kind === 'move';
          if (this.#has('crash') && !this.#calm && world.chance(0.1))
            world.after(world.between(0, 700), () => this.#crash(house, false));
          for (const client of clients) client.told(notice);
        },
        closed: port => {
          for (const client of clients) client.endPathsOf(port);
        },
        note: note => this.#noted(house, note),
        crashed: () => {
          publisher.crashed();
          if (host.isUnconfirmed) this.#sometimes('a commit is durable and never confirmed');
          host.isUnconfirmed = false;
          for (const client of clients) client.endPathsOf(undefined);
        },
      },
      {
        isMapped: world.chance(0.5),
        rate: 1 + (world.random() - 0.5) * 4e-4,
        wallAt: isIn1970 ? world.between(0, 1000) : 1_790_000_000_000,
        intervalMs: this.#intervalMs,
      },
    );
    const publisher = new Publisher(world, host, stores);
    const clients: Client[] = [];
    for (let i = 0; i < 2; i++) {
      const around = {
        lossRate: this.#has('loss') ? 0.15 : 0,
        sometimes: (what: string): void => this.#sometimes(what as (typeof SOMETIMES)[number]),
      };
      const client = new Client(world, host, stores, around);
      client.skewMs = world.between(-STANDARD.SKEW_MS_MAX, STANDARD.SKEW_MS_MAX);
      clients.push(client);
    }
    const house: House = {
      host,
      publisher,
      stores,
      clients,
      rarely,
      clockOffsetMs: isIn1970 ? -1_790_000_000_000 : 0,
      goodSince: clients.map(() => 0),
      currentSince: clients.map(() => 0),
      publishedSince: 0,
      isMigrating: false,
    };
    return house;
  }

  #noted(house: House, note: Note): void {
    switch (note.what) {
      case 'rotated':
        this.#straggle(house);
        return;
      case 'held':
        if (note.why === 'stores') this.#sometimes('no store is verified in time');
        if (note.why === 'no-port') this.#sometimes('no port at all');
        if (note.why === 'mapping') this.#sometimes('a mapping is refused');
        if (note.why === 'clock') this.#sometimes('a clock unfit for rotation');
        return;
      case 'emergency-began':
        if (note.isHard) this.#sometimes('a hard emergency');
        return;
      case 'emergency-folded':
        this.#sometimes('an emergency during an emergency');
        return;
      case 'port-back':
        this.#sometimes('a rebind after a crash');
        return;
      case 'port-lost':
        this.#sometimes('a port is lost in a crash');
        return;
      case 'port-refused':
        this.#sometimes('a port is refused');
        return;
      case 'commit-failed':
        this.#sometimes('a commit fails');
        return;
      default:
        return;
    }
  }

  /** Something goes wrong, again and again, more often around the rows of the table. */
  #disturb(house: House): void {
    const { world } = this;
    const { faults } = this.#scenario;
    if (this.#calm || (faults.length === 0 && !world.chance(1))) return;
    const { host } = house;
    const isRow = host.state !== undefined && host.state.phase !== 'resting';
    world.after(world.between(MINUTE / 4, isRow ? 4 * MINUTE : 45 * MINUTE), () => {
      if (this.#calm) return;
      if (faults.length > 0) this.#strike(house, world.pick(faults));
      else if (world.chance(0.3)) this.#nap(house, world.between(10, 4 * 3600) * 1000);
      this.#disturb(house);
    });
  }

  #strike(house: House, fault: FaultKind): void {
    const { world } = this;
    const { host, rarely } = house;
    switch (fault) {
      case 'stores':
        for (const store of house.stores) {
          const moods: readonly StoreMood[] = [
            'honest',
            'slow',
            'flaky',
            'down',
            'frozen',
            'lying',
            'equivocating',
          ];
          store.become(world.pick(moods));
        }
        world.after(world.between(1, 40) * MINUTE, () => {
          for (const store of house.stores) store.become('honest');
        });
        return;
      case 'loss':
        return;
      case 'cuts':
        for (const client of house.clients) {
          if (!world.chance(0.5)) continue;
          client.hasNetwork = false;
          const isLong = world.chance(0.2);
          world.after(isLong ? world.between(1, 120) * MINUTE : world.between(10, 5000), () => {
            client.hasNetwork = true;
            client.endPath();
          });
        }
        return;
      case 'crash':
      case 'down':
        this.#crash(house, fault === 'down');
        return;
      case 'host sleep':
        this.#hostSleep(house);
        return;
      case 'client sleep':
        this.#nap(house, world.chance(0.3) ? world.between(2, 10) * HOUR : world.between(1, 600) * 1000);
        return;
      case 'clock step': {
        const byMs = world.pick([1, -1]) * world.pick([4000, 6000, 60_000, HOUR, DAY, 400 * DAY]);
        this.#sometimes(byMs > 0 ? 'a clock goes forward' : 'a clock goes back');
        host.stepClock(byMs);
        return;
      }
      case 'clock off':
        if (house.clockOffsetMs < -DAY) {
          // The time server is heard at last.
          host.stepClock(-house.clockOffsetMs);
          house.clockOffsetMs = 0;
        } else {
          house.clockOffsetMs = world.pick([0, 100_000, -100_000, 400_000, -400_000]);
          world.after(world.between(10, 90) * MINUTE, () => {
            house.clockOffsetMs = 0;
          });
        }
        return;
      case 'bind':
      case 'map':
      case 'commit':
        rarely[fault] = true;
        world.after(world.between(1, fault === 'commit' ? 3 : 45) * MINUTE, () => {
          rarely[fault] = false;
        });
        return;
      case 'emergency': {
        if (!host.isUp || !world.chance(0.3)) return;
        const phase = host.state?.phase;
        if (phase === 'preparing' || phase === 'publishing' || phase === 'verified')
          this.#sometimes('an emergency inside a rotation');
        host.input({ kind: 'emergency', isHard: world.chance(0.3) });
        if (world.chance(0.4))
          world.after(world.between(0, 90_000), () =>
            host.input({ kind: 'emergency', isHard: world.chance(0.3) }),
          );
        return;
      }
      case 'rotate now':
        this.#sometimes('a rotation on demand');
        host.input({ kind: 'rotateNow' });
        return;
      case 'change':
        if (!host.isUp || host.state?.phase !== 'resting') return;
        this.#sometimes('another record without a move');
        host.input({ kind: 'changed' });
    }
  }

  #crash(house: House, isLong: boolean): void {
    const { world } = this;
    const { host } = house;
    if (host.state === undefined) return;
    const { phase } = host.state;
    if (phase === 'preparing') this.#sometimes('a crash while preparing');
    if (phase === 'publishing') this.#sometimes('a crash while publishing');
    if (phase === 'verified') this.#sometimes('a crash while verified');
    if (phase === 'grace') this.#sometimes('a crash in the grace');
    if (phase === 'emergency') this.#sometimes('a crash in an emergency');
    // At once, or in the middle of the next things that it does.
    if (world.chance(0.4)) host.crash();
    else host.dieAfter = world.between(1, 6);
    const restart = (): void => {
      if (host.state === undefined) {
        host.wake();
        host.start();
      } else if (host.dieAfter !== undefined) world.after(MINUTE, restart);
    };
    const forMs = isLong
      ? world.chance(0.1)
        ? DAY + world.between(0, DAY)
        : world.between(5, 60) * MINUTE
      : world.between(100, 60_000);
    if (forMs > DAY) this.#sometimes('a host was down for a day');
    world.after(forMs, restart);
  }

  #hostSleep(house: House): void {
    const { world } = this;
    const { host } = house;
    if (host.isAsleep || host.state === undefined) return;
    const interval = host.config.intervalMs;
    const forMs = world.chance(0.08)
      ? world.between(3 * interval, 4 * interval)
      : world.between(1000, 20 * MINUTE);
    if (forMs >= 3 * interval) this.#sometimes('a host sleeps through three rotations');
    host.sleep();
    world.after(45_000, () => {
      if (host.isAsleep) for (const client of house.clients) client.endPathsOf(undefined);
    });
    world.after(forMs, () => host.wake());
  }

  #nap(house: House, forMs: number): void {
    const client = this.world.pick(house.clients);
    if (!client.isAwake) return;
    client.sleep();
    this.world.after(forMs, () => client.wake(forMs));
  }

  /** Somebody comes back in the very moment in which the old port ends. */
  #straggle(house: House): void {
    const client = this.world.pick(house.clients);
    if (this.#calm || !this.#has('client sleep') || !client.isAwake || !this.world.chance(0.3)) return;
    client.sleep();
    const backMs = STANDARD.RETIRE_MS - this.world.between(0, 400);
    this.world.after(backMs, () => client.wake(backMs));
  }

  #chat(client: Client): void {
    const { world } = this;
    world.after(world.between(MINUTE, 20 * MINUTE), () => {
      client.post();
      client.push();
      this.#chat(client);
    });
  }

  /** Look every half minute whether somebody is cut off, or behind, who need not be. */
  #watch(house: House): void {
    const { world } = this;
    world.after(MINUTE / 2, () => {
      this.#look(house);
      this.#watch(house);
    });
  }

  #look(house: House): void {
    const { world } = this;
    const { host, stores, clients } = house;
    const newest = host.state?.record?.sequence;
    const isPublic = host.isUp && newest !== undefined && !house.rarely.commit && !house.rarely.bind;
    const working = stores.filter(store => store.isWorking && (store.isRemote || stores.length === 1));
    const isPublished = working.some(store => store.newest?.sequence === newest);
    if (!isPublic || working.length === 0 || isPublished) house.publishedSince = world.now;
    else if (world.now - house.publishedSince > UNPUBLISHED_MS_MAX && host.state?.commit === undefined)
      throw new Violation(`no working store has sequence ${newest} after ${UNPUBLISHED_MS_MAX} ms`);
    clients.forEach((client, i) => {
      const isGood = isPublic && isPublished && client.canReach;
      if (!isGood || client.isConnected) house.goodSince[i] = world.now;
      const since = Math.max(house.goodSince[i] ?? 0, client.disconnectedAt);
      const strandedMs = client.isConnected ? 0 : world.now - since;
      this.#worstStrandedMs = Math.max(this.#worstStrandedMs, strandedMs);
      const isBehind = isPublic && client.canReach && client.isConnected && client.held?.sequence !== newest;
      if (!isBehind) house.currentSince[i] = world.now;
      const behindMs = world.now - (house.currentSince[i] ?? 0);
      if (behindMs > BEHIND_MS_MAX)
        throw new Violation(`RT-156~1: a client inside lacks sequence ${newest} for ${behindMs} ms`);
      if (strandedMs > STRANDED_MS_MAX) throw new Violation(`a client is stranded for ${strandedMs} ms`);
    });
  }

  /** End every fault. */
  #repair(house: House): void {
    const { host, rarely } = house;
    rarely.bind = false;
    rarely.map = false;
    rarely.commit = false;
    house.clockOffsetMs = 0;
    host.dieAfter = undefined;
    host.wake();
    host.start();
    for (const store of house.stores) store.become('honest');
    for (const client of house.clients) {
      client.hasNetwork = true;
      client.wake(DAY);
    }
  }

  /** Everybody is inside, and every message arrived once and in order. */
  #judge(house: House): void {
    house.clients.forEach((client, i) => {
      if (!client.isConnected) throw new Violation(`client ${i} is outside at the end`);
      if (client.stored !== client.posted)
        throw new Violation(`client ${i}: ${client.posted} posted, ${client.stored} stored`);
      if (client.through !== client.pushed)
        throw new Violation(`client ${i}: ${client.pushed} pushed, ${client.through} received`);
      if (this.#scenario.faults.length === 0 && client.failedDials > 0)
        throw new Violation(
          `RT-155~1: client ${i}, ${client.skewMs} ms off, failed ${client.failedDials} dials`,
        );
    });
  }
}
