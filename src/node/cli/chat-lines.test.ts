import { create, type MessageInitShape } from '@bufbuild/protobuf';
import { fc, test } from '@fast-check/vitest';
import { describe, expect, vi } from 'vitest';
import { PersonSchema, Role, RoomSchema } from '../../gen/clawchat/v1/chat_pb.ts';
import { type ControlItem, ControlItemSchema } from '../../gen/clawchat/v1/control_pb.ts';
import { ErrorCode } from '../../gen/clawchat/v1/error_pb.ts';
import { failure } from '../failure.ts';
import { entryLines, inputRows, type Look, noteLines, rule } from './chat-lines.ts';
import { ChatModel } from './chat-model.ts';
import { report } from './command-line.ts';
import { messageText, Names } from './messages.ts';
import { columns } from './terminal-text.ts';

/** What somebody could write to do something to a terminal, among letters. */
const nasty = fc.string({
  unit: fc.oneof(
    fc.constantFrom('a', 'Z', ' ', '漢', '🙂', 'e\u0301'),
    fc.constantFrom(
      '\u001b[2J',
      '\u001b]0;title\u0007',
      '\u009b',
      '\r',
      '\n',
      '\t',
      '\b',
      '\u0000',
      '\u007f',
    ),
    fc.constantFrom(
      '\u202e',
      '\u2066',
      '\u200f',
      '\u200b',
      '\ufeff',
      '\u2028',
      '\u{e0041}',
      '\u0301'.repeat(9),
    ),
    fc.integer({ min: 0, max: 0x10ffff }).map(point => String.fromCodePoint(point)),
  ),
});
const OTHER = new Uint8Array(16).fill(8);
// Joiners and signs of number are part of how some scripts are written, and move nothing.
const isWritten = (point: number): boolean =>
  [0x200c, 0x200d, 0x06dd, 0x070f, 0x0890, 0x0891, 0x08e2, 0x110bd, 0x110cd].includes(point) ||
  (point >= 0x0600 && point <= 0x0605) ||
  (point >= 0x13430 && point <= 0x1343f);
const isHarmful = (letter: string): boolean =>
  /[\p{Cc}\p{Cf}\p{Zl}\p{Zp}\p{Cs}]/u.test(letter) && !isWritten(letter.codePointAt(0) ?? 0);

/** What the program itself sets colours with. */
const OWN_COLOUR = new RegExp(`${String.fromCharCode(0x1b)}\\[\\d*m`, 'g');

/** A line holds nothing that a terminal obeys but this program's own colours, and takes no more than the width. */
function expectHarmless(line: string, look: Look = { width: Number.POSITIVE_INFINITY, colour: false }): void {
  const plain = look.colour ? line.replace(OWN_COLOUR, '') : line;
  const harmful = [...plain].filter(isHarmful);
  expect(harmful.map(letter => letter.codePointAt(0)?.toString(16))).toEqual([]);
  expect(columns(plain)).toBeLessThanOrEqual(look.width);
}

type ItemInit = Exclude<MessageInitShape<typeof ControlItemSchema>, ControlItem>;

function items([name, room, text]: readonly [string, string, string]): readonly ControlItem[] {
  const does = (act: NonNullable<ItemInit['extra']>['act']): ItemInit => ({
    text: '',
    extra: { act } as never,
  });
  const inits: readonly ItemInit[] = [
    {},
    { extra: { replyTo: 1n } },
    does({ case: 'topic', value: { topic: text } }),
    does({ case: 'rename', value: { name: text } }),
    does({ case: 'create', value: { closed: true } }),
    does({ case: 'remove', value: {} }),
    does({ case: 'grant', value: { personId: OTHER, role: 2 } }),
  ];
  return inits.map((init, i) => {
    const messageId = new Uint8Array(16).fill(i);
    const base = { cursor: BigInt(i + 1), room, name, personId: OTHER, deviceId: OTHER, text, messageId };
    return create(ControlItemSchema, { ...base, ...init });
  });
}

