/** Vectors: contents with their acts, and the messages beside posts (spec/11-chat.md, 11.1, 11.2, 11.8). */
import { concat, hex, stream, utf8, zeros } from '../bytes.ts';
import { readContent, readReply, readRequest } from '../chat.ts';
import type { Flag } from '../flags.ts';
import { lengthField as field, varintField as number } from '../protobuf.ts';
import { Refusal } from '../refusal.ts';
import { type Family, family, type JsonObject, type Vector } from '../vector.ts';

type What = 'content' | 'request' | 'reply';
const READ = { content: readContent, request: readRequest, reply: readReply } as const;
const REQ: Readonly<Record<What, readonly string[]>> = {
  content: ['CH-003~2'],
  request: ['CH-002~1'],
  reply: ['CH-007~1'],
};

function vector(
  what: What,
  name: string,
  bytes: Uint8Array,
  note: string,
  ...flags: readonly Flag[]
): Vector {
  const base = {
    id: `chat/${what}/${name}`,
    note,
    req: REQ[what],
    flags: flags.length > 0 ? flags : (['known-answer'] as const),
    phase: 'parse' as const,
    input: { what, bytes: hex(bytes) } satisfies JsonObject,
  };
  try {
    return { ...base, output: READ[what](bytes) };
  } catch (error) {
    if (error instanceof Refusal) return { ...base, error: error.code };
    throw error;
  }
}

const ID = stream('chat id', 16);
const PERSON = stream('chat person', 16);
const text = (id: number, value: string): Uint8Array => field(id, utf8(value));
const BIG = 2n ** 53n;

/** A content of these fields behind an id and a room. */
const content = (...fields: readonly Uint8Array[]): Uint8Array =>
  concat(field(1, ID), text(2, 'den'), ...fields);
const SENT = number(4, 1_795_000_000_000);

