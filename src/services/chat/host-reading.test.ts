/** Requests of a stream, and reading (spec/11-chat.md, 11.1 and 11.5). */
import { create, toBinary } from '@bufbuild/protobuf';
import { beforeEach, describe, expect, test } from 'vitest';
import { ChatRequestSchema } from '../../gen/clawchat/v1/chat_pb.ts';
import { StoredPruningSchema, StoredRoomSchema } from '../../gen/clawchat/v1/chat_storage_pb.ts';
import { ErrorCode } from '../../gen/clawchat/v1/error_pb.ts';
import {
  CHAT_MESSAGE_BYTES_MAX,
  HISTORY_PAGE_BYTES_MAX,
  HISTORY_PAGE_MESSAGES_MAX,
  TEXT_BYTES_MAX,
} from '../../gen/constants.ts';
import { numberKey } from './bytes.ts';
import type { ChatHost } from './host.ts';
import { BOB, brief, content, HostProbe, Peer, X } from './testing/host-probe.ts';
import { ProbeDatabase } from './testing/probe.ts';
import { settle } from './testing/settle.ts';

let probe: HostProbe;

beforeEach(() => {
  probe = new HostProbe();
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
    const alice = new Peer(await probe.open());
    await alice.open();
    alice.handler.message(message, 0);
    expect(brief(await alice.answers())).toEqual(['refusal MESSAGE_MALFORMED']);
    expect(probe.database.commits).toBe(0);
  });

  // CH-001~1
  test.each([
    ['that do not parse', Uint8Array.of(0x3a, 0x05), ErrorCode.MESSAGE_MALFORMED],
    ['with a room that is no UTF-8', Uint8Array.of(0x3a, 3, 0x1a, 1, 0xff), ErrorCode.MESSAGE_MALFORMED],
    ['that are too long', new Uint8Array(CHAT_MESSAGE_BYTES_MAX + 1), ErrorCode.MESSAGE_TOO_LARGE],
  ])('%s abort the stream', async (_name, message, code) => {
    const alice = new Peer(await probe.open());
    alice.handler.message(message, 0);
    expect(alice.stream.closedWith).toBe(code);
    alice.ask({ kind: 'rooms' });
    expect(await alice.answers()).toEqual([]);
  });

  test('for rooms are answered by name', async () => {
    const room = (name: string): Uint8Array => toBinary(StoredRoomSchema, create(StoredRoomSchema, { name }));
    probe.database = new ProbeDatabase(
      new Map([
        ['chat/room/1', room('zoo')],
        ['chat/room/2', room('attic')],
      ]),
    );
    const alice = new Peer(await probe.open());
    alice.ask({ kind: 'rooms' });
    expect(brief(await alice.answers())).toEqual(['rooms attic lobby zoo']);
    await alice.open();
    alice.post(1, content(1, { room: 'attic' }));
    expect(brief(await alice.answers())).toEqual(['result 1 1000']);
  });
});

describe('reading', () => {
  async function filled(count: number): Promise<{ readonly host: ChatHost; readonly alice: Peer }> {
    const host = await probe.open();
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
    const again = new Peer(await probe.open());
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
    const all = { limit: HISTORY_PAGE_MESSAGES_MAX, room: '' };
    const page = await host.log.page(1069, all, () => true);
    const bytes = page.messages.reduce((sum, { value }) => sum + value.length, 0);
    expect(page.more).toBe(true);
    expect(bytes).toBeLessThanOrEqual(HISTORY_PAGE_BYTES_MAX);
    expect(bytes).toBeGreaterThan(HISTORY_PAGE_BYTES_MAX - 34_000);
    const rest = await host.log.page(page.throughCursor, all, () => true);
    expect(page.messages.length + rest.messages.length).toBe(20);
  });

  test('a page of a quiet room says how far it looked', async () => {
    const { alice } = await filled(1_100);
    alice.ask({ kind: 'history', afterCursor: 0, limit: 5, room: 'nowhere' });
    expect(brief(await alice.answers())).toEqual(['page  through 2023 true']);
  });

  // CH-033~3
  test('pruned history is a gap for whoever lacks it, and for nobody else', async () => {
    await filled(10);
    for (let cursor = 1000; cursor <= 1004; cursor += 1) {
      probe.database.values.delete(`chat/message/${numberKey(cursor)}`);
    }
    const pruned = toBinary(StoredPruningSchema, create(StoredPruningSchema, { throughCursor: 1004n }));
    probe.database.values.set('chat/pruned', pruned);
    const host = await probe.open();
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
