/** Replies of a chat stream: what a host answers and pushes, proved well-formed (spec/11-chat.md, 11.1). */
import { fromBinary } from '@bufbuild/protobuf';
import {
  type ChatMessage,
  type ChatReply,
  ChatReplySchema,
  type HistoryGap,
  type HistoryPage,
  type Person,
  type Role,
  type Room,
} from '../../gen/clawchat/v1/chat_pb.ts';
import { ErrorCode } from '../../gen/clawchat/v1/error_pb.ts';
import {
  CHAT_MESSAGE_BYTES_MAX,
  DEVICE_NAME_BYTES_MAX,
  HISTORY_PAGE_MESSAGES_MAX,
  OUTBOX_SUSPECTS_MAX,
  ROOM_NAME_BYTES_MAX,
  ROOM_PEOPLE_MAX,
  ROOMS_MAX,
  TOPIC_BYTES_MAX,
} from '../../gen/constants.ts';
import { type Fault, fault } from '../../wire/fault.ts';
import { knownCode } from '../../wire/frame.ts';
import { utf8Bytes } from './bytes.ts';
import { type Content, ID_BYTES, isCode, parseContent } from './content.ts';
import { HASH_BYTES } from './request.ts';

/** Characters of an invite's text, as chat.proto says. */
const INVITE_TEXT_CHARS_MAX = 16_384;

/** A message of the history, as a reader gets it. Times are Unix milliseconds. */
export interface ChatItem extends Content {
  readonly cursor: number;
  readonly deviceId: Uint8Array;
  readonly personId: Uint8Array;
  readonly name: string;
  readonly storedAtMs: number;
  /** Cursor of the last edit, whose text this is; 0 for none. */
  readonly editedBy: number;
  /** Cursor of what deleted it; then its text is empty. 0 while it is there. */
  readonly deletedBy: number;
}

/** How far a person has come in a room. */
export interface PersonMark {
  readonly personId: Uint8Array;
  readonly room: string;
  readonly delivered: number;
  readonly read: number;
}

/** A room as one person sees it. */
export interface RoomView {
  readonly name: string;
  readonly topic: string;
  readonly closed: boolean;
  readonly role: Role;
  readonly keepMs: number;
  readonly lastCursor: number;
  readonly readCursor: number;
}

/** Somebody as a room sees them. */
export interface PersonView {
  readonly personId: Uint8Array;
  readonly name: string;
  readonly role: Role;
  readonly online: boolean;
  readonly delivered: number;
  readonly read: number;
}

/** What is pushed beside messages: it may be lost, and is never stored. */
export type ChatEvent =
  | { readonly kind: 'mark'; readonly mark: PersonMark }
  | { readonly kind: 'typing'; readonly personId: Uint8Array; readonly name: string; readonly room: string }
  | {
      readonly kind: 'presence';
      readonly personId: Uint8Array;
      readonly name: string;
      readonly online: boolean;
    }
  | { readonly kind: 'roomGap'; readonly gap: RoomGap };

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

/** Messages of one room that are no longer kept. */
export interface RoomGap extends Gap {
  readonly room: string;
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
      readonly fromCursor: number;
      readonly roomGaps: readonly RoomGap[];
    }
  | { readonly kind: 'rooms'; readonly names: readonly string[]; readonly rooms: readonly RoomView[] }
  | {
      readonly kind: 'welcome';
      readonly personId: Uint8Array;
      readonly backwards: boolean;
      readonly deviceInvites: boolean;
    }
  | { readonly kind: 'people'; readonly people: readonly PersonView[] }
  | { readonly kind: 'deviceInvite'; readonly invite: string; readonly expiresAtMs: number }
  | ChatEvent
  | { readonly kind: 'refusal'; readonly code: ErrorCode }
  | { readonly kind: 'unknown' };

/** One message of a host. */
export interface Reply {
  readonly requestId: number;
  readonly body: ReplyBody;
}

/** Read one message of a host. Faults: MESSAGE_TOO_LARGE, MESSAGE_MALFORMED. Source: CH-001~1, CH-007~2. */
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
      const counted = cursors.length === hashes.length && hashes.length <= OUTBOX_SUSPECTS_MAX;
      return valid && counted ? { kind: 'outboxStored', stored } : undefined;
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
    case 'rooms': {
      const rooms = body.value.rooms.map(readRoom);
      const valid = rooms.every(
        ({ name, topic, keepMs, lastCursor, readCursor }) =>
          isRoomName(name) &&
          utf8Bytes(topic) <= TOPIC_BYTES_MAX &&
          areNumbers(keepMs, lastCursor, readCursor),
      );
      if (!valid || rooms.length === 0 || rooms.length > ROOMS_MAX) return undefined;
      return { kind: 'rooms', names: rooms.map(({ name }) => name), rooms };
    }
    case 'welcome': {
      const { personId, backwards, deviceInvites } = body.value;
      const valid = personId.length === ID_BYTES;
      return valid ? { kind: 'welcome', personId, backwards, deviceInvites } : undefined;
    }
    case 'mark': {
      const { personId, room } = body.value;
      const [delivered, read] = [Number(body.value.delivered), Number(body.value.read)];
      const valid = isPerson(body.value) && isRoomName(room) && areNumbers(delivered, read);
      return valid ? { kind: 'mark', mark: { personId, room, delivered, read } } : undefined;
    }
    case 'typing': {
      const { room } = body.value;
      return isPerson(body.value) && isRoomName(room)
        ? { kind: 'typing', ...pick(body.value), room }
        : undefined;
    }
    case 'presence':
      return isPerson(body.value)
        ? { kind: 'presence', ...pick(body.value), online: body.value.online }
        : undefined;
    case 'roomGap': {
      const gap = readRoomGap(body.value);
      return gap && { kind: 'roomGap', gap };
    }
    case 'people': {
      const people = body.value.people.map(readPerson);
      const valid = people.every(person => isPerson(person) && areNumbers(person.delivered, person.read));
      return valid && people.length <= ROOM_PEOPLE_MAX ? { kind: 'people', people } : undefined;
    }
    case 'deviceInvite': {
      const { invite } = body.value;
      const expiresAtMs = Number(body.value.expiresAtMs);
      const valid = invite.length <= INVITE_TEXT_CHARS_MAX && areNumbers(expiresAtMs);
      return valid ? { kind: 'deviceInvite', invite, expiresAtMs } : undefined;
    }
    case 'refusal':
      return { kind: 'refusal', code: knownCode(body.value.code) };
    case undefined:
      return { kind: 'unknown' };
  }
}

