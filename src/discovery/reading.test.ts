import { expect, test } from 'vitest';
import { ErrorCode } from '../gen/clawchat/v1/error_pb.ts';
import { DIAL_BACKOFF_MS_MAX, STANDARD, STORE_ATTEMPT_MS_MAX, STORE_PATIENCE_MS } from '../gen/constants.ts';
import { fault } from '../protocol/fault.ts';
import type { RecordName } from '../protocol/freshness.ts';
import { type ReadInput, type ReadOutput, readDeadline, reading, standings, stepReading } from './reading.ts';
import { describeStanding } from './standing.ts';
import { storeFailed } from './store.ts';
import type { Opened, Verdict } from './verdict.ts';

const TIMES = { readBeforeDialMs: STANDARD.READ_BEFORE_DIAL_MS, readAgainMs: STANDARD.STORE_READ_AGAIN_MS };
const WALL = 1_800_000_000_000;
const LATER = WALL + 3_600_000;

const name = (sequence: number, hash = sequence): RecordName => ({
  sequence,
  hash: new Uint8Array(32).fill(hash),
});
const gives = (sequence: number, more?: Partial<Opened>): Verdict<Opened> => ({
  kind: 'record',
  record: { ...name(sequence), ...more },
  bytes: Uint8Array.of(sequence),
});
const invalid = (code: ErrorCode): Verdict<Opened> => ({ kind: 'invalid', fault: fault('peer', code, 'x') });
const DOWN = storeFailed('unreachable', 'x');

class Bench {
  state;
  at = 0;
  constructor(...keys: string[]) {
    this.state = reading(keys, TIMES);
  }
  step(input: ReadInput<Opened>): readonly ReadOutput<Opened>[] {
    const [state, outputs] = stepReading(this.state, input, { wall: WALL + this.at, mono: this.at });
    this.state = state;
    return outputs;
  }
  start(held?: RecordName, nextRotationMs = WALL): string[] {
    return say(
      this.step({ kind: 'start', held: held === undefined ? undefined : { ...held, nextRotationMs } }),
    );
  }
  answer(key: string, verdict: Verdict<Opened>): string[] {
    const attempt = this.state.stores.find(store => store.key === key)?.reading?.attempt ?? -1;
    return say(this.step({ kind: 'answer', key, attempt, verdict, entropy: 0.5 }));
  }
  dialFailed(entropy = 0.5): string[] {
    return say(this.step({ kind: 'dialFailed', entropy }));
  }
  wakeAtDeadline(): string[] {
    this.at = readDeadline(this.state) ?? this.at;
    return say(this.step({ kind: 'wake', entropy: 0.5 }));
  }
  standing(key: string): string | undefined {
    return standings(this.state).find(report => report.key === key)?.standing;
  }
}

function say(outputs: readonly ReadOutput<Opened>[]): string[] {
  return outputs.map(sayOne);
}

function sayOne(output: ReadOutput<Opened>): string {
  switch (output.kind) {
    case 'read':
      return `read ${output.key}${output.unconditional ? ' whole' : ''}`;
    case 'cancel':
      return `cancel ${output.key}`;
    case 'accept':
      return `accept ${output.record.sequence} of ${output.key}`;
    case 'dial':
      return `dial ${output.record.sequence}`;
    case 'equivocation':
      return `equivocation ${output.key}`;
    case 'stale':
      return `stale ${output.key}`;
    case 'exhausted':
      return `exhausted${output.dials ? '' : ', nothing to dial'}`;
  }
}

test('dials at once up to 120 s before the rotation, reads first from then on (DI-030~1)', () => {
  const limit = WALL + TIMES.readBeforeDialMs;
  expect(new Bench('a', 'b').start(name(1), limit + 1)).toEqual(['dial 1']);
  expect(new Bench('a', 'b').start(name(1), limit)).toEqual(['read a', 'read b']);
  expect(new Bench('a', 'b').start()).toEqual(['read a', 'read b']);
});

test('dials with the first record not older than its own, and goes on reading (DI-031~1)', () => {
  const bench = new Bench('a', 'b', 'c');
  bench.start(name(5));
  expect(bench.answer('a', gives(4))).toEqual([]);
  expect(bench.answer('b', gives(5))).toEqual(['dial 5']);
  expect(bench.answer('c', gives(7))).toEqual(['accept 7 of c', 'dial 7']);
  expect(['a', 'b', 'c'].map(key => bench.standing(key))).toEqual(['behind', 'current', 'current']);
});

