import { expect, test } from 'vitest';
import { ErrorCode } from '../../gen/clawchat/v1/error_pb.ts';
import { likeText } from './acts.ts';
import { meantRoom, nameAndWords, quotedName, roomName, shownRoom, wholeName } from './room-words.ts';

// CH-061~1
test('a room is meant by its name, and by what reads the same, unless there are two', () => {
  const names = ['den', 'caf\u00e9', 'Attic', 'attic', 'lobby'];
  const meant = (typed: string): string => meantRoom(typed, names);
  expect(['Den', 'cafe\u0301', 'attic', 'ATTIC', 'dens', ' Lobby '].map(meant)).toEqual([
    'den',
    'caf\u00e9',
    'attic',
    'ATTIC',
    'dens',
    'lobby',
  ]);
  // What is made or asked for has the form that names have.
  expect(meantRoom('e\u0301', [])).toBe('\u00e9');
});

test('a name that no room can have is refused with what it may be', () => {
  expect(roomName('x'.repeat(64))).toHaveLength(64);
  for (const name of ['x'.repeat(65), 'é'.repeat(33)]) {
    expect(() => roomName(name)).toThrow(/USAGE.*the name of a room has at most 64 bytes/);
  }
});

test('a refusal names the room that is there', () => {
  expect(likeText(ErrorCode.ROOM_UNKNOWN, 'Den', 'den')).toBe("there is no room 'Den'; there is 'den'");
  expect(likeText(ErrorCode.ROOM_EXISTS, 'Den', 'den')).toBe(
    "'Den' would be taken for 'den', which is there",
  );
});

test('a room that can be taken for another one is told apart', () => {
  const names = ['den', 'd\u0435n', 'caf\u00e9', 'lobby', 'l\u043ebby'];
  expect(names.map(name => shownRoom(name, names))).toEqual([
    'den',
    'd<435>n',
    'caf\u00e9',
    'lobby',
    'l<43e>bby',
  ]);
});

test('a name in a line of a chat ends at a blank, or at its closing quote', () => {
  expect(nameAndWords('den')).toEqual({ name: 'den', words: [] });
  expect(nameAndWords('den  closed')).toEqual({ name: 'den', words: ['closed'] });
  expect(nameAndWords('"my den" closed')).toEqual({ name: 'my den', words: ['closed'] });
  expect(nameAndWords('den "closed"')).toEqual({ name: 'den', words: ['"closed"'] });
  for (const odd of ['"my den', '"den', '"my"den']) expect(() => nameAndWords(odd)).toThrow(/in quotes/);
  for (const name of ['den', 'my den']) expect(nameAndWords(quotedName(name)).name).toBe(name);
  for (const name of ['my den', '"my den"']) expect(wholeName(name)).toBe('my den');
});
