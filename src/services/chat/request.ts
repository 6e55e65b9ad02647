/** Requests of a chat stream: what a client may ask, proved well-formed (spec/11-chat.md, 11.1). */
import { create, fromBinary, type MessageInitShape, toBinary } from '@bufbuild/protobuf';
import { type ChatRequest, ChatRequestSchema } from '../../gen/clawchat/v1/chat_pb.ts';
import { ErrorCode } from '../../gen/clawchat/v1/error_pb.ts';
import {
  CHAT_MESSAGE_BYTES_MAX,
  DEVICE_NAME_BYTES_MAX,
  HISTORY_PAGE_MESSAGES_MAX,
  OUTBOX_SUSPECTS_MAX,
  ROOM_NAME_BYTES_MAX,
  SEARCH_BYTES_MAX,
} from '../../gen/constants.ts';
import { type Fault, fault } from '../../wire/fault.ts';
import { utf8Bytes } from './bytes.ts';
import { ID_BYTES } from './content.ts';

/** Bytes of a content hash. */
export const HASH_BYTES = 32;

/** One post of an outbox, by number and labelled hash of its content. */
export interface OutboxEntry {
  readonly number: number;
  readonly hash: Uint8Array;
}

/** A request whose every field keeps the rules of `chat.proto`. Numbers and cursors are below 2^53. */
export type RequestBody =
  | { readonly kind: 'outboxOpen'; readonly outboxId: Uint8Array }
  | { readonly kind: 'outboxCompare'; readonly entries: readonly OutboxEntry[] }
  | { readonly kind: 'outboxReplace'; readonly outboxId: Uint8Array }
  | {
      readonly kind: 'post';
      readonly outboxId: Uint8Array;
      readonly number: number;
      readonly content: Uint8Array;
    }
  | { readonly kind: 'subscribe'; readonly afterCursor: number; readonly fromNow: boolean }
  | { readonly kind: 'history'; readonly afterCursor: number; readonly limit: number; readonly room: string }
  | {
      readonly kind: 'backwards';
      readonly beforeCursor: number;
      readonly limit: number;
      readonly room: string;
      readonly search: string;
    }
  | { readonly kind: 'rooms' }
  | { readonly kind: 'hello'; readonly events: boolean }
  | {
      readonly kind: 'mark';
      readonly room: string;
      readonly delivered: number;
      readonly read: number;
      readonly hidden: boolean;
    }
  | { readonly kind: 'typing'; readonly room: string }
  | { readonly kind: 'people'; readonly room: string }
  | { readonly kind: 'deviceInvite'; readonly name: string };

/** What a message of a client turned out to be. `invalid` is answered with a ChatRefusal and changes nothing. */
export type Request =
  | { readonly kind: 'valid'; readonly requestId: number; readonly body: RequestBody }
  | { readonly kind: 'invalid'; readonly requestId: number };

/**
 * Read one message of a client.
 * Faults: MESSAGE_TOO_LARGE, MESSAGE_MALFORMED when it does not parse. Source: CH-001~1, CH-002~1.
 */
export function parseRequest(bytes: Uint8Array): Request | Fault {
  // @impl CH-001~1
  if (bytes.length > CHAT_MESSAGE_BYTES_MAX) {
    return fault('peer', ErrorCode.MESSAGE_TOO_LARGE, 'a chat request is too long');
  }
  let request: ChatRequest;
  try {
    request = fromBinary(ChatRequestSchema, bytes, { readUnknownFields: false });
  } catch {
    return fault('peer', ErrorCode.MESSAGE_MALFORMED, 'a chat request does not parse');
  }
  const { requestId } = request;
  const body = readBody(request);
  // @impl CH-002~1
  return body === undefined ? { kind: 'invalid', requestId } : { kind: 'valid', requestId, body };
}

