/** Vectors: what is said on a chat stream (spec/11-chat.md, 11.1, 11.4, 11.5, 11.8). */
import { ErrorCode } from '../../../src/gen/clawchat/v1/error_pb.ts';
import { concat, hex, stream, unhex, zeros } from '../bytes.ts';
import type { Flag } from '../flags.ts';
import { contentHash } from '../labels.ts';
import { lengthField as field, varintField as number, varint } from '../protobuf.ts';
import type { Vector } from '../vector.ts';
import { BIG, ID, PERSON, text, vector } from './chat-vector.ts';

const OUTBOX = unhex('a0a1a2a3a4a5a6a7a8a9aaabacadaeaf');
const DEVICE = stream('chat device', 16);
const HASH = stream('chat hash', 32);
const OTHER = stream('chat other hash', 32);
const SENT = 1_795_000_000_000;
/** The content that is worked out in 11.2. */
const SAID = concat(
  field(1, unhex('000102030405060708090a0b0c0d0e0f')),
  text(2, 'lobby'),
  text(3, 'hi'),
  number(4, SENT),
);

const repeat = (count: number, bytes: Uint8Array): Uint8Array =>
  concat(...Array.from({ length: count }, () => bytes));
const rising = (count: number, at: (cursor: number) => Uint8Array): readonly Uint8Array[] =>
  Array.from({ length: count }, (_, i) => at(i + 1));
const entry = (serial: number, hash: Uint8Array): Uint8Array =>
  field(1, concat(number(1, serial), field(2, hash)));
const post = (serial: number | bigint, ...more: readonly Uint8Array[]): Uint8Array =>
  concat(field(1, OUTBOX), number(2, serial), ...more);

/** The first post of an outbox, which 11.2 works out. */
function posted(): Vector {
  const made = vector(
    'request',
    'post',
    concat(number(1, 2), field(5, post(1, field(3, SAID)))),
    'The first post of an outbox.',
  );
  return { ...made, debug: { content: hex(SAID), content_hash: hex(contentHash(SAID)) } };
}

