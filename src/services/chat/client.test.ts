import { fromBinary } from '@bufbuild/protobuf';
import { beforeEach, describe, expect, test } from 'vitest';
import { labelledHash } from '../../crypto/labels.ts';
import { noble } from '../../crypto/noble.ts';
import { type ChatRequest, ChatRequestSchema } from '../../gen/clawchat/v1/chat_pb.ts';
import { ErrorCode } from '../../gen/clawchat/v1/error_pb.ts';
import { CONTROL_IDS_MAX, OUTBOX_UNACKNOWLEDGED_MAX } from '../../gen/constants.ts';
import { codeName } from '../../protocol/fault.ts';
import { hex } from '../../wire/bytes.ts';
import { fault, isFault } from '../../wire/fault.ts';
import type { StreamHandler } from '../ports.ts';
import { ProbeStream } from '../testing/probe-stream.ts';
import { numberKey } from './bytes.ts';
import { ChatClient } from './client.ts';
import type { Enqueued, SendResult } from './client-outbox.ts';
import type { OutboxNotice } from './client-posting.ts';
import { putSent } from './client-storage.ts';
import { nextRequestId } from './client-stream.ts';
import { type Content, encodeContent } from './content.ts';
import type { ListenSink } from './feed.ts';
import { encodeMessage, encodePage, encodePush, encodeReply } from './reply-writing.ts';
import { ProbeDatabase } from './testing/probe.ts';

const settle = (): Promise<void> => new Promise(resolve => setImmediate(resolve));
const NONE = new Uint8Array(0);

function content(n: number, text = `text ${n}`, room = 'lobby'): Content {
  const messageId = new Uint8Array(16);
  new DataView(messageId.buffer).setUint32(0, n);
  return { messageId, room, text, sentAtMs: 1 };
}

function stored(cursor: number, of: Content = content(cursor)): Uint8Array {
  const deviceId = new Uint8Array(16);
  return encodeMessage({ cursor, deviceId, name: 'bob', storedAtMs: 1, content: encodeContent(of) });
}

let database: ProbeDatabase;
let notices: OutboxNotice[];

function openClient(): Promise<ChatClient> {
  const failed = (reason: unknown): void => {
    throw reason;
  };
  return ChatClient.open({ database, suite: noble, failed, notice: notice => notices.push(notice) });
}

async function enqueued(client: ChatClient, of: Content): Promise<Enqueued> {
  const result = await client.enqueue(of);
  if (isFault(result)) throw new Error(result.detail);
  return result;
}

function said(result: SendResult): string {
  return result.kind === 'stored' ? `stored ${result.cursor}` : codeName(result.code);
}

/** A host played by hand. */
class Host {
  readonly stream = new ProbeStream();
  readonly #handler: StreamHandler;

  constructor(client: ChatClient) {
    this.#handler = client.serve(this.stream);
  }

  /** What the client sent since the last time. */
  async asked(): Promise<readonly ChatRequest[]> {
    await settle();
    return this.stream.take().map(message => fromBinary(ChatRequestSchema, message));
  }

  async kinds(): Promise<readonly string[]> {
    return (await this.asked()).map(({ body }) =>
      body.case === 'post' ? `post ${body.value.number}` : String(body.case),
    );
  }

  say(message: Uint8Array): void {
    this.#handler.message(message, 0);
  }

  reply(...[requestId, body]: Parameters<typeof encodeReply>): void {
    this.say(encodeReply(requestId, body));
  }

  state(requestId: number, outboxId: Uint8Array, highest = 0, hash: Uint8Array = NONE): void {
    this.reply(requestId, { case: 'outboxState', value: { outboxId, highest: BigInt(highest), hash } });
  }

  result(requestId: number, number: number, cursor: number, code: ErrorCode = ErrorCode.UNSPECIFIED): void {
    const value = { number: BigInt(number), cursor: BigInt(cursor), code };
    this.reply(requestId, { case: 'postResult', value });
  }

  writable(): void {
    this.#handler.writable();
  }

  gone(): void {
    this.#handler.closed(ErrorCode.SESSION_LOST);
  }

  /** Answer OutboxOpen as a host that knows nothing of the device. */
  async agree(): Promise<Uint8Array> {
    const [open] = await this.asked();
    if (open?.body.case !== 'outboxOpen') throw new Error(`not opened: ${open?.body.case}`);
    const { outboxId } = open.body.value;
    this.state(open.requestId, outboxId);
    return outboxId;
  }
}

