/** Host and clients at the most talkative level through a whole conversation; then no secret is in what they logged (LI-007). */
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { afterAll, expect, it } from 'vitest';
import { native } from '../../../src/node/native.ts';
import { openStore, type StoreProgram } from '../../../src/node/store.ts';
import { parseInviteText } from '../../../src/protocol/invite.ts';
import { inviteKeys } from '../../../src/protocol/keys.ts';
import { decodeRotation, ROTATION_KEY } from '../../../src/protocol/rotation-storage.ts';
import {
  DEVICE_PREFIX,
  decodeIdentity,
  decodeMember,
  IDENTITY_KEY,
  INVITE_PREFIX,
  loadRegistry,
  MEMBER_KEY,
} from '../../../src/protocol/storage.ts';
import { prefixRange } from '../../../src/runtime/database.ts';
import { type Fault, isFault } from '../../../src/wire/fault.ts';
import { Place, type Running } from '../programs.ts';
import { freePort } from '../stores/server.ts';
import { until } from '../until.ts';

const place = new Place();
const [A, ANN, BOB] = [place.path('A'), place.path('ann'), place.path('bob')];
const DEBUG = ['--log-level', 'debug'];
const TEXTS = ['the-first-thing-said', 'something-else-entirely', 'said-through-a-draft'];
const PASSWORD = 'pr0xy-passw0rd';
const HEADER = 'Bearer st0re-header';
afterAll(() => place.clean());

/** The names that keys and secrets go by in what is stored. */
const SECRET_NAMES: ReadonlySet<string> = new Set([
  'seed',
  'privateKey',
  'devicePrivateKey',
  'secret',
  'deviceSecret',
  'psk',
  'gateKey',
  'fileKey',
  'key',
  'pkcs8',
]);

/** Every secret below a value, under its name. */
function secretsIn(value: unknown, name: string, found: Map<string, Uint8Array>, isSecret = false): void {
  if (value instanceof Uint8Array) {
    if (isSecret && value.length >= 16) found.set(`${name} ${found.size}`, value);
  } else if (value instanceof Map) for (const item of value.values()) secretsIn(item, name, found);
  else if (Array.isArray(value)) for (const item of value) secretsIn(item, name, found);
  else if (typeof value === 'object' && value !== null) {
    for (const [key, item] of Object.entries(value)) secretsIn(item, key, found, SECRET_NAMES.has(key));
  }
}

function must<T>(value: T | Fault): T {
  if (isFault(value)) throw new Error(value.detail);
  return value;
}

async function stored(
  directory: string,
  program: StoreProgram,
  found: Map<string, Uint8Array>,
): Promise<void> {
  found.set(`data key of ${program}`, readFileSync(`${directory}/data.key`));
  const store = await openStore({ directory, program, suite: native });
  try {
    const get = async (key: string): Promise<Uint8Array> => (await store.get(key)) ?? new Uint8Array(0);
    if (program === 'client') {
      secretsIn(must(decodeMember(native, await get(MEMBER_KEY))), 'member', found);
      return;
    }
    const identity = must(decodeIdentity(native, await get(IDENTITY_KEY)));
    secretsIn(identity, 'identity', found);
    secretsIn(must(decodeRotation(native, identity, await get(ROTATION_KEY))), 'rotation', found);
    const rows = [INVITE_PREFIX, DEVICE_PREFIX].map(prefix => store.range(prefixRange(prefix)));
    secretsIn(must(loadRegistry(native, (await Promise.all(rows)).flat())), 'registry', found);
    found.set('next identity', readFileSync(`${directory}/next-identity.key`));
  } finally {
    await store.close();
  }
}

/** Each way in which bytes may be written; base64 at every alignment, without the letters at its ends. */
function written(bytes: Uint8Array): readonly string[] {
  const buffer = Buffer.from(bytes);
  const aligned = [0, 1, 2].flatMap(shift => {
    const text = Buffer.concat([Buffer.alloc(shift), buffer])
      .toString('base64')
      .replace(/=+$/, '')
      .slice(4, -3);
    return [text, text.replaceAll('+', '-').replaceAll('/', '_')];
  });
  return [buffer.toString('hex'), [...buffer].join(','), ...aligned];
}

