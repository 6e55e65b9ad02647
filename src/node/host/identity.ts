/** Who a host is: made at the first start, with the next identity key in a file of its own. Chapter: spec/03-connection-file.md 3.2. */
import { join, resolve } from 'node:path';
import { ErrorCode } from '../../gen/clawchat/v1/error_pb.ts';
import { ClawChatError, isFault } from '../../protocol/fault.ts';
import type { HostIdentity } from '../../protocol/host-record.ts';
import { nextIdentityHash, SECRET_BYTES, serverId } from '../../protocol/keys.ts';
import { decodeIdentity, encodeIdentity, IDENTITY_KEY } from '../../protocol/storage.ts';
import type { Database } from '../../runtime/database.ts';
import { failure } from '../failure.ts';
import { readSecretFile, refuseUnwritable, removeFile, writeFileAtomic } from '../files.ts';
import { native } from '../native.ts';

const NEXT_NAME = 'next-identity.key';
/** The one behind it, while the identity is being replaced. */
const COMING_NAME = 'next-identity.coming.key';

/** Where the next identity key lies until it is exported. */
export function nextIdentityPath(directory: string): string {
  return join(directory, NEXT_NAME);
}

/** Read who the host is; undefined before its first start. @throws ClawChatError `STORE_DAMAGED` */
export async function readIdentity(database: Database): Promise<HostIdentity | undefined> {
  const stored = await database.get(IDENTITY_KEY);
  if (stored === undefined) return undefined;
  const identity = decodeIdentity(native, stored);
  if (isFault(identity)) throw new ClawChatError(identity);
  return identity;
}

/**
 * Make who the host is. The file of the next key is written first: an identity in the database always names a key
 * that somebody has.
 */
export async function makeIdentity(database: Database, directory: string): Promise<HostIdentity> {
  const seed = native.randomBytes(SECRET_BYTES);
  const nextSeed = native.randomBytes(SECRET_BYTES);
  await writeFileAtomic(nextIdentityPath(directory), nextSeed);
  const publicKey = native.ed25519Public(seed);
  const identity: HostIdentity = {
    seed,
    publicKey,
    serverId: serverId(native, publicKey),
    nextIdentityHash: nextIdentityHash(native, native.ed25519Public(nextSeed)),
    successions: [],
  };
  native.erase(nextSeed);
  await database.commit([{ kind: 'put', key: IDENTITY_KEY, value: encodeIdentity(identity) }]);
  return identity;
}

/** Put the next key in its place when a replacement was interrupted: the identity in the database says which it is. */
export async function settleNextIdentity(directory: string, identity: HostIdentity): Promise<void> {
  const path = join(directory, COMING_NAME);
  const seed = await readSecretFile(path, SECRET_BYTES);
  if (seed === undefined) return;
  if (isNext(identity, seed)) await writeFileAtomic(nextIdentityPath(directory), seed);
  await removeFile(path);
}

/** Is this the seed of the key that the identity names as its successor? */
export function isNext(identity: HostIdentity, seed: Uint8Array): boolean {
  if (seed.length !== SECRET_BYTES) return false;
  return native.equal(nextIdentityHash(native, native.ed25519Public(seed)), identity.nextIdentityHash);
}

/** Draw the key behind the next one and keep it in a file of its own until `settleNextIdentity`; gives its hash. */
export async function prepareNextIdentity(directory: string): Promise<Uint8Array> {
  const seed = native.randomBytes(SECRET_BYTES);
  await writeFileAtomic(join(directory, COMING_NAME), seed);
  const hash = nextIdentityHash(native, native.ed25519Public(seed));
  native.erase(seed);
  return hash;
}

/** Whether the next identity key has left this machine. */
export async function isNextIdentityExported(directory: string): Promise<boolean> {
  return (await readSecretFile(nextIdentityPath(directory), SECRET_BYTES)) === undefined;
}

/**
 * Move the next identity key into `file`: write it there, read it back, and only then remove it here. What an embedded
 * disk really erases nobody knows; the threat model says so.
 *
 * @throws ClawChatError `USAGE` when it was exported before, or `file` lies in the data directory, holds something else,
 *   or cannot be written.
 */
export async function moveNextIdentity(directory: string, file: string): Promise<void> {
  const path = nextIdentityPath(directory);
  const target = resolve(file);
  const seed = await readSecretFile(path, SECRET_BYTES);
  if (seed === undefined) throw failure(ErrorCode.USAGE, 'the next identity key was exported before');
  if (target.startsWith(join(resolve(directory), '/'))) {
    throw failure(ErrorCode.USAGE, 'take it out of the data directory: it is to be kept offline');
  }
  const isThere = async (): Promise<boolean> => {
    const found = await readSecretFile(target, SECRET_BYTES);
    return found !== undefined && native.equal(found, seed);
  };
  // A process that died behind the write left it there.
  if (!(await isThere().catch(() => false))) {
    await refuseUnwritable(target);
    await writeFileAtomic(target, seed);
    if (!(await isThere()))
      throw failure(ErrorCode.STORAGE_FULL, `${target} could not be read back; nothing was removed`);
  }
  await removeFile(path);
}
