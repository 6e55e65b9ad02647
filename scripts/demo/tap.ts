/** A wire that somebody listens on: forwards TCP from one loopback address to another, and captures all of it. */
import { connect, createServer, type Server, type Socket } from 'node:net';
import type { Capture, Flow } from './capture.ts';

/** Forwards any number of ports. */
export class Tap {
  readonly #address: string;
  readonly #capture: Capture;
  readonly #servers = new Map<number, Server>();
  readonly #sockets = new Set<Socket>();

  /** `address` is where clients connect; everything goes on to the same port of 127.0.0.1. */
  constructor(address: string, capture: Capture) {
    this.#address = address;
    this.#capture = capture;
  }

  /** Forward these ports, and no others any more. */
  async forward(ports: ReadonlySet<number>): Promise<void> {
    for (const [port, server] of this.#servers) {
      if (ports.has(port)) continue;
      this.#servers.delete(port);
      server.close();
    }
    const fresh = [...ports].filter(port => !this.#servers.has(port));
    await Promise.all(fresh.map(port => this.#listen(port)));
  }

  /** Break everything. */
  close(): void {
    for (const server of this.#servers.values()) server.close();
    for (const socket of this.#sockets) socket.destroy();
  }

  #listen(port: number): Promise<void> {
    const server = createServer(client => this.#join(client, port));
    this.#servers.set(port, server);
    return new Promise((resolve, reject) => {
      server.once('error', reject);
      server.listen(port, this.#address, resolve);
    });
  }

  #join(client: Socket, port: number): void {
    const connection = this.#capture.open(port);
    const host = connect({ port, host: '127.0.0.1', noDelay: true });
    client.setNoDelay(true);
    const gone = (): void => {
      client.destroy();
      host.destroy();
      this.#sockets.delete(client);
      this.#sockets.delete(host);
    };
    const directions: readonly (readonly [Socket, Socket, Flow['direction']])[] = [
      [client, host, 'to host'],
      [host, client, 'from host'],
    ];
    for (const [from, to, direction] of directions) {
      this.#sockets.add(from);
      from.on('data', piece => this.#capture.take({ connection, port, direction }, piece));
      from.pipe(to);
      from.on('error', () => {});
      from.on('close', gone);
    }
  }
}
