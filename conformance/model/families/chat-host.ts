/** Vectors: pages, marks, edits and deletions, their display, and names of rooms (spec/11-chat.md, 11.2, 11.3, 11.5, 11.8). */
import { concat, EMPTY, hex, stream, utf8 } from '../bytes.ts';
import type { Flag } from '../flags.ts';
import { judgeChat } from '../judge/chat.ts';
import { lengthField as field, varintField as number } from '../protobuf.ts';
import type { JsonObject, Vector } from '../vector.ts';
import { text } from './chat-vector.ts';

const [ANN, BOB, CAT] = ['ann', 'bob', 'cat'].map(name => stream(`chat host ${name}`, 16)) as [
  Uint8Array,
  Uint8Array,
  Uint8Array,
];
const [OWNER, MEMBER, GUEST] = [1, 2, 3];
const idOf = (cursor: number): Uint8Array => stream(`chat host message ${cursor}`, 16);

interface Said {
  readonly room?: string;
  readonly edits?: number;
  readonly by?: Uint8Array;
}

/** A content whose id is that of the message at this cursor. */
function content(cursor: number, said: string, { room = 'lobby', edits = 0 }: Said = {}): Uint8Array {
  return concat(
    field(1, idOf(cursor)),
    text(2, room),
    text(3, said),
    ...(edits > 0 ? [number(6, edits)] : []),
  );
}

/** A content with an act. */
function acting(cursor: number, act: number, inner: Uint8Array, room = 'lobby'): Uint8Array {
  return concat(field(1, idOf(cursor)), text(2, room), field(act, inner));
}

/** A ChatMessage, with other fields behind its content. */
function stored(
  cursor: number,
  inner: Uint8Array,
  by: Uint8Array,
  ...fields: readonly Uint8Array[]
): Uint8Array {
  return concat(
    number(1, cursor),
    field(2, by),
    text(3, by === ANN ? 'Ann' : by === BOB ? 'Bob' : 'Cat'),
    number(4, cursor),
    ...(inner.length > 0 ? [field(5, inner)] : []),
    ...fields,
  );
}

const said = (cursor: number, words: string, more: Said = {}): Uint8Array =>
  stored(cursor, content(cursor, words, more), more.by ?? ANN);

type Roles = readonly (readonly [Uint8Array, number])[];
const room = (name: string, closed: boolean, roles: Roles = [], keptFrom = 0, gone = 0): JsonObject => ({
  name,
  closed,
  roles: roles.map(([person, role]) => ({ person: hex(person), role })),
  kept_from: keptFrom,
  gone,
});

const LOBBY = room('lobby', false);
const DEN = room(
  'den',
  true,
  [
    [ANN, OWNER],
    [BOB, GUEST],
  ],
  1002,
);

function one(
  what: string,
  name: string,
  note: string,
  req: readonly string[],
  input: JsonObject,
  ...flags: readonly Flag[]
): Vector {
  const given = { what, ...input };
  const { output, error } = judgeChat(given, HISTORIES, new Map());
  return {
    id: `chat/${what}/${name}`,
    note,
    req,
    flags: flags.length > 0 ? flags : ['known-answer'],
    phase: 'state',
    input: given,
    ...(output && { output }),
    ...(error && { error }),
  };
}

/** The lobby and a closed room; 1004 was edited by 1013, 1005 taken back by 1015, 1012 is an edit that was itself replaced. */
const HISTORY: readonly Uint8Array[] = [
  said(1001, 'Hello'),
  stored(1002, acting(1002, 8, number(2, 1), 'den'), ANN),
  said(1003, 'hello in the den', { room: 'den', by: BOB }),
  stored(1004, content(1013, 'better: HELLO', { edits: 1004 }), ANN, number(7, 1013), field(9, idOf(1004))),
  stored(1005, EMPTY, BOB, number(8, 1015), field(9, idOf(1005)), text(10, 'lobby')),
  said(1010, 'hi', { by: BOB }),
  stored(1012, EMPTY, ANN, number(7, 1013), text(10, 'lobby')),
  said(1013, 'better: HELLO', { edits: 1004 }),
  stored(1015, acting(1015, 7, number(1, 1005)), BOB),
  said(1020, 'a secret', { room: 'den' }),
];

