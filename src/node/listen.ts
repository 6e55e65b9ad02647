/**
 * Listens for TLS 1.3, answers strangers as a web server would, and hands over the WebSockets that the gate admits.
 * Chapters: spec/04-handshake.md 4.2 and 4.6, spec/10-limits.md.
 */
import { IncomingMessage } from 'node:http';
import { type AddressInfo, createServer, type Server, type Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import { createServer as createTlsServer, type TLSSocket, type Server as TlsServer } from 'node:tls';
import { type WebSocket, WebSocketServer } from 'ws';
import { AUTH_MS_MAX, PREAUTH_BYTES_MAX, WIRE_RECORD_BYTES_MAX } from '../gen/constants.ts';
import { SUBPROTOCOL } from '../protocol/gate.ts';
import type { Refusal } from './host/counts.ts';
import { clientBehind, plainAddress } from './host/front.ts';
import { HostSocket } from './host-socket.ts';
import { strangersAnswer } from './http/answer.ts';
import { BodyReader } from './http/body.ts';
import { type Head, HeadReader } from './http/head.ts';
import { readingOf } from './socket-reading.ts';
import { upgradeToken } from './upgrade.ts';
import type { Seat, WaitingRoom } from './waiting-room.ts';

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
  /** Say why the connection is about to be ended before that; counted once, whoever is first. */
  refused(reason: Refusal): void;
}

/** What the listener asks its owner. */
export interface Doorkeeper {
  /** Where may another connection of this address wait until it is authenticated? Asked at accept, before TLS. */
  accepts(address: string): WaitingRoom | undefined;
  /** Where does a connection of a proxy in front wait? About its client `accepts` is asked once that is known. */
  acceptsHop(): WaitingRoom;
  /**
   * Does this token open the gate? A number names the connection that is let in: {@link admitted} or
   * {@link abandoned} follows with it. `token` is '' when it cannot be read, and undefined when no WebSocket was asked
   * for. `acceptedAt` is monotonic, `port` the listener's.
   */
  opens(token: string | undefined, address: string, acceptedAt: number, port: number): number | undefined;
  admitted(path: number, connection: Admitted): void;
  /** The connection ended before {@link admitted}. */
  abandoned(path: number): void;
  /** A connection was over before it could be asked who comes. */
  vanished(): void;
  /** Somebody was turned away whom {@link opens} was not asked about, or who was admitted and not authenticated. */
  turnedAway(why: Refusal, address: string): void;
}

/** Where to listen. */
export interface ListenOptions {
  /** Address to bind, such as '0.0.0.0', '::' or '127.0.0.1'. */
  readonly host: string;
  /** TCP port; 0 lets the system choose (tests only). */
  readonly port: number;
  readonly identity: TlsIdentity;
  /** Proxies in front, which say in X-Forwarded-For who comes. */
  readonly hops?: ReadonlySet<string>;
}

/** A connection that is not authenticated. */
interface Guest {
  readonly socket: Socket;
  /** Of the connection; of the client that a proxy names, as soon as it has. */
  address: string;
  readonly seat: Seat;
  readonly timer: NodeJS.Timeout;
  /** Monotonic. */
  readonly acceptedAt: number;
  /** It was told no; what is left is that it closes. */
  isRefused: boolean;
}

/** The first byte of a TLS record with a hello, and the bit that SSL 2 set: to nginx, everything else is HTTP. */
const TLS_HELLO = 0x16;
const SSL2_BIT = 0x80;

const TICKET_SECONDS = 300;

// One of each for all connections, because every one that is idle keeps its handlers.
function ignore(): void {}
function destroyThis(this: Socket): void {
  this.destroy();
}

