/** A real client meets flynn/noise as its host (needs golang-go, golang-github-flynn-noise-dev, golang-github-gorilla-websocket-dev). */
import { execFileSync, spawn } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { createInterface, type Interface } from 'node:readline';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { tlsIdentity } from '../../src/node/host/tls-identity.ts';
import { native } from '../../src/node/native.ts';
import { openStore } from '../../src/node/store.ts';
import { parseRecord } from '../../src/protocol/connection-record.ts';
import { type Fault, isFault } from '../../src/protocol/fault.ts';
import { makeToken } from '../../src/protocol/gate.ts';
import { decodeRotation, ROTATION_KEY } from '../../src/protocol/rotation-storage.ts';
import { DEVICE_PREFIX, decodeIdentity, IDENTITY_KEY, loadRegistry } from '../../src/protocol/storage.ts';
import { prefixRange } from '../../src/runtime/database.ts';
import { PATIENCE_MS, Place } from './programs.ts';
import { look, upgrade } from './strangers.ts';

const place = new Place();
const A = place.path('A');
const B = place.path('B');

type Said = Readonly<Record<string, unknown>> & { readonly event: string };

/** The Go program, and what it has said. */
class Oracle {
  readonly said: Said[] = [];
  private readonly child: ReturnType<typeof spawn>;
  private readonly lines: Interface;
  private readonly waiting = new Set<() => void>();

  constructor(program: string, config: string) {
    const child = spawn(program, [config], { stdio: ['pipe', 'pipe', 'inherit'] });
    this.child = child;
    this.lines = createInterface({ input: child.stdout });
    this.lines.on('line', line => {
      this.said.push(JSON.parse(line) as Said);
      for (const look of this.waiting) look();
    });
  }

  /** The n-th event of a kind, from 1, as soon as it comes. */
  event(kind: string, n = 1, ms = PATIENCE_MS): Promise<Said> {
    return new Promise((resolve, reject) => {
      const found = (): void => {
        const one = this.said.filter(({ event }) => event === kind)[n - 1];
        if (one === undefined) return;
        clearTimeout(timer);
        this.waiting.delete(found);
        resolve(one);
      };
      const timer = setTimeout(() => {
        this.waiting.delete(found);
        reject(new Error(`no ${kind} ${n} within ${ms} ms: ${JSON.stringify(this.said)}`));
      }, ms);
      this.waiting.add(found);
      found();
    });
  }

  tell(line: string): void {
    this.child.stdin?.write(`${line}\n`);
  }

  stop(): Promise<void> {
    const { child } = this;
    if (child.exitCode !== null) return Promise.resolve();
    return new Promise(resolve => {
      child.once('close', () => resolve());
      child.kill('SIGKILL');
    });
  }
}

function must<T extends object>(value: T | Fault | undefined): T {
  if (value === undefined || isFault(value)) throw new Error(value?.detail ?? 'nothing is stored');
  return value;
}

interface Keys {
  readonly port: number;
  readonly epoch: number;
  readonly accessKey: Uint8Array;
  readonly gateKey: Uint8Array;
  readonly config: object;
}

/** What a stopped host knows of its only device, and what that device expects of it. */
async function keysOf(data: string): Promise<Keys> {
  const store = await openStore({ directory: data, program: 'host', suite: native });
  const identity = must(decodeIdentity(native, must(await store.get(IDENTITY_KEY))));
  const rotation = must(decodeRotation(native, identity, must(await store.get(ROTATION_KEY))));
  const registry = must(loadRegistry(native, await store.range(prefixRange(DEVICE_PREFIX))));
  await store.close();
  const record = must(parseRecord(must(rotation.payload), identity.serverId));
  const { epoch, key: accessKey } = record.accessKeys[0];
  const keys = must(rotation.keys.find(one => one.accessKey.epoch === epoch));
  const [device] = [...registry.devices.values()];
  const { publicKey, gateKey, psk } = must(device);
  const port = record.endpoints[0]?.port ?? 0;
  const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString('hex');
  const { key, cert } = tlsIdentity(keys.tlsKey);
  const config = {
    port,
    server_id: hex(identity.serverId),
    epoch,
    access_key: hex(accessKey),
    channel_key: hex(rotation.channelKeys[0].privateKey),
    tls_key: key,
    tls_cert: cert,
    device: { public_key: hex(publicKey), gate_key: hex(gateKey), psk: hex(psk) },
  };
  return { port, epoch, accessKey, gateKey, config };
}

let oracle: Oracle;
let keys: Keys;

beforeAll(async () => {
  const program = place.path('accept');
  const env = { ...process.env, GO111MODULE: 'off', GOPATH: '/usr/share/gocode' };
  const sources = ['main.go', 'frames.go'].map(name => `conformance/oracle/accept/${name}`);
  execFileSync('go', ['build', '-o', program, ...sources], { env });
  const host = await place.host(A);
  await place.join(A, B, 'Bob');
  await host.stop();
  keys = await keysOf(A);
  const config = place.path('accept.json');
  writeFileSync(config, JSON.stringify(keys.config), { mode: 0o600 });
  oracle = new Oracle(program, config);
  await oracle.event('listening');
});
afterAll(async () => {
  await oracle?.stop();
  await place.clean();
});

async function link(): Promise<string> {
  const status: { link: string } = JSON.parse(await place.ok('clawchat', ['status', '--json', '--data', B]));
  return status.link;
}

describe('flynn/noise as the host', () => {
  it('judges tokens itself: a wrong MAC does not pass', async () => {
    const accessKey = { epoch: keys.epoch, key: native.randomBytes(32) };
    const token = makeToken(native, { gateKey: keys.gateKey, accessKey, message1: native.randomBytes(48) });
    const sight = await look(keys.port, upgrade(token));
    expect(sight.bytes).toMatch(/^HTTP\/1\.1 404 /);
    expect(await oracle.event('refused')).toMatchObject({ why: 'another MAC' });
  });

  it('takes the Hello and Attach of a real client, which counts the path as attached (HS-010~1, HS-020~1, SE-010~1)', async () => {
    const listening = place.start('clawchat', ['listen', '--json', '--data', B]);
    const hello = await oracle.event('hello');
    expect(hello).toMatchObject({ protocol_version: 1 });
    expect(hello['software']).toMatch(/^clawchat /);
    const attach = await oracle.event('attach');
    expect(attach).toMatchObject({ generation: 1, received_through: 0, open: true, greeted: true });
    // What a session carries comes through as well: the client has opened its chat.
    expect(await oracle.event('data')).toMatchObject({ sequence: 1, stream: 1, service: 'chat.v1' });
    expect(await link()).toBe('connected');

    // A text message ends the connection (HS-006~1); the session goes on over another, one generation higher.
    oracle.tell('text');
    expect(await oracle.event('ended')).toMatchObject({ generation: 1 });
    const again = await oracle.event('attach', 2);
    expect(again).toMatchObject({ generation: 2, open: false, session_id: attach['session_id'] });
    expect(await link()).toBe('connected');

    // After silence the client asks, and asks again after the next only because it took the Pong (SE-070~1, SE-072~2).
    const first = await oracle.event('ping');
    const second = await oracle.event('ping', 2, 2 * PATIENCE_MS);
    expect(second['id']).toBe(Number(first['id']) + 1);
    expect(await link()).toBe('connected');
    expect(oracle.said.filter(({ event }) => event === 'attach')).toHaveLength(2);
    expect(oracle.said.filter(({ event }) => event === 'failed')).toEqual([]);

    await listening.stop();
    expect(await oracle.event('close')).toMatchObject({ code: 0, resumable: false });
  });
});
