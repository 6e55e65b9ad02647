import fc from 'fast-check';
import { expect, it } from 'vitest';
import { columns, confusable, harmless, harmlessLine, skeleton, wrap } from './terminal-text.ts';

it('shows controls and reordering characters as what they are', () => {
  expect(harmless('a\u001b[2Jb')).toBe('a<1b>[2Jb');
  expect(harmless('x\u202etxt.exe')).toBe('x<202e>txt.exe');
  expect(harmless('\u009b31m')).toBe('<9b>31m');
  expect(harmless('\r\u0007\u0000')).toBe('<0d><07><00>');
  expect(harmless('line\n\ttab é 漢 🙂')).toBe('line\n\ttab é 漢 🙂');
  expect(harmlessLine('Ann\nBob: hi')).toBe('Ann<0a>Bob: hi');
});

it('leaves nothing that a terminal obeys, whatever code point it is', () => {
  for (let point = 0; point < 0x3000; point += 1) {
    const shown = harmlessLine(String.fromCodePoint(point));
    expect(/[\p{Cc}\u202a-\u202e\u2066-\u2069]/u.test(shown), point.toString(16)).toBe(false);
  }
});

it('knows names that can be taken for each other', () => {
  for (const [one, other] of [
    ['Ann', 'Аnn'],
    ['Bob', 'B0b'],
    ['paypal', 'раураl'],
    ['Will', 'WiIl'],
    ['morn', 'mom'],
    ['Ann', 'A\u0301nn'],
    ['Ann', ' ann.'],
  ]) {
    expect(skeleton(one ?? ''), `${one} ${other}`).toBe(skeleton(other ?? ''));
  }
  expect(skeleton('Ann')).not.toBe(skeleton('Bob'));
  const names = new Map([
    ['1', 'Ann'],
    ['2', 'Bob'],
    ['3', 'Аnn'],
  ]);
  expect([...confusable(names)]).toEqual(['1', '3']);
});

it('wraps by columns, words whole where they fit', () => {
  expect(wrap('one two three', 8)).toEqual(['one two', 'three']);
  expect(wrap('abcdefghij', 4)).toEqual(['abcd', 'efgh', 'ij']);
  expect(wrap('漢字漢字', 5)).toEqual(['漢字', '漢字']);
  expect(wrap('a\n\nb', 9)).toEqual(['a', '', 'b']);
  fc.assert(
    fc.property(fc.string({ unit: 'grapheme' }), fc.integer({ min: 4, max: 50 }), (text, width) => {
      for (const line of wrap(text, width)) expect(columns(line)).toBeLessThanOrEqual(width);
    }),
  );
});
