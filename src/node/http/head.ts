/** Reads the head of a request as nginx 1.22 does, and says what it would answer (spec/04-handshake.md, 4.6). */
import { HTTP_HEAD_BYTES_MAX } from '../../gen/constants.ts';
import { isHost, isTarget, type RequestLine, RequestLineReader } from './request-line.ts';

/** What nginx answers with: a status of HTTP, or one of its own for a 400 that says more. */
export type Status = 400 | 404 | 405 | 413 | 414 | 494 | 497 | 501 | 505;

/** A head that was read to its end, or as far as it was right. */
export interface Head {
  /** What the answer is when the request is nobody's but a stranger's. */
  readonly status: Status;
  /** The answer goes without its body, or without its head. */
  readonly shape: 'whole' | 'headOnly' | 'bodyOnly';
  /** The browser shows pages of its own for short errors, so nginx sends it longer ones. */
  readonly isPadded: boolean;
  /** A complete request. */
  readonly request: { readonly line: RequestLine; readonly headers: ReadonlyMap<string, string> } | undefined;
  /** The body that was announced: so many bytes, or chunks. */
  readonly body: number | 'chunked';
  /** What came behind the head. */
  readonly rest: Uint8Array;
}

type State = 'line' | 'start' | 'name' | 'value' | 'lineFeed' | 'endLineFeed';

/** Header lines of which a second one is refused. */
const SINGLE: ReadonlySet<string> = new Set([
  'authorization',
  'content-length',
  'content-range',
  'expect',
  'host',
  'if-match',
  'if-modified-since',
  'if-none-match',
  'if-range',
  'if-unmodified-since',
  'transfer-encoding',
]);
/** The longest body that nginx would read, by default. */
const BODY_BYTES_MAX = 1024 * 1024;
const CR = 13;
const LF = 10;
const COLON = 58;

/** The head of one request. */
export class HeadReader {
  readonly #lineReader = new RequestLineReader();
  readonly #headers = new Map<string, string>();
  #state: State = 'line';
  #line: RequestLine | undefined;
  /** Of the header line that is being read. */
  #name = '';
  #value = '';
  #taken = 0;
  #body: number | 'chunked' = 0;
  #isComplete = false;

  /** Take what came; undefined while there is more to come. @impl HS-016~2 */
  push(bytes: Uint8Array): Head | undefined {
    for (let i = 0; i < bytes.length; i += 1) {
      i += this.#takeText(bytes, i);
      if (i === bytes.length) return undefined;
      if (this.#taken === HTTP_HEAD_BYTES_MAX) return this.#head(this.#line === undefined ? 414 : 494);
      this.#taken += 1;
      const status = this.#take(bytes[i] ?? 0);
      if (status === undefined) continue;
      return this.#head(status, bytes.subarray(i + 1));
    }
    return undefined;
  }

  /** Take at once what is only text of the header line that is being read; gives how much that was. */
  #takeText(bytes: Uint8Array, from: number): number {
    if (this.#state !== 'name' && this.#state !== 'value') return 0;
    const isText = this.#state === 'value' ? isInValue : isInName;
    const end = Math.min(bytes.length, from + HTTP_HEAD_BYTES_MAX - this.#taken);
    let to = from;
    while (to < end && isText(bytes[to] ?? 0)) to += 1;
    if (to === from) return 0;
    this.#taken += to - from;
    const text = Buffer.from(bytes.buffer, bytes.byteOffset + from, to - from).toString('latin1');
    if (this.#state === 'value') this.#value += text;
    else this.#name += text;
    return to - from;
  }

  #take(byte: number): Status | undefined {
    if (this.#line !== undefined) return this.#header(byte);
    const line = this.#lineReader.take(byte);
    if (line === undefined || typeof line === 'number') return line;
    this.#line = line;
    this.#state = 'start';
    if (line.minor === undefined && line.method !== 'GET') return 400;
    if (!isTarget(line.target)) return 400;
    this.#isComplete = line.minor === undefined;
    return this.#isComplete ? 404 : undefined;
  }

  #header(byte: number): Status | undefined {
    switch (this.#state) {
      case 'line':
      case 'start':
        this.#name = '';
        this.#value = '';
        if (byte === LF) return this.#end();
        if (byte === CR) return this.#goTo('endLineFeed');
        if (!isInName(byte)) return 400;
        this.#name = String.fromCharCode(byte);
        return this.#goTo('name');
      case 'name':
        if (byte === LF) return this.#headerDone();
        if (byte === CR) return this.#goTo('lineFeed');
        return byte === COLON ? this.#goTo('value') : 400;
      case 'value':
        if (byte === LF) return this.#headerDone();
        if (byte === CR) return this.#goTo('lineFeed');
        return 400;
      case 'lineFeed':
        if (byte === LF) return this.#headerDone();
        return byte === CR ? undefined : 400;
      case 'endLineFeed':
        return byte === LF ? this.#end() : 400;
    }
  }

  #goTo(state: State): undefined {
    this.#state = state;
  }

  #headerDone(): Status | undefined {
    this.#state = 'start';
    // Names that are none are left out, as nginx does unless it is told otherwise.
    if (!/^[A-Za-z0-9-]+$/.test(this.#name)) return undefined;
    const name = this.#name.toLowerCase();
    const value = this.#value.replace(/^ +| +$/g, '');
    const earlier = this.#headers.get(name);
    if (earlier === undefined) this.#headers.set(name, value);
    else if (SINGLE.has(name)) return 400;
    else this.#headers.set(name, `${earlier}, ${value}`);
    return name === 'host' && !isHost(value) ? 400 : undefined;
  }

  /** What is wrong with the head as a whole, in the order in which nginx looks. */
  #end(): Status {
    const method = this.#line?.method;
    const minor = this.#line?.minor ?? 0;
    this.#isComplete = true;
    const length = this.#headers.get('content-length');
    const coding = this.#headers.get('transfer-encoding');
    if (minor > 0 && !this.#headers.has('host')) return 400;
    if (length !== undefined && !/^\d{1,18}$/.test(length)) return 400;
    this.#body = Number(length ?? 0);
    if (coding !== undefined) {
      if (minor === 0) return 400;
      if (coding.toLowerCase() !== 'chunked') return 501;
      if (length !== undefined) return 400;
      this.#body = 'chunked';
    }
    if (method === 'CONNECT' || method === 'TRACE') return 405;
    return this.#body !== 'chunked' && this.#body > BODY_BYTES_MAX ? 413 : 404;
  }

  #head(status: Status, rest: Uint8Array = new Uint8Array(0)): Head {
    const line = this.#line;
    const isOld = line !== undefined && line.minor === undefined;
    const shape = line?.method === 'HEAD' ? 'headOnly' : 'whole';
    return {
      status,
      shape: isOld ? 'bodyOnly' : shape,
      isPadded: isPaddedFor(this.#headers.get('user-agent') ?? ''),
      request: line !== undefined && this.#isComplete ? { line, headers: this.#headers } : undefined,
      body: this.#body,
      rest,
    };
  }
}

function isInName(byte: number): boolean {
  return byte > 32 && byte !== 127 && byte !== COLON;
}

function isInValue(byte: number): boolean {
  return byte !== 0 && byte !== CR && byte !== LF;
}

/** The browsers that nginx knows to hide short error pages. */
function isPaddedFor(agent: string): boolean {
  if (agent.includes('Opera')) return false;
  if (agent.includes('MSIE ')) return true;
  return agent.includes('Chrome/') && !agent.includes('Gecko/');
}