const PHONE = stream('chat host phone', 16);
/** What hosts have stored, by name. */
export const HISTORIES: JsonObject = {
  histories: {
    talk: HISTORY.map(hex),
    // What is left of it when nothing below 1004 is kept.
    pruned: HISTORY.slice(3).map(hex),
    timed: [said(1010, 'hi', { by: BOB }), said(1020, 'a secret', { room: 'den' })].map(hex),
    phone: [...HISTORY, stored(1025, content(1025, 'from the phone'), PHONE, field(6, ANN))].map(hex),
  },
};

function pages(): readonly Vector[] {
  const ask = (
    name: string,
    note: string,
    req: readonly string[],
    request: JsonObject,
    change: JsonObject = {},
    ...flags: readonly Flag[]
  ): Vector => {
    const host = { person: hex(BOB), rooms: [LOBBY, DEN], kept_from: 0, history: 'talk' };
    return one('page', name, note, req, { ...host, ...change, request }, ...flags);
  };
  const after = (cursor: number, of = '', limit = 0): JsonObject => ({
    after_cursor: cursor,
    room: of,
    limit,
  });
  const before = (cursor: number, of = '', limit = 0, search = ''): JsonObject => ({
    before_cursor: cursor,
    room: of,
    limit,
    search,
  });
  const NEWEST = Number.MAX_SAFE_INTEGER;
  const cat = { person: hex(CAT) };
  const PRUNED = { kept_from: 1004, history: 'pruned' };
  const [lobby, den] = [room('lobby', false, [], 1006, 1005), room('den', true, [[BOB, MEMBER]], 1011, 1003)];
  const TIMED = {
    rooms: [den, lobby],
    history: 'timed',
  };
  const FORWARDS = ['CH-035~1'];
  const BACKWARDS = ['CH-043~3'];
  const GAP = ['CH-033~2'];
  const ROOM_GAP = ['CH-047~3'];
  const LOST = ['CH-060~1'];
  return [
    ask('all', 'Everything, in all rooms that Bob sees.', FORWARDS, after(0)),
    ask(
      'behind',
      'What is behind a cursor that is that of a message.',
      FORWARDS,
      after(1010),
      {},
      'boundary',
    ),
    ask('between', 'A cursor need not be that of a message.', FORWARDS, after(1011)),
    ask('end', 'There is nothing behind the last one.', FORWARDS, after(1020), {}, 'boundary'),
    ask('beyond', 'Nor behind what there never was.', FORWARDS, after(5000)),
    ask('limit', 'Three at a time.', FORWARDS, after(0, '', 3)),
    ask('room', 'One room, one at a time.', FORWARDS, after(0, 'den', 1)),
    ask(
      'room-deleted',
      'What was taken back, and edits that were replaced, are messages of their room.',
      FORWARDS,
      after(1003, 'lobby'),
    ),
    ask('room-nowhere', 'A room that there is not is empty.', ['CH-040~2'], after(0, 'attic')),
    ask('closed', 'Who has no role in a closed room sees nothing of it.', ['CH-040~2'], after(0), cat),
    ask('closed-room', 'Asking for it makes no difference.', ['CH-040~2'], after(0, 'den'), cat),
    ask('gap', 'What is gone of all rooms is a gap.', GAP, after(1000), PRUNED),
    ask('gap-edge', 'The last one that lacks nothing.', GAP, after(1003), PRUNED, 'boundary'),
    ask('gap-before-edge', 'And the first that lacks something.', GAP, after(1002), PRUNED, 'boundary'),
    ask('room-gaps', 'Rooms that do not keep everything, each with its gap.', ROOM_GAP, after(1000), TIMED),
    ask(
      'room-gaps-some',
      'Only the lobby has lost what this reader lacks.',
      ROOM_GAP,
      after(1004),
      TIMED,
      'boundary',
    ),
    ask('room-gaps-none', 'And here neither.', ROOM_GAP, after(1005), TIMED, 'boundary'),
    ask(
      'room-gaps-closed',
      'Nobody hears of a room that they do not see.',
      [...ROOM_GAP, 'CH-040~2'],
      after(1000),
      { ...TIMED, ...cat },
    ),
    ask('room-gap', 'Pages of one room have its gap.', ROOM_GAP, after(1000, 'den'), TIMED),
    ask('room-gap-none', 'Or none.', ROOM_GAP, after(1003, 'den'), TIMED, 'boundary'),
    ask('back', 'From the newest on.', BACKWARDS, before(NEWEST)),
    ask('back-limit', 'Two at a time.', BACKWARDS, before(NEWEST, '', 2)),
    ask('back-below', 'Below a cursor that is that of a message.', BACKWARDS, before(1010), {}, 'boundary'),
    ask('back-room', 'One room.', BACKWARDS, before(NEWEST, 'den')),
    ask('back-begin', 'There is nothing below the first one.', BACKWARDS, before(1001), {}, 'boundary'),
    ask(
      'back-closed',
      'Who has no role in a closed room sees nothing of it.',
      ['CH-040~2'],
      before(NEWEST),
      cat,
    ),
    ask('back-pruned', 'Pages backwards name no gap.', BACKWARDS, before(NEWEST), PRUNED),
    ask(
      'search',
      'By text, whatever its case: an edited one once, by its newest text.',
      BACKWARDS,
      before(NEWEST, '', 0, 'hElLo'),
    ),
    ask('search-room', 'In one room.', BACKWARDS, before(NEWEST, 'den', 1, 'HELLO')),
    ask('search-nothing', 'What is nowhere is not found.', BACKWARDS, before(NEWEST, '', 0, 'goodbye')),
    ask('search-closed', 'Nor what is in a closed room.', ['CH-040~2'], before(NEWEST, '', 0, 'secret'), cat),
    ask(
      'lost',
      'The record of the closed room is lost: its owner sees nothing either.',
      LOST,
      after(0),
      { person: hex(ANN), rooms: [LOBBY] },
      'state-machine',
    ),
    ask('lost-room', 'Nor does anybody who asks for it.', LOST, after(0, 'den'), {
      person: hex(ANN),
      rooms: [LOBBY],
    }),
    ask('lost-back', 'Nor backwards, nor by a search.', LOST, before(NEWEST, '', 0, 'secret'), {
      person: hex(ANN),
      rooms: [LOBBY],
    }),
    ask(
      'lost-made-again',
      'Another room of its name was made by 1019: what is older is none of it.',
      LOST,
      after(0, 'den'),
      { person: hex(CAT), rooms: [LOBBY, room('den', false, [[CAT, OWNER]], 1019)] },
    ),
  ];
}

