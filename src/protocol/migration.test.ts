import { describe, expect, test } from 'vitest';
import {
  type Constants,
  DIAL_BACKOFF_MS_MAX,
  DIAL_BACKOFF_MS_MIN,
  MINIMAL,
  STANDARD,
} from '../gen/constants.ts';
import { type Migration, type MoveNotice, moveInMs, stepMigration } from './migration.ts';

const ALMOST_ONE = 1 - 2 ** -53;

describe.each<[string, Constants]>([
  ['standard', STANDARD],
  ['minimal', MINIMAL],
])('the instant of a move, preset %s', (_, c) => {
  const scheduled: MoveNotice = {
    kind: 'move',
    rotatesInMs: c.PUBLISH_LEAD_MS,
    oldEndsInMs: c.PUBLISH_LEAD_MS + c.GRACE_MS,
  };
  const ends = (notice: MoveNotice): [number, number] => [
    moveInMs(notice, 0, c),
    moveInMs(notice, ALMOST_ONE, c),
  ];

  test('RT-150~1: from R - MIGRATE_LEAD_MS to R + MIGRATE_LAG_MS, both included, each equally likely', () => {
    const first = c.PUBLISH_LEAD_MS - c.MIGRATE_LEAD_MS;
    const last = c.PUBLISH_LEAD_MS + c.MIGRATE_LAG_MS;
    expect(ends(scheduled)).toEqual([first, last]);
    const span = last - first + 1;
    const at = (i: number): number => moveInMs(scheduled, (i + 0.5) / span, c);
    expect([0, 1, span - 2, span - 1].map(at)).toEqual([first, first + 1, last - 1, last]);
  });

  test('RT-150~1: a port that is promised for longer changes nothing', () => {
    expect(ends({ ...scheduled, oldEndsInMs: 10 * c.ROTATION_INTERVAL_MS })).toEqual(ends(scheduled));
  });

  test('RT-150~1: what of the window is over is left out, -1, 0 and +1 ms around its beginning', () => {
    const late = (by: number): [number, number] =>
      ends({
        kind: 'move',
        rotatesInMs: c.MIGRATE_LEAD_MS + by,
        oldEndsInMs: c.MIGRATE_LEAD_MS + by + c.GRACE_MS,
      });
    const last = c.MIGRATE_LEAD_MS + c.MIGRATE_LAG_MS;
    expect([-1, 0, 1].map(late)).toEqual([
      [0, last - 1],
      [0, last],
      [1, last + 1],
    ]);
  });

  test('RT-153~1: behind the window half of what the old port has left, -1, 0 and +1 ms around its end', () => {
    const rest = c.GRACE_MS - c.MIGRATE_LAG_MS;
    const behind = (by: number): [number, number] =>
      ends({ kind: 'move', rotatesInMs: 0, oldEndsInMs: rest + by });
    expect([-1, 0, 1].map(behind)).toEqual([
      [0, Math.floor((rest - 1) / 2)],
      [0, 0],
      [0, 1],
    ]);
    expect(ends({ kind: 'move', rotatesInMs: 0, oldEndsInMs: 0 })).toEqual([0, 0]);
  });

  test('RT-153~1: in an emergency half of what the old port has left', () => {
    expect(ends({ kind: 'emergency', rotatesInMs: 0, oldEndsInMs: c.EMERGENCY_MS })).toEqual([
      0,
      c.EMERGENCY_MS / 2,
    ]);
  });

  test('RT-150~1: nobody moves after the old port has ended', () => {
    for (let rotatesInMs = 0; rotatesInMs <= c.PUBLISH_LEAD_MS; rotatesInMs += c.PUBLISH_LEAD_MS / 8)
      for (let left = 0; left <= c.GRACE_MS; left += c.GRACE_MS / 16) {
        const notice: MoveNotice = { kind: 'move', rotatesInMs, oldEndsInMs: rotatesInMs + left };
        expect(moveInMs(notice, ALMOST_ONE, c)).toBeLessThanOrEqual(notice.oldEndsInMs);
      }
  });
});

// The table of 6.9.
test.each([
  [120_000, 420_000, 30_000, 270_000],
  [0, 200_000, 0, 50_000],
  [0, 500_000, 0, 150_000],
  [0, 140_000, 0, 70_000],
])('RT-150~1, RT-153~1: rotates in %i, old ends in %i', (rotatesInMs, oldEndsInMs, first, last) => {
  const notice: MoveNotice = { kind: 'move', rotatesInMs, oldEndsInMs };
  expect([moveInMs(notice, 0, STANDARD), moveInMs(notice, ALMOST_ONE, STANDARD)]).toEqual([first, last]);
});

describe('a plan', () => {
  const notice: MoveNotice = { kind: 'move', rotatesInMs: 120_000, oldEndsInMs: 420_000 };
  const told = (kind: MoveNotice['kind'], isElsewhere = true): Migration | undefined =>
    stepMigration(
      { at: 5, failures: 3 },
      { kind: 'notice', notice: { ...notice, kind }, isElsewhere, entropy: 0 },
      1000,
      STANDARD,
    );

  test('RT-150~1: is made for whoever is elsewhere, from the instant of the notice', () => {
    expect(told('move')).toEqual({ at: 1000 + 30_000, failures: 0 });
    expect(told('emergency')).toEqual({ at: 1000, failures: 0 });
    expect(told('move', false)).toBeUndefined();
  });

  test('RT-152~1: ends with a hold, a move, and a dead path', () => {
    expect(told('hold')).toBeUndefined();
    expect(stepMigration({ at: 5, failures: 0 }, { kind: 'ended' }, 5, STANDARD)).toBeUndefined();
  });

  test('RT-152~1: a failed move waits as a failed dial does, and a hold in between takes it back', () => {
    const moving = stepMigration({ at: 5, failures: 0 }, { kind: 'moving' }, 5, STANDARD);
    expect(moving).toEqual({ at: Number.POSITIVE_INFINITY, failures: 0 });
    let plan = moving;
    const bounds: number[] = [];
    for (let i = 0; i < 9; i++) {
      plan = stepMigration(plan, { kind: 'failed', entropy: ALMOST_ONE }, 0, STANDARD);
      bounds.push((plan?.at ?? 0) + 1);
    }
    const steps = Array.from({ length: 9 }, (_, i) =>
      Math.min(DIAL_BACKOFF_MS_MAX, DIAL_BACKOFF_MS_MIN * 2 ** i),
    );
    expect(bounds).toEqual(steps);
    expect(stepMigration(plan, { kind: 'failed', entropy: 0 }, 7, STANDARD)?.at).toBe(7);
    expect(stepMigration(undefined, { kind: 'failed', entropy: 0 }, 7, STANDARD)).toBeUndefined();
    expect(stepMigration(undefined, { kind: 'moving' }, 7, STANDARD)).toBeUndefined();
  });
});

test('RT-157~1: a notice of a record leaves every plan as it is, and makes none', () => {
  const plans: readonly (Migration | undefined)[] = [
    undefined,
    { at: 60_000, failures: 2 },
    { at: Number.POSITIVE_INFINITY, failures: 0 },
  ];
  for (const plan of plans) {
    for (const isElsewhere of [false, true]) {
      const notice: MoveNotice = { kind: 'record', rotatesInMs: 0, oldEndsInMs: 0 };
      const input = { kind: 'notice', notice, isElsewhere, entropy: 0.5 } as const;
      expect(stepMigration(plan, input, 1000, STANDARD)).toBe(plan);
    }
  }
});
