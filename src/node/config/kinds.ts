/** What a setting can be: how its text is read, and how that is said (docs/configuration.md). */
import { isIP } from 'node:net';
import { isAbsolute } from 'node:path';

/** A kind of value, written as one text wherever it comes from. */
export interface Kind<T> {
  /** What it takes, to follow "takes": `a whole number from 1 to 65535`. */
  readonly takes: string;
  /** Undefined for a text that is none. */
  readonly read: (text: string) => { readonly value: T } | undefined;
  /** Words that it takes, for completion. */
  readonly words?: readonly string[];
  /** The text without what is secret in it. */
  readonly show?: (text: string) => string;
}

const DURATION_UNITS: ReadonlyMap<string, number> = new Map([
  ['ms', 1],
  ['s', 1000],
  ['m', 60_000],
  ['h', 3_600_000],
  ['d', 86_400_000],
]);
const SIZE_UNITS: ReadonlyMap<string, number> = new Map([
  ['B', 1],
  ['KiB', 1024],
  ['MiB', 1024 ** 2],
  ['GiB', 1024 ** 3],
]);
const HOST_NAME = /^[A-Za-z0-9.:_%-]{1,253}$/;

/** Read a time such as `500ms`, `10s`, `24h` as milliseconds; undefined when it is none. */
export function readDuration(text: string): number | undefined {
  return withUnit(text, DURATION_UNITS);
}

function withUnit(text: string, units: ReadonlyMap<string, number>): number | undefined {
  const match = /^(\d+(?:\.\d+)?)([A-Za-z]+)$/.exec(text);
  const unit = units.get(match?.[2] ?? '');
  return match?.[1] === undefined || unit === undefined ? undefined : Math.round(Number(match[1]) * unit);
}

/** A kind whose value is the text itself, if it fits. */
function textWhich(takes: string, fits: (text: string) => boolean): Kind<string> {
  return { takes, read: text => (fits(text) ? { value: text } : undefined) };
}

/** Whole numbers from `min` to `max`. */
export function wholeNumber(min: number, max: number): Kind<number> {
  const read = (text: string): number => (/^\d+$/.test(text) ? Number(text) : Number.NaN);
  return numbers(`a whole number from ${min} to ${max}`, read, min, max);
}

/** Times with their unit, as milliseconds; the bounds as they are written. */
export function duration(min: string, max: string): Kind<number> {
  const takes = `a time with its unit from ${min} to ${max}, such as 10s, 30m or 24h`;
  return numbers(takes, readDuration, readDuration(min), readDuration(max));
}

/** Sizes with their unit, in bytes; the bounds as they are written. */
export function size(min: string, max: string): Kind<number> {
  const read = (text: string): number | undefined => withUnit(text, SIZE_UNITS);
  return numbers(
    `a size with its unit from ${min} to ${max}, such as 64KiB or 10MiB`,
    read,
    read(min),
    read(max),
  );
}

function numbers(
  takes: string,
  read: (text: string) => number | undefined,
  min = 0,
  max: number = Number.MAX_SAFE_INTEGER,
): Kind<number> {
  return {
    takes,
    read: text => {
      const value = read(text);
      return value !== undefined && value >= min && value <= max ? { value } : undefined;
    },
  };
}

/** One of some words. */
export function oneOf<W extends string>(words: readonly W[]): Kind<W> {
  return {
    takes: words.length === 2 ? words.join(' or ') : `one of ${words.join(', ')}`,
    words,
    read: text => {
      const value = words.find(word => word === text);
      return value === undefined ? undefined : { value };
    },
  };
}

/** True or false. */
export const SWITCH: Kind<boolean> = {
  takes: 'true or false',
  read: text => (text === 'true' || text === 'false' ? { value: text === 'true' } : undefined),
};

/** A kind, or a word that stands for its absence. */
export function orWord<T>(word: string, kind: Kind<T>): Kind<T | undefined> {
  return {
    ...kind,
    takes: `${kind.takes}, or ${word}`,
    read: text => (text === word ? { value: undefined } : kind.read(text)),
  };
}

/** An IPv4 or IPv6 address, without a zone. */
export const IP_ADDRESS: Kind<string> = textWhich('an IP address', text => isIP(text) !== 0);
/** What can be dialled. */
export const HOST: Kind<string> = textWhich('an address or a name', text => HOST_NAME.test(text));
/** A TCP port. */
export const PORT: Kind<number> = wholeNumber(1, 65_535);
/** A path, from the working directory where it is relative. */
export const ANY_PATH: Kind<string> = textWhich('a path', text => text !== '' && !text.includes('\0'));
/** A path that means the same wherever the program was started. */
export const ABSOLUTE_PATH: Kind<string> = textWhich('an absolute path', text => isAbsolute(text));
/** Any text but an empty one. */
export const ANY_TEXT: Kind<string> = textWhich('a text', text => text !== '');

/** `127.0.0.1:9464`, `[::1]:9464`. */
export const IP_AND_PORT: Kind<{ readonly host: string; readonly port: number }> = {
  takes: 'an IP address and a port, such as 127.0.0.1:9464',
  read: text => {
    const match = /^(?:\[([^\]]+)\]|([^:]+)):(\d{1,5})$/.exec(text);
    const host = match?.[1] ?? match?.[2] ?? '';
    const port = Number(match?.[3]);
    return isIP(host) !== 0 && port <= 65_535 ? { value: { host, port } } : undefined;
  },
};

/** The URL of an HTTP proxy, with user and password if it wants them. */
export const PROXY: Kind<URL> = {
  takes: 'an http URL, such as http://proxy.example:3128',
  read: text => {
    const url = URL.canParse(text) ? new URL(text) : undefined;
    return url?.protocol === 'http:' && url.hostname !== '' ? { value: url } : undefined;
  },
  show: text => {
    if (!URL.canParse(text)) return text;
    const url = new URL(text);
    if (url.password !== '') url.password = '***';
    return url.href;
  },
};
