/** People, rooms and a full disk, with the programs that a person has (spec/11-chat.md, 11.3, 11.6, 11.8). */
import { execFileSync } from 'node:child_process';
import { mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { ClassicLevel } from 'classic-level';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { photograph } from '../../src/node/cli/testing/photograph.ts';
import { PATIENCE_MS, Place, type Running } from './programs.ts';

type Json = Readonly<Record<string, unknown>>;

let place: Place;
let host: Running;
let hostData: string;
/** What the host is started with. */
let hostArgs: readonly string[];

beforeEach(async () => {
  place = new Place();
  hostData = place.path('host');
  hostArgs = [];
});

afterEach(async () => {
  await place.clean();
});

async function people(...names: readonly string[]): Promise<readonly string[]> {
  host = await place.host(hostData, hostArgs);
  for (const name of names) await place.join(hostData, place.path(name), name);
  return names.map(name => place.path(name));
}

/** Run a command of the client that has to succeed, and give its lines as JSON. */
async function json(data: string, ...args: readonly string[]): Promise<readonly Json[]> {
  const text = await place.ok('clawchat', [...args, '--json', '--data', data]);
  return text
    .split('\n')
    .filter(line => line !== '')
    .map(line => JSON.parse(line));
}

/** Ask again until the answer fits. */
async function until<T>(ask: () => Promise<T>, fits: (value: T) => boolean): Promise<T> {
  const end = Date.now() + PATIENCE_MS;
  for (;;) {
    const value = await ask();
    if (fits(value)) return value;
    if (Date.now() > end) throw new Error(`still ${JSON.stringify(value)}`);
    await sleep(200);
  }
}

/** The error code of a command that has to fail. */
async function refused(data: string, ...args: readonly string[]): Promise<unknown> {
  const ended = await place.run('clawchat', [...args, '--json', '--data', data]);
  expect(ended.code).not.toBe(0);
  return JSON.parse(ended.stderr.trim().split('\n').at(-1) ?? '').error.code;
}

describe('people', () => {
  // CH-044~1, CH-045~2, CH-048~2, CH-049~1
  test('with two devices are one: a name, and what one has read the other has', async () => {
    const [ann = '', bob = ''] = await people('Ann', 'Bob');
    const shown = await place.ok('clawchat', ['invite-device', '--name', 'phone', '--qr', '--data', ann]);
    // What is not the invite is its QR code.
    const rows = shown.trimEnd().split('\n');
    const invite = rows.pop() ?? '';
    expect(photograph(rows)).toBe(invite.toUpperCase());
    const phone = place.path('phone');
    const joined = await place.ok('clawchat', ['join', '-', '--data', phone], invite);
    // The host's list shows the words that whoever joins is shown.
    const words = /[a-z]{5}(?:-[a-z]{5}){3}/.exec(joined)?.[0] ?? 'none';
    expect(await place.ok('clawchatd', ['devices', '--data', hostData])).toMatch(
      new RegExp(`${words} +phone \\(of Ann\\)`),
    );
    await place.ok('clawchat', ['send', 'hello', '--data', bob]);
    await place.ok('clawchat', ['send', 'from the phone', '--data', phone]);
    const history = await json(bob, 'history');
    const [first, second] = history;
    expect([first?.['name'], second?.['name']]).toEqual(['Bob', 'Ann']);
    const cursorsAt = async (data: string): Promise<readonly unknown[]> =>
      (await json(data, 'rooms')).map(room => room['read_cursor']);
    expect(await cursorsAt(ann)).toEqual([0]);
    const chat = place.start('clawchat', ['chat', '--data', phone], 'pipe');
    await chat.line(line => line.includes('Bob: hello'));
    await until(
      () => cursorsAt(ann),
      ([cursor]) => cursor === second?.['cursor'],
    );
    chat.child.stdin?.end();
    expect((await chat.ended).code).toBe(0);
    // What the laptop writes the phone may change; Bob may not.
    const [mine] = await json(ann, 'send', 'from the laptop');
    await json(phone, 'send', 'changed on the phone', '--edits', String(mine?.['cursor']));
    expect(await refused(bob, 'send', 'not mine', '--edits', String(mine?.['cursor']))).toBe(
      'MESSAGE_UNKNOWN',
    );
    expect(await json(phone, 'rename', 'Anna')).toMatchObject([{ done: 'rename', name: 'Anna' }]);
    await json(ann, 'send', 'as Anna', '--reply-to', String(mine?.['cursor']));
    const said = (await json(bob, 'history')).map(({ name, text, edited = false }) => [name, text, edited]);
    expect(said).toContainEqual(['Ann', 'changed on the phone', true]);
    expect(said.at(-1)).toEqual(['Anna', 'as Anna', false]);
    expect((await json(bob, 'people')).map(({ name }) => name)).toEqual(['Anna']);
    await place.ok('clawchatd', ['revoke', 'phone', '--data', hostData]);
    await json(ann, 'send', 'still here');
    expect(await refused(phone, 'ping', '--timeout', '20s')).toMatch(
      /GATE_REFUSED|DEVICE_REVOKED|NOT_A_RECIPIENT/,
    );
  });

  // CH-040~2, CH-041~2, CH-042~3, CH-052~1
  test('make rooms, and do in them what their role allows, from scripts too', async () => {
    const [ann = '', bob = ''] = await people('Ann', 'Bob');
    await json(ann, 'room', 'create', 'den', '--closed', '--topic', 'where Ann thinks');
    await json(ann, 'send', 'a secret', '--room', 'den');
    const names = async (data: string): Promise<unknown> =>
      (await json(data, 'rooms')).map(({ room }) => room);
    expect(await names(bob)).toEqual(['lobby']);
    expect(await refused(bob, 'send', 'knock', '--room', 'den')).toBe('ROOM_UNKNOWN');
    // Whoever has said hello once can be found by name.
    await place.ok('clawchat', ['chat', '--data', bob], '/people\n');
    // What was done is said in the words of the command.
    const [invited] = await json(ann, 'room', 'invite', 'den', 'bob');
    expect(invited).toMatchObject({ done: 'invite', room: 'den', role: 'member' });
    expect(await names(bob)).toEqual(['den', 'lobby']);
    expect((await json(bob, 'people', '--room', 'den')).map(({ name, role }) => [name, role])).toEqual([
      ['Ann', 'owner'],
      ['Bob', 'member'],
    ]);
    expect(await refused(bob, 'room', 'keep', 'den', '1d')).toBe('ROOM_FORBIDDEN');
    expect(await refused(ann, 'room', 'leave', 'den')).toBe('ROOM_FORBIDDEN');
    const topic = 'where Ann and Bob think';
    expect(await json(bob, 'room', 'topic', 'den', topic)).toMatchObject([{ done: 'topic', topic }]);
    const [said] = await json(bob, 'send', 'oops', '--room', 'den');
    const message = said?.['cursor'];
    const taken = await json(ann, 'delete', String(message), '--room', 'den');
    expect(taken).toMatchObject([{ done: 'delete', room: 'den', message }]);
    const den = (await json(bob, 'history', '--room', 'den')).map(
      ({ text, act, deleted = false }) => act ?? [text, deleted],
    );
    expect(den).toEqual(['create', ['a secret', false], 'grant', 'topic', ['', true], 'delete']);
    await json(bob, 'room', 'leave', 'den');
    expect(await names(bob)).toEqual(['lobby']);
    expect(await json(ann, 'room', 'delete', 'den')).toMatchObject([{ done: 'delete', room: 'den' }]);
    expect(await names(ann)).toEqual(['lobby']);
    expect(await json(ann, 'history', '--room', 'den')).toEqual([]);
    expect(await refused(ann, 'send', 'anybody?', '--room', 'den')).toBe('ROOM_UNKNOWN');
  });

  test('read an edited message once, and scripts each change', async () => {
    const [ann = ''] = await people('Ann');
    const [said] = await json(ann, 'send', 'helo');
    await json(ann, 'send', 'hello', '--edits', String(said?.['cursor']));
    const shown = await place.ok('clawchat', ['history', '--data', ann]);
    expect(shown).toMatch(/^\d\d:\d\d Ann: hello \(edited\)\n$/);
    expect((await json(ann, 'history')).map(({ text, edits }) => [text, edits])).toEqual([
      ['hello', undefined],
      ['hello', said?.['cursor']],
    ]);
  });

  // CH-026~1, CH-020~1
  test('say something once, whatever they repeat, and with a time that they wait', async () => {
    const [ann = ''] = await people('Ann');
    const [first, second] = ['5f'.repeat(16), '6f'.repeat(16)];
    const [one] = await json(ann, 'send', 'paid', '--id', first);
    expect(await json(ann, 'send', 'paid', '--id', first)).toEqual([one]);
    expect(await refused(ann, 'send', 'paid twice', '--id', first)).toBe('USAGE');
    const lines = [
      { text: 'two\nlines', id: second },
      { text: 'two\nlines', id: second },
      { text: 'better', edits: one?.['cursor'] },
    ];
    const input = lines.map(line => JSON.stringify(line)).join('\n');
    const sent = await place.ok('clawchat', ['send', '-', '--json', '--data', ann], input);
    expect(new Set(sent.trim().split('\n')).size).toBe(2);
    await host.stop();
    const third = '7f'.repeat(16);
    const late = ['send', '-', '--multiline', '--id', third, '--data', ann];
    const ended = await place.run('clawchat', [...late, '--timeout', '1s', '--json'], 'kept\nfor later\n');
    expect([ended.code, ended.stderr]).toEqual([124, expect.stringMatching(/"TIMEOUT"/)]);
    host = await place.host(hostData, hostArgs);
    await place.ok('clawchat', late, 'kept\nfor later\n');
    const shown = (await json(ann, 'history')).map(({ text, edited = false }) => [text, edited]);
    expect(shown).toEqual([
      ['better', true],
      ['two\nlines', false],
      ['better', false],
      ['kept\nfor later', false],
    ]);
  });

  // CH-049~1
  test('invite no devices where the operator wants that', async () => {
    hostArgs = ['--no-device-invites'];
    const [ann = ''] = await people('Ann');
    const ended = await place.run('clawchat', ['invite-device', '--data', ann]);
    expect([ended.code, ended.stdout]).toEqual([5, '']);
    expect(ended.stderr).toMatch(/NOT_PERMITTED.*only the operator of this host invites devices/);
    expect(await place.ok('clawchatd', ['config', 'show', '--data', hostData, ...hostArgs])).toMatch(
      /device-invites +false/,
    );
    await place.ok('clawchatd', ['invite', '--data', hostData]);
  });

  test('have it in a pipe: what is said, what is asked, and an end when all is sent', async () => {
    const [ann = '', bob = ''] = await people('Ann', 'Bob');
    await place.ok('clawchat', ['send', 'an \u001b[2Jevil\u202e', '--data', bob]);
    const lines = ['hello', '/search EVIL', '/reply no', '/edit yes', '/search L', '//slash'];
    lines.push('/create "my den"', 'in the den', '/join lobby');
    const text = await place.ok('clawchat', ['chat', '--data', ann], lines.join('\n'));
    for (const harm of ['\u001b', '\u202e']) expect(text).not.toContain(harm);
    expect(text).toContain('Bob: an <1b>[2Jevil<202e>');
    expect(text).toMatch(/-- found "EVIL" in lobby: 1/);
    expect(text).toMatch(/Ann: hello \[sent\]\n/);
    // What was found on one day stands under that day.
    expect(text).toMatch(
      /-- found "L" in lobby: 2 --\n-- [\d-]{10} --\n.* Bob: an .*\n.* Ann: hello.*\n-- end/,
    );
    // What is edited stays a reply, also for whoever comes later.
    expect(text.slice(text.lastIndexOf('-- lobby'))).toMatch(/Ann: \(to Bob: an .*\) yes \(edited\)/);
    const stored = (await json(bob, 'history')).map(({ room, text: said, act }) => [room, act ?? said]);
    expect(stored.slice(1)).toEqual([
      ['lobby', 'hello'],
      ['lobby', 'yes'],
      ['lobby', 'yes'],
      ['lobby', '/slash'],
      ['my den', 'create'],
      ['my den', 'in the den'],
    ]);
  });
});

describe('the operator', () => {
  const operate = (...args: readonly string[]): ReturnType<Place['run']> =>
    place.run('clawchatd', [...args, '--data', hostData], '');
  const listed = async (): Promise<readonly Json[]> => {
    const text = await place.ok('clawchatd', ['rooms', '--json', '--data', hostData]);
    return text
      .trimEnd()
      .split('\n')
      .map(line => JSON.parse(line));
  };

  // CH-051~2, CH-052~1, CH-054~1
  test('gives rooms owners, and deletes rooms, whether or not the host runs', async () => {
    const [ann = '', bob = '', cat = ''] = await people('Ann', 'Bob', 'Cat');
    for (const data of [bob, cat]) await place.ok('clawchat', ['chat', '--data', data]);
    for (const room of ['den', 'attic', 'cellar']) {
      await json(ann, 'room', 'create', room, '--closed', '--topic', `the ${room}`);
      await json(ann, 'room', 'invite', room, 'Bob');
    }
    for (const room of ['den', 'attic']) await json(ann, 'room', 'role', room, 'Bob', 'guest');
    await json(ann, 'send', 'a secret', '--room', 'den');
    await json(bob, 'rename', 'Robert');
    // What becomes of the rooms of somebody who is gone.
    const revoked = await operate('revoke', 'Ann', '--json');
    const [robert] = await json(bob, 'people', '--room', 'cellar');
    expect(JSON.parse(revoked.stdout).rooms).toEqual([
      { room: 'attic', owner: null },
      { room: 'cellar', owner: robert?.['person'] },
      { room: 'den', owner: null },
    ]);
    expect(robert).toMatchObject({ name: 'Robert', role: 'owner' });
    expect(
      (await listed()).map(({ room, topic, people: many, owners, messages }) => [
        room,
        topic,
        many,
        owners,
        messages,
      ]),
    ).toEqual([
      ['attic', 'the attic', 1, [], 0],
      ['cellar', 'the cellar', 1, [{ person: robert?.['person'], name: 'Robert' }], 0],
      ['den', 'the den', 1, [], 1],
      ['lobby', '', 2, [], 0],
    ]);
    expect(await place.ok('clawchatd', ['rooms', '--data', hostData])).toMatch(
      /^den +1 person, 1 message +last \d+ s ago +no owner, closed, "the den"$/m,
    );
    // A new owner, named by a device or as they call themselves; the people of the room see it.
    const chat = place.start('clawchat', ['chat', 'den', '--data', bob], 'pipe');
    await chat.line(line => line.includes('Ann: a secret'));
    const made = await operate('room', 'owner', 'den', 'Robert');
    expect([made.code, made.stdout]).toEqual([0, 'Robert is an owner of den now.\n']);
    await chat.line(line => line.endsWith('* the operator made Robert an owner'));
    expect((await operate('room', 'owner', 'den', 'Bob')).stdout).toBe(
      'Robert is an owner of den already.\n',
    );
    expect(await json(bob, 'room', 'topic', 'den', 'mine')).toMatchObject([{ done: 'topic' }]);
    // Nothing is deleted before somebody has said yes.
    const unsaid = await operate('room', 'delete', 'den');
    expect([unsaid.code, unsaid.stdout]).toEqual([2, '']);
    expect(unsaid.stderr).toMatch(/Delete den \(1 person, 1 message\).*nothing was deleted: .*--yes/s);
    const no = await place.run('clawchatd', ['room', 'delete', 'den', '--data', hostData], 'n\n');
    expect([no.code, no.stdout]).toEqual([2, '']);
    const gone = await place.run('clawchatd', ['room', 'delete', 'den', '--data', hostData], 'yes\n');
    expect([gone.code, gone.stdout]).toEqual([0, 'Deleted den.\n']);
    await chat.line(line => line.includes('den was deleted'));
    chat.child.stdin?.end();
    expect((await chat.ended).code).toBe(0);
    expect(await refused(bob, 'send', 'anybody?', '--room', 'den')).toBe('ROOM_UNKNOWN');
    // What cannot be done says so.
    const refusals = [
      ['room', 'delete', 'den', '--yes'],
      ['room', 'delete', 'lobby'],
      ['room', 'owner', 'attic', 'Ann'],
      ['room', 'empty', 'attic'],
    ];
    const codes: unknown[] = [];
    for (const args of refusals) {
      const { code, stderr } = await operate(...args, '--json');
      codes.push([code, JSON.parse(stderr).error.code]);
    }
    expect(codes).toEqual([
      [2, 'ROOM_UNKNOWN'],
      [2, 'ROOM_FORBIDDEN'],
      [2, 'DEVICE_UNKNOWN'],
      [2, 'USAGE'],
    ]);
    // With nobody running the same is done, and seen later.
    await host.stop();
    expect((await operate('room', 'owner', 'attic', 'Cat', '--json')).stdout).toMatch(
      /"done":"owner","room":"attic"/,
    );
    expect((await operate('room', 'delete', 'cellar', '--yes', '--json')).stdout).toMatch(/"done":"delete"/);
    expect((await operate('room', 'keep', 'lobby', '1d', '--json')).stdout).toMatch(/"keep_ms":86400000/);
    expect((await listed()).map(({ room, keep_ms: kept }) => [room, kept])).toEqual([
      ['attic', 0],
      ['lobby', 86_400_000],
    ]);
    host = await place.host(hostData);
    expect((await json(cat, 'rooms')).map(({ room, role }) => [room, role])).toEqual([
      ['attic', 'owner'],
      ['lobby', 'member'],
    ]);
    expect(await place.ok('clawchat', ['history', '--data', cat])).toMatch(
      /\* the operator: messages here are kept for a day\n$/,
    );
  });
});

describe('a full disk', () => {
  let small: string;

  beforeEach(() => {
    small = place.path('small');
    mkdirSync(small);
    execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=6m,mode=700', 'tmpfs', small]);
  });

  afterEach(() => {
    execFileSync('umount', ['-l', small]);
  });

  /** Leave no room. */
  function fill(): void {
    try {
      for (let i = 0; ; i += 1) writeFileSync(join(small, `filler${i}`), Buffer.alloc(64 * 1024));
    } catch {
      // Now it is full.
    }
  }

  function empty(): void {
    for (const name of readdirSync(small)) if (name.startsWith('filler')) rmSync(join(small, name));
  }

  // CH-017~1, CT-005~1
  test('of the host: nothing more is acknowledged, nothing that was is lost, and room is enough to go on', async () => {
    hostData = join(small, 'host');
    const [ann = ''] = await people('Ann');
    await json(ann, 'send', 'before');
    fill();
    const wishes = Array.from({ length: 400 }, (_, i) =>
      JSON.stringify({ text: `${i} ${'x'.repeat(20_000)}` }),
    );
    const sending = place.start(
      'clawchat',
      ['send', '-', '--json', '--timeout', '60s', '--data', ann],
      wishes.join('\n'),
    );
    const ended = await host.ended;
    expect([ended.code, ended.stderr]).toEqual([6, expect.stringContaining('STORAGE_FULL')]);
    // Nobody answers any more: it would go on until its time is out.
    expect((await sending.stop()).code).not.toBe(0);
    const acknowledged = sending.lines.map(line => JSON.parse(line).cursor);
    expect(acknowledged.length).toBeLessThan(wishes.length);
    const again = await place.run('clawchatd', ['--data', hostData, '--listen', '127.0.0.1']);
    expect([again.code, again.stderr]).toEqual([6, expect.stringMatching(/STORAGE_FULL/)]);
    empty();
    execFileSync('mount', ['-o', 'remount,size=64m', small]);
    host = await place.host(hostData);
    const cursors = (await json(ann, 'history')).map(({ cursor }) => cursor);
    expect(cursors).toEqual(expect.arrayContaining(acknowledged));
    // What was on its way goes out before what comes later, once.
    await json(ann, 'send', 'after');
    const texts = (await json(ann, 'history')).map(({ text }) => text);
    expect(new Set(texts).size).toBe(texts.length);
    expect([texts.at(0), texts.at(-1)]).toEqual(['before', 'after']);
  });

  // CH-020~1
  test('of a client: it says so, and takes nothing to be sent', async () => {
    await people();
    const ann = join(small, 'ann');
    await place.join(hostData, ann, 'Ann');
    await json(ann, 'send', 'before');
    fill();
    const text = 'y'.repeat(20_000);
    const ended = await place.run('clawchat', ['send', text, '--timeout', '15s', '--json', '--data', ann]);
    expect([ended.code, ended.stdout, ended.stderr]).toEqual([
      6,
      '',
      expect.stringContaining('STORAGE_FULL'),
    ]);
    empty();
    await json(ann, 'send', 'after');
    const watcher = place.path('watcher');
    await place.join(hostData, watcher, 'Bob');
    const texts = (await json(watcher, 'history')).map(({ text: said }) => said);
    expect(texts.filter(said => said !== text)).toEqual(['before', 'after']);
  });
});

describe('a damaged directory', () => {
  // CT-050~1, CH-060~1
  test('says so, and a repair saves what it can and shows a room that it could not save to nobody', async () => {
    const [ann = '', bob = ''] = await people('Ann', 'Bob');
    await place.ok(
      'clawchat',
      ['send', '-', '--data', ann],
      Array.from({ length: 50 }, (_, i) => `line ${i}`).join('\n'),
    );
    await json(ann, 'room', 'create', 'den', '--closed');
    await json(ann, 'send', 'a secret', '--room', 'den');
    await host.stop();
    const db = join(hostData, 'db');
    const level = new ClassicLevel<string, Uint8Array>(db, { valueEncoding: 'view' });
    const record = `chat/room/${'1'.padStart(14, '0')}`;
    const sealed = Uint8Array.from((await level.get(record)) ?? []);
    await level.put(record, sealed.fill(0, 20));
    await level.close();
    rmSync(join(db, 'CURRENT'));
    const args = ['--data', hostData, '--listen', '127.0.0.1'];
    const refusal = await place.run('clawchatd', args);
    expect([refusal.code, refusal.stderr]).toEqual([6, expect.stringMatching(/STORE_DAMAGED.*repair/)]);
    expect(await place.ok('clawchatd', ['repair', '--data', hostData])).toMatch(
      /were kept\.\nlost 1: rooms: nobody sees their messages.* rooms [\s\S]*lies in/,
    );
    host = await place.host(hostData);
    for (const data of [ann, bob]) {
      const history = await json(data, 'history', '--limit', '100');
      expect(history.map(({ text }) => text)).toEqual(Array.from({ length: 50 }, (_, i) => `line ${i}`));
    }
    expect(await place.ok('clawchatd', ['rooms', '--data', hostData])).toMatch(
      /^den +0 people, 1 message +.*nobody sees it/m,
    );
    await place.ok('clawchatd', ['room', 'owner', 'den', 'Bob', '--data', hostData]);
    expect((await json(bob, 'history', '--room', 'den')).map(({ text }) => text)).toContain('a secret');
    await json(ann, 'send', 'after');
    expect(readFileSync(join(hostData, 'data.key'))).toHaveLength(32);
  });
});
