/**
 * Two machines with nothing in common but a network: the invite goes from one to the other as a file, and a store on a
 * third, a real nginx with the recipe of docs/stores.md, brings back whoever was away while the host moved.
 */
import { execFileSync } from 'node:child_process';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { MINIMAL } from '../../src/gen/constants.ts';
import { ok, program, type Seat, twoMachines } from './flows.ts';
import { Network } from './network.ts';
import { PATIENCE_MS, Place, type Running } from './programs.ts';
import { AUTHORIZATION, serverRoot } from './stores/server.ts';
import { nginxFiles } from './stores/web.ts';
import { until } from './until.ts';

const place = new Place();
const network = new Network();
network.add('home');
network.add('away');
const storeAddress = network.add('store');
mkdirSync(place.path('home'));
const HOME: Seat = { before: network.on('home') };
/** Ann's machine has none of the files of the host's. */
const AWAY: Seat = { before: network.on('away', [place.path('home')]) };
const root = serverRoot(`IP:${storeAddress}`);
let nginx: number | undefined;

/** Rotations are not waited for: an hour has 12 seconds. */
const MOVING: Readonly<Record<string, string>> = { CLAWCHAT_PRESET: 'minimal' };

beforeAll(() => {
  const { config } = nginxFiles(root, `${storeAddress}:443`, storeAddress);
  const [command = '', ...rest] = network.on('store');
  // It goes into the background once it listens.
  execFileSync(command, [...rest, 'nginx', '-c', config, '-e', join(root.path, 'error.log')]);
  nginx = Number(readFileSync(join(root.path, 'nginx.pid'), 'utf8'));
});
afterAll(async () => {
  if (nginx !== undefined) process.kill(nginx);
  await place.clean();
  network.remove();
  root.remove();
});

it('an invite file is enough to join from another machine, and to talk', async () => {
  await twoMachines(place, HOME, AWAY);
});

it('an invite as text says where it looks, and that a file would help, when its only store is on the other machine', async () => {
  const [A, ann] = [place.path('home', 'text-only'), place.path('text-only')];
  const host = await start(A);
  const invite = await ok(place, HOME, 'clawchatd', ['invite', '--data', A, '--name', 'Ann']);
  const args = ['join', '-', '--data', ann, '--timeout', '20s'];
  const { code, stderr } = await place.run(program('clawchat', AWAY), args, invite);
  expect(code).toBe(4);
  expect(stderr).toContain(join(A, 'connection.clawchat'));
  expect(stderr).toContain('clawchat invite-device --file');
  expect((await host.stop()).code).toBe(0);
});

it('with a store that both reach, somebody who was away through a move comes back by herself, and nothing is lost', async () => {
  const [A, ann] = [place.path('home', 'moving'), place.path('moving')];
  mkdirSync(A, { mode: 0o700 });
  useStore(A);
  const host = await start(A, MOVING);
  const invite = await ok(place, HOME, 'clawchatd', ['invite', '--data', A, '--name', 'Ann']);
  const there = { ...AWAY, env: MOVING };
  await ok(place, there, 'clawchat', ['join', '-', '--data', ann], invite);
  await ok(place, there, 'clawchat', ['send', 'before', '--data', ann]);
  // Away: no process of hers runs while the host leaves the address that she knows.
  await move(A);
  await ok(place, there, 'clawchat', ['send', 'after a move', '--data', ann]);

  // The cable is out while the host moves once more; what she sends then waits and arrives.
  const listening = place.start(program('clawchat', there), [
    'listen',
    '--data',
    ann,
    '--from',
    '0',
    '--count',
    '3',
  ]);
  await listening.line(line => line.endsWith('after a move'));
  network.plug('away', false);
  const sending = place.start(program('clawchat', there), ['send', 'without a cable', '--data', ann]);
  await move(A);
  network.plug('away', true);
  expect((await sending.ended).code).toBe(0);
  const { code, stdout } = await listening.ended;
  expect(code).toBe(0);
  expect(stdout.replace(/^\d\d:\d\d /gm, '')).toBe('Ann: before\nAnn: after a move\nAnn: without a cable\n');
  expect((await host.stop()).code).toBe(0);
});

