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
  /** What belongs to it, the last time. */
  readonly detail: string;
  /** How often it happened before the next move. */
  readonly times: number;
  /** When last; as `atMs` when it happened once. */
  readonly lastAtMs: number;
}

/** Between two of these the rest is told once. */
const MOVES: ReadonlySet<string> = new Set([
  'rotated',
  'retired',
  'started',
  'stopped',
  'emergency-began',
  'emergency-ended',
]);

/** Add a note; one that repeats another since the last move counts there. @impl RT-127~2 */
function withNote(notes: readonly HistoryNote[], note: HistoryNote): readonly HistoryNote[] {
  const since = notes.findLastIndex(({ what }) => MOVES.has(what)) + 1;
  const at = MOVES.has(note.what)
    ? -1
    : notes.findIndex((other, index) => index >= since && kindOf(other) === kindOf(note));
  const first = notes[at];
  if (first === undefined) return [...notes, note].slice(-HISTORY_NOTES_MAX);
  const { detail, lastAtMs } = note;
  return notes.with(at, { ...first, detail, lastAtMs, times: first.times + note.times });
}

/** What is one thing for whoever reads it: holds are told apart by their reason, what people were told of by its port. */
function kindOf({ what, detail }: HistoryNote): string {
  if (what === 'port-lost' || what === 'port-back') return `${what} ${detail}`;
  return what === 'held' ? `held ${holdReason(detail)}` : what;
}

/** Why a move was put off, from the detail of the note. */
function holdReason(detail: string): string {
  return /^why ([a-z-]+)/.exec(detail)?.[1] ?? '';
}

/** The notes of one data directory, oldest first. */
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
    const known = notes.map(({ atMs, lastAtMs, what, detail, times }) => ({
      atMs: Number(atMs),
      what,
      detail,
      times: Math.max(times, 1),
      lastAtMs: Number(lastAtMs === 0n ? atMs : lastAtMs),
    }));
    // An earlier version wrote repetitions one by one.
    return new History(store, known.reduce<readonly HistoryNote[]>(withNote, []));
  }

  /** All that is kept, oldest first. */
  get notes(): readonly HistoryNote[] {
    return this.#notes;
  }

  /** Add one. What is noted in one turn of the loop is written together, and nothing waits for it. */
  add(what: string, fields: Readonly<Record<string, unknown>> = {}): void {
    const detail = Object.entries(fields).map(([name, value]) => `${name} ${value}`);
    const atMs = Date.now();
    const note = { atMs, what, detail: detail.join(', '), times: 1, lastAtMs: atMs };
    this.#notes = withNote(this.#notes, note);
    if (this.#isDue) return;
    this.#isDue = true;
    setImmediate(() => void this.flush());
  }

  /** Write what is not written yet. */
  async flush(): Promise<void> {
    if (!this.#isDue) return;
    this.#isDue = false;
    const notes = this.#notes.map(toStored);
    const value = toBinary(StoredHistorySchema, create(StoredHistorySchema, { notes }));
    // Whoever has to hear of a database that fails does so by what matters more.
    await this.#store.commit([{ kind: 'put', key: KEY, value }]).catch(() => {});
  }
}

/** A note as it is stored and told: numbers of milliseconds are 64 bits wide there. */
export function toStored({ atMs, lastAtMs, ...rest }: HistoryNote): {
  readonly atMs: bigint;
  readonly what: string;
  readonly detail: string;
  readonly times: number;
  readonly lastAtMs: bigint;
} {
  return { ...rest, atMs: BigInt(atMs), lastAtMs: rest.times === 1 ? 0n : BigInt(lastAtMs) };
}
