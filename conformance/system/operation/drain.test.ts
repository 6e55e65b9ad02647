/** A host that is told to stop: nothing is lost, everybody comes back, and it never takes for ever (ER-005). */
import { once } from 'node:events';
import { mkdirSync, writeFileSync } from 'node:fs';
import { type AddressInfo, createServer } from 'node:net';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { logged } from '../host-log.ts';
import { Place, type Running } from '../programs.ts';
import { until } from '../until.ts';

const place = new Place();
const A = place.path('A');
afterAll(() => place.clean());

it('stops in the middle of a conversation without losing or doubling a message', async () => {
  const first = await place.host(A, ['--log-level', 'debug']);
  await place.join(A, place.path('ann'), 'Ann');
  await place.join(A, place.path('bob'), 'Bob');
  const listen = place.start('clawchat', ['listen', '--json', '--from', '0', '--data', place.path('bob')]);
  const send = place.start(
    'clawchat',
    ['send', '-', '--json', '--timeout', '5m', '--data', place.path('ann')],
    'pipe',
  );
  let written = 0;
  const write = (): void =>
    void send.child.stdin?.write(`${JSON.stringify({ text: `message ${written++}` })}\n`);
  const writing = setInterval(write, 2);
  await until('50 are stored', () => send.lines.length >= 50);
  const ended = await first.stop('SIGTERM');
  expect(ended.code).toBe(0);
  // Some were in flight: they are written and not acknowledged.
  write();
  expect(written).toBeGreaterThan(send.lines.length);
  const drained = logged(first, 'drained');
  expect(drained).toHaveLength(1);
  expect(logged(first, 'path-closed').filter(({ code }) => code === 'SHUTDOWN')).toHaveLength(2);
  expect(logged(first, 'drain-cut')).toEqual([]);
  await place.host(A);
  await until('it goes on', () => send.lines.length >= 100 && written >= 200);
  clearInterval(writing);
  send.child.stdin?.end();
  expect((await send.ended).code).toBe(0);
  const texts = Array.from({ length: written }, (_, i) => `message ${i}`);
  const read = (lines: readonly string[]): readonly string[] => lines.map(line => JSON.parse(line).text);
  await until('all are delivered', () => listen.lines.length >= written);
  expect(read(listen.lines)).toEqual(texts);
  const history = await place.ok('clawchat', ['history', '--json', '--data', place.path('bob')]);
  expect(read(history.trim().split('\n'))).toEqual(texts);
});

it('does not wait for a client that does not answer longer than it was told, and not at all when told twice', async () => {
  const B = place.path('B');
  const frozen = async (drain: string): Promise<Awaited<ReturnType<Place['host']>>> => {
    const host = await place.host(B, ['--drain', drain]);
    if (drain !== '5m') await place.join(B, place.path('cleo'), 'Cleo');
    const listen = place.start('clawchat', ['listen', '--log-level', 'debug', '--data', place.path('cleo')]);
    await until('somebody is there', async () =>
      (await place.ok('clawchatd', ['status', '--json', '--data', B])).includes('"connected":1'),
    );
    listen.child.kill('SIGSTOP');
    void host.ended.then(() => listen.child.kill('SIGKILL'));
    return host;
  };
  const bounded = await frozen('100ms');
  expect((await bounded.stop('SIGTERM')).code).toBe(0);
  expect(logged(bounded, 'drain-cut')).toHaveLength(1);
  const twice = await frozen('5m');
  twice.child.kill('SIGTERM');
  await until('it stops', () => logged(twice, 'stopping').length > 0);
  twice.child.kill('SIGTERM');
  if (twice.child.exitCode === null) await once(twice.child, 'exit');
  expect(twice.child.exitCode).toBe(130);
  expect(logged(twice, 'stopped')).toEqual([]);
});

it('ends in order while it only starts, because nothing is under way', async () => {
  const D = place.path('D');
  const silent = createServer(() => {}).listen(0, '127.0.0.1');
  await once(silent, 'listening');
  const asked = once(silent, 'connection');
  mkdirSync(D, { mode: 0o700 });
  const read = `https://127.0.0.1:${(silent.address() as AddressInfo).port}/host.claw`;
  const stores = JSON.stringify([{ kind: 'https', read, write: read, pin: '00'.repeat(32) }]);
  writeFileSync(join(D, 'stores.json'), stores, { mode: 0o600 });
  const host = place.start('clawchatd', ['--data', D, '--listen', '127.0.0.1']);
  await asked;
  expect(await host.stop('SIGTERM')).toMatchObject({ code: 0, stdout: '' });
  expect(logged(host, 'stopped')).toHaveLength(1);
  silent.close();
});

describe('a host of the library', () => {
  const script = place.path('host.mjs');
  const program = `
import { serve } from ${JSON.stringify(`${process.cwd()}/dist/index.js`)};
const [directory, drainMs] = process.argv.slice(2);
const log = line => console.log(line);
const host = await serve({ directory, listen: '127.0.0.1', drainMs: Number(drainMs), log });
console.log('ready');
process.on('SIGTERM', () => {
  host.close().then(() => console.log('closed'));
  console.log('closing');
});
process.on('SIGUSR2', () => host.close({ now: true }));
`;
  writeFileSync(script, program);
  const C = place.path('C');
  const serve = async (drainMs: number): Promise<Running> => {
    const host = place.start({ file: script }, [C, String(drainMs)]);
    await host.line(line => line === 'ready');
    return host;
  };
  const listener = async (): Promise<Running> => {
    const listen = place.start('clawchat', ['listen', '--log-level', 'debug', '--data', place.path('dora')]);
    await until('somebody is there', async () =>
      (await place.ok('clawchatd', ['status', '--json', '--data', C])).includes('"connected":1'),
    );
    return listen;
  };

  it('tells its clients to come back later when it is closed', async () => {
    const host = await serve(10_000);
    await place.join(C, place.path('dora'), 'Dora');
    const listen = await listener();
    expect((await host.stop()).code).toBe(0);
    expect(host.lines).toEqual(['ready', 'closing', 'closed']);
    await until('it was told', () => logged(listen, 'path-closed').some(({ code }) => code === 'SHUTDOWN'));
    const again = await serve(10_000);
    await place.ok('clawchat', ['send', 'hello', '--data', place.path('dora')]);
    await listen.line(line => line.includes('Dora: hello'));
    await again.stop();
    await listen.stop();
  });

  it('waits for a client that does not answer as long as it was told, or not at all', async () => {
    const bounded = await serve(100);
    const frozen = await listener();
    frozen.child.kill('SIGSTOP');
    await bounded.stop();
    expect(bounded.lines.join('\n')).toContain('"event":"drain-cut"');
    frozen.child.kill('SIGKILL');
    const now = await serve(300_000);
    const other = await listener();
    other.child.kill('SIGSTOP');
    now.child.kill('SIGTERM');
    await now.line(line => line === 'closing');
    now.child.kill('SIGUSR2');
    expect((await now.ended).code).toBe(0);
    expect(now.lines.slice(-2)).toEqual(['closing', 'closed']);
    other.child.kill('SIGKILL');
  });
});
