/** Replies of a chat stream: what a host answers and pushes, written and proved well-formed (spec/11-chat.md, 11.1). */
import { create, fromBinary, type MessageInitShape, toBinary } from '@bufbuild/protobuf';
import {
  type ChatMessage,
  ChatMessageSchema,
  type ChatReply,
  ChatReplySchema,
  type HistoryGap,
  type HistoryPage,
  HistoryPageSchema,
} from '../../gen/clawchat/v1/chat_pb.ts';
import { ErrorCode } from '../../gen/clawchat/v1/error_pb.ts';
import { CHAT_MESSAGE_BYTES_MAX } from '../../gen/constants.ts';
import { type Fault, fault } from '../../wire/fault.ts';
import { knownCode } from '../../wire/frame.ts';
import { varintBytes, writeVarint } from '../../wire/varint.ts';
import { ID_BYTES, isCode, parseContent } from './content.ts';
import { HASH_BYTES } from './request.ts';

/** A message of the history, as a reader gets it. Times are Unix milliseconds. */
export interface ChatItem {
  readonly cursor: number;
  readonly deviceId: Uint8Array;
  readonly name: string;
  readonly storedAtMs: number;
  readonly messageId: Uint8Array;
  readonly room: string;
  readonly text: string;
  readonly sentAtMs: number;
}

/** A place in the history; `item` is undefined when nobody can read what stands there. */
export interface Place {
  readonly cursor: number;
  readonly item: ChatItem | undefined;
}

/** Messages behind `afterCursor` are gone; `firstCursor` is the lowest that a kept one can have. */
export interface Gap {
  readonly afterCursor: number;
  readonly firstCursor: number;
}

/** The final word on a post: `cursor` when `code` is unspecified, else why it was refused for good. */
export interface PostOutcome {
  readonly code: ErrorCode;
  readonly cursor: number;
}

/** A post that is stored. */
export interface StoredEntry {
  readonly hash: Uint8Array;
  readonly cursor: number;
}

/** What a host knows of an outbox; `hash` is empty when `highest` is 0. */
export interface OutboxStatus {
  readonly outboxId: Uint8Array;
  readonly highest: number;
  readonly hash: Uint8Array;
}

/** A reply whose every field keeps the rules of `chat.proto`. `unknown` is one that this version does not know. */
export type ReplyBody =
  | { readonly kind: 'outboxState'; readonly status: OutboxStatus }
  | { readonly kind: 'outboxStored'; readonly stored: readonly StoredEntry[] }
  | { readonly kind: 'postResult'; readonly number: number; readonly outcome: PostOutcome }
  | { readonly kind: 'message'; readonly place: Place }
  | { readonly kind: 'gap'; readonly gap: Gap }
  | { readonly kind: 'caughtUp'; readonly cursor: number }
  | {
      readonly kind: 'history';
      readonly places: readonly Place[];
      readonly more: boolean;
      readonly throughCursor: number;
      readonly gap: Gap | undefined;
    }
  | { readonly kind: 'rooms'; readonly names: readonly string[] }
  | { readonly kind: 'refusal'; readonly code: ErrorCode }
  | { readonly kind: 'unknown' };

/** One message of a host. */
export interface Reply {
  readonly requestId: number;
  readonly body: ReplyBody;
}

/** Read one message of a host. Faults: MESSAGE_TOO_LARGE, MESSAGE_MALFORMED. Source: CH-001~1. */
export function parseReply(bytes: Uint8Array): Reply | Fault {
  if (bytes.length > CHAT_MESSAGE_BYTES_MAX) {
    return fault('peer', ErrorCode.MESSAGE_TOO_LARGE, 'a chat reply is too long');
  }
  let reply: ChatReply;
  try {
    reply = fromBinary(ChatReplySchema, bytes, { readUnknownFields: false });
  } catch {
    return fault('peer', ErrorCode.MESSAGE_MALFORMED, 'a chat reply does not parse');
  }
  const body = readBody(reply);
  if (body !== undefined) return { requestId: reply.requestId, body };
  return fault('peer', ErrorCode.MESSAGE_MALFORMED, `a chat reply breaks a rule: ${reply.body.case}`);
}

function readBody({ body }: ChatReply): ReplyBody | undefined {
  switch (body.case) {
    case 'outboxState': {
      const { outboxId, hash } = body.value;
      const highest = Number(body.value.highest);
      const valid = outboxId.length === ID_BYTES && hash.length === (highest === 0 ? 0 : HASH_BYTES);
      return valid && Number.isSafeInteger(highest)
        ? { kind: 'outboxState', status: { outboxId, highest, hash } }
        : undefined;
    }
    case 'outboxStored': {
      const { hashes, cursors } = body.value;
      const stored = hashes.map((hash, i) => ({ hash, cursor: Number(cursors[i] ?? 0n) }));
      const valid = stored.every(({ hash, cursor }) => hash.length === HASH_BYTES && isCursor(cursor));
      return valid && cursors.length === hashes.length ? { kind: 'outboxStored', stored } : undefined;
    }
    case 'postResult': {
      const code = knownCode(body.value.code);
      const number = Number(body.value.number);
      const cursor = Number(body.value.cursor);
      const valid = isCursor(number) && (code === ErrorCode.UNSPECIFIED ? isCursor(cursor) : cursor === 0);
      return valid ? { kind: 'postResult', number, outcome: { code, cursor } } : undefined;
    }
    case 'message': {
      const place = readPlace(body.value);
      return place && { kind: 'message', place };
    }
    case 'gap': {
      const gap = readGap(body.value);
      return gap && { kind: 'gap', gap };
    }
    case 'caughtUp': {
      const cursor = Number(body.value.cursor);
      return Number.isSafeInteger(cursor) ? { kind: 'caughtUp', cursor } : undefined;
    }
    case 'history':
      return readPage(body.value);
    case 'rooms':
      return { kind: 'rooms', names: body.value.rooms.map(({ name }) => name) };
    case 'refusal':
      return { kind: 'refusal', code: knownCode(body.value.code) };
    case undefined:
      return { kind: 'unknown' };
  }
}

