/** What a chat message may be, as chapter 11 says it: contents with their acts, requests and replies. */
import type { DescMessage } from '@bufbuild/protobuf';
import {
  type ChatContent,
  ChatContentSchema,
  type ChatMessage,
  ChatReplySchema,
  ChatRequestSchema,
} from '../../src/gen/clawchat/v1/chat_pb.ts';
import {
  CONTENT_BYTES_MAX,
  DEVICE_NAME_BYTES_MAX,
  HISTORY_PAGE_MESSAGES_MAX,
  OUTBOX_SUSPECTS_MAX,
  ROOM_NAME_BYTES_MAX,
  ROOM_PEOPLE_MAX,
  ROOMS_MAX,
  SEARCH_BYTES_MAX,
  TEXT_BYTES_MAX,
  TOPIC_BYTES_MAX,
} from '../../src/gen/constants.ts';
import { hex, utf8 } from './bytes.ts';
import { decode } from './protobuf.ts';
import { Refusal } from './refusal.ts';
import type { JsonObject } from './vector.ts';

const LIMIT = 2n ** 53n;
const HASH_BYTES = 32;
const INVITE_CHARACTERS_MAX = 16_384;

function need(rule: boolean, detail: string): void {
  if (!rule) throw new Refusal('MESSAGE_MALFORMED', detail);
}

function isText(text: string, least: number, most: number): boolean {
  const { length } = utf8(text);
  return length >= least && length <= most;
}

const isRoom = (room: string): boolean => isText(room, 1, ROOM_NAME_BYTES_MAX);
const isId = (id: Uint8Array): boolean => id.length === 16;
const isName = (name: string): boolean => isText(name, 0, DEVICE_NAME_BYTES_MAX);
const isHash = (hash: Uint8Array): boolean => hash.length === HASH_BYTES;
const isNumber = (value: bigint): boolean => value < LIMIT;
const isPlace = (value: bigint): boolean => value > 0n && isNumber(value);

/** The name that proto/ gives to a body. */
function bodyName({ fields }: DescMessage, body: string): string {
  return fields.find(({ localName }) => localName === body)?.name ?? body;
}

function readAct(act: ChatContent['act']): JsonObject | undefined {
  switch (act.case) {
    case 'delete':
      need(act.value.cursor > 0n && act.value.cursor < LIMIT, 'what is deleted has a cursor');
      return { kind: 'delete', cursor: Number(act.value.cursor) };
    case 'create':
      need(isText(act.value.topic, 0, TOPIC_BYTES_MAX), 'the topic is too long');
      return { kind: 'create', topic: act.value.topic, closed: act.value.closed };
    case 'topic':
      need(isText(act.value.topic, 0, TOPIC_BYTES_MAX), 'the topic is too long');
      return { kind: 'topic', topic: act.value.topic };
    case 'grant':
      need(isId(act.value.personId), 'a person has 16 bytes');
      need(act.value.role >= 0 && act.value.role <= 4, 'there is no such role');
      return { kind: 'grant', person: hex(act.value.personId), role: act.value.role };
    case 'keep':
      need(act.value.keepMs < LIMIT, 'kept for too long');
      return { kind: 'keep', keep_ms: Number(act.value.keepMs) };
    case 'rename':
      need(isText(act.value.name, 1, DEVICE_NAME_BYTES_MAX), 'a name has 1 to 64 bytes');
      need(![...act.value.name].some(isForbidden), 'a name holds a character that no name has');
      return { kind: 'rename', name: act.value.name };
    case 'join':
    case 'leave':
    case 'remove':
      return { kind: act.case };
    case undefined:
      return undefined;
  }
}

/** Controls, format characters, line and paragraph separators (8.3). */
function isForbidden(letter: string): boolean {
  return /\p{General_Category=Control}|\p{Format}|\p{Line_Separator}|\p{Paragraph_Separator}/u.test(letter);
}

