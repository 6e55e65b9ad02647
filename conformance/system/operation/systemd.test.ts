/** The unit of packaging/ under a real systemd, installed by the commands of docs/operations.md. */
import { execFileSync } from 'node:child_process';
import { copyFileSync, mkdirSync, readFileSync, realpathSync } from 'node:fs';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { codeBlock } from '../markdown.ts';
import { Place } from '../programs.ts';
import { until } from '../until.ts';
import { whyNoMachine } from './namespaces.ts';
import { productionPackages } from './production-packages.ts';
import { ServiceManager } from './service-manager.ts';

const PAGE = readFileSync('docs/operations.md', 'utf8');
const DATA = '/var/lib/clawchat';
const CONFIG = '/etc/clawchat/clawchatd.yaml';
const LOG = `${DATA}/host.log`;
const why = whyNoMachine();

// The total of CI lists what says that it did not run.
if (why !== undefined) it(`NOT RUN: no systemd can be started here (${why})`, () => {});
else
  describe('the unit under systemd', () => {
    const place = new Place();
    let machine: ServiceManager;

    beforeAll(async () => {
      const clone = place.path('clone');
      mkdirSync(clone);
      const parts = ['package.json', 'dist', 'config.example.yaml', 'packaging', ...productionPackages()];
      execFileSync('cp', ['-rL', '--parents', ...parts, clone]);
      // Where a package puts it; the unit names it.
      copyFileSync(realpathSync(process.execPath), place.path('clone', 'node'));
      execFileSync('chmod', ['755', place.root]);
      machine = await ServiceManager.boot(place.root);
      await machine.ok('ln', '-sf', '/clone/node', '/usr/bin/node');
    });
    afterAll(async () => {
      await machine?.shutDown();
      await place.clean();
    });

    const program = (name: string, user: readonly string[], ...args: readonly string[]): Promise<string> =>
      machine.ok(...user, 'node', `/opt/clawchat/dist/${name}.js`, ...args);
    const operator = (...args: readonly string[]): Promise<string> =>
      program('clawchatd', ['runuser', '-u', 'clawchat', '--'], ...args, '--data', DATA);
    const property = async (name: string): Promise<string> =>
      (await machine.ok('systemctl', 'show', 'clawchatd', '-p', name, '--value')).trim();
    const log = async (): Promise<readonly { readonly event: string; readonly paths?: number }[]> =>
      (await machine.ok('cat', LOG))
        .trim()
        .split('\n')
        .map(line => JSON.parse(line));

    it('is installed and started by the commands of the page, and clients can come at once', async () => {
      const { code } = codeBlock(PAGE, 'sh', '## As a service of systemd');
      const said = await machine.run('sh', '-euc', `cd /clone\n${code}`);
      expect(said).toMatchObject({ code: 0 });
      expect(await machine.ok('stat', '-c', '%U %a', '/tmp/ann.invite')).toBe('clawchat 600\n');
      expect(await property('ActiveState')).toBe('active');
      expect(await operator('health')).toMatch(/^ok: port \d+/);
      expect(await machine.ok('stat', '-c', '%U %a', DATA)).toBe('clawchat 700\n');
    });

    it('reads a configuration with stores that only its group may read, and is reloaded', async () => {
      const config = `log: { file: ${LOG} }\nstores: [{ kind: local, path: ${DATA}/published }]\n`;
      await machine.ok(
        'sh',
        '-euc',
        `printf '%s' "$1" >${CONFIG}; chown root:clawchat ${CONFIG}; chmod 640 ${CONFIG}`,
        'sh',
        config,
      );
      await machine.ok('systemctl', 'restart', 'clawchatd');
      const first = await property('MainPID');
      await machine.ok('mv', LOG, `${LOG}.moved`);
      await machine.ok('systemctl', 'reload', 'clawchatd');
      await until('the log is opened again', async () => (await machine.run('test', '-e', LOG)).code === 0);
      expect(await property('MainPID')).toBe(first);
    });

    it('moves to another port, where a client finds it', async () => {
      const before = await operator('health');
      await operator('emergency');
      await until('it has moved', async () => {
        const now = await operator('health');
        return /port (\d+)/.exec(now)?.[1] !== /port (\d+)/.exec(before)?.[1];
      });
      const invite = (await operator('invite', '--name', 'Ann')).split('\n')[0] ?? '';
      expect(await program('clawchat', [], 'join', invite, '--data', '/tmp/ann')).toContain('Joined as Ann.');
    });

    it('comes back after it was killed, and nobody had to start it', async () => {
      const first = await property('MainPID');
      await machine.ok('systemctl', 'kill', '--kill-whom=main', '--signal=KILL', 'clawchatd');
      await until('it is back', async () => {
        const [pid, state] = [await property('MainPID'), await property('ActiveState')];
        return pid !== first && pid !== '0' && state === 'active';
      });
      expect(await property('NRestarts')).toBe('1');
      expect(await program('clawchat', [], 'send', 'hello', '--data', '/tmp/ann')).toBe('');
    });

    it('is stopped, and lets its clients take leave', async () => {
      const listening = machine.run(
        'node',
        '/opt/clawchat/dist/clawchat.js',
        'listen',
        '--count',
        '1',
        '--data',
        '/tmp/ann',
      );
      await until('somebody is there', async () =>
        (await operator('status', '--json')).includes('"connected":1'),
      );
      await machine.ok('systemctl', 'stop', 'clawchatd');
      expect((await log()).slice(-4)).toMatchObject([
        { event: 'stopping' },
        { event: 'path-closed', code: 'SHUTDOWN' },
        { event: 'drained', paths: 1 },
        { event: 'stopped' },
      ]);
      expect([await property('ActiveState'), await property('Result')]).toEqual(['inactive', 'success']);
      await machine.ok('systemctl', 'start', 'clawchatd');
      await program('clawchat', [], 'send', 'last', '--data', '/tmp/ann');
      expect((await listening).output).toContain('Ann: last');
    });

    it('does not start again and again with a configuration that is wrong', async () => {
      await machine.ok('sh', '-c', `echo 'prot: 1' >>${CONFIG}`);
      const { code } = await machine.run('systemctl', 'restart', 'clawchatd');
      expect(code).not.toBe(0);
      await until('it has failed', async () => (await property('ActiveState')) === 'failed');
      const journal = await machine.ok('journalctl', '-u', 'clawchatd', '--no-pager');
      expect(journal).toContain('there is no setting "prot"; did you mean "port"?');
    });
  });
