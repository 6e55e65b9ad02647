/**
 * Noise_XKpsk3_25519_AESGCM_SHA256, written from revision 34 of the Noise specification with its names, keeping every
 * intermediate value (spec/04-handshake.md, 4.4).
 */
import { ascii, concat, EMPTY, equal, hex, sha256, unsigned, zeros } from './bytes.ts';
import { aeadOpen, aeadSeal, hmac, x25519, x25519Public } from './primitives.ts';

const PROTOCOL_NAME = 'Noise_XKpsk3_25519_AESGCM_SHA256';

/** One step of the handshake and what the state was after it. */
export interface NoiseStep {
  readonly step: string;
  readonly ck: string;
  readonly h: string;
  readonly k?: string;
  readonly n?: number;
}

export interface NoiseKeys {
  readonly prologue: Uint8Array;
  /** Own static private key. */
  readonly s: Uint8Array;
  /** Own ephemeral private key. */
  readonly e: Uint8Array;
  /** The responder's static public key: the initiator knows it before. */
  readonly rs?: Uint8Array;
  readonly psk: Uint8Array;
}

/** Handshakes fail in one way; `at` says where, for the one who debugs. */
export class NoiseFailure extends Error {
  readonly at: string;
  constructor(at: string) {
    super(`the handshake failed at ${at}`);
    this.at = at;
  }
}

/** The AESGCM nonce of Noise: 32 zero bits, then the counter, most significant byte first (12.4). */
export const noiseNonce = (n: number | bigint): Uint8Array => concat(zeros(4), unsigned(n, 8));

/** HKDF of the Noise specification (4.3): two or three outputs of 32 bytes. */
function noiseHkdf(
  chainingKey: Uint8Array,
  material: Uint8Array,
): readonly [Uint8Array, Uint8Array, Uint8Array] {
  const temp = hmac(chainingKey, material);
  const output1 = hmac(temp, Uint8Array.of(1));
  const output2 = hmac(temp, concat(output1, Uint8Array.of(2)));
  const output3 = hmac(temp, concat(output2, Uint8Array.of(3)));
  return [output1, output2, output3];
}

/** One side of an XKpsk3 handshake, with the variables of the Noise specification. */
export class Noise {
  ck: Uint8Array;
  h: Uint8Array;
  k: Uint8Array | undefined;
  n = 0;
  /** Which message is being written or read, for the notes. */
  message = 0;
  re: Uint8Array | undefined;
  rs: Uint8Array | undefined;
  readonly steps: NoiseStep[] = [];
  readonly keys: NoiseKeys;

  constructor(keys: NoiseKeys, initiator: boolean) {
    this.keys = keys;
    // The protocol name is exactly 32 bytes: it is taken as it is, not hashed (5.2).
    this.h = ascii(PROTOCOL_NAME);
    this.ck = this.h;
    this.rs = keys.rs;
    this.note('initialize');
    this.mixHash(keys.prologue);
    this.note('prologue');
    // Pre-message <- s: the responder's static.
    const responder = initiator ? keys.rs : x25519Public(keys.s);
    if (responder === undefined) throw new Error('the initiator of XK knows the responder');
    this.mixHash(responder);
    this.note('pre-message s');
  }

  note(step: string): void {
    const state = {
      step: this.message === 0 ? step : `message ${this.message}: ${step}`,
      ck: hex(this.ck),
      h: hex(this.h),
    };
    this.steps.push(this.k === undefined ? state : { ...state, k: hex(this.k), n: this.n });
  }

  mixHash(data: Uint8Array): void {
    this.h = sha256(concat(this.h, data));
  }

  mixKey(material: Uint8Array): void {
    const [ck, k] = noiseHkdf(this.ck, material);
    this.ck = ck;
    this.k = k;
    this.n = 0;
  }

  mixKeyAndHash(material: Uint8Array): void {
    const [ck, h, k] = noiseHkdf(this.ck, material);
    this.ck = ck;
    this.mixHash(h);
    this.k = k;
    this.n = 0;
  }

  encryptAndHash(plain: Uint8Array): Uint8Array {
    if (this.k === undefined) throw new Error('XKpsk3 encrypts nothing before its first key');
    const sealed = aeadSeal(this.k, noiseNonce(this.n++), this.h, plain);
    this.mixHash(sealed);
    return sealed;
  }

