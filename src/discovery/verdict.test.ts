import { expect, test } from 'vitest';
import { noble } from '../crypto/noble.ts';
import { ErrorCode } from '../gen/clawchat/v1/error_pb.ts';
import { fault } from '../protocol/fault.ts';
import { storeFailed } from './store.ts';
import { judge, type Opened, opener } from './verdict.ts';

/** A file is its sequence; 0 is garbage, above 100 one that follows a succession. */
function open(bytes: Uint8Array): Opened | ReturnType<typeof fault> {
  const sequence = bytes[0] ?? 0;
  if (sequence === 0) return fault('peer', ErrorCode.FILE_MALFORMED, 'garbage');
  return { sequence: sequence % 100, hash: bytes, moved: sequence > 100 };
}

const judged = (first: number, ...others: number[]): unknown =>
  judge(
    { kind: 'file', bytes: Uint8Array.of(first), others: others.map(other => Uint8Array.of(other)) },
    open,
  );

test('the highest valid sequence wins, wherever it lies (DI-005~1)', () => {
  expect(judged(5)).toMatchObject({ kind: 'record', record: { sequence: 5 }, bytes: Uint8Array.of(5) });
  expect(judged(5, 7, 6)).toMatchObject({ record: { sequence: 7 }, bytes: Uint8Array.of(7) });
  expect(judged(0, 0, 3)).toMatchObject({ record: { sequence: 3 } });
  expect(judged(4, 0)).toMatchObject({ record: { sequence: 4 } });
  expect(judged(0, 0)).toMatchObject({ kind: 'invalid', fault: { code: ErrorCode.FILE_MALFORMED } });
});

test('a candidate behind a succession is newer than any that is not (DI-005~1)', () => {
  expect(judged(50, 103, 60)).toMatchObject({ record: { sequence: 3 } });
  expect(judged(103, 50)).toMatchObject({ record: { sequence: 3 } });
  expect(judged(103, 104)).toMatchObject({ record: { sequence: 4 } });
});

test('of two with one sequence the file itself is taken', () => {
  expect(judged(5, 5)).toMatchObject({ bytes: Uint8Array.of(5) });
});

test('what is no file passes as it is', () => {
  for (const answer of [{ kind: 'unchanged' }, { kind: 'absent' }, storeFailed('busy', 'x')] as const)
    expect(judge(answer, open)).toBe(answer);
});

test('garbage does not open', () => {
  const trust = { serverId: new Uint8Array(32), identity: new Uint8Array(32), nextIdentityHash: undefined };
  const openFile = opener(noble, new Uint8Array(32), trust);
  for (const length of [0, 1, 4096])
    expect(openFile(new Uint8Array(length))).toMatchObject({ kind: 'fault' });
});
