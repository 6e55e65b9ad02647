/** A database under a test's own hand: commits wait when told to. */
import type { DatabaseOperation, ServiceDatabase } from '../../ports.ts';

/** A database in memory whose commits can be held back, or made to fail. */
export class ProbeDatabase implements ServiceDatabase {
  readonly values: Map<string, Uint8Array>;
  /** Commits that were requested, those of nothing aside. */
  commits = 0;
  failure: Error | undefined;
  #held: (() => void)[] | undefined;

  constructor(values: ReadonlyMap<string, Uint8Array> = new Map()) {
    this.values = new Map(values);
  }

  /** Let no commit become durable until `release`. */
  hold(): void {
    this.#held = [];
  }

  release(): void {
    const held = this.#held ?? [];
    this.#held = undefined;
    for (const write of held) write();
  }

  async get(key: string): Promise<Uint8Array | undefined> {
    return this.values.get(key)?.slice();
  }

  async range(range: Parameters<ServiceDatabase['range']>[0]): ReturnType<ServiceDatabase['range']> {
    const { gte, lt, reverse = false, limit = Number.POSITIVE_INFINITY } = range;
    const entries = [...this.values].filter(([key]) => key >= gte && key < lt);
    entries.sort(([a], [b]) => (a < b ? -1 : 1));
    if (reverse) entries.reverse();
    return entries.slice(0, limit).map(([key, value]) => ({ key, value: value.slice() }));
  }

  commit(operations: readonly DatabaseOperation[]): Promise<void> {
    if (operations.length > 0) this.commits += 1;
    return new Promise((resolve, reject) => {
      const write = (): void => {
        if (this.failure !== undefined) {
          reject(this.failure);
          return;
        }
        for (const operation of operations) {
          if (operation.kind === 'put') this.values.set(operation.key, operation.value.slice());
          else this.values.delete(operation.key);
        }
        resolve();
      };
      if (this.#held === undefined) write();
      else this.#held.push(write);
    });
  }
}
