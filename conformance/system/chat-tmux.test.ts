/** A chat as somebody has it in a terminal, driven in tmux; its screens are the snapshot (spec/11-chat.md). */
import { execFileSync } from 'node:child_process';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, expect, test } from 'vitest';
import { PATIENCE_MS, Place } from './programs.ts';

/** A screen that has not changed for this long has settled: marks and presence follow a message by less. */
const STILL_MS = 600;

/** A terminal of its own, with one program in it. */
class Terminal {
  readonly #name: string;
  readonly #server: string;

  constructor(server: string, name: string, size: readonly [number, number], args: readonly string[]) {
    this.#server = server;
    this.#name = name;
    const program = [process.execPath, join(process.cwd(), 'dist', 'clawchat.js'), ...args].join(' ');
    const [columns, rows] = size.map(String);
    this.#tmux('new-session', '-d', '-s', name, '-x', columns ?? '', '-y', rows ?? '', program);
  }

  type(text: string): void {
    this.#tmux('send-keys', '-t', this.#name, '-l', text);
    this.#tmux('send-keys', '-t', this.#name, 'Enter');
  }

  /** Type without sending. */
  keys(text: string): void {
    this.#tmux('send-keys', '-t', this.#name, '-l', text);
  }

  clearLine(): void {
    this.#tmux('send-keys', '-t', this.#name, 'C-u');
  }

  resize(columns: number, rows: number): void {
    this.#tmux('resize-window', '-t', this.#name, '-x', String(columns), '-y', String(rows));
  }

  /** What stands there, without what differs from run to run. */
  screen(): string {
    const text = this.#tmux('capture-pane', '-p', '-t', this.#name);
    return text
      .replace(/\d\d:\d\d/g, 'HH:MM')
      .replace(/\d{4}-\d\d-\d\d/g, 'YYYY-MM-DD')
      .trimEnd();
  }

  /** Wait for a screen that fits and then stays as it is, and give it. */
  async see(wanted: RegExp, not?: RegExp): Promise<string> {
    const until = Date.now() + PATIENCE_MS;
    for (;;) {
      const screen = this.screen();
      if (wanted.test(screen) && !not?.test(screen)) {
        await sleep(STILL_MS);
        if (this.screen() === screen) return screen;
      }
      if (Date.now() > until) throw new Error(`no ${wanted} here:\n${screen}`);
      await sleep(50);
    }
  }

  get isOver(): boolean {
    try {
      this.#tmux('has-session', '-t', this.#name);
      return false;
    } catch {
      return true;
    }
  }

  #tmux(...args: readonly string[]): string {
    const env = { ...process.env, NO_COLOR: '1', TERM: 'screen', TZ: 'UTC', LC_ALL: 'C.UTF-8' };
    return execFileSync('tmux', ['-u', '-L', this.#server, '-f', '/dev/null', ...args], {
      encoding: 'utf8',
      env,
      stdio: ['ignore', 'pipe', 'pipe'],
    });
  }
}

const SERVER = `clawchat-${process.pid}`;
let place: Place | undefined;

afterEach(async () => {
  try {
    execFileSync('tmux', ['-L', SERVER, 'kill-server'], { stdio: 'ignore' });
  } catch {
    // Both chats have ended, and tmux with them.
  }
  await place?.clean();
});

test('join, chat, lose the network, come back, scroll, search, rename, leave', async () => {
  place = new Place();
  const [hostData, annData, bobData] = ['host', 'ann', 'bob'].map(name => place?.path(name) ?? '');
  const host = await place.host(hostData ?? '');
  await place.join(hostData ?? '', annData ?? '', 'Ann');
  await place.join(hostData ?? '', bobData ?? '', 'Bob');
  const past = Array.from({ length: 30 }, (_, i) => `line ${i + 1}${i === 3 ? ' with a needle in it' : ''}`);
  await place.ok('clawchat', ['send', '-', '--data', bobData ?? ''], past.join('\n'));

  const ann = new Terminal(SERVER, 'ann', [60, 18], ['chat', '--data', annData ?? '']);
  const bob = new Terminal(SERVER, 'bob', [40, 12], ['chat', '--data', bobData ?? '']);
  await bob.see(/line 30/);
  await ann.see(/line 30[\s\S]*lobby>/, /connecting/);

  ann.type('hello Bob, this is a line that is longer than forty columns');
  const read = await ann.see(/forty columns \[read\]/);
  expect(read).toMatchSnapshot('a message that was read');
  expect(await bob.see(/line 30 \[read\][\s\S]*than\s+forty columns/)).toMatchSnapshot(
    'the same in 40 columns',
  );

  bob.keys('I am');
  await ann.see(/Bob is writing/);
  bob.clearLine();
  await ann.see(/lobby>/, /is writing/);

  await host.stop('SIGKILL');
  await ann.see(/the connection is lost/);
  ann.type('written while nobody answers');
  expect(await ann.see(/nobody answers \[sending\]/)).toMatchSnapshot('without a network');
  await place.host(hostData ?? '');
  expect(await ann.see(/nobody answers \[read\][\s\S]*connected again/, /connecting/)).toMatchSnapshot(
    'back again',
  );
  await bob.see(/written while nobody/);

  ann.type('/more');
  expect(await ann.see(/begins here/)).toMatchSnapshot('scrolled back');
  ann.type('/search NEEDLE');
  expect(await ann.see(/no more/)).toMatchSnapshot('found');

  ann.type('/people');
  await ann.see(/-- Ann, Bob$/m);
  ann.type('/create den');
  await ann.see(/Ann made den[\s\S]*den>/);
  ann.type('/topic where Ann thinks');
  await ann.see(/set the topic/);
  ann.type('/rename Anna');
  await ann.see(/is now called Anna/);
  ann.type('from Anna');
  expect(await ann.see(/Anna: from Anna \[sent\]/)).toMatchSnapshot('another name in another room');
  bob.type('/join den');
  const later = await bob.see(/Bob joined den/);
  // What stands above came when the host did, in whatever order.
  expect(later.slice(later.indexOf('-- den'))).toMatchSnapshot('who comes later');
  bob.type('\\033[2J\u202egnp.exe');
  await ann.see(/<202e>gnp/);
  ann.type('/join lobby');
  ann.type('/join den');
  await ann.see(/den>/);
  bob.type('/leave');
  await bob.see(/^lobby>/m);
  expect(await ann.see(/Bob left den/)).toMatchSnapshot('Bob left');

  ann.resize(40, 14);
  expect(await ann.see(/Bob left den/)).toMatchSnapshot('made narrow');
  for (const terminal of [ann, bob]) terminal.type('/quit');
  for (let i = 0; i < 200 && !(ann.isOver && bob.isOver); i += 1) await sleep(50);
  expect([ann.isOver, bob.isOver]).toEqual([true, true]);
});
