/** A data directory that was restored from a backup, from the refusal to the way back (spec/07-discovery.md, 7.5, 7.6). */
import { cpSync, mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { emulateHttps, type HttpsEmulator } from '../emulators/https.ts';
import { Place, type Running } from './programs.ts';

const PATH = '/host.claw';

let place: Place;
let web: HttpsEmulator;
let data: string;

beforeEach(async () => {
  place = new Place();
  web = await emulateHttps();
  data = place.path('A');
  mkdirSync(data, { mode: 0o700 });
  const address = `https://127.0.0.1:${web.port}${PATH}`;
  const store = { kind: 'https', read: address, write: address, pin: Buffer.from(web.pin).toString('hex') };
  writeFileSync(`${data}/stores.json`, JSON.stringify([store]), { mode: 0o600 });
});
afterEach(async () => {
  await place.clean();
  await web.close();
});

const status = async (): Promise<Record<string, unknown>> =>
  JSON.parse(await place.ok('clawchatd', ['status', '--json', '--data', data])) as Record<string, unknown>;
const backUp = (): void => cpSync(data, place.path('backup'), { recursive: true });
const restore = (): void => {
  rmSync(data, { recursive: true });
  cpSync(place.path('backup'), data, { recursive: true });
};
/** A record with a higher sequence, because the address is another one. */
const moveOn = async (work: (host: Running) => Promise<void> = async () => {}): Promise<void> => {
  const host = await place.host(data, ['--advertise', '127.0.0.1', '--advertise', 'localhost']);
  await work(host);
  const isVerified = async (): Promise<boolean> => {
    const { sequence, stores } = JSON.parse(
      await place.ok('clawchatd', ['status', '--json', '--data', data]),
    ) as { sequence: number; stores: readonly { verified_sequence: number }[] };
    return sequence > 1 && stores.every(store => store.verified_sequence === sequence);
  };
  await expect.poll(isVerified, { timeout: 30_000 }).toBe(true);
  await host.stop();
};
const ping = (who: string): ReturnType<Place['run']> =>
  place.run('clawchat', ['ping', '--data', place.path(who), '--timeout', '50s']);
const send = (who: string, text: string): ReturnType<Place['run']> =>
  place.run('clawchat', ['send', text, '--data', place.path(who), '--timeout', '30s']);

it('a restored host serves nobody until it was recovered; then those come back whom its operator confirms (DI-028, DI-061, DI-063)', async () => {
  const first = await place.host(data);
  await place.join(data, place.path('bob'), 'bob');
  await place.join(data, place.path('dora'), 'dora');
  const before = await place.ok('clawchatd', ['invite', '--data', data]);
  await first.stop();
  backUp();
  await moveOn(async () => {
    // What the backup does not know: a new device, a revoked one, an invite that was used.
    await place.ok('clawchat', ['join', '-', '--data', place.path('carl')], before);
    await place.ok('clawchatd', ['revoke', 'dora', '--data', data]);
    expect((await send('bob', 'one')).code).toBe(0);
  });
  restore();

  const refused = await place.run('clawchatd', ['--json', '--data', data, '--listen', '127.0.0.1']);
  expect(refused.stderr).toContain('"DATABASE_OLD"');
  expect(refused.stderr).toMatch(/clawchatd(\.js)? recover --data/);
  expect(refused.code).toBe(6);
  const invite = await place.run('clawchatd', ['invite', '--json', '--data', data]);
  expect(invite.stderr).toContain('"DATABASE_OLD"');

  // Without an answer for each device nothing changes.
  const silent = await place.run('clawchatd', ['recover', '--data', data], 'y\n');
  expect(silent.code).toBe(2);
  expect(silent.stderr).toContain('nothing was changed');
  const again = await place.run('clawchatd', ['--data', data, '--listen', '127.0.0.1']);
  expect(again.code).toBe(6);

  const held = JSON.parse(
    await place.ok('clawchat', ['status', '--json', '--data', place.path('bob')]),
  ) as Record<string, number>;
  const recovered = await place.ok('clawchatd', ['recover', '--json', '--data', data, '--keep', 'bob']);
  expect(JSON.parse(recovered)).toMatchObject({
    recovered: true,
    above: held['sequence'],
    kept: [expect.stringMatching(/^[0-9a-f]{32}$/)],
    removed: [{ name: 'dora' }],
    // The other one, which could not be published, was withdrawn at once (IN-009~1).
    voided_invites: 1,
  });
  const nothing = await place.run('clawchatd', ['recover', '--data', data, '--keep-all']);
  expect(nothing.code).toBe(2);
  expect(nothing.stderr).toContain('nothing to recover');

  await place.host(data);
  const now = await status();
  expect(now['sequence']).toBeGreaterThan(held['sequence'] ?? 0);
  // A new epoch is above every sequence of before.
  expect(now['epoch']).toBeGreaterThan(held['sequence'] ?? 0);
  expect(now['invites']).toBe(0);
  expect((await send('bob', 'two')).code).toBe(0);
  for (const ended of await Promise.all(['dora', 'carl'].map(ping))) {
    expect(ended.code, ended.stderr).toBe(4);
    expect(ended.stderr).toMatch(/NOT_A_RECIPIENT.*so it was revoked/);
  }
  const void_ = await place.run(
    'clawchat',
    ['join', '-', '--data', place.path('eve'), '--timeout', '20s'],
    before,
  );
  expect(void_.code).not.toBe(0);
});

it('when no store tells, the number that devices show is what the operator names (DI-062, DI-064)', async () => {
  const first = await place.host(data);
  await place.join(data, place.path('bob'), 'bob');
  await first.stop();
  backUp();
  await moveOn(async () => {
    expect((await send('bob', 'one')).code).toBe(0);
  });
  restore();
  web.fault = { kind: 'status', status: 503 };
  const blind = await place.run('clawchatd', ['recover', '--data', data, '--keep-all']);
  expect(blind.code).toBe(4);
  expect(blind.stderr).toContain('--above');
  const shown = await place.ok('clawchat', ['status', '--data', place.path('bob')]);
  const number = /record +number (\d+), hash [0-9a-f]{16}/.exec(shown)?.[1] ?? '';
  await place.ok('clawchatd', ['recover', '--data', data, '--above', number], 'maybe\ny\n');

  // Its record is gone, so nobody can tell whether it may serve.
  const waiting = place.start('clawchatd', ['--json', '--data', data, '--listen', '127.0.0.1']);
  await waiting.line(line => line.includes('"waiting":true') && line.includes('--trust-database'));
  expect((await status())['serving']).toBe(false);
  await expect(place.ok('clawchatd', ['status', '--data', data])).resolves.toContain('is asked again');
  // Once a store answers it serves by itself.
  web.fault = { kind: 'none' };
  await waiting.line(line => line.includes('"ready":true'));
  expect((await status())['sequence']).toBeGreaterThan(Number(number));
  expect((await send('bob', 'two')).code).toBe(0);
  const ended = await waiting.stop();
  expect(ended.code).toBe(0);
});

describe('a store that comes back and is ahead (DI-026, DI-029, CF-026)', () => {
  it('ends the host, and is not written', async () => {
    const first = await place.host(data);
    await first.stop();
    backUp();
    await moveOn();
    restore();
    const newest = web.files.get(PATH);
    // Its own record has not expired, so it serves while no store answers.
    web.fault = { kind: 'status', status: 503 };
    const host = await place.host(data);
    web.fault = { kind: 'none' };
    const ended = await host.ended;
    expect(ended.code).toBe(6);
    expect(ended.stderr).toContain('DATABASE_OLD');
    expect(web.files.get(PATH)).toBe(newest);
  });
});

it('the operator can overrule: a waiting host and a file for nobody that it knows (DI-060)', async () => {
  const first = await place.host(data);
  await first.stop();
  await place.ok('clawchatd', ['recover', '--data', data, '--above', '40', '--keep-all']);
  // What lies there now is no file of this host: nobody can tell how old the database is.
  web.files.set(PATH, new Uint8Array(4096).fill(7));
  const waiting = place.start('clawchatd', ['--data', data, '--listen', '127.0.0.1']);
  await expect.poll(() => waiting.stderr(), { timeout: 30_000 }).toContain('nobody is served yet');
  expect((await waiting.stop()).code).toBe(0);
  const host = await place.host(data, ['--trust-database']);
  expect((await status())['serving']).toBe(true);
  await host.stop();
});