function marks(): readonly Vector[] {
  const of = (
    name: string,
    note: string,
    ...given: readonly (readonly [delivered: number, read: number, hidden?: 'hidden'])[]
  ): Vector => {
    const list = given.map(([delivered, read, hidden]) => ({
      delivered,
      read,
      hidden: hidden !== undefined,
    }));
    return one('marks', name, note, ['CH-045~2'], { last_cursor: 1010, marks: list }, 'state-machine');
  };
  return [
    of(
      'delivered',
      'A message arrives, and is read later.',
      [1004, 0],
      [1010, 0],
      [1010, 1004],
      [1010, 1010],
    ),
    of('read', 'What was read was received.', [0, 1004]),
    of(
      'lower',
      'A mark that is lower changes nothing, and nobody is told.',
      [1010, 1004],
      [1004, 1001],
      [1010, 1004],
    ),
    of('mixed', 'One of the two grows.', [1004, 1004], [1010, 1001], [1001, 1010]),
    of('beyond', 'Nothing is received beyond the last message of the room.', [5000, 4000], [1010, 1010]),
    of('nothing', 'A mark of nothing.', [0, 0]),
    of(
      'hidden',
      'With receipts off only the own devices are told.',
      [1004, 1004, 'hidden'],
      [1010, 1004, 'hidden'],
    ),
    of('shown-then-hidden', 'Others go on seeing what they saw.', [1004, 1001], [1010, 1010, 'hidden']),
    of(
      'hidden-then-shown',
      'With receipts on again others are told what comes from then on, and the own devices too.',
      [1010, 1004, 'hidden'],
      [1010, 1004],
    ),
    of(
      'hidden-then-less',
      'They are told only what came without being hidden.',
      [1010, 1010, 'hidden'],
      [1004, 1001],
      [1010, 1001],
    ),
  ];
}

