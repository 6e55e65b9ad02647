/** Binds the streams of a session to services: whole messages in, whole messages out (spec/05-session.md, 5.5). */
import { ErrorCode } from '../gen/clawchat/v1/error_pb.ts';
import { CHAT_MESSAGE_BYTES_MAX } from '../gen/constants.ts';
import type { SessionEvent, Written } from '../protocol/session-io.ts';
import type { ServiceStream, StreamHandler } from '../services/ports.ts';

/** What a service needs of the session under it. */
export interface StreamPort {
  write(stream: number, payload: Uint8Array): Written;
  end(stream: number): void;
  abort(stream: number, code: ErrorCode): void;
  taken(stream: number, cost: number): void;
  /** Called after any of the above: something may be ready to leave. */
  flush(): void;
}

/** Gives the handler of a stream that the other side opened, or undefined for a service there is none of. */
export type StreamAcceptor = (service: string, stream: ServiceStream) => StreamHandler | undefined;

/** Told of what a service threw. */
export type ServiceFailed = (stream: number, reason: unknown) => void;

/** What a stream needs of the row that it stands in. */
interface Owner {
  readonly failed: ServiceFailed;
  forget(id: number): void;
}

/** Shared by all streams, of which nearly none have anything that waits. Nobody adds to it. */
const NOTHING: Uint8Array[] = [];

class BoundStream implements ServiceStream {
  readonly id: number;
  readonly #port: StreamPort;
  readonly #owner: Owner;
  handler: StreamHandler | undefined;
  /** Answers that were due while the session's queue was full, in order. */
  #waiting: Uint8Array[] = NOTHING;
  #pieces: Uint8Array[] | undefined;
  #pieceBytes = 0;
  /** Credit that is held back while the service is paused. */
  #held = 0;
  #paused = false;
  #over = false;

  constructor(id: number, port: StreamPort, owner: Owner) {
    this.id = id;
    this.#port = port;
    this.#owner = owner;
  }

  send(message: Uint8Array): boolean {
    if (this.#over) return true;
    if (this.#waiting.length > 0 || this.#port.write(this.id, message) === 'full') {
      if (this.#waiting === NOTHING) this.#waiting = [];
      this.#waiting.push(message);
      return false;
    }
    this.#port.flush();
    return true;
  }

  pause(): void {
    this.#paused = true;
  }

  resume(): void {
    this.#paused = false;
    if (this.#held === 0 || this.#over) return;
    this.#port.taken(this.id, this.#held);
    this.#held = 0;
    this.#port.flush();
  }

  close(code: ErrorCode): void {
    if (this.#over) return;
    this.#finish();
    if (code === ErrorCode.UNSPECIFIED) this.#port.end(this.id);
    else this.#port.abort(this.id, code);
    this.#port.flush();
  }

  /** The session says that there is room again. */
  writable(): void {
    while (this.#waiting.length > 0) {
      const [message = new Uint8Array(0)] = this.#waiting;
      if (this.#port.write(this.id, message) === 'full') return;
      this.#waiting.shift();
    }
    this.#port.flush();
    if (!this.#over) this.guard(() => this.handler?.writable());
  }

  /** A piece has arrived. */
  piece({ payload, more, cost }: SessionEvent & { kind: 'piece' }, wallMs: number): void {
    if (this.#over) return;
    if (more || this.#pieces !== undefined) {
      this.#pieces ??= [];
      this.#pieces.push(payload);
      this.#pieceBytes += payload.length;
      if (this.#pieceBytes > CHAT_MESSAGE_BYTES_MAX) {
        this.lost(ErrorCode.MESSAGE_TOO_LARGE);
        this.#port.abort(this.id, ErrorCode.MESSAGE_TOO_LARGE);
        this.#port.flush();
        return;
      }
    }
    // Between the pieces of one message credit always comes back, or a long message could never end.
    if (this.#paused && !more) this.#held += cost;
    else this.#port.taken(this.id, cost);
    if (more) return;
    const message = this.#pieces === undefined ? payload : join(this.#pieces, this.#pieceBytes);
    this.#pieces = undefined;
    this.#pieceBytes = 0;
    this.guard(() => this.handler?.message(message, wallMs));
  }

  /** The other side has ended its direction; services here answer an end with theirs. @impl SE-044~1 */
  ended(code: ErrorCode): void {
    const { handler } = this;
    if (this.#over) return;
    this.#finish();
    if (code === ErrorCode.UNSPECIFIED) this.#port.end(this.id);
    this.#port.flush();
    this.guard(() => handler?.closed(code));
  }

  /** The session is gone, or the stream was cut from this side. */
  lost(code: ErrorCode): void {
    const { handler } = this;
    if (this.#over) return;
    this.#finish();
    this.guard(() => handler?.closed(code));
  }

  /** Run what belongs to the service: what it throws ends this stream and nothing else. @impl SE-046~1 */
  guard(work: () => void): void {
    try {
      work();
    } catch (reason) {
      this.#owner.failed(this.id, reason);
      if (this.#over) return;
      this.lost(ErrorCode.INTERNAL);
      this.#port.abort(this.id, ErrorCode.INTERNAL);
      this.#port.flush();
    }
  }

  #finish(): void {
    this.#over = true;
    this.#waiting = NOTHING;
    this.#pieces = undefined;
    this.#owner.forget(this.id);
  }
}

function join(pieces: readonly Uint8Array[], bytes: number): Uint8Array {
  const joined = new Uint8Array(bytes);
  let at = 0;
  for (const piece of pieces) {
    joined.set(piece, at);
    at += piece.length;
  }
  return joined;
}

/** The streams of one session. */
export class Streams implements Owner {
  readonly #port: StreamPort;
  readonly #accept: StreamAcceptor;
  readonly failed: ServiceFailed;
  readonly #streams = new Map<number, BoundStream>();

  constructor(port: StreamPort, accept: StreamAcceptor, failed: ServiceFailed = () => {}) {
    this.#port = port;
    this.#accept = accept;
    this.failed = failed;
  }

  /** A stream is over. */
  forget(id: number): void {
    this.#streams.delete(id);
  }

  /** Bind a stream that this side opened: `handler` is made with the service's end of it. */
  bind(id: number, handler: (stream: ServiceStream) => StreamHandler): void {
    const stream = this.#make(id);
    stream.guard(() => {
      stream.handler = handler(stream);
    });
  }

  /** Take one event of the session. */
  take(event: SessionEvent, wallMs: number): void {
    switch (event.kind) {
      case 'opened':
        this.#opened(event.stream, event.service);
        break;
      case 'piece':
        this.#streams.get(event.stream)?.piece(event, wallMs);
        break;
      case 'ended':
        this.#streams.get(event.stream)?.ended(event.code);
        break;
      case 'writable':
        this.#streams.get(event.stream)?.writable();
    }
  }

  /** The session is over: every handler learns it. */
  lost(code: ErrorCode): void {
    for (const stream of [...this.#streams.values()]) stream.lost(code);
  }

  #make(id: number): BoundStream {
    const stream = new BoundStream(id, this.#port, this);
    this.#streams.set(id, stream);
    return stream;
  }

  #opened(id: number, service: string): void {
    const stream = this.#make(id);
    stream.guard(() => {
      stream.handler = this.#accept(service, stream);
      if (stream.handler === undefined) stream.close(ErrorCode.SERVICE_UNKNOWN);
    });
  }
}
