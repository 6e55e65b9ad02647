/** What an operator does with invites that were made: real directories, hosts, stores and joiners. Chapter: spec/08-devices.md, 8.1. */
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { create } from '@bufbuild/protobuf';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { ControlOpenInviteSchema } from '../../gen/clawchat/v1/control_pb.ts';
import { connect } from '../api/connect.ts';
import { type Host, serve } from '../api/serve.ts';
import { LocalStore } from '../stores/local.ts';
import { CLAWCHAT } from './clawchat-program.ts';
import { CLAWCHATD } from './clawchatd-program.ts';
import { runProgram } from './command-line.ts';
import { inviteLines } from './invite-commands.ts';

let place = '';
let [out, err] = ['', ''];
const open: { close(): Promise<unknown> }[] = [];

beforeEach(async () => {
  place = await mkdtemp(join(tmpdir(), 'clawchat-invites-'));
  vi.spyOn(process.stdout, 'write').mockImplementation(text => {
    out += String(text);
    return true;
  });
  vi.spyOn(process.stderr, 'write').mockImplementation(text => {
    err += String(text);
    return true;
  });
});

afterEach(async () => {
  for (const one of open.splice(0).reverse()) await one.close();
  vi.restoreAllMocks();
  await rm(place, { recursive: true, force: true });
});

async function host(): Promise<Host> {
  const made = await serve({ directory: join(place, 'host'), listen: '127.0.0.1' });
  open.push(made);
  return made;
}

/** Ask the operator's program; gives its exit code. */
function operate(...args: readonly string[]): Promise<number> {
  [out, err] = ['', ''];
  return runProgram(CLAWCHATD, [...args, '--data', join(place, 'host')]);
}

async function joins(invite: string): Promise<number> {
  [out, err] = ['', ''];
  return runProgram(CLAWCHAT, ['join', invite, '--data', join(place, 'joiner'), '--timeout', '60s']);
}

const json = (): Record<string, unknown>[] =>
  out
    .trim()
    .split('\n')
    .filter(line => line !== '')
    .map(line => JSON.parse(line));

async function listed(): Promise<Record<string, unknown>[]> {
  expect(await operate('invites', '--json')).toBe(0);
  return json();
}

