/** Performs what the client's machine decides. Chapter: spec/05-session.md. */
import type { WebSocket } from 'ws';
import { situation } from '../../discovery/situation.ts';
import type { StandingReport } from '../../discovery/standing.ts';
import { ErrorCode } from '../../gen/clawchat/v1/error_pb.ts';
import { RotationKind, type RotationNotice } from '../../gen/clawchat/v1/rotation_pb.ts';
import { AUTH_MS_MAX, type Constants } from '../../gen/constants.ts';
import { Client } from '../../protocol/client.ts';
import type { ClientInput, ClientOutput } from '../../protocol/client-io.ts';
import type { Envelope } from '../../protocol/envelope.ts';
import { codeName, type Fault, fault, isFault } from '../../protocol/fault.ts';
import type { Member } from '../../protocol/join.ts';
import { type Migration, type MigrationInput, stepMigration } from '../../protocol/migration.ts';
import { type StreamPort, Streams } from '../../runtime/streams.ts';
import type { ServiceStream, StreamHandler } from '../../services/ports.ts';
import { dial } from '../dial.ts';
import type { Log } from '../log.ts';
import { native } from '../native.ts';
import { Alarm, drawUnit, readNow } from '../now.ts';
import type { ProxyEnvironment } from '../proxy.ts';
import { VERSION } from '../version.ts';
import { Finder } from './finder.ts';

const NOTICES: ReadonlyMap<RotationKind, 'move' | 'hold' | 'emergency'> = new Map([
  [RotationKind.MOVE, 'move'],
  [RotationKind.HOLD, 'hold'],
  [RotationKind.EMERGENCY, 'emergency'],
]);
/** How long the other side has to answer a WebSocket close. */
const CLOSE_MS = 2000;
const DIAL_ENTROPY_BYTES = 64;
/** One dial, over all endpoints of the record. */
const DIAL_MS = 2 * AUTH_MS_MAX;

/** How the client's connection stands. */
export type LinkState = 'idle' | 'connecting' | 'connected' | 'waiting';

/** What the driver asks of the client around it. */
export interface ClientPort {
  /** Make the member durable; calls become durable in their order. */
  persist(member: Member): Promise<void>;
  /** The database failed. */
  failed(reason: unknown): void;
  /** A session is there: give the handler of the stream that was opened to the chat service. */
  chat(stream: ServiceStream): StreamHandler;
  /** Words to compare with the host's operator. */
  show(words: string): void;
  /** Something the person should hear of; the client goes on. */
  warn(text: string): void;
  /** An invite, a record or an answer was refused; nothing has changed. */
  declined(why: Fault): void;
  /** An attempt came to nothing; the client goes on trying. `round`: every store was asked meanwhile. */
  trouble(why: Fault, round: boolean): void;
  /** The session is on a path. */
  attached(endpoint: string): void;
  /** There is no use in going on. */
  stopped(why: Fault): void;
}

interface Connection {
  readonly abort: AbortController;
  /** Of the access key it was dialled with. */
  readonly epoch: number;
  port: number;
  socket: WebSocket | undefined;
  endpoint: string;
}

/** Drives one client's machine. */
export class ClientDriver {
  readonly client: Client;
  readonly #port: ClientPort;
  readonly #log: Log;
  readonly #service: string;
  readonly #connections = new Map<number, Connection>();
  readonly #finder: Finder;
  readonly #machineAlarm = new Alarm(() => this.step({ kind: 'tick' }));
  readonly #moveAlarm = new Alarm(() => this.#move());
  readonly #constants: Constants;
  readonly #environment: ProxyEnvironment;
  /** The path that the session is on. */
  #current: number | undefined;
  #migration: Migration | undefined;
  #streams: Streams | undefined;
  #session: number | undefined;
  #chatTimer: NodeJS.Timeout | undefined;
  #chatAborts = 0;
  #persisted: Promise<void> = Promise.resolve();
  #flushing = false;
  #closed = false;
  /** How it stands, for `status`. */
  link: LinkState = 'idle';
  endpoint = '';
  lastFault: Fault | undefined;

