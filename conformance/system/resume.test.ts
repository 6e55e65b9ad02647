/** A host that is stopped and started goes on with its schedule, and tells its operator what happened. */
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, describe, expect, it } from 'vitest';
import { HostWatch } from './moving-relay.ts';
import { PATIENCE_MS, Place, type Running } from './programs.ts';

const place = new Place();
afterAll(() => place.clean());

const A = place.path('A');
const MINIMAL = ['--preset', 'minimal'];

interface Status {
  readonly epoch: number;
  readonly sequence: number;
  readonly port: number;
  readonly next_rotation_ms: number;
  readonly phase: string;
  readonly places: readonly { readonly port: number; readonly epoch: number; readonly role: string }[];
  readonly stores: readonly { readonly verified_sequence: number; readonly verified_at_ms: number }[];
}

async function status(): Promise<Status> {
  return JSON.parse(await place.ok('clawchatd', ['status', '--json', '--data', A]));
}

async function inPhase(wanted: string): Promise<void> {
  const watch = new HostWatch(A);
  for (const end = Date.now() + PATIENCE_MS; (await watch.status())?.phase !== wanted; await sleep(5)) {
    if (Date.now() > end) throw new Error(`the host is never ${wanted}`);
  }
  watch.close();
}

const start = (): Promise<Running> => place.host(A, MINIMAL);

describe('SIGTERM and a new process on the same data', () => {
  it('resumes the schedule: at rest, while the next port is listed, and behind a move (RT-120, RT-127)', async () => {
    let host = await start();
    for (const phase of ['resting', 'verified', 'grace']) {
      await inPhase(phase);
      const before = await status();
      expect(await host.stop()).toMatchObject({ code: 0 });
      host = await start();
      const after = await status();
      // Nobody draws a new port for what goes on: where the host was going it goes.
      const newest = ({ places }: Status): unknown =>
        places.map(({ port, epoch }) => ({ port, epoch })).at(-1);
      expect(newest(after)).toEqual(newest(before));
      if (phase !== 'resting') continue;
      // The other two are over within a second, and a start may take longer.
      expect(after).toMatchObject({ next_rotation_ms: before.next_rotation_ms, sequence: before.sequence });
      expect(after.stores[0]?.verified_sequence).toBe(before.sequence);
    }
    await inPhase('resting');
    const text = await place.ok('clawchatd', ['history', '--json', '--data', A]);
    const notes = text
      .trim()
      .split('\n')
      .map(line => JSON.parse(line).what);
    expect(notes.filter(what => what === 'started')).toHaveLength(4);
    expect(notes.filter(what => what === 'stopped')).toHaveLength(3);
    expect(notes.filter(what => what === 'rotated')).not.toEqual([]);
    const shown = await place.ok('clawchatd', ['status', '--data', A]);
    for (const row of [/^record +number \d+, moves in /m, /^port +\d+: in use, open, 0 connections/m])
      expect(shown).toMatch(row);
    expect(shown).toMatch(/^store .* verified /m);
    await host.stop();
    // Also when no host runs.
    expect(await place.ok('clawchatd', ['history', '--limit', '1', '--data', A])).toMatch(/stopped\n$/);
  });

  it('refuses an interval beyond its bounds, and says why they are there (RT-112)', async () => {
    for (const [interval, why] of [
      ['14m', /--interval takes at least 15m: a rotation takes \d+ s, .* a hold adds \d+ s/],
      ['25h', /--interval takes at most 24h: whoever holds an old file knows/],
    ] as const) {
      const ended = await place.run('clawchatd', ['--interval', interval, '--data', place.path('never')]);
      expect(ended.code).toBe(2);
      expect(ended.stderr).toMatch(why);
    }
  });
});
