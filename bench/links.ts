/** Connections of the load, of each kind, all over TLS 1.3 from addresses of their own (bench/README.md). */
import type { TcpNetConnectOpts } from 'node:net';
import { type ConnectionOptions, connect, createSecureContext, type TLSSocket } from 'node:tls';
import { WebSocket } from 'ws';
import { cork } from './cork.ts';
import type { Place } from './host.ts';
import { requirePeer, type SocketIo, type SocketIoConnect } from './peer-packages.ts';
import { connectSession } from './session-link.ts';

/** `unsealed` is ClawChat with a cipher that only copies. */
export type Kind = 'clawchat' | 'unsealed' | 'ws' | 'ws-corked' | 'socket.io';

/** One open connection that echoes. */
export interface Link {
  send(message: Uint8Array): void;
  /** What to do with each message. */
  onMessage: () => void;
  close(): Promise<void>;
}

/** Sixteen connections share an address of 127.0.0.0/8, because a host limits how many come from one. */
export function addressOf(index: number): string {
  const address = Math.floor(index / 16);
  return `127.${1 + (address >> 14)}.${(address >> 7) & 127}.${1 + (address & 127)}`;
}

/** Addresses that no device has. */
export function strangersAddress(index: number): string {
  return addressOf(index).replace('127.', '127.1');
}

const secureContext = createSecureContext({ minVersion: 'TLSv1.3' });

/** Open TLS as `src/node/dial.ts` does, but from a given address. */
export function openTls(port: number, localAddress: string): TLSSocket {
  // Node takes both kinds of options here; its types know only those of TLS.
  const options: ConnectionOptions & TcpNetConnectOpts = {
    host: '127.0.0.1',
    port,
    localAddress,
    secureContext,
    ALPNProtocols: ['http/1.1'],
    rejectUnauthorized: false,
    servername: '',
  };
  const tls = connect(options);
  tls.setNoDelay(true);
  return tls;
}

/** Open a WebSocket on such a connection. */
export function openWebSocket(tls: TLSSocket, protocols: readonly string[]): Promise<WebSocket> {
  const socket = new WebSocket('ws://127.0.0.1/', [...protocols], {
    createConnection: () => tls,
    perMessageDeflate: false,
  });
  socket.binaryType = 'nodebuffer';
  return new Promise((resolve, reject) => {
    socket.once('open', () => resolve(socket));
    socket.once('error', reject);
  });
}

async function connectRaw(place: Place, index: number, isCorked: boolean): Promise<Link> {
  const tls = openTls(place.port, addressOf(index));
  const socket = await openWebSocket(tls, []);
  const link: Link = {
    send: message => {
      if (isCorked) cork(tls);
      socket.send(message);
    },
    onMessage: () => {},
    close: () =>
      new Promise(resolve => {
        socket.once('close', () => resolve());
        socket.terminate();
      }),
  };
  socket.on('message', () => link.onMessage());
  return link;
}

function connectSocketIo(place: Place, index: number): Promise<Link> {
  const { io } = requirePeer<{ io: SocketIoConnect }>('socket.io-client');
  const socket: SocketIo = io(`https://127.0.0.1:${place.port}`, {
    transports: ['websocket'],
    rejectUnauthorized: false,
    reconnection: false,
    forceNew: true,
    localAddress: addressOf(index),
  });
  const texts = new Map<number, string>();
  const link: Link = {
    send: message => {
      const text = texts.get(message.length) ?? 'x'.repeat(message.length);
      texts.set(message.length, text);
      socket.emit('m', text);
    },
    onMessage: () => {},
    close: () => {
      socket.disconnect();
      return Promise.resolve();
    },
  };
  socket.on('m', () => link.onMessage());
  return new Promise((resolve, reject) => {
    socket.on('connect', () => resolve(link));
    socket.on('connect_error', reject);
  });
}

/** Open connection number `index`. */
export function openLink(kind: Kind, place: Place, index: number): Promise<Link> {
  switch (kind) {
    case 'clawchat':
    case 'unsealed':
      return connectSession(kind, place, index);
    case 'ws':
      return connectRaw(place, index, false);
    case 'ws-corked':
      return connectRaw(place, index, true);
    case 'socket.io':
      return connectSocketIo(place, index);
  }
}
