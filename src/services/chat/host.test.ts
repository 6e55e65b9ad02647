import { create, toBinary } from '@bufbuild/protobuf';
import { beforeEach, describe, expect, test } from 'vitest';
import { noble } from '../../crypto/noble.ts';
import { ChatRequestSchema } from '../../gen/clawchat/v1/chat_pb.ts';
import { StoredPruningSchema, StoredRoomSchema } from '../../gen/clawchat/v1/chat_storage_pb.ts';
import { ErrorCode } from '../../gen/clawchat/v1/error_pb.ts';
import {
  CHAT_MESSAGE_BYTES_MAX,
  HISTORY_PAGE_BYTES_MAX,
  OUTBOX_HASHES_MAX,
  TEXT_BYTES_MAX,
} from '../../gen/constants.ts';
import { codeName } from '../../protocol/fault.ts';
import { isFault } from '../../wire/fault.ts';
import type { StreamHandler } from '../ports.ts';
import { ProbeStream } from '../testing/probe-stream.ts';
import { numberKey } from './bytes.ts';
import { encodeContent } from './content.ts';
import { type ChatAlarm, ChatHost } from './host.ts';
import { parseReply, type Reply } from './reply.ts';
import { encodeRequest, type RequestBody } from './request.ts';
import { ProbeDatabase } from './testing/probe.ts';

const ALICE = { deviceId: new Uint8Array(16).fill(0xaa), name: 'alice' };
const BOB = { deviceId: new Uint8Array(16).fill(0xbb), name: 'bob' };
const X = new Uint8Array(16).fill(1);
const Y = new Uint8Array(16).fill(2);

const settle = (): Promise<void> => new Promise(resolve => setImmediate(resolve));

/** Content number n: distinct, and the same each time. */
function content(n: number, change: { room?: string; text?: string } = {}): Uint8Array {
  const messageId = new Uint8Array(16);
  new DataView(messageId.buffer).setUint32(0, n);
  return encodeContent({ messageId, room: 'lobby', text: `text ${n}`, sentAtMs: 1, ...change });
}

/** One device's stream at the host. */
class Peer {
  readonly stream = new ProbeStream();
  readonly handler: StreamHandler;
  #id = 0;
  wallMs = 1_000;

  constructor(host: ChatHost, sender = ALICE) {
    this.handler = host.serve(this.stream, sender);
  }

