/** Vectors: pages of a host, and marks (spec/11-chat.md, 11.3, 11.5 and 11.8). */
import { hex } from '../bytes.ts';
import type { Flag } from '../flags.ts';
import type { JsonObject, Vector } from '../vector.ts';
import { ANN, BOB, CAT, DEN, LOBBY, MEMBER, OWNER, one, room } from './chat-stored.ts';

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
  const GAP = ['CH-033~3'];
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

/** Make them. */
export function histories(): readonly Vector[] {
  return [...pages(), ...marks()];
}
