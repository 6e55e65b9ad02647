/** An emergency: who holds the old file is left behind, people inside stay, and people outside find the host again. */
import { cpSync, mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { connect } from 'node:tls';
import { afterAll, describe, expect, it } from 'vitest';
import { MINIMAL } from '../../src/gen/constants.ts';
import { native } from '../../src/node/native.ts';
import { openStore } from '../../src/node/store.ts';
import { isFault } from '../../src/protocol/fault.ts';
import { InitiatorHandshake } from '../../src/protocol/handshake.ts';
import type { Member } from '../../src/protocol/join.ts';
import { deviceKeys } from '../../src/protocol/keys.ts';
import { decodeMember, MEMBER_KEY } from '../../src/protocol/storage.ts';
import { logged } from './host-log.ts';
import { HostWatch } from './moving-relay.ts';
import { knock, type Promised } from './outside.ts';
import { PATIENCE_MS, Place, type Running } from './programs.ts';
import { upgrade } from './strangers.ts';

process.env['CLAWCHAT_PRESET'] = 'minimal';

/** A second of the bulk stream of those inside. */
const BULK_BYTES = 500_000;
const BULK_SECONDS = 8;
/** The longest interval: no scheduled move comes between. */
const INTERVAL = `${MINIMAL.ROTATION_INTERVAL_MS_MAX}ms`;

const place = new Place();
afterAll(() => place.clean());

/** One host with a store of its own, a device inside it and one that is away. */
class Scene {
  readonly #name: string;
  readonly watch: HostWatch;

  constructor(name: string) {
    this.#name = name;
    this.watch = new HostWatch(this.path('A'));
  }

  path(...parts: readonly string[]): string {
    return place.path(this.#name, ...parts);
  }

  get store(): string {
    return this.path('store', 'connection.clawchat');
  }

  async start(): Promise<Running> {
    mkdirSync(this.path('store'), { recursive: true });
    const host = await place.host(this.path('A'), ['--store', this.store, '--interval', INTERVAL, '--bench']);
    for (const name of ['inside', 'away', 'asleep', 'thief'])
      await place.join(this.path('A'), this.path(name), name);
    return host;
  }

  /** What a file says, opened with the keys of a device. */
  async inspect(file: Uint8Array): Promise<Promised> {
    writeFileSync(this.path('file'), file);
    const words = ['inspect', this.path('file'), '--json', '--data', this.path('thief')];
    return JSON.parse(await place.ok('clawchat', words));
  }

  /** The old file and the keys of a device, as somebody has them who stole both; and what the file opens. */
  async loot(): Promise<Loot> {
    const file = readFileSync(this.store);
    const promised = await this.inspect(file);
    const copy = this.path('copy');
    cpSync(this.path('thief'), copy, { recursive: true });
    const store = await openStore({ directory: copy, program: 'client', suite: native });
    const member = decodeMember(native, (await store.get(MEMBER_KEY)) ?? new Uint8Array());
    await store.close();
    if (isFault(member) || member.stage !== 'device') throw new Error('no device');
    const port = promised.endpoints[0]?.port;
    if (port === undefined) throw new Error('no endpoint');
    return { file, port, member };
  }
}

interface Loot {
  readonly file: Uint8Array;
  readonly port: number;
  readonly member: Member;
}

/** Whether the gate opens for who has these keys: they dial that port by their old record, with a right message 1. */
async function isAdmitted(port: number, { member }: Loot): Promise<boolean> {
  const { trust, newest } = member.held;
  const [accessKey, channelKey] = [newest?.record.accessKeys[0], newest?.record.channelKeys[0]];
  if (member.stage !== 'device' || accessKey === undefined || channelKey === undefined)
    throw new Error('no record');
  const handshake = InitiatorHandshake.begin({
    suite: native,
    serverId: trust.serverId,
    accessKey,
    responderKey: channelKey.publicKey,
    staticKey: native.x25519Key(member.devicePrivateKey),
    ...deviceKeys(native, member.deviceSecret),
    ephemeral: native.x25519Key(native.randomBytes(32)),
  });
  if (isFault(handshake)) throw new Error(handshake.detail);
  const status = await answerStatus(port, upgrade(handshake.token));
  handshake.destroy();
  expect([101, 404]).toContain(status);
  return status === 101;
}

/** The status of an HTTP answer behind TLS. */
function answerStatus(port: number, request: string): Promise<number> {
  return new Promise((resolve, reject) => {
    const tls = connect({ port, host: '127.0.0.1', rejectUnauthorized: false, servername: '' });
    tls.once('secureConnect', () => tls.write(request));
    tls.once('data', (data: Buffer) => {
      tls.destroy();
      resolve(Number(data.toString('latin1').split(' ')[1]));
    });
    tls.once('error', reject);
  });
}

async function until(what: string, holds: () => boolean | Promise<boolean>): Promise<void> {
  for (const end = Date.now() + PATIENCE_MS; !(await holds()); await sleep(20)) {
    if (Date.now() > end) throw new Error(`never: ${what}`);
  }
}

/** Start those inside: a listener, which owns the session, and a bulk stream over it. */
async function goInside(scene: Scene): Promise<{ readonly listen: Running; readonly bulk: Running }> {
  const data = ['--json', '--data', scene.path('inside')];
  const listen = place.start('clawchat', ['listen', '--log-level', 'info', '--from', '0', ...data]);
  const size = ['--bytes', String(BULK_BYTES * BULK_SECONDS), '--rate', String(BULK_BYTES)];
  const bulk = place.start('clawchat', ['bench-stream', ...size, ...data]);
  await bulk.line(() => true);
  return { listen, bulk };
}

describe('an emergency', () => {
  it('leaves the holder of the old file behind and takes everybody inside along; who was away finds the host by the store (RT-140, RT-141, RT-153)', async () => {
    const scene = new Scene('soft');
    const host = await scene.start();
    const { listen, bulk } = await goInside(scene);
    const loot = await scene.loot();
    expect(await isAdmitted(loot.port, loot)).toBe(true);

    const asked = Date.now();
    await scene.watch.emergency(false);
    await until('an emergency that has ended', () => logged(host, 'emergency-ended').length === 1);
    const ended = logged(host, 'emergency-ended')[0]?.at ?? 0;
    expect(ended - asked).toBeGreaterThanOrEqual(MINIMAL.EMERGENCY_MS);

    // Its listener is gone, and at the new port, should the holder find that, its access key opens nothing.
    await until('an old port that refuses', async () => !(await knock('127.0.0.1', loot.port)).isTaken);
    const fresh = await scene.inspect(readFileSync(scene.store));
    const port = fresh.endpoints[0]?.port ?? 0;
    expect(fresh.endpoints.map(endpoint => endpoint.port)).toEqual([port]);
    expect(port).not.toBe(loot.port);
    expect(bulk.child.exitCode, 'the bulk stream goes on').toBeNull();
    expect(await isAdmitted(port, loot)).toBe(false);
    // With the old file in the store's place a device finds nobody, and with the new one the host.
    const newFile = readFileSync(scene.store);
    writeFileSync(scene.store, loot.file);
    const lost = await place.run('clawchat', ['ping', '--timeout', '3s', '--data', scene.path('away')]);
    expect(lost.code, lost.stderr).toBe(124);
    writeFileSync(scene.store, newFile);
    await place.ok('clawchat', ['ping', '--data', scene.path('away')]);

    // The session that was inside never ended.
    await place.ok('clawchat', ['send', 'still here', '--data', scene.path('away')]);
    await listen.line(line => line.includes('still here'));
    expect(await bulk.ended).toMatchObject({ code: 0 });
    expect(logged(listen, 'session-lost')).toEqual([]);
    expect(logged(listen, 'dial-failed')).toEqual([]);
    await listen.stop();
    await host.stop();
  });

  it('waits for a store unless it is hard, and then waits for nothing (RT-141, RT-142)', async () => {
    const scene = new Scene('hard');
    const host = await scene.start();
    const { listen, bulk } = await goInside(scene);
    const loot = await scene.loot();
    const folder = scene.path('store');
    renameSync(folder, `${folder}-away`);

    await place.ok('clawchatd', ['emergency', '--data', scene.path('A')]);
    await until('a session on the new port', async () => (await pathsOn(scene, 'primary')) > 0);
    await sleep(4 * MINIMAL.EMERGENCY_MS);
    expect(logged(host, 'emergency-ended')).toEqual([]);
    expect(await isAdmitted(loot.port, loot)).toBe(true);
    // Who is outside, with the old file alone, still gets in.
    await place.ok('clawchat', ['ping', '--data', scene.path('away')]);

    await place.ok('clawchatd', ['emergency', '--hard', '--data', scene.path('A')]);
    await until('an old port that refuses', async () => !(await knock('127.0.0.1', loot.port)).isTaken);
    expect(bulk.child.exitCode, 'the bulk stream goes on').toBeNull();
    // Whoever was let in meanwhile may have heard of the new port; this one has not.
    const nobody = await place.run('clawchat', ['ping', '--timeout', '3s', '--data', scene.path('asleep')]);
    expect(nobody.code, nobody.stderr).toBe(124);
    renameSync(`${folder}-away`, folder);
    // As soon as the store answers: the host writes to it again by itself.
    await place.ok('clawchat', ['ping', '--data', scene.path('asleep')]);
    const port = (await scene.inspect(readFileSync(scene.store))).endpoints[0]?.port ?? 0;
    expect(await isAdmitted(port, loot)).toBe(false);

    expect(await bulk.ended).toMatchObject({ code: 0 });
    expect(logged(listen, 'session-lost')).toEqual([]);
    await listen.stop();
    await host.stop();
  });
});

async function pathsOn(scene: Scene, role: string): Promise<number> {
  const status = await scene.watch.status();
  return status?.places.find(place => place.role === role)?.paths ?? 0;
}
