/** Prints results, for people or as JSON lines. */
import { systemCode } from '../failure.ts';
import { EXIT_UNREAD } from './exit-code.ts';

/** Write a line to standard output. */
export function line(text: string): void {
  process.stdout.write(`${text}\n`);
}

/** Tell a person at a terminal what is read from there; a pipe, and whoever wants JSON, is told nothing. */
export function sayReading(what: string, json: boolean): void {
  if (process.stdin.isTTY === true && !json) process.stderr.write(`${what}\n`);
}

/**
 * Let a program end as others do when nobody reads its output any more, as with `| head`; one that `stays` goes on
 * without. What was sent or stored until then is as after any other end.
 */
export function heedReaders(stays: boolean): void {
  for (const stream of [process.stdout, process.stderr]) {
    stream.on('error', error => {
      if (systemCode(error) !== 'EPIPE') throw error;
      if (!stays) process.exit(EXIT_UNREAD);
    });
  }
}

/** Whether standard output is a terminal that may be given colours (NO_COLOR and TERM=dumb say no). */
export function takesColour(): boolean {
  const { NO_COLOR = '', TERM } = process.env;
  return process.stdout.isTTY === true && TERM !== 'dumb' && NO_COLOR === '';
}

/** Write one JSON value as a line to standard output. Bytes are hexadecimal, 64-bit numbers are numbers. */
export function jsonLine(value: unknown): void {
  // A Buffer has turned itself into an object before it is shown: its holder still has it.
  const replace = function (this: Record<string, unknown>, key: string): unknown {
    return plain(this[key]);
  };
  line(JSON.stringify(value, replace));
}

function plain(value: unknown): unknown {
  if (value instanceof Uint8Array) return hex(value);
  if (typeof value === 'bigint') return Number(value);
  return value;
}

/** Write bytes as hexadecimal. */
export function hex(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString('hex');
}

/** A time for people, in the local zone. */
export function timeText(ms: number | bigint): string {
  const value = Number(ms);
  return value === 0 ? 'never' : new Date(value).toLocaleString('sv-SE');
}

/** When a promise ends or ended, as people read it. */
export function endsText(untilMs: number | bigint, now: number): string {
  return `${Number(untilMs) > now ? 'ends' : 'ended'} ${fromNow(untilMs, now)}`;
}

/** How long until (or since) an instant, for people: `in 12 min`, `3 s ago`. */
export function fromNow(ms: number | bigint, now: number): string {
  const value = Number(ms);
  if (value === 0) return 'never';
  const text = spanText(Math.round(Math.abs(value - now) / 1000));
  return value >= now ? `in ${text}` : `${text} ago`;
}

/** When a host moves, for people: no plan is kept to the second. */
export function movesText(ms: number | bigint, now: number): string {
  return Number(ms) > now ? `moves in about ${fromNow(ms, now).slice(3)}` : 'moves now';
}

/** In the largest unit of which there are two or more. */
function spanText(seconds: number): string {
  if (seconds < 120) return `${seconds} s`;
  if (seconds < 7200) return `${Math.round(seconds / 60)} min`;
  return seconds < 172_800 ? `${Math.round(seconds / 3600)} h` : `${Math.round(seconds / 86_400)} d`;
}

/** Say how many there are. */
export function countText(count: number, one: string): string {
  return `${count} ${one}${count === 1 ? '' : 's'}`;
}

/** How exactly a host keeps when it last saw a device (`SEEN_MS` of protocol/members). */
const SEEN_EXACT_MS = 3_600_000;

/** Say when somebody was last seen, no more exactly than the host keeps it. */
export function seenText(ms: number | bigint, now: number): string {
  if (Number(ms) === 0) return 'never seen';
  return now - Number(ms) < SEEN_EXACT_MS ? 'seen within the hour' : `seen ${fromNow(ms, now)}`;
}
