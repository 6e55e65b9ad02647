/** What a client's outbox and the host's word on it mean together: decisions without I/O (spec/11-chat.md, 11.4). */
import { hex, sameBytes } from '../../wire/bytes.ts';
import type { OutboxStatus, StoredEntry } from './reply.ts';

/** A post without the host's word on it. */
export interface OutboxItem {
  /** The message's id in hexadecimal. */
  readonly messageId: string;
  /** Labelled hash of the content. */
  readonly hash: Uint8Array;
  /** The same hash without the time of writing: who repeats a message may not remember when it was. */
  readonly intent: Uint8Array;
  /** The exact bytes of a ChatContent, which every repetition sends. @impl CH-008~1 */
  readonly content: Uint8Array;
  /** True once it is on the disk; before that it is not sent. */
  durable: boolean;
}

/** A client's outbox. `items[0]` has the number `acknowledged` + 1, and so on without gaps. */
export interface Outbox {
  readonly id: Uint8Array;
  /** Highest number that the host has answered; 0 for none, and then the hash is empty. */
  readonly acknowledged: number;
  readonly acknowledgedHash: Uint8Array;
  readonly items: readonly OutboxItem[];
}

/**
 * Compare the outbox with what the host knows of it: either everything up to the host's highest number is the same
 * row of posts on both sides, or one of the two was restored or copied.
 * @impl CH-019~1
 */
export function judgeStatus(outbox: Outbox, status: OutboxStatus): 'agreed' | 'contradicted' {
  const { acknowledged, acknowledgedHash, items } = outbox;
  const { highest } = status;
  if (!sameBytes(outbox.id, status.outboxId)) return 'contradicted';
  if (highest < acknowledged || highest > acknowledged + items.length) return 'contradicted';
  const hash = highest === acknowledged ? acknowledgedHash : items[highest - acknowledged - 1]?.hash;
  return hash !== undefined && sameBytes(hash, status.hash) ? 'agreed' : 'contradicted';
}

/** Part the items into those that the host has stored, with their cursors, and the rest in their order. */
export function partStored(
  items: readonly OutboxItem[],
  stored: readonly StoredEntry[],
): {
  readonly done: readonly { readonly item: OutboxItem; readonly cursor: number }[];
  readonly rest: readonly OutboxItem[];
} {
  const cursors = new Map(stored.map(({ hash, cursor }) => [hex(hash), cursor]));
  const done = items.flatMap(item => {
    const cursor = cursors.get(hex(item.hash));
    return cursor === undefined ? [] : [{ item, cursor }];
  });
  return { done, rest: items.filter(({ hash }) => !cursors.has(hex(hash))) };
}
