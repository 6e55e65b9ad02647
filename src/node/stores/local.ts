/** The store that is a file, also one in a folder that Syncthing or Dropbox carries about (spec/07-discovery.md). */
import { watch as watchDirectory } from 'node:fs';
import { opendir, stat, unlink } from 'node:fs/promises';
import { basename, dirname, extname, isAbsolute, join } from 'node:path';
import {
  type PublishAnswer,
  type ReadOptions,
  type StopSignal,
  type StoreAnswer,
  type StoreFailure,
  type StoreReader,
  type StoreWriter,
  storeFailed,
} from '../../discovery/store.ts';
import { ErrorCode } from '../../gen/clawchat/v1/error_pb.ts';
import { FILE_BYTES_MAX, STORE_CANDIDATES_MAX } from '../../gen/constants.ts';
import { ClawChatError } from '../../protocol/fault.ts';
import { systemCode } from '../failure.ts';
import { readFileCapped, writeFileAtomic } from '../files.ts';

/** A folder with more names than this is not searched to its end. */
const FOLDER_NAMES_MAX = 8192;
/** A temporary file of this age is nobody's work in progress any more. */
const TEMPORARY_AGE_MS = 60_000;
const NOTHING: Uint8Array = new Uint8Array();
/** Changes within this time are one. */
const WATCH_SETTLE_MS = 50;

/** A file as a store: its reader, its writer and its watcher. */
export class LocalStore implements StoreReader, StoreWriter {
  readonly name: string;
  readonly #path: string;
  #last: readonly Uint8Array[] | undefined;
  #swept = false;

  /** `path` is absolute. */
  constructor(path: string) {
    this.#path = path;
    this.name = path;
  }

  /** Read the file and its conflict copies, the file itself first. @impl DI-001~1, DI-010~1 */
  async read(stop: StopSignal, options?: ReadOptions): Promise<StoreAnswer> {
    if (stop.aborted) return storeFailed('cancelled', `${this.name}: cancelled`);
    const [own, ...conflicts] = await this.#candidates();
    const first = await this.#readOne(own);
    const found: Uint8Array[] = first instanceof Uint8Array ? [first] : [];
    for (const path of conflicts) {
      const other = await this.#readOne(path);
      if (other instanceof Uint8Array) found.push(other);
    }
    const [bytes, ...others] = found;
    if (bytes === undefined) {
      this.#last = undefined;
      return first !== undefined && 'kind' in first ? first : { kind: 'absent' };
    }
    const unchanged = this.#last !== undefined && sameFiles(this.#last, found);
    this.#last = found;
    return unchanged && options?.unconditional !== true
      ? { kind: 'unchanged' }
      : { kind: 'file', bytes: bytes.slice(), others: others.map(other => other.slice()) };
  }

