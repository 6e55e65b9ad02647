/** The outbox of a client (spec/11-chat.md, 11.4). */
import { beforeEach, describe, expect, test } from 'vitest';
import { labelledHash } from '../../crypto/labels.ts';
import { noble } from '../../crypto/noble.ts';
import { ErrorCode } from '../../gen/clawchat/v1/error_pb.ts';
import { CONTROL_IDS_MAX, OUTBOX_UNACKNOWLEDGED_MAX } from '../../gen/constants.ts';
import { codeName } from '../../protocol/fault.ts';
import { hex } from '../../wire/bytes.ts';
import { fault, isFault } from '../../wire/fault.ts';
import { numberKey } from './bytes.ts';
import type { SendResult } from './client-outbox.ts';
import { putSent } from './client-storage.ts';
import { type Content, encodeContent } from './content.ts';
import { ClientProbe, content, enqueued, Host, NONE } from './testing/client-probe.ts';
import { settle } from './testing/settle.ts';

let probe: ClientProbe;

beforeEach(() => {
  probe = new ClientProbe();
});

function said(result: SendResult): string {
  return result.kind === 'stored' ? `stored ${result.cursor}` : codeName(result.code);
}

describe('the outbox', () => {
  // CH-020~1
  test('holds a message on the disk before it is sent', async () => {
    const client = await probe.open();
    const host = new Host(client);
    await host.agree();
    probe.database.hold();
    const pending = client.enqueue(content(1));
    expect(await host.kinds()).toEqual([]);
    probe.database.release();
    await pending;
    expect(await host.kinds()).toEqual(['post 1']);
  });

  // CH-024~1
  test('reports a result only when it is on the disk, and never sends that post again', async () => {
    const client = await probe.open();
    let host = new Host(client);
    const outbox = await host.agree();
    const { result } = await enqueued(client, content(1));
    const [post] = await host.asked();
    probe.database.hold();
    let told: string | undefined;
    void result.then(value => {
      told = said(value);
    });
    host.result(post?.requestId ?? 0, 1, 77);
    await settle();
    expect(told).toBeUndefined();
    probe.database.release();
    await settle();
    expect(told).toBe('stored 77');
    const again = await probe.open();
    expect(again.unacknowledged).toBe(0);
    host = new Host(again);
    const [open] = await host.asked();
    const hash = probe.database.values.get('chat/outbox');
    expect(hash).toBeDefined();
    await enqueued(again, content(2));
    host.state(open?.requestId ?? 0, outbox, 1, hashOf(content(1)));
    expect(await host.kinds()).toEqual(['post 2']);
  });

  // CH-026~1
  test('posts a message of one id once, however often it is told to', async () => {
    let client = await probe.open();
    const [first, second] = await Promise.all([enqueued(client, content(1)), enqueued(client, content(1))]);
    expect(client.unacknowledged).toBe(1);
    expect(await client.enqueue(content(1, 'something else'))).toMatchObject({ code: ErrorCode.USAGE });
    // The same message at another time is the same message.
    expect(await enqueued(client, { ...content(1), sentAtMs: 99 })).toBe(first);
    client = await probe.open();
    const third = await enqueued(client, content(1));
    expect(client.unacknowledged).toBe(1);
    const host = new Host(client);
    await host.agree();
    const [post, ...none] = await host.asked();
    expect(none).toEqual([]);
    host.result(post?.requestId ?? 0, 1, 0, ErrorCode.ROOM_UNKNOWN);
    expect(said(await third.result)).toBe('ROOM_UNKNOWN');
    const fourth = await enqueued(client, content(1));
    const fifth = await enqueued(await probe.open(), { ...content(1), sentAtMs: 98 });
    expect(said(await fourth.result)).toBe('ROOM_UNKNOWN');
    expect(said(await fifth.result)).toBe('ROOM_UNKNOWN');
    expect(await client.enqueue(content(1, 'something else'))).toMatchObject({ code: ErrorCode.USAGE });
    expect(await host.kinds()).toEqual([]);
    expect(first.result).toBe(second.result);
  });

  // CH-027~1
  test('takes so many messages and no more, in the order of the calls', async () => {
    const client = await probe.open();
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
    const client = await probe.open();
    expect(await client.enqueue(content(1, ''))).toMatchObject({ code: ErrorCode.MESSAGE_MALFORMED });
    expect(await client.enqueue(content(1, 'x'.repeat(32_769)))).toMatchObject({
      code: ErrorCode.MESSAGE_TOO_LARGE,
    });
  });

  test('sends as much as the stream takes, and goes on when there is room', async () => {
    const client = await probe.open();
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
    await enqueued(await probe.open(), content(1));
    for (let serial = 1; serial <= CONTROL_IDS_MAX + extra; serial += 1) {
      const id = numberKey(serial).padStart(32, '0');
      await probe.database.commit(
        putSent(serial, id, { hash: NONE, code: ErrorCode.UNSPECIFIED, cursor: serial }),
      );
    }
    expect((await probe.open()).unacknowledged).toBe(1);
    const kept = [...probe.database.values.keys()].filter(key => key.startsWith('chat/sent/'));
    expect(kept).toHaveLength(CONTROL_IDS_MAX);
    expect(kept.some(key => key.endsWith(numberKey(extra)))).toBe(false);
    expect(kept.some(key => key.endsWith(numberKey(extra + 1)))).toBe(true);
  });

  test('tells everybody who waits when the client ends', async () => {
    const client = await probe.open();
    const { result } = await enqueued(client, content(1));
    client.stop(fault('self', ErrorCode.SHUTDOWN, 'over'));
    expect(said(await result)).toBe('SHUTDOWN');
    expect(await client.enqueue(content(2))).toMatchObject({ code: ErrorCode.SHUTDOWN });
    expect((await probe.open()).unacknowledged).toBe(1);
  });
});

