/** What a person wrote: the exact bytes that a host stores and passes on (spec/11-chat.md, 11.2). */
import { create, fromBinary, toBinary } from '@bufbuild/protobuf';
import { type ChatContent, ChatContentSchema } from '../../gen/clawchat/v1/chat_pb.ts';
import { ErrorCode } from '../../gen/clawchat/v1/error_pb.ts';
import { CONTENT_BYTES_MAX, ROOM_NAME_BYTES_MAX, TEXT_BYTES_MAX } from '../../gen/constants.ts';
import { utf8Bytes } from './bytes.ts';

/** Bytes of the ids of messages, outboxes and devices. */
export const ID_BYTES = 16;

/** A message as a person writes it. `messageId` is 16 bytes, `sentAtMs` Unix milliseconds by the writer's clock. */
export interface Content {
  readonly messageId: Uint8Array;
  readonly room: string;
  readonly text: string;
  readonly sentAtMs: number;
}

/** Read a ChatContent, or say why it is none: `MESSAGE_MALFORMED` or `MESSAGE_TOO_LARGE`. @impl CH-003~1 */
export function parseContent(bytes: Uint8Array): Content | ErrorCode {
  if (bytes.length > CONTENT_BYTES_MAX) return ErrorCode.MESSAGE_TOO_LARGE;
  let message: ChatContent;
  try {
    message = fromBinary(ChatContentSchema, bytes, { readUnknownFields: false });
  } catch {
    return ErrorCode.MESSAGE_MALFORMED;
  }
  const { messageId, room, text } = message;
  const content = { messageId, room, text, sentAtMs: Number(message.sentAtMs) };
  return checkContent(content) ?? content;
}

/** Say why this is no message that a host stores; undefined when it is one. */
export function checkContent({ messageId, room, text, sentAtMs }: Content): ErrorCode | undefined {
  if (messageId.length !== ID_BYTES || !Number.isSafeInteger(sentAtMs) || sentAtMs < 0) {
    return ErrorCode.MESSAGE_MALFORMED;
  }
  const roomBytes = utf8Bytes(room);
  if (roomBytes < 1 || roomBytes > ROOM_NAME_BYTES_MAX) return ErrorCode.MESSAGE_MALFORMED;
  const textBytes = utf8Bytes(text);
  if (textBytes > TEXT_BYTES_MAX) return ErrorCode.MESSAGE_TOO_LARGE;
  return textBytes < 1 ? ErrorCode.MESSAGE_MALFORMED : undefined;
}

/** Write a content that `checkContent` finds nothing wrong with. */
export function encodeContent({ messageId, room, text, sentAtMs }: Content): Uint8Array {
  return toBinary(
    ChatContentSchema,
    create(ChatContentSchema, { messageId, room, text, sentAtMs: BigInt(sentAtMs) }),
  );
}

/** Write what a person meant to say, whenever it was written: the same for every repetition of a message. */
export function encodeIntent(content: Content): Uint8Array {
  return encodeContent({ ...content, sentAtMs: 0 });
}

/** Tell an error code from the content that stands beside it in a union. */
export function isCode(value: Content | ErrorCode): value is ErrorCode {
  return typeof value === 'number';
}