/** What clients ask. */
export function requests(): readonly Vector[] {
  const one = (
    name: string,
    id: number,
    inner: Uint8Array,
    note: string,
    ...flags: readonly Flag[]
  ): Vector => vector('request', name, concat(number(1, 7), field(id, inner)), note, ...flags);
  const back = (...more: readonly Uint8Array[]): Uint8Array => concat(number(4, 900), ...more);
  return [
    posted(),
    one('outbox-open', 2, field(1, OUTBOX), 'What is known of this outbox?'),
    one('outbox-open-15', 2, field(1, OUTBOX.slice(1)), 'Of one with an id of 15 bytes.', 'length'),
    one('outbox-replace', 4, field(1, OUTBOX), 'Another outbox.'),
    one('outbox-replace-nothing', 4, zeros(0), 'Without an id.', 'length'),
    one('outbox-compare', 3, concat(entry(31, HASH), entry(32, OTHER)), 'Two posts without an answer.'),
    one('outbox-compare-none', 3, zeros(0), 'Nothing is without an answer.', 'count'),
    one('outbox-compare-1024', 3, repeat(1024, entry(9, HASH)), 'As many as there can be.', 'boundary'),
    one('outbox-compare-1025', 3, repeat(1025, entry(9, HASH)), 'One more.', 'count', 'boundary'),
    one('outbox-compare-0', 3, entry(0, HASH), 'A post with the number 0.', 'range'),
    one('outbox-compare-31', 3, entry(31, HASH.slice(1)), 'A hash of 31 bytes.', 'length'),
    one(
      'post-nothing',
      5,
      post(7),
      'An empty content: it is refused for good, and by its number.',
      'order-of-steps',
    ),
    one('post-0', 5, post(0, field(3, zeros(9))), 'The number 0.', 'range'),
    one('post-big', 5, post(BIG, field(3, zeros(9))), 'The number 2^53.', 'range', 'big-number'),
    one('post-nowhere', 5, concat(number(2, 7), field(3, zeros(9))), 'In no outbox.', 'length'),
    one('subscribe', 6, number(1, 1000), 'Everything behind 1000.'),
    one('subscribe-now', 6, number(2, 1), 'What comes from now on.'),
    one('subscribe-most', 6, number(1, BIG - 1n), 'Behind the highest cursor that there can be.', 'boundary'),
    one('subscribe-big', 6, number(1, BIG), 'Behind 2^53.', 'range', 'big-number'),
    one('rooms', 8, zeros(0), 'Which rooms are there?'),
    one('forwards', 7, concat(number(1, 1000), number(2, 50)), 'At most 50 messages behind 1000.'),
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

/** What hosts answer and push. */
export function replies(): readonly Vector[] {
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
  const message = (...more: readonly Uint8Array[]): Uint8Array =>
    concat(number(1, 1004), field(2, DEVICE), text(3, 'Ann'), number(4, SENT), ...more);
  const said = field(5, SAID);
  const page = (through: number | bigint, ...more: readonly Uint8Array[]): Uint8Array =>
    concat(...more, number(3, through));
  const at = (cursor: number): Uint8Array => field(1, concat(number(1, cursor), field(2, DEVICE), said));
  const gap = (after: number | bigint, first: number | bigint): Uint8Array =>
    concat(number(1, after), number(2, first));
  const roomGap = (after: number, first: number, of: string): Uint8Array =>
    concat(gap(after, first), text(3, of));
  const room = (...more: readonly Uint8Array[]): Uint8Array => field(1, concat(text(1, 'lobby'), ...more));
  return [
    one('outbox-state', 2, concat(field(1, OUTBOX), number(2, 9), field(3, HASH)), 'Nine posts are known.'),
    one('outbox-state-new', 2, field(1, OUTBOX), 'None is.'),
    one(
      'outbox-state-no-hash',
      2,
      concat(field(1, OUTBOX), number(2, 9)),
      'A number without a hash.',
      'length',
    ),
    one(
      'outbox-state-no-number',
      2,
      concat(field(1, OUTBOX), field(3, HASH)),
      'A hash without a number.',
      'length',
    ),
    one('outbox-state-nowhere', 2, concat(number(2, 9), field(3, HASH)), 'Of no outbox.', 'length'),
    one(
      'outbox-state-big',
      2,
      concat(field(1, OUTBOX), number(2, BIG), field(3, HASH)),
      'The number 2^53.',
      'range',
      'big-number',
    ),
    one(
      'outbox-stored',
      3,
      concat(field(1, HASH), field(1, OTHER), field(2, concat(varint(1004), varint(1010)))),
      'Two posts are stored; their cursors are packed.',
    ),
    one(
      'outbox-stored-unpacked',
      3,
      concat(field(1, HASH), field(1, OTHER), number(2, 1004), number(2, 1010)),
      'The same with a field for each cursor, which protobuf lets a writer do.',
      'wire-type',
    ),
    one('outbox-stored-none', 3, zeros(0), 'None is stored.', 'count'),
    one(
      'outbox-stored-fewer',
      3,
      concat(field(1, HASH), field(1, OTHER), number(2, 1004)),
      'A cursor is missing.',
      'count',
    ),
    one(
      'outbox-stored-more',
      3,
      concat(field(1, HASH), number(2, 1004), number(2, 1010)),
      'A hash is missing.',
      'count',
    ),
    one(
      'outbox-stored-31',
      3,
      concat(field(1, HASH.slice(1)), number(2, 1004)),
      'A hash of 31 bytes.',
      'length',
    ),
    one('outbox-stored-0', 3, concat(field(1, HASH), number(2, 0)), 'Stored at cursor 0.', 'range'),
    one(
      'outbox-stored-1025',
      3,
      concat(repeat(1025, field(1, HASH)), field(2, repeat(1025, varint(7)))),
      'More than can be asked for.',
      'count',
      'boundary',
    ),
    one('post-result', 4, concat(number(1, 7), number(3, 1004)), 'Post 7 is stored at 1004.'),
    one(
      'post-result-refused',
      4,
      concat(number(1, 7), number(2, ErrorCode.ROOM_UNKNOWN)),
      'It is refused for good.',
    ),
    one(
      'post-result-later-code',
      4,
      concat(number(1, 7), number(2, 60_000)),
      'It is refused for a reason of a later version.',
      'unknown-code',
    ),
    one('post-result-neither', 4, number(1, 7), 'It is neither stored nor refused.', 'range'),
    one(
      'post-result-both',
      4,
      concat(number(1, 7), number(2, ErrorCode.ROOM_UNKNOWN), number(3, 1004)),
      'It is both.',
      'splice',
    ),
    one('post-result-0', 4, number(3, 1004), 'A post with the number 0.', 'range'),
    one('post-result-big', 4, concat(number(1, 7), number(3, BIG)), 'Stored at 2^53.', 'range', 'big-number'),
    one('message', 5, message(said), 'Ann said something.'),
    one('message-edited', 5, message(said, number(7, 1013), field(9, ID)), 'It was edited at 1013.'),
    one(
      'message-deleted',
      5,
      message(number(8, 1013), field(9, ID), text(10, 'den')),
      'It was taken back at 1013.',
    ),
    one(
      'message-old-edit',
      5,
      message(number(7, 1013), field(9, ID), text(10, 'den')),
      'An edit that is not the last one any more.',
    ),
    one('message-person', 5, message(said, field(6, PERSON)), 'Said by the second device of a person.'),
    one(
      'message-operator',
      5,
      concat(number(1, 9), field(2, zeros(16)), text(3, 'operator'), said),
      'By the operator.',
    ),
    one(
      'message-garbage',
      5,
      message(field(5, zeros(3))),
      'A content that nobody can read is passed over.',
      'unknown-field',
    ),
    one(
      'message-odd-sender',
      5,
      concat(number(1, 1004), field(2, zeros(3)), text(3, 'n'.repeat(65)), number(4, BIG), said),
      'Device, name and time are not judged.',
      'length',
    ),
    one('message-0', 5, concat(field(2, DEVICE), said), 'At cursor 0.', 'range'),
    one('message-big', 5, concat(number(1, BIG), field(2, DEVICE), said), 'At 2^53.', 'range', 'big-number'),
    one(
      'message-person-15',
      5,
      message(said, field(6, PERSON.slice(1))),
      'By a person of 15 bytes.',
      'length',
    ),
    one(
      'message-id-15',
      5,
      message(number(8, 1013), field(9, ID.slice(1))),
      'With an id of 15 bytes.',
      'length',
    ),
    one('message-edited-big', 5, message(said, number(7, BIG)), 'Edited at 2^53.', 'range', 'big-number'),
    one('message-deleted-big', 5, message(number(8, BIG)), 'Taken back at 2^53.', 'range', 'big-number'),
    one(
      'message-room-65',
      5,
      message(number(8, 1013), text(10, 'r'.repeat(65))),
      'In a room with a long name.',
      'boundary',
    ),
    one('gap', 6, gap(5, 9), 'What was between 5 and 9 is gone.'),
    one('gap-begin', 6, gap(0, 1), 'A gap before the first message.', 'boundary'),
    one('gap-none', 6, gap(9, 9), 'A gap of nothing.', 'range'),
    one('gap-big', 6, gap(5, BIG), 'Up to 2^53.', 'range', 'big-number'),
    one('history', 7, page(1010, at(1004), at(1010), number(2, 1)), 'Two messages, and there are more.'),
    one('history-empty', 7, page(1300, number(2, 1)), 'Nothing up to 1300, and there may be more.'),
    one('history-gap', 7, page(1004, at(1004), field(4, gap(900, 1000))), 'What was before 1000 is gone.'),
    one(
      'history-backwards',
      7,
      page(1012, at(1004), at(1010), number(5, 1004)),
      'What was asked for before 1013.',
    ),
    one('history-256', 7, page(256, ...rising(256, at)), 'As many as there can be.', 'boundary'),
    one('history-257', 7, page(257, ...rising(257, at)), 'One more.', 'count', 'boundary'),
    one('history-falling', 7, page(1010, at(1010), at(1004)), 'The newest message first.', 'reorder'),
    one('history-twice', 7, page(1010, at(1004), at(1004)), 'One message twice.', 'replay'),
    one('history-beyond', 7, page(1009, at(1010)), 'A message beyond what was looked at.', 'range'),
    one('history-message-0', 7, page(9, field(1, said)), 'A message at cursor 0.', 'range'),
    one(
      'history-room-gaps',
      7,
      page(9, field(6, roomGap(5, 9, 'attic')), field(6, roomGap(5, 8, 'den'))),
      'Of two rooms something is gone.',
    ),
    one('history-room-gap-nowhere', 7, page(9, field(6, gap(5, 9))), 'Of no room.', 'length'),
    one('history-room-gap-none', 7, page(9, field(6, roomGap(9, 9, 'den'))), 'A gap of nothing.', 'range'),
    one(
      'history-room-gaps-257',
      7,
      page(9, ...rising(257, () => field(6, roomGap(5, 9, 'den')))),
      'Of more rooms than there can be.',
      'count',
      'boundary',
    ),
    one('history-gap-none', 7, page(9, field(4, gap(9, 9))), 'With a gap of nothing.', 'range'),
    one('history-big', 7, page(BIG), 'Up to 2^53.', 'range', 'big-number'),
    one('history-from-big', 7, page(9, number(5, BIG)), 'Back to 2^53.', 'range', 'big-number'),
    one(
      'rooms',
      8,
      concat(
        room(number(4, 2), number(6, 1010), number(7, 1004)),
        field(1, concat(text(1, 'den'), text(2, 'about'))),
      ),
      'Two rooms, in whatever order.',
    ),
    one('rooms-none', 8, zeros(0), 'No room, not even the lobby.', 'count'),
    one('rooms-256', 8, repeat(256, room()), 'As many as there can be.', 'boundary'),
    one('rooms-257', 8, repeat(257, room()), 'One more.', 'count', 'boundary'),
    one('rooms-no-name', 8, field(1, text(2, 'about')), 'A room without a name.', 'length'),
    one('rooms-topic-257', 8, room(text(2, 't'.repeat(257))), 'A topic that is too long.', 'boundary'),
    one('rooms-later-role', 8, room(number(4, 9)), 'A role of a later version.', 'unknown-code'),
    one('rooms-keep-big', 8, room(number(5, BIG)), 'Kept for 2^53 ms.', 'range', 'big-number'),
    one('rooms-last-big', 8, room(number(6, BIG)), 'A last message at 2^53.', 'range', 'big-number'),
    one('rooms-read-big', 8, room(number(7, BIG)), 'Read up to 2^53.', 'range', 'big-number'),
    one('refusal', 9, number(1, ErrorCode.OUTBOX_NUMBER), 'A request was refused.'),
    one('refusal-later-code', 9, number(1, 60_000), 'For a reason of a later version.', 'unknown-code'),
    one('refusal-no-code', 9, zeros(0), 'For no reason.', 'unknown-code'),
    one('caught-up', 10, number(1, 1300), 'That was everything up to 1300.'),
    one('caught-up-nothing', 10, zeros(0), 'There is nothing.'),
    one('caught-up-big', 10, number(1, BIG), 'Up to 2^53.', 'range', 'big-number'),
    one(
      'device-invite',
      17,
      concat(text(1, 'clawchat1x'), number(2, SENT)),
      'An invite; its text is not read here.',
    ),
    one('device-invite-16384', 17, text(1, 'x'.repeat(16_384)), 'The longest text.', 'boundary'),
    one('device-invite-16385', 17, text(1, 'x'.repeat(16_385)), 'One character more.', 'boundary'),
    one(
      'device-invite-big',
      17,
      concat(text(1, 'x'), number(2, BIG)),
      'It ends at 2^53.',
      'range',
      'big-number',
    ),
    one(
      'utf-8',
      13,
      concat(who, field(2, Uint8Array.of(0xc3, 0x28)), text(3, 'den')),
      'A name that is no UTF-8.',
      'utf-8',
    ),
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