function contents(): readonly Vector[] {
  const one = (name: string, bytes: Uint8Array, note: string, ...flags: readonly Flag[]): Vector =>
    vector('content', name, bytes, note, ...flags);
  const act = (
    name: string,
    id: number,
    inner: Uint8Array,
    note: string,
    ...flags: readonly Flag[]
  ): Vector => one(`act/${name}`, content(field(id, inner)), note, ...flags);
  const grant = (person: Uint8Array, role: number): Uint8Array => concat(field(1, person), number(2, role));
  return [
    one('text', content(text(3, 'hi'), SENT), 'A text.'),
    one(
      'lines',
      content(text(3, 'one\ntwo\tthree\u0000')),
      'A text may hold any character.',
      'character-set',
    ),
    one('reply', content(text(3, 'yes'), number(5, 7)), 'A reply to the message at 7.'),
    one('edit', content(text(3, 'better'), number(6, 9)), 'The text that comes in the place of that at 9.'),
    one('longest', content(text(3, 'x'.repeat(32_768))), 'The longest text.', 'boundary'),
    one('too-long', content(text(3, 'x'.repeat(32_769))), 'One byte more.', 'boundary'),
    one(
      'filled-up',
      content(text(3, 'x'), field(99, zeros(33_100))),
      'Too long by what nobody knows.',
      'length',
    ),
    one('empty', content(SENT), 'Nothing is said and nothing done.', 'count'),
    one('later', content(field(16, zeros(0))), 'An act of a later version is none.', 'unknown-field'),
    one(
      'unknown',
      content(text(3, 'hi'), field(99, zeros(3))),
      'A field of a later version.',
      'unknown-field',
    ),
    one('no-id', concat(text(2, 'den'), text(3, 'hi')), 'Without an id.', 'length'),
    one(
      'long-id',
      concat(field(1, zeros(17)), text(2, 'den'), text(3, 'hi')),
      'An id of 17 bytes.',
      'length',
    ),
    one('no-room', concat(field(1, ID), text(3, 'hi')), 'Without a room.', 'length'),
    one(
      'room-64',
      concat(field(1, ID), text(2, 'é'.repeat(32)), text(3, 'hi')),
      'A room of 64 bytes.',
      'boundary',
    ),
    one(
      'room-65',
      concat(field(1, ID), text(2, `${'é'.repeat(32)}x`), text(3, 'hi')),
      'And of 65.',
      'boundary',
    ),
    one('utf-8', content(field(3, Uint8Array.of(0xc3, 0x28))), 'A text that is no UTF-8.', 'utf-8'),
    one('cut', content(text(3, 'hello')).slice(0, -1), 'The last byte is missing.', 'truncation'),
    one('big-time', content(text(3, 'hi'), number(4, BIG)), 'A time of 2^53.', 'range', 'big-number'),
    one('big-reply', content(text(3, 'hi'), number(5, BIG)), 'A reply to 2^53.', 'range', 'big-number'),
    one('most-reply', content(text(3, 'hi'), number(5, BIG - 1n)), 'A reply to 2^53 - 1.', 'boundary'),
    act('delete', 7, number(1, 9), 'Take back the message at 9.'),
    act('delete-nothing', 7, zeros(0), 'Without a cursor.', 'range'),
    act('create', 8, concat(text(1, 'about'), number(2, 1)), 'Make a closed room.'),
    act('create-open', 8, zeros(0), 'Make an open room that is about nothing.'),
    act('topic-256', 11, text(1, 't'.repeat(256)), 'The longest topic.', 'boundary'),
    act('topic-257', 11, text(1, 't'.repeat(257)), 'One byte more.', 'boundary'),
    act('join', 9, zeros(0), 'Join.'),
    act('leave', 10, zeros(0), 'Leave.'),
    act('remove', 15, zeros(0), 'Delete the room.'),
    act('grant', 12, grant(PERSON, 2), 'Make somebody a member.'),
    act('send-away', 12, field(1, PERSON), 'Send somebody away.'),
    act('grant-unknown', 12, grant(PERSON, 5), 'A role that there is not.', 'range'),
    act('grant-short', 12, grant(PERSON.slice(1), 2), 'A person of 15 bytes.', 'length'),
    act('keep', 13, number(1, 86_400_000), 'Keep messages for a day.'),
    act('keep-big', 13, number(1, BIG), 'For 2^53 ms.', 'range'),
    act('rename', 14, text(1, 'Änne'), 'Take another name.'),
    act('rename-64', 14, text(1, 'n'.repeat(64)), 'The longest name.', 'boundary'),
    act('rename-65', 14, text(1, 'n'.repeat(65)), 'One byte more.', 'boundary'),
    act('rename-empty', 14, zeros(0), 'No name.', 'length'),
    act('rename-bidi', 14, text(1, 'Ann\u202e'), 'A name that turns what follows around.', 'character-set'),
    act('rename-escape', 14, text(1, 'Ann\u001b[2J'), 'A name that clears a terminal.', 'character-set'),
    one('act/beside-text', content(text(3, 'hi'), field(9, zeros(0))), 'An act beside a text.', 'splice'),
    one('act/beside-edit', content(number(6, 9), field(9, zeros(0))), 'An act beside an edit.', 'splice'),
    one(
      'act/two',
      content(field(9, zeros(0)), field(10, zeros(0))),
      'Two acts: as one may stand, the last one counts.',
      'duplicate-field',
    ),
  ];
}

