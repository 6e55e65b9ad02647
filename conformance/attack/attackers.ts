/**
 * The attackers, in a process of their own: each source is an address of 127.0.0.0/8 and does one thing that no member does.
 * Bounded by what it is asked: so many sources, so many milliseconds, one port of the loopback.
 */
import { connect as connectTcp, type Socket } from 'node:net';
import { setPriority } from 'node:os';
import { type ConnectionOptions, connect, createSecureContext } from 'node:tls';

/** What attackers do. */
export const KINDS = [
  'says nothing',
  'says nothing behind TLS',
  'dribbles a head',
  'garbage',
  'garbage behind TLS',
  'half a TLS hello',
  'half a handshake: message 1 replayed',
  'a header too large',
  'a token of nobody',
] as const;
/** What one of them does. */
export type Kind = (typeof KINDS)[number];

/** One wave of an attack. */
export interface Wave {
  readonly port: number;
  /** So many connections of as many sources, from source `from` on and around; they take the kinds in turn. */
  readonly from: number;
  readonly connections: number;
  readonly sources: number;
  /** The first fifth comes at once, the others spread over this; behind it all are gone. */
  readonly ms: number;
  /** What was recorded of a device's upgrade. */
  readonly replayed: string;
  /** An upgrade with a token that nobody has. */
  readonly unknown: string;
  /** Connections that one more source opens at once, from one address. */
  readonly hammer: number;
}

/** What came of it, as they saw it. */
export interface Came {
  readonly connections: number;
  /** From the first to the last of them, milliseconds. */
  readonly ms: number;
  /** First lines of answers, with how many were like it. */
  readonly answers: Readonly<Record<string, number>>;
}

const secureContext = createSecureContext({ minVersion: 'TLSv1.3' });
const HEAD = 'GET / HTTP/1.1\r\nHost: 127.0.0.1\r\n';
const DRIBBLE_MS = 150;
/** A TLS record that announces a hello, and the beginning of it. */
const HALF_HELLO = Buffer.from('16030100c8010000c40303', 'hex');

/** Whoever opens many connections at once. */
const HAMMERER = '127.99.0.1';

/** A source's address. */
export function sourceAddress(source: number): string {
  return `127.${64 + (source >> 14)}.${(source >> 7) & 127}.${1 + (source & 127)}`;
}

function open(kind: Kind, { port, replayed, unknown }: Wave, localAddress: string): Socket {
  const where = { port, host: '127.0.0.1', localAddress };
  switch (kind) {
    case 'says nothing':
      return connectTcp(where);
    case 'garbage':
      return saying(connectTcp(where), 'connect', Buffer.from('010203f0f1f2'.repeat(20), 'hex'));
    case 'half a TLS hello':
      return saying(connectTcp(where), 'connect', HALF_HELLO);
    default: {
      const about: ConnectionOptions = { ...where, secureContext, rejectUnauthorized: false, servername: '' };
      const socket = connect(about);
      switch (kind) {
        case 'says nothing behind TLS':
          return socket;
        case 'dribbles a head':
          return dribbling(socket);
        case 'garbage behind TLS':
          return saying(socket, 'secureConnect', Buffer.from('80ff00fe'.repeat(20), 'hex'));
        case 'half a handshake: message 1 replayed':
          return saying(socket, 'secureConnect', replayed);
        case 'a header too large':
          return saying(socket, 'secureConnect', `${HEAD}Cookie: ${'x'.repeat(20_000)}\r\n\r\n`);
        case 'a token of nobody':
          return saying(socket, 'secureConnect', unknown);
      }
    }
  }
}

function saying(socket: Socket, when: string, what: string | Buffer): Socket {
  return socket.once(when, () => void socket.write(what));
}

function dribbling(socket: Socket): Socket {
  let at = 0;
  const timer = setInterval(() => {
    if (socket.writable) socket.write(HEAD[at % HEAD.length] ?? '');
    at += 1;
  }, DRIBBLE_MS);
  return socket.once('close', () => clearInterval(timer));
}

/** Run one wave. */
async function attack(wave: Wave): Promise<Came> {
  const answers = new Map<string, number>();
  const sockets = new Set<Socket>();
  let connections = 0;
  const begin = (kind: Kind, address: string): void => {
    const socket = open(kind, wave, address);
    connections += 1;
    sockets.add(socket);
    let answer = '';
    socket.on('data', (piece: Buffer) => {
      if (answer === '') answer = piece.toString('latin1').split('\r\n')[0] ?? '';
    });
    socket.on('error', () => {});
    socket.once('close', () => {
      sockets.delete(socket);
      if (answer !== '') answers.set(answer, (answers.get(answer) ?? 0) + 1);
    });
  };
  const startedAt = performance.now();
  const atOnce = Math.floor(wave.connections / 5);
  const spread = wave.connections - atOnce;
  for (let i = 0; i < wave.hammer; i += 1) begin('says nothing', HAMMERER);
  for (let i = 0; i < wave.connections; i += 1) {
    const dueAt = startedAt + (wave.ms * Math.max(0, i - atOnce)) / spread;
    while (performance.now() < dueAt) await new Promise(resolve => setTimeout(resolve, 4));
    begin(KINDS[i % KINDS.length] ?? 'says nothing', sourceAddress((wave.from + i) % wave.sources));
  }
  const ms = performance.now() - startedAt;
  while (performance.now() < startedAt + wave.ms) await new Promise(resolve => setTimeout(resolve, 10));
  for (const socket of sockets) socket.destroy();
  while (sockets.size > 0) await new Promise(resolve => setTimeout(resolve, 10));
  return { connections, ms, answers: Object.fromEntries(answers) };
}

if (process.send !== undefined) {
  // Attackers have machines of their own; here they get what the host and its members leave of this one.
  setPriority(19);
  process.on('message', (wave: Wave) => void attack(wave).then(came => process.send?.(came)));
  process.on('disconnect', () => process.exit());
}
