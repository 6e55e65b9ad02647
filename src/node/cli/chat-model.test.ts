import { create, type MessageInitShape } from '@bufbuild/protobuf';
import { beforeEach, describe, expect, test } from 'vitest';
import { PersonSchema, Role, RoomSchema } from '../../gen/clawchat/v1/chat_pb.ts';
import { type ControlItem, ControlItemSchema } from '../../gen/clawchat/v1/control_pb.ts';
import { ChatModel, type Entry } from './chat-model.ts';

const id = (fill: number): Uint8Array => new Uint8Array(16).fill(fill);
const hexId = (fill: number): string => fill.toString(16).padStart(2, '0').repeat(16);
const [ANN, BOB, CAT, BOT] = [1, 2, 3, 4];

let model: ChatModel;

function people(
  ...marks: readonly (readonly [fill: number, delivered: number, read: number, role?: Role])[]
): void {
  const all = marks.map(([fill, delivered, read, role = Role.MEMBER]) =>
    create(PersonSchema, {
      personId: id(fill),
      name: `person ${fill}`,
      role,
      delivered: BigInt(delivered),
      read: BigInt(read),
    }),
  );
  model.setPeople('lobby', all);
}

function own(cursor: number, key = cursor): Entry {
  const entry = model.begin({
    id: hexId(key),
    room: 'lobby',
    text: `message ${cursor}`,
    atMs: 0,
    replyTo: 0,
  });
  if (cursor > 0) model.arrived(entry, cursor);
  return entry;
}

function item(
  cursor: number,
  from: number,
  extra: Omit<Exclude<MessageInitShape<typeof ControlItemSchema>, ControlItem>, '$typeName'> = {},
): ControlItem {
  return create(ControlItemSchema, {
    cursor: BigInt(cursor),
    room: 'lobby',
    personId: id(from),
    deviceId: id(from),
    name: `person ${from}`,
    messageId: id(100 + cursor),
    text: `text ${cursor}`,
    ...extra,
  });
}

beforeEach(() => {
  model = new ChatModel();
  model.me = hexId(ANN);
  model.setRooms([create(RoomSchema, { name: 'lobby' })]);
});

describe('how far an own message has come, among three', () => {
  test.each([
    ['on its way', 0, [0, 0], [0, 0], 'sending'],
    ['with nobody else yet', 5, [0, 0], [4, 4], 'sent'],
    ['with one of two', 5, [5, 0], [4, 4], 'delivered 1/2'],
    ['with both', 5, [5, 0], [6, 4], 'delivered'],
    ['read by one of two', 5, [5, 5], [5, 0], 'read 1/2'],
    ['read by one, not even there for the other', 5, [5, 5], [0, 0], 'read 1/2'],
    ['read by both', 5, [5, 5], [9, 9], 'read'],
  ] as const)('%s', (_name, cursor, bob, cat, state) => {
    people([ANN, 9, 9], [BOB, ...bob], [CAT, ...cat]);
    expect(model.state(own(cursor, 77))).toBe(state);
  });

  test('a bot is nobody to wait for, and one who is alone is not read', () => {
    people([ANN, 9, 9], [BOB, 5, 5], [BOT, 0, 0, Role.BOT]);
    expect(model.state(own(5))).toBe('read');
    people([ANN, 9, 9], [BOT, 9, 9, Role.BOT]);
    expect(model.state(own(6))).toBe('sent');
  });

  test('each state is shown at the newest message that has it', () => {
    people([ANN, 9, 9], [BOB, 3, 2], [CAT, 3, 2]);
    const entries = [1, 2, 3, 4, 0].map((cursor, i) => own(cursor, 50 + i));
    expect(entries.map(entry => model.shownState(entry))).toEqual([
      '',
      'read',
      'delivered',
      'sent',
      'sending',
    ]);
    model.refused(entries[4] as Entry, 'no such room');
    expect(entries.map(entry => model.shownState(entry)).slice(3)).toEqual([
      'sent',
      'not sent: no such room',
    ]);
  });
});

test('an own message has its name once, also while it is on its way and somebody is called alike', () => {
  model.learnName(hexId(ANN), 'Ann');
  model.learnName(hexId(BOB), '\u0410nn');
  const entry = own(0, 9);
  expect(model.nameOf(entry.person, entry.name)).toBe('Ann (0101)');
});

test('what is edited, taken back or replied to is the last one, and not the one before it', () => {
  const [first, failed] = [own(5), own(0, 6)];
  model.take(item(7, BOB));
  expect(model.find('other', undefined)?.cursor).toBe(7);
  expect(model.find('own', undefined)).toBe(failed);
  model.refused(failed, 'no such room');
  expect(model.find('own', undefined)).toBe(first);
  const last = own(8);
  expect([model.find('own', undefined), model.find('own', 5)]).toEqual([last, first]);
  last.deleted = true;
  expect(model.find('own', undefined)).toBe(first);
  expect(model.find('own', 8)).toBeUndefined();
});

test('whoever is let into a room is told so once, with the way there', () => {
  const grant = (to: number, role: Role, from = BOB): ControlItem =>
    item(10, from, {
      room: 'den',
      text: '',
      extra: { act: { case: 'grant', value: { personId: id(to), role } } },
    });
  expect(model.letIn(grant(ANN, Role.GUEST))).toBe('person 2 let you into den; to go there: /join den');
  const operators = { ...grant(ANN, Role.OWNER), deviceId: new Uint8Array(16) };
  expect(model.letIn(operators)).toBe('the operator let you into den; to go there: /join den');
  for (const other of [
    grant(CAT, Role.GUEST),
    grant(ANN, Role.UNSPECIFIED),
    grant(ANN, Role.BOT, ANN),
    item(11, BOB),
  ])
    expect(model.letIn(other)).toBeUndefined();
  model.setRooms([create(RoomSchema, { name: 'den', role: Role.GUEST })]);
  expect(model.letIn(grant(ANN, Role.MEMBER))).toBeUndefined();
});

describe('messages', () => {
  test('stand in the order of the host, whatever comes first', () => {
    const mine = own(0, 110);
    model.take(item(20, BOB));
    expect(model.take(item(10, ANN, { messageId: id(110) }))).toMatchObject({ isNew: false });
    expect(model.entries.map(({ cursor }) => cursor)).toEqual([10, 20]);
    expect([mine.cursor, model.pending.size]).toEqual([10, 0]);
    model.takePast([item(3, BOB), item(10, ANN), item(5, CAT)]);
    expect(model.entries.map(({ cursor }) => cursor)).toEqual([3, 5, 10, 20]);
  });

  test('change when they are edited or taken back, and only then', () => {
    model.take(item(10, BOB));
    expect(model.take(item(11, BOB, { text: 'better', extra: { edits: 10n } }))?.isNew).toBe(false);
    expect(model.entries).toMatchObject([{ cursor: 10, text: 'better', edited: true }]);
    model.take(item(12, BOB, { text: '', extra: { act: { case: 'delete', value: { cursor: 10n } } } }));
    expect(model.entries).toMatchObject([{ cursor: 10, deleted: true }]);
  });
});
