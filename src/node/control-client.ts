/** An attacher's end of the control socket (spec/12-control.md). */
import { connect, type Socket } from 'node:net';
import type { ControlResponse, ControlWelcome } from '../gen/clawchat/v1/control_pb.ts';
import { ErrorCode } from '../gen/clawchat/v1/error_pb.ts';
import { CONTROL_REQUESTS_MAX } from '../gen/constants.ts';
import type { ClawChatError } from '../protocol/fault.ts';
import {
  CONTROL_PROTOCOL,
  decodeResponse,
  encodeRequest,
  errorOf,
  MessageReader,
  type RequestInit,
  type ResponseBody,
} from './control.ts';
import type { ControlIdentity } from './control-server.ts';
import { failure, systemCode } from './failure.ts';

/** What is under way: responses that came, the end if it came, and whoever waits for the next. */
interface Exchange {
  readonly requestId: number;
  readonly request: Uint8Array;
  readonly responses: { readonly body: ResponseBody; readonly bytes: number }[];
  started: boolean;
  ended: boolean;
  error: ClawChatError | undefined;
  wake: () => void;
}

/** The socket is not read while more bytes than this wait for their streams' readers. */
const BUFFERED_BYTES_MAX = 1_048_576;
const REQUEST_ID_MAX = 2 ** 32 - 1;
/** Nobody listens, or somebody who is about to end or has no room: the next attempt may find another. */
const NOBODY: ReadonlySet<string> = new Set([
  'ENOENT',
  'ECONNREFUSED',
  'ECONNRESET',
  'EPIPE',
  'EAGAIN',
  'ENOTSOCK',
]);

/** How a client attaches. */
export interface AttachOptions {
  readonly path: string;
  readonly identity: ControlIdentity;
  readonly timeoutMs: number;
}

/**
 * Attach to the owner that listens on `path`; undefined when nobody does, or nobody that answers in time.
 *
 * @throws ClawChatError with the owner's reason when it refuses.
 */
export async function attach(options: AttachOptions): Promise<ControlClient | undefined> {
  const socket = connect(options.path);
  const client = new ControlClient(socket);
  const timer = setTimeout(() => socket.destroy(), options.timeoutMs);
  try {
    const value = { protocol: CONTROL_PROTOCOL, ...options.identity };
    const welcome = await client.call({ case: 'hello', value });
    if (welcome.case !== 'welcome')
      throw failure(ErrorCode.DIRECTORY_LOCKED, 'the owner speaks another protocol');
    client.welcome = welcome.value;
    return client;
  } catch (error) {
    client.close();
    if (!isOwnerLost(error)) throw error;
    const code = systemCode(client.socketError);
    if (code === undefined || NOBODY.has(code)) return undefined;
    throw failure(
      ErrorCode.DIRECTORY_LOCKED,
      `the owner of the data directory cannot be reached (${code})`,
      error,
    );
  } finally {
    clearTimeout(timer);
  }
}

/** Tell whether a request failed only because its owner went away. */
export function isOwnerLost(error: unknown): boolean {
  return error instanceof Error && 'code' in error && error.code === ErrorCode.OWNER_LOST;
}

/** Requests to the owner of a data directory. Make it with `attach`. */
export class ControlClient {
  /** What the owner said of itself. */
  welcome: ControlWelcome | undefined;
  /** The system's reason for the end of the connection, if it gave one. */
  socketError: Error | undefined;
  /** Resolves when the connection has ended. */
  readonly closed: Promise<void>;
  readonly #socket: Socket;
  readonly #reader = new MessageReader();
  /** In the order of the requests; those behind the bound of the owner have not been sent. */
  readonly #exchanges = new Map<number, Exchange>();
  #sent = 0;
  #lastId = 0;
  #buffered = 0;
  #lost: ClawChatError | undefined;

  constructor(socket: Socket) {
    this.#socket = socket;
    socket.on('data', (chunk: Buffer) => this.#read(chunk));
    socket.on('error', error => {
      this.socketError = error;
    });
    this.closed = new Promise(resolve => {
      socket.on('close', () => {
        this.#fail(
          failure(ErrorCode.OWNER_LOST, 'the owner of the data directory went away', this.socketError),
        );
        resolve();
      });
    });
  }

  /**
   * Ask for one answer.
   *
   * @throws ClawChatError with the owner's reason; `OWNER_LOST` when the connection ends first, and nobody knows
   *   whether the request was done; `CANCELLED`.
   */
  async call(body: RequestInit, signal?: AbortSignal): Promise<ResponseBody> {
    for await (const response of this.stream(body, signal)) return response;
    throw failure(ErrorCode.INTERNAL, `the owner answered "${body.case}" with nothing`);
  }