  decryptAndHash(sealed: Uint8Array, at: string): Uint8Array {
    if (this.k === undefined) throw new Error('XKpsk3 encrypts nothing before its first key');
    const plain = aeadOpen(this.k, noiseNonce(this.n++), this.h, sealed);
    if (plain === undefined) throw new NoiseFailure(at);
    this.mixHash(sealed);
    return plain;
  }

  dh(secret: Uint8Array, point: Uint8Array | undefined, at: string): void {
    if (point === undefined) throw new Error(`${at} has no key yet`);
    const shared = x25519(secret, point);
    if (shared === undefined) throw new NoiseFailure(at);
    this.mixKey(shared);
    this.note(at);
  }

  /** Token e, sending: with a PSK in the pattern, e is mixed into the key as well (9.2). */
  writeE(): Uint8Array {
    const e = x25519Public(this.keys.e);
    this.mixHash(e);
    this.mixKey(e);
    this.note('e');
    return e;
  }

  readE(e: Uint8Array): void {
    this.re = e;
    this.mixHash(e);
    this.mixKey(e);
    this.note('e');
  }

  payloadOut(payload: Uint8Array): Uint8Array {
    const sealed = this.encryptAndHash(payload);
    this.note('payload');
    return sealed;
  }

  payloadIn(sealed: Uint8Array, at: string): Uint8Array {
    const payload = this.decryptAndHash(sealed, at);
    this.note('payload');
    return payload;
  }

  /** The two transport keys (5.2, Split): the first is the initiator's for sending. */
  split(): readonly [Uint8Array, Uint8Array] {
    const [k1, k2] = noiseHkdf(this.ck, EMPTY);
    return [k1, k2];
  }
}

/** Initiator, message 1: e, es. */
export function writeMessage1(noise: Noise, payload: Uint8Array): Uint8Array {
  noise.message = 1;
  const e = noise.writeE();
  noise.dh(noise.keys.e, noise.rs, 'es');
  return concat(e, noise.payloadOut(payload));
}

/** Responder, message 1. */
export function readMessage1(noise: Noise, message: Uint8Array): Uint8Array {
  if (message.length !== 48) throw new NoiseFailure('length of message 1');
  noise.message = 1;
  noise.readE(message.slice(0, 32));
  noise.dh(noise.keys.s, noise.re, 'es');
  return noise.payloadIn(message.slice(32), 'payload of message 1');
}

/** Responder, message 2: e, ee. */
export function writeMessage2(noise: Noise, payload: Uint8Array): Uint8Array {
  noise.message = 2;
  const e = noise.writeE();
  noise.dh(noise.keys.e, noise.re, 'ee');
  return concat(e, noise.payloadOut(payload));
}

/** Initiator, message 2. */
export function readMessage2(noise: Noise, message: Uint8Array): Uint8Array {
  if (message.length !== 112) throw new NoiseFailure('length of message 2');
  noise.message = 2;
  noise.readE(message.slice(0, 32));
  noise.dh(noise.keys.e, noise.re, 'ee');
  return noise.payloadIn(message.slice(32), 'payload of message 2');
}

/** Initiator, message 3: s, se, psk. */
export function writeMessage3(noise: Noise, payload: Uint8Array): Uint8Array {
  noise.message = 3;
  const s = noise.encryptAndHash(x25519Public(noise.keys.s));
  noise.note('s');
  noise.dh(noise.keys.s, noise.re, 'se');
  noise.mixKeyAndHash(noise.keys.psk);
  noise.note('psk');
  return concat(s, noise.payloadOut(payload));
}

/** Responder, message 3; afterwards `rs` is the initiator's static. */
export function readMessage3(noise: Noise, message: Uint8Array): Uint8Array {
  if (message.length !== 64) throw new NoiseFailure('length of message 3');
  noise.message = 3;
  noise.rs = noise.decryptAndHash(message.slice(0, 48), 's');
  noise.note('s');
  noise.dh(noise.keys.e, noise.rs, 'se');
  noise.mixKeyAndHash(noise.keys.psk);
  noise.note('psk');
  return noise.payloadIn(message.slice(48), 'payload of message 3');
}

/** Say whether the two sides ended in one state. */
export function agree(a: Noise, b: Noise): boolean {
  return equal(a.h, b.h) && equal(a.ck, b.ck);
}
