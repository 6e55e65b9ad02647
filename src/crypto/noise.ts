/**
 * `Noise_XKpsk3_25519_AESGCM_SHA256` to the letter of the Noise Protocol Framework, revision 34, with its names
 * (spec/04-handshake.md).
 */
import { asciiBytes } from '../wire/bytes.ts';
import { UsageError } from '../wire/usage-error.ts';
import { CipherState } from './cipher-state.ts';
import { HASH_BYTES, KEY_BYTES, requireLength, type Suite, TAG_BYTES, type X25519Key } from './suite.ts';

/** Exactly HASHLEN bytes of ASCII, so by InitializeSymmetric `h` begins as the name itself. */
const PROTOCOL_NAME: Uint8Array = asciiBytes('Noise_XKpsk3_25519_AESGCM_SHA256');

const DHLEN = KEY_BYTES;
/** The most that one Noise message can have, payload and tags included. */
export const NOISE_MESSAGE_BYTES_MAX = 65_535;

type Token = 'e' | 's' | 'ee' | 'es' | 'se' | 'psk';

/** XKpsk3, whose pre-message is `<- s`. The initiator writes the first and the third. */
const MESSAGE_PATTERNS: readonly (readonly Token[])[] = [
  ['e', 'es'],
  ['e', 'ee'],
  ['s', 'se', 'psk'],
];
/** What each message has besides its payload: its public keys, and a tag for `s` and for the payload. */
const OVERHEAD_BYTES: readonly number[] = [
  DHLEN + TAG_BYTES,
  DHLEN + TAG_BYTES,
  DHLEN + TAG_BYTES + TAG_BYTES,
];

const EMPTY = new Uint8Array(0);

/** Why a handshake ended: a length that no such message has, a DH result of zeros, or a tag that is wrong. */
export type NoiseFaultCode = 'message_length' | 'dh_all_zero' | 'decryption_failed';

/** The end of a handshake through what the peer sent, as data. */
export interface NoiseFault {
  readonly kind: 'fault';
  readonly code: NoiseFaultCode;
}

/** A handshake message for the peer. */
export interface Written {
  readonly kind: 'written';
  readonly message: Uint8Array;
}

/** What the peer's handshake message carried. */
export interface Read {
  readonly kind: 'read';
  readonly payload: Uint8Array;
}

/** What both roles begin with. `psk` is copied; `s` stays the caller's and is not destroyed. */
export interface HandshakeOptions {
  readonly suite: Suite;
  readonly prologue: Uint8Array;
  /** The local static key pair. */
  readonly s: X25519Key;
  /** 32 bytes. */
  readonly psk: Uint8Array;
}

/** What is left of a handshake that has ended well. */
export interface Split {
  readonly send: CipherState;
  readonly receive: CipherState;
  /** The handshake hash: names this handshake, is no secret. */
  readonly h: Uint8Array;
  /** The peer's static public key, proven. */
  readonly rs: Uint8Array;
}

/** The chaining key, the hash and the key derived last (Noise, section 5.2). */
class SymmetricState {
  readonly #suite: Suite;
  #ck: Uint8Array;
  #h: Uint8Array;
  /** The key, where one was derived: before the first MixKey, and between two, nothing is encrypted. */
  #cipher: CipherState | undefined;

  /** InitializeSymmetric. */
  constructor(suite: Suite) {
    this.#suite = suite;
    this.#h = new Uint8Array(PROTOCOL_NAME);
    this.#ck = new Uint8Array(this.#h);
  }

  get h(): Uint8Array {
    return this.#h;
  }

  /** MixKey. Without `isUsed` the next token mixes again, and the key that nothing is encrypted with is not derived. */
  mixKey(inputKeyMaterial: Uint8Array, isUsed: boolean): void {
    const [ck, tempK] = this.#hkdf(inputKeyMaterial, isUsed ? 2 : 1);
    this.#replace(ck, isUsed ? tempK : undefined);
  }

  /** MixHash. */
  mixHash(data: Uint8Array): void {
    this.#h = this.#suite.sha256(this.#h, data);
  }

  /** MixKeyAndHash. */
  mixKeyAndHash(inputKeyMaterial: Uint8Array): void {
    const [ck, tempH, tempK] = this.#hkdf(inputKeyMaterial, 3);
    this.mixHash(tempH);
    this.#suite.erase(tempH);
    this.#replace(ck, tempK);
  }

  /** EncryptAndHash, into `out` from `offset` on; gives the offset behind the tag. */
  encryptAndHash(out: Uint8Array, offset: number, plaintext: Uint8Array): number {
    const end = offset + plaintext.length + TAG_BYTES;
    this.#keyed().encryptInto(out, offset, this.#h, plaintext);
    this.mixHash(out.subarray(offset, end));
    return end;
  }

