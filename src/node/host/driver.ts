/** Performs what the host's machine decides: sockets, commits, sessions' streams. Chapter: spec/01-architecture.md. */
import type { Duplex } from 'node:stream';
import type { WebSocket } from 'ws';
import { ErrorCode } from '../../gen/clawchat/v1/error_pb.ts';
import type { RotationNotice } from '../../gen/clawchat/v1/rotation_pb.ts';
import { PATH_DEAD_MS } from '../../gen/constants.ts';
import { codeName } from '../../protocol/fault.ts';
import type { Now } from '../../protocol/now.ts';
import type { RegistryChange } from '../../protocol/registry.ts';
import type { Server } from '../../protocol/server.ts';
import type { ServerInput, ServerOutput } from '../../protocol/server-io.ts';
import type { StreamAcceptor } from '../../runtime/streams.ts';
import type { Admitted, Doorkeeper } from '../listen.ts';
import type { Log } from '../log.ts';
import { native } from '../native.ts';
import { readNow } from '../now.ts';
import { recycle } from '../sealed-buffers.ts';
import { serverMessage } from '../server-message.ts';
import { Turns } from '../turns.ts';
import type { WaitingRoom } from '../waiting-room.ts';
import { endName, HostCounts, type Refusal } from './counts.ts';
import { Door } from './door.ts';
import { SessionStreams } from './session-streams.ts';

/** The epoch that a token names. It was admitted, so it is one. */
function tokenEpoch(token: string): number {
  return Number(Buffer.from(token.slice(0, 12), 'base64url').readBigUInt64BE(0));
}

/** How long the other side has to answer a WebSocket close. */
const CLOSE_MS = 2000;
const OFFER_ENTROPY_BYTES = 64;
/** The machine hears of what has left in portions of this: fewer than what it lets wait on a path. */
const TOLD_BYTES = 65_536;
/** From this length on a message's buffer is worth giving back. */
const LARGE_BYTES = 4096;

/** A notice as it is sent, with the sequence of the record in it; 0 for none. */
export interface ToldNotice {
  readonly notice: RotationNotice;
  readonly sequence: number;
}

/** What the driver asks of the host around it. */
export interface DriverPort {
  /** Make the changes durable, together; calls become durable in their order. */
  persist(changes: readonly RegistryChange[]): Promise<void>;
  /** The recipients of the connection file have changed. */
  publish(): void;
  /** A database write failed: nothing can be promised any more. */
  failed(reason: unknown): void;
  /** Serve a stream that a device opened. */
  accept(device: string): StreamAcceptor;
  /** What somebody who attaches here and now has to hear of a move and of the record; undefined for nothing. */
  noticeFor(port: number, epoch: number): ToldNotice | undefined;
  /** Something that an operator waits for, or should hear of. */
  report(output: ServerOutput & { kind: 'made' | 'done' | 'declined' | 'enrolled' | 'alarm' }): void;
}

interface Connection {
  readonly address: string;
  /** Of the listener. */
  readonly port: number;
  /** Of the token; 0 until it is admitted. */
  epoch: number;
  /** The highest record that was sent on this path; undefined until its session is attached. */
  toldSequence: number | undefined;
  readonly isUpgrade: boolean;
  socket: WebSocket | undefined;
  /** What `socket` is on. */
  stream: Duplex | undefined;
  /** Defined from its WebSocket on until it is authenticated. */
  stranger: Pick<Admitted, 'authenticated' | 'refused'> | undefined;
  /** What is to be sent before the WebSocket is there. */
  early: Uint8Array[] | undefined;
  /** Bytes of messages so far: given to `stream`, up to the last one whose leaving is heard of, told to the machine. */
  sent: number;
  asked: number;
  told: number;
}

/** Drives one host's machine. */
export class HostDriver implements Doorkeeper {
  readonly server: Server;
  readonly counts: HostCounts = new HostCounts();
  readonly #port: DriverPort;
  readonly #log: Log;
  readonly #connections = new Map<number, Connection>();
  readonly #door: Door;
  readonly #sessions: SessionStreams;
  /** Sockets whose path has ended, until they are closed. */
  readonly #closing = new Set<WebSocket>();
  readonly #turns: Turns;
  #paths = 0;
  #closed = false;

  constructor(server: Server, port: DriverPort, log: Log) {
    this.server = server;
    this.#turns = new Turns(server, () => this.step({ kind: 'tick' }));
    this.#port = port;
    this.#log = log;
    this.#door = new Door(this.counts, log);
    const flush = (): void => this.#turns.schedule();
    const accept = (device: string): StreamAcceptor => port.accept(device);
    this.#sessions = new SessionStreams(server.sessions, { accept, flush }, log);
  }

  /** Ids of devices that have a path. */
  get connected(): ReadonlySet<string> {
    return this.#sessions.connected;
  }

  /** Give the machine one input and do what it says. */
  step(input: ServerInput): void {
    const now = readNow();
    for (const output of this.server.step(input, now)) this.#perform(output, now);
    this.#turns.schedule(now);
  }

