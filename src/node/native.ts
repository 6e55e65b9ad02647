/** The suite over node:crypto, about ten times faster; the only file in src/ that imports it (spec/04-handshake.md). */
import * as crypto from 'node:crypto';
import type { Aead, Suite, X25519Key } from '../crypto/suite.ts';
import {
  HASH_BYTES,
  KEY_BYTES,
  NONCE_BYTES,
  requireHkdfLength,
  requireLength,
  requireRoom,
  SIGNATURE_BYTES,
  TAG_BYTES,
} from '../crypto/suite.ts';
import { UsageError } from '../wire/usage-error.ts';
import { allocate } from './sealed-buffers.ts';

/** A suite that can also make what a TLS certificate needs. */
export interface NativeSuite extends Suite {
  /**
   * Make a P-256 key pair for TLS. Only here: a browser presents no certificate, and the core needs no P-256.
   * OpenSSL draws this entropy itself, as it does for every ECDSA signature: no tape makes a certificate repeat.
   */
  p256KeyPair(): P256KeyPair;
  /** Sign with ECDSA and SHA-256: a DER signature, as a certificate carries it. `pkcs8` is DER. */
  p256Sign(pkcs8: Uint8Array, message: Uint8Array): Uint8Array;
}

/** Both halves in DER: PKCS #8, and the SubjectPublicKeyInfo that a connection record pins. */
export interface P256KeyPair {
  readonly pkcs8: Uint8Array;
  readonly spki: Uint8Array;
}

/** Holds a tag on its way into OpenSSL, which copies it at once. */
const TAG = Buffer.alloc(TAG_BYTES);

/** The suite over node:crypto. */
export const native: NativeSuite = {
  name: 'native',
  randomBytes: length => plain(crypto.randomBytes(length)),

  sha256,
  hmacSha256: hmac,
  hkdfSha256,

  x25519Key,
  x25519Public: privateKey => publicHalf(importPrivate('X25519', privateKey)),
  x25519: (privateKey, publicKey) => agree(importPrivate('X25519', privateKey), publicKey),

  ed25519Public: seed => publicHalf(importPrivate('Ed25519', seed)),
  ed25519Sign: (seed, message) => plain(crypto.sign(null, message, importPrivate('Ed25519', seed))),
  ed25519Verify,

  aead: key => new NativeAead(key),
  equal: (a, b) => a.length === b.length && crypto.timingSafeEqual(a, b),
  erase: bytes => {
    bytes.fill(0);
  },

  p256KeyPair: () => {
    const { privateKey, publicKey } = crypto.generateKeyPairSync('ec', {
      namedCurve: 'P-256',
      privateKeyEncoding: { format: 'der', type: 'pkcs8' },
      publicKeyEncoding: { format: 'der', type: 'spki' },
    });
    return { pkcs8: plain(privateKey), spki: plain(publicKey) };
  },
  p256Sign: (pkcs8, message) => {
    const key = crypto.createPrivateKey({ key: Buffer.from(pkcs8), format: 'der', type: 'pkcs8' });
    return plain(crypto.sign('sha256', message, key));
  },
};

/** Show a Buffer as what it is to the core: `slice` of a Buffer shares its bytes, that of a Uint8Array copies them. */
function plain(buffer: Buffer): Uint8Array {
  return new Uint8Array(buffer.buffer, buffer.byteOffset, buffer.length);
}

const BLOCK_BYTES = 64;
/** Where short inputs are joined for a one-shot hash, which is cheaper than a hash object. Wiped after each use. */
const SCRATCH = new Uint8Array(512);
/** Where HMAC has its outer block and the inner hash. Wiped after each use. */
const OUTER = new Uint8Array(BLOCK_BYTES + HASH_BYTES);

/** Join the parts in SCRATCH from `offset` on, or undefined if they do not fit. */
function join(parts: readonly Uint8Array[], offset: number): Uint8Array | undefined {
  let end = offset;
  for (const part of parts) {
    if (end + part.length > SCRATCH.length) return undefined;
    SCRATCH.set(part, end);
    end += part.length;
  }
  return SCRATCH.subarray(0, end);
}

/**
 * Hash into `out` by way of a string, which is three times as fast as bytes and cannot be erased: only for a result that
 * is no secret.
 */
function hashInto(out: Uint8Array, offset: number, bytes: Uint8Array): Uint8Array {
  const hash = crypto.hash('sha256', bytes, 'latin1' as 'hex');
  for (let i = 0; i < HASH_BYTES; i += 1) out[offset + i] = hash.charCodeAt(i);
  return out;
}

