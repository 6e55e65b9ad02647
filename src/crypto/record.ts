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
export type RecordFaultCode = 'record_length' | 'decryption_failed' | 'records_exhausted';

/** The end of a path's records, in both directions, as data. */
export interface RecordFault {
  readonly kind: 'fault';
  readonly code: RecordFaultCode;
}

/** A record for the wire, with RECORD_ROOM_BYTES before it. `renew`: one direction has carried so many that it is time for a new path. */
export interface Sealed {
  readonly kind: 'sealed';
  readonly record: Uint8Array;
  readonly renew: boolean;
}

/** What a record of the peer carried; `renew` as in Sealed. */
export interface Opened {
  readonly kind: 'opened';
  readonly plaintext: Uint8Array;
  readonly renew: boolean;
}

/**
 * The two directions of a path. A record is one Noise transport message without associated data; its nonce is its
 * place in its direction, counted and never sent, so records open in the order in which they were sealed or not at all.
 *
 * Any fault ends both directions: it erases the keys, and every later call gives the same fault.
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

  /** How many records were sealed. */
  get sealed(): number {
    return this.#send.n;
  }

  /** How many records were opened. */
  get opened(): number {
    return this.#receive.n;
  }

  /** Seal at most 65,519 bytes as the next record; more is a UsageError. */
  seal(plaintext: Uint8Array): Sealed | RecordFault {
    if (this.#fault !== undefined) return this.#fault;
    if (plaintext.length > WIRE_RECORD_PLAINTEXT_BYTES_MAX) {
      throw new UsageError(`a record cannot carry ${plaintext.length} bytes`);
    }
    if (this.#send.n >= WIRE_RECORDS_HARD_MAX) return this.#fail('records_exhausted');
    const record = this.#send.encryptWithAd(EMPTY, plaintext, RECORD_ROOM_BYTES);
    return { kind: 'sealed', record, renew: this.#renew() };
  }

  /** Open the peer's next record. */
  open(record: Uint8Array): Opened | RecordFault {
    if (this.#fault !== undefined) return this.#fault;
    if (record.length < TAG_BYTES || record.length > WIRE_RECORD_BYTES_MAX)
      return this.#fail('record_length');
    if (this.#receive.n >= WIRE_RECORDS_HARD_MAX) return this.#fail('records_exhausted');
    const plaintext = this.#receive.decryptWithAd(EMPTY, record);
    if (plaintext === undefined) return this.#fail('decryption_failed');
    return { kind: 'opened', plaintext, renew: this.#renew() };
  }

  /** Erase the keys when the path closes; sealing or opening is a UsageError from here on. */
  destroy(): void {
    this.#send.destroy();
    this.#receive.destroy();
  }

  #renew(): boolean {
    return this.#send.n >= WIRE_RECORDS_SOFT_MAX || this.#receive.n >= WIRE_RECORDS_SOFT_MAX;
  }

  #fail(code: RecordFaultCode): RecordFault {
    this.#fault = { kind: 'fault', code };
    this.destroy();
    return this.#fault;
  }
}
