/** What is told beside messages (spec/11-chat.md, 11.8). */
import { beforeEach, describe, expect, test } from 'vitest';
import { ErrorCode } from '../../gen/clawchat/v1/error_pb.ts';
import { DEVICE_INVITES_MAX, PERSON_DEVICES_MAX } from '../../gen/constants.ts';
import { codeName } from '../../protocol/fault.ts';
import { hex } from '../../wire/bytes.ts';
import type { Reply } from './reply.ts';
import { ANN, BOB, CAT, CREATE, DAN, House, id, X } from './testing/house.ts';

let house: House;

beforeEach(async () => {
  house = await House.made();
});

describe('beside messages', () => {
  // CH-039~1, CH-045~2
  test('marks grow, are one for all devices of a person, and hidden from others when asked', async () => {
    const [ann, bob, old] = [house.peer(ANN, 'Ann'), house.peer(BOB, 'Bob'), house.peer(CAT, 'Cat')];
    const cursor = Number(await ann.post('hi'));
    for (const peer of [ann, bob]) peer.ask({ kind: 'hello', events: true });
    await ann.replies();
    await old.replies();
    const mark = async (
      delivered: number,
      read: number,
      hidden: boolean,
    ): Promise<readonly Reply['body'][]> => {
      bob.ask({ kind: 'mark', room: 'lobby', delivered, read, hidden });
      return ann.replies();
    };
    expect(await mark(cursor, 0, false)).toMatchObject([{ mark: { delivered: cursor, read: 0 } }]);
    expect(await mark(cursor, cursor, true)).toEqual([]);
    // What came hidden stays so, until it comes otherwise.
    expect(await mark(0, 0, false)).toEqual([]);
    expect(await mark(0, cursor, false)).toMatchObject([{ mark: { delivered: cursor, read: cursor } }]);
    expect(await mark(cursor + 99, cursor + 99, false)).toEqual([]);
    // Nobody has received of a room what is said in another one.
    await bob.post('', CREATE, 'den');
    expect(await mark(cursor + 99, cursor + 99, false)).toEqual([]);
    expect(await old.replies()).toEqual([]);
    const { personId } = { personId: hex(BOB) };
    expect(
      house.host.telling.peopleOf(hex(ANN), 'lobby')?.find(person => hex(person.personId) === personId)?.read,
    ).toBe(cursor);
  });

  // CH-046~2
  test('nothing waits for a full stream but the last word', async () => {
    const [ann, bob] = [house.peer(ANN, 'Ann'), house.peer(BOB, 'Bob')];
    const cursors = [await ann.post('1'), await ann.post('2'), await ann.post('3')].map(Number);
    for (const peer of [ann, bob]) peer.ask({ kind: 'hello', events: true });
    await ann.replies();
    ann.stream.room = 1;
    for (const read of cursors) bob.ask({ kind: 'mark', room: 'lobby', delivered: 0, read, hidden: false });
    bob.ask({ kind: 'typing', room: 'lobby' });
    expect((await ann.replies()).map(({ kind }) => kind)).toEqual(['mark']);
    ann.stream.room = 9;
    ann.handler.writable();
    expect(await ann.replies()).toMatchObject([{ kind: 'mark', mark: { read: cursors[2] } }]);
    bob.wallMs += 5_000;
    bob.ask({ kind: 'typing', room: 'lobby' });
    bob.ask({ kind: 'typing', room: 'lobby' });
    expect((await ann.replies()).map(({ kind }) => kind)).toEqual(['typing']);
    bob.handler.closed(ErrorCode.UNSPECIFIED);
    expect(await ann.replies()).toMatchObject([{ kind: 'presence', online: false }]);
  });

  // CH-059~1
  test('a person is here while a device of theirs has a path', async () => {
    const [ann, bob] = [house.peer(ANN, 'Ann'), house.peer(BOB, 'Bob')];
    bob.ask({ kind: 'deviceInvite', name: 'phone' });
    await bob.replies();
    await house.database.commit(house.host.people.claimed('77'.repeat(16), hex(CAT), 'phone'));
    const phone = house.peer(CAT, 'phone');
    for (const peer of [ann, bob, phone]) peer.ask({ kind: 'hello', events: true });
    await ann.replies();
    const lost = new Set<string>();
    const told = async (...devices: readonly Uint8Array[]): Promise<unknown> => {
      lost.clear();
      for (const device of devices) lost.add(hex(device));
      house.host.people.look(device => lost.has(device));
      const said = (await ann.replies()).flatMap(reply => (reply.kind === 'presence' ? [reply.online] : []));
      return [said, house.host.people.isOnline(hex(BOB))];
    };
    expect(await told(BOB)).toEqual([[], true]);
    expect(await told(BOB, CAT)).toEqual([[false], false]);
    expect(await told(BOB, CAT)).toEqual([[], false]);
    // Who says hello meanwhile is not told that they are here.
    const dan = house.peer(DAN, 'Dan');
    dan.ask({ kind: 'hello', events: true });
    expect((await dan.replies()).filter(({ kind }) => kind === 'presence')).toMatchObject([
      { personId: ANN },
    ]);
    await ann.replies();
    expect(await told(BOB)).toEqual([[true], true]);
    // A stream that ends while it is away was counted out already.
    bob.handler.closed(ErrorCode.UNSPECIFIED);
    expect(await told()).toEqual([[], true]);
    phone.handler.closed(ErrorCode.UNSPECIFIED);
    expect(await told()).toEqual([[false], false]);
  });

  // CH-049~1
  test('a person has no more invites and devices than that, and trouble with one ends nothing', async () => {
    let made = 0;
    await house.open({
      inviteDevice: async name => {
        if (name === 'unlucky') return ErrorCode.STORE_UNAVAILABLE;
        made += 1;
        return { id: made.toString(16).padStart(32, '0'), text: 'invite', expiresAtMs: 9 };
      },
    });
    const ann = house.peer(ANN, 'Ann');
    const ask = async (name = 'phone'): Promise<string> => {
      await ann.replies();
      ann.ask({ kind: 'deviceInvite', name });
      const reply = (await ann.replies()).at(-1);
      return reply?.kind === 'refusal' ? codeName(reply.code) : (reply?.kind ?? 'nothing');
    };
    expect(await ask('unlucky')).toBe('STORE_UNAVAILABLE');
    for (let i = 0; i < DEVICE_INVITES_MAX; i += 1) expect(await ask()).toBe('deviceInvite');
    expect(await ask()).toBe('RATE_LIMITED');
    expect(made).toBe(DEVICE_INVITES_MAX);
    for (let device = 1; device < PERSON_DEVICES_MAX; device += 1) {
      const invite = device.toString(16).padStart(32, '0');
      if (device > DEVICE_INVITES_MAX) await ask();
      house.host.people.claimed(invite, hex(id(device)), 'phone');
      house.host.people.inviteGone(invite);
    }
    expect(await ask()).toBe('RATE_LIMITED');
    house.host.people.forget(hex(id(3)));
    expect(await ask()).toBe('deviceInvite');
  });

  // CH-048~2
  test('a person keeps the name of the first device when that is gone', async () => {
    const ann = house.peer(ANN, 'Ann');
    ann.ask({ kind: 'deviceInvite', name: 'phone' });
    await ann.replies();
    await house.database.commit(house.host.people.claimed('77'.repeat(16), hex(BOB), 'phone'));
    await house.peer(BOB, 'phone').post('one');
    await house.revoke(ANN);
    await house.open();
    const phone = house.peer(BOB, 'phone', X);
    phone.ask({ kind: 'outboxReplace', outboxId: X });
    await phone.post('two');
    expect((await phone.history()).map(({ name }) => name)).toEqual(['Ann', 'Ann']);
  });

  // CH-044~1
  test('a device that a person invited is that person', async () => {
    const ann = house.peer(ANN, 'Ann');
    ann.ask({ kind: 'deviceInvite', name: 'phone' });
    expect((await ann.replies()).at(-1)).toMatchObject({ kind: 'deviceInvite', invite: 'invite for phone' });
    await house.database.commit(house.host.people.claimed('77'.repeat(16), hex(BOB), 'phone'));
    await house.open();
    const phone = house.peer(BOB, 'phone');
    await phone.post('from the phone');
    expect((await phone.history()).map(({ personId }) => hex(personId))).toEqual([hex(ANN)]);
    const laptop = house.peer(ANN, 'Ann');
    const cursor = Number(await laptop.post('from the laptop'));
    expect(await phone.post('edited there', { edits: cursor })).toBeTypeOf('number');
  });
});