function sha256(...parts: readonly Uint8Array[]): Uint8Array {
  const [first] = parts;
  const out = new Uint8Array(HASH_BYTES);
  if (first !== undefined && parts.length === 1) return hashInto(out, 0, first);
  const joined = join(parts, 0);
  if (joined !== undefined) {
    hashInto(out, 0, joined);
    joined.fill(0);
    return out;
  }
  const hash = crypto.createHash('sha256');
  for (const part of parts) hash.update(part);
  return plain(hash.digest());
}

/** Beginnings of SCRATCH, by their length, from when they were hashed first: a view costs half of what its hash does. */
const HEADS = new Map<number, Uint8Array>();

function head(scratch: Uint8Array, end: number): Uint8Array {
  const known = scratch === SCRATCH ? HEADS.get(end) : undefined;
  if (known !== undefined) return known;
  const made = scratch.subarray(0, end);
  if (scratch === SCRATCH) HEADS.set(end, made);
  return made;
}

/** Prepare both blocks of HMAC (RFC 2104) for a key of at most 64 bytes, the inner one in `scratch`. */
function setHmacKey(scratch: Uint8Array, key: Uint8Array): void {
  scratch.fill(0x36, 0, BLOCK_BYTES);
  OUTER.fill(0x5c, 0, BLOCK_BYTES);
  for (let i = 0; i < key.length; i += 1) {
    const byte = key[i] ?? 0;
    scratch[i] = byte ^ 0x36;
    OUTER[i] = byte ^ 0x5c;
  }
}

/** HMAC of what stands in `scratch` behind the inner block and up to `end`, under the key that was set. */
function finishHmac(scratch: Uint8Array, end: number): Buffer {
  // Without the key the inner hash tells nothing.
  hashInto(OUTER, BLOCK_BYTES, head(scratch, end));
  return crypto.hash('sha256', OUTER, 'buffer');
}

function wipeHmac(scratch: Uint8Array, end: number): void {
  scratch.fill(0, 0, end);
  OUTER.fill(0);
}

/** HMAC by its definition for what fits into SCRATCH, else by OpenSSL. */
function hmac(key: Uint8Array, ...parts: readonly Uint8Array[]): Uint8Array {
  const inner = key.length <= BLOCK_BYTES ? join(parts, BLOCK_BYTES) : undefined;
  if (inner === undefined) {
    const mac = crypto.createHmac('sha256', key);
    for (const part of parts) mac.update(part);
    return plain(mac.digest());
  }
  setHmacKey(SCRATCH, key);
  const digest = plain(finishHmac(SCRATCH, inner.length));
  wipeHmac(SCRATCH, inner.length);
  return digest;
}

/** Derive 32 bytes from a passphrase with scrypt (RFC 7914), in a thread of its own; takes 128 r 2^costLog2 bytes of memory. */
export function scryptKey(
  passphrase: Uint8Array,
  salt: Uint8Array,
  { costLog2, r, p }: { readonly costLog2: number; readonly r: number; readonly p: number },
): Promise<Uint8Array> {
  const N = 2 ** costLog2;
  const options = { N, r, p, maxmem: 128 * r * (N + p + 2) };
  return new Promise((resolve, reject) => {
    crypto.scrypt(passphrase, salt, 32, options, (error, key) => {
      if (error === null) resolve(plain(key));
      else reject(error);
    });
  });
}

/** These few hashes take half the time of `hkdfSync`. */
function hkdfSha256(ikm: Uint8Array, salt: Uint8Array, info: Uint8Array, length: number): Uint8Array {
  requireHkdfLength(length);
  const prk = hmac(salt, ikm);
  const okm = new Uint8Array(length);
  const longest = BLOCK_BYTES + HASH_BYTES + info.length + 1;
  const scratch = longest <= SCRATCH.length ? SCRATCH : new Uint8Array(longest);
  setHmacKey(scratch, prk);
  for (let at = 0, i = 1; at < length; at += HASH_BYTES, i += 1) {
    // T(i) = HMAC(PRK, T(i - 1) || info || i)
    let end = BLOCK_BYTES;
    if (i > 1) {
      scratch.set(okm.subarray(at - HASH_BYTES, at), end);
      end += HASH_BYTES;
    }
    scratch.set(info, end);
    end += info.length;
    scratch[end] = i;
    const block = finishHmac(scratch, end + 1);
    okm.set(at + HASH_BYTES <= length ? block : block.subarray(0, length - at), at);
    block.fill(0);
  }
  wipeHmac(scratch, longest);
  prk.fill(0);
  return okm;
}

type OkpCurve = 'X25519' | 'Ed25519';

