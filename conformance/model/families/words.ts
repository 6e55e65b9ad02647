/** Vectors: the words that two people compare (spec/08-devices.md, 8.5). */
import { hex, unhex } from '../bytes.ts';
import * as cast from '../cast.ts';
import { wordsHash } from '../labels.ts';
import { type Family, family, type Vector } from '../vector.ts';
import { words as wordsOf, writeWords } from '../words.ts';

function written(bytes: string, note: string): Vector {
  return {
    id: `words/written/${bytes}`,
    note,
    req: ['EN-040~1'],
    flags: ['known-answer', 'byte-order'],
    phase: 'derive',
    input: { bytes },
    output: { words: writeWords(unhex(bytes)) },
  };
}

/** Make the family. */
export function words(): Family {
  const enrolments = ['ada', 'bob', 'cleo'].map((name, index): Vector => {
    const { publicKey: identity } = cast.identity(index);
    const { publicKey: device } = cast.device(name);
    return {
      id: `words/enrolment/${name}`,
      note: 'The words of an enrolment.',
      req: ['EN-040~1', 'KD-001~1'],
      flags: ['known-answer'],
      phase: 'derive',
      input: { identity: hex(identity), device_key: hex(device) },
      output: { words: wordsOf(identity, device) },
      debug: { bytes: hex(wordsHash(identity, device)) },
    };
  });
  return family(
    'words',
    ['spec/08-devices.md#85-words'],
    'Words from 8 bytes, and from the two keys that the 8 bytes derive from.',
    [
      written('0000000000000000', 'The lowest letters.'),
      written('ffffffffffffffff', 'The highest letters.'),
      written('0123456789abcdef', 'Every consonant and vowel position with another value.'),
      written('7f00000144543c51', 'Single bits on the borders between letters.'),
      ...enrolments,
    ],
  );
}
