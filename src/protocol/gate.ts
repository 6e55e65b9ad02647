/** The gate: one token in the upgrade request says who may begin a handshake (spec/04-handshake.md, 4.3). */
import type { Suite } from '../crypto/suite.ts';
import { ErrorCode } from '../gen/clawchat/v1/error_pb.ts';
import {
  ACCESS_KEYS_MAX,
  DEVICES_MAX,
  GLOBAL_REFILL_MS,
  GLOBAL_TOKENS_MAX,
  HANDLE_REFILL_MS,
  HANDLE_TOKENS_MAX,
  INVITES_MAX,
} from '../gen/constants.ts';
import { concat, readU64be, u64be } from '../wire/bytes.ts';
import { BASE64URL, decodeLetters, encodeLetters } from './base-letters.ts';
import { type Buckets, buckets, forgetBucket, takeToken } from './buckets.ts';
import type { AccessKey } from './connection-record.ts';
import { gateHandle, gateMacKey, HANDLE_BYTES } from './keys.ts';
import type { Now } from './now.ts';
import { SeenTokens } from './seen-tokens.ts';

/** The protocol that a client offers beside its token, and the host chooses. */
export const SUBPROTOCOL = 'clawchat.v1';
/** Letters of a token. */
export const TOKEN_CHARS = 118;

const EPOCH_BYTES = 8;
const MESSAGE_1_BYTES = 48;
const MAC_BYTES = 16;
const MESSAGE_1_AT = EPOCH_BYTES + HANDLE_BYTES;
const MAC_AT = MESSAGE_1_AT + MESSAGE_1_BYTES;
/** Epoch and handle are 24 bytes, so exactly the first 32 letters of a token name both. */
const SLOT_CHARS = ((EPOCH_BYTES + HANDLE_BYTES) * 8) / 6;

/** Stand in for the keys of nobody, and for a token of nobody; nobody is admitted by them, whatever the MAC (GT-003~2). */
const DUMMY_KEY = new Uint8Array(32);
const DUMMY_TOKEN = encodeLetters(BASE64URL, new Uint8Array(MAC_AT + MAC_BYTES));
const HOST_BUCKET = 'host';

/** What a token is made of. */
export interface TokenRequest {
  readonly gateKey: Uint8Array;
  readonly accessKey: AccessKey;
  /** Noise message 1, 48 bytes, fresh for every attempt. */
  readonly message1: Uint8Array;
}

/** Make a token: 118 letters. @impl GT-001~1 */
export function makeToken(suite: Suite, { gateKey, accessKey, message1 }: TokenRequest): string {
  const { epoch, key } = accessKey;
  const body = concat(u64be(epoch), gateHandle(suite, gateKey, epoch), message1);
  const macKey = gateMacKey(suite, gateKey, key, epoch);
  const mac = suite.hmacSha256(macKey, body).subarray(0, MAC_BYTES);
  suite.erase(macKey);
  return encodeLetters(BASE64URL, concat(body, mac));
}

/** Somebody whom the gate may let through: an invite or a device. */
export interface GateRecipient {
  readonly kind: 'invite' | 'device';
  /** Hexadecimal device id of its public key. */
  readonly id: string;
  /** X25519: what message 3 has to name. */
  readonly publicKey: Uint8Array;
  readonly psk: Uint8Array;
  readonly gateKey: Uint8Array;
  /** The first instant at which it is not let through any more; undefined for none. */
  readonly endsAtMs: number | undefined;
}

/** A token that was right: the handshake may begin. */
export interface Admitted {
  readonly kind: 'admitted';
  readonly recipient: GateRecipient;
  readonly epoch: number;
  readonly message1: Uint8Array;
}

/** Why a token was refused: for the host's log and nobody else. */
export type GateReason =
  | 'token_unreadable'
  | 'epoch_unknown'
  | 'handle_unknown'
  | 'recipient_ended'
  | 'mac_wrong'
  | 'token_seen'
  | 'handle_limit'
  | 'host_limit';

/** A token that was refused. The answer on the wire is the same for every reason (HS-005~3). */
export interface GateRefused {
  readonly kind: 'refused';
  readonly reason: GateReason;
  readonly code: ErrorCode;
  /** Whose token it claims to be, when that is known. */
  readonly id: string | undefined;
}

interface Epoch {
  readonly accessKey: AccessKey;
  readonly seen: SeenTokens;
}

interface Slot extends Epoch {
  readonly recipient: GateRecipient;
}

/**
 * The host's side: who may come, in which epochs. Everything that changes it is O(epochs) or O(recipients); a token
 * costs one lookup, one key derivation and one MAC, whether it is known or not.
 */
export class Gate {
  readonly #suite: Suite;
  readonly #epochs = new Map<number, Epoch>();
  readonly #recipients = new Map<string, GateRecipient>();
  /** By the first letters of a token. */
  readonly #slots = new Map<string, Slot>();
  readonly #handleBuckets: Buckets;
  readonly #hostBucket: Buckets;

  constructor(suite: Suite) {
    this.#suite = suite;
    const handlesMax = (DEVICES_MAX + INVITES_MAX) * ACCESS_KEYS_MAX;
    this.#handleBuckets = buckets({ tokensMax: HANDLE_TOKENS_MAX, refillMs: HANDLE_REFILL_MS }, handlesMax);
    this.#hostBucket = buckets({ tokensMax: GLOBAL_TOKENS_MAX, refillMs: GLOBAL_REFILL_MS }, 1);
  }

