/** What a person sees of stores that are down, frozen or lying, and the move to another house (spec/07-discovery.md, 7.4, 7.5). */
import { mkdirSync, writeFileSync } from 'node:fs';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { emulateHttps, type HttpsEmulator } from '../emulators/https.ts';
import { Place } from './programs.ts';

const PATH = '/host.claw';
const DOWN = { kind: 'status', status: 503 } as const;

let place: Place;
let webs: HttpsEmulator[];
let data: string;

beforeEach(async () => {
  place = new Place();
  webs = await Promise.all([emulateHttps(), emulateHttps(), emulateHttps()]);
  data = place.path('A');
  mkdirSync(data, { mode: 0o700 });
});
afterEach(async () => {
  await place.clean();
  await Promise.all(webs.map(web => web.close()));
});

const name = (web: HttpsEmulator | undefined): string => `https://127.0.0.1:${web?.port}${PATH}`;
const useStores = (...used: readonly (HttpsEmulator | undefined)[]): void => {
  const list = used.map(web => {
    const pin = Buffer.from(web?.pin ?? '').toString('hex');
    return { kind: 'https', read: name(web), write: name(web), pin };
  });
  writeFileSync(`${data}/stores.json`, JSON.stringify(list), { mode: 0o600 });
};
const bob = (command: string, ...args: readonly string[]): ReturnType<Place['run']> =>
  place.run('clawchat', [command, ...args, '--data', place.path('bob'), '--preset', 'minimal']);
const lastJson = (text: string): Record<string, unknown> =>
  JSON.parse(text.trim().split('\n').at(-1) ?? '{}') as Record<string, unknown>;

it('the witness unmasks a frozen store, and doctor names it (DI-036)', async () => {
  const [frozen, good] = webs;
  useStores(frozen, good);
  const first = await place.host(data);
  await place.join(data, place.path('bob'));
  // From now on the first store takes every write and shows what it had.
  const old = frozen?.files.get(PATH) ?? new Uint8Array();
  await first.stop();
  await place.host(data, ['--advertise', '127.0.0.1', '--advertise', 'localhost']);
  const keep = setInterval(() => frozen?.files.set(PATH, old), 5);
  try {
    await expect.poll(async () => (await bob('ping')).code, { timeout: 30_000 }).toBe(0);
    const ended = await bob('doctor', '--json');
    const findings = ended.stdout
      .trim()
      .split('\n')
      .map(line => JSON.parse(line) as Record<string, string>);
    const about = (web: HttpsEmulator | undefined): Record<string, string> | undefined =>
      findings.find(({ what }) => what === `store ${name(web)}`);
    expect(about(frozen)).toMatchObject({ grade: 'fail', detail: expect.stringContaining('frozen or lies') });
    expect(about(frozen)?.['advice']).toContain('tell the operator');
    expect(about(good)).toMatchObject({ grade: 'ok' });
    expect(ended.code).toBe(4);
  } finally {
    clearInterval(keep);
  }
});

