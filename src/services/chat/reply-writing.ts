/** Writes what a host answers and pushes; messages and pages are put together from stored bytes (spec/11-chat.md, 11.1). */
import { create, type MessageInitShape, toBinary } from '@bufbuild/protobuf';
import { ChatMessageSchema, ChatReplySchema, HistoryPageSchema } from '../../gen/clawchat/v1/chat_pb.ts';
import { concat } from '../../wire/bytes.ts';
import { varintBytes, writeVarint } from '../../wire/varint.ts';
import type { Gap, RoomGap } from './reply.ts';

type ReplyInit = NonNullable<MessageInitShape<typeof ChatReplySchema>['body']>;

/** Write one reply, but for messages and pages, which are put together from stored bytes. */
export function encodeReply(requestId: number, body: ReplyInit): Uint8Array {
  return toBinary(ChatReplySchema, create(ChatReplySchema, { requestId, body }));
}

/** Write the push of what is missing of a room. */
export function encodeRoomGap(gap: RoomGap): Uint8Array {
  return encodeReply(0, { case: 'roomGap', value: gapInit(gap) });
}

function gapInit({ afterCursor, firstCursor, room }: Gap & { readonly room?: string }): {
  readonly afterCursor: bigint;
  readonly firstCursor: bigint;
  readonly room?: string;
} {
  const cursors = { afterCursor: BigInt(afterCursor), firstCursor: BigInt(firstCursor) };
  return room === undefined ? cursors : { ...cursors, room };
}

/** Write the ChatMessage that the host stores. */
export function encodeMessage(message: {
  readonly cursor: number;
  readonly deviceId: Uint8Array;
  readonly name: string;
  readonly storedAtMs: number;
  readonly content: Uint8Array;
  /** Empty when it is the device's id. */
  readonly personId?: Uint8Array;
  readonly editedBy?: number;
  readonly deletedBy?: number;
  readonly messageId?: Uint8Array;
  readonly room?: string;
}): Uint8Array {
  const { deviceId, name, content, personId, editedBy = 0, deletedBy = 0, messageId, room = '' } = message;
  const cursor = BigInt(message.cursor);
  const storedAtMs = BigInt(message.storedAtMs);
  return toBinary(
    ChatMessageSchema,
    create(ChatMessageSchema, {
      cursor,
      deviceId,
      name,
      storedAtMs,
      content,
      editedBy: BigInt(editedBy),
      deletedBy: BigInt(deletedBy),
      room,
      ...(personId && { personId }),
      ...(messageId && { messageId }),
    }),
  );
}

const MESSAGE_FIELD = 5;
const HISTORY_FIELD = 7;
const PAGE_MESSAGE_FIELD = 1;

/** Write the push of a stored ChatMessage: the same bytes for every subscriber. */
export function encodePush(stored: Uint8Array): Uint8Array {
  return concat(fieldHead(MESSAGE_FIELD, stored.length), stored);
}

/** Write a page from stored ChatMessages without reading them. */
export function encodePage(
  requestId: number,
  stored: readonly Uint8Array[],
  rest: {
    readonly more: boolean;
    readonly throughCursor: number;
    readonly gap: Gap | undefined;
    readonly fromCursor?: number;
    readonly roomGaps?: readonly RoomGap[];
  },
): Uint8Array {
  const gap = rest.gap && gapInit(rest.gap);
  const tail = create(HistoryPageSchema, {
    more: rest.more,
    throughCursor: BigInt(rest.throughCursor),
    fromCursor: BigInt(rest.fromCursor ?? 0),
    roomGaps: (rest.roomGaps ?? []).map(gapInit),
    ...(gap && { gap }),
  });
  const page = concat(
    ...stored.flatMap(message => [fieldHead(PAGE_MESSAGE_FIELD, message.length), message]),
    toBinary(HistoryPageSchema, tail),
  );
  const head = toBinary(ChatReplySchema, create(ChatReplySchema, { requestId }));
  return concat(head, fieldHead(HISTORY_FIELD, page.length), page);
}

/** Tag and length of a length-delimited field with a number below 16. */
function fieldHead(field: number, length: number): Uint8Array {
  const head = new Uint8Array(1 + varintBytes(length));
  head[0] = (field << 3) | 2;
  writeVarint(head, 1, length);
  return head;
}
