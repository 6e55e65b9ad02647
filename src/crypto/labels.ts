/** Domain separation: every key and hash of ClawChat/1 has a name of its own (spec/04-handshake.md). */
import { UsageError } from '../wire/usage-error.ts';
import type { Suite } from './suite.ts';

const PREFIX = 'ClawChat/1 ';

/** Encode a name: u8(length) || ASCII of "ClawChat/1 " + name, where the length counts the prefix too. */
export function label(name: string): Uint8Array {
  const text = PREFIX + name;
  if (!/^[\x20-\x7e]{1,255}$/.test(text)) throw new UsageError('a label is at most 255 ASCII characters');
  const out = new Uint8Array(1 + text.length);
  out[0] = text.length;
  for (let i = 0; i < text.length; i += 1) out[1 + i] = text.charCodeAt(i);
  return out;
}

/** Encode what a key is derived for: label || for each item of context u16be(length) || item. */
export function info(name: string, ...context: readonly Uint8Array[]): Uint8Array {
  const head = label(name);
  const length = context.reduce((sum, item) => sum + 2 + item.length, head.length);
  const out = new Uint8Array(length);
  out.set(head);
  let at = head.length;
  for (const item of context) {
    if (item.length > 0xffff) throw new UsageError('an item of context is at most 65,535 bytes');
    out[at] = item.length >>> 8;
    out[at + 1] = item.length & 0xff;
    out.set(item, at + 2);
    at += 2 + item.length;
  }
  return out;
}

/** Derive a key: HKDF-SHA256(ikm, salt, info(name, ...context), length). */
export function derive(
  suite: Suite,
  ikm: Uint8Array,
  salt: Uint8Array,
  name: string,
  context: readonly Uint8Array[],
  length: number,
): Uint8Array {
  return suite.hkdfSha256(ikm, salt, info(name, ...context), length);
}

/** Hash under a name, 32 bytes: SHA-256(label || for each part u32be(length) || part). */
export function labelledHash(suite: Suite, name: string, ...parts: readonly Uint8Array[]): Uint8Array {
  const pieces = parts.flatMap(part => [u32be(part.length), part]);
  return suite.sha256(label(name), ...pieces);
}

function u32be(value: number): Uint8Array {
  if (value > 0xffffffff) throw new UsageError('a hashed part is at most 2^32 - 1 bytes');
  return Uint8Array.of(value >>> 24, (value >>> 16) & 0xff, (value >>> 8) & 0xff, value & 0xff);
}