it('join says what it found, where it looked and what went wrong (DI-038)', async () => {
  const [one, two] = webs;
  useStores(one, two);
  await place.host(data);
  const invite = await place.ok('clawchatd', ['invite', '--data', data]);
  const join = (...args: readonly string[]): ReturnType<Place['run']> =>
    place.run('clawchat', ['join', '-', '--data', place.path('bob'), '--timeout', '3s', ...args], invite);
  // Nobody answers: which, and that this goes on by itself.
  for (const web of webs) web.fault = DOWN;
  const blind = await join();
  expect(blind.code).toBe(4);
  for (const web of [one, two]) expect(blind.stderr).toContain(`looked at ${name(web)}: no use now`);
  expect(blind.stderr).toContain('answers 503');
  expect(blind.stderr).toContain('What to do: no store answers');
  const json = await join('--json');
  expect(lastJson(json.stdout)).toMatchObject({
    joined: false,
    stores: [
      { name: name(one), standing: 'failing' },
      { name: name(two), standing: 'failing' },
    ],
    record: 0,
    advice: expect.stringContaining('no store answers'),
  });
  // One lies and one serves: found, and the liar is named.
  for (const web of webs) web.fault = { kind: 'none' };
  one?.files.set(PATH, new Uint8Array(4096).fill(9));
  const found = await join();
  expect(found.code, found.stderr).toBe(0);
  expect(found.stderr).toMatch(/found the host's address: 127\.0\.0\.1:\d+ \(record \d+\)/);
  expect(found.stderr).toContain(`looked at ${name(two)}: current`);
  // A letter that is wrong.
  const typo = await place.run(
    'clawchat',
    ['join', '-', '--data', place.path('x')],
    invite.replace('q', 'r'),
  );
  expect(typo.code).toBe(3);
  expect(typo.stderr).toContain('What to do: ');
});

it('when everything is down a person is told what that means, and finds the host again by itself (DI-033, DI-038)', async () => {
  const [one] = webs;
  useStores(one);
  const first = await place.host(data);
  await place.join(data, place.path('bob'));
  await first.stop();
  if (one !== undefined) one.fault = DOWN;
  const sending = place.start('clawchat', ['send', 'hello', '--data', place.path('bob'), '--timeout', '55s']);
  await expect.poll(() => sending.stderr(), { timeout: 30_000 }).toContain('is this machine on the network?');
  expect(sending.stderr()).toContain(`looked at ${name(one)}: no use now`);
  const seen = await bob('status');
  expect(seen.stdout).toContain('so         no store answers');
  const late = await bob('ping', '--timeout', '6s');
  expect([late.code, late.stderr]).toEqual([124, expect.stringContaining('no store answers')]);
  if (one !== undefined) one.fault = { kind: 'none' };
  await place.host(data);
  expect((await sending.ended).code).toBe(0);
});

it('a host moves house: both lists, then the new one; whoever slept follows (DI-037)', async () => {
  const [old, fresh, other] = webs;
  useStores(old);
  let host = await place.host(data);
  await place.join(data, place.path('bob'));
  await host.stop();
  useStores(old, fresh, other);
  host = await place.host(data);
  const isThere = async (): Promise<boolean> => {
    const { sequence, stores } = lastJson(
      await place.ok('clawchatd', ['status', '--json', '--data', data]),
    ) as {
      sequence: number;
      stores: readonly { verified_sequence: number }[];
    };
    return sequence > 1 && stores.every(store => store.verified_sequence === sequence);
  };
  await expect.poll(isThere, { timeout: 30_000 }).toBe(true);
  await host.stop();
  // The old store keeps its last file, which names the new ones, and the host moves on without it.
  useStores(fresh, other);
  await place.host(data);
  await expect.poll(isThere, { timeout: 30_000 }).toBe(true);
  const sent = await bob('send', 'found you');
  expect(sent.code, sent.stderr).toBe(0);
  const known = async (): Promise<readonly string[]> => {
    await bob('listen', '--for', '2s');
    const { stores } = lastJson((await bob('status', '--json')).stdout) as {
      stores: readonly { name: string }[];
    };
    return stores.map(store => store.name).sort();
  };
  await expect.poll(known, { timeout: 30_000 }).toEqual([name(fresh), name(other)].sort());
});

it('a client that waits looks at once when the file of a synced folder changes', async () => {
  const store = ['--store', place.path('host.claw')];
  const first = await place.host(data, store);
  await place.join(data, place.path('bob'));
  await first.stop();
  const listening = place.start('clawchat', [
    ...['listen', '--data', place.path('bob'), '--log-level', 'debug', '--count', '1', '--from', '0'],
  ]);
  await expect.poll(() => listening.stderr(), { timeout: 30_000 }).toContain('dial-failed');
  await place.host(data, [...store, '--advertise', '127.0.0.1', '--advertise', 'localhost']);
  await expect.poll(() => listening.stderr(), { timeout: 30_000 }).toContain('store-changed');
  await place.join(data, place.path('ann'));
  await place.ok('clawchat', ['send', 'hello', '--data', place.path('ann')]);
  expect((await listening.ended).stdout).toContain('hello');
});

it('status and doctor warn ahead of an address to write to that ends, also while no host runs', async () => {
  const address = place.path('address');
  const day = new Date().toISOString().replace(/[-:]|\.\d+/g, '');
  const signed = `X-Amz-Date=${day}&X-Amz-Expires=86400&X-Amz-Signature=0`;
  writeFileSync(address, `https://127.0.0.1:9/host.claw?${signed}\n`);
  const list = [{ kind: 'https', read: 'https://127.0.0.1:9/host.claw', writeFrom: address }];
  writeFileSync(`${data}/stores.json`, JSON.stringify(list), { mode: 0o600 });
  const warning = /the address to write to ends at .*; renew it \(docs\/stores\.md\)/;
  expect(await place.ok('clawchatd', ['status', '--data', data])).toMatch(warning);
  const doctor = await place.run('clawchatd', ['doctor', '--data', data]);
  expect(doctor.stdout).toMatch(/the address to write to ends at .*\n +renew it \(docs\/stores\.md\)/);
  expect(doctor.stdout).not.toContain('Signature');
});

it('inspect prints a file under the names of the original plan', async () => {
  await place.host(data, ['--store', place.path('host.claw')]);
  await place.join(data, place.path('bob'));
  const args = ['inspect', place.path('host.claw'), '--data', place.path('bob')];
  const lines = (await place.ok('clawchat', args)).split('\n').map(line => line.split(/ {2,}/));
  const shown = new Map(lines.map(([label = '', value = '']) => [label.trim(), value]));
  const json = JSON.parse(await place.ok('clawchat', [...args, '--json'])) as Record<string, unknown>;
  const plan =
    'version server_id ip port secret timestamp valid_until signature next_rotation protocol_version';
  for (const field of plan.split(' ')) {
    expect(
      [...shown.keys()].some(label => label.startsWith(field)),
      field,
    ).toBe(true);
    expect(json).toHaveProperty(field);
  }
  // What is said of them in the table of chapter 3: no HMAC, no shared secret, and the grace is covered.
  expect(lines.flat().join(' ')).toContain('Ed25519, verified');
  expect(json['secret']).toBe('(hidden)');
  expect(json['valid_until']).toBeGreaterThan(Number(json['next_rotation']));
});
