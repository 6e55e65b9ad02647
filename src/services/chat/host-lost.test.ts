/** What stays closed when the record of a room is lost to damage (spec/11-chat.md, 11.3). */
import { beforeEach, describe, expect, test } from 'vitest';
import { Role } from '../../gen/clawchat/v1/chat_pb.ts';
import { codeName } from '../../protocol/fault.ts';
import { type OperatorAct, survey } from './operator.ts';
import { ANN, BOB, CAT, CREATE, House, id, type Peer, REMOVE, X } from './testing/house.ts';
import { quiet, settle } from './testing/settle.ts';

let house: House;
let ann: Peer;
const ROOM_KEYS = 'chat/room/';

/** A device that posts again in an outbox of its own, behind a restart. */
function again(device: Uint8Array, name: string): Peer {
  const peer = house.peer(device, name, X);
  peer.ask({ kind: 'outboxReplace', outboxId: X });
  return peer;
}

/** Lose the record of every room, as a repair that finds them damaged does. */
async function loseRooms(): Promise<void> {
  for (const key of house.database.values.keys()) {
    if (key.startsWith(ROOM_KEYS)) house.database.values.delete(key);
  }
  await house.open();
}

async function shown(peer: Peer): Promise<string> {
  peer.ask({ kind: 'subscribe', afterCursor: 0, fromNow: false });
  peer.ask({ kind: 'history', afterCursor: 0, limit: 200, room: '' });
  peer.ask({ kind: 'history', afterCursor: 0, limit: 200, room: 'den' });
  for (const room of ['', 'den']) {
    peer.ask({ kind: 'backwards', beforeCursor: 9e15, limit: 200, room, search: '' });
    peer.ask({ kind: 'backwards', beforeCursor: 9e15, limit: 200, room, search: 'secret' });
  }
  await settle();
  return JSON.stringify(await peer.replies());
}

beforeEach(async () => {
  house = await House.made();
  ann = house.peer(ANN, 'Ann');
  await ann.post('', CREATE, 'den');
  await ann.post('', { act: { kind: 'grant', personId: BOB, role: Role.MEMBER } }, 'den');
  await ann.post('secret', {}, 'den');
  await ann.post('of the lobby');
});

// CH-060~1
describe('the messages of a room whose record is lost', () => {
  test('are seen by nobody', async () => {
    await loseRooms();
    for (const [device, name] of [
      [ANN, 'Ann'],
      [BOB, 'Bob'],
      [CAT, 'Cat'],
    ] as const) {
      const seen = await shown(again(device, name));
      expect(seen).toContain('of the lobby');
      expect(seen).not.toMatch(/secret|den/);
    }
    expect(await again(ANN, 'Ann').post('more', {}, 'den')).toBe('ROOM_UNKNOWN');
  });

  test('are none of another room of that name, nor are its people', async () => {
    await loseRooms();
    const cat = again(CAT, 'Cat');
    expect(await cat.post('', { act: { kind: 'create', topic: '', closed: false } }, 'den')).toBeTypeOf(
      'number',
    );
    expect(await cat.post('of the new one', {}, 'den')).toBeTypeOf('number');
    for (let turn = 0; turn < 2; turn += 1) {
      expect(await again(BOB, 'Bob').rooms()).toEqual([`den ${Role.UNSPECIFIED}`, `lobby ${Role.MEMBER}`]);
      const seen = await shown(again(CAT, 'Cat'));
      expect(seen).toContain('of the new one');
      expect(seen).not.toContain('secret');
      await house.open();
    }
  });

  test('can be neither edited nor taken back', async () => {
    const cursor = Number(await ann.post('mine', {}, 'den'));
    await ann.post('later');
    await loseRooms();
    const late = again(ANN, 'Ann');
    expect(await late.post('', { act: { kind: 'delete', cursor } }, 'den')).toBe('ROOM_UNKNOWN');
    await late.post('', CREATE, 'den');
    expect(await late.post('', { act: { kind: 'delete', cursor } }, 'den')).toBe('MESSAGE_UNKNOWN');
    expect(await late.post('changed', { edits: cursor }, 'den')).toBe('MESSAGE_UNKNOWN');
  });
});

// CH-060~1, CH-054~1
describe('the operator of a host that lost the record of a room', () => {
  const lost = async (): Promise<readonly string[]> => {
    const { log, rooms } = house.host;
    return [...(await survey(log, rooms, () => true)).lost.keys()];
  };
  const operate = async (act: OperatorAct): Promise<string> =>
    codeName((await house.host.operate(id(0xee), 'den', act, 5_000)).code);

  test('gives it to somebody, who alone sees it', async () => {
    expect(await lost()).toEqual([]);
    await loseRooms();
    expect(await lost()).toEqual(['den']);
    expect(await operate({ kind: 'grant', personId: CAT, role: Role.OWNER })).toBe('UNSPECIFIED');
    for (let turn = 0; turn < 2; turn += 1) {
      expect(await lost()).toEqual([]);
      expect(await shown(again(CAT, 'Cat'))).toContain('secret');
      expect(await shown(again(ANN, 'Ann'))).not.toMatch(/secret|den/);
      await house.open();
    }
    expect(await again(CAT, 'Cat').rooms()).toEqual([`den ${Role.OWNER}`, `lobby ${Role.MEMBER}`]);
  });

  test('deletes it', async () => {
    await loseRooms();
    expect(await operate({ kind: 'remove' })).toBe('UNSPECIFIED');
    const left = [...house.database.values.values()].map(value => new TextDecoder().decode(value)).join();
    expect(left).toContain('of the lobby');
    expect(left).not.toMatch(/secret|den/);
    expect(await operate({ kind: 'remove' })).toBe('ROOM_UNKNOWN');
  });

  test('sees none in a room that goes while they look', async () => {
    for (let n = 0; n < 70; n += 1) await ann.post(`secret ${n}`, {}, 'den');
    const { database } = house;
    const range = database.range.bind(database);
    let isGone = false;
    database.range = async wanted => {
      const read = await range(wanted);
      if (!isGone) {
        isGone = true;
        await ann.post('', REMOVE, 'den');
        await quiet();
        expect(house.host.rooms.get('den')).toBeUndefined();
      }
      return read;
    };
    expect(await lost()).toEqual([]);
  });
});
