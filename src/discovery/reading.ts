/** Finding the host through its stores: when to read, when to dial, whom to believe (spec/07-discovery.md, 7.4). */

import { ErrorCode } from '../gen/clawchat/v1/error_pb.ts';
import {
  DIAL_BACKOFF_MS_MAX,
  DIAL_BACKOFF_MS_MIN,
  STORE_ATTEMPT_MS_MAX,
  STORE_PATIENCE_MS,
} from '../gen/constants.ts';
import { type Fault, fault } from '../protocol/fault.ts';
import type { RecordName } from '../protocol/freshness.ts';
import type { Now } from '../protocol/now.ts';
import { sameBytes } from '../wire/bytes.ts';
import { backoffMs } from './backoff.ts';
import {
  freshStore,
  type ReadStore,
  reportOf,
  type Standing,
  type StandingReport,
  standingOf,
} from './standing.ts';
import { type StoreFailure, storeFailed } from './store.ts';
import type { Opened, Verdict } from './verdict.ts';

/** What the reader is about. Times are monotonic milliseconds. */
export type ReadPhase =
  | { readonly kind: 'idle' }
  /** A round of reads goes on, and no answer is good enough to dial yet. */
  | { readonly kind: 'searching' }
  | { readonly kind: 'dialling'; readonly record: RecordName }
  | { readonly kind: 'waiting'; readonly at: number }
  | { readonly kind: 'connected' };

/** The state of reading. */
export interface Reading {
  readonly phase: ReadPhase;
  readonly stores: readonly ReadStore[];
  /** The highest record accepted, which is also what is dialled. */
  readonly held: RecordName | undefined;
  /** Rounds in a row that ended without a connection. */
  readonly failures: number;
  /** Counts reads. */
  readonly attempt: number;
  /** What the host named in message 2 of the connection that stands. */
  readonly witness: RecordName | undefined;
  readonly times: ReadTimes;
}

/** `READ_BEFORE_DIAL_MS` and `STORE_READ_AGAIN_MS` of the preset. */
export interface ReadTimes {
  readonly readBeforeDialMs: number;
  readonly readAgainMs: number;
}

/** What can happen. `entropy` is uniform, 0 <= entropy < 1. */
export type ReadInput<T extends Opened> =
  /** Get connected. `held` is the stored record with its `next_rotation_ms`, undefined before the first. */
  | { readonly kind: 'start'; readonly held: (RecordName & { readonly nextRotationMs: number }) | undefined }
  | {
      readonly kind: 'answer';
      readonly key: string;
      readonly attempt: number;
      readonly verdict: Verdict<T>;
      readonly entropy: number;
    }
  /** The dial of `dial` failed; one that was superseded is not reported. */
  | { readonly kind: 'dialFailed'; readonly entropy: number }
  /** The handshake succeeded. `witness` is what message 2 named, undefined for none. */
  | { readonly kind: 'connected'; readonly witness: RecordName | undefined }
  /** A record that came another way was accepted and stored: a notice, the enrolment reply. */
  | { readonly kind: 'learned'; readonly record: Opened }
  /** The stores of the newest record, and those that the person added, by key. */
  | { readonly kind: 'stores'; readonly keys: readonly string[] }
  /** Somebody wants it now: the machine woke, the network changed, a file changed. */
  | { readonly kind: 'hurry' }
  | { readonly kind: 'stop' }
  /** The deadline has come. */
  | { readonly kind: 'wake'; readonly entropy: number };

/**
 * What to do, in this order.
 *
 * - `read` read the store, judge it, and say `answer`
 * - `cancel` stop that read; what it still answers is ignored
 * - `accept` store this record durably before the next output, and use the stores it names
 * - `dial` dial this record, which is the highest accepted; a dial that is still going on is superseded
 * - `equivocation` two payloads with one sequence: `kept` stays, warn the person. Without `key` the host named the other
 * - `stale` two reads of the store lacked what the host has verified
 * - `exhausted` a round ended and no store gave a record as new as the held one; `dials` says whether the held one
 *   is dialled nevertheless. `reports` is for the person
 */
