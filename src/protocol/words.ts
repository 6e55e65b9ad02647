/** Four words that two people compare by voice when a device enrols (spec/08-devices.md, 8.5). */
import type { Suite } from '../crypto/suite.ts';
import { wordsHash } from './keys.ts';

const CONSONANTS = 'bdfghjklmnprstvz';
const VOWELS = 'aiou';

/** Name the pair of the host's identity key and the device's public key: "lusab-babad-gutih-tugad". @impl EN-040~1 */
export function words(suite: Suite, identity: Uint8Array, devicePublicKey: Uint8Array): string {
  return proquint(wordsHash(suite, identity, devicePublicKey));
}

/** Write bytes as words of 16 bits each, joined by hyphens. */
export function proquint(bytes: Uint8Array): string {
  const parts: string[] = [];
  for (let i = 0; i + 1 < bytes.length; i += 2)
    parts.push(word(((bytes[i] ?? 0) << 8) | (bytes[i + 1] ?? 0)));
  return parts.join('-');
}

function word(bits: number): string {
  return (
    CONSONANTS.charAt(bits >>> 12) +
    VOWELS.charAt((bits >>> 10) & 3) +
    CONSONANTS.charAt((bits >>> 6) & 15) +
    VOWELS.charAt((bits >>> 4) & 3) +
    CONSONANTS.charAt(bits & 15)
  );
}
