/** The rooms of a host: what they are, who is in them, and who may do what (spec/11-chat.md, 11.3). */
import { Role } from '../../gen/clawchat/v1/chat_pb.ts';
import { ErrorCode } from '../../gen/clawchat/v1/error_pb.ts';
import { PERSON_ROOMS_MAX, ROOM_PEOPLE_MAX, ROOMS_MAX } from '../../gen/constants.ts';
import { hex } from '../../wire/bytes.ts';
import type { DatabaseOperation, ServiceDatabase } from '../ports.ts';
import { type Change, together } from './change.ts';
import type { Act, Content } from './content.ts';
import type { RoomFilter } from './message-log.ts';
import type { RoomView } from './reply.ts';
import { foldRoomName, isNewRoomName } from './room-names.ts';
import {
  emptyRoom,
  type HostRoom,
  type Part,
  partKey,
  putPart,
  putRoom,
  readParts,
  readRooms,
  roomKey,
} from './room-records.ts';

/** The room that is always there. */
export const LOBBY = 'lobby';

const NO_PART: Part = { role: Role.UNSPECIFIED, delivered: 0, read: 0, shownDelivered: 0, shownRead: 0 };
/** What an owner gives, a member, and nobody else. */
const INVITED: ReadonlySet<Role> = new Set([Role.MEMBER, Role.GUEST, Role.BOT]);
/** What everybody may make of themselves, whatever they are. */
const HUMBLE: ReadonlySet<Role> = new Set([Role.GUEST, Role.BOT]);

/** All rooms, in memory; each change is given as the writes for the commit of the post that makes it. */
export class RoomTable {
  readonly #rooms = new Map<string, HostRoom>();
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
    for (const room of await readRooms(database)) table.#rooms.set(room.name, room);
    const byNumber = new Map([...table.#rooms.values()].map(room => [room.number, room]));
    const parts = await readParts(database);
    for (const [number, person, part] of parts) byNumber.get(number)?.parts.set(person, part);
    // A room whose record was lost has left its people: they are in no other one that gets its number.
    const numbers = [...byNumber.keys(), ...parts.map(([number]) => number)];
    table.#next = numbers.reduce((highest, number) => Math.max(highest, number), 0) + 1;
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

  /** Tell what somebody may see. @impl CH-040~2 @impl CH-060~1 */
  visible(person: string): RoomFilter {
    return (name, cursor) => {
      const room = this.#rooms.get(name);
      // What lies before the beginning of a room is of another one that had its name, and is lost or gone.
      return room !== undefined && cursor > room.pruned && this.#sees(room, person);
    };
  }

  /** Whether there is such a room for somebody. @impl CH-040~2 */
  sees(person: string, name: string): boolean {
    const room = this.#rooms.get(name);
    return room !== undefined && this.#sees(room, person);
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
      if (room !== undefined || this.#hasLike(name)) return ErrorCode.ROOM_EXISTS;
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
      case 'remove':
        return put({ removed: true });
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
      ...(mark.hidden ? shownOf(before) : shownBy(before, mark)),
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
    return {
      operations: [roomKey(room), ...keys].map(key => ({ kind: 'delete', key })),
      take: () => void this.#rooms.delete(room.name),
    };
  }

  /** Forget a person; give the writes, and who is to own each room that has lost its last owner. @impl CH-051~2 */
  forget(person: string): {
    readonly operations: readonly DatabaseOperation[];
    readonly heirs: readonly { readonly room: string; readonly heir: string }[];
  } {
    const operations: DatabaseOperation[] = [];
    const heirs: { readonly room: string; readonly heir: string }[] = [];
    for (const room of this.#rooms.values()) {
      const wasLast = this.#isLastOwner(room, person);
      if (!room.parts.delete(person)) continue;
      operations.push({ kind: 'delete', key: partKey(room, person) });
      const [heir] = wasLast && !room.removed ? this.having(room, Role.MEMBER) : [];
      if (heir !== undefined) heirs.push({ room: room.name, heir });
    }
    return { operations, heirs };
  }

  /** @impl CH-052~1 */
  #sees(room: HostRoom, person: string): boolean {
    return !room.removed && this.isOpenTo(room, person);
  }

  /** Whether somebody sees a room, or saw it before it was deleted. */
  isOpenTo(room: HostRoom, person: string): boolean {
    return !room.closed || this.role(room, person) !== Role.UNSPECIFIED;
  }

  /** Whether a room has a name that people take for this one. @impl CH-061~1 */
  #hasLike(name: string): boolean {
    const folded = foldRoomName(name);
    return [...this.#rooms.keys()].some(other => foldRoomName(other) === folded);
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
    const room = { ...emptyRoom(this.#next, name, person), topic, closed, pruned: cursor - 1 };
    const made = this.#add(room, cursor);
    return together(this.#note(room, cursor), made, this.#become(room, person, Role.OWNER));
  }

  /** Make a closed room, which is nobody's, of one whose record is lost; undefined when there are too many. @impl CH-060~1 */
  adopt(name: string, lastCursor: number): Change | undefined {
    if (this.#rooms.size >= ROOMS_MAX) return undefined;
    return this.#add({ ...emptyRoom(this.#next, name, ''), closed: true, lastCursor }, lastCursor);
  }

  #add(room: HostRoom, lastCursor: number): Change {
    return {
      operations: [putRoom({ ...room, lastCursor })],
      take: () => {
        this.#rooms.set(room.name, room);
        this.#next = room.number + 1;
      },
    };
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

/** How far others are told that somebody came. */
type Shown = Pick<Part, 'shownDelivered' | 'shownRead'>;

function shownOf({ shownDelivered, shownRead }: Part): Shown {
  return { shownDelivered, shownRead };
}

/** Behind a mark that is not hidden: what came hidden stays so. @impl CH-045~2 */
function shownBy(before: Part, mark: { readonly delivered: number; readonly read: number }): Shown {
  const shownRead = Math.max(before.shownRead, mark.read);
  return { shownDelivered: Math.max(before.shownDelivered, mark.delivered, shownRead), shownRead };
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
