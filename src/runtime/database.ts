/** The small ordered database that hosts and clients stand on, and its group commit (spec/01-architecture.md). */
import { UsageError } from '../wire/usage-error.ts';

/** One change; the last one to a key within a commit wins. */
export type Operation =
  | { readonly kind: 'put'; readonly key: string; readonly value: Uint8Array }
  | { readonly kind: 'delete'; readonly key: string };

/** One key with its value. The value belongs to the reader. */
export interface Entry {
  readonly key: string;
  readonly value: Uint8Array;
}

/** Which keys to read: `gte` <= key < `lt`, ascending unless `reverse`, at most `limit`. */
export interface Range {
  readonly gte?: string;
  readonly lt?: string;
  readonly reverse?: boolean;
  readonly limit?: number;
}

/**
 * Keep keys and values in order of key.
 *
 * Keys are 1 to 256 characters of visible ASCII that do not begin with `!`; they are not secret. A read sees every
 * commit whose promise has resolved, and may see later ones. After a failed write nothing more can be written until
 * the database is opened again, because nobody knows what of it is on the disk.
 */
export interface Database {
  /** Read one value; undefined when there is none. */
  get(key: string): Promise<Uint8Array | undefined>;
  /** Read the entries of a range, as of one instant. */
  range(range: Range): Promise<readonly Entry[]>;
  /**
   * Write all of `operations` or none, and resolve when they are on the disk.
   *
   * Commits become durable in the order in which they were requested, so after a crash what is there is always a
   * prefix. Those requested in one turn of the event loop, or while a write runs, share one write. Values are copied
   * before this returns. A commit of nothing resolves when all earlier ones are durable.
   */
  commit(operations: readonly Operation[]): Promise<void>;
  /** Finish every requested commit, then let go of the database. */
  close(): Promise<void>;
}

/** Longest key, in characters. */
const DATABASE_KEY_CHARS_MAX = 256;
/** Commits share a write up to this many bytes, so that none waits long for its neighbours. */
const GROUP_BYTES_MAX: number = 4 * 1024 * 1024;

const VISIBLE_ASCII = /^[\x22-\x7e][\x21-\x7e]*$/;

/** The lowest key there can be: what begins with `!` belongs to the implementation. */
const KEY_FIRST = '"';
/** Above every key there can be. */
const KEY_END = '\x7f';

/** Check a key at the door. @throws UsageError when it is not one that a database takes. */
export function checkKey(key: string): void {
  if (key.length > DATABASE_KEY_CHARS_MAX || !VISIBLE_ASCII.test(key)) {
    throw new UsageError(`not a database key: ${JSON.stringify(key.slice(0, 80))}`);
  }
}

/** Fill in what a range leaves out. @throws UsageError when it reaches below the first key or its limit is no count. */
export function fullRange(range: Range): Required<Range> {
  const { gte = KEY_FIRST, lt = KEY_END, reverse = false, limit = Number.POSITIVE_INFINITY } = range;
  if (gte.startsWith('!') || Number.isNaN(limit) || limit < 0) throw new UsageError('not a range of keys');
  return { gte, lt, reverse, limit };
}

/** Write a whole number below 2^53 as 14 hex digits, so that the order of keys is the order of numbers. */
export function numberKey(value: number): string {
  if (!Number.isSafeInteger(value) || value < 0)
    throw new UsageError('a number key is a whole number below 2^53');
  return value.toString(16).padStart(14, '0');
}

/** Name every key that begins with `prefix`. */
export function prefixRange(prefix: string): { readonly gte: string; readonly lt: string } {
  checkKey(prefix);
  return { gte: prefix, lt: prefix + KEY_END };
}

interface Waiting<T> {
  readonly items: readonly T[];
  readonly bytes: number;
  readonly resolve: () => void;
  readonly reject: (reason: unknown) => void;
}

/**
 * Gather commits into groups and write one group at a time.
 *
 * @impl CT-005~1
 *
 * One at a time, because two writes handed to a thread pool may swap places. `defer` runs a callback when the present
 * turn of the event loop is over; `write` makes one group durable.
 */
export class GroupCommit<T> {
  readonly #write: (items: readonly T[]) => Promise<void>;
  readonly #defer: (callback: () => void) => void;
  #waiting: Waiting<T>[] = [];
  #running = false;
  #failure: { readonly reason: unknown } | undefined;
  #idle: (() => void)[] = [];

  constructor(write: (items: readonly T[]) => Promise<void>, defer: (callback: () => void) => void) {
    this.#write = write;
    this.#defer = defer;
  }

  /** Queue `items`, `bytes` long together; resolve when they and everything before them are durable. */
  commit(items: readonly T[], bytes: number): Promise<void> {
    if (this.#failure !== undefined) return Promise.reject(this.#failure.reason);
    return new Promise((resolve, reject) => {
      this.#waiting.push({ items, bytes, resolve, reject });
      if (this.#running) return;
      this.#running = true;
      this.#defer(() => void this.#run());
    });
  }

  /** Resolve when nothing is queued or being written. */
  idle(): Promise<void> {
    if (!this.#running) return Promise.resolve();
    return new Promise(resolve => this.#idle.push(resolve));
  }

  async #run(): Promise<void> {
    while (this.#waiting.length > 0) {
      const group = this.#takeGroup();
      try {
        const items = group.flatMap(commit => commit.items);
        if (items.length > 0) await this.#write(items);
        for (const commit of group) commit.resolve();
      } catch (reason) {
        this.#failure = { reason };
        for (const commit of [...group, ...this.#waiting]) commit.reject(reason);
        this.#waiting = [];
      }
    }
    this.#running = false;
    const idle = this.#idle;
    this.#idle = [];
    for (const resolve of idle) resolve();
  }

  #takeGroup(): Waiting<T>[] {
    let bytes = 0;
    let count = 0;
    for (const commit of this.#waiting) {
      if (count > 0 && bytes + commit.bytes > GROUP_BYTES_MAX) break;
      bytes += commit.bytes;
      count += 1;
    }
    return this.#waiting.splice(0, count);
  }
}