beforeEach(() => {
  database = new ProbeDatabase();
  notices = [];
});

describe('the outbox', () => {
  // CH-020~1
  test('holds a message on the disk before it is sent', async () => {
    const client = await openClient();
    const host = new Host(client);
    await host.agree();
    database.hold();
    const pending = client.enqueue(content(1));
    expect(await host.kinds()).toEqual([]);
    database.release();
    await pending;
    expect(await host.kinds()).toEqual(['post 1']);
  });

  // CH-024~1
  test('reports a result only when it is on the disk, and never sends that post again', async () => {
    const client = await openClient();
    let host = new Host(client);
    const outbox = await host.agree();
    const { result } = await enqueued(client, content(1));
    const [post] = await host.asked();
    database.hold();
    let told: string | undefined;
    void result.then(value => {
      told = said(value);
    });
    host.result(post?.requestId ?? 0, 1, 77);
    await settle();
    expect(told).toBeUndefined();
    database.release();
    await settle();
    expect(told).toBe('stored 77');
    const again = await openClient();
    expect(again.unacknowledged).toBe(0);
    host = new Host(again);
    const [open] = await host.asked();
    const hash = database.values.get('chat/outbox');
    expect(hash).toBeDefined();
    await enqueued(again, content(2));
    host.state(open?.requestId ?? 0, outbox, 1, hashOf(content(1)));
    expect(await host.kinds()).toEqual(['post 2']);
  });

  // CH-026~1
  test('posts a message of one id once, however often it is told to', async () => {
    let client = await openClient();
    const [first, second] = await Promise.all([enqueued(client, content(1)), enqueued(client, content(1))]);
    expect(client.unacknowledged).toBe(1);
    expect(await client.enqueue(content(1, 'something else'))).toMatchObject({ code: ErrorCode.USAGE });
    // The same message at another time is the same message.
    expect(await enqueued(client, { ...content(1), sentAtMs: 99 })).toBe(first);
    client = await openClient();
    const third = await enqueued(client, content(1));
    expect(client.unacknowledged).toBe(1);
    const host = new Host(client);
    await host.agree();
    const [post, ...none] = await host.asked();
    expect(none).toEqual([]);
    host.result(post?.requestId ?? 0, 1, 0, ErrorCode.ROOM_UNKNOWN);
    expect(said(await third.result)).toBe('ROOM_UNKNOWN');
    const fourth = await enqueued(client, content(1));
    const fifth = await enqueued(await openClient(), { ...content(1), sentAtMs: 98 });
    expect(said(await fourth.result)).toBe('ROOM_UNKNOWN');
    expect(said(await fifth.result)).toBe('ROOM_UNKNOWN');
    expect(await client.enqueue(content(1, 'something else'))).toMatchObject({ code: ErrorCode.USAGE });
    expect(await host.kinds()).toEqual([]);
    expect(first.result).toBe(second.result);
  });

  // CH-027~1
  test('takes so many messages and no more, in the order of the calls', async () => {
    const client = await openClient();
    const all = Array.from({ length: OUTBOX_UNACKNOWLEDGED_MAX }, (_, n) => client.enqueue(content(n)));
    await Promise.all(all);
    expect(await client.enqueue(content(5_000))).toMatchObject({ code: ErrorCode.OUTBOX_FULL });
    const host = new Host(client);
    await host.agree();
    const posts = await host.asked();
    expect(posts).toHaveLength(OUTBOX_UNACKNOWLEDGED_MAX);
    const texts = posts.map(({ body }) => (body.case === 'post' ? hex(body.value.content) : ''));
    expect(texts).toEqual(all.map((_, n) => hex(encodeContent(content(n)))));
    host.result(posts[0]?.requestId ?? 0, 1, 1);
    await settle();
    expect(isFault(await client.enqueue(content(5_000)))).toBe(false);
  });

  test('refuses what no host would store', async () => {
    const client = await openClient();
    expect(await client.enqueue(content(1, ''))).toMatchObject({ code: ErrorCode.MESSAGE_MALFORMED });
    expect(await client.enqueue(content(1, 'x'.repeat(32_769)))).toMatchObject({
      code: ErrorCode.MESSAGE_TOO_LARGE,
    });
  });

  test('sends as much as the stream takes, and goes on when there is room', async () => {
    const client = await openClient();
    for (let n = 1; n <= 5; n += 1) await client.enqueue(content(n));
    const host = new Host(client);
    host.stream.room = 2;
    await host.agree();
    expect(await host.kinds()).toEqual(['post 1', 'post 2']);
    host.stream.room = 9;
    host.writable();
    expect(await host.kinds()).toEqual(['post 3', 'post 4', 'post 5']);
  });

  // CT-043~1
  test('forgets the oldest answered ids, not the newest and none without an answer', async () => {
    const extra = 300;
    await enqueued(await openClient(), content(1));
    for (let serial = 1; serial <= CONTROL_IDS_MAX + extra; serial += 1) {
      const id = numberKey(serial).padStart(32, '0');
      await database.commit(putSent(serial, id, { hash: NONE, code: ErrorCode.UNSPECIFIED, cursor: serial }));
    }
    expect((await openClient()).unacknowledged).toBe(1);
    const kept = [...database.values.keys()].filter(key => key.startsWith('chat/sent/'));
    expect(kept).toHaveLength(CONTROL_IDS_MAX);
    expect(kept.some(key => key.endsWith(numberKey(extra)))).toBe(false);
    expect(kept.some(key => key.endsWith(numberKey(extra + 1)))).toBe(true);
  });

  test('tells everybody who waits when the client ends', async () => {
    const client = await openClient();
    const { result } = await enqueued(client, content(1));
    client.stop(fault('self', ErrorCode.SHUTDOWN, 'over'));
    expect(said(await result)).toBe('SHUTDOWN');
    expect(await client.enqueue(content(2))).toMatchObject({ code: ErrorCode.SHUTDOWN });
    expect((await openClient()).unacknowledged).toBe(1);
  });
});

