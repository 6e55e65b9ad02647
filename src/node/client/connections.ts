/** The WebSocket connections of one client: dialled, written to, closed. Chapter: spec/04-handshake.md. */
import type { WebSocket } from 'ws';
import { AUTH_MS_MAX } from '../../gen/constants.ts';
import type { ClientInput, ClientOutput } from '../../protocol/client-io.ts';
import { isFault } from '../../protocol/fault.ts';
import { dial } from '../dial.ts';
import type { ProxyEnvironment } from '../proxy.ts';

/** How long the other side has to answer a WebSocket close. */
const CLOSE_MS = 2000;
/** One dial, over all endpoints of the record. */
const DIAL_MS = 2 * AUTH_MS_MAX;

/** One connection, or the dial of one: then its port is 0 and its endpoint empty. */
export interface Connection {
  /** Of the access key it was dialled with. */
  readonly epoch: number;
  readonly port: number;
  /** For people. */
  readonly endpoint: string;
}

interface OpenConnection extends Connection {
  readonly abort: AbortController;
  port: number;
  socket: WebSocket | undefined;
  endpoint: string;
}

/** The connections by the machine's numbers of their paths. */
export class Connections {
  readonly #step: (input: ClientInput) => void;
  readonly #environment: ProxyEnvironment;
  readonly #byPath = new Map<number, OpenConnection>();

  /** `step` takes what happened to them; `environment` has the variables that decide on a proxy. */
  constructor(step: (input: ClientInput) => void, environment: ProxyEnvironment) {
    this.#step = step;
    this.#environment = environment;
  }

  /** What is known of the connection of a path. */
  get(path: number): Connection | undefined {
    return this.#byPath.get(path);
  }

  /** Dial as the machine says. `epoch`: of the access key that its token was made with. */
  dial({ path, token, tlsPins, endpoints }: ClientOutput & { kind: 'dial' }, epoch: number): void {
    const abort = new AbortController();
    const connection: OpenConnection = { abort, epoch, port: 0, socket: undefined, endpoint: '' };
    this.#byPath.set(path, connection);
    const how = { timeoutMs: DIAL_MS, signal: abort.signal, environment: this.#environment };
    void dial({ endpoints, tlsPins, token, ...how }).then(result => {
      if (this.#byPath.get(path) !== connection) {
        if (result.kind === 'dialled') result.socket.terminate();
        return;
      }
      if (isFault(result)) {
        this.#byPath.delete(path);
        this.#step({ kind: 'dialFailed', path, fault: result });
        return;
      }
      connection.endpoint = result.endpoint;
      connection.port = result.port;
      this.#adopt(path, connection, result.socket);
    });
  }

  /** Give a dial up. */
  cancel(path: number): void {
    this.#byPath.get(path)?.abort.abort();
    this.#byPath.delete(path);
  }

  /** Send one binary message. */
  send(path: number, bytes: Uint8Array): void {
    this.#byPath.get(path)?.socket?.send(bytes, error => {
      if (error === undefined || error === null) this.#step({ kind: 'written', path, bytes: bytes.length });
    });
  }

  /** Close a connection, or cut it. */
  close(path: number, cut: boolean): void {
    const connection = this.#byPath.get(path);
    this.#byPath.delete(path);
    const socket = connection?.socket;
    if (socket === undefined) {
      connection?.abort.abort();
      return;
    }
    if (cut) {
      socket.terminate();
      return;
    }
    socket.close(1000);
    const timer = setTimeout(() => socket.terminate(), CLOSE_MS);
    socket.once('close', () => clearTimeout(timer));
  }

  /** Give up every dial. */
  cancelAll(): void {
    for (const { abort } of this.#byPath.values()) abort.abort();
  }

  #adopt(path: number, connection: OpenConnection, socket: WebSocket): void {
    connection.socket = socket;
    socket.on('message', (data: Buffer, isBinary: boolean) => {
      if (!this.#byPath.has(path)) return;
      if (isBinary) this.#step({ kind: 'message', path, bytes: data });
      else socket.terminate();
    });
    socket.on('error', () => {});
    socket.on('close', () => {
      if (this.#byPath.delete(path)) this.#step({ kind: 'closed', path });
    });
    this.#step({ kind: 'open', path });
  }
}
