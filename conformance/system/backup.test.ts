import { cpSync, rmSync } from 'node:fs';
import { afterAll, expect, it } from 'vitest';
import { Place } from './programs.ts';

const place = new Place();
afterAll(() => place.clean());

it('a host whose directory was restored from a backup serves nobody (DI-028)', async () => {
  const data = place.path('A');
  const store = place.path('store.claw');
  const first = await place.host(data, ['--store', store]);
  await place.join(data, place.path('B'));
  await first.stop();
  cpSync(data, place.path('backup'), { recursive: true });
  // Another address is another record, with a higher sequence.
  const second = await place.host(data, [
    '--store',
    store,
    '--advertise',
    '127.0.0.1',
    '--advertise',
    'localhost',
  ]);
  await place.ok('clawchatd', ['status', '--data', data]);
  await second.stop();
  rmSync(data, { recursive: true });
  cpSync(place.path('backup'), data, { recursive: true });
  const ended = await place.run('clawchatd', [
    '--json',
    '--data',
    data,
    '--listen',
    '127.0.0.1',
    '--store',
    store,
  ]);
  expect(ended.stderr).toContain('"DATABASE_OLD"');
  expect(ended.code).toBe(6);
});