test('a higher record supersedes a dial that is waited for as well; an equal one does not', () => {
  const bench = new Bench('a', 'b', 'c');
  bench.start();
  expect(bench.answer('a', gives(5))).toEqual(['accept 5 of a', 'dial 5']);
  bench.dialFailed();
  expect(bench.answer('b', gives(5))).toEqual([]);
  expect(bench.answer('c', gives(6))).toEqual(['accept 6 of c', 'dial 6']);
});

test('never dials an older record, and dials its own when no store has a newer one (DI-033~1, DI-034~1)', () => {
  const bench = new Bench('a', 'b');
  bench.start(name(9));
  expect(bench.answer('a', gives(8))).toEqual([]);
  expect(bench.answer('b', DOWN)).toEqual(['exhausted', 'dial 9']);
});

test('with nothing to dial it waits, reads and waits again (DI-033~1)', () => {
  const bench = new Bench('a');
  bench.start();
  expect(bench.answer('a', DOWN)).toEqual(['exhausted, nothing to dial']);
  expect(bench.wakeAtDeadline()).toEqual(['read a whole']);
  expect(bench.answer('a', { kind: 'absent' })).toEqual(['exhausted, nothing to dial']);
  expect(bench.wakeAtDeadline()).toEqual(['read a whole']);
  expect(bench.answer('a', gives(1))).toEqual(['accept 1 of a', 'dial 1']);
});

test('without any store it dials its own, for ever', () => {
  const bench = new Bench();
  expect(bench.start(name(3))).toEqual(['exhausted', 'dial 3']);
  bench.dialFailed();
  expect(bench.wakeAtDeadline()).toEqual(['exhausted', 'dial 3']);
  expect(new Bench().start()).toEqual(['exhausted, nothing to dial']);
});

test('after a failed dial: 1, 2, 4 ... 60 s with full jitter, then all stores, whole, for ever (DI-032~1, DI-043~1)', () => {
  const bench = new Bench('a');
  bench.start(name(1), LATER);
  const waits: number[] = [];
  for (let n = 0; n < 20; n += 1) {
    expect(bench.dialFailed(n === 19 ? 0 : 0.999_999)).toEqual([]);
    waits.push((readDeadline(bench.state) ?? 0) - bench.at);
    expect(bench.wakeAtDeadline()).toEqual(['read a whole']);
    expect(bench.answer('a', gives(1))).toEqual(['dial 1']);
  }
  expect(waits.slice(0, 7)).toEqual([999, 1999, 3999, 7999, 15_999, 31_999, 59_999]);
  expect(waits.at(-2)).toBe(DIAL_BACKOFF_MS_MAX - 1);
  expect(waits.at(-1)).toBe(0);
});

test('a connection begins the waits anew', () => {
  const bench = new Bench('a');
  bench.start(name(1), LATER);
  for (let n = 0; n < 5; n += 1) {
    bench.dialFailed();
    bench.wakeAtDeadline();
    bench.answer('a', gives(1));
  }
  bench.step({ kind: 'connected', witness: undefined });
  bench.start(name(1), LATER);
  bench.dialFailed(0.999_999);
  expect((readDeadline(bench.state) ?? 0) - bench.at).toBe(999);
});

test('a store that does not answer ends with its attempt, and the round with it (DI-003~1)', () => {
  const bench = new Bench('a');
  bench.start(name(1));
  bench.at = STORE_ATTEMPT_MS_MAX - 1;
  expect(say(bench.step({ kind: 'wake', entropy: 0 }))).toEqual([]);
  expect(bench.wakeAtDeadline()).toEqual(['cancel a', 'exhausted', 'dial 1']);
  expect(bench.at).toBe(STORE_ATTEMPT_MS_MAX);
  expect(standings(bench.state)[0]?.fault).toMatchObject({ code: ErrorCode.TIMEOUT });
});

test('a read that goes on is not begun twice, and what comes after a cancel is ignored', () => {
  const bench = new Bench('a', 'b');
  bench.start();
  bench.answer('a', gives(1));
  bench.dialFailed();
  expect(bench.wakeAtDeadline()).toEqual(['read a whole']);
  const attempt = bench.state.stores[1]?.reading?.attempt ?? -1;
  expect(say(bench.step({ kind: 'stop' }))).toEqual(['cancel a', 'cancel b']);
  expect(say(bench.step({ kind: 'answer', key: 'b', attempt, verdict: gives(9), entropy: 0 }))).toEqual([]);
  expect(bench.state.held?.sequence).toBe(1);
});