// IN-008~1
test('is listed and withdrawn while no host runs, by name and by the beginning of its id', async () => {
  expect(await operate('invite', '--name', 'Ann', '--json')).toBe(0);
  const [made] = json();
  expect(made).toMatchObject({ id: expect.stringMatching(/^[0-9a-f]{32}$/), name_taken: false });
  const id = String(made?.['id']);
  expect(await listed()).toEqual([
    {
      id,
      name: 'Ann',
      state: 'open',
      form: 'text',
      made_at_ms: expect.any(Number),
      ends_at_ms: made?.['expires_at_ms'],
    },
  ]);
  expect(await operate('invite', '--name', 'Ann')).toBe(0);
  expect(err).toContain('An invite for Ann was open already: ');
  expect(err).toMatch(/to withdraw it: .*clawchatd withdraw [0-9a-f]{8}/);
  expect(await operate('invites')).toBe(0);
  expect(out).toMatch(/^([0-9a-f]{8} {2}text {2}made \d+ s ago +ends in 24 h +Ann\n){2}$/);

  expect(await operate('withdraw', 'Ann', '--json')).toBe(2);
  expect(JSON.parse(err).error).toMatchObject({ code: 'INVITE_UNKNOWN', exit: 2 });
  expect(err).toMatch(/fits 2 invites; give the id \(see: .*clawchatd invites/);
  expect(await operate('withdraw', id.slice(0, 8).toUpperCase(), '--json')).toBe(0);
  expect(json()).toEqual([{ withdrawn: true, id, name: 'Ann' }]);
  expect(await operate('revoke', 'Ann')).toBe(2);
  expect(err).toMatch(/DEVICE_UNKNOWN.*has not joined: to withdraw the invite: .*clawchatd withdraw Ann/);
  expect(await operate('withdraw', 'Ann')).toBe(0);
  expect(out).toMatch(/^Withdrew the invite for Ann \([0-9a-f]{8}\)\. It lets nobody in any more\.\n$/);
  expect(await operate('withdraw', 'Ann')).toBe(2);
  expect(err).toMatch(/INVITE_UNKNOWN.*'Ann' is no open invite/);
  expect(await listed()).toEqual([]);
  expect(await operate('invites')).toBe(0);
  expect(out).toMatch(/^No invite is open; to make one: .*clawchatd invite/);
});

// IN-008~1, CF-024~1
test('that was withdrawn lets nobody in, as text and as a file', async () => {
  await host();
  const file = join(place, 'bob.invite');
  expect(await operate('invite', '--name', 'Ann')).toBe(0);
  const text = out.trim();
  expect(await operate('invite', '--name', 'Bob', '--file', file)).toBe(0);
  expect(await operate('status')).toBe(0);
  expect(out).toMatch(/2 invites open: .*clawchatd invites/);
  expect((await listed()).map(({ name, form }) => [name, form])).toEqual([
    ['Ann', 'text'],
    ['Bob', 'file'],
  ]);
  for (const name of ['Ann', 'Bob']) expect(await operate('withdraw', name)).toBe(0);
  await writeFile(join(place, 'ann.invite'), text);
  expect(await joins(join(place, 'ann.invite'))).toBe(4);
  // The store may still hold the file before: then the gate refuses.
  expect(err).toMatch(/NOT_A_RECIPIENT|GATE_REFUSED/);
  expect(await joins(file)).toBe(4);
  expect(err).toMatch(/GATE_REFUSED/);
  expect(await operate('status')).toBe(0);
  expect(out).toMatch(/ 0 invites open\n/);
});

// IN-009~1
test('whose file cannot be written after all is withdrawn', async () => {
  await host();
  const file = join(place, 'ann.invite');
  const { publish } = LocalStore.prototype;
  vi.spyOn(LocalStore.prototype, 'publish').mockImplementation(async function (this: LocalStore, ...args) {
    await mkdir(join(file, 'full'), { recursive: true });
    return publish.apply(this, args);
  });
  expect(await operate('invite', '--name', 'Ann', '--file', file, '--json')).toBe(6);
  expect(JSON.parse(err).error).toMatchObject({
    code: 'FILE_UNWRITABLE',
    text: expect.stringMatching(/ann\.invite cannot be written \(EISDIR\): name a place/),
  });
  expect(await listed()).toEqual([]);
});

// CH-044~1
test('of a person for another device says whose; one of the name of a device is told of', async () => {
  const home = await host();
  const ann = await connect({
    invite: (await home.invite({ name: 'Ann' })).text,
    directory: join(place, 'ann'),
  });
  open.push(ann);
  expect(await runProgram(CLAWCHAT, ['invite-device', '--name', 'phone', '--data', join(place, 'ann')])).toBe(
    0,
  );
  const { device } = await ann.status();
  expect(await listed()).toMatchObject([{ name: 'phone', person: device, person_name: 'Ann' }]);
  expect(await operate('invites')).toBe(0);
  expect(out).toMatch(/ends in 60 min +phone \(another device of Ann\)\n$/);
  expect(await operate('withdraw', 'Ann')).toBe(2);
  expect(err).toMatch(/INVITE_UNKNOWN.*'Ann' has joined; to put the device out: .*clawchatd revoke Ann/);
  expect(await operate('invite', '--name', 'Ann', '--json')).toBe(0);
  expect(json()).toMatchObject([{ name_taken: true, name_invited: false }]);
  expect(await operate('devices')).toBe(0);
  expect(out).toMatch(/ {2}Ann\n2 invites open: .*clawchatd invites/);
});

test('a program lists and withdraws what it has made', async () => {
  const home = await host();
  const { invite, text } = await home.invite({ name: 'Ann', lifeMs: 60_000 });
  const [listed] = await home.invites();
  expect(listed).toEqual({
    invite,
    name: 'Ann',
    person: undefined,
    madeAtMs: expect.any(Number),
    endsAtMs: expect.any(Number),
    claimed: false,
  });
  expect(await home.withdraw(invite)).toBe(true);
  expect(await home.withdraw(invite)).toBe(false);
  expect(await home.invites()).toEqual([]);
  await expect(home.withdraw('Ann')).rejects.toThrow('[USAGE]');
  await expect(connect({ invite: text })).rejects.toThrow(/NOT_A_RECIPIENT|GATE_REFUSED/);
});

test('the list tells apart ids that begin alike, and says who has begun to join', () => {
  const id = (end: number): Uint8Array => Uint8Array.from([1, 2, 3, 4, end, ...new Uint8Array(11)]);
  const one = (end: number, more: object): ReturnType<typeof create<typeof ControlOpenInviteSchema>> =>
    create(ControlOpenInviteSchema, { inviteId: id(end), madeAtMs: 1_000n, endsAtMs: 61_000n, ...more });
  expect(
    inviteLines([one(5, { claimedBy: id(9), name: 'a\u001b[2J' }), one(6, { bundled: true })], 1_000),
  ).toEqual([
    '0102030405  text  made in 0 s      ends in 60 s   a<1b>[2J; used by device 01020304, which has not come back yet',
    '0102030406  file  made in 0 s      ends in 60 s   no name',
  ]);
});
