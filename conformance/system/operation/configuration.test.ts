/** A configuration file, its checks, and a log in a file, with the built programs. */
import {
  chmodSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Place } from '../programs.ts';
import { until } from '../until.ts';

const place = new Place();
const A = place.path('A');
beforeAll(() => {
  mkdirSync(A, { mode: 0o700 });
});
afterAll(() => place.clean());

function configure(text: string, mode = 0o600): void {
  writeFileSync(place.path('A', 'config.yaml'), text);
  chmodSync(place.path('A', 'config.yaml'), mode);
}

interface Row {
  readonly key: string;
  readonly value: string | readonly string[];
  readonly origin: string;
  readonly where: string;
}

async function shown(
  args: readonly string[] = [],
  env: Record<string, string> = {},
): Promise<ReadonlyMap<string, Row>> {
  const file = { file: `${process.cwd()}/dist/clawchatd.js`, env };
  const ended = await place.run(file, ['config', 'show', '--json', '--data', A, ...args]);
  expect(ended.stderr).toBe('');
  const rows: Row[] = ended.stdout
    .trim()
    .split('\n')
    .slice(1)
    .map(line => JSON.parse(line));
  return new Map(rows.map(row => [row.key, row]));
}

describe('the configuration', () => {
  it('is shown with the origin of each value', async () => {
    configure('interval: 2h\nport: 1\nlog:\n  level: debug\nproxy: http://ann:hidden@127.0.0.1:3128\n');
    const rows = await shown(['--port', '8443'], { CLAWCHATD_LOG_LEVEL: 'error' });
    const path = `${A}/config.yaml`;
    expect(rows.get('port')).toMatchObject({ value: '8443', origin: 'option', where: '--port' });
    expect(rows.get('log.level')).toMatchObject({ value: 'error', where: 'CLAWCHATD_LOG_LEVEL' });
    expect(rows.get('interval')).toMatchObject({ value: '2h', origin: 'file', where: `${path} line 1` });
    expect(rows.get('drain')).toMatchObject({ value: '10s', origin: 'default' });
    expect(rows.get('proxy')?.value).toBe('http://ann:***@127.0.0.1:3128/');
    expect(await place.ok('clawchatd', ['config', '--data', A])).toMatch(
      /^interval +2h +\/.*config.yaml line 1$/m,
    );
  });

  it('that is wrong is refused with its line, by the check and by the host', async () => {
    configure('listen: 127.0.0.1\nintervall: 2h\nport: 70000\n');
    for (const words of [['config', 'check'], []]) {
      const ended = await place.run('clawchatd', [...words, '--data', A]);
      expect(ended.code).toBe(2);
      expect(ended.stderr).toContain(
        'config.yaml line 2: there is no setting "intervall"; did you mean "interval"?',
      );
    }
  });

  it('that is named has to be there, and one that others can write is not read', async () => {
    const ended = await place.run('clawchatd', ['config', '--data', A, '--config', '/none.yaml']);
    expect(ended.stderr).toContain('there is no configuration file /none.yaml');
    configure('', 0o666);
    expect((await place.run('clawchatd', ['config', '--data', A])).code).toBe(6);
  });

  it('has no misspelt variable', async () => {
    const file = { file: `${process.cwd()}/dist/clawchatd.js`, env: { CLAWCHATD_PROT: '1' } };
    for (const words of [['config', 'check'], ['status'], []]) {
      const ended = await place.run(file, [...words, '--data', A]);
      expect(ended.code).toBe(2);
      expect(ended.stderr).toContain('there is no variable CLAWCHATD_PROT; did you mean CLAWCHATD_PORT?');
    }
  });

  it('of a client is shown, too', async () => {
    mkdirSync(place.path('B'), { mode: 0o700 });
    writeFileSync(place.path('B', 'config.yaml'), 'chat:\n  typing: false\n', { mode: 0o600 });
    const text = await place.ok('clawchat', ['config', '--data', place.path('B'), '--no-receipts']);
    expect(text).toMatch(/^chat.receipts +false +--no-receipts$/m);
    expect(text).toMatch(/^chat.typing +false +.*line 2$/m);
  });
});

describe('a client', () => {
  it('logs into a bounded file of its own, from several commands at once, and nothing on standard error', async () => {
    configure('listen: 127.0.0.1\n');
    const host = await place.host(A);
    const [data, log] = [place.path('D'), place.path('client.log')];
    await place.join(A, data, 'Dora');
    const config = `log: { file: ${log}, level: debug, size: 1KiB, files: 3 }\n`;
    writeFileSync(place.path('D', 'config.yaml'), config, { mode: 0o600 });
    const earlier = `${JSON.stringify({ event: 'earlier', pid: 1, text: 'x'.repeat(900) })}\n`;
    for (const name of [log, `${log}.1`]) writeFileSync(name, earlier, { mode: 0o600 });
    for (let round = 0; round < 2; round += 1) {
      const pings = Array.from({ length: 4 }, () => place.run('clawchat', ['ping', '--data', data]));
      for (const { code, stderr } of await Promise.all(pings))
        expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
    }
    expect((await host.stop()).code).toBe(0);
    const names = readdirSync(place.root).filter(name => name.startsWith('client.log'));
    expect(names.sort()).toEqual(['client.log', 'client.log.1', 'client.log.2']);
    for (const name of names) {
      expect(statSync(place.path(name)).mode & 0o777).toBe(0o600);
      expect(statSync(place.path(name)).size).toBeLessThanOrEqual(1024);
    }
    const lines = names.flatMap(name => readFileSync(place.path(name), 'utf8').trim().split('\n'));
    const entries = lines.map((line): { event: string; pid: number } => JSON.parse(line));
    expect(new Set(entries.map(({ pid }) => pid)).size).toBeGreaterThan(2);
    expect(entries.map(({ event }) => event)).toContain('path-closed');
  });

  it('says where it cannot log', async () => {
    const args = ['ping', '--data', place.path('D'), '--log-file', place.root];
    const ended = await place.run('clawchat', args);
    expect(ended.code).toBe(2);
    expect(ended.stderr).toContain(`the log ${place.root} cannot be written (EISDIR)`);
  });
});

describe('a host', () => {
  it('runs by its file, logs into a bounded one, and opens that again at SIGHUP', async () => {
    const [log, store] = [place.path('log', 'host.log'), place.path('published')];
    mkdirSync(place.path('log'));
    configure(
      `listen: 127.0.0.1\nlog:\n  file: ${log}\n  size: 1KiB\n  files: 2\nstores: [{ kind: local, path: ${store} }]\n`,
    );
    const host = place.start('clawchatd', ['--data', A, '--log-level', 'debug']);
    await host.line(line => line.includes(' is ready'));
    await place.join(A, place.path('C'), 'Cleo');
    expect(existsSync(store)).toBe(true);
    renameSync(log, place.path('log', 'moved'));
    host.child.kill('SIGHUP');
    await until('the log is opened again', () => existsSync(log));
    await until('the log is full', async () => {
      await place.ok('clawchat', ['ping', '--data', place.path('C')]);
      return existsSync(`${log}.1`);
    });
    expect((await host.stop()).code).toBe(0);
    const lines = readFileSync(log, 'utf8').trim().split('\n');
    for (const line of lines)
      expect(JSON.parse(line)).toMatchObject({ at: expect.any(String), event: expect.any(String) });
    expect(lines.at(-1)).toContain('"stopped"');
    expect(host.stderr()).toBe('');
  });
});
