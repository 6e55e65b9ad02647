/** The rooms of a host: what they are, who is in them, and who may do what (spec/11-chat.md, 11.3). */
import { create, fromBinary, toBinary } from '@bufbuild/protobuf';
import { Role } from '../../gen/clawchat/v1/chat_pb.ts';
import { StoredPartSchema, StoredRoomSchema } from '../../gen/clawchat/v1/chat_storage_pb.ts';
import { ErrorCode } from '../../gen/clawchat/v1/error_pb.ts';
import { ROOM_PEOPLE_MAX, ROOMS_MAX } from '../../gen/constants.ts';
import type { DatabaseOperation, ServiceDatabase } from '../ports.ts';
import { hex, KEY_END, numberKey } from './bytes.ts';
import type { Act, Content } from './content.ts';
import type { RoomFilter } from './message-log.ts';
import type { RoomView } from './reply.ts';

/** The room that is always there. */
export const LOBBY = 'lobby';
const ROOMS = 'chat/room/';
const PARTS = 'chat/part/';

/** Somebody's part in a room: their role, how far they came, and how far others are told of that. */
export interface Part {
  readonly role: Role;
  readonly delivered: number;
  readonly read: number;
  readonly shownDelivered: number;
  readonly shownRead: number;
}

/** A room. */
export interface HostRoom {
  readonly number: number;
  readonly name: string;
  topic: string;
  closed: boolean;
  keepMs: number;
  /** Nothing of it with this cursor or a lower one is kept. */
  pruned: number;
  lastCursor: number;
  /** By person, in hexadecimal. */
  readonly parts: Map<string, Part>;
}

const NO_PART: Part = { role: Role.UNSPECIFIED, delivered: 0, read: 0, shownDelivered: 0, shownRead: 0 };
/** What an owner gives, a member, and nobody else. */
const INVITED: ReadonlySet<Role> = new Set([Role.MEMBER, Role.GUEST, Role.BOT]);
/** What everybody may make of themselves, whatever they are. */
const HUMBLE: ReadonlySet<Role> = new Set([Role.GUEST, Role.BOT]);

/** All rooms, in memory; each change is given as the writes for the commit of the post that makes it. */
export class RoomTable {
  readonly #rooms = new Map<string, HostRoom>();
  #closed = 0;
  #next = 1;
  /** The room of the newest messages, whose record does not say yet how far it goes. */
  #hot: HostRoom | undefined;

