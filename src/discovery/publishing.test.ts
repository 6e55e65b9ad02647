import { expect, test } from 'vitest';
import { ErrorCode } from '../gen/clawchat/v1/error_pb.ts';
import { PUBLISH_BACKOFF_MS_MAX, STORE_ATTEMPT_MS_MAX, STORE_PATIENCE_MS } from '../gen/constants.ts';
import { fault } from '../protocol/fault.ts';
import {
  isRecordVerified,
  isSealVerified,
  type Publication,
  type PublishInput,
  type PublishOutput,
  publishDeadline,
  publishing,
  stepPublishing,
} from './publishing.ts';
import { type StoreTrouble, storeFailed } from './store.ts';
import type { Opened, Verdict } from './verdict.ts';

const READ_AGAIN_MS = 60_000;
const WALL = 1_800_000_000_000;

function publication(sequence: number, sealing = 0): Publication {
  return {
    record: { sequence, hash: new Uint8Array(32).fill(sequence) },
    bytes: Uint8Array.of(sequence, sealing),
  };
}

/** A host's stores under test: `at` is the monotonic clock, and every step's outputs are returned. */
class Bench {
  state;
  at = 0;
  constructor(remote: readonly boolean[], isSurveyed = true) {
    this.state = publishing(remote, READ_AGAIN_MS);
    if (isSurveyed) for (const store of remote.keys()) this.step({ kind: 'surveyed', store });
  }
  step(input: PublishInput): readonly PublishOutput[] {
    const [state, outputs] = stepPublishing(this.state, input, { wall: WALL + this.at, mono: this.at });
    this.state = state;
    return outputs;
  }
  publish(what: Publication): readonly PublishOutput[] {
    return this.step({ kind: 'publish', publication: what });
  }
  wrote(
    store: number,
    trouble?: StoreTrouble,
    retryAfterMs?: number,
    entropy = 0.5,
  ): readonly PublishOutput[] {
    const answer =
      trouble === undefined ? { kind: 'published' as const } : storeFailed(trouble, 'x', retryAfterMs);
    return this.step({ kind: 'wrote', store, attempt: this.attempt(store), answer, entropy });
  }
  read(store: number, verdict: Verdict<Opened>, entropy = 0.5): readonly PublishOutput[] {
    return this.step({ kind: 'read', store, attempt: this.attempt(store), verdict, entropy });
  }
  wakeAtDeadline(entropy = 0.5): readonly PublishOutput[] {
    this.at = publishDeadline(this.state) ?? this.at;
    return this.step({ kind: 'wake', entropy });
  }
  attempt(store: number): number {
    const phase = this.state.stores[store]?.phase;
    return phase !== undefined && 'attempt' in phase ? phase.attempt : -1;
  }
  phase(store: number): string | undefined {
    return this.state.stores[store]?.phase.kind;
  }
}

const found = ({ record, bytes }: Publication): Verdict<Opened> => ({ kind: 'record', record, bytes });
const kinds = (outputs: readonly PublishOutput[]): string[] =>
  outputs.map(output => `${output.kind} ${output.store}`);

test('writes everywhere at once, reads back, and is verified by the first that counts (DI-020~1, DI-022~1)', () => {
  const bench = new Bench([true, true, true]);
  expect(kinds(bench.publish(publication(1)))).toEqual(['write 0', 'write 1', 'write 2']);
  expect(kinds(bench.wrote(1))).toEqual(['read 1']);
  expect(isRecordVerified(bench.state)).toBe(false);
  const outputs = bench.read(1, found(publication(1)));
  expect(outputs).toEqual([
    { kind: 'verified', store: 1, record: publication(1).record, sealed: true, counts: true },
  ]);
  expect([isRecordVerified(bench.state), isSealVerified(bench.state)]).toEqual([true, true]);
  expect([0, 1, 2].map(store => bench.phase(store))).toEqual(['writing', 'waiting', 'writing']);
});

test('the same record sealed anew is verified as a record at once, as a sealing only by its bytes (DI-022~1)', () => {
  const bench = new Bench([true]);
  bench.publish(publication(1));
  bench.wrote(0);
  bench.read(0, found(publication(1)));
  bench.publish(publication(1, 7));
  expect([isRecordVerified(bench.state), isSealVerified(bench.state)]).toEqual([true, false]);
  bench.wrote(0);
  expect(kinds(bench.read(0, found(publication(1))))).toEqual(['failed 0']);
  expect(isSealVerified(bench.state)).toBe(false);
  expect(kinds(bench.wakeAtDeadline())).toEqual(['read 0']);
  bench.read(0, found(publication(1, 7)));
  expect(isSealVerified(bench.state)).toBe(true);
});