/** One open listener. */
export class Listener {
  readonly #server: Server;
  /** Listens nowhere: it is given the connections that begin as TLS does. */
  readonly #tls: TlsServer;
  readonly #sockets = new Set<Socket>();
  /** Connections that are still strangers', by peer address and port. */
  readonly #guests = new Map<string, Guest>();
  readonly #door: Doorkeeper;
  readonly #hops: ReadonlySet<string>;
  /** @impl HS-004~1, LI-006~1 */
  readonly #websockets = new WebSocketServer({
    noServer: true,
    WebSocket: HostSocket,
    perMessageDeflate: false,
    clientTracking: false,
    maxPayload: WIRE_RECORD_BYTES_MAX,
    handleProtocols: () => SUBPROTOCOL,
  });

  private constructor({ identity, hops = new Set() }: ListenOptions, door: Doorkeeper) {
    this.#door = door;
    this.#hops = hops;
    this.#server = createServer(socket => this.#accept(socket));
    this.#tls = createTlsServer({
      ...identity,
      minVersion: 'TLSv1.3',
      ALPNProtocols: ['http/1.1'],
      handshakeTimeout: AUTH_MS_MAX,
      // As nginx has it: tickets say it in the clear of TLS.
      sessionTimeout: TICKET_SECONDS,
    });
    this.#tls.on('secureConnection', socket => {
      socket.on('error', destroyThis);
      this.#serve(socket, false);
    });
    // A failed TLS handshake has nobody to answer to.
    this.#tls.on('tlsClientError', (_error, socket) => {
      const guest = this.#guests.get(peerOf(socket));
      guest?.seat.work();
      if (guest !== undefined) this.#refused(guest, 'tls_failed');
      socket.destroy();
    });
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

  /** How many connections are not authenticated yet. */
  get strangers(): number {
    return this.#guests.size;
  }

  /** Present another certificate to connections from now on. */
  setIdentity(identity: TlsIdentity): void {
    this.#tls.setSecureContext({ ...identity, minVersion: 'TLSv1.3' });
  }

  /** Stop accepting; what is open stays. */
  stopAccepting(): void {
    this.#server.close();
  }

  /** Stop accepting, end what is open, and resolve when the port is free. */
  close(): Promise<void> {
    return new Promise(resolve => {
      if (this.#server.listening) this.#server.close(() => resolve());
      else resolve();
      for (const socket of this.#sockets) socket.destroy();
    });
  }

  /** The event loop accepts one connection in a turn. @impl HS-015~1, LI-001~1, LI-002~2, LI-012~1, ER-003~1 */
  #accept(socket: Socket): void {
    const address = socket.remoteAddress;
    // Reset before it was accepted: the system no longer knows who it was.
    if (address === undefined) {
      this.#door.vanished();
      socket.destroy();
      return;
    }
    // Who comes through a proxy is known when it has passed on the request.
    const room = this.#isHop(address) ? this.#door.acceptsHop() : this.#door.accepts(address);
    if (room === undefined) {
      socket.destroy();
      return;
    }
    if (!this.#enters(socket, room, address)) {
      this.#door.turnedAway('strangers_limit', address);
      socket.destroy();
      return;
    }
    this.#sockets.add(socket);
    socket.setNoDelay(true);
    socket.on('error', ignore);
    this.#watch(socket, peerOf(socket));
    this.#sort(socket);
  }

  /** What it makes goes when the connection is authenticated: nothing that stays may hold this scope. */
  #enters(socket: Socket, room: WaitingRoom, address: string): boolean {
    const end = (reason: Refusal): void => {
      this.#refused(guest, reason);
      socket.destroy();
    };
    // Whoever is over may come again from the same port before its end is told here.
    this.#leaves(peerOf(socket), this.#guests.get(peerOf(socket))?.socket);
    const seat = room.enter(() => end('displaced'), readingOf(socket));
    if (seat === undefined) return false;
    const timer = setTimeout(() => end('late'), AUTH_MS_MAX);
    const guest: Guest = { socket, address, seat, timer, acceptedAt: performance.now(), isRefused: false };
    this.#guests.set(peerOf(socket), guest);
    return true;
  }

  #watch(socket: Socket, peer: string): void {
    socket.on('close', () => {
      this.#sockets.delete(socket);
      this.#leaves(peer, socket);
    });
  }

  /** A connection is over, and may have been a stranger's. */
  #leaves(peer: string, socket: Socket | undefined): void {
    const guest = this.#guests.get(peer);
    if (guest === undefined || guest.socket !== socket) return;
    guest.seat.work();
    this.#refused(guest, 'gave_up');
    this.#release(peer);
  }

  /** Give TLS to TLS, and answer what is none. */
  #sort(socket: Socket): void {
    const begin: Buffer | null = socket.read();
    if (begin === null) {
      socket.once('readable', () => this.#sort(socket));
      return;
    }
    this.#guests.get(peerOf(socket))?.seat.work();
    socket.unshift(begin);
    const [first = 0] = begin;
    if (first === TLS_HELLO || (first & SSL2_BIT) !== 0) this.#tls.emit('connection', socket);
    else this.#serve(socket, true);
  }

  /** Read a request, and answer it. */
  #serve(socket: Socket, isPlain: boolean): void {
    const guest = this.#guests.get(peerOf(socket));
    if (guest === undefined) {
      socket.destroy();
      return;
    }
    const { seat } = guest;
    seat.work();
    const reader = new HeadReader();
    const take = (piece: Buffer): void => {
      seat.work();
      const head = reader.push(piece);
      if (head === undefined) return;
      socket.off('data', take);
      if (isPlain) this.#refusePlain(socket, guest, head);
      else if (head.status !== 404) this.#refuse(socket, guest, head, 'not_http');
      else this.#ask(socket, guest, head);
    };
    socket.on('data', take);
  }

  #isHop(address: string): boolean {
    return this.#hops.has(plainAddress(address));
  }

  /** Find out who made a request that a proxy brought; false when that address has no token left. */
  #introduces(guest: Guest, head: Head): boolean {
    if (!this.#isHop(guest.address)) return true;
    const header = head.request?.headers.get('x-forwarded-for');
    guest.address = clientBehind(header, plainAddress(guest.address), this.#hops);
    return this.#door.accepts(guest.address) !== undefined;
  }

  #refusePlain(socket: Socket, guest: Guest, head: Head): void {
    const isRight = head.status === 404 || head.status === 413;
    this.#refuse(socket, guest, isRight ? { ...head, status: 497 } : head, 'plain_http');
  }

  /** Without a reason, `opens` has counted it. @impl HS-005~3 */
  #refuse(socket: Socket, guest: Guest, head: Head, reason: Refusal | undefined): void {
    if (reason !== undefined) this.#refused(guest, reason);
    guest.isRefused = true;
    const body = new BodyReader(head.body);
    const isOver = body.take(head.rest);
    socket.write(strangersAnswer(head, new Date()));
    // What comes behind it is taken and dropped, so that the answer is not lost to a reset.
    socket.on('data', piece => {
      guest.seat.work();
      if (body.take(piece)) socket.end();
    });
    if (isOver) socket.end();
  }

  #ask(socket: Socket, guest: Guest, head: Head): void {
    if (!this.#introduces(guest, head)) {
      this.#refuse(socket, guest, head, undefined);
      return;
    }
    const { address, acceptedAt, seat } = guest;
    // A request that is not one of ours still goes to the gate, with no token: equal work for all.
    const path = this.#door.opens(upgradeToken(head), address, acceptedAt, this.port);
    // Whoever is let in is judged by what comes next; the others were counted.
    guest.isRefused = path === undefined;
    if (path === undefined) {
      this.#refuse(socket, guest, head, undefined);
      return;
    }
    seat.keep();
    const request = new IncomingMessage(socket);
    request.method = 'GET';
    request.url = '/';
    request.headers = Object.fromEntries(head.request?.headers ?? []);
    let isAdmitted = false;
    this.#websockets.handleUpgrade(request, socket, Buffer.from(head.rest), websocket => {
      isAdmitted = true;
      this.#admit(path, guest, websocket, socket);
    });
    if (!isAdmitted) this.#door.abandoned(path);
  }

  /** @impl HS-016~2 */
  #admit(path: number, guest: Guest, websocket: WebSocket, socket: Socket): void {
    // `ws` gets no byte beyond the bound before message 3 was accepted, not even those that came with it.
    const [toWebSocket] = socket.listeners('data') as ((piece: Buffer) => void)[];
    if (toWebSocket === undefined) throw new Error('ws does not listen to its socket');
    let room = PREAUTH_BYTES_MAX;
    let isKnown = false;
    const count = (piece: Buffer): void => {
      const first = piece.subarray(0, room);
      room -= first.length;
      toWebSocket.call(socket, first);
      if (first.length === piece.length) return;
      if (isKnown) toWebSocket.call(socket, piece.subarray(first.length));
      else if (!socket.destroyed) {
        this.#refused(guest, 'too_many_bytes');
        websocket.terminate();
      }
    };
    socket.off('data', toWebSocket);
    socket.on('data', count);
    websocket.binaryType = 'nodebuffer';
    this.#door.admitted(path, {
      socket: websocket,
      stream: socket,
      authenticated: () => {
        isKnown = true;
        socket.off('data', count);
        socket.on('data', toWebSocket);
        this.#release(peerOf(socket));
      },
      refused: reason => this.#refused(guest, reason),
    });
  }

  /** Once for each connection. */
  #refused(guest: Guest, reason: Refusal): void {
    if (guest.isRefused) return;
    guest.isRefused = true;
    this.#door.turnedAway(reason, guest.address);
  }

  /** Take a connection out of the strangers' count and lift their deadline. */
  #release(peer: string): void {
    const guest = this.#guests.get(peer);
    if (guest === undefined) return;
    clearTimeout(guest.timer);
    guest.seat.leave();
    this.#guests.delete(peer);
  }
}

/** A name for one connection that its raw and its TLS socket share. */
function peerOf(socket: Socket | TLSSocket): string {
  return `${socket.remoteAddress} ${socket.remotePort}`;
}
