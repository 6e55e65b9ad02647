/** Files that survive a crash and that nobody else may read (spec/01-architecture.md). */
import { constants, type Stats } from 'node:fs';
import { chmod, type FileHandle, lstat, mkdir, open, readdir, rename, stat, unlink } from 'node:fs/promises';
import { basename, dirname, join, resolve } from 'node:path';
import { ErrorCode } from '../gen/clawchat/v1/error_pb.ts';
import { ClawChatError } from '../protocol/fault.ts';
import { failure, systemCode } from './failure.ts';

const FILE_MODE = 0o600;
const DIRECTORY_MODE = 0o700;
const LOOSE = 0o077;
const OTHERS_WRITE = 0o022;
/** All but the owner and the group. */
const STRANGERS = 0o007;
const TEMPORARY = /^\..+\.\d+-\d+\.tmp$/;
const NAME_ATTEMPTS_MAX = 1000;
/** A person named a place that there is not. */
const NOWHERE: ReadonlySet<string> = new Set(['ENOENT', 'ENOTDIR', 'EISDIR']);
const DISK_REFUSES: ReadonlySet<string> = new Set(['ENOSPC', 'EDQUOT', 'EIO']);
const WINDOWS: boolean = process.platform === 'win32';

let temporaries = 0;

/**
 * Make sure that `path` is a directory (0700) of this user that no one else can enter; missing parents are made too.
 *
 * Loose modes of an empty directory are repaired. With something in it they are refused, because the right answer may
 * be another directory.
 *
 * @throws ClawChatError `PERMISSIONS_LOOSE`; `USAGE` when something else is there; `STORAGE_FULL`, `FILE_UNWRITABLE`.
 */
export async function privateDirectory(path: string): Promise<void> {
  try {
    await mkdir(path, { recursive: true, mode: DIRECTORY_MODE });
  } catch (cause) {
    const code = systemCode(cause);
    if (code !== 'EEXIST' && code !== 'ENOTDIR') throw writeFailed(path, cause, 'made a directory');
    throw failure(ErrorCode.USAGE, `${path} cannot be made a directory (${code})`, cause);
  }
  const found = await stat(path);
  if (WINDOWS) return;
  refuseForeign(path, found, ': run this as that user');
  if ((found.mode & LOOSE) === 0) return;
  if ((await readdir(path)).length > 0) throw loose(path, found, 'enter', '700');
  await chmod(path, DIRECTORY_MODE);
}

/**
 * Say at once that a data directory belongs to somebody else, or is none: whoever reads it would only say that something
 * in it cannot be read. Nothing is said of one that is not there.
 *
 * @throws ClawChatError `PERMISSIONS_LOOSE`, `USAGE`
 */
export async function refuseForeignDirectory(path: string): Promise<void> {
  const found = await stat(path).catch(() => undefined);
  if (found === undefined) return;
  if (!found.isDirectory()) throw failure(ErrorCode.USAGE, `${path} is no directory: --data names one`);
  if (!WINDOWS) refuseForeign(path, found, ': run this as that user');
}

/**
 * Replace `path` by `bytes` (0600): after a crash at any instant it holds the old bytes or the new ones. @impl LI-008~1
 *
 * Resolves when the bytes and the name are on the disk.
 *
 * @throws ClawChatError `STORAGE_FULL` when the disk refuses, `FILE_UNWRITABLE` when the system does not let this user.
 */
export async function writeFileAtomic(path: string, bytes: Uint8Array): Promise<void> {
  let temporary: string | undefined;
  try {
    const made = await openTemporary(path);
    temporary = made.path;
    try {
      await made.file.writeFile(bytes);
      await made.file.sync();
    } finally {
      await made.file.close();
    }
    await rename(temporary, path);
    temporary = undefined;
    await syncDirectory(dirname(path));
  } catch (cause) {
    if (temporary !== undefined) await unlink(temporary).catch(() => {});
    throw writeFailed(path, cause);
  }
}

