/** What ClawChat is compared with: an echo of `ws`, corked or not, and of socket.io, over the same TLS 1.3 (bench/README.md). */
import { createServer } from 'node:https';
import type { AddressInfo, Socket } from 'node:net';
import { type WebSocket, WebSocketServer } from 'ws';
import { makeCertificate } from '../src/node/certificate.ts';
import { native } from '../src/node/native.ts';
import { answer } from './child.ts';
import { cork } from './cork.ts';
import type { Place } from './host.ts';
import { requirePeer, type SocketIoServer } from './peer-packages.ts';

const [, , kind = 'ws'] = process.argv;
const send = new Set<(bytes: Uint8Array) => void>();

const { cert, key } = makeCertificate(native, Date.now());
const server = createServer({ cert, key, minVersion: 'TLSv1.3', ALPNProtocols: ['http/1.1'] });
server.on('connection', (socket: Socket) => socket.setNoDelay(true));

function serveWebSockets(): void {
  const sockets = new WebSocketServer({
    noServer: true,
    perMessageDeflate: false,
    clientTracking: false,
    // A stranger: who has no token is refused, as ClawChat does.
    verifyClient: ({ req }: { req: { url?: string | undefined } }) => req.url !== '/stranger',
  });
  server.on('upgrade', (request, socket, head) =>
    sockets.handleUpgrade(request, socket, head, (websocket: WebSocket) => {
      websocket.binaryType = 'nodebuffer';
      const write = (bytes: Uint8Array): void => {
        if (kind === 'ws-corked') cork(socket);
        websocket.send(bytes);
      };
      send.add(write);
      websocket.on('message', (data: Buffer) => write(data));
      websocket.on('error', () => {});
      websocket.on('close', () => send.delete(write));
    }),
  );
}

function serveSocketIo(): void {
  const { Server } = requirePeer<{ Server: SocketIoServer }>('socket.io');
  const io = new Server(server, {
    transports: ['websocket'],
    perMessageDeflate: false,
    serveClient: false,
    maxHttpBufferSize: 1e6,
  });
  io.on('connection', socket => {
    socket.on('m', data => void socket.emit('m', data));
    const write = (bytes: Uint8Array): void => void socket.emit('m', Buffer.from(bytes).toString('latin1'));
    send.add(write);
    socket.on('disconnect', () => send.delete(write));
  });
}

answer({
  start: async (): Promise<Place> => {
    if (kind === 'socket.io') serveSocketIo();
    else serveWebSockets();
    await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve));
    return { port: (server.address() as AddressInfo).port, envelope: new Uint8Array(0) };
  },
  fanOut: (bytes: number): number => {
    const message = new Uint8Array(bytes).fill(7);
    for (const write of send) write(message);
    return send.size;
  },
});
