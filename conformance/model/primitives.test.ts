/** The model's primitives against published answers (test-vectors/primitives). */
import { readFileSync } from 'node:fs';
import { expect, it } from 'vitest';
import { unhex } from './bytes.ts';
import { ed25519Verify } from './primitives.ts';

interface SignatureVector {
  readonly id: string;
  readonly public: string;
  readonly message: string;
  readonly signature: string;
  readonly valid: boolean;
}

const path = new URL('../../test-vectors/primitives/ed25519.json', import.meta.url);
const { vectors }: { readonly vectors: readonly SignatureVector[] } = JSON.parse(readFileSync(path, 'utf8'));

it.each(vectors)('$id', vector => {
  const held = ed25519Verify(unhex(vector.public), unhex(vector.message), unhex(vector.signature));
  expect(held).toBe(vector.valid);
});
