/** The owner's end of the control socket (spec/12-control.md). */
import { once } from 'node:events';
import { chmod } from 'node:fs/promises';
import { createServer, type Server, type Socket } from 'node:net';
import { type ControlHello, ControlProgram, type ControlRequest } from '../gen/clawchat/v1/control_pb.ts';
import { ErrorCode } from '../gen/clawchat/v1/error_pb.ts';
import {
  CONTROL_CONNECTIONS_MAX,
  CONTROL_HELLO_MS_MAX,
  CONTROL_QUEUE_BYTES_MAX,
  CONTROL_REQUESTS_MAX,
  CONTROL_STALL_MS,
} from '../gen/constants.ts';
import { ClawChatError } from '../protocol/fault.ts';
import {
  CONTROL_PROTOCOL,
  type ControlOwner,
  decodeRequest,
  encodeResponse,
  errorBody,
  isStream,
  MessageReader,
  type RequestBody,
  type ResponseInit,
} from './control.ts';
import { failure } from './failure.ts';
import { type Log, SILENT_LOG } from './log.ts';

/** What an end of the control socket says about itself. */
export interface ControlIdentity {
  readonly program: ControlProgram;
  readonly version: string;
  readonly schema: number;
}

/** The bounds of a control server; tests make them small. */
export interface ControlLimits {
  readonly connectionsMax: number;
  readonly requestsMax: number;
  readonly queueBytesMax: number;
  readonly stallMs: number;
  readonly helloMsMax: number;
}

/** The bounds of spec/constants.md. */
export const CONTROL_LIMITS: ControlLimits = {
  connectionsMax: CONTROL_CONNECTIONS_MAX,
  requestsMax: CONTROL_REQUESTS_MAX,
  queueBytesMax: CONTROL_QUEUE_BYTES_MAX,
  stallMs: CONTROL_STALL_MS,
  helloMsMax: CONTROL_HELLO_MS_MAX,
};

/** What a control server works with. */
export interface ControlServerOptions {
  readonly identity: ControlIdentity;
  /** Whether the owner stays until it is stopped. */
  readonly resident: boolean;
  readonly owner: ControlOwner;
  readonly limits?: ControlLimits;
  readonly log?: Log;
}

/** A stream is asked for its next response only while fewer bytes than this wait for the reader. */
const STREAM_QUEUE_BYTES = 65_536;
const BACKLOG = 511;
/** How long a closing server waits for answers under way, and then for the last bytes to be read. */
const CLOSE_GRACE_MS = 2_000;

/** Answers the requests of every process that attaches. */
export class ControlServer {
  readonly #options: Required<ControlServerOptions>;
  readonly #server: Server;
  readonly #connections = new Set<Connection>();

  constructor(options: ControlServerOptions) {
    this.#options = { limits: CONTROL_LIMITS, log: SILENT_LOG, ...options };
    this.#server = createServer(socket => this.#accept(socket));
    // After `listening` there is one kind: an accept failed, and the next one may not.
    this.#server.on('error', error => this.#options.log.warn('control-accept-failed', { error }));
    // Those over the bound are closed at once; who attaches tries again. @impl CT-030~1
    this.#server.maxConnections = this.#options.limits.connectionsMax;
  }