  /** Read what there is. @impl CH-009~1 */
  static async open(database: ServiceDatabase): Promise<RoomTable> {
    const table = new RoomTable();
    table.#rooms.set(LOBBY, emptyRoom(0, LOBBY));
    const byNumber = new Map<string, HostRoom>();
    for (const { key, value } of await database.range({ gte: ROOMS, lt: ROOMS + KEY_END })) {
      const { name, topic, closed, keepMs, pruned, lastCursor } = fromBinary(StoredRoomSchema, value);
      const number = Number.parseInt(key.slice(ROOMS.length), 16);
      const numbers = { keepMs: Number(keepMs), pruned: Number(pruned), lastCursor: Number(lastCursor) };
      const room: HostRoom = { ...emptyRoom(number, name), topic, closed, ...numbers };
      table.#rooms.set(name, room);
      table.#next = Math.max(table.#next, number + 1);
      if (closed) table.#closed += 1;
    }
    for (const room of table.#rooms.values()) byNumber.set(numberKey(room.number), room);
    for (const { key, value } of await database.range({ gte: PARTS, lt: PARTS + KEY_END })) {
      const [number = '', person = ''] = key.slice(PARTS.length).split('/');
      byNumber.get(number)?.parts.set(person, readPart(value));
    }
    return table;
  }

  /** Their names, in order. */
  get names(): readonly string[] {
    return [...this.#rooms.keys()].sort(byBytes);
  }

  /** Those whose messages are not kept for ever. */
  get pruning(): readonly HostRoom[] {
    return [...this.#rooms.values()].filter(({ keepMs }) => keepMs > 0);
  }

  get(name: string): HostRoom | undefined {
    return this.#rooms.get(name);
  }

  /** Tell which rooms somebody may see; undefined while that is every room. @impl CH-040~1 */
  visible(person: string): RoomFilter | undefined {
    if (this.#closed === 0) return undefined;
    return name => {
      const room = this.#rooms.get(name);
      return room === undefined || this.#sees(room, person);
    };
  }

  /** What somebody is in a room. In the lobby everybody is a member. */
  role(room: HostRoom, person: string): Role {
    const role = room.parts.get(person)?.role ?? Role.UNSPECIFIED;
    return role === Role.UNSPECIFIED && room.name === LOBBY ? Role.MEMBER : role;
  }

  part(room: HostRoom, person: string): Part {
    return room.parts.get(person) ?? NO_PART;
  }

  /** Show the rooms to one person. */
  views(person: string): readonly RoomView[] {
    return this.names.flatMap(name => {
      const room = this.#rooms.get(name);
      if (room === undefined || !this.#sees(room, person)) return [];
      const { topic, closed, keepMs, lastCursor } = room;
      const readCursor = this.part(room, person).read;
      return [{ name, topic, closed, keepMs, lastCursor, readCursor, role: this.role(room, person) }];
    });
  }

  /** Say why the host will never store this; unspecified when it will. @impl CH-009~1 @impl CH-041~1 */
  judge(person: string, { room: name, act }: Content): ErrorCode {
    const room = this.#rooms.get(name);
    if (act?.kind === 'create') {
      if (room !== undefined) return ErrorCode.ROOM_EXISTS;
      return this.#rooms.size >= ROOMS_MAX ? ErrorCode.ROOM_LIMIT : ErrorCode.UNSPECIFIED;
    }
    if (room === undefined || !this.#sees(room, person)) return ErrorCode.ROOM_UNKNOWN;
    return act === undefined ? ErrorCode.UNSPECIFIED : this.#judgeAct(room, person, act);
  }

  #judgeAct(room: HostRoom, person: string, act: Act): ErrorCode {
    const role = this.role(room, person);
    const allow = (allowed: boolean): ErrorCode =>
      allowed ? ErrorCode.UNSPECIFIED : ErrorCode.ROOM_FORBIDDEN;
    switch (act.kind) {
      case 'create':
      case 'delete':
      case 'rename':
        return ErrorCode.UNSPECIFIED;
      case 'join':
        return this.#full(room, person) ? ErrorCode.ROOM_LIMIT : ErrorCode.UNSPECIFIED;
      case 'leave':
        return allow(room.name !== LOBBY && !this.#isLastOwner(room, person));
      case 'topic':
        return allow(role === Role.OWNER || role === Role.MEMBER);
      case 'keep':
        return allow(role === Role.OWNER);
      case 'grant': {
        const to = hex(act.personId);
        if (this.#isLastOwner(room, to) && act.role !== Role.OWNER) return ErrorCode.ROOM_FORBIDDEN;
        if (to !== person && this.#full(room, to)) return ErrorCode.ROOM_LIMIT;
        if (role === Role.OWNER) return ErrorCode.UNSPECIFIED;
        if (to === person) return allow(HUMBLE.has(act.role) && role !== Role.UNSPECIFIED);
        const isNew = this.role(room, to) === Role.UNSPECIFIED;
        return allow(role === Role.MEMBER && isNew && INVITED.has(act.role));
      }
    }
  }

  /** Do what was judged, and give the writes. */
  perform(person: string, { room: name, act }: Content, cursor: number): readonly DatabaseOperation[] {
    const room = this.#rooms.get(name);
    if (act?.kind === 'create') return this.#create(person, name, act, cursor);
    if (room === undefined) return [];
    const noted = this.#note(room, cursor);
    return act === undefined ? noted : [...noted, ...this.#performAct(room, person, act)];
  }

  #performAct(room: HostRoom, person: string, act: Act): readonly DatabaseOperation[] {
    switch (act.kind) {
      case 'join':
        return this.#become(room, person, this.role(room, person) || Role.MEMBER);
      case 'leave':
        return this.#become(room, person, Role.UNSPECIFIED);
      case 'grant':
        return this.#become(room, hex(act.personId), act.role);
      case 'topic':
        room.topic = act.topic;
        return [putRoom(room)];
      case 'keep':
        room.keepMs = act.keepMs;
        return [putRoom(room)];
      case 'create':
      case 'delete':
      case 'rename':
        return [];
    }
  }

  /** Somebody came further; give the write, or undefined when nothing changed. Marks only grow. @impl CH-045~1 */
  advance(
    room: HostRoom,
    person: string,
    mark: { readonly delivered: number; readonly read: number; readonly hidden: boolean },
  ): { readonly part: Part; readonly shown: boolean; readonly operation: DatabaseOperation } | undefined {
    const before = this.part(room, person);
    const read = Math.max(before.read, mark.read);
    const delivered = Math.max(before.delivered, mark.delivered, read);
    const part: Part = {
      role: before.role,
      delivered,
      read,
      shownDelivered: mark.hidden ? before.shownDelivered : delivered,
      shownRead: mark.hidden ? before.shownRead : read,
    };
    const shown = part.shownDelivered > before.shownDelivered || part.shownRead > before.shownRead;
    if (!shown && read === before.read && delivered === before.delivered) return undefined;
    room.parts.set(person, part);
    return { part, shown, operation: putPart(room, person, part) };
  }

  /** Note that messages of a room are gone; give the write. */
  prune(room: HostRoom, through: number): DatabaseOperation {
    room.pruned = through;
    return putRoom(room);
  }

  /** Forget a person; give the writes. A room that has lost its last owner gets another. @impl CH-051~1 */
  forget(person: string): readonly DatabaseOperation[] {
    return [...this.#rooms.values()].flatMap(room => {
      const wasLast = this.#isLastOwner(room, person);
      if (!room.parts.delete(person)) return [];
      const heir = wasLast ? firstOf(room, Role.MEMBER) : undefined;
      const raised = heir === undefined ? [] : this.#become(room, heir, Role.OWNER);
      return [{ kind: 'delete', key: partKey(room, person) } as const, ...raised];
    });
  }

  #sees(room: HostRoom, person: string): boolean {
    return !room.closed || this.role(room, person) !== Role.UNSPECIFIED;
  }

  #isLastOwner(room: HostRoom, person: string): boolean {
    if (room.parts.get(person)?.role !== Role.OWNER) return false;
    for (const [other, { role }] of room.parts) if (role === Role.OWNER && other !== person) return false;
    return true;
  }

  #full(room: HostRoom, person: string): boolean {
    return !room.parts.has(person) && room.parts.size >= ROOM_PEOPLE_MAX;
  }

  #create(
    person: string,
    name: string,
    { topic, closed }: Act & { kind: 'create' },
    cursor: number,
  ): readonly DatabaseOperation[] {
    const room = { ...emptyRoom(this.#next, name), topic, closed };
    this.#next += 1;
    if (closed) this.#closed += 1;
    this.#rooms.set(name, room);
    return [...this.#note(room, cursor), putRoom(room), ...this.#become(room, person, Role.OWNER)];
  }

  #become(room: HostRoom, person: string, role: Role): readonly DatabaseOperation[] {
    const part = { ...this.part(room, person), role };
    room.parts.set(person, part);
    return [putPart(room, person, part)];
  }

  /** The record of a room is written when the next message is in another one: that of the newest is found at start. */
  #note(room: HostRoom, cursor: number): readonly DatabaseOperation[] {
    room.lastCursor = cursor;
    const before = this.#hot;
    this.#hot = room;
    return before === undefined || before === room ? [] : [putRoom(before)];
  }

  /** At start: the newest message is of this room. */
  found(name: string, cursor: number): void {
    const room = this.#rooms.get(name);
    if (room === undefined || cursor <= room.lastCursor) return;
    room.lastCursor = cursor;
    this.#hot = room;
  }
}

/** Of those who have a role, the one with the lowest id. */
function firstOf(room: HostRoom, role: Role): string | undefined {
  const people = [...room.parts].filter(([, part]) => part.role === role);
  return people.map(([person]) => person).sort()[0];
}

function emptyRoom(number: number, name: string): HostRoom {
  const numbers = { keepMs: 0, pruned: 0, lastCursor: 0 };
  return { number, name, topic: '', closed: false, ...numbers, parts: new Map() };
}

/** Compare as UTF-8 does, which is by code points. */
function byBytes(a: string, b: string): number {
  const [left, right] = [[...a], [...b]];
  for (const [i, letter] of left.entries()) {
    const difference = (letter.codePointAt(0) ?? 0) - (right[i]?.codePointAt(0) ?? -1);
    if (difference !== 0) return difference;
  }
  return left.length - right.length;
}

function putRoom({ number, name, topic, closed, keepMs, pruned, lastCursor }: HostRoom): DatabaseOperation {
  const numbers = { keepMs: BigInt(keepMs), pruned: BigInt(pruned), lastCursor: BigInt(lastCursor) };
  const value = toBinary(StoredRoomSchema, create(StoredRoomSchema, { name, topic, closed, ...numbers }));
  return { kind: 'put', key: ROOMS + numberKey(number), value };
}

function partKey(room: HostRoom, person: string): string {
  return `${PARTS}${numberKey(room.number)}/${person}`;
}

function putPart(room: HostRoom, person: string, part: Part): DatabaseOperation {
  const { role, delivered, read, shownDelivered, shownRead } = part;
  const stored = create(StoredPartSchema, {
    role,
    delivered: BigInt(delivered),
    read: BigInt(read),
    shownDelivered: BigInt(shownDelivered),
    shownRead: BigInt(shownRead),
  });
  return { kind: 'put', key: partKey(room, person), value: toBinary(StoredPartSchema, stored) };
}

function readPart(value: Uint8Array): Part {
  const { role, delivered, read, shownDelivered, shownRead } = fromBinary(StoredPartSchema, value);
  return {
    role,
    delivered: Number(delivered),
    read: Number(read),
    shownDelivered: Number(shownDelivered),
    shownRead: Number(shownRead),
  };
}
