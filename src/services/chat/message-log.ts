/** The host's history: cursors, pages, and who is told of what was committed (spec/11-chat.md, 11.5). */
import { create, fromBinary, toBinary } from '@bufbuild/protobuf';
import { type ChatMessage, ChatMessageSchema } from '../../gen/clawchat/v1/chat_pb.ts';
import { StoredPruningSchema } from '../../gen/clawchat/v1/chat_storage_pb.ts';
import { HISTORY_PAGE_BYTES_MAX, HISTORY_SCAN_MAX } from '../../gen/constants.ts';
import type { DatabaseOperation, ServiceDatabase } from '../ports.ts';
import { KEY_END, numberKey } from './bytes.ts';
import type { Change } from './change.ts';
import { isCode, parseContent } from './content.ts';
import type { Gap } from './reply.ts';
import { encodeMessage, encodePush } from './reply-writing.ts';

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
  /** 16 bytes; absent when it is the device's id. */
  readonly personId?: Uint8Array;
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

/** A page that was read backwards: `fromCursor` is how far back it looked. */
export interface StoredBackwards {
  readonly messages: readonly StoredMessage[];
  readonly more: boolean;
  readonly fromCursor: number;
}

/** Whether somebody may see a message: by its room and its cursor. */
export type RoomFilter = (room: string, cursor: number) => boolean;

/** Told of each message once it is durable, in the order of cursors, with bytes to send as they are. */
export type Follower = (cursor: number, push: Uint8Array, room: string) => void;

/** A message in the place that it would have. */
export interface Placed extends Change {
  /** Say that the commit is durable. */
  readonly committed: () => void;
}

/** The messages of all rooms in one row. Make it with `MessageLog.open`. */
export class MessageLog {
  readonly followers: Set<Follower> = new Set();
  readonly #database: ServiceDatabase;
  readonly #pruned: number;
  /** The highest cursor of a room that is gone. */
  #removed: number;
  #last: number;
  #through: number;
  #waiting: { readonly cursor: number; readonly push: Uint8Array; readonly room: string }[] = [];
  /** Stored messages whose rewriting is not durable yet, or unknown to somebody who is still reading; by cursor. */
  readonly #rewritten = new Map<number, Uint8Array>();
  /** Those of them that are durable; those who began to read below `reader` may not know them. */
  #durable: { readonly cursor: number; readonly value: Uint8Array; readonly reader: number }[] = [];
  /** Who is reading what is about to be rewritten, first come, first. */
  readonly #readers = new Set<number>();
  #nextReader = 0;

  private constructor(database: ServiceDatabase, pruned: number, removed: number, last: number) {
    this.#database = database;
    this.#pruned = pruned;
    this.#removed = removed;
    this.#last = last;
    this.#through = last;
  }

  /** Read how far the history goes. */
  static async open(database: ServiceDatabase): Promise<MessageLog> {
    const stored = await database.get(PRUNED);
    const { throughCursor = 0n, removedCursor = 0n } =
      stored === undefined ? {} : fromBinary(StoredPruningSchema, stored);
    const pruned = Number(throughCursor);
    const range = { gte: MESSAGES, lt: MESSAGES + KEY_END, reverse: true, limit: 1 };
    const [newest] = await database.range(range);
    const last = newest === undefined ? 0 : cursorOf(newest.key);
    const removed = Number(removedCursor);
    return new MessageLog(database, pruned, removed, Math.max(pruned, removed, last));
  }

  /** The highest durable cursor; 0 for none. Nothing above it is shown to anybody. */
  get through(): number {
    return this.#through;
  }

  /**
   * Give a message its place, the one that `next` names. Changes are committed in the order in which they are taken; the
   * caller then says so.
   *
   * A cursor is at least the time: a host that was restored from a backup never uses one again.
   * @impl CH-030~1
   */
  append(sender: Sender, room: string, content: Uint8Array, wallMs: number): Placed {
    const cursor = this.next(wallMs);
    const value = encodeMessage({ cursor, ...sender, storedAtMs: Math.floor(wallMs), content });
    const waiting = { cursor, push: encodePush(value), room };
    return {
      operations: [{ kind: 'put', key: messageKey(cursor), value }],
      take: () => {
        this.#last = cursor;
        this.#waiting.push(waiting);
      },
      committed: () => this.#committed(cursor),
    };
  }