function hashOf(of: Content): Uint8Array {
  return labelledHash(noble, 'content', encodeContent(of));
}

describe('a contradiction', () => {
  // CH-019~1, CH-023~1, CH-025~1, CH-029~1
  test('is compared, and only the rest is posted in a new outbox that is on the disk first', async () => {
    const client = await openClient();
    const sends = [];
    for (let n = 1; n <= 3; n += 1) sends.push(await enqueued(client, content(n)));
    const host = new Host(client);
    const [open] = await host.asked();
    const held = open?.body.case === 'outboxOpen' ? open.body.value.outboxId : NONE;
    host.state(open?.requestId ?? 0, held, 40, hashOf(content(99)));
    const [compare, ...none] = await host.asked();
    expect(none).toEqual([]);
    const entries = compare?.body.case === 'outboxCompare' ? compare.body.value.entries : [];
    expect(entries.map(({ number, hash }) => [Number(number), hex(hash)])).toEqual([
      [1, hex(hashOf(content(1)))],
      [2, hex(hashOf(content(2)))],
      [3, hex(hashOf(content(3)))],
    ]);
    database.hold();
    const value = { hashes: [hashOf(content(2))], cursors: [55n] };
    host.reply(compare?.requestId ?? 0, { case: 'outboxStored', value });
    expect(await host.kinds()).toEqual([]);
    database.release();
    const [replace] = await host.asked();
    const next = replace?.body.case === 'outboxReplace' ? replace.body.value.outboxId : NONE;
    expect(next).toHaveLength(16);
    expect(hex(next)).not.toBe(hex(held));
    expect(said((await sends[1]?.result) as SendResult)).toBe('stored 55');
    expect(notices).toEqual([{ kind: 'outbox-replaced', stored: 1, resent: 2, hostForgot: false }]);
    host.state(replace?.requestId ?? 0, next);
    const posts = (await host.asked()).map(({ body }) => (body.case === 'post' ? body.value : undefined));
    expect(posts.map(post => [post?.number, hex(post?.content ?? NONE)])).toEqual([
      [1n, hex(encodeContent(content(1)))],
      [2n, hex(encodeContent(content(3)))],
    ]);
    expect((await openClient()).unacknowledged).toBe(2);
  });

  test('that a lost stream interrupts sends nothing before the new outbox is on the disk', async () => {
    const client = await openClient();
    await enqueued(client, content(1));
    let host = new Host(client);
    const [open] = await host.asked();
    host.state(open?.requestId ?? 0, new Uint8Array(16).fill(9), 0);
    const [compare] = await host.asked();
    database.hold();
    host.reply(compare?.requestId ?? 0, { case: 'outboxStored', value: {} });
    host.gone();
    host = new Host(client);
    await host.agree();
    expect(await host.kinds()).toEqual([]);
    database.release();
    expect(await host.kinds()).toEqual(['post 1']);
  });

  test('says that the host forgot when it had answered more', async () => {
    const client = await openClient();
    let host = new Host(client);
    const outbox = await host.agree();
    await enqueued(client, content(1));
    const [post] = await host.asked();
    host.result(post?.requestId ?? 0, 1, 1);
    await settle();
    host.gone();
    host = new Host(client);
    const [open] = await host.asked();
    host.state(open?.requestId ?? 0, outbox, 0);
    const [compare] = await host.asked();
    host.reply(compare?.requestId ?? 0, { case: 'outboxStored', value: {} });
    await settle();
    expect(notices).toEqual([{ kind: 'outbox-replaced', stored: 0, resent: 0, hostForgot: true }]);
  });
});

