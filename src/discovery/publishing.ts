/** Putting a connection file into every store, and proving that it lies there (spec/07-discovery.md, 7.3). */
import {
  PUBLISH_BACKOFF_MS_MAX,
  PUBLISH_BACKOFF_MS_MIN,
  STORE_ATTEMPT_MS_MAX,
  STORE_PATIENCE_MS,
} from '../gen/constants.ts';
import type { RecordName } from '../protocol/freshness.ts';
import type { Now } from '../protocol/now.ts';
import { sameBytes } from '../wire/bytes.ts';
import { backoffMs } from './backoff.ts';
import { needsOperator, type PublishAnswer, type StoreFailure, storeFailed } from './store.ts';
import type { Opened, Verdict } from './verdict.ts';

/** What to publish. The same payload sealed anew is another publication with the same record. */
export interface Publication {
  readonly record: RecordName;
  /** The connection file. */
  readonly bytes: Uint8Array;
}

/** What one store is doing. Times are monotonic milliseconds. */
export type PublishPhase =
  | { readonly kind: 'idle' }
  | { readonly kind: 'writing'; readonly attempt: number; readonly endsAt: number; readonly serial: number }
  | { readonly kind: 'reading'; readonly attempt: number; readonly endsAt: number }
  | { readonly kind: 'waiting'; readonly at: number; readonly next: 'write' | 'read' };

/** How one store stands. */
export interface PublishStore {
  /** Whether devices on other machines read it. */
  readonly remote: boolean;
  readonly phase: PublishPhase;
  /** Failures in a row. */
  readonly failures: number;
  /** Why the last attempt came to nothing; undefined when it did not. */
  readonly failure: StoreFailure | undefined;
  /** The store asked not to be tried before this; monotonic milliseconds. */
  readonly notBefore: number;
  /** The record last read back here, and when; `at` is Unix milliseconds. */
  readonly verified: (RecordName & { readonly at: number }) | undefined;
  /** The publication whose very bytes were last read back here. */
  readonly verifiedSerial: number;
  /** Whether the last read back found what was published: only a look whether it stays is still due. */
  readonly settled: boolean;
  /** Whether what lies there has been seen since the host started; before that nothing is written. */
  readonly surveyed: boolean;
}

/** The state of publishing, for all stores of a host. */
export interface Publishing {
  readonly stores: readonly PublishStore[];
  readonly current: Publication | undefined;
  /** Counts publications. */
  readonly serial: number;
  /** Counts attempts. */
  readonly attempt: number;
  /** The newest record verified in a store that counts: what message 2 of the handshake names. */
  readonly witness: RecordName | undefined;
  /** `STORE_READ_AGAIN_MS` of the preset. */
  readonly readAgainMs: number;
  /** A store is ahead of the database: nothing is written any more. */
  readonly isOld: boolean;
}

/** What can happen. `entropy` is uniform, 0 <= entropy < 1. `store` is an index. */
export type PublishInput =
  | { readonly kind: 'publish'; readonly publication: Publication }
  | {
      readonly kind: 'wrote';
      readonly store: number;
      readonly attempt: number;
      readonly answer: PublishAnswer;
      readonly entropy: number;
    }
  | {
      readonly kind: 'read';
      readonly store: number;
      readonly attempt: number;
      readonly verdict: Verdict<Opened>;
      readonly entropy: number;
    }
  /** What lies in the store was seen before the first publication, and is not ahead of the database. */
  | { readonly kind: 'surveyed'; readonly store: number }
  /** The deadline has come. */
  | { readonly kind: 'wake'; readonly entropy: number };

/**
 * What to do.
 *
 * - `write` put these bytes into the store, and say `wrote`
 * - `read` read the store as a client would, unconditionally, judge it, and say `read`
 * - `cancel` stop that attempt; what it still answers is ignored
 * - `verified` the record lies in the store; `sealed` when in exactly these bytes, `counts` when it counts
 * - `failed` an attempt came to nothing, or found something else than was published
 * - `older` the store has a valid record of this host that is not lower than the published one, and not it: the
 *   database is old. Nothing more is written by this process
 */
export type PublishOutput =
  | { readonly kind: 'write'; readonly store: number; readonly attempt: number; readonly bytes: Uint8Array }
  | { readonly kind: 'read'; readonly store: number; readonly attempt: number }
  | { readonly kind: 'cancel'; readonly store: number; readonly attempt: number }
  | {
      readonly kind: 'verified';
      readonly store: number;
      readonly record: RecordName;
      readonly sealed: boolean;
      readonly counts: boolean;
    }
  | { readonly kind: 'failed'; readonly store: number; readonly failure: StoreFailure }
  | { readonly kind: 'older'; readonly store: number; readonly found: RecordName };

/** Make the state of a host that has published nothing yet. `remote` says of each store whether other machines read it. */
export function publishing(remote: readonly boolean[], readAgainMs: number): Publishing {
  const store = { phase: IDLE, failures: 0, failure: undefined, notBefore: 0, verified: undefined };
  return {
    stores: remote.map(isRemote => ({
      ...store,
      remote: isRemote,
      verifiedSerial: 0,
      settled: false,
      surveyed: false,
    })),
    isOld: false,
    current: undefined,
    serial: 0,
    attempt: 0,
    witness: undefined,
    readAgainMs,
  };
}

