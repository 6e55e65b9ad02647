/** A database that lives as long as its process, and the bytes that one goes on from (spec/01-architecture.md). */
import { sameBytes } from '../wire/bytes.ts';
import { checkKey, type Database, type Entry, fullRange, type Operation, type Range } from './database.ts';

/** What a snapshot begins with: its kind and version. */
const MAGIC = new TextEncoder().encode('clawchat-memory-1\n');
const LENGTHS_BYTES = 6;

/** Nothing of it is ever on a disk: who ends the process without taking a snapshot loses it. */
export class MemoryDatabase implements Database {
  readonly #values: Map<string, Uint8Array>;

  constructor(values: ReadonlyMap<string, Uint8Array> = new Map()) {
    this.#values = new Map(values);
  }

  async get(key: string): Promise<Uint8Array | undefined> {
    checkKey(key);
    return this.#values.get(key)?.slice();
  }

  async range(range: Range): Promise<readonly Entry[]> {
    const { gte, lt, reverse, limit } = fullRange(range);
    const keys = [...this.#values.keys()].filter(key => key >= gte && key < lt).sort();
    if (reverse) keys.reverse();
    return keys.slice(0, limit).flatMap(key => {
      const value = this.#values.get(key);
      return value === undefined ? [] : [{ key, value: value.slice() }];
    });
  }

  async commit(operations: readonly Operation[]): Promise<void> {
    for (const { key } of operations) checkKey(key);
    for (const operation of operations) {
      if (operation.kind === 'put') this.#values.set(operation.key, operation.value.slice());
      else this.#values.delete(operation.key);
    }
  }

  async close(): Promise<void> {}

  /** Everything as bytes: magic, then for each value the lengths of its key (2) and of itself (4, big endian) and both. */
  snapshot(): Uint8Array {
    const entries = [...this.#values];
    const bytes = entries.reduce(
      (sum, [key, value]) => sum + LENGTHS_BYTES + key.length + value.length,
      MAGIC.length,
    );
    const snapshot = new Uint8Array(bytes);
    const view = new DataView(snapshot.buffer);
    snapshot.set(MAGIC);
    let at = MAGIC.length;
    for (const [key, value] of entries) {
      view.setUint16(at, key.length);
      view.setUint32(at + 2, value.length);
      at += LENGTHS_BYTES;
      for (let index = 0; index < key.length; index += 1) snapshot[at + index] = key.charCodeAt(index);
      snapshot.set(value, at + key.length);
      at += key.length + value.length;
    }
    return snapshot;
  }
}

/** Make a database from a snapshot; undefined when the bytes are none. */
export function restoreDatabase(snapshot: Uint8Array): MemoryDatabase | undefined {
  if (!sameBytes(snapshot.subarray(0, MAGIC.length), MAGIC)) return undefined;
  const view = new DataView(snapshot.buffer, snapshot.byteOffset, snapshot.length);
  const values = new Map<string, Uint8Array>();
  for (let at = MAGIC.length; at < snapshot.length; ) {
    if (at + LENGTHS_BYTES > snapshot.length) return undefined;
    const keyEnd = at + LENGTHS_BYTES + view.getUint16(at);
    const end = keyEnd + view.getUint32(at + 2);
    if (end > snapshot.length) return undefined;
    const key = String.fromCharCode(...snapshot.subarray(at + LENGTHS_BYTES, keyEnd));
    values.set(key, snapshot.slice(keyEnd, end));
    at = end;
  }
  return new MemoryDatabase(values);
}