/**
 * Make sure that a new file can be written where a person wants it, before there is something that it is to hold. What is
 * there already stays: it may be a key of which there is no other copy.
 *
 * @throws ClawChatError `USAGE` for a place that there is not, or that is taken; `STORAGE_FULL`, `FILE_UNWRITABLE` as
 *   `writeFileAtomic`.
 */
export async function refuseUnwritable(path: string): Promise<void> {
  const target = resolve(path);
  const found = await lstat(target).catch(() => undefined);
  if (found?.isDirectory()) throw failure(ErrorCode.USAGE, `${target} is a directory: name a file in it`);
  if (found !== undefined) {
    throw failure(ErrorCode.USAGE, `${target} is there already: name another file, or remove that one first`);
  }
  try {
    const made = await openTemporary(target);
    await made.file.close();
    await unlink(made.path);
  } catch (cause) {
    const code = systemCode(cause) ?? 'unknown';
    if (!NOWHERE.has(code)) throw writeFailed(target, cause);
    const text = `${target} cannot be written (${code}): name a file in a directory that is there`;
    throw failure(ErrorCode.USAGE, text, cause);
  }
}

/** Remove `path` for good; nothing happens when it is not there. */
export async function removeFile(path: string): Promise<void> {
  try {
    await unlink(path);
  } catch (error) {
    if (systemCode(error) === 'ENOENT') return;
    throw error;
  }
  await syncDirectory(dirname(path));
}

/** Remove what interrupted writes left in `directory`. Only its owner may call this. */
export async function sweepTemporaries(directory: string): Promise<void> {
  for (const name of await readdir(directory)) {
    if (TEMPORARY.test(name)) await removeFile(join(directory, name));
  }
}

/**
 * Read a whole file of at most `bytesMax` bytes; undefined when it is not there.
 *
 * @throws ClawChatError `FILE_TOO_LARGE`; `USAGE` when it cannot be read.
 */
export async function readFileCapped(path: string, bytesMax: number): Promise<Uint8Array | undefined> {
  const file = await openToRead(path, constants.O_RDONLY);
  if (file === undefined) return undefined;
  try {
    return await readAll(file, path, bytesMax);
  } catch (cause) {
    if (cause instanceof ClawChatError) throw cause;
    throw failure(ErrorCode.USAGE, `${path} cannot be read`, cause);
  } finally {
    await file.close();
  }
}

/**
 * Read a key file of at most `bytesMax` bytes; undefined when it is not there.
 *
 * It must be a plain file of this user that no one else can read: loose modes are refused and not repaired, because
 * somebody may have read it already. The bytes are never in a pooled buffer, so erasing them erases them.
 *
 * @throws ClawChatError `PERMISSIONS_LOOSE`, `FILE_TOO_LARGE`.
 */
export async function readSecretFile(path: string, bytesMax: number): Promise<Uint8Array | undefined> {
  // A link is not followed and a pipe is not waited for: neither is a key file.
  const flags = WINDOWS
    ? constants.O_RDONLY
    : constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK;
  const file = await openToRead(path, flags);
  if (file === undefined) return undefined;
  try {
    const found = await file.stat();
    if (!found.isFile()) throw notPlain(path);
    if (!WINDOWS) {
      refuseForeign(path, found);
      if ((found.mode & LOOSE) !== 0) throw loose(path, found, 'read', '600');
    }
    return await readAll(file, path, bytesMax);
  } finally {
    await file.close();
  }
}

/** Check that `path` is a directory of this user with mode 0700 and no link; false when it is not there. */
export async function isPrivateDirectory(path: string): Promise<boolean> {
  try {
    const found = await lstat(path);
    return (
      found.isDirectory() && (WINDOWS || (found.uid === process.geteuid?.() && (found.mode & LOOSE) === 0))
    );
  } catch (error) {
    if (systemCode(error) === 'ENOENT') return false;
    throw error;
  }
}

async function openTemporary(path: string): Promise<{ readonly path: string; readonly file: FileHandle }> {
  for (let attempt = 1; ; attempt += 1) {
    temporaries += 1;
    const temporary = join(dirname(path), `.${basename(path)}.${process.pid}-${temporaries}.tmp`);
    try {
      return { path: temporary, file: await open(temporary, 'wx', FILE_MODE) };
    } catch (error) {
      // A dead process with our number left it, or a thread beside us counts from one as well.
      if (systemCode(error) !== 'EEXIST' || attempt >= NAME_ATTEMPTS_MAX) throw error;
    }
  }
}