/** Is the current record verified in a store that counts? That is all that a rotation asks. @impl DI-024~1 */
export function isRecordVerified(state: Publishing): boolean {
  const { current } = state;
  return (
    current !== undefined &&
    state.stores.some(
      store =>
        counts(state, store) && store.verified !== undefined && sameName(store.verified, current.record),
    )
  );
}

/** Are the very bytes of the current publication verified in a store that counts? An invite is shown only then. */
export function isSealVerified(state: Publishing): boolean {
  return (
    state.serial > 0 &&
    state.stores.some(store => counts(state, store) && store.verifiedSerial === state.serial)
  );
}

/** When to say `wake`, in monotonic milliseconds. */
export function publishDeadline(state: Publishing): number | undefined {
  let soonest: number | undefined;
  for (const { phase } of state.stores) {
    if (phase.kind === 'idle') continue;
    const at = phase.kind === 'waiting' ? phase.at : phase.endsAt;
    if (soonest === undefined || at < soonest) soonest = at;
  }
  return soonest;
}

/** Take one input. @impl DI-020~1, DI-021~1, DI-022~1 */
export function stepPublishing(
  state: Publishing,
  input: PublishInput,
  now: Now,
): readonly [Publishing, readonly PublishOutput[]] {
  const draft = new Draft(state, now);
  switch (input.kind) {
    case 'publish':
      draft.publish(input.publication);
      break;
    case 'wrote':
      draft.wrote(input.store, input.attempt, input.answer, input.entropy);
      break;
    case 'read':
      draft.read(input.store, input.attempt, input.verdict, input.entropy);
      break;
    case 'surveyed':
      draft.surveyed(input.store);
      break;
    case 'wake':
      draft.wake(input.entropy);
      break;
  }
  return [draft.state, draft.outputs];
}

const IDLE: PublishPhase = { kind: 'idle' };

/** One step in the making. */
class Draft {
  state: Publishing;
  readonly outputs: PublishOutput[] = [];
  readonly #now: Now;

  constructor(state: Publishing, now: Now) {
    this.state = state;
    this.#now = now;
  }

  /** Begin at once with every store that asked for no patience, whatever it was doing before. @impl DI-027~1 */
  publish(publication: Publication): void {
    this.state = { ...this.state, current: publication, serial: this.state.serial + 1 };
    if (this.state.isOld) return;
    this.state.stores.forEach((store, index) => {
      const { phase } = store;
      // Two writes at once could land in either order; what is being written is followed by the new one.
      if (phase.kind === 'writing' || (phase.kind === 'reading' && !store.surveyed)) return;
      if (phase.kind === 'reading')
        this.outputs.push({ kind: 'cancel', store: index, attempt: phase.attempt });
      this.#write(index);
    });
  }

  wrote(index: number, attempt: number, answer: PublishAnswer, entropy: number): void {
    const store = this.state.stores[index];
    if (store?.phase.kind !== 'writing' || store.phase.attempt !== attempt) return;
    const isCurrent = store.phase.serial === this.state.serial;
    if (answer.kind === 'failed') this.#fail(index, answer, 'write', entropy);
    if (!isCurrent) this.#write(index);
    else if (answer.kind === 'published') this.#readBack(index);
  }

  read(index: number, attempt: number, verdict: Verdict<Opened>, entropy: number): void {
    const store = this.state.stores[index];
    const { current } = this.state;
    if (store?.phase.kind !== 'reading' || store.phase.attempt !== attempt || current === undefined) return;
    if (verdict.kind === 'failed') {
      this.#fail(index, verdict, 'read', entropy);
      return;
    }
    const isFirst = !store.surveyed;
    this.surveyed(index);
    const isRecord = verdict.kind === 'record' && sameName(verdict.record, current.record);
    const isSealed = isRecord && sameBytes(verdict.bytes, current.bytes);
    if (isRecord) this.#verified(index, isSealed);
    if (isSealed) return;
    if (verdict.kind === 'record' && !isRecord && verdict.record.sequence >= current.record.sequence) {
      this.#set(index, { phase: IDLE });
      this.#halt();
      this.outputs.push({ kind: 'older', store: index, found: verdict.record });
      return;
    }
    if (isFirst) {
      this.#write(index);
      return;
    }
    // A cache, or a folder that is carried about, may need a moment; what lies there still may have been put back.
    const isLate = !store.settled && store.failures % 2 === 0;
    this.#fail(index, storeFailed('busy', mismatch(verdict)), isLate ? 'read' : 'write', entropy);
  }

  surveyed(index: number): void {
    this.#set(index, { surveyed: true });
  }

