import { execFileSync } from 'node:child_process';
import { once } from 'node:events';
import {
  type AddressInfo,
  connect as connectTcp,
  createServer,
  type Socket,
  type TcpNetConnectOpts,
} from 'node:net';
import { type ConnectionOptions, connect } from 'node:tls';
import { afterEach, describe, expect, test, vi } from 'vitest';
import { AUTH_MS_MAX, HTTP_HEAD_BYTES_MAX, PREAUTH_BYTES_MAX } from '../gen/constants.ts';
import { makeCertificate } from './certificate.ts';
import type { Refusal } from './host/counts.ts';
import { type Admitted, type Doorkeeper, Listener } from './listen.ts';
import { native } from './native.ts';
import { ROUND_CONNECTIONS_MAX } from './rounds.ts';
import { WaitingRoom } from './waiting-room.ts';

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

interface Listening {
  readonly port: number;
  readonly refusals: Refusal[];
  readonly room: WaitingRoom;
}

/** What a test wants to know of a listener, and who makes room: whoever is longest there, unless told. */
interface Wishes {
  readonly admitted?: (connection: Admitted) => void;
  readonly seats?: number;
  readonly accepted?: () => void;
  readonly asked?: () => void;
  readonly draw?: (count: number) => number;
}

/** A listener whose gate lets one token in. */
async function listening({
  admitted = () => {},
  seats = 8,
  accepted = () => {},
  asked = () => {},
  draw = () => 0,
}: Wishes = {}): Promise<Listening> {
  const refusals: Refusal[] = [];
  const room = new WaitingRoom(seats, draw, true);
  const door: Doorkeeper = {
    accepts: () => {
      accepted();
      return room;
    },
    opens: token => {
      asked();
      if (token === TOKEN) return 1;
      refusals.push('token_unreadable');
      return undefined;
    },
    admitted: (_, connection) => {
      connection.socket.on('error', () => {});
      admitted(connection);
    },
    abandoned: () => {},
    acceptsHop: () => room,
    vanished: () => void refusals.push('gave_up'),
    turnedAway: why => void refusals.push(why),
  };
  const listener = await Listener.open({ host: '127.0.0.1', port: 0, identity: { key, cert } }, door);
  open.push(listener);
  return { port: listener.port, refusals, room };
}

interface Visit {
  readonly socket: Socket;
  /** All bytes, once the connection has ended. */
  readonly ended: Promise<string>;
  /** The bytes up to the end of the answer's head. */
  readonly answered: Promise<string>;
}

