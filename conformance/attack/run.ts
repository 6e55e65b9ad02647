/** An attack on a real host while members talk inside: calm and attacked by turns, in one run. Threat T-09. */
import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { cpus } from 'node:os';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { openTls, openWebSocket } from '../../bench/links.ts';
import { connect } from '../../src/index.ts';
import { native } from '../../src/node/native.ts';
import { SUBPROTOCOL } from '../../src/protocol/gate.ts';
import { handshakeOf, type JoinedMember, memberOf } from '../system/device-end.ts';
import { logged } from '../system/host-log.ts';
import type { Place } from '../system/programs.ts';
import { upgrade } from '../system/strangers.ts';
import type { Came, Wave } from './attackers.ts';
import { Members } from './members.ts';
import { metrics } from './metrics.ts';

/** How large an attack is. */
export interface AttackOptions {
  /** Windows of each sort. */
  readonly windows: number;
  readonly windowMs: number;
  /** Addresses of attackers. */
  readonly sources: number;
  /** Their connections in a second. */
  readonly rate: number;
}

/** What members saw in one sort of windows. */
export interface Delays {
  readonly messages: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
  readonly worstMs: number;
}

/** What came of an attack. */
export interface AttackReport {
  readonly at: string;
  readonly node: string;
  readonly processors: number;
  readonly sources: number;
  readonly connections: number;
  /** Connections a second that were asked for, and that the attackers came to. */
  readonly rate: number;
  readonly reached: number;
  readonly seconds: number;
  /** First lines of the answers that attackers got. */
  readonly answers: Readonly<Record<string, number>>;
  /** The host's own count of each reason. */
  readonly refused: Readonly<Record<string, number>>;
  readonly accepted: number;
  readonly authenticated: number;
  readonly waiting: number;
  readonly calm: Delays;
  readonly attacked: Delays;
  /** The second's p99 through the first's. */
  readonly p99Ratio: number;
  /** What is wrong with what members have at the end. */
  readonly wrong: readonly string[];
  /** Comings back of a member while others attacked: at an address that the host knows, and at one that it does not. */
  readonly returned: { readonly known: number; readonly unknown: number; readonly unknownTries: number };
  readonly restMiB: number;
  readonly peakMiB: number;
  /** Of the host, for each connection, beyond what it needs in calm. */
  readonly cpuUsPerConnection: number;
}

const MEMBER_EVERY_MS = 40;
/** A handle gets a token back each second. */
const RETURN_EVERY_MS = 1200;
const LOOK_MS = 100;
/** More than the bucket of an address holds. */
const HAMMER = 64;
const SETTLE_MS = 500;
const RETURN_TRIES_MAX = 50;

function delays(ms: readonly number[]): Delays {
  const sorted = [...ms].sort((a, b) => a - b);
  const at = (part: number): number => sorted[Math.floor(part * (sorted.length - 1))] ?? Number.NaN;
  return { messages: ms.length, p50Ms: at(0.5), p99Ms: at(0.99), worstMs: at(1) };
}

