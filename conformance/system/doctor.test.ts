import { chmodSync, existsSync, readdirSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { Place } from './programs.ts';

const place = new Place();
afterAll(() => place.clean());

interface Finding {
  readonly what: string;
  readonly grade: string;
  readonly detail: string;
  readonly advice: string | null;
}

async function examine(
  program: 'clawchat' | 'clawchatd',
  data: string,
  timeout = '20s',
): Promise<{ exit: number | null; all: Finding[] }> {
  const ended = await place.run(
    program,
    ['doctor', '--json', '--data', data, '--timeout', timeout].filter(
      (_, i) => program === 'clawchat' || i < 4,
    ),
  );
  return {
    exit: ended.code,
    all: ended.stdout
      .trim()
      .split('\n')
      .map(line => JSON.parse(line)),
  };
}

describe('doctor', () => {
  it('finds a host well, and says what is not: no host, loose modes, no clock', async () => {
    const data = place.path('A');
    const before = await examine('clawchatd', data);
    expect(before.all.find(({ what }) => what === 'data directory')?.grade).toBe('warn');
    expect(existsSync(data)).toBe(false);
    const host = await place.host(data);
    await place.join(data, place.path('B'));
    const well = await examine('clawchatd', data);
    expect(well.exit).toBe(0);
    expect(well.all.filter(({ grade }) => grade === 'fail')).toEqual([]);
    expect(well.all.find(({ what }) => what.startsWith('store '))?.grade).toBe('ok');
    for (const { grade, advice } of well.all) if (grade !== 'ok') expect(advice).toBeTruthy();
    // Whatever the umask of whoever started them (LI-008~1).
    for (const directory of [data, place.path('B')])
      for (const entry of readdirSync(directory, { recursive: true, encoding: 'utf8' }))
        expect([entry, statSync(join(directory, entry)).mode & 0o077]).toEqual([entry, 0]);
    const client = await examine('clawchat', place.path('B'));
    expect(client.exit).toBe(0);
    expect(client.all.find(({ what }) => what === 'host')?.grade).toBe('ok');
    await host.stop();
    const startedAt = performance.now();
    const alone = await examine('clawchat', place.path('B'), '90s');
    expect(alone.exit).toBe(4);
    // It has given up waiting for the host by itself, long before it was told to.
    expect(performance.now() - startedAt).toBeLessThan(80_000);
    expect(alone.all.find(({ what }) => what === 'last failure')).toMatchObject({
      detail: expect.stringMatching(/^HOST_UNREACHABLE: 127\.0\.0\.1 port \d+: nothing listens there/),
      advice: expect.stringMatching(/^ask the operator whether the host runs/),
    });
    // Whoever reads this is no implementer.
    for (const { advice } of [...client.all, ...alone.all]) expect(advice ?? '').not.toContain('spec/');
    chmodSync(data, 0o755);
    const loose = await examine('clawchatd', data);
    expect(loose.exit).toBe(6);
    expect(loose.all.find(({ what }) => what === 'modes')?.grade).toBe('fail');
  });

  it('tells somebody who has not joined, and makes no directory', async () => {
    const { exit, all } = await examine('clawchat', place.path('nobody'));
    expect(exit).toBe(4);
    expect(all.at(-1)?.advice).toMatch(/clawchat(\.js)? join --data /);
    expect(existsSync(place.path('nobody'))).toBe(false);
  });
});
