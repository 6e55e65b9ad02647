/**
 * The unit and the container file of packaging/ without a service manager (systemd.test.ts has one) and without a
 * container engine: the unit is judged by systemd's own analysis, the container file is parsed, and the commands of both
 * are run as they are written - without privileges, and in a root directory of their own that has what the image would have.
 */
import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { DockerfileParser, type From, type Instruction } from 'dockerfile-ast';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Place } from '../programs.ts';
import { until } from '../until.ts';
import { productionPackages } from './production-packages.ts';

const place = new Place();
const ROOT = place.path('root');
const UNIT = readFileSync('packaging/clawchatd.service', 'utf8');
const CONTAINER = readFileSync('packaging/Containerfile', 'utf8');
/** Who the program is in both: nobody of this machine. */
const USER = 61_234;
/** Of the system, read-only, in the place of the image's. */
const MOUNTS = ['usr', 'bin', 'lib', 'lib64'].filter(name => existsSync(`/${name}`));

/** Make what the first stage of the container file leaves. */
function build(target: string): void {
  mkdirSync(target, { recursive: true });
  execFileSync('cp', ['-rL', '--parents', 'package.json', 'dist', ...productionPackages(), target]);
}

beforeAll(() => {
  execFileSync('chmod', ['755', place.root]);
  build(place.path('build'));
});
afterAll(async () => {
  for (const name of ['proc', 'dev', ...MOUNTS])
    if (existsSync(join(ROOT, name))) execFileSync('umount', ['-l', join(ROOT, name)], { stdio: 'ignore' });
  await place.clean();
});

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
  const parsed = DockerfileParser.parse(CONTAINER);
  const all = parsed.getInstructions();
  const stages = all.filter(each => each.getKeyword() === 'FROM') as From[];
  const last = stages.at(-1);
  const final = all.slice(all.indexOf(last as From) + 1);
  const named = (name: string): readonly Instruction[] => final.filter(each => each.getKeyword() === name);
  const json = (name: string): readonly string[] =>
    JSON.parse(/\[.*\]/.exec(named(name).at(-1)?.getArgumentsContent() ?? '')?.[0] ?? '[]');

  it('has what an image needs, and takes only what is there', () => {
    expect(stages.map(stage => stage.getImage())).toEqual(['node:22-bookworm-slim', 'node:22-bookworm-slim']);
    expect(all.some(each => each.getKeyword() === 'ADD')).toBe(false);
    expect(named('USER').map(each => each.getArgumentsContent())).toEqual(['node']);
    expect(json('VOLUME')).toEqual(['/data']);
    // A shell in between would keep signals from the program.
    expect(json('ENTRYPOINT').at(0)).toBe('node');
    expect(named('STOPSIGNAL')).toHaveLength(1);
    const ignore = readFileSync('packaging/Containerfile.dockerignore', 'utf8').trim().split('\n');
    const first = all.slice(0, all.indexOf(last as From)).filter(each => each.getKeyword() === 'COPY');
    for (const copy of first) {
      for (const source of (copy.getArgumentsContent() ?? '').split(' ').slice(0, -1)) {
        expect(existsSync(source), source).toBe(true);
        const isSent = ignore.some(
          line => line === `!${source}` || (line === '!tsconfig*.json' && source.startsWith('tsconfig')),
        );
        expect(isSent, `${source} is sent to the builder`).toBe(true);
      }
    }
  });

  it('makes a root in which its user runs the host, and its check is right about it', async () => {
    for (const name of [...MOUNTS, 'etc', 'tmp', 'dev', 'proc'])
      mkdirSync(join(ROOT, name), { recursive: true });
    for (const name of MOUNTS) execFileSync('mount', ['--bind', '-o', 'ro', `/${name}`, join(ROOT, name)]);
    execFileSync('mount', ['--rbind', '/dev', join(ROOT, 'dev')]);
    execFileSync('mount', ['-t', 'proc', 'proc', join(ROOT, 'proc')]);
    execFileSync('chmod', ['1777', join(ROOT, 'tmp')]);
    // As in the image: its user is called node.
    writeFileSync(join(ROOT, 'etc/passwd'), `root:x:0:0::/:/bin/sh\nnode:x:${USER}:${USER}::/:/bin/sh\n`);
    writeFileSync(join(ROOT, 'etc/group'), `root:x:0:\nnode:x:${USER}:\n`);
    const env: Record<string, string> = { PATH: `${dirname(process.execPath)}:/usr/bin:/bin` };
    const chroot = (command: readonly string[], user: number): Service =>
      start('/usr/sbin/chroot', [`--userspec=${user}:${user}`, ROOT, ...command], env);
    for (const instruction of final) {
      const text = instruction.getArgumentsContent() ?? '';
      switch (instruction.getKeyword()) {
        case 'COPY': {
          const [from = '', to = ''] = text.replace('--from=build ', '').split(' ');
          const source = from.replace('/build', place.path('build'));
          const target = to.endsWith('/') ? join(ROOT, to, from.split('/').at(-1) ?? '') : join(ROOT, to);
          mkdirSync(dirname(target), { recursive: true });
          // Links, because nothing here is changed.
          execFileSync('cp', ['-rl', source, target]);
          break;
        }
        case 'RUN': {
          const ran = chroot(['/bin/sh', '-c', text], 0);
          if (ran.child.exitCode === null) await once(ran.child, 'exit');
          expect(ran.child.exitCode, ran.output()).toBe(0);
          break;
        }
        case 'ENV':
          for (const pair of text.split(' ')) env[pair.split('=')[0] ?? ''] = pair.split('=')[1] ?? '';
          break;
        default:
          break;
      }
    }
    const host = chroot([...json('ENTRYPOINT'), '--listen', '127.0.0.1'], USER);
    await until('it is ready', () => host.output().includes(' is ready') || host.child.exitCode !== null);
    const check = async (): Promise<number | null> => {
      const { child } = chroot(json('HEALTHCHECK'), USER);
      if (child.exitCode === null) await once(child, 'exit');
      return child.exitCode;
    };
    expect(await check(), host.output()).toBe(0);
    expect(statSync(join(ROOT, 'data/data.key'))).toMatchObject({ uid: USER });
    expect(await stopped(host, 'SIGTERM')).toBe(0);
    expect(await check()).not.toBe(0);
  });
});
