/** Small things that the two sides of the chat service share: keys, hexadecimal, lengths (spec/11-chat.md). */

/** Above every key that begins with the same text: the highest visible character and one more. */
export const KEY_END = '\x7f';

const HEX: readonly string[] = Array.from({ length: 256 }, (_, byte) => byte.toString(16).padStart(2, '0'));

/** Write bytes in lower-case hexadecimal. */
export function hex(bytes: Uint8Array): string {
  let text = '';
  for (const byte of bytes) text += HEX[byte];
  return text;
}

/** Read what `hex` wrote. */
export function parseHex(text: string): Uint8Array {
  return Uint8Array.from({ length: text.length / 2 }, (_, i) =>
    Number.parseInt(text.slice(2 * i, 2 * i + 2), 16),
  );
}

/** Write a whole number below 2^53 as 14 hexadecimal digits, so that keys sort as numbers do. */
export function numberKey(value: number): string {
  return value.toString(16).padStart(14, '0');
}

/** Compare bytes that are no secret. */
export function sameBytes(a: Uint8Array, b: Uint8Array): boolean {
  return a.length === b.length && a.every((byte, i) => byte === b[i]);
}

/** Count the bytes of a text in UTF-8, or -1 when it holds half of a surrogate pair, which UTF-8 cannot write. */
export function utf8Bytes(text: string): number {
  let bytes = 0;
  for (const letter of text) {
    const point = letter.codePointAt(0) ?? 0;
    if (point >= 0xd800 && point <= 0xdfff) return -1;
    bytes += point < 0x80 ? 1 : point < 0x800 ? 2 : point < 0x10000 ? 3 : 4;
  }
  return bytes;
}
