import { expect, test } from 'vitest';
import { SESSION_CREDIT_BYTES, STREAM_CREDIT_BYTES, STREAMS_MAX } from '../gen/constants.ts';
import { Grants } from './credit.ts';
import { Stream } from './stream.ts';

/** The other side uses what it has of a stream but for `left`, and the application takes it. */
function use(grants: Grants, stream: Stream, left = 0): boolean {
  stream.received = stream.limit - left;
  return grants.take(stream, stream.received - stream.taken);
}

test('SE-053~1, SE-054~1: a stream has its initial credit again and again when others have all beyond it', () => {
  const grants = new Grants();
  const others = Array.from({ length: 16 }, (_, i) => new Stream(2 * i + 1, 'x'));
  for (let round = 0; round < 12; round += 1) for (const stream of others) use(grants, stream);
  const granted = others.reduce((sum, { limit, taken }) => sum + limit - taken, 0);
  expect(granted + (2 * STREAMS_MAX - others.length) * STREAM_CREDIT_BYTES).toBe(SESSION_CREDIT_BYTES);
  const stream = new Stream(99, 'x');
  for (let round = 0; round < 4; round += 1) {
    expect(use(grants, stream, STREAM_CREDIT_BYTES / 2 - 1)).toBe(true);
    expect(stream.limit).toBe(stream.taken + STREAM_CREDIT_BYTES);
  }
});
