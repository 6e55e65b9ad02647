import { describe, expect, test } from 'vitest';
import { ErrorCode } from '../../gen/clawchat/v1/error_pb.ts';
import { judgeStatus, type Outbox, partStored } from './outbox.ts';
import { judgePost, judgeRepeat, judgeReplace } from './posting.ts';

const bytes = (value: number, length: number): Uint8Array => new Uint8Array(length).fill(value);
const hash = (value: number): Uint8Array => bytes(value, 32);
const item = (value: number): Outbox['items'][number] => ({
  messageId: String(value),
  hash: hash(value),
  intent: hash(value),
  content: bytes(value, 8),
  durable: true,
});
const NONE = new Uint8Array(0);
const X = bytes(1, 16);
const Y = bytes(2, 16);

// CH-019~1
describe('what a client makes of OutboxState', () => {
  const outbox: Outbox = { id: X, acknowledged: 5, acknowledgedHash: hash(5), items: [item(6), item(7)] };
  const fresh: Outbox = { id: X, acknowledged: 0, acknowledgedHash: NONE, items: [item(1)] };

  test.each([
    ['nothing happened', outbox, X, 5, hash(5), 'agreed'],
    ['an answer was lost', outbox, X, 6, hash(6), 'agreed'],
    ['all answers were lost', outbox, X, 7, hash(7), 'agreed'],
    ['a new device', fresh, X, 0, NONE, 'agreed'],
    ['a number that was never given', outbox, X, 8, hash(8), 'contradicted'],
    ['another hash of the last answered', outbox, X, 5, hash(9), 'contradicted'],
    ['another hash of one without an answer', outbox, X, 7, hash(6), 'contradicted'],
    ['the host forgot', outbox, X, 4, hash(4), 'contradicted'],
    ['the host knows nothing', outbox, X, 0, NONE, 'contradicted'],
    ['another outbox', outbox, Y, 5, hash(5), 'contradicted'],
    ['another empty outbox', fresh, Y, 0, NONE, 'contradicted'],
  ] as const)('%s', (_name, held, outboxId, highest, known, verdict) => {
    expect(judgeStatus(held, { outboxId, highest, hash: known })).toBe(verdict);
  });

  test('stored posts are taken out, the others keep their order', () => {
    const items = [item(6), item(7), item(8), item(9)];
    const { done, rest } = partStored(items, [
      { hash: hash(9), cursor: 90 },
      { hash: hash(7), cursor: 70 },
    ]);
    expect(done.map(({ item: { messageId }, cursor }) => [messageId, cursor])).toEqual([
      ['7', 70],
      ['9', 90],
    ]);
    expect(rest.map(({ messageId }) => messageId)).toEqual(['6', '8']);
  });
});

// CH-012~1, CH-013~1, CH-022~1
describe('what a host makes of a post', () => {
  const head = { id: X, base: 100, highest: 7, hash: hash(7) };

  test.each([
    [X, 8, { kind: 'next' }],
    [X, 9, { kind: 'refuse', code: ErrorCode.OUTBOX_NUMBER }],
    [X, 7, { kind: 'repeat', serial: 107 }],
    [X, 1, { kind: 'repeat', serial: 101 }],
    [Y, 8, { kind: 'refuse', code: ErrorCode.OUTBOX_UNKNOWN }],
    [Y, 7, { kind: 'refuse', code: ErrorCode.OUTBOX_UNKNOWN }],
  ] as const)('of outbox %# and its number', (outboxId, number, verdict) => {
    expect(judgePost(head, outboxId, number)).toEqual(verdict);
  });

  test('a repeat has the first answer only if it is the same content', () => {
    const kept = { hash: hash(7), code: ErrorCode.ROOM_UNKNOWN, cursor: 0 };
    expect(judgeRepeat(kept, hash(7))).toEqual({ code: ErrorCode.ROOM_UNKNOWN, cursor: 0 });
    expect(judgeRepeat(kept, hash(8))).toBeUndefined();
    expect(judgeRepeat(undefined, hash(7))).toBeUndefined();
  });

  test('an outbox is replaced by another one, and by itself only before it was used', () => {
    expect(judgeReplace(head, Y)).toBe('begin');
    expect(judgeReplace(head, X)).toBe('refuse');
    expect(judgeReplace({ ...head, highest: 0 }, X)).toBe('repeat');
  });
});
