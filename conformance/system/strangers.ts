/** What a stranger sees of a host: every byte behind TLS, and how the connection ends. */
import { connect } from 'node:tls';

/** One conversation, as far as a stranger can tell conversations apart. */
export interface Sight {
  /** All bytes the server sent, with the value of a Date header masked. */
  readonly bytes: string;
  /** What happened, in order: the end of the stream, an error, the close. */
  readonly events: readonly string[];
}

/** Send `request` to a server and record all it does until the connection is closed. */
export function look(port: number, request: string | Uint8Array): Promise<Sight> {
  return new Promise((resolve, reject) => {
    const pieces: Buffer[] = [];
    const events: string[] = [];
    const socket = connect({ port, host: '127.0.0.1', rejectUnauthorized: false, servername: '' }, () => {
      events.push(`secure ${socket.getProtocol()} ${socket.alpnProtocol}`);
      socket.write(request);
    });
    const timer = setTimeout(() => reject(new Error('the server neither answers nor closes')), 20_000);
    socket.on('data', piece => pieces.push(piece));
    socket.on('end', () => events.push('end'));
    socket.on('error', error => events.push(`error ${'code' in error ? error.code : error.message}`));
    socket.on('close', hadError => {
      clearTimeout(timer);
      events.push(`close ${hadError}`);
      const bytes = Buffer.concat(pieces).toString('latin1');
      resolve({ bytes: bytes.replace(/^Date: [^\r]{29}\r$/m, 'Date: (masked)\r'), events });
    });
  });
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
