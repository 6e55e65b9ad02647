/** What an operator asks about rooms, and does to them. Chapters: spec/11-chat.md 11.3, spec/12-control.md. */
import type { MessageInitShape } from '@bufbuild/protobuf';
import { Role } from '../../gen/clawchat/v1/chat_pb.ts';
import type {
  ControlBequestSchema,
  ControlHostRoomSchema,
  ControlRoomPersonSchema,
} from '../../gen/clawchat/v1/control_pb.ts';
import { ErrorCode } from '../../gen/clawchat/v1/error_pb.ts';
import { type OperatorAct, peopleIn, type Survey, survey } from '../../services/chat/operator.ts';
import { LOBBY } from '../../services/chat/rooms.ts';
import type { ResponseInit } from '../control.ts';
import { failure } from '../failure.ts';
import { native } from '../native.ts';
import type { HostCore } from './core.ts';

type PersonInit = MessageInitShape<typeof ControlRoomPersonSchema>;
type RoomInit = MessageInitShape<typeof ControlHostRoomSchema>;

/** Owners that are named of each room: more would make an answer too long. */
const OWNERS_MAX = 8;

const NOTHING: Survey = { counts: new Map(), lost: new Map() };

/** List the rooms; if that is asked, with the number of their messages and with those that are lost. */
export async function listRooms(
  core: HostCore,
  isCounted: boolean,
  signal: AbortSignal,
): Promise<ResponseInit> {
  const { log, rooms: table } = core.chat;
  const { counts, lost } = isCounted ? await survey(log, table, () => !signal.aborted) : NOTHING;
  const count = (name: string): RoomInit => {
    const { messages = 0, lastAtMs = 0 } = counts.get(name) ?? {};
    return { messages: BigInt(messages), lastMessageAtMs: BigInt(lastAtMs) };
  };
  const rooms = table.all.map((room): RoomInit => {
    const { name, topic, closed, keepMs, lastCursor } = room;
    return {
      name,
      topic,
      closed,
      keepMs: BigInt(keepMs),
      lastCursor: BigInt(lastCursor),
      people: name === LOBBY ? core.chat.people.names.size : peopleIn(table, room),
      owners: table
        .having(room, Role.OWNER)
        .slice(0, OWNERS_MAX)
        .map(person => personInit(core, person)),
      ...count(name),
    };
  });
  const gone = [...lost].map(
    ([name, last]): RoomInit => ({
      name,
      closed: true,
      lost: true,
      lastCursor: BigInt(last),
      ...count(name),
    }),
  );
  return { case: 'hostRooms', value: { rooms: [...rooms, ...gone] } };
}

/** Do something to a room. @throws ClawChatError `ROOM_UNKNOWN`, `ROOM_FORBIDDEN`, `ROOM_LIMIT`, `DEVICE_UNKNOWN` */
export async function operate(core: HostCore, room: string, act: OperatorAct): Promise<ResponseInit> {
  if (act.kind === 'grant' && core.chat.rooms.isGhost(act)) {
    throw failure(
      ErrorCode.DEVICE_UNKNOWN,
      'nobody who has a device is this person (see: `clawchatd devices`)',
    );
  }
  if (act.kind === 'keep' && !Number.isSafeInteger(act.keepMs))
    throw failure(ErrorCode.USAGE, 'nothing is kept for so long');
  const { code, cursor } = await core.chat.operate(native.randomBytes(16), room, act, Date.now());
  switch (code) {
    case ErrorCode.UNSPECIFIED:
      return { case: 'roomDone', value: { cursor: BigInt(cursor) } };
    case ErrorCode.ROOM_UNKNOWN:
      throw failure(code, `there is no room '${room}' (see: \`clawchatd rooms\`)`);
    case ErrorCode.ROOM_FORBIDDEN:
      throw failure(code, "the lobby is always there, and is nobody's");
    default:
      throw failure(code, `'${room}' has as many people as a room can have`);
  }
}

/** The act that gives a room an owner. */
export function ownerAct(personId: Uint8Array): OperatorAct {
  return { kind: 'grant', personId, role: Role.OWNER };
}

/** Revoke a device, and say which rooms have lost their last owner by it. @impl EN-031~1 @impl CH-051~2 */
export async function revoke(core: HostCore, device: string): Promise<ResponseInit> {
  const { rooms, people } = core.chat;
  const person = people.personOf(device);
  const owned = rooms.all.filter(room => rooms.having(room, Role.OWNER).join() === person);
  const existed = await core.revoke(device);
  const bequests = owned.flatMap((room): MessageInitShape<typeof ControlBequestSchema>[] => {
    const [heir] = rooms.having(room, Role.OWNER);
    if (heir === person) return [];
    return [{ room: room.name, ...(heir !== undefined && { heir: personInit(core, heir) }) }];
  });
  return { case: 'revoked', value: { existed, bequests } };
}

/** The name that a person goes by; empty for somebody who has no device. */
export function personName(core: HostCore, person: string): string {
  const { people } = core.chat;
  return people.isThere(person) ? people.called(person) : '';
}

function personInit(core: HostCore, person: string): PersonInit {
  return { personId: Buffer.from(person, 'hex'), name: personName(core, person) };
}
