/** Vectors: contents with their acts, requests and replies (spec/11-chat.md, 11.1, 11.2, 11.4, 11.5, 11.8). */
import { concat, zeros } from '../bytes.ts';
import type { Flag } from '../flags.ts';
import { lengthField as field, varintField as number } from '../protobuf.ts';
import { type Family, family, type Vector } from '../vector.ts';
import { replies, requests } from './chat-messages.ts';
import { outboxes } from './chat-outbox.ts';
import { histories } from './chat-pages.ts';
import { changes } from './chat-rewrites.ts';
import { HISTORIES } from './chat-stored.ts';
import { BIG, ID, PERSON, text, vector } from './chat-vector.ts';

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

/** Make the family. */
export function chat(): Family {
  return family(
    'chat',
    [
      'spec/11-chat.md#111-the-stream',
      'spec/11-chat.md#112-messages',
      'spec/11-chat.md#113-rooms',
      'spec/11-chat.md#114-posting-the-outbox',
      'spec/11-chat.md#115-reading-cursors',
      'spec/11-chat.md#118-people-and-what-is-told-beside-messages',
    ],
    'Contents with their acts, requests and replies: read, or refused. What a client does with its outbox. And what a host makes of a history: pages, marks, edits and deletions, names of rooms; and a reader of its messages.',
    [...contents(), ...requests(), ...replies(), ...outboxes(), ...histories(), ...changes()],
    HISTORIES,
  );
}
