/** The suite that runs everywhere, over @noble; the only file in src/ that imports it (spec/04-handshake.md). */
import { gcm } from '@noble/ciphers/aes.js';
import { equalBytes } from '@noble/ciphers/utils.js';
import { ed25519, x25519 } from '@noble/curves/ed25519.js';
import { hkdf } from '@noble/hashes/hkdf.js';
import { hmac } from '@noble/hashes/hmac.js';
import { sha256, sha512 } from '@noble/hashes/sha2.js';
import { randomBytes } from '@noble/hashes/utils.js';
import { UsageError } from '../wire/usage-error.ts';
import type { Aead, Suite, X25519Key } from './suite.ts';
import {
  KEY_BYTES,
  NONCE_BYTES,
  requireHkdfLength,
  requireLength,
  requireRoom,
  SIGNATURE_BYTES,
  TAG_BYTES,
} from './suite.ts';

/** The suite over @noble, with the platform's entropy. */
export const noble: Suite = {
  name: 'noble',
  randomBytes: length => randomBytes(length),

  sha256: (...parts) => absorb(sha256.create(), parts).digest(),
  hmacSha256: (key, ...parts) => absorb(hmac.create(sha256, key), parts).digest(),
  hkdfSha256: (ikm, salt, info, length) => {
    requireHkdfLength(length);
    return hkdf(sha256, ikm, salt, info, length);
  },

  x25519Key,
  x25519Public: privateKey => {
    requireLength(privateKey, KEY_BYTES, 'an X25519 private key');
    return x25519.getPublicKey(privateKey);
  },
  x25519: sharedSecret,

  ed25519Public: seed => {
    requireLength(seed, KEY_BYTES, 'an Ed25519 seed');
    return ed25519.getPublicKey(seed);
  },
  ed25519Sign: (seed, message) => {
    requireLength(seed, KEY_BYTES, 'an Ed25519 seed');
    return ed25519.sign(message, seed);
  },
  ed25519Verify,

  aead,
  equal: (a, b) => equalBytes(a, b),
  erase: bytes => {
    bytes.fill(0);
  },
};

function absorb<H extends { update(part: Uint8Array): H }>(hash: H, parts: readonly Uint8Array[]): H {
  for (const part of parts) hash.update(part);
  return hash;
}

function x25519Key(privateKey: Uint8Array): X25519Key {
  requireLength(privateKey, KEY_BYTES, 'an X25519 private key');
  let own: Uint8Array | undefined = Uint8Array.from(privateKey);
  return {
    public: x25519.getPublicKey(own),
    dh: publicKey => {
      if (own === undefined) throw new UsageError('the X25519 key was destroyed');
      return sharedSecret(own, publicKey);
    },
    destroy: () => {
      own?.fill(0);
      own = undefined;
    },
  };
}

function sharedSecret(privateKey: Uint8Array, publicKey: Uint8Array): Uint8Array | undefined {
  requireLength(privateKey, KEY_BYTES, 'an X25519 private key');
  requireLength(publicKey, KEY_BYTES, 'an X25519 public key');
  try {
    return x25519.getSharedSecret(privateKey, publicKey);
  } catch {
    // With both lengths right noble throws for one reason: the point has a low order.
    return undefined;
  }
}

/** noble's own verification has the cofactor in the equation; Node's has not. See `Suite.ed25519Verify`. */
function ed25519Verify(publicKey: Uint8Array, message: Uint8Array, signature: Uint8Array): boolean {
  if (publicKey.length !== KEY_BYTES || signature.length !== SIGNATURE_BYTES) return false;
  const { Point } = ed25519;
  const r = signature.subarray(0, 32);
  const s = fromLittleEndian(signature.subarray(32));
  try {
    const a = Point.fromBytes(publicKey);
    if (a.isSmallOrder() || Point.fromBytes(r).isSmallOrder()) return false;
    const k = fromLittleEndian(absorb(sha512.create(), [r, publicKey, message]).digest()) % Point.Fn.ORDER;
    return equalBytes(Point.BASE.multiplyUnsafe(s).subtract(a.multiplyUnsafe(k)).toBytes(), r);
  } catch {
    // For bytes that encode no point, or not in the canonical way, or an S that is not below L.
    return false;
  }
}

function fromLittleEndian(bytes: Uint8Array): bigint {
  return bytes.reduceRight((value, byte) => (value << 8n) | BigInt(byte), 0n);
}

function aead(key: Uint8Array): Aead {
  requireLength(key, KEY_BYTES, 'an AES-256-GCM key');
  let own: Uint8Array | undefined = Uint8Array.from(key);
  const cipher = (nonce: Uint8Array, ad: Uint8Array): ReturnType<typeof gcm> => {
    if (own === undefined) throw new UsageError('the AES-256-GCM key was destroyed');
    requireLength(nonce, NONCE_BYTES, 'an AES-GCM nonce');
    return gcm(own, nonce, ad);
  };
  return {
    seal: (nonce, ad, plaintext, room = 0) => {
      const sealed = cipher(nonce, ad).encrypt(plaintext);
      if (room === 0) return sealed;
      const out = new Uint8Array(room + sealed.length);
      out.set(sealed, room);
      return out.subarray(room);
    },
    sealInto: (out, offset, nonce, ad, plaintext) => {
      requireRoom(out, offset, plaintext);
      out.set(cipher(nonce, ad).encrypt(plaintext), offset);
    },
    open: (nonce, ad, ciphertext) => {
      const opener = cipher(nonce, ad);
      if (ciphertext.length < TAG_BYTES) return undefined;
      try {
        return opener.decrypt(ciphertext);
      } catch {
        // noble throws for one reason here: the tag is wrong.
        return undefined;
      }
    },
    destroy: () => {
      own?.fill(0);
      own = undefined;
    },
  };
}
