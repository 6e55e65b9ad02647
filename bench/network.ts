/** Groups over the network: CPU time of the server's process for each operation (bench/README.md). */
import { setTimeout as sleep } from 'node:timers/promises';
import { ACK_DELAY_MS_MAX } from '../src/gen/constants.ts';
import type { Usage } from './child.ts';
import { among, Contestant, inTurns, type Shape, versus } from './contestant.ts';
import type { Kind } from './links.ts';
import { type Group, type Settings, type Show, scaled } from './settings.ts';
import type { Aim, Measured } from './stats.ts';

/** Devices of a host of a few people, and of the largest. */
const FEW_DEVICES = 64;
const MANY_DEVICES = 4096;
/** Until what is compiled while it runs is compiled. */
const WARM_MS = 5000;
const RAW: readonly Kind[] = ['clawchat', 'ws'];

/** One row of messages. */
interface Exchange extends Shape {
  readonly name: string;
  readonly aim?: Aim;
  /** Of the median time, where there is one. */
  readonly p50Aim?: Aim;
}

/** Of a quick look: fewer messages, and no crowd. */
function chosen(exchanges: readonly Exchange[], settings: Settings): readonly Exchange[] {
  const crowd = settings.effort < 1 ? QUICK_CROWD : Number.POSITIVE_INFINITY;
  return exchanges
    .filter(({ name, connections }) => name.includes(settings.match) && connections <= crowd)
    .map(each => ({ ...each, messages: scaled(settings, each.messages) }));
}
const QUICK_CROWD = 100;

async function measureExchange(
  group: string,
  exchange: Exchange,
  contestants: readonly Contestant[],
  { rounds, effort }: Settings,
): Promise<readonly Measured[]> {
  const { name, aim, p50Aim } = exchange;
  await Promise.all(contestants.map(each => each.open(0, exchange.connections)));
  for (const each of contestants) {
    const until = performance.now() + WARM_MS * effort;
    while (performance.now() < until) await each.exchange(exchange);
  }
  const all = await inTurns(contestants, rounds, 1, each => each.exchange(exchange));
  await Promise.all(contestants.map(each => each.close()));
  const cpu = new Map([...all].map(([kind, results]) => [kind, results.map(({ cpuUs }) => cpuUs)]));
  const rows = [...versus({ group, name: `${name}: CPU`, unit: 'us', aim }, cpu)];
  if (exchange.inFlight === 1 && exchange.connections === 1) {
    const p50 = new Map([...all].map(([kind, results]) => [kind, results.map(({ p50Us }) => p50Us ?? 0)]));
    rows.push(...versus({ group, name: `${name}: p50`, unit: 'us', aim: p50Aim }, p50));
  }
  return rows;
}

const EXCHANGES: readonly Exchange[] = [
  {
    name: '256 B, 64 in flight',
    connections: 1,
    bytes: 256,
    inFlight: 64,
    messages: 150_000,
    aim: { max: 0.9, of: 'ratio' },
  },
  {
    name: '256 B, one in flight',
    connections: 1,
    bytes: 256,
    inFlight: 1,
    messages: 3000,
    p50Aim: { max: 1.6, of: 'ratio' },
  },
  {
    name: '256 B, 50 connections x 4',
    connections: 50,
    bytes: 256,
    inFlight: 4,
    messages: 30_000,
    aim: { max: 1, of: 'ratio' },
  },
  { name: '16 KiB, 8 in flight', connections: 1, bytes: 16_384, inFlight: 8, messages: 2000 },
  {
    name: '64 KiB, 8 in flight',
    connections: 1,
    bytes: 65_536,
    inFlight: 8,
    messages: 800,
    aim: { max: 1.5, of: 'ratio' },
  },
];

