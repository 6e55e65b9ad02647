/** Listeners of a client (spec/11-chat.md, 11.5). */
import { beforeEach, describe, expect, test } from 'vitest';
import { ErrorCode } from '../../gen/clawchat/v1/error_pb.ts';
import { codeName } from '../../protocol/fault.ts';
import { fault } from '../../wire/fault.ts';
import type { ListenSink } from './feed.ts';
import { encodeMessage, encodePage, encodePush, encodeReply } from './reply-writing.ts';
import { ClientProbe, content, Host, stored } from './testing/client-probe.ts';

let probe: ClientProbe;

beforeEach(() => {
  probe = new ClientProbe();
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
    const client = await probe.open();
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
    const client = await probe.open();
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
    const client = await probe.open();
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
    const client = await probe.open();
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
    const client = await probe.open();
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
    const client = await probe.open();
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
