/** The host's history: cursors, pages, and who is told of what was committed (spec/11-chat.md, 11.5). */
import { fromBinary } from '@bufbuild/protobuf';
import { ChatMessageSchema } from '../../gen/clawchat/v1/chat_pb.ts';
import { StoredPruningSchema } from '../../gen/clawchat/v1/chat_storage_pb.ts';
import { HISTORY_PAGE_BYTES_MAX, HISTORY_PAGE_MESSAGES_MAX, HISTORY_SCAN_MAX } from '../../gen/constants.ts';
import type { DatabaseOperation, ServiceDatabase } from '../ports.ts';
import { KEY_END, numberKey } from './bytes.ts';
import { isCode, parseContent } from './content.ts';
import { encodeMessage, encodePush, type Gap } from './reply.ts';

const MESSAGES = 'chat/message/';
const PRUNED = 'chat/pruned';
/** Messages read from the database at a time: about a megabyte of the longest ones. */
const CHUNK = 32;
/** Tag and length of a message within a page, and the page's own fields. */
const PAGE_ENTRY_BYTES = 4;

/** A sender as its messages show it: 16 bytes of id, and the name of that moment. */
export interface Sender {
  readonly deviceId: Uint8Array;
  readonly name: string;
}

/** A ChatMessage as it is stored. */
export interface StoredMessage {
  readonly cursor: number;
  readonly value: Uint8Array;
}

/** A page of the history. */
export interface StoredPage {
  readonly messages: readonly StoredMessage[];
  readonly more: boolean;
  readonly throughCursor: number;
}

/** Told of each message once it is durable, in the order of cursors, with bytes to send as they are. */
export type Follower = (cursor: number, push: Uint8Array) => void;

/** A message that has its place and waits for its commit. */
export interface Appended {
  readonly cursor: number;
  readonly operation: DatabaseOperation;
  /** Say that the commit is durable. */
  readonly committed: () => void;
}

/** The messages of all rooms in one row. Make it with `MessageLog.open`. */
export class MessageLog {
  readonly followers: Set<Follower> = new Set();
  readonly #database: ServiceDatabase;
  readonly #pruned: number;
  #last: number;
  #through: number;
  #waiting: { readonly cursor: number; readonly push: Uint8Array }[] = [];

  private constructor(database: ServiceDatabase, pruned: number, last: number) {
    this.#database = database;
    this.#pruned = pruned;
    this.#last = last;
    this.#through = last;
  }

  /** Read how far the history goes. */
  static async open(database: ServiceDatabase): Promise<MessageLog> {
    const stored = await database.get(PRUNED);
    const pruned = stored === undefined ? 0 : Number(fromBinary(StoredPruningSchema, stored).throughCursor);
    const range = { gte: MESSAGES, lt: MESSAGES + KEY_END, reverse: true, limit: 1 };
    const [newest] = await database.range(range);
    const last = newest === undefined ? 0 : cursorOf(newest.key);
    return new MessageLog(database, pruned, Math.max(pruned, last));
  }

  /** The highest durable cursor; 0 for none. Nothing above it is shown to anybody. */
  get through(): number {
    return this.#through;
  }

  /**
   * Give a message its place. The caller commits the operation, in the order of these calls, and then says so.
   *
   * A cursor is at least the time: a host that was restored from a backup never uses one again.
   * @impl CH-030~1
   */
  append(sender: Sender, content: Uint8Array, wallMs: number): Appended {
    const cursor = Math.max(this.#last + 1, Math.floor(wallMs));
    this.#last = cursor;
    const value = encodeMessage({ cursor, ...sender, storedAtMs: Math.floor(wallMs), content });
    this.#waiting.push({ cursor, push: encodePush(value) });
    return {
      cursor,
      operation: { kind: 'put', key: MESSAGES + numberKey(cursor), value },
      committed: () => this.#committed(cursor),
    };
  }

  /** Commits are durable in order, so everything before this one is too. */
  #committed(cursor: number): void {
    let count = 0;
    while ((this.#waiting[count]?.cursor ?? Number.POSITIVE_INFINITY) <= cursor) count += 1;
    for (const message of this.#waiting.splice(0, count)) {
      this.#through = message.cursor;
      for (const follower of [...this.followers]) follower(message.cursor, message.push);
    }
  }

  /** Say what is missing for a reader that has everything up to `afterCursor`. @impl CH-033~1 */
  gapBehind(afterCursor: number): Gap | undefined {
    return afterCursor < this.#pruned ? { afterCursor, firstCursor: this.#pruned + 1 } : undefined;
  }

  /** Read at most `limit` messages behind a cursor, oldest first, of one room unless it is empty. @impl CH-035~1 */
  async page(
    afterCursor: number,
    limit: number = HISTORY_PAGE_MESSAGES_MAX,
    room: string = '',
  ): Promise<StoredPage> {
    const end = this.#through;
    const messages: StoredMessage[] = [];
    let through = Math.max(afterCursor, this.#pruned);
    let bytes = 0;
    for (let looked = 0; through < end && looked < HISTORY_SCAN_MAX; ) {
      const chunk = await this.#read(through, end);
      looked += chunk.length;
      for (const { key, value } of chunk) {
        const cursor = cursorOf(key);
        if (room === '' || roomOf(value) === room) {
          bytes += value.length + PAGE_ENTRY_BYTES;
          const full = messages.length >= limit || (messages.length > 0 && bytes > HISTORY_PAGE_BYTES_MAX);
          if (full) return { messages, more: true, throughCursor: through };
          messages.push({ cursor, value });
        }
        through = cursor;
      }
      if (chunk.length < CHUNK) through = end;
    }
    return { messages, more: through < end, throughCursor: through };
  }

  #read(afterCursor: number, end: number): ReturnType<ServiceDatabase['range']> {
    const gte = MESSAGES + numberKey(afterCursor + 1);
    return this.#database.range({ gte, lt: MESSAGES + numberKey(end + 1), limit: CHUNK });
  }
}

function cursorOf(key: string): number {
  return Number.parseInt(key.slice(MESSAGES.length), 16);
}

function roomOf(stored: Uint8Array): string | undefined {
  const content = parseContent(fromBinary(ChatMessageSchema, stored).content);
  return isCode(content) ? undefined : content.room;
}