/** Read a ChatContent (CH-003). @throws Refusal */
export function readContent(bytes: Uint8Array): JsonObject {
  if (bytes.length > CONTENT_BYTES_MAX) throw new Refusal('MESSAGE_TOO_LARGE', 'the content is too long');
  const content = decode(ChatContentSchema, bytes);
  if (content === undefined) throw new Refusal('MESSAGE_MALFORMED', 'this is no ChatContent');
  const { messageId, room, text, sentAtMs, replyTo, edits } = content;
  need(isId(messageId), 'an id has 16 bytes');
  need(isRoom(room), 'a room has 1 to 64 bytes');
  need(sentAtMs < LIMIT && replyTo < LIMIT && edits < LIMIT, 'a number is too large');
  const act = readAct(content.act);
  const said = { message_id: hex(messageId), room, text, sent_at_ms: Number(sentAtMs) };
  if (act !== undefined) {
    need(text === '' && replyTo === 0n && edits === 0n, 'an act says nothing beside');
    return { ...said, act };
  }
  if (!isText(text, 0, TEXT_BYTES_MAX)) throw new Refusal('MESSAGE_TOO_LARGE', 'the text is too long');
  need(text !== '', 'nothing is said');
  return {
    ...said,
    ...(replyTo > 0n && { reply_to: Number(replyTo) }),
    ...(edits > 0n && { edits: Number(edits) }),
  };
}

/** Read a request (CH-002). @throws Refusal, also for what is no ChatRequest at all */
export function readRequest(bytes: Uint8Array): JsonObject {
  const request = decode(ChatRequestSchema, bytes);
  if (request === undefined) throw new Refusal('MESSAGE_MALFORMED', 'this is no ChatRequest');
  const { requestId, body } = request;
  switch (body.case) {
    case 'outboxOpen':
    case 'outboxReplace':
      need(isId(body.value.outboxId), 'an outbox has 16 bytes');
      break;
    case 'outboxCompare':
      need(body.value.entries.length <= OUTBOX_SUSPECTS_MAX, 'too many are compared');
      for (const { number, hash } of body.value.entries) {
        need(isPlace(number) && isHash(hash), 'an entry has a number and a hash');
      }
      break;
    case 'post':
      need(isId(body.value.outboxId) && isPlace(body.value.number), 'a post has an outbox and a number');
      break;
    case 'subscribe':
      need(isNumber(body.value.afterCursor), 'a cursor is too large');
      break;
    case 'history': {
      const { afterCursor, beforeCursor, limit, room, search } = body.value;
      need(afterCursor < LIMIT && beforeCursor < LIMIT, 'a cursor is too large');
      need(limit <= HISTORY_PAGE_MESSAGES_MAX, 'too many are asked for');
      need(isText(room, 0, ROOM_NAME_BYTES_MAX), 'the room is too long');
      need(isText(search, 0, SEARCH_BYTES_MAX), 'what is searched for is too long');
      need(beforeCursor === 0n || afterCursor === 0n, 'one direction at a time');
      need(search === '' || beforeCursor > 0n, 'a search goes backwards');
      break;
    }
    case 'mark':
      need(isRoom(body.value.room), 'a room has 1 to 64 bytes');
      need(body.value.delivered < LIMIT && body.value.read < LIMIT, 'a cursor is too large');
      break;
    case 'typing':
    case 'people':
      need(isRoom(body.value.room), 'a room has 1 to 64 bytes');
      break;
    case 'deviceInvite':
      need(isName(body.value.name), 'a name has at most 64 bytes');
      break;
    case 'hello':
    case 'rooms':
      break;
    case undefined:
      throw new Refusal('MESSAGE_MALFORMED', 'no body that is known');
  }
  return { request_id: requestId, kind: bodyName(ChatRequestSchema, body.case) };
}

/** Judge a stored message. Its name, its time, its device and its content are not looked at (CH-037). */
function needMessage({ cursor, personId, editedBy, deletedBy, messageId, room }: ChatMessage): void {
  need(isPlace(cursor), 'a message has a cursor');
  need(personId.length === 0 || isId(personId), 'a person has 16 bytes');
  need(messageId.length === 0 || isId(messageId), 'an id has 16 bytes');
  need(isNumber(editedBy) && isNumber(deletedBy), 'a cursor is too large');
  need(isText(room, 0, ROOM_NAME_BYTES_MAX), 'the room is too long');
}

function needGap({
  afterCursor,
  firstCursor,
}: {
  readonly afterCursor: bigint;
  readonly firstCursor: bigint;
}): void {
  need(isNumber(firstCursor) && firstCursor > afterCursor, 'a gap has an extent');
}

