/** Lays a chat's messages out as lines of a width, with colour or without. Chapter: spec/11-chat.md. */
import type { ChatModel, Entry } from './chat-model.ts';
import { columns, cut, harmless, harmlessLine, wrap } from './terminal-text.ts';

/** What the lines are for. In a pipe the width is infinite. */
export interface Look {
  readonly width: number;
  readonly colour: boolean;
}

const CODES = { dim: '2', bold: '1', red: '31' } as const;
const NAME_COLOURS = ['33', '34', '35', '36', '91', '92', '94', '95'] as const;
const INDENT = 6;
const RULE_COLUMNS_MAX = 80;

/** Dress a text that holds nothing from others but what is harmless. */
function paint(text: string, how: keyof typeof CODES, { colour }: Look): string {
  return colour && text !== '' ? `\u001b[${CODES[how]}m${text}\u001b[0m` : text;
}

/** A heading across the screen. */
export function rule(text: string, look: Look): string {
  const width = Math.min(look.width, RULE_COLUMNS_MAX);
  const shown = cut(harmlessLine(text), Math.max(0, width - 4));
  const line = `-- ${shown} `;
  const rest = Number.isFinite(look.width) ? width - columns(line) : 2;
  return paint(line + '-'.repeat(Math.max(0, rest)), 'dim', look);
}

/** What the program itself says: a line, and those that belong below it. A line feed in one begins none. */
export function noteLines(texts: readonly string[], look: Look): readonly string[] {
  const text = `* ${texts.map(harmlessLine).join('\n')}`;
  return wrapHanging(text, look.width, 2).map(line => paint(line, 'dim', look));
}

/** `HH:MM` in the local zone. */
function clock(ms: number): string {
  return new Date(ms).toTimeString().slice(0, 5);
}

/** `YYYY-MM-DD` in the local zone. */
export function day(ms: number): string {
  return new Date(ms).toLocaleDateString('sv-SE');
}

/** A message: time, name and text, further lines indented; behind an own one, how far it has come. */
export function entryLines(model: ChatModel, entry: Entry, look: Look, numbers: boolean): readonly string[] {
  const number = numbers && entry.cursor > 0 ? ` #${entry.cursor}` : '';
  const time = clock(entry.atMs) + number;
  if (entry.act !== undefined) {
    const lines = wrapHanging(`${time} * ${harmlessLine(entry.act)}`, look.width, INDENT);
    return lines.map(line => paint(line, 'dim', look));
  }
  // What stands in a pipe stays as it is, so each line says it.
  const state = Number.isFinite(look.width) ? model.shownState(entry) : model.state(entry);
  const text = entry.deleted ? '(taken back)' : harmless(entry.text);
  const tail = [entry.edited ? '(edited)' : '', state === '' ? '' : `[${harmlessLine(state)}]`]
    .filter(part => part !== '')
    .join(' ');
  const head = `${time} ${harmlessLine(model.nameOf(entry.person, entry.name))}:`;
  const body = `${head} ${quoted(model, entry, look)}${text}${tail === '' ? '' : ` ${tail}`}`;
  const lines = wrapHanging(body, look.width, INDENT);
  if (!look.colour) return lines;
  return lines.map((line, i) => {
    const dressed = tail !== '' && i === lines.length - 1 ? dressTail(line, tail, entry, look) : line;
    if (i > 0 || !line.startsWith(head)) return dressed;
    const colour = entry.person === model.me ? CODES.bold : (NAME_COLOURS[colourOf(entry.person)] ?? '36');
    const name = `\u001b[${colour}m${head.slice(time.length + 1)}\u001b[0m`;
    return `${paint(time, 'dim', look)} ${name}${dressed.slice(head.length)}`;
  });
}

/** What a message replies to, in a few words. */
function quoted(model: ChatModel, { replyTo }: Entry, { width }: Look): string {
  if (replyTo === 0) return '';
  const to = model.entries.find(({ cursor }) => cursor === replyTo);
  if (to === undefined) return '(to an earlier message) ';
  const whole = harmlessLine(to.text);
  const text = cut(whole, Math.max(8, Math.min(40, Math.floor(width / 4))));
  return `(to ${harmlessLine(model.nameOf(to.person, to.name))}: ${text}${text === whole ? '' : '...'}) `;
}

/** Wrap with every line but the first indented. */
function wrapHanging(text: string, width: number, by: number): readonly string[] {
  const [first = '', ...rest] = text.split('\n');
  const [head = '', ...over] = wrap(first, width);
  const inner = width - by;
  const again = over.length === 0 ? [] : wrap(first.slice(head.length).trimStart(), inner);
  return [head, ...[...again, ...rest.flatMap(line => wrap(line, inner))].map(line => ' '.repeat(by) + line)];
}

function dressTail(line: string, tail: string, { failed }: Entry, look: Look): string {
  if (!line.endsWith(tail)) return line;
  const how = failed === undefined ? 'dim' : 'red';
  return line.slice(0, line.length - tail.length) + paint(tail, how, look);
}

function colourOf(person: string): number {
  return Number.parseInt(person.slice(0, 4) || '0', 16) % NAME_COLOURS.length;
}

/** Lay out the line that is typed: its rows around the cursor, at most so many, and where the cursor stands in them. */
export function inputRows(
  line: string,
  cursor: number,
  width: number,
  rowsMax: number,
): { readonly rows: readonly string[]; readonly row: number; readonly column: number } {
  const rows: string[] = [''];
  let used = 0;
  let [row, column] = [0, 0];
  let at = 0;
  const isHere = (): void => {
    if (at === cursor) [row, column] = [rows.length - 1, Math.min(used, width - 1)];
  };
  for (const raw of line) {
    const letter = harmlessLine(raw);
    const wide = columns(letter);
    if (used + wide > width && used > 0) {
      rows.push('');
      used = 0;
    }
    isHere();
    rows[rows.length - 1] += letter;
    used += wide;
    at += raw.length;
  }
  if (used >= width) {
    rows.push('');
    used = 0;
  }
  isHere();
  const first = Math.max(0, Math.min(row - rowsMax + 1, rows.length - rowsMax));
  return { rows: rows.slice(first, first + rowsMax), row: row - first, column };
}
