/** Whose a room is, and what its host's operator does (spec/11-chat.md, 11.3). */
import { beforeEach, describe, expect, test } from 'vitest';
import { Role } from '../../gen/clawchat/v1/chat_pb.ts';
import { ErrorCode } from '../../gen/clawchat/v1/error_pb.ts';
import { ROOM_PEOPLE_MAX } from '../../gen/constants.ts';
import { codeName } from '../../protocol/fault.ts';
import { hex } from '../../wire/bytes.ts';
import type { ContentExtra } from './content.ts';
import { type OperatorAct, peopleIn, survey } from './operator.ts';
import { ANN, BOB, CAT, CREATE, DAN, House, id, REMOVE, X } from './testing/house.ts';
import { quiet } from './testing/settle.ts';

let house: House;

beforeEach(async () => {
  house = await House.made();
});

describe('a room whose owner is gone', () => {
  // CH-051~2
  test("is the member's with the lowest id, and guests do not inherit", async () => {
    const ann = house.peer(ANN, 'Ann');
    const grant = (personId: Uint8Array, role: Role): ContentExtra => ({
      act: { kind: 'grant', personId, role },
    });
    for (const room of ['den', 'attic']) {
      await ann.post('', { act: { kind: 'create', topic: '', closed: true } }, room);
    }
    await ann.post('', grant(CAT, Role.MEMBER), 'den');
    await ann.post('', grant(BOB, Role.MEMBER), 'den');
    await ann.post('', grant(BOB, Role.GUEST), 'attic');
    await house.revoke(ANN);
    const expected = [`attic ${Role.GUEST}`, `den ${Role.OWNER}`, `lobby ${Role.MEMBER}`];
    expect(await house.peer(BOB, 'Bob').rooms()).toEqual(expected);
    await house.open();
    expect(await house.peer(BOB, 'Bob').rooms()).toEqual(expected);
    expect(await house.peer(CAT, 'Cat').rooms()).toEqual([`den ${Role.MEMBER}`, `lobby ${Role.MEMBER}`]);
  });

  // CH-051~2, CH-017~1, CH-040~2
  test('tells its people whose it is, and nobody else', async () => {
    const [ann, bob, cat] = [house.peer(ANN, 'Ann'), house.peer(BOB, 'Bob'), house.peer(CAT, 'Cat')];
    await ann.post('', CREATE, 'den');
    await ann.post('', { act: { kind: 'grant', personId: BOB, role: Role.MEMBER } }, 'den');
    for (const peer of [bob, cat]) peer.ask({ kind: 'subscribe', afterCursor: 0, fromNow: true });
    for (const peer of [bob, cat]) await peer.replies();
    house.database.hold();
    const revoked = house.revoke(ANN);
    expect(await bob.replies()).toEqual([]);
    house.database.release();
    await revoked;
    const act = { kind: 'grant', personId: BOB, role: Role.OWNER };
    const told = { deviceId: id(0), personId: id(0), name: 'operator', room: 'den', act };
    expect(await bob.replies()).toMatchObject([{ kind: 'message', place: { item: told } }]);
    expect(await cat.replies()).toEqual([]);
    for (let turn = 0; turn < 2; turn += 1) {
      const history = await house.peer(BOB, 'Bob', X).history('den');
      expect(history.at(-1)).toMatchObject(told);
      await house.open();
    }
  });

  // CH-051~2
  test('tells nothing while somebody is left to own it, or nobody to inherit it', async () => {
    const [ann, bob] = [house.peer(ANN, 'Ann'), house.peer(BOB, 'Bob')];
    for (const room of ['den', 'attic']) await ann.post('', CREATE, room);
    await ann.post('', { act: { kind: 'grant', personId: BOB, role: Role.OWNER } }, 'den');
    await ann.post('', { act: { kind: 'grant', personId: BOB, role: Role.GUEST } }, 'attic');
    bob.ask({ kind: 'subscribe', afterCursor: 0, fromNow: true });
    await bob.replies();
    await house.revoke(ANN);
    expect(await bob.replies()).toEqual([]);
  });
});

