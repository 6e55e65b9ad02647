/** A command that is printed can be copied, wherever the programs lie and whatever they were told. */
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { CLAWCHAT } from './clawchat-program.ts';
import { CLAWCHATD } from './clawchatd-program.ts';
import { type Invocation, shellWord, typedCommand, typedElsewhere, withCommands } from './typed-command.ts';

const SOURCES = fileURLToPath(new URL('..', import.meta.url));

let clone: string;
beforeAll(() => {
  clone = mkdtempSync(join(tmpdir(), 'clawchat-clone-'));
  mkdirSync(join(clone, 'docs'));
  writeFileSync(join(clone, 'package.json'), '{}');
});
afterAll(() => rmSync(clone, { recursive: true }));

function ran(script: string, more: Partial<Invocation> = {}): Invocation {
  return { script, args: ['status'], cwd: '/home/ann', environment: { PATH: '/usr/bin:/opt/bin' }, ...more };
}

describe('how a program is named', () => {
  it('in a clone: by npx, however it was started', () => {
    const script = join(clone, 'dist', 'clawchatd.js');
    const command = 'clawchatd devices';
    expect(typedCommand(command, ran(script, { cwd: clone }))).toBe('npx clawchatd devices');
    expect(typedCommand(command, ran(script, { cwd: join(clone, 'docs') }))).toBe('npx clawchatd devices');
    const cached = '/home/ann/.npm/_npx/80743f3b/node_modules/.bin/clawchatd';
    expect(typedCommand(command, ran(cached))).toBe('npx clawchatd devices');
    expect(typedElsewhere('clawchat join x.invite', ran(cached))).toBe('npx clawchat join x.invite');
  });

  it('from elsewhere: by its file', () => {
    const about = ran(join(clone, 'dist', 'clawchatd.js'));
    expect(typedCommand('clawchat join', about)).toBe(`node ${join(clone, 'dist', 'clawchat.js')} join`);
    expect(typedElsewhere('clawchat join', about)).toBe('clawchat join');
    expect(typedCommand('clawchatd', ran('/opt/a b/dist/clawchatd.js'))).toBe(
      "node '/opt/a b/dist/clawchatd.js'",
    );
  });

  it('on the path: by its name, and beside it: by its place', () => {
    expect(typedCommand('clawchatd', ran('/opt/bin/clawchatd'))).toBe('clawchatd');
    expect(typedCommand('clawchatd', ran('/srv/bin/clawchatd'))).toBe('/srv/bin/clawchatd');
  });
});

describe('where it works', () => {
  const script = '/usr/bin/clawchatd';
  const typed = (args: readonly string[], environment = {}): string =>
    typedCommand('clawchatd stop', ran(script, { args, environment: { PATH: '/usr/bin', ...environment } }));

  it('in the directory that the program was given, if any', () => {
    expect(typed(['status'])).toBe('clawchatd stop');
    expect(typed(['status', '--data', 'home'])).toBe('clawchatd stop --data /home/ann/home');
    expect(typed(['--data=/srv/the host'])).toBe("clawchatd stop --data '/srv/the host'");
    expect(typed([], { CLAWCHATD_DATA: '/data' })).toBe('clawchatd stop --data /data');
    expect(typed(['--data', 'a'], { CLAWCHATD_DATA: '/data' })).toBe('clawchatd stop --data /home/ann/a');
    expect(typed([], { CLAWCHAT_DATA: '/data' })).toBe('clawchatd stop');
    expect(typed(['--config', 'c.yaml'])).toBe('clawchatd stop --config /home/ann/c.yaml');
  });

  it('not for the other program, and not where it stands already or is of no use', () => {
    const about = ran(script, { args: ['--data', 'home'] });
    expect(typedCommand('clawchat join', about)).toBe('clawchat join');
    expect(typedCommand('clawchatd --help', about)).toBe('clawchatd --help');
    expect(typedCommand('clawchatd stop --data b', about)).toBe('clawchatd stop --data b');
    expect(typedElsewhere('clawchatd stop', about)).toBe('clawchatd stop');
  });
});

it('replaces what stands between backquotes, and nothing else', () => {
  const about = ran('/usr/bin/clawchatd', { args: ['--data', 'home'] });
  expect(withCommands('lost: `clawchatd recover`, or `ls`; clawchatd is one', about)).toBe(
    'lost: clawchatd recover --data /home/ann/home, or `ls`; clawchatd is one',
  );
  expect(withCommands('`clawchat`, `clawchatx`', about)).toBe('clawchat, `clawchatx`');
});

it('quotes what a shell would take apart', () => {
  expect([shellWord('/a/b-c.d'), shellWord('a b'), shellWord("it's"), shellWord('$x')]).toEqual([
    '/a/b-c.d',
    "'a b'",
    "'it'\\''s'",
    "'$x'",
  ]);
});

/** Help texts and examples of settings are read before anything was started. */
const READ_AHEAD = ['config/host-settings.ts'];

it('is asked by every text that names a command of this machine', () => {
  const names = [...CLAWCHATD.commands, ...CLAWCHAT.commands]
    .map(({ name }) => name)
    .filter(name => name !== '');
  // For whoever sits elsewhere, a command stands in double quotes or is the operator's.
  const named = new RegExp(
    `(?<![\`"(\\w]|Command\\('|Elsewhere\\(')clawchatd? (?:${names.join('|')}|--data)\\b`,
  );
  const sources = readdirSync(SOURCES, { recursive: true, encoding: 'utf8' }).filter(
    path => /(?<!\.test)\.ts$/.test(path) && !READ_AHEAD.includes(path),
  );
  expect(sources.length).toBeGreaterThan(100);
  const found = sources.flatMap(path =>
    readFileSync(join(SOURCES, path), 'utf8')
      .split('\n')
      .filter(text => !/^\s*(?:\/?\*|\/\/)/.test(text) && named.test(text))
      .map(text => `${path}: ${text.trim()}`),
  );
  expect(found).toEqual([]);
});
