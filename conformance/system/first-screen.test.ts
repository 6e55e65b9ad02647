/** What somebody sees who starts a host on a terminal, and that its words can be copied (README.md, docs/operations.md). */
import { execFileSync, spawn } from 'node:child_process';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { logged } from './host-log.ts';
import { NODE, PATIENCE_MS, Place } from './programs.ts';
import { freePort } from './stores/server.ts';

let place: Place;
beforeEach(() => {
  place = new Place();
});
afterEach(() => place.clean());

const PROGRAM = join(process.cwd(), 'dist', 'clawchatd.js');

/** All that a host writes on a terminal until a line of its log is there; then Ctrl-C. */
async function onTerminal(data: string): Promise<readonly string[]> {
  // `exec`: some shells would stay as its parent, and Ctrl-C ends those with an exit code of their own.
  const command = `exec ${NODE} ${PROGRAM} --data '${data}' --listen 127.0.0.1`;
  const terminal = spawn('script', ['-qefc', command, '/dev/null'], { cwd: place.root });
  let written = '';
  terminal.stdout.setEncoding('utf8').on('data', piece => {
    written += piece;
  });
  const ended = new Promise<number | null>(resolve => terminal.once('close', resolve));
  try {
    for (const until = Date.now() + PATIENCE_MS; !written.includes(' INFO '); await sleep(50)) {
      if (Date.now() > until || terminal.exitCode !== null) throw new Error(`no log here:\n${written}`);
    }
    terminal.stdin.write('\u0003');
    expect(await ended).toBe(0);
    return written.split('\r\n');
  } finally {
    terminal.kill('SIGKILL');
  }
}

test('on a terminal the first thing is the ready block, and the log comes behind it', async () => {
  const lines = await onTerminal(place.path('host'));
  expect(lines[0]).toMatch(/^clawchatd \S+ is ready on port \d+ \(127\.0\.0\.1\)$/);
  expect(lines.slice(1, 3).map(text => text.slice(0, 22))).toEqual([
    '  to invite somebody: ',
    '  to see how it is:   ',
  ]);
  expect(lines[3]).toMatch(/^\d\d:\d\d:\d\d INFO {2}record-publishing sequence=1$/);
});

test('to a supervisor the log goes at once, one object a line', async () => {
  const host = await place.host(place.path('host'));
  await host.stop();
  const [first = ''] = host.stderr().split('\n');
  expect(JSON.parse(first)).toMatchObject({ level: 'info', event: 'record-publishing' });
});

test('the commands of the block can be copied, whatever the directory is called', async () => {
  const host = await place.host(place.path("Ann's host"));
  const named = (what: string): string => host.lines.find(text => text.includes(what))?.split(':  ')[1] ?? '';
  const typed = (command: string): string =>
    execFileSync('bash', ['-c', command.trim()], { cwd: place.root, encoding: 'utf8', stdio: 'pipe' });
  await host.line(text => text.includes('to see how it is'));
  expect(typed(named('to invite somebody'))).toMatch(/^clawchat1/);
  expect(typed(named('to see how it is'))).toMatch(/^state +well/);
});

test('a host that is given a port later says that it follows, and goes there', async () => {
  const data = place.path('host');
  // By itself it would move later than anybody waits here.
  const rare = ['--preset', 'minimal', '--interval', '288s'];
  const before = await place.host(data, rare);
  await before.stop();
  const port = await freePort();
  const host = await place.host(data, [...rare, '--port', String(port)]);
  await host.line(text => text.startsWith(`  port ${port} follows in some minutes`));
  for (const until = Date.now() + PATIENCE_MS; ; await sleep(100)) {
    const [rotated] = logged(host, 'rotated');
    if (rotated !== undefined) {
      expect(rotated).toMatchObject({ port });
      return;
    }
    if (Date.now() > until) throw new Error(host.stderr());
  }
});
