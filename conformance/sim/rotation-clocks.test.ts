/** What the table of chapter 6 does when clocks step, are wrong, or stood still. */
import { describe, expect, test } from 'vitest';
import { CLOCK_LOOK_MS, CLOCK_STEP_MS } from '../../src/gen/constants.ts';
import { deadline, step } from '../../src/protocol/rotation.ts';
import { AT, Bench, includes, PRESETS, runRows, TICK } from './rotation-bench.ts';

describe.each(PRESETS)('the rows, preset %s', (_, constants) => {
  const c = constants;
  const R = c.ROTATION_INTERVAL_MS;
  const bench = (until: number, isMapped = true): Bench => runRows(constants, until, isMapped);

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
});
