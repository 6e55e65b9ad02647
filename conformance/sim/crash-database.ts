/** A database in memory that forgets, when it crashes, whatever was not synced: byte for byte and by seed. */
import {
  checkKey,
  type Database,
  type Entry,
  fullRange,
  GroupCommit,
  type Operation,
  type Range,
} from '../../src/runtime/database.ts';

/** What every call meets once the process that held the database is dead. */
export class Crash extends Error {
  override readonly name = 'Crash';
}

/**
 * At which write the process dies: `before` a byte of it is written, `during` it, when none, some or all of its bytes
 * have been written but no sync has happened, or `after` its sync, when nobody has been told.
 */
export interface Death {
  /** The write, from 1, counted from the opening of this database. */
  readonly write: number;
  readonly when: 'before' | 'during' | 'after';
  /** Whether calls of the dead then reject with `Crash` (default) or never settle, as in a process that is gone. */
  readonly how?: 'throw' | 'hang';
}

/** What a `CrashDatabase` starts from. */
export interface CrashDatabaseOptions {
  /** The bytes on the disk; none for a new database. */
  readonly bytes?: Uint8Array;
  readonly death?: Death;
  /** Runs a callback when the present turn of the event loop is over. */
  readonly defer?: (callback: () => void) => void;
}

const EMPTY = new Uint8Array(0);

/**
 * The bytes are a log of writes: length (4, big endian) || operations || checksum (4). A crash keeps a prefix of the
 * unsynced bytes, cut anywhere; a write that is cut is dropped when the log is read again.
 */
export class CrashDatabase implements Database {
  readonly #death: Death | undefined;
  readonly #defer: (callback: () => void) => void;
  readonly #group: GroupCommit<Operation>;
  readonly #values: Map<string, Uint8Array>;
  readonly #died: Promise<void>;
  #tellDied: () => void = () => {};
  #synced: Uint8Array;
  #unsynced: Uint8Array = EMPTY;
  #writes = 0;
  #dead = false;
  #closed = false;

