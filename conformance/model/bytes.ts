/** Bytes, written out: concatenation, integers, hexadecimal, and the tape that stands in for randomness (test-vectors/README.md). */
import { createHash } from 'node:crypto';

/** No bytes. */
export const EMPTY: Uint8Array = new Uint8Array(0);

/** Join pieces one behind the other: the `||` of the spec. */
export function concat(...parts: readonly Uint8Array[]): Uint8Array {
  const out = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    out.set(part, at);
    at += part.length;
  }
  return out;
}

/** Write an unsigned integer of `length` bytes, most significant first. */
export function unsigned(value: number | bigint, length: number): Uint8Array {
  let rest = BigInt(value);
  const out = new Uint8Array(length);
  for (let i = length - 1; i >= 0; i--) {
    out[i] = Number(rest & 0xffn);
    rest >>= 8n;
  }
  if (rest !== 0n) throw new Error(`${value} does not fit ${length} bytes`);
  return out;
}

export const u8 = (value: number): Uint8Array => unsigned(value, 1);
export const u16be = (value: number): Uint8Array => unsigned(value, 2);
export const u32be = (value: number): Uint8Array => unsigned(value, 4);
export const u64be = (value: number | bigint): Uint8Array => unsigned(value, 8);

/** Read an unsigned integer, most significant byte first. */
export function readUnsigned(bytes: Uint8Array): bigint {
  return bytes.reduce((value, byte) => (value << 8n) | BigInt(byte), 0n);
}

/** Read one byte that is known to be there. */
export function byteAt(bytes: Uint8Array, at: number): number {
  const byte = bytes[at];
  if (byte === undefined) throw new Error(`no byte at ${at} of ${bytes.length}`);
  return byte;
}

/** Bytes of an ASCII text. */
export function ascii(text: string): Uint8Array {
  return Uint8Array.from(text, letter => {
    const code = letter.charCodeAt(0);
    if (code > 0x7f) throw new Error(`${letter} is not ASCII`);
    return code;
  });
}

/** Bytes of a text in UTF-8. */
export const utf8 = (text: string): Uint8Array => new Uint8Array(Buffer.from(text, 'utf8'));

export const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString('hex');

export function unhex(text: string): Uint8Array {
  if (!/^(?:[0-9a-f]{2})*$/.test(text)) throw new Error(`not hexadecimal: ${text.slice(0, 40)}`);
  return new Uint8Array(Buffer.from(text, 'hex'));
}

export const equal = (a: Uint8Array, b: Uint8Array): boolean => Buffer.compare(a, b) === 0;

export const zeros = (length: number): Uint8Array => new Uint8Array(length);

export const sha256 = (bytes: Uint8Array): Uint8Array =>
  new Uint8Array(createHash('sha256').update(bytes).digest());

/**
 * Answer `length` bytes of the stream that a name stands for, from `from` on:
 * SHA-256(name || u32be(0)) || SHA-256(name || u32be(1)) || ...
 */
export function stream(name: string, length: number, from = 0): Uint8Array {
  const blocks: Uint8Array[] = [];
  const first = Math.floor(from / 32);
  for (let i = first; i * 32 < from + length; i++) blocks.push(sha256(concat(ascii(name), u32be(i))));
  return concat(...blocks).slice(from - first * 32, from - first * 32 + length);
}
