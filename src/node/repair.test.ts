import { cpSync, mkdtempSync, readdirSync, readFileSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { ClassicLevel } from 'classic-level';
import { afterAll, beforeEach, describe, expect, test } from 'vitest';
import { ErrorCode } from '../gen/clawchat/v1/error_pb.ts';
import { describeLoss } from './cli/repair.ts';
import { native } from './native.ts';
import { repairStore } from './repair.ts';
import { openStore, type Store } from './store.ts';

const root = mkdtempSync(join(tmpdir(), 'clawchat-repair-'));
afterAll(() => rmSync(root, { recursive: true, force: true }));
const VALUES = 400;
const key = (n: number): string => `chat/message/${n.toString(16).padStart(14, '0')}`;

let directory = root;
let count = 0;

const options = (): Parameters<typeof openStore>[0] => ({ directory, program: 'host', suite: native });
const repair = (): ReturnType<typeof repairStore> => repairStore(options());
const files = (suffix: string): string[] =>
  readdirSync(join(directory, 'db'))
    .filter(name => name.endsWith(suffix))
    .map(name => join(directory, 'db', name));

async function readAll(): Promise<readonly string[]> {
  const store = await openStore(options());
  const entries = await store.range({}).finally(() => store.close());
  return entries.map(({ value }) => Buffer.from(value).toString().slice(0, 8));
}

beforeEach(async () => {
  count += 1;
  directory = join(root, String(count));
  for (let n = 0; n < VALUES; n += 100) {
    // Opening writes the log out as a table.
    const store: Store = await openStore(options());
    const group = Array.from({ length: 100 }, (_, i) => n + i);
    await store.commit(
      group.map(at => ({ kind: 'put', key: key(at), value: Buffer.from(`value${at} ${'x'.repeat(900)}`) })),
    );
    await store.close();
  }
  await (await openStore(options())).close();
});

// CT-050~1
describe('a repair', () => {
  test('changes nothing where nothing is wrong', async () => {
    expect(await repair()).toEqual({ kept: VALUES, lost: [], rebuilt: false, copy: undefined });
    expect(await readAll()).toHaveLength(VALUES);
  });

  test('takes out a value that was altered, and leaves the others and a copy', async () => {
    const level = new ClassicLevel<string, Uint8Array>(join(directory, 'db'), { valueEncoding: 'view' });
    const sealed = Uint8Array.from((await level.get(key(7))) ?? []);
    sealed[40] = (sealed[40] ?? 0) ^ 1;
    await level.put(key(7), sealed);
    await level.close();
    await expect(readAll()).rejects.toMatchObject({
      code: ErrorCode.STORE_DAMAGED,
      message: expect.stringContaining('repair'),
    });
    const repaired = await repair();
    expect(repaired).toMatchObject({ kept: VALUES - 1, lost: [key(7)], rebuilt: false });
    expect(describeLoss(repaired.lost)).toEqual(['lost 1: messages']);
    expect(await readAll()).toHaveLength(VALUES - 1);
    expect(readdirSync(repaired.copy ?? '')).not.toEqual([]);
  });

  test.each([
    ['the manifest is gone', () => rmSync(files('').find(name => name.includes('MANIFEST')) ?? '')],
    ['the name of the manifest is gone', () => rmSync(join(directory, 'db', 'CURRENT'))],
    [
      'the manifest is garbage',
      () => writeFileSync(files('').find(name => name.includes('MANIFEST')) ?? '', Buffer.alloc(999, 0x5a)),
    ],
  ])('keeps everything when %s', async (_name, damage) => {
    damage();
    await expect(readAll()).rejects.toMatchObject({ code: ErrorCode.STORE_DAMAGED });
    expect(await repair()).toMatchObject({ kept: VALUES, lost: [], rebuilt: true });
    expect(await readAll()).toHaveLength(VALUES);
  });

  test.each([
    ['bytes of a table are overwritten', 0.5],
    ['the end of a table is gone', 0],
  ])('keeps most when %s', async (_name, at) => {
    const table = files('.ldb').sort().at(-1) ?? '';
    const bytes = readFileSync(table);
    if (at === 0) truncateSync(table, Math.floor(bytes.length * 0.9));
    else {
      bytes.fill(0x5a, Math.floor(bytes.length * at), Math.floor(bytes.length * at) + 3000);
      writeFileSync(table, bytes);
    }
    await expect(readAll()).rejects.toMatchObject({ code: ErrorCode.STORE_DAMAGED });
    const repaired = await repair();
    const left = await readAll();
    expect(left).toHaveLength(repaired.kept);
    expect(left.every(text => text.startsWith('value'))).toBe(true);
    // A table whose index is gone is lost whole; one with a hole in it loses the hole.
    expect(left.length).toBeGreaterThanOrEqual(VALUES - 100);
    console.log(`kept ${left.length} of ${VALUES}`);
  });

  test('is refused while somebody owns the directory, with another key, and for the other program', async () => {
    const store = await openStore(options());
    await expect(repair()).rejects.toMatchObject({ code: ErrorCode.DIRECTORY_LOCKED });
    await store.close();
    const other = repairStore({ ...options(), program: 'client' });
    await expect(other).rejects.toMatchObject({ code: ErrorCode.USAGE });
    const original = readFileSync(join(directory, 'data.key'));
    cpSync(join(directory, 'data.key'), join(root, 'kept.key'));
    writeFileSync(join(directory, 'data.key'), Buffer.alloc(32, 1));
    await expect(repair()).rejects.toMatchObject({ code: ErrorCode.STORE_DAMAGED });
    writeFileSync(join(directory, 'data.key'), original);
    expect(await readAll()).toHaveLength(VALUES);
  });
});
