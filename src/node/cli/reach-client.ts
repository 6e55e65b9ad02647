/** How a command of `clawchat` reaches the owner of its data directory, and what ends it. Chapter: spec/12-control.md. */
import { setMaxListeners } from 'node:events';
import { existsSync } from 'node:fs';
import { ControlProgram } from '../../gen/clawchat/v1/control_pb.ts';
import { ErrorCode } from '../../gen/clawchat/v1/error_pb.ts';
import { fault } from '../../protocol/fault.ts';
import { type ClientOptions, openClientOwner } from '../client-owner.ts';
import { failure } from '../failure.ts';
import type { OwnerLink } from '../owner-link.ts';
import { clientOptions } from './client-options.ts';
import { type Call, duration, type Option, TimeLimitError } from './command-line.ts';
import { directoryOptions, withOwner } from './directory.ts';
import { Waiting, type WaitingOptions } from './waiting.ts';

/** Bounds a command that waits for the host. */
export const TIMEOUT: Option = { value: 'TIME', help: 'give up after this, such as 30s (default: 60s)' };
const TIMEOUT_MS = 60_000;
const KEPT = 'what was taken to be sent is kept and goes out with the next command';
/** Why a signal is aborted when the time is up, and nobody interrupted. */
const TIME_IS_UP = Symbol('time is up');

/**
 * Work with the owner of a client's directory, or become it.
 *
 * @throws ClawChatError `NOT_JOINED` when there is no directory: to ask about a mistyped one would make it
 */
export async function withClientOwner<T>(
  client: ClientOptions,
  work: (link: OwnerLink) => Promise<T>,
): Promise<T> {
  if (!existsSync(client.directory)) {
    const text = `there is no ${client.directory}: join a host first (\`clawchat join\`), or name the directory of a device with --data`;
    throw failure(ErrorCode.NOT_JOINED, text);
  }
  const open = (): ReturnType<typeof openClientOwner> => openClientOwner(client);
  return withOwner(directoryOptions(ControlProgram.CLIENT, client.directory, client.log, open), work);
}

/** Work with a signal that SIGINT, SIGTERM or the end of `ms` milliseconds aborts. */
export async function stoppable<T>(ms: number, work: (signal: AbortSignal) => Promise<T>): Promise<T> {
  const stop = new AbortController();
  // Every line of `send -` that is on its way listens to it.
  setMaxListeners(0, stop.signal);
  const timer = Number.isFinite(ms) ? setTimeout(() => stop.abort(TIME_IS_UP), ms) : undefined;
  const interrupted = (): void => stop.abort();
  process.once('SIGINT', interrupted);
  process.once('SIGTERM', interrupted);
  try {
    return await work(stop.signal);
  } finally {
    clearTimeout(timer);
    process.off('SIGINT', interrupted);
    process.off('SIGTERM', interrupted);
  }
}

/**
 * Work with the owner of the call's directory. `--timeout`, where it is given, bounds it, else `standardMs`.
 *
 * @throws TimeLimitError when the time is up; ClawChatError as the work does, and `CANCELLED` when interrupted.
 */
export async function reachClient<T>(
  call: Call,
  work: (link: OwnerLink, signal: AbortSignal) => Promise<T>,
  standardMs: number = TIMEOUT_MS,
): Promise<T> {
  const client = await clientOptions(call);
  const timeout = call.text('timeout');
  const ms = timeout === undefined ? standardMs : duration(timeout, '--timeout');
  return stoppable(ms, async signal => {
    try {
      return await withClientOwner(client, async link => {
        const waiting = new Waiting(link, { say: sayWaiting(call) });
        return work(link, signal)
          .catch(async error => {
            if (signal.reason !== TIME_IS_UP) throw error;
            const lastAttempt = await waiting.lastAttempt();
            // People have read what the stores mean already.
            const why = [
              lastAttempt && `last attempt: ${lastAttempt}`,
              call.on('json') ? waiting.reason : '',
              waiting.unsent > 0 ? KEPT : '',
            ];
            throw timeLimit(ms, why, error);
          })
          .finally(() => waiting.stop());
      });
    } catch (error) {
      if (signal.reason !== TIME_IS_UP || error instanceof TimeLimitError) throw error;
      throw timeLimit(ms, [], error);
    }
  });
}

/** Say to people what a command waits for; programs ask `status`, and what they read is the command's own. */
export function sayWaiting(call: Call): WaitingOptions['say'] {
  if (call.on('json')) return () => {};
  return lines => void process.stderr.write(`clawchat: ${lines.join('\n  ')}\n`);
}

/** What `--timeout` ended was not refused: say how long it was tried, and what becomes of it. */
function timeLimit(ms: number, reasons: readonly string[], cause: unknown): TimeLimitError {
  const said = [`no answer within ${ms / 1000} s`, ...reasons];
  const detail = said.filter(text => text !== '').join('; ');
  return new TimeLimitError(fault('time', ErrorCode.TIMEOUT, detail), { cause });
}
