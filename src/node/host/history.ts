/** What happened to a host's rotation, kept across its processes (spec/06-rotation.md, 6.4). */
import { create, toBinary } from '@bufbuild/protobuf';
import { StoredHistorySchema } from '../../gen/clawchat/v1/storage_pb.ts';
import { HISTORY_NOTES_MAX } from '../../gen/constants.ts';
import { isFault } from '../../wire/fault.ts';
import { tryParse } from '../../wire/parse.ts';
import type { Store } from '../store.ts';

const KEY = 'rotation-history';

/** Something that happened, and when (Unix milliseconds). */
export interface HistoryNote {
  readonly atMs: number;
  readonly what: string;
  /** What belongs to it, for people. */
  readonly detail: string;
}

/** The notes of one data directory, oldest first. @impl RT-127~1 */
export class History {
  #notes: readonly HistoryNote[];
  readonly #store: Store;
  #isDue = false;

  private constructor(store: Store, notes: readonly HistoryNote[]) {
    this.#store = store;
    this.#notes = notes;
  }

  /** Read what there is. Damaged notes are dropped: nothing depends on them. */
  static async open(store: Store): Promise<History> {
    const stored = await store.get(KEY);
    const parsed = stored === undefined ? undefined : tryParse(StoredHistorySchema, stored);
    const notes = parsed === undefined || isFault(parsed) ? [] : parsed.notes;
    return new History(
      store,
      notes.map(({ atMs, what, detail }) => ({ atMs: Number(atMs), what, detail })),
    );
  }

  get notes(): readonly HistoryNote[] {
    return this.#notes;
  }

  /** Add one. What is noted in one turn of the loop is written together, and nothing waits for it. */
  add(what: string, fields: Readonly<Record<string, unknown>> = {}): void {
    const detail = Object.entries(fields).map(([name, value]) => `${name} ${value}`);
    const note = { atMs: Date.now(), what, detail: detail.join(', ') };
    this.#notes = [...this.#notes, note].slice(-HISTORY_NOTES_MAX);
    if (this.#isDue) return;
    this.#isDue = true;
    setImmediate(() => void this.flush());
  }

  /** Write what is not written yet. */
  async flush(): Promise<void> {
    if (!this.#isDue) return;
    this.#isDue = false;
    const notes = this.#notes.map(({ atMs, ...rest }) => ({ ...rest, atMs: BigInt(atMs) }));
    const value = toBinary(StoredHistorySchema, create(StoredHistorySchema, { notes }));
    // Whoever has to hear of a database that fails does so by what matters more.
    await this.#store.commit([{ kind: 'put', key: KEY, value }]).catch(() => {});
  }
}