/** Read a reply (CH-007). @throws Refusal */
export function readReply(bytes: Uint8Array): JsonObject {
  const reply = decode(ChatReplySchema, bytes);
  if (reply === undefined) throw new Refusal('MESSAGE_MALFORMED', 'this is no ChatReply');
  const { requestId, body } = reply;
  switch (body.case) {
    case 'outboxState': {
      const { outboxId, highest, hash } = body.value;
      need(isId(outboxId) && isNumber(highest), 'an outbox and a number');
      need(highest === 0n ? hash.length === 0 : isHash(hash), 'a hash goes with a number');
      break;
    }
    case 'outboxStored': {
      const { hashes, cursors } = body.value;
      need(
        hashes.length <= OUTBOX_SUSPECTS_MAX && hashes.length === cursors.length,
        'a cursor for each hash',
      );
      need(hashes.every(isHash) && cursors.every(isPlace), 'a hash, or a cursor');
      break;
    }
    case 'postResult': {
      const { number, code, cursor } = body.value;
      need(isPlace(number), 'a post has a number');
      need(code === 0 ? isPlace(cursor) : cursor === 0n, 'a cursor or a code');
      break;
    }
    case 'message':
      needMessage(body.value);
      break;
    case 'gap':
      needGap(body.value);
      break;
    case 'history': {
      const { messages, throughCursor, fromCursor, gap, roomGaps } = body.value;
      need(messages.length <= HISTORY_PAGE_MESSAGES_MAX, 'more than a page');
      need(isNumber(throughCursor) && isNumber(fromCursor), 'a cursor is too large');
      messages.forEach((message, i) => {
        needMessage(message);
        need(message.cursor > (messages[i - 1]?.cursor ?? 0n), 'messages rise');
        need(message.cursor <= throughCursor, 'a message lies beyond what was looked at');
      });
      if (gap) needGap(gap);
      need(roomGaps.length <= ROOMS_MAX, 'more gaps than rooms');
      for (const told of roomGaps) {
        need(isRoom(told.room), 'the gap of a room has one');
        needGap(told);
      }
      break;
    }
    case 'rooms':
      need(body.value.rooms.length >= 1 && body.value.rooms.length <= ROOMS_MAX, 'too few or too many rooms');
      for (const { name, topic, keepMs, lastCursor, readCursor } of body.value.rooms) {
        need(isRoom(name) && isText(topic, 0, TOPIC_BYTES_MAX), 'a room has a name and a topic');
        need([keepMs, lastCursor, readCursor].every(isNumber), 'a number is too large');
      }
      break;
    case 'refusal':
      break;
    case 'caughtUp':
      need(isNumber(body.value.cursor), 'a cursor is too large');
      break;
    case 'deviceInvite':
      need([...body.value.invite].length <= INVITE_CHARACTERS_MAX, 'the invite is too long');
      need(isNumber(body.value.expiresAtMs), 'a time is too large');
      break;
    case 'welcome':
      need(isId(body.value.personId), 'a person has 16 bytes');
      break;
    case 'mark':
      need(isId(body.value.personId) && isRoom(body.value.room), 'a person and a room');
      need(body.value.delivered < LIMIT && body.value.read < LIMIT, 'a cursor is too large');
      break;
    case 'typing':
      need(isId(body.value.personId) && isRoom(body.value.room) && isName(body.value.name), 'who, and where');
      break;
    case 'presence':
      need(isId(body.value.personId) && isName(body.value.name), 'who came or went');
      break;
    case 'roomGap':
      need(isRoom(body.value.room), 'a gap is one of a room');
      needGap(body.value);
      break;
    case 'people':
      need(body.value.people.length <= ROOM_PEOPLE_MAX, 'too many people');
      for (const { personId, name, delivered, read } of body.value.people) {
        need(isId(personId) && isName(name), 'a person has an id and a name');
        need(delivered < LIMIT && read < LIMIT, 'a cursor is too large');
      }
      break;
    case undefined:
      return { request_id: requestId, kind: 'unknown' };
  }
  return { request_id: requestId, kind: bodyName(ChatReplySchema, body.case) };
}