test('unchanged means what it meant before', () => {
  const bench = new Bench('a');
  bench.start();
  bench.answer('a', gives(4));
  bench.step({ kind: 'connected', witness: undefined });
  bench.start(name(4));
  expect(bench.answer('a', { kind: 'unchanged' })).toEqual(['dial 4']);
  bench.step({ kind: 'learned', record: name(5) });
  bench.start(name(5));
  expect(bench.answer('a', { kind: 'unchanged' })).toEqual(['exhausted', 'dial 5']);
  expect(bench.standing('a')).toBe('behind');
});

test('a succession is newer whatever its sequence is', () => {
  const bench = new Bench('a', 'b');
  bench.start(name(100));
  expect(bench.answer('a', gives(7, { moved: true }))).toEqual(['accept 7 of a', 'dial 7']);
  expect(bench.answer('b', gives(8))).toEqual(['accept 8 of b', 'dial 8']);
});

test('another payload under a known sequence is named, and the first kept (DI-035~2)', () => {
  const bench = new Bench('a');
  bench.start(name(4));
  expect(bench.answer('a', gives(4, { hash: new Uint8Array(32) }))).toEqual([
    'equivocation a',
    'exhausted',
    'dial 4',
  ]);
  expect(bench.state.held).toEqual(name(4));
  expect(bench.standing('a')).toBe('lying');
});

test('remembers who lied, lagged, failed, and how often (DI-035~2, DI-038~1)', () => {
  const cases: readonly (readonly [Verdict<Opened>, string, string])[] = [
    [invalid(ErrorCode.FILE_MALFORMED), 'lying', 'not the host'],
    [invalid(ErrorCode.FILE_ALTERED), 'lying', 'not the host'],
    [invalid(ErrorCode.SIGNATURE_INVALID), 'lying', 'not the host'],
    [invalid(ErrorCode.SERVER_MISMATCH), 'lying', 'not the host'],
    [invalid(ErrorCode.RECORD_INVALID), 'lying', 'not the host'],
    [invalid(ErrorCode.SUCCESSION_INVALID), 'lying', 'not the host'],
    [invalid(ErrorCode.FILE_TOO_LARGE), 'lying', 'not the host'],
    [storeFailed('oversized', 'x'), 'lying', 'not the host'],
    [invalid(ErrorCode.RECORD_ROLLBACK), 'behind', 'behind'],
    [gives(1), 'behind', 'behind'],
    [invalid(ErrorCode.NOT_A_RECIPIENT), 'foreign', 'not for this device'],
    [invalid(ErrorCode.VERSION_UNSUPPORTED), 'unusable', 'newer version'],
    [invalid(ErrorCode.VERSION_UNSUPPORTED), 'unusable', 'newer version'],
    [{ kind: 'absent' }, 'absent', 'nothing lies there'],
    [DOWN, 'failing', 'no use now'],
    [gives(5), 'current', 'current'],
  ];
  const bench = new Bench('a');
  bench.start(name(5), LATER);
  for (const [verdict, standing, words] of cases) {
    bench.dialFailed();
    bench.wakeAtDeadline();
    bench.answer('a', verdict);
    expect(bench.standing('a')).toBe(standing);
    const [report] = standings(bench.state);
    const detail = report?.fault?.detail ?? '';
    const view = report && { ...report, sequence: report.sequence ?? 0, detail };
    expect(view && describeStanding('STORE', view)).toMatch(new RegExp(`^STORE: .*${words}`));
  }
  expect(standings(bench.state)[0]).toMatchObject({ timesLying: 8, timesBehind: 2, timesFailed: 3 });
});

test('a store that asks for patience is left alone for a while, within reason', () => {
  const bench = new Bench('a', 'b');
  bench.start(name(1));
  bench.answer('a', storeFailed('busy', 'x', 2 ** 40));
  expect(bench.answer('b', DOWN)).toEqual(['exhausted', 'dial 1']);
  bench.dialFailed();
  expect(bench.wakeAtDeadline()).toEqual(['read b whole']);
  bench.answer('b', DOWN);
  bench.dialFailed();
  bench.at = STORE_PATIENCE_MS;
  expect(say(bench.step({ kind: 'wake', entropy: 0 }))).toEqual(['read a whole', 'read b whole']);
});