describe('a stream', () => {
  // CH-007~2, CH-028~1
  test.each([
    ['a result that nobody waits for', ErrorCode.MESSAGE_MALFORMED, (host: Host) => host.result(99, 1, 5)],
    ['a result out of order', ErrorCode.MESSAGE_MALFORMED, (host: Host) => host.result(3, 2, 5)],
    ['a result of another number', ErrorCode.MESSAGE_MALFORMED, (host: Host) => host.result(2, 2, 5)],
    ['a result without a cursor', ErrorCode.MESSAGE_MALFORMED, (host: Host) => host.result(2, 1, 0)],
    [
      'bytes that do not parse',
      ErrorCode.MESSAGE_MALFORMED,
      (host: Host) => host.say(Uint8Array.of(0x12, 9)),
    ],
    ['a message without a place', ErrorCode.MESSAGE_MALFORMED, (host: Host) => host.say(encodePush(NONE))],
    [
      'a message that is too long',
      ErrorCode.MESSAGE_TOO_LARGE,
      (host: Host) => host.say(new Uint8Array(1_048_577)),
    ],
    [
      'a state that nobody asked for',
      ErrorCode.MESSAGE_MALFORMED,
      (host: Host) => host.state(1, new Uint8Array(16)),
    ],
    [
      'a refused post',
      ErrorCode.OUTBOX_MISMATCH,
      (host: Host) => host.reply(2, { case: 'refusal', value: { code: ErrorCode.OUTBOX_MISMATCH } }),
    ],
  ] as const)('ends at %s, and the next one begins with the outbox', async (_name, code, misbehave) => {
    const client = await openClient();
    await client.enqueue(content(1));
    await client.enqueue(content(2));
    const host = new Host(client);
    await host.agree();
    expect((await host.asked()).map(({ requestId }) => requestId)).toEqual([2, 3]);
    misbehave(host);
    expect(host.stream.closedWith).toBe(code);
    expect(client.unacknowledged).toBe(2);
    const next = new Host(client);
    expect(await next.kinds()).toEqual(['outboxOpen']);
  });

  // CH-006~2
  test('has an id for every question that no other one has', async () => {
    const client = await openClient();
    const host = new Host(client);
    await host.agree();
    for (let n = 1; n <= 3; n += 1) {
      await enqueued(client, content(n));
      void client.rooms().answer;
      void client.history({ afterCursor: 0, limit: 1, room: '' }).answer;
    }
    const asked = await host.asked();
    const ids = asked.map(({ requestId }) => requestId);
    // Of the questions so many are asked at once.
    expect(asked.length).toBeGreaterThan(5);
    expect(new Set(ids).size).toBe(asked.length);
    // The first one asked for the outbox.
    expect(Math.min(...ids)).toBe(2);
    expect([nextRequestId(0), nextRequestId(2 ** 32 - 2), nextRequestId(2 ** 32 - 1)]).toEqual([
      1,
      2 ** 32 - 1,
      1,
    ]);
  });

  // ER-002~1
  test('takes a code of a later version for INTERNAL', async () => {
    const client = await openClient();
    const host = new Host(client);
    await host.agree();
    const { result } = await enqueued(client, content(1));
    const [post] = await host.asked();
    host.result(post?.requestId ?? 0, 1, 0, 9_999 as ErrorCode);
    expect(await result).toMatchObject({ code: ErrorCode.INTERNAL });
    const asked = client.rooms();
    const [rooms] = await host.asked();
    host.reply(rooms?.requestId ?? 0, { case: 'refusal', value: { code: 9_999 as ErrorCode } });
    expect(await asked.answer).toMatchObject({ code: ErrorCode.INTERNAL });
  });

  test('may hold replies of a later version', async () => {
    const client = await openClient();
    const host = new Host(client);
    await host.agree();
    host.say(Uint8Array.of(0xfa, 0x07, 0));
    expect(host.stream.closedWith).toBeUndefined();
  });

  test('takes the place of the one before', async () => {
    const client = await openClient();
    const older = new Host(client);
    await older.agree();
    const newer = new Host(client);
    expect(older.stream.closedWith).toBe(ErrorCode.CANCELLED);
    await newer.agree();
    await client.enqueue(content(1));
    expect(await older.kinds()).toEqual([]);
    expect(await newer.kinds()).toEqual(['post 1']);
  });
});

