/** What a stranger sees of a host: every byte behind TLS, and how the connection ends. */
import { connect as connectTcp, type Socket } from 'node:net';
import { type ConnectionOptions, connect } from 'node:tls';

/** One conversation, as far as a stranger can tell conversations apart. */
export interface Sight {
  /** All bytes the server sent, with the value of a Date header masked. */
  readonly bytes: string;
  /** What happened, in order: the end of the stream, an error, the close. */
  readonly events: readonly string[];
}

/** How a stranger comes. */
export interface Manner {
  /** Without TLS. */
  readonly isPlain?: boolean;
  /** Say that nothing more comes, right behind the request. */
  readonly isHalfClosed?: boolean;
  /** A byte at a time, each in a record of its own. */
  readonly isSlow?: boolean;
}

/** Between closing at once and closing when a time is over. */
const HELD_MS = 2500;

let looks = 0;

/** An address for each, since a host counts by address. */
function nextAddress(): string {
  looks += 1;
  return `127.200.${(looks >> 7) & 127}.${1 + (looks & 127)}`;
}

/** Send `request` to a server and record all it does until the connection is closed. */
export function look(port: number, request: string | Uint8Array, manner: Manner = {}): Promise<Sight> {
  const bytes = typeof request === 'string' ? Buffer.from(request, 'latin1') : Buffer.from(request);
  return new Promise((resolve, reject) => {
    const pieces: Buffer[] = [];
    const events: string[] = [];
    const where = { port, host: '127.0.0.1', localAddress: nextAddress() };
    const socket =
      manner.isPlain === true
        ? connectTcp(where)
        : connect({ ...where, rejectUnauthorized: false, servername: '' } as ConnectionOptions);
    socket.setNoDelay(true);
    let isHeld = false;
    // A server that has answered and waits is told from one that closes; who compares looks again when they differ.
    const held = setTimeout(() => {
      isHeld = true;
    }, HELD_MS);
    const timer = setTimeout(() => reject(new Error('the server neither answers nor closes')), 60_000);
    socket.once(manner.isPlain === true ? 'connect' : 'secureConnect', () => {
      if ('getProtocol' in socket) events.push(`secure ${socket.getProtocol()} ${socket.alpnProtocol}`);
      void write(socket, bytes, manner);
    });
    socket.on('data', piece => pieces.push(piece));
    socket.on('end', () => events.push(isHeld ? 'end, held' : 'end'));
    socket.on('error', error => events.push(`error ${'code' in error ? error.code : error.message}`));
    socket.on('close', hadError => {
      clearTimeout(timer);
      clearTimeout(held);
      events.push(`close ${hadError}`);
      const text = Buffer.concat(pieces).toString('latin1');
      resolve({ bytes: text.replace(/^Date: [^\r]{29}\r$/m, 'Date: (masked)\r'), events });
    });
  });
}

async function write(socket: Socket, bytes: Buffer, { isSlow, isHalfClosed }: Manner): Promise<void> {
  const pieces = isSlow === true ? [...bytes].map(byte => Buffer.of(byte)) : [bytes];
  for (const piece of pieces) {
    if (!socket.writable) return;
    socket.write(piece);
    if (isSlow === true) await new Promise(resolve => setTimeout(resolve, 2));
  }
  if (isHalfClosed === true) socket.end();
}

/** The upgrade request of a client, with this token. */
export function upgrade(token: string): string {
  return [
    'GET / HTTP/1.1',
    'Host: 127.0.0.1',
    'Connection: Upgrade',
    'Upgrade: websocket',
    'Sec-WebSocket-Version: 13',
    'Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==',
    `Sec-WebSocket-Protocol: clawchat.v1, ${token}`,
    '',
    '',
  ].join('\r\n');
}

/** Name every sight that differs from the first. */
export function differing(sights: ReadonlyMap<string, Sight>): readonly string[] {
  const [first] = sights.values();
  return [...sights]
    .filter(([, sight]) => JSON.stringify(sight) !== JSON.stringify(first))
    .map(([name]) => name);
}
