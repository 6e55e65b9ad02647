/**
 * What packaging/ has, where neither a service manager nor a container engine is (systemd.test.ts and container.test.ts have
 * them): the unit is judged by systemd's own analysis, and its commands are run as they are written, without privileges;
 * the container file is judged by the rules of its language.
 */
import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { validate } from 'dockerfile-utils';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Place } from '../programs.ts';
import { productionPackages } from './production-packages.ts';

const place = new Place();
const UNIT = readFileSync('packaging/clawchatd.service', 'utf8');
const CONTAINER = readFileSync('packaging/Containerfile', 'utf8');
/** Who the program is: nobody of this machine. */
const USER = 61_234;

/** Make what an operator copies. */
function build(target: string): void {
  mkdirSync(target, { recursive: true });
  execFileSync('cp', ['-rL', '--parents', 'package.json', 'dist', ...productionPackages(), target]);
}

beforeAll(() => {
  execFileSync('chmod', ['755', place.root]);
  build(place.path('build'));
});
afterAll(() => place.clean());

interface Service {
  readonly child: ChildProcess;
  readonly output: () => string;
}

function start(command: string, args: readonly string[], env: Record<string, string>): Service {
  const child = spawn(command, args, {
    stdio: ['ignore', 'pipe', 'pipe'],
    env: { PATH: '/usr/bin:/bin', ...env },
  });
  let output = '';
  for (const stream of [child.stdout, child.stderr]) {
    stream.on('data', (piece: Buffer) => {
      output += piece.toString();
    });
  }
  return { child, output: () => output };
}

async function stopped({ child }: Service, signal: NodeJS.Signals): Promise<number | null> {
  child.kill(signal);
  if (child.exitCode === null) await once(child, 'exit');
  return child.exitCode;
}

describe('the unit', () => {
  const value = (name: string): string => new RegExp(`^${name}=(.*)$`, 'm').exec(UNIT)?.[1] ?? '';

  it('is right, and exposed below 2.0 by the analysis of systemd', () => {
    const unit = place.path('clawchatd.service');
    writeFileSync(unit, UNIT.replaceAll('/opt/clawchat', place.path('build')));
    expect(execFileSync('systemd-analyze', ['verify', unit], { encoding: 'utf8', stdio: 'pipe' })).toBe('');
    // Ends with an error above the threshold, in tenths.
    const report = execFileSync('systemd-analyze', ['security', '--offline=true', '--threshold=20', unit], {
      encoding: 'utf8',
    });
    const exposure = Number(/Overall exposure level for \S+: (\d+\.\d+)/.exec(report)?.[1]);
    expect(exposure).toBeGreaterThan(0);
    expect(exposure).toBeLessThan(2);
  });

  it('lets the host bind every port that it may move to', () => {
    expect(UNIT).toContain('SocketBindAllow=tcp:49152-65535\n');
    expect(Number(value('TimeoutStopSec'))).toBeGreaterThan(10);
  });

  it('starts a host that works without any privilege, and is reloaded and stopped as it says', async () => {
    const [data, config] = [place.path('state'), place.path('etc')];
    for (const path of [data, config]) mkdirSync(path, { mode: 0o700 });
    writeFileSync(join(config, 'clawchatd.yaml'), 'listen: 127.0.0.1\n');
    execFileSync('chown', ['-R', `${USER}:${USER}`, data, config]);
    const places: Readonly<Record<string, string>> = {
      '/opt/clawchat': place.path('build'),
      '/var/lib/clawchat': data,
      '/etc/clawchat': config,
      '/usr/bin/node': process.execPath,
    };
    const words = (line: string): readonly string[] =>
      Object.entries(places)
        .reduce((text, [from, to]) => text.replaceAll(from, to), line)
        .split(' ');
    const drop = [
      `--reuid=${USER}`,
      `--regid=${USER}`,
      '--clear-groups',
      '--no-new-privs',
      '--bounding-set=-all',
    ];
    const host = start('setpriv', [...drop, ...words(value('ExecStart'))], {});
    const waited = start('setpriv', [...drop, ...words(value('ExecStartPost'))], {});
    if (waited.child.exitCode === null) await once(waited.child, 'exit');
    expect(waited.child.exitCode, host.output()).toBe(0);
    expect(waited.output()).toMatch(/^ok: port \d+/);
    expect(value('ExecReload')).toContain('-HUP');
    host.child.kill('SIGHUP');
    expect(await stopped(host, 'SIGTERM')).toBe(0);
    expect(statSync(join(data, 'data.key'))).toMatchObject({ uid: USER });
  });
});

describe('the container file', () => {
  const problems = (text: string): readonly string[] => validate(text).map(({ message }) => String(message));

  it('is right by the rules of its language', () => {
    expect(problems(CONTAINER)).toEqual([]);
    expect(problems(CONTAINER.replace('STOPSIGNAL SIGTERM', 'STOPSIGNAL TERMINATE'))).toHaveLength(1);
  });

  it('copies only what is there and is sent to the builder', () => {
    const sent = readFileSync('packaging/Containerfile.dockerignore', 'utf8').trim().split('\n');
    expect(sent.shift()).toBe('*');
    const copied = [...CONTAINER.matchAll(/^COPY (?!--from)(.+) \S+$/gm)].flatMap(([, names = '']) =>
      names.split(' '),
    );
    const patterns = copied.map(name => (/^tsconfig.*\.json$/.test(name) ? '!tsconfig*.json' : `!${name}`));
    expect(new Set(patterns)).toEqual(new Set(sent));
    for (const name of copied) expect(existsSync(name), name).toBe(true);
  });
});
