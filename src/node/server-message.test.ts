import { expect, test } from 'vitest';
import { serverMessage } from './server-message.ts';

/** Take a message apart as RFC 6455, 5.2 says: the first byte, the length, and what follows. */
function parse(message: Uint8Array): { first: number; length: number; content: Uint8Array } {
  const [first = 0, second = 0, high = 0, low = 0] = message;
  const isLong = second === 126;
  return { first, length: isLong ? high * 256 + low : second, content: message.subarray(isLong ? 4 : 2) };
}

test('each record is one binary message, final, not masked, whatever its length (HS-025~1)', () => {
  for (const length of [0, 1, 112, 125, 126, 127, 128, 255, 256, 1024, 65_535]) {
    for (const room of [0, 1, 2, 3, 4, 9]) {
      const buffer = Uint8Array.from({ length: 9 + length + 5 }, (_, i) => i * 7);
      const bytes = buffer.subarray(9, 9 + length);
      const content = bytes.slice();
      const behind = buffer.slice(9 + length);
      const parsed = parse(serverMessage(bytes, room));
      expect({ room, ...parsed }).toEqual({ room, first: 0x82, length, content });
      // Nothing is written but the message itself and the room before it.
      expect(buffer.slice(0, 9 - room)).toEqual(Uint8Array.from({ length: 9 - room }, (_, i) => i * 7));
      expect(buffer.slice(9 + length)).toEqual(behind);
    }
  }
});

test('nothing longer is written', () => {
  expect(() => serverMessage(new Uint8Array(65_536), 0)).toThrow(RangeError);
});
