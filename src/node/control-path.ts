/** Where the control socket of a data directory is (spec/12-control.md). */
import { mkdir, realpath } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, isAbsolute, join } from 'node:path';
import type { Suite } from '../crypto/suite.ts';
import { ErrorCode } from '../gen/clawchat/v1/error_pb.ts';
import { SOCKET_PATH_BYTES_MAX } from '../gen/constants.ts';
import { failure, systemCode } from './failure.ts';
import { isPrivateDirectory, readSecretFile, removeFile, writeFileAtomic } from './files.ts';

const SOCKET_NAME = 'control.sock';
/** Holds the path of a socket that cannot lie in the directory, because environments differ between processes. */
const ADDRESS_NAME = 'control.address';
const ADDRESS_BYTES_MAX = 4096;
const NAME_BYTES = 16;
const WINDOWS: boolean = process.platform === 'win32';

/**
 * Prepare the place where the owner listens, and write down where it is if it is not in the directory. Only the holder
 * of the database lock may call this: whatever socket is there is then of a dead process, and is removed.
 *
 * @throws ClawChatError `PERMISSIONS_LOOSE` when no folder for it can be trusted.
 * @impl CT-011~1
 */
export async function ownerSocketPath(directory: string, suite: Suite): Promise<string> {
  const addressFile = join(directory, ADDRESS_NAME);
  const inside = join(await realpath(directory), SOCKET_NAME);
  if (!WINDOWS && fits(inside)) {
    await removeFile(addressFile);
    await removeFile(inside);
    return inside;
  }
  const path = WINDOWS ? pipeName(suite) : await runtimePath(inside, suite);
  if (!WINDOWS) await removeFile(path);
  await writeFileAtomic(addressFile, new TextEncoder().encode(path));
  return path;
}

/**
 * Find where the owner would be listening; undefined when no owner has ever listened there.
 *
 * @throws ClawChatError `PERMISSIONS_LOOSE` when somebody else could be listening instead.
 * @impl CT-013~1
 */
export async function attacherSocketPath(directory: string): Promise<string | undefined> {
  const written = await readSecretFile(join(directory, ADDRESS_NAME), ADDRESS_BYTES_MAX);
  if (written !== undefined) {
    const path = new TextDecoder().decode(written);
    if (WINDOWS || (await isPrivateDirectory(dirname(path)))) return path;
    throw failure(ErrorCode.PERMISSIONS_LOOSE, `${dirname(path)} is not a folder of this user alone`);
  }
  if (WINDOWS) return undefined;
  try {
    const inside = join(await realpath(directory), SOCKET_NAME);
    return fits(inside) ? inside : undefined;
  } catch (error) {
    if (systemCode(error) === 'ENOENT') return undefined;
    throw error;
  }
}

/** A longer path is cut off without a word by some systems, and two directories would share a socket. */
function fits(path: string): boolean {
  return Buffer.byteLength(path) <= SOCKET_PATH_BYTES_MAX;
}

async function runtimePath(inside: string, suite: Suite): Promise<string> {
  const name = `${hex(suite.sha256(new TextEncoder().encode(inside)))}.sock`;
  const runtime = process.env['XDG_RUNTIME_DIR'];
  const user = `clawchat-${process.getuid?.() ?? 0}`;
  const folders = [
    ...(runtime !== undefined && isAbsolute(runtime) ? [join(runtime, 'clawchat')] : []),
    join(tmpdir(), user),
    join('/tmp', user),
  ];
  for (const folder of folders) {
    const path = join(folder, name);
    if (fits(path) && (await makeFolder(folder))) return path;
  }
  const tried = folders.join(', ');
  throw failure(
    ErrorCode.PERMISSIONS_LOOSE,
    `no folder for the control socket is of this user alone: ${tried}`,
  );
}

/** In a folder that everybody may write to, somebody else may have been first: it has to be ours, and no link. */
async function makeFolder(folder: string): Promise<boolean> {
  try {
    await mkdir(folder, { mode: 0o700 });
  } catch (error) {
    if (systemCode(error) !== 'EEXIST') return false;
  }
  return await isPrivateDirectory(folder);
}

/** Pipes have one name space for all users, so the name has to be one that nobody guesses. */
function pipeName(suite: Suite): string {
  return `\\\\.\\pipe\\clawchat-${hex(suite.randomBytes(NAME_BYTES))}`;
}

function hex(bytes: Uint8Array): string {
  return Buffer.from(bytes)
    .toString('hex')
    .slice(0, 2 * NAME_BYTES);
}
