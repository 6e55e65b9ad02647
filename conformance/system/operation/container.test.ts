/**
 * The image of packaging/, built and run by the commands of docs/operations.md as they stand there; its people are on
 * another machine.
 */
import { copyFileSync, mkdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { ok, program, type Seat } from '../flows.ts';
import { codeBlocks } from '../markdown.ts';
import { Network } from '../network.ts';
import { Place, type Running } from '../programs.ts';
import { until } from '../until.ts';
import { prepareBase } from './container-base.ts';
import { ContainerEngine } from './container-engine.ts';
import { whyNoMachine } from './namespaces.ts';
import { productionPackages } from './production-packages.ts';

const [base = '', ...others] =
  readFileSync('packaging/Containerfile', 'utf8').match(/(?<=^FROM )\S+/gm) ?? [];
const [BUILD = '', RUN = '', CONFIGURE = '', REMOVE = '', FIXED = ''] = codeBlocks(
  readFileSync('docs/operations.md', 'utf8'),
  'sh',
  '## In a container',
);
/** The command that starts a host, and what comes behind it. */
const [START = '', FIRST_INVITE = ''] = RUN.split(/^(?=podman exec .* health)/m);
/** How much may come on top of the image of Node. */
const BYTES_MAX = 25_000_000;
const why = whyNoMachine();

// The total of CI lists what says that it did not run.
if (why !== undefined) it(`NOT RUN: no container engine can be started here (${why})`, () => {});
else
  describe('the image in a container', () => {
    const place = new Place();
    const network = new Network();
    const home = place.path('home');
    const hosts = place.path('hosts');
    const hostAddress = network.add('home');
    network.add('away');
    /** Ann's machine has none of the host's files, and knows the name that the page advertises. */
    const AWAY: Seat = {
      before: [
        ...network.on('away', [home]),
        ...['sh', '-c', 'mount --bind "$0" /etc/hosts && exec "$@"', hosts],
      ],
    };
    const ANN = ['--data', place.path('ann')];
    let engine: ContainerEngine;

    // Whatever is slow here: packages are installed, files copied.
    beforeAll(async () => {
      mkdirSync(home);
      writeFileSync(hosts, `127.0.0.1 localhost\n${hostAddress} chat.example.org\n`);
      mkdirSync(place.path('engine'));
      engine = await ContainerEngine.start(place.path('engine'), network, 'home');
      expect(others).toEqual([base]);
      await engine.build(`${prepareBase(place.path('base'))} | podman import --quiet - '${base}'`, home);
      expect(await engine.build(BUILD, process.cwd())).not.toContain('level=warning');
    }, 600_000);
    afterAll(async () => {
      await engine?.stop();
      await place.clean();
      network.remove();
    });

    /** Bring the invite file to the other machine. */
    const carried = (): string => {
      copyFileSync(`${home}/ann.invite`, place.path('ann.invite'));
      return place.path('ann.invite');
    };
    const ann = (...args: readonly string[]): Promise<string> =>
      ok(place, AWAY, 'clawchat', [...args, ...ANN]);
    const inside = (command: string): Promise<string> => engine.ok(`podman exec clawchatd ${command}`);
    const inspect = async (format: string): Promise<string> =>
      (await engine.ok(`podman inspect --format '{{${format}}}' clawchatd`)).trim();
    const log = async (): Promise<readonly Readonly<Record<string, unknown>>[]> =>
      (await engine.ok('podman logs clawchatd 2>&1 >/dev/null'))
        .trim()
        .split('\n')
        .map(line => JSON.parse(line));

    it('is small, and has nothing that builds or tests', async () => {
      const bytes = async (image: string): Promise<number> =>
        Number(await engine.ok(`podman image inspect --format '{{.Size}}' ${image}`));
      const more = (await bytes('clawchatd')) - (await bytes(base));
      expect(more).toBeGreaterThan(1_000_000);
      expect(more).toBeLessThan(BYTES_MAX);
      const list = (files: string): Promise<string> =>
        engine.ok(`podman run --rm --entrypoint sh clawchatd -c 'cd /app && ls -d ${files}'`);
      expect(await list('* dist/*')).toBe(
        'LICENSE\nNOTICE\ndist\ndist/THIRD-PARTY-LICENSES.txt\ndist/clawchat.js\ndist/clawchatd.js\ndist/index.js\ndist/types\nnode_modules\npackage.json\n',
      );
      const installed = (await list('node_modules/[a-z]* node_modules/@*/*')).trim().split('\n');
      const needed = productionPackages().filter(path => path.lastIndexOf('node_modules') === 0);
      expect(installed.sort()).toEqual([...needed].sort());
    });

    it('starts, and is what the page says: nobody, without privileges, writing into its volume alone', async () => {
      await engine.ok(START, home);
      await engine.ok(FIRST_INVITE, home);
      const status = 'grep -E "^(CapPrm|CapEff|CapBnd|NoNewPrivs)" /proc/1/status';
      const nothing = '0'.repeat(16);
      expect(await inside(`sh -c 'id -un; cat /proc/1/comm; ${status}'`)).toBe(
        `node\nnode\nCapPrm:\t${nothing}\nCapEff:\t${nothing}\nCapBnd:\t${nothing}\nNoNewPrivs:\t1\n`,
      );
      const touched = await engine.run('podman exec --user root clawchatd touch /app/x');
      expect(touched.output).toContain('Read-only file system');
      expect(await inside('stat -c "%U %a" /data /data/data.key')).toBe('node 700\nnode 600\n');
      expect(statSync(`${home}/ann.invite`).mode & 0o777).toBe(0o600);
      expect(await inside('ls /data')).not.toContain('ann.invite');
    });

    it('is well, says its health check', async () => {
      await engine.ok('podman healthcheck run clawchatd');
      expect(await inspect('.State.Health.Status')).toBe('healthy');
      expect(await inspect('json .Config.Healthcheck.Test')).toBe('["CMD","clawchatd","health"]');
    });

    let listening: Running;
    it('lets somebody in from another machine, who talks and is told when it stops', async () => {
      expect(await ann('join', carried())).toContain('Joined as Ann.');
      await ann('send', 'hello');
      listening = place.start(program('clawchat', AWAY), ['listen', '--from', '0', ...ANN]);
      await listening.line(line => line.endsWith(' Ann: hello'));
      const [stop = '', remove = ''] = REMOVE.split(/^(?=podman rm)/m);
      expect(await engine.ok(stop)).toBe('clawchatd\n');
      // Not killed, and not cut off.
      expect(await inspect('.State.ExitCode')).toBe('0');
      expect((await log()).slice(-4)).toMatchObject([
        { event: 'stopping' },
        { event: 'path-closed', code: 'SHUTDOWN' },
        { event: 'drained', paths: 1 },
        { event: 'stopped' },
      ]);
      await engine.ok(remove);
    });

    it('keeps everybody in the volume, whom a new container finds there', async () => {
      await engine.ok(START);
      await ann('send', 'to a new one');
      await listening.line(line => line.endsWith(' Ann: to a new one'));
      const history = await ann('history');
      expect(history.replace(/^.*(?= Ann: )/gm, '')).toBe(' Ann: hello\n Ann: to a new one\n');
    });

    it('takes a configuration file, and keeps to it once it is restarted', async () => {
      writeFileSync(`${home}/config.yaml`, 'interval: 6h\nlog: { level: debug }\n');
      await engine.ok(CONFIGURE, home);
      await ann('send', 'to a restarted one');
      await listening.line(line => line.endsWith(' Ann: to a restarted one'));
      expect((await log()).some(({ level }) => level === 'debug')).toBe(true);
      expect(await inside('clawchatd config show')).toMatch(/interval.*6h.*\/data\/config\.yaml/);
    });

    it('is started again after a crash', async () => {
      const pid = await inspect('.State.Pid');
      // 0 is whoever runs this.
      expect(Number(pid)).toBeGreaterThan(1);
      await engine.ok(`kill -9 ${pid}`);
      await until('it was started again', async () => (await inspect('.RestartCount')) === '1');
      await inside('clawchatd health --wait 60s');
      await ann('send', 'behind a crash');
      await listening.line(line => line.endsWith(' Ann: behind a crash'));
      await listening.stop();
    });

    it('is reached through a network of its own at the port that is forwarded to it', async () => {
      await engine.ok('podman rm --force clawchatd && podman volume rm clawchat');
      await engine.ok(FIXED);
      await engine.ok(FIRST_INVITE, home);
      const BEN = ['--data', place.path('ben')];
      await ok(place, AWAY, 'clawchat', ['join', carried(), ...BEN]);
      await ok(place, AWAY, 'clawchat', ['send', 'hello', ...BEN]);
      expect(await inside('clawchatd status')).toMatch(/port +8443: in use/);
    });
  });
