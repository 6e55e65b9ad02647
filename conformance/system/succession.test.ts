/** The identity of a host is replaced, and devices follow, also those that slept (spec/03-connection-file.md, 3.2). */
import { copyFileSync, existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, it } from 'vitest';
import { SUCCESSIONS_MAX } from '../../src/gen/constants.ts';
import { HostCore } from '../../src/node/host/core.ts';
import { succeedHost } from '../../src/node/host/succeed.ts';
import { loopbackOptions } from '../../src/node/testing/host-options.ts';
import { Place } from './programs.ts';

const place = new Place();
afterAll(() => place.clean());

it('devices follow three successions, one of them asleep all the while; the old key counts no more (CF-010, CF-015)', async () => {
  const data = place.path('A');
  const store = place.path('host.claw');
  const send = (who: string): ReturnType<Place['run']> =>
    place.run('clawchat', ['send', `hello from ${who}`, '--data', place.path(who)]);
  let host = await place.host(data, ['--store', store]);
  const joined = await place.join(data, place.path('ann'), 'ann');
  await place.join(data, place.path('sleeper'), 'sleeper');
  const words = async (): Promise<{ readonly host: string; readonly device: string }> => {
    const status = await place.ok('clawchat', ['status', '--json', '--data', place.path('ann')]);
    const devices = await place.ok('clawchatd', ['devices', '--json', '--data', data]);
    const { device, words: shown } = JSON.parse(status);
    const known = devices
      .trimEnd()
      .split('\n')
      .map(line => JSON.parse(line));
    return { host: known.find(({ device: id }) => id === device)?.words, device: shown };
  };
  const before = await words();
  expect(joined).toContain(before.device);
  expect(before.host).toBe(before.device);
  const invite = await place.ok('clawchatd', ['invite', '--data', data]);
  const stolen = readFileSync(store);
  for (const round of [1, 2, 3]) {
    const key = place.path(`next-${round}.key`);
    await place.ok('clawchatd', ['export-next-identity', key, '--data', data]);
    expect((await place.run('clawchatd', ['succeed', key, '--data', data])).code).toBe(6);
    await host.stop();
    const wrong = await place.run('clawchatd', ['succeed', place.path('no.key'), '--data', data]);
    expect([wrong.code, wrong.stderr]).toEqual([2, expect.stringContaining('there is no file')]);
    writeFileSync(place.path('other.key'), new Uint8Array(32).fill(round), { mode: 0o600 });
    const other = await place.run('clawchatd', ['succeed', place.path('other.key'), '--data', data]);
    expect([other.code, other.stderr]).toEqual([2, expect.stringContaining('is not the key')]);
    const text = await place.ok('clawchatd', ['succeed', key, '--data', data]);
    expect(text).toContain(`${round} of ${SUCCESSIONS_MAX} times`);
    host = await place.host(data, ['--store', store]);
    expect((await send('ann')).code).toBe(0);
  }
  // The words are made of the identity: others now, and again the same on both sides (EN-041).
  const after = await words();
  expect(after).toEqual({ host: after.device, device: expect.stringMatching(/^\w{5}(-\w{5}){3}$/) });
  expect(after.device).not.toBe(before.device);
  expect((await send('sleeper')).code).toBe(0);
  // An invite of the first identity still opens, and its joiner follows too.
  await place.ok('clawchat', ['join', '-', '--data', place.path('late')], invite);
  const lines = await place.ok('clawchat', ['history', '--data', place.path('late')]);
  expect(lines.split('\n').filter(line => line.includes('hello from'))).toHaveLength(4);
  // What the old key has signed is refused by those who followed.
  writeFileSync(place.path('stolen.claw'), stolen);
  const inspected = await place.run('clawchat', [
    'inspect',
    place.path('stolen.claw'),
    '--data',
    place.path('ann'),
  ]);
  expect(inspected.stderr).toContain('SIGNATURE_INVALID');
});

it('a chain ends at its bound, and no interruption loses the key that was named (CF-015, CF-016)', async () => {
  const root = mkdtempSync(join(tmpdir(), 'clawchat-chain-'));
  const directory = join(root, 'host');
  const options = loopbackOptions(directory);
  const next = join(directory, 'next-identity.key');
  try {
    await (await HostCore.open(options)).close();
    for (let index = 1; index <= SUCCESSIONS_MAX; index += 1) {
      copyFileSync(next, join(root, 'key'));
      expect(await succeedHost(options, join(root, 'key'))).toMatchObject({ index, floor: 1 });
      // As after a crash between the commit and the move of the key file.
      copyFileSync(next, join(directory, 'next-identity.coming.key'));
      rmSync(next);
      await (await HostCore.open(options)).close();
      expect(existsSync(next)).toBe(true);
      // And before the commit: a key that the database does not name goes away again.
      writeFileSync(join(directory, 'next-identity.coming.key'), new Uint8Array(32).fill(index), {
        mode: 0o600,
      });
      await (await HostCore.open(options)).close();
      expect(existsSync(join(directory, 'next-identity.coming.key'))).toBe(false);
    }
    await expect(succeedHost(options, next)).rejects.toThrow(`replaced ${SUCCESSIONS_MAX} times`);
    const core = await HostCore.open(options);
    expect(core.identity.successions).toHaveLength(SUCCESSIONS_MAX);
    await core.close();
  } finally {
    rmSync(root, { recursive: true });
  }
});
