import { execFileSync, spawn } from 'node:child_process';
import { createInterface } from 'node:readline';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { PATIENCE_MS, Place } from './programs.ts';

const place = new Place();
const A = place.path('A');
let binary = '';

beforeAll(async () => {
  execFileSync('conformance/impls/go/build', [place.path('bin')], { stdio: 'pipe' });
  binary = place.path('bin', 'clawchat-go');
  await place.host(A);
});
afterAll(() => place.clean());

/** A Go client that runs: one JSON line in, JSON lines out. */
class Peer {
  readonly lines: Record<string, unknown>[] = [];
  readonly #child;
  #waiting: (() => void)[] = [];
  stderr = '';

  constructor(args: readonly string[]) {
    this.#child = spawn(binary, ['run', ...args], { stdio: ['pipe', 'pipe', 'pipe'] });
    createInterface({ input: this.#child.stdout }).on('line', line => {
      this.lines.push(JSON.parse(line));
      for (const look of this.#waiting) look();
    });
    this.#child.stderr.on('data', piece => {
      this.stderr += piece;
    });
    this.#child.on('close', () => {
      for (const look of this.#waiting) look();
    });
  }

  say(request: Record<string, unknown>): void {
    this.#child.stdin.write(`${JSON.stringify(request)}\n`);
  }

  /** The first line that has this key and fits. */
  hear(key: string, fits: (value: unknown) => boolean = () => true): Promise<unknown> {
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => finish(new Error(`no "${key}"\n${this.stderr}`)), PATIENCE_MS);
      const finish = (result: unknown): void => {
        clearTimeout(timer);
        this.#waiting = this.#waiting.filter(other => other !== look);
        if (result instanceof Error) reject(result);
        else resolve(result);
      };
      const look = (): void => {
        const found = this.lines.find(line => key in line && fits(line[key]));
        if (found !== undefined) finish(found[key]);
        else if (this.#child.exitCode !== null) finish(new Error(`ended first\n${this.stderr}`));
      };
      this.#waiting.push(look);
      look();
    });
  }

  async end(): Promise<void> {
    this.say({ do: 'quit' });
    if (this.#child.exitCode === null) await new Promise(resolve => this.#child.once('close', resolve));
  }
}

const texts = (history: unknown): string[] =>
  Array.isArray(history) ? history.map((message: { text: string }) => message.text) : [];

describe('a client in Go, written from the spec alone', () => {
  it('passes the vectors', () => {
    const out = execFileSync(binary, ['vectors', 'test-vectors'], { encoding: 'utf8' });
    console.log(`vectors in Go: ${out.trim().split('\n').at(-1)}`);
    expect(out).toMatch(/[1-9]\d+ passed, 0 failed/);
    expect(out).toMatch(/^chat: ([1-9]\d+) of \1 \(\d+ for hosts skipped\)$/m);
  });

  it('passes its own tests', () => {
    const impl = `${process.cwd()}/conformance/impls/go`;
    const env = { ...process.env, GO111MODULE: 'off', GOFLAGS: '', GOPATH: `/usr/share/gocode:${impl}` };
    const out = execFileSync('go', ['test', 'clawchat/...'], { encoding: 'utf8', env });
    expect(out).toMatch(/ok\s+clawchat\/path/);
  });

  it('enrols, shakes hands, posts, reads, resumes and comes back as the device', async () => {
    await place.join(A, place.path('B'), 'Bob');
    const invite = (await place.ok('clawchatd', ['invite', '--data', A, '--name', 'Go'])).trim();
    const state = place.path('go-state');
    const peer = new Peer(['--invite', invite, '--state', state]);
    peer.say({ do: 'post', room: 'lobby', text: 'from Go' });
    await peer.hear('posted', number => number === 1);
    peer.say({ do: 'subscribe', after: 0 });
    await place.ok('clawchat', ['send', 'from TypeScript', '--data', place.path('B')]);
    await peer.hear('message', message => texts([message])[0] === 'from TypeScript');
    // A path is cut with posts on their way; the session goes on, on another.
    for (let i = 2; i <= 20; i += 1) peer.say({ do: 'post', room: 'lobby', text: `number ${i}` });
    peer.say({ do: 'drop' });
    for (let i = 21; i <= 40; i += 1) peer.say({ do: 'post', room: 'lobby', text: `number ${i}` });
    await peer.hear('posted', number => number === 40);
    // A room is made by an act, which the history has and a reader passes over; what is edited and taken back is gone.
    const at = (number: number): unknown => peer.lines.find(({ posted }) => posted === number)?.['cursor'];
    peer.say({ do: 'create', room: 'gophers', topic: 'burrows' });
    peer.say({ do: 'post', room: 'gophers', text: 'a Tunnel' });

    await peer.hear('posted', number => number === 42);
    peer.say({ do: 'post', room: 'gophers', text: 'a better tunnel', edits: at(42) });
    peer.say({ do: 'post', room: 'gophers', text: 'no tunnel' });
    await peer.hear('posted', number => number === 44);

    peer.say({ do: 'delete', room: 'gophers', cursor: at(44) });
    await peer.hear('posted', number => number === 45);
    peer.say({ do: 'search', room: 'gophers', text: 'TUNNEL' });
    expect(texts(await peer.hear('history'))).toEqual(['a better tunnel']);
    peer.say({ do: 'rooms' });
    expect(await peer.hear('rooms')).toEqual(['gophers', 'lobby']);
    await peer.end();

    const again = new Peer(['--invite', invite, '--state', state]);
    again.say({ do: 'post', room: 'lobby', text: 'back' });
    await again.hear('posted', number => number === 46);
    await again.end();

    const history = await place.ok('clawchat', ['history', '--json', '--data', place.path('B')]);
    const mine = history
      .trim()
      .split('\n')
      .map(line => JSON.parse(line))
      .filter(({ name, room }) => name === 'Go' && room === 'lobby');
    const numbers = Array.from({ length: 39 }, (_, i) => `number ${i + 2}`);
    expect(mine.map(({ text }) => text)).toEqual(['from Go', ...numbers, 'back']);
    const devices = await place.ok('clawchatd', ['devices', '--json', '--data', A]);
    expect(
      devices
        .trim()
        .split('\n')
        .map(line => JSON.parse(line).name)
        .sort(),
    ).toEqual(['Bob', 'Go']);
  });
});
