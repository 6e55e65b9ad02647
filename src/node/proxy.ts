/** HTTP proxies: which one, and a connection through it (spec/04-handshake.md 4.2, spec/07-discovery.md 7.2). */
import { request } from 'node:http';
import { isIP, type Socket } from 'node:net';
import { systemCode } from './failure.ts';

/** The variables that decide on a proxy: HTTPS_PROXY, ALL_PROXY, NO_PROXY. */
export type ProxyEnvironment = Readonly<Record<string, string | undefined>>;

/**
 * What went wrong with a proxy.
 *
 * - `credentials` it wants user and password, or others (407)
 * - `refused` it does not let us go there (403 and other 4xx)
 * - `target` it tried and did not get there (5xx)
 * - `unreachable` nobody answers at its address, in time
 * - `malformed` what answers is no proxy
 */
export type ProxyTrouble = 'credentials' | 'refused' | 'target' | 'unreachable' | 'malformed';

/** Why there is no connection through a proxy. The text names the proxy and nothing secret. */
export class ProxyError extends Error {
  override readonly name = 'ProxyError';
  readonly trouble: ProxyTrouble;
  constructor(trouble: ProxyTrouble, detail: string) {
    super(detail);
    this.trouble = trouble;
  }
}

/** How long a proxy may take for its answer, unless told otherwise. */
const PROXY_ANSWER_MS = 8_000;
const HEAD_BYTES_MAX = 16_384;

/** Ask an HTTP proxy for a connection (RFC 9110, 9.3.6). @throws ProxyError */
export async function connectThrough(
  proxy: URL,
  host: string,
  port: number,
  signal: AbortSignal,
  answerMs: number = PROXY_ANSWER_MS,
): Promise<Socket> {
  const target = `${isIP(host) === 6 ? `[${host}]` : host}:${port}`;
  const credentials = basicCredentials(proxy);
  return await new Promise((resolve, reject) => {
    const asking = request({
      host: bareHost(proxy),
      port: Number(proxy.port || 80),
      method: 'CONNECT',
      path: target,
      headers: {
        host: target,
        ...(credentials === undefined ? {} : { 'proxy-authorization': credentials }),
      },
      agent: false,
      maxHeaderSize: HEAD_BYTES_MAX,
      signal,
    });
    const fail = (trouble: ProxyTrouble, detail: string): void => {
      clearTimeout(timer);
      reject(new ProxyError(trouble, `the proxy ${proxy.host} ${detail}`));
      asking.destroy();
    };
    const timer = setTimeout(() => fail('unreachable', `gives no answer within ${answerMs} ms`), answerMs);
    asking.once('connect', (answer, socket, head) => {
      clearTimeout(timer);
      const { statusCode = 0 } = answer;
      if (statusCode >= 200 && statusCode < 300) {
        // The other side speaks second; whatever came with the answer is not its.
        if (head.length > 0) socket.unshift(head);
        resolve(socket);
        return;
      }
      socket.destroy();
      fail(...answered(statusCode));
    });
    asking.once('response', answer => fail(...answered(answer.statusCode ?? 0)));
    asking.on('error', error =>
      fail('unreachable', `cannot be reached (${systemCode(error) ?? error.message})`),
    );
    asking.end();
  });
}

function answered(status: number): [ProxyTrouble, string] {
  if (status === 407) return ['credentials', 'wants a user and a password, or others (407)'];
  if (status >= 500 && status < 600) return ['target', `did not get there (${status})`];
  return status >= 400 && status < 500
    ? ['refused', `does not let us go there (${status})`]
    : ['malformed', `answers ${status} to CONNECT`];
}

/** The Authorization header for user and password of a URL; undefined when it has none. */
export function basicCredentials(url: URL): string | undefined {
  if (url.username === '' && url.password === '') return undefined;
  const pair = `${decodeText(url.username)}:${decodeText(url.password)}`;
  return `Basic ${Buffer.from(pair).toString('base64')}`;
}

function decodeText(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

/** The host of a URL without the brackets of IPv6. */
export function bareHost(url: URL): string {
  return url.hostname.startsWith('[') ? url.hostname.slice(1, -1) : url.hostname;
}

/**
 * Choose the proxy for a URL from the variables that programs agree on: HTTPS_PROXY, ALL_PROXY, NO_PROXY, in upper or
 * lower case. Undefined for a direct connection; only http proxies are known.
 */
export function proxyFor(url: URL, environment: ProxyEnvironment): URL | undefined {
  const read = (name: string): string => environment[name.toLowerCase()] ?? environment[name] ?? '';
  const host = bareHost(url);
  for (const entry of read('NO_PROXY').split(',')) {
    const [name = ''] = entry
      .trim()
      .toLowerCase()
      .replace(/^\*?\./, '')
      .split(':');
    if (entry.trim() === '*' || (name !== '' && (host === name || host.endsWith(`.${name}`))))
      return undefined;
  }
  const text = read('HTTPS_PROXY') || read('ALL_PROXY');
  if (text === '') return undefined;
  const proxy = URL.canParse(text) ? new URL(text) : undefined;
  return proxy?.protocol === 'http:' ? proxy : undefined;
}