/** Whether these are numbers below 2^53. */
function areNumbers(...values: readonly number[]): boolean {
  return values.every(Number.isSafeInteger);
}

function isRoomName(name: string): boolean {
  const bytes = utf8Bytes(name);
  return bytes >= 1 && bytes <= ROOM_NAME_BYTES_MAX;
}

/** Whether an id has its length; a mark has no name. What a name holds is shown harmlessly, whatever it is. */
function isPerson({
  personId,
  name = '',
}: {
  readonly personId: Uint8Array;
  readonly name?: string;
}): boolean {
  return personId.length === ID_BYTES && utf8Bytes(name) <= DEVICE_NAME_BYTES_MAX;
}

function pick<T extends { personId: Uint8Array; name: string }>({
  personId,
  name,
}: T): { readonly personId: Uint8Array; readonly name: string } {
  return { personId, name };
}

function readRoom({ name, topic, closed, role, ...rest }: Room): RoomView {
  const [keepMs, lastCursor] = [Number(rest.keepMs), Number(rest.lastCursor)];
  return { name, topic, closed, role, keepMs, lastCursor, readCursor: Number(rest.readCursor) };
}

function readPerson({ personId, name, role, online, delivered, read }: Person): PersonView {
  return { personId, name, role, online, delivered: Number(delivered), read: Number(read) };
}

function readPage(page: HistoryPage): ReplyBody | undefined {
  const { messages, more, throughCursor, gap, fromCursor } = page;
  const places = messages.map(readPlace);
  const through = Number(throughCursor);
  const known = gap && readGap(gap);
  if (!Number.isSafeInteger(through) || (gap !== undefined && known === undefined)) return undefined;
  const from = Number(fromCursor);
  if (!areNumbers(from)) return undefined;
  const roomGaps = page.roomGaps.flatMap(told => readRoomGap(told) ?? []);
  if (roomGaps.length < page.roomGaps.length || roomGaps.length > ROOMS_MAX) return undefined;
  const valid = places.filter(place => place !== undefined);
  const rising = valid.every(({ cursor }, i) => cursor > (valid[i - 1]?.cursor ?? 0) && cursor <= through);
  if (valid.length < places.length || !rising || valid.length > HISTORY_PAGE_MESSAGES_MAX) return undefined;
  return {
    kind: 'history',
    places: valid,
    more,
    throughCursor: through,
    gap: known,
    fromCursor: from,
    roomGaps,
  };
}

function readGap(gap: HistoryGap): Gap | undefined {
  const [afterCursor, firstCursor] = [Number(gap.afterCursor), Number(gap.firstCursor)];
  const valid = Number.isSafeInteger(firstCursor) && firstCursor > afterCursor;
  return valid ? { afterCursor, firstCursor } : undefined;
}

function readRoomGap(told: HistoryGap): RoomGap | undefined {
  const gap = isRoomName(told.room) ? readGap(told) : undefined;
  return gap && { ...gap, room: told.room };
}

/** Read a message; one whose content nobody can read still has its place. @impl CH-037~1 */
function readPlace(message: ChatMessage): Place | undefined {
  const cursor = Number(message.cursor);
  if (!isCursor(cursor)) return undefined;
  const [editedBy, deletedBy] = [Number(message.editedBy), Number(message.deletedBy)];
  const { deviceId, name, personId, messageId, room } = message;
  const valid = [personId, messageId].every(({ length }) => length === 0 || length === ID_BYTES);
  if (!valid || !areNumbers(editedBy, deletedBy) || utf8Bytes(room) > ROOM_NAME_BYTES_MAX) return undefined;
  const storedAtMs = Number(message.storedAtMs);
  const content = readContent(message);
  if (content === undefined || deviceId.length !== ID_BYTES || !Number.isSafeInteger(storedAtMs)) {
    return { cursor, item: undefined };
  }
  const person = personId.length > 0 ? personId : deviceId;
  return {
    cursor,
    item: { cursor, deviceId, personId: person, name, storedAtMs, editedBy, deletedBy, ...content },
  };
}

/** The content as it stands now: of the last edit, or of nothing once it was deleted. */
function readContent(message: ChatMessage): Content | undefined {
  const { messageId, room, deletedBy } = message;
  if (deletedBy > 0n) return { messageId, room, text: '', sentAtMs: Number(message.storedAtMs) };
  const content = parseContent(message.content);
  if (isCode(content)) return undefined;
  const { edits, ...rest } = content;
  // What stands in its own place is that message, whatever it was edited by.
  const isOther = edits !== undefined && edits !== Number(message.cursor);
  return {
    ...rest,
    ...(isOther && { edits }),
    messageId: messageId.length === ID_BYTES ? messageId : content.messageId,
  };
}

function isCursor(value: number): boolean {
  return value >= 1 && Number.isSafeInteger(value);
}
