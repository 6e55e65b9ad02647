/** What a person reads who mistypes or comes too late: what is wrong, once, and what to do. Chapter: spec/09-errors.md. */
import { existsSync } from 'node:fs';
import { copyFile, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { connect } from '../api/connect.ts';
import { serve } from '../api/serve.ts';
import { CLAWCHAT } from './clawchat-program.ts';
import { CLAWCHATD } from './clawchatd-program.ts';
import { runProgram } from './command-line.ts';

let place = '';
let [out, err] = ['', ''];

beforeEach(async () => {
  place = await mkdtemp(join(tmpdir(), 'clawchat-'));
  vi.spyOn(process.stdout, 'write').mockImplementation(text => {
    out += String(text);
    return true;
  });
  vi.spyOn(process.stderr, 'write').mockImplementation(text => {
    err += String(text);
    return true;
  });
});

afterEach(async () => {
  vi.restoreAllMocks();
  await rm(place, { recursive: true, force: true });
});

async function run(program: typeof CLAWCHAT, data: string, ...args: readonly string[]): Promise<number> {
  [out, err] = ['', ''];
  return runProgram(program, [...args, '--data', join(place, data)]);
}

const lines = (): readonly string[] => err.trimEnd().split('\n');

test('a join that fails ends with one advice, behind the error', async () => {
  expect(await run(CLAWCHATD, 'host', 'invite')).toBe(0);
  expect(err).toContain(`NOTE: there was no host in ${join(place, 'host')}: a new one was made there`);
  // CF-025~1
  expect(err).toContain('The invite works once the host has been started.\n');
  await writeFile(join(place, 'invite'), out);
  expect(await run(CLAWCHATD, 'host', 'invite')).toBe(0);
  expect(err).not.toContain('there was no host');
  expect(await run(CLAWCHAT, 'ann', 'join', join(place, 'invite'))).toBe(4);
  expect(lines().at(-2)).toMatch(/^clawchat: \[STORE_UNAVAILABLE\] /);
  expect(lines().at(-1)).toMatch(/^What to do: .*--file/);
  expect(err.match(/clawchatd invite --file/g)).toHaveLength(1);
  expect(await run(CLAWCHAT, 'ann', 'join', join(place, 'no-such-file'))).toBe(3);
  expect(lines().at(-1)).toMatch(/^What to do: .*the name of the file/);
});

test('an invite is not made for a file that cannot be written', async () => {
  const out = join(place, 'none', 'ann.invite');
  expect(await run(CLAWCHATD, 'host', 'invite', '--file', out)).toBe(2);
  expect(err).toContain(
    `[USAGE] ${out} cannot be written (ENOENT): name a file in a directory that is there`,
  );
  expect(existsSync(join(place, 'host'))).toBe(false);
});

test('a file that is there is not written over, by an invite or by a key', async () => {
  const out = join(place, 'a');
  await writeFile(out, 'the only copy');
  expect(await run(CLAWCHATD, 'host', 'invite')).toBe(0);
  for (const command of [
    ['invite', '--file', out],
    ['export-next-identity', out],
  ]) {
    expect(await run(CLAWCHATD, 'host', ...command)).toBe(2);
    expect(err).toContain(`[USAGE] ${out} is there already: name another file, or remove that one first`);
    expect(await readFile(out, 'utf8')).toBe('the only copy');
  }
});

test('a key that was moved half way is moved the rest', async () => {
  expect(await run(CLAWCHATD, 'host', 'invite')).toBe(0);
  const here = join(place, 'host', 'next-identity.key');
  const there = join(place, 'next.key');
  await copyFile(here, there);
  expect(await run(CLAWCHATD, 'host', 'export-next-identity', there)).toBe(0);
  expect(existsSync(here)).toBe(false);
  expect(await readFile(there)).toHaveLength(32);
});

test('a data directory that is a file is called one', async () => {
  await writeFile(join(place, 'host'), '');
  for (const program of [CLAWCHATD, CLAWCHAT]) {
    expect(await run(program, 'host', 'status')).toBe(2);
    expect(err).toContain(`[USAGE] ${join(place, 'host')} is no directory: --data names one`);
  }
});

test('help says a sentence in one piece, and a number with a dash is told as others are', async () => {
  expect(await run(CLAWCHATD, 'host', 'recover', '--help')).toBe(0);
  expect(out).toMatch(/goes on above the\nhighest record/);
  expect(await run(CLAWCHATD, 'host', 'history', '--limit', '-1')).toBe(2);
  expect(lines()).toEqual([
    expect.stringMatching(
      /\[USAGE\] --limit takes a value; one that begins with a dash is written --limit=-/,
    ),
  ]);
});

test('an address that this machine has not is called so', async () => {
  expect(await run(CLAWCHATD, 'host', '--listen', '192.0.2.7')).toBe(6);
  expect(err).toContain('[NO_PORT] cannot listen on 192.0.2.7');
  expect(err).toContain('this machine has no such address; without --listen it takes every one that it has');
});

test('an invite of a host that is off says so; a second one does not go into the same directory', async () => {
  const host = await serve({ directory: join(place, 'host'), listen: '127.0.0.1' });
  try {
    const { file } = await host.invite({ name: 'Ann' });
    await writeFile(join(place, 'ann.invite'), file);
    expect(await run(CLAWCHAT, 'ann', 'join', join(place, 'ann.invite'))).toBe(0);
    expect(err).toMatch(/^ {2}found the host's address: 127\.0\.0\.1:\d+ \(record 1\)$/m);
    const again = [
      'clawchat: [ALREADY_JOINED] this data directory has already joined a host',
      'What to do: join into another directory: --data DIR',
    ];
    expect(await run(CLAWCHAT, 'ann', 'join', join(place, 'ann.invite'))).toBe(2);
    expect(lines()).toEqual(again);
    const open = await connect({ directory: join(place, 'ann') });
    expect(await run(CLAWCHAT, 'ann', 'join', join(place, 'ann.invite'))).toBe(2);
    expect(lines()).toEqual(again);
    for (const text of ['one', 'two', 'three']) await open.send(text);
    const texts = async (...args: readonly string[]): Promise<readonly string[]> => {
      expect(await run(CLAWCHAT, 'ann', 'history', ...args)).toBe(0);
      return out.match(/(?<=Ann: ).*/g) ?? [];
    };
    expect(await texts('--limit', '2')).toEqual(['two', 'three']);
    expect(await texts('--limit', '2', '--room', 'lobby')).toEqual(['two', 'three']);
    expect(await texts('--limit', '99')).toEqual(['one', 'two', 'three']);
    expect(await texts('--from', '0', '--limit', '2')).toEqual(['one', 'two']);
    await open.close();
    expect(await run(CLAWCHAT, 'ann', 'room', 'keep', 'lobby', '1d')).toBe(2);
    expect(err).toContain('[ROOM_FORBIDDEN] you are a member in lobby: it has no owner');
    expect(await run(CLAWCHAT, 'ann', 'room', 'create', 'den')).toBe(0);
    expect(await run(CLAWCHAT, 'ann', 'room', 'leave', 'den')).toBe(2);
    expect(err).toContain('you are an owner in den: the last owner stays one until there is another');
    expect(await run(CLAWCHAT, 'ann', 'delete', '99')).toBe(2);
    expect(err).toContain('[MESSAGE_UNKNOWN] there is no such message that you can change');
    expect(await run(CLAWCHATD, 'host', 'invite', '--file', join(place, 'bob.invite'))).toBe(0);
    expect(err).not.toContain('No host runs here now');
    expect(err).toContain('to use it: clawchat join bob.invite\n');
    expect(err).not.toContain('has joined already');
    expect(await run(CLAWCHATD, 'host', 'invite', '--name', 'Ann', '--file', join(place, 'x'))).toBe(0);
    expect(err).toContain('A device called Ann has joined already: there will be two.\n');
    expect(await run(CLAWCHATD, 'host', 'rotate')).toBe(0);
    expect(out).toMatch(/^Under way: it moves in about \d+ (?:s|min); to see how it goes: /);
    expect(await readFile(join(place, 'bob.invite'))).not.toHaveLength(0);
    // Attached to the owner: the directory is refused in words that name it.
    expect(await run(CLAWCHAT, 'host', 'send', 'hi')).toBe(2);
    const wrong = `${join(place, 'host')} is the data directory of a host, not of a client; what you want may be: clawchatd status --data ${join(place, 'host')}\n`;
    expect(err).toContain(wrong);
    await host.close();
    expect(await run(CLAWCHAT, 'host', 'status')).toBe(2);
    expect(err).toContain(wrong);
    expect(await run(CLAWCHATD, 'ann', 'status')).toBe(2);
    expect(err).toContain(
      `of a client, not of a host; what you want may be: clawchat status --data ${join(place, 'ann')}\n`,
    );
  } finally {
    await host.close();
  }
  expect(await run(CLAWCHAT, 'ann', 'history', '--timeout', '2s')).toBe(124);
  expect(err).toContain('no answer within 2 s');
  expect(err).not.toContain('is kept');
  expect(await run(CLAWCHAT, 'ann', 'send', 'hi', '--timeout', '8s')).toBe(124);
  expect(lines().at(-1)).toMatch(
    /no answer within 8 s; last attempt: 127\.0\.0\.1 port \d+: nothing listens there .*; what was taken to be sent is kept/,
  );
  expect(await run(CLAWCHATD, 'host', 'invite')).toBe(0);
  expect(err).toContain('No host runs here now: nobody can join before it is started.\n');
  expect(await run(CLAWCHATD, 'host', 'status')).toBe(0);
  expect(out).toMatch(/^state +not well: no host runs on this directory; to start it: clawchatd/);
  expect(out).toMatch(/^record +number 1, ends in \d+ min$/m);
  expect(out).toMatch(/^store .*: read while the host runs$/m);
  expect(out).toMatch(/ 3 invites open: .*clawchatd invites/m);
});

test.each([
  [['sned', 'hi'], "there is no command 'sned'; did you mean send? (see clawchat --help)"],
  [['xyzzy'], "there is no command 'xyzzy'; see clawchat --help"],
  [
    ['send', 'hello', 'there'],
    'too many words: several that belong together go in quotes; usage: clawchat send',
  ],
  [['delete'], 'something is missing; usage: clawchat delete CURSOR'],
  [['send', ''], 'there is no text to send'],
  [['send', 'hi', '--dat', 'x'], "Unknown option '--dat'; did you mean --data? (see clawchat send --help)"],
  [['rooms', '--jsn'], "Unknown option '--jsn'; did you mean --json?"],
  [['rooms', '--xyzzy'], "Unknown option '--xyzzy' (see clawchat rooms --help)"],
])('%j is answered with what was meant', async (args, expected) => {
  expect(await run(CLAWCHAT, 'ann', ...args)).toBe(2);
  expect(err).toContain(expected);
});

test('options may stand before the command', async () => {
  for (const program of [CLAWCHAT, CLAWCHATD]) {
    const anywhere = ['--data', join(place, 'anm')];
    const tried = async (...args: readonly string[]): Promise<string> => {
      [out, err] = ['', ''];
      expect(await runProgram(program, args)).toBe(2);
      return err;
    };
    expect(await tried(...anywhere, 'status')).toContain(`there is no ${join(place, 'anm')}`);
    expect(await tried(`--data=${join(place, 'anm')}`, '--json', 'status')).toMatch(/^\{"error":/m);
    expect(await tried(...anywhere, 'statsu')).toMatch(/no command 'statsu'; did you mean .*status/);
    expect(await tried('--dat', 'x', 'status')).toContain("Unknown option '--dat'; did you mean --data?");
    expect(await runProgram(program, [...anywhere, 'status', '--help'])).toBe(0);
    expect(out).toContain(`usage: ${program.name} status`);
  }
  expect(await run(CLAWCHAT, 'ann', '--room', 'den')).toBe(2);
  expect(err).toContain('say what to do, such as: clawchat join');
  expect(await run(CLAWCHAT, 'ann', '--room', 'den', 'send', '')).toBe(2);
  expect(err).toContain('there is no text to send');
});

/** Run a command whose standard input is this text, and comes from a terminal or not. */
async function runWith(input: string, isTTY: boolean, ...args: readonly string[]): Promise<number> {
  const stdin = Object.assign(Readable.from([Buffer.from(input)]), { isTTY });
  const before = Object.getOwnPropertyDescriptor(process, 'stdin') ?? {};
  Object.defineProperty(process, 'stdin', { configurable: true, value: stdin });
  try {
    return await run(CLAWCHAT, 'ann', ...args);
  } finally {
    Object.defineProperty(process, 'stdin', before);
  }
}

test('whoever is at a terminal is told what is read from there, and a pipe, or who wants JSON, is not', async () => {
  const host = await serve({ directory: join(place, 'host'), listen: '127.0.0.1' });
  try {
    const invite = async (): Promise<string> => (await host.invite({ name: 'Ann' })).text;
    const hints = /^(?:Paste|Type|Each line) .*Ctrl-D.*$/gm;
    const told = async (input: string, isTTY: boolean, ...args: readonly string[]): Promise<string> => {
      expect(await runWith(input, isTTY, ...args)).toBe(0);
      return (err.match(hints) ?? []).join();
    };
    expect(await told(await invite(), true, 'join')).toBe('Paste the invite, then press Enter and Ctrl-D.');
    await rm(join(place, 'ann'), { recursive: true });
    expect(await told(await invite(), true, 'join', '--json')).toBe('');
    // EN-040~1: both compare the same words.
    const { device, words } = JSON.parse(out);
    expect(words).toMatch(/^[a-z]{5}(?:-[a-z]{5}){3}$/);
    expect(await host.devices()).toContainEqual(expect.objectContaining({ device, words }));
    await rm(join(place, 'ann'), { recursive: true });
    expect(await told(await invite(), false, 'join')).toBe('');
    expect(await told('a\nb\n', true, 'send', '-')).toBe('Each line is a message; Ctrl-D ends.');
    expect(await told('{"text":"c"}\n', true, 'send', '--json')).toBe('');
    expect(await told('d\n', false, 'send')).toBe('');
    const whole = 'Type or paste the message, then press Enter and Ctrl-D.';
    expect(await told('e\nf\n', true, 'send', '--multiline')).toBe(whole);
    expect(await told('g\n', false, 'send', '--multiline')).toBe('');
  } finally {
    await host.close();
  }
});

test('a mistyped directory is named, and not made', async () => {
  for (const command of ['status', 'send', 'listen', 'ping', 'rooms', 'chat']) {
    expect(await run(CLAWCHAT, 'anm', command)).toBe(2);
    expect(err).toContain(
      `[NOT_JOINED] there is no ${join(place, 'anm')}: join a host first (clawchat join)`,
    );
  }
  expect(existsSync(join(place, 'anm'))).toBe(false);
});

test('a fresh host is well for the doctor, and stop says which one has stopped', async () => {
  const host = await serve({ directory: join(place, 'host'), listen: '127.0.0.1' });
  try {
    expect(await run(CLAWCHATD, 'host', 'doctor')).toBe(0);
    expect(out).not.toMatch(/^FAIL/m);
    // The one thing to do for a host on which nothing is wrong.
    expect(out.match(/^warn.*/gm)).toEqual(['warn  next identity key: lies on this machine']);
    expect(out).toMatch(/\nNothing is wrong; 1 thing could be better\.\n$/);
    expect(await run(CLAWCHATD, 'host', 'stop')).toBe(0);
    expect(out).toBe(`Stopped the host on ${join(place, 'host')} (process ${process.pid}).\n`);
    await host.closed;
  } finally {
    await host.close();
  }
  expect(await run(CLAWCHATD, 'host', 'stop')).toBe(6);
  expect(err).toContain('[OWNER_LOST] nothing runs on ');
});
