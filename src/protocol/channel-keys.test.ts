import fc from 'fast-check';
import { expect, test } from 'vitest';
import { CHANNEL_KEY_LIFE_MS, STANDARD } from '../gen/constants.ts';
import { native } from '../node/native.ts';
import { type HostChannelKeys, responderKeys, rollChannelKeys } from './channel-keys.ts';

const DAY_MS = 86_400_000;

/** Host keys as records of these instants name them. */
function histories(gaps: readonly number[]): { readonly at: number; readonly keys: HostChannelKeys }[] {
  let keys: HostChannelKeys | undefined;
  let at = 1_700_000_000_000;
  let count = 0;
  const fresh = (): Uint8Array => {
    count += 1;
    return new Uint8Array(32).fill(1).map((one, i) => (i < 2 ? (count >> (8 * i)) & 255 : one));
  };
  return [0, ...gaps].map(gap => {
    at += gap;
    keys = rollChannelKeys(native, STANDARD, keys, [fresh(), fresh()], at);
    return { at, keys };
  });
}

const gaps = fc.array(
  fc.oneof(
    fc.integer({ min: 1, max: DAY_MS }),
    fc.integer({ min: 1, max: 80 * DAY_MS }),
    fc.constantFrom(CHANNEL_KEY_LIFE_MS - 1, CHANNEL_KEY_LIFE_MS, CHANNEL_KEY_LIFE_MS + 1),
  ),
  { maxLength: 30 },
);

test('RT-010~1: a record names the current key first and the next one second, which takes over in its time', () => {
  fc.assert(
    fc.property(gaps, chosen => {
      const all = histories(chosen);
      for (const [index, { at, keys }] of all.entries()) {
        const [current, next] = keys;
        expect(at - current.currentAtMs).toBeLessThan(CHANNEL_KEY_LIFE_MS);
        expect(current.currentAtMs).toBeLessThanOrEqual(at);
        expect(next.currentAtMs).toBe(current.currentAtMs + CHANNEL_KEY_LIFE_MS);
        const before = all[index - 1]?.keys;
        if (before === undefined) continue;
        const age = at - before[0].currentAtMs;
        const heir = age < CHANNEL_KEY_LIFE_MS ? before[0] : before[1];
        // Beyond two lives nobody holds a record that is not over.
        if (age < 2 * CHANNEL_KEY_LIFE_MS) expect(current.publicKey).toEqual(heir.publicKey);
      }
    }),
  );
});

test('RT-011~1: a key is kept to its last instant, and forgotten behind it, whenever records are made', () => {
  const kept = (behind: number): boolean => {
    const [first] = histories([]);
    if (first === undefined) throw new Error('no record');
    const [{ privateKey, notAfterMs }] = first.keys;
    const all = histories([CHANNEL_KEY_LIFE_MS, notAfterMs - first.at - CHANNEL_KEY_LIFE_MS + behind]);
    return all.at(-1)?.keys.some(key => native.equal(key.privateKey, privateKey)) === true;
  };
  expect([-1, 0, 1].map(kept)).toEqual([true, true, false]);
});

test('RT-011~1, HS-011~2: a key that a record named is tried until the time that the record said', () => {
  const tries = (keys: HostChannelKeys, privateKey: Uint8Array, at: number): boolean =>
    responderKeys(keys, at).some(key => native.equal(key.privateKey, privateKey));
  fc.assert(
    fc.property(gaps, fc.integer({ min: 0, max: 90 * DAY_MS }), (chosen, laterMs) => {
      const all = histories(chosen);
      const last = all.at(-1);
      if (last === undefined) throw new Error('no record');
      for (const { keys } of all) {
        for (const { privateKey, notAfterMs } of keys.slice(0, 2)) {
          for (const at of [last.at + laterMs, notAfterMs, notAfterMs + 1].filter(one => one >= last.at)) {
            expect(tries(last.keys, privateKey, at)).toBe(at <= notAfterMs);
          }
        }
      }
    }),
  );
});