describe('text from others does nothing to a terminal', () => {
  const look = fc.record({ width: fc.integer({ min: 20, max: 90 }), colour: fc.boolean() });

  test('with no heap of marks that is drawn over other lines', () => {
    const [line = ''] = noteLines([`a${'\u0301'.repeat(50)}b`], { width: 80, colour: false });
    expect(line).toBe(`* a${'\u0301'.repeat(4)}<301>b`);
  });

  test('in a note of several lines, which stand below each other', () => {
    const lines = noteLines(['not connected yet', 'last attempt: a\nb'], { width: 80, colour: false });
    expect(lines).toEqual(['* not connected yet', '  last attempt: a<0a>b']);
  });

  test.prop([fc.tuple(nasty, nasty, nasty), look])('in messages, replies, acts and names', (texts, how) => {
    const model = new ChatModel();
    model.setRooms([create(RoomSchema, { name: texts[1] })]);
    for (const item of items(texts)) {
      model.take(item);
      for (const line of messageText(item, person => person).split('\n'))
        expectHarmless(line.replaceAll('\t', ' '));
    }
    for (const entry of model.entries) {
      for (const line of entryLines(model, entry, how, true)) expectHarmless(line, how);
    }
  });

  test('with the names of those whom an act is about', async () => {
    let asked = 0;
    const names = new Names(async () => {
      asked += 1;
      return [create(PersonSchema, { personId: OTHER, name: 'Bob' })];
    });
    const grant = (role: Role): ControlItem =>
      create(ControlItemSchema, {
        name: 'Ann',
        personId: new Uint8Array(16).fill(7),
        deviceId: new Uint8Array(16).fill(7),
        extra: { act: { case: 'grant', value: { personId: OTHER, role } } },
      });
    const texts: string[] = [];
    for (const role of [Role.OWNER, Role.MEMBER, Role.UNSPECIFIED]) {
      await names.learn(grant(role));
      texts.push(messageText(grant(role), names.of).slice(6));
    }
    const expected = ['made Bob an owner', 'made Bob a member', 'sent Bob away'];
    expect([texts, asked]).toEqual([expected.map(text => `[] * Ann ${text}`), 1]);
    const operators = { ...grant(Role.OWNER), name: 'Ann', deviceId: new Uint8Array(16) };
    expect(messageText(operators, names.of)).toMatch(/\* the operator made Bob an owner$/);
    const older = new Names(() => Promise.reject(new Error('older')));
    await older.learn(grant(Role.BOT));
    expect(messageText(grant(Role.BOT), older.of)).toMatch(/made 08080808 a bot$/);
  });

  test.prop([nasty, look])('in headings, topics, the status, notes and errors of the host', (text, how) => {
    expectHarmless(rule(text, how), how);
    for (const line of noteLines([text, text], how)) expectHarmless(line, how);
    expect(noteLines([text, text], { width: Number.POSITIVE_INFINITY, colour: false })).toHaveLength(2);
    const wrote: string[] = [];
    const write = vi
      .spyOn(process.stderr, 'write')
      .mockImplementation(piece => wrote.push(String(piece)) > 0);
    report({ name: 'clawchat' }, failure(ErrorCode.ROOM_UNKNOWN, text), false);
    write.mockRestore();
    for (const line of wrote.join('').trimEnd().split('\n')) expectHarmless(line.replaceAll('\t', ' '));
  });

  test.prop([nasty, fc.nat(), look])(
    'in the line that is typed, and the cursor is in it',
    (text, at, how) => {
      const cursor = at % (text.length + 1);
      const { rows, row, column } = inputRows(text, cursor, how.width, 5);
      for (const line of rows) expectHarmless(line, { ...how, colour: false });
      expect(rows.length).toBeLessThanOrEqual(5);
      expect(row).toBeLessThan(rows.length);
      expect(column).toBeLessThan(how.width);
    },
  );
});