  /** `environment` has the variables that decide on a proxy. */
  constructor(
    member: Member | undefined,
    service: string,
    constants: Constants,
    port: ClientPort,
    log: Log,
    environment: ProxyEnvironment,
  ) {
    this.#environment = environment;
    this.client = new Client({ suite: native, member, software: `clawchat ${VERSION}` });
    this.#service = service;
    this.#constants = constants;
    this.#port = port;
    this.#log = log;
    const found = {
      member: () => this.client.member,
      accept: (envelope: Envelope) => {
        this.step({ kind: 'record', envelope });
        return this.#persisted;
      },
      dial: () => this.step({ kind: 'dial', entropy: native.randomBytes(DIAL_ENTROPY_BYTES) }),
      warn: (text: string) => port.warn(text),
      exhausted: (why: Fault, dials: boolean) => this.#exhausted(why, dials),
    };
    this.#finder = new Finder(found, constants, log, environment);
    if (member !== undefined) this.#finder.use(member);
  }

  /** How every store stands. */
  get standings(): readonly StandingReport[] {
    return this.#finder.standings;
  }

  /** The address of a store for people, without credentials. */
  storeName(key: string): string {
    return this.#finder.name(key);
  }

  /** What the stores most likely mean for the person; undefined while all is well. */
  get situation(): string | undefined {
    const hasRecord = this.client.member?.held.newest !== undefined;
    return situation(this.standings, { isConnected: this.link === 'connected', hasRecord });
  }

  /** Give the machine one input and do what it says. */
  step(input: ClientInput): void {
    for (const output of this.client.step(input, readNow())) this.#perform(output);
    this.#schedule();
  }

  /** Be connected from now on. */
  start(): void {
    if (this.link !== 'idle') return;
    this.link = 'connecting';
    this.step({ kind: 'start' });
  }

  /** Open a stream of the session that is there; false while there is none. */
  open(service: string, handler: (stream: ServiceStream) => StreamHandler): boolean {
    const session = this.#session;
    const id = session === undefined ? undefined : this.client.open(session, service);
    if (id === undefined) return false;
    this.#streams?.bind(id, handler);
    this.#schedule();
    return true;
  }

  /** Resolve when every member that was decided is durable. */
  get settled(): Promise<void> {
    return this.#persisted;
  }

