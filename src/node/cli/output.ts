/** Prints results, for people or as JSON lines. */
import type { ControlItem } from '../../gen/clawchat/v1/control_pb.ts';
import { harmless, harmlessLine } from './terminal-text.ts';

/** Write a line to standard output. */
export function line(text: string): void {
  process.stdout.write(`${text}\n`);
}

/** Write one JSON value as a line to standard output. Bytes are hexadecimal, 64-bit numbers are numbers. */
export function jsonLine(value: unknown): void {
  line(JSON.stringify(value, (_key, item: unknown) => plain(item)));
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

/** A message as JSON shows it: the field names are part of the interface. */
export function messageJson(item: ControlItem): Readonly<Record<string, unknown>> {
  return {
    cursor: Number(item.cursor),
    room: item.room,
    device: hex(item.deviceId),
    name: item.name,
    id: hex(item.messageId),
    sent_at_ms: Number(item.sentAtMs),
    stored_at_ms: Number(item.storedAtMs),
    text: item.text,
  };
}

/** A message as people see it: `14:03 Ann: text`, further lines indented. */
export function messageText(item: ControlItem): string {
  const time = new Date(Number(item.storedAtMs)).toTimeString().slice(0, 5);
  const [first = '', ...rest] = harmless(item.text).split('\n');
  const head = `${time} ${harmlessLine(item.name)}: `;
  return [head + first, ...rest.map(next => ' '.repeat(6) + next)].join('\n');
}

/** A time for people, in the local zone. */
export function timeText(ms: number | bigint): string {
  const value = Number(ms);
  return value === 0 ? 'never' : new Date(value).toLocaleString('sv-SE');
}

/** How long until (or since) an instant, for people: `in 12 min`, `3 s ago`. */
export function fromNow(ms: number | bigint, now: number): string {
  const value = Number(ms);
  if (value === 0) return 'never';
  const seconds = Math.round(Math.abs(value - now) / 1000);
  const [amount, unit] =
    seconds < 120
      ? [seconds, 's']
      : seconds < 7200
        ? [Math.round(seconds / 60), 'min']
        : seconds < 172_800
          ? [Math.round(seconds / 3600), 'h']
          : [Math.round(seconds / 86_400), 'd'];
  return value >= now ? `in ${amount} ${unit}` : `${amount} ${unit} ago`;
}
