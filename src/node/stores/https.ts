/** The store that is an HTTPS address: GET to read, PUT to write (spec/07-discovery.md, 7.2). */
import { type IncomingMessage, validateHeaderName, validateHeaderValue } from 'node:http';
import {
  type PublishAnswer,
  type ReadOptions,
  type StopSignal,
  type StoreAnswer,
  type StoreReader,
  type StoreTrouble,
  type StoreWriter,
  storeFailed,
} from '../../discovery/store.ts';
import { FILE_BYTES_MAX, STORE_ATTEMPT_MS_MAX, STORE_REDIRECTS_MAX } from '../../gen/constants.ts';
import { basicCredentials } from '../proxy.ts';
import { runAttempt, StoreError } from './attempt.ts';
import { exchange, readBody } from './exchange.ts';
import { TlsConnector, type Way } from './tls.ts';

/** How to reach an address. `limitMs` is for tests. */
export interface HttpsOptions extends Way {
  readonly limitMs?: number;
}

/** Enough of an error's text to see that a signature has expired. */
const REASON_BYTES_MAX = 4096;
/** A header of seconds above this is not believed anyway. */
const RETRY_AFTER_S_MAX = 86_400;

/** Reads an HTTPS address. */
export class HttpsReader implements StoreReader {
  readonly name: string;
  readonly #url: URL;
  readonly #connector: TlsConnector;
  readonly #limitMs: number;
  /** The ETag of the last file and the address that gave it, which may lie behind redirects. */
  #last: { readonly href: string; readonly etag: string } | undefined;

  /** `url` is what `parseStoreUrl` gave. */
  constructor(url: URL, options: HttpsOptions) {
    this.#url = url;
    this.name = nameOfUrl(url);
    this.#connector = new TlsConnector(options);
    this.#limitMs = options.limitMs ?? STORE_ATTEMPT_MS_MAX;
  }

  /** Get the file, whole or if it has changed. @impl DI-041~1, DI-043~1 */
  async read(stop: StopSignal, options?: ReadOptions): Promise<StoreAnswer> {
    const last = options?.unconditional === true ? undefined : this.#last;
    return await runAttempt({ name: this.name, stop, limitMs: this.#limitMs }, async signal => {
      let url = this.#url;
      for (let redirects = 0; ; redirects += 1) {
        const etag = last?.href === url.href ? last.etag : undefined;
        const answer = await this.#get(url, etag, signal);
        const location = redirectOf(answer);
        if (location === undefined) return await this.#take(answer, url, etag !== undefined);
        answer.destroy();
        if (redirects >= STORE_REDIRECTS_MAX) throw new StoreError('malformed', 'too many redirects');
        url = nextUrl(url, location);
      }
    });
  }

  async #get(url: URL, etag: string | undefined, signal: AbortSignal): Promise<IncomingMessage> {
    const credentials = url.origin === this.#url.origin ? basicCredentials(this.#url) : undefined;
    const headers = {
      accept: '*/*',
      'accept-encoding': 'identity',
      ...(etag === undefined ? {} : { 'if-none-match': etag }),
      ...(credentials === undefined ? {} : { authorization: credentials }),
    };
    return await exchange(this.#connector, { url, method: 'GET', headers, body: undefined }, signal);
  }

  async #take(answer: IncomingMessage, url: URL, isConditional: boolean): Promise<StoreAnswer> {
    switch (answer.statusCode) {
      case 200: {
        const bytes = await readBody(answer, FILE_BYTES_MAX);
        const { etag } = answer.headers;
        this.#last = etag === undefined ? undefined : { href: url.href, etag };
        return { kind: 'file', bytes, others: [] };
      }
      case 304:
        if (!isConditional) throw new StoreError('malformed', 'answers 304 to a request without conditions');
        return { kind: 'unchanged' };
      case 404:
      case 410:
        this.#last = undefined;
        return { kind: 'absent' };
      default:
        throw await refusal(answer, url);
    }
  }
}

/** How a host writes to an HTTPS address. */
export interface HttpsWriting {
  /** Where to write, asked for each time, because signed addresses are renewed; undefined when there is none. */
  readonly address: () => Promise<URL | undefined>;
  readonly method: 'PUT' | 'POST';
  /** Whatever lets the host write; secret. */
  readonly headers: Readonly<Record<string, string>>;
}

/** Writes to an HTTPS address. */
export class HttpsWriter implements StoreWriter {
  readonly name: string;
  readonly #writing: HttpsWriting;
  readonly #connector: TlsConnector;
  readonly #limitMs: number;

  /** `name` is the address without what is secret in it; the headers are what `areHeaders` accepted. */
  constructor(name: string, writing: HttpsWriting, options: HttpsOptions) {
    this.name = name;
    this.#writing = writing;
    this.#connector = new TlsConnector(options);
    this.#limitMs = options.limitMs ?? STORE_ATTEMPT_MS_MAX;
  }

  /** When the address stops letting the host write, in Unix milliseconds; undefined when it does not say. */
  async expiresAt(): Promise<number | undefined> {
    const url = await this.#writing.address();
    return url === undefined ? undefined : signedUntil(url);
  }

