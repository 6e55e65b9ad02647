/** Compares what people wished for and read with what a host has stored. For tests only. */
import { fromBinary } from '@bufbuild/protobuf';
import { ChatMessageSchema } from '../../../gen/clawchat/v1/chat_pb.ts';
import { StoredPersonSchema, StoredRoomSchema } from '../../../gen/clawchat/v1/chat_storage_pb.ts';
import { codeName } from '../../../protocol/fault.ts';
import { hex } from '../../../wire/bytes.ts';
import { isCode, parseContent } from '../content.ts';
import type { Disk } from './disk.ts';
import type { Ledger } from './ledger.ts';
import type { Scheduler } from './scheduler.ts';
import type { Device } from './world.ts';

/** Whether everybody sees a message for as long as it is there; without a ledger everybody does. */
export function isOpen(ledger: Ledger | undefined, cursor: number): boolean {
  const room = ledger?.messages.get(cursor)?.room;
  return room === undefined || !(room.closed || room.removed);
}

/** Compare what was wished and read with what the ledger has seen, where messages are deleted and rooms are not everybody's. */
export function auditRooms(
  ledger: Ledger,
  devices: readonly Device[],
  disk: Disk,
  scheduler: Scheduler,
): readonly string[] {
  const { messages, refusals } = ledger;
  const problems: string[] = [];
  const stored = [...messages.values()];
  const empty = new Set(messagesOf(disk).flatMap(({ cursor, isEmpty }) => (isEmpty ? [cursor] : [])));
  for (const { room, act, isOriginal } of stored)
    scheduler.count(
      `done: ${act ?? (isOriginal ? 'text' : 'edit')}${room.closed ? ' in a closed room' : ''}`,
    );
  for (const code of refusals.values()) scheduler.count(`refused: ${codeName(code)}`);
  for (const { name, deviceId, writer, reader, gone } of devices) {
    const person = hex(deviceId);
    for (const { id, text, answer, durable, uncertain } of writer.wishes) {
      const times = stored.filter(message => message.id === id).length;
      if (times > 1) problems.push(`${text} is stored ${times} times`);
      if (answer === 'stored' && times === 0) problems.push(`${text} is lost`);
      if (answer === 'refused' && times > 0) problems.push(`${text} was refused and is stored`);
      if (durable && !uncertain && times === 0 && !refusals.has(id))
        problems.push(`${text} was never decided`);
    }
    const seen = new Set(reader.cursors);
    if (reader.cursors.some((cursor, i) => cursor <= (reader.cursors[i - 1] ?? 0))) {
      problems.push(`${name} read something twice`);
    }
    for (const cursor of reader.removals) problems.push(`${name} read that a room was deleted, at ${cursor}`);
    for (const { cursor, room, gone: isGone } of stored) {
      const isMissing = isOpen(ledger, cursor) && !isGone && !empty.has(cursor) && !gone;
      if (isMissing && !seen.has(cursor)) problems.push(`${name} did not read ${cursor} of ${room.name}`);
      if (room.closed && seen.has(cursor) && !room.insiders.has(person)) {
        problems.push(`${name} read ${cursor} of ${room.name}, which is closed`);
      }
    }
  }
  return problems;
}

/** The messages on a host's disk, in the order of cursors. */
export function messagesOf(
  disk: Disk,
): readonly { readonly id: string; readonly cursor: number; readonly isEmpty: boolean }[] {
  return [...disk.keys()]
    .filter(key => key.startsWith('chat/message/'))
    .sort()
    .map(key => {
      const message = fromBinary(ChatMessageSchema, disk.get(key) ?? new Uint8Array(0));
      const content = parseContent(message.content);
      const own = isCode(content) ? key : hex(content.messageId);
      const id = message.messageId.length > 0 ? hex(message.messageId) : own;
      const isEmpty = message.content.length === 0 && message.deletedBy === 0n;
      return { id, cursor: Number(message.cursor), isEmpty };
    });
}

