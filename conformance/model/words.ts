/** The words that two people compare (spec/08-devices.md, 8.5). */
import { byteAt } from './bytes.ts';
import { wordsHash } from './labels.ts';

const CONSONANTS = 'bdfghjklmnprstvz';
const VOWELS = 'aiou';

/** Write 8 bytes as four words joined by hyphens. */
export function writeWords(bytes: Uint8Array): string {
  const words: string[] = [];
  for (let i = 0; i < bytes.length; i += 2) {
    const bits = (byteAt(bytes, i) << 8) | byteAt(bytes, i + 1);
    const consonant = (shift: number): string => CONSONANTS.charAt((bits >> shift) & 15);
    const vowel = (shift: number): string => VOWELS.charAt((bits >> shift) & 3);
    words.push(consonant(12) + vowel(10) + consonant(6) + vowel(4) + consonant(0));
  }
  return words.join('-');
}

/** The words of an enrolment: of the host's identity key and the device's key. */
export function words(identity: Uint8Array, device: Uint8Array): string {
  return writeWords(wordsHash(identity, device));
}