  /** DecryptAndHash: undefined if the tag is wrong. */
  decryptAndHash(ciphertext: Uint8Array): Uint8Array | undefined {
    const plaintext = this.#keyed().decryptWithAd(this.#h, ciphertext);
    if (plaintext !== undefined) this.mixHash(ciphertext);
    return plaintext;
  }

  /** Split: the initiator sends with the first and receives with the second. */
  split(): readonly [CipherState, CipherState] {
    const [k1, k2] = this.#hkdf(EMPTY, 2);
    return [new CipherState(this.#suite, k1), new CipherState(this.#suite, k2)];
  }

  /** Erase ck and the key; h is no secret and stays. */
  destroy(): void {
    this.#suite.erase(this.#ck);
    this.#cipher?.destroy();
  }

  /** HKDF of Noise (section 4.3) is HKDF of RFC 5869 with ck as the salt and no info. */
  #hkdf(inputKeyMaterial: Uint8Array, outputs: number): readonly [Uint8Array, Uint8Array, Uint8Array] {
    const okm = this.#suite.hkdfSha256(inputKeyMaterial, this.#ck, EMPTY, outputs * HASH_BYTES);
    return [okm.subarray(0, 32), okm.subarray(32, 64), okm.subarray(64, 96)];
  }

  #replace(ck: Uint8Array, tempK: Uint8Array | undefined): void {
    this.#suite.erase(this.#ck);
    this.#ck = ck;
    this.#cipher?.destroy();
    this.#cipher = tempK && new CipherState(this.#suite, tempK);
  }

  #keyed(): CipherState {
    if (this.#cipher === undefined) throw new UsageError('no key yet');
    return this.#cipher;
  }
}

/**
 * One side of one handshake (Noise, section 5.3).
 *
 * `writeMessage` and `readMessage` alternate, the initiator writes first; after the third message `split` gives the
 * result, once. Nothing that the peer sends throws: it gives a fault, which ends the handshake, and every later
 * `writeMessage` or `readMessage` gives the same fault. A call out of turn is a UsageError. Once the handshake has
 * ended, whichever way, nothing secret is left in it.
 *
 * A responder that holds several static keys makes a new state for each and reads message 1 again.
 *
 * @impl HS-010~1
 */
export class HandshakeState {
  readonly #suite: Suite;
  readonly #initiator: boolean;
  readonly #symmetric: SymmetricState;
  readonly #s: X25519Key;
  #e: X25519Key | undefined;
  #rs: Uint8Array | undefined;
  #re: Uint8Array | undefined;
  readonly #psk: Uint8Array;
  /** How many messages were written and read. */
  #messages = 0;
  #fault: NoiseFault | undefined;
  #split: Split | undefined;
  #ended = false;

  /** Initialize. The initiator knows the responder's static public key `rs` beforehand. */
  private constructor(options: HandshakeOptions, rs: Uint8Array | undefined) {
    const { suite, prologue, s, psk } = options;
    requireLength(psk, KEY_BYTES, 'a PSK');
    this.#suite = suite;
    this.#initiator = rs !== undefined;
    this.#s = s;
    this.#rs = rs;
    this.#psk = new Uint8Array(psk);
    this.#symmetric = new SymmetricState(suite);
    this.#symmetric.mixHash(prologue);
    this.#symmetric.mixHash(rs ?? s.public);
  }

  /** Begin as the side that dials; `rs` are the 32 bytes of the responder's static public key. */
  static initiator(options: HandshakeOptions & { readonly rs: Uint8Array }): HandshakeState {
    requireLength(options.rs, DHLEN, 'the static public key of the responder');
    return new HandshakeState(options, new Uint8Array(options.rs));
  }

  /** Begin as the side that is dialled. */
  static responder(options: HandshakeOptions): HandshakeState {
    return new HandshakeState(options, undefined);
  }

