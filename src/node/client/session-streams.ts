/** The streams of a client's session, and its chat stream, which is opened again whenever it ends. Chapter: spec/05-session.md 5.5. */
import { ErrorCode } from '../../gen/clawchat/v1/error_pb.ts';
import type { Client } from '../../protocol/client.ts';
import type { SessionEvent } from '../../protocol/session-io.ts';
import { type StreamPort, Streams } from '../../runtime/streams.ts';
import type { ServiceStream, StreamHandler } from '../../services/ports.ts';
import { asError } from '../failure.ts';
import type { Log } from '../log.ts';
import { drawUnit } from '../now.ts';

const CHAT_AGAIN_MS_MIN = 100;
const CHAT_AGAIN_MS_MAX = 60_000;

/** What the streams ask of the driver around them. */
export interface SessionStreamsPort {
  /** Give the handler of a stream that was opened to the chat service. */
  chat(stream: ServiceStream): StreamHandler;
  /** Something is to be sent. */
  flush(): void;
}

/** Binds the streams of one session after the other. */
export class SessionStreams {
  readonly #client: Client;
  readonly #service: string;
  readonly #port: SessionStreamsPort;
  readonly #log: Log;
  #session: number | undefined;
  #streams: Streams | undefined;
  #chatTimer: NodeJS.Timeout | undefined;
  #chatEnds = 0;

  /** `service` is what the chat stream is opened to. */
  constructor(client: Client, service: string, port: SessionStreamsPort, log: Log) {
    this.#client = client;
    this.#service = service;
    this.#port = port;
    this.#log = log;
  }

  /** There is a session: open its chat stream. */
  opened(session: number): void {
    const client = this.#client;
    const port: StreamPort = {
      write: (stream, payload) => client.write(session, stream, payload),
      end: stream => client.end(session, stream),
      abort: (stream, code) => client.abort(session, stream, code),
      taken: (stream, cost) => client.taken(session, stream, cost),
      flush: () => this.#port.flush(),
    };
    const failed = (stream: number, reason: unknown): void =>
      this.#log.error('service-failed', { stream, why: asError(reason) });
    this.#session = session;
    this.#streams = new Streams(port, () => undefined, failed);
    this.#chatEnds = 0;
    this.#openChat(session);
  }

  /** Open a stream of the session that is there; false while there is none. */
  open(service: string, handler: (stream: ServiceStream) => StreamHandler): boolean {
    const session = this.#session;
    const id = session === undefined ? undefined : this.#client.open(session, service);
    if (id === undefined) return false;
    this.#streams?.bind(id, handler);
    this.#port.flush();
    return true;
  }

  /** Hand over what came. */
  deliver(event: SessionEvent): void {
    this.#streams?.take(event, Date.now());
  }

  /** The session is over, and its streams with it. */
  lost(code: ErrorCode): void {
    const streams = this.#streams;
    this.#session = undefined;
    this.#streams = undefined;
    streams?.lost(code);
  }

  /** Open nothing any more. */
  close(): void {
    this.#session = undefined;
    clearTimeout(this.#chatTimer);
  }

  #openChat(session: number): void {
    if (this.#session !== session) return;
    const chat = (stream: ServiceStream): StreamHandler =>
      this.#watched(session, this.#port.chat(this.#reopening(session, stream)));
    this.open(this.#service, chat);
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
    if (this.#session !== session) return;
    clearTimeout(this.#chatTimer);
    const boundMs = Math.min(CHAT_AGAIN_MS_MAX, CHAT_AGAIN_MS_MIN * 2 ** Math.min(this.#chatEnds, 10));
    this.#chatEnds += 1;
    this.#chatTimer = setTimeout(() => this.#openChat(session), boundMs * drawUnit());
  }
}
