/** The suite of what is measured: the one that ships, or one whose cipher only copies, which shows what the cipher costs. */
import type { Aead, Suite } from '../src/crypto/suite.ts';
import { TAG_BYTES } from '../src/crypto/suite.ts';
import { native } from '../src/node/native.ts';
import type { Kind } from './links.ts';

/** As many bytes go to the same places as with a cipher. */
const COPYING: Aead = {
  seal: (_nonce, _ad, plaintext, room = 0) => {
    const bytes = plaintext.length + TAG_BYTES;
    const out = new Uint8Array(Buffer.allocUnsafeSlow(room + bytes).buffer, room, bytes);
    out.set(plaintext);
    return out;
  },
  sealInto: (out, offset, _nonce, _ad, plaintext) => out.set(plaintext, offset),
  open: (_nonce, _ad, ciphertext) => ciphertext.slice(0, -TAG_BYTES),
  destroy: () => {},
};

/** Give the suite of a contestant. */
export function suiteOf(kind: Kind): Suite {
  return kind === 'unsealed' ? { ...native, aead: () => COPYING } : native;
}
