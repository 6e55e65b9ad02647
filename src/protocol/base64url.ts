/** Strict base64url without padding, for the token of the upgrade request (spec/04-handshake.md, 4.3). */

const ALPHABET = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_';
const BITS = 6;
/** By character code; 255 for what is no letter of the alphabet. */
const VALUES: Uint8Array = Uint8Array.from({ length: 128 }, (_, code) => {
  const value = ALPHABET.indexOf(String.fromCharCode(code));
  return value === -1 ? 255 : value;
});

/** Write bytes; the last letter is filled with zero bits. */
export function encodeBase64url(bytes: Uint8Array): string {
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

/** Read letters; undefined for one outside the alphabet, for a letter too many, and for left-over bits that are set. */
export function decodeBase64url(text: string): Uint8Array | undefined {
  const out = new Uint8Array(Math.floor((text.length * BITS) / 8));
  let held = 0;
  let bits = 0;
  let at = 0;
  for (let i = 0; i < text.length; i += 1) {
    const value = VALUES[text.charCodeAt(i)] ?? 255;
    if (value === 255) return undefined;
    held = (held << BITS) | value;
    bits += BITS;
    if (bits < 8) continue;
    bits -= 8;
    out[at++] = held >>> bits;
    held &= (1 << bits) - 1;
  }
  return bits >= BITS || held !== 0 ? undefined : out;
}
