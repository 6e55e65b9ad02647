import { connect, type TLSSocket } from 'node:tls';
import { afterEach, expect, test } from 'vitest';
import { HTTP_HEAD_BYTES_MAX, PREAUTH_BYTES_MAX } from '../gen/constants.ts';
import { makeCertificate } from './certificate.ts';
import { type Admitted, type Doorkeeper, Listener } from './listen.ts';
import { native } from './native.ts';

const { key, cert } = makeCertificate(native, Date.now());
const TOKEN = 'A'.repeat(118);
const HEAD = [
  'GET / HTTP/1.1',
  'Host: 127.0.0.1',
  'Connection: Upgrade',
  'Upgrade: websocket',
  'Sec-WebSocket-Version: 13',
  'Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==',
  `Sec-WebSocket-Protocol: clawchat.v1, ${TOKEN}`,
].join('\r\n');

const open: { close: () => unknown }[] = [];
afterEach(async () => {
  for (const each of open.splice(0)) await each.close();
});

/** A listener whose gate lets one token in; `admitted` is told of each connection. */
async function listening(
  admitted: (connection: Admitted) => void = () => {},
  turnedAway: (why: string) => void = () => {},
): Promise<number> {
  const door: Doorkeeper = {
    accepts: () => true,
    opens: token => (token === TOKEN ? 1 : undefined),
    admitted: (_, connection) => admitted(connection),
    abandoned: () => {},
    turnedAway,
  };
  const where = { host: '127.0.0.1', port: 0, identity: { key, cert }, preauthConnectionsMax: 8 };
  const listener = await Listener.open(where, door);
  open.push(listener);
  return listener.port;
}

interface Visit {
  readonly socket: TLSSocket;
  /** All bytes, once the connection has ended. */
  readonly ended: Promise<string>;
  /** The bytes up to the end of the answer's head. */
  readonly answered: Promise<string>;
}

function visit(port: number, maxVersion: 'TLSv1.2' | 'TLSv1.3' = 'TLSv1.3'): Visit {
  const about = { port, host: '127.0.0.1', rejectUnauthorized: false, minVersion: maxVersion, maxVersion };
  const socket = connect(about);
  open.push({ close: () => socket.destroy() });
  let bytes = '';
  const answered = new Promise<string>(resolve => {
    socket.on('data', (piece: Buffer) => {
      bytes += piece.toString('latin1');
      if (bytes.includes('\r\n\r\n')) resolve(bytes);
    });
  });
  socket.on('error', error => {
    bytes += 'code' in error ? `error ${error.code}` : 'error';
  });
  const ended = new Promise<string>(resolve => socket.once('close', () => resolve(bytes)));
  return { socket, ended, answered };
}

/** A masked binary message of a client, with its length in two bytes. */
function message(length: number): Buffer {
  return Buffer.concat([Buffer.of(0x82, 0x80 | 126, length >>> 8, length & 0xff), Buffer.alloc(4 + length)]);
}

test('a client that has nothing better than TLS 1.2 is not spoken to (HS-001~1)', async () => {
  const port = await listening();
  expect(await visit(port, 'TLSv1.2').ended).toMatch(/^error ERR_SSL_TLSV1_ALERT_PROTOCOL_VERSION/);
  const { socket, answered } = visit(port);
  socket.write(`${HEAD}\r\n\r\n`);
  expect(await answered).toMatch(/^HTTP\/1\.1 101 /);
});

test('the answer to a token names the protocol and no extension (HS-004~1)', async () => {
  const { socket, answered } = visit(await listening());
  socket.write(`${HEAD}\r\nSec-WebSocket-Extensions: permessage-deflate\r\n\r\n`);
  const answer = await answered;
  expect(answer).toContain('\r\nSec-WebSocket-Protocol: clawchat.v1\r\n');
  expect(answer).not.toMatch(/extensions/i);
});

test('a head that is too long ends the connection before it is complete (HS-016~1)', async () => {
  const port = await listening();
  const long = visit(port);
  long.socket.write(`${HEAD}\r\nX-Filler: ${'x'.repeat(HTTP_HEAD_BYTES_MAX)}`);
  expect(await long.ended).toMatch(/^HTTP\/1\.1 404 /);
  const short = visit(port);
  short.socket.write(`${HEAD}\r\nX-Filler: ${'x'.repeat(HTTP_HEAD_BYTES_MAX - 1024)}\r\n\r\n`);
  expect(await short.answered).toMatch(/^HTTP\/1\.1 101 /);
});

test('more than is needed behind the head ends the connection until message 3 was accepted (HS-016~1)', async () => {
  const lengths: number[] = [];
  let knows = false;
  let heard: () => void = () => {};
  const port = await listening(({ socket, authenticated }) => {
    if (knows) authenticated();
    socket.on('message', (data: Buffer) => {
      lengths.push(data.length);
      heard();
    });
  });
  const admitted = async (): Promise<Visit> => {
    const one = visit(port);
    one.socket.write(`${HEAD}\r\n\r\n`);
    expect(await one.answered).toMatch(/^HTTP\/1\.1 101 /);
    return one;
  };
  const takes = async ({ socket }: Visit, length: number): Promise<void> => {
    const arrived = new Promise<void>(resolve => {
      heard = resolve;
    });
    socket.write(message(length));
    await arrived;
  };
  // Each message has 8 bytes of WebSocket before its content.
  const earlier = await admitted();
  const stranger = await admitted();
  await takes(stranger, PREAUTH_BYTES_MAX - 8);
  stranger.socket.write(message(200));
  await stranger.ended;
  // It was not the deadline of strangers, which comes to the earlier one first.
  expect(earlier.socket.readyState).toBe('open');
  knows = true;
  const member = await admitted();
  await takes(member, PREAUTH_BYTES_MAX - 8);
  await takes(member, 60_000);
  expect(member.socket.readyState).toBe('open');
});
