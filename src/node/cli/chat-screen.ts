/** A terminal with a line to type in at the bottom and a history above it; or a pipe. Chapter: spec/11-chat.md. */
import { createInterface, type Interface } from 'node:readline';
import { type Look, rowsOf } from './chat-lines.ts';

/** Lays itself out for a look; asked again when the width or what it shows changes. */
export type Block = (look: Look) => readonly string[];

/** What a screen calls. */
export interface ScreenPort {
  line(text: string): void;
  /** The line has changed; not called in a pipe. */
  typed(text: string): void;
  /** The end of input, or an interrupt. */
  ended(): void;
  /** Complete a word; gives what fits. */
  complete(line: string): readonly string[];
}

/** Blocks that can still be redrawn. */
const BLOCKS_MAX = 200;
const COLUMNS = 80;

/**
 * Prints blocks above the line that is being typed. A block whose content changes is drawn again in its place while
 * it is still on the screen; in a pipe, and once it has scrolled away, it stays as it was.
 */
export class ChatScreen {
  readonly isTerminal: boolean;
  readonly #colour: boolean;
  readonly #input: Interface;
  readonly #blocks: Block[] = [];
  #status = '';
  #prompt = '> ';
  #closed = false;

  constructor(port: ScreenPort) {
    const { stdin, stdout } = process;
    this.isTerminal = stdin.isTTY === true && stdout.isTTY === true && process.env['TERM'] !== 'dumb';
    this.#colour = this.isTerminal && (process.env['NO_COLOR'] ?? '') === '';
    const completer = (line: string): [string[], string] => [[...port.complete(line)], line];
    this.#input = createInterface(
      this.isTerminal
        ? { input: stdin, output: stdout, terminal: true, historySize: 200, completer }
        : { input: stdin, crlfDelay: Number.POSITIVE_INFINITY },
    );
    this.#input.on('line', text => {
      // What was typed is drawn by who shows the message.
      if (this.isTerminal) stdout.write('\u001b[1A\u001b[2K'.repeat(this.#typedRows(text)));
      port.line(text);
      this.#show();
    });
    this.#input.on('SIGINT', () => {
      if (this.#input.line === '') this.close();
      else {
        this.#input.write(null, { ctrl: true, name: 'e' });
        this.#input.write(null, { ctrl: true, name: 'u' });
      }
    });
    this.#input.on('close', () => {
      this.#closed = true;
      port.ended();
    });
    if (!this.isTerminal) return;
    stdin.on('keypress', () => setImmediate(() => !this.#closed && port.typed(this.#input.line)));
    stdout.on('resize', () => this.redraw());
  }

  get look(): Look {
    const width = this.isTerminal ? (process.stdout.columns ?? COLUMNS) : Number.POSITIVE_INFINITY;
    return { width: width === 0 ? COLUMNS : width, colour: this.#colour };
  }

  /** Print a block; what it gives may change, see `changed`. */
  print(block: Block): void {
    if (!this.isTerminal) {
      for (const line of block(this.look)) process.stdout.write(`${line}\n`);
      return;
    }
    this.#blocks.push(block);
    if (this.#blocks.length > BLOCKS_MAX) this.#blocks.shift();
    this.#hide();
    this.#write([block]);
    this.#show();
  }

  /** Draw a block again, with all below it; false when it is no longer on the screen. */
  changed(block: Block): boolean {
    const from = this.#blocks.lastIndexOf(block);
    if (!this.isTerminal || from < 0 || this.#closed) return false;
    const below = this.#blocks.slice(from);
    const drawn = below.map(each => this.#drawn.get(each) ?? 0).reduce((sum, rows) => sum + rows, 0);
    const room = (process.stdout.rows ?? 24) - this.#promptRows();
    if (drawn > room) return false;
    this.#hide();
    process.stdout.write(`\u001b[${drawn}A\r\u001b[J`);
    this.#write(below);
    this.#show();
    return true;
  }

  /** Rows that each block took when it was drawn. */
  readonly #drawn = new WeakMap<Block, number>();

  /** Draw the newest blocks again on an empty screen: the terminal has another width. */
  redraw(): void {
    if (!this.isTerminal || this.#closed) return;
    const { look } = this;
    let left = (process.stdout.rows ?? 24) - this.#promptRows();
    let from = this.#blocks.length;
    while (from > 0) {
      const rows = (this.#blocks[from - 1]?.(look) ?? []).reduce(
        (sum, line) => sum + rowsOf(line, look.width),
        0,
      );
      if (rows > left) break;
      left -= rows;
      from -= 1;
    }
    process.stdout.write('\u001b[2J\u001b[H');
    this.#write(this.#blocks.slice(from));
    this.#show();
  }

  /** The line above the prompt, and the prompt. */
  setPrompt(status: string, prompt: string): void {
    if (status === this.#status && prompt === this.#prompt) return;
    if (!this.isTerminal || this.#closed) return;
    this.#hide();
    this.#status = status;
    this.#prompt = prompt;
    this.#show();
  }

  close(): void {
    if (this.#closed) return;
    if (this.isTerminal) {
      this.#hide();
      process.stdout.write('\u001b[?25h');
    }
    this.#input.close();
  }

  #write(blocks: readonly Block[]): void {
    const { look } = this;
    for (const block of blocks) {
      const lines = block(look);
      this.#drawn.set(
        block,
        lines.reduce((sum, line) => sum + rowsOf(line, look.width), 0),
      );
      for (const line of lines) process.stdout.write(`${line}\n`);
    }
  }

  #promptText(): string {
    const { width } = this.look;
    const status = this.#status === '' ? '' : `${this.#status.slice(0, width - 1)}\n`;
    return `${status}${this.#prompt}`;
  }

  #promptRows(): number {
    return this.#input.getCursorPos().rows + 1;
  }

  #typedRows(text: string): number {
    const rows = rowsOf(this.#prompt + text, this.look.width);
    return rows + (this.#status === '' ? 0 : 1);
  }

  /** Clear prompt and line. */
  #hide(): void {
    if (this.#closed) return;
    const { rows } = this.#input.getCursorPos();
    process.stdout.write(`${rows > 0 ? `\u001b[${rows}A` : ''}\r\u001b[J`);
  }

  #show(): void {
    if (!this.isTerminal || this.#closed) return;
    this.#input.setPrompt(this.#promptText());
    // It believes to stand where it was drawn last: one row below that there is nothing to go back over.
    Object.assign(this.#input, { prevRows: 0 });
    this.#input.prompt(true);
  }
}
