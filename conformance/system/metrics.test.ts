/** What a host tells Prometheus, read by Prometheus' own parser, after people and strangers have been there. */
import { execFile } from 'node:child_process';
import { once } from 'node:events';
import { request } from 'node:http';
import { connect } from 'node:net';
import { promisify } from 'node:util';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { METRICS } from '../../src/node/host/metrics.ts';
import { logged } from './host-log.ts';
import { Place, type Running } from './programs.ts';
import { look, upgrade } from './strangers.ts';

const run = promisify(execFile);
const place = new Place();
const A = place.path('A');
let host: Running;
let at = 0;

/** Debian's python, whatever else the machine has. */
const PYTHON = '/usr/bin/python3';
const PARSE = `
import json, sys
from prometheus_client.parser import text_string_to_metric_families as parse
print(json.dumps([[s.name, s.labels, str(s.value)] for f in parse(sys.stdin.read()) for s in f.samples]))
`;

interface Answer {
  readonly status: number;
  readonly body: string;
}

function ask(path: string, headers: Readonly<Record<string, string>> = {}, method = 'GET'): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const asking = request({ host: '127.0.0.1', port: at, path, headers, method }, response => {
      let body = '';
      response.on('data', (piece: Buffer) => {
        body += piece.toString();
      });
      response.on('end', () => resolve({ status: response.statusCode ?? 0, body }));
    });
    asking.on('error', reject);
    asking.end();
  });
}

/** Every sample as the parser sees it: `name{label=value}` to its value. */
async function samples(): Promise<ReadonlyMap<string, number>> {
  const { body } = await ask('/metrics');
  const parsing = run(PYTHON, ['-c', PARSE]);
  parsing.child.stdin?.end(body);
  const parsed: [string, Record<string, string>, string][] = JSON.parse((await parsing).stdout);
  return new Map(
    parsed.map(([name, labels, value]) => {
      const shown = Object.entries(labels).map(([label, text]) => `${label}=${text}`);
      return [`${name}{${shown.join()}}`, Number(value)];
    }),
  );
}

beforeAll(async () => {
  host = await place.host(A, ['--metrics', '127.0.0.1:0']);
  at = logged(host, 'metrics-open')[0]?.port ?? 0;
  await place.join(A, place.path('B'), 'Barnaby');
  await place.ok('clawchat', ['send', 'counted', '--data', place.path('B')]);
});
afterAll(() => place.clean());

it('is valid, complete, and counts people and strangers by cause', async () => {
  const port = Number(/port (\d+)/.exec(host.lines[0] ?? '')?.[1]);
  await look(port, 'GET / HTTP/1.1\r\nHost: x\r\n\r\n');
  await look(port, 'nonsense\r\n\r\n');
  await look(port, upgrade('A'.repeat(118)));
  await look(port, upgrade('short'));
  const plain = connect(port, '127.0.0.1', () => plain.write('this is not TLS\n'));
  plain.resume();
  await once(plain, 'close');
  const broken = connect(port, '127.0.0.1', () => broken.write('\x16\x03\x01\x00\x05hello'));
  broken.resume();
  await once(broken, 'close');
  const silent = connect(port, '127.0.0.1', () => silent.end());
  silent.resume();
  await once(silent, 'close');
  // The last one is counted when the host has heard of its end.
  let found = await samples();
  while (found.get('clawchat_refused_total{reason=gave_up}') === 0) found = await samples();
  const counted = (name: string): number | undefined => found.get(name);
  const names = new Set([...found.keys()].map(key => key.split('{')[0]));
  // Those by error code have no sample before the first.
  const always = METRICS.filter(({ labels }) => !labels.includes('code')).map(({ name }) => name);
  expect(always.filter(name => !names.has(name))).toEqual([]);
  const reasons = ['no_upgrade', 'not_http', 'plain_http', 'epoch_unknown', 'tls_failed', 'token_unreadable'];
  for (const reason of reasons) expect(counted(`clawchat_refused_total{reason=${reason}}`), reason).toBe(1);
  expect(counted('clawchat_refused_total{reason=late}')).toBe(0);
  expect(counted('clawchat_messages_total{result=STORED}')).toBe(1);
  expect(counted('clawchat_devices{}')).toBe(1);
  // The invite's path, the device's, and that of `send`.
  expect(counted('clawchat_paths_authenticated_total{}')).toBe(3);
  expect(counted('clawchat_sessions_opened_total{}')).toBeGreaterThanOrEqual(2);
  expect(counted('clawchat_received_bytes_total{}')).toBeGreaterThan(0);
  const store = `store=1,name=${A}/connection.clawchat`;
  expect(counted(`clawchat_store_up{${store}}`)).toBe(1);
  expect(counted(`clawchat_publishes_total{${store},result=verified}`)).toBeGreaterThan(0);
  expect(counted('process_resident_memory_bytes{}')).toBeGreaterThan(1e7);
});

it('names nobody', async () => {
  const { body } = await ask('/metrics');
  const [line = ''] = (await place.ok('clawchatd', ['devices', '--json', '--data', A])).split('\n');
  const { device, name }: { device: string; name: string } = JSON.parse(line);
  expect(name).toBe('Barnaby');
  expect(body).not.toMatch(/barnaby|127\.0\.0\.1/i);
  expect(body).not.toContain(device.slice(0, 8));
});

it('answers nothing else, and no page that a browser was led from', async () => {
  expect((await ask('/')).status).toBe(404);
  expect((await ask('/metrics', {}, 'POST')).status).toBe(405);
  expect(await ask('/metrics', {}, 'HEAD')).toEqual({ status: 200, body: '' });
  expect((await ask('/metrics', { host: 'evil.example:9464' })).status).toBe(404);
  expect((await ask('/metrics', { host: 'localhost:9464' })).status).toBe(200);
});

it('refuses an address that others reach, and says when the port is taken', async () => {
  const open = await place.run('clawchatd', ['--data', place.path('C'), '--metrics', '0.0.0.0:9464']);
  expect(open.code).toBe(2);
  expect(open.stderr).toContain('loopback');
  const args = ['--data', place.path('C'), '--listen', '127.0.0.1', '--metrics', `127.0.0.1:${at}`];
  const taken = await place.run('clawchatd', args);
  expect(taken.code).toBe(6);
  expect(taken.stderr).toContain('NO_PORT');
});
