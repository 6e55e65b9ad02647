/** Rooms, and what is told of them (spec/11-chat.md, 11.3). */
import { beforeEach, describe, expect, test } from 'vitest';
import { Role } from '../../gen/clawchat/v1/chat_pb.ts';
import { ErrorCode } from '../../gen/clawchat/v1/error_pb.ts';
import type { ContentExtra } from './content.ts';
import { ANN, BOB, CAT, CREATE, House, type Peer, REMOVE } from './testing/house.ts';
import { quiet } from './testing/settle.ts';

let house: House;

beforeEach(async () => {
  house = await House.made();
});

describe('rooms', () => {
  // CH-040~2, CH-041~2
  test('that are closed are there for their people only', async () => {
    const [ann, bob] = [house.peer(ANN, 'Ann'), house.peer(BOB, 'Bob')];
    bob.ask({ kind: 'subscribe', afterCursor: 0, fromNow: false });
    expect(await ann.post('', { act: { kind: 'create', topic: '', closed: true } }, 'den')).toBeTypeOf(
      'number',
    );
    expect(await bob.post('', { act: { kind: 'create', topic: '', closed: true } }, 'den')).toBe(
      'ROOM_EXISTS',
    );
    await ann.post('secret', {}, 'den');
    expect((await bob.replies()).filter(({ kind }) => kind === 'message')).toEqual([]);
    expect(await bob.history()).toEqual([]);
    expect(await bob.rooms()).toEqual([`lobby ${Role.MEMBER}`]);
    expect(await bob.post('let me in', {}, 'den')).toBe('ROOM_UNKNOWN');
    expect(await bob.post('', { act: { kind: 'join' } }, 'den')).toBe('ROOM_UNKNOWN');
    await ann.post('', { act: { kind: 'grant', personId: BOB, role: Role.GUEST } }, 'den');
    expect((await bob.history('den')).map(({ text }) => text)).toContain('secret');
    expect(await bob.rooms()).toEqual([`den ${Role.GUEST}`, `lobby ${Role.MEMBER}`]);
    // They are so after a restart.
    await house.open();
    expect(await house.peer(BOB, 'Bob').rooms()).toEqual([`den ${Role.GUEST}`, `lobby ${Role.MEMBER}`]);
    expect(await house.peer(CAT, 'Cat').rooms()).toEqual([`lobby ${Role.MEMBER}`]);
  });

  // CH-061~1
  test('are made only with names that nobody takes for those of others', async () => {
    const [ann, bob] = [house.peer(ANN, 'Ann'), house.peer(BOB, 'Bob')];
    for (const name of ['my den', 'stra\u00dfe', 'caf\u00e9', 'cafe']) {
      expect(await ann.post('', CREATE, name), name).toBeTypeOf('number');
    }
    const twins = ['My Den', 'my  den', 'my\u00a0den', '\uff4dy den', 'm\u034fy den', 'm\u3164y den'];
    for (const name of [...twins, 'STRASSE', 'CAF\u00c9', 'Lobby', '\uff4c\uff4f\uff42\uff42\uff59']) {
      expect(await bob.post('', CREATE, name), JSON.stringify(name)).toBe('ROOM_EXISTS');
    }
    expect(await bob.post('', CREATE, 'm\u0443 den')).toBeTypeOf('number');
    await ann.post('', REMOVE, 'my den');
    await quiet();
    expect(await bob.post('', CREATE, 'My Den')).toBeTypeOf('number');
  });

  // CH-056~2
  test('are made only with names that can be shown as they stand', async () => {
    const ann = house.peer(ANN, 'Ann');
    for (const name of [
      'a\nb',
      'den\u202e',
      'de\u200bn',
      '\u001b[2J',
      ' den',
      'den\u3000',
      'a\u2028b',
      'cafe\u0301',
      '\u3164',
      '\u034f',
    ]) {
      expect(await ann.post('', CREATE, name), JSON.stringify(name)).toBe('MESSAGE_MALFORMED');
    }
    expect(await ann.post('', CREATE, 'the Café')).toBeTypeOf('number');
    expect(await ann.rooms()).toEqual([`lobby ${Role.MEMBER}`, `the Café ${Role.OWNER}`]);
  });

  // CH-041~2
  test('let each do what the role allows', async () => {
    const [ann, bob] = [house.peer(ANN, 'Ann'), house.peer(BOB, 'Bob')];
    await ann.post('', { act: { kind: 'create', topic: 'x', closed: false } }, 'den');
    const grant = (personId: Uint8Array, role: Role): ContentExtra => ({
      act: { kind: 'grant', personId, role },
    });
    const topic: ContentExtra = { act: { kind: 'topic', topic: 'y' } };
    const refused = 'ROOM_FORBIDDEN';
    expect(await bob.post('', topic, 'den')).toBe(refused);
    expect(await bob.post('', { act: { kind: 'join' } }, 'den')).toBeTypeOf('number');
    expect(await bob.post('', topic, 'den')).toBeTypeOf('number');
    expect(await bob.post('', { act: { kind: 'keep', keepMs: 1 } }, 'den')).toBe(refused);
    expect(await bob.post('', grant(BOB, Role.OWNER), 'den')).toBe(refused);
    expect(await bob.post('', grant(CAT, Role.MEMBER), 'den')).toBeTypeOf('number');
    expect(await bob.post('', grant(CAT, Role.UNSPECIFIED), 'den')).toBe(refused);
    expect(await bob.post('', grant(BOB, Role.BOT), 'den')).toBeTypeOf('number');
    expect(await bob.post('', topic, 'den')).toBe(refused);
    expect(await ann.post('', { act: { kind: 'leave' } }, 'den')).toBe(refused);
    expect(await ann.post('', grant(CAT, Role.OWNER), 'den')).toBeTypeOf('number');
    expect(await ann.post('', { act: { kind: 'leave' } }, 'den')).toBeTypeOf('number');
    expect(await ann.post('', { act: { kind: 'leave' } }, 'lobby')).toBe(refused);
  });

  // CH-047~3
  test('forget what is older than they keep it, and say so', async () => {
    const ann = house.peer(ANN, 'Ann');
    await ann.post('', { act: { kind: 'create', topic: '', closed: false } }, 'den');
    await ann.post('old', {}, 'den');
    await ann.post('stays');
    await ann.post('', { act: { kind: 'keep', keepMs: 1_000 } }, 'den');
    ann.ask({ kind: 'hello', events: true });
    ann.wallMs = 100_000;
    await ann.post('new', {}, 'den');
    expect((await ann.replies()).map(({ kind }) => kind)).toEqual([]);
    expect((await ann.history()).map(({ text }) => text).filter(text => text !== '')).toEqual([
      'stays',
      'new',
    ]);
    ann.ask({ kind: 'history', afterCursor: 1, limit: 10, room: 'den' });
    const [page] = await ann.replies();
    expect(page).toMatchObject({ kind: 'history', gap: { afterCursor: 1 } });
  });
});