test('a witness unmasks a frozen store at its second read, and no sooner (DI-036~1)', () => {
  const bench = new Bench('frozen', 'slow', 'good');
  bench.start();
  bench.answer('frozen', gives(3));
  bench.answer('slow', gives(3));
  bench.answer('good', gives(5));
  expect(say(bench.step({ kind: 'connected', witness: name(5) }))).toEqual([]);
  expect(readDeadline(bench.state)).toBe(TIMES.readAgainMs);
  expect(bench.wakeAtDeadline()).toEqual(['read frozen whole', 'read slow whole']);
  expect(bench.answer('slow', gives(5))).toEqual([]);
  expect(bench.answer('frozen', gives(3))).toEqual(['stale frozen']);
  expect(['frozen', 'slow', 'good'].map(key => bench.standing(key))).toEqual(['stale', 'current', 'current']);
  expect(readDeadline(bench.state)).toBeUndefined();
});

test('after a dial without a read the stores are read once connected, and twice where they are behind (DI-036~1)', () => {
  const bench = new Bench('a', 'b');
  bench.start(name(5), LATER);
  expect(say(bench.step({ kind: 'connected', witness: name(6) }))).toEqual(['read a whole', 'read b whole']);
  expect(bench.answer('a', gives(6))).toEqual(['accept 6 of a']);
  expect(bench.answer('b', gives(5))).toEqual([]);
  expect(bench.wakeAtDeadline()).toEqual(['read b whole']);
  expect(bench.answer('b', gives(4))).toEqual(['stale b']);
});

test('a witness with the sequence that is held and another hash is the second of two records (CF-033~2)', () => {
  const bench = new Bench('a');
  bench.start();
  bench.answer('a', gives(5));
  expect(say(bench.step({ kind: 'connected', witness: name(5) }))).toEqual([]);
  expect(bench.step({ kind: 'connected', witness: name(5, 6) })).toEqual([
    { kind: 'equivocation', key: undefined, kept: name(5), other: name(5, 6) },
  ]);
});

test('a store that lacks what the host has verified is read again, also by a client that has a newer record (DI-036~1)', () => {
  const bench = new Bench('a', 'b');
  bench.start();
  bench.answer('a', gives(7));
  bench.answer('b', gives(4));
  bench.step({ kind: 'connected', witness: name(5) });
  expect(bench.wakeAtDeadline()).toEqual(['read b whole']);
  expect(bench.answer('b', gives(4))).toEqual(['stale b']);
});

test('a store that fails is not stale, and without a witness nothing is', () => {
  const bench = new Bench('a');
  bench.start(name(5), LATER);
  bench.step({ kind: 'connected', witness: name(6) });
  expect(bench.answer('a', DOWN)).toEqual([]);
  expect(readDeadline(bench.state)).toBeUndefined();
  const was = new Bench('a');
  was.start();
  was.answer('a', gives(1));
  was.step({ kind: 'connected', witness: name(6) });
  expect(was.wakeAtDeadline()).toEqual(['read a whole']);
  expect(was.answer('a', DOWN)).toEqual([]);
  expect(readDeadline(was.state)).toBeUndefined();
  const other = new Bench('a');
  other.start();
  other.answer('a', gives(1));
  expect(say(other.step({ kind: 'connected', witness: undefined }))).toEqual([]);
  expect(readDeadline(other.state)).toBeUndefined();
});

test('follows the host to other stores and remembers those that stay (DI-037~1)', () => {
  const bench = new Bench('old', 'both');
  bench.start();
  bench.answer('both', invalid(ErrorCode.FILE_ALTERED));
  expect(say(bench.step({ kind: 'stores', keys: ['both', 'new'] }))).toEqual([
    'cancel old',
    'read new whole',
  ]);
  expect(standings(bench.state).map(({ key, timesLying }) => `${key} ${timesLying}`)).toEqual([
    'both 1',
    'new 0',
  ]);
  expect(bench.answer('new', gives(2))).toEqual(['accept 2 of new', 'dial 2']);
});

test('a change of stores during the last read of a round ends it', () => {
  const bench = new Bench('old');
  bench.start(name(1));
  expect(say(bench.step({ kind: 'stores', keys: [] }))).toEqual(['cancel old', 'exhausted', 'dial 1']);
});

test('hurrying ends the wait', () => {
  const bench = new Bench('a');
  bench.start(name(1), LATER);
  bench.dialFailed();
  expect(say(bench.step({ kind: 'hurry' }))).toEqual(['read a whole']);
  expect(say(bench.step({ kind: 'hurry' }))).toEqual([]);
});

test('names a store once, also when its failure names it', () => {
  const view = { standing: 'failing', sequence: 0, detail: 'https://s/f: ECONNREFUSED' };
  expect(describeStanding('https://s/f', view)).toBe('https://s/f: no use now (ECONNREFUSED)');
});