  /** Listen on a path that `ownerSocketPath` has prepared. */
  async listen(path: string): Promise<void> {
    this.#server.listen({ path, backlog: BACKLOG });
    await once(this.#server, 'listening');
    // The directory keeps others out already; the mode is for who looks at the socket alone. @impl CT-012~1
    if (process.platform !== 'win32') await chmod(path, 0o600);
  }

  /**
   * Take no more requests, finish those with a single answer (for at most two seconds), and close. Streams end without
   * a word: who listens finds the next owner.
   */
  async close(): Promise<void> {
    const closed = this.#server.listening ? once(this.#server, 'close') : Promise.resolve();
    this.#server.close();
    await Promise.all([...this.#connections].map(connection => connection.close(CLOSE_GRACE_MS)));
    await closed;
  }

  #accept(socket: Socket): void {
    const connection = new Connection(socket, this.#options);
    this.#connections.add(connection);
    socket.once('close', () => this.#connections.delete(connection));
  }
}

/** One attached process. */
class Connection {
  readonly #socket: Socket;
  readonly #options: Required<ControlServerOptions>;
  readonly #reader = new MessageReader();
  readonly #running = new Map<number, { readonly abort: AbortController; done: Promise<void> }>();
  readonly #streams = new Set<number>();
  #state: 'hello' | 'open' | 'closing' = 'hello';
  /** Until hello; and again from the last word to the end. */
  #endTimer: NodeJS.Timeout | undefined;
  #stallTimer: NodeJS.Timeout | undefined;
  #queuedBytes = 0;
  #takenAtTimer = 0;
  #wake: (() => void)[] = [];

  constructor(socket: Socket, options: Required<ControlServerOptions>) {
    this.#socket = socket;
    this.#options = options;
    this.#endTimer = setTimeout(() => socket.destroy(), options.limits.helloMsMax);
    socket.on('data', (chunk: Buffer) => this.#read(chunk));
    socket.on('drain', () => this.#wakeAll());
    socket.on('error', () => {}); // 'close' follows.
    socket.on('close', () => this.#ended());
  }

  /** Answer nothing new, wait for single answers under way, flush and close. @impl CT-040~1 */
  async close(graceMs: number): Promise<void> {
    this.#state = 'closing';
    const single = [...this.#running]
      .filter(([id]) => !this.#streams.has(id))
      .map(([, request]) => request.done);
    const gone = this.#socket.destroyed ? Promise.resolve() : once(this.#socket, 'close');
    const timer = setTimeout(() => this.#socket.destroy(), graceMs);
    await Promise.race([Promise.all(single), gone]);
    this.#socket.end();
    await gone;
    clearTimeout(timer);
  }

  #read(chunk: Buffer): void {
    const messages = this.#state === 'closing' ? [] : (this.#reader.push(chunk) ?? [undefined]);
    for (const message of messages) {
      if (this.#state === 'closing') return;
      const request = message === undefined ? undefined : decodeRequest(message);
      const broken = request === undefined ? 'a message is too long or cannot be read' : this.#take(request);
      if (broken !== undefined) this.#violated(broken);
    }
  }

  /** Begin what is asked; give the rule that it breaks, if any. @impl CT-023~1 @impl CT-024~1 */
  #take({ requestId, body }: ControlRequest): string | undefined {
    if (this.#state === 'hello') {
      if (body.case !== 'hello') return 'the first request is not hello';
      this.#greet(requestId, body.value);
      return undefined;
    }
    if (body.case === 'cancel') {
      this.#running.get(requestId)?.abort.abort();
      return undefined;
    }
    if (requestId === 0 || this.#running.has(requestId)) return 'a request id is 0 or in use';
    if (body.case === 'hello') return 'hello comes once';
    if (this.#running.size >= this.#options.limits.requestsMax) return 'too many requests at once';
    if (body.case === undefined) {
      this.#sendError(requestId, failure(ErrorCode.USAGE, 'this version does not know the request'));
      return undefined;
    }
    const abort = new AbortController();
    // Entered before it runs, because it may be over before it returns.
    const request = { abort, done: Promise.resolve() };
    this.#running.set(requestId, request);
    request.done = this.#run(requestId, body, abort.signal);
    return undefined;
  }

  /** @impl CT-021~1 */
  #greet(requestId: number, hello: ControlHello): void {
    clearTimeout(this.#endTimer);
    const { identity, resident } = this.#options;
    const refusal = refuseHello(hello, identity);
    if (refusal !== undefined) {
      this.#lastWord(requestId, refusal);
      return;
    }
    this.#state = 'open';
    const value = { protocol: CONTROL_PROTOCOL, ...identity, pid: process.pid, resident };
    this.#send(requestId, true, { case: 'welcome', value });
  }

  /** @impl CT-025~1 @impl CT-026~1 */
  async #run(requestId: number, body: RequestBody, signal: AbortSignal): Promise<void> {
    try {
      const answer = this.#options.owner.answer(body, signal);
      if (isStream(answer)) {
        this.#streams.add(requestId);
        await this.#pump(requestId, answer, signal);
      } else {
        const response = await answer;
        this.#send(requestId, true, response);
      }
    } catch (error) {
      if (!(error instanceof ClawChatError)) {
        this.#options.log.error('control-request-failed', { request: body.case, error: error as Error });
      }
      this.#sendError(requestId, error);
    } finally {
      this.#streams.delete(requestId);
      this.#running.delete(requestId);
    }
  }

  /** @impl CT-032~1 */
  async #pump(requestId: number, answer: AsyncIterable<ResponseInit>, signal: AbortSignal): Promise<void> {
    for await (const part of answer) {
      if (signal.aborted) break;
      this.#send(requestId, false, part);
      while (this.#socket.writableLength >= STREAM_QUEUE_BYTES && !signal.aborted) {
        await new Promise<void>(resolve => this.#wake.push(resolve));
      }
    }
    if (signal.aborted) throw failure(ErrorCode.CANCELLED, 'the request was cancelled');
    this.#send(requestId, true, undefined);
  }

  #sendError(requestId: number, error: unknown): void {
    this.#send(requestId, true, errorBody(error));
  }

  #send(requestId: number, end: boolean, body: ResponseInit | undefined): void {
    if (this.#socket.destroyed || !this.#socket.writable) return;
    const bytes = encodeResponse(requestId, end, body);
    this.#queuedBytes += bytes.length;
    this.#socket.write(bytes);
    const waiting = this.#socket.writableLength;
    if (waiting > this.#options.limits.queueBytesMax) this.#stalled(waiting);
    else if (waiting > 0) this.#watch();
  }

  /** Cut off a reader that takes nothing of what waits for it. */
  #watch(): void {
    if (this.#stallTimer !== undefined) return;
    this.#takenAtTimer = this.#queuedBytes - this.#socket.writableLength;
    this.#stallTimer = setTimeout(() => {
      this.#stallTimer = undefined;
      const waiting = this.#socket.writableLength;
      if (waiting === 0) return;
      if (this.#queuedBytes - waiting === this.#takenAtTimer) this.#stalled(waiting);
      else this.#watch();
    }, this.#options.limits.stallMs);
  }

  /** @impl CT-031~1 */
  #stalled(waiting: number): void {
    this.#options.log.warn('control-reader-stalled', { waiting });
    this.#socket.destroy();
  }

  /** @impl CT-022~1 */
  #violated(what: string): void {
    this.#options.log.warn('control-rule-broken', { what });
    this.#lastWord(0, failure(ErrorCode.USAGE, what));
  }

  /**
   * Say why, and end. What still comes is read and thrown away, because a peer whose write fails stops reading, and
   * would not hear the reason.
   */
  #lastWord(requestId: number, reason: ClawChatError): void {
    this.#state = 'closing';
    this.#sendError(requestId, reason);
    this.#socket.end();
    this.#endTimer = setTimeout(() => this.#socket.destroy(), CLOSE_GRACE_MS);
  }

  #wakeAll(): void {
    const wake = this.#wake;
    this.#wake = [];
    for (const resolve of wake) resolve();
  }

  #ended(): void {
    this.#state = 'closing';
    clearTimeout(this.#endTimer);
    clearTimeout(this.#stallTimer);
    for (const { abort } of this.#running.values()) abort.abort();
    this.#wakeAll();
  }
}

function refuseHello(hello: ControlHello, identity: ControlIdentity): ClawChatError | undefined {
  const owner = `version ${identity.version}, process ${process.pid}`;
  if (hello.protocol !== CONTROL_PROTOCOL) {
    return failure(
      ErrorCode.VERSION_UNSUPPORTED,
      `another version owns the data directory (${owner}): stop it first`,
    );
  }
  if (hello.program !== identity.program) {
    const isHost = identity.program === ControlProgram.HOST;
    const text = isHost ? 'a host, not of a client' : 'a client, not of a host';
    return failure(ErrorCode.USAGE, `this is the data directory of ${text}`);
  }
  if (hello.schema < identity.schema) {
    return failure(
      ErrorCode.SCHEMA_NEWER,
      `a newer version owns the data directory (${owner}): use that version`,
    );
  }
  if (hello.schema > identity.schema) {
    return failure(
      ErrorCode.DIRECTORY_LOCKED,
      `an older version owns the data directory (${owner}): stop it first`,
    );
  }
  return undefined;
}
