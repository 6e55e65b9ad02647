/** Edits and deletions of stored messages (spec/11-chat.md, 11.3). */
import { type ChatMessage, Role } from '../../gen/clawchat/v1/chat_pb.ts';
import { ErrorCode } from '../../gen/clawchat/v1/error_pb.ts';
import { hex } from '../../wire/bytes.ts';
import { type Content, isCode, parseContent } from './content.ts';
import type { MessageLog, Placed } from './message-log.ts';
import { encodeMessage } from './reply-writing.ts';
import type { RoomTable } from './rooms.ts';

/** Messages that a post is about, as they were read. */
export interface Targets {
  /** The one that it edits or deletes. */
  readonly message: ChatMessage | undefined;
  /** The last edit of that one, which holds the same text. */
  readonly edit: ChatMessage | undefined;
}

/** Puts other bytes in the place of what was edited or taken back. */
export class Rewrites {
  readonly #log: MessageLog;
  readonly #rooms: RoomTable;

  constructor(log: MessageLog, rooms: RoomTable) {
    this.#log = log;
    this.#rooms = rooms;
  }

  /** Read what a post is about, and then let it be decided; undefined when it is about itself alone. */
  read(content: Uint8Array, decide: (targets: Targets) => void): Promise<void> | undefined {
    const parsed = parseContent(content);
    const cursor = isCode(parsed) ? undefined : targetOf(parsed);
    if (cursor === undefined) return undefined;
    return this.#log.whileReading(async () => decide(await this.#find(cursor)));
  }

  async #find(cursor: number): Promise<Targets> {
    const message = await this.#log.find(cursor);
    const edit = message !== undefined && message.editedBy > 0n ? Number(message.editedBy) : undefined;
    return { message, edit: edit === undefined ? undefined : await this.#log.find(edit) };
  }

  /**
   * Put an edit, or nothing, in the place of a message and of its last edit: what was taken back is nowhere any more.
   * @impl CH-042~3
   */
  perform(
    person: string,
    content: Content,
    bytes: Uint8Array,
    by: number,
    targets: Targets | undefined,
  ): readonly Placed[] | ErrorCode {
    const cursor = targetOf(content);
    if (cursor === undefined) return [];
    const room = this.#rooms.get(content.room);
    if (targets?.message === undefined || room === undefined) return ErrorCode.MESSAGE_UNKNOWN;
    const message = this.#log.current(targets.message);
    const own = hex(message.personId.length > 0 ? message.personId : message.deviceId) === person;
    const old = parseContent(message.content);
    const isMessage = !isCode(old) && old.act === undefined && old.room === content.room;
    const isOriginal = isMessage && (old.edits === undefined || message.editedBy > 0n);
    if (!isOriginal || cursor <= room.pruned) return ErrorCode.MESSAGE_UNKNOWN;
    const isDelete = content.act !== undefined;
    if (!own && !(isDelete && this.#rooms.role(room, person) === Role.OWNER))
      return ErrorCode.MESSAGE_UNKNOWN;
    const messageId = message.messageId.length > 0 ? message.messageId : old.messageId;
    const gone = { content: new Uint8Array(0), deletedBy: by, room: content.room };
    const after = isDelete ? gone : { content: bytes, editedBy: by };
    const rewritten = [this.#rewrite(message, { ...after, messageId })];
    const last = Number(message.editedBy);
    if (last === 0) return rewritten;
    // Decided a moment ago, the last edit may not have been there when the targets were read.
    const edit =
      targets.edit !== undefined && Number(targets.edit.cursor) === last ? targets.edit : undefined;
    const fresh = edit ?? { ...message, cursor: BigInt(last) };
    // An edit without a text is nothing that anybody could read, and is passed over.
    const empty = { content: gone.content, room: content.room, editedBy: by, messageId: old.messageId };
    return [...rewritten, this.#rewrite(fresh, empty)];
  }

  #rewrite(message: ChatMessage, change: Partial<Parameters<typeof encodeMessage>[0]>): Placed {
    const cursor = Number(message.cursor);
    const { deviceId, name, content, personId, room } = message;
    const storedAtMs = Number(message.storedAtMs);
    const value = encodeMessage({ cursor, deviceId, name, storedAtMs, content, personId, room, ...change });
    return this.#log.rewrite(cursor, value);
  }
}

/** The message that a post edits or deletes. */
export function targetOf({ edits, act }: Content): number | undefined {
  return act?.kind === 'delete' ? act.cursor : edits;
}
