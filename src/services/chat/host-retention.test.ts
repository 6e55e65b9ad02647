/** What is deleted: rooms, and what they do not keep (spec/11-chat.md, 11.3). */
import { beforeEach, describe, expect, test } from 'vitest';
import { Role } from '../../gen/clawchat/v1/chat_pb.ts';
import { PERSON_ROOMS_MAX } from '../../gen/constants.ts';
import { ANN, BOB, CAT, CREATE, House, REMOVE, X } from './testing/house.ts';
import { ProbeDatabase } from './testing/probe.ts';
import { quiet, settle } from './testing/settle.ts';

let house: House;

beforeEach(async () => {
  house = await House.made();
});

describe('a room that is deleted', () => {
  const onDisk = (): string =>
    [...house.database.values].map(([key, value]) => `${key} ${new TextDecoder().decode(value)}`).join('\n');

  // CH-052~1, CH-053~1, CH-041~2
  test('is no more for anybody, with all that was said in it', async () => {
    const [ann, bob, cat] = [house.peer(ANN, 'Ann'), house.peer(BOB, 'Bob'), house.peer(CAT, 'Cat')];
    await ann.post('', CREATE, 'den');
    await ann.post('', { act: { kind: 'grant', personId: BOB, role: Role.MEMBER } }, 'den');
    const secret = Number(await ann.post('a secret', {}, 'den'));
    await bob.post('another secret', { replyTo: secret }, 'den');
    await ann.post('a secreted secret', { edits: secret }, 'den');
    await ann.post('of the lobby');
    expect(await bob.post('', REMOVE, 'den')).toBe('ROOM_FORBIDDEN');
    expect(await cat.post('', REMOVE, 'den')).toBe('ROOM_UNKNOWN');
    expect(await ann.post('', REMOVE, 'lobby')).toBe('ROOM_FORBIDDEN');
    for (const peer of [bob, cat]) peer.ask({ kind: 'hello', events: true });
    for (const peer of [bob, cat]) peer.ask({ kind: 'subscribe', afterCursor: 0, fromNow: true });
    for (const peer of [bob, cat]) await peer.replies();
    const cursor = Number(await ann.post('', REMOVE, 'den'));
    expect(await bob.replies()).toEqual([
      { kind: 'roomGap', gap: { afterCursor: 999, firstCursor: cursor + 1, room: 'den' } },
    ]);
    expect(await cat.replies()).toEqual([]);
    await quiet();
    expect(onDisk()).not.toMatch(/secret|den/);
    expect(onDisk()).toContain('of the lobby');
    for (const peer of [ann, bob, cat]) {
      expect(await peer.rooms()).toEqual([`lobby ${Role.MEMBER}`]);
      expect(await peer.post('knock', {}, 'den')).toBe('ROOM_UNKNOWN');
      expect(await peer.history('den')).toEqual([]);
    }
    // Nor does it come back with the next message elsewhere.
    await ann.post('of the lobby again');
    expect(onDisk()).not.toMatch(/secret|den/);
    // Whoever makes one of that name has an empty one.
    await house.open();
    const again = house.peer(BOB, 'Bob', X);
    again.ask({ kind: 'outboxReplace', outboxId: X });
    expect(await again.post('', CREATE, 'den')).toBeTypeOf('number');
    expect((await again.history('den')).map(({ text, act }) => act?.kind ?? text)).toEqual(['create']);
    expect(await house.peer(ANN, 'Ann').rooms()).toEqual([`lobby ${Role.MEMBER}`]);
  });

  // CH-052~1, CH-053~1
  test('is so also when old messages are looked for at that instant', async () => {
    const [ann, bob] = [house.peer(ANN, 'Ann'), house.peer(BOB, 'Bob')];
    await ann.post('', CREATE, 'den');
    await ann.post('', { act: { kind: 'grant', personId: BOB, role: Role.MEMBER } }, 'den');
    bob.ask({ kind: 'hello', events: true });
    await bob.replies();
    const commit = house.database.commit.bind(house.database);
    house.database.commit = operations => settle().then(() => commit(operations));
    ann.wallMs = 100_000;
    const cursor = Number(await ann.post('', REMOVE, 'den'));
    expect(await bob.replies()).toMatchObject([{ kind: 'roomGap', gap: { firstCursor: cursor + 1 } }]);
    await quiet();
    expect(onDisk()).not.toMatch(/den/);
  });

  // CH-053~1
  test('stays so when the host dies at any write', async () => {
    const ann = house.peer(ANN, 'Ann');
    await ann.post('', CREATE, 'den');
    for (let n = 0; n < 70; n += 1) await ann.post(`secret ${n}`, {}, 'den');
    const disks: ReadonlyMap<string, Uint8Array>[] = [];
    const commit = house.database.commit.bind(house.database);
    house.database.commit = async operations => {
      await commit(operations);
      if (operations.length > 0) disks.push(new Map(house.database.values));
    };
    const removed = Number(await ann.post('', REMOVE, 'den'));
    await quiet();
    expect(disks.length).toBeGreaterThan(1);
    for (const [i, disk] of disks.entries()) {
      house.database = new ProbeDatabase(disk);
      await house.open();
      const after = house.peer(ANN, 'Ann', X);
      after.ask({ kind: 'outboxReplace', outboxId: X });
      expect(await after.rooms(), `write ${i}`).toEqual([`lobby ${Role.MEMBER}`]);
      expect(await after.history('den')).toEqual([]);
      if (i === 0) expect(await after.post('', CREATE, 'den')).toBe('ROOM_EXISTS');
      house.host.prune(100_000);
      await quiet();
      expect(onDisk()).not.toMatch(/secret|den/);
      expect(await after.post('', CREATE, 'den')).toBeTypeOf('number');
    }
    // The last cursor of the history was deleted, and does not come again.
    house.database = new ProbeDatabase(disks.at(-1));
    await house.open();
    const later = house.peer(BOB, 'Bob');
    later.wallMs = 1;
    expect(await later.post('later')).toBeGreaterThan(removed);
  });

  // CH-041~2
  test('makes room for another one of the same person, who has so many and no more', async () => {
    let ann = house.peer(ANN, 'Ann');
    for (let n = 0; n < PERSON_ROOMS_MAX; n += 1) await ann.post('', CREATE, `room ${n}`);
    expect(await ann.post('', CREATE, 'more')).toBe('ROOM_LIMIT');
    // Whoever gives a room away has made it all the same.
    await ann.post('', { act: { kind: 'grant', personId: BOB, role: Role.OWNER } }, 'room 0');
    await ann.post('', { act: { kind: 'leave' } }, 'room 0');
    await house.open();
    ann = house.peer(ANN, 'Ann', X);
    ann.ask({ kind: 'outboxReplace', outboxId: X });
    expect(await ann.post('', CREATE, 'more')).toBe('ROOM_LIMIT');
    expect(await house.peer(BOB, 'Bob').post('', CREATE, 'of Bob')).toBeTypeOf('number');
    expect(await ann.post('', REMOVE, 'room 1')).toBeTypeOf('number');
    expect(await ann.post('', CREATE, 'more')).toBeTypeOf('number');
    expect(await ann.post('', CREATE, 'and more')).toBe('ROOM_LIMIT');
  });
});