export const messages: Group = {
  name: 'messages',
  about: 'messages to and fro: 256 B pipelined, one in flight, 50 connections, 16 and 64 KiB',
  measure: async (settings, show) => {
    const peer: readonly Kind[] = settings.hasPeers ? ['socket.io'] : [];
    const kinds: readonly Kind[] = [...RAW, 'ws-corked', ...peer];
    for (const exchange of chosen(EXCHANGES, settings)) {
      // In processes of its own, so that a row says the same alone and behind others.
      await among(settings, kinds, FEW_DEVICES, async all =>
        show(await measureExchange('Messages to and fro', exchange, all, settings)),
      );
    }
  },
};

/** What of the messages is the cipher: the same rows with one that only copies. */
export const unsealed: Group = {
  name: 'unsealed',
  about: 'the same messages through a cipher that only copies: what the cipher costs',
  measure: async (settings, show) => {
    const kinds: readonly Kind[] = ['unsealed', 'ws'];
    const group = 'Without the cipher';
    for (const { aim: _, p50Aim: __, ...exchange } of chosen(EXCHANGES, settings)) {
      await among(settings, kinds, FEW_DEVICES, async all =>
        show(await measureExchange(group, exchange, all, settings)),
      );
    }
    await among(settings, kinds, MANY_DEVICES, all => measureFanOut(group, undefined, all, settings, show));
  },
};

const COMERS = 48;

export const connections: Group = {
  name: 'connections',
  about: 'how connections begin: strangers that are refused, members',
  measure: (settings, show) =>
    among(settings, RAW, FEW_DEVICES, async all => {
      const { rounds } = settings;
      const about = { group: 'Connections', unit: 'us' };
      const refused = await inTurns(all, rounds, 1, each => each.strangers(COMERS, false));
      show(versus({ ...about, name: 'a stranger: TLS, a token of nobody, refusal' }, refused));
      const silent = await inTurns(all, rounds, 1, each => each.strangers(COMERS, true));
      show(versus({ ...about, name: 'a stranger that leaves behind TLS' }, silent));
      const member = await inTurns(all, rounds, 1, each => each.members(COMERS));
      show(versus({ ...about, name: 'a member: TLS, upgrade, handshake, attach' }, member));
    }),
};

const FAN_OUT_SESSIONS = 1000;
const FAN_OUT_BYTES = 256;
/** From one message to all to the next. */
const FAN_OUT_MS = 80;

/** CPU of each server for one recipient of one message, with everything that comes back for it: microseconds. */
async function fanOutRound(all: readonly Contestant[], times: number): Promise<readonly number[]> {
  const before = await Promise.all(all.map(each => each.usage()));
  const counts = all.map(() => 0);
  for (let i = 0; i < times; i += 1) {
    for (const [index, each] of all.entries()) {
      counts[index] = (counts[index] ?? 0) + (await each.fanOut(FAN_OUT_BYTES));
      await sleep(FAN_OUT_MS);
    }
  }
  // The acks are part of what a message costs, and they take their time.
  await sleep(ACK_DELAY_MS_MAX + FAN_OUT_MS);
  const after = await Promise.all(all.map(each => each.usage()));
  return counts.map((count, i) => ((after[i]?.cpuUs ?? 0) - (before[i]?.cpuUs ?? 0)) / count);
}

async function measureFanOut(
  group: string,
  aim: Aim | undefined,
  all: readonly Contestant[],
  settings: Settings,
  show: Show,
): Promise<void> {
  const count = settings.effort < 1 ? QUICK_CROWD : FAN_OUT_SESSIONS;
  await Promise.all(all.map(each => each.open(0, count)));
  for (const [times, how] of [
    [12, 'six a second'],
    [1, 'one alone'],
  ] as const) {
    const cpu = new Map<Kind, number[]>(all.map(({ kind }) => [kind, []]));
    for (let round = -1; round < settings.rounds; round += 1) {
      const us = await fanOutRound(all, times);
      if (round >= 0) for (const [i, { kind }] of all.entries()) cpu.get(kind)?.push(us[i] ?? Number.NaN);
    }
    const name = `one message to ${count} sessions, ${how}: CPU for each, acks too`;
    show(versus({ group, unit: 'us', name, aim }, cpu));
  }
}