  /** The epochs that are accepted now. */
  get epochs(): readonly number[] {
    return [...this.#epochs.keys()];
  }

  /** Accept another epoch from now on, on every listener. @impl GT-004~1 */
  addEpoch(accessKey: AccessKey): void {
    if (this.#epochs.has(accessKey.epoch)) return;
    const epoch = { accessKey, seen: new SeenTokens() };
    this.#epochs.set(accessKey.epoch, epoch);
    for (const recipient of this.#recipients.values()) this.#addSlot(recipient, epoch);
  }

  /** End an epoch: its access key opens nothing any more. */
  removeEpoch(epoch: number): void {
    if (!this.#epochs.delete(epoch)) return;
    for (const recipient of this.#recipients.values()) this.#removeSlot(recipient, epoch);
  }

  /** Let somebody through from now on, or change until when. */
  addRecipient(recipient: GateRecipient): void {
    this.removeRecipient(recipient.id);
    this.#recipients.set(recipient.id, recipient);
    for (const epoch of this.#epochs.values()) this.#addSlot(recipient, epoch);
  }

  /** Let somebody through no longer. @impl EN-030~1 */
  removeRecipient(id: string): void {
    const recipient = this.#recipients.get(id);
    if (recipient === undefined) return;
    this.#recipients.delete(id);
    for (const epoch of this.#epochs.keys()) this.#removeSlot(recipient, epoch);
  }

  /** Whether this invite or device may still come: asked again after message 3. */
  has(id: string, now: Now): boolean {
    const recipient = this.#recipients.get(id);
    return recipient !== undefined && !hasEnded(recipient, now);
  }

  /** Judge a token. @impl GT-002~1, GT-003~2, GT-005~1, GT-006~1, GT-007~1, LI-005~1 */
  admit(token: string, now: Now): Admitted | GateRefused {
    const bytes = token.length === TOKEN_CHARS ? decodeLetters(BASE64URL, token) : undefined;
    if (bytes === undefined) {
      this.#checkMac(decodeLetters(BASE64URL, DUMMY_TOKEN) ?? new Uint8Array(0), undefined);
      return refused('token_unreadable', undefined);
    }
    const epoch = readU64be(bytes, 0);
    const handle = token.slice(0, SLOT_CHARS);
    const slot = this.#slots.get(handle);
    const isRight = this.#checkMac(bytes, slot);
    if (slot === undefined) {
      const isEpoch = epoch !== undefined && this.#epochs.has(epoch);
      return refused(isEpoch ? 'handle_unknown' : 'epoch_unknown', undefined);
    }
    const { recipient, accessKey, seen } = slot;
    const mac = bytes.subarray(MAC_AT);
    if (!isRight) return refused('mac_wrong', recipient.id);
    if (hasEnded(recipient, now)) return refused('recipient_ended', recipient.id);
    if (seen.has(handle, mac)) return refused('token_seen', recipient.id);
    if (!takeToken(this.#handleBuckets, handle, now.mono)) return refused('handle_limit', recipient.id);
    if (!takeToken(this.#hostBucket, HOST_BUCKET, now.mono)) return refused('host_limit', recipient.id);
    seen.add(handle, mac);
    return {
      kind: 'admitted',
      recipient,
      epoch: accessKey.epoch,
      message1: bytes.slice(MESSAGE_1_AT, MAC_AT),
    };
  }

  /** Derive and compare, with dummy keys for what is unknown, so that the time tells nothing. */
  #checkMac(token: Uint8Array, slot: Slot | undefined): boolean {
    const { epoch, key } = slot?.accessKey ?? { epoch: 0, key: DUMMY_KEY };
    const macKey = gateMacKey(this.#suite, slot?.recipient.gateKey ?? DUMMY_KEY, key, epoch);
    const mac = this.#suite.hmacSha256(macKey, token.subarray(0, MAC_AT)).subarray(0, MAC_BYTES);
    this.#suite.erase(macKey);
    return this.#suite.equal(mac, token.subarray(MAC_AT));
  }

  #addSlot(recipient: GateRecipient, epoch: Epoch): void {
    this.#slots.set(this.#slotName(recipient, epoch.accessKey.epoch), { ...epoch, recipient });
  }

  /** The bucket stays until its epoch goes, so that a change of terms fills none; their number is bounded. */
  #removeSlot(recipient: GateRecipient, epoch: number): void {
    const name = this.#slotName(recipient, epoch);
    this.#slots.delete(name);
    if (!this.#epochs.has(epoch)) forgetBucket(this.#handleBuckets, name);
  }

  #slotName({ gateKey }: GateRecipient, epoch: number): string {
    return encodeLetters(BASE64URL, concat(u64be(epoch), gateHandle(this.#suite, gateKey, epoch)));
  }
}

function hasEnded({ endsAtMs }: GateRecipient, now: Now): boolean {
  return endsAtMs !== undefined && now.wall >= endsAtMs;
}

function refused(reason: GateReason, id: string | undefined): GateRefused {
  const isLimit = reason === 'handle_limit' || reason === 'host_limit';
  return { kind: 'refused', reason, code: isLimit ? ErrorCode.RATE_LIMITED : ErrorCode.GATE_REFUSED, id };
}