  /** End the session and every attempt. */
  async close(): Promise<void> {
    this.step({ kind: 'stop' });
    this.#closed = true;
    clearTimeout(this.#chatTimer);
    this.#machineAlarm.set(undefined);
    this.#moveAlarm.set(undefined);
    for (const { abort } of this.#connections.values()) abort.abort();
    await this.#finder.close();
    await this.#persisted.catch(() => undefined);
  }

  // ---- the machine ----

  #perform(output: ClientOutput): void {
    switch (output.kind) {
      case 'deliver':
        this.#streams?.take(output.event, Date.now());
        break;
      case 'send':
        this.#send(output.path, output.bytes);
        break;
      case 'close':
        this.#close(output.path, output.cut);
        break;
      case 'need':
        this.#finder.start();
        break;
      case 'dial':
        this.#dial(output);
        break;
      case 'cancel':
        this.#connections.get(output.path)?.abort.abort();
        this.#connections.delete(output.path);
        break;
      case 'failed':
        this.#failed(output.fault);
        break;
      case 'connected':
        this.#finder.input({ kind: 'connected', witness: output.witness });
        break;
      case 'persist':
        this.#persist(output.id, output.member);
        break;
      case 'show':
        this.#port.show(output.words);
        break;
      case 'warn':
        this.#port.warn(`${codeName(output.fault.code)}: ${output.fault.detail}`);
        break;
      case 'declined':
        this.#log.warn('declined', { code: codeName(output.fault.code), why: output.fault.detail });
        this.#port.declined(output.fault);
        break;
      case 'notice':
        this.#noticed(output.notice);
        break;
      case 'opened':
        this.#opened(output.session);
        break;
      case 'attached': {
        this.link = 'connected';
        this.lastFault = undefined;
        this.#current = output.path;
        this.#migrate({ kind: 'ended' });
        this.endpoint = this.#connections.get(output.path)?.endpoint ?? '';
        this.#port.attached(this.endpoint);
        break;
      }
      case 'detached':
        this.link = 'connecting';
        this.#current = undefined;
        this.#migrate({ kind: 'ended' });
        break;
      case 'lost':
        this.#lost(output.fault);
        break;
      case 'stopped':
        this.link = 'idle';
        this.lastFault = output.fault;
        this.#finder.input({ kind: 'stop' });
        this.#port.stopped(output.fault);
    }
  }

  #send(path: number, bytes: Uint8Array): void {
    this.#connections.get(path)?.socket?.send(bytes, error => {
      if (error === undefined || error === null) this.step({ kind: 'written', path, bytes: bytes.length });
    });
  }

  #close(path: number, cut: boolean): void {
    const connection = this.#connections.get(path);
    this.#connections.delete(path);
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

  #dial(output: ClientOutput & { kind: 'dial' }): void {
    const { path, token, tlsPins } = output;
    const connection: Connection = {
      abort: new AbortController(),
      epoch: this.client.member?.held.newest?.record.accessKeys[0].epoch ?? 0,
      port: 0,
      socket: undefined,
      endpoint: '',
    };
    this.#connections.set(path, connection);
    if (this.link !== 'connected') this.link = 'connecting';
    const { endpoints } = output;
    const { signal } = connection.abort;
    const environment = this.#environment;
    void dial({ endpoints, tlsPins, token, timeoutMs: DIAL_MS, signal, environment }).then(result => {
      if (this.#connections.get(path) !== connection) {
        if (result.kind === 'dialled') result.socket.terminate();
        return;
      }
      if (isFault(result)) {
        this.#connections.delete(path);
        this.step({ kind: 'dialFailed', path, fault: result });
        return;
      }
      connection.endpoint = result.endpoint;
      connection.port = result.port;
      this.#adopt(path, connection, result.socket);
    });
  }

  #adopt(path: number, connection: Connection, socket: WebSocket): void {
    connection.socket = socket;
    socket.on('message', (data: Buffer, isBinary: boolean) => {
      if (!this.#connections.has(path)) return;
      if (isBinary) this.step({ kind: 'message', path, bytes: data });
      else socket.terminate();
    });
    socket.on('error', () => {});
    socket.on('close', () => {
      if (this.#connections.delete(path)) this.step({ kind: 'closed', path });
    });
    this.step({ kind: 'open', path });
  }

  #persist(id: number, member: Member): void {
    this.#persisted = this.#port.persist(member).then(
      () => {
        this.step({ kind: 'committed', id });
        this.#finder.use(member);
        const { newest } = member.held;
        if (newest !== undefined) {
          this.#finder.input({ kind: 'learned', record: { sequence: newest.sequence, hash: newest.hash } });
        }
      },
      reason => this.#port.failed(reason),
    );
  }

  #failed(why: Fault): void {
    this.lastFault = why;
    this.#log.info('dial-failed', { code: codeName(why.code), why: why.detail });
    if (this.link !== 'connected') this.link = 'waiting';
    this.#port.trouble(this.#hopeless(why) ?? why, false);
    this.#migrate({ kind: 'failed', entropy: drawUnit() });
    this.#finder.input({ kind: 'dialFailed', entropy: drawUnit() });
  }

  /**
   * Nobody answers where the host was, and every store has a file for others: the device waits for nothing. One that was
   * just let in waits for the file that says so, which a host publishes behind its answer.
   */
  #hopeless(why: Fault): Fault | undefined {
    if (this.client.member?.stage === 'granted') return undefined;
    if (why.code !== ErrorCode.HOST_UNREACHABLE && why.code !== ErrorCode.TIMEOUT) return undefined;
    const { standings: stores, situation: text } = this;
    const isForeign = stores.length > 0 && stores.every(({ standing }) => standing === 'foreign');
    return isForeign && text !== undefined ? fault('peer', ErrorCode.NOT_A_RECIPIENT, text) : undefined;
  }

  // ---- moving ----

  /** The host moves: what the notice brought is stored first, then this client draws its own instant. @impl RT-150~1 */
  #noticed({ kind, rotatesInMs, oldEndsInMs }: RotationNotice): void {
    this.#log.debug('rotation-notice', { kind, in_ms: rotatesInMs });
    const named = NOTICES.get(kind);
    if (named === undefined) return;
    void this.#persisted.then(() => {
      const connection = this.#current === undefined ? undefined : this.#connections.get(this.#current);
      const record = this.client.member?.held.newest?.record;
      if (connection === undefined || record === undefined) return;
      const isElsewhere =
        connection.epoch !== record.accessKeys[0].epoch || connection.port !== record.endpoints[0]?.port;
      const notice = { kind: named, rotatesInMs, oldEndsInMs };
      this.#migrate({ kind: 'notice', notice, isElsewhere, entropy: drawUnit() });
    });
  }

  #migrate(input: MigrationInput): void {
    this.#migration = stepMigration(this.#migration, input, readNow().mono, this.#constants);
    this.#moveAlarm.set(this.#migration?.at === Number.POSITIVE_INFINITY ? undefined : this.#migration?.at);
  }

  #move(): void {
    this.#migrate({ kind: 'moving' });
    if (this.#migration !== undefined) this.step({ kind: 'move' });
  }

  // ---- the session's streams ----

  #opened(session: number): void {
    const { client } = this;
    const port: StreamPort = {
      write: (stream, payload) => client.write(session, stream, payload),
      end: stream => client.end(session, stream),
      abort: (stream, code) => client.abort(session, stream, code),
      taken: (stream, cost) => client.taken(session, stream, cost),
      flush: () => this.#schedule(),
    };
    this.#session = session;
    const failed = (stream: number, reason: unknown): void =>
      this.#log.error('service-failed', { stream, why: reason instanceof Error ? reason : String(reason) });
    this.#streams = new Streams(port, () => undefined, failed);
    this.#chatAborts = 0;
    this.#openChat(session);
  }

  #openChat(session: number): void {
    const id = this.#session === session ? this.client.open(session, this.#service) : undefined;
    if (id === undefined) return;
    this.#streams?.bind(id, stream =>
      this.#watched(session, this.#port.chat(this.#reopening(session, stream))),
    );
    this.#schedule();
  }

  /** When the service gives its stream up, it gets another one. */
  #reopening(session: number, stream: ServiceStream): ServiceStream {
    return {
      send: message => stream.send(message),
      pause: () => stream.pause(),
      resume: () => stream.resume(),
      close: code => {
        stream.close(code);
        if (code !== ErrorCode.UNSPECIFIED) this.#chatLater(session);
      },
    };
  }

  #watched(session: number, handler: StreamHandler): StreamHandler {
    return {
      message: (message, wallMs) => handler.message(message, wallMs),
      writable: () => handler.writable(),
      closed: code => {
        handler.closed(code);
        this.#chatLater(session);
      },
    };
  }

  #chatLater(session: number): void {
    if (this.#closed || this.#session !== session) return;
    clearTimeout(this.#chatTimer);
    const waitMs = Math.min(60_000, 100 * 2 ** Math.min(this.#chatAborts, 10)) * drawUnit();
    this.#chatAborts += 1;
    this.#chatTimer = setTimeout(() => this.#openChat(session), waitMs);
  }

  #lost(why: Fault): void {
    const streams = this.#streams;
    this.#session = undefined;
    this.#streams = undefined;
    this.#log.info('session-lost', { code: codeName(why.code), why: why.detail });
    streams?.lost(why.code);
  }

  /** Every store was asked. */
  #exhausted(why: Fault, dials: boolean): void {
    this.#log.info('stores-exhausted', { code: codeName(why.code), why: why.detail });
    if (dials) return;
    this.link = 'waiting';
    this.lastFault = why;
    this.#port.trouble(why, true);
  }

  // ---- turns ----

  #schedule(): void {
    if (this.#flushing || this.#closed) return;
    const deadline = this.client.deadline(readNow());
    if (deadline?.why !== 'flush') {
      this.#machineAlarm.set(deadline?.at);
      return;
    }
    this.#flushing = true;
    setImmediate(() => {
      this.#flushing = false;
      if (!this.#closed) this.step({ kind: 'tick' });
    });
  }
}
