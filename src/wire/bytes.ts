/** Small operations on bytes that are no secret; secrets are compared by `Suite.equal` (spec/04-handshake.md). */
import { UsageError } from './usage-error.ts';

const HEX: readonly string[] = Array.from({ length: 256 }, (_, byte) => byte.toString(16).padStart(2, '0'));

/** Join parts into new bytes. */
export function concat(...parts: readonly Uint8Array[]): Uint8Array {
  const out = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    out.set(part, at);
    at += part.length;
  }
  return out;
}

/** Compare; the time tells where the first difference is. */
export function sameBytes(a: Uint8Array, b: Uint8Array): boolean {
  if (a.length !== b.length) return false;
  for (let i = 0; i < a.length; i += 1) if (a[i] !== b[i]) return false;
  return true;
}

/** Whether all bytes are zero; true for none. */
export function isZero(bytes: Uint8Array): boolean {
  return bytes.every(byte => byte === 0);
}

/** Write bytes as lower-case hexadecimal. */
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

/** Turn ASCII into bytes. */
export function asciiBytes(text: string): Uint8Array {
  const bytes = new Uint8Array(text.length);
  for (let i = 0; i < text.length; i += 1) bytes[i] = text.charCodeAt(i);
  return bytes;
}

/** Encode a whole number below 2^53 as 8 bytes, most significant first. */
export function u64be(value: number): Uint8Array {
  if (!Number.isSafeInteger(value) || value < 0)
    throw new UsageError(`${value} is no whole number below 2^53`);
  const out = new Uint8Array(8);
  new DataView(out.buffer).setUint32(0, Math.floor(value / 2 ** 32));
  new DataView(out.buffer).setUint32(4, value % 2 ** 32);
  return out;
}

/** Decode 8 bytes from `offset` on, most significant first; undefined when the number is 2^53 or more. */
export function readU64be(bytes: Uint8Array, offset: number): number | undefined {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const value = view.getUint32(offset) * 2 ** 32 + view.getUint32(offset + 4);
  return Number.isSafeInteger(value) ? value : undefined;
}

/** Count the bytes of a text in UTF-8, a lone surrogate as the 3 bytes of its replacement. */
export function utf8Length(text: string): number {
  let bytes = 0;
  for (const character of text) bytes += pointBytes(character.codePointAt(0) ?? 0);
  return bytes;
}

function pointBytes(point: number): number {
  if (point < 0x80) return 1;
  if (point < 0x800) return 2;
  return point < 0x10000 ? 3 : 4;
}
