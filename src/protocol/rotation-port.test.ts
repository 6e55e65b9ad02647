import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { MINIMAL, PORT_MAX, PORT_MIN, STANDARD } from '../gen/constants.ts';
import { native } from '../node/native.ts';
import { isFault } from './fault.ts';
import { parseInterval } from './rotation-interval.ts';
import { choosePort, isWithin, PORT_ENTROPY_BYTES, PORT_RANGE } from './rotation-port.ts';

/** Every word of 16 bits once: an exact count of how often each port comes up. */
function census(
  range: { readonly min: number; readonly max: number },
  excluded: ReadonlySet<number>,
): Map<number, number> {
  const counts = new Map<number, number>();
  for (let word = 0; word < 65_536; word++) {
    const port = choosePort(Uint8Array.of(word >> 8, word & 255), range, one => excluded.has(one));
    if (port !== undefined) counts.set(port, (counts.get(port) ?? 0) + 1);
  }
  return counts;
}

describe('RT-110~1, RT-111~1: drawing a port', () => {
  test('each port of the range exactly equally often, and no other', () => {
    const counts = census(PORT_RANGE, new Set());
    expect([Math.min(...counts.keys()), Math.max(...counts.keys())]).toEqual([PORT_MIN, PORT_MAX]);
    expect(counts.size).toBe(16_384);
    expect(new Set(counts.values())).toEqual(new Set([4]));
  });

  test('whatever the range and the exclusions are, those left are equally likely', () => {
    let excludedSeen = 0;
    fc.assert(
      fc.property(
        fc.integer({ min: 1024, max: 65_000 }),
        fc.integer({ min: 1, max: 300 }),
        fc.array(fc.nat(300), { maxLength: 30 }),
        (min, size, offsets) => {
          const range = { min, max: Math.min(65_535, min + size - 1) };
          const excluded = new Set(offsets.map(offset => min + offset));
          const counts = census(range, excluded);
          const open = Array.from({ length: range.max - min + 1 }, (_, i) => min + i).filter(
            port => !excluded.has(port),
          );
          excludedSeen += range.max - min + 1 - open.length;
          expect([...counts.keys()].sort((a, b) => a - b)).toEqual(open);
          expect(new Set(counts.values()).size).toBeLessThanOrEqual(1);
        },
      ),
      { numRuns: 40 },
    );
    console.log(`${excludedSeen} excluded ports`);
    expect(excludedSeen).toBeGreaterThan(0);
  });

  test('real entropy passes a chi-square test over 64 classes', () => {
    const classes = new Array<number>(64).fill(0);
    const draws = 64_000;
    for (let i = 0; i < draws; i++) {
      const port = choosePort(native.randomBytes(PORT_ENTROPY_BYTES), PORT_RANGE, one => one === 50_000);
      const index = ((port ?? 0) - PORT_MIN) >> 8;
      classes[index] = (classes[index] ?? 0) + 1;
    }
    const expected = draws / 64;
    const chi = classes.reduce((sum, count) => sum + (count - expected) ** 2 / expected, 0);
    // 63 degrees of freedom: by chance above 150 about once in 10^8 runs, below 15 about once in 10^9.
    expect(chi).toBeLessThan(150);
    expect(chi).toBeGreaterThan(15);
  });

  test('entropy that runs out gives nothing', () => {
    expect(choosePort(new Uint8Array(0), PORT_RANGE, () => false)).toBeUndefined();
    expect(choosePort(new Uint8Array(1), PORT_RANGE, () => false)).toBeUndefined();
    expect(choosePort(new Uint8Array(64), PORT_RANGE, () => true)).toBeUndefined();
  });

  test('ranges include both ends', () => {
    const ranges = [{ min: 10, max: 12 }];
    expect([9, 10, 12, 13].map(port => isWithin(port, ranges))).toEqual([false, true, true, false]);
  });
});

describe.each([STANDARD, MINIMAL])('RT-112~1: the interval', constants => {
  const { ROTATION_INTERVAL_MS_MIN: min, ROTATION_INTERVAL_MS_MAX: max } = constants;

  test('its bounds, a millisecond to either side', () => {
    const is = (ms: number): unknown => {
      const taken = parseInterval(ms, constants);
      return isFault(taken) ? taken.boundMs : taken;
    };
    expect([min - 1, min, min + 1].map(is)).toEqual([min, min, min + 1]);
    expect([max - 1, max, max + 1].map(is)).toEqual([max - 1, max, max]);
  });

  test('a refusal says which bound it is and why', () => {
    const short = parseInterval(min - 1, constants);
    const long = parseInterval(max + 1, constants);
    const odd = parseInterval(0.5, constants);
    if (!isFault(short) || !isFault(long) || !isFault(odd)) throw new Error('not refused');
    expect(short).toMatchObject({ by: 'self', askedMs: min - 1, boundMs: min });
    const isStandard = constants === STANDARD;
    expect(short.detail).toContain(`takes at least ${isStandard ? '15m' : '3s'}: a rotation takes`);
    expect(short.detail).toContain(`${(constants.PREPARE_LEAD_MS + constants.RETIRE_MS) / 1000} s`);
    expect(long.detail).toContain(`takes at most ${isStandard ? '24h' : '288s'}: `);
    expect(odd.boundMs).toBeUndefined();
  });

  test('the shortest one has room for a rotation and one hold', () => {
    const { PREPARE_LEAD_MS, RETIRE_MS, HOLD_MS } = constants;
    expect(min).toBeGreaterThan(PREPARE_LEAD_MS + RETIRE_MS + HOLD_MS);
  });
});
