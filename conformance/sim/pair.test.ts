import fc from 'fast-check';
import { afterEach, describe, expect, it, vi } from 'vitest';
import { ErrorCode } from '../../src/gen/clawchat/v1/error_pb.ts';
import { native } from '../../src/node/native.ts';
import { HostSessions } from '../../src/protocol/host-sessions.ts';
import { Path } from '../../src/protocol/path.ts';
import { Retention } from '../../src/protocol/retention.ts';
import { Session } from '../../src/protocol/session.ts';
import { Stream } from '../../src/protocol/stream.ts';
import type { Fault } from '../../src/wire/fault.ts';
import type { DataFrame } from '../../src/wire/frame.ts';
import { FAULTS, type FaultEvent, type FaultKind, runPair, type Scenario } from './pair.ts';
import { Random } from './pair-network.ts';

/** Scenarios that are drawn; `.ci/deep` asks for more. */
const RUNS = Number(process.env['CONFORMANCE_PAIR_RUNS'] ?? 80);
const SEED = Number(process.env['CONFORMANCE_SEED'] ?? 20_261_123);

const event: fc.Arbitrary<FaultEvent> = fc.record({
  at: fc.nat(45_000),
  kind: fc.oneof(
    { weight: 30, arbitrary: fc.constantFrom(...FAULTS.filter(kind => kind !== 'outage')) },
    { weight: 1, arbitrary: fc.constant<FaultKind>('outage') },
  ),
  amount: fc.nat(999),
});
const scenario: fc.Arbitrary<Scenario> = fc.record({
  seed: fc.nat(),
  faults: fc.array(event, { maxLength: 14, size: 'max' }),
});

/** What has to have happened at least once in a campaign, or it proved less than it says. */
const MUST_HAPPEN = [
  'drop in flight',
  'silence',
  'altered',
  'replayed',
  'reordered',
  'coalesced',
  'split',
  'move',
  'move during a move',
  'refused',
  'late attach',
  'host closes GENERATION_STALE',
  'duplicate frame',
  'unreachable',
  'stall',
  'wake',
  'kill client',
  'kill client while it joins',
  'kill host',
  'outage',
  'aborted',
  'ended',
  'full',
  'host closes PATH_SUPERSEDED',
  'host closes SESSION_REPLACED',
  'host closes SESSION_LOST',
  'client closes PATH_DEAD',
  'host closes PATH_DEAD',
  'streams judged',
];

describe('two machines on virtual time', () => {
  afterEach(() => void vi.restoreAllMocks());

  it('SE-031, SE-060: keep every promise of 5.10, whatever the network and the processes do', {
    timeout: Math.max(300_000, RUNS * 2000),
  }, () => {
    const counts = new Map<string, number>();
    plant(
      Session.prototype,
      'receiveData',
      original =>
        function (this: Inside, frame: DataFrame, now: number): Fault | undefined {
          if (frame.sequence <= this.receivedThrough) {
            counts.set('duplicate frame', (counts.get('duplicate frame') ?? 0) + 1);
          }
          return original.call(this, frame, now);
        },
    );
    fc.assert(
      fc.property(scenario, each => {
        const outcome = runPair(native, each);
        for (const [what, count] of outcome.counts) counts.set(what, (counts.get(what) ?? 0) + count);
        expect(outcome.violations).toEqual([]);
      }),
      { numRuns: RUNS, seed: SEED },
    );
    console.log(`pair, ${RUNS} runs: ${JSON.stringify(Object.fromEntries([...counts].sort()))}`);
    expect(MUST_HAPPEN.filter(what => !counts.has(what))).toEqual([]);
  });

  it('gives the same trace for the same scenario, and another for another', () => {
    const first = random(5, FAULTS);
    const traces = [first, first, random(6, FAULTS)].map(each => runPair(native, each).trace);
    expect(traces[1]).toBe(traces[0]);
    expect(traces[2]).not.toBe(traces[0]);
  });
});

/** A scenario of these kinds of faults. */
function random(seed: number, kinds: readonly FaultKind[]): Scenario {
  const numbers = new Random(seed);
  const faults = Array.from({ length: 3 + numbers.below(8) }, () => ({
    at: 1_000 + numbers.below(40_000),
    kind: kinds[numbers.below(kinds.length)] ?? 'drop',
    amount: numbers.below(1_000),
  }));
  return { seed, faults };
}

// biome-ignore lint/suspicious/noExplicitAny: a defect reaches into what is private
type Inside = any;

interface Defect {
  readonly name: string;
  readonly faults: readonly FaultKind[];
  readonly plant: () => void;
}

/** Replace a method of a prototype by one that does wrong. */
function plant(prototype: object, method: string, wrong: (original: Inside) => Inside): void {
  const target = prototype as Record<string, Inside>;
  const original = target[method];
  vi.spyOn(target, method).mockImplementation(wrong(original));
}