  wake(entropy: number): void {
    this.state.stores.forEach(({ phase }, index) => {
      if (phase.kind === 'waiting' && phase.at <= this.#now.mono) {
        if (phase.next === 'write') this.#write(index);
        else this.#readBack(index);
      } else if ((phase.kind === 'writing' || phase.kind === 'reading') && phase.endsAt <= this.#now.mono) {
        this.outputs.push({ kind: 'cancel', store: index, attempt: phase.attempt });
        const failure = storeFailed('timeout', `no answer within ${STORE_ATTEMPT_MS_MAX} ms`);
        if (phase.kind === 'writing') this.wrote(index, phase.attempt, failure, entropy);
        else this.read(index, phase.attempt, failure, entropy);
      }
    });
  }

  #write(index: number): void {
    const { current, serial } = this.state;
    const store = this.state.stores[index];
    if (store === undefined || current === undefined) return;
    // @impl DI-023~1
    if (store.notBefore > this.#now.mono) {
      this.#set(index, { phase: { kind: 'waiting', at: store.notBefore, next: 'write' }, settled: false });
      return;
    }
    // It could hold the only proof that this database is old. @impl DI-029~1
    if (!store.surveyed) {
      this.#readBack(index);
      return;
    }
    const attempt = this.#nextAttempt();
    this.#set(index, {
      phase: { kind: 'writing', attempt, endsAt: this.#now.mono + STORE_ATTEMPT_MS_MAX, serial },
      settled: false,
    });
    this.outputs.push({ kind: 'write', store: index, attempt, bytes: current.bytes });
  }

  #readBack(index: number): void {
    const attempt = this.#nextAttempt();
    this.#set(index, {
      phase: { kind: 'reading', attempt, endsAt: this.#now.mono + STORE_ATTEMPT_MS_MAX },
    });
    this.outputs.push({ kind: 'read', store: index, attempt });
  }

  #verified(index: number, sealed: boolean): void {
    const { current, serial, witness } = this.state;
    const store = this.state.stores[index];
    if (current === undefined || store === undefined) return;
    const { record } = current;
    const doesCount = counts(this.state, store);
    const isFirst = sealed
      ? store.verifiedSerial !== serial
      : store.verified === undefined || !sameName(store.verified, record);
    this.#set(index, { verified: { ...record, at: this.#now.wall } });
    if (sealed) {
      const at = this.#now.mono + this.state.readAgainMs;
      this.#set(index, {
        verifiedSerial: serial,
        failures: 0,
        failure: undefined,
        // Once more a while later: a write given up before may have landed after this one.
        phase: store.settled ? IDLE : { kind: 'waiting', at, next: 'read' },
        settled: true,
      });
    }
    // @impl DI-025~1
    if (doesCount && (witness === undefined || witness.sequence < record.sequence))
      this.state = { ...this.state, witness: { sequence: record.sequence, hash: record.hash } };
    if (isFirst) this.outputs.push({ kind: 'verified', store: index, record, sealed, counts: doesCount });
  }

  #fail(index: number, failure: StoreFailure, next: 'write' | 'read', entropy: number): void {
    const store = this.state.stores[index];
    if (store === undefined) return;
    const failures = store.failures + 1;
    const boundMs = needsOperator(failure.trouble) ? STORE_PATIENCE_MS : PUBLISH_BACKOFF_MS_MAX;
    const patienceMs = Math.min(failure.retryAfterMs ?? 0, STORE_PATIENCE_MS);
    const waitMs = Math.max(patienceMs, backoffMs(failures, PUBLISH_BACKOFF_MS_MIN, boundMs, entropy));
    this.#set(index, {
      failures,
      failure,
      notBefore: Math.max(store.notBefore, this.#now.mono + patienceMs),
      phase: { kind: 'waiting', at: this.#now.mono + waitMs, next },
      settled: false,
    });
    this.outputs.push({ kind: 'failed', store: index, failure });
  }

  /** Stop everything: another host with our keys is ahead, or the one that this database was. @impl DI-026~2 */
  #halt(): void {
    this.state = { ...this.state, isOld: true };
    this.state.stores.forEach(({ phase }, index) => {
      if (phase.kind === 'writing' || phase.kind === 'reading')
        this.outputs.push({ kind: 'cancel', store: index, attempt: phase.attempt });
      this.#set(index, { phase: IDLE });
    });
  }

  #nextAttempt(): number {
    this.state = { ...this.state, attempt: this.state.attempt + 1 };
    return this.state.attempt;
  }

  #set(index: number, changes: Partial<PublishStore>): void {
    const stores = this.state.stores.map((store, at) => (at === index ? { ...store, ...changes } : store));
    this.state = { ...this.state, stores };
  }
}

/** Does a store count as one that remote devices use? A local file does when there is no other kind. */
function counts(state: Publishing, store: PublishStore): boolean {
  return store.remote || !state.stores.some(({ remote }) => remote);
}

function sameName(a: RecordName, b: RecordName): boolean {
  return a.sequence === b.sequence && sameBytes(a.hash, b.hash);
}

function mismatch(verdict: Exclude<Verdict<Opened>, StoreFailure>): string {
  switch (verdict.kind) {
    case 'record':
      return `published, but sequence ${verdict.record.sequence} was read back`;
    case 'invalid':
      return `published, but what was read back is not valid: ${verdict.fault.detail}`;
    case 'absent':
      return 'published, but nothing was read back';
    case 'unchanged':
      return 'published, but the old file was read back';
  }
}
