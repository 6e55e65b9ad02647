/** Crockford's base32 as invites use it, and the folding of what people type (spec/08-devices.md, 8.1). */

const ALPHABET = '0123456789abcdefghjkmnpqrstvwxyz';
const BITS = 5;
const VALUES: ReadonlyMap<string, number> = new Map(
  [...ALPHABET].map((letter, value): [string, number] => [letter, value]),
);

/** Write bytes, 5 bits a letter, most significant first, the last letter filled with zero bits. */
export function encodeBase32(bytes: Uint8Array): string {
  let text = '';
  let held = 0;
  let bits = 0;
  for (const byte of bytes) {
    held = (held << 8) | byte;
    for (bits += 8; bits >= BITS; ) {
      bits -= BITS;
      text += ALPHABET.charAt(held >>> bits);
      held &= (1 << bits) - 1;
    }
  }
  return bits === 0 ? text : text + ALPHABET.charAt(held << (BITS - bits));
}

/** Read letters; undefined for one outside the alphabet, and for bits left over that are not zero or are 5 or more. */
export function decodeBase32(text: string): Uint8Array | undefined {
  const out = new Uint8Array(Math.floor((text.length * BITS) / 8));
  let held = 0;
  let bits = 0;
  let at = 0;
  for (const letter of text) {
    const value = VALUES.get(letter);
    if (value === undefined) return undefined;
    held = (held << BITS) | value;
    bits += BITS;
    if (bits < 8) continue;
    bits -= 8;
    out[at++] = held >>> bits;
    held &= (1 << bits) - 1;
  }
  return bits >= BITS || held !== 0 ? undefined : out;
}

/** White space, what cannot be seen, dashes, quotation marks, and the marks of chat programs: the table of 8.1. */
const DROPPED =
  /[\t-\r \u0085\u00a0\u2000-\u200a\u2028\u2029\u202f\u205f\u3000]|[\u00ad\u200b-\u200f\u2060\ufeff]|[-\u2010-\u2015\u2212\ufe58\ufe63\uff0d]|["'`\u00ab\u00bb\u2018-\u201f\u2039\u203a]|[*_>.,]/g;

/** Drop what is only there for the eye, and fold upper case of ASCII. @impl IN-004~2 */
export function foldText(text: string): string {
  return text.replace(DROPPED, '').replace(/[A-Z]+/g, letters => letters.toLowerCase());
}

/** Read the letters that people confuse as the digits they meant. @impl IN-004~2 */
export function foldConfusable(text: string): string {
  return text.replace(/o/g, '0').replace(/[il]/g, '1');
}
