/** A server that is measured, with the processes that load it; and how several are measured in turns (bench/README.md). */
import { setTimeout as sleep } from 'node:timers/promises';
import { Child, type Usage } from './child.ts';
import type { Place } from './host.ts';
import type { Kind } from './links.ts';
import type { Exchanged } from './load.ts';
import type { Settings } from './settings.ts';
import type { Aim, Measured } from './stats.ts';

/** What a server still does when the last message is there: acks, timers. */
const SETTLE_MS = 80;

/** Messages that go to and fro. */
export interface Shape {
  readonly connections: number;
  readonly bytes: number;
  readonly inFlight: number;
  readonly messages: number;
}

function isOurs(kind: Kind): boolean {
  return kind === 'clawchat' || kind === 'unsealed';
}

/** One server with the processes that load it. */
export class Contestant {
  readonly kind: Kind;
  readonly #server: Child;
  readonly #loads: readonly Child[];
  #place: Place = { port: 0, envelope: new Uint8Array(0) };
  #strangers = 0;

  constructor(kind: Kind, { built, hostFlags }: Settings, serverFlags: readonly string[] = []) {
    this.kind = kind;
    const flags = isOurs(kind) ? [...hostFlags, ...serverFlags] : serverFlags;
    this.#server = new Child(`${built}/${isOurs(kind) ? 'host' : 'raw-host'}.js`, kind, flags);
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

  /** Send one message to all, and wait until all have it; gives how many that were. */
  async fanOut(bytes: number): Promise<number> {
    const received = Promise.all(this.#loads.map(load => load.ask<number>('receive', this.kind)));
    const count = await this.#server.ask<number>('fanOut', bytes);
    await received;
    return count;
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
      : isOurs(this.kind)
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

/** Measure in turns all contestants that have connections open. */
export async function inTurns<T>(
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
export function versus(
  about: {
    readonly group: string;
    readonly name: string;
    readonly unit: string;
    readonly aim?: Aim | undefined;
  },
  all: ReadonlyMap<Kind, readonly number[]>,
): readonly Measured[] {
  const { aim, ...rest } = about;
  const [ours = []] = [...all].filter(([kind]) => isOurs(kind)).map(([, values]) => values);
  return [...all]
    .filter(([kind]) => !isOurs(kind))
    .map(([kind, theirs]) => ({
      ...rest,
      ours,
      theirs,
      what: kind,
      // The aims are against plain `ws`.
      ...(kind === 'ws' && aim !== undefined ? { aim } : {}),
    }));
}

/** Start contestants, measure, and end them. */
export async function among(
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
