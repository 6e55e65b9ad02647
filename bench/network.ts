/** Measures servers over the network: CPU time of their process for each operation (bench/README.md). */
import { setTimeout as sleep } from 'node:timers/promises';
import { Child, type Usage } from './child.ts';
import type { Place } from './host.ts';
import type { Kind } from './links.ts';
import type { Exchanged } from './load.ts';
import type { Settings } from './main.ts';
import type { Aim, Measured } from './stats.ts';

/** Of a host of a few people, and of the largest. */
const FEW_DEVICES = 64;
const MANY_DEVICES = 4096;
const WARM_ROUNDS = 8;
const WARM_TURNS = 40_000;
/** What a server still does when the last message is there: acks, timers. */
const SETTLE_MS = 80;

/** One server with the processes that load it. */
class Contestant {
  readonly kind: Kind;
  readonly #server: Child;
  readonly #loads: readonly Child[];
  #place: Place = { port: 0, envelope: new Uint8Array(0) };
  #strangers = 0;

  constructor(kind: Kind, { built, hostFlags }: Settings, serverFlags: readonly string[] = []) {
    this.kind = kind;
    const flags = kind === 'clawchat' ? [...hostFlags, ...serverFlags] : serverFlags;
    this.#server = new Child(`${built}/${kind === 'clawchat' ? 'host' : 'raw-host'}.js`, kind, flags);
    this.#loads = [0, 1].map(() => new Child(`${built}/load.js`, `load of ${kind}`));
  }

  /** `devices`: how many the host knows. */
  async start(devices: number): Promise<void> {
    this.#place = await this.#server.ask<Place>('start', devices);
  }

  usage(): Promise<Usage> {
    return this.#server.usage();
  }

  /** Open connections, half of them in each process; one goes into the first. */
  async open(from: number, count: number): Promise<void> {
    const { kind } = this;
    await this.#eachLoad(count, (load, start, share) =>
      load.ask('open', { kind, place: this.#place, from: from + start, count: share }),
    );
  }

  async close(): Promise<void> {
    await Promise.all(this.#loads.map(load => load.ask('close', this.kind)));
  }

  /** Exchange messages; gives microseconds of the server's CPU for each, and what the load saw. */
  async exchange(shape: Shape): Promise<Exchanged & { readonly cpuUs: number }> {
    const before = await this.usage();
    const results: Exchanged[] = [];
    await this.#eachLoad(shape.connections, async (load, _start, share) => {
      const messages = Math.ceil((shape.messages * share) / shape.connections);
      const { bytes, inFlight } = shape;
      results.push(await load.ask<Exchanged>('exchange', { kind: this.kind, bytes, inFlight, messages }));
    });
    await sleep(SETTLE_MS);
    const after = await this.usage();
    const messages = results.reduce((sum, result) => sum + result.messages, 0);
    const elapsedMs = Math.max(...results.map(result => result.elapsedMs));
    return { messages, elapsedMs, p50Us: results[0]?.p50Us, cpuUs: (after.cpuUs - before.cpuUs) / messages };
  }

