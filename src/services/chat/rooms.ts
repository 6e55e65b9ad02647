/** The rooms of a host: what they are, who is in them, and who may do what (spec/11-chat.md, 11.3). */
import { create, fromBinary, toBinary } from '@bufbuild/protobuf';
import { Role } from '../../gen/clawchat/v1/chat_pb.ts';
import { StoredPartSchema, StoredRoomSchema } from '../../gen/clawchat/v1/chat_storage_pb.ts';
import { ErrorCode } from '../../gen/clawchat/v1/error_pb.ts';
import { PERSON_ROOMS_MAX, ROOM_PEOPLE_MAX, ROOMS_MAX } from '../../gen/constants.ts';
import { hex, parseHex } from '../../wire/bytes.ts';
import type { DatabaseOperation, ServiceDatabase } from '../ports.ts';
import { KEY_END, numberKey } from './bytes.ts';
import { type Change, together } from './change.ts';
import { type Act, type Content, isNewRoomName } from './content.ts';
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
  /** Who made it, in hexadecimal; empty for the lobby. */
  readonly maker: string;
  topic: string;
  closed: boolean;
  keepMs: number;
  /** Nothing of it with this cursor or a lower one is kept. */
  pruned: number;
  /** Highest cursor of what was deleted as too old. */
  gone: number;
  lastCursor: number;
  /** It was deleted, and its messages are not all gone: nobody sees it, and its name is not free. */
  removed: boolean;
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
  /** Rooms that not everybody sees. */
  #hidden = 0;
  #next = 1;
  /** The room of the newest messages, whose record does not say yet how far it goes. */
  #hot: HostRoom | undefined;
  readonly #isThere: (person: string) => boolean;

  private constructor(isThere: (person: string) => boolean) {
    this.#isThere = isThere;
  }

  /** Read what there is. `isThere` tells whether somebody who has a device is a person. @impl CH-009~2 */
  static async open(database: ServiceDatabase, isThere: (person: string) => boolean): Promise<RoomTable> {
    const table = new RoomTable(isThere);
    table.#rooms.set(LOBBY, emptyRoom(0, LOBBY, ''));
    const byNumber = new Map<string, HostRoom>();
    for (const { key, value } of await database.range({ gte: ROOMS, lt: ROOMS + KEY_END })) {
      const stored = fromBinary(StoredRoomSchema, value);
      const { name, topic, closed, keepMs, pruned, lastCursor, removed, gone } = stored;
      const number = Number.parseInt(key.slice(ROOMS.length), 16);
      const empty = emptyRoom(number, name, hex(stored.makerId));
      const [kept, last] = [Number(keepMs), Number(lastCursor)];
      const lost = { pruned: Number(pruned), gone: Number(gone) };
      const room: HostRoom = { ...empty, topic, closed, keepMs: kept, ...lost, lastCursor: last, removed };
      table.#rooms.set(name, room);
      table.#next = Math.max(table.#next, number + 1);
      if (isHidden(room)) table.#hidden += 1;
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
    return [...this.#rooms.values()].filter(({ keepMs, removed }) => keepMs > 0 || removed);
  }

  /** Those that were not deleted, by name. */
  get all(): readonly HostRoom[] {
    return this.names.flatMap(name => this.#rooms.get(name) ?? []).filter(({ removed }) => !removed);
  }

  /** Find a room, also one that was deleted. */
  get(name: string): HostRoom | undefined {
    return this.#rooms.get(name);
  }

  /** Tell which rooms somebody may see; undefined while that is every room. @impl CH-040~2 */
  visible(person: string): RoomFilter | undefined {
    if (this.#hidden === 0) return undefined;
    return name => {
      const room = this.#rooms.get(name);
      // What was read belongs to a room that has gone meanwhile, or was lost.
      return room !== undefined && this.#sees(room, person);
    };
  }

  /** What somebody is in a room. In the lobby everybody is a member. */
  role(room: HostRoom, person: string): Role {
    const role = room.parts.get(person)?.role ?? Role.UNSPECIFIED;
    return role === Role.UNSPECIFIED && room.name === LOBBY ? Role.MEMBER : role;
  }

  /** What is kept of somebody in a room. */
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

  /** Say why the host will never store this; unspecified when it will. @impl CH-009~2 @impl CH-041~2 */
  judge(person: string, { room: name, act }: Content): ErrorCode {
    const room = this.#rooms.get(name);
    if (act?.kind === 'create') {
      if (!isNewRoomName(name)) return ErrorCode.MESSAGE_MALFORMED;
      if (room !== undefined) return ErrorCode.ROOM_EXISTS;
      const isFull = this.#rooms.size >= ROOMS_MAX || this.#madeBy(person) >= PERSON_ROOMS_MAX;
      return isFull ? ErrorCode.ROOM_LIMIT : ErrorCode.UNSPECIFIED;
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
        return this.isFull(room, person) ? ErrorCode.ROOM_LIMIT : ErrorCode.UNSPECIFIED;
      case 'leave':
        return allow(room.name !== LOBBY && !this.#isLastOwner(room, person));
      case 'topic':
        return allow(role === Role.OWNER || role === Role.MEMBER);
      case 'keep':
      case 'remove':
        return allow(role === Role.OWNER);
      case 'grant': {
        const to = hex(act.personId);
        if (this.#isLastOwner(room, to) && act.role !== Role.OWNER) return ErrorCode.ROOM_FORBIDDEN;
        if (to !== person && this.isFull(room, to)) return ErrorCode.ROOM_LIMIT;
        if (to === person && role !== Role.OWNER)
          return allow(HUMBLE.has(act.role) && role !== Role.UNSPECIFIED);
        const isNew = this.role(room, to) === Role.UNSPECIFIED;
        if (role !== Role.OWNER && !(role === Role.MEMBER && isNew && INVITED.has(act.role)))
          return ErrorCode.ROOM_FORBIDDEN;
        return this.isGhost(act) ? ErrorCode.PERSON_UNKNOWN : ErrorCode.UNSPECIFIED;
      }
    }
  }

  /** Do what was judged. */
  perform(person: string, { room: name, act }: Content, cursor: number): Change {
    const room = this.#rooms.get(name);
    if (act?.kind === 'create') return this.#create(person, name, act, cursor);
    if (room === undefined) return together();
    const noted = this.#note(room, cursor);
    return act === undefined ? noted : together(noted, this.#performAct(room, person, act, cursor));
  }

  #performAct(room: HostRoom, person: string, act: Act, lastCursor: number): Change {
    const put = (change: Partial<HostRoom>): Change => ({
      operations: [putRoom({ ...room, lastCursor, ...change })],
      take: () => void Object.assign(room, change),
    });
    switch (act.kind) {
      case 'join':
        return this.#become(room, person, this.role(room, person) || Role.MEMBER);
      case 'leave':
        return this.#become(room, person, Role.UNSPECIFIED);
      case 'grant':
        return this.#become(room, hex(act.personId), act.role);
      case 'topic':
        return put({ topic: act.topic });
      case 'keep':
        return put({ keepMs: act.keepMs });
      case 'remove': {
        const hidden = this.#hidden + (isHidden(room) ? 0 : 1);
        return together(put({ removed: true }), this.#count({ hidden }));
      }
      case 'create':
      case 'delete':
      case 'rename':
        return together();
    }
  }

  /** Somebody came further; give the write, or undefined when nothing changed. Marks only grow. @impl CH-045~2 */
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

  /** Note how far a room was looked through, and the last message that is gone; give the write. */
  prune(room: HostRoom, through: number, gone: number): DatabaseOperation {
    room.pruned = through;
    room.gone = Math.max(room.gone, gone);
    return putRoom(room);
  }

  /**
   * The messages of a room that was deleted go: forget it. Only once that is durable, because until then the database may
   * still give some of them to a reader. @impl CH-053~1
   */
  drop(room: HostRoom): Change {
    const keys = [...room.parts.keys()].map(person => partKey(room, person));
    // Nobody writes its record again, whatever comes next elsewhere.
    if (this.#hot === room) this.#hot = undefined;
    const take = (): void => {
      this.#rooms.delete(room.name);
      this.#hidden -= 1;
    };
    return { operations: [roomKey(room), ...keys].map(key => ({ kind: 'delete', key })), take };
  }

  /** Forget a person; give the writes. A room that has lost its last owner gets another. @impl CH-051~1 */
  forget(person: string): readonly DatabaseOperation[] {
    return [...this.#rooms.values()].flatMap(room => {
      const wasLast = this.#isLastOwner(room, person);
      if (!room.parts.delete(person)) return [];
      const heir = wasLast && !room.removed ? this.having(room, Role.MEMBER)[0] : undefined;
      const raised = heir === undefined ? together() : this.#become(room, heir, Role.OWNER);
      raised.take();
      return [{ kind: 'delete', key: partKey(room, person) } as const, ...raised.operations];
    });
  }

  /** @impl CH-052~1 */
  #sees(room: HostRoom, person: string): boolean {
    return !room.removed && this.isOpenTo(room, person);
  }

  /** Whether somebody sees a room, or saw it before it was deleted. */
  isOpenTo(room: HostRoom, person: string): boolean {
    return !room.closed || this.role(room, person) !== Role.UNSPECIFIED;
  }

  #madeBy(person: string): number {
    return [...this.#rooms.values()].filter(({ maker, removed }) => maker === person && !removed).length;
  }

  #isLastOwner(room: HostRoom, person: string): boolean {
    if (room.parts.get(person)?.role !== Role.OWNER) return false;
    return this.having(room, Role.OWNER).every(other => other === person);
  }

  /** Those who have a role in a room, lowest id first. Who is no person any more, or never was, has none. @impl CH-055~1 */
  having(room: HostRoom, role: Role): readonly string[] {
    const people = [...room.parts].filter(([person, part]) => part.role === role && this.#isThere(person));
    return people.map(([person]) => person).sort();
  }

  /** Whether this gives a role to nobody. @impl CH-055~1 */
  isGhost({ personId, role }: Act & { kind: 'grant' }): boolean {
    return role !== Role.UNSPECIFIED && !this.#isThere(hex(personId));
  }

  /** Whether a room has no place for somebody who has no part in it. */
  isFull(room: HostRoom, person: string): boolean {
    return !room.parts.has(person) && room.parts.size >= ROOM_PEOPLE_MAX;
  }

  #create(person: string, name: string, { topic, closed }: Act & { kind: 'create' }, cursor: number): Change {
    const room = { ...emptyRoom(this.#next, name, person), topic, closed };
    const made: Change = {
      operations: [putRoom({ ...room, lastCursor: cursor })],
      take: () => void this.#rooms.set(name, room),
    };
    const counted = this.#count({ next: this.#next + 1, hidden: this.#hidden + (closed ? 1 : 0) });
    return together(this.#note(room, cursor), made, counted, this.#become(room, person, Role.OWNER));
  }

  #count({ next = this.#next, hidden }: { readonly next?: number; readonly hidden: number }): Change {
    const take = (): void => {
      this.#next = next;
      this.#hidden = hidden;
    };
    return { operations: [], take };
  }

  #become(room: HostRoom, person: string, role: Role): Change {
    const part = { ...this.part(room, person), role };
    return {
      operations: [putPart(room, person, part)],
      take: () => void room.parts.set(person, part),
    };
  }

  /** The record of a room is written when the next message is in another one: that of the newest is found at start. */
  #note(room: HostRoom, cursor: number): Change {
    const before = this.#hot;
    return {
      operations: before === undefined || before === room ? [] : [putRoom(before)],
      take: () => {
        room.lastCursor = cursor;
        this.#hot = room;
      },
    };
  }

  /** At start: the newest message is of this room. */
  found(name: string, cursor: number): void {
    const room = this.#rooms.get(name);
    if (room === undefined || cursor <= room.lastCursor) return;
    room.lastCursor = cursor;
    this.#hot = room;
  }
}

function emptyRoom(number: number, name: string, maker: string): HostRoom {
  const numbers = { keepMs: 0, pruned: 0, gone: 0, lastCursor: 0 };
  return { number, name, maker, topic: '', closed: false, ...numbers, removed: false, parts: new Map() };
}

function isHidden({ closed, removed }: HostRoom): boolean {
  return closed || removed;
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

function putRoom(room: HostRoom): DatabaseOperation {
  const { name, topic, closed, keepMs, pruned, gone, lastCursor, removed } = room;
  const lost = { pruned: BigInt(pruned), gone: BigInt(gone) };
  const numbers = { keepMs: BigInt(keepMs), ...lost, lastCursor: BigInt(lastCursor) };
  const makerId = parseHex(room.maker);
  const stored = create(StoredRoomSchema, { name, topic, closed, ...numbers, makerId, removed });
  return { kind: 'put', key: roomKey(room), value: toBinary(StoredRoomSchema, stored) };
}

function roomKey({ number }: HostRoom): string {
  return ROOMS + numberKey(number);
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
