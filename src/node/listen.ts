/**
 * Listens for TLS 1.3, answers strangers, and hands over the WebSockets that the gate admits.
 * Chapters: spec/04-handshake.md 4.2, spec/10-limits.md.
 */

import type { IncomingMessage } from 'node:http';
import { createServer, type Server } from 'node:https';
import type { AddressInfo, Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import type { TLSSocket } from 'node:tls';
import { type WebSocket, WebSocketServer } from 'ws';
import {
  AUTH_MS_MAX,
  HTTP_HEAD_BYTES_MAX,
  PREAUTH_BYTES_MAX,
  WIRE_RECORD_BYTES_MAX,
} from '../gen/constants.ts';
import type { Refusal } from './host/counts.ts';
import { upgradeToken } from './upgrade.ts';

/** A TLS key with its certificate, both PEM. */
export interface TlsIdentity {
  readonly key: string;
  readonly cert: string;
}

/** One connection that was let through the gate. */
export interface Admitted {
  readonly socket: WebSocket;
  /** What the WebSocket is on: whole messages may be written to it directly. */
  readonly stream: Duplex;
  /** Call once when message 3 is accepted: the limits of strangers end here. */
  authenticated(): void;
}

/** What the listener asks its owner. */
export interface Doorkeeper {
  /** May this address open another connection now? Asked at accept, before TLS. */
  accepts(address: string): boolean;
  /**
   * Does this token open the gate? A number names the connection that is let in: {@link admitted} or
   * {@link abandoned} follows with it. `token` is '' when the request is not one of ours. `acceptedAt` is monotonic,
   * `port` the listener's.
   */
  opens(token: string, address: string, acceptedAt: number, port: number): number | undefined;
  admitted(path: number, connection: Admitted): void;
  /** The connection ended before {@link admitted}. */
  abandoned(path: number): void;
  /** Somebody was turned away without being asked about: to be counted. */
  turnedAway(why: Refusal): void;
}

/** Where to listen. */
export interface ListenOptions {
  /** Address to bind, such as '0.0.0.0', '::' or '127.0.0.1'. */
  readonly host: string;
  /** TCP port; 0 lets the system choose (tests only). */
  readonly port: number;
  readonly identity: TlsIdentity;
  /** Connections accepted and not yet authenticated, at most. */
  readonly preauthConnectionsMax: number;
}

const BODY = [
  '<html>',
  '<head><title>404 Not Found</title></head>',
  '<body>',
  '<center><h1>404 Not Found</h1></center>',
  '<hr><center>nginx</center>',
  '</body>',
  '</html>',
  '',
].join('\r\n');

/** The one answer to everybody who is not admitted. @impl HS-005~1 */
export function strangersAnswer(now: Date): string {
  return [
    'HTTP/1.1 404 Not Found',
    'Server: nginx',
    `Date: ${now.toUTCString()}`,
    'Content-Type: text/html',
    `Content-Length: ${BODY.length}`,
    'Connection: close',
    '',
    BODY,
  ].join('\r\n');
}

/** A connection that is still a stranger's. */
interface Stranger {
  readonly timer: NodeJS.Timeout;
  readonly acceptedAt: number;
  /** Whether it is counted already why it was turned away, or it was let through the gate. */
  isJudged: boolean;
}

/** One open listener. */
export class Listener {
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();
  /** Connections that are still strangers', by peer address and port. */
  readonly #preauth = new Map<string, Stranger>();
  readonly #options: ListenOptions;
  readonly #door: Doorkeeper;
  /** @impl HS-004~1, LI-006~1 */
  readonly #websockets = new WebSocketServer({
    noServer: true,
    perMessageDeflate: false,
    clientTracking: false,
    maxPayload: WIRE_RECORD_BYTES_MAX,
    handleProtocols: () => 'clawchat.v1',
  });

  private constructor(options: ListenOptions, door: Doorkeeper) {
    this.#options = options;
    this.#door = door;
    this.#server = createServer({
      ...options.identity,
      minVersion: 'TLSv1.3',
      ALPNProtocols: ['http/1.1'],
      maxHeaderSize: HTTP_HEAD_BYTES_MAX,
      handshakeTimeout: AUTH_MS_MAX,
      // The deadline of accept() covers these; Node's own would answer with bytes of its own.
      headersTimeout: 0,
      requestTimeout: 0,
      keepAliveTimeout: 0,
      insecureHTTPParser: false,
    });
    this.#server.on('connection', (socket: Socket) => this.#accept(socket));
    this.#server.on('secureConnection', (socket: TLSSocket) => this.#secured(socket));
    // A failed TLS handshake has nobody to answer to.
    this.#server.on('tlsClientError', (_error, socket: TLSSocket) => {
      this.#judge(peerOf(socket), 'tls_failed');
      socket.destroy();
    });
    const refuse = (request: IncomingMessage): void => {
      this.#judge(peerOf(request.socket), 'no_upgrade');
      this.#refuse(request.socket);
    };
    this.#server.on('request', refuse);
    this.#server.on('checkContinue', refuse);
    this.#server.on('checkExpectation', refuse);
    this.#server.on('connect', refuse);
    this.#server.on('clientError', (_error, socket: Duplex) => {
      // A connection that ends in the middle of a request is an error, too.
      if (socket.writable) this.#judge(peerOf(socket as TLSSocket), 'not_http');
      this.#refuse(socket);
    });
    this.#server.on('upgrade', (request: IncomingMessage, socket: Duplex, head: Buffer) =>
      this.#upgrade(request, socket, head),
    );
  }

  /** Bind and listen; rejects with the system's error (`EADDRINUSE` ...). */
  static open(options: ListenOptions, door: Doorkeeper): Promise<Listener> {
    const listener = new Listener(options, door);
    return new Promise((resolve, reject) => {
      listener.#server.once('error', reject);
      listener.#server.listen({ host: options.host, port: options.port, exclusive: true }, () => {
        listener.#server.off('error', reject);
        // An accept can fail later (out of descriptors); the listener survives it.
        listener.#server.on('error', () => {});
        resolve(listener);
      });
    });
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port;
  }

  /** How many connections are open, authenticated or not. */
  get connections(): number {
    return this.#sockets.size;
  }

  /** How many of them are not authenticated yet. */
  get strangers(): number {
    return this.#preauth.size;
  }

  /** Present another certificate to connections from now on. */
  setIdentity(identity: TlsIdentity): void {
    this.#server.setSecureContext({ ...identity, minVersion: 'TLSv1.3' });
  }

  /** Stop accepting, end what is open, and resolve when the port is free. */
  close(): Promise<void> {
    return new Promise(resolve => {
      this.#server.close(() => resolve());
      for (const socket of this.#sockets) socket.destroy();
    });
  }

  /** @impl HS-015~1, LI-001~1, LI-002~1, ER-003~1 */
  #accept(socket: Socket): void {
    const address = socket.remoteAddress ?? '';
    if (this.#preauth.size >= this.#options.preauthConnectionsMax) {
      this.#door.turnedAway('strangers_limit');
      socket.destroy();
      return;
    }
    if (!this.#door.accepts(address)) {
      socket.destroy();
      return;
    }
    const peer = peerOf(socket);
    socket.setNoDelay(true);
    this.#sockets.add(socket);
    const timer = setTimeout(() => {
      this.#judge(peer, 'late', true);
      socket.destroy();
    }, AUTH_MS_MAX);
    this.#preauth.set(peer, { timer, acceptedAt: performance.now(), isJudged: false });
    socket.on('error', () => {});
    socket.on('close', () => {
      this.#sockets.delete(socket);
      this.#judge(peer, 'gave_up');
      this.#release(peer);
    });
  }

  #secured(socket: TLSSocket): void {
    socket.on('error', () => socket.destroy());
  }

  #refuse(socket: Duplex): void {
    if (socket.writableEnded || socket.destroyed) return;
    socket.end(strangersAnswer(new Date()));
  }

  #upgrade(request: IncomingMessage, socket: Duplex, head: Buffer): void {
    const token = upgradeToken(request);
    const stranger = this.#preauth.get(peerOf(request.socket));
    const acceptedAt = stranger?.acceptedAt ?? performance.now();
    // From here on whoever is asked counts.
    if (stranger !== undefined) stranger.isJudged = true;
    // A request that is not one of ours still goes to the gate, with no token: equal work for all.
    const path = this.#door.opens(token, request.socket.remoteAddress ?? '', acceptedAt, this.port);
    if (path === undefined) {
      this.#refuse(socket);
      return;
    }
    let admitted = false;
    this.#websockets.handleUpgrade(request, socket, head, websocket => {
      admitted = true;
      this.#admit(path, websocket, request.socket as TLSSocket);
    });
    if (!admitted) this.#door.abandoned(path);
  }

  /** @impl HS-016~1 */
  #admit(path: number, websocket: WebSocket, socket: TLSSocket): void {
    const peer = peerOf(socket);
    let bytes = 0;
    let known = false;
    // Runs behind the listener of ws: when message 3 was in this piece, `known` is true by now.
    const count = (piece: Buffer): void => {
      bytes += piece.length;
      if (known || bytes <= PREAUTH_BYTES_MAX || websocket.readyState !== websocket.OPEN) return;
      this.#door.turnedAway('too_many_bytes');
      websocket.terminate();
    };
    socket.on('data', count);
    websocket.binaryType = 'nodebuffer';
    this.#door.admitted(path, {
      socket: websocket,
      stream: socket,
      authenticated: () => {
        known = true;
        socket.off('data', count);
        this.#release(peer);
      },
    });
  }

  /** Count, once for a connection, why it comes to nothing; `always` also behind the gate. */
  #judge(peer: string, why: Refusal, always = false): void {
    const stranger = this.#preauth.get(peer);
    if (stranger === undefined || (stranger.isJudged && !always)) return;
    stranger.isJudged = true;
    this.#door.turnedAway(why);
  }

  /** Take a connection out of the strangers' count and lift their deadline. */
  #release(peer: string): void {
    clearTimeout(this.#preauth.get(peer)?.timer);
    this.#preauth.delete(peer);
  }
}

/** A name for one connection that its raw and its TLS socket share. */
function peerOf(socket: Socket): string {
  return `${socket.remoteAddress} ${socket.remotePort}`;
}
