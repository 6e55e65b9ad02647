import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { ErrorCode } from '../gen/clawchat/v1/error_pb.ts';
import { SOCKET_PATH_BYTES_MAX } from '../gen/constants.ts';
import { attacherSocketPath, ownerSocketPath } from './control-path.ts';
import { native } from './native.ts';

let root = '';
beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), 'clawchat-path-'));
});
afterEach(() => {
  vi.unstubAllEnvs();
  rmSync(root, { recursive: true, force: true });
});

function directoryOf(bytes: number): string {
  const directory = join(root, 'd'.repeat(bytes - Buffer.byteLength(root) - 1));
  mkdirSync(directory, { mode: 0o700 });
  return directory;
}

describe('the control socket', () => {
  // CT-011~1
  test('lies in the directory as long as its path fits', async () => {
    const directory = directoryOf(SOCKET_PATH_BYTES_MAX - '/control.sock'.length);
    const path = await ownerSocketPath(directory, native);
    expect(path).toBe(join(directory, 'control.sock'));
    expect(Buffer.byteLength(path)).toBe(SOCKET_PATH_BYTES_MAX);
    expect(await attacherSocketPath(directory)).toBe(path);
    expect(existsSync(join(directory, 'control.address'))).toBe(false);
  });

  // CT-011~1, CT-013~1
  test('lies in the runtime directory when its path is a byte longer, and attachers need no environment to find it', async () => {
    const directory = directoryOf(SOCKET_PATH_BYTES_MAX - '/control.sock'.length + 1);
    expect(await attacherSocketPath(directory)).toBeUndefined();
    vi.stubEnv('XDG_RUNTIME_DIR', root);
    const path = await ownerSocketPath(directory, native);
    expect(path).toMatch(new RegExp(`^${root}/clawchat/[0-9a-f]{32}\\.sock$`));
    expect(statSync(join(root, 'clawchat')).mode & 0o777).toBe(0o700);
    vi.stubEnv('XDG_RUNTIME_DIR', '/elsewhere');
    expect(await attacherSocketPath(directory)).toBe(path);
    expect(readFileSync(join(directory, 'control.address'), 'utf8')).toBe(path);
  });

  test('has the same name for one directory, and another for another, however it is reached', async () => {
    vi.stubEnv('XDG_RUNTIME_DIR', root);
    const [a, b] = [directoryOf(120), directoryOf(121)];
    symlinkSync(a, join(root, 'link'));
    const path = await ownerSocketPath(a, native);
    expect(await ownerSocketPath(join(root, 'link'), native)).toBe(path);
    expect(await ownerSocketPath(b, native)).not.toBe(path);
  });

  // CT-011~1
  test.each([
    ['is open to others', (folder: string) => mkdirSync(folder, { mode: 0o700 }) ?? chmodSync(folder, 0o777)],
    ['is a link', (folder: string) => symlinkSync(tmpdir(), folder)],
    ['is a file', (folder: string) => writeFileSync(folder, '')],
  ])('does not lie in a folder that %s', async (_, make) => {
    const runtime = join(root, 'runtime');
    const temporary = join(root, 'temporary');
    mkdirSync(runtime);
    mkdirSync(temporary);
    vi.stubEnv('XDG_RUNTIME_DIR', runtime);
    vi.stubEnv('TMPDIR', temporary);
    make(join(runtime, 'clawchat'));
    const path = await ownerSocketPath(directoryOf(120), native);
    expect(path).toMatch(new RegExp(`^${temporary}/clawchat-\\d+/`));
  });

  // CT-013~1
  test('is not looked for in a folder that others can enter by now', async () => {
    vi.stubEnv('XDG_RUNTIME_DIR', root);
    const directory = directoryOf(120);
    await ownerSocketPath(directory, native);
    chmodSync(join(root, 'clawchat'), 0o711);
    await expect(attacherSocketPath(directory)).rejects.toMatchObject({ code: ErrorCode.PERMISSIONS_LOOSE });
  });

  // CT-010~1
  test('of a dead owner is removed, and so is a note that leads elsewhere', async () => {
    const directory = directoryOf(80);
    writeFileSync(join(directory, 'control.sock'), 'left');
    writeFileSync(join(directory, 'control.address'), '/gone/x.sock', { mode: 0o600 });
    const path = await ownerSocketPath(directory, native);
    expect(existsSync(path)).toBe(false);
    expect(await attacherSocketPath(directory)).toBe(path);
  });

  test('of a directory that is not there is nowhere', async () => {
    expect(await attacherSocketPath(join(root, 'none'))).toBeUndefined();
  });
});