async function openToRead(path: string, flags: number): Promise<FileHandle | undefined> {
  try {
    return await open(path, flags);
  } catch (cause) {
    const code = systemCode(cause);
    if (code === 'ENOENT') return undefined;
    if (code === 'ELOOP') throw notPlain(path);
    if (code === 'EACCES') {
      const text = `${path} cannot be read (EACCES): run this as the user whom it belongs to`;
      throw failure(ErrorCode.PERMISSIONS_LOOSE, text, cause);
    }
    throw failure(ErrorCode.USAGE, `${path} cannot be read`, cause);
  }
}

async function readAll(file: FileHandle, path: string, bytesMax: number): Promise<Uint8Array> {
  const buffer = new Uint8Array(bytesMax + 1);
  let length = 0;
  for (;;) {
    const { bytesRead } = await file.read(buffer, length, buffer.length - length, null);
    if (bytesRead === 0) break;
    length += bytesRead;
    if (length > bytesMax) {
      buffer.fill(0);
      throw failure(ErrorCode.FILE_TOO_LARGE, `${path} is longer than ${bytesMax} bytes`);
    }
  }
  const bytes = buffer.slice(0, length);
  buffer.fill(0);
  return bytes;
}

async function syncDirectory(path: string): Promise<void> {
  if (WINDOWS) return; // A directory cannot be opened there, and renames are journalled.
  const directory = await open(path, 'r');
  try {
    await directory.sync();
  } finally {
    await directory.close();
  }
}

/**
 * Refuse a file that somebody keeps for this program while others can change it, or read it where `secret` says why they
 * must not. It belongs to this user or to the administrator, whose group may be the one that the program runs in.
 *
 * @throws ClawChatError `PERMISSIONS_LOOSE`
 */
export async function refuseLooseFile(path: string, secret: string | undefined): Promise<void> {
  if (WINDOWS) return;
  const found = await stat(path);
  if (found.uid !== 0) refuseForeign(path, found);
  if ((found.mode & OTHERS_WRITE) !== 0)
    throw failure(ErrorCode.PERMISSIONS_LOOSE, `others can write ${path}: chmod go-w ${path}`);
  if (secret === undefined || (found.mode & (found.uid === 0 ? STRANGERS : LOOSE)) === 0) return;
  const text = `others can read ${path}, and ${secret}: chmod 600 ${path}`;
  throw failure(ErrorCode.PERMISSIONS_LOOSE, text);
}

function refuseForeign(path: string, found: Stats, advice = ''): void {
  const self = process.geteuid?.();
  if (found.uid === self) return;
  // Root can become that user, and a service has one that nobody logs in as.
  const how =
    self === 0 && advice !== '' ? `${advice}: runuser -u "$(stat -c %U ${path})" -- COMMAND` : advice;
  throw failure(ErrorCode.PERMISSIONS_LOOSE, `${path} belongs to another user (uid ${found.uid})${how}`);
}

function loose(path: string, found: Stats, verb: string, wanted: string): ClawChatError {
  const mode = (found.mode & 0o777).toString(8);
  const text = `others can ${verb} ${path} (mode ${mode}); if that did no harm: chmod ${wanted} ${path}`;
  return failure(ErrorCode.PERMISSIONS_LOOSE, text);
}

function notPlain(path: string): ClawChatError {
  return failure(ErrorCode.PERMISSIONS_LOOSE, `${path} is not a plain file`);
}

function writeFailed(path: string, cause: unknown, what = 'written'): ClawChatError {
  const code = systemCode(cause) ?? 'unknown';
  const text = `${resolve(path)} cannot be ${what} (${code})`;
  return DISK_REFUSES.has(code)
    ? failure(ErrorCode.STORAGE_FULL, `${text}: make room on its disk`, cause)
    : failure(ErrorCode.FILE_UNWRITABLE, `${text}: name a place where you may write`, cause);
}