describe('whoever is none of its people any more', () => {
  // CH-058~1
  test('is told so by a closed room, and nobody else is', async () => {
    const [ann, bob, cat] = [house.peer(ANN, 'Ann'), house.peer(BOB, 'Bob'), house.peer(CAT, 'Cat')];
    for (const peer of [ann, bob, cat]) peer.ask({ kind: 'hello', events: true });
    const grant = (personId: Uint8Array, role: Role): ContentExtra => ({
      act: { kind: 'grant', personId, role },
    });
    await ann.post('', CREATE, 'den');
    await ann.post('', grant(BOB, Role.MEMBER), 'den');
    const gaps = async (peer: Peer): Promise<unknown> =>
      (await peer.replies()).flatMap(reply => (reply.kind === 'roomGap' ? [reply.gap] : []));
    for (const peer of [ann, bob, cat]) await peer.replies();
    let cursor = Number(await ann.post('', grant(BOB, Role.UNSPECIFIED), 'den'));
    expect(await gaps(bob)).toEqual([{ afterCursor: 999, firstCursor: cursor + 1, room: 'den' }]);
    // Who never saw it hears nothing of it, and who has gone hears it once.
    await ann.post('', grant(CAT, Role.UNSPECIFIED), 'den');
    await ann.post('', grant(BOB, Role.UNSPECIFIED), 'den');
    for (const peer of [ann, bob, cat]) expect(await gaps(peer)).toEqual([]);
    await ann.post('', grant(BOB, Role.GUEST), 'den');
    await bob.replies();
    const leaving = bob.begin('', { act: { kind: 'leave' } }, 'den');
    await quiet();
    const told = await bob.replies();
    cursor = Number(told.flatMap(reply => (reply.kind === 'postResult' ? [reply.outcome.cursor] : []))[0]);
    expect(leaving).toBeTypeOf('function');
    expect(told).toContainEqual({
      kind: 'roomGap',
      gap: { afterCursor: 999, firstCursor: cursor + 1, room: 'den' },
    });
    // An open room is still there for them.
    await ann.post('', { act: { kind: 'create', topic: '', closed: false } }, 'attic');
    await bob.post('', { act: { kind: 'join' } }, 'attic');
    await ann.post('', grant(BOB, Role.UNSPECIFIED), 'attic');
    expect(await gaps(bob)).toEqual([]);
  });
});

