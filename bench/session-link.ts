/** A connection of the load with the reference client's machine, over a real socket (bench/README.md). */
import { setTimeout as sleep } from 'node:timers/promises';
import type { WebSocket } from 'ws';
import type { Suite } from '../src/crypto/suite.ts';
import { readNow } from '../src/node/now.ts';
import { Turns } from '../src/node/turns.ts';
import { Client } from '../src/protocol/client.ts';
import type { ClientInput, ClientOutput } from '../src/protocol/client-io.ts';
import { codeName } from '../src/protocol/fault.ts';
import type { Held } from '../src/protocol/freshness.ts';
import { SUBPROTOCOL } from '../src/protocol/gate.ts';
import { Streams } from '../src/runtime/streams.ts';
import type { ServiceStream } from '../src/services/ports.ts';
import { held, member } from './cast.ts';
import type { Place } from './host.ts';
import { addressOf, type Kind, type Link, openTls, openWebSocket } from './links.ts';
import { suiteOf } from './suite.ts';

const records = new Map<number, Held>();
/** A host takes so many comers at once, and then so many a second: whoever it turns away comes again. */
const BUSY_MS = 500;
const TRIES_MAX = 40;

/** Open a session of device `index` with one stream to the echo service. */
export async function connectSession(kind: Kind, place: Place, index: number): Promise<Link> {
  const holds = records.get(place.port) ?? held(place.envelope);
  records.set(place.port, holds);
  for (let left = TRIES_MAX; ; left -= 1) {
    try {
      return await new Promise<Link>((resolve, reject) =>
        new SessionLink(suiteOf(kind), place, index, holds, resolve, reject).start(),
      );
    } catch (error) {
      if (left === 0) throw error;
      await sleep(BUSY_MS);
    }
  }
}

class SessionLink implements Link {
  onMessage: () => void = () => {};
  readonly #suite: Suite;
  readonly #place: Place;
  readonly #index: number;
  readonly #client: Client;
  readonly #ready: (link: Link) => void;
  readonly #failed: (error: unknown) => void;
  readonly #turns: Turns;
  #socket: WebSocket | undefined;
  #streams: Streams | undefined;
  #stream: ServiceStream | undefined;
  #closed = false;
  #gone: () => void = () => {};

  constructor(
    suite: Suite,
    place: Place,
    index: number,
    holds: Held,
    ready: (link: Link) => void,
    failed: (error: unknown) => void,
  ) {
    this.#suite = suite;
    this.#place = place;
    this.#index = index;
    this.#ready = ready;
    this.#failed = failed;
    this.#client = new Client({ suite, member: member(index, holds), software: 'bench' });
    this.#turns = new Turns(this.#client, () => this.#step({ kind: 'tick' }));
  }

  start(): void {
    this.#step({ kind: 'start' });
  }

  send(message: Uint8Array): void {
    this.#stream?.send(message);
  }

  close(): Promise<void> {
    return new Promise(resolve => {
      this.#gone = resolve;
      this.#step({ kind: 'stop' });
      this.#closed = true;
      this.#turns.close();
    });
  }

  #step(input: ClientInput): void {
    for (const output of this.#client.step(input, readNow())) this.#perform(output);
    this.#turns.schedule();
  }

  #perform(output: ClientOutput): void {
    switch (output.kind) {
      case 'need':
        this.#step({ kind: 'dial', entropy: this.#suite.randomBytes(64) });
        break;
      case 'dial':
        this.#dial(output.path, output.token);
        break;
      case 'send': {
        const { path, bytes } = output;
        this.#socket?.send(bytes, () => this.#step({ kind: 'written', path, bytes: bytes.length }));
        break;
      }
      case 'close':
        this.#socket?.close(1000);
        break;
      case 'opened':
        this.#opened(output.session);
        break;
      case 'attached':
        this.#ready(this);
        break;
      case 'deliver':
        this.#streams?.take(output.event, 0);
        break;
      case 'failed':
      case 'ended':
        if (!this.#closed) this.#failed(new Error(`${codeName(output.fault.code)} ${output.fault.detail}`));
        break;
      default:
        break;
    }
  }

  #dial(path: number, token: string): void {
    const tls = openTls(this.#place.port, addressOf(this.#index));
    openWebSocket(tls, [SUBPROTOCOL, token]).then(socket => {
      this.#socket = socket;
      socket.on('message', (bytes: Buffer) => {
        if (!this.#closed) this.#step({ kind: 'message', path, bytes });
      });
      socket.on('error', () => {});
      socket.on('close', () => {
        if (!this.#closed) this.#step({ kind: 'closed', path });
        this.#gone();
      });
      this.#step({ kind: 'open', path });
    }, this.#failed);
  }

  #opened(session: number): void {
    const client = this.#client;
    this.#streams = new Streams(
      {
        write: (stream, payload) => client.write(session, stream, payload),
        end: stream => client.end(session, stream),
        abort: (stream, code) => client.abort(session, stream, code),
        taken: (stream, cost) => client.taken(session, stream, cost),
        flush: () => this.#turns.schedule(),
      },
      () => undefined,
    );
    const id = client.open(session, 'echo');
    if (id === undefined) return;
    this.#streams.bind(id, stream => {
      this.#stream = stream;
      return { message: () => this.onMessage(), writable: () => {}, closed: () => {} };
    });
  }
}