function visit(port: number, how: 'TLSv1.2' | 'TLSv1.3' | 'tcp' = 'TLSv1.3'): Visit {
  const about = { port, host: '127.0.0.1', rejectUnauthorized: false };
  const socket = how === 'tcp' ? connectTcp(about) : connect({ ...about, minVersion: how, maxVersion: how });
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

/** A masked frame of a client, its mask zero; binary and final unless told. */
function frame(length: number, opcode = 0x82): Buffer {
  const head = length < 126 ? [opcode, 0x80 | length] : [opcode, 0x80 | 126, length >>> 8, length & 0xff];
  return Buffer.concat([Buffer.of(...head), Buffer.alloc(4 + length)]);
}

/** Frames of exactly `bytes` bytes that bring no message. */
function pings(bytes: number): Buffer {
  const all: Buffer[] = [];
  for (let left = bytes; left > 0; ) {
    const next = left > 131 && left < 137 ? 125 : Math.min(131, left);
    all.push(frame(next - 6, 0x89));
    left -= next;
  }
  return Buffer.concat(all);
}

test('a client that has nothing better than TLS 1.2 is not spoken to (HS-001~1)', async () => {
  const { port, refusals } = await listening();
  expect(await visit(port, 'TLSv1.2').ended).toMatch(/^error ERR_SSL_TLSV1_ALERT_PROTOCOL_VERSION/);
  expect(refusals).toEqual(['tls_failed']);
  const { socket, answered } = visit(port);
  socket.write(`${HEAD}\r\n\r\n`);
  expect(await answered).toMatch(/^HTTP\/1\.1 101 /);
});

test('the answer to a token names the protocol and no extension (HS-004~1, LI-006~1)', async () => {
  const { port } = await listening();
  const { socket, answered } = visit(port);
  socket.write(`${HEAD}\r\nSec-WebSocket-Extensions: permessage-deflate\r\n\r\n`);
  const answer = await answered;
  expect(answer).toContain('\r\nSec-WebSocket-Protocol: clawchat.v1\r\n');
  expect(answer).not.toMatch(/extensions/i);
});

test('a compressed message ends the connection without a Close frame (LI-006~1, HS-018~1)', async () => {
  const { port } = await listening();
  const { socket, answered, ended } = visit(port);
  socket.write(`${HEAD}\r\nSec-WebSocket-Extensions: permessage-deflate\r\n\r\n`);
  const answer = await answered;
  socket.write(frame(64, 0xc2));
  expect(await ended).toBe(answer);
});

test.each(['TLSv1.3', 'tcp'] as const)(
  'whoever says nothing over %s is cut at the bound, and not before (HS-015~1)',
  async how => {
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });
    try {
      let accepted: () => void = () => {};
      const isIn = new Promise<void>(resolve => {
        accepted = resolve;
      });
      const { port, refusals } = await listening({ accepted });
      const { socket, ended } = visit(port, how);
      await Promise.all([once(socket, how === 'tcp' ? 'connect' : 'secureConnect'), isIn]);
      vi.advanceTimersByTime(AUTH_MS_MAX - 1);
      for (let turn = 0; turn < 20; turn += 1) await new Promise(resolve => setImmediate(resolve));
      expect(refusals).toEqual([]);
      vi.advanceTimersByTime(1);
      expect(refusals).toEqual(['late']);
      await ended;
    } finally {
      vi.useRealTimers();
    }
  },
);

test('an answer bears the date of now (HS-027~1)', async () => {
  const { port } = await listening();
  const { socket, answered } = visit(port);
  const before = Math.floor(Date.now() / 1000) * 1000;
  socket.write('GET / HTTP/1.1\r\nHost: x\r\n\r\n');
  const date = Date.parse(/^Date: (.*)\r$/m.exec(await answered)?.[1] ?? '');
  expect(date).toBeGreaterThanOrEqual(before);
  expect(date).toBeLessThanOrEqual(Date.now());
});

test('what is no HTTP, and what is no TLS, has an answer and a reason (LI-009~1)', async () => {
  const { port, refusals } = await listening();
  const said = async (text: string, how: 'TLSv1.3' | 'tcp'): Promise<string> => {
    const one = visit(port, how);
    one.socket.write(text);
    return (await one.ended).split('\r\n')[0] ?? '';
  };
  expect(await said('hello\r\n', 'TLSv1.3')).toBe('HTTP/1.1 400 Bad Request');
  expect(await said('GET / HTTP/1.1\r\nHost: x\r\n\r\n', 'tcp')).toBe('HTTP/1.1 400 Bad Request');
  expect(await said('GET / HTTP/1.1\r\nHost: x\r\n\r\n', 'TLSv1.3')).toBe('HTTP/1.1 404 Not Found');
  expect(refusals).toEqual(['not_http', 'plain_http', 'token_unreadable']);
});

test('a head is taken up to its bound and not a byte further (HS-016~2)', async () => {
  const { port, refusals } = await listening();
  const head = (bytes: number): string => {
    const bare = `${HEAD}\r\nX: \r\n\r\n`;
    return bare.replace('X: ', `X: ${'x'.repeat(bytes - bare.length)}`);
  };
  for (const bytes of [HTTP_HEAD_BYTES_MAX - 1, HTTP_HEAD_BYTES_MAX]) {
    const fits = visit(port);
    fits.socket.write(head(bytes));
    expect(await fits.answered).toMatch(/^HTTP\/1\.1 101 /);
  }
  const long = visit(port);
  long.socket.write(head(HTTP_HEAD_BYTES_MAX + 1));
  expect(await long.ended).toMatch(/^HTTP\/1\.1 400 /);
  // The byte that is too much ends it, whether the head is complete with it or not.
  const endless = visit(port);
  endless.socket.write(head(2 * HTTP_HEAD_BYTES_MAX).slice(0, HTTP_HEAD_BYTES_MAX + 1));
  expect(await endless.ended).toMatch(/^HTTP\/1\.1 400 /);
  expect(refusals).toEqual(['not_http', 'not_http']);
});

