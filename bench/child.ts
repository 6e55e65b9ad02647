/** Runs a part of the measurement in a process of its own, and asks it (bench/README.md). */
import { type ChildProcess, fork } from 'node:child_process';

/**
 * CPU time of a process so far, in microseconds, and the part of it in the kernel; its resident memory; and what lives in
 * its heap with what that holds outside. Both are behind a collection where it was started with --expose-gc.
 */
export interface Usage {
  readonly cpuUs: number;
  readonly systemUs: number;
  readonly residentBytes: number;
  readonly liveBytes: number;
}

type Handler = (argument: never) => unknown;
interface Question {
  readonly id: number;
  readonly method: string;
  readonly argument: unknown;
}
interface Answer {
  readonly id: number;
  readonly value?: unknown;
  readonly error?: string;
}

/** How long one answer may take: ten times what any takes on a quiet machine. */
const ANSWER_MS_MAX = 300_000;

/** A process that was started to be asked. */
export class Child {
  readonly #process: ChildProcess;
  readonly #name: string;
  readonly #waiting = new Map<number, (answer: Answer) => void>();
  #ids = 0;

  /** `execArgv`: flags for Node. */
  constructor(file: string, name: string, execArgv: readonly string[] = []) {
    this.#name = name;
    this.#process = fork(file, [name], { serialization: 'advanced', execArgv: [...execArgv] });
    this.#process.on('message', (answer: Answer) => {
      this.#waiting.get(answer.id)?.(answer);
      this.#waiting.delete(answer.id);
    });
    this.#process.on('exit', code => {
      for (const settle of this.#waiting.values()) settle({ id: 0, error: `it ended with ${code}` });
      this.#waiting.clear();
    });
  }

  /** Call a method of the child. Rejects when it throws, ends, or takes too long. */
  ask<T>(method: string, argument?: unknown): Promise<T> {
    const id = ++this.#ids;
    return new Promise((resolve, reject) => {
      const timer = setTimeout(
        () => reject(new Error(`${this.#name}: ${method} takes too long`)),
        ANSWER_MS_MAX,
      );
      this.#waiting.set(id, ({ value, error }) => {
        clearTimeout(timer);
        if (error === undefined) resolve(value as T);
        else reject(new Error(`${this.#name}: ${method}: ${error}`));
      });
      const question: Question = { id, method, argument };
      this.#process.send(question);
    });
  }

  usage(): Promise<Usage> {
    return this.ask<Usage>('usage');
  }

  /** End it. */
  end(): Promise<void> {
    return new Promise(resolve => {
      if (this.#process.exitCode !== null || this.#process.signalCode !== null) {
        resolve();
        return;
      }
      this.#process.once('exit', () => resolve());
      // By its own hand, so that it can write the profile that it was asked for.
      if (this.#process.connected) this.#process.disconnect();
      setTimeout(() => this.#process.kill('SIGKILL'), 5000).unref();
    });
  }
}

/** Answer the process that started this one, until it lets go. */
export function answer(handlers: Readonly<Record<string, Handler>>): void {
  const all: Readonly<Record<string, Handler>> = { usage: () => usage(), ...handlers };
  process.on('message', ({ id, method, argument }: Question) => {
    void Promise.resolve()
      .then(() => {
        const handler = all[method];
        if (handler === undefined) throw new Error('there is no such method');
        return handler(argument as never);
      })
      .then(
        value => process.send?.({ id, value } satisfies Answer),
        (error: unknown) => {
          const text = error instanceof Error ? (error.stack ?? error.message) : String(error);
          process.send?.({ id, error: text } satisfies Answer);
        },
      );
  });
  process.on('disconnect', () => process.exit());
}

function usage(): Usage {
  const { gc } = globalThis as { gc?: () => void };
  // Twice: what the first finds to be finalized lets go of more.
  gc?.();
  gc?.();
  const { user, system } = process.cpuUsage();
  const { rss, heapUsed, external } = process.memoryUsage();
  return {
    cpuUs: user + system,
    systemUs: system,
    residentBytes: rss,
    liveBytes: heapUsed + external,
  };
}
