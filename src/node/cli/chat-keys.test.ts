import { fc, test } from '@fast-check/vitest';
import { describe, expect } from 'vitest';
import { BREAK_MARK, KeyFilter, typedAhead } from './chat-keys.ts';

const PASTE = (text: string): string => `\u001b[200~${text}\u001b[201~`;

describe('keys', () => {
  test('make line breaks by Ctrl-J and Alt-Enter, and send by Enter', () => {
    expect(new KeyFilter().take('one\ntwo\u001b\rthree\r')).toBe(`one${BREAK_MARK}two${BREAK_MARK}three\r`);
    expect(new KeyFilter().take('\u001b[5~\u001b')).toBe('\u001b[5~\u001b');
  });

  test('that were typed before the chat read them send by Enter too', () => {
    expect(typedAhead(`one\ntwo${PASTE('a\nb')}`)).toBe(`one\rtwo${PASTE('a\nb')}`);
  });

  test('within a paste press nothing', () => {
    const filter = new KeyFilter();
    expect(filter.take(`${PASTE('a\r\nb\rc\n\u0003\u001b[A\td')}\r`)).toBe(
      `a${BREAK_MARK}b${BREAK_MARK}c${BREAK_MARK}[A d\r`,
    );
  });

  const plain = fc.string({ unit: fc.constantFrom('a', 'é', '\u001b[A', '\r', '\n', '\u0003') });
  test.prop([fc.array(fc.tuple(plain, fc.boolean())), fc.infiniteStream(fc.integer({ min: 1, max: 5 }))])(
    'are the same however they are cut, but for an escape that stands alone',
    (parts, cuts) => {
      const text = parts.map(([part, isPaste]) => (isPaste ? PASTE(part) : part)).join('');
      const whole = new KeyFilter().take(text);
      const filter = new KeyFilter();
      let pieces = '';
      for (let at = 0; at < text.length; ) {
        // What a terminal sends for one key comes in one piece, at least its escape with what follows.
        let end = at + (cuts.next().value ?? 1);
        if (text[end - 1] === '\u001b') end += 1;
        pieces += filter.take(text.slice(at, end));
        at = end;
      }
      expect(pieces).toBe(whole);
    },
  );
});