describe('behind the head', () => {
  /** Message 3 is the first message, of 64 bytes, as the machine has it. */
  const MESSAGE_3 = frame(64);

  interface Arrived {
    readonly messages: readonly number[];
    readonly answer: string;
    readonly refusals: readonly Refusal[];
  }

  /** Send pieces behind the head, each when the one before is answered for, and say what came of it. */
  async function send(...pieces: readonly Buffer[]): Promise<Arrived> {
    const messages: number[] = [];
    let heard: () => void = () => {};
    const { port, refusals } = await listening({
      admitted: ({ socket, authenticated }) => {
        socket.once('message', authenticated);
        socket.on('message', (data: Buffer) => {
          messages.push(data.length);
          heard();
        });
      },
    });
    const one = visit(port);
    one.socket.write(`${HEAD}\r\n\r\n`);
    expect(await one.answered).toMatch(/^HTTP\/1\.1 101 /);
    const last = new Promise<void>(resolve => {
      heard = () => {
        if (messages.at(-1) === 100) resolve();
      };
    });
    for (const piece of pieces) {
      one.socket.write(piece);
      await new Promise(resolve => setImmediate(resolve));
    }
    // A message of 100 bytes arrives, or the connection ends.
    one.socket.write(frame(100));
    await Promise.race([last, one.ended]);
    return { messages, answer: '', refusals };
  }

  test('message 3 may end with the last byte of the bound, and not with the next (HS-016~2)', async () => {
    for (const over of [-1, 0]) {
      const sent = pings(PREAUTH_BYTES_MAX + over - MESSAGE_3.length);
      expect(await send(sent, MESSAGE_3)).toMatchObject({ messages: [64, 100], refusals: [] });
      expect(await send(Buffer.concat([sent, MESSAGE_3]))).toMatchObject({
        messages: [64, 100],
        refusals: [],
      });
    }
    const sent = pings(PREAUTH_BYTES_MAX + 1 - MESSAGE_3.length);
    expect(await send(sent, MESSAGE_3)).toMatchObject({ messages: [], refusals: ['too_many_bytes'] });
    const together = Buffer.concat([sent, MESSAGE_3]);
    expect(await send(together)).toMatchObject({ messages: [], refusals: ['too_many_bytes'] });
  });

  test('what comes with message 3 is not counted (HS-016~2)', async () => {
    const sent = pings(PREAUTH_BYTES_MAX - MESSAGE_3.length);
    const together = Buffer.concat([sent, MESSAGE_3, frame(60_000), frame(60_000)]);
    expect(await send(together)).toMatchObject({ messages: [64, 60_000, 60_000, 100], refusals: [] });
  });
});

test('a full room lets one in for another, and keeps those that have shown a right MAC (LI-002~2)', async () => {
  const { port, refusals, room } = await listening({ seats: 3 });
  const secured = async (): Promise<Visit> => {
    const one = visit(port);
    await new Promise(resolve => one.socket.once('secureConnect', resolve));
    return one;
  };
  const silent = await secured();
  const members = [await secured(), await secured()];
  const admit = async (one: Visit): Promise<void> => {
    one.socket.write(`${HEAD}\r\n\r\n`);
    expect(await one.answered).toMatch(/^HTTP\/1\.1 101 /);
  };
  for (const member of members) await admit(member);
  const fourth = await secured();
  expect(await silent.ended).toBe('');
  expect(refusals).toEqual(['displaced']);
  await admit(fourth);
  // Now there is nobody left who has shown nothing.
  expect(await visit(port).ended).toMatch(/^(error ECONNRESET)?$/);
  expect(refusals).toEqual(['displaced', 'strangers_limit']);
  expect(room.taken).toBe(3);
  for (const member of members) expect(member.socket.readyState).toBe('open');
  // Who is authenticated or gone leaves a seat.
  const gone = new Promise(resolve => fourth.socket.once('close', resolve));
  fourth.socket.destroy();
  await gone;
  while (room.taken === 3) await new Promise(resolve => setTimeout(resolve, 5));
  await secured();
});