function hashOf(of: Content): Uint8Array {
  return labelledHash(noble, 'content', encodeContent(of));
}

describe('a contradiction', () => {
  // CH-019~1, CH-023~1, CH-025~1, CH-029~1
  test('is compared, and only the rest is posted in a new outbox that is on the disk first', async () => {
    const client = await probe.open();
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
    probe.database.hold();
    const value = { hashes: [hashOf(content(2))], cursors: [55n] };
    host.reply(compare?.requestId ?? 0, { case: 'outboxStored', value });
    expect(await host.kinds()).toEqual([]);
    probe.database.release();
    const [replace] = await host.asked();
    const next = replace?.body.case === 'outboxReplace' ? replace.body.value.outboxId : NONE;
    expect(next).toHaveLength(16);
    expect(hex(next)).not.toBe(hex(held));
    expect(said((await sends[1]?.result) as SendResult)).toBe('stored 55');
    expect(probe.notices).toEqual([{ kind: 'outbox-replaced', stored: 1, resent: 2, hostForgot: false }]);
    host.state(replace?.requestId ?? 0, next);
    const posts = (await host.asked()).map(({ body }) => (body.case === 'post' ? body.value : undefined));
    expect(posts.map(post => [post?.number, hex(post?.content ?? NONE)])).toEqual([
      [1n, hex(encodeContent(content(1)))],
      [2n, hex(encodeContent(content(3)))],
    ]);
    expect((await probe.open()).unacknowledged).toBe(2);
  });

  test('that a lost stream interrupts sends nothing before the new outbox is on the disk', async () => {
    const client = await probe.open();
    await enqueued(client, content(1));
    let host = new Host(client);
    const [open] = await host.asked();
    host.state(open?.requestId ?? 0, new Uint8Array(16).fill(9), 0);
    const [compare] = await host.asked();
    probe.database.hold();
    host.reply(compare?.requestId ?? 0, { case: 'outboxStored', value: {} });
    host.gone();
    host = new Host(client);
    await host.agree();
    expect(await host.kinds()).toEqual([]);
    probe.database.release();
    expect(await host.kinds()).toEqual(['post 1']);
  });

  test('says that the host forgot when it had answered more', async () => {
    const client = await probe.open();
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
    expect(probe.notices).toEqual([{ kind: 'outbox-replaced', stored: 0, resent: 0, hostForgot: true }]);
  });
});
