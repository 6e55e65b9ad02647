/** What the operator of a host sees of its rooms, and does to them (spec/11-chat.md, 11.3). */
import { Role } from '../../gen/clawchat/v1/chat_pb.ts';
import { ErrorCode } from '../../gen/clawchat/v1/error_pb.ts';
import { hex } from '../../wire/bytes.ts';
import { type Act, ID_BYTES } from './content.ts';
import type { Sender } from './message-log.ts';
import { type HostRoom, LOBBY, type RoomTable } from './rooms.ts';

/** Whose messages those of the operator are: no device's. @impl CH-054~1 */
export const OPERATOR: Sender = { deviceId: new Uint8Array(ID_BYTES), name: 'operator' };

/** What an operator can do to a room. */
export type OperatorAct = Extract<Act, { readonly kind: 'remove' | 'grant' | 'keep' }>;

/** Say why the operator cannot do this; unspecified when they can. @impl CH-054~1 */
export function judgeOperator(rooms: RoomTable, name: string, act: OperatorAct): ErrorCode {
  const room = rooms.get(name);
  if (room === undefined || room.removed) return ErrorCode.ROOM_UNKNOWN;
  if (act.kind === 'keep') return ErrorCode.UNSPECIFIED;
  if (name === LOBBY) return ErrorCode.ROOM_FORBIDDEN;
  if (act.kind === 'remove') return ErrorCode.UNSPECIFIED;
  if (rooms.isGhost(act)) return ErrorCode.PERSON_UNKNOWN;
  return rooms.isFull(room, hex(act.personId)) ? ErrorCode.ROOM_LIMIT : ErrorCode.UNSPECIFIED;
}

/** Whether a room is already as the operator wants it. */
export function isSo(rooms: RoomTable, name: string, act: OperatorAct): boolean {
  const room = rooms.get(name);
  if (room === undefined || act.kind === 'remove') return false;
  if (act.kind === 'keep') return room.keepMs === act.keepMs;
  return rooms.role(room, hex(act.personId)) === act.role;
}

/** How many have a part in a room. */
export function peopleIn(rooms: RoomTable, room: HostRoom): number {
  return [Role.OWNER, Role.MEMBER, Role.GUEST, Role.BOT].flatMap(role => rooms.having(room, role)).length;
}