describe('an id that is no person', () => {
  const grant = (personId: Uint8Array, role: Role): ContentExtra => ({
    act: { kind: 'grant', personId, role },
  });

  // CH-055~1
  test('is given no role, whoever asks', async () => {
    const ann = house.peer(ANN, 'Ann');
    await ann.post('', CREATE, 'den');
    for (const nobody of [id(0), id(0x99)]) {
      for (const role of [Role.OWNER, Role.MEMBER, Role.GUEST, Role.BOT]) {
        expect(await ann.post('', grant(nobody, role), 'den')).toBe('PERSON_UNKNOWN');
      }
      expect(await ann.post('', grant(nobody, Role.UNSPECIFIED), 'den')).toBeTypeOf('number');
      const act: OperatorAct = { kind: 'grant', personId: nobody, role: Role.OWNER };
      expect((await house.host.operate(id(0xee), 'den', act, 5_000)).code).toBe(ErrorCode.PERSON_UNKNOWN);
    }
    expect(await ann.post('', { act: { kind: 'leave' } }, 'den')).toBe('ROOM_FORBIDDEN');
    // The second device of a person is none either; the person stays one without the first.
    ann.ask({ kind: 'deviceInvite', name: 'phone' });
    await ann.replies();
    const phone = id(0xab);
    house.devices.set(hex(phone), 'phone');
    await house.database.commit(house.host.people.claimed('77'.repeat(16), hex(phone), 'phone'));
    expect(await ann.post('', grant(phone, Role.MEMBER), 'den')).toBe('PERSON_UNKNOWN');
    const bob = house.peer(BOB, 'Bob');
    await bob.post('', CREATE, 'attic');
    await house.revoke(ANN);
    expect(await bob.post('', grant(ANN, Role.MEMBER), 'attic')).toBeTypeOf('number');
    await house.revoke(phone);
    expect(await bob.post('', grant(ANN, Role.GUEST), 'attic')).toBe('PERSON_UNKNOWN');
  });

  // CH-055~1, CH-051~2
  test('owns and inherits nothing where it has a role from before', async () => {
    let ann = house.peer(ANN, 'Ann');
    for (const room of ['den', 'attic']) await ann.post('', CREATE, room);
    await ann.post('', grant(BOB, Role.MEMBER), 'den');
    await ann.post('', grant(CAT, Role.OWNER), 'attic');
    await ann.post('', grant(DAN, Role.MEMBER), 'attic');
    // Such ids stand in the database of an older host.
    for (const { parts } of house.host.rooms.all.filter(({ name }) => name !== 'lobby')) {
      const [own] = [...parts.values()];
      if (own === undefined) throw new Error('nobody');
      parts.set(hex(id(0)), { ...own, role: Role.MEMBER });
      parts.set(hex(id(0x99)), own);
    }
    house.devices.delete(hex(CAT));
    expect(await ann.post('', { act: { kind: 'leave' } }, 'attic')).toBe('ROOM_FORBIDDEN');
    ann.ask({ kind: 'people', room: 'den' });
    const list = (await ann.replies()).find(({ kind }) => kind === 'people');
    if (list?.kind !== 'people') throw new Error('no list');
    // Bob has not said hello, nor has Ann.
    expect(list.people.map(({ name, role }) => [name, role])).toEqual([
      ['Ann', Role.OWNER],
      ['Bob', Role.MEMBER],
    ]);
    await house.revoke(ANN);
    const owners = house.host.rooms.all.map(room => house.host.rooms.having(room, Role.OWNER));
    expect(owners).toEqual([[hex(DAN)], [hex(BOB)], []]);
    ann = house.peer(DAN, 'Dan');
    expect(await ann.rooms()).toEqual([`attic ${Role.OWNER}`, `lobby ${Role.MEMBER}`]);
  });
});