export type ReadOutput<T extends Opened> =
  | { readonly kind: 'read'; readonly key: string; readonly attempt: number; readonly unconditional: boolean }
  | { readonly kind: 'cancel'; readonly key: string; readonly attempt: number }
  | { readonly kind: 'accept'; readonly key: string; readonly record: T; readonly bytes: Uint8Array }
  | { readonly kind: 'dial'; readonly record: RecordName }
  | {
      readonly kind: 'equivocation';
      readonly key: string | undefined;
      readonly kept: RecordName;
      readonly other: RecordName;
    }
  | {
      readonly kind: 'stale';
      readonly key: string;
      readonly witness: RecordName;
      readonly report: StandingReport;
    }
  | { readonly kind: 'exhausted'; readonly dials: boolean; readonly reports: readonly StandingReport[] };

/** Make the state of a client that has read nothing yet. */
export function reading(keys: readonly string[], times: ReadTimes): Reading {
  return {
    phase: IDLE,
    stores: keys.map(freshStore),
    held: undefined,
    failures: 0,
    attempt: 0,
    witness: undefined,
    times,
  };
}

/** Say how every store stands, for `status` and `doctor`. */
export function standings(state: Reading): readonly StandingReport[] {
  return state.stores.map(reportOf);
}

/** When to say `wake`, in monotonic milliseconds. */
export function readDeadline(state: Reading): number | undefined {
  const times: number[] = state.phase.kind === 'waiting' ? [state.phase.at] : [];
  for (const { reading: current, lookAgainAt } of state.stores) {
    if (current !== undefined) times.push(current.endsAt);
    else if (lookAgainAt !== undefined) times.push(lookAgainAt);
  }
  return times.length === 0 ? undefined : Math.min(...times);
}

/** Take one input. */
export function stepReading<T extends Opened>(
  state: Reading,
  input: ReadInput<T>,
  now: Now,
): readonly [Reading, readonly ReadOutput<T>[]] {
  const draft = new Draft<T>(state, now);
  switch (input.kind) {
    case 'start':
      draft.start(input.held);
      break;
    case 'answer':
      draft.answer(input.key, input.attempt, input.verdict, input.entropy);
      break;
    case 'dialFailed':
      if (draft.state.phase.kind === 'dialling') draft.wait(input.entropy);
      break;
    case 'connected':
      draft.connected(input.witness);
      break;
    case 'learned':
      draft.hold(input.record);
      break;
    case 'stores':
      draft.replaceStores(input.keys);
      break;
    case 'hurry':
      if (draft.state.phase.kind === 'waiting') draft.search(true, undefined);
      break;
    case 'stop':
      draft.stop();
      break;
    case 'wake':
      draft.wake(input.entropy);
      break;
  }
  return [draft.state, draft.outputs];
}

const IDLE: ReadPhase = { kind: 'idle' };

/** One step in the making. */
class Draft<T extends Opened> {
  state: Reading;
  readonly outputs: ReadOutput<T>[] = [];
  readonly #now: Now;

  constructor(state: Reading, now: Now) {
    this.state = state;
    this.#now = now;
  }

  /** Dial what is stored, or read first when the host has moved or is about to. @impl DI-030~1, RT-155~1 */
  start(held: (RecordName & { readonly nextRotationMs: number }) | undefined): void {
    const name = held === undefined ? this.state.held : { sequence: held.sequence, hash: held.hash };
    this.state = { ...this.state, held: name, failures: 0, witness: undefined };
    const isFresh =
      held !== undefined && this.#now.wall < held.nextRotationMs - this.state.times.readBeforeDialMs;
    if (isFresh) this.#dial();
    else this.search(false, undefined);
  }

  /** Read every store that is not being read. */
  search(unconditional: boolean, entropy: number | undefined): void {
    this.state = { ...this.state, phase: { kind: 'searching' } };
    for (const { key } of this.state.stores) this.#read(key, unconditional);
    this.#endRound(entropy);
  }

  answer(key: string, attempt: number, verdict: Verdict<T>, entropy: number): void {
    const store = this.#store(key);
    if (store?.reading?.attempt !== attempt) return;
    this.#set(key, { reading: undefined, answeredAt: this.#now.mono });
    this.#take(key, verdict, store);
    this.#judgeFreshness(key, store, verdict.kind === 'record' || verdict.kind === 'unchanged');
    this.#endRound(entropy);
  }