  ask(body: RequestBody): void {
    this.#id += 1;
    this.handler.message(encodeRequest(this.#id, body), this.wallMs);
  }

  post(number: number, bytes: Uint8Array = content(number), outboxId: Uint8Array = X): void {
    this.ask({ kind: 'post', outboxId, number, content: bytes });
  }

  async answers(): Promise<readonly Reply['body'][]> {
    await settle();
    return this.stream.take().map(message => {
      const reply = parseReply(message);
      if (isFault(reply)) throw new Error(reply.detail);
      return reply.body;
    });
  }

  async open(outboxId: Uint8Array = X): Promise<readonly string[]> {
    this.ask({ kind: 'outboxOpen', outboxId });
    return brief(await this.answers());
  }
}

/** Say each answer in a few words. */
function brief(bodies: readonly Reply['body'][]): readonly string[] {
  return bodies.map((body): string => {
    switch (body.kind) {
      case 'outboxState':
        return `state ${body.status.outboxId[0]} ${body.status.highest} ${body.status.hash.length}`;
      case 'outboxStored':
        return `stored ${body.stored.map(({ cursor }) => cursor).join(' ')}`;
      case 'postResult': {
        const { code, cursor } = body.outcome;
        return `result ${body.number} ${code === ErrorCode.UNSPECIFIED ? cursor : codeName(code)}`;
      }
      case 'message':
        return `message ${body.place.cursor} ${body.place.item?.text}`;
      case 'gap':
        return `gap ${body.gap.afterCursor} ${body.gap.firstCursor}`;
      case 'caughtUp':
        return `caught up ${body.cursor}`;
      case 'history':
        return `page ${body.places.map(({ cursor }) => cursor).join(' ')} through ${body.throughCursor} ${body.more}`;
      case 'rooms':
        return `rooms ${body.names.join(' ')}`;
      case 'refusal':
        return `refusal ${codeName(body.code)}`;
      case 'unknown':
        break;
    }
    return 'unknown';
  });
}

let database: ProbeDatabase;
let alarms: ChatAlarm[];
let failures: unknown[];

function openHost(): Promise<ChatHost> {
  return ChatHost.open({
    database,
    suite: noble,
    alarm: alarm => alarms.push(alarm),
    enrolled: () => 'somebody',
    failed: reason => failures.push(reason),
  });
}

beforeEach(() => {
  database = new ProbeDatabase();
  alarms = [];
  failures = [];
});

describe('posting', () => {
  // CH-015~2, CH-017~1, CH-018~1
  test('is answered and pushed only when the commit is durable', async () => {
    const host = await openHost();
    const [alice, bob] = [new Peer(host), new Peer(host, BOB)];
    bob.ask({ kind: 'subscribe', afterCursor: 0, fromNow: false });
    expect(brief(await bob.answers())).toEqual(['caught up 0']);
    expect(await alice.open()).toEqual(['state 1 0 0']);
    database.hold();
    alice.post(1);
    alice.post(2);
    expect(brief(await alice.answers())).toEqual([]);
    expect(brief(await bob.answers())).toEqual([]);
    database.release();
    expect(brief(await alice.answers())).toEqual(['result 1 1000', 'result 2 1001']);
    expect(brief(await bob.answers())).toEqual(['message 1000 text 1', 'message 1001 text 2']);
    expect(database.commits).toBe(2);
  });

  // CH-013~1
  test('twice has the same answer and no second effect, also after a restart', async () => {
    for (const restart of [false, true]) {
      database = new ProbeDatabase();
      let host = await openHost();
      let alice = new Peer(host);
      await alice.open();
      alice.post(1);
      alice.post(2, content(2, { room: 'nowhere' }));
      expect(brief(await alice.answers())).toEqual(['result 1 1000', 'result 2 ROOM_UNKNOWN']);
      if (restart) {
        host = await openHost();
        alice = new Peer(host);
        expect(await alice.open()).toEqual(['state 1 2 32']);
      }
      alice.wallMs = 9_000;
      alice.post(1);
      alice.post(2, content(2, { room: 'nowhere' }));
      alice.post(3);
      expect(brief(await alice.answers())).toEqual([
        'result 1 1000',
        'result 2 ROOM_UNKNOWN',
        'result 3 9000',
      ]);
      alice.post(2);
      expect(brief(await alice.answers())).toEqual(['refusal OUTBOX_MISMATCH']);
    }
  });

  // CH-005~1
  test('is taken and answered in the order of the requests, however long one of them reads', async () => {
    let host = await openHost();
    let alice = new Peer(host);
    await alice.open();
    alice.post(1);
    await alice.answers();
    host = await openHost();
    const get = database.get.bind(database);
    let read = (): void => {};
    const reading = new Promise<void>(resolve => {
      read = resolve;
    });
    database.get = async key => {
      await reading;
      return get(key);
    };
    // All at once: the outbox, one that was answered by an earlier process, a new one, a question and another one.
    alice = new Peer(host);
    alice.ask({ kind: 'outboxOpen', outboxId: X });
    alice.post(1);
    alice.post(2);
    alice.ask({ kind: 'history', afterCursor: 0, limit: 9, room: '' });
    alice.post(3);
    expect(await alice.answers()).toEqual([]);
    read();
    await settle();
    expect(brief(await alice.answers()).map(text => text.replace(/^page .*/, 'page'))).toEqual([
      'state 1 1 32',
      'result 1 1000',
      'result 2 1001',
      'page',
      'result 3 1002',
    ]);
  });

  // CH-009~2, CH-012~1, CH-003~2
  test('what can never be stored uses its number up; what is out of turn does not', async () => {
    const host = await openHost();
    const alice = new Peer(host);
    await alice.open();
    alice.post(1, new Uint8Array(0));
    alice.post(2, content(2, { text: 'x'.repeat(TEXT_BYTES_MAX + 1) }));
    alice.post(3, content(3, { room: 'nowhere' }));
    alice.post(5);
    alice.post(4, content(4), Y);
    alice.post(4);
    expect(brief(await alice.answers()).toSorted()).toEqual([
      'refusal OUTBOX_NUMBER',
      'refusal OUTBOX_UNKNOWN',
      'result 1 MESSAGE_MALFORMED',
      'result 2 MESSAGE_TOO_LARGE',
      'result 3 ROOM_UNKNOWN',
      'result 4 1000',
    ]);
    expect([...database.values.keys()].filter(key => key.startsWith('chat/message/'))).toHaveLength(1);
  });

  // CH-010~1
  test('belongs to the stream that opened the outbox last', async () => {
    const host = await openHost();
    const [older, newer] = [new Peer(host), new Peer(host)];
    older.post(1);
    expect(brief(await older.answers())).toEqual(['refusal OUTBOX_UNKNOWN']);
    await older.open();
    database.hold();
    older.post(1);
    newer.ask({ kind: 'outboxOpen', outboxId: X });
    older.post(2);
    older.ask({ kind: 'outboxReplace', outboxId: Y });
    older.ask({ kind: 'outboxCompare', entries: [] });
    await settle();
    // What was decided is not told before it is durable.
    expect(brief(await newer.answers())).toEqual([]);
    database.release();
    expect(brief(await newer.answers())).toEqual(['state 1 1 32']);
    expect(brief(await older.answers()).toSorted()).toEqual([
      'refusal OUTBOX_UNKNOWN',
      'refusal OUTBOX_UNKNOWN',
      'refusal OUTBOX_UNKNOWN',
      'result 1 1000',
    ]);
    older.handler.closed(ErrorCode.SESSION_REPLACED);
    newer.post(2);
    expect(brief(await newer.answers())).toEqual(['result 2 1001']);
    expect(alarms).toEqual([]);
  });

  // CH-011~1
  test('a device that stored nothing has the outbox that it asked for last', async () => {
    const host = await openHost();
    const [older, newer] = [new Peer(host), new Peer(host)];
    expect(await older.open(X)).toEqual(['state 1 0 0']);
    expect(await newer.open(Y)).toEqual(['state 2 0 0']);
    newer.post(1, content(1), Y);
    expect(brief(await newer.answers())).toEqual(['result 1 1000']);
    expect(await older.open(X)).toEqual(['state 2 1 32']);
  });

  // CH-014~1, CH-021~1, CH-022~1
  test('after a contradiction: stored ones are named, whichever outbox they came from', async () => {
    const host = await openHost();
    const alice = new Peer(host);
    await alice.open();
    for (let n = 1; n <= 3; n += 1) alice.post(n, n === 2 ? content(2, { room: 'nowhere' }) : content(n));
    await alice.answers();
    expect(await alice.open(Y)).toEqual(['state 1 3 32']);
    const entry = (number: number, bytes: Uint8Array): { number: number; hash: Uint8Array } => ({
      number,
      hash: host.hash(bytes),
    });
    alice.ask({ kind: 'outboxReplace', outboxId: Y });
    expect(brief(await alice.answers())).toEqual(['state 2 0 0']);
    expect(alarms).toMatchObject([{ kind: 'outbox-replaced', name: 'alice', highest: 3 }]);
    alice.post(1, content(4), Y);
    await alice.answers();
    const refused = content(2, { room: 'nowhere' });
    const entries = [entry(7, content(3)), entry(8, refused), entry(9, content(4)), entry(10, content(5))];
    alice.ask({ kind: 'outboxCompare', entries });
    expect(brief(await alice.answers())).toEqual(['stored 1001 1002']);
    // Its own id again is a repetition before the outbox was used, and a contradiction after.
    alice.ask({ kind: 'outboxReplace', outboxId: Y });
    expect(brief(await alice.answers())).toEqual(['refusal OUTBOX_MISMATCH']);
    expect(await new Peer(await openHost()).open(Y)).toEqual(['state 2 1 32']);
  });

  // CH-014~1
  test('keeps the last answers and no more', async () => {
    const host = await openHost();
    const alice = new Peer(host);
    await alice.open();
    for (let n = 1; n <= OUTBOX_HASHES_MAX + 1; n += 1) {
      alice.post(n);
      if (n % 64 === 0) await settle();
    }
    expect(await alice.answers()).toHaveLength(OUTBOX_HASHES_MAX + 1);
    const kept = [...database.values.keys()].filter(key => key.startsWith('chat/kept/'));
    expect(kept).toHaveLength(OUTBOX_HASHES_MAX);
    alice.post(1);
    alice.post(2);
    expect(brief(await alice.answers())).toEqual(['refusal OUTBOX_MISMATCH', 'result 2 1001']);
  });

  // CH-016~1
  test('ends with the device, and leaves nothing of its outbox', async () => {
    const host = await openHost();
    const [alice, bob] = [new Peer(host), new Peer(host, BOB)];
    await alice.open();
    await bob.open(Y);
    alice.post(1);
    bob.post(1, content(9), Y);
    await settle();
    const operations = (await host.revoke(ALICE.deviceId))();
    expect(alice.stream.closedWith).toBe(ErrorCode.DEVICE_REVOKED);
    expect(bob.stream.closedWith).toBeUndefined();
    await database.commit(operations);
    const left = [...database.values.keys()].filter(key => key.includes('aa'.repeat(16)));
    expect(left).toEqual([]);
    expect([...database.values.keys()].filter(key => key.startsWith('chat/message/'))).toHaveLength(2);
    bob.post(2, content(10), Y);
    expect(brief(await bob.answers()).at(-1)).toBe('result 2 1002');
  });

  test('says nothing more once the database failed', async () => {
    const host = await openHost();
    const alice = new Peer(host);
    await alice.open();
    database.failure = new Error('disk');
    alice.post(1);
    expect(brief(await alice.answers())).toEqual([]);
    expect(alice.stream.closedWith).toBe(ErrorCode.INTERNAL);
    expect(failures).toHaveLength(1);
  });

  // CH-004~1
  test('takes no more than it can answer', async () => {
    const host = await openHost();
    const alice = new Peer(host);
    await alice.open();
    database.hold();
    const long = 'x'.repeat(TEXT_BYTES_MAX);
    for (let n = 1; n <= 40; n += 1) alice.post(n, content(n, { text: long }));
    await settle();
    expect(alice.stream.paused).toBe(true);
    database.release();
    expect(brief(await alice.answers())).toHaveLength(40);
    expect(alice.stream.paused).toBe(false);
    database.hold();
    for (let n = 41; n <= 40 + OUTBOX_HASHES_MAX; n += 1) alice.post(n);
    expect(alice.stream.paused).toBe(true);
    database.release();
    expect(await alice.answers()).toHaveLength(OUTBOX_HASHES_MAX);
    alice.stream.room = 1;
    alice.ask({ kind: 'rooms' });
    alice.ask({ kind: 'rooms' });
    expect(brief(await alice.answers())).toEqual(['rooms lobby']);
    expect(alice.stream.paused).toBe(true);
    alice.stream.room = 2;
    alice.handler.writable();
    expect(brief(await alice.answers())).toEqual(['rooms lobby']);
    expect(alice.stream.paused).toBe(false);
  });
});

describe('requests', () => {
  const raw = (body: Parameters<typeof create<typeof ChatRequestSchema>>[1]): Uint8Array =>
    toBinary(ChatRequestSchema, create(ChatRequestSchema, body));

  // CH-002~1
  test.each([
    ['no body', raw({ requestId: 1 })],
    ['a short outbox id', raw({ body: { case: 'outboxOpen', value: { outboxId: new Uint8Array(15) } } })],
    ['number 0', raw({ body: { case: 'post', value: { outboxId: X, number: 0n } } })],
    ['number 2^53', raw({ body: { case: 'post', value: { outboxId: X, number: 2n ** 53n } } })],
    ['a limit of 257', raw({ body: { case: 'history', value: { limit: 257 } } })],
    ['a cursor of 2^53', raw({ body: { case: 'subscribe', value: { afterCursor: 2n ** 53n } } })],
    [
      'a short hash',
      raw({
        body: { case: 'outboxCompare', value: { entries: [{ number: 1n, hash: new Uint8Array(31) }] } },
      }),
    ],
    [
      'too many entries',
      raw({
        body: {
          case: 'outboxCompare',
          value: {
            entries: Array.from({ length: 1025 }, () => ({ number: 1n, hash: new Uint8Array(32) })),
          },
        },
      }),
    ],
  ])('with %s are refused and change nothing', async (_name, message) => {
    const alice = new Peer(await openHost());
    await alice.open();
    alice.handler.message(message, 0);
    expect(brief(await alice.answers())).toEqual(['refusal MESSAGE_MALFORMED']);
    expect(database.commits).toBe(0);
  });

  // CH-001~1
  test.each([
    ['that do not parse', Uint8Array.of(0x3a, 0x05), ErrorCode.MESSAGE_MALFORMED],
    ['with a room that is no UTF-8', Uint8Array.of(0x3a, 3, 0x1a, 1, 0xff), ErrorCode.MESSAGE_MALFORMED],
    ['that are too long', new Uint8Array(CHAT_MESSAGE_BYTES_MAX + 1), ErrorCode.MESSAGE_TOO_LARGE],
  ])('%s abort the stream', async (_name, message, code) => {
    const alice = new Peer(await openHost());
    alice.handler.message(message, 0);
    expect(alice.stream.closedWith).toBe(code);
    alice.ask({ kind: 'rooms' });
    expect(await alice.answers()).toEqual([]);
  });

  test('for rooms are answered by name', async () => {
    const room = (name: string): Uint8Array => toBinary(StoredRoomSchema, create(StoredRoomSchema, { name }));
    database = new ProbeDatabase(
      new Map([
        ['chat/room/1', room('zoo')],
        ['chat/room/2', room('attic')],
      ]),
    );
    const alice = new Peer(await openHost());
    alice.ask({ kind: 'rooms' });
    expect(brief(await alice.answers())).toEqual(['rooms attic lobby zoo']);
    await alice.open();
    alice.post(1, content(1, { room: 'attic' }));
    expect(brief(await alice.answers())).toEqual(['result 1 1000']);
  });
});

describe('reading', () => {
  async function filled(count: number): Promise<{ readonly host: ChatHost; readonly alice: Peer }> {
    const host = await openHost();
    const alice = new Peer(host);
    await alice.open();
    for (let n = 1; n <= count; n += 1) {
      alice.post(n);
      if (n % 32 === 0) await settle();
    }
    await alice.answers();
    return { host, alice };
  }

  // CH-031~1, CH-032~1, CH-034~1
  test('never waits for a full stream, and misses nothing', async () => {
    const { host, alice } = await filled(100);
    const [slow, quick] = [new Peer(host, BOB), new Peer(host, BOB)];
    slow.stream.room = 10;
    slow.ask({ kind: 'subscribe', afterCursor: 1004, fromNow: false });
    quick.ask({ kind: 'subscribe', afterCursor: 1, fromNow: true });
    const first = brief(await slow.answers());
    expect(first).toHaveLength(10);
    expect(first[0]).toBe('message 1005 text 6');
    expect(brief(await quick.answers())).toEqual(['caught up 1099']);
    for (let n = 101; n <= 110; n += 1) alice.post(n);
    expect(brief(await quick.answers())).toHaveLength(10);
    expect(brief(await slow.answers())).toEqual([]);
    slow.stream.room = Number.POSITIVE_INFINITY;
    slow.handler.writable();
    const rest = brief(await slow.answers());
    expect(rest).toHaveLength(96);
    expect(rest[0]).toBe('message 1015 text 16');
    expect(rest.at(-1)).toBe('caught up 1109');
    // Live again: full in the middle of pushes.
    slow.stream.room = 1;
    alice.post(111);
    alice.post(112);
    expect(brief(await slow.answers())).toEqual(['message 1110 text 111']);
    slow.stream.room = Number.POSITIVE_INFINITY;
    slow.handler.writable();
    expect(brief(await slow.answers())).toEqual(['message 1111 text 112', 'caught up 1111']);
  });

  test('a subscriber ahead of the history is sent what lies behind its cursor only', async () => {
    const { host, alice } = await filled(1);
    const bob = new Peer(host, BOB);
    bob.ask({ kind: 'subscribe', afterCursor: 1002, fromNow: false });
    for (let n = 2; n <= 4; n += 1) alice.post(n);
    expect(brief(await bob.answers())).toEqual(['caught up 1000', 'message 1003 text 4']);
  });

  test('everybody who is live is sent the same bytes', async () => {
    const { host, alice } = await filled(0);
    const peers = [new Peer(host, BOB), new Peer(host, BOB)];
    for (const peer of peers) peer.ask({ kind: 'subscribe', afterCursor: 0, fromNow: false });
    for (const peer of peers) await peer.answers();
    alice.post(1);
    await settle();
    const [one, two] = peers.map(peer => peer.stream.sent[0]);
    expect(one).toBeDefined();
    expect(one).toBe(two);
  });

  test('another Subscribe takes the place of the first', async () => {
    const { host, alice } = await filled(3);
    const bob = new Peer(host, BOB);
    bob.ask({ kind: 'subscribe', afterCursor: 0, fromNow: false });
    bob.ask({ kind: 'subscribe', afterCursor: 1001, fromNow: false });
    await settle();
    alice.post(4);
    expect(brief(await bob.answers())).toEqual([
      'message 1002 text 3',
      'caught up 1002',
      'message 1003 text 4',
    ]);
  });

  // CH-030~1
  test('cursors are at least the time and always grow', async () => {
    const { alice } = await filled(2);
    alice.wallMs = 5_000;
    alice.post(3);
    alice.wallMs = 4_000;
    alice.post(4);
    expect(brief(await alice.answers())).toEqual(['result 3 5000', 'result 4 5001']);
    const again = new Peer(await openHost());
    await again.open();
    again.post(5);
    expect(brief(await again.answers())).toEqual(['result 5 5002']);
  });

  // CH-035~1
  test('pages are bounded by count, bytes and what is looked at', async () => {
    const { host, alice } = await filled(70);
    alice.ask({ kind: 'history', afterCursor: 1002, limit: 2, room: '' });
    alice.ask({ kind: 'history', afterCursor: 1067, limit: 2, room: '' });
    alice.ask({ kind: 'history', afterCursor: 0, limit: 5, room: 'nowhere' });
    alice.ask({ kind: 'history', afterCursor: 5_000, limit: 5, room: '' });
    expect(brief(await alice.answers())).toEqual([
      'page 1003 1004 through 1004 true',
      'page 1068 1069 through 1069 false',
      'page  through 1069 false',
      'page  through 5000 false',
    ]);
    const long = 'x'.repeat(TEXT_BYTES_MAX);
    for (let n = 71; n <= 90; n += 1) alice.post(n, content(n, { text: long }));
    await alice.answers();
    const page = await host.log.page(1069);
    const bytes = page.messages.reduce((sum, { value }) => sum + value.length, 0);
    expect(page.more).toBe(true);
    expect(bytes).toBeLessThanOrEqual(HISTORY_PAGE_BYTES_MAX);
    expect(bytes).toBeGreaterThan(HISTORY_PAGE_BYTES_MAX - 34_000);
    const rest = await host.log.page(page.throughCursor);
    expect(page.messages.length + rest.messages.length).toBe(20);
  });

  test('a page of a quiet room says how far it looked', async () => {
    const { alice } = await filled(1_100);
    alice.ask({ kind: 'history', afterCursor: 0, limit: 5, room: 'nowhere' });
    expect(brief(await alice.answers())).toEqual(['page  through 2023 true']);
  });

  // CH-033~2
  test('pruned history is a gap for whoever lacks it, and for nobody else', async () => {
    await filled(10);
    for (let cursor = 1000; cursor <= 1004; cursor += 1) {
      database.values.delete(`chat/message/${numberKey(cursor)}`);
    }
    const pruned = toBinary(StoredPruningSchema, create(StoredPruningSchema, { throughCursor: 1004n }));
    database.values.set('chat/pruned', pruned);
    const host = await openHost();
    const bob = new Peer(host, BOB);
    bob.ask({ kind: 'subscribe', afterCursor: 1002, fromNow: false });
    const pushed = brief(await bob.answers());
    expect(pushed.slice(0, 2)).toEqual(['gap 1002 1005', 'message 1005 text 6']);
    expect(pushed).toHaveLength(7);
    bob.ask({ kind: 'subscribe', afterCursor: 1004, fromNow: false });
    expect(brief(await bob.answers())[0]).toBe('message 1005 text 6');
    bob.ask({ kind: 'history', afterCursor: 3, limit: 1, room: '' });
    const [page] = await bob.answers();
    expect(page).toMatchObject({ kind: 'history', gap: { afterCursor: 3, firstCursor: 1005 } });
  });
});