function readPage({ messages, more, throughCursor, gap }: HistoryPage): ReplyBody | undefined {
  const places = messages.map(readPlace);
  const through = Number(throughCursor);
  const known = gap && readGap(gap);
  if (!Number.isSafeInteger(through) || (gap !== undefined && known === undefined)) return undefined;
  const valid = places.filter(place => place !== undefined);
  const rising = valid.every(({ cursor }, i) => cursor > (valid[i - 1]?.cursor ?? 0) && cursor <= through);
  if (valid.length < places.length || !rising) return undefined;
  return { kind: 'history', places: valid, more, throughCursor: through, gap: known };
}

function readGap(gap: HistoryGap): Gap | undefined {
  const [afterCursor, firstCursor] = [Number(gap.afterCursor), Number(gap.firstCursor)];
  const valid = Number.isSafeInteger(firstCursor) && firstCursor > afterCursor;
  return valid ? { afterCursor, firstCursor } : undefined;
}

/** Read a message; one whose content nobody can read still has its place. @impl CH-037~1 */
function readPlace(message: ChatMessage): Place | undefined {
  const cursor = Number(message.cursor);
  if (!isCursor(cursor)) return undefined;
  const content = parseContent(message.content);
  const storedAtMs = Number(message.storedAtMs);
  const { deviceId, name } = message;
  if (isCode(content) || deviceId.length !== ID_BYTES || !Number.isSafeInteger(storedAtMs)) {
    return { cursor, item: undefined };
  }
  return { cursor, item: { cursor, deviceId, name, storedAtMs, ...content } };
}

function isCursor(value: number): boolean {
  return value >= 1 && Number.isSafeInteger(value);
}

type ReplyInit = NonNullable<MessageInitShape<typeof ChatReplySchema>['body']>;

/** Write one reply, but for messages and pages, which are put together from stored bytes. */
export function encodeReply(requestId: number, body: ReplyInit): Uint8Array {
  return toBinary(ChatReplySchema, create(ChatReplySchema, { requestId, body }));
}

/** Write the ChatMessage that the host stores. */
export function encodeMessage(message: {
  readonly cursor: number;
  readonly deviceId: Uint8Array;
  readonly name: string;
  readonly storedAtMs: number;
  readonly content: Uint8Array;
}): Uint8Array {
  const { deviceId, name, content } = message;
  const cursor = BigInt(message.cursor);
  const storedAtMs = BigInt(message.storedAtMs);
  return toBinary(
    ChatMessageSchema,
    create(ChatMessageSchema, { cursor, deviceId, name, storedAtMs, content }),
  );
}

const MESSAGE_FIELD = 5;
const HISTORY_FIELD = 7;
const PAGE_MESSAGE_FIELD = 1;

/** Write the push of a stored ChatMessage: the same bytes for every subscriber. */
export function encodePush(stored: Uint8Array): Uint8Array {
  return join([fieldHead(MESSAGE_FIELD, stored.length), stored]);
}

/** Write a page from stored ChatMessages without reading them. */
export function encodePage(
  requestId: number,
  stored: readonly Uint8Array[],
  rest: { readonly more: boolean; readonly throughCursor: number; readonly gap: Gap | undefined },
): Uint8Array {
  const gap = rest.gap && {
    afterCursor: BigInt(rest.gap.afterCursor),
    firstCursor: BigInt(rest.gap.firstCursor),
  };
  const tail = create(HistoryPageSchema, {
    more: rest.more,
    throughCursor: BigInt(rest.throughCursor),
    ...(gap && { gap }),
  });
  const page = join([
    ...stored.flatMap(message => [fieldHead(PAGE_MESSAGE_FIELD, message.length), message]),
    toBinary(HistoryPageSchema, tail),
  ]);
  const head = toBinary(ChatReplySchema, create(ChatReplySchema, { requestId }));
  return join([head, fieldHead(HISTORY_FIELD, page.length), page]);
}

/** Tag and length of a length-delimited field with a number below 16. */
function fieldHead(field: number, length: number): Uint8Array {
  const head = new Uint8Array(1 + varintBytes(length));
  head[0] = (field << 3) | 2;
  writeVarint(head, 1, length);
  return head;
}

function join(parts: readonly Uint8Array[]): Uint8Array {
  const out = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    out.set(part, at);
    at += part.length;
  }
  return out;
}
