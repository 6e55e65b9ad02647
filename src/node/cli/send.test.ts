import { describe, expect, test } from 'vitest';
import { parseId, parseJson } from './send.ts';

describe('a line of send - --json', () => {
  const id = '000102030405060708090a0b0c0d0e0f';

  test('is a message with its room and id', () => {
    const draft = parseJson(`{"text":"a\\nb","room":"den","id":"${id.toUpperCase()}"}`, 'lobby');
    expect({ ...draft, id: Buffer.from(draft.id).toString('hex') }).toEqual({
      text: 'a\nb',
      room: 'den',
      id,
      replyTo: 0,
      edits: 0,
    });
    expect(parseJson('{"text":"x","reply_to":7,"edits":8}', 'lobby')).toMatchObject({ replyTo: 7, edits: 8 });
  });

  test('needs no more than a text: room and id are made', () => {
    const one = parseJson('{"text":"hi"}', 'den');
    const other = parseJson('{"text":"hi"}', 'den');
    expect(one.room).toBe('den');
    expect(one.id).toHaveLength(16);
    expect(one.id).not.toEqual(other.id);
  });

  test.each([
    ['hi', 'each line is a JSON object'],
    ['["hi"]', 'each line is a JSON object'],
    ['null', 'each line is a JSON object'],
    ['{"room":"den"}', 'a message has a "text"'],
    ['{"text":"hi","to":"Bob"}', 'no "to"'],
    ['{"text":"hi","room":7}', 'a "room" is a name'],
    ['{"text":"hi","id":7}', 'an "id" is 32 hexadecimal digits'],
    ['{"text":"hi","id":"00"}', '"id" is 32 hexadecimal digits'],
    ['{"text":"hi","reply_to":0}', '"reply_to" is the cursor of a message'],
    ['{"text":"hi","edits":"7"}', '"edits" is the cursor of a message'],
  ])('%s is refused with what is wrong', (line, text) => {
    expect(() => parseJson(line, 'lobby')).toThrow(text);
  });

  test.each(['', '0', `${id}00`, `${id.slice(1)}g`])('the id %j is none', text => {
    expect(() => parseId(text, '--id')).toThrow('[USAGE] --id is 32 hexadecimal digits');
  });
});
