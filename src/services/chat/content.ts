/** What a person wrote: the exact bytes that a host stores and passes on (spec/11-chat.md, 11.2). */
import { create, fromBinary, type MessageInitShape, toBinary } from '@bufbuild/protobuf';
import { type ChatContent, ChatContentSchema, Role } from '../../gen/clawchat/v1/chat_pb.ts';
import { ErrorCode } from '../../gen/clawchat/v1/error_pb.ts';
import {
  CONTENT_BYTES_MAX,
  DEVICE_NAME_BYTES_MAX,
  ROOM_NAME_BYTES_MAX,
  TEXT_BYTES_MAX,
  TOPIC_BYTES_MAX,
} from '../../gen/constants.ts';
import { utf8Bytes } from './bytes.ts';

/** Bytes of the ids of messages, outboxes and devices. */
export const ID_BYTES = 16;

/** What a message does instead of saying something. Cursors and times are below 2^53, topics at most 256 bytes. */
export type Act =
  | { readonly kind: 'delete'; readonly cursor: number }
  | { readonly kind: 'create'; readonly topic: string; readonly closed: boolean }
  | { readonly kind: 'join' }
  | { readonly kind: 'leave' }
  | { readonly kind: 'remove' }
  | { readonly kind: 'topic'; readonly topic: string }
  | { readonly kind: 'grant'; readonly personId: Uint8Array; readonly role: Role }
  | { readonly kind: 'keep'; readonly keepMs: number }
  | { readonly kind: 'rename'; readonly name: string };

/** A message as a person writes it. `messageId` is 16 bytes, `sentAtMs` Unix milliseconds by the writer's clock. */
export interface Content {
  readonly messageId: Uint8Array;
  readonly room: string;
  /** Empty exactly when there is an act. */
  readonly text: string;
  readonly sentAtMs: number;
  /** Cursor of the message that this one replies to. */
  readonly replyTo?: number;
  /** Cursor of the message whose text this one replaces. */
  readonly edits?: number;
  readonly act?: Act;
}

/** Read a ChatContent, or say why it is none: `MESSAGE_MALFORMED` or `MESSAGE_TOO_LARGE`. @impl CH-003~2 */
export function parseContent(bytes: Uint8Array): Content | ErrorCode {
  if (bytes.length > CONTENT_BYTES_MAX) return ErrorCode.MESSAGE_TOO_LARGE;
  let message: ChatContent;
  try {
    message = fromBinary(ChatContentSchema, bytes, { readUnknownFields: false });
  } catch {
    return ErrorCode.MESSAGE_MALFORMED;
  }
  const { messageId, room, text } = message;
  const sentAtMs = Number(message.sentAtMs);
  const content: Content = { messageId, room, text, sentAtMs, ...contentExtra(message) };
  return checkContent(content) ?? content;
}

/** Say why this is no message that a host stores; undefined when it is one. */
export function checkContent(content: Content): ErrorCode | undefined {
  const { messageId, room, text, sentAtMs, replyTo = 1, edits = 1, act } = content;
  const numbers = isCursor(replyTo) && isCursor(edits) && Number.isSafeInteger(sentAtMs) && sentAtMs >= 0;
  if (messageId.length !== ID_BYTES || !numbers) return ErrorCode.MESSAGE_MALFORMED;
  const roomBytes = utf8Bytes(room);
  if (roomBytes < 1 || roomBytes > ROOM_NAME_BYTES_MAX) return ErrorCode.MESSAGE_MALFORMED;
  if (act !== undefined) {
    const alone = text === '' && content.replyTo === undefined && content.edits === undefined;
    return alone && isAct(act) ? undefined : ErrorCode.MESSAGE_MALFORMED;
  }
  const textBytes = utf8Bytes(text);
  if (textBytes > TEXT_BYTES_MAX) return ErrorCode.MESSAGE_TOO_LARGE;
  return textBytes < 1 ? ErrorCode.MESSAGE_MALFORMED : undefined;
}

/** Say to whoever wrote it what is wrong with a content of which `checkContent` gave this code. */
export function whyNoMessage({ room, text, act }: Content, code: ErrorCode): string {
  if (code === ErrorCode.MESSAGE_TOO_LARGE) return `a message has at most ${TEXT_BYTES_MAX} bytes`;
  const roomBytes = utf8Bytes(room);
  if (roomBytes < 1 || roomBytes > ROOM_NAME_BYTES_MAX) {
    return `the name of a room has 1 to ${ROOM_NAME_BYTES_MAX} bytes`;
  }
  if (act === undefined && text === '') return 'there is no text to send';
  const isAbout = act?.kind === 'create' || act?.kind === 'topic';
  if (isAbout && utf8Bytes(act.topic) > TOPIC_BYTES_MAX)
    return `a topic has at most ${TOPIC_BYTES_MAX} bytes`;
  return 'this is no message that a host stores';
}

