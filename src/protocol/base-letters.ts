/** Bytes as letters of an alphabet of 2^n, most significant bit first, without padding (RFC 4648, 3.2 and 3.5). */

/** An alphabet, to write and to read with. */
export interface Alphabet {
  readonly letters: string;
  /** n. */
  readonly bits: number;
  /** By character code; 255 for what is no letter of it. */
  readonly values: Uint8Array;
}

/** Make an alphabet of ASCII letters, of which there are a power of two. */
function alphabetOf(letters: string): Alphabet {
  const values = Uint8Array.from({ length: 128 }, (_, code) => {
    const value = letters.indexOf(String.fromCharCode(code));
    return value === -1 ? 255 : value;
  });
  return { letters, bits: Math.log2(letters.length), values };
}

/** Crockford's base32, as invites use it (spec/08-devices.md, 8.1). */
export const BASE32: Alphabet = alphabetOf('0123456789abcdefghjkmnpqrstvwxyz');
/** Of the token of the upgrade request (spec/04-handshake.md, 4.3). */
export const BASE64URL: Alphabet = alphabetOf(
  'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_',
);

/** Write bytes; the last letter is filled with zero bits. */
export function encodeLetters({ letters, bits }: Alphabet, bytes: Uint8Array): string {
  let text = '';
  let held = 0;
  let count = 0;
  for (const byte of bytes) {
    held = (held << 8) | byte;
    for (count += 8; count >= bits; ) {
      count -= bits;
      text += letters.charAt(held >>> count);
      held &= (1 << count) - 1;
    }
  }
  return count === 0 ? text : text + letters.charAt(held << (bits - count));
}

/** Read letters; undefined for one outside the alphabet, for a letter too many, and for left-over bits that are set. */
export function decodeLetters({ bits, values }: Alphabet, text: string): Uint8Array | undefined {
  const out = new Uint8Array(Math.floor((text.length * bits) / 8));
  let held = 0;
  let count = 0;
  let at = 0;
  for (let i = 0; i < text.length; i += 1) {
    const value = values[text.charCodeAt(i)] ?? 255;
    if (value === 255) return undefined;
    held = (held << bits) | value;
    count += bits;
    if (count < 8) continue;
    count -= 8;
    out[at++] = held >>> count;
    held &= (1 << count) - 1;
  }
  return count >= bits || held !== 0 ? undefined : out;
}
