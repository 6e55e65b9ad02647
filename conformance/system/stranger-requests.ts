/** What strangers send, named by what is odd about it: to a host and to nginx alike. */
import type { Manner } from './strangers.ts';

const HOST = 'Host: x\r\n';
const CHROME = 'User-Agent: Mozilla/5.0 (KHTML, like Gecko) Chrome/120.0 Safari/537.36\r\n';
const LONG = 'x'.repeat(20_000);

/** A GET with these further header lines. */
function get(lines: string): string {
  return `GET / HTTP/1.1\r\n${HOST}${lines}\r\n`;
}
/** A request of this line. */
function line(first: string): string {
  return `${first}\r\n${HOST}\r\n`;
}
function post(lines: string, body = ''): string {
  return `POST / HTTP/1.1\r\n${HOST}${lines}\r\n${body}`;
}
function host(name: string): string {
  return `GET / HTTP/1.1\r\nHost: ${name}\r\n\r\n`;
}

const UPGRADE = 'Connection: Upgrade\r\nUpgrade: websocket\r\n';
const KEYED = `${UPGRADE}Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n`;

const METHODS: Readonly<Record<string, string>> = {
  GET: get(''),
  HEAD: line('HEAD / HTTP/1.1'),
  POST: post('Content-Length: 5\r\n', 'hello'),
  'POST without a length': post(''),
  'POST of less than it says': post('Content-Length: 50\r\n', 'hello'),
  'POST of more than 1 MiB': post('Content-Length: 2000000\r\n', 'hello'),
  'POST that waits for a go': post('Expect: 100-continue\r\nContent-Length: 5\r\n'),
  PUT: line('PUT /a HTTP/1.1'),
  DELETE: line('DELETE / HTTP/1.1'),
  OPTIONS: line('OPTIONS / HTTP/1.1'),
  'OPTIONS *': line('OPTIONS * HTTP/1.1'),
  TRACE: line('TRACE / HTTP/1.1'),
  CONNECT: line('CONNECT example.org:443 HTTP/1.1'),
  'CONNECT of a path': line('CONNECT / HTTP/1.1'),
  'a method of nobody': line('FOO-BAR_ / HTTP/1.1'),
  'a method in small letters': line('get / HTTP/1.1'),
  'HTTP/2': 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n',
};

const LINES: Readonly<Record<string, string>> = {
  'HTTP/1.0': 'GET / HTTP/1.0\r\n\r\n',
  'HEAD in HTTP/1.0': 'HEAD /a HTTP/1.0\r\n\r\n',
  'HTTP/0.9': 'GET /\r\n',
  'POST in HTTP/0.9': 'POST /\r\n',
  'version 2.0': line('GET / HTTP/2.0'),
  'version 11.1': line('GET / HTTP/11.1'),
  'version 1.9': line('GET / HTTP/1.9'),
  'version 1.01': line('GET / HTTP/1.01'),
  'version 1.100': line('GET / HTTP/1.100'),
  'version 1.1000': line('GET / HTTP/1.1000'),
  'version 01.1': line('GET / HTTP/01.1'),
  'version 0.9': line('GET / HTTP/0.9'),
  'half a version': line('GET / HTTP/1.'),
  'no version': line('GET / HTTP'),
  'version in small letters': line('GET / http/1.1'),
  'letters behind the version': line('GET / HTTP/1.1x'),
  'spaces between': line('GET  /  HTTP/1.1  '),
  'a space in the path': line('GET /a b HTTP/1.1'),
  'a tab in the path': line('GET /a\tb HTTP/1.1'),
  'a control in the path': line('GET /a\x01 HTTP/1.1'),
  'DEL in the path': line('GET /a\x7f HTTP/1.1'),
  'a high byte in the path': line('GET /\xff HTTP/1.1'),
  'a broken escape': line('GET /%zz HTTP/1.1'),
  'half an escape': line('GET /%2 HTTP/1.1'),
  'NUL, escaped': line('GET /%00 HTTP/1.1'),
  'a broken escape in the query': line('GET /?%zz#x HTTP/1.1'),
  'out of the root': line('GET /../a HTTP/1.1'),
  'out of the root, later': line('GET /a//../../b HTTP/1.1'),
  'out of the root, escaped': line('GET /%2e%2e/a HTTP/1.1'),
  'up and down': line('GET /a/../b/./.../c HTTP/1.1'),
  'a whole address': line('GET http://x/ HTTP/1.1'),
  'a whole address without a path': line('GET http://x HTTP/1.1'),
  'a whole address with a query': line('GET http://x?a HTTP/1.1'),
  'an address in brackets': line('GET https://[::1]:4/a HTTP/1.1'),
  'an address without a host': line('GET http:///a HTTP/1.1'),
  'an address with one slash': line('GET http:/x HTTP/1.1'),
  'an address with a wrong port': line('GET http://x:a/ HTTP/1.1'),
  'no slash': line('GET a HTTP/1.1'),
  'empty lines before': `\r\n\r\n${get('')}`,
  'line feeds alone': 'GET / HTTP/1.1\nHost: x\n\n',
  'returns alone': 'GET / HTTP/1.1\rHost: x\r\r',
  'no HTTP': 'SSH-2.0-OpenSSH_9.2\r\n',
  'random bytes': '\x80\x01\x02\xff\x00\n\r\n\r\n',
  'TLS inside TLS': '\x16\x03\x01\x00\x05\x01\x00\x00\x01\x00',
};

