/** Asks a person, on a terminal or through a pipe. */
import { openSync } from 'node:fs';
import { createInterface, type Interface } from 'node:readline';
import { Writable } from 'node:stream';
import { ReadStream } from 'node:tty';

/** Open the terminal that the program runs on, whatever its standard input is; undefined when there is none. */
export function terminal(): ReadStream | undefined {
  if (process.platform === 'win32') return process.stdin.isTTY ? process.stdin : undefined;
  try {
    return new ReadStream(openSync('/dev/tty', 'r'));
  } catch {
    return undefined;
  }
}

/** Asks on standard error, line by line; what is secret is not echoed. */
export class Asker {
  #muted = false;
  readonly #input: NodeJS.ReadStream;
  readonly #interface: Interface;
  readonly #lines: AsyncIterator<string>;

  constructor(input: NodeJS.ReadStream = process.stdin) {
    const output = new Writable({
      write: (piece, _encoding, done) => {
        if (!this.#muted) process.stderr.write(piece);
        done();
      },
    });
    this.#input = input;
    this.#interface = createInterface({ input, output, terminal: input.isTTY === true });
    this.#interface.once('SIGINT', () => process.kill(process.pid, 'SIGINT'));
    this.#lines = this.#interface[Symbol.asyncIterator]();
  }

  /** Ask; an empty answer at the end of the input. */
  async question(text: string, shown: boolean): Promise<string> {
    return (await this.ask(text, shown)) ?? '';
  }

  /** Ask; undefined at the end of the input. */
  async ask(text: string, shown: boolean): Promise<string | undefined> {
    process.stderr.write(text);
    this.#muted = !shown;
    const { value, done } = await this.#lines.next();
    this.#muted = false;
    if (!shown) process.stderr.write('\n');
    if (done === true) return undefined;
    return shown ? String(value).trim() : String(value);
  }

  /** Give the terminal back. */
  close(): void {
    this.#interface.close();
    if (this.#input !== process.stdin) this.#input.destroy();
  }
}
