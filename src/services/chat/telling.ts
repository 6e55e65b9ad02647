/** What is told of rooms beside their messages: how far people came, who writes, who is there, what is gone (spec/11-chat.md, 11.8). */
import { Role } from '../../gen/clawchat/v1/chat_pb.ts';
import { ROOM_PEOPLE_MAX } from '../../gen/constants.ts';
import { parseHex } from '../../wire/bytes.ts';
import type { ServiceDatabase } from '../ports.ts';
import type { MessageLog } from './message-log.ts';
import type { People } from './people.ts';
import type { Gap, PersonView, RoomGap } from './reply.ts';
import { encodeReply, encodeRoomGap } from './reply-writing.ts';
import type { HostRoom, Part } from './room-records.ts';
import { LOBBY, type RoomTable } from './rooms.ts';

/** Tells whoever may know. */
export class Telling {
  readonly #database: ServiceDatabase;
  readonly #log: MessageLog;
  readonly #rooms: RoomTable;
  readonly #people: People;

  constructor(database: ServiceDatabase, log: MessageLog, rooms: RoomTable, people: People) {
    this.#database = database;
    this.#log = log;
    this.#rooms = rooms;
    this.#people = people;
  }

  /** Take word of how far somebody came; once that is durable, tell those who may know. @impl CH-045~2 */
  mark(
    person: string,
    mark: {
      readonly room: string;
      readonly delivered: number;
      readonly read: number;
      readonly hidden: boolean;
    },
  ): Promise<void> {
    const room = this.#rooms.get(mark.room);
    if (room === undefined || !this.#rooms.sees(person, mark.room)) return Promise.resolve();
    // What this room has not decided durably is not received by anybody.
    const through = Math.min(this.#log.through, room.lastCursor);
    const [delivered, read] = [Math.min(mark.delivered, through), Math.min(mark.read, through)];
    const advanced = this.#rooms.advance(room, person, { delivered, read, hidden: mark.hidden });
    if (advanced === undefined) return Promise.resolve();
    return this.#database
      .commit([advanced.operation])
      .then(() => this.#tellMark(person, mark.room, advanced));
  }

  #tellMark(
    person: string,
    room: string,
    { part, shown }: { readonly part: Part; readonly shown: boolean },
  ): void {
    const state = (of: { delivered: number; read: number }): Uint8Array =>
      encodeReply(0, {
        case: 'mark',
        value: {
          personId: parseHex(person),
          room,
          delivered: BigInt(of.delivered),
          read: BigInt(of.read),
        },
      });
    const key = `mark/${person}/${room}`;
    this.#people.tell(key, state(part), guest => guest.person === person);
    if (!shown) return;
    const told = state({ delivered: part.shownDelivered, read: part.shownRead });
    this.#people.tell(key, told, guest => guest.person !== person && this.#rooms.sees(guest.person, room));
  }

  /** Pass on that somebody is writing, to whoever has room to hear it. @impl CH-046~2 */
  typing(person: string, name: string, room: string): void {
    if (this.#rooms.get(room) === undefined || !this.#rooms.sees(person, room)) return;
    const value = { personId: parseHex(person), name, room };
    const message = encodeReply(0, { case: 'typing', value });
    this.#people.whisper(message, guest => guest.person !== person && this.#rooms.sees(guest.person, room));
  }

  /** The people of a room, for one who sees it; undefined for one who does not. */
  peopleOf(asker: string, name: string): readonly PersonView[] | undefined {
    const room = this.#rooms.get(name);
    if (room === undefined || !this.#rooms.sees(asker, name)) return undefined;
    const known = room.name === LOBBY ? this.#people.names.keys() : room.parts.keys();
    const people = [...known].flatMap((person): PersonView[] => {
      const role = this.#rooms.role(room, person);
      if (role === Role.UNSPECIFIED || !this.#people.isThere(person)) return [];
      const shown = this.#people.called(person);
      const { delivered, read, shownDelivered, shownRead } = this.#rooms.part(room, person);
      const far = person === asker ? { delivered, read } : { delivered: shownDelivered, read: shownRead };
      const online = this.#people.isOnline(person);
      return [{ personId: parseHex(person), name: shown, role, online, ...far }];
    });
    return people.sort((a, b) => (a.name < b.name ? -1 : a.name > b.name ? 1 : 0)).slice(0, ROOM_PEOPLE_MAX);
  }

  /** Say what is missing behind a cursor, of a room that one sees or of all. @impl CH-033~3 @impl CH-047~3 */
  gapBehind(person: string, afterCursor: number, room: string): Gap | undefined {
    const all = this.#log.gapBehind(afterCursor);
    const of = this.#rooms.sees(person, room) ? this.#rooms.get(room) : undefined;
    const gap = of && roomGap(of, afterCursor);
    return gap === undefined || gap.firstCursor <= (all?.firstCursor ?? 0) ? all : gap;
  }

  /** Say of each room that one sees what is missing behind a cursor. @impl CH-057~1 */
  roomGapsBehind(person: string, afterCursor: number): readonly RoomGap[] {
    return this.#rooms.all.flatMap(room => {
      const gap = this.#rooms.sees(person, room.name) ? roomGap(room, afterCursor) : undefined;
      return gap === undefined ? [] : [{ ...gap, room: room.name }];
    });
  }

  /** Tell some of those who said hello that messages of a room are gone, or the room with them. */
  gap({ name }: HostRoom, before: number, through: number, to: (person: string) => boolean): void {
    const message = encodeRoomGap({ afterCursor: before, firstCursor: through + 1, room: name });
    this.#people.tell(`gap/${name}`, message, ({ person }) => to(person));
  }
}

/** What of a room is missing behind a cursor: nothing, unless something with a higher one was deleted. */
function roomGap({ pruned, gone }: HostRoom, afterCursor: number): Gap | undefined {
  return gone > afterCursor ? { afterCursor, firstCursor: pruned + 1 } : undefined;
}