  /** Tell everybody to come back later; resolves when they have taken leave, or been cut off. @impl ER-005~1 */
  async shutDown(): Promise<void> {
    this.step({ kind: 'shutdown' });
    const leaving = [...this.#closing];
    await Promise.all(leaving.map(socket => new Promise(resolve => socket.once('close', resolve))));
    this.#log.info('drained', { paths: leaving.length });
  }

  /** End every path and forget everything. */
  close(): void {
    this.step({ kind: 'shutdown' });
    this.#closed = true;
    this.#door.close();
    this.#turns.close();
    for (const { socket } of this.#connections.values()) socket?.terminate();
    for (const socket of this.#closing) socket.terminate();
  }

  /** Whether the session of a device has had no path for so long that nobody takes it for connected. @impl CH-059~1 */
  isAway(device: string): boolean {
    return this.server.sessions.pathlessMs(device, readNow().mono) >= PATH_DEAD_MS;
  }

  /** Sessions that live, on a path or not. */
  get sessions(): number {
    return this.#sessions.size;
  }

  /** How many client addresses the buckets remember. */
  get bucketAddresses(): number {
    return this.#door.addresses;
  }

  /** How many paths there are on each listener's port. */
  get pathsByPort(): ReadonlyMap<number, number> {
    const counts = new Map<number, number>();
    for (const { port } of this.#connections.values()) counts.set(port, (counts.get(port) ?? 0) + 1);
    return counts;
  }

  /** Tell everybody whose path is not the newest place; `isElsewhere` judges by listener and token. */
  notify(told: ToldNotice, isElsewhere: (port: number, epoch: number) => boolean): void {
    this.#tell(
      told,
      [...this.#connections].filter(([, { port, epoch }]) => isElsewhere(port, epoch)),
    );
  }

  /** Tell every session of a record that its path was not sent. @impl RT-156~1 */
  notifyRecord(told: ToldNotice): void {
    const isBehind = ({ toldSequence = told.sequence }: Connection): boolean => toldSequence < told.sequence;
    this.#tell(
      told,
      [...this.#connections].filter(([, connection]) => isBehind(connection)),
    );
  }

  #tell({ notice, sequence }: ToldNotice, concerned: readonly (readonly [number, Connection])[]): void {
    for (const [, connection] of concerned) {
      if (connection.toldSequence !== undefined)
        connection.toldSequence = Math.max(connection.toldSequence, sequence);
    }
    this.step({ kind: 'notify', notice, paths: concerned.map(([path]) => path) });
  }

  /** End every path of a listener that ends; their sessions can be resumed elsewhere. @impl RT-118~1 */
  endPaths(port: number): void {
    const paths = [...this.#connections].filter(([, connection]) => connection.port === port);
    this.step({ kind: 'endPaths', paths: paths.map(([path]) => path) });
  }

  // ---- the listener's questions ----

  accepts(address: string): WaitingRoom | undefined {
    return this.#door.accepts(address);
  }

  acceptsHop(): WaitingRoom {
    return this.#door.acceptsHop();
  }

  vanished(): void {
    this.#door.vanished();
  }

  turnedAway(why: Refusal, address: string): void {
    this.#door.refused(why, address);
  }

  opens(token: string | undefined, address: string, acceptedAt: number, port: number): number | undefined {
    const path = ++this.#paths;
    const connection: Connection = {
      address,
      port,
      epoch: 0,
      toldSequence: undefined,
      isUpgrade: token !== undefined,
      socket: undefined,
      stream: undefined,
      stranger: undefined,
      early: [],
      sent: 0,
      asked: 0,
      told: 0,
    };
    this.#connections.set(path, connection);
    const entropy = native.randomBytes(OFFER_ENTROPY_BYTES);
    this.step({ kind: 'offer', path, token: token ?? '', acceptedAt, entropy });
    if (token === undefined || !this.#connections.has(path)) return undefined;
    connection.epoch = tokenEpoch(token);
    return path;
  }

  admitted(path: number, admitted: Admitted): void {
    const { socket, stream } = admitted;
    const connection = this.#connections.get(path);
    if (connection === undefined) {
      socket.terminate();
      return;
    }
    connection.socket = socket;
    connection.stream = stream;
    connection.stranger = admitted;
    socket.on('message', (data: Buffer, isBinary: boolean) => this.#message(path, data, isBinary));
    socket.on('error', error => this.#cut(path, connection, error.message));
    socket.on('close', () => this.#gone(path));
    for (const bytes of connection.early ?? []) this.#send(path, connection, bytes, 0);
    connection.early = undefined;
  }

  abandoned(path: number): void {
    this.#gone(path);
  }

  // ---- inputs ----

  #message(path: number, data: Buffer, isBinary: boolean): void {
    const connection = this.#connections.get(path);
    if (connection === undefined) return;
    if (!isBinary) {
      this.#cut(path, connection, 'a text message came');
      return;
    }
    this.counts.recordsReceived += 1;
    this.counts.bytesReceived += data.length;
    this.step({ kind: 'message', path, bytes: data });
    // Message 3 came first; whoever is still here behind it is a member.
    if (connection.stranger === undefined || !this.#connections.has(path)) return;
    connection.stranger.authenticated();
    connection.stranger = undefined;
    this.#door.authenticated(connection.address);
  }

  /** What comes on this path is no message of the protocol. @impl HS-006~1, HS-018~1 */
  #cut(path: number, { stranger, socket }: Connection, why: string): void {
    if (stranger !== undefined) stranger.refused('handshake_failed');
    else this.#log.info('path-closed', { path, code: codeName(ErrorCode.TRANSPORT_FAILED), why });
    socket?.terminate();
  }

  #gone(path: number): void {
    if (!this.#connections.delete(path)) return;
    this.counts.pathsEnded.add('GONE');
    if (!this.#closed) this.step({ kind: 'closed', path });
  }

  // ---- outputs ----

  #perform(output: ServerOutput, now: Now): void {
    switch (output.kind) {
      case 'deliver':
        this.#sessions.deliver(output.session, output.event, now.wall);
        break;
      case 'send': {
        const connection = this.#connections.get(output.path);
        if (connection !== undefined) this.#send(output.path, connection, output.bytes, output.room);
        break;
      }
      case 'close':
        this.#close(output);
        break;
      case 'accept':
        this.counts.pathsOpened += 1;
        this.#log.debug('path-accepted', { path: output.path, id: output.id });
        break;
      case 'refuse':
        this.#refuse(output.path, output.reason);
        break;
      case 'pause':
        this.#connections.get(output.path)?.socket?.pause();
        break;
      case 'resume':
        this.#connections.get(output.path)?.socket?.resume();
        break;
      case 'persist':
        this.#persist(output.id, output.changes);
        break;
      case 'publish':
        this.#port.publish();
        break;
      case 'opened':
        this.counts.sessionsOpened += 1;
        this.#sessions.opened(output.session, output.device);
        break;
      case 'attached': {
        this.#sessions.attached(output.session);
        const { path } = output;
        const connection = this.#connections.get(path);
        if (connection === undefined) break;
        connection.toldSequence = 0;
        const told = this.#port.noticeFor(connection.port, connection.epoch);
        if (told !== undefined) this.#tell(told, [[path, connection]]);
        break;
      }
      case 'detached':
        this.#sessions.detached(output.session);
        break;
      case 'lost':
        this.counts.sessionsLost.add(endName(output.code));
        this.#sessions.lost(output.session, output.code);
        break;
      case 'made':
      case 'done':
      case 'declined':
      case 'enrolled':
      case 'alarm':
        this.#port.report(output);
    }
  }

  /** @impl HS-025~1 */
  #send(path: number, connection: Connection, bytes: Uint8Array, room: number): void {
    const { socket, stream } = connection;
    if (socket === undefined || stream === undefined) {
      connection.early?.push(bytes);
      return;
    }
    if (socket.readyState !== socket.OPEN) return;
    const message = serverMessage(bytes, room);
    connection.sent += bytes.length;
    this.counts.recordsSent += 1;
    this.counts.bytesSent += bytes.length;
    const { sent } = connection;
    if (bytes.length < LARGE_BYTES && sent - connection.asked < TOLD_BYTES) {
      stream.write(message);
      return;
    }
    connection.asked = sent;
    stream.write(message, error => {
      if (error !== undefined && error !== null) return;
      recycle(message);
      const written = sent - connection.told;
      if (written < TOLD_BYTES) return;
      connection.told = sent;
      this.step({ kind: 'written', path, bytes: written });
    });
  }

  /** @impl ER-004~2 */
  #close({ path, code, cut, detail }: ServerOutput & { kind: 'close' }): void {
    const connection = this.#connections.get(path);
    if (connection === undefined) return;
    this.#connections.delete(path);
    this.counts.pathsEnded.add(endName(code));
    const { socket, stranger } = connection;
    const isLate = code === ErrorCode.TIMEOUT;
    if (stranger !== undefined && (isLate || code === ErrorCode.HANDSHAKE_FAILED)) {
      stranger.refused(isLate ? 'late' : 'handshake_failed');
    } else {
      // Whoever takes leave is nothing to look into.
      const level = code === ErrorCode.UNSPECIFIED ? 'debug' : 'info';
      this.#log[level]('path-closed', { path, code: endName(code), why: detail });
    }
    if (socket === undefined) return;
    if (cut) {
      socket.terminate();
      return;
    }
    socket.close(1000);
    this.#closing.add(socket);
    const timer = setTimeout(() => socket.terminate(), CLOSE_MS);
    socket.once('close', () => {
      clearTimeout(timer);
      this.#closing.delete(socket);
    });
  }

  #refuse(path: number, reason: Refusal): void {
    const { address = '', isUpgrade = true } = this.#connections.get(path) ?? {};
    this.#connections.delete(path);
    this.#door.refused(isUpgrade ? reason : 'no_upgrade', address);
  }

  #persist(id: number, changes: readonly RegistryChange[]): void {
    this.#port.persist(changes).then(
      () => this.step({ kind: 'committed', id }),
      reason => this.#port.failed(reason),
    );
  }
}
