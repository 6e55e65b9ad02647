/** What becomes of a post: the host's half of the outbox, as decisions without I/O (spec/11-chat.md, 11.4). */
import { ErrorCode } from '../../gen/clawchat/v1/error_pb.ts';
import { sameBytes } from '../../wire/bytes.ts';
import type { PostOutcome } from './reply.ts';

/** A device's outbox: which it is, how far it came, and the content hash of its highest number. */
export interface OutboxHead {
  readonly id: Uint8Array;
  /** Post n of the outbox is the device's post `base` + n. */
  readonly base: number;
  /** Highest number stored or finally refused; 0 for none, and then the hash is empty. */
  readonly highest: number;
  readonly hash: Uint8Array;
}

/** The kept answer to a post. */
export interface KeptPost extends PostOutcome {
  readonly hash: Uint8Array;
}

/** The post follows, was answered before (if its hash says so), or cannot be answered. */
export type PostVerdict =
  | { readonly kind: 'next' }
  | { readonly kind: 'repeat'; readonly serial: number }
  | { readonly kind: 'refuse'; readonly code: ErrorCode };

/** Begin an outbox in which nothing was posted, behind `base` earlier posts of the device. */
export function emptyOutbox(id: Uint8Array, base: number): OutboxHead {
  return { id, base, highest: 0, hash: new Uint8Array(0) };
}

/** Judge a post by outbox and number alone. @impl CH-012~1 */
export function judgePost(head: OutboxHead, outboxId: Uint8Array, number: number): PostVerdict {
  if (!sameBytes(head.id, outboxId)) return { kind: 'refuse', code: ErrorCode.OUTBOX_UNKNOWN };
  if (number === head.highest + 1) return { kind: 'next' };
  if (number > head.highest) return { kind: 'refuse', code: ErrorCode.OUTBOX_NUMBER };
  return { kind: 'repeat', serial: head.base + number };
}

/** Judge a repeated post by what was kept of the first; `undefined` means that it is too long ago. @impl CH-013~1 */
export function judgeRepeat(kept: KeptPost | undefined, hash: Uint8Array): PostOutcome | undefined {
  return kept !== undefined && sameBytes(kept.hash, hash)
    ? { code: kept.code, cursor: kept.cursor }
    : undefined;
}

/** Say what an OutboxReplace may do: begin the outbox, repeat its own answer, or be refused. @impl CH-022~1 */
export function judgeReplace(head: OutboxHead, outboxId: Uint8Array): 'begin' | 'repeat' | 'refuse' {
  if (!sameBytes(head.id, outboxId)) return 'begin';
  return head.highest === 0 ? 'repeat' : 'refuse';
}
