/** When somebody who waits for the host is told that it refuses this device (spec/12-control.md, CT-045). */
import { ErrorCode } from '../../gen/clawchat/v1/error_pb.ts';
import { REFUSED_MS } from '../../gen/constants.ts';

/** Refusals in a row after which a question is answered; the client itself goes on trying. */
const REFUSALS_MAX = 2;
/** What says that the host, or who answers in its place, does not want this device, or that a proxy shuts the way. */
const REFUSED: ReadonlySet<ErrorCode> = new Set([
  ErrorCode.GATE_REFUSED,
  ErrorCode.NOT_A_RECIPIENT,
  ErrorCode.HANDSHAKE_FAILED,
  ErrorCode.TLS_FAILED,
  ErrorCode.VERSION_UNSUPPORTED,
  ErrorCode.CLOCK_SUSPECT,
  ErrorCode.PROXY_REFUSED,
  ErrorCode.PROXY_UNREACHABLE,
]);

/** Who is to be told now: nobody, whoever asked something, or also whoever waits for a message to be stored. */
export type Told = 'nobody' | 'questions' | 'everybody';

/** Counts refusals. Times are monotonic milliseconds. */
export class Patience {
  #refusals = 0;
  #refusedSince: number | undefined;

  /** An attempt failed. @impl CT-045~4 */
  failed(code: ErrorCode, now: number): Told {
    if (!REFUSED.has(code)) {
      this.#refusedSince = undefined;
      return 'nobody';
    }
    this.#refusals += 1;
    this.#refusedSince ??= now;
    const isLong = now - this.#refusedSince >= REFUSED_MS;
    if (!isLong && this.#refusals < REFUSALS_MAX) return 'nobody';
    this.#refusals = 0;
    return isLong ? 'everybody' : 'questions';
  }

  /** The session is on a path. */
  attached(): void {
    this.#refusals = 0;
    this.#refusedSince = undefined;
  }
}
