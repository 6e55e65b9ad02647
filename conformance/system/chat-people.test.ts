/** People, rooms and a full disk, with the programs that a person has (spec/11-chat.md, 11.3, 11.6, 11.8). */
import { execFileSync } from 'node:child_process';
import { mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
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
  // CH-044~1, CH-045~1, CH-048~2, CH-049~1
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
    await json(phone, 'rename', 'Anna');
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

  // CH-040~1, CH-041~2, CH-042~1, CH-052~1
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
    await json(ann, 'room', 'invite', 'den', 'bob');
    expect(await names(bob)).toEqual(['den', 'lobby']);
    expect((await json(bob, 'people', '--room', 'den')).map(({ name, role }) => [name, role])).toEqual([
      ['Bob', 'member'],
    ]);
    expect(await refused(bob, 'room', 'keep', 'den', '1d')).toBe('ROOM_FORBIDDEN');
    expect(await refused(ann, 'room', 'leave', 'den')).toBe('ROOM_FORBIDDEN');
    await json(bob, 'room', 'topic', 'den', 'where Ann and Bob think');
    const [said] = await json(bob, 'send', 'oops', '--room', 'den');
    await json(ann, 'delete', String(said?.['cursor']), '--room', 'den');
    const den = (await json(bob, 'history', '--room', 'den')).map(
      ({ text, act, deleted = false }) => act ?? [text, deleted],
    );
    expect(den).toEqual(['create', ['a secret', false], 'grant', 'topic', ['', true], 'delete']);
    await json(bob, 'room', 'leave', 'den');
    expect(await names(bob)).toEqual(['lobby']);
    await json(ann, 'room', 'delete', 'den');
    expect(await names(ann)).toEqual(['lobby']);
    expect(await json(ann, 'history', '--room', 'den')).toEqual([]);
    expect(await refused(ann, 'send', 'anybody?', '--room', 'den')).toBe('ROOM_UNKNOWN');
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
    const lines = ['hello', '/search EVIL', '/nonsense', '//slash', '/create den', 'in the den'];
    const text = await place.ok('clawchat', ['chat', '--data', ann], lines.join('\n'));
    for (const harm of ['\u001b', '\u202e']) expect(text).not.toContain(harm);
    expect(text).toContain('Bob: an <1b>[2Jevil<202e>');
    expect(text).toMatch(/-- found "EVIL" in lobby: 1/);
    expect(text).toMatch(/Ann: hello \[sent\]\n/);
    expect(text).toContain('* there is no /nonsense; /help lists what there is');
    const stored = (await json(bob, 'history')).map(({ room, text: said, act }) => [room, act ?? said]);
    expect(stored.slice(1)).toEqual([
      ['lobby', 'hello'],
      ['lobby', '/slash'],
      ['den', 'create'],
      ['den', 'in the den'],
    ]);
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
  // CT-050~1
  test('says so, and the host goes on with what a repair could save', async () => {
    const [ann = ''] = await people('Ann');
    await place.ok(
      'clawchat',
      ['send', '-', '--data', ann],
      Array.from({ length: 50 }, (_, i) => `line ${i}`).join('\n'),
    );
    await host.stop();
    const db = join(hostData, 'db');
    rmSync(join(db, 'CURRENT'));
    const args = ['--data', hostData, '--listen', '127.0.0.1'];
    const refusal = await place.run('clawchatd', args);
    expect([refusal.code, refusal.stderr]).toEqual([6, expect.stringMatching(/STORE_DAMAGED.*repair/)]);
    expect(await place.ok('clawchatd', ['repair', '--data', hostData])).toMatch(/were kept[\s\S]*lies in/);
    host = await place.host(hostData);
    const history = await json(ann, 'history');
    expect(history).toHaveLength(50);
    await json(ann, 'send', 'after');
    expect(readFileSync(join(hostData, 'data.key'))).toHaveLength(32);
  });
});
