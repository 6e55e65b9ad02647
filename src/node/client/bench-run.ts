/** Runs a bulk stream through a client's session at its pace, and times every answer. Chapter: spec/13-bench.md. */
import { setTimeout as sleep } from 'node:timers/promises';
import type { ControlBenchRequest } from '../../gen/clawchat/v1/control_pb.ts';
import { ErrorCode } from '../../gen/clawchat/v1/error_pb.ts';
import { BENCH_MESSAGE_BYTES_MAX } from '../../gen/constants.ts';
import { ClawChatError, type Fault } from '../../protocol/fault.ts';
import { BENCH_SERVICE, type Tally } from '../../services/bench/answer.ts';
import { BenchClient, type BenchPlan } from '../../services/bench/client.ts';
import type { ResponseInit } from '../control.ts';
import { failure } from '../failure.ts';
import { native } from '../native.ts';
import type { ClientDriver } from './driver.ts';

const MESSAGE_BYTES = 32_768;
const PROGRESS_MS = 1000;
/** How often a stream with a bounded rate may send more. */
const PACE_MS = 20;

/** What is known of a run while it goes on. */
class Run {
  readonly #startedAt = performance.now();
  /** When each message that has no answer was sent, oldest first. */
  readonly #sentAt: number[] = [];
  readonly #messageBytes: number;
  #messages = 0;
  #worstMs = 0;
  end: Tally | Fault | undefined;
  /** Called when it has ended. */
  wake: () => void = () => {};

  constructor(messageBytes: number) {
    this.#messageBytes = messageBytes;
  }

  get elapsedMs(): number {
    return performance.now() - this.#startedAt;
  }

  sent(): void {
    this.#sentAt.push(performance.now());
  }

  answered(message: number): void {
    this.#messages = message;
    this.#worstMs = Math.max(this.#worstMs, performance.now() - (this.#sentAt.shift() ?? 0));
  }

  finish(end: Tally | Fault): void {
    this.end = end;
    this.wake();
  }

  /** Say how it goes, and measure the next stretch on its own. */
  progress(): ResponseInit {
    const [oldest] = this.#sentAt;
    const worstMs = Math.max(this.#worstMs, oldest === undefined ? 0 : performance.now() - oldest);
    this.#worstMs = 0;
    const { end } = this;
    const tally = end !== undefined && !('kind' in end) ? end : undefined;
    return {
      case: 'bench',
      value: {
        messages: BigInt(tally?.messages ?? this.#messages),
        bytes: BigInt(tally?.bytes ?? this.#messages * this.#messageBytes),
        elapsedMs: Math.round(this.elapsedMs),
        worstUs: Math.round(worstMs * 1000),
        done: tally !== undefined,
        digest: tally?.digest ?? new Uint8Array(0),
      },
    };
  }
}

/** Run one, and tell about once a second how it goes. @throws ClawChatError with the end of the stream; `USAGE`. */
export async function* runBench(
  driver: ClientDriver,
  asked: ControlBenchRequest,
  signal: AbortSignal,
): AsyncGenerator<ResponseInit> {
  const plan = planOf(asked);
  const run = new Run(plan.messageBytes);
  let client: BenchClient | undefined;
  const isOpen = driver.open(BENCH_SERVICE, stream => {
    const made = new BenchClient(native, stream, plan, {
      sent: () => run.sent(),
      answered: message => run.answered(message),
      done: tally => run.finish(tally),
      failed: why => run.finish(why),
    });
    client = made;
    return made;
  });
  if (!isOpen || client === undefined)
    throw failure(ErrorCode.SESSION_LOST, 'there is no session to measure at this moment');
  const stop = new AbortController();
  const ended = (): void => stop.abort();
  run.wake = ended;
  signal.addEventListener('abort', ended, { once: true });
  void pace(client, run, asked.bytesPerSecond, stop.signal);
  try {
    while (!stop.signal.aborted && !signal.aborted) {
      await sleep(PROGRESS_MS, undefined, { signal: stop.signal }).catch(() => undefined);
      if (run.end === undefined) yield run.progress();
    }
  } finally {
    signal.removeEventListener('abort', ended);
    stop.abort();
    client.cancel();
  }
  if (run.end === undefined) return;
  if ('kind' in run.end) throw new ClawChatError(run.end);
  yield run.progress();
}

function planOf({ bytes, messageBytes }: ControlBenchRequest): BenchPlan {
  const plan = { bytes: Number(bytes), messageBytes: messageBytes === 0 ? MESSAGE_BYTES : messageBytes };
  if (plan.bytes < 1 || !Number.isSafeInteger(plan.bytes) || plan.messageBytes > BENCH_MESSAGE_BYTES_MAX)
    throw failure(ErrorCode.USAGE, `a bulk stream has 1 to 2^53 - 1 bytes, not ${bytes}`);
  return plan;
}

async function pace(client: BenchClient, run: Run, perSecond: number, signal: AbortSignal): Promise<void> {
  if (perSecond === 0) {
    client.allow(Number.POSITIVE_INFINITY);
    return;
  }
  while (!signal.aborted) {
    client.allow((perSecond * run.elapsedMs) / 1000);
    await sleep(PACE_MS, undefined, { signal }).catch(() => undefined);
  }
}
