/**
 * A host that moves behind real stores while each of them in turn is down, frozen, lying or slow; a client that knows only
 * its own directory finds it after each move (spec/07-discovery.md). CONFORMANCE_STORE_ROTATIONS says how often it moves (3).
 */
import { existsSync, mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, expect, it } from 'vitest';
import { emulateMega } from '../../emulators/mega.ts';
import { type Relay, relayTo } from '../../stores/relay.ts';
import { HostWatch } from '../moving-relay.ts';
import { Place } from '../programs.ts';
import { openS3 } from './s3.ts';
import { AUTHORIZATION } from './server.ts';
import { openNginx } from './web.ts';

process.env['CLAWCHAT_PRESET'] = 'minimal';

const ROTATIONS = Math.max(3, Number(process.env['CONFORMANCE_STORE_ROTATIONS'] ?? 3));
const PATIENCE_MS = 90_000;
/** How often a store that is frozen or lies puts its file back. */
const PUT_BACK_MS = 3;
type Mood = 'good' | 'down' | 'slow' | 'frozen' | 'lying' | 'truncated';

/** One store, and how it is made to misbehave. */
interface Store {
  readonly name: string;
  readonly moods: readonly Mood[];
  readonly config: unknown;
  set(mood: Mood): void;
}

const place = new Place();
const closing: (() => Promise<void>)[] = [() => place.clean()];
afterAll(async () => {
  for (const close of closing) await close();
});

/** What lies at `file` instead of what is written there. */
class Liar {
  readonly #file: string;
  #timer: NodeJS.Timeout | undefined;
  constructor(file: string) {
    this.#file = file;
  }
  set(mood: Mood): void {
    clearInterval(this.#timer);
    this.#timer = undefined;
    const bytes = this.#bytes(mood);
    if (bytes !== undefined) this.#timer = setInterval(() => this.#put(bytes), PUT_BACK_MS);
  }
  #bytes(mood: Mood): Uint8Array | undefined {
    if (mood !== 'frozen' && mood !== 'lying' && mood !== 'truncated') return undefined;
    const now = Uint8Array.from(readFileSync(this.#file));
    if (mood === 'truncated') return now.subarray(0, 1000);
    // A byte of the sealed part: who may read it sees that it was altered.
    if (mood === 'lying') now[now.length - 5] = (now.at(-5) ?? 0) ^ 1;
    return now;
  }
  #put(bytes: Uint8Array): void {
    try {
      writeFileSync(this.#file, bytes);
    } catch {
      // It is being replaced just now: the next turn is soon.
    }
  }
}

function behindRelay(relay: Relay, liar?: Liar): (mood: Mood) => void {
  return mood => {
    relay.mode = mood === 'down' ? { kind: 'dead' } : mood === 'slow' ? { kind: 'silent' } : { kind: 'pass' };
    liar?.set(mood);
  };
}

async function openStores(): Promise<readonly Store[]> {
  const nginx = await openNginx();
  const s3 = await openS3();
  const mega = await emulateMega();
  const megaRelay = await relayTo(mega.port);
  mega.publicPort = megaRelay.port;
  closing.push(
    nginx.close,
    s3.close,
    () => megaRelay.close(),
    () => mega.close(),
  );
  s3.renew(1);
  const pin = (bytes: Uint8Array): string => Buffer.from(bytes).toString('hex');
  process.env['CLAWCHAT_MEGA_GATEWAY'] = `https://localhost:${megaRelay.port}/`;
  process.env['CLAWCHAT_MEGA_PIN'] = pin(mega.pin);
  const web = `https://localhost:${nginx.relay.port}/host.claw`;
  const answers = `${mega.email}\n${mega.password}\n\n`;
  const login = await place.ok('clawchatd', ['mega', 'login', '--json', '--data', place.path('A')], answers);
  const headers = { authorization: AUTHORIZATION };
  const folder = place.path('sync');
  mkdirSync(folder);
  const file = `${folder}/host.claw`;
  const local = new Liar(file);
  return [
    {
      name: 'nginx',
      moods: ['down', 'frozen', 'lying', 'slow'],
      config: { kind: 'https', read: web, write: web, pin: pin(nginx.root.pin), headers },
      set: behindRelay(nginx.relay, new Liar(nginx.file)),
    },
    {
      name: 'S3',
      moods: ['frozen', 'lying', 'slow', 'down'],
      config: { kind: 'https', read: s3.read, pin: pin(s3.root.pin), writeFrom: s3.addressFile },
      set: behindRelay(s3.relay, new Liar(s3.file)),
    },
    { name: 'Mega', moods: ['slow', 'down'], config: JSON.parse(login), set: behindRelay(megaRelay) },
    {
      name: 'local',
      moods: ['lying', 'down', 'frozen', 'truncated'],
      config: { kind: 'local', path: file },
      set: mood => {
        local.set('good');
        if (existsSync(`${folder}.away`)) renameSync(`${folder}.away`, folder);
        if (mood === 'down') renameSync(folder, `${folder}.away`);
        else local.set(mood);
      },
    },
  ];
}

it(
  `a client that knows only its directory finds a host through ${ROTATIONS} moves, and never takes an older or a forged record (DI-031, DI-034)`,
  async () => {
    const data = place.path('A');
    const stores = await openStores();
    const list = stores.map(({ config }) => config);
    writeFileSync(`${data}/stores.json`, JSON.stringify(list), { mode: 0o600 });
    const host = await place.host(data);
    const watch = new HostWatch(data);
    closing.unshift(async () => watch.close());
    await place.join(data, place.path('bob'));
    await place.join(data, place.path('sleeper'));
    const seen = new Map<string, number>();
    let held = 0;
    for (let round = 0; round < ROTATIONS; round += 1) {
      const before = await watch.status();
      // One store that other machines read behaves; the others do what they like, each in its turn.
      const good = round % 3;
      for (const [index, store] of stores.entries()) {
        const mood = index === good ? 'good' : (store.moods[round % store.moods.length] ?? 'down');
        store.set(mood);
        seen.set(`${store.name} ${mood}`, (seen.get(`${store.name} ${mood}`) ?? 0) + 1);
      }
      // Every address that the client knows has ended when it looks for the host.
      await expect
        .poll(
          async () => {
            const now = await watch.status();
            return (
              Number(now?.epoch ?? 0) > Number(before?.epoch ?? 0) &&
              now?.places.every(({ port }) => port !== before?.port)
            );
          },
          { timeout: PATIENCE_MS, interval: 20 },
        )
        .toBe(true);
      const ping = await place.run('clawchat', ['ping', '--data', place.path('bob'), '--timeout', '50s']);
      expect(ping.code, `round ${round}: ${ping.stderr}\n${host.stderr()}`).toBe(0);
      const status = JSON.parse(
        await place.ok('clawchat', ['status', '--json', '--data', place.path('bob')]),
      ) as { sequence: number };
      expect(status.sequence).toBeGreaterThan(held);
      held = status.sequence;
    }
    const last = Number((await watch.status())?.sequence ?? 0);
    expect(held).toBeLessThanOrEqual(last);
    // Who slept through all of it: its first record is the only one that it has.
    const slept = await place.run('clawchat', ['ping', '--data', place.path('sleeper'), '--timeout', '50s']);
    expect(slept.code, slept.stderr).toBe(0);
    for (const store of stores) store.set('good');
    console.log([...seen].map(([what, n]) => `${what} ${n}`).join(', '));
    await host.stop();
    await sleep(PUT_BACK_MS);
  },
  ROTATIONS * 60_000 + 120_000,
);
