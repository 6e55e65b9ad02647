/** Transport records: what a path carries once its handshake has ended (spec/05-session.md). */
import {
  WIRE_RECORD_BYTES_MAX,
  WIRE_RECORD_PLAINTEXT_BYTES_MAX,
  WIRE_RECORDS_HARD_MAX,
  WIRE_RECORDS_SOFT_MAX,
} from '../gen/constants.ts';
import { UsageError } from '../wire/usage-error.ts';
import type { CipherState } from './cipher-state.ts';
import type { Split } from './noise.ts';
import { TAG_BYTES } from './suite.ts';

/** What is free before a sealed record in its buffer: as much as the header of a server's WebSocket message needs. */
export const RECORD_ROOM_BYTES = 4;

const EMPTY = new Uint8Array(0);

/** Why a path's records ended: a length that no record has, a tag that is wrong, or the last nonce used. */
export type RecordFault = 'record_length' | 'decryption_failed' | 'records_exhausted';

/**
 * The two directions of a path. A record is one Noise transport message without associated data; its nonce is its
 * place in its direction, counted and never sent, so records open in the order in which they were sealed or not at all.
 *
 * Any fault ends both directions: it erases the keys, and every later call gives nothing.
 */
export class Records {
  readonly #send: CipherState;
  readonly #receive: CipherState;
  #fault: RecordFault | undefined;

  /** Take over the CipherStates of a handshake that ended well. */
  constructor({ send, receive }: Pick<Split, 'send' | 'receive'>) {
    this.#send = send;
    this.#receive = receive;
  }

  /** What ended both directions; undefined while they go on. */
  get fault(): RecordFault | undefined {
    return this.#fault;
  }

  /** How many records were sealed. */
  get sealed(): number {
    return this.#send.n;
  }

  /** How many records were opened. */
  get opened(): number {
    return this.#receive.n;
  }

  /** Whether one direction has carried so many that it is time for a new path. */
  get renew(): boolean {
    return this.#send.n >= WIRE_RECORDS_SOFT_MAX || this.#receive.n >= WIRE_RECORDS_SOFT_MAX;
  }

  /**
   * Seal at most 65,519 bytes as the next record, with RECORD_ROOM_BYTES before it; undefined behind a fault. More bytes
   * are a UsageError.
   */
  seal(plaintext: Uint8Array): Uint8Array | undefined {
    if (this.#fault !== undefined) return undefined;
    if (plaintext.length > WIRE_RECORD_PLAINTEXT_BYTES_MAX) {
      throw new UsageError(`a record cannot carry ${plaintext.length} bytes`);
    }
    if (this.#send.n >= WIRE_RECORDS_HARD_MAX) return this.#fail('records_exhausted');
    return this.#send.encryptWithAd(EMPTY, plaintext, RECORD_ROOM_BYTES);
  }

  /** Open the peer's next record; undefined behind a fault, of this record or an earlier one. */
  open(record: Uint8Array): Uint8Array | undefined {
    if (this.#fault !== undefined) return undefined;
    if (record.length < TAG_BYTES || record.length > WIRE_RECORD_BYTES_MAX)
      return this.#fail('record_length');
    if (this.#receive.n >= WIRE_RECORDS_HARD_MAX) return this.#fail('records_exhausted');
    return this.#receive.decryptWithAd(EMPTY, record) ?? this.#fail('decryption_failed');
  }

  /** Erase the keys when the path closes; sealing or opening is a UsageError from here on. */
  destroy(): void {
    this.#send.destroy();
    this.#receive.destroy();
  }

  #fail(fault: RecordFault): undefined {
    this.#fault = fault;
    this.destroy();
    return undefined;
  }
}
