/**
 * What a host has decided, in the order in which its disk took it, done once more by a model of rooms that shares nothing
 * with the code: slow, obvious, from the text of spec/11-chat.md. For tests only.
 */
import { fromBinary } from '@bufbuild/protobuf';
import { ChatMessageSchema, Role } from '../../../gen/clawchat/v1/chat_pb.ts';
import {
  StoredPartSchema,
  StoredPersonSchema,
  StoredPostSchema,
  StoredRoomSchema,
} from '../../../gen/clawchat/v1/chat_storage_pb.ts';
import { ErrorCode } from '../../../gen/clawchat/v1/error_pb.ts';
import { codeName } from '../../../protocol/fault.ts';
import { hex } from '../../../wire/bytes.ts';
import type { DatabaseOperation } from '../../ports.ts';
import { type Act, type Content, isCode, parseContent } from '../content.ts';
import type { Disk } from './disk.ts';

/** Written with the deletion of a device, so that the ledger sees when it took place. */
export const REVOKED = 'sim/revoked/';

/** A room, from its making to its end; another one of the same name is another room. */
export interface ModelRoom {
  readonly name: string;
  readonly closed: boolean;
  topic: string;
  keepMs: number;
  removed: boolean;
  readonly roles: Map<string, Role>;
  /** Everybody who ever had a role in it. */
  readonly insiders: Set<string>;
}

/** A message, as it was stored. */
export interface ModelMessage {
  readonly id: string;
  readonly cursor: number;
  readonly person: string;
  readonly room: ModelRoom;
  readonly act: Act['kind'] | undefined;
  readonly isOriginal: boolean;
  text: string;
  deleted: boolean;
  /** No longer on the disk. */
  gone: boolean;
}

/** The ledger of one host. */
export class Ledger {
  readonly problems: string[] = [];
  readonly messages: Map<number, ModelMessage> = new Map();
  readonly refusals: Map<string, ErrorCode> = new Map();
  /** Contents that were posted, by their hash. */
  readonly #contents = new Map<string, Content>();
  readonly #rooms = new Map<string, ModelRoom>();
  /** By the number under which the disk holds them. */
  readonly #names = new Map<string, string>();
  readonly #parts = new Map<string, readonly number[]>();
  /** Names of rooms that went: whoever asked before the disk had that was told that they are taken. */
  readonly #dropping = new Set<string>();
  /** What people call themselves. */
  readonly #people = new Map<string, string>();

  /** Who is to be told in which room that they own it now. */
  readonly #heirs: [ModelRoom, string][] = [];
  /** Those who have a device, in hexadecimal. */
  readonly #there: Set<string>;

  constructor(people: readonly Uint8Array[]) {
    this.#there = new Set(people.map(hex));
    this.#rooms.set('lobby', emptyRoom('lobby', false, ''));
  }

  /** Somebody posts this. */
  posted(hash: Uint8Array, content: Content): void {
    this.#contents.set(hex(hash), content);
  }

  room(name: string): ModelRoom | undefined {
    return this.#rooms.get(name);
  }

  /** One commit is durable. */
  applied(operations: readonly DatabaseOperation[], wallMs: number): void {
    const puts = operations.flatMap(operation => (operation.kind === 'put' ? [operation] : []));
    const revoked = puts.filter(({ key }) => key.startsWith(REVOKED));
    for (const { key } of revoked) this.#revoked(key.slice(REVOKED.length));
    for (const { key, value } of puts) {
      if (key.startsWith('chat/kept/'))
        this.#decided(key.slice('chat/kept/'.length).split('/')[0] ?? '', value);
      else if (key.startsWith('chat/message/')) this.#operated(value);
      else if (key.startsWith('chat/part/')) this.#marked(key, value);
      else if (key.startsWith('chat/room/')) {
        this.#names.set(key, fromBinary(StoredRoomSchema, value).name);
      }
    }
    for (const [room, heir] of this.#heirs.splice(0)) {
      this.problems.push(`${room.name} was not told that ${heir.slice(0, 4)} owns it`);
    }
    for (const { key, kind } of operations) {
      if (kind !== 'delete') continue;
      if (key.startsWith('chat/message/')) this.#deleted(Number.parseInt(key.slice(13), 16), wallMs);
      if (key.startsWith('chat/part/')) this.#parts.delete(key);
      if (key.startsWith('chat/room/')) this.#dropped(this.#names.get(key) ?? '');
    }
  }

