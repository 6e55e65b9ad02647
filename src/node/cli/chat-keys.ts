/** What a terminal sends, before the line editor has it: pasted lines and line breaks stay in the line. Chapter: spec/11-chat.md. */
import { PassThrough, type Transform } from 'node:stream';
import type { ReadStream } from 'node:tty';

/** Stands for a line break in the line that is edited. */
export const BREAK_MARK = '\u21b5';

const PASTE_BEGIN = '\u001b[200~';
const PASTE_END = '\u001b[201~';
/** Ask the terminal to say where a paste begins and ends, and to stop saying so. */
export const PASTE_ON = '\u001b[?2004h';
export const PASTE_OFF = '\u001b[?2004l';

/**
 * Rewrites keys: a line break within a paste, Ctrl-J and Alt-Enter become `BREAK_MARK`; controls within a paste are
 * dropped, so that nothing that was copied can press a key. Pieces may be cut anywhere.
 */
export class KeyFilter {
  #held = '';
  #pasting = false;

  /** Take a piece of input and give what the editor shall see. */
  take(piece: string): string {
    let rest = this.#held + piece;
    this.#held = '';
    let out = '';
    while (rest !== '') {
      const mark = this.#pasting ? PASTE_END : PASTE_BEGIN;
      const at = rest.indexOf(mark);
      if (at >= 0) {
        out += this.#rewrite(rest.slice(0, at));
        rest = rest.slice(at + mark.length);
        this.#pasting = !this.#pasting;
        continue;
      }
      // The beginning of a mark may be all that has come of it. A single escape is a key, but not within a paste.
      const cut =
        this.#pasting && rest.endsWith('\r') ? 1 : beginningAtEnd(rest, mark, this.#pasting ? 1 : 2);
      out += this.#rewrite(rest.slice(0, rest.length - cut));
      this.#held = rest.slice(rest.length - cut);
      rest = '';
    }
    return out;
  }

  #rewrite(text: string): string {
    if (!this.#pasting) return text.replaceAll('\u001b\r', BREAK_MARK).replaceAll('\n', BREAK_MARK);
    return text
      .replace(/\r\n|\r|\n/g, BREAK_MARK)
      .replaceAll('\t', ' ')
      .replace(/\p{Cc}/gu, '');
  }
}

/** How many characters at the end of a text are the beginning of a mark; 0 when fewer than `least`. */
function beginningAtEnd(text: string, mark: string, least: number): number {
  for (let length = Math.min(mark.length - 1, text.length); length >= least; length -= 1) {
    if (text.endsWith(mark.slice(0, length))) return length;
  }
  return 0;
}

/** What was typed before this program read keys: there the terminal makes a line feed of Enter. */
export function typedAhead(piece: string): string {
  const paste = piece.indexOf(PASTE_BEGIN);
  const before = paste < 0 ? piece : piece.slice(0, paste);
  return before.replaceAll('\n', '\r') + piece.slice(before.length);
}

/** A terminal's input with its keys rewritten, which the line editor takes for a terminal. */
export function filteredInput(
  stdin: ReadStream,
): Transform & { readonly isTTY: true; setRawMode(on: boolean): void } {
  const filter = new KeyFilter();
  const decoder = new TextDecoder();
  const input = new PassThrough();
  let isFirst = true;
  stdin.on('data', (bytes: Buffer) => {
    const piece = decoder.decode(bytes, { stream: true });
    input.write(filter.take(isFirst ? typedAhead(piece) : piece));
    isFirst = false;
  });
  stdin.on('end', () => input.end());
  return Object.assign(input, {
    isTTY: true as const,
    setRawMode: (on: boolean): void => {
      stdin.setRawMode(on);
    },
  });
}