function isCursor(value: number): boolean {
  return value >= 1 && Number.isSafeInteger(value);
}

const ROLES: ReadonlySet<number> = new Set(Object.values(Role));
/** What a name may not have (spec/08-devices.md, 8.3). */
const NOT_IN_NAMES = /[\p{Cc}\p{Cf}\p{Zl}\p{Zp}\p{Cs}]/u;

/** Whether a name holds nothing that moves or hides other letters. */
export function isCleanName(name: string): boolean {
  return !NOT_IN_NAMES.test(name);
}

function isAct(act: Act): boolean {
  switch (act.kind) {
    case 'delete':
      return isCursor(act.cursor);
    case 'create':
    case 'topic': {
      const bytes = utf8Bytes(act.topic);
      return bytes >= 0 && bytes <= TOPIC_BYTES_MAX;
    }
    case 'grant':
      return act.personId.length === ID_BYTES && ROLES.has(act.role);
    case 'keep':
      return Number.isSafeInteger(act.keepMs) && act.keepMs >= 0;
    case 'rename': {
      const bytes = utf8Bytes(act.name);
      return bytes >= 1 && bytes <= DEVICE_NAME_BYTES_MAX && isCleanName(act.name);
    }
    case 'join':
    case 'leave':
    case 'remove':
      return true;
  }
}

function readAct(act: ChatContent['act']): Act | undefined {
  switch (act.case) {
    case 'delete':
      return { kind: 'delete', cursor: Number(act.value.cursor) };
    case 'create':
      return { kind: 'create', topic: act.value.topic, closed: act.value.closed };
    case 'topic':
      return { kind: 'topic', topic: act.value.topic };
    case 'grant':
      return { kind: 'grant', personId: act.value.personId, role: act.value.role };
    case 'keep':
      return { kind: 'keep', keepMs: Number(act.value.keepMs) };
    case 'rename':
      return { kind: 'rename', name: act.value.name };
    case 'join':
    case 'leave':
    case 'remove':
      return { kind: act.case };
    case undefined:
      return undefined;
  }
}

type ActInit = NonNullable<MessageInitShape<typeof ChatContentSchema>['act']>;

function writeAct(act: Act): ActInit {
  switch (act.kind) {
    case 'delete':
      return { case: 'delete', value: { cursor: BigInt(act.cursor) } };
    case 'create':
      return { case: 'create', value: { topic: act.topic, closed: act.closed } };
    case 'topic':
      return { case: 'topic', value: { topic: act.topic } };
    case 'grant':
      return { case: 'grant', value: { personId: act.personId, role: act.role } };
    case 'keep':
      return { case: 'keep', value: { keepMs: BigInt(act.keepMs) } };
    case 'rename':
      return { case: 'rename', value: { name: act.name } };
    case 'join':
    case 'leave':
    case 'remove':
      return { case: act.kind, value: {} };
  }
}

/** Give reply, edit and act as fields of a ChatContent that carries nothing else. */
export function contentExtraInit(content: ContentExtra): MessageInitShape<typeof ChatContentSchema> {
  const { replyTo = 0, edits = 0, act } = content;
  return {
    replyTo: BigInt(replyTo),
    edits: BigInt(edits),
    ...(act === undefined ? {} : { act: writeAct(act) }),
  };
}

/** What a message may have beside its text. */
export type ContentExtra = Pick<Content, 'replyTo' | 'edits' | 'act'>;

/** Read reply, edit and act of a ChatContent. */
export function contentExtra(message: ChatContent): ContentExtra {
  const act = readAct(message.act);
  return {
    ...(message.replyTo === 0n ? {} : { replyTo: Number(message.replyTo) }),
    ...(message.edits === 0n ? {} : { edits: Number(message.edits) }),
    ...(act === undefined ? {} : { act }),
  };
}

/** Write a content that `checkContent` finds nothing wrong with. */
export function encodeContent(content: Content): Uint8Array {
  const { messageId, room, text, sentAtMs } = content;
  const said = { messageId, room, text, sentAtMs: BigInt(sentAtMs) };
  return toBinary(ChatContentSchema, create(ChatContentSchema, { ...said, ...contentExtraInit(content) }));
}

/** Write what a person meant to say, whenever it was written: the same for every repetition of a message. */
export function encodeIntent(content: Content): Uint8Array {
  return encodeContent({ ...content, sentAtMs: 0 });
}

/** Tell an error code from what stands beside it in a union. */
export function isCode<T extends object>(value: T | ErrorCode): value is ErrorCode {
  return typeof value === 'number';
}
