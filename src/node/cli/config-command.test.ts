/** What a configuration is refused for, by the command that checks it. */
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { serve } from '../api/serve.ts';
import { CLAWCHAT } from './clawchat-program.ts';
import { CLAWCHATD } from './clawchatd-program.ts';
import { type Program, runProgram } from './command-line.ts';

let directory = '';
let printed = '';
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'clawchat-config-'));
  printed = '';
  const take = (text: string | Uint8Array): boolean => {
    printed += text.toString();
    return true;
  };
  vi.spyOn(process.stderr, 'write').mockImplementation(take);
  vi.spyOn(process.stdout, 'write').mockImplementation(take);
});
afterEach(() => {
  vi.restoreAllMocks();
  vi.unstubAllEnvs();
  rmSync(directory, { recursive: true });
});

async function check(text: string, ...args: readonly string[]): Promise<number> {
  writeFileSync(join(directory, 'config.yaml'), text, { mode: 0o600 });
  return runProgram(CLAWCHATD, ['config', 'check', '--data', directory, ...args]);
}

test('one that is right is said to be so', async () => {
  expect(await check('port: 8443\nadvertise-port: 443\nfront: { hops: [127.0.0.1] }')).toBe(0);
  expect(printed).toBe(`${directory}/config.yaml is right.\n`);
});

test('the example is right as it is, alone and beside stores', async () => {
  const example = readFileSync('config.example.yaml', 'utf8');
  expect(await check(example), printed).toBe(0);
  expect(await check(example.replace('\nstores: []', '\nstores: [{ kind: local, path: /x }]')), printed).toBe(
    0,
  );
});

test.each([
  ['port: 70000', "config.yaml line 1: port takes a whole number from 1 to 65535, or moving, not '70000'"],
  ['prot: 1', 'config.yaml line 1: there is no setting "prot"; did you mean "port"?'],
  ['stores:\n  - kind: local\n    path: relative', 'config.yaml line 2: "path" is not an absolute path'],
  ['tls: { certificate: /c.pem }', 'tls.certificate is of no use without tls.key'],
  ['tls: { certificate: /c.pem, key: /k.pem }', 'tls.certificate needs a fixed port'],
  ['front: { hops: [127.0.0.1] }', 'front.hops needs a fixed port'],
  ['advertise-port: 443', 'advertise-port needs a fixed port'],
  ['metrics: { listen: "0.0.0.0:9464" }', 'metrics.listen names no loopback address'],
  ['interval: 1m', 'config.yaml line 1: interval takes at least 15m: a rotation takes'],
  ['store: /x\nstores: [{ kind: local, path: /y }]', 'store and a list of stores exclude each other'],
])('%j is refused with what is wrong', async (text, expected) => {
  expect(await check(text)).toBe(2);
  expect(printed).toContain(expected);
});

test.each<[name: string, said: string, program: Program]>([
  ['CLAWCHATD_PROT', 'there is no variable CLAWCHATD_PROT; did you mean CLAWCHATD_PORT?', CLAWCHATD],
  ['CLAWCHAT_PORT', 'there is no variable CLAWCHAT_PORT; did you mean CLAWCHATD_PORT?', CLAWCHATD],
  ['CLAWCHATD_LOGLEVEL', 'did you mean CLAWCHATD_LOG_LEVEL?', CLAWCHATD],
  ['CLAWCHATD_PASSPHRASE_FILE', 'did you mean CLAWCHAT_PASSPHRASE_FILE?', CLAWCHATD],
  ['CLAWCHATD_TRUST_DATABASE', 'CLAWCHATD_TRUST_DATABASE: whether a data directory is the newest', CLAWCHATD],
  ['CLAWCHAT_DAT', 'there is no variable CLAWCHAT_DAT; did you mean CLAWCHAT_DATA?', CLAWCHAT],
  ['CLAWCHAT_SOMETHING_ELSE_ENTIRELY', 'there are CLAWCHAT_PRESET, CLAWCHAT_DATA, CLAWCHAT_CONFIG', CLAWCHAT],
  ['CLAWCHATD_LISTN', 'did you mean CLAWCHATD_LISTEN?', CLAWCHAT],
])('the variable %s is refused, with the one that was meant', async (name, said, program) => {
  vi.stubEnv(name, '1');
  const commands = [
    ['config', 'check'],
    ['passphrase', 'set'],
  ];
  for (const words of commands) {
    printed = '';
    expect(await runProgram(program, [...words, '--data', directory])).toBe(2);
    expect(printed).toContain(said);
  }
  // What reads no setting works; an empty variable is none.
  for (const words of [['--help'], ['--version'], ['completion', 'bash']])
    expect(await runProgram(program, words)).toBe(0);
  vi.stubEnv(name, '');
  expect(await runProgram(program, ['config', 'check', '--data', directory])).toBe(0);
});

test('variables of the other program are no mistake, nor is what begins otherwise', async () => {
  const names = [
    'CLAWCHAT_RECEIPTS',
    'CLAWCHAT_PASSPHRASE_FILE',
    'CLAWCHAT_MEGA_PIN',
    'CLAWCHATS_X',
    'CLAWCHAT',
  ];
  for (const name of names) vi.stubEnv(name, '/x');
  expect(await check('port: 1')).toBe(0);
});

test('what is decided for one start is no setting, and says so', async () => {
  expect(await check('trust-database: true')).toBe(2);
  const said = 'no setting, but the option --trust-database';
  expect(printed).toContain(
    'config.yaml line 1: there is no setting "trust-database"; whether a data directory',
  );
  expect(printed).toContain(said);
  printed = '';
  expect(await check('', '--trust-database')).toBe(0);
  expect(printed).toContain(said);
});

