/** The database of a data directory: LevelDB, with every value sealed under the data key (spec/01-architecture.md). */
import { readdir, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { ClassicLevel } from 'classic-level';
import { type Aead, KEY_BYTES, NONCE_BYTES, type Suite, TAG_BYTES } from '../crypto/suite.ts';
import { ErrorCode } from '../gen/clawchat/v1/error_pb.ts';
import type { ClawChatError } from '../protocol/fault.ts';
import {
  checkKey,
  type Database,
  type Entry,
  fullRange,
  GroupCommit,
  type Operation,
  type Range,
} from '../runtime/database.ts';
import { dataKeyPath, openDataKey, type PassphraseSource, readStoredKey, writeDataKey } from './data-key.ts';
import { failure, systemCode } from './failure.ts';
import { privateDirectory, sweepTemporaries } from './files.ts';
import { VERSION } from './version.ts';
import { wrongDirectory } from './wrong-directory.ts';

/** The layout of data directories that this program writes. It reads this one and no newer one. */
export const SCHEMA_VERSION = 2;

/** Whose data directory it is. */
export type StoreProgram = 'host' | 'client';

/** What `openStore` works with. */
export interface StoreOptions {
  /** The data directory; made if need be. */
  readonly directory: string;
  readonly program: StoreProgram;
  readonly suite: Suite;
  /** Asked when the data key is sealed under a passphrase. */
  readonly passphrase?: PassphraseSource | undefined;
}

/** The database's folder in a data directory. */
export const DATABASE_NAME = 'db';
/** Plain text, so that any version can read which schema it is. */
export const SCHEMA_KEY = '!schema';
/** Plain text, too: the version of the program that wrote here last, for whoever is too old to go on. */
const WRITER_KEY = '!writer';
/** Sealed: opens only under the right data key, and says whose directory it is. */
export const CHECK_KEY = '!check';

/** What lies below a store: values as they are sealed. */
export type Level = ClassicLevel<string, Uint8Array>;
/** What to do about a damaged directory. */
const WHAT_NOW =
  'restore the directory from a backup, or see what can be saved: `clawchatd repair`, for a device `clawchat repair`';

type SealedOperation =
  | { readonly type: 'put'; readonly key: string; readonly value: Uint8Array }
  | { readonly type: 'del'; readonly key: string };

/**
 * Open the database of a data directory and become the owner of the directory.
 *
 * The first open makes `data.key` (0600, 32 random bytes). It is never made again beside values it cannot open.
 *
 * @throws ClawChatError `DIRECTORY_LOCKED` while another process owns it, `SCHEMA_NEWER`, `STORE_DAMAGED`,
 *   `PERMISSIONS_LOOSE`, `STORAGE_FULL`, `PASSPHRASE_NEEDED`, `PASSPHRASE_WRONG`; `USAGE` when it is the other program's.
 */
export async function openStore(options: StoreOptions): Promise<Store> {
  return owning(options, async level => {
    const key = await loadDataKey(level, options, undefined);
    const sealer = new Sealer(options.suite, key, options.directory);
    await checkProgram(level, sealer, options);
    return new Store(level, sealer, options.directory);
  });
}

/**
 * Seal the data key under `next`, or leave it in the clear when that is undefined. In a new directory the key is made and
 * has never been in the clear. `options.passphrase` is asked for the old one.
 *
 * @throws ClawChatError as `openStore` does.
 */
export async function changePassphrase(options: StoreOptions, next: string | undefined): Promise<void> {
  const { directory, suite } = options;
  const level = await owning(options, async opened => {
    const key = await loadDataKey(opened, options, next);
    const kept = key.slice();
    // Only a key that opens this database, and of this program, is written again.
    await checkProgram(opened, new Sealer(suite, key, directory), options);
    await writeDataKey(directory, kept, next);
    suite.erase(kept);
    return opened;
  });
  await level.close();
}

/** Hold the lock of the database, which nobody else has then; it is let go of when `work` fails. */
async function owning<T>({ directory }: StoreOptions, work: (level: Level) => Promise<T>): Promise<T> {
  await privateDirectory(directory);
  const level = await openLevel(directory);
  try {
    // From here on the lock is held, so nobody else makes a key or sweeps.
    await sweepTemporaries(directory);
    await checkSchema(level, directory);
    return await work(level);
  } catch (error) {
    await level.close();
    throw error;
  }
}

/** A data directory's database. Make it with `openStore`. */
export class Store implements Database {
  readonly directory: string;
  readonly #level: Level;
  readonly #sealer: Sealer;
  readonly #group: GroupCommit<SealedOperation>;
  #closed: Promise<void> | undefined;

  constructor(level: Level, sealer: Sealer, directory: string) {
    this.directory = directory;
    this.#level = level;
    this.#sealer = sealer;
    this.#group = new GroupCommit(
      items => this.#write(items),
      callback => void setImmediate(callback),
    );
  }

  async get(key: string): Promise<Uint8Array | undefined> {
    checkKey(key);
    const sealed = await reading(this.directory, this.#level.get(key));
    return sealed === undefined ? undefined : this.#sealer.open(key, sealed);
  }

  async range(range: Range): Promise<readonly Entry[]> {
    const { gte, lt, reverse, limit } = fullRange(range);
    const options = { gte, lt, reverse, limit: Number.isFinite(limit) ? limit : -1 };
    const entries = await reading(this.directory, this.#level.iterator(options).all());
    return entries.map(([key, sealed]) => ({ key, value: this.#sealer.open(key, sealed) }));
  }

  commit(operations: readonly Operation[]): Promise<void> {
    for (const operation of operations) checkKey(operation.key);
    if (this.#closed !== undefined) return Promise.reject(closedError(this.directory));
    const sealed = operations.map(
      (operation): SealedOperation =>
        operation.kind === 'put'
          ? { type: 'put', key: operation.key, value: this.#sealer.seal(operation.key, operation.value) }
          : { type: 'del', key: operation.key },
    );
    const bytes = sealed.reduce(
      (sum, one) => sum + one.key.length + (one.type === 'put' ? one.value.length : 0),
      0,
    );
    return this.#group.commit(sealed, bytes);
  }

  /** LevelDB keeps what was deleted or replaced until it compacts, which may be never. */
  async scrub({ gte, lt }: { readonly gte: string; readonly lt: string }): Promise<void> {
    if (this.#closed === undefined) await this.#level.compactRange(gte, lt);
  }

  close(): Promise<void> {
    this.#closed ??= this.#close();
    return this.#closed;
  }

  async #close(): Promise<void> {
    await this.#group.idle();
    await this.#level.close();
    this.#sealer.destroy();
  }

  async #write(operations: readonly SealedOperation[]): Promise<void> {
    try {
      await this.#level.batch([...operations], { sync: true });
    } catch (cause) {
      const text = `${this.directory} takes no more writes: make room on its disk, then start again`;
      throw failure(ErrorCode.STORAGE_FULL, text, cause);
    }
  }
}

/** Seals values: random nonce (12) || ciphertext || tag (16), with the database key as associated data. @impl CT-001~2 */
export class Sealer {
  readonly #suite: Suite;
  readonly #aead: Aead;
  readonly #directory: string;

  constructor(suite: Suite, key: Uint8Array, directory: string) {
    this.#suite = suite;
    this.#aead = suite.aead(key);
    this.#directory = directory;
    suite.erase(key);
  }

  /** Seal the value of a database key. */
  seal(key: string, value: Uint8Array): Uint8Array {
    // Random nonces are safe for 2^32 values under one key: a message a second for 136 years.
    const nonce = this.#suite.randomBytes(NONCE_BYTES);
    const sealed = new Uint8Array(NONCE_BYTES + value.length + TAG_BYTES);
    sealed.set(nonce);
    this.#aead.sealInto(sealed, NONCE_BYTES, nonce, asciiBytes(key), value);
    return sealed;
  }

  /** Open what `seal` gave. @throws ClawChatError `STORE_DAMAGED` */
  open(key: string, sealed: Uint8Array): Uint8Array {
    const opened = this.tryOpen(key, sealed);
    if (opened !== undefined) return opened;
    const text = `the value "${key}" in ${this.#directory} is damaged: ${WHAT_NOW}`;
    throw failure(ErrorCode.STORE_DAMAGED, text);
  }

  /** The same; undefined for what is damaged. */
  tryOpen(key: string, sealed: Uint8Array): Uint8Array | undefined {
    if (sealed.length < NONCE_BYTES + TAG_BYTES) return undefined;
    return this.#aead.open(sealed.subarray(0, NONCE_BYTES), asciiBytes(key), sealed.subarray(NONCE_BYTES));
  }

  /** Forget the key. */
  destroy(): void {
    this.#aead.destroy();
  }
}

/** Open what lies below a store. @throws ClawChatError `DIRECTORY_LOCKED`, `STORE_DAMAGED`, `STORAGE_FULL` */
export async function openLevel(directory: string): Promise<Level> {
  await checkCurrent(directory);
  const level: Level = new ClassicLevel(join(directory, DATABASE_NAME), {
    keyEncoding: 'utf8',
    valueEncoding: 'view',
    compression: false, // What is sealed does not shrink.
  });
  try {
    await level.open();
    return level;
  } catch (error) {
    const cause = error instanceof Error && error.cause !== undefined ? error.cause : error;
    const code = systemCode(cause);
    if (code === 'LEVEL_LOCKED') {
      throw failure(
        ErrorCode.DIRECTORY_LOCKED,
        `another process owns ${directory}: end it first (a host: \`clawchatd stop\`)`,
        cause,
      );
    }
    throw openFailed(directory, cause);
  }
}

/** Without the file CURRENT LevelDB would begin anew, and remove whatever tables it finds. @impl CT-003~2 */
async function checkCurrent(directory: string): Promise<void> {
  const names = await readdir(join(directory, DATABASE_NAME)).catch((): string[] => []);
  // A database that is just being made, or whose making was cut off, has a manifest and neither logs nor tables.
  const isThere = names.some(name => /\.(ldb|sst|log)$/.test(name));
  if (!isThere || names.includes('CURRENT')) return;
  const path = join(directory, DATABASE_NAME, 'CURRENT');
  if ((await stat(path).catch(() => undefined)) === undefined) throw damaged(directory, undefined);
}

/** @impl CT-002~1 */
async function checkSchema(level: Level, directory: string): Promise<void> {
  const stored = await reading(directory, level.get(SCHEMA_KEY));
  if (stored === undefined) return;
  const text = String.fromCharCode(...stored.subarray(0, 16));
  if (!/^[1-9]\d{0,8}$/.test(text)) throw damaged(directory, undefined);
  if (Number(text) <= SCHEMA_VERSION) return;
  const writer = await reading(directory, level.get(WRITER_KEY));
  const version = writer === undefined ? '' : `${cleanVersion(writer)} `;
  const versions = `schema ${text}; this program, ${VERSION}, knows ${SCHEMA_VERSION}`;
  const what = `a newer version ${version}wrote ${directory} (${versions})`;
  throw failure(ErrorCode.SCHEMA_NEWER, `${what}: use that version or a newer one; nothing was changed`);
}

/** It came from a file that anybody could have written. */
function cleanVersion(bytes: Uint8Array): string {
  return String.fromCharCode(...bytes.subarray(0, 64)).replace(/[^\w.+-]/g, '?');
}

/** What brings a directory from one schema to the next: writes of its own, which go with the new number in one step. */
type Upgrade = () => readonly SealedOperation[];

/** The first leads from schema 1 to 2, and so on. */
const UPGRADES: readonly Upgrade[] = [
  // Schema 2 names the version that wrote it, and its data.key may be sealed.
  () => [],
];

/** Bring the directory to this schema, a step at a time, and sign it. @impl CT-009~1 */
async function upgrade(level: Level, directory: string): Promise<void> {
  const stored = await reading(directory, level.get(SCHEMA_KEY));
  const from = Number(String.fromCharCode(...(stored ?? [])));
  const writer = await reading(directory, level.get(WRITER_KEY));
  const isSigned = writer !== undefined && cleanVersion(writer) === VERSION;
  if (from === SCHEMA_VERSION && isSigned) return;
  const signed = { type: 'put', key: WRITER_KEY, value: asciiBytes(VERSION) } as const;
  try {
    for (const [index, step] of UPGRADES.entries()) {
      if (index + 1 < from) continue;
      const schema = { type: 'put', key: SCHEMA_KEY, value: asciiBytes(String(index + 2)) } as const;
      await level.batch([...step(), schema, signed], { sync: true });
    }
    if (from === SCHEMA_VERSION) await level.batch([signed], { sync: true });
  } catch (cause) {
    throw failure(ErrorCode.STORAGE_FULL, `${directory} takes no writes`, cause);
  }
}

/** A key that is made now is sealed under `fresh`, if that is given. @impl CT-003~2 */
async function loadDataKey(
  level: Level,
  { directory, suite, passphrase }: StoreOptions,
  fresh: string | undefined,
): Promise<Uint8Array> {
  const stored = await readStoredKey(directory);
  if (stored !== undefined) return openDataKey(directory, stored, passphrase);
  const values = await reading(directory, level.keys({ limit: 1 }).all());
  if (values.length > 0) {
    const text = `${dataKeyPath(directory)} is missing, and nothing in ${directory} can be read without it: restore it from a backup`;
    throw failure(ErrorCode.STORE_DAMAGED, text);
  }
  const key = suite.randomBytes(KEY_BYTES);
  await writeDataKey(directory, key, fresh);
  return key;
}

/** @impl CT-003~2 */
async function checkProgram(level: Level, sealer: Sealer, options: StoreOptions): Promise<void> {
  const { directory, program } = options;
  const sealed = await reading(directory, level.get(CHECK_KEY));
  if (sealed === undefined) {
    await initialize(level, sealer, options);
    return;
  }
  const opened = sealer.tryOpen(CHECK_KEY, sealed);
  if (opened === undefined) {
    const text = `data.key in ${directory} is not the key of its database: restore the two from the same backup`;
    throw failure(ErrorCode.STORE_DAMAGED, text);
  }
  const owner = String.fromCharCode(...opened);
  if (owner === program) {
    await upgrade(level, directory);
    return;
  }
  throw wrongDirectory(directory, program);
}

async function initialize(level: Level, sealer: Sealer, options: StoreOptions): Promise<void> {
  const { directory, program } = options;
  const keys = await reading(directory, level.keys({ limit: 1 }).all());
  if (keys.length > 0) throw damaged(directory, undefined);
  const check = sealer.seal(CHECK_KEY, asciiBytes(program));
  const schema = asciiBytes(String(SCHEMA_VERSION));
  try {
    const first = [
      { type: 'put', key: SCHEMA_KEY, value: schema },
      { type: 'put', key: WRITER_KEY, value: asciiBytes(VERSION) },
      { type: 'put', key: CHECK_KEY, value: check },
    ] as const;
    await level.batch([...first], { sync: true });
  } catch (cause) {
    throw failure(ErrorCode.STORAGE_FULL, `${directory} takes no writes`, cause);
  }
}

async function reading<T>(directory: string, read: Promise<T>): Promise<T> {
  try {
    return await read;
  } catch (cause) {
    if (systemCode(cause) === 'LEVEL_DATABASE_NOT_OPEN') throw closedError(directory);
    throw damaged(directory, cause);
  }
}

/** LevelDB says "IO error" both when the disk takes nothing and when one of its files is gone: only the text tells. */
function openFailed(directory: string, cause: unknown): ClawChatError {
  const reason = cause instanceof Error ? cause.message : 'unknown';
  const text = `the database in ${directory} cannot be opened (${reason})`;
  if (/read-only|permission denied/i.test(reason)) {
    return failure(
      ErrorCode.FILE_UNWRITABLE,
      `${text}: run this as its user, where that user may write`,
      cause,
    );
  }
  if (/no space|quota|too many open/i.test(reason)) return failure(ErrorCode.STORAGE_FULL, text, cause);
  return failure(ErrorCode.STORE_DAMAGED, `${text}: ${WHAT_NOW}`, cause);
}

function damaged(directory: string, cause: unknown): ClawChatError {
  const text = `the database in ${directory} is damaged: ${WHAT_NOW}`;
  return failure(ErrorCode.STORE_DAMAGED, text, cause);
}

function closedError(directory: string): ClawChatError {
  return failure(ErrorCode.CANCELLED, `${directory} was closed`);
}

function asciiBytes(text: string): Uint8Array {
  return Uint8Array.from(text, char => char.charCodeAt(0));
}
