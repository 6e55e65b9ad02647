/** Rooms and the parts of people in them, as a host stores them (spec/11-chat.md, 11.7). */
import { create, fromBinary, toBinary } from '@bufbuild/protobuf';
import type { Role } from '../../gen/clawchat/v1/chat_pb.ts';
import { StoredPartSchema, StoredRoomSchema } from '../../gen/clawchat/v1/chat_storage_pb.ts';
import { hex, parseHex } from '../../wire/bytes.ts';
import type { DatabaseOperation, ServiceDatabase } from '../ports.ts';
import { KEY_END, numberKey } from './bytes.ts';

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

/** Read the record of every room. */
export async function readRooms(database: ServiceDatabase): Promise<readonly HostRoom[]> {
  const entries = await database.range({ gte: ROOMS, lt: ROOMS + KEY_END });
  return entries.map(({ key, value }) => {
    const stored = fromBinary(StoredRoomSchema, value);
    const { name, topic, closed, removed } = stored;
    const [keepMs, lastCursor] = [Number(stored.keepMs), Number(stored.lastCursor)];
    const lost = { pruned: Number(stored.pruned), gone: Number(stored.gone) };
    const empty = emptyRoom(Number.parseInt(key.slice(ROOMS.length), 16), name, hex(stored.makerId));
    return { ...empty, topic, closed, keepMs, ...lost, lastCursor, removed };
  });
}

/** Read everybody's part in every room: the number of the room, the person in hexadecimal, and the part. */
export async function readParts(
  database: ServiceDatabase,
): Promise<readonly (readonly [number, string, Part])[]> {
  const entries = await database.range({ gte: PARTS, lt: PARTS + KEY_END });
  return entries.map(({ key, value }) => {
    const [number = '', person = ''] = key.slice(PARTS.length).split('/');
    return [Number.parseInt(number, 16), person, readPart(value)] as const;
  });
}

/** A room that nothing is known of but these. */
export function emptyRoom(number: number, name: string, maker: string): HostRoom {
  const numbers = { keepMs: 0, pruned: 0, gone: 0, lastCursor: 0 };
  return { number, name, maker, topic: '', closed: false, ...numbers, removed: false, parts: new Map() };
}

/** Give the write of a room's record. */
export function putRoom(room: HostRoom): DatabaseOperation {
  const { name, topic, closed, keepMs, pruned, gone, lastCursor, removed } = room;
  const lost = { pruned: BigInt(pruned), gone: BigInt(gone) };
  const numbers = { keepMs: BigInt(keepMs), ...lost, lastCursor: BigInt(lastCursor) };
  const makerId = parseHex(room.maker);
  const stored = create(StoredRoomSchema, { name, topic, closed, ...numbers, makerId, removed });
  return { kind: 'put', key: roomKey(room), value: toBinary(StoredRoomSchema, stored) };
}

/** The key of a room's record. */
export function roomKey({ number }: HostRoom): string {
  return ROOMS + numberKey(number);
}

/** The key of somebody's part. */
export function partKey(room: HostRoom, person: string): string {
  return `${PARTS}${numberKey(room.number)}/${person}`;
}

/** Give the write of somebody's part. */
export function putPart(room: HostRoom, person: string, part: Part): DatabaseOperation {
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