it('a further device of hers joins on a machine without the files of any other, by a file that her first one made (IN-010)', async () => {
  const [A, ann, phone] = [place.path('home', 'devices'), place.path('first'), place.path('phone')];
  const host = await start(A);
  const file = place.path('first.invite');
  await ok(place, HOME, 'clawchatd', ['invite', '--data', A, '--name', 'Ann', '--file', file]);
  await ok(place, AWAY, 'clawchat', ['join', file, '--data', ann]);

  const alone = await place.run(program('clawchat', AWAY), ['invite-device', '--data', ann]);
  expect({ ...alone, stdout: '' }).toMatchObject({ code: 0, stderr: expect.stringContaining('add --file') });
  const taken = ['invite-device', '--data', ann, '--file', file];
  expect((await place.run(program('clawchat', AWAY), taken)).code).toBe(2);
  const other = place.path('phone.invite');
  await ok(place, AWAY, 'clawchat', ['invite-device', '--data', ann, '--name', 'phone', '--file', other]);
  expect(await ok(place, AWAY, 'clawchat', ['join', other, '--data', phone])).toContain('Joined as phone.');
  const people = await ok(place, AWAY, 'clawchat', ['people', '--data', phone, '--json']);
  expect(people.trim().split('\n')).toHaveLength(1);
  expect((await host.stop()).code).toBe(0);
});

it('the first store of a host reaches whoever is inside or comes for a moment, who then come back after an emergency (RT-156)', async () => {
  const A = place.path('home', 'first-store');
  const [ann, bob] = [place.path('first-ann'), place.path('first-bob')];
  // No move on schedule brings a record meanwhile.
  const calm = ['--interval', `${MINIMAL.ROTATION_INTERVAL_MS_MAX}ms`];
  const there = { ...AWAY, env: MOVING };
  const before = await start(A, MOVING, calm);
  for (const [name, data] of Object.entries({ Ann: ann, Bob: bob })) {
    const file = place.path(`${name}.invite`);
    await ok(place, HOME, 'clawchatd', ['invite', '--data', A, '--name', name, '--file', file]);
    await ok(place, there, 'clawchat', ['join', file, '--data', data]);
  }
  const listening = place.start(program('clawchat', there), ['listen', '--data', ann, '--from', '0']);
  await ok(place, there, 'clawchat', ['send', 'from Bob', '--data', bob]);
  await listening.line(line => line.endsWith('from Bob'));

  const address = useStore(A);
  expect((await before.stop()).code).toBe(0);
  const host = await start(A, MOVING, calm);
  const knows = async (data: string): Promise<boolean> => {
    const status = await ok(place, there, 'clawchat', ['status', '--data', data, '--json']);
    return (JSON.parse(status) as { stores: { name: string }[] }).stores.some(({ name }) => name === address);
  };
  await until('Ann, who is inside, knows the store', () => knows(ann));
  await listening.stop('SIGINT');
  await ok(place, there, 'clawchat', ['send', 'for a moment', '--data', bob]);
  expect(await knows(bob)).toBe(true);

  await move(A, ['emergency']);
  for (const data of [ann, bob]) await ok(place, there, 'clawchat', ['send', 'found again', '--data', data]);
  expect((await host.stop()).code).toBe(0);
});

/** Give a host the store on the third machine; gives its address. */
function useStore(data: string): string {
  const address = `https://${storeAddress}/host.claw`;
  const store = {
    kind: 'https',
    read: address,
    write: address,
    pin: Buffer.from(root.pin).toString('hex'),
    headers: { authorization: AUTHORIZATION },
  };
  writeFileSync(join(data, 'stores.json'), JSON.stringify([store]), { mode: 0o600 });
  return address;
}

async function start(
  data: string,
  env: Readonly<Record<string, string>> = {},
  args: readonly string[] = [],
): Promise<Running> {
  const host = place.start(program('clawchatd', { ...HOME, env }), ['--data', data, ...args]);
  await host.line(line => line.includes(' is ready'));
  return host;
}

/** The ports that are open. */
async function places(data: string): Promise<readonly number[]> {
  const status = await ok(place, HOME, 'clawchatd', ['status', '--data', data, '--json']);
  return (JSON.parse(status) as { places: { port: number }[] }).places.map(({ port }) => port);
}

/** Move the host, and wait until what it promised of the earlier port is over. */
async function move(data: string, command: readonly string[] = ['rotate']): Promise<void> {
  const before = await places(data);
  await ok(place, HOME, 'clawchatd', [...command, '--data', data]);
  for (const deadline = Date.now() + PATIENCE_MS; ; ) {
    const now = await places(data);
    if (now.every(port => !before.includes(port))) return;
    if (Date.now() > deadline) throw new Error(`the host does not leave ${before}`);
    await new Promise(resolve => setTimeout(resolve, 200));
  }
}
