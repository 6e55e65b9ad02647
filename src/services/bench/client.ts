/** The client's end of a bench stream: makes numbered messages and checks every answer (spec/13-bench.md). */
import type { Suite } from '../../crypto/suite.ts';
import { ErrorCode } from '../../gen/clawchat/v1/error_pb.ts';
import { BENCH_MESSAGE_BYTES_MAX, BENCH_UNANSWERED_MAX } from '../../gen/constants.ts';
import { sameBytes, u64be } from '../../wire/bytes.ts';
import { type Fault, fault } from '../../wire/fault.ts';
import { UsageError } from '../../wire/usage-error.ts';
import type { ServiceStream, StreamHandler } from '../ports.ts';
import { count, EMPTY_TALLY, parseAnswer, type Tally } from './answer.ts';

/** What a run is made of. */
export interface BenchPlan {
  /** How much to send in all. */
  readonly bytes: number;
  /** Of each message but the last, 1 to BENCH_MESSAGE_BYTES_MAX. */
  readonly messageBytes: number;
}

/** What whoever runs it learns. Messages are numbered from 1. */
export interface BenchPort {
  sent(message: number): void;
  answered(message: number): void;
  /** The host has all of it: exactly once, in order, unchanged. */
  done(tally: Tally): void;
  /** The stream is over, and the run with it. */
  failed(why: Fault): void;
}

/** One run over one stream. Nothing is sent until it is allowed. */
export class BenchClient implements StreamHandler {
  readonly #suite: Suite;
  readonly #stream: ServiceStream;
  readonly #plan: BenchPlan;
  readonly #port: BenchPort;
  /** What the host has to say to each message that it has not answered, in order. */
  readonly #expected: Tally[] = [];
  #sent: Tally = EMPTY_TALLY;
  #allowedBytes = 0;
  #isFull = false;
  #isOver = false;

  constructor(suite: Suite, stream: ServiceStream, plan: BenchPlan, port: BenchPort) {
    const isWhole = Number.isSafeInteger(plan.bytes) && Number.isSafeInteger(plan.messageBytes);
    if (!isWhole || plan.bytes < 1 || plan.messageBytes < 1 || plan.messageBytes > BENCH_MESSAGE_BYTES_MAX)
      throw new UsageError(`no run: ${plan.bytes} bytes in messages of ${plan.messageBytes}`);
    this.#suite = suite;
    this.#stream = stream;
    this.#plan = plan;
    this.#port = port;
  }

  /** Let the run have sent this much, counted from its start; infinity for all of it. */
  allow(bytes: number): void {
    this.#allowedBytes = Math.max(this.#allowedBytes, bytes);
    this.#pump();
  }

  /** Give the run up, if it goes on. */
  cancel(): void {
    if (this.#isOver) return;
    this.#isOver = true;
    this.#stream.close(ErrorCode.CANCELLED);
  }

  /** @impl BE-005~1 */
  message(message: Uint8Array): void {
    if (this.#isOver) return;
    const expected = this.#expected.shift();
    const answer = parseAnswer(message);
    if (expected === undefined || answer === undefined || !isSame(answer, expected)) {
      this.#isOver = true;
      this.#stream.close(ErrorCode.MESSAGE_MALFORMED);
      const at = expected === undefined ? 'nothing' : `message ${expected.messages}`;
      this.#port.failed(fault('peer', ErrorCode.MESSAGE_MALFORMED, `the answer to ${at} is wrong`));
      return;
    }
    this.#port.answered(expected.messages);
    if (expected.bytes === this.#plan.bytes) {
      this.#isOver = true;
      this.#stream.close(ErrorCode.UNSPECIFIED);
      this.#port.done(expected);
    } else this.#pump();
  }

  writable(): void {
    this.#isFull = false;
    this.#pump();
  }

  closed(code: ErrorCode): void {
    if (this.#isOver) return;
    this.#isOver = true;
    const ended = code === ErrorCode.UNSPECIFIED ? ErrorCode.INTERNAL : code;
    this.#port.failed(fault('peer', ended, `the stream ended behind message ${this.#sent.messages}`));
  }

  #pump(): void {
    while (!this.#isOver && !this.#isFull && this.#expected.length < BENCH_UNANSWERED_MAX) {
      const { messages, bytes } = this.#sent;
      const length = Math.min(this.#plan.messageBytes, this.#plan.bytes - bytes);
      if (length === 0 || bytes + length > this.#allowedBytes) return;
      const message = content(messages + 1, length);
      this.#sent = count(this.#suite, this.#sent, message);
      this.#expected.push(this.#sent);
      this.#port.sent(messages + 1);
      this.#isFull = !this.#stream.send(message);
    }
  }
}

/** No two messages of a run are alike, and what is mixed up within one shows as well. */
function content(number: number, length: number): Uint8Array {
  const message = new Uint8Array(length);
  message.set(u64be(number).subarray(0, length));
  for (let at = 8; at < length; at += 1) message[at] = (at + number) & 0xff;
  return message;
}

function isSame(a: Tally, b: Tally): boolean {
  return a.messages === b.messages && a.bytes === b.bytes && sameBytes(a.digest, b.digest);
}
