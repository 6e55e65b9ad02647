/** A terminal with a history, a status line and a line to type in; or a pipe. Chapter: spec/11-chat.md. */
import { createInterface, type Interface } from 'node:readline';
import { Writable } from 'node:stream';
import { BREAK_MARK, filteredInput, PASTE_OFF, PASTE_ON } from './chat-keys.ts';
import { inputRows, type Look, rule } from './chat-lines.ts';
import { cut, harmlessLine } from './terminal-text.ts';

/** Lays itself out for a look; asked again whenever the screen is drawn. */
export type Block = (look: Look) => readonly string[];

/** What a screen calls. */
export interface ScreenPort {
  line(text: string): void;
  /** The line has changed; not called in a pipe. */
  typed(text: string): void;
  /** The reader has come to the top of what there is, and wants what was before. */
  older(): void;
  /** The reader sees the newest again. */
  newest(): void;
  /** The end of input, or an interrupt. */
  ended(): void;
  /** Complete a word; gives what fits. */
  complete(line: string): readonly string[];
}

/** Blocks that are kept. */
const BLOCKS_MAX = 2_000;
const COLUMNS = 80;
const ROWS = 24;
/** Rows of the line that is typed that are shown at once. */
const INPUT_ROWS_MAX = 5;
const TYPED_HISTORY_MAX = 200;

/** The editor draws nothing: the whole screen is drawn in one piece, so that nothing tears. */
const NOWHERE = new Writable({ write: (_chunk, _encoding, done) => done() });

/** Shows blocks, the newest at the bottom. In a pipe each block is a few lines, printed once. */
export class ChatScreen {
  readonly isTerminal: boolean;
  /** Whether somebody types, and reads what comes of it: also where nothing can be drawn. */
  readonly isTyped: boolean;
  readonly #colour: boolean;
  readonly #port: ScreenPort;
  readonly #input: Interface;
  #blocks: Block[] = [];
  #status = '';
  #prompt = '> ';
  /** Rows below what is shown; 0 while the newest is. */
  #below = 0;
  #drawing: NodeJS.Immediate | undefined;
  #drawn = '';
  #closed = false;

