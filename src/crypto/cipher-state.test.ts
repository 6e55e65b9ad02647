import { expect, test } from 'vitest';
import { native } from '../node/native.ts';
import { UsageError } from '../wire/usage-error.ts';
import { CipherState, encodeNonce } from './cipher-state.ts';
import { noble } from './noble.ts';

const hex = (text: string): Uint8Array => Uint8Array.from(Buffer.from(text, 'hex'));
const toHex = (bytes: Uint8Array): string => Buffer.from(bytes).toString('hex');
const none = new Uint8Array(0);

test('the nonce is 4 zero bytes and n, most significant byte first', () => {
  const text = (n: number): string => toHex(encodeNonce(n));
  expect(text(0)).toBe('000000000000000000000000');
  expect(text(1)).toBe('000000000000000000000001');
  expect(text(0x010203)).toBe('000000000000000000010203');
  expect(text(2 ** 32 - 1)).toBe('0000000000000000ffffffff');
  expect(text(2 ** 32)).toBe('000000000000000100000000');
  expect(text(0x1234_89ab_cdef)).toBe('00000000' + '0000123489abcdef');
  expect(text(Number.MAX_SAFE_INTEGER)).toBe('00000000001fffffffffffff');
  for (const n of [-1, 0.5, 2 ** 53, Number.NaN]) expect(() => encodeNonce(n)).toThrow(UsageError);
});

test('a forged message does not move the nonce', () => {
  const [one, other] = [
    new CipherState(native, new Uint8Array(32)),
    new CipherState(noble, new Uint8Array(32)),
  ];
  const sealed = one.encryptWithAd(none, hex('00'));
  expect(
    other.decryptWithAd(
      none,
      sealed.map(byte => byte ^ 1),
    ),
  ).toBeUndefined();
  expect(other.n).toBe(0);
  expect(other.decryptWithAd(none, sealed)).toEqual(hex('00'));
  expect([one.n, other.n]).toEqual([1, 1]);
  expect(other.decryptWithAd(none, sealed)).toBeUndefined();
});

test('is of no use once destroyed, whether it was used or not', () => {
  for (const used of [true, false]) {
    const state = new CipherState(native, new Uint8Array(32).fill(1));
    if (used) state.encryptWithAd(none, none);
    state.destroy();
    expect(() => state.encryptWithAd(none, none)).toThrow(UsageError);
    expect(() => state.decryptWithAd(none, new Uint8Array(16))).toThrow(UsageError);
  }
});