test('connections that are reset before they are accepted leave no seat taken, and are counted (LI-009~1)', async () => {
  const { port, refusals, room } = await listening();
  // This process accepts nothing before the other one has ended.
  const two = `const { connect } = require('node:net');
    for (let i = 0; i < 2; i += 1) {
      const socket = connect(${port}, '127.0.0.1', () => socket.resetAndDestroy());
    }`;
  execFileSync(process.execPath, ['-e', two]);
  await vi.waitFor(() => expect(refusals).toEqual(['gave_up', 'gave_up']), { timeout: 20_000 });
  expect(room.taken).toBe(0);
});

test('connections that wait to be accepted are taken up one by one, with turns for others between (LI-012~1)', async () => {
  const COUNT = 100;
  const turns: number[] = [];
  let turn = 0;
  const { port, room } = await listening({
    seats: COUNT,
    accepted: () => {
      turns.push(turn);
      setImmediate(() => {
        turn += 1;
      });
    },
  });
  // All of them are established before this process accepts the first.
  const all = `const { connect } = require('node:net');
    let established = 0;
    for (let i = 0; i < ${COUNT}; i += 1) {
      connect(${port}, '127.0.0.1', () => {
        established += 1;
        if (established === ${COUNT}) process.exit();
      });
    }`;
  execFileSync(process.execPath, ['-e', all]);
  await vi.waitFor(() => expect(turns).toHaveLength(COUNT), { timeout: 20_000 });
  expect(new Set(turns).size).toBe(COUNT);
  await vi.waitFor(() => expect(room.taken).toBe(0), { timeout: 20_000 });
});

test('strangers who all speak at one instant are read a few in a turn, with turns for others between (LI-011~2)', async () => {
  const COUNT = 100;
  const turns: number[] = [];
  let turn = 0;
  let isCounting = false;
  const { port, room } = await listening({
    seats: COUNT,
    draw: count => Math.floor(Math.random() * count),
    asked: () => {
      if (!isCounting) return;
      turns.push(turn);
      setImmediate(() => {
        turn += 1;
      });
    },
  });
  const visits = Array.from({ length: COUNT }, () => visit(port));
  await Promise.all(
    visits.map(({ socket }) => new Promise(resolve => socket.once('secureConnect', resolve))),
  );
  isCounting = true;
  for (const { socket } of visits) socket.write('GET / HTTP/1.1\r\nHost: x\r\n\r\n');
  for (const { ended } of visits) expect(await ended).toMatch(/^HTTP\/1\.1 404 /);
  expect(turns).toHaveLength(COUNT);
  const together = new Map<number, number>();
  for (const each of turns) together.set(each, (together.get(each) ?? 0) + 1);
  expect(Math.max(...together.values())).toBeLessThanOrEqual(ROUND_CONNECTIONS_MAX);
  await vi.waitFor(() => expect(room.taken).toBe(0), { timeout: 20_000 });
});

test('who comes again from the same port before the end of the last visit was seen is somebody new', async () => {
  const { port, room } = await listening({ seats: 64 });
  const localPort = await freePort();
  for (let visit = 0; visit < VISITS; visit += 1) {
    // Node takes both kinds of options here; its types know only those of TLS.
    const options: ConnectionOptions & TcpNetConnectOpts = {
      host: '127.0.0.1',
      port,
      localPort,
      rejectUnauthorized: false,
    };
    const tls = connect(options);
    tls.on('error', () => {});
    tls.once('secureConnect', () =>
      tls.write('GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n'),
    );
    tls.resume();
    await new Promise(resolve => tls.once('close', resolve));
  }
  // A place that was never given back would be read for ever, long behind its end.
  await vi.waitFor(() => expect(room.taken).toBe(0), { timeout: 2000 });
});
const VISITS = 150;

/** A port that nobody has. */
function freePort(): Promise<number> {
  return new Promise(resolve => {
    const server = createServer().listen(0, '127.0.0.1', () => {
      const { port } = server.address() as AddressInfo;
      server.close(() => resolve(port));
    });
  });
}