function readBody({ body }: ChatRequest): RequestBody | undefined {
  switch (body.case) {
    case 'outboxOpen':
    case 'outboxReplace': {
      const { outboxId } = body.value;
      return outboxId.length === ID_BYTES ? { kind: body.case, outboxId } : undefined;
    }
    case 'outboxCompare': {
      const entries = body.value.entries.map(({ number, hash }) => ({ number: Number(number), hash }));
      const valid = entries.every(({ number, hash }) => isNumber(number) && hash.length === HASH_BYTES);
      return valid && entries.length <= OUTBOX_SUSPECTS_MAX ? { kind: 'outboxCompare', entries } : undefined;
    }
    case 'post': {
      const { outboxId, content } = body.value;
      const number = Number(body.value.number);
      const valid = outboxId.length === ID_BYTES && isNumber(number);
      return valid ? { kind: 'post', outboxId, number, content } : undefined;
    }
    case 'subscribe': {
      const afterCursor = Number(body.value.afterCursor);
      return Number.isSafeInteger(afterCursor)
        ? { kind: 'subscribe', afterCursor, fromNow: body.value.fromNow }
        : undefined;
    }
    case 'history': {
      const { room, search } = body.value;
      const afterCursor = Number(body.value.afterCursor);
      const beforeCursor = Number(body.value.beforeCursor);
      const limit = body.value.limit === 0 ? HISTORY_PAGE_MESSAGES_MAX : body.value.limit;
      const valid =
        Number.isSafeInteger(afterCursor) &&
        Number.isSafeInteger(beforeCursor) &&
        limit <= HISTORY_PAGE_MESSAGES_MAX &&
        utf8Bytes(room) <= ROOM_NAME_BYTES_MAX &&
        utf8Bytes(search) <= SEARCH_BYTES_MAX;
      if (!valid) return undefined;
      if (beforeCursor === 0) {
        return search === '' ? { kind: 'history', afterCursor, limit, room } : undefined;
      }
      return afterCursor === 0 ? { kind: 'backwards', beforeCursor, limit, room, search } : undefined;
    }
    case 'rooms':
      return { kind: 'rooms' };
    case 'hello':
      return { kind: 'hello', events: body.value.events };
    case 'mark': {
      const { room, hidden } = body.value;
      const [delivered, read] = [Number(body.value.delivered), Number(body.value.read)];
      const valid = isRoom(room) && Number.isSafeInteger(delivered) && Number.isSafeInteger(read);
      return valid ? { kind: 'mark', room, delivered, read, hidden } : undefined;
    }
    case 'typing':
    case 'people':
      return isRoom(body.value.room) ? { kind: body.case, room: body.value.room } : undefined;
    case 'deviceInvite': {
      const { name } = body.value;
      return utf8Bytes(name) <= DEVICE_NAME_BYTES_MAX ? { kind: 'deviceInvite', name } : undefined;
    }
    case undefined:
      return undefined;
  }
}

function isRoom(name: string): boolean {
  const bytes = utf8Bytes(name);
  return bytes >= 1 && bytes <= ROOM_NAME_BYTES_MAX;
}

function isNumber(value: number): boolean {
  return value >= 1 && Number.isSafeInteger(value);
}

type RequestInit = NonNullable<MessageInitShape<typeof ChatRequestSchema>['body']>;

/** Write one message of a client. */
export function encodeRequest(requestId: number, body: RequestBody): Uint8Array {
  return toBinary(ChatRequestSchema, create(ChatRequestSchema, { requestId, body: writeBody(body) }));
}

function writeBody(body: RequestBody): RequestInit {
  switch (body.kind) {
    case 'outboxOpen':
    case 'outboxReplace':
      return { case: body.kind, value: { outboxId: body.outboxId } };
    case 'outboxCompare': {
      const entries = body.entries.map(({ number, hash }) => ({ number: BigInt(number), hash }));
      return { case: 'outboxCompare', value: { entries } };
    }
    case 'post': {
      const { outboxId, content } = body;
      return { case: 'post', value: { outboxId, content, number: BigInt(body.number) } };
    }
    case 'subscribe':
      return {
        case: 'subscribe',
        value: { afterCursor: BigInt(body.afterCursor), fromNow: body.fromNow },
      };
    case 'history': {
      const { limit, room } = body;
      return { case: 'history', value: { afterCursor: BigInt(body.afterCursor), limit, room } };
    }
    case 'backwards': {
      const { limit, room, search, beforeCursor } = body;
      return { case: 'history', value: { beforeCursor: BigInt(beforeCursor), limit, room, search } };
    }
    case 'rooms':
      return { case: 'rooms', value: {} };
    case 'hello':
      return { case: 'hello', value: { events: body.events } };
    case 'mark': {
      const { room, delivered, read, hidden } = body;
      return { case: 'mark', value: { room, delivered: BigInt(delivered), read: BigInt(read), hidden } };
    }
    case 'typing':
    case 'people':
      return { case: body.kind, value: { room: body.room } };
    case 'deviceInvite':
      return { case: 'deviceInvite', value: { name: body.name } };
  }
}
