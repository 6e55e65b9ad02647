/** The key of a data directory: in a file for its owner alone, or sealed there under a passphrase (spec/12-control.md, 12.1). */
import { join } from 'node:path';
import { KEY_BYTES, NONCE_BYTES, TAG_BYTES } from '../crypto/suite.ts';
import { ErrorCode } from '../gen/clawchat/v1/error_pb.ts';
import { PASSPHRASE_BYTES_MAX, PASSPHRASE_COST_LOG2, PASSPHRASE_COST_LOG2_MAX } from '../gen/constants.ts';
import { asciiBytes, concat, sameBytes } from '../wire/bytes.ts';
import { failure } from './failure.ts';
import { readSecretFile, writeFileAtomic } from './files.ts';
import { native, scryptKey } from './native.ts';

/**
 * Gives the passphrase of a directory when its key is sealed; undefined when there is none to give. Asked at most once
 * for each time that the directory is opened by this process, and not at all when its key is in the clear.
 */
export type PassphraseSource = (directory: string) => Promise<string | undefined>;

/** A data key as it lies in its file. */
export type StoredKey =
  | { readonly kind: 'plain'; readonly key: Uint8Array }
  | { readonly kind: 'sealed'; readonly bytes: Uint8Array };

const KEY_NAME = 'data.key';
const MAGIC = asciiBytes('clawkey1');
const SALT_BYTES = 16;
const HEAD_BYTES = MAGIC.length + 4 + SALT_BYTES;
const SEALED_BYTES = HEAD_BYTES + NONCE_BYTES + KEY_BYTES + TAG_BYTES;
const COST_LOG2_MIN = 14;
const R = 8;
const P_MAX = 4;

/** Where the key of a directory lies. */
export function dataKeyPath(directory: string): string {
  return join(directory, KEY_NAME);
}

/** Read the file; undefined when it is not there. @throws ClawChatError `STORE_DAMAGED`, `PERMISSIONS_LOOSE` @impl CT-003~2 */
export async function readStoredKey(directory: string): Promise<StoredKey | undefined> {
  const path = dataKeyPath(directory);
  const bytes = await readSecretFile(path, SEALED_BYTES);
  if (bytes === undefined) return undefined;
  if (bytes.length === KEY_BYTES) return { kind: 'plain', key: bytes };
  if (bytes.length === SEALED_BYTES && sameBytes(bytes.subarray(0, MAGIC.length), MAGIC)) {
    return { kind: 'sealed', bytes };
  }
  throw failure(ErrorCode.STORE_DAMAGED, `${path} is cut off or no key: restore it from a backup`);
}

/**
 * Give the key, which belongs to the caller.
 *
 * @throws ClawChatError `PASSPHRASE_NEEDED`, `PASSPHRASE_WRONG`; `STORE_DAMAGED` for a cost that nobody wrote.
 * @impl CT-007~1 @impl CT-008~1
 */
export async function openDataKey(
  directory: string,
  stored: StoredKey,
  source: PassphraseSource | undefined,
): Promise<Uint8Array> {
  if (stored.kind === 'plain') return stored.key;
  const { bytes } = stored;
  const [costLog2 = 0, r = 0, p = 0, zero = 0] = bytes.subarray(MAGIC.length);
  const isCost = costLog2 >= COST_LOG2_MIN && costLog2 <= PASSPHRASE_COST_LOG2_MAX && p >= 1 && p <= P_MAX;
  if (!isCost || r !== R || zero !== 0) {
    throw failure(ErrorCode.STORE_DAMAGED, `${dataKeyPath(directory)} is damaged: restore it from a backup`);
  }
  const passphrase = await source?.(directory);
  if (passphrase === undefined) {
    const text = `the key of ${directory} is under a passphrase: run this on a terminal, or name a file that holds it in CLAWCHAT_PASSPHRASE_FILE`;
    throw failure(ErrorCode.PASSPHRASE_NEEDED, text);
  }
  const head = bytes.subarray(0, HEAD_BYTES);
  const salt = head.subarray(-SALT_BYTES);
  const aead = native.aead(await sealingKey(passphrase, salt, costLog2, p));
  const key = aead.open(
    bytes.subarray(HEAD_BYTES, HEAD_BYTES + NONCE_BYTES),
    head,
    bytes.subarray(HEAD_BYTES + NONCE_BYTES),
  );
  aead.destroy();
  if (key !== undefined) return key;
  throw failure(ErrorCode.PASSPHRASE_WRONG, `the passphrase does not open the key of ${directory}`);
}

/** Replace the file by `key` as it is, or sealed under a passphrase. @throws ClawChatError `USAGE`, `STORAGE_FULL` @impl CT-006~1 */
export async function writeDataKey(
  directory: string,
  key: Uint8Array,
  passphrase: string | undefined,
): Promise<void> {
  await writeFileAtomic(dataKeyPath(directory), passphrase === undefined ? key : await seal(key, passphrase));
}

async function seal(key: Uint8Array, passphrase: string): Promise<Uint8Array> {
  const salt = native.randomBytes(SALT_BYTES);
  const head = concat(MAGIC, Uint8Array.of(PASSPHRASE_COST_LOG2, R, 1, 0), salt);
  const nonce = native.randomBytes(NONCE_BYTES);
  const aead = native.aead(await sealingKey(passphrase, salt, PASSPHRASE_COST_LOG2, 1));
  const sealed = new Uint8Array(KEY_BYTES + TAG_BYTES);
  aead.sealInto(sealed, 0, nonce, head, key);
  aead.destroy();
  return concat(head, nonce, sealed);
}

async function sealingKey(
  passphrase: string,
  salt: Uint8Array,
  costLog2: number,
  p: number,
): Promise<Uint8Array> {
  const bytes = new TextEncoder().encode(passphrase.normalize('NFC'));
  if (bytes.length < 1 || bytes.length > PASSPHRASE_BYTES_MAX) {
    throw failure(ErrorCode.USAGE, `a passphrase has 1 to ${PASSPHRASE_BYTES_MAX} bytes`);
  }
  const key = await scryptKey(bytes, salt, { costLog2, r: R, p });
  native.erase(bytes);
  return key;
}
