/** What a person reads whose command of the client cannot be done: what is wrong, and what can be. Chapter: spec/09-errors.md. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { connect } from '../api/connect.ts';
import { type Host, serve } from '../api/serve.ts';
import { CLAWCHAT } from './clawchat-program.ts';
import { runProgram } from './command-line.ts';

let place = '';
let host: Host | undefined;
let err = '';

beforeEach(async () => {
  place = await mkdtemp(join(tmpdir(), 'clawchat-'));
  vi.spyOn(process.stdout, 'write').mockImplementation(() => true);
  vi.spyOn(process.stderr, 'write').mockImplementation(text => {
    err += String(text);
    return true;
  });
});

afterEach(async () => {
  vi.restoreAllMocks();
  await host?.close();
  host = undefined;
  await rm(place, { recursive: true, force: true });
});

async function run(...args: readonly string[]): Promise<readonly [number, string]> {
  err = '';
  const code = await runProgram(CLAWCHAT, [...args, '--data', join(place, 'ann')]);
  return [code, err];
}

const says = (text: string): unknown => expect.stringContaining(text);

test('what has nothing to say as JSON refuses to be asked for it', async () => {
  expect(await run('chat', '--json')).toEqual([2, says('a chat is for people; with --json there are')]);
  expect(await run('completion', 'bash', '--json')).toEqual([2, says('is for a shell: leave out --json')]);
  for (const asked of [['--help'], ['send', '--help'], ['help', 'send']]) {
    expect(await run(...asked, '--json')).toEqual([2, says('help is a text for people: leave out --json')]);
  }
});

test('a room, a text and a service that cannot be are refused with what could', async () => {
  host = await serve({ directory: join(place, 'host'), listen: '127.0.0.1' });
  const { text } = await host.invite({ name: 'Ann' });
  await (await connect({ directory: join(place, 'ann'), invite: text })).close();
  const long = 'x'.repeat(100);
  const tooLong = [2, says('[USAGE] the name of a room has at most 64 bytes')];
  expect(await run('room', 'create', long)).toEqual(tooLong);
  expect(await run('send', 'hi', '--room', long)).toEqual(tooLong);
  expect(await run('room', 'topic', 'lobby', 'x'.repeat(300))).toEqual([
    2,
    says('[USAGE] a topic has at most 256 bytes'),
  ]);
  const unknown = [2, says("[ROOM_UNKNOWN] there is no room 'nowhere', or it is closed to you: ")];
  for (const asked of [
    ['people', '--room', 'nowhere'],
    ['send', 'hi', '--room', 'nowhere'],
    ['room', 'topic', 'nowhere', 'hi'],
  ]) {
    expect([asked, await run(...asked)]).toEqual([asked, unknown]);
  }
  expect(await run('bench-stream', '--bytes', '1000')).toEqual([
    5,
    says('[SERVICE_UNKNOWN] this host takes no bulk stream: its operator has to start it with --bench'),
  ]);
  vi.spyOn(process, 'stdin', 'get').mockImplementation(
    () => Object.assign(Readable.from([]), { fd: 0 as const }) as never,
  );
  expect(await run('send')).toEqual([2, says('[USAGE] there is no text to send: ')]);
  expect(await run('send', '-')).toEqual([0, '']);
});
