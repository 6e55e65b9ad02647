/** A key with its nonces, as Noise has it: what handshake and records encrypt with (spec/04-handshake.md). */
import { UsageError } from '../wire/usage-error.ts';
import { type Aead, NONCE_BYTES, type Suite } from './suite.ts';

/** Encode n as the AESGCM functions of Noise take it: 4 zero bytes || u64be(n). */
export function encodeNonce(n: number): Uint8Array {
  const out = new Uint8Array(NONCE_BYTES);
  writeNonce(n, new DataView(out.buffer));
  return out;
}

function writeNonce(n: number, out: DataView): void {
  if (!Number.isSafeInteger(n) || n < 0) throw new UsageError(`${n} is no nonce`);
  // Both take their number modulo 2^32.
  out.setUint32(4, Math.floor(n / 2 ** 32));
  out.setUint32(8, n);
}

/** Where the nonce of a call is written: no call outlives its turn, and a session's two keys need none of their own. */
const NONCE = new Uint8Array(NONCE_BYTES);
const NONCE_VIEW = new DataView(NONCE.buffer);

/** A key and its nonce (Noise, section 5.1). Here it always has a key; rekeying is not part of ClawChat/1. */
export class CipherState {
  readonly #suite: Suite;
  /** The key until its first use, which half of the keys of a handshake never see. */
  #k: Uint8Array | undefined;
  #aead: Aead | undefined;
  #n = 0;

  /** InitializeKey: take over a key of 32 bytes. */
  constructor(suite: Suite, k: Uint8Array) {
    this.#suite = suite;
    this.#k = k;
  }

  /** The number of messages so far, which is the next nonce. */
  get n(): number {
    return this.#n;
  }

  /** EncryptWithAd, into `out` from `offset` on. */
  encryptInto(out: Uint8Array, offset: number, ad: Uint8Array, plaintext: Uint8Array): void {
    this.#live().sealInto(out, offset, this.#nextNonce(), ad, plaintext);
    this.#n += 1;
  }

  /** EncryptWithAd, with `room` bytes before the result as in `Aead.seal`. */
  encryptWithAd(ad: Uint8Array, plaintext: Uint8Array, room = 0): Uint8Array {
    const ciphertext = this.#live().seal(this.#nextNonce(), ad, plaintext, room);
    this.#n += 1;
    return ciphertext;
  }

  /** DecryptWithAd: undefined if the tag is wrong, and then n stays. */
  decryptWithAd(ad: Uint8Array, ciphertext: Uint8Array): Uint8Array | undefined {
    const plaintext = this.#live().open(this.#nextNonce(), ad, ciphertext);
    if (plaintext !== undefined) this.#n += 1;
    return plaintext;
  }

  /** Forget the key; every use is a UsageError from here on. */
  destroy(): void {
    this.#eraseKey();
    this.#aead?.destroy();
    this.#aead = undefined;
  }

  #live(): Aead {
    if (this.#aead !== undefined) return this.#aead;
    if (this.#k === undefined) throw new UsageError('the CipherState was destroyed');
    this.#aead = this.#suite.aead(this.#k);
    this.#eraseKey();
    return this.#aead;
  }

  #eraseKey(): void {
    if (this.#k !== undefined) this.#suite.erase(this.#k);
    this.#k = undefined;
  }

  #nextNonce(): Uint8Array {
    writeNonce(this.#n, NONCE_VIEW);
    return NONCE;
  }
}