test('another hash, a lower sequence, garbage or nothing is not verified; reading and writing take turns', () => {
  const bench = new Bench([true]);
  bench.publish(publication(2));
  bench.wrote(0);
  expect(bench.read(0, found(publication(1)))).toMatchObject([
    { kind: 'failed', failure: { trouble: 'busy' } },
  ]);
  expect(kinds(bench.wakeAtDeadline())).toEqual(['read 0']);
  const garbage = fault('peer', ErrorCode.FILE_MALFORMED, 'garbage');
  expect(kinds(bench.read(0, { kind: 'invalid', fault: garbage }))).toEqual(['failed 0']);
  expect(kinds(bench.wakeAtDeadline())).toEqual(['write 0']);
  bench.wrote(0);
  expect(kinds(bench.read(0, { kind: 'absent' }))).toEqual(['failed 0']);
  expect(isRecordVerified(bench.state)).toBe(false);
  expect(bench.state.witness).toBeUndefined();
});

test('a local file counts only where there is no other kind (DI-024~1)', () => {
  for (const [remote, counts] of [
    [[false], true],
    [[false, false], true],
    [[false, true], false],
  ] as const) {
    const bench = new Bench(remote);
    bench.publish(publication(1));
    bench.wrote(0);
    expect(bench.read(0, found(publication(1)))).toMatchObject([{ kind: 'verified', counts }]);
    expect([isRecordVerified(bench.state), isSealVerified(bench.state)]).toEqual([counts, counts]);
    expect(bench.state.witness?.sequence).toBe(counts ? 1 : undefined);
  }
});

test('the witness only goes up (DI-025~1)', () => {
  const bench = new Bench([true, true]);
  bench.publish(publication(5));
  bench.wrote(0);
  bench.read(0, found(publication(5)));
  bench.publish(publication(6));
  expect(bench.state.witness?.sequence).toBe(5);
  bench.wrote(0);
  bench.read(0, found(publication(6)));
  expect(bench.state.witness).toEqual(publication(6).record);
  bench.publish(publication(4));
  bench.wrote(1);
  bench.wrote(1);
  bench.read(1, found(publication(4)));
  expect(bench.state.stores[1]?.verified?.sequence).toBe(4);
  expect(bench.state.witness).toEqual(publication(6).record);
});

test('what is published during a write follows it, and never beside it (DI-021~1)', () => {
  const bench = new Bench([true]);
  bench.publish(publication(1));
  expect(bench.publish(publication(2))).toEqual([]);
  expect(bench.publish(publication(3))).toEqual([]);
  expect(bench.wrote(0)).toMatchObject([{ kind: 'write', bytes: publication(3).bytes }]);
  expect(bench.publish(publication(4))).toEqual([]);
  expect(bench.wrote(0, 'busy')).toMatchObject([
    { kind: 'failed' },
    { kind: 'write', bytes: publication(4).bytes },
  ]);
});

test('what is published while an older file is read back ends that read', () => {
  const bench = new Bench([true]);
  bench.publish(publication(1));
  bench.wrote(0);
  const attempt = bench.attempt(0);
  expect(bench.publish(publication(2))).toMatchObject([{ kind: 'cancel', attempt }, { kind: 'write' }]);
  const late: PublishInput = { kind: 'read', store: 0, attempt, verdict: found(publication(1)), entropy: 0 };
  expect(bench.step(late)).toEqual([]);
  expect(bench.phase(0)).toBe('writing');
});

test('an attempt ends when its time is over, whatever the store does (DI-003~1)', () => {
  const bench = new Bench([true]);
  bench.publish(publication(1));
  bench.at = STORE_ATTEMPT_MS_MAX - 1;
  expect(bench.step({ kind: 'wake', entropy: 0 })).toEqual([]);
  bench.at = STORE_ATTEMPT_MS_MAX;
  expect(bench.step({ kind: 'wake', entropy: 0.5 })).toMatchObject([
    { kind: 'cancel' },
    { kind: 'failed', failure: { trouble: 'timeout', code: ErrorCode.TIMEOUT } },
  ]);
  expect(kinds(bench.wakeAtDeadline())).toEqual(['write 0']);
  bench.wrote(0);
  expect(kinds(bench.wakeAtDeadline())).toEqual(['cancel 0', 'failed 0']);
  expect(kinds(bench.wakeAtDeadline())).toEqual(['read 0']);
});