/** A child that runs waves. */
class Attackers {
  readonly #child: ChildProcess = fork(fileURLToPath(new URL('attackers.ts', import.meta.url)), {
    execArgv: ['--import', 'tsx'],
  });

  async wave(wave: Wave): Promise<Came> {
    this.#child.send(wave);
    const [came]: Came[] = (await once(this.#child, 'message')) as Came[];
    if (came === undefined) throw new Error('the attackers said nothing');
    return came;
  }

  async end(): Promise<void> {
    const ended = once(this.#child, 'exit');
    this.#child.disconnect();
    await ended;
  }
}

/** Shake hands from an address, once: whether the host let the device in. */
async function enters(member: JoinedMember, port: number, address: string): Promise<boolean> {
  const handshake = handshakeOf(member);
  const tls = openTls(port, address);
  try {
    const broken = once(tls, 'close').then(() => Promise.reject(new Error('cut')));
    broken.catch(() => {});
    tls.on('error', () => {});
    await Promise.race([once(tls, 'secureConnect'), broken]);
    const socket = await Promise.race([openWebSocket(tls, [SUBPROTOCOL, handshake.token]), broken]);
    socket.on('error', () => {});
    const [message2] = (await Promise.race([once(socket, 'message'), broken])) as [Buffer];
    const finished = handshake.finish(message2);
    if (finished.kind !== 'finished') return false;
    socket.send(finished.message3);
    // The host's Hello comes when message 3 was right.
    await Promise.race([once(socket, 'message'), broken]);
    return true;
  } catch {
    return false;
  } finally {
    tls.destroy();
  }
}

/** Run an attack against a host of its own in `place`. */
export async function runAttack(place: Place, options: AttackOptions): Promise<AttackReport> {
  const data = place.path('host');
  const host = await place.host(data, ['--metrics', '127.0.0.1:0']);
  const port = Number(/port (\d+)/.exec(host.lines[0] ?? '')?.[1]);
  const metricsPort = logged(host, 'metrics-open')[0]?.port ?? 0;
  const read = (): Promise<ReadonlyMap<string, number>> => metrics(metricsPort);
  const invite = (): Promise<string> => place.ok('clawchatd', ['invite', '--data', data]);
  for (const name of ['victim', 'road']) await place.join(data, place.path(name), name);
  const [victim, road] = await Promise.all([memberOf(place.path('victim')), memberOf(place.path('road'))]);
  const members = await Members.join(invite);
  const goer = await connect({ invite: await invite(), name: 'goer' });
  await goer.close();
  let identity = goer.identity();
  const replayed = upgrade(handshakeOf(victim).token);
  const { accessKeys } = victim.held.newest?.record ?? { accessKeys: [] };
  const nobody = Buffer.from(native.randomBytes(88));
  nobody.writeBigUInt64BE(BigInt(accessKeys[0]?.epoch ?? 0));
  const unknown = upgrade(nobody.toString('base64url'));

  const attackers = new Attackers();
  const returned = { known: 0, unknown: 0, unknownTries: 0 };
  const windows: { readonly from: number; readonly to: number; readonly isAttack: boolean }[] = [];
  const answers: Record<string, number> = {};
  const rss: number[] = [];
  const cpuSeconds = { calm: 0, attacked: 0 };
  let connections = 0;
  let attackMs = 0;
  let roads = 0;

  /** A member that has left comes back. */
  const comeBack = async (): Promise<void> => {
    const client = await connect({ identity });
    await client.history({ limit: 1 });
    await client.close();
    identity = client.identity();
    returned.known += 1;
  };
  const comeFromAfar = async (): Promise<void> => {
    roads += 1;
    for (let tries = 0; tries < RETURN_TRIES_MAX; tries += 1) {
      returned.unknownTries += 1;
      if (await enters(road, port, `127.150.${roads >> 7}.${1 + (roads & 127)}`)) {
        returned.unknown += 1;
        return;
      }
    }
  };
  const until = async (isOver: () => boolean, each: () => Promise<void>, everyMs: number): Promise<void> => {
    while (!isOver()) {
      await each();
      await sleep(everyMs);
    }
  };

  const startedAt = performance.now();
  members.start(MEMBER_EVERY_MS);
  await sleep(options.windowMs / 2);
  const restMiB = ((await read()).get('process_resident_memory_bytes') ?? 0) / 2 ** 20;
  const { sources, rate, windowMs: ms } = options;
  const perWindow = Math.round((rate * ms) / 1000);
  for (let index = 0; index < 2 * options.windows; index += 1) {
    const isAttack = index % 2 === 1;
    const cpuBefore = (await read()).get('process_cpu_seconds_total') ?? 0;
    const from = performance.now();
    let isOver = false;
    const over = (): boolean => isOver;
    const watching = until(
      over,
      async () => void rss.push(((await read()).get('process_resident_memory_bytes') ?? 0) / 2 ** 20),
      LOOK_MS,
    );
    // Members come and go in both sorts of windows, so that the sorts differ by the attack alone.
    const going = [until(over, comeBack, RETURN_EVERY_MS), until(over, comeFromAfar, RETURN_EVERY_MS)];
    const { known, unknown: afar, unknownTries } = returned;
    if (isAttack) {
      const first = (((index - 1) / 2) * perWindow) % sources;
      const wave = { port, from: first, connections: perWindow, sources, ms };
      const came = await attackers.wave({ ...wave, replayed, unknown, hammer: HAMMER });
      connections += came.connections;
      attackMs += Math.max(ms, came.ms);
      for (const [line, count] of Object.entries(came.answers)) answers[line] = (answers[line] ?? 0) + count;
    } else await sleep(ms);
    // What is left of an attack belongs to it.
    if (isAttack) await sleep(SETTLE_MS);
    windows.push({ from, to: performance.now(), isAttack });
    isOver = true;
    await Promise.all([watching, ...going]);
    // Only what happened under attack is reported.
    if (!isAttack) Object.assign(returned, { known, unknown: afar, unknownTries });
    const cpu = ((await read()).get('process_cpu_seconds_total') ?? 0) - cpuBefore;
    cpuSeconds[isAttack ? 'attacked' : 'calm'] += cpu;
  }
  const wrong = await members.stop();
  await attackers.end();
  let found = await read();
  // Those that are gone are counted when the host has heard of it.
  for (let looks = 0; (found.get('clawchat_strangers') ?? 0) > 0 && looks < 200; looks += 1) {
    await sleep(50);
    found = await read();
  }
  await host.stop();

  const sort = (isAttack: boolean): Delays => {
    const chosen = windows.filter(window => window.isAttack === isAttack);
    const inside = members.taken.filter(({ sentAt }) =>
      chosen.some(({ from, to }) => from <= sentAt && sentAt < to),
    );
    return delays(inside.map(({ ms }) => ms));
  };
  const calm = sort(false);
  const attacked = sort(true);
  const refused = [...found].flatMap(([name, count]) => {
    const reason = /^clawchat_refused_total\{reason="(\w+)"\}$/.exec(name)?.[1];
    return reason === undefined ? [] : [[reason, count] as const];
  });
  return {
    at: new Date().toISOString(),
    node: process.version,
    processors: cpus().length,
    sources: Math.min(sources, perWindow * options.windows),
    connections,
    rate,
    reached: connections / (attackMs / 1000),
    seconds: Math.round((performance.now() - startedAt) / 1000),
    answers,
    refused: Object.fromEntries(refused),
    accepted: found.get('clawchat_connections_accepted_total') ?? 0,
    authenticated: found.get('clawchat_paths_authenticated_total') ?? 0,
    waiting: found.get('clawchat_strangers') ?? 0,
    calm,
    attacked,
    p99Ratio: attacked.p99Ms / calm.p99Ms,
    wrong,
    returned,
    restMiB,
    peakMiB: Math.max(...rss),
    cpuUsPerConnection: ((cpuSeconds.attacked - cpuSeconds.calm) * 1e6) / connections,
  };
}