/** A host whose store cannot be reached, and everything that it says of it. */
async function brokenStore(): Promise<string> {
  const C = place.path('C');
  const nobody = `127.0.0.1:${await freePort()}`;
  const config = `stores:
  - { kind: https, read: 'https://${nobody}/f', write: 'https://ann:${PASSWORD}@${nobody}/f', headers: { x-key: ${HEADER} } }
proxy: http://ann:${PASSWORD}@${nobody}
`;
  mkdirSync(C, { mode: 0o700 });
  writeFileSync(`${C}/config.yaml`, config, { mode: 0o600 });
  const host = await place.host(C, DEBUG);
  await until('the store has failed', () => host.stderr().includes('store-failed'));
  const shown = await place.ok('clawchatd', ['config', 'show', '--data', C]);
  const status = await place.ok('clawchatd', ['status', '--json', '--data', C]);
  return shown + status + (await host.stop()).stderr;
}

it('is in no line of theirs (LI-007, CT-027, DI-004)', async () => {
  mkdirSync(A, { mode: 0o700 });
  writeFileSync(place.path('A', 'config.yaml'), `log: { level: debug, file: ${place.path('host.log')} }\n`);
  const host = place.start('clawchatd', ['--data', A, '--listen', '127.0.0.1']);
  await host.line(line => line.includes(' is ready'));
  let logs = '';
  const run = async (args: readonly string[], input?: string): Promise<void> => {
    const ended = await place.run('clawchat', [...args, ...DEBUG], input);
    expect(ended.code, ended.stderr).toBe(0);
    logs += ended.stderr;
  };
  // One of the two logs into a file.
  mkdirSync(ANN, { mode: 0o700 });
  const own = `log: { level: debug, file: ${place.path('ann.log')}, size: 16KiB, files: 100 }\n`;
  writeFileSync(`${ANN}/config.yaml`, own, { mode: 0o600 });
  const invites: string[] = [];
  for (const [data, name] of [
    [ANN, 'Ann'],
    [BOB, 'Bob'],
  ] as const) {
    const invite = await place.run('clawchatd', ['invite', '--data', A, '--name', name, ...DEBUG]);
    invites.push(invite.stdout.trim());
    logs += invite.stderr;
    await run(['join', '--data', data], invite.stdout);
  }
  // Somebody else comes with an invite that is used up.
  const late = await place.run(
    'clawchat',
    ['join', '--timeout', '20s', '--data', place.path('late'), ...DEBUG],
    invites[0],
  );
  expect(late.code).not.toBe(0);
  logs += late.stderr;
  const listen: Running = place.start('clawchat', ['listen', '--from', '0', '--data', BOB, ...DEBUG]);
  await run(['send', '-', '--data', ANN], `${TEXTS.slice(0, 2).join('\n')}\n`);
  await place.ok('clawchatd', ['emergency', '--data', A]);
  await run(['send', TEXTS[2] ?? '', '--data', ANN]);
  await until('all is heard', () => listen.lines.length >= TEXTS.length);
  await run(['history', '--data', ANN]);
  logs += (await listen.stop()).stderr + (await host.stop()).stderr + (await brokenStore());
  for (const name of readdirSync(place.root).filter(name => /^(host|ann)\.log/.test(name)))
    logs += readFileSync(place.path(name), 'utf8');

  const found = new Map<string, Uint8Array>();
  await stored(A, 'host', found);
  await stored(ANN, 'client', found);
  await stored(BOB, 'client', found);
  for (const invite of invites) {
    const { secret } = must(parseInviteText(native, invite));
    found.set(`invite ${found.size}`, secret);
    secretsIn(inviteKeys(native, secret), 'invite', found);
  }
  expect(readFileSync(place.path('ann.log'), 'utf8')).toContain('"path-closed"');
  // The conversation is in the log, and the secrets are those that it was held with.
  for (const event of ['path-accepted', 'device-enrolled', 'store-failed', 'record-published', 'stopped'])
    expect(logs).toContain(event);
  expect(found.size).toBeGreaterThan(25);
  for (const [name, bytes] of found) {
    for (const text of written(bytes)) expect(logs.includes(text), `${name} is in the log`).toBe(false);
  }
  for (const text of [...TEXTS, ...invites, PASSWORD, HEADER, 'st0re'])
    expect(logs.toLowerCase().includes(text.toLowerCase()), `${text} is in the log`).toBe(false);
  for (const invite of invites) expect(logs).not.toContain(invite.slice(20, 50));
  // A token has 118 letters, and nothing else that is logged has half as many.
  expect(logs).not.toMatch(/[A-Za-z0-9_-]{70,}/);
});