  /** Compare with how everything stands on the disk, once it is at rest. */
  compare(disk: Disk, wallMs: number): readonly string[] {
    const problems: string[] = [];
    const stored = [...disk]
      .filter(([key]) => key.startsWith('chat/room/'))
      .map(([key, value]) => [key.slice('chat/room/'.length), fromBinary(StoredRoomSchema, value)] as const);
    for (const [number, { name, topic, closed, keepMs, removed }] of stored) {
      const room = this.#rooms.get(name);
      if (room === undefined || removed) {
        problems.push(`${name} is still there`);
        continue;
      }
      const [has, wants] = [
        [topic, closed, Number(keepMs)],
        [room.topic, room.closed, room.keepMs],
      ].map(value => JSON.stringify(value));
      if (has !== wants) problems.push(`${name} is ${has}, not ${wants}`);
      const parts = [...disk].filter(([key]) => key.startsWith(`chat/part/${number}/`));
      const roles = parts.map(([key, value]): [string, Role] => [
        key.split('/').at(-1) ?? '',
        fromBinary(StoredPartSchema, value).role,
      ]);
      const hasRoles = rolesText(roles);
      if (hasRoles !== rolesText([...room.roles])) {
        problems.push(`${name} has ${hasRoles}, not ${rolesText([...room.roles])}`);
      }
    }
    const names = new Set(stored.map(([, { name }]) => name));
    for (const { name } of this.#rooms.values()) {
      if (!names.has(name) && name !== 'lobby') problems.push(`${name} is missing`);
    }
    for (const { cursor, room, gone } of this.messages.values()) {
      const isThere = disk.has(messageKey(cursor));
      const isOld = room.keepMs > 0 && cursor <= wallMs - room.keepMs;
      if (isThere && (room.removed || isOld)) problems.push(`${cursor} of ${room.name} is still there`);
      if (!isThere && !gone) problems.push(`${cursor} of ${room.name} vanished`);
    }
    return [...problems, ...this.#compareTexts(disk), ...this.#compareNames(disk)];
  }

  #compareTexts(disk: Disk): readonly string[] {
    return [...this.messages.values()].flatMap(({ cursor, isOriginal, deleted, text }) => {
      const stored = disk.get(messageKey(cursor));
      if (stored === undefined || !isOriginal) return [];
      const { content, deletedBy } = fromBinary(ChatMessageSchema, stored);
      const parsed = parseContent(content);
      const says = isCode(parsed) ? undefined : parsed.text;
      const isRight = deleted ? deletedBy > 0n && content.length === 0 : deletedBy === 0n && says === text;
      return isRight ? [] : [`${cursor} says ${says}, not ${deleted ? 'nothing' : text}`];
    });
  }

  #compareNames(disk: Disk): readonly string[] {
    const stored = [...disk]
      .filter(([key]) => key.startsWith('chat/name/'))
      .map(
        ([key, value]) => `${key.slice('chat/name/'.length)} ${fromBinary(StoredPersonSchema, value).name}`,
      );
    const wanted = [...this.#people].map(([person, name]) => `${person} ${name}`);
    const [has, wants] = [stored, wanted].map(names => names.sort().join(', '));
    return has === wants ? [] : [`people are called ${has}, not ${wants}`];
  }

