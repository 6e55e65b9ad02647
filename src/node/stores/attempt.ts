/** One attempt at a store: bounded in time, ended by its caller, and never a rejection (spec/07-discovery.md, 7.1). */
import { type StopSignal, type StoreFailure, type StoreTrouble, storeFailed } from '../../discovery/store.ts';
import { systemCode } from '../failure.ts';
import { isUntrusted } from '../untrusted.ts';

/** Carries a failure out of the middle of an attempt. Only `runAttempt` catches it. */
export class StoreError extends Error {
  override readonly name = 'StoreError';
  readonly failure: StoreFailure;
  constructor(trouble: StoreTrouble, detail: string, retryAfterMs?: number) {
    super(detail);
    this.failure = storeFailed(trouble, detail, retryAfterMs);
  }
}

/** What an attempt is given. */
export interface AttemptOptions {
  /** The store's name, which begins every detail. */
  readonly name: string;
  readonly stop: StopSignal;
  readonly limitMs: number;
}

/**
 * Run one attempt; `run` gets a signal that ends with the caller's or with the time. @impl DI-001~1, DI-003~1
 *
 * It resolves at the latest when that signal ends, whether `run` heeds it or not.
 */
export async function runAttempt<T>(
  { name, stop, limitMs }: AttemptOptions,
  run: (signal: AbortSignal) => Promise<T>,
): Promise<T | StoreFailure> {
  if (stop.aborted) return storeFailed('cancelled', `${name}: cancelled`);
  const controller = new AbortController();
  let ended: StoreFailure | undefined;
  const { promise, reject } = settleLater();
  const end = (failure: StoreFailure): void => {
    ended ??= failure;
    controller.abort();
    reject(new StoreError(failure.trouble, failure.detail));
  };
  const onStop = (): void => end(storeFailed('cancelled', `${name}: cancelled`));
  const timer = setTimeout(
    () => end(storeFailed('timeout', `${name}: no answer within ${limitMs} ms`)),
    limitMs,
  );
  stop.addEventListener('abort', onStop, { once: true });
  try {
    return await Promise.race([run(controller.signal), promise]);
  } catch (error) {
    return ended ?? failureOf(name, error);
  } finally {
    clearTimeout(timer);
    stop.removeEventListener('abort', onStop);
    // Whatever is still open belongs to nobody any more.
    controller.abort();
  }
}

function settleLater(): { readonly promise: Promise<never>; readonly reject: (reason: unknown) => void } {
  let reject: (reason: unknown) => void = () => {};
  const promise = new Promise<never>((_resolve, rejectPromise) => {
    reject = rejectPromise;
  });
  return { promise, reject };
}

/** Name an error of sockets, TLS or the HTTP parser. Texts of the system can hold addresses, but no credentials. */
function failureOf(name: string, error: unknown): StoreFailure {
  if (error instanceof StoreError) {
    const { trouble, detail, retryAfterMs } = error.failure;
    return storeFailed(trouble, `${name}: ${detail}`, retryAfterMs);
  }
  const code = systemCode(error) ?? 'unknown error';
  if (isUntrusted(code)) return storeFailed('untrusted', `${name}: its certificate is not trusted (${code})`);
  if (code.startsWith('HPE_') || code === 'ERR_INVALID_URL')
    return storeFailed('malformed', `${name}: its answer is not HTTP (${code})`);
  return storeFailed('unreachable', `${name}: ${code}`);
}