const HEADERS: Readonly<Record<string, string>> = {
  'no host': 'GET / HTTP/1.1\r\n\r\n',
  'HEAD without a host': 'HEAD / HTTP/1.1\r\n\r\n',
  'two hosts': get(HOST),
  'an empty host': host(''),
  'a host with a slash': host('a/b'),
  'a host with a space': host('a b'),
  'a host with two dots': host('a..b'),
  'a dot for a host': host('.'),
  'a port for a host': host(':80'),
  'a host with a control': host('a\x01'),
  'a host with a high byte': host('a\xff'),
  'a host with a wrong port': host('a:x'),
  'a host in brackets': host('[::1]:5'),
  'half a bracket': host('[::1'),
  'a space behind a name': get('X : y\r\n'),
  'a line that goes on': get('X: y\r\n z\r\n'),
  'no colon': get('Xyz\r\n'),
  'no name': get(': y\r\n'),
  'NUL in a value': get('X: a\0b\r\n'),
  'a control in a value': get('X: a\x01b\r\n'),
  'a return in a value': get('X: a\rb\r\n'),
  'two returns': get('X: a\r\r\n'),
  'a return before nothing': `GET / HTTP/1.1\r\n${HOST}\rX`,
  'a high byte in a name': get('X\xff: a\r\n'),
  'a control in a name': get('X\x01: a\r\n'),
  'an odd letter in a name': get('X(_: a\r\n'),
  'a length that is none': post('Content-Length: x\r\n'),
  'a negative length': post('Content-Length: -1\r\n'),
  'two lengths': post('Content-Length: 0\r\nContent-Length: 0\r\n'),
  chunked: post('Transfer-Encoding: chunked\r\n', '5\r\nhello\r\n0\r\n\r\n'),
  'broken chunks': post('Transfer-Encoding: chunked\r\n', 'ZZZ'),
  'chunks that do not end': post('Transfer-Encoding: chunked\r\n', '5;x=y\r\nhello\r\n0\r\n'),
  'chunks with a trailer': post('Transfer-Encoding: chunked\r\n', '5\nhello\n0\r\nX: y\r\n\r\n'),
  'chunks without an end of data': post('Transfer-Encoding: chunked\r\n', '5\r\nhelloX'),
  'an unknown coding': post('Transfer-Encoding: identity\r\n'),
  'a coding in HTTP/1.0': `POST / HTTP/1.0\r\n${HOST}Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n`,
  'a coding and a length': post('Content-Length: 5\r\nTransfer-Encoding: chunked\r\n'),
  'an unknown expectation': get('Expect: foo\r\n'),
  'two authorizations': get('Authorization: Basic eDp5\r\nAuthorization: Basic eDp5\r\n'),
  'a range': get('Range: bytes=0-5\r\n'),
  'closing, as asked': get('Connection: close\r\n'),
  'keeping, as asked': get('Connection: keep-alive\r\n'),
  'keeping, asked in HTTP/1.0': 'GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n',
  'a browser that hides errors': get(CHROME),
  'that browser, without a host': `GET / HTTP/1.1\r\n${CHROME}\r\n`,
  'that browser, with a long line': get(`${CHROME}X: ${LONG}\r\n`),
  'an older one': get('User-Agent: Mozilla/4.0 (compatible; MSIE 7.0)\r\n'),
  'one that does not': get('User-Agent: Mozilla/5.0 Gecko/2 Chrome/1\r\n'),
};

