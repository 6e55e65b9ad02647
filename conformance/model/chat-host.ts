/** What a host makes of a history, and a reader of its messages, as 11.2, 11.3, 11.5 and 11.8 say it. */
import { type ChatMessage, ChatMessageSchema } from '../../src/gen/clawchat/v1/chat_pb.ts';
import { equal, hex } from './bytes.ts';
import { readContent } from './chat.ts';
import { array, bytes, bytesOf, flag, has, number, object, objects, text } from './json.ts';
import { decode } from './protobuf.ts';
import { attempt, Refusal } from './refusal.ts';
import type { Json, JsonObject } from './vector.ts';

/** A room of the host: nothing of it below `keptFrom` is kept, and `gone` is the last that is not. */
interface Room {
  readonly name: string;
  readonly closed: boolean;
  readonly roles: ReadonlyMap<string, number>;
  readonly keptFrom: number;
  readonly gone: number;
}

const OWNER = 1;

/** The history that a vector names. */
function historyOf(input: JsonObject, shared: JsonObject): readonly ChatMessage[] {
  return readMessages(array(object(shared, 'histories'), text(input, 'history')));
}

function readMessages(encoded: readonly Json[]): readonly ChatMessage[] {
  return encoded.map(value => {
    const message = decode(ChatMessageSchema, bytesOf(value));
    if (message === undefined) throw new Error('no ChatMessage');
    return message;
  });
}

function roomsOf(input: JsonObject): readonly Room[] {
  return objects(input, 'rooms').map(room => ({
    name: text(room, 'name'),
    closed: flag(room, 'closed'),
    roles: new Map(objects(room, 'roles').map(of => [text(of, 'person'), number(of, 'role')])),
    keptFrom: number(room, 'kept_from'),
    gone: number(room, 'gone'),
  }));
}

/** What its content says; undefined for one that nobody can read. */
function saidBy({ content }: ChatMessage): JsonObject | undefined {
  const read = attempt(() => readContent(content));
  return 'value' in read ? read.value : undefined;
}

function roomOf(message: ChatMessage): string | undefined {
  if (message.room !== '') return message.room;
  const said = saidBy(message);
  return said && text(said, 'room');
}

/** The text that a message is shown with in its own place; empty for none. */
function shownText(message: ChatMessage): string {
  const said = saidBy(message);
  if (said === undefined || message.deletedBy > 0n) return '';
  const isOther = has(said, 'edits') && number(said, 'edits') !== Number(message.cursor);
  return isOther ? '' : text(said, 'text');
}

/** All that following pages bring to one who asks (CH-033, CH-035, CH-040, CH-043, CH-047, CH-060). */
export function readPages(input: JsonObject, shared: JsonObject): JsonObject {
  const person = text(input, 'person');
  const request = object(input, 'request');
  const isBackwards = has(request, 'before_cursor');
  const wanted = text(request, 'room');
  const keptFrom = number(input, 'kept_from');
  const seen = roomsOf(input).filter(({ closed, roles }) => !closed || (roles.get(person) ?? 0) > 0);
  const search = has(request, 'search') ? text(request, 'search').toLowerCase() : '';
  const cursors = historyOf(input, shared)
    .filter(message => {
      const cursor = Number(message.cursor);
      const name = roomOf(message);
      const room = seen.find(known => known.name === name);
      if (room === undefined || cursor < room.keptFrom || cursor < keptFrom) return false;
      if (wanted !== '' && room.name !== wanted) return false;
      if (!isBackwards) return cursor > number(request, 'after_cursor');
      if (cursor >= number(request, 'before_cursor')) return false;
      return search === '' || shownText(message).toLowerCase().includes(search);
    })
    .map(({ cursor }) => Number(cursor))
    .sort((a, b) => a - b);
  if (isBackwards) return { cursors };
  const after = number(request, 'after_cursor');
  const gaps = seen.filter(({ gone }) => gone > after);
  const of = gaps.find(({ name }) => name === wanted);
  const first = Math.max(after + 1 < keptFrom ? keptFrom : 0, of?.keptFrom ?? 0);
  const told = wanted === '' ? gaps : [];
  return {
    cursors,
    ...(first > 0 && { gap: { after_cursor: after, first_cursor: first } }),
    ...(told.length > 0 && {
      room_gaps: told.map(room => ({ room: room.name, after_cursor: after, first_cursor: room.keptFrom })),
    }),
  };
}

/** What a person's marks in a room come to, and what is told of each (CH-045). */
export function judgeMarks(input: JsonObject): JsonObject {
  const last = number(input, 'last_cursor');
  let [own, others] = [
    { delivered: 0, read: 0 },
    { delivered: 0, read: 0 },
  ];
  type State = typeof own;
  const grown = (from: State, mark: State): State => {
    const read = Math.max(from.read, mark.read);
    return { delivered: Math.max(from.delivered, mark.delivered, read), read };
  };
  const differs = (a: State, b: State): boolean => a.delivered !== b.delivered || a.read !== b.read;
  const steps = objects(input, 'marks').map(given => {
    const mark = {
      delivered: Math.min(number(given, 'delivered'), last),
      read: Math.min(number(given, 'read'), last),
    };
    const [ownBefore, othersBefore] = [own, others];
    own = grown(own, mark);
    if (!flag(given, 'hidden')) others = grown(others, mark);
    const isNews = differs(own, ownBefore) || differs(others, othersBefore);
    return { ...(isNews && { own }), ...(differs(others, othersBefore) && { others }) };
  });
  return { steps };
}