export const fanOut: Group = {
  name: 'fan-out',
  about: 'one message to 1,000 sessions',
  measure: (settings, show) =>
    among(settings, RAW, MANY_DEVICES, all =>
      measureFanOut('Sessions at once', { max: 1.2, of: 'ratio' }, all, settings, show),
    ),
};

const CROWDS: readonly Exchange[] = [10, 100, 1000, 4000].map(count => ({
  name: `256 B, one in flight on each of ${count}`,
  connections: count,
  bytes: 256,
  inFlight: 1,
  messages: 8000,
}));

export const sessions: Group = {
  name: 'sessions',
  about: 'messages on 10, 100, 1,000 and 4,000 sessions',
  measure: (settings, show) =>
    among(settings, RAW, MANY_DEVICES, async all => {
      const cpu: Measured[] = [];
      for (const exchange of chosen(CROWDS, settings)) {
        const rows = await measureExchange('Sessions at once', exchange, all, settings);
        show(rows);
        cpu.push(...rows);
      }
      const [few] = cpu;
      const many = cpu.at(-1);
      if (few === undefined || many === undefined || few === many) return;
      // Linear is 1: as much for a message whatever their number. Caches and timers make raw ws grow, too.
      const growth = (of: (each: Measured) => readonly number[]): readonly number[] =>
        of(many).map((us, i) => us / (of(few)[i] ?? Number.NaN));
      show([
        {
          group: few.group,
          name: 'how much a message grows dearer from the fewest sessions to the most',
          unit: 'x',
          ours: growth(({ ours }) => ours),
          theirs: growth(({ theirs = [] }) => theirs),
          what: 'ws',
          aim: { max: 1.2, of: 'ratio' },
        },
      ]);
    }),
};

/** The host knows this many devices; the difference between the two numbers of sessions is what is measured. */
const IDLE_FIRST = 200;
const IDLE_MORE = 2000;
/** What connections leave behind when they end is collected, and whatever waits for a turn has had one. */
const IDLE_MS = 500;

/** What an idle session keeps: KiB of resident memory, and of it live objects and what they hold outside the heap. */
async function idleKib(kind: Kind, settings: Settings): Promise<readonly [number, number]> {
  const contestant = new Contestant(kind, settings, ['--expose-gc']);
  const [first, more] = settings.effort < 1 ? [QUICK_CROWD, QUICK_CROWD] : [IDLE_FIRST, IDLE_MORE];
  const settled = async (): Promise<Usage> => {
    await sleep(IDLE_MS);
    return contestant.usage();
  };
  try {
    await contestant.start(MANY_DEVICES);
    // Code is compiled, and the room in which handshakes leave garbage is there.
    await contestant.open(0, first);
    await contestant.close();
    await contestant.open(0, first);
    const before = await settled();
    await contestant.open(first, more);
    const after = await settled();
    const kib = (bytes: number): number => bytes / 1024 / more;
    return [kib(after.residentBytes - before.residentBytes), kib(after.liveBytes - before.liveBytes)];
  } finally {
    await contestant.end();
  }
}

export const memory: Group = {
  name: 'memory',
  about: 'what an idle session keeps in memory, each round in fresh processes',
  measure: async (settings, show) => {
    const resident = new Map<Kind, number[]>(RAW.map(kind => [kind, []]));
    const live = new Map<Kind, number[]>(RAW.map(kind => [kind, []]));
    for (let round = 0; round < settings.rounds; round += 1) {
      for (const kind of round % 2 === 0 ? RAW : [...RAW].reverse()) {
        const [rss, heap] = await idleKib(kind, settings);
        resident.get(kind)?.push(rss);
        live.get(kind)?.push(heap);
      }
    }
    const about = { group: 'Sessions at once', unit: 'KiB' };
    const aim: Aim = { max: 1.15, of: 'ratio' };
    show(versus({ ...about, name: 'an idle session: resident memory', aim }, resident));
    show(
      versus({ ...about, name: 'an idle session: live objects, with what they hold outside the heap' }, live),
    );
  },
};
