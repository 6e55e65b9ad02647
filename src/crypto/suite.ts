/** The primitives that everything above is built from, as one synchronous interface (spec/04-handshake.md). */
import { UsageError } from '../wire/usage-error.ts';

/** Bytes of an X25519, AES-256, PSK or Ed25519 key. */
export const KEY_BYTES = 32;
/** Bytes of a SHA-256 or HMAC-SHA256 result. */
export const HASH_BYTES = 32;
/** Bytes of an Ed25519 signature. */
export const SIGNATURE_BYTES = 64;
/** Bytes of an AES-GCM nonce. */
export const NONCE_BYTES = 12;
/** Bytes of an AES-GCM tag. */
export const TAG_BYTES = 16;

/** The most that HKDF-SHA256 can give (RFC 5869, section 2.3). */
const HKDF_BYTES_MAX = 255 * HASH_BYTES;

/**
 * The primitives of suite 1. Two backends agree bit for bit: `noble` everywhere, `native` where Node is.
 *
 * Wrong lengths in what this program made itself throw a UsageError. Whatever can come from a peer - a public key,
 * a signature, a ciphertext - never throws. A result is a plain Uint8Array that nobody else holds.
 */
export interface Suite {
  readonly name: string;

  /** Draw entropy. The one source of randomness, so that a test can hand in a tape (`withEntropy`). */
  randomBytes(length: number): Uint8Array;

  /** Hash the concatenation of the parts: 32 bytes (FIPS 180-4). */
  sha256(...parts: readonly Uint8Array[]): Uint8Array;
  /** Authenticate the concatenation of the parts: 32 bytes (RFC 2104). */
  hmacSha256(key: Uint8Array, ...parts: readonly Uint8Array[]): Uint8Array;
  /** Extract and expand: `length` bytes, at most 8,160 (RFC 5869). */
  hkdfSha256(ikm: Uint8Array, salt: Uint8Array, info: Uint8Array, length: number): Uint8Array;

  /** Make an X25519 private key ready for use; the 32 bytes are copied. */
  x25519Key(privateKey: Uint8Array): X25519Key;
  /** Compute the public key of 32 private bytes (RFC 7748). */
  x25519Public(privateKey: Uint8Array): Uint8Array;
  /** Compute the shared secret, or undefined if it is all zero: the peer's point has a low order (RFC 7748, 6.1). */
  x25519(privateKey: Uint8Array, publicKey: Uint8Array): Uint8Array | undefined;

  /** Compute the public key of a seed of 32 bytes (RFC 8032). */
  ed25519Public(seed: Uint8Array): Uint8Array;
  /** Sign: 64 bytes (RFC 8032, 5.1.6). */
  ed25519Sign(seed: Uint8Array, message: Uint8Array): Uint8Array;
  /**
   * Verify a signature; any other length of key or signature is false.
   *
   * RFC 8032, 5.1.7, with each freedom that it leaves closed, so that all backends say the same: S below L; the
   * equation without the cofactor; the public key and R canonical, and neither of small order - under such a key one
   * signature fits many messages. Signatures made as RFC 8032 says always pass. @impl CF-008~1
   */
  ed25519Verify(publicKey: Uint8Array, message: Uint8Array, signature: Uint8Array): boolean;

  /** Make an AES-256-GCM key ready for use; the 32 bytes are copied. */
  aead(key: Uint8Array): Aead;

  /** Compare in constant time; bytes of different length differ. */
  equal(a: Uint8Array, b: Uint8Array): boolean;
  /** Overwrite a secret with zeros. */
  erase(bytes: Uint8Array): void;
}

/** An X25519 private key with its public key: what Noise calls a key pair. */
export interface X25519Key {
  readonly public: Uint8Array;
  /** Compute the shared secret, or undefined if it is all zero. */
  dh(publicKey: Uint8Array): Uint8Array | undefined;
  /** Forget the private key; `dh` is a UsageError from here on. */
  destroy(): void;
}

/** An AES-256-GCM key. A sealed message is the ciphertext followed by the tag of 16 bytes. */
export interface Aead {
  /**
   * Seal under a nonce of 12 bytes that is never used again with this key. The `room` bytes before the result, in the
   * buffer that it is a view of, are the caller's too.
   */
  seal(nonce: Uint8Array, ad: Uint8Array, plaintext: Uint8Array, room?: number): Uint8Array;
  /** Seal into `out` from `offset` on, where `plaintext.length + 16` bytes must fit; `plaintext` may not overlap. */
  sealInto(out: Uint8Array, offset: number, nonce: Uint8Array, ad: Uint8Array, plaintext: Uint8Array): void;
  /** Open, or give undefined if any bit of nonce, associated data or ciphertext is not the sealed one. */
  open(nonce: Uint8Array, ad: Uint8Array, ciphertext: Uint8Array): Uint8Array | undefined;
  /** Forget the key; every other call is a UsageError from here on. */
  destroy(): void;
}

/** Give a suite another source of entropy. */
export function withEntropy<S extends Suite>(suite: S, randomBytes: (length: number) => Uint8Array): S {
  return { ...suite, randomBytes };
}

/** Throw a UsageError unless `bytes` has exactly this length. */
export function requireLength(bytes: Uint8Array, length: number, what: string): void {
  if (bytes.length !== length) throw new UsageError(`${what} has ${bytes.length} bytes, not ${length}`);
}

/** Throw a UsageError unless HKDF-SHA256 can give this many bytes. */
export function requireHkdfLength(length: number): void {
  if (!Number.isSafeInteger(length) || length < 0 || length > HKDF_BYTES_MAX) {
    throw new UsageError(`HKDF-SHA256 cannot give ${length} bytes`);
  }
}

/** Throw a UsageError unless the sealed plaintext fits into `out` from `offset` on. */
export function requireRoom(out: Uint8Array, offset: number, plaintext: Uint8Array): void {
  const room = out.length - offset - plaintext.length - TAG_BYTES;
  if (!Number.isSafeInteger(offset) || offset < 0 || room < 0)
    throw new UsageError('no room for the sealed bytes');
}