/** What of the history an edit or a DeleteAct changes (CH-042). @throws Refusal */
export function judgeRewrite(input: JsonObject, shared: JsonObject): JsonObject {
  const messages = historyOf(input, shared);
  const post = object(input, 'post');
  const [person, content, by] = [bytes(post, 'person'), bytes(post, 'content'), number(post, 'cursor')];
  const said = readContent(content);
  const act = has(said, 'act') ? object(said, 'act') : undefined;
  const target = act === undefined ? number(said, 'edits') : number(act, 'cursor');
  const room = roomsOf(input).find(({ name }) => name === text(said, 'room'));
  const message = messages.find(({ cursor }) => Number(cursor) === target);
  const unknown = (): never => {
    throw new Refusal('MESSAGE_UNKNOWN', 'nothing that this person can change');
  };
  if (room === undefined || message === undefined || message.deletedBy > 0n) return unknown();
  const old = saidBy(message);
  if (old === undefined || has(old, 'act') || text(old, 'room') !== room.name) return unknown();
  const isEdit = has(old, 'edits') && number(old, 'edits') !== target;
  if (isEdit || target < room.keptFrom) return unknown();
  const sender = message.personId.length > 0 ? message.personId : message.deviceId;
  const isOwner = room.roles.get(hex(person)) === OWNER;
  if (!equal(sender, person) && !(act !== undefined && isOwner)) return unknown();
  const messageId = message.messageId.length > 0 ? hex(message.messageId) : text(old, 'message_id');
  const last = messages.find(({ cursor }) => cursor === message.editedBy && message.editedBy > 0n);
  const changed =
    act === undefined
      ? { cursor: target, content: hex(content), edited_by: by, message_id: messageId }
      : { cursor: target, content: '', deleted_by: by, message_id: messageId, room: room.name };
  return {
    changed: [
      changed,
      ...(last === undefined
        ? []
        : [{ cursor: Number(last.cursor), content: '', edited_by: by, room: room.name }]),
    ],
  };
}

/** What a reader shows of messages that come one after the other (11.2). */
export function judgeDisplay(input: JsonObject): JsonObject {
  const shown = new Map<number, { cursor: number; text?: string; edited?: true; deleted?: true }>();
  for (const message of readMessages(array(input, 'messages'))) {
    const cursor = Number(message.cursor);
    if (message.deletedBy > 0n) {
      shown.set(cursor, { cursor, deleted: true });
      continue;
    }
    const said = saidBy(message);
    if (said === undefined) continue;
    const act = has(said, 'act') ? object(said, 'act') : undefined;
    if (act !== undefined) {
      const target = text(act, 'kind') === 'delete' ? number(act, 'cursor') : 0;
      if (shown.has(target)) shown.set(target, { cursor: target, deleted: true });
      continue;
    }
    const target = has(said, 'edits') ? number(said, 'edits') : cursor;
    const isEdited = target !== cursor || message.editedBy > 0n;
    if (target !== cursor && !shown.has(target)) continue;
    shown.set(target, { cursor: target, text: text(said, 'text'), ...(isEdited && { edited: true }) });
  }
  return { shown: [...shown.values()].sort((a, b) => a.cursor - b.cursor) };
}

/** Names that people take for one fold alike (CH-061). */
function folded(name: string): string {
  const compatible = [...name.normalize('NFKC')].filter(
    letter => !/^\p{Default_Ignorable_Code_Point}$/u.test(letter),
  );
  return compatible
    .map(letter => letter.toUpperCase())
    .join('')
    .normalize('NFKC')
    .split(/\p{White_Space}+/u)
    .join(' ');
}

/** Judge a name that a room is to be made with (CH-056, CH-061). @throws Refusal */
export function judgeRoomName(input: JsonObject): JsonObject {
  const name = text(input, 'name');
  const letters = [...name];
  const isBlank = (letter: string | undefined): boolean => /^\p{White_Space}$/u.test(letter ?? '');
  const isBad = letters.some(letter => /^[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]$/u.test(letter));
  if (name !== name.normalize('NFC') || isBad || isBlank(letters[0]) || isBlank(letters.at(-1))) {
    throw new Refusal('MESSAGE_MALFORMED', 'no name for a room');
  }
  if (folded(name).split(' ').join('') === '') throw new Refusal('MESSAGE_MALFORMED', 'nothing can be seen');
  const isTaken = array(input, 'rooms').some(other => folded(String(other)) === folded(name));
  if (isTaken) throw new Refusal('ROOM_EXISTS', 'people would take it for another');
  return {};
}