function requests(): readonly Vector[] {
  const one = (
    name: string,
    id: number,
    inner: Uint8Array,
    note: string,
    ...flags: readonly Flag[]
  ): Vector => vector('request', name, concat(number(1, 7), field(id, inner)), note, ...flags);
  const back = (...more: readonly Uint8Array[]): Uint8Array => concat(number(4, 900), ...more);
  return [
    one('hello', 9, number(1, 1), 'A hello of who wants to hear of people.'),
    one('mark', 10, concat(text(1, 'den'), number(2, 9), number(3, 7), number(4, 1)), 'A hidden mark.'),
    one('mark-nowhere', 10, number(2, 9), 'A mark without a room.', 'length'),
    one('mark-big', 10, concat(text(1, 'den'), number(3, BIG)), 'Read up to 2^53.', 'range'),
    one('typing', 11, text(1, 'den'), 'Somebody is writing.'),
    one('typing-65', 11, text(1, 'r'.repeat(65)), 'In a room whose name is too long.', 'boundary'),
    one('people', 12, text(1, 'den'), 'Who is there?'),
    one('people-nowhere', 12, zeros(0), 'Of no room.', 'length'),
    one('device-invite', 13, text(1, 'phone'), 'An invite for a phone.'),
    one('device-invite-65', 13, text(1, 'p'.repeat(65)), 'With a name that is too long.', 'boundary'),
    one('backwards', 7, back(number(2, 256), text(3, 'den')), 'The last messages before 900.'),
    one('search', 7, back(text(5, 'Needle')), 'The last ones that hold a text.'),
    one('search-256', 7, back(text(5, 's'.repeat(256))), 'The longest that can be searched for.', 'boundary'),
    one('search-257', 7, back(text(5, 's'.repeat(257))), 'One byte more.', 'boundary'),
    one('search-forwards', 7, text(5, 'Needle'), 'A search that goes forwards.', 'splice'),
    one('both-ways', 7, back(number(1, 5)), 'Behind one cursor and before another.', 'splice'),
    one('too-many', 7, back(number(2, 257)), 'More than a page.', 'range'),
    one('later', 99, zeros(0), 'A request of a later version.', 'unknown-field'),
  ];
}

function replies(): readonly Vector[] {
  const one = (
    name: string,
    id: number,
    inner: Uint8Array,
    note: string,
    ...flags: readonly Flag[]
  ): Vector => vector('reply', name, field(id, inner), note, ...flags);
  const who = field(1, PERSON);
  const person = (...more: readonly Uint8Array[]): Uint8Array =>
    field(1, concat(who, text(2, 'Ann'), ...more));
  const everybody = concat(...Array.from({ length: 1024 }, () => person()));
  return [
    one('welcome', 11, concat(who, number(2, 1), number(3, 1)), 'A host that can all of it.'),
    one('welcome-nobody', 11, number(2, 1), 'Without saying who.', 'length'),
    one('mark', 12, concat(who, text(2, 'den'), number(3, 9), number(4, 7)), 'How far somebody came.'),
    one('mark-nowhere', 12, concat(who, number(3, 9)), 'In no room.', 'length'),
    one('mark-big', 12, concat(who, text(2, 'den'), number(3, BIG)), 'Up to 2^53.', 'range'),
    one('typing', 13, concat(who, text(2, 'Ann'), text(3, 'den')), 'Ann is writing.'),
    one('typing-nobody', 13, concat(text(2, 'Ann'), text(3, 'den')), 'Nobody is writing.', 'length'),
    one('presence', 14, concat(who, text(2, 'Ann'), number(3, 1)), 'Ann came.'),
    one('presence-65', 14, concat(who, text(2, 'n'.repeat(65))), 'Somebody with a long name.', 'boundary'),
    one('room-gap', 16, concat(number(1, 5), number(2, 9), text(3, 'den')), 'Messages of a room are gone.'),
    one(
      'room-gap-none',
      16,
      concat(number(1, 9), number(2, 9), text(3, 'den')),
      'A gap of nothing.',
      'range',
    ),
    one('people', 15, concat(person(number(3, 1), number(4, 1)), person()), 'Two people.'),
    one('people-1024', 15, everybody, 'As many as there can be.', 'boundary'),
    one('people-1025', 15, concat(everybody, person()), 'One more.', 'count', 'boundary'),
    one('people-nobody', 15, field(1, text(2, 'Ann')), 'A person without an id.', 'length'),
    one('later', 99, zeros(0), 'A reply of a later version is passed over.', 'unknown-field'),
  ];
}

/** Make the family. */
export function chat(): Family {
  return family(
    'chat',
    [
      'spec/11-chat.md#112-messages',
      'spec/11-chat.md#113-rooms',
      'spec/11-chat.md#118-people-and-what-is-told-beside-messages',
    ],
    'Contents with their acts, and the requests and replies beside posts: read, or refused.',
    [...contents(), ...requests(), ...replies()],
  );
}
