/** A chat as somebody has it in a terminal, driven in tmux; its screens are the snapshot (spec/11-chat.md). */
import { execFileSync } from 'node:child_process';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, expect, test } from 'vitest';
import { photograph } from '../../src/node/cli/testing/photograph.ts';
import { MovingRelay } from './moving-relay.ts';
import { NODE, PATIENCE_MS, Place } from './programs.ts';

/** A screen that has not changed for this long has settled: marks and presence follow a message by less. */
const STILL_MS = 400;

/** A terminal of its own, with one program in it. */
class Terminal {
  readonly #name: string;
  readonly #server: string;

  /** Run programs one behind the other, with Enter between them. */
  constructor(
    server: string,
    name: string,
    size: readonly [number, number],
    ...calls: readonly (readonly string[])[]
  ) {
    this.#server = server;
    this.#name = name;
    const clawchat = [NODE, join(process.cwd(), 'dist', 'clawchat.js')];
    const program = calls.map(args => [...clawchat, ...args].join(' ')).join(' && read enter && ');
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

  /** Press a key by its name. */
  press(key: string): void {
    this.#tmux('send-keys', '-t', this.#name, key);
  }

  /** Paste, as a terminal does that was told to say so. */
  paste(text: string): void {
    this.#tmux('set-buffer', '-b', this.#name, text);
    this.#tmux('paste-buffer', '-p', '-r', '-b', this.#name, '-t', this.#name);
  }

  resize(columns: number, rows: number): void {
    this.#tmux('resize-window', '-t', this.#name, '-x', String(columns), '-y', String(rows));
  }

  /** What stands there. */
  raw(): string {
    return this.#tmux('capture-pane', '-p', '-J', '-t', this.#name);
  }

  /** What stands there, without what differs from run to run. */
  screen(): string {
    return this.raw()
      .replace(/ +$/gm, '')
      .replace(/\d\d:\d\d/g, 'HH:MM')
      .replace(/\d{4}-\d\d-\d\d/g, 'YYYY-MM-DD')
      .replace(/clawchat1[0-9a-z]+/, 'INVITE')
      .replace(/\/\S*\/clawchat-\w+\//, '/PLACE/')
      .replace(/127\.0\.0\.3:\d+/, 'ADDRESS:PORT')
      .replace(/\w{5}-\w{5}-\w{5}-\w{5}/, 'words-words-words-words')
      .trimEnd();
  }

  /** Wait for a screen that fits and then stays as it is for a while, and give it. */
  async see(wanted: RegExp, not?: RegExp, stillMs = STILL_MS): Promise<string> {
    const until = Date.now() + PATIENCE_MS;
    for (;;) {
      const screen = this.screen();
      if (wanted.test(screen) && !not?.test(screen)) {
        await sleep(stillMs);
        if (stillMs === 0 || this.screen() === screen) return screen;
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
/** Where people find the host: the network between, which can be cut while both sides live. */
const NETWORK = '127.0.0.3';
let place: Place | undefined;
let network: MovingRelay | undefined;

afterEach(async () => {
  try {
    execFileSync('tmux', ['-L', SERVER, 'kill-server'], { stdio: 'ignore' });
  } catch {
    // Both chats have ended, and tmux with them.
  }
  await network?.close();
  await place?.clean();
});

test('join, chat, lose the network, come back, scroll, search, rename, leave', async () => {
  place = new Place();
  const [hostData, annData, bobData] = ['host', 'ann', 'bob'].map(name => place?.path(name) ?? '');
  const host = await place.host(hostData ?? '', ['--advertise', NETWORK]);
  network = new MovingRelay(hostData ?? '', NETWORK);
  await place.join(hostData ?? '', bobData ?? '', 'Bob');
  const past = Array.from({ length: 70 }, (_, i) => `line ${i + 1}${i === 3 ? ' with a needle in it' : ''}`);
  await place.ok('clawchat', ['send', '-', '--data', bobData ?? ''], past.join('\n'));

  const bob = new Terminal(SERVER, 'bob', [40, 12], ['chat', '--data', bobData ?? '']);
  await bob.see(/line 70[\s\S]*1 here/);
  const invite = await place.ok('clawchatd', ['invite', '--data', hostData ?? '', '--name', 'Ann']);
  const ann = new Terminal(
    SERVER,
    'ann',
    [60, 18],
    ['join', '-', '--data', annData ?? ''],
    ['chat', '--data', annData ?? ''],
  );
  await ann.see(/Paste the invite/, undefined, 0);
  ann.type(invite.trim());
  ann.press('C-d');
  expect(await ann.see(/can read what is written there/)).toMatchSnapshot('joined');
  ann.press('Enter');
  await ann.see(/line 70[\s\S]*lobby \| 2 here/);

  ann.type('hello Bob, this is a line that is longer than forty columns');
  expect(await ann.see(/forty columns \[read\]/)).toMatchSnapshot('a message that was read');
  expect(await bob.see(/line 70 \[read\][\s\S]*than\s+forty columns[\s\S]*2 here/)).toMatchSnapshot(
    'the same in 40 columns',
  );

  bob.keys('I am');
  expect(await ann.see(/2 here \| Bob is writing/, undefined, 0)).toContain('forty columns [read]');
  bob.press('C-u');
  await ann.see(/2 here -/, /is writing/);

  ann.keys('two lines');
  ann.press('C-j');
  ann.paste('of one message\nand a third');
  await ann.see(/> two lines\u21b5of one message\u21b5and a third/, undefined, 0);
  ann.press('Enter');
  await ann.see(/Ann: two lines\n {6}of one message\n {6}and a third \[read\]/);
  ann.type('/edit one line');
  await ann.see(/Ann: one line \(edited\) \[read\]/);
  bob.type('/reply that is better');
  expect(await bob.see(/\(to Ann: one line\)[\s\S]*\[read\]/)).toMatchSnapshot('an edit and a reply');

  await network.close();
  await ann.see(/the connection is lost/);
  ann.type('written while nobody answers');
  expect(await ann.see(/nobody answers \[sending\][\s\S]*reconnecting ..., 1 waiting/)).toMatchSnapshot(
    'without a network',
  );
  expect([host.child.exitCode, ann.isOver, bob.isOver]).toEqual([null, false, false]);
  network = new MovingRelay(hostData ?? '', NETWORK);
  expect(await ann.see(/nobody answers \[read\][\s\S]*connected again[\s\S]*2 here/)).toMatchSnapshot(
    'back again',
  );
  await host.stop('SIGKILL');
  await ann.see(/reconnecting/);
  ann.type('written while no host runs');
  await ann.see(/no host runs \[sending\]/);
  await place.host(hostData ?? '', ['--advertise', NETWORK]);
  await ann.see(/no host runs \[read\][\s\S]*2 here/);

  ann.press('PageUp');
  expect(await ann.see(/PageDown for the newest/)).toMatchSnapshot('scrolled back');
  for (let i = 0; i < 12 && !ann.screen().includes('where lobby begins'); i += 1) {
    ann.press('PageUp');
    await sleep(STILL_MS);
  }
  expect(await ann.see(/where lobby begins/)).toMatchSnapshot('where it begins');
  ann.type('/search NEEDLE');
  expect(await ann.see(/end of what was found/)).toMatchSnapshot('found');

  ann.type('/people');
  await ann.see(/\* Ann, Bob$/m);
  ann.type('/create den');
  await ann.see(/Ann made den[\s\S]*den \| 1 here/);
  ann.type('/topic where Ann thinks');
  await ann.see(/set the topic/);
  ann.type('/rename Anna');
  await ann.see(/is now called Anna/);
  ann.type('from Anna');
  expect(await ann.see(/Anna: from Anna \[sent\]/)).toMatchSnapshot('another name in another room');
  bob.type('/join den');
  expect(await bob.see(/Bob joined den[\s\S]*2 here/)).toMatchSnapshot('who comes later');
  bob.type('\\033[2J\u202egnp.exe');
  await ann.see(/<202e>gnp/);
  bob.type('/join lobby');
  await bob.see(/lobby \| 2 here/);
  ann.type('are you there?');
  await bob.see(/new in den/);
  bob.type('/join den');
  expect(await bob.see(/-- new -+\n.*are you there/)).toMatchSnapshot('what is new');
  bob.type('/leave');
  await bob.see(/lobby \| 2 here/);
  expect(await ann.see(/Bob left den[\s\S]*1 here/)).toMatchSnapshot('Bob left');

  ann.resize(40, 14);
  expect(await ann.see(/Bob left den[\s\S]*den \| 1 here -{20,24}\n/)).toMatchSnapshot('made narrow');
  ann.type('/join lobby');
  await ann.see(/lobby \| 2 here/);
  for (const what of ['receipts', 'typing']) {
    bob.type(`/${what} off`);
    await bob.see(new RegExp(`${what} off`));
  }
  bob.keys('unheard');
  await bob.see(/> unheard/, undefined, 0);
  ann.type('do you read me?');
  await bob.see(/do you read me\?/);
  // So long that others would have been told.
  await sleep(1_000);
  expect(await ann.see(/do you read me\? \[sent\]/)).not.toContain('is writing');
  bob.press('C-u');
  bob.type('/receipts on');
  await bob.see(/receipts on/);
  ann.type('and now?');
  await ann.see(/and now\? \[read\]/);
  ann.type('/join den');
  await ann.see(/den \| 1 here/);
  ann.type('/invite-device phone');
  await ann.see(/a terminal of \d+ columns and \d+ rows\s+shows it as a QR\s+code/);
  ann.resize(120, 60);
  await ann.see(/[\u2580\u2588]{8}[\s\S]*den \| 1 here/, /as a QR/);
  const rows = ann.raw().split('\n');
  const code = rows.filter(row => /[\u2580\u2584\u2588]/.test(row));
  const from = rows.findIndex(row => row.startsWith('clawchat1'));
  const shown = rows.slice(from, rows.indexOf(code[0] ?? '')).join('');
  expect(photograph(code)).toBe(shown.replaceAll(' ', '').toUpperCase());
  for (const terminal of [ann, bob]) terminal.type('/quit');
  for (let i = 0; i < 200 && !(ann.isOver && bob.isOver); i += 1) await sleep(50);
  expect([ann.isOver, bob.isOver]).toEqual([true, true]);
});
