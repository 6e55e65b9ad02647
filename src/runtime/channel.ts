/** One stream of a session as a program reads and writes it: with `for await` and `await` (spec/05-session.md, 5.5). */
import { ErrorCode } from '../gen/clawchat/v1/error_pb.ts';
import { CHAT_MESSAGE_BYTES_MAX } from '../gen/constants.ts';
import { ClawChatError, fault } from '../protocol/fault.ts';
import type { ServiceStream, StreamHandler } from '../services/ports.ts';

/** Messages that may wait for the reader before the other side gets no more credit. */
const WAITING_MAX = 16;

/**
 * Whole messages in both directions, in order, each once, through every move of the host and every broken connection.
 *
 * Iterate it once to read: it ends when the other side has closed, and throws ClawChatError with the reason when the
 * stream was cut: `SERVICE_UNKNOWN` (the host has no such service), `SESSION_LOST` (a process died, or an hour
 * passed without a connection: open another and go on by your own numbers), `MESSAGE_TOO_LARGE`, `DEVICE_REVOKED`.
 */
export interface Channel extends AsyncIterable<Uint8Array> {
  /**
   * Send one message of 1 to 1,048,576 bytes, and resolve when there is room for the next: await it, and a slow reader
   * slows the writer. It says nothing about delivery; a service that has to know answers.
   *
   * @throws ClawChatError `USAGE`; `MESSAGE_TOO_LARGE`; the reason of the end when the channel is over.
   */
  send(message: Uint8Array): Promise<void>;
  /** End it in both directions. What was sent before still arrives; what comes is not read any more. */
  close(): void;
}

/** A channel over a service's end of a stream. @internal */
export class StreamChannel implements Channel, StreamHandler {
  readonly #stream: ServiceStream;
  readonly #waiting: Uint8Array[] = [];
  #room: (() => void)[] = [];
  #paused = false;
  #full = false;
  #end: ErrorCode | undefined;
  #wake: () => void = () => {};

  constructor(stream: ServiceStream) {
    this.#stream = stream;
  }

  /** Whether it has ended, whoever ended it. */
  get isOver(): boolean {
    return this.#end !== undefined;
  }

  // ---- the program's side ----

  async send(message: Uint8Array): Promise<void> {
    if (!(message instanceof Uint8Array))
      throw new ClawChatError(fault('self', ErrorCode.USAGE, 'a message is a Uint8Array'));
    if (message.length < 1 || message.length > CHAT_MESSAGE_BYTES_MAX) {
      const text = `a message has 1 to ${CHAT_MESSAGE_BYTES_MAX} bytes, not ${message.length}`;
      throw new ClawChatError(fault('self', ErrorCode.MESSAGE_TOO_LARGE, text));
    }
    while (this.#full && this.#end === undefined) {
      await new Promise<void>(resolve => this.#room.push(resolve));
    }
    if (this.#end !== undefined) throw ended(this.#end);
    // What is queued may wait, and the caller may use its buffer again.
    this.#full = !this.#stream.send(message.slice());
  }

  close(): void {
    this.abort(ErrorCode.UNSPECIFIED);
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<Uint8Array, void, undefined> {
    try {
      for (;;) {
        const next = this.#waiting.shift();
        if (next !== undefined) {
          yield next;
        } else if (this.#end !== undefined) {
          if (this.#end === ErrorCode.UNSPECIFIED) return;
          throw ended(this.#end);
        } else {
          this.#listen();
          await new Promise<void>(resolve => {
            this.#wake = resolve;
          });
        }
      }
    } finally {
      this.close();
    }
  }

  // ---- the session's side ----

  message(message: Uint8Array): void {
    this.#waiting.push(message);
    if (this.#waiting.length >= WAITING_MAX && !this.#paused) {
      this.#paused = true;
      this.#stream.pause();
    }
    this.#wake();
  }

  writable(): void {
    this.#full = false;
    this.#release();
  }

  closed(code: ErrorCode): void {
    this.#finish(code);
  }

  /** End it with a reason for the other side; `UNSPECIFIED` for a clean end. */
  abort(code: ErrorCode): void {
    if (this.#end !== undefined) return;
    this.#stream.close(code);
    this.#waiting.length = 0;
    this.#finish(code);
  }

  #listen(): void {
    if (!this.#paused) return;
    this.#paused = false;
    this.#stream.resume();
  }

  #finish(code: ErrorCode): void {
    this.#end ??= code;
    this.#release();
    this.#wake();
  }

  #release(): void {
    const room = this.#room;
    this.#room = [];
    for (const resolve of room) resolve();
  }
}

function ended(code: ErrorCode): ClawChatError {
  if (code === ErrorCode.UNSPECIFIED) {
    return new ClawChatError(fault('self', ErrorCode.CANCELLED, 'the channel was closed'));
  }
  return new ClawChatError(fault('peer', code, 'the channel was ended'));
}