const DEFECTS: readonly Defect[] = [
  {
    name: 'no fence: the older path goes on and takes the session with it when it ends',
    faults: ['move', 'drop'],
    plant: () =>
      plant(
        HostSessions.prototype,
        'move',
        original =>
          function (
            this: Inside,
            session: Inside,
            path: Inside,
            frame: Inside,
            now: number,
          ): Fault | undefined {
            const older = session.path;
            session.path = undefined;
            const result = original.call(this, session, path, frame, now);
            if (older !== undefined) older.session = session;
            return result;
          },
      ),
  },
  {
    name: 'an ack ahead of what was taken',
    faults: ['drop'],
    plant: () =>
      plant(
        Session.prototype,
        'writeAck',
        original =>
          function (this: Inside, writer: Inside): boolean {
            this.receivedThrough += 2;
            const result = original.call(this, writer);
            this.receivedThrough -= 2;
            return result;
          },
      ),
  },
  {
    name: 'dropped retention: nothing is sent again',
    faults: ['drop'],
    plant: () =>
      plant(
        Retention.prototype,
        'rewind',
        () =>
          function (this: Inside): void {
            this.next = this.sealed + 1;
          },
      ),
  },
  {
    name: 'credit ignored by the sender',
    faults: ['stall'],
    plant: () => {
      plant(
        Stream.prototype,
        'nextFrame',
        original =>
          function (this: Inside, sequence: number): DataFrame {
            const limit = this.sendLimit;
            this.sendLimit = limit + 100_000;
            const frame = original.call(this, sequence);
            this.sendLimit = limit;
            return frame;
          },
      );
    },
  },
  {
    name: 'credit granted without end by the receiver',
    faults: ['stall'],
    plant: () => {
      plant(
        Stream.prototype,
        'nextFrame',
        original =>
          function (this: Inside, sequence: number): DataFrame {
            this.sendLimit += 10_000_000;
            return original.call(this, sequence);
          },
      );
      plant(
        Session.prototype,
        'receiveData',
        original =>
          function (this: Inside, frame: DataFrame, now: number): Fault | undefined {
            const stream = this.streams.get(frame.stream);
            if (stream !== undefined) stream.limit = 2 ** 50;
            return original.call(this, frame, now);
          },
      );
    },
  },
  {
    name: 'duplicates delivered after an attach',
    faults: ['move', 'late'],
    plant: () =>
      plant(
        Session.prototype,
        'receiveData',
        original =>
          function (this: Inside, frame: DataFrame, now: number): Fault | undefined {
            const through = this.receivedThrough;
            if (frame.sequence > through) return original.call(this, frame, now);
            this.receivedThrough = frame.sequence - 1;
            const result = original.call(this, frame, now);
            this.receivedThrough = through;
            return result;
          },
      ),
  },
  {
    name: 'a stale generation accepted',
    faults: ['late'],
    plant: () =>
      plant(
        HostSessions.prototype,
        'attach',
        original =>
          function (this: Inside, path: Inside, frame: Inside, now: number): Fault | undefined {
            const current = this.byDevice.get(path.recipient.id);
            if (current !== undefined) current.generation = 0;
            return original.call(this, path, frame, now);
          },
      ),
  },
  {
    name: 'a number that an Ack has overtaken is refused (SE-014)',
    faults: ['move', 'late'],
    plant: () =>
      plant(
        Session.prototype,
        'resume',
        original =>
          function (this: Inside, receivedThrough: number, again = true): Fault | undefined {
            if (receivedThrough >= this.retention.acked) return original.call(this, receivedThrough, again);
            return { kind: 'fault', by: 'peer', code: ErrorCode.SESSION_LOST, detail: 'not kept' };
          },
      ),
  },
  {
    name: 'no liveness: a silent path is never given up',
    faults: ['silence'],
    plant: () => {
      plant(Path.prototype, 'watch', () => () => undefined);
      vi.spyOn(Path.prototype, 'deadline', 'get').mockReturnValue(Number.POSITIVE_INFINITY);
    },
  },
  {
    name: 'credit not said again after an attach',
    faults: ['drop', 'stall'],
    plant: () =>
      plant(
        Session.prototype,
        'rewind',
        () =>
          function (this: Inside): void {
            this.retention.rewind();
          },
      ),
  },
];

describe('a defect on purpose turns the run red', () => {
  afterEach(() => void vi.restoreAllMocks());

  it.each(DEFECTS)('$name', defect => {
    const scenarios = Array.from({ length: 60 }, (_, seed) => random(seed + 1, defect.faults));
    defect.plant();
    const red = scenarios.find(each => violations(each).length > 0);
    const said = red === undefined ? [] : violations(red);
    vi.restoreAllMocks();
    expect(said.length).toBeGreaterThan(0);
    // The scenario that shows it is green without the defect.
    expect(red === undefined ? ['none'] : violations(red)).toEqual([]);
    console.log(`${defect.name}: seed ${red?.seed}, ${said[0]}`);
  });
});

function violations(each: Scenario): readonly string[] {
  try {
    return runPair(native, each).violations;
  } catch (error) {
    return [String(error)];
  }
}

it('names its codes', () => {
  // The counts above are keyed by names of codes: a renamed one must not silently stop being counted.
  for (const name of ['PATH_SUPERSEDED', 'SESSION_REPLACED', 'SESSION_LOST', 'PATH_DEAD']) {
    expect(Object.keys(ErrorCode)).toContain(name);
  }
});
