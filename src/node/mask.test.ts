import { fc, test } from '@fast-check/vitest';
import { describe, expect, it } from 'vitest';
import { mask, unmask } from './mask.ts';

/** RFC 6455, 5.3, to the letter. */
function byTheBook(bytes: Uint8Array, key: Uint8Array): Uint8Array {
  return bytes.map((byte, i) => byte ^ (key[i % 4] ?? 0));
}

const KEY = fc.uint8Array({ minLength: 4, maxLength: 4 });
const PAYLOAD = fc.uint8Array({ maxLength: 1200, size: 'max' });

describe('masking', () => {
  test.prop([PAYLOAD, KEY, fc.nat({ max: 9 })])(
    'unmasks in place, wherever the bytes lie',
    (payload, key, at) => {
      const around = new Uint8Array(at + payload.length + 5).fill(0xee);
      around.set(payload, at);
      unmask(around.subarray(at, at + payload.length), key);
      expect(around.slice(at, at + payload.length)).toEqual(byTheBook(payload, key));
      expect(around.slice(0, at).every(byte => byte === 0xee)).toBe(true);
      expect(around.slice(at + payload.length).every(byte => byte === 0xee)).toBe(true);
    },
  );

  test.prop([PAYLOAD, KEY, fc.nat({ max: 9 })])(
    'masks into another buffer, and leaves the source',
    (payload, key, at) => {
      const out = new Uint8Array(at + payload.length + 5);
      const before = payload.slice();
      mask(payload, key, out, at, payload.length);
      expect(out.subarray(at, at + payload.length)).toEqual(byTheBook(payload, key));
      expect(payload).toEqual(before);
    },
  );

  it('masks a buffer onto itself, as ws does', () => {
    const bytes = Uint8Array.from({ length: 2000 }, (_, i) => i & 0xff);
    const expected = byTheBook(bytes.slice(4), Uint8Array.of(9, 8, 7, 6));
    mask(bytes.subarray(4), Uint8Array.of(9, 8, 7, 6), bytes.subarray(4), 0, 1996);
    expect(bytes.subarray(4)).toEqual(expected);
  });
});