describe('the operator', () => {
  const operate = async (room: string, act: OperatorAct): Promise<number | string> => {
    const { code, cursor } = await house.host.operate(id(0xee), room, act, 5_000);
    return code === ErrorCode.UNSPECIFIED ? cursor : codeName(code);
  };
  const own = (personId: Uint8Array): OperatorAct => ({ kind: 'grant', personId, role: Role.OWNER });
  const onDisk = (): string =>
    [...house.database.values.values()].map(value => new TextDecoder().decode(value)).join();

  // CH-054~1, CH-052~1, CH-053~1
  test('deletes a room whose owner is gone, as an owner would', async () => {
    const [ann, bob, cat] = [house.peer(ANN, 'Ann'), house.peer(BOB, 'Bob'), house.peer(CAT, 'Cat')];
    await ann.post('', CREATE, 'den');
    await ann.post('', { act: { kind: 'grant', personId: BOB, role: Role.GUEST } }, 'den');
    for (let n = 0; n < 40; n += 1) await ann.post(`secret ${n}`, {}, 'den');
    await ann.post('of the lobby');
    await house.revoke(ANN);
    for (const peer of [bob, cat]) peer.ask({ kind: 'hello', events: true });
    for (const peer of [bob, cat]) peer.ask({ kind: 'subscribe', afterCursor: 0, fromNow: true });
    for (const peer of [bob, cat]) await peer.replies();
    const cursor = Number(await operate('den', { kind: 'remove' }));
    // When that is said it is true.
    expect(onDisk()).not.toMatch(/secret|den/);
    expect(onDisk()).toContain('of the lobby');
    expect(await bob.replies()).toEqual([
      { kind: 'roomGap', gap: { afterCursor: 999, firstCursor: cursor + 1, room: 'den' } },
    ]);
    expect(await cat.replies()).toEqual([]);
    expect(await operate('den', { kind: 'remove' })).toBe('ROOM_UNKNOWN');
    expect(await operate('lobby', { kind: 'remove' })).toBe('ROOM_FORBIDDEN');
    await house.open();
    expect(await house.peer(BOB, 'Bob').rooms()).toEqual([`lobby ${Role.MEMBER}`]);
  });

  // CH-054~1
  test('gives a room an owner, and its people read who did it', async () => {
    const [ann, bob] = [house.peer(ANN, 'Ann'), house.peer(BOB, 'Bob')];
    await ann.post('', CREATE, 'den');
    await ann.post('', { act: { kind: 'grant', personId: BOB, role: Role.GUEST } }, 'den');
    await house.revoke(ANN);
    expect(await bob.post('', REMOVE, 'den')).toBe('ROOM_FORBIDDEN');
    bob.ask({ kind: 'subscribe', afterCursor: 0, fromNow: true });
    await bob.replies();
    const cursor = await operate('den', own(BOB));
    expect(await bob.replies()).toMatchObject([
      {
        kind: 'message',
        place: {
          cursor,
          item: { deviceId: id(0), personId: id(0), name: 'operator', room: 'den', act: own(BOB) },
        },
      },
    ]);
    expect(await operate('den', own(BOB))).toBe(0);
    expect(await operate('lobby', own(BOB))).toBe('ROOM_FORBIDDEN');
    expect(await operate('attic', own(BOB))).toBe('ROOM_UNKNOWN');
    expect(await bob.rooms()).toEqual([`den ${Role.OWNER}`, `lobby ${Role.MEMBER}`]);
    // Whoever has no part in it has one from then on.
    await operate('den', own(CAT));
    await house.open();
    expect(await house.peer(CAT, 'Cat').rooms()).toEqual([`den ${Role.OWNER}`, `lobby ${Role.MEMBER}`]);
    const parts = house.host.rooms.get('den')?.parts;
    const [part] = parts?.values() ?? [];
    for (let n = parts?.size ?? 0; part !== undefined && n < ROOM_PEOPLE_MAX; n += 1) {
      parts?.set(n.toString(16).padStart(32, '0'), part);
    }
    expect(await operate('den', own(DAN))).toBe('ROOM_LIMIT');
  });

  // CH-054~1, CH-047~3
  test('says how long messages are kept, also in the lobby', async () => {
    const ann = house.peer(ANN, 'Ann');
    await ann.post('old');
    expect(await operate('lobby', { kind: 'keep', keepMs: 1_000 })).toBeTypeOf('number');
    expect(await operate('lobby', { kind: 'keep', keepMs: 1_000 })).toBe(0);
    await house.open();
    house.host.prune(100_000);
    await quiet();
    expect(onDisk()).not.toContain('old');
  });

  test('is told how much there is to delete', async () => {
    const [ann, bob] = [house.peer(ANN, 'Ann'), house.peer(BOB, 'Bob')];
    await ann.post('', CREATE, 'den');
    const cursors: number[] = [];
    for (let n = 0; n < 40; n += 1) cursors.push(Number(await ann.post(`in the den ${n}`, {}, 'den')));
    await ann.post('changed', { edits: cursors[0] ?? 0 }, 'den');
    await ann.post('', { act: { kind: 'delete', cursor: cursors[1] ?? 0 } }, 'den');
    bob.wallMs = 70_000;
    await bob.post('of the lobby');
    const { counts } = await survey(house.host.log, house.host.rooms, () => true);
    expect([...counts].sort()).toEqual([
      ['den', { messages: 39, lastAtMs: 1_000 }],
      ['lobby', { messages: 1, lastAtMs: 70_000 }],
    ]);
    const den = house.host.rooms.all.find(({ name }) => name === 'den');
    expect(den && [house.host.rooms.having(den, Role.OWNER), peopleIn(house.host.rooms, den)]).toEqual([
      [hex(ANN)],
      1,
    ]);
  });
});
