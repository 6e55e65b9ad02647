import { expect, test } from 'vitest';
import { TOKEN_CHARS } from '../protocol/gate.ts';
import { HeadReader } from './http/head.ts';
import { upgradeToken } from './upgrade.ts';

const TOKEN = 'A'.repeat(TOKEN_CHARS);
const LINES: readonly string[] = [
  'GET / HTTP/1.1',
  'Host: 127.0.0.1',
  'Connection: keep-alive, Upgrade',
  'Upgrade: websocket',
  'Sec-WebSocket-Version: 13',
  'Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==',
  `Sec-WebSocket-Protocol: clawchat.v1, ${TOKEN}`,
];

/** What a request comes to in which one line is another, or is left out. */
function tokenOf(from = '', to?: string): string | undefined {
  const lines = LINES.map(line => (line.startsWith(from) && from !== '' ? to : line));
  const text = lines.filter(line => line !== undefined).join('\r\n');
  const head = new HeadReader().push(Buffer.from(`${text}\r\n\r\n`, 'latin1'));
  if (head === undefined) throw new Error('the head is not over');
  return upgradeToken(head);
}

test('a request as clients make it has its token (HS-003~1)', () => {
  expect(tokenOf()).toBe(TOKEN);
  expect(tokenOf('Sec-WebSocket-Protocol', `Sec-WebSocket-Protocol: clawchat.v1,${TOKEN}`)).toBe(TOKEN);
});

// What ws would answer by itself never gets to it: those requests have no token.
test.each([
  ['GET', 'GET /x HTTP/1.1'],
  ['Sec-WebSocket-Version', undefined],
  ['Sec-WebSocket-Version', 'Sec-WebSocket-Version: 8'],
  ['Sec-WebSocket-Key', undefined],
  ['Sec-WebSocket-Key', 'Sec-WebSocket-Key: short'],
  ['Sec-WebSocket-Protocol', undefined],
  ['Sec-WebSocket-Protocol', 'Sec-WebSocket-Protocol: clawchat.v1'],
  ['Sec-WebSocket-Protocol', `Sec-WebSocket-Protocol: ${TOKEN}, clawchat.v1`],
  ['Sec-WebSocket-Protocol', `Sec-WebSocket-Protocol: clawchat.v1, ${TOKEN}A`],
  ['Sec-WebSocket-Protocol', `Sec-WebSocket-Protocol: clawchat.v1, ${TOKEN.slice(1)}+`],
  ['Sec-WebSocket-Protocol', `Sec-WebSocket-Protocol: clawchat.v1, ${TOKEN}, chat`],
])('an upgrade with another %s has none: %s (HS-005~3)', (from, to) => {
  expect(tokenOf(from, to)).toBe('');
});

test.each([
  ['Connection', undefined],
  ['Connection', 'Connection: close'],
  ['Upgrade', undefined],
  ['Upgrade', 'Upgrade: h2c'],
  ['GET', 'NOTHING'],
])('with another %s it is no upgrade: %s', (from, to) => {
  expect(tokenOf(from, to)).toBeUndefined();
});