test('each command says its own default of the level', async () => {
  const level = async (program: Program, ...words: readonly string[]): Promise<readonly string[]> => {
    printed = '';
    await runProgram(program, [...words, '--help']);
    return [...printed.matchAll(/--log-level.*\(default: (.*)\)$/gm)].map(([, name = '']) => name);
  };
  expect(await level(CLAWCHATD)).toEqual(['info', 'warn']);
  expect(await level(CLAWCHATD, 'status')).toEqual(['warn']);
  expect(await level(CLAWCHATD, 'config')).toEqual(['info']);
  expect(await level(CLAWCHAT, 'send')).toEqual(['warn']);
  expect(await level(CLAWCHAT, 'chat')).toEqual(['error, warn in a file']);
});

test('what the options say is judged with the file', async () => {
  expect(await check('metrics: { listen: "0.0.0.0:9464" }', '--metrics-remote')).toBe(0);
  expect(await check('port: 1', '--port', 'x')).toBe(2);
  expect(printed).toContain("--port takes a whole number from 1 to 65535, or moving, not 'x'");
});

test('the list of stores beside the file is checked, too', async () => {
  const stores = join(directory, 'stores.json');
  writeFileSync(stores, '[{ "kind": "local", "path": "/x" }]', { mode: 0o600 });
  const bare = (): Promise<number> => runProgram(CLAWCHATD, ['config', 'check', '--data', directory]);
  expect(await bare()).toBe(0);
  expect(printed).toBe(
    `There is no ${join(directory, 'config.yaml')}; the other settings are right.\n${stores} is right: stores, 1 of them.\n`,
  );
  printed = '';
  expect(await runProgram(CLAWCHATD, ['config', 'show', '--data', directory])).toBe(0);
  expect(printed).toMatch(new RegExp(`^stores +1 of them +${stores}$`, 'm'));
  writeFileSync(stores, '[{ "kind": "local", "path": "x" }]');
  expect(await bare()).toBe(2);
  expect(printed).toContain(`${stores}: store 1: "path" is not an absolute path`);
});

test.each(['status', 'history', 'devices', 'revoke'])(
  '%s makes no host in a directory that is not there',
  async command => {
    const nowhere = join(directory, 'nowhere');
    const words = command === 'revoke' ? [command, 'Ann'] : [command];
    expect(await runProgram(CLAWCHATD, [...words, '--data', nowhere])).toBe(2);
    expect(printed).toContain(`there is no ${nowhere}`);
    expect(existsSync(nowhere)).toBe(false);
  },
);

// CT-052~1
test('of a host that runs is what it was started with, whatever this command was given', async () => {
  const data = join(directory, 'home');
  const file = join(directory, 'other.yaml');
  writeFileSync(file, 'interval: 6h\nproxy: http://ann:secret@127.0.0.1:9\n', { mode: 0o600 });
  const ask = async (...args: readonly string[]): Promise<string> => {
    printed = '';
    expect(await runProgram(CLAWCHATD, [...args, '--data', data]), printed).toBe(0);
    return printed;
  };
  expect(await ask('config', 'show')).not.toContain('running host');
  printed = '';
  const start = ['--data', data, '--config', file, '--listen', '127.0.0.1', '--log-level', 'error'];
  const running = runProgram(CLAWCHATD, start);
  await vi.waitFor(() => expect(printed).toContain('is ready'), { timeout: 60_000, interval: 20 });
  try {
    const text = await ask('config', 'show');
    expect(text).toContain(`running host    process ${process.pid}, started with ${file}\n`);
    expect(text).not.toMatch(/^file /m);
    expect(text).toMatch(/^interval +6h +.*other\.yaml line 1$/m);
    expect(text).toMatch(/^listen +127\.0\.0\.1 +--listen$/m);
    expect(text).not.toContain('secret');
    const [, then = ''] = text.split('One that is started as this command was (no file) would have:\n');
    expect(then.replaceAll(/ {2,}/g, ' ')).toBe(
      'listen all default\ninterval auto default\nproxy environment default\nlog.level info default\n',
    );
    expect(await ask('config', 'check')).toContain(
      `The host that runs here (process ${process.pid}) was started with ${file}; to check that: clawchatd config check --data ${data} --config ${file}\n`,
    );
    expect(await ask('config', 'check', '--config', file)).toBe(`${file} is right.\n`);
    const same = await ask(
      'config',
      'show',
      '--config',
      file,
      '--listen',
      '127.0.0.1',
      '--log-level',
      'error',
    );
    expect(same).not.toContain('would have');
    const [head, ...rows] = (await ask('config', 'show', '--json'))
      .trim()
      .split('\n')
      .map(one => JSON.parse(one));
    expect(head).toEqual({ data, file: null, running: { pid: process.pid, file, tells: true } });
    expect(rows.find(({ key }) => key === 'interval')).toEqual({
      key: 'interval',
      value: '6h',
      origin: 'file',
      where: `${file} line 1`,
      next: { value: 'auto', origin: 'default', where: '' },
    });
    expect(rows.find(({ key }) => key === 'drain')).not.toHaveProperty('next');
  } finally {
    await ask('stop');
    expect(await running).toBe(0);
  }
});

test('of a host within a program is not told, and said not to be', async () => {
  const data = join(directory, 'home');
  const host = await serve({ directory: data, listen: '127.0.0.1' });
  try {
    expect(await runProgram(CLAWCHATD, ['config', '--data', data])).toBe(0);
    expect(printed).toMatch(
      /^file +none\nrunning host +process \d+, whose program gave it its settings; what/m,
    );
  } finally {
    await host.close();
  }
});