function rewrites(): readonly Vector[] {
  const post = (cursor: number, by: Uint8Array, inner: Uint8Array): JsonObject => ({
    cursor,
    person: hex(by),
    content: hex(inner),
  });
  const of = (name: string, note: string, given: JsonObject, change: JsonObject = {}): Vector => {
    const host = { rooms: [LOBBY, DEN], history: 'talk' };
    return one('rewrite', name, note, ['CH-042~3'], { ...host, ...change, post: given }, 'state-machine');
  };
  const edit = (cursor: number, by: Uint8Array, room = 'lobby'): JsonObject =>
    post(1030, by, content(1030, 'changed', { room, edits: cursor }));
  const take = (cursor: number, by: Uint8Array, room = 'lobby'): JsonObject =>
    post(1030, by, acting(1030, 7, number(1, cursor), room));
  return [
    of('edit', 'An edit takes the place of the content.', edit(1010, BOB)),
    of('edit-again', 'And the edit before it is emptied.', edit(1004, ANN)),
    of('edit-other', 'Nobody edits what another said.', edit(1010, ANN)),
    of('edit-edit', 'An edit is no message that could be edited.', edit(1013, ANN)),
    of('edit-emptied', 'Nor is one that was emptied.', edit(1012, ANN)),
    of('edit-deleted', 'Nor what was taken back.', edit(1005, BOB)),
    of('edit-act', 'Nor what does something.', edit(1015, BOB)),
    of('edit-nothing', 'Nor what is not there.', edit(1011, BOB)),
    of('edit-elsewhere', 'Nor what was said in another room.', edit(1010, BOB, 'den')),
    of('edit-phone', 'What another device of the person said can be edited.', edit(1025, ANN), {
      history: 'phone',
    }),
    of('delete', 'What was taken back has no content, and says by what.', take(1010, BOB)),
    of('delete-edited', 'Its last edit has none either.', take(1004, ANN)),
    of('delete-twice', 'It is taken back once.', take(1005, BOB)),
    of('delete-other', 'Nobody takes back what another said.', take(1010, ANN)),
    of('delete-owner', 'But for an owner of the room.', take(1003, ANN, 'den')),
    of('delete-owner-elsewhere', 'Who owns nothing in the lobby.', take(1003, ANN)),
    of(
      'delete-not-kept',
      'What is no longer kept, or is of an earlier room of that name, is not there.',
      take(1003, ANN, 'den'),
      {
        rooms: [LOBBY, room('den', true, [[ANN, OWNER]], 1010)],
      },
    ),
  ];
}