test('waits longer after each failure, longest for what an operator ends (DI-023~1)', () => {
  for (const [trouble, bound] of [
    ['unreachable', PUBLISH_BACKOFF_MS_MAX],
    ['quota', STORE_PATIENCE_MS],
  ] as const) {
    const bench = new Bench([true]);
    bench.publish(publication(1));
    const waits: number[] = [];
    for (let n = 0; n < 14; n += 1) {
      bench.wrote(0, trouble, undefined, 0.999_999_9);
      waits.push((publishDeadline(bench.state) ?? 0) - bench.at);
      bench.wakeAtDeadline();
    }
    expect(waits.slice(0, 4)).toEqual([999, 1999, 3999, 7999]);
    expect(waits.at(-1)).toBe(bound - 1);
    bench.wrote(0);
    bench.read(0, found(publication(1)));
    expect(bench.state.stores[0]?.failures).toBe(0);
  }
});

test('waits as long as a store asks, within reason, even with something new to write (DI-023~1)', () => {
  const bench = new Bench([true, true]);
  bench.publish(publication(1));
  bench.wrote(0, 'busy', 120_000);
  bench.wrote(1, 'busy', 2 ** 40);
  expect(publishDeadline(bench.state)).toBe(120_000);
  bench.at = 1000;
  expect(bench.publish(publication(2))).toEqual([]);
  expect(bench.wakeAtDeadline()).toMatchObject([{ kind: 'write', store: 0 }]);
  bench.wrote(0);
  bench.read(0, found(publication(2)));
  bench.wakeAtDeadline();
  bench.read(0, found(publication(2)));
  expect(publishDeadline(bench.state)).toBe(STORE_PATIENCE_MS);
});

test('with something new it tries at once, however long it would have waited for the old (DI-027~1)', () => {
  const bench = new Bench([true]);
  bench.publish(publication(1));
  for (let n = 0; n < 9; n += 1) {
    bench.wrote(0, 'refused', undefined, 0.9);
    if (n < 8) bench.wakeAtDeadline();
  }
  expect(bench.phase(0)).toBe('waiting');
  expect(kinds(bench.publish(publication(2)))).toEqual(['write 0']);
});

test('looks again a while later, and writes again what an older write has replaced', () => {
  const bench = new Bench([true]);
  bench.publish(publication(2));
  bench.wrote(0);
  bench.read(0, found(publication(2)));
  expect(publishDeadline(bench.state)).toBe(READ_AGAIN_MS);
  expect(kinds(bench.wakeAtDeadline())).toEqual(['read 0']);
  expect(kinds(bench.read(0, found(publication(1))))).toEqual(['failed 0']);
  expect(kinds(bench.wakeAtDeadline())).toEqual(['write 0']);
  bench.wrote(0);
  expect(kinds(bench.read(0, found(publication(2))))).toEqual([]);
  expect(kinds(bench.wakeAtDeadline())).toEqual(['read 0']);
  bench.read(0, found(publication(2)));
  expect(publishDeadline(bench.state)).toBeUndefined();
});

test('a record of our own that is ahead ends all writing for good (DI-026~2)', () => {
  for (const ahead of [
    publication(3),
    { ...publication(2), record: { sequence: 2, hash: new Uint8Array(32) } },
  ]) {
    const bench = new Bench([true, true]);
    bench.publish(publication(2));
    bench.wrote(0);
    expect(bench.read(0, found(ahead))).toMatchObject([
      { kind: 'cancel', store: 1 },
      { kind: 'older', store: 0 },
    ]);
    expect(publishDeadline(bench.state)).toBeUndefined();
    expect(isRecordVerified(bench.state)).toBe(false);
    expect(kinds(bench.publish(publication(4)))).toEqual([]);
    expect(publishDeadline(bench.state)).toBeUndefined();
  }
});

test('nothing is written to a store before it was read (DI-029~1)', () => {
  const bench = new Bench([true, true, true], false);
  expect(kinds(bench.publish(publication(5)))).toEqual(['read 0', 'read 1', 'read 2']);
  expect(kinds(bench.read(0, found(publication(4))))).toEqual(['write 0']);
  expect(kinds(bench.read(1, { kind: 'absent' }))).toEqual(['write 1']);
  expect(kinds(bench.read(2, storeFailed('unreachable', 'x')))).toEqual(['failed 2']);
  // What is published meanwhile waits for the same read.
  expect(kinds(bench.wakeAtDeadline())).toEqual(['read 2']);
  expect(kinds(bench.publish(publication(6)))).toEqual([]);
  expect(kinds(bench.read(2, found(publication(9))))).toEqual(['cancel 0', 'cancel 1', 'older 2']);
});

test('a store that already has the file is verified by that read, and not written (DI-029~1)', () => {
  const bench = new Bench([true], false);
  bench.publish(publication(5));
  expect(bench.read(0, found(publication(5)))).toMatchObject([{ kind: 'verified', sealed: true }]);
  expect(bench.phase(0)).toBe('waiting');
});