  /** Replace the file, so that a crash leaves the old bytes or the new ones. @impl DI-012~1 */
  async publish(bytes: Uint8Array, stop: StopSignal): Promise<PublishAnswer> {
    if (stop.aborted) return storeFailed('cancelled', `${this.name}: cancelled`);
    if (bytes.length > FILE_BYTES_MAX)
      return storeFailed('oversized', `${this.name}: ${bytes.length} bytes are too long to publish`);
    try {
      if (!this.#swept) await this.#sweep();
      this.#swept = true;
      await writeFileAtomic(this.#path, bytes);
      return { kind: 'published' };
    } catch (cause) {
      return this.#failed(cause);
    }
  }

  /**
   * Watch the folder for changes of the file and its conflict copies.
   *
   * Where the platform cannot watch, nothing is called: a watcher is a hint, and readers read without one as well.
   */
  watch(onChange: () => void): () => void {
    let timer: NodeJS.Timeout | undefined;
    const name = basename(this.#path);
    try {
      const watcher = watchDirectory(dirname(this.#path), { persistent: false }, (_event, changed) => {
        if (changed !== null && changed !== name && !isConflictOf(changed, name)) return;
        timer ??= setTimeout(() => {
          timer = undefined;
          onChange();
        }, WATCH_SETTLE_MS);
      });
      watcher.on('error', () => watcher.close());
      return () => {
        watcher.close();
        clearTimeout(timer);
      };
    } catch {
      return () => {};
    }
  }

  /** The paths to read: the file itself, then the conflict copies changed last. */
  async #candidates(): Promise<readonly [string, ...string[]]> {
    const name = basename(this.#path);
    const conflicts: { readonly path: string; readonly changedAt: number }[] = [];
    try {
      let names = 0;
      for await (const entry of await opendir(dirname(this.#path))) {
        names += 1;
        if (names > FOLDER_NAMES_MAX) break;
        if (!isConflictOf(entry.name, name)) continue;
        const path = join(dirname(this.#path), entry.name);
        const found = await stat(path).catch(() => undefined);
        if (found?.isFile() === true) conflicts.push({ path, changedAt: found.mtimeMs });
      }
    } catch {
      // A folder that can be entered and not listed has the file and no more.
    }
    conflicts.sort((a, b) => b.changedAt - a.changedAt);
    return [this.#path, ...conflicts.slice(0, STORE_CANDIDATES_MAX - 1).map(({ path }) => path)];
  }

  async #readOne(path: string): Promise<Uint8Array | StoreFailure | undefined> {
    try {
      // A pipe or a device would be waited for.
      if (!(await stat(path)).isFile()) return storeFailed('malformed', `${path} is not a plain file`);
      return await readFileCapped(path, FILE_BYTES_MAX);
    } catch (cause) {
      return systemCode(cause) === 'ENOENT' || systemCode(cause) === 'ENOTDIR'
        ? undefined
        : this.#failed(cause);
    }
  }

  /** Remove what interrupted writes of this file left. */
  async #sweep(): Promise<void> {
    const prefix = `.${basename(this.#path)}.`;
    for await (const entry of await opendir(dirname(this.#path))) {
      if (!entry.name.startsWith(prefix) || !/^\d+-\d+\.tmp$/.test(entry.name.slice(prefix.length))) continue;
      const path = join(dirname(this.#path), entry.name);
      const found = await stat(path).catch(() => undefined);
      if (found !== undefined && Date.now() - found.mtimeMs > TEMPORARY_AGE_MS)
        await unlink(path).catch(() => {});
    }
  }

  #failed(cause: unknown): StoreFailure {
    const text = cause instanceof Error ? cause.message : 'unknown';
    const said = text.includes(this.#path) ? text : `${this.name}: ${text}`;
    if (cause instanceof ClawChatError && cause.code === ErrorCode.FILE_TOO_LARGE)
      return storeFailed('oversized', said);
    if (/\b(ENOSPC|EDQUOT)\b/.test(text)) return storeFailed('quota', said);
    return storeFailed('refused', said);
  }
}

/**
 * Is `candidate` a conflict copy of the file `name`, as Syncthing or Dropbox make them?
 *
 * Syncthing: `name.sync-conflict-20261123-101500-ABCDEFG.ext`. Dropbox: `name (somebody's conflicted copy
 * 2026-11-23).ext`, in the language of its user. Their partial files (`.syncthing.name.tmp`, `~syncthing~name.tmp`)
 * have neither form. What is taken for one by mistake only costs a read: its seal and its sequence decide.
 */
export function isConflictOf(candidate: string, name: string): boolean {
  const extension = extname(name);
  const stem = name.slice(0, name.length - extension.length);
  if (candidate === name || !candidate.startsWith(stem) || !candidate.endsWith(extension)) return false;
  if (candidate.length < name.length) return false;
  const between = candidate.slice(stem.length, candidate.length - extension.length);
  return (
    /^\.sync-conflict-\d{8}-\d{6}(-[A-Z0-9]+)?$/.test(between) ||
    /^ \([^()]+\d{4}-\d\d-\d\d[^()]*\)$/.test(between)
  );
}

/** Is `path` one that a record may name: absolute, and not on another machine? Opening that would tell it who asks. @impl DI-011~1 */
export function isLocalPath(path: string): boolean {
  return isAbsolute(path) && !/^[\\/]{2}/.test(path) && !path.includes('\0');
}

function sameFiles(a: readonly Uint8Array[], b: readonly Uint8Array[]): boolean {
  return a.length === b.length && a.every((bytes, index) => Buffer.compare(bytes, b[index] ?? NOTHING) === 0);
}
