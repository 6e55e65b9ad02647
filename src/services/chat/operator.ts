/** What the operator of a host sees of its rooms, and does to them (spec/11-chat.md, 11.3). */
import { Role } from '../../gen/clawchat/v1/chat_pb.ts';
import { ErrorCode } from '../../gen/clawchat/v1/error_pb.ts';
import { hex } from '../../wire/bytes.ts';
import { type Act, ID_BYTES } from './content.ts';
import type { MessageLog, Sender } from './message-log.ts';
import type { HostRoom } from './room-records.ts';
import { LOBBY, type RoomTable } from './rooms.ts';

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

/** How much was said in a room, and when last. */
export interface RoomCount {
  readonly messages: number;
  readonly lastAtMs: number;
}

/** What is stored of rooms, by name. */
export interface Survey {
  /** Messages that are shown with a text. */
  readonly counts: ReadonlyMap<string, RoomCount>;
  /** The last message of each room that has messages and no record. */
  readonly lost: ReadonlyMap<string, number>;
}

/** Look through the whole history, as long as somebody waits for it. @impl CH-060~1 */
export async function survey(log: MessageLog, rooms: RoomTable, isWanted: () => boolean): Promise<Survey> {
  const counts = new Map<string, RoomCount>();
  const lost = new Map<string, number>();
  // A room that goes meanwhile is not lost, though some of its messages were read before they went.
  const known = new Set(rooms.names);
  await log.each(isWanted, ({ room, text, storedAtMs }, cursor) => {
    if (room === undefined) return;
    if (!known.has(room)) lost.set(room, cursor);
    if (text === '') return;
    counts.set(room, { messages: (counts.get(room)?.messages ?? 0) + 1, lastAtMs: storedAtMs });
  });
  for (const name of rooms.names) lost.delete(name);
  return { counts, lost };
}

/** How many have a part in a room. */
export function peopleIn(rooms: RoomTable, room: HostRoom): number {
  return [Role.OWNER, Role.MEMBER, Role.GUEST, Role.BOT].flatMap(role => rooms.having(room, role)).length;
}