  /** Ask for any number of answers. The request is sent now; the errors are those of `call`, after the last answer. */
  stream(body: RequestInit, signal?: AbortSignal): AsyncGenerator<ResponseBody, void, undefined> {
    const requestId = this.#nextId();
    const exchange: Exchange = {
      requestId,
      request: encodeRequest(requestId, body),
      responses: [],
      started: false,
      ended: false,
      error: undefined,
      wake: () => {},
    };
    if (this.#lost === undefined) {
      this.#exchanges.set(requestId, exchange);
      this.#sendWaiting();
    } else {
      end(exchange, this.#lost);
    }
    return this.#responses(exchange, signal);
  }

  /** End the connection; what is under way fails with `OWNER_LOST`. */
  close(): void {
    this.#socket.destroy();
  }

  async *#responses(
    exchange: Exchange,
    signal: AbortSignal | undefined,
  ): AsyncGenerator<ResponseBody, void, undefined> {
    const abort = (): void => this.#cancel(exchange);
    if (signal?.aborted) abort();
    signal?.addEventListener('abort', abort);
    try {
      for (;;) {
        const next = exchange.responses.shift();
        if (next !== undefined) {
          this.#buffer(-next.bytes);
          yield next.body;
        } else if (exchange.error !== undefined) {
          throw exchange.error;
        } else if (exchange.ended) {
          return;
        } else {
          await new Promise<void>(resolve => {
            exchange.wake = resolve;
          });
        }
      }
    } finally {
      signal?.removeEventListener('abort', abort);
      this.#cancel(exchange);
      this.#buffer(-exchange.responses.splice(0).reduce((sum, response) => sum + response.bytes, 0));
    }
  }

  /** End an exchange that has not ended: nobody waits for it any more. The owner's last word on it is not heard. */
  #cancel(exchange: Exchange): void {
    if (exchange.ended) return;
    if (exchange.started)
      this.#socket.write(encodeRequest(exchange.requestId, { case: 'cancel', value: {} }));
    else this.#exchanges.delete(exchange.requestId);
    end(exchange, failure(ErrorCode.CANCELLED, 'the request was cancelled'));
  }

  #nextId(): number {
    do this.#lastId = this.#lastId === REQUEST_ID_MAX ? 1 : this.#lastId + 1;
    while (this.#exchanges.has(this.#lastId));
    return this.#lastId;
  }

  /** Send what waits, in order, as far as the owner's bound allows. */
  #sendWaiting(): void {
    for (const exchange of this.#exchanges.values()) {
      if (this.#sent >= CONTROL_REQUESTS_MAX) return;
      if (exchange.started) continue;
      exchange.started = true;
      this.#sent += 1;
      this.#socket.write(exchange.request);
    }
  }

  #read(chunk: Buffer): void {
    for (const message of this.#reader.push(chunk) ?? [undefined]) {
      const response = message === undefined ? undefined : decodeResponse(message);
      if (response === undefined) {
        this.#socket.destroy(new Error('the owner sent what is no response'));
        return;
      }
      this.#take(response, message?.length ?? 0);
    }
  }

  #take({ requestId, end: last, body }: ControlResponse, bytes: number): void {
    if (requestId === 0) {
      this.#fail(
        body.case === 'error'
          ? errorOf(body)
          : failure(ErrorCode.INTERNAL, 'the owner closed the connection'),
      );
      return;
    }
    const exchange = this.#exchanges.get(requestId);
    if (exchange === undefined) return;
    if (!exchange.ended && body.case !== undefined && body.case !== 'error') {
      exchange.responses.push({ body, bytes });
      this.#buffer(bytes);
    }
    if (last || body.case === 'error') {
      this.#exchanges.delete(requestId);
      this.#sent -= 1;
      if (!exchange.ended) end(exchange, body.case === 'error' ? errorOf(body) : undefined);
      this.#sendWaiting();
    }
    exchange.wake();
  }

  /** Count what waits for readers, and stop reading the socket while it is too much. */
  #buffer(bytes: number): void {
    this.#buffered += bytes;
    if (this.#buffered > BUFFERED_BYTES_MAX) this.#socket.pause();
    else this.#socket.resume();
  }

  #fail(error: ClawChatError): void {
    if (this.#lost !== undefined) return;
    this.#lost = error;
    for (const exchange of this.#exchanges.values()) if (!exchange.ended) end(exchange, error);
    this.#exchanges.clear();
  }
}

function end(exchange: Exchange, error: ClawChatError | undefined): void {
  exchange.ended = true;
  exchange.error = error;
  exchange.wake();
}
