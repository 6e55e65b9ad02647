import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { addressKey, addressLimits, admitAddress, buckets, noteAuthenticated, takeToken } from './buckets.ts';

describe('buckets', () => {
  it('hold their bound and regain one token an interval, to the millisecond (LI-001)', () => {
    const all = buckets({ tokensMax: 3, refillMs: 100 }, 8);
    for (let i = 0; i < 3; i++) expect(takeToken(all, 'a', 1000)).toBe(true);
    expect(takeToken(all, 'a', 1099)).toBe(false);
    expect(takeToken(all, 'a', 1100)).toBe(true);
    expect(takeToken(all, 'a', 1100)).toBe(false);
    expect(takeToken(all, 'b', 1100)).toBe(true);
  });

  it('never admit more than bound + elapsed / interval, whatever the times (LI-001)', () => {
    fc.assert(
      fc.property(
        fc.array(fc.integer({ min: 0, max: 500 }), { minLength: 1, maxLength: 200 }),
        fc.integer({ min: 1, max: 9 }),
        fc.integer({ min: 1, max: 300 }),
        (gaps, tokensMax, refillMs) => {
          const all = buckets({ tokensMax, refillMs }, 4);
          let now = 0;
          let admitted = 0;
          for (const gap of gaps) {
            now += gap;
            if (takeToken(all, 'x', now)) admitted += 1;
          }
          const elapsed = now - (gaps[0] ?? 0);
          expect(admitted).toBeLessThanOrEqual(tokensMax + Math.floor(elapsed / refillMs));
          expect(admitted).toBeGreaterThanOrEqual(Math.min(gaps.length, tokensMax));
        },
      ),
    );
  });

  it('stay bounded, and forget a full bucket before one in use (LI-004)', () => {
    const all = buckets({ tokensMax: 2, refillMs: 1000 }, 3);
    takeToken(all, 'attacker', 0);
    takeToken(all, 'attacker', 0);
    takeToken(all, 'idle', 0);
    takeToken(all, 'busy', 0);
    takeToken(all, 'busy', 1500);
    takeToken(all, 'new', 1500);
    expect(all.byKey.size).toBe(3);
    expect(all.byKey.has('idle')).toBe(false);
    expect(takeToken(all, 'attacker', 1500)).toBe(true);
    expect(takeToken(all, 'attacker', 1500)).toBe(false);
    for (let i = 0; i < 100; i++) takeToken(all, `flood ${i}`, 1500);
    expect(all.byKey.size).toBe(3);
  });
});

describe('room for another bucket (LI-004~1)', () => {
  const rate = { tokensMax: 2, refillMs: 1e9 };

  it('is made by the one used longest ago, when none is full', () => {
    const all = buckets(rate, 3);
    for (const [now, key] of ['a', 'b', 'c', 'a'].entries()) takeToken(all, key, now);
    takeToken(all, 'd', 9);
    expect([...all.byKey.keys()]).toEqual(['c', 'a', 'd']);
    takeToken(all, 'e', 9);
    expect([...all.byKey.keys()]).toEqual(['a', 'd', 'e']);
  });

  it('is made by a full one first, wherever it stands among the first few', () => {
    const all = buckets({ tokensMax: 2, refillMs: 100 }, 3);
    for (const now of [0, 0]) takeToken(all, 'empty', now);
    takeToken(all, 'full', 0);
    takeToken(all, 'last', 0);
    takeToken(all, 'new', 100);
    expect([...all.byKey.keys()]).toEqual(['empty', 'last', 'new']);
  });
});

describe('addresses', () => {
  it('are an IPv4 address or an IPv6 /64 (LI-001)', () => {
    expect(addressKey('192.0.2.7')).toBe('192.0.2.7');
    expect(addressKey('::ffff:192.0.2.7')).toBe('192.0.2.7');
    expect(addressKey('2001:db8:1:2:3:4:5:6')).toBe('2001:db8:1:2::/64');
    expect(addressKey('2001:db8:1:2::9')).toBe('2001:db8:1:2::/64');
    expect(addressKey('2001:db8::9')).toBe('2001:db8:0:0::/64');
    expect(addressKey('fe80::1%eth0')).toBe('fe80:0:0:0::/64');
    expect(addressKey('::1')).toBe('0:0:0:0::/64');
  });

  it('have a bucket of their own for an hour after a device authenticated (LI-003)', () => {
    const limits = addressLimits(
      { tokensMax: 2, refillMs: 1e9 },
      { tokensMax: 4, refillMs: 1e9 },
      3_600_000,
      16,
    );
    noteAuthenticated(limits, '192.0.2.1', 0);
    for (let i = 0; i < 4; i++) expect(admitAddress(limits, '192.0.2.1', 1)).toBe('known');
    expect(admitAddress(limits, '192.0.2.1', 3_600_000)).toBe(undefined);
    expect(admitAddress(limits, '192.0.2.1', 3_600_001)).toBe('stranger');
    expect(admitAddress(limits, '192.0.2.1', 3_600_001)).toBe('stranger');
    expect(admitAddress(limits, '192.0.2.1', 3_600_001)).toBe(undefined);
  });

  it('remember a bounded number of members (LI-004)', () => {
    const limits = addressLimits({ tokensMax: 1, refillMs: 1 }, { tokensMax: 1, refillMs: 1 }, 1000, 4);
    for (let i = 0; i < 100; i++) noteAuthenticated(limits, `192.0.2.${i}`, i);
    expect(limits.authenticatedAt.size).toBe(4);
  });
});
