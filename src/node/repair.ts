/** Saves what can be saved of a damaged data directory, and says what could not (spec/12-control.md, 12.1). */
import { cp } from 'node:fs/promises';
import { join } from 'node:path';
import { ClassicLevel } from 'classic-level';
import { ErrorCode } from '../gen/clawchat/v1/error_pb.ts';
import { ClawChatError } from '../protocol/fault.ts';
import { openDataKey, readStoredKey } from './data-key.ts';
import { failure } from './failure.ts';
import {
  CHECK_KEY,
  DATABASE_NAME,
  type Level,
  openLevel,
  SCHEMA_KEY,
  SCHEMA_VERSION,
  Sealer,
  type StoreOptions,
} from './store.ts';
import { wrongDirectory } from './wrong-directory.ts';

/** What a repair found and did. */
export interface Repaired {
  /** Values that are whole. */
  readonly kept: number;
  /** Keys of values that were damaged and are gone. */
  readonly lost: readonly string[];
  /** The database's own files were damaged and made anew: more may be missing than `lost` names, or be older. */
  readonly rebuilt: boolean;
  /** Where the database lies as it was; undefined when nothing was wrong. */
  readonly copy: string | undefined;
}

interface Scan {
  readonly whole: readonly string[];
  readonly damaged: readonly string[];
}

/**
 * Look at every value; keep what is whole and delete what is not, behind a copy of the database as it was. Nothing is
 * changed when nothing is wrong.
 *
 * @throws ClawChatError `DIRECTORY_LOCKED` while somebody owns it; `STORE_DAMAGED` when the key opens nothing of it, or
 *   nothing is left; `STORAGE_FULL`; `USAGE` when it is the other program's; those of `openDataKey`.
 * @impl CT-050~1
 */
export async function repairStore(options: StoreOptions): Promise<Repaired> {
  const { directory, suite, passphrase } = options;
  const stored = await readStoredKey(directory);
  if (stored === undefined) {
    throw failure(
      ErrorCode.STORE_DAMAGED,
      `there is no data.key in ${directory}: nothing can be read without it`,
    );
  }
  const sealer = new Sealer(suite, await openDataKey(directory, stored, passphrase), directory);
  const path = join(directory, DATABASE_NAME);
  const copy = `${path}.damaged-${Date.now()}`;
  const first = await tryScan(options, sealer);
  if (first?.damaged.length === 0) {
    return { kept: first.whole.length, lost: [], rebuilt: false, copy: undefined };
  }
  await copyDatabase(path, copy);
  if (first === undefined) await rebuild(path);
  const level = await openLevel(directory);
  try {
    const { whole, damaged } = await scan(level, sealer);
    await checkOwner(level, sealer, options, whole);
    const check = sealer.seal(CHECK_KEY, Buffer.from(options.program));
    const schema = schemaOf(await level.get(SCHEMA_KEY)) ?? SCHEMA_VERSION;
    const batch = level
      .batch()
      .put(SCHEMA_KEY, Buffer.from(String(schema)))
      .put(CHECK_KEY, check);
    for (const key of damaged) if (!key.startsWith('!')) batch.del(key);
    await batch.write({ sync: true });
    const lost = damaged.filter(key => !key.startsWith('!'));
    return { kept: whole.length, lost, rebuilt: first === undefined, copy };
  } finally {
    await level.close();
    sealer.destroy();
  }
}

/** Read everything; undefined when the database itself cannot be read. */
async function tryScan(options: StoreOptions, sealer: Sealer): Promise<Scan | undefined> {
  let level: Level | undefined;
  let found: Scan;
  try {
    level = await openLevel(options.directory);
    found = await scan(level, sealer);
    await level.get(CHECK_KEY);
  } catch (error) {
    await level?.close();
    const isOurs = error instanceof ClawChatError && error.code !== ErrorCode.STORE_DAMAGED;
    if (isOurs) throw error;
    return undefined;
  }
  await checkOwner(level, sealer, options, found.whole).finally(() => level.close());
  return found;
}

async function scan(level: Level, sealer: Sealer): Promise<Scan> {
  const [whole, damaged]: [string[], string[]] = [[], []];
  for await (const [key, value] of level.iterator({ fillCache: false })) {
    const isPlain = key.startsWith('!') && key !== CHECK_KEY;
    const isWhole = isPlain
      ? key !== SCHEMA_KEY || schemaOf(value) !== undefined
      : sealer.tryOpen(key, value) !== undefined;
    if (isWhole && !key.startsWith('!')) whole.push(key);
    else if (!isWhole) damaged.push(key);
  }
  return { whole, damaged };
}

/** The number of a schema; undefined when that is none. */
function schemaOf(value: Uint8Array | undefined): number | undefined {
  const text = Buffer.from(value ?? []).toString();
  return /^[1-9]\d{0,8}$/.test(text) ? Number(text) : undefined;
}

/** The key has to open something, and what says whose directory it is must not say something else. */
async function checkOwner(
  level: Level,
  sealer: Sealer,
  { directory, program }: StoreOptions,
  whole: readonly string[],
): Promise<void> {
  const schema = schemaOf(await level.get(SCHEMA_KEY));
  if (schema !== undefined && schema > SCHEMA_VERSION) {
    throw failure(ErrorCode.SCHEMA_NEWER, `a newer version wrote ${directory}: use that version`);
  }
  const sealed = await level.get(CHECK_KEY);
  const opened = sealed && sealer.tryOpen(CHECK_KEY, sealed);
  if (opened !== undefined) {
    const owner = Buffer.from(opened).toString();
    if (owner === program) return;
    throw wrongDirectory(directory, program);
  }
  if (whole.length > 0) return;
  const text = `nothing of the database in ${directory} opens with its data.key: restore the directory from a backup`;
  throw failure(ErrorCode.STORE_DAMAGED, text);
}

async function copyDatabase(path: string, copy: string): Promise<void> {
  try {
    await cp(path, copy, { recursive: true, errorOnExist: true, force: false });
  } catch (cause) {
    throw failure(
      ErrorCode.STORAGE_FULL,
      `the database could not be copied to ${copy}; nothing was changed`,
      cause,
    );
  }
}

async function rebuild(path: string): Promise<void> {
  try {
    await ClassicLevel.repair(path);
  } catch (cause) {
    throw failure(ErrorCode.STORE_DAMAGED, `${path} could not be rebuilt: restore it from a backup`, cause);
  }
}
