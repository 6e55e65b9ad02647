import { execFileSync } from 'node:child_process';
import { chmod, mkdir, mkdtemp, readdir, rm, utimes, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { ErrorCode } from '../../gen/clawchat/v1/error_pb.ts';
import { FILE_BYTES_MAX } from '../../gen/constants.ts';
import { isConflictOf, isLocalPath, LocalStore } from './local.ts';
import { openReader } from './open.ts';

const live = new AbortController().signal;
const bytes = (...values: number[]): Uint8Array => Uint8Array.from(values);
let folder = '';
let path = '';
let store: LocalStore;

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'clawchat-local-'));
  path = join(folder, 'host.claw');
  store = new LocalStore(path);
});
afterEach(() => rm(folder, { recursive: true, force: true }));

test('reads the file first, then the conflict copies changed last (DI-010~1, DI-005~1)', async () => {
  await writeFile(path, bytes(1));
  for (let day = 10; day < 16; day += 1) {
    const copy = join(folder, `host.sync-conflict-202611${day}-101500-ABCDEFG.claw`);
    await writeFile(copy, bytes(day));
    await utimes(copy, day, day);
  }
  await writeFile(join(folder, "host (Ann's conflicted copy 2026-11-23).claw"), bytes(99));
  await writeFile(join(folder, '.syncthing.host.claw.tmp'), bytes(7));
  expect(await store.read(live)).toEqual({
    kind: 'file',
    bytes: bytes(1),
    others: [bytes(99), bytes(15), bytes(14)],
  });
});

test('a conflict copy is read when the file itself is gone', async () => {
  await writeFile(join(folder, 'host.sync-conflict-20261123-101500-ABCDEFG.claw'), bytes(5));
  expect(await store.read(live)).toEqual({ kind: 'file', bytes: bytes(5), others: [] });
});

test('what changes only in a conflict copy is no longer unchanged', async () => {
  await writeFile(path, bytes(1));
  expect(await store.read(live)).toMatchObject({ kind: 'file' });
  expect(await store.read(live)).toEqual({ kind: 'unchanged' });
  expect(await store.read(live, { unconditional: true })).toMatchObject({ kind: 'file' });
  await writeFile(join(folder, 'host.sync-conflict-20261123-101500-ABCDEFG.claw'), bytes(5));
  expect(await store.read(live)).toMatchObject({ kind: 'file', others: [bytes(5)] });
});

test.each([
  ['host.sync-conflict-20261123-101500-ABCDEFG.claw', true],
  ['host (conflicted copy 2026-11-23).claw', true],
  ["host (Ann's widerspruechliche Kopie 2026-11-23).claw", true],
  ['host.claw', false],
  ['host2.claw', false],
  ['.host.claw.17-1.tmp', false],
  ['.syncthing.host.claw.tmp', false],
  ['~syncthing~host.claw.tmp', false],
  ['host.sync-conflict-20261123-101500-ABCDEFG.txt', false],
])('%s is a conflict copy of host.claw: %s', (name, expected) => {
  expect(isConflictOf(name, 'host.claw')).toBe(expected);
});

test('takes away what an interrupted write left, and nothing younger or of another name (DI-012~1)', async () => {
  const old = new Date(Date.now() - 120_000);
  for (const name of ['.host.claw.17-1.tmp', '.other.claw.17-1.tmp', '.host.claw.17-2.tmp']) {
    await writeFile(join(folder, name), bytes(1));
    if (name !== '.host.claw.17-2.tmp') await utimes(join(folder, name), old, old);
  }
  expect(await store.publish(bytes(2), live)).toEqual({ kind: 'published' });
  expect((await readdir(folder)).sort()).toEqual([
    '.host.claw.17-2.tmp',
    '.other.claw.17-1.tmp',
    'host.claw',
  ]);
});

test('a pipe, a folder and a file that is too long are failures and not waited for (DI-002~1, DI-011~1)', async () => {
  execFileSync('mkfifo', [path]);
  expect(await store.read(live)).toMatchObject({ kind: 'failed', trouble: 'malformed' });
  await rm(path);
  await mkdir(path);
  expect(await store.read(live)).toMatchObject({ kind: 'failed', trouble: 'malformed' });
  expect(await store.publish(bytes(1), live)).toMatchObject({ kind: 'failed', trouble: 'refused' });
  await rm(path, { recursive: true });
  await writeFile(path, new Uint8Array(FILE_BYTES_MAX + 1));
  expect(await store.read(live)).toMatchObject({ kind: 'failed', code: ErrorCode.FILE_TOO_LARGE });
});

test('a folder that is not there is absent to a reader and refuses a writer', async () => {
  const lost = new LocalStore(join(folder, 'no', 'host.claw'));
  expect(await lost.read(live)).toEqual({ kind: 'absent' });
  expect(await lost.publish(bytes(1), live)).toMatchObject({ kind: 'failed', trouble: 'refused' });
});

test('a watcher tells of the file and its conflict copies, not of other files', async () => {
  let told = 0;
  let tell: () => void = () => {};
  const unwatch = store.watch(() => {
    told += 1;
    tell();
  });
  try {
    await writeFile(join(folder, 'other'), bytes(1));
    const first = new Promise<void>(resolve => {
      tell = resolve;
    });
    await store.publish(bytes(1), live);
    await first;
    expect(told).toBe(1);
  } finally {
    unwatch();
  }
});

test('a record can name a path of this machine and no other (DI-011~1)', async () => {
  expect([path, '/a', '//server/a', '\\\\server\\a', 'a', 'C:a', '/a\0b', ''].map(isLocalPath)).toEqual([
    true,
    true,
    false,
    false,
    false,
    false,
    false,
    false,
  ]);
  expect(openReader({ kind: 'local', path })).toBeInstanceOf(LocalStore);
  expect(openReader({ kind: 'local', path: 'a' })).toMatchObject({ kind: 'fault' });
});

test('a folder that may not be listed still has the file', async () => {
  await writeFile(path, bytes(1));
  await chmod(folder, 0o300);
  expect(await store.read(live)).toMatchObject({ kind: 'file', bytes: bytes(1) });
  await chmod(folder, 0o700);
});