  /** Wait, longer each time, for ever. @impl DI-032~1 */
  wait(entropy: number): void {
    const failures = this.state.failures + 1;
    const waitMs = backoffMs(failures, DIAL_BACKOFF_MS_MIN, DIAL_BACKOFF_MS_MAX, entropy);
    this.state = { ...this.state, failures, phase: { kind: 'waiting', at: this.#now.mono + waitMs } };
  }

  /** Compare what is held, and what the stores have, with what the host has verified. @impl CF-033~2, DI-036~1 */
  connected(witness: RecordName | undefined): void {
    if (this.state.phase.kind === 'idle') return;
    this.state = { ...this.state, phase: { kind: 'connected' }, failures: 0, witness };
    if (witness === undefined) return;
    const { held } = this.state;
    if (held?.sequence === witness.sequence && !sameBytes(held.hash, witness.hash))
      this.outputs.push({ kind: 'equivocation', key: undefined, kept: held, other: witness });
    for (const { key, found, answeredAt, standing } of this.state.stores) {
      const isBehind = found === undefined ? standing === 'unknown' : found.sequence < witness.sequence;
      if (!isBehind) continue;
      const again = (answeredAt ?? Number.NEGATIVE_INFINITY) + this.state.times.readAgainMs;
      // An answer of long ago says nothing; one of just now is the first of the two reads.
      if (again > this.#now.mono) this.#set(key, { lookAgainAt: again });
      else this.#read(key, true);
    }
  }

  hold(record: Opened): void {
    const { held } = this.state;
    if (held === undefined || record.moved === true || record.sequence > held.sequence)
      this.state = { ...this.state, held: { sequence: record.sequence, hash: record.hash } };
  }

  /** Follow the host to other stores, with what is remembered of those that stay. @impl DI-037~1 */
  replaceStores(keys: readonly string[]): void {
    const before = this.state.stores;
    for (const { key, reading: current } of before) {
      if (current !== undefined && !keys.includes(key))
        this.outputs.push({ kind: 'cancel', key, attempt: current.attempt });
    }
    const stores = keys.map(key => before.find(store => store.key === key) ?? freshStore(key));
    this.state = { ...this.state, stores };
    if (this.state.phase.kind !== 'searching') return;
    for (const { key, standing } of stores) if (standing === 'unknown') this.#read(key, true);
    this.#endRound(undefined);
  }

  stop(): void {
    for (const { key, reading: current } of this.state.stores) {
      if (current !== undefined) this.outputs.push({ kind: 'cancel', key, attempt: current.attempt });
      this.#set(key, { reading: undefined, lookAgainAt: undefined });
    }
    this.state = { ...this.state, phase: IDLE, witness: undefined };
  }

  wake(entropy: number): void {
    for (const { key, reading: current, lookAgainAt } of this.state.stores) {
      if (current !== undefined && current.endsAt <= this.#now.mono) {
        this.outputs.push({ kind: 'cancel', key, attempt: current.attempt });
        const failure = storeFailed('timeout', `no answer within ${STORE_ATTEMPT_MS_MAX} ms`);
        this.answer(key, current.attempt, failure, entropy);
      } else if (current === undefined && lookAgainAt !== undefined && lookAgainAt <= this.#now.mono) {
        this.#read(key, true);
      }
    }
    const { phase } = this.state;
    if (phase.kind === 'waiting' && phase.at <= this.#now.mono) this.search(true, entropy);
  }

  #read(key: string, unconditional: boolean): void {
    const store = this.#store(key);
    if (store === undefined || store.reading !== undefined || store.notBefore > this.#now.mono) return;
    const attempt = this.state.attempt + 1;
    this.state = { ...this.state, attempt };
    this.#set(key, { reading: { attempt, endsAt: this.#now.mono + STORE_ATTEMPT_MS_MAX } });
    this.outputs.push({ kind: 'read', key, attempt, unconditional });
  }

  #take(key: string, verdict: Verdict<T>, before: ReadStore): void {
    switch (verdict.kind) {
      case 'record':
        this.#set(key, { found: { sequence: verdict.record.sequence, hash: verdict.record.hash } });
        this.#takeRecord(key, verdict.record, verdict);
        break;
      case 'unchanged':
        // What was invalid is read again unconditionally, should it have become valid meanwhile.
        if (before.found !== undefined) this.#takeRecord(key, before.found, undefined);
        break;
      case 'invalid':
        this.#set(key, { found: undefined });
        this.#stand(key, standingOf(verdict.fault.code), verdict.fault);
        break;
      case 'absent':
        this.#set(key, { found: undefined });
        this.#stand(key, 'absent', undefined);
        break;
      case 'failed': {
        const patienceMs = Math.min(verdict.retryAfterMs ?? 0, STORE_PATIENCE_MS);
        this.#set(key, { notBefore: this.#now.mono + patienceMs });
        // @impl DI-035~2
        this.#stand(key, verdict.trouble === 'oversized' ? 'lying' : 'failing', verdict);
        break;
      }
    }
  }

  /** Highest sequence wins, an older one is never taken, an equal one lets dial. @impl DI-031~1, DI-034~1 */
  #takeRecord(
    key: string,
    found: RecordName,
    fresh: { readonly record: T; readonly bytes: Uint8Array } | undefined,
  ): void {
    const { held, phase } = this.state;
    if (held === undefined || fresh?.record.moved === true || found.sequence > held.sequence) {
      if (fresh === undefined) return;
      this.hold(fresh.record);
      this.#stand(key, 'current', undefined);
      this.outputs.push({ kind: 'accept', key, record: fresh.record, bytes: fresh.bytes });
      if (phase.kind !== 'idle' && phase.kind !== 'connected') this.#dial();
      return;
    }
    if (found.sequence < held.sequence) {
      const detail = `record ${found.sequence}, below ${held.sequence}`;
      this.#stand(key, 'behind', fault('peer', ErrorCode.RECORD_ROLLBACK, detail));
    } else if (!sameBytes(found.hash, held.hash)) {
      const detail = `another payload with sequence ${found.sequence}`;
      this.#stand(key, 'lying', fault('peer', ErrorCode.RECORD_EQUIVOCATION, detail));
      this.outputs.push({ kind: 'equivocation', key, kept: held, other: found });
    } else {
      this.#stand(key, 'current', undefined);
      if (phase.kind === 'searching') this.#dial();
    }
  }

  /** The second read that lacks what the host has verified makes a store stale. @impl DI-036~1 */
  #judgeFreshness(key: string, before: ReadStore, gaveRecord: boolean): void {
    const { witness, phase } = this.state;
    const store = this.#store(key);
    if (store === undefined || witness === undefined || phase.kind !== 'connected') return;
    if (!gaveRecord || store.found === undefined || store.found.sequence >= witness.sequence) {
      this.#set(key, { lookAgainAt: undefined });
    } else if (before.lookAgainAt === undefined) {
      this.#set(key, { lookAgainAt: this.#now.mono + this.state.times.readAgainMs });
    } else if (before.lookAgainAt <= this.#now.mono) {
      this.#set(key, { lookAgainAt: undefined, standing: 'stale' });
      const stale = this.#store(key);
      if (stale !== undefined) this.outputs.push({ kind: 'stale', key, witness, report: reportOf(stale) });
    }
  }

  /** When nobody gave anything as new as what is held: dial that, or wait if there is nothing. @impl DI-033~1 */
  #endRound(entropy: number | undefined): void {
    if (this.state.phase.kind !== 'searching') return;
    if (this.state.stores.some(store => store.reading !== undefined)) return;
    const dials = this.state.held !== undefined;
    this.outputs.push({ kind: 'exhausted', dials, reports: standings(this.state) });
    if (dials) this.#dial();
    else this.wait(entropy ?? 1);
  }

  #dial(): void {
    const { held } = this.state;
    if (held === undefined) return;
    this.state = { ...this.state, phase: { kind: 'dialling', record: held } };
    this.outputs.push({ kind: 'dial', record: held });
  }

  #stand(key: string, standing: Standing, reason: Fault | StoreFailure | undefined): void {
    const store = this.#store(key);
    if (store === undefined) return;
    this.#set(key, {
      standing,
      fault: reason,
      timesBehind: store.timesBehind + (standing === 'behind' ? 1 : 0),
      timesLying: store.timesLying + (standing === 'lying' ? 1 : 0),
      timesFailed: store.timesFailed + (standing === 'failing' || standing === 'unusable' ? 1 : 0),
    });
  }

  #store(key: string): ReadStore | undefined {
    return this.state.stores.find(store => store.key === key);
  }

  #set(key: string, changes: Partial<ReadStore>): void {
    const stores = this.state.stores.map(store => (store.key === key ? { ...store, ...changes } : store));
    this.state = { ...this.state, stores };
  }
}