  constructor(options: CrashDatabaseOptions = {}) {
    this.#death = options.death;
    this.#defer = options.defer ?? (callback => void setImmediate(callback));
    const { values, length } = replay(options.bytes ?? EMPTY);
    this.#values = values;
    this.#synced = (options.bytes ?? EMPTY).slice(0, length);
    this.#died = new Promise(resolve => {
      this.#tellDied = resolve;
    });
    this.#group = new GroupCommit(operations => this.#write(operations), this.#defer);
  }

  /** How many writes have been synced or were cut off by death. */
  get writes(): number {
    return this.#writes;
  }

  /** What is on the disk for certain. */
  get syncedBytes(): Uint8Array {
    return this.#synced.slice();
  }

  /** How many bytes a crash at this instant may keep or lose. */
  get unsyncedLength(): number {
    return this.#unsynced.length;
  }

  /** Resolves when the planned death has happened. */
  get died(): Promise<void> {
    return this.#died;
  }

  /**
   * Kill the process that holds this database and open what the disk then holds: every synced byte, and as many of the
   * unsynced ones as the seed says. The old database is dead from here on.
   */
  crash(seed: number, next: Omit<CrashDatabaseOptions, 'bytes'> = {}): CrashDatabase {
    this.#dead = true;
    // A third of the seeds keep nothing, a third everything, a third cut somewhere between.
    const share = Math.min(1, Math.max(0, uniform(seed) * 3 - 1));
    const kept = Math.floor(share * this.#unsynced.length);
    const bytes = concat(this.#synced, this.#unsynced.subarray(0, kept));
    return new CrashDatabase({ ...next, bytes });
  }

  async get(key: string): Promise<Uint8Array | undefined> {
    checkKey(key);
    await this.#alive();
    return this.#values.get(key)?.slice();
  }

  async range(range: Range): Promise<readonly Entry[]> {
    const { gte, lt, reverse, limit } = fullRange(range);
    await this.#alive();
    const keys = [...this.#values.keys()].filter(key => gte <= key && key < lt).sort();
    if (reverse) keys.reverse();
    return keys.slice(0, limit).map(key => ({ key, value: this.#values.get(key)?.slice() ?? EMPTY }));
  }

  async commit(operations: readonly Operation[]): Promise<void> {
    for (const operation of operations) checkKey(operation.key);
    const copies = operations.map(copy);
    const alive = this.#alive();
    // Queued at once, so that the order of commits is the order of calls.
    const committed = this.#dead || this.#closed ? alive : this.#group.commit(copies, encode(copies).length);
    await committed;
    await this.#alive({ closedToo: false });
  }

  async close(): Promise<void> {
    this.#closed = true;
    if (!this.#dead) await this.#group.idle();
  }

  /** Make one group durable: append, let a turn pass as a disk would, sync. */
  async #write(operations: readonly Operation[]): Promise<void> {
    const bytes = encode(operations);
    this.#writes += 1;
    const death = this.#death?.write === this.#writes ? this.#death : undefined;
    if (death?.when === 'before') return await this.#die();
    this.#unsynced = concat(this.#unsynced, bytes);
    if (death?.when === 'during') return await this.#die();
    await new Promise<void>(resolve => this.#defer(resolve));
    if (this.#dead) return await this.#stopped();
    this.#synced = concat(this.#synced, this.#unsynced);
    this.#unsynced = EMPTY;
    if (death?.when === 'after') return await this.#die();
    for (const operation of operations) apply(this.#values, operation);
  }

  async #die(): Promise<void> {
    this.#dead = true;
    this.#tellDied();
    await this.#stopped();
  }

  async #alive({ closedToo = true }: { readonly closedToo?: boolean } = {}): Promise<void> {
    if (this.#dead) await this.#stopped();
    if (closedToo && this.#closed) throw new Error('the database was closed');
  }

  #stopped(): Promise<never> {
    return this.#death?.how === 'hang'
      ? new Promise(() => {})
      : Promise.reject(new Crash('the process is dead'));
  }
}

function apply(values: Map<string, Uint8Array>, operation: Operation): void {
  if (operation.kind === 'put') values.set(operation.key, operation.value);
  else values.delete(operation.key);
}

function copy(operation: Operation): Operation {
  return operation.kind === 'put' ? { ...operation, value: operation.value.slice() } : { ...operation };
}

function encode(operations: readonly Operation[]): Uint8Array {
  const parts = operations.map(operation => {
    const value = operation.kind === 'put' ? operation.value : EMPTY;
    const head = new Uint8Array(7 + operation.key.length);
    const view = new DataView(head.buffer);
    view.setUint8(0, operation.kind === 'put' ? 1 : 2);
    view.setUint16(1, operation.key.length);
    view.setUint32(3, value.length);
    head.set(
      Uint8Array.from(operation.key, char => char.charCodeAt(0)),
      7,
    );
    return concat(head, value);
  });
  const body = concat(...parts);
  return concat(uint32(body.length), body, uint32(checksum(body)));
}

/** Read the log from its beginning up to the first write that is not whole. */
function replay(bytes: Uint8Array): { readonly values: Map<string, Uint8Array>; readonly length: number } {
  const values = new Map<string, Uint8Array>();
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  let at = 0;
  while (at + 8 <= bytes.length) {
    const end = at + 4 + view.getUint32(at);
    if (end + 4 > bytes.length) break;
    const body = bytes.subarray(at + 4, end);
    if (view.getUint32(end) !== checksum(body)) break;
    for (const operation of decode(body)) apply(values, operation);
    at = end + 4;
  }
  return { values, length: at };
}

function* decode(body: Uint8Array): Generator<Operation> {
  const view = new DataView(body.buffer, body.byteOffset, body.length);
  for (let at = 0; at < body.length; ) {
    const keyAt = at + 7;
    const valueAt = keyAt + view.getUint16(at + 1);
    const end = valueAt + view.getUint32(at + 3);
    const key = String.fromCharCode(...body.subarray(keyAt, valueAt));
    yield view.getUint8(at) === 1
      ? { kind: 'put', key, value: body.slice(valueAt, end) }
      : { kind: 'delete', key };
    at = end;
  }
}

/** FNV-1a: enough to tell a cut write from a whole one. */
function checksum(bytes: Uint8Array): number {
  let hash = 0x811c9dc5;
  for (const byte of bytes) hash = Math.imul(hash ^ byte, 0x01000193) >>> 0;
  return hash;
}

/** One number of [0, 1) from a seed (the finalizer of MurmurHash3). */
function uniform(seed: number): number {
  let x = (seed + 0x9e3779b9) >>> 0;
  x = Math.imul(x ^ (x >>> 16), 0x85ebca6b);
  x = Math.imul(x ^ (x >>> 13), 0xc2b2ae35);
  return ((x ^ (x >>> 16)) >>> 0) / 2 ** 32;
}

function uint32(value: number): Uint8Array {
  const bytes = new Uint8Array(4);
  new DataView(bytes.buffer).setUint32(0, value);
  return bytes;
}

function concat(...parts: readonly Uint8Array[]): Uint8Array {
  const joined = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    joined.set(part, at);
    at += part.length;
  }
  return joined;
}
