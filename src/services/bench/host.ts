/** The host's end of a bench stream: counts what comes and keeps none of it (spec/13-bench.md). */
import type { Suite } from '../../crypto/suite.ts';
import { ErrorCode } from '../../gen/clawchat/v1/error_pb.ts';
import { BENCH_MESSAGE_BYTES_MAX } from '../../gen/constants.ts';
import type { ServiceStream, StreamHandler } from '../ports.ts';
import { count, EMPTY_TALLY, encodeAnswer, type Tally } from './answer.ts';

/** The handler of one stream. */
export class BenchHost implements StreamHandler {
  readonly #suite: Suite;
  readonly #stream: ServiceStream;
  #tally: Tally = EMPTY_TALLY;
  #isOver = false;

  constructor(suite: Suite, stream: ServiceStream) {
    this.#suite = suite;
    this.#stream = stream;
  }

  /** Answers that find no room are held by the stream, so no more may come until there is. @impl BE-003~1, BE-004~1 */
  message(message: Uint8Array): void {
    if (this.#isOver) return;
    if (message.length > BENCH_MESSAGE_BYTES_MAX) {
      this.#isOver = true;
      this.#stream.close(ErrorCode.MESSAGE_TOO_LARGE);
      return;
    }
    this.#tally = count(this.#suite, this.#tally, message);
    if (!this.#stream.send(encodeAnswer(this.#tally))) this.#stream.pause();
  }

  writable(): void {
    this.#stream.resume();
  }

  closed(_code: ErrorCode): void {
    this.#isOver = true;
  }
}
