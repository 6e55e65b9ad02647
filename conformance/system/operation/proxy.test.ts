/** A client behind a real HTTP proxy (tinyproxy) that wants a password (HS-040, HS-041). */
import { readFileSync, writeFileSync } from 'node:fs';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { type Ended, Place } from '../programs.ts';
import { freePort, type ServerProcess, startServer } from '../stores/server.ts';

const place = new Place();
const [A, B] = [place.path('A'), place.path('B')];
const LOG = place.path('tinyproxy.log');
let tinyproxy: ServerProcess;
let at = '';
let host = 0;

beforeAll(async () => {
  const running = await place.host(A);
  host = Number(/port (\d+)/.exec(running.lines[0] ?? '')?.[1]);
  const port = await freePort();
  at = `127.0.0.1:${port}`;
  const config = place.path('tinyproxy.conf');
  const lines = [`Port ${port}`, 'Listen 127.0.0.1', 'Timeout 600', 'LogLevel Connect', `LogFile "${LOG}"`];
  writeFileSync(LOG, '');
  writeFileSync(config, [...lines, 'MaxClients 50', 'BasicAuth ann s3cret', ''].join('\n'));
  tinyproxy = await startServer('tinyproxy', ['-d', '-c', config], port);
});
afterAll(async () => {
  await place.clean();
  await tinyproxy.stop();
});

/** How often the proxy was asked for the host. */
function asked(): number {
  return readFileSync(LOG, 'utf8').split(`CONNECT 127.0.0.1:${host}`).length - 1;
}

function run(args: readonly string[], env: Record<string, string>, input?: string): Promise<Ended> {
  const file = `${process.cwd()}/dist/clawchat.js`;
  return place.run({ file, env }, [...args, '--data', B], input);
}

it('joins and talks through it, by variable, option and file', async () => {
  const invite = await place.ok('clawchatd', ['invite', '--data', A, '--name', 'Ann']);
  const environment = { HTTPS_PROXY: `http://ann:s3cret@${at}` };
  expect((await run(['join'], environment, invite)).code).toBe(0);
  const joined = asked();
  expect(joined).toBeGreaterThan(0);
  expect((await run(['send', 'hello', '--proxy', environment.HTTPS_PROXY], {})).code).toBe(0);
  expect(asked()).toBeGreaterThan(joined);
  const before = asked();
  writeFileSync(place.path('B', 'config.yaml'), `proxy: http://ann:s3cret@${at}\n`, { mode: 0o600 });
  expect((await run(['history'], {})).stdout).toContain('hello');
  expect(asked()).toBeGreaterThan(before);
});

it('goes without it where NO_PROXY says so', async () => {
  const before = asked();
  expect((await run(['ping'], { NO_PROXY: '127.0.0.1,localhost' })).code).toBe(0);
  expect((await run(['ping', '--proxy', 'none'], {})).code).toBe(0);
  expect(asked()).toBe(before);
});

it('says what is wrong with it, and never its password', async () => {
  const nobody = await freePort();
  const cases: readonly (readonly [proxy: string, code: string])[] = [
    [`http://ann:wr0ng@${at}`, 'PROXY_REFUSED'],
    [`http://${at}`, 'PROXY_REFUSED'],
    [`http://ann:s3cret@127.0.0.1:${nobody}`, 'PROXY_UNREACHABLE'],
    // The host answers as a web server that was asked without TLS.
    [`http://ann:s3cret@127.0.0.1:${host}`, 'PROXY_REFUSED'],
  ];
  for (const [proxy, code] of cases) {
    const ended = await run(['ping', '--json', '--log-level', 'debug', '--proxy', proxy], {});
    expect(ended.code, proxy).toBe(4);
    const last = ended.stderr.trim().split('\n').at(-1) ?? '';
    expect(JSON.parse(last).error.code, proxy).toBe(code);
    expect(ended.stderr).not.toMatch(/s3cret|wr0ng/);
  }
});

it('keeps a message that cannot get through, and sends it later', async () => {
  const shut = ['send', 'later', '--timeout', '1s', '--proxy', `http://ann:wr0ng@${at}`];
  expect((await run(shut, {})).code).toBe(124);
  expect((await run(['send', 'and another'], {})).code).toBe(0);
  expect((await run(['history'], {})).stdout).toMatch(/later[\s\S]*and another/);
});