  /** Put the file there. */
  async publish(bytes: Uint8Array, stop: StopSignal): Promise<PublishAnswer> {
    if (bytes.length > FILE_BYTES_MAX)
      return storeFailed('oversized', `${this.name}: ${bytes.length} bytes are too long to publish`);
    return await runAttempt({ name: this.name, stop, limitMs: this.#limitMs }, async signal => {
      const { method, address } = this.#writing;
      const url = await address();
      if (url === undefined) throw new StoreError('expired', 'there is no address to write to');
      const credentials = basicCredentials(url);
      const headers = {
        'content-type': 'application/octet-stream',
        'content-length': String(bytes.length),
        ...(credentials === undefined ? {} : { authorization: credentials }),
        ...this.#writing.headers,
      };
      const answer = await exchange(this.#connector, { url, method, headers, body: bytes }, signal);
      return await wrote(answer, url);
    });
  }
}

/** What the answer to a write means. @impl DI-042~1 */
async function wrote(answer: IncomingMessage, url: URL): Promise<PublishAnswer> {
  const { statusCode = 0 } = answer;
  if ([200, 201, 202, 204].includes(statusCode)) {
    answer.destroy();
    return { kind: 'published' };
  }
  if (redirectOf(answer) !== undefined)
    throw new StoreError('malformed', 'redirects what is written; give the address that it leads to');
  if (statusCode === 404 || statusCode === 409 || statusCode === 410)
    throw new StoreError('refused', `answers ${statusCode}: the directory to write into is missing`);
  if (statusCode === 412) throw new StoreError('busy', 'answers 412: somebody else writes there');
  throw await refusal(answer, url);
}

/** Turn a status into a failure. */
async function refusal(answer: IncomingMessage, url: URL): Promise<StoreError> {
  const { statusCode = 0 } = answer;
  const retryAfterMs = retryAfter(answer.headers['retry-after']);
  const reason = statusCode === 401 || statusCode === 403 ? await readReason(answer) : '';
  answer.destroy();
  const isSignedOut =
    (signedUntil(url) ?? Number.POSITIVE_INFINITY) <= Date.now() || /\bexpired\b/i.test(reason);
  const trouble = troubleOf(statusCode, isSignedOut);
  const detail = trouble === 'expired' ? 'the signature of its address has expired' : `answers ${statusCode}`;
  return new StoreError(trouble, detail, trouble === 'busy' ? retryAfterMs : undefined);
}

function troubleOf(status: number, isSignedOut: boolean): StoreTrouble {
  if (status === 401 || status === 403) return isSignedOut ? 'expired' : 'refused';
  if (status === 402 || status === 507) return 'quota';
  if (status === 413) return 'oversized';
  if (status === 408 || status === 425 || status === 429 || (status >= 500 && status < 600)) return 'busy';
  return 'malformed';
}

async function readReason(answer: IncomingMessage): Promise<string> {
  let text = '';
  try {
    for await (const part of answer as AsyncIterable<Buffer>) {
      text += part.toString('latin1');
      if (text.length >= REASON_BYTES_MAX) break;
    }
  } catch {
    // The status alone says enough.
  }
  return text.slice(0, REASON_BYTES_MAX);
}

/** Milliseconds of a Retry-After header: seconds, or a date (RFC 9110, 10.2.3). */
function retryAfter(header: string | undefined): number | undefined {
  const isSeconds = header !== undefined && /^\d+$/.test(header);
  if (header === undefined || !(isSeconds || header.endsWith(' GMT'))) return undefined;
  const seconds = isSeconds ? Number(header) : (Date.parse(header) - Date.now()) / 1000;
  return Number.isNaN(seconds)
    ? undefined
    : Math.ceil(Math.min(Math.max(0, seconds), RETRY_AFTER_S_MAX) * 1000);
}

function redirectOf({ statusCode = 0, headers }: IncomingMessage): string | undefined {
  return [301, 302, 303, 307, 308].includes(statusCode) ? (headers.location ?? '') : undefined;
}

/** Where a redirect leads: only to another https address. @impl DI-041~1 */
function nextUrl(from: URL, location: string): URL {
  const next = location !== '' && URL.canParse(location, from.href) ? new URL(location, from) : undefined;
  if (next?.protocol !== 'https:')
    throw new StoreError('malformed', 'redirects to something that is not https');
  next.username = '';
  next.password = '';
  return next;
}

/** Parse the address of a store: https, with a host; undefined for anything else. */
export function parseStoreUrl(text: string): URL | undefined {
  const url = URL.canParse(text) ? new URL(text) : undefined;
  if (url?.protocol !== 'https:' || url.hostname === '') return undefined;
  url.hash = '';
  return url;
}

/** Name an address without user, password and query, which may let somebody write. @impl DI-004~1 */
export function nameOfUrl(url: URL): string {
  return `${url.origin}${url.pathname}`;
}

/** Can these headers be sent as they are? */
export function areHeaders(headers: Readonly<Record<string, string>>): boolean {
  try {
    for (const [name, value] of Object.entries(headers)) {
      validateHeaderName(name);
      validateHeaderValue(name, value);
    }
    return true;
  } catch {
    return false;
  }
}

/** When a signed URL (S3, Google, Azure) ends, in Unix milliseconds; undefined when it is none. */
export function signedUntil(url: URL): number | undefined {
  const query = new Map([...url.searchParams].map(([key, value]) => [key.toLowerCase(), value]));
  for (const vendor of ['x-amz-', 'x-goog-']) {
    const [, y, mo, d, h, mi, s] =
      /^(\d{4})(\d\d)(\d\d)T(\d\d)(\d\d)(\d\d)Z$/.exec(query.get(`${vendor}date`) ?? '') ?? [];
    const lifeS = Number(query.get(`${vendor}expires`));
    if (y !== undefined && lifeS > 0) return Date.parse(`${y}-${mo}-${d}T${h}:${mi}:${s}Z`) + lifeS * 1000;
  }
  if (query.has('signature') && /^\d+$/.test(query.get('expires') ?? ''))
    return Number(query.get('expires')) * 1000;
  const azure = query.has('sig') ? Date.parse(query.get('se') ?? '') : Number.NaN;
  return Number.isNaN(azure) ? undefined : azure;
}
