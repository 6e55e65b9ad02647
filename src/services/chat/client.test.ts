/** The streams of a client, and what it asks (spec/11-chat.md, 11.1). */
import { beforeEach, describe, expect, test } from 'vitest';
import { ErrorCode } from '../../gen/clawchat/v1/error_pb.ts';
import { nextRequestId } from './client-stream.ts';
import { encodePage, encodePush } from './reply-writing.ts';
import { ClientProbe, content, enqueued, Host, NONE, stored } from './testing/client-probe.ts';

let probe: ClientProbe;

beforeEach(() => {
  probe = new ClientProbe();
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
    const client = await probe.open();
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
    const client = await probe.open();
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
    const client = await probe.open();
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
    const client = await probe.open();
    const host = new Host(client);
    await host.agree();
    host.say(Uint8Array.of(0xfa, 0x07, 0));
    expect(host.stream.closedWith).toBeUndefined();
  });

  test('takes the place of the one before', async () => {
    const client = await probe.open();
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

describe('history and rooms', () => {
  test('are asked until answered, a quiet room page by page', async () => {
    const client = await probe.open();
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
    const client = await probe.open();
    const host = new Host(client);
    await host.agree();
    client.history({ afterCursor: 0, limit: 3, room: '' });
    const [history] = await host.asked();
    const rest = { more: false, throughCursor: 9, gap: undefined };
    host.say(encodePage(history?.requestId ?? 0, [stored(5), stored(4)], rest));
    expect(host.stream.closedWith).toBe(ErrorCode.MESSAGE_MALFORMED);
  });
});
