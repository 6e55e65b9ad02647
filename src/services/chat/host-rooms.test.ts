import { beforeEach, describe, expect, test } from 'vitest';
import { noble } from '../../crypto/noble.ts';
import { Role } from '../../gen/clawchat/v1/chat_pb.ts';
import { ErrorCode } from '../../gen/clawchat/v1/error_pb.ts';
import {
  DEVICE_INVITES_MAX,
  PERSON_DEVICES_MAX,
  PERSON_ROOMS_MAX,
  ROOM_PEOPLE_MAX,
} from '../../gen/constants.ts';
import { codeName } from '../../protocol/fault.ts';
import { hex } from '../../wire/bytes.ts';
import { isFault } from '../../wire/fault.ts';
import type { StreamHandler } from '../ports.ts';
import { ProbeStream } from '../testing/probe-stream.ts';
import { type ContentExtra, encodeContent } from './content.ts';
import { ChatHost } from './host.ts';
import { messageKey } from './message-log.ts';
import { type OperatorAct, peopleIn } from './operator.ts';
import { type ChatItem, parseReply, type Reply } from './reply.ts';
import { encodeRequest, type RequestBody } from './request.ts';
import { ProbeDatabase } from './testing/probe.ts';

const id = (fill: number): Uint8Array => new Uint8Array(16).fill(fill);
const [ANN, BOB, CAT, DAN] = [id(0xaa), id(0xbb), id(0xcc), id(0xdd)];
const X = id(1);
const settle = (): Promise<void> => new Promise(resolve => setImmediate(resolve));

let database: ProbeDatabase;
let host: ChatHost;
let devices: Map<string, string>;
let ids = 0;

function openHost(): Promise<ChatHost> {
  return ChatHost.open({
    database,
    suite: noble,
    alarm: () => {},
    enrolled: device => devices.get(device),
    failed: reason => expect(reason).toBeUndefined(),
    inviteDevice: async name => ({ id: '77'.repeat(16), text: `invite for ${name}`, expiresAtMs: 9 }),
  });
}

/** One device's stream, which posts in its own outbox. */
class Peer {
  readonly stream = new ProbeStream();
  readonly handler: StreamHandler;
  readonly #outbox: Uint8Array;
  #asked = 0;
  #posted = 0;
  wallMs = 1_000;

  constructor(device: Uint8Array, name: string, outbox: Uint8Array = device) {
    this.#outbox = outbox;
    this.handler = host.serve(this.stream, { deviceId: device, name });
    this.ask({ kind: 'outboxOpen', outboxId: outbox });
  }

