/** The streams of a host's sessions, and which devices are on a path. Chapter: spec/05-session.md 5.5. */
import type { ErrorCode } from '../../gen/clawchat/v1/error_pb.ts';
import type { HostSessions } from '../../protocol/host-sessions.ts';
import type { SessionEvent, Written } from '../../protocol/session-io.ts';
import { type StreamAcceptor, type StreamPort, Streams } from '../../runtime/streams.ts';
import { asError } from '../failure.ts';
import type { Log } from '../log.ts';

/** A class, because every session keeps one, and closures take ten times as much memory. */
class SessionPort implements StreamPort {
  readonly #sessions: HostSessions;
  readonly #session: number;
  readonly flush: () => void;

  constructor(sessions: HostSessions, session: number, flush: () => void) {
    this.#sessions = sessions;
    this.#session = session;
    this.flush = flush;
  }

  write(stream: number, payload: Uint8Array): Written {
    return this.#sessions.write(this.#session, stream, payload);
  }

  end(stream: number): void {
    this.#sessions.end(this.#session, stream);
  }

  abort(stream: number, code: ErrorCode): void {
    this.#sessions.abort(this.#session, stream, code);
  }

  taken(stream: number, cost: number): void {
    this.#sessions.taken(this.#session, stream, cost);
  }
}

/** What the streams ask of the driver around them. */
export interface SessionStreamsPort {
  /** Serve a stream that a device opened. */
  accept(device: string): StreamAcceptor;
  /** Something is to be sent. */
  readonly flush: () => void;
}

/** Binds the streams of every session, by the session's handle. */
export class SessionStreams {
  readonly #sessions: HostSessions;
  readonly #port: SessionStreamsPort;
  readonly #log: Log;
  readonly #streams = new Map<number, Streams>();
  readonly #devices = new Map<number, string>();
  readonly #connected = new Map<number, string>();

  constructor(sessions: HostSessions, port: SessionStreamsPort, log: Log) {
    this.#sessions = sessions;
    this.#port = port;
    this.#log = log;
  }

  /** Sessions that live, on a path or not. */
  get size(): number {
    return this.#streams.size;
  }

  /** Ids of devices that have a path. */
  get connected(): ReadonlySet<string> {
    return new Set(this.#connected.values());
  }

  /** A device has a session. */
  opened(session: number, device: string): void {
    const port = new SessionPort(this.#sessions, session, this.#port.flush);
    this.#devices.set(session, device);
    const failed = (stream: number, reason: unknown): void =>
      this.#log.error('service-failed', { device, stream, why: asError(reason) });
    this.#streams.set(session, new Streams(port, this.#port.accept(device), failed));
  }

  /** It is on a path. */
  attached(session: number): void {
    this.#connected.set(session, this.#devices.get(session) ?? '');
  }

  /** It waits for another path. */
  detached(session: number): void {
    this.#connected.delete(session);
  }

  /** Hand over what came. */
  deliver(session: number, event: SessionEvent, wallMs: number): void {
    this.#streams.get(session)?.take(event, wallMs);
  }

  /** It is over, and its streams with it. */
  lost(session: number, code: ErrorCode): void {
    this.#connected.delete(session);
    this.#devices.delete(session);
    const streams = this.#streams.get(session);
    this.#streams.delete(session);
    streams?.lost(code);
  }
}
