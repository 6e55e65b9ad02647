/**
 * Enrolment survives interruption at every write: programs that die before or after their n-th write to the disk, for
 * every n, and the same command again.
 */
import { cpSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { ControlProgram } from '../../src/gen/clawchat/v1/control_pb.ts';
import { askOwner } from './directory-owner.ts';
import { buildProgram, type Edit } from './mutant.ts';
import { type Ended, Place, type ProgramFile, type Running } from './programs.ts';

/** Writes of a run after which something else is wrong. */
const WRITES_MAX = 60;

type When = 'before' | 'after';

/** Counts the writes to the disk, and dies at the one that the environment names. */
const COUNTER = `
async function countedWrite<T>(write: () => Promise<T>): Promise<T> {
  const all = globalThis as unknown as { writes: number };
  all.writes = (all.writes ?? 0) + 1;
  const isLast = all.writes === Number(process.env['DIES_AT']);
  if (isLast && process.env['DIES'] === 'before') process.kill(process.pid, 'SIGKILL');
  const written = await write();
  if (isLast && process.env['DIES'] === 'after') process.kill(process.pid, 'SIGKILL');
  return written;
}
`;
const STORE = 'src/node/store.ts';
const FILES = 'src/node/files.ts';
const DEATHS: readonly Edit[] = [
  { file: STORE, find: "const DATABASE_NAME = 'db';", replace: `const DATABASE_NAME = 'db';${COUNTER}` },
  {
    file: STORE,
    find: 'await this.#level.batch([...operations], { sync: true });',
    replace: 'await countedWrite(() => this.#level.batch([...operations], { sync: true }));',
  },
  {
    file: STORE,
    find: 'await level.batch([...first], { sync: true });',
    replace: 'await countedWrite(() => level.batch([...first], { sync: true }));',
  },
  { file: FILES, find: 'let temporaries = 0;', replace: `let temporaries = 0;${COUNTER}` },
  {
    file: FILES,
    find: 'await made.file.writeFile(bytes);',
    replace: 'await countedWrite(() => made.file.writeFile(bytes));',
  },
  {
    file: FILES,
    find: 'await rename(temporary, path);',
    replace: 'await countedWrite(() => rename(temporary, path));',
  },
];

/** Dials with a device key that it has not stored. */
const FORGETFUL: Edit = {
  file: 'src/node/client-owner.ts',
  find: 'persist: next => store.commit(',
  replace: "persist: next => next.stage === 'keyed' ? Promise.resolve() : store.commit(",
};

const place = new Place();
const A = place.path('A');
const programs = mkdtempSync(join(tmpdir(), 'clawchat-programs-'));
beforeAll(async () => {
  for (const name of ['clawchat', 'clawchatd']) {
    await buildProgram(`src/node/${name}.ts`, join(programs, `${name}.js`), DEATHS);
  }
  await buildProgram('src/node/clawchat.ts', join(programs, 'forgetful.js'), [...DEATHS, FORGETFUL]);
});
afterAll(async () => {
  await place.clean();
  rmSync(programs, { recursive: true, force: true });
});

function dying(name: 'clawchat' | 'clawchatd' | 'forgetful', when: When, at: number): ProgramFile {
  return { file: join(programs, `${name}.js`), env: { DIES: when, DIES_AT: String(at) } };
}

const JOIN = ['join', '-', '--json', '--timeout', '45s', '--data'] as const;

/** The same command, until it says that this is done. Gives how it ended at last. */
async function joinAgain(data: string, invite: string): Promise<'joined' | 'had joined'> {
  const { code, stderr } = await place.run('clawchat', [...JOIN, data], invite);
  if (code === 0) return 'joined';
  const last: { error?: { code?: string } } = JSON.parse(stderr.trim().split('\n').at(-1) ?? '{}');
  if (last.error?.code === 'ALREADY_JOINED') return 'had joined';
  throw new Error(`join ended with ${code}: ${stderr}`);
}

/** One device, which is active and works; no invite. */
async function expectOneDevice(data: string): Promise<void> {
  await place.ok('clawchat', ['ping', '--data', data, '--timeout', '45s']);
  const devices = await askOwner(A, ControlProgram.HOST, { case: 'devices', value: {} });
  const status = await askOwner(A, ControlProgram.HOST, { case: 'status', value: {} });
  if (devices?.case !== 'devices' || status?.case !== 'hostStatus') throw new Error('no host');
  expect(devices.value.devices.map(({ pending }) => ({ pending }))).toEqual([{ pending: false }]);
  expect({ devices: status.value.devices, invites: status.value.invites }).toEqual({
    devices: 1,
    invites: 0,
  });
}

/** A host that has never let anybody in, with one invite, as it lies on the disk. */
async function template(): Promise<string> {
  const host = await place.host(A);
  const invite = await place.ok('clawchatd', ['invite', '--data', A]);
  await host.stop();
  cpSync(A, place.path('template'), { recursive: true });
  return invite;
}

/** Put the host back to where it began: the same directory, the same port, the same invite. */
function restore(): void {
  rmSync(A, { recursive: true, force: true });
  cpSync(place.path('template'), A, { recursive: true });
}

describe('a death at every write', () => {
  let invite = '';
  let runs = 0;
  beforeAll(async () => {
    invite = await template();
  });

  const fresh = (): string => {
    runs += 1;
    return place.path(`joiner-${runs}`);
  };

  it.each<When>(['before', 'after'])(
    'of the joiner, %s it, and the same command again: one device (EN-001~1, EN-008~1, EN-010~2)',
    async when => {
      const ends: string[] = [];
      for (let at = 1; ; at += 1) {
        expect(at).toBeLessThan(WRITES_MAX);
        restore();
        const host = await place.host(A);
        const data = fresh();
        const first = await place.run(dying('clawchat', when, at), [...JOIN, data], invite);
        if (first.signal !== 'SIGKILL') {
          expect({ code: first.code, at }).toEqual({ code: 0, at });
          await expectOneDevice(data);
          await host.stop('SIGKILL');
          break;
        }
        ends.push(await joinAgain(data, invite));
        await expectOneDevice(data);
        await host.stop('SIGKILL');
      }
      console.log(`the joiner died ${ends.length} times ${when} a write; the same command then:`, ends);
      expect(ends.length).toBeGreaterThan(3);
      // Only what died with everything on its disk has nothing left to do.
      expect(ends.slice(0, -1)).not.toContain('had joined');
      if (when === 'before') expect(ends).not.toContain('had joined');
    },
  );

  it('would leave a joiner outside for ever that dials before it has stored its key', async () => {
    for (let at = 1; ; at += 1) {
      restore();
      const host = await place.host(A);
      const data = fresh();
      const first = await place.run(dying('forgetful', 'before', at), [...JOIN, data], invite);
      expect(first.signal).toBe('SIGKILL');
      const ended = await joinAgain(data, invite).catch(String);
      await host.stop('SIGKILL');
      if (ended.includes('INVITE_USED')) return;
      expect(ended).toBe('joined');
    }
  });

  /** Let a host die while somebody joins; gives what the joiner came to, undefined when nobody died. */
  async function hostDies(
    when: When,
    at: number,
    then: (joining: Running, data: string) => Promise<void>,
  ): Promise<boolean> {
    restore();
    const data = fresh();
    const host = place.start(dying('clawchatd', when, at), ['--data', A, '--listen', '127.0.0.1']);
    const joining = place.start('clawchat', [...JOIN, data], invite);
    const isOver = await Promise.race([joining.ended.then(() => true), host.ended.then(() => false)]);
    if (isOver) await host.stop();
    const died: Ended = await host.ended;
    const next = await place.host(A);
    await then(joining, data);
    await expectOneDevice(data);
    await next.stop('SIGKILL');
    return died.signal === 'SIGKILL';
  }

  it.each<When>(['before', 'after'])(
    'of the host, %s it, while the joiner goes on: one device (EN-002~1, EN-003~1, EN-009~1)',
    async when => {
      let deaths = 0;
      while (
        await hostDies(when, deaths + 1, async joining => {
          const { code, stderr } = await joining.ended;
          expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
        })
      ) {
        deaths += 1;
        expect(deaths).toBeLessThan(WRITES_MAX);
      }
      console.log(`the host died ${deaths} times ${when} a write`);
      expect(deaths).toBeGreaterThan(3);
    },
  );

  it.each<When>(['before', 'after'])(
    'of the host, %s it, and of the joiner with it, and the same command again: one device (EN-002~1, EN-003~1, EN-009~1)',
    async when => {
      let deaths = 0;
      const ends: string[] = [];
      while (
        await hostDies(when, deaths + 1, async (joining, data) => {
          const { code } = await joining.stop('SIGKILL');
          ends.push(code === 0 ? 'was done' : await joinAgain(data, invite));
        })
      ) {
        deaths += 1;
        expect(deaths).toBeLessThan(WRITES_MAX);
      }
      console.log(`the host died ${deaths} times ${when} a write and the joiner with it; then:`, ends);
      expect(deaths).toBeGreaterThan(3);
    },
  );
});
