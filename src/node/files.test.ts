import {
  chmodSync,
  chownSync,
  linkSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { open } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeEach, describe, expect, test, vi } from 'vitest';
import { ErrorCode } from '../gen/clawchat/v1/error_pb.ts';
import {
  isPrivateDirectory,
  privateDirectory,
  readFileCapped,
  readSecretFile,
  refuseUnwritable,
  removeFile,
  sweepTemporaries,
  writeFileAtomic,
} from './files.ts';

const root = mkdtempSync(join(tmpdir(), 'clawchat-files-'));
afterAll(() => rmSync(root, { recursive: true, force: true }));

let directory = root;
let count = 0;
beforeEach(() => {
  count += 1;
  directory = join(root, String(count));
});

const mode = (path: string): string => (statSync(path).mode & 0o777).toString(8);
const bytes = (...values: number[]): Uint8Array => Uint8Array.from(values);

describe('a private directory', () => {
  test('is made with its parents, all for this user alone', async () => {
    await privateDirectory(join(directory, 'a', 'b'));
    expect(mode(join(directory, 'a', 'b'))).toBe('700');
    expect(mode(directory)).toBe('700');
    expect(await isPrivateDirectory(directory)).toBe(true);
  });

  test('is repaired while it is empty', async () => {
    mkdirSync(directory);
    chmodSync(directory, 0o755);
    expect(await isPrivateDirectory(directory)).toBe(false);
    await privateDirectory(directory);
    expect(mode(directory)).toBe('700');
  });

  test('is refused, and left alone, when others can enter it and something is in it', async () => {
    mkdirSync(directory);
    writeFileSync(join(directory, 'x'), '');
    chmodSync(directory, 0o750);
    await expect(privateDirectory(directory)).rejects.toMatchObject({
      code: ErrorCode.PERMISSIONS_LOOSE,
      message: expect.stringContaining(`chmod 700 ${directory}`),
    });
    expect(mode(directory)).toBe('750');
  });

  test.runIf(process.geteuid?.() === 0)(
    'of another user is refused with how to become that user',
    async () => {
      mkdirSync(directory, { mode: 0o700 });
      chownSync(directory, 999, 999);
      await expect(privateDirectory(directory)).rejects.toMatchObject({
        code: ErrorCode.PERMISSIONS_LOOSE,
        message: expect.stringContaining(
          `(uid 999): run this as that user: runuser -u "$(stat -c %U ${directory})" -- COMMAND`,
        ),
      });
    },
  );

  test('is not a file, nor below one, nor a link for what has to be ours', async () => {
    mkdirSync(directory, { mode: 0o700 });
    const file = join(directory, 'file');
    writeFileSync(file, '');
    await expect(privateDirectory(file)).rejects.toMatchObject({ code: ErrorCode.USAGE });
    await expect(privateDirectory(join(file, 'below'))).rejects.toMatchObject({ code: ErrorCode.USAGE });
    symlinkSync(directory, join(directory, 'link'));
    expect(await isPrivateDirectory(join(directory, 'link'))).toBe(false);
    expect(await isPrivateDirectory(join(directory, 'none'))).toBe(false);
  });
});

