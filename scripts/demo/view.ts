/** Two columns on a terminal - people, and who listens between them - and plain lines anywhere else. */

/** Whose column a line stands in. */
export type Side = 'people' | 'wire';

const NARROW_COLUMNS = 72;
const COLUMNS_MAX = 140;
const BOLD = '1';
const DIM = '2';

/** Prints what happens. */
export class View {
  readonly #columns: number;
  readonly #hasColour: boolean;
  readonly #write: (text: string) => void;
  /** Lines of the wire that stand beside the next one of people. */
  readonly #waiting: string[] = [];

  /** `columns`: of the terminal, 0 for none. */
  constructor(columns: number, hasColour: boolean, write: (text: string) => void) {
    this.#columns = columns < NARROW_COLUMNS ? 0 : Math.min(columns, COLUMNS_MAX);
    this.#hasColour = hasColour;
    this.#write = write;
  }

  /** The heads of both columns. */
  heads(): void {
    if (this.#columns === 0) return;
    this.#row(this.#style('what people see', BOLD), 15, this.#style('what the wire shows', BOLD));
    this.#write(`${'-'.repeat(this.#half)}-+-${'-'.repeat(this.#columns - this.#half - 3)}\n`);
  }

  /** A line of one side. On a terminal what passed the wire stands beside the line that came of it. */
  say(side: Side, text: string): void {
    if (this.#columns === 0) this.#write(`${side.padEnd(6)} | ${text}\n`);
    else if (side === 'wire') this.#waiting.push(text);
    else this.#rows(wrap(text, this.#half));
  }

  /** A line over both columns. */
  tell(text: string): void {
    this.#rows([]);
    const isLong = this.#columns > 0 && text.length > this.#columns;
    for (const line of isLong ? wrap(text, this.#columns) : [text]) {
      this.#write(`${this.#style(line, BOLD)}\n`);
    }
  }

  #rows(left: readonly string[]): void {
    const width = this.#columns - this.#half - 3;
    const right = this.#waiting
      .splice(0)
      .map(line => (line.length > width ? `${line.slice(0, width - 2)}..` : line));
    for (let i = 0; i < Math.max(left.length, right.length); i += 1) {
      const part = left[i] ?? '';
      this.#row(part, part.length, this.#style(right[i] ?? '', DIM));
    }
  }

  get #half(): number {
    return Math.floor(this.#columns / 2) - 2;
  }

  #row(left: string, leftWidth: number, right: string): void {
    this.#write(`${left}${' '.repeat(Math.max(0, this.#half - leftWidth))} | ${right}\n`);
  }

  #style(text: string, code: string): string {
    return this.#hasColour ? `\x1b[${code}m${text}\x1b[0m` : text;
  }
}

/** Break a text into lines of at most so many letters, between words where there are some. */
export function wrap(text: string, width: number): readonly string[] {
  const lines: string[] = [];
  let line = '';
  for (const word of text.split(' ')) {
    let rest = word;
    while (rest.length > width) {
      if (line !== '') lines.push(line);
      lines.push(rest.slice(0, width));
      rest = rest.slice(width);
      line = '';
    }
    const longer = line === '' ? rest : `${line} ${rest}`;
    if (longer.length > width) {
      lines.push(line);
      line = rest;
    } else line = longer;
  }
  return line === '' ? lines : [...lines, line];
}