/** PKCS #8 up to the 32 bytes of the key (RFC 8410). */
const PKCS8_PREFIX = {
  X25519: Buffer.from('302e020100300506032b656e04220420', 'hex'),
  Ed25519: Buffer.from('302e020100300506032b657004220420', 'hex'),
} as const;
/** SubjectPublicKeyInfo up to the 32 bytes of the key (RFC 8410), in base64. */
const SPKI_PREFIX = { X25519: 'MCowBQYDK2VuAyEA', Ed25519: 'MCowBQYDK2VwAyEA' } as const;
const MAJOR = Number.parseInt(process.versions.node, 10);
/** Node 20 reads DER ten times as slowly as JWK, and ignores the `x` of a private JWK; later ones do neither. */
const SLOW_DER = MAJOR < 22;
/** Node 24 finds out that an object is no KeyObject by an exception, up to four for each key that it reads from one. */
const SLOW_OBJECTS = MAJOR === 24 || MAJOR === 25;
/** Node 26 reads keys as they are. */
const READS_RAW = MAJOR >= 26;

function importPrivate(curve: OkpCurve, raw: Uint8Array): crypto.KeyObject {
  requireLength(raw, KEY_BYTES, `an ${curve} private key`);
  if (SLOW_DER) {
    // The price is a string with the key, which only the garbage collector erases.
    return crypto.createPrivateKey({
      format: 'jwk',
      key: { kty: 'OKP', crv: curve, d: base64url(raw), x: '' },
    });
  }
  if (READS_RAW) return crypto.createPrivateKey(rawKey(curve, 'raw-private', raw));
  const prefix = PKCS8_PREFIX[curve];
  const der = Buffer.alloc(prefix.length + KEY_BYTES);
  der.set(prefix);
  der.set(raw, prefix.length);
  const key = crypto.createPrivateKey({ key: der, format: 'der', type: 'pkcs8' });
  der.fill(0);
  return key;
}

function importPublic(curve: OkpCurve, raw: Uint8Array): crypto.KeyObject {
  if (READS_RAW) return crypto.createPublicKey(rawKey(curve, 'raw-public', raw));
  if (SLOW_OBJECTS) {
    const base64 = `${SPKI_PREFIX[curve]}${asBuffer(raw).toString('base64')}`;
    return crypto.createPublicKey(`-----BEGIN PUBLIC KEY-----\n${base64}\n-----END PUBLIC KEY-----`);
  }
  return crypto.createPublicKey({ format: 'jwk', key: { kty: 'OKP', crv: curve, x: base64url(raw) } });
}

/**
 * Read the public key that OpenSSL computed at the import. Exporting JWK deadlocks in Node 20 for keys of
 * `generateKeyPairSync` - its finished job takes the key's lock when it is collected - and for no imported key.
 */
function publicHalf(key: crypto.KeyObject): Uint8Array {
  // Where the private half was a string at the import, it may be one again: that saves a key object.
  const { x } = (SLOW_DER ? key : crypto.createPublicKey(key)).export({ format: 'jwk' });
  if (x === undefined) throw new UsageError('not an X25519 or Ed25519 key');
  return new Uint8Array(Buffer.from(x, 'base64url'));
}

/** What `createPrivateKey` and `createPublicKey` take where they read raw keys; the types here are those of Node 20. */
function rawKey(
  curve: OkpCurve,
  format: 'raw-private' | 'raw-public',
  key: Uint8Array,
): crypto.JsonWebKeyInput {
  const input: object = { format, asymmetricKeyType: curve.toLowerCase(), key };
  return input as crypto.JsonWebKeyInput;
}

function base64url(bytes: Uint8Array): string {
  return asBuffer(bytes).toString('base64url');
}

function asBuffer(bytes: Uint8Array): Buffer {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length);
}

function x25519Key(privateKey: Uint8Array): X25519Key {
  let key: crypto.KeyObject | undefined = importPrivate('X25519', privateKey);
  return {
    public: publicHalf(key),
    dh: publicKey => {
      if (key === undefined) throw new UsageError('the X25519 key was destroyed');
      return agree(key, publicKey);
    },
    destroy: () => {
      // OpenSSL cleanses the key when the last reference to it is collected.
      key = undefined;
    },
  };
}

interface Peer {
  readonly raw: Uint8Array;
  readonly key: crypto.KeyObject;
}

/**
 * Public keys that came in, the last one used first: two of the three DHs of a handshake are with one and the same, and
 * the static ones come back with every handshake of the same two.
 */
const PEERS: Peer[] = [];
const PEERS_MAX = 8;

function importPeer(raw: Uint8Array): crypto.KeyObject {
  requireLength(raw, KEY_BYTES, 'an X25519 public key');
  const at = PEERS.findIndex(peer => Buffer.compare(peer.raw, raw) === 0);
  const peer = PEERS[at] ?? { raw: new Uint8Array(raw), key: importPublic('X25519', raw) };
  if (at !== 0) {
    if (at > 0) PEERS.splice(at, 1);
    else if (PEERS.length >= PEERS_MAX) PEERS.pop();
    PEERS.unshift(peer);
  }
  return peer.key;
}