  #decided(person: string, value: Uint8Array): void {
    const { hash, code, cursor } = fromBinary(StoredPostSchema, value);
    const content = this.#contents.get(hex(hash));
    if (content === undefined) {
      this.problems.push('something was decided that nobody posted');
      return;
    }
    const expected = this.#judge(person, content);
    const id = hex(content.messageId);
    const isEarly = code === ErrorCode.ROOM_EXISTS && this.#dropping.has(content.room);
    if (code !== expected && !isEarly) {
      const what = `${content.act?.kind ?? (content.edits === undefined ? 'text' : 'edit')} in ${content.room}`;
      this.problems.push(`${what} was answered ${codeName(code)}, not ${codeName(expected)}`);
    }
    if (code === ErrorCode.UNSPECIFIED) this.#perform(person, content, Number(cursor));
    else this.refusals.set(id, code);
  }

  /** A message of the operator; those of people come with what was decided of them. */
  #operated(value: Uint8Array): void {
    const { deviceId, content, cursor } = fromBinary(ChatMessageSchema, value);
    if (deviceId.some(byte => byte !== 0) || this.messages.has(Number(cursor))) return;
    const parsed = parseContent(content);
    if (isCode(parsed)) return;
    const { act } = parsed;
    if (act?.kind === 'grant') {
      const to = hex(act.personId);
      if (!this.#there.has(to)) this.problems.push('the operator gave a room to nobody');
      const told = this.#heirs.findIndex(([room, heir]) => room.name === parsed.room && heir === to);
      if (told >= 0) this.#heirs.splice(told, 1);
    }
    this.#perform(hex(deviceId), parsed, Number(cursor));
  }

  /** Say what the host has to answer: the table of 11.3. */
  #judge(person: string, { room: name, act, edits }: Content): ErrorCode {
    const room = this.#rooms.get(name);
    if (act?.kind === 'create') return room === undefined ? ErrorCode.UNSPECIFIED : ErrorCode.ROOM_EXISTS;
    if (room === undefined || room.removed) return ErrorCode.ROOM_UNKNOWN;
    const role = roleIn(room, person);
    if (room.closed && role === Role.UNSPECIFIED) return ErrorCode.ROOM_UNKNOWN;
    const isOwner = role === Role.OWNER;
    const allow = (allowed: boolean): ErrorCode =>
      allowed ? ErrorCode.UNSPECIFIED : ErrorCode.ROOM_FORBIDDEN;
    switch (act?.kind) {
      case 'leave':
        return allow(name !== 'lobby' && !this.#isLastOwner(room, person));
      case 'topic':
        return allow(isOwner || role === Role.MEMBER);
      case 'keep':
      case 'remove':
        return allow(isOwner);
      case 'grant': {
        const to = hex(act.personId);
        const isLess = this.#isLastOwner(room, to) && act.role !== Role.OWNER;
        const isHumble = act.role === Role.GUEST || act.role === Role.BOT;
        const isNew = roleIn(room, to) === Role.UNSPECIFIED;
        const invites = role === Role.MEMBER && isNew && (isHumble || act.role === Role.MEMBER);
        const isOwn = to === person && isHumble && role !== Role.UNSPECIFIED;
        const may = isOwner ? !isLess : to === person ? isOwn : invites;
        const isNobody = act.role !== Role.UNSPECIFIED && !this.#there.has(to);
        return may && isNobody ? ErrorCode.PERSON_UNKNOWN : allow(may);
      }
      default: {
        const target = act?.kind === 'delete' ? act.cursor : edits;
        if (target === undefined) return ErrorCode.UNSPECIFIED;
        const message = this.messages.get(target);
        const isFit = message?.isOriginal && message.room === room && !message.deleted && !message.gone;
        const may = message?.person === person || (act?.kind === 'delete' && isOwner);
        return isFit && may ? ErrorCode.UNSPECIFIED : ErrorCode.MESSAGE_UNKNOWN;
      }
    }
  }

  #perform(person: string, content: Content, cursor: number): void {
    const { act, edits, room: name, text, messageId } = content;
    if (act?.kind === 'create') {
      this.#rooms.set(name, emptyRoom(name, act.closed, act.topic));
      this.#dropping.delete(name);
    }
    const room = this.#rooms.get(name);
    if (room === undefined) {
      this.problems.push(`${cursor} is of ${name}, which there is not`);
      return;
    }
    const isOriginal = act === undefined && edits === undefined;
    const state = { text, deleted: false, gone: false };
    const said = { id: hex(messageId), cursor, person, room, act: act?.kind, isOriginal };
    this.messages.set(cursor, { ...said, ...state });
    const edited = edits === undefined ? undefined : this.messages.get(edits);
    if (edited !== undefined) edited.text = text;
    switch (act?.kind) {
      case 'create':
        become(room, person, Role.OWNER);
        break;
      case 'join':
        become(room, person, roleIn(room, person) || Role.MEMBER);
        break;
      case 'leave':
        become(room, person, Role.UNSPECIFIED);
        break;
      case 'grant':
        become(room, hex(act.personId), act.role);
        break;
      case 'topic':
        room.topic = act.topic;
        break;
      case 'keep':
        room.keepMs = act.keepMs;
        break;
      case 'remove':
        room.removed = true;
        break;
      case 'delete': {
        const target = this.messages.get(act.cursor);
        if (target !== undefined) target.deleted = true;
        break;
      }
      case 'rename':
        this.#people.set(person, act.name);
        break;
      case undefined:
        break;
    }
  }

  /** Who is gone is nobody's owner any more; who inherits is told so in the same commit (CH-051). */
  #revoked(person: string): void {
    this.#people.delete(person);
    for (const room of this.#rooms.values()) {
      const wasLast = this.#isLastOwner(room, person);
      room.roles.delete(person);
      const members = [...room.roles].flatMap(([id, role]) => (role === Role.MEMBER ? [id] : []));
      const [heir] = members.filter(id => this.#there.has(id)).sort();
      if (wasLast && heir !== undefined && !room.removed) this.#heirs.push([room, heir]);
    }
    this.#there.delete(person);
  }

  /** Somebody who is no person does not count (CH-055). */
  #isLastOwner({ roles }: ModelRoom, person: string): boolean {
    const owners = [...roles].flatMap(([id, role]) => (role === Role.OWNER ? [id] : []));
    return owners.includes(person) && owners.every(id => id === person || !this.#there.has(id));
  }

  /** Marks only grow, as long as somebody has a part in a room (CH-045). */
  #marked(key: string, value: Uint8Array): void {
    const { delivered, read, shownDelivered, shownRead } = fromBinary(StoredPartSchema, value);
    const marks = [delivered, read, shownDelivered, shownRead].map(Number);
    const before = this.#parts.get(key) ?? [];
    if (before.some((mark, i) => mark > (marks[i] ?? 0))) {
      this.problems.push(`marks went back from ${before.join()} to ${marks.join()}`);
    }
    this.#parts.set(key, marks);
  }

  #deleted(cursor: number, wallMs: number): void {
    const message = this.messages.get(cursor);
    if (message === undefined) return;
    const { room } = message;
    const isOld = room.keepMs > 0 && cursor <= wallMs - room.keepMs;
    if (!room.removed && !isOld) this.problems.push(`${cursor} of ${room.name} was deleted`);
    message.gone = true;
  }

  #dropped(name: string): void {
    if (this.#rooms.get(name)?.removed !== true) this.problems.push(`${name} was forgotten`);
    this.#rooms.delete(name);
    this.#dropping.add(name);
  }
}

function emptyRoom(name: string, closed: boolean, topic: string): ModelRoom {
  return { name, closed, topic, keepMs: 0, removed: false, roles: new Map(), insiders: new Set() };
}

function roleIn({ name, roles }: ModelRoom, person: string): Role {
  const role = roles.get(person) ?? Role.UNSPECIFIED;
  return role === Role.UNSPECIFIED && name === 'lobby' ? Role.MEMBER : role;
}

function become({ roles, insiders }: ModelRoom, person: string, role: Role): void {
  roles.set(person, role);
  if (role !== Role.UNSPECIFIED) insiders.add(person);
}

function rolesText(roles: readonly (readonly [string, Role])[]): string {
  const known = roles.filter(([, role]) => role !== Role.UNSPECIFIED);
  return known
    .map(([person, role]) => `${person.slice(0, 4)} ${role}`)
    .sort()
    .join(', ');
}

function messageKey(cursor: number): string {
  return `chat/message/${cursor.toString(16).padStart(14, '0')}`;
}
