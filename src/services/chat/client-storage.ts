/** How a client's outbox lies in its database (spec/11-chat.md, 11.7). */
import { create, fromBinary, toBinary } from '@bufbuild/protobuf';
import { StoredClientOutboxSchema, StoredSentSchema } from '../../gen/clawchat/v1/chat_storage_pb.ts';
import type { ErrorCode } from '../../gen/clawchat/v1/error_pb.ts';
import { hex, parseHex } from '../../wire/bytes.ts';
import type { DatabaseOperation, ServiceDatabase } from '../ports.ts';
import { KEY_END, numberKey } from './bytes.ts';
import { encodeIntent, isCode, parseContent } from './content.ts';
import type { Outbox, OutboxItem } from './outbox.ts';
import type { KeptPost } from './posting.ts';

const STATE = 'chat/outbox';
const POSTS = 'chat/post/';
const SENT = 'chat/sent/';
const ORDER = 'chat/order/';
/** Answered messages that one sweep forgets. */
const FORGET_MAX = 1024;

/** Read the outbox; undefined when there is none yet. */
export async function readOutbox(
  database: ServiceDatabase,
  hash: (content: Uint8Array) => Uint8Array,
): Promise<Outbox | undefined> {
  const value = await database.get(STATE);
  if (value === undefined) return undefined;
  const { outboxId, acknowledged, acknowledgedHash } = fromBinary(StoredClientOutboxSchema, value);
  const posts = await database.range({ gte: POSTS, lt: POSTS + KEY_END });
  const items = posts.map(({ value: content }): OutboxItem => {
    const parsed = parseContent(content);
    const messageId = isCode(parsed) ? '' : hex(parsed.messageId);
    const intent = hash(isCode(parsed) ? content : encodeIntent(parsed));
    return { messageId, hash: hash(content), intent, content, durable: true };
  });
  return { id: outboxId, acknowledged: Number(acknowledged), acknowledgedHash, items };
}

/** Read how many messages were answered. */
export async function readSerial(database: ServiceDatabase): Promise<number> {
  const [newest] = await database.range({ gte: ORDER, lt: ORDER + KEY_END, reverse: true, limit: 1 });
  return newest === undefined ? 0 : Number.parseInt(newest.key.slice(ORDER.length), 16);
}

/** Read what was answered to a message. */
export async function readSent(database: ServiceDatabase, messageId: string): Promise<KeptPost | undefined> {
  const value = await database.get(SENT + messageId);
  if (value === undefined) return undefined;
  const { hash, code, cursor } = fromBinary(StoredSentSchema, value);
  return { hash, code: code as ErrorCode, cursor: Number(cursor) };
}

/** Write which outbox it is and how far the host answered. */
export function putState({ id, acknowledged, acknowledgedHash }: Outbox): DatabaseOperation {
  const state = { outboxId: id, acknowledged: BigInt(acknowledged), acknowledgedHash };
  const value = toBinary(StoredClientOutboxSchema, create(StoredClientOutboxSchema, state));
  return { kind: 'put', key: STATE, value };
}

/** Write a post that waits. */
export function putPost(number: number, content: Uint8Array): DatabaseOperation {
  return { kind: 'put', key: POSTS + numberKey(number), value: content };
}

/** Delete a post that waits no more. */
export function deletePost(number: number): DatabaseOperation {
  return { kind: 'delete', key: POSTS + numberKey(number) };
}

/** Write what was answered to a message, as the `serial`th. */
export function putSent(serial: number, messageId: string, sent: KeptPost): readonly DatabaseOperation[] {
  const { hash, code, cursor } = sent;
  const value = toBinary(StoredSentSchema, create(StoredSentSchema, { hash, code, cursor: BigInt(cursor) }));
  return [
    { kind: 'put', key: SENT + messageId, value },
    { kind: 'put', key: ORDER + numberKey(serial), value: parseHex(messageId) },
  ];
}

/** Give the writes that forget answered messages up to a serial, some at a time. */
export async function forgetSent(
  database: ServiceDatabase,
  through: number,
): Promise<readonly DatabaseOperation[]> {
  if (through < 1) return [];
  const lt = ORDER + numberKey(through + 1);
  const old = await database.range({ gte: ORDER, lt, limit: FORGET_MAX });
  return old.flatMap(({ key, value }): readonly DatabaseOperation[] => [
    { kind: 'delete', key },
    { kind: 'delete', key: SENT + hex(value) },
  ]);
}