/** One who writes down what was heard. */
class Ear implements ListenSink {
  heard: string[] = [];
  /** How many deliveries fit. */
  room: number = Number.POSITIVE_INFINITY;

  items(items: Parameters<ListenSink['items']>[0]): boolean {
    for (const { cursor } of items) this.heard.push(String(cursor));
    this.room -= 1;
    return this.room > 0;
  }

  gap(gap: Parameters<ListenSink['gap']>[0]): void {
    const of = 'room' in gap ? ` of ${gap.room}` : '';
    this.heard.push(`gap ${gap.afterCursor} ${gap.firstCursor}${of}`);
  }

  caughtUp(cursor: number): void {
    this.heard.push(`caught up ${cursor}`);
  }

  ended(why: Parameters<ListenSink['ended']>[0]): void {
    this.heard.push(codeName(why.code));
  }

  take(): readonly string[] {
    const { heard } = this;
    this.heard = [];
    return heard;
  }
}

describe('listeners', () => {
  const caughtUp = (cursor: number): Uint8Array =>
    encodeReply(0, { case: 'caughtUp', value: { cursor: BigInt(cursor) } });

  /** Answer each request for history from these cursors. */
  async function answer(host: Host, cursors: readonly number[], through: number): Promise<readonly string[]> {
    const asked = await host.asked();
    for (const { requestId, body } of asked) {
      if (body.case !== 'history') continue;
      const after = Number(body.value.afterCursor);
      const page = cursors.filter(cursor => cursor > after).map(cursor => stored(cursor));
      const rest = { more: false, throughCursor: Math.max(after, through), gap: undefined };
      host.say(encodePage(requestId, page, rest));
    }
    return asked.map(({ body }) => String(body.case));
  }

  // CH-036~1
  test('each hear each message once and in order, from their own cursor on', async () => {
    const client = await openClient();
    const host = new Host(client);
    await host.agree();
    const [early, late, now] = [new Ear(), new Ear(), new Ear()];
    client.listen({ afterCursor: 0, room: '' }, early);
    client.listen({ afterCursor: 20, room: '' }, late);
    client.listen({ afterCursor: undefined, room: '' }, now);
    const [subscribe, ...pulls] = await host.asked();
    expect(subscribe?.body).toMatchObject({ case: 'subscribe', value: { fromNow: true } });
    host.say(caughtUp(30));
    expect(now.take()).toEqual(['caught up 30']);
    // What is committed while a page is under way is pushed first.
    host.say(encodePush(stored(40)));
    expect(now.take()).toEqual(['40']);
    for (const { requestId, body } of pulls) {
      const after = body.case === 'history' ? Number(body.value.afterCursor) : 0;
      const page = [10, 20, 30].filter(cursor => cursor > after).map(cursor => stored(cursor));
      host.say(encodePage(requestId, page, { more: false, throughCursor: 30, gap: undefined }));
    }
    expect([early.take(), late.take()]).toEqual([['10', '20', '30'], ['30']]);
    expect(await answer(host, [10, 20, 30, 40], 40)).toEqual(['history', 'history']);
    for (const ear of [early, late]) expect(ear.take()).toEqual(['40', 'caught up 40']);
    host.say(encodePush(stored(50)));
    host.say(encodePush(stored(50)));
    for (const ear of [early, late, now]) expect(ear.take()).toEqual(['50']);
  });

  test('that are full hold nobody up, and come back from their cursor', async () => {
    const client = await openClient();
    const host = new Host(client);
    await host.agree();
    const [slow, quick] = [new Ear(), new Ear()];
    const listening = client.listen({ afterCursor: undefined, room: '' }, slow);
    client.listen({ afterCursor: undefined, room: '' }, quick);
    await host.asked();
    host.say(caughtUp(1));
    slow.room = 1;
    for (const cursor of [2, 3, 4]) host.say(encodePush(stored(cursor)));
    expect(slow.take()).toEqual(['caught up 1', '2']);
    expect(quick.take()).toEqual(['caught up 1', '2', '3', '4']);
    expect(await host.kinds()).toEqual([]);
    slow.room = Number.POSITIVE_INFINITY;
    listening.resume();
    expect(await answer(host, [2, 3, 4], 4)).toEqual(['history']);
    expect(slow.take()).toEqual(['3', '4', 'caught up 4']);
    listening.cancel();
    host.say(encodePush(stored(5)));
    expect([slow.take(), quick.take()]).toEqual([[], ['5']]);
  });

  test('go on over a lost stream from where the subscription was', async () => {
    const client = await openClient();
    let host = new Host(client);
    await host.agree();
    const [ear, behind] = [new Ear(), new Ear()];
    client.listen({ afterCursor: undefined, room: '' }, ear);
    await host.asked();
    host.say(caughtUp(7));
    client.listen({ afterCursor: 3, room: '' }, behind);
    expect(await host.kinds()).toEqual(['history']);
    host.gone();
    host = new Host(client);
    const [open, subscribe, pull] = await host.asked();
    expect(open?.body.case).toBe('outboxOpen');
    expect(subscribe?.body).toMatchObject({ case: 'subscribe', value: { afterCursor: 7n, fromNow: false } });
    expect(pull?.body).toMatchObject({ case: 'history', value: { afterCursor: 3n } });
    host.say(encodePush(stored(8)));
    expect(ear.take()).toEqual(['caught up 7', '8']);
    host.reply(0, { case: 'gap', value: { afterCursor: 8n, firstCursor: 12n } });
    host.say(encodePush(stored(12)));
    expect(ear.take()).toEqual(['gap 8 12', '12']);
    const gap = { afterCursor: 3, firstCursor: 12 };
    host.say(encodePage(pull?.requestId ?? 0, [stored(12)], { more: false, throughCursor: 12, gap }));
    host.say(caughtUp(12));
    expect(behind.take()).toEqual(['gap 3 12', '12', 'caught up 12']);
  });

  // CH-047~3
  test('of all rooms hear once which of them has lost something that they lack', async () => {
    const client = await openClient();
    const host = new Host(client);
    await host.agree();
    const ear = new Ear();
    client.listen({ afterCursor: 3, room: '' }, ear);
    const page = async (
      through: number,
      more: boolean,
      ...gaps: readonly [string, number][]
    ): Promise<void> => {
      const asked = (await host.asked()).find(({ body }) => body.case === 'history');
      const after = asked?.body.case === 'history' ? Number(asked.body.value.afterCursor) : -1;
      const roomGaps = gaps.map(([room, firstCursor]) => ({ afterCursor: after, firstCursor, room }));
      host.say(
        encodePage(asked?.requestId ?? 0, [stored(through)], {
          more,
          throughCursor: through,
          gap: undefined,
          roomGaps,
        }),
      );
    };
    await page(8, true, ['attic', 20], ['den', 9]);
    expect(ear.take()).toEqual(['gap 3 20 of attic', 'gap 3 9 of den', '8']);
    await page(12, true, ['attic', 20]);
    expect(ear.take()).toEqual(['12']);
    // Something later of it has gone meanwhile.
    await page(30, false, ['den', 26]);
    expect(ear.take()).toEqual(['gap 12 26 of den', '30']);
    host.say(caughtUp(30));
    expect(ear.take()).toEqual(['caught up 30']);
  });

  // CH-047~3
  test('hear after a loss what went of rooms while they were away', async () => {
    const client = await openClient();
    let host = new Host(client);
    await host.agree();
    const [all, den, attic, gone] = [new Ear(), new Ear(), new Ear(), new Ear()];
    for (const [ear, room] of [
      [all, ''],
      [den, 'den'],
      [attic, 'attic'],
    ] as const) {
      client.listen({ afterCursor: undefined, room }, ear);
    }
    const leaving = client.listen({ afterCursor: undefined, room: '' }, gone);
    await host.asked();
    host.say(caughtUp(7));
    for (const ear of [all, den, attic, gone]) ear.take();
    for (const times of ['once', 'and no more']) {
      host.gone();
      host = new Host(client);
      const asked = (await host.asked()).filter(({ body }) => body.case === 'history');
      expect(asked.map(({ body }) => body.value)).toMatchObject([{ afterCursor: 7n, limit: 1, room: '' }]);
      leaving.cancel();
      const roomGaps = [{ afterCursor: 7, firstCursor: 20, room: 'den' }];
      const rest = { more: false, throughCursor: 7, gap: undefined, roomGaps };
      host.say(encodePage(asked[0]?.requestId ?? 0, [], rest));
      const heard = times === 'once' ? ['gap 7 20 of den'] : [];
      expect([all, den, attic, gone].map(ear => ear.take())).toEqual([heard, heard, [], []]);
    }
    // What a lost stream did not answer is not asked twice.
    host.gone();
    host = new Host(client);
    await host.asked();
    host.gone();
    host = new Host(client);
    expect((await host.kinds()).filter(kind => kind === 'history')).toEqual(['history']);
  });

  // CH-037~1
  test('pass over what nobody can read, and over other rooms', async () => {
    const client = await openClient();
    const host = new Host(client);
    await host.agree();
    const [all, den] = [new Ear(), new Ear()];
    client.listen({ afterCursor: undefined, room: '' }, all);
    client.listen({ afterCursor: undefined, room: 'den' }, den);
    await host.asked();
    host.say(caughtUp(0));
    const deviceId = new Uint8Array(16);
    const unreadable = { cursor: 1, deviceId, name: 'eve', storedAtMs: 1, content: Uint8Array.of(9) };
    host.say(encodePush(encodeMessage(unreadable)));
    host.say(encodePush(stored(2)));
    host.say(encodePush(stored(3, content(3, 'hi', 'den'))));
    expect(all.take()).toEqual(['caught up 0', '2', '3']);
    expect(den.take()).toEqual(['caught up 0', '3']);
    client.stop(fault('self', ErrorCode.SHUTDOWN, 'over'));
    expect(all.take()).toEqual(['SHUTDOWN']);
  });
});

