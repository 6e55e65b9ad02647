/** Both programs under a passphrase: from a file, from a person at a terminal, and without it (CT-008~1). */
import { spawn } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { type Ended, NODE, PATIENCE_MS, Place, type ProgramName } from './programs.ts';

const place = new Place();
const [A, B] = [place.path('A'), place.path('B')];
const words = (name: string, text: string): string => {
  writeFileSync(place.path(name), `${text}\n`);
  return place.path(name);
};
const RIGHT = words('right', 'correct horse battery');
const WRONG = words('wrong', 'correct horse');
afterAll(() => place.clean());

function given(name: ProgramName, file: string, args: readonly string[], input?: string): Promise<Ended> {
  const program = join(process.cwd(), 'dist', `${name}.js`);
  return place.run({ file: program, env: { CLAWCHAT_PASSPHRASE_FILE: file } }, args, input);
}

/** Run a command on a terminal of its own, and type an answer to each question as it comes. */
function typed(
  command: string,
  answers: readonly (readonly [question: string, answer: string])[],
): Promise<Ended> {
  const child = spawn('script', ['-qefc', command, '/dev/null'], {
    cwd: place.root,
    env: { ...process.env, HOME: place.root },
  });
  const timer = setTimeout(() => child.kill('SIGKILL'), PATIENCE_MS);
  let stdout = '';
  const waiting = [...answers];
  child.stdout.on('data', (piece: Buffer) => {
    stdout += piece.toString();
    const [next] = waiting;
    if (next === undefined || !stdout.includes(next[0])) return;
    waiting.shift();
    child.stdin.write(`${next[1]}\r`);
  });
  return new Promise(resolve => {
    child.on('close', (code, signal) => {
      clearTimeout(timer);
      resolve({ code, signal, stdout, stderr: '' });
    });
  });
}

beforeAll(async () => {
  // Before the first start: the keys of both have never been on the disk in the clear.
  for (const [name, directory] of [
    ['clawchatd', A],
    ['clawchat', B],
  ] as const) {
    const { code, stdout } = await place.run(name, [
      'passphrase',
      'set',
      '--new',
      RIGHT,
      '--data',
      directory,
    ]);
    expect({ code, stdout }).toEqual({ code: 0, stdout: `${directory} is under the passphrase.\n` });
  }
});

it('opens with the file, and ends with 6 and a word on what to do without it or with another', async () => {
  const without = await place.run('clawchatd', ['--data', A, '--listen', '127.0.0.1']);
  expect(without).toMatchObject({ code: 6, stdout: '' });
  expect(without.stderr).toMatch(/PASSPHRASE_NEEDED.*CLAWCHAT_PASSPHRASE_FILE/s);
  const other = await given('clawchatd', WRONG, ['--data', A, '--listen', '127.0.0.1', '--json']);
  expect(other.code).toBe(6);
  expect(other.stderr).toContain('"code":"PASSPHRASE_WRONG"');

  const program = join(process.cwd(), 'dist/clawchatd.js');
  const host = await place.host(A, [], { file: program, env: { CLAWCHAT_PASSPHRASE_FILE: RIGHT } });
  // Whoever attaches to the running host is asked for nothing.
  const invite = await place.ok('clawchatd', ['invite', '--data', A, '--name', 'Ann']);
  expect((await given('clawchat', RIGHT, ['join', '-', '--data', B], invite)).code).toBe(0);
  expect((await given('clawchat', RIGHT, ['send', 'sealed', '--data', B])).code).toBe(0);
  expect(await place.run('clawchat', ['history', '--data', B])).toMatchObject({ code: 6, stdout: '' });
  expect((await place.run('clawchatd', ['passphrase', 'remove', '--data', A])).code).toBe(6);
  expect((await host.stop()).code).toBe(0);
});

it('asks a person at the terminal, shows nothing of what is typed, and takes a new one twice', async () => {
  const program = `${NODE} ${join(process.cwd(), 'dist/clawchat.js')}`;
  const secret = 'correct horse battery';
  const ask = `Passphrase of ${B}: `;
  const status = await typed(`${program} status --data ${B} --json`, [[ask, secret]]);
  expect(status.code).toBe(0);
  expect(status.stdout).toContain('"joined":true');
  expect(status.stdout).not.toContain(secret);
  expect((await typed(`${program} status --data ${B}`, [[ask, 'no idea at all']])).code).toBe(6);

  const set = `${program} passphrase set --data ${B}`;
  const twice = (second: string): [string, string][] => [
    ['New passphrase: ', 'another passphrase'],
    ['The same again: ', second],
    [ask, secret],
  ];
  const differing = await typed(set, twice('another passphrasf'));
  expect(differing.code).toBe(2);
  expect(differing.stdout).toContain('nothing was changed');
  expect((await typed(set, twice('another passphrase'))).code).toBe(0);
  expect((await typed(`${program} passphrase remove --data ${B}`, [[ask, 'another passphrase']])).code).toBe(
    0,
  );
  await place.ok('clawchat', ['status', '--data', B]);
});

it('refuses one that is too short, and a file that is not there', async () => {
  const short = words('short', '1234567');
  expect((await place.run('clawchat', ['passphrase', 'set', '--new', short, '--data', B])).code).toBe(2);
  expect(
    (await place.run('clawchat', ['passphrase', 'set', '--new', place.path('none'), '--data', B])).code,
  ).toBe(6);
  expect((await place.run('clawchat', ['passphrase', 'set', '--data', B])).code).toBe(2);
  expect((await place.run('clawchat', ['passphrase', 'change', '--data', B])).code).toBe(2);
});
