import { expect, it } from 'vitest';
import { harmless, harmlessLine } from './terminal-text.ts';

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