function displays(): readonly Vector[] {
  const of = (name: string, note: string, ...messages: readonly Uint8Array[]): Vector =>
    one('display', name, note, ['CH-037~1'], { messages: messages.map(hex) });
  const first = said(1004, 'good');
  const edit = said(1013, 'better', { edits: 1004 });
  const edited = stored(
    1004,
    content(1013, 'better', { edits: 1004 }),
    ANN,
    number(7, 1013),
    field(9, idOf(1004)),
  );
  const removal = stored(1015, acting(1015, 7, number(1, 1004)), ANN);
  const gone = stored(1004, EMPTY, ANN, number(8, 1015), field(9, idOf(1004)), text(10, 'lobby'));
  const emptied = stored(1013, EMPTY, ANN, number(7, 1014), text(10, 'lobby'));
  return [
    of('edit', 'The table of 11.2: what was edited before it came.', edited, said(1010, 'hi'), edit),
    of('edit-live', 'The edit comes later.', first, said(1010, 'hi'), edit),
    of('edit-twice', 'The last one counts.', first, edit, said(1014, 'best', { edits: 1004 })),
    of(
      'edit-emptied',
      'An edit that is not the last one has no content, and is passed over.',
      stored(1004, content(1014, 'best', { edits: 1004 }), ANN, number(7, 1014), field(9, idOf(1004))),
      emptied,
      said(1014, 'best', { edits: 1004 }),
    ),
    of('edit-unseen', 'An edit of what did not come says nothing.', said(1010, 'hi'), edit),
    of(
      'edit-without-id',
      'The content alone says whose place it takes.',
      stored(1004, content(1013, 'better', { edits: 1004 }), ANN, number(7, 1013)),
    ),
    of('delete', 'What was taken back before it came.', gone, said(1010, 'hi'), removal),
    of('delete-live', 'It is taken back later.', first, said(1010, 'hi'), removal),
    of('delete-edited', 'An edited one is, too.', first, edit, removal),
    of('act', 'An act is no text.', first, stored(1016, acting(1016, 11, text(1, 'a topic')), ANN)),
    of('unreadable', 'What nobody can read is passed over.', stored(1003, utf8('\u0000'), BOB), first),
  ];
}

function names(): readonly Vector[] {
  const rooms = ['lobby', 'my den', 'stra\u00dfe', 'caf\u00e9'];
  const of = (name: string, asked: string, note: string, ...flags: readonly Flag[]): Vector =>
    one('room-name', name, note, ['CH-056~2', 'CH-061~1'], { rooms, name: asked }, ...flags);
  return [
    of('plain', 'attic', 'A name like any other.'),
    of('accent', 'cafe', 'An accent makes another name.'),
    of('cyrillic', 'm\u0443 den', 'A letter of another script makes another name.'),
    of('same', 'my den', 'The name of a room that there is.', 'look-alikes'),
    of('case', 'My DEN', 'Case makes no other name.', 'look-alikes'),
    of('full-case', 'STRASSE', 'Also where a letter becomes two.', 'look-alikes'),
    of('sigma', '\u03bf\u03b4\u03bf\u03c2', 'A final sigma.'),
    of('wide', '\uff4d\uff59 den', 'Nor does width.', 'look-alikes'),
    of('blanks', 'my  den', 'Nor a second blank.', 'look-alikes'),
    of('no-break', 'my\u00a0den', 'Nor a blank that does not break.', 'look-alikes'),
    of('invisible', 'my d\u034fen', 'Nor a letter that cannot be seen.', 'look-alikes'),
    of('lobby', 'Lobby', 'There is one lobby.', 'look-alikes'),
    of('decomposed', 'cafe\u0301', 'A name that is not in Form C is none.', 'character-set'),
    of('decomposed-new', 'a\u0308', 'Whether or not there is another.', 'character-set'),
    of('nothing', '\u3164', 'A name of which nothing can be seen.', 'character-set'),
    of('bidi', 'den\u202e', 'A name that turns what follows around.', 'character-set'),
    of('control', 'a\u0007', 'A name that rings.', 'character-set'),
    of('blank-first', ' attic', 'A blank at its beginning.', 'character-set'),
    of('blank-last', 'attic\u3000', 'Or at its end.', 'character-set'),
  ];
}

/** Make them. */
export function hosts(): readonly Vector[] {
  return [...pages(), ...marks(), ...rewrites(), ...displays(), ...names()];
}
