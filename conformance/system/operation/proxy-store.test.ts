/**
 * A client whose network lets it reach nothing but an HTTP proxy (tinyproxy): it asks a store on a real nginx, and dials
 * its host, through CONNECT - also when the host has moved to another machine meanwhile (HS-040).
 */
import { execFileSync } from 'node:child_process';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { ok, program, type Seat } from '../flows.ts';
import { Network } from '../network.ts';
import { type Ended, Place, type Running } from '../programs.ts';
import { AUTHORIZATION, serverRoot } from '../stores/server.ts';
import { nginxFiles } from '../stores/web.ts';

const place = new Place();
const network = new Network();
const addresses: Readonly<Record<string, string>> = Object.fromEntries(
  ['home', 'other-home', 'store', 'gate', 'away'].map(name => [name, network.add(name)]),
);
const at = (name: string): string => addresses[name] ?? '';
network.confine('away', at('gate'));
const root = serverRoot(`IP:${at('store')}`);
const [A, ANN] = [place.path('home', 'A'), place.path('ann')];
const LOG = place.path('tinyproxy.log');
const PROXY = { HTTPS_PROXY: `http://${at('gate')}:3128` };
const started: number[] = [];

/** Start a server that goes into the background once it listens, and writes its number into a file. */
function start(machine: string, pidFile: string, ...command: readonly string[]): void {
  const [first = '', ...rest] = [...network.on(machine), ...command];
  execFileSync(first, rest, { stdio: ['ignore', 'ignore', 'pipe'] });
  started.push(Number(readFileSync(pidFile, 'utf8')));
}

beforeAll(() => {
  mkdirSync(A, { recursive: true, mode: 0o700 });
  const { config } = nginxFiles(root, `${at('store')}:443`, at('store'));
  start('store', join(root.path, 'nginx.pid'), 'nginx', '-c', config, '-e', join(root.path, 'error.log'));
  const [conf, pid] = [place.path('tinyproxy.conf'), place.path('tinyproxy.pid')];
  const lines = [`Port 3128`, `Listen ${at('gate')}`, 'Timeout 600', 'MaxClients 50', 'LogLevel Connect'];
  writeFileSync(LOG, '');
  writeFileSync(conf, [...lines, `LogFile "${LOG}"`, `PidFile "${pid}"`, ''].join('\n'));
  start('gate', pid, 'tinyproxy', '-c', conf);
  const address = `https://${at('store')}/host.claw`;
  const pin = Buffer.from(root.pin).toString('hex');
  const headers = { authorization: AUTHORIZATION };
  const stores = [{ kind: 'https', read: address, write: address, pin, headers }];
  writeFileSync(join(A, 'stores.json'), JSON.stringify(stores), { mode: 0o600 });
});
afterAll(async () => {
  await place.clean();
  for (const pid of started) process.kill(pid);
  network.remove();
  root.remove();
});

const seat = (machine: string): Seat => ({ before: network.on(machine) });
/** Her machine has none of the files of the host's. */
const ann = (
  args: readonly string[],
  env: Readonly<Record<string, string>>,
  input?: string,
): Promise<Ended> => {
  const before = network.on('away', [place.path('home')]);
  return place.run(program('clawchat', { before, env }), [...args, '--data', ANN], input);
};

async function hostOn(machine: string): Promise<{ readonly host: Running; readonly where: string }> {
  const host = place.start(program('clawchatd', seat(machine)), ['--data', A]);
  const line = await host.line(text => text.includes(' is ready'));
  return { host, where: `${at(machine)}:${/port (\d+)/.exec(line)?.[1]}` };
}

/** How often the proxy was asked for an address. */
function asked(where: string): number {
  return readFileSync(LOG, 'utf8').split(`CONNECT ${where}`).length - 1;
}

it('joins, talks, and finds the host where it has moved to, through the proxy alone', async () => {
  const first = await hostOn('home');
  const invite = await ok(place, seat('home'), 'clawchatd', ['invite', '--data', A, '--name', 'Ann']);
  expect((await ann(['join', '--timeout', '5s'], {}, invite)).code).not.toBe(0);
  expect(asked(at('store'))).toBe(0);
  const joined = await ann(['join'], PROXY, invite);
  expect(joined.stdout, joined.stderr).toContain('Joined as Ann.');
  const store = asked(`${at('store')}:443`);
  expect(store).toBeGreaterThan(0);
  expect(asked(first.where)).toBeGreaterThan(0);

  // The host goes to another machine while nothing of hers runs: what she knows leads nowhere.
  expect((await first.host.stop()).code).toBe(0);
  const second = await hostOn('other-home');
  expect(asked(second.where)).toBe(0);
  const without = await ann(['send', 'kept', '--timeout', '2s'], {});
  expect(without.code).toBe(124);
  const sent = await ann(['send', 'hello'], PROXY);
  expect(sent.code, sent.stderr).toBe(0);
  expect(asked(`${at('store')}:443`)).toBeGreaterThan(store);
  expect(asked(second.where)).toBeGreaterThan(0);
  const history = await ann(['history'], PROXY);
  expect(history.stdout.replace(/^\d\d:\d\d /gm, '')).toBe('Ann: kept\nAnn: hello\n');
  expect((await second.host.stop()).code).toBe(0);
});