function agree(privateKey: crypto.KeyObject, publicKey: Uint8Array): Uint8Array | undefined {
  const peer = importPeer(publicKey);
  try {
    return plain(crypto.diffieHellman({ privateKey, publicKey: peer }));
  } catch {
    // With a right key on both sides OpenSSL fails for one reason: the result is all zero.
    return undefined;
  }
}

/** OpenSSL closes every freedom of `Suite.ed25519Verify` but one: which points it takes differs by its version. */
function ed25519Verify(publicKey: Uint8Array, message: Uint8Array, signature: Uint8Array): boolean {
  if (publicKey.length !== KEY_BYTES || signature.length !== SIGNATURE_BYTES) return false;
  if (!isSound(publicKey) || !isSound(signature.subarray(0, 32))) return false;
  return crypto.verify(null, message, importPublic('Ed25519', publicKey), signature);
}

const P = 2n ** 255n - 19n;
const ORDER_8_Y = 0x05fc536d880238b13933c6d305acdfd5f098eff289f4c345b027b2c28f95e826n;
/** y of every point whose order divides 8; the sign of x makes no difference. */
const SMALL_ORDER_Y: readonly bigint[] = [0n, 1n, P - 1n, ORDER_8_Y, P - ORDER_8_Y];

/** Whether y is canonical (below p) and the point not of small order. */
function isSound(point: Uint8Array): boolean {
  const hex = Buffer.from(point).reverse().toString('hex');
  const y = BigInt(`0x${hex}`) & (2n ** 255n - 1n);
  return y < P && !SMALL_ORDER_Y.includes(y);
}

/** A class, because a session keeps two of these for as long as it lasts, and closures take ten times as much memory. */
class NativeAead implements Aead {
  // A key for one message stays bytes, which can be erased, where Node takes those as fast. One for more becomes a
  // KeyObject at its second use: making one costs as much as a message.
  #raw: Uint8Array | undefined;
  #key: crypto.KeyObject | undefined;
  #used = SLOW_OBJECTS;

  constructor(keyBytes: Uint8Array) {
    requireLength(keyBytes, KEY_BYTES, 'an AES-256-GCM key');
    this.#raw = new Uint8Array(keyBytes);
  }

  seal(nonce: Uint8Array, ad: Uint8Array, plaintext: Uint8Array, room = 0): Uint8Array {
    const out = allocate(plaintext.length + TAG_BYTES, room);
    this.#seal(out, 0, nonce, ad, plaintext);
    return out;
  }

  sealInto(out: Uint8Array, offset: number, nonce: Uint8Array, ad: Uint8Array, plaintext: Uint8Array): void {
    requireRoom(out, offset, plaintext);
    this.#seal(out, offset, nonce, ad, plaintext);
  }

  #seal(out: Uint8Array, offset: number, nonce: Uint8Array, ad: Uint8Array, plaintext: Uint8Array): void {
    const cipher = crypto.createCipheriv('aes-256-gcm', this.#live(nonce), nonce);
    if (ad.length > 0) cipher.setAAD(ad);
    if (plaintext.length > 0) out.set(cipher.update(plaintext), offset);
    cipher.final();
    out.set(cipher.getAuthTag(), offset + plaintext.length);
  }

  open(nonce: Uint8Array, ad: Uint8Array, ciphertext: Uint8Array): Uint8Array | undefined {
    const secret = this.#live(nonce);
    const tagAt = ciphertext.length - TAG_BYTES;
    if (tagAt < 0) return undefined;
    const decipher = crypto.createDecipheriv('aes-256-gcm', secret, nonce);
    for (let i = 0; i < TAG_BYTES; i += 1) TAG[i] = ciphertext[tagAt + i] ?? 0;
    decipher.setAuthTag(TAG);
    if (ad.length > 0) decipher.setAAD(ad);
    const plaintext = decipher.update(new Uint8Array(ciphertext.buffer, ciphertext.byteOffset, tagAt));
    try {
      decipher.final();
    } catch {
      // The tag is wrong: what was decrypted is forged, or not ours.
      plaintext.fill(0);
      return undefined;
    }
    return plain(plaintext);
  }

  destroy(): void {
    this.#raw?.fill(0);
    this.#raw = undefined;
    this.#key = undefined;
  }

  #live(nonce: Uint8Array): crypto.KeyObject | Uint8Array {
    if (nonce.length !== NONCE_BYTES) requireLength(nonce, NONCE_BYTES, 'an AES-GCM nonce');
    return this.#key ?? this.#firstKey();
  }

  #firstKey(): crypto.KeyObject | Uint8Array {
    const raw = this.#raw;
    if (raw === undefined) throw new UsageError('the AES-256-GCM key was destroyed');
    if (!this.#used) {
      this.#used = true;
      return raw;
    }
    this.#key = crypto.createSecretKey(raw);
    raw.fill(0);
    this.#raw = undefined;
    return this.#key;
  }
}
