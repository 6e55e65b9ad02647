/** A disk that outlives processes, and a database on it that can die at any write. For tests only. */
import type { DatabaseOperation, ServiceDatabase } from '../../ports.ts';
import { draw, type Scheduler } from './scheduler.ts';

/** What is on the disk for certain. */
export type Disk = Map<string, Uint8Array>;

interface Pending {
  readonly operations: readonly DatabaseOperation[];
  readonly resolve: () => void;
}

const SLOWNESS = 0.75;

/** Called around each write: true kills the process there. */
export type WriteHook = (when: 'before' | 'after') => boolean;

/**
 * A database whose commits become durable in order, some time; a read may see what is not durable yet. It dies with
 * its process: a part of what was not durable is kept or lost, as chance says.
 */
export class SimDatabase implements ServiceDatabase {
  readonly disk: Disk;
  readonly #scheduler: Scheduler;
  readonly #hook: WriteHook;
  /** A disk that lies says "durable" at once. */
  readonly #lies: boolean;
  readonly #applied: (operations: readonly DatabaseOperation[]) => void;
  #pending: Pending[] = [];
  #writing = false;
  #dead = false;

  /** `applied` sees each commit that the disk takes. */
  constructor(
    disk: Disk,
    scheduler: Scheduler,
    options: {
      hook?: WriteHook;
      lies?: boolean;
      applied?: (operations: readonly DatabaseOperation[]) => void;
    } = {},
  ) {
    this.disk = disk;
    this.#scheduler = scheduler;
    this.#hook = options.hook ?? (() => false);
    this.#lies = options.lies ?? false;
    this.#applied = options.applied ?? (() => {});
  }

  get(key: string): Promise<Uint8Array | undefined> {
    return this.#later(() => this.#seen().get(key)?.slice());
  }

  range(range: Parameters<ServiceDatabase['range']>[0]): ReturnType<ServiceDatabase['range']> {
    return this.#later(() => {
      const { gte, lt, reverse = false, limit = Number.POSITIVE_INFINITY } = range;
      const keys = [...this.#seen().keys()].filter(key => key >= gte && key < lt).sort();
      if (reverse) keys.reverse();
      const seen = this.#seen();
      return keys.slice(0, limit).flatMap(key => {
        const value = seen.get(key);
        return value === undefined ? [] : [{ key, value: value.slice() }];
      });
    });
  }

  commit(operations: readonly DatabaseOperation[]): Promise<void> {
    const copied = operations.map(operation =>
      operation.kind === 'put' ? { ...operation, value: operation.value.slice() } : operation,
    );
    return new Promise(resolve => {
      this.#pending.push({ operations: copied, resolve });
      if (this.#lies) resolve();
      if (this.#writing || this.#dead) return;
      this.#writing = true;
      this.#scheduler.add(this, () => this.#write());
    });
  }

  /** Die: keep the first few of what was not durable. */
  crash(): void {
    this.#dead = true;
    this.#scheduler.drop(this);
    const changes = this.#pending.filter(({ operations }) => operations.length > 0);
    const kept = draw(this.#scheduler.random, changes.length + 1);
    if (kept > 0) this.#scheduler.count('unsynced commits kept', kept);
    if (kept < changes.length) this.#scheduler.count('unsynced commits lost', changes.length - kept);
    for (const { operations } of changes.slice(0, kept)) this.#apply(operations);
    this.#pending = [];
  }

  #write(): void {
    // A disk is slow: most often something else happens first.
    if (this.#scheduler.random() < SLOWNESS) {
      this.#scheduler.add(this, () => this.#write());
      return;
    }
    const group = this.#pending;
    const changes = group.some(({ operations }) => operations.length > 0);
    if (changes && this.#hook('before')) return;
    this.#pending = [];
    for (const { operations } of group) this.#apply(operations);
    if (changes && this.#hook('after')) return;
    this.#writing = false;
    for (const { resolve } of group) resolve();
  }

  #apply(operations: readonly DatabaseOperation[]): void {
    apply(this.disk, operations);
    this.#applied(operations);
  }

  #seen(): Disk {
    if (this.#scheduler.random() < 0.5) return this.disk;
    const seen = new Map(this.disk);
    for (const { operations } of this.#pending) apply(seen, operations);
    return seen;
  }

  #later<T>(read: () => T): Promise<T> {
    return new Promise(resolve => {
      if (!this.#dead) this.#scheduler.add(this, () => resolve(read()));
    });
  }
}

function apply(disk: Disk, operations: readonly DatabaseOperation[]): void {
  for (const operation of operations) {
    if (operation.kind === 'put') disk.set(operation.key, operation.value);
    else disk.delete(operation.key);
  }
}
