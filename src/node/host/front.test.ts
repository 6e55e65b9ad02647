import { expect, test } from 'vitest';
import { clientBehind, plainAddress } from './front.ts';

const HOPS: ReadonlySet<string> = new Set(['127.0.0.1', '10.0.0.2']);

test.each<[string | undefined, string]>([
  ['203.0.113.7', '203.0.113.7'],
  ['2001:db8::1', '2001:db8::1'],
  ['198.51.100.1, 203.0.113.7', '203.0.113.7'],
  ['198.51.100.1, 203.0.113.7, 10.0.0.2', '203.0.113.7'],
  ['::ffff:203.0.113.7', '203.0.113.7'],
  // What a stranger wrote does not get through a proxy that writes nothing.
  ['203.0.113.7, unknown', '127.0.0.1'],
  ['203.0.113.7, ', '127.0.0.1'],
  ['10.0.0.2', '127.0.0.1'],
  ['', '127.0.0.1'],
  [undefined, '127.0.0.1'],
])('of %s it takes %s (LI-030~1)', (header, expected) => {
  expect(clientBehind(header, '127.0.0.1', HOPS)).toBe(expected);
});

test('writes an address as a configuration does', () => {
  expect(plainAddress('::ffff:127.0.0.1')).toBe('127.0.0.1');
  expect(plainAddress('::1')).toBe('::1');
});