  /** Commits are durable in order, so everything before this one is too. */
  #committed(cursor: number): void {
    let count = 0;
    while ((this.#waiting[count]?.cursor ?? Number.POSITIVE_INFINITY) <= cursor) count += 1;
    for (const message of this.#waiting.splice(0, count)) {
      this.#through = message.cursor;
      for (const follower of [...this.followers]) follower(message.cursor, message.push, message.room);
    }
  }

  /** The cursor that the next message gets at this time. */
  next(wallMs: number): number {
    return Math.max(this.#last + 1, Math.floor(wallMs));
  }

  /** Read one stored message. */
  async find(cursor: number): Promise<ChatMessage | undefined> {
    const value = await this.#database.get(MESSAGES + numberKey(cursor));
    const newest = this.#rewritten.get(cursor) ?? value;
    return newest === undefined ? undefined : fromBinary(ChatMessageSchema, newest);
  }

  /** The message as a decision left it that whoever read it may not know; else as it was read. */
  current(read: ChatMessage): ChatMessage {
    const newest = this.#rewritten.get(Number(read.cursor));
    return newest === undefined ? read : fromBinary(ChatMessageSchema, newest);
  }

  /** Put other bytes in the place of a stored message. */
  rewrite(cursor: number, value: Uint8Array): Placed {
    return {
      operations: [{ kind: 'put', key: messageKey(cursor), value }],
      take: () => void this.#rewritten.set(cursor, value),
      committed: () => {
        this.#durable.push({ cursor, value, reader: this.#nextReader });
        this.#forget();
      },
    };
  }

  /** Do what reads messages to rewrite them: until it has ended, `current` knows whatever was rewritten meanwhile. */
  async whileReading(work: () => Promise<void>): Promise<void> {
    const reader = this.#nextReader;
    this.#nextReader += 1;
    this.#readers.add(reader);
    try {
      await work();
    } finally {
      this.#readers.delete(reader);
      this.#forget();
    }
  }

  #forget(): void {
    const [oldest = this.#nextReader] = this.#readers;
    const kept = this.#durable.findIndex(({ reader }) => reader > oldest);
    for (const { cursor, value } of this.#durable.splice(0, kept < 0 ? this.#durable.length : kept)) {
      if (this.#rewritten.get(cursor) === value) this.#rewritten.delete(cursor);
    }
  }

  /** Say what is missing for a reader that has everything up to `afterCursor`. @impl CH-033~3 */
  gapBehind(afterCursor: number): Gap | undefined {
    return afterCursor < this.#pruned ? { afterCursor, firstCursor: this.#pruned + 1 } : undefined;
  }

  /** Read at most `limit` messages behind a cursor, oldest first, of one room unless it is empty. @impl CH-035~1 */
  async page(
    afterCursor: number,
    { limit, room }: { readonly limit: number; readonly room: string },
    visible: RoomFilter,
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
        if (isWanted(cursor, value, room, visible)) {
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

  /**
   * Read at most `limit` messages below a cursor, the newest of them, of one room unless it is empty, that are shown with
   * `search` in them. The page is oldest first; it looks at so many messages and no more. @impl CH-043~3
   */
  async backwards(
    beforeCursor: number,
    { limit, room, search }: { readonly limit: number; readonly room: string; readonly search: string },
    visible: RoomFilter,
  ): Promise<StoredBackwards> {
    const messages: StoredMessage[] = [];
    const lowest = this.#pruned + 1;
    const wanted = search.toLowerCase();
    let from = Math.min(beforeCursor, this.#through + 1);
    let bytes = 0;
    for (let looked = 0; from > lowest && looked < HISTORY_SCAN_MAX; ) {
      const range = { gte: MESSAGES + numberKey(lowest), lt: MESSAGES + numberKey(from) };
      const chunk = await this.#database.range({ ...range, reverse: true, limit: CHUNK });
      looked += chunk.length;
      for (const { key, value } of chunk) {
        const cursor = cursorOf(key);
        if (
          isWanted(cursor, value, room, visible) &&
          (wanted === '' || lookAt(value).text.toLowerCase().includes(wanted))
        ) {
          bytes += value.length + PAGE_ENTRY_BYTES;
          const full = messages.length >= limit || (messages.length > 0 && bytes > HISTORY_PAGE_BYTES_MAX);
          if (full) return { messages: messages.reverse(), more: true, fromCursor: from };
          messages.push({ cursor, value });
        }
        from = cursor;
      }
      if (chunk.length < CHUNK) from = lowest;
    }
    return { messages: messages.reverse(), more: from > lowest, fromCursor: from };
  }

  /** Give the write that keeps the highest cursor of a deleted room from being given again. @impl CH-030~1 */
  passed(cursor: number): DatabaseOperation {
    this.#removed = Math.max(this.#removed, cursor);
    const numbers = { throughCursor: BigInt(this.#pruned), removedCursor: BigInt(this.#removed) };
    const value = toBinary(StoredPruningSchema, create(StoredPruningSchema, numbers));
    return { kind: 'put', key: PRUNED, value };
  }

  /** Look at every stored message, in so many reads as that takes, as long as somebody waits for it. */
  async each(isWanted: () => boolean, see: (look: Look, cursor: number) => void): Promise<void> {
    const end = this.#through;
    for (let at = this.#pruned; at < end && isWanted(); ) {
      const chunk = await this.#read(at, end);
      at = chunk.length < CHUNK ? end : cursorOf(chunk.at(-1)?.key ?? '');
      for (const { key, value } of chunk) see(lookAt(value), cursorOf(key));
    }
  }

  /** Read the stored messages above a cursor and up to another, some of them: for pruning. */
  chunk(afterCursor: number, throughCursor: number): Promise<readonly StoredMessage[]> {
    return this.#read(afterCursor, Math.min(throughCursor, this.#through)).then(entries =>
      entries.map(({ key, value }) => ({ cursor: cursorOf(key), value })),
    );
  }

  #read(afterCursor: number, end: number): ReturnType<ServiceDatabase['range']> {
    const gte = MESSAGES + numberKey(afterCursor + 1);
    return this.#database.range({ gte, lt: MESSAGES + numberKey(end + 1), limit: CHUNK });
  }
}

function cursorOf(key: string): number {
  return Number.parseInt(key.slice(MESSAGES.length), 16);
}

/** What nobody can read is of no room that anybody sees. @impl CH-060~1 */
function isWanted(cursor: number, value: Uint8Array, room: string, visible: RoomFilter): boolean {
  const of = roomOf(value);
  return of !== undefined && (room === '' || of === room) && visible(of, cursor);
}

/** What of a stored message can be told without its sender. */
export interface Look {
  /** Undefined when nobody can read what it holds. */
  readonly room: string | undefined;
  /** What it is shown with; none for an act, for what was taken back, and for an edit, which is shown in its place. */
  readonly text: string;
  readonly storedAtMs: number;
}

function lookAt(stored: Uint8Array): Look {
  const message = fromBinary(ChatMessageSchema, stored);
  const cursor = Number(message.cursor);
  const storedAtMs = Number(message.storedAtMs);
  const content = parseContent(message.content);
  if (isCode(content)) return { room: message.room || undefined, text: '', storedAtMs };
  const { edits = cursor, text } = content;
  return { room: message.room || content.room, text: edits === cursor ? text : '', storedAtMs };
}

/** The room of a stored message; undefined when nobody can read what it holds. */
export function roomOf(stored: Uint8Array): string | undefined {
  return lookAt(stored).room;
}

/** The key of a stored message. */
export function messageKey(cursor: number): string {
  return MESSAGES + numberKey(cursor);
}