  /** The hash of all that was said so far; it is final once three messages were. */
  get h(): Uint8Array {
    return new Uint8Array(this.#symmetric.h);
  }

  /**
   * Write the next message. `e` is a fresh key pair where the message has an `e` (messages 1 and 2), never used before
   * or after; it belongs to the handshake from here on, which destroys it.
   */
  writeMessage(payload: Uint8Array, e?: X25519Key): Written | NoiseFault {
    if (this.#fault !== undefined) return this.#fault;
    const tokens = this.#turn(this.#initiator);
    const length = payload.length + this.#overhead();
    if (length > NOISE_MESSAGE_BYTES_MAX) throw new UsageError(`a Noise message cannot have ${length} bytes`);
    if (tokens.includes('e') !== (e !== undefined))
      throw new UsageError('a key pair goes with messages 1 and 2');
    const message = new Uint8Array(length);
    let at = 0;
    for (const token of tokens) {
      switch (token) {
        case 'e':
          this.#e = e;
          if (e !== undefined) message.set(e.public);
          at += DHLEN;
          this.#mixEphemeral(message.subarray(0, DHLEN));
          break;
        case 's':
          at = this.#symmetric.encryptAndHash(message, at, this.#s.public);
          break;
        default:
          if (!this.#mix(token)) return this.#fail('dh_all_zero');
      }
    }
    this.#symmetric.encryptAndHash(message, at, payload);
    this.#next();
    return { kind: 'written', message };
  }

  /** Read the next message of the peer; its payload counts as the pattern promises, and no more. */
  readMessage(message: Uint8Array): Read | NoiseFault {
    if (this.#fault !== undefined) return this.#fault;
    const tokens = this.#turn(!this.#initiator);
    if (message.length < this.#overhead() || message.length > NOISE_MESSAGE_BYTES_MAX) {
      return this.#fail('message_length');
    }
    let at = 0;
    for (const token of tokens) {
      switch (token) {
        case 'e':
          this.#re = new Uint8Array(message.subarray(at, at + DHLEN));
          at += DHLEN;
          this.#mixEphemeral(this.#re);
          break;
        case 's':
          this.#rs = this.#symmetric.decryptAndHash(message.subarray(at, at + DHLEN + TAG_BYTES));
          if (this.#rs === undefined) return this.#fail('decryption_failed');
          at += DHLEN + TAG_BYTES;
          break;
        default:
          if (!this.#mix(token)) return this.#fail('dh_all_zero');
      }
    }
    const payload = this.#symmetric.decryptAndHash(message.subarray(at));
    if (payload === undefined) return this.#fail('decryption_failed');
    this.#next();
    return { kind: 'read', payload };
  }

  /** Take the result after the third message. It can be taken once; its CipherStates then belong to the caller. */
  split(): Split {
    const split = this.#split;
    if (split === undefined) throw new UsageError('there is nothing to split, or no longer');
    this.#split = undefined;
    return split;
  }

  /** Give the handshake up: erase its secrets, and a result that was not taken. */
  destroy(): void {
    this.#end();
    this.#split?.send.destroy();
    this.#split?.receive.destroy();
    this.#split = undefined;
  }

  #turn(own: boolean): readonly Token[] {
    const tokens = MESSAGE_PATTERNS[this.#messages];
    const initiatorWrites = this.#messages % 2 === 0;
    if (tokens === undefined || this.#ended) throw new UsageError('the handshake has ended');
    if (own !== initiatorWrites) throw new UsageError('it is the turn of the other side');
    return tokens;
  }

  #overhead(): number {
    return OVERHEAD_BYTES[this.#messages] ?? 0;
  }

  /** The `e` token: in a psk handshake it also goes into the key (Noise, section 9.2). */
  #mixEphemeral(e: Uint8Array): void {
    this.#symmetric.mixHash(e);
    // A DH follows at once.
    this.#symmetric.mixKey(e, false);
  }

  /** The tokens that mix a secret; false if a DH result is all zero (@impl KD-003~1). */
  #mix(token: 'ee' | 'es' | 'se' | 'psk'): boolean {
    if (token === 'psk') {
      this.#symmetric.mixKeyAndHash(this.#psk);
      return true;
    }
    const result = this.#dh(token);
    if (result === undefined) return false;
    // Behind `se` comes `psk`, behind the others something encrypted.
    this.#symmetric.mixKey(result, token !== 'se');
    this.#suite.erase(result);
    return true;
  }

  /** DH of the key that each letter names: the first letter is the initiator's, the second the responder's. */
  #dh(token: 'ee' | 'es' | 'se'): Uint8Array | undefined {
    const [initiators, responders] = token;
    const local = (this.#initiator ? initiators : responders) === 'e' ? this.#e : this.#s;
    const remote = (this.#initiator ? responders : initiators) === 'e' ? this.#re : this.#rs;
    if (local === undefined || remote === undefined) throw new UsageError(`no key for ${token} yet`);
    return local.dh(remote);
  }

  #next(): void {
    this.#messages += 1;
    if (this.#messages < MESSAGE_PATTERNS.length) return;
    const [first, second] = this.#symmetric.split();
    const [send, receive] = this.#initiator ? [first, second] : [second, first];
    if (this.#rs === undefined) throw new UsageError('no remote static key');
    this.#split = { send, receive, h: this.h, rs: this.#rs };
    this.#end();
  }

  #fail(code: NoiseFaultCode): NoiseFault {
    this.#fault = { kind: 'fault', code };
    this.#end();
    return this.#fault;
  }

  /** @impl KD-002~1 */
  #end(): void {
    this.#ended = true;
    this.#symmetric.destroy();
    this.#e?.destroy();
    this.#suite.erase(this.#psk);
  }
}