describe('what is missing of rooms', () => {
  // CH-057~1, CH-047~3
  test('is told to who was away, before what is there, and only when something is', async () => {
    const ann = house.peer(ANN, 'Ann');
    for (const room of ['den', 'attic', 'cellar']) await ann.post('', CREATE, room);
    const stays = Number(await ann.post('stays'));
    const lost = Number(await ann.post('goes', {}, 'den'));
    for (const room of ['den', 'attic']) await ann.post('', { act: { kind: 'keep', keepMs: 1_000 } }, room);
    house.host.prune(100_000);
    await quiet();
    await house.open();
    // Nothing of it is deleted, but it is looked through again.
    house.host.prune(200_000);
    await quiet();
    const first = expect.any(Number);
    const subscribed = async (afterCursor: number, order: 'hello' | 'subscribe'): Promise<unknown> => {
      const peer = house.peer(ANN, 'Ann');
      const hello = (): void => peer.ask({ kind: 'hello', events: true });
      if (order === 'hello') hello();
      peer.ask({ kind: 'subscribe', afterCursor, fromNow: false });
      if (order === 'subscribe') hello();
      const told = (await peer.replies()).filter(({ kind }) => kind === 'roomGap' || kind === 'message');
      peer.handler.closed(ErrorCode.UNSPECIFIED);
      return told.map(reply =>
        reply.kind === 'roomGap'
          ? [reply.gap.room, reply.gap]
          : reply.kind === 'message'
            ? reply.place.cursor
            : 0,
      );
    };
    const gap = (room: string, afterCursor: number): unknown => [
      room,
      { afterCursor, firstCursor: first, room },
    ];
    expect(await subscribed(stays - 1, 'hello')).toEqual([
      gap('attic', stays - 1),
      gap('den', stays - 1),
      stays,
    ]);
    expect(await subscribed(stays, 'subscribe')).toEqual([gap('attic', stays), gap('den', stays)]);
    expect(await subscribed(lost + 2, 'hello')).toEqual([]);
    const deaf = house.peer(ANN, 'Ann');
    deaf.ask({ kind: 'subscribe', afterCursor: 0, fromNow: false });
    expect((await deaf.replies()).filter(({ kind }) => kind === 'roomGap')).toEqual([]);
    const page = async (peer: Peer, afterCursor: number, room: string): Promise<unknown> => {
      await peer.replies();
      peer.ask({ kind: 'history', afterCursor, limit: 10, room });
      const reply = (await peer.replies()).find(({ kind }) => kind === 'history');
      return reply?.kind === 'history' ? [reply.gap, reply.roomGaps.map(({ room: name }) => name)] : [];
    };
    expect(await page(deaf, 0, '')).toEqual([undefined, ['attic', 'den']]);
    expect(await page(deaf, 0, 'den')).toEqual([{ afterCursor: 0, firstCursor: first }, []]);
    expect(await page(deaf, lost + 2, 'den')).toEqual([undefined, []]);
    expect(await page(house.peer(BOB, 'Bob'), 0, '')).toEqual([undefined, []]);
  });
});

describe('what is missing of a closed room', () => {
  // CH-040~2
  test('is told to its people only', async () => {
    const [ann, bob] = [house.peer(ANN, 'Ann'), house.peer(BOB, 'Bob')];
    await ann.post('', CREATE, 'den');
    await ann.post('', { act: { kind: 'keep', keepMs: 1 } }, 'den');
    house.host.prune(100_000);
    await quiet();
    const gap = async (peer: Peer): Promise<unknown> => {
      await peer.replies();
      peer.ask({ kind: 'history', afterCursor: 0, limit: 10, room: 'den' });
      const [page] = await peer.replies();
      return page?.kind === 'history' ? page.gap : page;
    };
    expect(await gap(ann)).toMatchObject({ afterCursor: 0 });
    expect(await gap(bob)).toBeUndefined();
  });
});
