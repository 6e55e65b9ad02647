/** Base-128 varints over numbers, never bigints: every integer of the protocol is below 2^53 (spec/05-session.md). */

/** Count the bytes of the shortest encoding of an integer from 0 to 2^53 - 1. */
export function varintBytes(value: number): number {
  if (value < 0x80) return 1;
  let bytes = 1;
  for (let rest = value; rest >= 0x80; rest = rest < 0x80000000 ? rest >>> 7 : Math.floor(rest / 0x80)) {
    bytes += 1;
  }
  return bytes;
}

/** Write the shortest encoding and return the offset behind it. */
export function writeVarint(out: Uint8Array, offset: number, value: number): number {
  let at = offset;
  let rest = value;
  for (; rest >= 0x80000000; rest = Math.floor(rest / 0x80)) out[at++] = (rest % 0x80) | 0x80;
  for (; rest >= 0x80; rest >>>= 7) out[at++] = (rest & 0x7f) | 0x80;
  out[at++] = rest;
  return at;
}

/** A place in bytes that moves as values are read. */
export interface Cursor {
  at: number;
}

/**
 * Read an integer below 2^53 that ends before `end`, in any encoding of at most 8 bytes.
 * Anything else gives -1 and leaves the cursor anywhere.
 */
export function readVarint(bytes: Uint8Array, end: number, cursor: Cursor): number {
  const first = cursor.at < end ? (bytes[cursor.at] ?? 0x80) : 0x80;
  if (first < 0x80) {
    cursor.at += 1;
    return first;
  }
  let value = 0;
  for (let i = 0, scale = 1; i < 8 && cursor.at < end; i += 1, scale *= 0x80) {
    const byte = bytes[cursor.at++] ?? 0;
    value += (byte & 0x7f) * scale;
    if (byte < 0x80) return Number.isSafeInteger(value) ? value : -1;
  }
  return -1;
}