describe('an atomic write', () => {
  beforeEach(() => mkdirSync(directory, { mode: 0o700 }));

  test('replaces the file, 0600, and leaves nothing beside it (LI-008~1)', async () => {
    const path = join(directory, 'a');
    await writeFileAtomic(path, bytes(1));
    await writeFileAtomic(path, bytes(2, 3));
    expect(await readSecretFile(path, 2)).toEqual(bytes(2, 3));
    expect(mode(path)).toBe('600');
    expect(readdirSync(directory)).toEqual(['a']);
  });

  test('touches the old bytes never, and is on the disk before it has its name (LI-008~1)', async () => {
    const path = join(directory, 'a');
    await writeFileAtomic(path, bytes(1));
    const old = join(directory, 'old');
    linkSync(path, old);
    // What the name holds at each sync: of the file, then of the directory.
    const handle = await open(path);
    const synced: number[][] = [];
    const sync = vi.spyOn(Object.getPrototypeOf(handle), 'sync').mockImplementation(async () => {
      synced.push([...readFileSync(path)]);
    });
    await handle.close();
    await writeFileAtomic(path, bytes(2, 3));
    sync.mockRestore();
    expect(synced).toEqual(process.platform === 'win32' ? [[1]] : [[1], [2, 3]]);
    expect([...readFileSync(old)]).toEqual([1]);
  });

  test('of many at once ends with one of them whole', async () => {
    const path = join(directory, 'a');
    await Promise.all(
      Array.from({ length: 20 }, (_, i) => writeFileAtomic(path, new Uint8Array(5000).fill(i))),
    );
    const read = await readSecretFile(path, 5000);
    expect(new Set(read).size).toBe(1);
    expect(readdirSync(directory)).toEqual(['a']);
  });

  test('that fails says so and leaves nothing', async () => {
    const path = join(directory, 'a');
    mkdirSync(join(path, 'full'), { recursive: true });
    await expect(writeFileAtomic(path, bytes(1))).rejects.toMatchObject({ code: ErrorCode.FILE_UNWRITABLE });
    expect(readdirSync(directory)).toEqual(['a']);
    await expect(writeFileAtomic(join(directory, 'none', 'a'), bytes(1))).rejects.toMatchObject({
      code: ErrorCode.FILE_UNWRITABLE,
      message: expect.stringContaining(`${join(directory, 'none', 'a')} cannot be written`),
    });
  });

  test('is refused beforehand where a person named no place for it', async () => {
    await refuseUnwritable(join(directory, 'a'));
    for (const path of [directory, join(directory, 'none', 'a')])
      await expect(refuseUnwritable(path)).rejects.toMatchObject({
        code: ErrorCode.USAGE,
        message: expect.stringContaining(`${path} `),
      });
    expect(readdirSync(directory)).toEqual([]);
  });

  test('is refused beforehand where something is, which stays', async () => {
    const path = join(directory, 'a');
    writeFileSync(path, 'the only copy of a key');
    await expect(refuseUnwritable(path)).rejects.toMatchObject({
      code: ErrorCode.USAGE,
      message: expect.stringContaining(`${path} is there already: name another file`),
    });
    symlinkSync(join(directory, 'nowhere'), join(directory, 'b'));
    await expect(refuseUnwritable(join(directory, 'b'))).rejects.toMatchObject({ code: ErrorCode.USAGE });
    expect(readFileSync(path, 'utf8')).toBe('the only copy of a key');
  });

  test('steps over what a dead process of the same number left, and the owner sweeps it', async () => {
    const path = join(directory, 'a');
    await writeFileAtomic(path, bytes(1));
    for (let i = 0; i < 300; i += 1) writeFileSync(join(directory, `.a.${process.pid}-${i}.tmp`), 'left');
    writeFileSync(join(directory, '.kept.tmp'), '');
    await writeFileAtomic(path, bytes(2));
    expect(await readSecretFile(path, 1)).toEqual(bytes(2));
    await sweepTemporaries(directory);
    expect(readdirSync(directory)).toEqual(['.kept.tmp', 'a']);
  });

  test('is undone by removing the file, once or twice', async () => {
    const path = join(directory, 'a');
    await writeFileAtomic(path, bytes(1));
    await removeFile(path);
    await removeFile(path);
    expect(readdirSync(directory)).toEqual([]);
  });
});

describe('reading', () => {
  beforeEach(() => mkdirSync(directory, { mode: 0o700 }));

  test.each([
    ['any file', readFileCapped],
    ['a key file', readSecretFile],
  ])('%s is capped', async (_, read) => {
    const path = join(directory, 'a');
    await writeFileAtomic(path, new Uint8Array(1000).fill(7));
    expect(await read(path, 1000)).toEqual(new Uint8Array(1000).fill(7));
    await expect(read(path, 999)).rejects.toMatchObject({ code: ErrorCode.FILE_TOO_LARGE });
    expect(await read(join(directory, 'none'), 10)).toBeUndefined();
    await writeFileAtomic(path, bytes());
    expect(await read(path, 0)).toEqual(bytes());
  });

  test('an endless file ends at the cap', async () => {
    await expect(readFileCapped('/dev/zero', 1000)).rejects.toMatchObject({ code: ErrorCode.FILE_TOO_LARGE });
    await expect(readFileCapped(directory, 1000)).rejects.toMatchObject({ code: ErrorCode.USAGE });
  });

  test.each([0o640, 0o604, 0o644, 0o620])('a key file of mode %o is refused', async loose => {
    const path = join(directory, 'key');
    await writeFileAtomic(path, bytes(1));
    chmodSync(path, loose);
    await expect(readSecretFile(path, 10)).rejects.toMatchObject({
      code: ErrorCode.PERMISSIONS_LOOSE,
      message: expect.stringContaining(`chmod 600 ${path}`),
    });
    expect(mode(path)).toBe(loose.toString(8));
  });

  test('a key file is a plain file', async () => {
    await writeFileAtomic(join(directory, 'a'), bytes(1));
    symlinkSync('a', join(directory, 'link'));
    for (const path of [join(directory, 'link'), directory, '/dev/null']) {
      await expect(readSecretFile(path, 10)).rejects.toMatchObject({ code: ErrorCode.PERMISSIONS_LOOSE });
    }
  });
});
