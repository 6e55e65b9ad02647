/** Every row of the table of chapter 6, at its instant and a millisecond to either side. */
import { describe, expect, test } from 'vitest';
import {
  BIND_ATTEMPTS_MAX,
  CLOCK_LOOK_MS,
  CLOCK_STEP_MS,
  type Constants,
  MINIMAL,
  PORT_MIN,
  STANDARD,
  STORE_ATTEMPT_MS_MAX,
} from '../../src/gen/constants.ts';
import { deadline, step } from '../../src/protocol/rotation.ts';
import { noticeFor } from '../../src/protocol/rotation-notice.ts';
import { Bench, WALL_AT } from './rotation-bench.ts';

const TICK = { kind: 'tick' } as const;
const includes =
  (what: string) =>
  (kinds: readonly string[]): boolean =>
    kinds.includes(what);
const AT = [false, true, true];

describe.each<[string, Constants]>([
  ['standard', STANDARD],
  ['minimal', MINIMAL],
])('the rows, preset %s', (_, constants) => {
  const c = constants;
  const R = c.ROTATION_INTERVAL_MS;
  const bench = (until: number, isMapped = true): Bench => {
    const made = new Bench({ constants, isMapped });
    made.weather.storeMs = c.VERIFY_LEAD_MS / 5;
    return made.run(until);
  };

  test('RT-100~1, RT-102~1: R - PREPARE_LEAD_MS draws a port, commits it, listens and maps', () => {
    const at = R - c.PREPARE_LEAD_MS;
    const b = bench(at - 2);
    expect(b.edge(at, TICK, includes('draw'))).toEqual(AT);
    b.run(at);
    expect([...b.host.listeners.keys()]).toEqual(b.state.places.map(({ port }) => port));
    expect(b.host.listeners.size).toBe(2);
    expect([...b.host.mappings]).toEqual([...b.host.listeners.keys()]);
    // Nobody is told yet.
    expect(b.seen('publish')).toHaveLength(1);
    expect(b.seen('notify')).toHaveLength(0);
  });

  test.each(['refused', 'silent'] as const)('RT-108~1: R - MAPPING_LEAD_MS holds, mapping %s', map => {
    const b = bench(R - c.PREPARE_LEAD_MS - 1);
    b.weather.map = map;
    const at = R - c.MAPPING_LEAD_MS;
    b.run(at - 2);
    expect(b.edge(at, TICK, includes('then notify'))).toEqual(AT);
    b.run(at);
    expect(b.notes()).toContain('held mapping');
    expect(b.state.rotationAtMs).toBe(WALL_AT + R + c.HOLD_MS);
    expect(b.seen('notify').at(-1)?.notice).toEqual({
      kind: 'hold',
      rotatesInMs: c.MAPPING_LEAD_MS + c.HOLD_MS,
      oldEndsInMs: c.MAPPING_LEAD_MS + c.HOLD_MS + c.GRACE_MS,
      sequence: undefined,
    });
    // The record says so too, and both listeners stay.
    expect(b.state.record?.nextRotationMs).toBe(WALL_AT + R + c.HOLD_MS);
    expect(b.host.listeners.size).toBe(2);
    b.weather.map = 'mapped';
    b.run(R + c.HOLD_MS + STORE_ATTEMPT_MS_MAX + 2 * c.HOLD_MS);
    expect(b.notes()).toContain('rotated');
  });

  test('RT-108~1: R - MAPPING_LEAD_MS holds when nothing has said yet that the port listens', () => {
    const at = R - c.MAPPING_LEAD_MS;
    const b = bench(at - 2, false);
    const next = b.state.places.at(-1)?.port;
    const ports = b.state.ports.map(one =>
      one.port === next ? { ...one, listener: 'opening' as const } : one,
    );
    b.host.state = { ...b.state, ports };
    expect(b.edge(at, TICK, includes('then notify'))).toEqual(AT);
    b.run(at).host.input(TICK);
    b.run(at + 1);
    expect(b.notes()).toContain('held no-port');
  });

  test('RT-008~1, RT-103~1, RT-104~1, RT-113~1: R - PUBLISH_LEAD_MS publishes and tells, with both ports', () => {
    const at = R - c.PUBLISH_LEAD_MS;
    const b = bench(at - 2);
    expect(b.edge(at, TICK, includes('then publish'))).toEqual(AT);
    b.run(at);
    const [old, next] = b.state.places;
    expect(b.seen('publish', at).map(({ record }) => record)).toEqual([
      {
        sequence: 2,
        epoch: 2,
        issuedAtMs: WALL_AT + at,
        nextRotationMs: WALL_AT + 2 * R,
        validUntilMs: WALL_AT + 2 * R + c.GRACE_MS,
        ports: [
          { port: next?.port, notBeforeMs: WALL_AT + at, notAfterMs: WALL_AT + 2 * R + c.GRACE_MS },
          { port: old?.port, notBeforeMs: WALL_AT + at, notAfterMs: WALL_AT + R + c.GRACE_MS },
        ],
        epochs: [2, 1],
      },
    ]);
    expect(2 * R + c.GRACE_MS - at).toBe(c.RECORD_LIFE_MS);
    expect(b.seen('notify')).toEqual([
      {
        at,
        kind: 'notify',
        notice: {
          kind: 'move',
          rotatesInMs: c.PUBLISH_LEAD_MS,
          oldEndsInMs: c.PUBLISH_LEAD_MS + c.GRACE_MS,
          sequence: 2,
        },
      },
    ]);
  });

  test('RT-107~1: R - VERIFY_LEAD_MS holds when nothing is verified, and not when something is', () => {
    const at = R - c.VERIFY_LEAD_MS;
    const b = bench(R - c.PUBLISH_LEAD_MS - 1);
    b.weather.storeMs = undefined;
    b.run(at - 2);
    expect(b.edge(at, TICK, includes('then notify'))).toEqual(AT);
    // At that very millisecond a store that answers is in time.
    expect(b.edge(at, { kind: 'verified', sequence: 2 }, includes('verified'))).toEqual([true, true, true]);
    expect(b.edge(at, { kind: 'verified', sequence: 1 }, includes('verified'))).toEqual([
      false,
      false,
      false,
    ]);
    // A store cannot show what was never published.
    expect(b.edge(at - 2, { kind: 'verified', sequence: 3 }, includes('verified'))).toEqual([
      false,
      false,
      false,
    ]);
    b.run(at);
    expect(b.state.phase).toBe('preparing');
    expect(b.state.rotationAtMs).toBe(WALL_AT + R + c.HOLD_MS);
    expect(b.notes()).toContain('held stores');
    expect(b.host.listeners.size).toBe(2);
    expect([...b.host.accepted]).toEqual([1, 2]);
    // The rows come again, with fresh times, as often as it takes.
    b.run(R + c.HOLD_MS - c.PUBLISH_LEAD_MS);
    expect(b.state.record).toMatchObject({
      sequence: 3,
      epoch: 2,
      nextRotationMs: WALL_AT + 2 * R + c.HOLD_MS,
    });
    b.run(R + c.HOLD_MS - c.VERIFY_LEAD_MS);
    expect(b.state.rotationAtMs).toBe(WALL_AT + R + 2 * c.HOLD_MS);
    // The first record of the epoch is enough: it lists the port.
    b.host.input({ kind: 'verified', sequence: 2 });
    b.run(R + 2 * c.HOLD_MS);
    expect(b.notes()).toContain('rotated');
  });

  test('RT-105~1: R makes the next port primary, and keeps the old one', () => {
    const b = bench(R - 2);
    expect(b.edge(R, TICK, includes('then setPrimary'))).toEqual(AT);
    b.run(R);
    expect(b.state.phase).toBe('grace');
    expect(b.state.places.map(({ role }) => role)).toEqual(['old', 'primary']);
    expect(b.host.listeners.size).toBe(2);
    expect([...b.host.accepted]).toEqual([1, 2]);
  });

  test('RT-106~1: R + RETIRE_MS ends listener, mapping and keys of the old port', () => {
    const at = R + c.RETIRE_MS;
    const b = bench(at - 2);
    expect(b.edge(at, TICK, includes('then unlisten'))).toEqual(AT);
    expect(b.edge(at, TICK, includes('then unmap'))).toEqual(AT);
    expect(b.edge(at, TICK, includes('then retire'))).toEqual(AT);
    b.run(at);
    expect(b.state.phase).toBe('resting');
    expect(b.host.listeners.size).toBe(1);
    expect(b.host.mappings.size).toBe(1);
    expect([...b.host.accepted]).toEqual([2]);
    b.run(2 * R);
    expect(b.notes().filter(what => what === 'rotated')).toHaveLength(2);
  });

  test('RT-140~1, RT-141~1: E + EMERGENCY_MS ends everything earlier, once verified', () => {
    const E = R / 2;
    const b = bench(E);
    b.host.input({ kind: 'emergency', isHard: false });
    b.run(E + 1);
    const end = E + c.EMERGENCY_MS;
    b.run(end - 2);
    expect(b.host.listeners.size).toBe(2);
    expect(b.edge(end, TICK, includes('then unlisten'))).toEqual(AT);
    b.run(end);
    expect(b.host.listeners.size).toBe(1);
    expect([...b.host.accepted]).toEqual([2]);
    expect(b.notes()).toContain('emergency-ended');
    expect(b.state.rotationAtMs).toBe(WALL_AT + E + R);
  });

  test('RT-141~1: without a store it waits, and ends at the verified one or, hard, at E + EMERGENCY_MS', () => {
    const E = R / 2;
    const b = bench(E);
    b.weather.storeMs = undefined;
    b.host.input({ kind: 'emergency', isHard: false });
    b.run(E + 3 * c.EMERGENCY_MS);
    expect(b.host.listeners.size).toBe(2);
    const now = b.world.now;
    expect(b.edge(now, { kind: 'verified', sequence: 2 }, includes('then unlisten'))).toEqual([
      true,
      true,
      true,
    ]);
    expect(b.edge(now, { kind: 'verified', sequence: 1 }, includes('then unlisten'))).toEqual([
      false,
      false,
      false,
    ]);
    const hard = bench(E);
    hard.weather.storeMs = undefined;
    hard.host.input({ kind: 'emergency', isHard: true });
    const end = E + c.EMERGENCY_MS;
    hard.run(end - 2);
    expect(hard.edge(end, TICK, includes('then unlisten'))).toEqual(AT);
  });

  test('RT-130~1: a change of the clocks by more than CLOCK_STEP_MS makes fresh times, either way', () => {
    const b = bench(R / 2);
    const after = (byMs: number): boolean => {
      const { wall, mono } = b.host.now;
      const [next] = step(b.state, TICK, { wall: wall + byMs, mono });
      return next.commit?.then.some(({ kind }) => kind === 'publish') === true;
    };
    const S = CLOCK_STEP_MS;
    expect([S - 1, S, S + 1].map(after)).toEqual([false, false, true]);
    expect([1 - S, -S, -S - 1].map(after)).toEqual([false, false, true]);
    expect(deadline(b.state)).toBeLessThanOrEqual(b.state.clock.mono + CLOCK_LOOK_MS);
  });

  test('RT-133~1: the clock is checked at the start and then each CLOCK_CHECK_MS', () => {
    const b = new Bench({ constants });
    b.host.start();
    expect(b.state.checkAt).toBe(b.state.clock.mono + c.CLOCK_CHECK_MS);
    b.run(c.CLOCK_CHECK_MS - 2);
    expect(b.edge(c.CLOCK_CHECK_MS, TICK, includes('checkClock'))).toEqual(AT);
  });

  test('RT-133~1: more than CLOCK_WARN_MS off warns, more than CLOCK_HOLD_MS holds', () => {
    const says = (offsetMs: number): string[] => {
      const b = new Bench({ constants });
      b.weather.clockOffsetMs = offsetMs;
      return b.run(1).notes();
    };
    const W = c.CLOCK_WARN_MS;
    const H = c.CLOCK_HOLD_MS;
    expect([W - 1, W, W + 1, -W - 1].map(ms => says(ms).includes('clock-off'))).toEqual([
      false,
      false,
      true,
      true,
    ]);
    expect([H - 1, H, H + 1, -H - 1].map(ms => says(ms).includes('clock-unfit'))).toEqual([
      false,
      false,
      true,
      true,
    ]);
  });

  test('RT-134~1: an unfit clock is checked again each HOLD_MS, and holds every row until it is right', () => {
    const b = bench(1);
    b.weather.clockOffsetMs = c.CLOCK_HOLD_MS + 1;
    b.run(c.CLOCK_CHECK_MS);
    expect(b.notes()).toContain('clock-unfit');
    const again = c.CLOCK_CHECK_MS + c.HOLD_MS;
    b.run(again - 2);
    expect(b.edge(again, TICK, includes('checkClock'))).toEqual(AT);
    // It was found unfit at R: the row of R was passed before, and the old place does not end.
    b.run(R + 3 * c.HOLD_MS);
    expect(b.host.listeners.size).toBe(2);
    b.weather.clockOffsetMs = 0;
    b.run(R + 5 * c.HOLD_MS);
    expect(b.host.listeners.size).toBe(1);
  });

  test.each([
    ['preparing', R - c.PREPARE_LEAD_MS - 1],
    ['publishing', R - c.PUBLISH_LEAD_MS - 1],
    ['rotating', R - 1],
  ])('RT-134~1: an unfit clock stops %s', (_row, before) => {
    const b = bench(before);
    b.host.input({ kind: 'clockChecked', offsetMs: -c.CLOCK_HOLD_MS - 1 });
    b.run(R + 1);
    expect(b.notes()).toContain('held clock');
    expect(b.notes()).not.toContain('rotated');
    b.host.input({ kind: 'clockChecked', offsetMs: 0 });
    b.run(R + 4 * c.HOLD_MS);
    expect(b.notes()).toContain('rotated');
  });

  test('a process that was stopped over many rows holds once, to a row that lies ahead', () => {
    const b = bench(R - c.PUBLISH_LEAD_MS - 1);
    b.weather.storeMs = undefined;
    b.run(R - c.PUBLISH_LEAD_MS);
    const { wall, mono } = b.host.now;
    const stoppedMs = 4 * c.HOLD_MS;
    const [next] = step(b.state, TICK, { wall: wall + stoppedMs, mono: mono + stoppedMs });
    const leadMs = next.rotationAtMs - (wall + stoppedMs);
    expect(leadMs).toBeGreaterThan(c.PUBLISH_LEAD_MS);
    expect(leadMs).toBeLessThanOrEqual(c.PUBLISH_LEAD_MS + c.HOLD_MS);
  });

  test('a process that was stopped over R gives the old port its grace from then on', () => {
    const slackMs = c.RETIRE_MS - c.GRACE_MS;
    const listedMs = (lateMs: number): number => {
      const b = bench(R - 2);
      const { wall, mono } = b.host.now;
      const [next] = step(b.state, TICK, { wall: wall + 2 + lateMs, mono: mono + 2 + lateMs });
      const old = next.places.find(({ role }) => role === 'old');
      return (old?.listedUntil?.wall ?? 0) - (wall + 2 + lateMs);
    };
    expect([slackMs - 1, slackMs, slackMs + 1].map(listedMs)).toEqual([
      c.GRACE_MS - slackMs + 1,
      c.GRACE_MS - slackMs,
      c.GRACE_MS,
    ]);
  });

  test('RT-101~1: the answer to another commit lets nothing go', () => {
    const b = bench(R - 2);
    const { wall, mono } = b.host.now;
    const now = { wall: wall + 2, mono: mono + 2 };
    const [waiting] = step(b.state, TICK, now);
    const id = waiting.commit?.id ?? 0;
    expect(step(waiting, { kind: 'committed', id: id - 1 }, now)[1]).toEqual([]);
    expect(step(waiting, { kind: 'committed', id }, now)[1][0]).toMatchObject({
      kind: 'setPrimary',
      epoch: 2,
    });
  });

  test('RT-126~1: whoever attaches elsewhere is told what goes on, and nobody else is', () => {
    const told = (ms: number, of: 'first' | 'last', emergency = false): unknown => {
      const b = bench(ms);
      if (emergency) {
        b.weather.storeMs = undefined;
        b.host.input({ kind: 'emergency', isHard: false });
        b.run(ms + 1);
      }
      const place = of === 'first' ? b.state.places[0] : b.state.places.at(-1);
      return place && noticeFor(b.state, place, b.host.now);
    };
    expect(told(R / 2, 'first')).toBeUndefined();
    expect(told(R - c.MAPPING_LEAD_MS, 'first')).toBeUndefined();
    expect(told(R - c.MAPPING_LEAD_MS, 'last')).toBeUndefined();
    const lead = c.MIGRATE_LEAD_MS;
    expect(told(R - lead, 'first')).toEqual({
      kind: 'move',
      rotatesInMs: lead,
      oldEndsInMs: lead + c.GRACE_MS,
      sequence: 2,
    });
    expect(told(R - lead, 'last')).toBeUndefined();
    expect(told(R + c.MIGRATE_LAG_MS, 'first')).toEqual({
      kind: 'move',
      rotatesInMs: 0,
      oldEndsInMs: c.GRACE_MS - c.MIGRATE_LAG_MS,
      sequence: 2,
    });
    expect(told(R / 2, 'first', true)).toEqual({
      kind: 'emergency',
      rotatesInMs: 0,
      oldEndsInMs: c.EMERGENCY_MS - 1,
      sequence: 2,
    });
    expect(told(R / 2, 'last', true)).toBeUndefined();
  });

  test('RT-101~1, RT-126~1: nobody is told of what is not durable yet', () => {
    const b = bench(R - c.PUBLISH_LEAD_MS - 1);
    b.weather.canCommit = false;
    b.run(R - c.PUBLISH_LEAD_MS + 1);
    expect(b.state).toMatchObject({ phase: 'publishing', record: { sequence: 2 } });
    const [old] = b.state.places;
    expect(old && noticeFor(b.state, old, b.host.now)).toBeUndefined();
    expect(b.seen('notify')).toEqual([]);
    b.weather.canCommit = true;
    b.run(R - c.PUBLISH_LEAD_MS + 1 + c.RETRY_MS);
    expect(old && noticeFor(b.state, old, b.host.now)).toMatchObject({ kind: 'move', sequence: 2 });
    expect(b.seen('notify')).toHaveLength(1);
  });

  test('a mapping that is retried comes RETRY_MS later', () => {
    const b = bench(R - c.PREPARE_LEAD_MS - 1);
    b.weather.map = 'refused';
    const at = R - c.PREPARE_LEAD_MS + c.RETRY_MS;
    b.run(at - 2);
    expect(b.edge(at, TICK, includes('map'))).toEqual(AT);
  });
});