const UPGRADES: Readonly<Record<string, string>> = {
  'an upgrade without a key': get(UPGRADE),
  'an upgrade without a token': get(KEYED),
  'an upgrade of another version': get(KEYED.replace('13', '12')),
  'an upgrade by POST': post(KEYED),
  'an upgrade in HTTP/1.0': `GET / HTTP/1.0\r\n${KEYED}\r\n`,
  'an upgrade to HTTP/2': get(
    'Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMA\r\n',
  ),
  'an upgrade with a token of nobody': get(
    `${KEYED}Sec-WebSocket-Protocol: clawchat.v1, ${'A'.repeat(118)}\r\n`,
  ),
  'an upgrade with another protocol': get(`${KEYED}Sec-WebSocket-Protocol: chat\r\n`),
};

const SIZES: Readonly<Record<string, string>> = {
  'a long path': line(`GET /${LONG} HTTP/1.1`),
  'a long method': 'A'.repeat(20_000),
  'a long header': get(`X: ${LONG}\r\n`),
  'a long name': get(LONG),
  'a long header of HEAD': `HEAD / HTTP/1.1\r\n${HOST}X: ${LONG}\r\n\r\n`,
  'two headers that are too long together': get(`X: ${'x'.repeat(9000)}\r\nY: ${'y'.repeat(9000)}\r\n`),
  'a header that just fits': get(`X: ${'x'.repeat(15_000)}\r\n`),
  'two requests at once': get('') + get(''),
  'two HEADs at once': line('HEAD / HTTP/1.1').repeat(2),
  'a request and half of one': `${get('')}GET /`,
};

/** A name, what is sent, and how. */
export interface StrangersRequest {
  readonly name: string;
  readonly bytes: string;
  readonly manner: Manner;
}

function all(
  requests: Readonly<Record<string, string>>,
  how = '',
  manner: Manner = {},
): readonly StrangersRequest[] {
  return Object.entries(requests).map(([name, bytes]) => ({ name: `${name}${how}`, bytes, manner }));
}

function some(names: readonly string[]): Readonly<Record<string, string>> {
  const every = { ...METHODS, ...LINES, ...HEADERS, ...UPGRADES, ...SIZES };
  return Object.fromEntries(names.map(name => [name, every[name] ?? '']));
}

const FEW = ['GET', 'HEAD', 'POST of less than it says', 'no host', 'an upgrade without a token'];
const PLAIN = [
  ...FEW,
  ...['POST of more than 1 MiB', 'HTTP/0.9', 'TRACE', 'a method in small letters', 'no HTTP'],
  ...['a long path', 'a long header', 'a browser that hides errors', 'an unknown coding'],
];

/** Every request that is answered, or not, without waiting for time. */
export const PROMPT: readonly StrangersRequest[] = [
  ...all({ ...METHODS, ...LINES, ...HEADERS, ...UPGRADES, ...SIZES }),
  ...all(some(PLAIN), ', without TLS', { isPlain: true }),
  ...all(some(FEW), ', half closed', { isHalfClosed: true }),
  ...all({ nothing: '', 'part of a line': 'GET / HT' }, ', half closed', { isHalfClosed: true }),
  ...all({ nothing: '', 'part of a line': 'GET / HT' }, ', half closed, without TLS', {
    isHalfClosed: true,
    isPlain: true,
  }),
  ...all(some([...FEW, 'no HTTP', 'HTTP/0.9']), ', a byte at a time', { isSlow: true }),
];

/** What is not answered: the server gives up after its time. */
export const SILENT: readonly StrangersRequest[] = [
  ...all({ nothing: '', 'part of a head': 'GET / HTTP/1.1\r\nHo', 'an empty line': '\r\n' }),
  ...all({ nothing: '', 'part of a line': 'GET /', 'part of a hello': '\x16\x03\x01' }, ', without TLS', {
    isPlain: true,
  }),
];