describe('history and rooms', () => {
  test('are asked until answered, a quiet room page by page', async () => {
    const client = await openClient();
    const page = client.history({ afterCursor: 5, limit: 3, room: 'den' });
    const rooms = client.rooms();
    const given = client.history({ afterCursor: 0, limit: 1, room: '' });
    given.cancel();
    expect(await given.answer).toMatchObject({ code: ErrorCode.CANCELLED });
    let host = new Host(client);
    expect(await host.kinds()).toEqual(['outboxOpen', 'history', 'rooms']);
    host.gone();
    host = new Host(client);
    const [, history, list] = await host.asked();
    host.reply(list?.requestId ?? 0, {
      case: 'rooms',
      value: { rooms: [{ name: 'den' }, { name: 'lobby' }] },
    });
    expect(await rooms.answer).toMatchObject({ kind: 'rooms', names: ['den', 'lobby'] });
    host.say(encodePage(history?.requestId ?? 0, [], { more: true, throughCursor: 900, gap: undefined }));
    const [more] = await host.asked();
    expect(more?.body).toMatchObject({ value: { afterCursor: 900n, limit: 3, room: 'den' } });
    const found = [stored(901, content(1, 'a', 'den'))];
    host.say(encodePage(more?.requestId ?? 0, found, { more: true, throughCursor: 950, gap: undefined }));
    expect(await page.answer).toMatchObject({
      kind: 'page',
      items: [{ cursor: 901, text: 'a', room: 'den' }],
      more: true,
      throughCursor: 950,
    });
  });

  test('a page out of order ends the stream', async () => {
    const client = await openClient();
    const host = new Host(client);
    await host.agree();
    client.history({ afterCursor: 0, limit: 3, room: '' });
    const [history] = await host.asked();
    const rest = { more: false, throughCursor: 9, gap: undefined };
    host.say(encodePage(history?.requestId ?? 0, [stored(5), stored(4)], rest));
    expect(host.stream.closedWith).toBe(ErrorCode.MESSAGE_MALFORMED);
  });
});