describe('ports', () => {
  const R = STANDARD.ROTATION_INTERVAL_MS;
  const PREPARE = R - STANDARD.PREPARE_LEAD_MS;

  test.each([
    [BIND_ATTEMPTS_MAX - 1, true],
    [BIND_ATTEMPTS_MAX, false],
  ])('RT-114~1: after %i refused ports another one is tried: %s', (refusals, isTried) => {
    const b = new Bench().run(PREPARE - 1);
    let left = refusals;
    b.weather.canBind = () => left-- <= 0;
    b.run(PREPARE + 10);
    expect(b.host.listeners.size).toBe(isTried ? 2 : 1);
    expect(b.notes().filter(what => what === 'port-refused')).toHaveLength(refusals);
    b.run(R + 10);
    expect(b.notes()).toContain(isTried ? 'rotated' : 'held no-port');
    b.run(R + STANDARD.HOLD_MS + 10);
    expect(b.notes()).toContain('rotated');
  });

  test('RT-111~1: a port in use and one that was given up lately are passed over', () => {
    const b = new Bench().run(2 * R + PREPARE - 1);
    const { places, recentPorts } = b.state;
    expect(recentPorts.length).toBeGreaterThan(1);
    const now = { wall: b.host.now.wall + 1, mono: b.host.now.mono + 1 };
    const [drawing, outputs] = step(b.state, TICK, now);
    expect(outputs).toMatchObject([{ kind: 'draw' }]);
    const [place] = places;
    const passed = [place?.port ?? 0, ...recentPorts];
    const free =
      Array.from({ length: 99 }, (_, by) => PORT_MIN + by).find(port => !passed.includes(port)) ?? 0;
    const entropy = Uint8Array.from(
      [...passed, free].flatMap(port => [(port - PORT_MIN) >> 8, (port - PORT_MIN) & 255]),
    );
    const [, taken] = step(drawing, { kind: 'drawn', entropy }, now);
    const [commit] = taken;
    expect(commit?.kind === 'commit' && commit.journal.places.at(-1)).toMatchObject({
      role: 'next',
      port: free,
    });
  });

  test('RT-116~1: a rotation that is asked for while one goes on begins none behind it', () => {
    const b = new Bench().run(R - STANDARD.PUBLISH_LEAD_MS + 1);
    expect(b.state.phase).toBe('publishing');
    b.host.input({ kind: 'rotateNow' });
    expect(b.notes()).toContain('already-rotating');
    b.run(R + R - STANDARD.PREPARE_LEAD_MS - 1);
    expect(b.notes().filter(what => what === 'rotated')).toHaveLength(1);
    expect(b.host.listeners.size).toBe(1);
  });

  test('RT-114~1: a port that the router gives to somebody else makes way for another', () => {
    const b = new Bench({ isMapped: true }).run(PREPARE - 1);
    b.weather.map = 'taken';
    b.run(PREPARE);
    expect(b.notes().filter(what => what === 'port-refused')).toHaveLength(BIND_ATTEMPTS_MAX);
    expect(b.host.listeners.size).toBe(1);
    expect(b.host.mappings.size).toBe(1);
  });

  test('RT-115~1: on one port for good, keys and epochs go through the same table', () => {
    const b = new Bench({ fixedPort: 8443 }).run(R - STANDARD.PUBLISH_LEAD_MS);
    expect([...b.host.listeners]).toEqual([[8443, 1]]);
    expect(b.state.record).toMatchObject({ epoch: 2, epochs: [2, 1], ports: [{ port: 8443 }] });
    b.run(R + STANDARD.RETIRE_MS - 1);
    expect([...b.host.listeners]).toEqual([[8443, 1]]);
    expect([...b.host.accepted]).toEqual([1, 2]);
    b.run(R + STANDARD.RETIRE_MS);
    expect([...b.host.listeners]).toEqual([[8443, 2]]);
    expect([...b.host.accepted]).toEqual([2]);
    expect(b.seen('closed')).toEqual([]);
    b.host.input({ kind: 'emergency', isHard: false });
    b.run(R + STANDARD.RETIRE_MS + 1);
    expect([...b.host.listeners]).toEqual([[8443, 3]]);
  });
});
