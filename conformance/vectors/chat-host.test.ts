/** The reference implementation against the histories of chat.json: pages, marks, edits and deletions, display, names. */
import { create, fromBinary, toBinary } from '@bufbuild/protobuf';
import { describe, expect, it } from 'vitest';
import { noble } from '../../src/crypto/noble.ts';
import { ChatMessageSchema, type Role } from '../../src/gen/clawchat/v1/chat_pb.ts';
import {
  StoredPartSchema,
  StoredPruningSchema,
  StoredRoomSchema,
} from '../../src/gen/clawchat/v1/chat_storage_pb.ts';
import { ControlItemSchema } from '../../src/gen/clawchat/v1/control_pb.ts';
import { ErrorCode } from '../../src/gen/clawchat/v1/error_pb.ts';
import { ChatModel } from '../../src/node/cli/chat-model.ts';
import { controlItem } from '../../src/node/client/listen-queue.ts';
import { codeName, isFault } from '../../src/protocol/fault.ts';
import { numberKey } from '../../src/services/chat/bytes.ts';
import { encodeContent } from '../../src/services/chat/content.ts';
import { ChatHost } from '../../src/services/chat/host.ts';
import { parseReply, type Reply } from '../../src/services/chat/reply.ts';
import { encodePush } from '../../src/services/chat/reply-writing.ts';
import { encodeRequest, type RequestBody } from '../../src/services/chat/request.ts';
import { ProbeDatabase } from '../../src/services/chat/testing/probe.ts';
import { quiet } from '../../src/services/chat/testing/settle.ts';
import { ProbeStream } from '../../src/services/testing/probe-stream.ts';
import {
  bytes,
  type Fields,
  fields,
  hex,
  type Json,
  list,
  loadFamily,
  number,
  text,
  type Vector,
} from './load.ts';

const { vectors, shared } = loadFamily('chat');
const of = (what: string): [string, Vector][] =>
  vectors.filter(({ input }) => input['what'] === what).map(vector => [vector.id, vector]);
const historyOf = (input: Fields): readonly Uint8Array[] =>
  many(fields(shared['histories'])[text(input['history'])]);
const many = (value: Json | undefined): readonly Uint8Array[] => (value as readonly Json[]).map(bytes);
const cursorOf = (message: Uint8Array): number => Number(fromBinary(ChatMessageSchema, message).cursor);
const messageKey = (cursor: number): string => `chat/message/${numberKey(cursor)}`;

/** A host that starts with what it stored: rooms, who is in them, and messages. */
class StoredHost {
  readonly database = new ProbeDatabase();

  rooms(rooms: readonly Fields[]): void {
    for (const room of rooms) {
      const name = text(room['name']);
      const key = numberKey(name === 'lobby' ? 0 : rooms.indexOf(room) + 1);
      const stored = create(StoredRoomSchema, {
        name,
        closed: room['closed'] === true,
        pruned: BigInt(Math.max(0, number(room['kept_from']) - 1)),
        gone: BigInt(number(room['gone'])),
      });
      this.database.values.set(`chat/room/${key}`, toBinary(StoredRoomSchema, stored));
      for (const { person = '', role = 0 } of list(room['roles'])) {
        const part = create(StoredPartSchema, { role: number(role) as Role });
        this.database.values.set(`chat/part/${key}/${text(person)}`, toBinary(StoredPartSchema, part));
      }
    }
  }

  messages(messages: readonly Uint8Array[]): void {
    for (const message of messages) this.database.values.set(messageKey(cursorOf(message)), message);
  }

  /** Nothing below this cursor is kept. */
  keptFrom(cursor: number): void {
    if (cursor === 0) return;
    const stored = create(StoredPruningSchema, { throughCursor: BigInt(cursor - 1) });
    this.database.values.set('chat/pruned', toBinary(StoredPruningSchema, stored));
  }

  open(): Promise<ChatHost> {
    const failed = (reason: unknown): void => {
      throw reason;
    };
    return ChatHost.open({
      database: this.database,
      suite: noble,
      alarm: () => {},
      enrolled: () => 'somebody',
      failed,
      crashed: failed,
    });
  }
}

