/** One line a happening on standard error, for people at a terminal or as JSON for programs (spec/10-limits.md). */

/** How much an entry matters, from least to most. */
export const LOG_LEVELS = ['debug', 'info', 'warn', 'error'] as const;
/** How much an entry matters. */
export type LogLevel = (typeof LOG_LEVELS)[number];

/** `human` for a terminal, `json` for programs. */
export const LOG_STYLES = ['human', 'json'] as const;
/** How entries are written. */
export type LogStyle = (typeof LOG_STYLES)[number];

/**
 * What an entry may carry. Bytes are not in it, because that is how keys travel: who wants to show an id formats it.
 */
export type LogValue =
  | string
  | number
  | bigint
  | boolean
  | Error
  | null
  | undefined
  | readonly (string | number)[];
/** Named values of one entry. */
export type LogFields = Readonly<Record<string, LogValue>>;

/** Write what happens. `name` is fixed text with dashes, so that programs can match on it. */
export interface Log {
  debug(name: string, fields?: LogFields): void;
  info(name: string, fields?: LogFields): void;
  warn(name: string, fields?: LogFields): void;
  error(name: string, fields?: LogFields): void;
  /** Make a log that adds `fields` to each entry. */
  with(fields: LogFields): Log;
}

/** What a log needs. */
export interface LogOptions {
  /** The least level that is written. */
  readonly level: LogLevel;
  readonly style: LogStyle;
  /** Take one finished line with its line feed, and how much it matters. */
  readonly write: (line: string, level: LogLevel) => void;
  /** Read the clock, Unix milliseconds. */
  readonly now: () => number;
}

/** Longest text of one value; the rest is cut and counted. */
const LOG_TEXT_CHARS_MAX = 512;

const REDACTED = '[redacted]';
/** @impl LI-007~1 Names that secrets go by. The types keep bytes out; this keeps out texts: invites, passphrases, private keys. */
const SECRET_NAME =
  /secret|psk|pass(word|phrase)|invite(?!s|_?id)|token|private|access_?key|gate_?key|file_?key|data_?key/i;
const RESERVED: ReadonlySet<string> = new Set(['at', 'level', 'event']);

/** Make a log. */
export function createLog(options: LogOptions): Log {
  return logWith(options, {});
}

/** Make the log of a program: to standard error, in the style that suits it unless one is named. */
export function standardErrorLog(level: LogLevel, named?: LogStyle): Log {
  const style = named ?? (process.stderr.isTTY ? 'human' : 'json');
  return createLog({ level, style, write: line => void process.stderr.write(line), now: Date.now });
}

/** Longest that `openingLog` keeps back. */
const HELD_LINES_MAX = 256;

/**
 * Make the log of a program that begins with words for people. On a terminal what is not urgent waits for `begin`, so that
 * the words come first; anywhere else, such as in a journal, each line is written as it comes.
 */
export function openingLog(
  level: LogLevel,
  named?: LogStyle,
  stream: Pick<NodeJS.WriteStream, 'isTTY' | 'write'> = process.stderr,
): { readonly log: Log; readonly begin: () => void } {
  const held: string[] = [];
  let isHeld = stream.isTTY && level !== 'debug';
  const begin = (): void => {
    isHeld = false;
    for (const line of held.splice(0)) stream.write(line);
  };
  const write = (line: string, at: LogLevel): void => {
    if (!isHeld || at === 'warn' || at === 'error') stream.write(line);
    else if (held.push(line) >= HELD_LINES_MAX) begin();
  };
  const style = named ?? (stream.isTTY ? 'human' : 'json');
  return { log: createLog({ level, style, write, now: Date.now }), begin };
}

/** Discard everything. */
export const SILENT_LOG: Log = createLog({ level: 'error', style: 'json', write: () => {}, now: () => 0 });

function logWith(options: LogOptions, base: LogFields): Log {
  const least = LOG_LEVELS.indexOf(options.level);
  const at =
    (level: LogLevel) =>
    (name: string, fields: LogFields = {}): void => {
      if (LOG_LEVELS.indexOf(level) < least) return;
      const entries = Object.entries({ ...base, ...fields })
        .filter(([, value]) => value !== undefined)
        .map(([key, value]) => [RESERVED.has(key) ? `${key}_` : key, plain(key, value)] as const);
      const time = new Date(options.now()).toISOString();
      const line =
        options.style === 'json' ? json(time, level, name, entries) : human(time, level, name, entries);
      options.write(`${line}\n`, level);
    };
  return {
    debug: at('debug'),
    info: at('info'),
    warn: at('warn'),
    error: at('error'),
    with: fields => logWith(options, { ...base, ...fields }),
  };
}

type Plain = string | number | boolean | null | readonly (string | number)[];
type PlainEntries = readonly (readonly [string, Plain])[];

function plain(name: string, value: unknown): Plain {
  if (ArrayBuffer.isView(value) || value instanceof ArrayBuffer) return `[${value.byteLength} bytes]`;
  if (SECRET_NAME.test(name)) return REDACTED;
  switch (typeof value) {
    case 'string':
      return cut(value);
    case 'number':
      return Number.isFinite(value) ? value : String(value);
    case 'boolean':
      return value;
    case 'bigint':
      return value.toString();
    default:
      break;
  }
  if (value === null) return null;
  if (value instanceof Error) return cut(errorText(value));
  if (Array.isArray(value)) return value.map(item => (typeof item === 'number' ? item : cut(String(item))));
  // The types do not let one through. Its fields are not looked at: one of them may be a key.
  return '[object]';
}

/** The message of an error and of what caused it, without stacks. */
function errorText(error: Error): string {
  const cause = error.cause instanceof Error ? `: ${errorText(error.cause)}` : '';
  return `${error.message}${cause}`;
}

function cut(text: string): string {
  const more = text.length - LOG_TEXT_CHARS_MAX;
  return more > 0 ? `${text.slice(0, LOG_TEXT_CHARS_MAX)}... (${more} more)` : text;
}

function json(time: string, level: LogLevel, name: string, entries: PlainEntries): string {
  return JSON.stringify({ at: time, level, event: name, ...Object.fromEntries(entries) });
}

function human(time: string, level: LogLevel, name: string, entries: PlainEntries): string {
  const fields = entries.map(([key, value]) => ` ${key}=${humanValue(value)}`).join('');
  return `${time.slice(11, 19)} ${level.toUpperCase().padEnd(5)} ${name}${fields}`;
}

/** Quote whatever is not plain visible text: what a peer sent must not move a terminal's cursor. */
function humanValue(value: Plain): string {
  if (typeof value === 'string' && /^[\x21-\x7e]+$/.test(value) && !/["=]/.test(value)) return value;
  // JSON leaves C1 controls and bidirectional marks as they are.
  return JSON.stringify(value).replace(/[\x7f-\u009f\u200e\u200f\u2028-\u202e\u2066-\u2069]/g, escapeChar);
}

function escapeChar(char: string): string {
  return `\\u${char.charCodeAt(0).toString(16).padStart(4, '0')}`;
}