/** Do once more what the history says was done, and compare with how everything stands on the disk. */
export function foldActs(disk: Disk): readonly string[] {
  const values = (prefix: string): readonly Uint8Array[] =>
    [...disk.keys()]
      .filter(key => key.startsWith(prefix))
      .sort()
      .flatMap(key => disk.get(key) ?? []);
  const messages = values('chat/message/').map(value => fromBinary(ChatMessageSchema, value));
  const topics = new Map<string, string>();
  const names = new Map<string, string>();
  const texts = new Map<bigint, string>();
  const gone = new Set<bigint>();
  for (const { content, deviceId } of messages) {
    const parsed = parseContent(content);
    if (isCode(parsed)) continue;
    const { act, edits, room, text } = parsed;
    if (act?.kind === 'topic') topics.set(room, act.topic);
    if (act?.kind === 'rename') names.set(hex(deviceId), act.name);
    if (act?.kind === 'delete') gone.add(BigInt(act.cursor));
    if (edits !== undefined) texts.set(BigInt(edits), text);
  }
  const problems: string[] = [];
  for (const { name, topic } of values('chat/room/').map(value => fromBinary(StoredRoomSchema, value))) {
    if (topic !== (topics.get(name) ?? ''))
      problems.push(`${name} is about ${topic}, not ${topics.get(name)}`);
    topics.delete(name);
  }
  for (const [room, topic] of topics) problems.push(`${room} is not about ${topic}`);
  for (const { personId, name } of values('chat/name/').map(value => fromBinary(StoredPersonSchema, value))) {
    if (names.get(hex(personId)) !== name) problems.push(`somebody is called ${name}`);
  }
  for (const { cursor, content, deletedBy } of messages) {
    const parsed = parseContent(content);
    if (gone.has(cursor) !== deletedBy > 0n) problems.push(`${cursor} is taken back or not`);
    const wanted = texts.get(cursor);
    if (!gone.has(cursor) && wanted !== undefined && (isCode(parsed) || parsed.text !== wanted)) {
      problems.push(`${cursor} does not say ${wanted}`);
    }
  }
  return problems;
}

/** Compare what was wished with what is on the host's disk, by somebody who does not de-duplicate. */
export function auditPosts(devices: readonly Device[], disk: Disk): readonly string[] {
  const stored = messagesOf(disk);
  const places = new Map<string, number[]>();
  for (const { id, cursor } of stored) places.set(id, [...(places.get(id) ?? []), cursor]);
  const problems: string[] = [];
  for (const { name, writer, reader } of devices) {
    let last = 0;
    for (const { id, text, room, answer, durable, uncertain } of writer.wishes) {
      const cursors = places.get(id) ?? [];
      places.delete(id);
      const [cursor = last] = cursors;
      if (cursors.length > 1) problems.push(`${text} is stored ${cursors.length} times`);
      const promised = room === 'lobby' && (answer === 'stored' || (durable && !uncertain));
      if (promised && cursors.length === 0) problems.push(`${text} is lost`);
      if (room !== 'lobby' && cursors.length > 0) problems.push(`${text} was refused and is stored`);
      // What a restored directory forgot may come from a copy of it, behind what was written after.
      if (uncertain) continue;
      if (cursor < last) problems.push(`${text} is out of order`);
      last = cursor;
    }
    // An edit that another one replaced has its place, and nobody can read it.
    const unread = new Set(stored.filter(({ isEmpty }) => isEmpty).map(({ cursor }) => cursor));
    const seen = reader.cursors.filter(cursor => !unread.has(cursor));
    const left = stored.filter(({ cursor }) => !unread.has(cursor));
    const wrong = seen.findIndex((cursor, i) => cursor !== left[i]?.cursor);
    if (wrong >= 0) problems.push(`${name} read something else at ${wrong} of ${stored.length}`);
  }
  for (const id of places.keys()) problems.push(`${id} was never wished for`);
  return problems;
}
