import {
  chmodSync,
  cpSync,
  existsSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { ClassicLevel } from 'classic-level';
import { afterAll, beforeEach, describe, expect, test, vi } from 'vitest';
import { withEntropy } from '../crypto/suite.ts';
import { ErrorCode } from '../gen/clawchat/v1/error_pb.ts';
import { native } from './native.ts';
import { openStore, type Store, type StoreProgram } from './store.ts';
import { VERSION } from './version.ts';

const root = mkdtempSync(join(tmpdir(), 'clawchat-store-'));
afterAll(() => rmSync(root, { recursive: true, force: true }));

let directory = root;
let count = 0;
beforeEach(() => {
  count += 1;
  directory = join(root, String(count));
});

const open = (program: StoreProgram = 'host'): Promise<Store> =>
  openStore({ directory, program, suite: native });
const put = (key: string, text: string) => ({ kind: 'put', key, value: Buffer.from(text) }) as const;

/** Open the database below the store. */
async function raw<T>(work: (level: ClassicLevel<string, Uint8Array>) => Promise<T>): Promise<T> {
  const level = new ClassicLevel<string, Uint8Array>(join(directory, 'db'), { valueEncoding: 'view' });
  try {
    return await work(level);
  } finally {
    await level.close();
  }
}

describe('the store', () => {
  // CT-001~2
  test('writes nothing readable, from the first write on', async () => {
    const store = await open();
    const secret = 'attack at dawn '.repeat(50);
    await store.commit([put('order', secret)]);
    await store.close();
    let bytesRead = 0;
    for (const entry of readdirSync(directory, { recursive: true, withFileTypes: true })) {
      if (!entry.isFile()) continue;
      const content = readFileSync(join(entry.parentPath, entry.name));
      bytesRead += content.length;
      expect(content.includes('attack')).toBe(false);
    }
    expect(bytesRead).toBeGreaterThan(secret.length);
    expect(statSync(directory).mode & 0o777).toBe(0o700);
    expect(statSync(join(directory, 'data.key')).mode & 0o777).toBe(0o600);
    expect(readFileSync(join(directory, 'data.key'))).toHaveLength(32);
  });

  // CT-001~2
  test('seals under fresh nonces, with the key as associated data', async () => {
    const store = await open();
    await store.commit([put('a', 'same'), put('b', 'same')]);
    await store.commit([put('c', 'same')]);
    await store.close();
    const sealed = await raw(level => level.getMany(['a', 'b', 'c']));
    expect(
      new Set(
        sealed.map(value =>
          Buffer.from(value ?? [])
            .toString('hex')
            .slice(0, 24),
        ),
      ).size,
    ).toBe(3);
    expect(sealed.map(value => value?.length)).toEqual([32, 32, 32]);
    // A value moved to another key does not open.
    await raw(level => level.put('a', sealed[1] ?? new Uint8Array(0)));
    const again = await open();
    expect(Buffer.from((await again.get('b')) ?? []).toString()).toBe('same');
    await expect(again.get('a')).rejects.toMatchObject({ code: ErrorCode.STORE_DAMAGED });
    await expect(again.range({})).rejects.toMatchObject({ code: ErrorCode.STORE_DAMAGED });
    await again.close();
  });

  test.each([0, 5, 12, 20, 31])('notices a flipped bit in byte %i of a value', async at => {
    const store = await open();
    await store.commit([put('a', 'four'), put('b', 'other')]);
    await store.close();
    await raw(async level => {
      const sealed = Uint8Array.from((await level.get('a')) ?? []);
      sealed[at] = (sealed[at] ?? 0) ^ 1;
      await level.put('a', sealed);
    });
    const again = await open();
    await expect(again.get('a')).rejects.toMatchObject({
      code: ErrorCode.STORE_DAMAGED,
      message: expect.stringContaining('backup'),
    });
    expect(await again.get('b')).toBeDefined();
    await again.close();
  });

  // CT-003~2
  test('refuses another data key, a cut one, none and a loose one', async () => {
    await (await open()).close();
    const path = join(directory, 'data.key');
    const key = readFileSync(path);
    const refused = (text: string, code: ErrorCode = ErrorCode.STORE_DAMAGED) =>
      expect(open()).rejects.toMatchObject({ code, message: expect.stringContaining(text) });
    writeFileSync(path, Buffer.alloc(32, 1));
    await refused('is not the key of its database');
    writeFileSync(path, key.subarray(0, 31));
    await refused('cut off');
    writeFileSync(path, key);
    chmodSync(path, 0o644);
    await refused('chmod 600', ErrorCode.PERMISSIONS_LOOSE);
    rmSync(path);
    await refused('is missing');
    expect(existsSync(path)).toBe(false);
    writeFileSync(path, key, { mode: 0o600 });
    await (await open()).close();
  });

  test('begins again when the first start died between the key and the database', async () => {
    await (await open()).close();
    const key = readFileSync(join(directory, 'data.key'));
    rmSync(join(directory, 'db'), { recursive: true });
    await (await open()).close();
    expect(readFileSync(join(directory, 'data.key'))).toEqual(key);
  });

  test('goes on where the making of a database was cut off, and takes a lost CURRENT for damage', async () => {
    const store = await open();
    await store.commit([put('a', 'kept')]);
    await store.close();
    const db = join(directory, 'db');
    const current = readFileSync(join(db, 'CURRENT'));
    rmSync(join(db, 'CURRENT'));
    await expect(open()).rejects.toMatchObject({ code: ErrorCode.STORE_DAMAGED });
    writeFileSync(join(db, 'CURRENT'), current);
    await (await open()).close();
    // Only a manifest: nothing was ever written.
    for (const name of readdirSync(db)) if (!name.startsWith('MANIFEST')) rmSync(join(db, name));
    await (await open()).close();
  });

  // CT-002~1
  test('refuses a newer schema, names who wrote it, and changes nothing', async () => {
    await (await open()).close();
    await raw(level =>
      level.batch([
        { type: 'put', key: '!schema', value: Buffer.from('3') },
        { type: 'put', key: '!writer', value: Buffer.from('9.9.9\u001b[2J') },
      ]),
    );
    const before = await raw(level => level.iterator().all());
    await expect(open()).rejects.toMatchObject({
      code: ErrorCode.SCHEMA_NEWER,
      message: expect.stringMatching(
        /a newer version 9\.9\.9\?\?2J wrote .*schema 3; this program, .*, knows 2/,
      ),
    });
    expect(await raw(level => level.iterator().all())).toEqual(before);
    await raw(level => level.put('!schema', Buffer.from('x')));
    await expect(open()).rejects.toMatchObject({ code: ErrorCode.STORE_DAMAGED });
  });

  // CT-009~1
  test('brings an older schema to its own, and signs it', async () => {
    const made = await open();
    await made.commit([put('a', 'kept')]);
    await made.close();
    await raw(level =>
      level.batch([
        { type: 'put', key: '!schema', value: Buffer.from('1') },
        { type: 'del', key: '!writer' },
      ]),
    );
    const opened = await open();
    expect(Buffer.from((await opened.get('a')) ?? []).toString()).toBe('kept');
    await opened.close();
    const text = (key: string): Promise<string> =>
      raw(async level => Buffer.from((await level.get(key)) ?? []).toString());
    expect(await text('!schema')).toBe('2');
    expect(await text('!writer')).toBe(VERSION);
    // An older version of the same schema has been here meanwhile.
    await raw(level => level.put('!writer', Buffer.from('0.0.1')));
    await (await open()).close();
    expect(await text('!writer')).toBe(VERSION);
  });

  // CT-004~1
  test('is of one program', async () => {
    for (const [program, other] of [
      ['host', 'client'],
      ['client', 'host'],
    ] as const) {
      await (await open(program)).close();
      await expect(open(other)).rejects.toMatchObject({ code: ErrorCode.USAGE });
      await (await open(program)).close();
      rmSync(directory, { recursive: true });
    }
  });

  test('has one owner', async () => {
    const store = await open();
    await expect(open()).rejects.toMatchObject({ code: ErrorCode.DIRECTORY_LOCKED });
    await store.commit([put('a', 'still fine')]);
    await store.close();
    await (await open()).close();
  });

  test('is refused when LevelDB finds its own files damaged', async () => {
    await (await open()).close();
    writeFileSync(join(directory, 'db', 'CURRENT'), 'MANIFEST-000999\n');
    await expect(open()).rejects.toMatchObject({ code: ErrorCode.STORE_DAMAGED });
    // The lock was let go of: a restored directory opens.
    rmSync(join(directory, 'db'), { recursive: true });
    await (await open()).close();
  });

  test('can be copied while closed, as a backup', async () => {
    const store = await open();
    await store.commit([put('a', 'kept')]);
    await store.close();
    const original = directory;
    directory = `${original}-copy`;
    cpSync(original, directory, { recursive: true, mode: 0 });
    chmodSync(directory, 0o700);
    const copy = await open();
    expect(Buffer.from((await copy.get('a')) ?? []).toString()).toBe('kept');
    await copy.close();
  });

  test('draws its key and its nonces from the suite', async () => {
    let drawn = 0;
    const suite = withEntropy(native, length => {
      drawn += length;
      return native.randomBytes(length);
    });
    const store = await openStore({ directory, program: 'client', suite });
    expect(drawn).toBe(32 + 12);
    await store.commit([put('a', '1'), put('b', '2')]);
    expect(drawn).toBe(32 + 12 + 24);
    await store.close();
  });

  // CH-047~3
  test('can clear what was deleted or replaced out of its files', async () => {
    const store = await open();
    await store.commit([put('m/1', 'old'), put('m/2', 'edited'), put('m/3', 'stays')]);
    await store.close();
    const sealed = await raw(level => level.getMany(['m/1', 'm/2', 'm/3']));
    const lies = (which: number): boolean =>
      readdirSync(join(directory, 'db')).some(name =>
        readFileSync(join(directory, 'db', name)).includes(Buffer.from(sealed[which] ?? 'x')),
      );
    const again = await open();
    await again.commit([{ kind: 'delete', key: 'm/1' }, put('m/2', 'better')]);
    expect([lies(0), lies(1), lies(2)]).toEqual([true, true, true]);
    await again.scrub({ gte: 'm/', lt: 'm/~' });
    expect([lies(0), lies(1), lies(2)]).toEqual([false, false, true]);
    await again.close();
  });

  // CT-005~1
  test('syncs every write, and writes once for all commits of a turn', async () => {
    const batch = vi.spyOn(ClassicLevel.prototype, 'batch');
    const store = await open();
    await Promise.all([
      store.commit([put('a', '1')]),
      store.commit([put('b', '2')]),
      store.commit([put('a', '3')]),
    ]);
    const calls = (batch.mock.calls as unknown as [unknown[], unknown][]).map(([operations, options]) => [
      operations.length,
      options,
    ]);
    // Schema, writer and check; then the three commits.
    expect(calls).toEqual([
      [3, { sync: true }],
      [3, { sync: true }],
    ]);
    batch.mockRejectedValueOnce(new Error('No space left on device'));
    const full = { code: ErrorCode.STORAGE_FULL };
    await expect(store.commit([put('c', '4')])).rejects.toMatchObject(full);
    // The disk has room again, but nobody knows what of the last write is on it.
    await expect(store.commit([put('d', '5')])).rejects.toMatchObject(full);
    await store.close();
    batch.mockRestore();
    const again = await open();
    expect((await again.range({})).map(entry => entry.key)).toEqual(['a', 'b']);
    await again.close();
  });
});