describe('what a room does not keep', () => {
  // CH-047~3
  test('is deleted while nobody posts, all of it, and cleared out of the files', async () => {
    const ann = house.peer(ANN, 'Ann');
    await ann.post('', { act: { kind: 'create', topic: '', closed: false } }, 'den');
    for (let n = 0; n < 40; n += 1) await ann.post(`old ${n}`, {}, 'den');
    await ann.post('', { act: { kind: 'keep', keepMs: 1_000 } }, 'den');
    const kept = (): number =>
      [...house.database.values].filter(
        ([key, value]) => key.startsWith('chat/message/') && new TextDecoder().decode(value).includes('old '),
      ).length;
    const scrubbed: unknown[] = [];
    Object.assign(house.database, { scrub: async (range: unknown) => void scrubbed.push(range) });
    await house.open();
    expect(kept()).toBe(40);
    house.host.prune(100_000);
    for (let i = 0; i < 20; i += 1) await settle();
    expect(kept()).toBe(0);
    expect(scrubbed).toHaveLength(1);
    // Once more there is nothing to do, also after a restart.
    await house.open();
    house.host.prune(200_000);
    for (let i = 0; i < 20; i += 1) await settle();
    expect(scrubbed).toHaveLength(1);
  });

  test('stays when somebody says in time that it is kept', async () => {
    const ann = house.peer(ANN, 'Ann');
    await ann.post('', { act: { kind: 'create', topic: '', closed: false } }, 'den');
    await ann.post('old', {}, 'den');
    await ann.post('', { act: { kind: 'keep', keepMs: 1_000 } }, 'den');
    house.host.prune(100_000);
    const room = house.host.rooms.get('den');
    if (room !== undefined) room.keepMs = 0;
    for (let i = 0; i < 20; i += 1) await settle();
    expect((await ann.history('den')).map(({ text }) => text)).toContain('old');
  });
});
