/** What is typed in a chat is done in order, and goes nowhere that it was not meant for. Chapter: spec/11-chat.md. */

/** What typed lines call. */
export interface TypedPort {
  /** Do what a line says. */
  act(line: string): Promise<unknown>;
  /** A line could not be done. */
  failed(error: unknown): void;
  /** A line was left out, because one before it came out otherwise than whoever typed it knew. */
  skipped(line: string): void;
  /** Something that nobody typed could not be done. */
  erred(error: unknown): void;
}

/** One line behind the other. */
export class TypedLines {
  readonly #port: TypedPort;
  #work: Promise<unknown> = Promise.resolve();
  /** Rises with each line that fails and each question: what was typed before meant another state of things. */
  #round = 0;
  #answer: ((line: string | undefined) => void) | undefined;

  constructor(port: TypedPort) {
    this.#port = port;
  }

  /** Resolves when all is done that came until now. */
  get done(): Promise<unknown> {
    return this.#work;
  }

  /** Take a line: the answer to a question, or something to do. */
  take(line: string): void {
    if (this.#answer !== undefined) {
      this.#answer(line);
      return;
    }
    if (line.trim() === '') return;
    const round = this.#round;
    this.#work = this.#work.then(async () => {
      if (round !== this.#round) {
        this.#port.skipped(line);
        return;
      }
      try {
        await this.#port.act(line);
      } catch (error) {
        this.#round += 1;
        this.#port.failed(error);
      }
    });
  }

  /** Do something of the program's own behind what came before. */
  enqueue(work: () => Promise<unknown>): void {
    this.#work = this.#work.then(work).catch(error => this.#port.erred(error));
  }

  /** Take the next line that is typed as an answer; undefined at the end of the input. */
  async answer(): Promise<string | undefined> {
    this.#round += 1;
    try {
      return await new Promise(resolve => {
        this.#answer = resolve;
      });
    } finally {
      this.#answer = undefined;
    }
  }

  /** No more lines will come. */
  end(): void {
    this.#answer?.(undefined);
  }
}