/** One device's stream. */
class Device {
  readonly #stream = new ProbeStream();
  readonly #handler: ReturnType<ChatHost['serve']>;
  #asked = 0;

  constructor(host: ChatHost, deviceId: Uint8Array) {
    this.#handler = host.serve(this.#stream, { deviceId, name: 'somebody' });
  }

  async ask(body: RequestBody, wallMs = 1): Promise<readonly Reply['body'][]> {
    this.#asked += 1;
    this.#handler.message(encodeRequest(this.#asked, body), wallMs);
    return this.heard();
  }

  async heard(): Promise<readonly Reply['body'][]> {
    await quiet();
    return this.#stream.take().map(message => {
      const reply = parseReply(message);
      if (isFault(reply)) throw new Error(reply.detail);
      return reply.body;
    });
  }
}

type Page = Extract<Reply['body'], { readonly kind: 'history' }>;

const gapOf = ({ afterCursor, firstCursor }: NonNullable<Page['gap']>): Fields => ({
  after_cursor: afterCursor,
  first_cursor: firstCursor,
});

describe('pages', () => {
  it.each(of('page'))('%s', async (_id, { input, output }) => {
    const stored = new StoredHost();
    stored.rooms(list(input['rooms']));
    stored.messages(historyOf(input));
    stored.keptFrom(number(input['kept_from']));
    const device = new Device(await stored.open(), bytes(input['person']));
    const request = fields(input['request']);
    const [room, limit] = [text(request['room']), number(request['limit']) || 256];
    const before = request['before_cursor'];
    const pages: Page[] = [];
    let [after, below] = [Number(request['after_cursor']), Number(before)];
    for (let more = true; more; ) {
      expect(pages.length).toBeLessThan(50);
      const asked: RequestBody =
        before === undefined
          ? { kind: 'history', afterCursor: after, limit, room }
          : { kind: 'backwards', beforeCursor: below, limit, room, search: text(request['search']) };
      const [page] = await device.ask(asked);
      if (page?.kind !== 'history') throw new Error(`no page: ${page?.kind}`);
      expect(page.places.length).toBeLessThanOrEqual(limit);
      if (before !== undefined) expect(page.throughCursor).toBe(below - 1);
      [after, below, more] = [page.throughCursor, page.fromCursor, page.more];
      pages.push(page);
    }
    const [{ gap, roomGaps = [] } = {}] = pages;
    const rows = (before === undefined ? pages : pages.reverse()).flatMap(({ places }) => places);
    expect({
      cursors: rows.map(({ cursor }) => cursor),
      ...(gap && { gap: gapOf(gap) }),
      ...(roomGaps.length > 0 && { room_gaps: roomGaps.map(told => ({ room: told.room, ...gapOf(told) })) }),
    }).toEqual(output);
  });
});

describe('marks', () => {
  const [ME, OTHER] = [new Uint8Array(16).fill(1), new Uint8Array(16).fill(2)];

  it.each(of('marks'))('%s', async (_id, { input, output }) => {
    const stored = new StoredHost();
    const last = number(input['last_cursor']);
    const content = encodeContent({ messageId: ME, room: 'lobby', text: 'hi', sentAtMs: 1 });
    const message = { cursor: BigInt(last), deviceId: OTHER, name: 'somebody', storedAtMs: 1n, content };
    stored.messages([toBinary(ChatMessageSchema, create(ChatMessageSchema, message))]);
    const host = await stored.open();
    const [mine, phone, other] = [ME, ME, OTHER].map(id => new Device(host, id));
    if (mine === undefined || phone === undefined || other === undefined) throw new Error('nobody');
    for (const device of [mine, phone, other]) await device.ask({ kind: 'hello', events: true });
    for (const device of [mine, phone, other]) await device.heard();
    const told = (replies: readonly Reply['body'][]): Fields | undefined => {
      const states = replies.flatMap(reply => (reply.kind === 'mark' ? [reply.mark] : []));
      expect(states.length).toBeLessThanOrEqual(1);
      return states[0] && { delivered: states[0].delivered, read: states[0].read };
    };
    const steps: Fields[] = [];
    for (const { delivered, read, hidden } of list(input['marks'])) {
      const mark = { delivered: number(delivered), read: number(read), hidden: hidden === true };
      const own = told(await mine.ask({ kind: 'mark', room: 'lobby', ...mark }));
      const others = told(await other.heard());
      expect(told(await phone.heard())).toEqual(own);
      steps.push({ ...(own && { own }), ...(others && { others }) });
    }
    expect({ steps }).toEqual(output);
  });
});