  ask(body: RequestBody): void {
    this.#asked += 1;
    this.handler.message(encodeRequest(this.#asked, body), this.wallMs);
  }

  async replies(): Promise<readonly Reply['body'][]> {
    await settle();
    await settle();
    return this.stream.take().map(message => {
      const reply = parseReply(message);
      if (isFault(reply)) throw new Error(reply.detail);
      return reply.body;
    });
  }

  /** Post and give the cursor, or the name of the refusal. */
  async post(text: string, extra: ContentExtra = {}, room: string = 'lobby'): Promise<number | string> {
    await this.replies();
    return this.begin(text, extra, room)();
  }

  /** Post, and give what waits for the answer. */
  begin(text: string, extra: ContentExtra = {}, room: string = 'lobby'): () => Promise<number | string> {
    ids += 1;
    const messageId = new Uint8Array(16);
    new DataView(messageId.buffer).setUint32(0, ids);
    this.#posted += 1;
    const content = encodeContent({ messageId, room, text, sentAtMs: 1, ...extra });
    this.ask({ kind: 'post', outboxId: this.#outbox, number: this.#posted, content });
    return async () => {
      const result = (await this.replies()).find(({ kind }) => kind === 'postResult');
      if (result?.kind !== 'postResult') throw new Error('no result');
      const { code, cursor } = result.outcome;
      return code === ErrorCode.UNSPECIFIED ? cursor : codeName(code);
    };
  }

  async history(
    room: string = '',
    search: string = '',
    beforeCursor: number = 9e15,
  ): Promise<readonly ChatItem[]> {
    await this.replies();
    this.ask({ kind: 'backwards', beforeCursor, limit: 10, room, search });
    const page = (await this.replies()).find(({ kind }) => kind === 'history');
    return page?.kind === 'history' ? page.places.flatMap(({ item }) => (item ? [item] : [])) : [];
  }

  async rooms(): Promise<readonly string[]> {
    await this.replies();
    this.ask({ kind: 'rooms' });
    const list = (await this.replies()).find(({ kind }) => kind === 'rooms');
    return list?.kind === 'rooms' ? list.rooms.map(({ name, role }) => `${name} ${role}`) : [];
  }
}

beforeEach(async () => {
  database = new ProbeDatabase();
  devices = new Map(
    [ANN, BOB, CAT, DAN].map((device, i) => [hex(device), ['Ann', 'Bob', 'Cat', 'Dan'][i] ?? '']),
  );
  host = await openHost();
});

const revoke = async (device: Uint8Array): Promise<void> => {
  devices.delete(hex(device));
  const operations = await host.revoke(device);
  await database.commit(operations());
};

describe('rooms', () => {
  // CH-040~2, CH-041~2
  test('that are closed are there for their people only', async () => {
    const [ann, bob] = [new Peer(ANN, 'Ann'), new Peer(BOB, 'Bob')];
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
    host = await openHost();
    expect(await new Peer(BOB, 'Bob').rooms()).toEqual([`den ${Role.GUEST}`, `lobby ${Role.MEMBER}`]);
    expect(await new Peer(CAT, 'Cat').rooms()).toEqual([`lobby ${Role.MEMBER}`]);
  });

  // CH-056~1
  test('are made only with names that can be shown as they stand', async () => {
    const ann = new Peer(ANN, 'Ann');
    for (const name of ['a\nb', 'den\u202e', 'de\u200bn', '\u001b[2J', ' den', 'den\u3000', 'a\u2028b']) {
      expect(await ann.post('', CREATE, name), JSON.stringify(name)).toBe('MESSAGE_MALFORMED');
    }
    expect(await ann.post('', CREATE, 'the Café')).toBeTypeOf('number');
    expect(await ann.rooms()).toEqual([`lobby ${Role.MEMBER}`, `the Café ${Role.OWNER}`]);
  });

  // CH-041~2
  test('let each do what the role allows', async () => {
    const [ann, bob] = [new Peer(ANN, 'Ann'), new Peer(BOB, 'Bob')];
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
    const ann = new Peer(ANN, 'Ann');
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

const CREATE: ContentExtra = { act: { kind: 'create', topic: '', closed: true } };
const REMOVE: ContentExtra = { act: { kind: 'remove' } };
/** Everything that was set off has ended. */
const quiet = async (): Promise<void> => {
  for (let i = 0; i < 20; i += 1) await settle();
};

describe('a room that is deleted', () => {
  const onDisk = (): string =>
    [...database.values].map(([key, value]) => `${key} ${new TextDecoder().decode(value)}`).join('\n');

  // CH-052~1, CH-053~1, CH-041~2
  test('is no more for anybody, with all that was said in it', async () => {
    const [ann, bob, cat] = [new Peer(ANN, 'Ann'), new Peer(BOB, 'Bob'), new Peer(CAT, 'Cat')];
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
      { kind: 'roomGap', gap: { afterCursor: 0, firstCursor: cursor + 1, room: 'den' } },
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
    host = await openHost();
    const again = new Peer(BOB, 'Bob', X);
    again.ask({ kind: 'outboxReplace', outboxId: X });
    expect(await again.post('', CREATE, 'den')).toBeTypeOf('number');
    expect((await again.history('den')).map(({ text, act }) => act?.kind ?? text)).toEqual(['create']);
    expect(await new Peer(ANN, 'Ann').rooms()).toEqual([`lobby ${Role.MEMBER}`]);
  });

  // CH-052~1, CH-053~1
  test('is so also when old messages are looked for at that instant', async () => {
    const [ann, bob] = [new Peer(ANN, 'Ann'), new Peer(BOB, 'Bob')];
    await ann.post('', CREATE, 'den');
    await ann.post('', { act: { kind: 'grant', personId: BOB, role: Role.MEMBER } }, 'den');
    bob.ask({ kind: 'hello', events: true });
    await bob.replies();
    const commit = database.commit.bind(database);
    database.commit = operations => settle().then(() => commit(operations));
    ann.wallMs = 100_000;
    const cursor = Number(await ann.post('', REMOVE, 'den'));
    expect(await bob.replies()).toMatchObject([{ kind: 'roomGap', gap: { firstCursor: cursor + 1 } }]);
    await quiet();
    expect(onDisk()).not.toMatch(/den/);
  });

  // CH-053~1
  test('stays so when the host dies at any write', async () => {
    const ann = new Peer(ANN, 'Ann');
    await ann.post('', CREATE, 'den');
    for (let n = 0; n < 70; n += 1) await ann.post(`secret ${n}`, {}, 'den');
    const disks: ReadonlyMap<string, Uint8Array>[] = [];
    const commit = database.commit.bind(database);
    database.commit = async operations => {
      await commit(operations);
      if (operations.length > 0) disks.push(new Map(database.values));
    };
    const removed = Number(await ann.post('', REMOVE, 'den'));
    await quiet();
    expect(disks.length).toBeGreaterThan(1);
    for (const [i, disk] of disks.entries()) {
      database = new ProbeDatabase(disk);
      host = await openHost();
      const after = new Peer(ANN, 'Ann', X);
      after.ask({ kind: 'outboxReplace', outboxId: X });
      expect(await after.rooms(), `write ${i}`).toEqual([`lobby ${Role.MEMBER}`]);
      expect(await after.history('den')).toEqual([]);
      if (i === 0) expect(await after.post('', CREATE, 'den')).toBe('ROOM_EXISTS');
      host.prune(100_000);
      await quiet();
      expect(onDisk()).not.toMatch(/secret|den/);
      expect(await after.post('', CREATE, 'den')).toBeTypeOf('number');
    }
    // The last cursor of the history was deleted, and does not come again.
    database = new ProbeDatabase(disks.at(-1));
    host = await openHost();
    const later = new Peer(BOB, 'Bob');
    later.wallMs = 1;
    expect(await later.post('later')).toBeGreaterThan(removed);
  });

  // CH-041~2
  test('makes room for another one of the same person, who has so many and no more', async () => {
    let ann = new Peer(ANN, 'Ann');
    for (let n = 0; n < PERSON_ROOMS_MAX; n += 1) await ann.post('', CREATE, `room ${n}`);
    expect(await ann.post('', CREATE, 'more')).toBe('ROOM_LIMIT');
    // Whoever gives a room away has made it all the same.
    await ann.post('', { act: { kind: 'grant', personId: BOB, role: Role.OWNER } }, 'room 0');
    await ann.post('', { act: { kind: 'leave' } }, 'room 0');
    host = await openHost();
    ann = new Peer(ANN, 'Ann', X);
    ann.ask({ kind: 'outboxReplace', outboxId: X });
    expect(await ann.post('', CREATE, 'more')).toBe('ROOM_LIMIT');
    expect(await new Peer(BOB, 'Bob').post('', CREATE, 'of Bob')).toBeTypeOf('number');
    expect(await ann.post('', REMOVE, 'room 1')).toBeTypeOf('number');
    expect(await ann.post('', CREATE, 'more')).toBeTypeOf('number');
    expect(await ann.post('', CREATE, 'and more')).toBe('ROOM_LIMIT');
  });
});

describe('whoever is none of its people any more', () => {
  // CH-058~1
  test('is told so by a closed room, and nobody else is', async () => {
    const [ann, bob, cat] = [new Peer(ANN, 'Ann'), new Peer(BOB, 'Bob'), new Peer(CAT, 'Cat')];
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
    expect(await gaps(bob)).toEqual([{ afterCursor: 0, firstCursor: cursor + 1, room: 'den' }]);
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
      gap: { afterCursor: 0, firstCursor: cursor + 1, room: 'den' },
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
    const ann = new Peer(ANN, 'Ann');
    for (const room of ['den', 'attic', 'cellar']) await ann.post('', CREATE, room);
    const stays = Number(await ann.post('stays'));
    const lost = Number(await ann.post('goes', {}, 'den'));
    for (const room of ['den', 'attic']) await ann.post('', { act: { kind: 'keep', keepMs: 1_000 } }, room);
    host.prune(100_000);
    await quiet();
    host = await openHost();
    // Nothing of it is deleted, but it is looked through again.
    host.prune(200_000);
    await quiet();
    const first = expect.any(Number);
    const subscribed = async (afterCursor: number, order: 'hello' | 'subscribe'): Promise<unknown> => {
      const peer = new Peer(ANN, 'Ann');
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
    const deaf = new Peer(ANN, 'Ann');
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
    expect(await page(new Peer(BOB, 'Bob'), 0, '')).toEqual([undefined, []]);
  });
});

describe('what is missing of a closed room', () => {
  // CH-040~2
  test('is told to its people only', async () => {
    const [ann, bob] = [new Peer(ANN, 'Ann'), new Peer(BOB, 'Bob')];
    await ann.post('', CREATE, 'den');
    await ann.post('', { act: { kind: 'keep', keepMs: 1 } }, 'den');
    host.prune(100_000);
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

describe('a room whose owner is gone', () => {
  // CH-051~1
  test("is the member's with the lowest id, and guests do not inherit", async () => {
    const ann = new Peer(ANN, 'Ann');
    const grant = (personId: Uint8Array, role: Role): ContentExtra => ({
      act: { kind: 'grant', personId, role },
    });
    for (const room of ['den', 'attic']) {
      await ann.post('', { act: { kind: 'create', topic: '', closed: true } }, room);
    }
    await ann.post('', grant(CAT, Role.MEMBER), 'den');
    await ann.post('', grant(BOB, Role.MEMBER), 'den');
    await ann.post('', grant(BOB, Role.GUEST), 'attic');
    await revoke(ANN);
    const expected = [`attic ${Role.GUEST}`, `den ${Role.OWNER}`, `lobby ${Role.MEMBER}`];
    expect(await new Peer(BOB, 'Bob').rooms()).toEqual(expected);
    host = await openHost();
    expect(await new Peer(BOB, 'Bob').rooms()).toEqual(expected);
    expect(await new Peer(CAT, 'Cat').rooms()).toEqual([`den ${Role.MEMBER}`, `lobby ${Role.MEMBER}`]);
  });
});

describe('an id that is no person', () => {
  const grant = (personId: Uint8Array, role: Role): ContentExtra => ({
    act: { kind: 'grant', personId, role },
  });

  // CH-055~1
  test('is given no role, whoever asks', async () => {
    const ann = new Peer(ANN, 'Ann');
    await ann.post('', CREATE, 'den');
    for (const nobody of [id(0), id(0x99)]) {
      for (const role of [Role.OWNER, Role.MEMBER, Role.GUEST, Role.BOT]) {
        expect(await ann.post('', grant(nobody, role), 'den')).toBe('PERSON_UNKNOWN');
      }
      expect(await ann.post('', grant(nobody, Role.UNSPECIFIED), 'den')).toBeTypeOf('number');
      const act: OperatorAct = { kind: 'grant', personId: nobody, role: Role.OWNER };
      expect((await host.operate(id(0xee), 'den', act, 5_000)).code).toBe(ErrorCode.PERSON_UNKNOWN);
    }
    expect(await ann.post('', { act: { kind: 'leave' } }, 'den')).toBe('ROOM_FORBIDDEN');
    // The second device of a person is none either; the person stays one without the first.
    ann.ask({ kind: 'deviceInvite', name: 'phone' });
    await ann.replies();
    const phone = id(0xab);
    devices.set(hex(phone), 'phone');
    await database.commit(host.people.claimed('77'.repeat(16), hex(phone), 'phone'));
    expect(await ann.post('', grant(phone, Role.MEMBER), 'den')).toBe('PERSON_UNKNOWN');
    const bob = new Peer(BOB, 'Bob');
    await bob.post('', CREATE, 'attic');
    await revoke(ANN);
    expect(await bob.post('', grant(ANN, Role.MEMBER), 'attic')).toBeTypeOf('number');
    await revoke(phone);
    expect(await bob.post('', grant(ANN, Role.GUEST), 'attic')).toBe('PERSON_UNKNOWN');
  });

  // CH-055~1, CH-051~1
  test('owns and inherits nothing where it has a role from before', async () => {
    let ann = new Peer(ANN, 'Ann');
    for (const room of ['den', 'attic']) await ann.post('', CREATE, room);
    await ann.post('', grant(BOB, Role.MEMBER), 'den');
    await ann.post('', grant(CAT, Role.OWNER), 'attic');
    await ann.post('', grant(DAN, Role.MEMBER), 'attic');
    // Such ids stand in the database of an older host.
    for (const { parts } of host.rooms.all.filter(({ name }) => name !== 'lobby')) {
      const [own] = [...parts.values()];
      if (own === undefined) throw new Error('nobody');
      parts.set(hex(id(0)), { ...own, role: Role.MEMBER });
      parts.set(hex(id(0x99)), own);
    }
    devices.delete(hex(CAT));
    expect(await ann.post('', { act: { kind: 'leave' } }, 'attic')).toBe('ROOM_FORBIDDEN');
    ann.ask({ kind: 'people', room: 'den' });
    const list = (await ann.replies()).find(({ kind }) => kind === 'people');
    if (list?.kind !== 'people') throw new Error('no list');
    // Bob has not said hello, nor has Ann.
    expect(list.people.map(({ name, role }) => [name, role])).toEqual([
      ['Ann', Role.OWNER],
      ['Bob', Role.MEMBER],
    ]);
    await revoke(ANN);
    const owners = host.rooms.all.map(room => host.rooms.having(room, Role.OWNER));
    expect(owners).toEqual([[hex(DAN)], [hex(BOB)], []]);
    ann = new Peer(DAN, 'Dan');
    expect(await ann.rooms()).toEqual([`attic ${Role.OWNER}`, `lobby ${Role.MEMBER}`]);
  });
});

describe('the operator', () => {
  const operate = async (room: string, act: OperatorAct): Promise<number | string> => {
    const { code, cursor } = await host.operate(id(0xee), room, act, 5_000);
    return code === ErrorCode.UNSPECIFIED ? cursor : codeName(code);
  };
  const own = (personId: Uint8Array): OperatorAct => ({ kind: 'grant', personId, role: Role.OWNER });
  const onDisk = (): string =>
    [...database.values.values()].map(value => new TextDecoder().decode(value)).join();

  // CH-054~1, CH-052~1, CH-053~1
  test('deletes a room whose owner is gone, as an owner would', async () => {
    const [ann, bob, cat] = [new Peer(ANN, 'Ann'), new Peer(BOB, 'Bob'), new Peer(CAT, 'Cat')];
    await ann.post('', CREATE, 'den');
    await ann.post('', { act: { kind: 'grant', personId: BOB, role: Role.GUEST } }, 'den');
    for (let n = 0; n < 40; n += 1) await ann.post(`secret ${n}`, {}, 'den');
    await ann.post('of the lobby');
    await revoke(ANN);
    for (const peer of [bob, cat]) peer.ask({ kind: 'hello', events: true });
    for (const peer of [bob, cat]) peer.ask({ kind: 'subscribe', afterCursor: 0, fromNow: true });
    for (const peer of [bob, cat]) await peer.replies();
    const cursor = Number(await operate('den', { kind: 'remove' }));
    // When that is said it is true.
    expect(onDisk()).not.toMatch(/secret|den/);
    expect(onDisk()).toContain('of the lobby');
    expect(await bob.replies()).toEqual([
      { kind: 'roomGap', gap: { afterCursor: 0, firstCursor: cursor + 1, room: 'den' } },
    ]);
    expect(await cat.replies()).toEqual([]);
    expect(await operate('den', { kind: 'remove' })).toBe('ROOM_UNKNOWN');
    expect(await operate('lobby', { kind: 'remove' })).toBe('ROOM_FORBIDDEN');
    host = await openHost();
    expect(await new Peer(BOB, 'Bob').rooms()).toEqual([`lobby ${Role.MEMBER}`]);
  });

  // CH-054~1
  test('gives a room an owner, and its people read who did it', async () => {
    const [ann, bob] = [new Peer(ANN, 'Ann'), new Peer(BOB, 'Bob')];
    await ann.post('', CREATE, 'den');
    await ann.post('', { act: { kind: 'grant', personId: BOB, role: Role.GUEST } }, 'den');
    await revoke(ANN);
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
    host = await openHost();
    expect(await new Peer(CAT, 'Cat').rooms()).toEqual([`den ${Role.OWNER}`, `lobby ${Role.MEMBER}`]);
    const parts = host.rooms.get('den')?.parts;
    const [part] = parts?.values() ?? [];
    for (let n = parts?.size ?? 0; part !== undefined && n < ROOM_PEOPLE_MAX; n += 1) {
      parts?.set(n.toString(16).padStart(32, '0'), part);
    }
    expect(await operate('den', own(DAN))).toBe('ROOM_LIMIT');
  });

  // CH-054~1, CH-047~3
  test('says how long messages are kept, also in the lobby', async () => {
    const ann = new Peer(ANN, 'Ann');
    await ann.post('old');
    expect(await operate('lobby', { kind: 'keep', keepMs: 1_000 })).toBeTypeOf('number');
    expect(await operate('lobby', { kind: 'keep', keepMs: 1_000 })).toBe(0);
    host = await openHost();
    host.prune(100_000);
    await quiet();
    expect(onDisk()).not.toContain('old');
  });

  test('is told how much there is to delete', async () => {
    const [ann, bob] = [new Peer(ANN, 'Ann'), new Peer(BOB, 'Bob')];
    await ann.post('', CREATE, 'den');
    const cursors: number[] = [];
    for (let n = 0; n < 40; n += 1) cursors.push(Number(await ann.post(`in the den ${n}`, {}, 'den')));
    await ann.post('changed', { edits: cursors[0] ?? 0 }, 'den');
    await ann.post('', { act: { kind: 'delete', cursor: cursors[1] ?? 0 } }, 'den');
    bob.wallMs = 70_000;
    await bob.post('of the lobby');
    const counts = await host.log.count(() => true);
    expect([...counts].sort()).toEqual([
      ['den', { messages: 39, lastAtMs: 1_000 }],
      ['lobby', { messages: 1, lastAtMs: 70_000 }],
    ]);
    const den = host.rooms.all.find(({ name }) => name === 'den');
    expect(den && [host.rooms.having(den, Role.OWNER), peopleIn(host.rooms, den)]).toEqual([[hex(ANN)], 1]);
  });
});

describe('what a room does not keep', () => {
  // CH-047~3
  test('is deleted while nobody posts, all of it, and cleared out of the files', async () => {
    const ann = new Peer(ANN, 'Ann');
    await ann.post('', { act: { kind: 'create', topic: '', closed: false } }, 'den');
    for (let n = 0; n < 40; n += 1) await ann.post(`old ${n}`, {}, 'den');
    await ann.post('', { act: { kind: 'keep', keepMs: 1_000 } }, 'den');
    const kept = (): number =>
      [...database.values].filter(
        ([key, value]) => key.startsWith('chat/message/') && new TextDecoder().decode(value).includes('old '),
      ).length;
    const scrubbed: unknown[] = [];
    Object.assign(database, { scrub: async (range: unknown) => void scrubbed.push(range) });
    host = await openHost();
    expect(kept()).toBe(40);
    host.prune(100_000);
    for (let i = 0; i < 20; i += 1) await settle();
    expect(kept()).toBe(0);
    expect(scrubbed).toHaveLength(1);
    // Once more there is nothing to do, also after a restart.
    host = await openHost();
    host.prune(200_000);
    for (let i = 0; i < 20; i += 1) await settle();
    expect(scrubbed).toHaveLength(1);
  });

  test('stays when somebody says in time that it is kept', async () => {
    const ann = new Peer(ANN, 'Ann');
    await ann.post('', { act: { kind: 'create', topic: '', closed: false } }, 'den');
    await ann.post('old', {}, 'den');
    await ann.post('', { act: { kind: 'keep', keepMs: 1_000 } }, 'den');
    host.prune(100_000);
    const room = host.rooms.get('den');
    if (room !== undefined) room.keepMs = 0;
    for (let i = 0; i < 20; i += 1) await settle();
    expect((await ann.history('den')).map(({ text }) => text)).toContain('old');
  });
});

describe('messages', () => {
  // CH-042~3, CH-015~2
  test('that are edited or taken back are nowhere any more', async () => {
    const [ann, bob] = [new Peer(ANN, 'Ann'), new Peer(BOB, 'Bob')];
    const first = Number(await ann.post('pasword'));
    expect(await bob.post('mine', { edits: first })).toBe('MESSAGE_UNKNOWN');
    expect(await bob.post('', { act: { kind: 'delete', cursor: first } })).toBe('MESSAGE_UNKNOWN');
    const edit = Number(await ann.post('password', { edits: first }));
    await ann.post('passphrase', { edits: first });
    expect(await ann.post('no', { edits: edit })).toBe('MESSAGE_UNKNOWN');
    const texts = (await bob.history()).map(({ cursor, text }) => (cursor === first ? `>${text}` : text));
    expect(texts).toEqual(['>passphrase', 'passphrase']);
    const [shown] = await bob.history();
    expect(shown).toMatchObject({ cursor: first, deletedBy: 0 });
    await ann.post('', { act: { kind: 'delete', cursor: first } });
    const disk = [...database.values.values()].map(value => new TextDecoder().decode(value)).join();
    expect(disk).not.toMatch(/pas+word|passphrase/);
    expect((await bob.history())[0]).toMatchObject({ cursor: first, text: '', room: 'lobby' });
    expect(await ann.post('again', { edits: first })).toBe('MESSAGE_UNKNOWN');
  });

  // CH-042~3
  test('that do something are neither edited nor taken back, nor is one of another room', async () => {
    const ann = new Peer(ANN, 'Ann');
    const made = Number(await ann.post('', { act: { kind: 'create', topic: '', closed: false } }, 'den'));
    const said = Number(await ann.post('hi'));
    for (const cursor of [made, said]) {
      expect(await ann.post('else', { edits: cursor }, 'den')).toBe('MESSAGE_UNKNOWN');
      expect(await ann.post('', { act: { kind: 'delete', cursor } }, 'den')).toBe('MESSAGE_UNKNOWN');
    }
    expect((await ann.history()).map(({ text, deletedBy }) => [text, deletedBy])).toContainEqual(['hi', 0]);
  });

  // CH-042~3
  test('that are edited have the whole content of the edit', async () => {
    const ann = new Peer(ANN, 'Ann');
    const first = Number(await ann.post('a question'));
    const reply = Number(await ann.post('an anser', { replyTo: first }));
    const shown = async (): Promise<unknown> => {
      const { text, replyTo } = (await ann.history()).find(({ cursor }) => cursor === reply) ?? {};
      return [text, replyTo];
    };
    await ann.post('an answer', { replyTo: first, edits: reply });
    expect(await shown()).toEqual(['an answer', first]);
    await ann.post('a remark', { edits: reply });
    expect(await shown()).toEqual(['a remark', undefined]);
  });

  // CH-042~3
  test('that are taken back while somebody changes them stay so', async () => {
    const [ann, bob] = [new Peer(ANN, 'Ann'), new Peer(BOB, 'Bob')];
    await ann.post('', { act: { kind: 'create', topic: '', closed: false } }, 'den');
    const first = Number(await bob.post('one', {}, 'den'));
    const edit = Number(await bob.post('two', { edits: first }, 'den'));
    // The host has read the message, and not yet its last edit.
    const get = database.get.bind(database);
    let go = (): void => {};
    const held = new Promise<void>(resolve => {
      go = resolve;
    });
    let isFirst = true;
    database.get = async key => {
      const value = await get(key);
      if (isFirst && key === messageKey(edit)) {
        isFirst = false;
        await held;
      }
      return value;
    };
    const editing = bob.begin('three', { edits: first }, 'den');
    await quiet();
    await ann.post('', { act: { kind: 'delete', cursor: first } }, 'den');
    go();
    await quiet();
    expect(await editing()).toBe('MESSAGE_UNKNOWN');
    const disk = [...database.values.values()].map(value => new TextDecoder().decode(value)).join();
    expect(disk).not.toMatch(/one|two|three/);
  });

  // CH-043~3
  test('are found once, by the text that they have now, and never once they were taken back', async () => {
    const [ann, bob] = [new Peer(ANN, 'Ann'), new Peer(BOB, 'Bob')];
    const first = Number(await ann.post('an old needle'));
    const second = Number(await ann.post('hay'));
    const third = Number(await ann.post('a needle that goes'));
    const found = async (text: string): Promise<unknown> =>
      (await bob.history('lobby', text)).map(item => [item.cursor, item.text]);
    await ann.post('a needle', { edits: second });
    const edit = Number(await ann.post('hay again', { edits: first }));
    expect(await found('hay')).toEqual([[first, 'hay again']]);
    expect(await found('old')).toEqual([]);
    await ann.post('a newer needle', { edits: first });
    await ann.post('', { act: { kind: 'delete', cursor: third } });
    expect(await found('NEEDLE')).toEqual([
      [first, 'a newer needle'],
      [second, 'a needle'],
    ]);
    // Whoever reads without searching learns of each change.
    expect((await bob.history()).map(({ cursor }) => cursor)).toContain(edit + 1);
    await ann.post('', { act: { kind: 'delete', cursor: first } });
    expect(await found('newer')).toEqual([]);
  });

  // CH-043~3
  test('are found backwards, by text, within bounds', async () => {
    const ann = new Peer(ANN, 'Ann');
    for (let n = 1; n <= 30; n += 1) await ann.post(n % 10 === 0 ? `Needle ${n}` : `hay ${n}`);
    expect((await ann.history('', 'nEEdle')).map(({ text }) => text)).toEqual([
      'Needle 10',
      'Needle 20',
      'Needle 30',
    ]);
    const page = await ann.history('lobby');
    expect(page.map(({ text }) => text).at(0)).toBe('hay 21');
    expect((await ann.history('lobby', '', page[0]?.cursor)).map(({ text }) => text).at(-1)).toBe(
      'Needle 20',
    );
    expect(await ann.history('den')).toEqual([]);
  });

  // CH-043~3: the example of 11.5
  test('are read from the newest on by who knows no cursor', async () => {
    const ann = new Peer(ANN, 'Ann');
    const cursors: unknown[] = [];
    for (const text of ['one', 'two', 'three']) cursors.push(await ann.post(text));
    await ann.replies();
    const page = async (beforeCursor: number): Promise<unknown> => {
      ann.ask({ kind: 'backwards', beforeCursor, limit: 2, room: '', search: '' });
      const reply = (await ann.replies()).find(({ kind }) => kind === 'history');
      if (reply?.kind !== 'history') throw new Error('no page');
      expect(reply.throughCursor).toBe(beforeCursor - 1);
      return [reply.places.map(({ cursor }) => cursor), reply.more, reply.fromCursor];
    };
    expect(await page(Number.MAX_SAFE_INTEGER)).toEqual([cursors.slice(1), true, cursors[1]]);
    expect(await page(Number(cursors[1]))).toEqual([cursors.slice(0, 1), false, 1]);
  });

  // CH-048~2
  test('carry the name that their sender took', async () => {
    const ann = new Peer(ANN, 'Ann');
    await ann.post('before');
    await ann.post('', { act: { kind: 'rename', name: 'Anna' } });
    host = await openHost();
    const again = new Peer(ANN, 'Ann', X);
    again.ask({ kind: 'outboxReplace', outboxId: X });
    await again.post('after');
    const said = (await again.history()).map(({ name, text }) => `${name}: ${text}`);
    expect(said).toEqual(['Ann: before', 'Ann: ', 'Anna: after']);
  });
});

describe('beside messages', () => {
  // CH-039~1, CH-045~2
  test('marks grow, are one for all devices of a person, and hidden from others when asked', async () => {
    const [ann, bob, old] = [new Peer(ANN, 'Ann'), new Peer(BOB, 'Bob'), new Peer(CAT, 'Cat')];
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
    expect(await mark(0, 0, false)).toMatchObject([{ mark: { delivered: cursor, read: cursor } }]);
    expect(await mark(cursor + 99, cursor + 99, false)).toEqual([]);
    // Nobody has received of a room what is said in another one.
    await bob.post('', CREATE, 'den');
    expect(await mark(cursor + 99, cursor + 99, false)).toEqual([]);
    expect(await old.replies()).toEqual([]);
    const { personId } = { personId: hex(BOB) };
    expect(host.peopleOf(hex(ANN), 'lobby')?.find(person => hex(person.personId) === personId)?.read).toBe(
      cursor,
    );
  });

  // CH-046~2
  test('nothing waits for a full stream but the last word', async () => {
    const [ann, bob] = [new Peer(ANN, 'Ann'), new Peer(BOB, 'Bob')];
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
    const [ann, bob] = [new Peer(ANN, 'Ann'), new Peer(BOB, 'Bob')];
    bob.ask({ kind: 'deviceInvite', name: 'phone' });
    await bob.replies();
    await database.commit(host.people.claimed('77'.repeat(16), hex(CAT), 'phone'));
    const phone = new Peer(CAT, 'phone');
    for (const peer of [ann, bob, phone]) peer.ask({ kind: 'hello', events: true });
    await ann.replies();
    const lost = new Set<string>();
    const told = async (...devices: readonly Uint8Array[]): Promise<unknown> => {
      lost.clear();
      for (const device of devices) lost.add(hex(device));
      host.people.look(device => lost.has(device));
      const said = (await ann.replies()).flatMap(reply => (reply.kind === 'presence' ? [reply.online] : []));
      return [said, host.people.isOnline(hex(BOB))];
    };
    expect(await told(BOB)).toEqual([[], true]);
    expect(await told(BOB, CAT)).toEqual([[false], false]);
    expect(await told(BOB, CAT)).toEqual([[], false]);
    // Who says hello meanwhile is not told that they are here.
    const dan = new Peer(DAN, 'Dan');
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
    host = await ChatHost.open({
      database,
      suite: noble,
      alarm: () => {},
      enrolled: device => devices.get(device),
      failed: reason => expect(reason).toBeUndefined(),
      inviteDevice: async name => {
        if (name === 'unlucky') return ErrorCode.STORE_UNAVAILABLE;
        made += 1;
        return { id: made.toString(16).padStart(32, '0'), text: 'invite', expiresAtMs: 9 };
      },
    });
    const ann = new Peer(ANN, 'Ann');
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
      host.people.claimed(invite, hex(id(device)), 'phone');
      host.people.inviteGone(invite);
    }
    expect(await ask()).toBe('RATE_LIMITED');
    host.people.forget(hex(id(3)));
    expect(await ask()).toBe('deviceInvite');
  });

  // CH-048~2
  test('a person keeps the name of the first device when that is gone', async () => {
    const ann = new Peer(ANN, 'Ann');
    ann.ask({ kind: 'deviceInvite', name: 'phone' });
    await ann.replies();
    await database.commit(host.people.claimed('77'.repeat(16), hex(BOB), 'phone'));
    await new Peer(BOB, 'phone').post('one');
    await revoke(ANN);
    host = await openHost();
    const phone = new Peer(BOB, 'phone', X);
    phone.ask({ kind: 'outboxReplace', outboxId: X });
    await phone.post('two');
    expect((await phone.history()).map(({ name }) => name)).toEqual(['Ann', 'Ann']);
  });

  // CH-044~1
  test('a device that a person invited is that person', async () => {
    const ann = new Peer(ANN, 'Ann');
    ann.ask({ kind: 'deviceInvite', name: 'phone' });
    expect((await ann.replies()).at(-1)).toMatchObject({ kind: 'deviceInvite', invite: 'invite for phone' });
    await database.commit(host.people.claimed('77'.repeat(16), hex(BOB), 'phone'));
    host = await openHost();
    const phone = new Peer(BOB, 'phone');
    await phone.post('from the phone');
    expect((await phone.history()).map(({ personId }) => hex(personId))).toEqual([hex(ANN)]);
    const laptop = new Peer(ANN, 'Ann');
    const cursor = Number(await laptop.post('from the laptop'));
    expect(await phone.post('edited there', { edits: cursor })).toBeTypeOf('number');
  });
});
