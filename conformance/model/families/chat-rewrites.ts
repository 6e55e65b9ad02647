/** Vectors: edits and deletions, what a reader shows of them, and names of rooms (spec/11-chat.md, 11.2 and 11.3). */
import { EMPTY, hex, utf8 } from '../bytes.ts';
import type { Flag } from '../flags.ts';
import { lengthField as field, varintField as number } from '../protobuf.ts';
import type { JsonObject, Vector } from '../vector.ts';
import {
  ANN,
  acting,
  BOB,
  content,
  DEN,
  idOf,
  LOBBY,
  OWNER,
  one,
  room,
  said,
  stored,
} from './chat-stored.ts';
import { text } from './chat-vector.ts';

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
export function changes(): readonly Vector[] {
  return [...rewrites(), ...displays(), ...names()];
}