describe('edits and deletions', () => {
  it.each(of('rewrite'))('%s', async (_id, { input, output, error }) => {
    const stored = new StoredHost();
    const before = new Map(historyOf(input).map(message => [cursorOf(message), message]));
    stored.rooms(list(input['rooms']));
    stored.messages([...before.values()]);
    const host = await stored.open();
    const { cursor, person, content } = fields(input['post']);
    const device = new Device(host, bytes(person));
    const outboxId = new Uint8Array(16);
    await device.ask({ kind: 'outboxOpen', outboxId });
    const post: RequestBody = { kind: 'post', outboxId, number: 1, content: bytes(content) };
    const [result] = await device.ask(post, number(cursor));
    if (result?.kind !== 'postResult') throw new Error('no result');
    const { code } = result.outcome;
    const changed = [...before].flatMap(([at, old]): Fields[] => {
      const now = stored.database.values.get(messageKey(at)) ?? old;
      if (hex(now) === hex(old)) return [];
      const { editedBy, deletedBy, messageId, room, ...rest } = fromBinary(ChatMessageSchema, now);
      const was = fromBinary(ChatMessageSchema, old);
      expect([rest.deviceId, rest.personId, rest.name]).toEqual([was.deviceId, was.personId, was.name]);
      const isOwn = deletedBy > 0n || rest.content.length > 0;
      return [
        {
          cursor: at,
          content: hex(rest.content),
          ...(editedBy > 0n && { edited_by: Number(editedBy) }),
          ...(deletedBy > 0n && { deleted_by: Number(deletedBy) }),
          ...(isOwn && { message_id: hex(messageId) }),
          ...(room !== '' && { room }),
        },
      ];
    });
    if (code !== ErrorCode.UNSPECIFIED) {
      expect([codeName(code), changed]).toEqual([error, []]);
      return;
    }
    expect({ changed }).toEqual(output);
  });
});

describe('what is shown', () => {
  it.each(of('display'))('%s', (_id, { input, output }) => {
    const model = new ChatModel();
    for (const message of many(input['messages'])) {
      const reply = parseReply(encodePush(message));
      if (isFault(reply) || reply.body.kind !== 'message') throw new Error('no message');
      const { item } = reply.body.place;
      if (item !== undefined) model.take(create(ControlItemSchema, controlItem(item)));
    }
    const shown = model.entries
      .filter(({ act }) => act === undefined)
      .map(({ cursor, text: says, edited, deleted }) =>
        deleted ? { cursor, deleted } : { cursor, text: says, ...(edited && { edited }) },
      );
    expect({ shown }).toEqual(output);
  });
});

describe('names of rooms', () => {
  it.each(of('room-name'))('%s', async (_id, { input, error }) => {
    const stored = new StoredHost();
    const rooms = (input['rooms'] as readonly Json[]).map(name => ({
      name,
      closed: true,
      kept_from: 0,
      gone: 0,
    }));
    stored.rooms(rooms);
    const device = new Device(await stored.open(), new Uint8Array(16).fill(1));
    const outboxId = new Uint8Array(16);
    await device.ask({ kind: 'outboxOpen', outboxId });
    const act = { kind: 'create', topic: '', closed: false } as const;
    const said = { messageId: outboxId, room: text(input['name']), text: '', sentAtMs: 1, act };
    const [result] = await device.ask({ kind: 'post', outboxId, number: 1, content: encodeContent(said) });
    if (result?.kind !== 'postResult') throw new Error('no result');
    const { code } = result.outcome;
    expect(code === ErrorCode.UNSPECIFIED ? undefined : codeName(code)).toBe(error);
  });
});
