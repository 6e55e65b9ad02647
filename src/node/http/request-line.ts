/** Reads a request line byte by byte and by the rules of nginx 1.22, whose answers a stranger gets (spec/04-handshake.md, 4.6). */

/** What a request line says. */
export interface RequestLine {
  readonly method: string;
  readonly target: string;
  /** The digits behind the dot of the version; undefined for a line without one, which is HTTP/0.9. */
  readonly minor: number | undefined;
}

type State =
  | 'start'
  | 'method'
  | 'spaces'
  | 'scheme'
  | 'colon'
  | 'slash'
  | 'hostStart'
  | 'host'
  | 'literal'
  | 'hostEnd'
  | 'port'
  | 'uri'
  | 'behindUri'
  | 'name'
  | 'major'
  | 'majors'
  | 'minor'
  | 'minors'
  | 'behindVersion'
  | 'lineFeed';

const NAME = 'HTTP/';
const CR = 13;
const LF = 10;
const SPACE = 32;
const DELETE = 127;
const MINOR_MAX = 99;

/** One request line. */
export class RequestLineReader {
  #state: State = 'start';
  #text = '';
  #inName = 0;
  #minor: number | undefined;

  /** Take one byte: a line that is complete, the status that refuses it, or undefined for more. */
  take(byte: number): RequestLine | 400 | 505 | undefined {
    const before = this.#state;
    const next = this.#step(byte);
    if (next === 'done') return this.#line();
    if (typeof next === 'number') return next;
    this.#state = next;
    if (before !== 'start' || next !== 'start') this.#text += String.fromCharCode(byte);
    return undefined;
  }

  #step(byte: number): State | 'done' | 400 | 505 {
    switch (this.#state) {
      case 'start':
        if (byte === CR || byte === LF) return 'start';
        return isMethod(byte) ? 'method' : 400;
      case 'method':
        if (byte === SPACE) return 'spaces';
        return isMethod(byte) ? 'method' : 400;
      case 'spaces':
        if (byte === SPACE) return 'spaces';
        if (byte === code('/')) return 'uri';
        return isLetter(byte) ? 'scheme' : 400;
      case 'scheme':
        if (byte === code(':')) return 'colon';
        return isLetter(byte) || isDigit(byte) || isOneOf(byte, '+-.') ? 'scheme' : 400;
      case 'colon':
        return byte === code('/') ? 'slash' : 400;
      case 'slash':
        return byte === code('/') ? 'hostStart' : 400;
      case 'hostStart':
        return byte === code('[') ? 'literal' : this.#host(byte);
      case 'host':
        return this.#host(byte);
      case 'literal':
        if (byte === code(']')) return 'hostEnd';
        return isLetter(byte) || isDigit(byte) || isOneOf(byte, ":-._~!$&'()*+,;=") ? 'literal' : 400;
      case 'hostEnd':
        return byte === code(':') ? 'port' : behindHost(byte);
      case 'port':
        return isDigit(byte) ? 'port' : behindHost(byte);
      case 'uri':
        if (byte === SPACE) return 'behindUri';
        if (byte === CR) return 'lineFeed';
        if (byte === LF) return 'done';
        return byte < SPACE || byte === DELETE ? 400 : 'uri';
      case 'behindUri':
        if (byte === SPACE) return 'behindUri';
        if (byte === CR) return 'lineFeed';
        if (byte === LF) return 'done';
        this.#inName = 1;
        return byte === code('H') ? 'name' : 400;
      case 'name':
        if (byte !== NAME.charCodeAt(this.#inName)) return 400;
        this.#inName += 1;
        return this.#inName === NAME.length ? 'major' : 'name';
      case 'major':
        if (!isDigit(byte) || byte === code('0')) return 400;
        return byte > code('1') ? 505 : 'majors';
      case 'majors':
        if (byte === code('.')) return 'minor';
        return isDigit(byte) ? 505 : 400;
      case 'minor':
        return isDigit(byte) ? this.#digit(byte) : 400;
      case 'minors':
        return isDigit(byte) ? this.#digit(byte) : behindVersion(byte);
      case 'behindVersion':
        return behindVersion(byte);
      case 'lineFeed':
        return byte === LF ? 'done' : 400;
    }
  }

  #host(byte: number): State | 400 {
    if (isLetter(byte) || isDigit(byte) || isOneOf(byte, '.-')) return 'host';
    return byte === code(':') ? 'port' : behindHost(byte);
  }

  #digit(byte: number): State | 400 {
    if ((this.#minor ?? 0) > MINOR_MAX) return 400;
    this.#minor = (this.#minor ?? 0) * 10 + byte - code('0');
    return 'minors';
  }

  #line(): RequestLine {
    const [method = '', target = ''] = this.#text.split(/[ \r]+/);
    return { method, target, minor: this.#minor };
  }
}

function behindHost(byte: number): State | 400 {
  if (byte === code('/') || byte === code('?')) return 'uri';
  return byte === SPACE ? 'behindUri' : 400;
}

function behindVersion(byte: number): State | 'done' | 400 {
  if (byte === SPACE) return 'behindVersion';
  if (byte === CR) return 'lineFeed';
  return byte === LF ? 'done' : 400;
}

/** Whether nginx can make a path of a target: every escape whole and none of NUL, and no way out of the root. */
export function isTarget(target: string): boolean {
  const [, schemeAndHost = '', rest = ''] = /^([A-Za-z][^/?]*:\/\/[^/?]*)?(.*)$/s.exec(target) ?? [];
  if (schemeAndHost !== '' && !isHost(schemeAndHost.slice(schemeAndHost.indexOf('//') + 2))) return false;
  const path = /^[^?#]*/.exec(rest)?.[0] ?? '';
  if (/%(?![0-9A-Fa-f]{2})/.test(path) || path.includes('%00')) return false;
  const plain = path.replace(/%([0-9A-Fa-f]{2})/g, (_, hex: string) =>
    String.fromCharCode(parseInt(hex, 16)),
  );
  let depth = 0;
  for (const segment of plain.split('/')) {
    if (segment === '..') depth -= 1;
    else if (segment !== '' && segment !== '.') depth += 1;
    if (depth < 0) return false;
  }
  return true;
}

/** Whether nginx takes this for the name of a host, with or without a port. */
export function isHost(text: string): boolean {
  if (/[\0- \x7f/]/.test(text) || text.includes('..')) return false;
  const name = text.startsWith('[') && text.includes(']') ? text : (text.split(':')[0] ?? '');
  return name !== '' && name !== '.';
}

function code(letter: string): number {
  return letter.charCodeAt(0);
}

function isLetter(byte: number): boolean {
  const lower = byte | 0x20;
  return lower >= 97 && lower <= 122;
}

function isDigit(byte: number): boolean {
  return byte >= 48 && byte <= 57;
}

function isMethod(byte: number): boolean {
  return (byte >= 65 && byte <= 90) || isOneOf(byte, '_-');
}

function isOneOf(byte: number, letters: string): boolean {
  return letters.includes(String.fromCharCode(byte));
}