  constructor(port: ScreenPort) {
    const { stdin, stdout } = process;
    this.#port = port;
    this.isTyped = stdin.isTTY === true;
    this.isTerminal = this.isTyped && stdout.isTTY === true && process.env['TERM'] !== 'dumb';
    this.#colour = this.isTerminal && (process.env['NO_COLOR'] ?? '') === '';
    this.#input = this.isTerminal
      ? this.#editor()
      : createInterface({ input: stdin, crlfDelay: Number.POSITIVE_INFINITY });
    this.#input.on('line', text => {
      this.#scrollTo(0);
      port.line(text.replaceAll(BREAK_MARK, '\n'));
      this.#draw();
    });
    this.#input.on('close', () => {
      this.#leave();
      port.ended();
    });
  }

  /** How wide it is, and whether it shows colours. */
  get look(): Look {
    const width = this.isTerminal ? process.stdout.columns || COLUMNS : Number.POSITIVE_INFINITY;
    return { width, colour: this.#colour };
  }

  /** Whether the newest is shown. */
  get isAtEnd(): boolean {
    return this.#below === 0;
  }

  /** Show a block below all others; what it gives may change, see `changed`. */
  print(block: Block): void {
    if (!this.isTerminal) {
      for (const line of block(this.look)) process.stdout.write(`${line}\n`);
      return;
    }
    this.#blocks.push(block);
    if (this.#blocks.length > BLOCKS_MAX) this.#blocks.shift();
    // Who reads what was before stays there.
    if (this.#below > 0) this.#below += block(this.look).length;
    this.#draw();
  }

  /** Put blocks in the place of another one. */
  replace(block: Block, others: readonly Block[]): void {
    const at = this.#blocks.indexOf(block);
    if (at >= 0) this.#blocks.splice(at, 1, ...others);
    this.#draw();
  }

  /** Forget every block. */
  clear(): void {
    this.#blocks = [];
    this.#scrollTo(0);
    this.#draw();
  }

  /** Something that blocks show has changed. */
  changed(): void {
    this.#draw();
  }

  /** The line above the one that is typed. */
  setStatus(status: string): void {
    if (status === this.#status) return;
    this.#status = status;
    this.#draw();
  }

  /** What stands in front of the line that is typed. */
  setPrompt(text: string): void {
    const prompt = harmlessLine(text);
    if (prompt === this.#prompt) return;
    this.#prompt = prompt;
    this.#draw();
  }

  /** Scroll up by a screen, and ask for more when the top is reached. */
  pageUp(): void {
    const page = this.room;
    const wanted = this.#below + Math.max(1, page - 1);
    const rows = this.#newest(wanted + page, this.look).length;
    if (rows < wanted + page) this.#port.older();
    this.#scrollTo(Math.min(wanted, Math.max(0, rows - page)));
  }

  /** Scroll down by a screen. */
  pageDown(): void {
    this.#scrollTo(Math.max(0, this.#below - Math.max(1, this.room - 1)));
  }

  /** Give the terminal back. */
  close(): void {
    if (this.#closed) return;
    this.#leave();
    this.#input.close();
  }

  #editor(): Interface {
    const { stdin, stdout } = process;
    const completer = (line: string): [string[], string] => [[...this.#port.complete(line)], line];
    const input = filteredInput(stdin);
    const editor = createInterface({
      input,
      output: NOWHERE,
      terminal: true,
      historySize: TYPED_HISTORY_MAX,
      completer,
      escapeCodeTimeout: 50,
    });
    input.on('keypress', (_text: string | undefined, key: { readonly name?: string } | undefined) => {
      if (key?.name === 'pageup') this.pageUp();
      if (key?.name === 'pagedown') this.pageDown();
      setImmediate(() => {
        if (this.#closed) return;
        this.#port.typed(editor.line);
        this.#draw();
      });
    });
    editor.on('SIGINT', () => {
      if (editor.line === '') this.close();
      else {
        editor.write(null, { ctrl: true, name: 'e' });
        editor.write(null, { ctrl: true, name: 'u' });
      }
    });
    stdout.on('resize', this.#resized);
    // Another screen, on which lines do not wrap by themselves; what was there before comes back at the end.
    stdout.write(`\u001b[?1049h\u001b[?7l${PASTE_ON}`);
    return editor;
  }

  readonly #resized = (): void => {
    this.#drawn = '';
    this.#draw();
  };

  #leave(): void {
    if (this.#closed) return;
    this.#closed = true;
    clearImmediate(this.#drawing);
    if (!this.isTerminal) return;
    process.stdout.off('resize', this.#resized);
    process.stdout.write(`${PASTE_OFF}\u001b[?7h\u001b[?1049l\u001b[?25h`);
    process.stdin.pause();
  }

  #scrollTo(below: number): void {
    if (below === this.#below) return;
    this.#below = below;
    if (below === 0) this.#port.newest();
    this.#draw();
  }

  /** Rows of the terminal. */
  get rows(): number {
    return process.stdout.rows || ROWS;
  }

  /** Rows for blocks. */
  get room(): number {
    return Math.max(1, this.rows - 1 - this.#typed().rows.length);
  }

  #typed(): ReturnType<typeof inputRows> {
    const { width } = this.look;
    // A name as long as the screen leaves no room to type.
    const short = cut(this.#prompt, Math.max(2, Math.floor(width / 3)));
    const prompt = short === this.#prompt ? short : `${short}> `;
    return inputRows(prompt + this.#input.line, prompt.length + this.#input.cursor, width, INPUT_ROWS_MAX);
  }

  /** The newest lines: at least so many, or all there are. */
  #newest(rows: number, look: Look): readonly string[] {
    const laid: (readonly string[])[] = [];
    let count = 0;
    for (let at = this.#blocks.length - 1; at >= 0 && count < rows; at -= 1) {
      const lines = this.#blocks[at]?.(look) ?? [];
      laid.push(lines);
      count += lines.length;
    }
    return laid.reverse().flat();
  }

  #draw(): void {
    if (!this.isTerminal || this.#closed) return;
    this.#drawing ??= setImmediate(() => {
      this.#drawing = undefined;
      this.#paint();
    });
  }

  /** Draw all of the screen in one write. */
  #paint(): void {
    const { look } = this;
    const room = this.room;
    const typed = this.#typed();
    const lines = this.#newest(this.#below + room, look);
    const end = Math.max(Math.min(room, lines.length), lines.length - this.#below);
    const shown = lines.slice(Math.max(0, end - room), end);
    const blank = Array.from({ length: room - shown.length }, () => '');
    const status = this.#below > 0 ? `PageDown for the newest | ${this.#status}` : this.#status;
    const rows = [...blank, ...shown, rule(status, look), ...typed.rows];
    const text = rows.map((row, i) => `\u001b[${i + 1};1H\u001b[2K${row}`).join('');
    const cursor = `\u001b[${room + 2 + typed.row};${typed.column + 1}H`;
    if (text + cursor === this.#drawn) return;
    this.#drawn = text + cursor;
    process.stdout.write(`\u001b[?25l${text}${cursor}\u001b[?25h`);
  }
}
