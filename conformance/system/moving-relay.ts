/**
 * The network in front of a host that moves: forwards every port that the host has open from another loopback address, and
 * breaks connections. The record of such a host names the relay's address (`--advertise`).
 */
import { connect, createServer, type Server, type Socket } from 'node:net';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { type ControlHostStatus, ControlProgram } from '../../src/gen/clawchat/v1/control_pb.ts';
import type { RequestInit, ResponseBody } from '../../src/node/control.ts';
import { attach, type ControlClient } from '../../src/node/control-client.ts';
import { SCHEMA_VERSION } from '../../src/node/store.ts';
import { VERSION } from '../../src/node/version.ts';

/** The next port is open this much before a record names it, so a look this often is soon enough (PREPARE_LEAD_MS less PUBLISH_LEAD_MS is 400). */
const LOOK_MS = 25;

/** How a connection is broken. */
export type Break = 'reset' | 'end' | 'freeze';

interface Pair {
  readonly client: Socket;
  readonly host: Socket;
}

/** What a host says of itself, as often as it is asked. */
export class HostWatch {
  readonly #path: string;
  #client: ControlClient | undefined;

  constructor(data: string) {
    this.#path = join(data, 'control.sock');
  }

  /** How the host stands; undefined while nobody answers. */
  async status(): Promise<ControlHostStatus | undefined> {
    const answer = await this.#ask({ case: 'status', value: {} });
    return answer?.case === 'hostStatus' ? answer.value : undefined;
  }

  /** Ask for an emergency, which has begun when this resolves. */
  async emergency(hard: boolean): Promise<void> {
    await this.#ask({ case: 'emergency', value: { hard } });
  }

  async #ask(body: RequestInit): Promise<ResponseBody | undefined> {
    try {
      const identity = { program: ControlProgram.HOST, version: VERSION, schema: SCHEMA_VERSION };
      this.#client ??= await attach({ path: this.#path, identity, timeoutMs: 5000 });
      return await this.#client?.call(body);
    } catch {
      this.close();
      return undefined;
    }
  }

  close(): void {
    this.#client?.close();
    this.#client = undefined;
  }
}

/** Forwards `address`:p to 127.0.0.1:p for every port p of one host. */
export class MovingRelay {
  readonly broken: Record<Break, number> = { reset: 0, end: 0, freeze: 0 };
  /** Of those: while the host was not resting between two moves. */
  brokenInMove = 0;
  /** Ports forwarded so far. */
  readonly ports: Set<number> = new Set();
  readonly #address: string;
  readonly #watch: HostWatch;
  readonly #servers = new Map<number, Server>();
  readonly #pairs = new Set<Pair>();
  #phase = '';
  #isClosed = false;
  readonly #looking: Promise<void>;

  /** `data`: the host's directory. */
  constructor(data: string, address: string) {
    this.#address = address;
    this.#watch = new HostWatch(data);
    this.#looking = this.#look();
  }

  /** Connections that are forwarded now. */
  get connections(): number {
    return this.#pairs.size;
  }

  /** Whether the host is between two rests. */
  get isMoving(): boolean {
    return this.#phase !== 'resting';
  }

  /** Break one connection, `pick` of them; false when there is none. `pick` and `freezeMs` are drawn by the caller. */
  break(how: Break, pick: number, freezeMs: number): boolean {
    const pair = [...this.#pairs][Math.floor(pick * this.#pairs.size)];
    if (pair === undefined) return false;
    this.broken[how] += 1;
    if (this.isMoving) this.brokenInMove += 1;
    const { client, host } = pair;
    if (how === 'freeze') {
      client.pause();
      host.pause();
      setTimeout(() => reset(pair), freezeMs);
    } else if (how === 'reset') reset(pair);
    else {
      client.destroy();
      host.destroy();
    }
    return true;
  }

  async close(): Promise<void> {
    this.#isClosed = true;
    await this.#looking;
    this.#watch.close();
    for (const pair of this.#pairs) reset(pair);
    await Promise.all([...this.#servers.keys()].map(port => this.#unlisten(port)));
  }

  async #look(): Promise<void> {
    while (!this.#isClosed) {
      const status = await this.#watch.status();
      if (status !== undefined) {
        this.#phase = status.phase;
        const open = new Set(status.places.filter(place => place.open).map(({ port }) => port));
        for (const port of open) if (!this.#servers.has(port)) this.#listen(port);
        for (const port of this.#servers.keys()) if (!open.has(port)) void this.#unlisten(port);
      }
      await sleep(LOOK_MS);
    }
  }

  #listen(port: number): void {
    const server = createServer(client => this.#forward(client, port));
    server.on('error', error => console.log(`the relay has no port ${port}: ${error.message}`));
    server.listen(port, this.#address);
    this.#servers.set(port, server);
    this.ports.add(port);
  }

  async #unlisten(port: number): Promise<void> {
    const server = this.#servers.get(port);
    this.#servers.delete(port);
    await new Promise<void>(resolve => (server === undefined ? resolve() : server.close(() => resolve())));
  }

  #forward(client: Socket, port: number): void {
    const host = connect({ port, host: '127.0.0.1', noDelay: true });
    client.setNoDelay(true);
    const pair = { client, host };
    this.#pairs.add(pair);
    const gone = (): void => {
      this.#pairs.delete(pair);
      client.destroy();
      host.destroy();
    };
    client.pipe(host);
    host.pipe(client);
    for (const socket of [client, host]) {
      socket.on('error', () => {});
      socket.on('close', gone);
    }
  }
}

function reset({ client, host }: Pair): void {
  client.resetAndDestroy();
  host.resetAndDestroy();
}
