/** A place that holds a connection file and that nobody has to trust (spec/07-discovery.md). */
import { ErrorCode } from '../gen/clawchat/v1/error_pb.ts';

/** Where a caller says that it no longer wants the answer. Every `AbortSignal` is one. */
export interface StopSignal {
  readonly aborted: boolean;
  addEventListener(type: 'abort', listener: () => void, options?: { readonly once?: boolean }): void;
  removeEventListener(type: 'abort', listener: () => void): void;
}

/**
 * Why a store was of no use, as a closed list. All of them are states that pass or that an operator ends; none is an
 * exception.
 *
 * - `unreachable` no connection, or it broke off
 * - `timeout` no whole answer in the time of one attempt
 * - `untrusted` the certificate is not the pinned one, or no authority that is trusted signed it
 * - `busy` it asked for patience: 429, 5xx, Mega -3, -4, -6, -18 and its proof of work
 * - `refused` it does not let us: 401, 403, a folder without the right, a disk without permission
 * - `expired` what let us in has run out: a signed URL, a saved session
 * - `blocked` the account was blocked by its provider
 * - `quota` no room or no transfer left
 * - `oversized` what lies there, or what should, is too long
 * - `malformed` what answers does not speak this store's protocol, or sends its readers elsewhere
 * - `cancelled` the caller did not want the answer any more
 */
export type StoreTrouble =
  | 'unreachable'
  | 'timeout'
  | 'untrusted'
  | 'busy'
  | 'refused'
  | 'expired'
  | 'blocked'
  | 'quota'
  | 'oversized'
  | 'malformed'
  | 'cancelled';

/** One attempt that came to nothing. `detail` is for people and holds no credential. */
export interface StoreFailure {
  readonly kind: 'failed';
  readonly trouble: StoreTrouble;
  /** The trouble as the control socket and the log name it. */
  readonly code: ErrorCode;
  readonly detail: string;
  /** The store asked not to be tried again before this. */
  readonly retryAfterMs?: number;
}

/**
 * What a store answers to a reader.
 *
 * - `file` what lies there. `others` are further candidates, most of the time none: conflict copies of a synced
 *   folder, a newer file beside one that is about to be deleted. All are judged alike, the highest valid sequence wins.
 * - `unchanged` the same as this reader's last `file`
 * - `absent` the store works, and nothing lies there
 */
export type StoreAnswer =
  | { readonly kind: 'file'; readonly bytes: Uint8Array; readonly others: readonly Uint8Array[] }
  | { readonly kind: 'unchanged' }
  | { readonly kind: 'absent' }
  | StoreFailure;

/** What a store answers to a writer. `published` is what it says; only reading it back proves it. */
export type PublishAnswer = { readonly kind: 'published' } | StoreFailure;

/** How to read: `unconditional` asks for the whole file whatever the store thinks has not changed. */
export interface ReadOptions {
  readonly unconditional?: boolean;
}

/** A store as devices, and hosts that verify, see it. */
export interface StoreReader {
  /** Its address for people, without credentials. */
  readonly name: string;
  /**
   * Read what lies there, at most `FILE_BYTES_MAX` a candidate. Never rejects: whatever a store does is an answer.
   *
   * It ends soon after `stop` does, with `cancelled`; the caller bounds the attempt by `STORE_ATTEMPT_MS_MAX`.
   */
  read(stop: StopSignal, options?: ReadOptions): Promise<StoreAnswer>;
  /** Call `onChange` when a read may find something new, where the platform tells; the result ends it. */
  watch?(onChange: () => void): () => void;
}

/** A store as its host writes it. */
export interface StoreWriter {
  /** Its address for people, without credentials. */
  readonly name: string;
  /** Put `bytes` in the place of what lies there. Never rejects: whatever a store does is an answer. */
  publish(bytes: Uint8Array, stop: StopSignal): Promise<PublishAnswer>;
}

const CODES: Readonly<Record<StoreTrouble, ErrorCode>> = {
  unreachable: ErrorCode.STORE_UNAVAILABLE,
  timeout: ErrorCode.TIMEOUT,
  untrusted: ErrorCode.TLS_FAILED,
  busy: ErrorCode.STORE_UNAVAILABLE,
  refused: ErrorCode.STORE_UNAVAILABLE,
  expired: ErrorCode.STORE_UNAVAILABLE,
  blocked: ErrorCode.STORE_UNAVAILABLE,
  quota: ErrorCode.STORE_UNAVAILABLE,
  oversized: ErrorCode.FILE_TOO_LARGE,
  malformed: ErrorCode.STORE_UNAVAILABLE,
  cancelled: ErrorCode.CANCELLED,
};

/** Make the answer of an attempt that came to nothing. */
export function storeFailed(trouble: StoreTrouble, detail: string, retryAfterMs?: number): StoreFailure {
  const failed: StoreFailure = { kind: 'failed', trouble, code: CODES[trouble], detail };
  return retryAfterMs === undefined ? failed : { ...failed, retryAfterMs };
}

/** Does this trouble stay until a person does something about it? Trying again is then slow, and a warning is due. */
export function needsOperator(trouble: StoreTrouble): boolean {
  switch (trouble) {
    case 'untrusted':
    case 'refused':
    case 'expired':
    case 'blocked':
    case 'quota':
    case 'oversized':
    case 'malformed':
      return true;
    case 'unreachable':
    case 'timeout':
    case 'busy':
    case 'cancelled':
      return false;
  }
}
