/** What a session tells its application, and the budget that sessions share (spec/05-session.md, 5.5 and 5.6). */
import type { ErrorCode } from '../gen/clawchat/v1/error_pb.ts';

/** What the application of a session learns, in order. */
export type SessionEvent =
  /** The other side opened a stream. */
  | { readonly kind: 'opened'; readonly stream: number; readonly service: string }
  /** A message, or a piece of one when `more` is set. Credit comes back with `taken(stream, cost)`. */
  | {
      readonly kind: 'piece';
      readonly stream: number;
      readonly payload: Uint8Array;
      readonly more: boolean;
      readonly cost: number;
    }
  /** The other side ended its direction: cleanly with UNSPECIFIED, otherwise the whole stream is aborted. */
  | { readonly kind: 'ended'; readonly stream: number; readonly code: ErrorCode }
  /** After a write that was refused as `full`: there is room again. */
  | { readonly kind: 'writable'; readonly stream: number };

/** Bytes written or retained, over all sessions that share it. */
export interface Budget {
  bytes: number;
  readonly bytesMax: number;
}

/** `full`: nothing was taken, wait for `writable`. `closed`: the stream takes no more. */
export type Written = 'accepted' | 'full' | 'closed';