  /** Send one message to all; microseconds of the server's CPU for each of them. */
  async fanOut(bytes: number, times: number, everyMs: number): Promise<number> {
    const before = await this.usage();
    let count = 0;
    for (let i = 0; i < times; i += 1) {
      const received = Promise.all(this.#loads.map(load => load.ask<number>('receive', this.kind)));
      count += await this.#server.ask<number>('fanOut', bytes);
      await received;
      await sleep(everyMs);
    }
    await sleep(SETTLE_MS);
    const after = await this.usage();
    return (after.cpuUs - before.cpuUs) / count;
  }

  /** Let strangers come; microseconds of the server's CPU for each. */
  async strangers(count: number, isSilent: boolean): Promise<number> {
    const before = await this.usage();
    const [load] = this.#loads;
    const about = { place: this.#place, from: this.#strangers, count, isSilent };
    this.#strangers += count;
    const answers = (await load?.ask<readonly string[]>('strangers', about)) ?? [];
    const expected = isSilent
      ? ''
      : this.kind === 'clawchat'
        ? 'HTTP/1.1 404 Not Found'
        : 'HTTP/1.1 401 Unauthorized';
    if (answers.join() !== expected) throw new Error(`${this.kind} answered strangers: ${answers.join()}`);
    await sleep(SETTLE_MS);
    const after = await this.usage();
    return (after.cpuUs - before.cpuUs) / count;
  }

  /** Let members come and go; microseconds of the server's CPU for each that comes. */
  async members(count: number): Promise<number> {
    const before = await this.usage();
    await this.open(0, count);
    await sleep(SETTLE_MS);
    const after = await this.usage();
    await this.close();
    return (after.cpuUs - before.cpuUs) / count;
  }

  async end(): Promise<void> {
    await Promise.all([this.#server, ...this.#loads].map(child => child.end()));
  }

  async #eachLoad(
    count: number,
    run: (load: Child, start: number, share: number) => Promise<unknown>,
  ): Promise<void> {
    const half = Math.ceil(count / 2);
    const shares = [half, count - half];
    await Promise.all(
      this.#loads.map((load, i) => {
        const share = shares[i] ?? 0;
        return share > 0 ? run(load, i * half, share) : undefined;
      }),
    );
  }
}

/** Messages that go to and fro. */
interface Shape {
  readonly group: string;
  readonly name: string;
  readonly connections: number;
  readonly bytes: number;
  readonly inFlight: number;
  readonly messages: number;
  readonly aim?: Aim;
}

const SMALL = { group: 'Messages to and fro', bytes: 256 };
const SHAPES: readonly Shape[] = [
  {
    ...SMALL,
    name: '256 B, 64 in flight',
    connections: 1,
    inFlight: 64,
    messages: 40_000,
    aim: { max: 0.9, of: 'ratio' },
  },
  { ...SMALL, name: '256 B, one in flight', connections: 1, inFlight: 1, messages: 3000 },
  {
    ...SMALL,
    name: '256 B, 50 connections x 4',
    connections: 50,
    inFlight: 4,
    messages: 30_000,
    aim: { max: 1, of: 'ratio' },
  },
  { ...SMALL, bytes: 16_384, name: '16 KiB, 8 in flight', connections: 1, inFlight: 8, messages: 4000 },
  {
    ...SMALL,
    bytes: 65_536,
    name: '64 KiB, 8 in flight',
    connections: 1,
    inFlight: 8,
    messages: 1500,
    aim: { max: 1.5, of: 'ratio' },
  },
];
const MANY: readonly Shape[] = [10, 100, 1000, 4000].map(connections => ({
  group: 'Sessions at once',
  name: `256 B, one in flight on each of ${connections}`,
  connections,
  bytes: 256,
  inFlight: 1,
  messages: 12_000,
}));
const FAN_OUT_SESSIONS = 1000;

/** Measure in turns all contestants that have connections open. */
async function inTurns<T>(
  contestants: readonly Contestant[],
  rounds: number,
  warm: number,
  measure: (contestant: Contestant) => Promise<T>,
): Promise<Map<Kind, T[]>> {
  const all = new Map<Kind, T[]>(contestants.map(({ kind }) => [kind, []]));
  for (let round = -warm; round < rounds; round += 1) {
    // Who goes first changes, since the machine is warmer for the second.
    const order = round % 2 === 0 ? contestants : [...contestants].reverse();
    for (const contestant of order) {
      const value = await measure(contestant);
      if (round >= 0) all.get(contestant.kind)?.push(value);
    }
  }
  return all;
}

/** Compare ours with each of the others. */
function versus(
  about: {
    readonly group: string;
    readonly name: string;
    readonly unit: string;
    readonly aim?: Aim | undefined;
  },
  all: ReadonlyMap<Kind, readonly number[]>,
): readonly Measured[] {
  const { aim, ...rest } = about;
  const ours = all.get('clawchat') ?? [];
  return [...all]
    .filter(([kind]) => kind !== 'clawchat')
    .map(([kind, theirs]) => ({
      ...rest,
      ours,
      theirs,
      what: kind,
      // The aims are against plain `ws`.
      ...(kind === 'ws' && aim !== undefined ? { aim } : {}),
    }));
}

async function measureShape(
  shape: Shape,
  contestants: readonly Contestant[],
  rounds: number,
): Promise<readonly Measured[]> {
  await Promise.all(contestants.map(each => each.open(0, shape.connections)));
  // Until what is compiled while it runs is compiled.
  for (const each of contestants) await each.exchange({ ...shape, messages: shape.messages * WARM_ROUNDS });
  const all = await inTurns(contestants, rounds, 1, each => each.exchange(shape));
  await Promise.all(contestants.map(each => each.close()));
  const { group, name, aim } = shape;
  const cpu = new Map([...all].map(([kind, results]) => [kind, results.map(({ cpuUs }) => cpuUs)]));
  const rows = [...versus({ group, name: `${name}: CPU`, unit: 'us', aim }, cpu)];
  if (shape.inFlight === 1 && shape.connections === 1) {
    const p50 = new Map([...all].map(([kind, results]) => [kind, results.map(({ p50Us }) => p50Us ?? 0)]));
    rows.push(...versus({ group, name: `${name}: p50`, unit: 'us', aim: { max: 1.6, of: 'ratio' } }, p50));
  }
  return rows;
}

/** Start contestants, measure, and end them. */
async function among(
  asked: Settings,
  kinds: readonly Kind[],
  devices: number,
  measure: (contestants: readonly Contestant[]) => Promise<void>,
): Promise<void> {
  const contestants = kinds.map(kind => new Contestant(kind, asked));
  try {
    for (const each of contestants) await each.start(devices);
    await measure(contestants);
  } finally {
    await Promise.all(contestants.map(each => each.end()));
  }
}

/** Let everything that runs once a turn be compiled. */
async function warmUp(contestants: readonly Contestant[]): Promise<void> {
  for (const each of contestants) {
    await each.open(0, 1);
    await each.exchange({
      group: '',
      name: '',
      connections: 1,
      bytes: 256,
      inFlight: 1,
      messages: WARM_TURNS,
    });
    await each.close();
  }
}

/** How connections begin: of strangers, and of members. */
async function measureConnections(
  contestants: readonly Contestant[],
  rounds: number,
): Promise<readonly Measured[]> {
  const about = { group: 'Connections', unit: 'us' };
  const refused = await inTurns(contestants, rounds, 1, each => each.strangers(48, false));
  const silent = await inTurns(contestants, rounds, 1, each => each.strangers(48, true));
  const member = await inTurns(contestants, rounds, 1, each => each.members(48));
  return [
    ...versus({ ...about, name: 'a stranger: TLS, a token of nobody, refusal' }, refused),
    ...versus({ ...about, name: 'a stranger that leaves behind TLS' }, silent),
    ...versus({ ...about, name: 'a member: TLS, upgrade, handshake, attach' }, member),
  ];
}

async function measureFanOut(
  contestants: readonly Contestant[],
  rounds: number,
): Promise<readonly Measured[]> {
  await Promise.all(contestants.map(each => each.open(0, FAN_OUT_SESSIONS)));
  const one = await inTurns(contestants, rounds, 1, each => each.fanOut(256, 3, SETTLE_MS));
  await Promise.all(contestants.map(each => each.close()));
  const name = `one message to ${FAN_OUT_SESSIONS} sessions: CPU for each`;
  return versus({ group: 'Sessions at once', unit: 'us', name, aim: { max: 1.2, of: 'ratio' } }, one);
}

/** Measure everything that goes over the network but memory. */
export async function measureNetwork(
  asked: Settings,
  show: (measured: readonly Measured[]) => void,
): Promise<void> {
  const { groups, match, rounds, hasPeers } = asked;
  const chosen = (shapes: readonly Shape[]): readonly Shape[] =>
    shapes.filter(({ name }) => name.includes(match));
  const raw: readonly Kind[] = ['clawchat', 'ws'];
  if (groups.has('network')) {
    const kinds: readonly Kind[] = [...raw, 'ws-corked', ...(hasPeers ? (['socket.io'] as const) : [])];
    await among(asked, kinds, FEW_DEVICES, async all => {
      await warmUp(all);
      for (const shape of chosen(SHAPES)) show(await measureShape(shape, all, rounds));
    });
  }
  if (groups.has('connections')) {
    await among(asked, raw, FEW_DEVICES, async all => show(await measureConnections(all, rounds)));
  }
  if (groups.has('fan-out')) {
    await among(asked, raw, MANY_DEVICES, async all => show(await measureFanOut(all, rounds)));
  }
  if (groups.has('sessions')) {
    await among(asked, raw, MANY_DEVICES, async all => {
      for (const shape of chosen(MANY)) show(await measureShape(shape, all, rounds));
    });
  }
}

const IDLE_SESSIONS = 600;

/** Measure what an idle session keeps in memory: each round in fresh processes. */
export async function measureMemory(asked: Settings): Promise<readonly Measured[]> {
  const kibs = new Map<Kind, number[]>([
    ['clawchat', []],
    ['ws', []],
  ]);
  for (let round = 0; round < Math.max(5, asked.rounds); round += 1) {
    for (const [kind, values] of kibs) {
      const contestant = new Contestant(kind, asked, ['--expose-gc']);
      try {
        await contestant.start(1024);
        await contestant.open(0, 100);
        await sleep(200);
        const before = await contestant.usage();
        await contestant.open(128, IDLE_SESSIONS);
        await sleep(500);
        const after = await contestant.usage();
        values.push((after.rssBytes - before.rssBytes) / 1024 / IDLE_SESSIONS);
      } finally {
        await contestant.end();
      }
    }
  }
  const about = { group: 'Sessions at once', name: 'memory of an idle session', unit: 'KiB' };
  return versus({ ...about, aim: { max: 1.15, of: 'ratio' } }, kibs);
}
