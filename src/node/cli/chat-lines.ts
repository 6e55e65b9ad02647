/** Lays a chat's messages out as lines of a width, with colour or without. Chapter: spec/11-chat.md. */
import type { ChatModel, Entry } from './chat-model.ts';
import { columns, harmless, harmlessLine, wrap } from './terminal-text.ts';

/** What the lines are for. */
export interface Look {
  readonly width: number;
  readonly colour: boolean;
}

const CODES = { dim: '2', bold: '1', red: '31', green: '32' } as const;
const NAME_COLOURS = ['33', '34', '35', '36', '91', '92', '94', '95'] as const;
const INDENT = 6;

/** Dress a text that holds nothing from others but what is harmless. */
export function paint(text: string, how: keyof typeof CODES, { colour }: Look): string {
  return colour && text !== '' ? `\u001b[${CODES[how]}m${text}\u001b[0m` : text;
}

/** A line of the program itself, such as a heading. */
export function noteLines(text: string, look: Look): readonly string[] {
  return wrap(`-- ${harmlessLine(text)}`, look.width).map(line => paint(line, 'dim', look));
}

/** `HH:MM` in the local zone. */
export function clock(ms: number): string {
  return new Date(ms).toTimeString().slice(0, 5);
}

/** `YYYY-MM-DD` in the local zone. */
export function day(ms: number): string {
  return new Date(ms).toLocaleDateString('sv-SE');
}

/** A message: time, name and text, further lines indented; behind an own one, how far it has come. */
export function entryLines(model: ChatModel, entry: Entry, look: Look, numbers: boolean): readonly string[] {
  const time = clock(entry.atMs);
  const number = numbers && entry.cursor > 0 ? ` #${entry.cursor}` : '';
  if (entry.act !== undefined) return noteLines(`${time}${number} ${entry.act}`, look);
  const name = harmlessLine(model.nameOf(entry.person, entry.name));
  const state = model.shownState(entry);
  const text = entry.deleted ? '(taken back)' : harmless(entry.text);
  const tail = [entry.edited ? '(edited)' : '', state === '' ? '' : `[${state}]`].filter(part => part !== '');
  const head = `${time}${number} ${name}: `;
  const quote = quoted(model, entry, look);
  const body = `${head}${quote}${text}${tail.length === 0 ? '' : ` ${tail.join(' ')}`}`;
  const lines = wrapHanging(body, look.width);
  if (!look.colour) return lines;
  return lines.map((line, i) => {
    const coloured = tail.length > 0 && i === lines.length - 1 ? dimTail(line, tail.join(' '), look) : line;
    if (i > 0 || !line.startsWith(head.trimEnd())) return coloured;
    const colour = entry.person === model.me ? '1' : (NAME_COLOURS[colourOf(entry.person)] ?? '36');
    const rest = coloured.slice(head.trimEnd().length);
    return `${paint(time + number, 'dim', look)} \u001b[${colour}m${name}:\u001b[0m${rest}`;
  });
}

/** What a message replies to, in a few words. */
function quoted(model: ChatModel, { replyTo }: Entry, { width }: Look): string {
  if (replyTo === 0) return '';
  const to = model.entries.find(({ cursor }) => cursor === replyTo);
  if (to === undefined) return '(to an earlier message) ';
  const text = harmlessLine(to.text).slice(0, Math.max(8, Math.floor(width / 4)));
  return `(to ${harmlessLine(model.nameOf(to.person, to.name))}: ${text}${text.length < to.text.length ? '...' : ''}) `;
}

/** Wrap with every line but the first indented. */
function wrapHanging(text: string, width: number): readonly string[] {
  const [first = '', ...rest] = text.split('\n');
  const lines = [...wrap(first, width)];
  const [head = '', ...over] = lines;
  const inner = width - INDENT;
  const again = over.length === 0 ? [] : wrap(first.slice(head.length).trimStart(), inner);
  return [head, ...again.map(indent), ...rest.flatMap(line => wrap(line, inner)).map(indent)];
}

function indent(line: string): string {
  return ' '.repeat(INDENT) + line;
}

function dimTail(line: string, tail: string, look: Look): string {
  return line.endsWith(tail) ? line.slice(0, line.length - tail.length) + paint(tail, 'dim', look) : line;
}

function colourOf(person: string): number {
  return Number.parseInt(person.slice(0, 4) || '0', 16) % NAME_COLOURS.length;
}

/** How many rows of a terminal a line takes, colour aside. */
export function rowsOf(line: string, width: number): number {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: its own colour codes
  const plain = line.replace(/\u001b\[[0-9;]*m/g, '');
  return Math.max(1, Math.ceil(columns(plain) / Math.max(1, width)));
}
