/** The primitives of suite 1 over node:crypto, on raw bytes (RFC 7748, 8032, 5869, 5116). */
import {
  createCipheriv,
  createDecipheriv,
  createHmac,
  createPrivateKey,
  createPublicKey,
  diffieHellman,
  type KeyObject,
  sign,
  verify,
} from 'node:crypto';
import { concat, EMPTY, hex, readUnsigned, sha256, u8, unhex, zeros } from './bytes.ts';

// DER in front of the 32 raw bytes of a key (RFC 8410).
const X25519_PRIVATE = unhex('302e020100300506032b656e04220420');
const X25519_PUBLIC = unhex('302a300506032b656e032100');
const ED25519_PRIVATE = unhex('302e020100300506032b657004220420');
const ED25519_PUBLIC = unhex('302a300506032b6570032100');

const X25519_BASE = concat(u8(9), zeros(31));

function privateKey(prefix: Uint8Array, raw: Uint8Array): KeyObject {
  return createPrivateKey({ key: Buffer.from(concat(prefix, raw)), format: 'der', type: 'pkcs8' });
}

function publicKey(prefix: Uint8Array, raw: Uint8Array): KeyObject {
  return createPublicKey({ key: Buffer.from(concat(prefix, raw)), format: 'der', type: 'spki' });
}

/** X25519 of two raw keys; undefined where the result would be 32 zero bytes. */
export function x25519(secret: Uint8Array, point: Uint8Array): Uint8Array | undefined {
  try {
    const shared = diffieHellman({
      privateKey: privateKey(X25519_PRIVATE, secret),
      publicKey: publicKey(X25519_PUBLIC, point),
    });
    return shared.every(byte => byte === 0) ? undefined : new Uint8Array(shared);
  } catch {
    // OpenSSL refuses a result of zeros by itself.
    return undefined;
  }
}

/** The X25519 public key of a raw private key. */
export function x25519Public(secret: Uint8Array): Uint8Array {
  const point = x25519(secret, X25519_BASE);
  if (point === undefined) throw new Error('the base point has no small order');
  return point;
}

/** The Ed25519 public key of a raw private key (the 32-byte seed of RFC 8032). */
export function ed25519Public(seed: Uint8Array): Uint8Array {
  const der = createPublicKey(privateKey(ED25519_PRIVATE, seed)).export({ format: 'der', type: 'spki' });
  return new Uint8Array(der.subarray(der.length - 32));
}

export function ed25519Sign(seed: Uint8Array, message: Uint8Array): Uint8Array {
  return new Uint8Array(sign(null, message, privateKey(ED25519_PRIVATE, seed)));
}

// The y coordinates of the points of small order, without the sign of x.
const SMALL_ORDER_Y = [
  '0000000000000000000000000000000000000000000000000000000000000000',
  '0100000000000000000000000000000000000000000000000000000000000000',
  '26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05',
  'c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a',
  'ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f',
];

/** Say whether an encoded point is canonical and has no small order (CF-008~1). */
function soundPoint(point: Uint8Array): boolean {
  const y = point.map((byte, i) => (i === 31 ? byte & 0x7f : byte));
  return readUnsigned(y.toReversed()) < 2n ** 255n - 19n && !SMALL_ORDER_Y.includes(hex(y));
}

/** Verify as RFC 8032 does without the cofactor; OpenSSL itself looks at the bound of S. */
export function ed25519Verify(point: Uint8Array, message: Uint8Array, signature: Uint8Array): boolean {
  if (signature.length !== 64 || !soundPoint(point) || !soundPoint(signature.slice(0, 32))) return false;
  try {
    return verify(null, message, publicKey(ED25519_PUBLIC, point), signature);
  } catch {
    return false;
  }
}

/** Seal with AES-256-GCM: ciphertext, then the tag of 16 bytes. */
export function aeadSeal(key: Uint8Array, nonce: Uint8Array, ad: Uint8Array, plain: Uint8Array): Uint8Array {
  const cipher = createCipheriv('aes-256-gcm', key, nonce).setAAD(ad);
  return concat(cipher.update(plain), cipher.final(), cipher.getAuthTag());
}

/** Open what `aeadSeal` made; undefined when it does not open. */
export function aeadOpen(
  key: Uint8Array,
  nonce: Uint8Array,
  ad: Uint8Array,
  sealed: Uint8Array,
): Uint8Array | undefined {
  if (sealed.length < 16) return undefined;
  const split = sealed.length - 16;
  const decipher = createDecipheriv('aes-256-gcm', key, nonce, { authTagLength: 16 });
  decipher.setAAD(ad).setAuthTag(sealed.subarray(split));
  try {
    return concat(decipher.update(sealed.subarray(0, split)), decipher.final());
  } catch {
    return undefined;
  }
}

export function hmac(key: Uint8Array, message: Uint8Array): Uint8Array {
  return new Uint8Array(createHmac('sha256', key).update(message).digest());
}

/** First half of HKDF-SHA256 (RFC 5869, 2.2). */
export function hkdfExtract(salt: Uint8Array, ikm: Uint8Array): Uint8Array {
  return hmac(salt, ikm);
}

/** Second half of HKDF-SHA256 (RFC 5869, 2.3). */
export function hkdfExpand(prk: Uint8Array, info: Uint8Array, length: number): Uint8Array {
  let block = EMPTY;
  let out = EMPTY;
  for (let i = 1; out.length < length; i++) {
    block = hmac(prk, concat(block, info, u8(i)));
    out = concat(out, block);
  }
  return out.slice(0, length);
}

export { sha256 };
