/** Messages that hosts have stored, and the rooms and people of the vectors about them (spec/11-chat.md). */
import { concat, EMPTY, hex, stream } from '../bytes.ts';
import type { Flag } from '../flags.ts';
import { judgeChat } from '../judge/chat.ts';
import { lengthField as field, varintField as number } from '../protobuf.ts';
import type { JsonObject, Vector } from '../vector.ts';
import { text } from './chat-vector.ts';

export const ANN: Uint8Array = stream('chat host ann', 16);
export const BOB: Uint8Array = stream('chat host bob', 16);
export const CAT: Uint8Array = stream('chat host cat', 16);
/** Roles. */
export const OWNER = 1;
export const MEMBER = 2;
const GUEST = 3;
export const idOf = (cursor: number): Uint8Array => stream(`chat host message ${cursor}`, 16);

interface Said {
  readonly room?: string;
  readonly edits?: number;
  readonly by?: Uint8Array;
}

/** A content whose id is that of the message at this cursor. */
export function content(cursor: number, said: string, { room = 'lobby', edits = 0 }: Said = {}): Uint8Array {
  return concat(
    field(1, idOf(cursor)),
    text(2, room),
    text(3, said),
    ...(edits > 0 ? [number(6, edits)] : []),
  );
}

/** A content with an act. */
export function acting(cursor: number, act: number, inner: Uint8Array, room = 'lobby'): Uint8Array {
  return concat(field(1, idOf(cursor)), text(2, room), field(act, inner));
}

/** A ChatMessage, with other fields behind its content. */
export function stored(
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

export const said = (cursor: number, words: string, more: Said = {}): Uint8Array =>
  stored(cursor, content(cursor, words, more), more.by ?? ANN);

type Roles = readonly (readonly [Uint8Array, number])[];
export const room = (
  name: string,
  closed: boolean,
  roles: Roles = [],
  keptFrom = 0,
  gone = 0,
): JsonObject => ({
  name,
  closed,
  roles: roles.map(([person, role]) => ({ person: hex(person), role })),
  kept_from: keptFrom,
  gone,
});

export const LOBBY: JsonObject = room('lobby', false);
export const DEN: JsonObject = room(
  'den',
  true,
  [
    [ANN, OWNER],
    [BOB, GUEST],
  ],
  1002,
);

export function one(
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
