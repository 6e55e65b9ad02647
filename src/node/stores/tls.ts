/** TLS connections to HTTPS stores: whom to trust, and through which proxy (spec/07-discovery.md, 7.2). */
import { request } from 'node:http';
import { isIP, type Socket } from 'node:net';
import { type ConnectionOptions, connect, type TLSSocket } from 'node:tls';
import { sameBytes } from '../../wire/bytes.ts';
import { native } from '../native.ts';
import { StoreError } from './attempt.ts';

type X509Certificate = NonNullable<ReturnType<TLSSocket['getPeerX509Certificate']>>;

/** Who vouches for a server: the system's authorities, these instead (PEM), or whoever has the key with this SHA-256. */
export type Trust =
  | { readonly kind: 'system' }
  | { readonly kind: 'authorities'; readonly pem: string }
  | { readonly kind: 'pin'; readonly sha256: Uint8Array };

/** How to get to a server. */
export interface Way {
  readonly trust: Trust;
  /** An http URL, possibly with user and password; undefined for none. */
  readonly proxy: URL | undefined;
}

/** A chain longer than this is not walked to its end. */
const CHAIN_MAX = 10;

/** Node has it since 20.18, its types do not. */
type StrictOptions = ConnectionOptions & { readonly allowPartialTrustChain?: boolean };

/** Opens connections and remembers the certificate of a pinned authority, which is asked for once. */
export class TlsConnector {
  readonly #way: Way;
  #authority: string | undefined;

  constructor(way: Way) {
    this.#way = way;
  }

  /** Connect to the server of an https URL and prove who it is. @throws StoreError and errors of the system. @impl DI-040~1 */
  async connect(url: URL, signal: AbortSignal): Promise<TLSSocket> {
    const { trust } = this.#way;
    switch (trust.kind) {
      case 'system':
        return await this.#open(url, signal, {});
      case 'authorities':
        return await this.#open(url, signal, { ca: trust.pem });
      case 'pin':
        return await this.#openPinned(url, signal, trust.sha256);
    }
  }

  /**
   * Look at the chain first. When the server's own key is the pinned one, that connection serves. When an authority's
   * is, a second connection lets OpenSSL check everything below that authority, and nothing was sent on the first.
   */
  async #openPinned(url: URL, signal: AbortSignal, pin: Uint8Array): Promise<TLSSocket> {
    if (this.#authority !== undefined) {
      try {
        return await this.#openBelow(url, signal, this.#authority);
      } catch (error) {
        // The authority may have a new certificate for its key.
        this.#authority = undefined;
        if (signal.aborted) throw error;
      }
    }
    const socket = await this.#open(url, signal, { rejectUnauthorized: false });
    const leaf = socket.getPeerX509Certificate();
    if (leaf !== undefined && hasKey(leaf, pin)) return socket;
    const authority = leaf === undefined ? undefined : findAuthority(leaf, pin);
    socket.destroy();
    if (authority === undefined)
      throw new StoreError(
        'untrusted',
        'neither its certificate nor an authority that it sent is the pinned one',
      );
    const checked = await this.#openBelow(url, signal, authority);
    this.#authority = authority;
    return checked;
  }

  async #openBelow(url: URL, signal: AbortSignal, authority: string): Promise<TLSSocket> {
    return await this.#open(url, signal, { ca: authority, allowPartialTrustChain: true });
  }

  async #open(url: URL, signal: AbortSignal, options: StrictOptions): Promise<TLSSocket> {
    const host = bareHost(url);
    const port = Number(url.port || 443);
    const { proxy } = this.#way;
    const through = proxy === undefined ? undefined : await connectThrough(proxy, host, port, signal);
    return await new Promise((resolve, reject) => {
      const socket = connect({
        ...options,
        ...(through === undefined ? { host, port } : { socket: through }),
        ...(isIP(host) === 0 ? { servername: host } : {}),
        ...(isIP(host) === 0 || through === undefined ? {} : { host }),
        ALPNProtocols: ['http/1.1'],
        minVersion: 'TLSv1.2',
      });
      const onAbort = (): void => {
        socket.destroy();
        reject(new StoreError('cancelled', 'cancelled'));
      };
      signal.addEventListener('abort', onAbort, { once: true });
      socket.once('secureConnect', () => resolve(socket));
      // It stays: an error between this promise and the next listener would end the process.
      socket.on('error', reject);
      socket.once('close', () => {
        signal.removeEventListener('abort', onAbort);
        reject(new StoreError('unreachable', 'the connection ended during TLS'));
      });
    });
  }
}

function hasKey(certificate: X509Certificate, pin: Uint8Array): boolean {
  const spki = certificate.publicKey.export({ type: 'spki', format: 'der' });
  return sameBytes(native.sha256(spki), pin);
}

/** The certificate, PEM, of the pinned authority in the chain that a server sent. */
function findAuthority(leaf: X509Certificate, pin: Uint8Array): string | undefined {
  let certificate = leaf.issuerCertificate;
  for (let depth = 0; depth < CHAIN_MAX && certificate !== undefined; depth += 1) {
    if (certificate.ca && hasKey(certificate, pin)) return certificate.toString();
    certificate = certificate.issuerCertificate;
  }
  return undefined;
}

function bareHost(url: URL): string {
  return url.hostname.startsWith('[') ? url.hostname.slice(1, -1) : url.hostname;
}

/** Ask an HTTP proxy for a connection (RFC 9110, 9.3.6). */
async function connectThrough(proxy: URL, host: string, port: number, signal: AbortSignal): Promise<Socket> {
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
      signal,
    });
    asking.once('connect', (answer, socket) => {
      const { statusCode = 0 } = answer;
      if (statusCode >= 200 && statusCode < 300) {
        resolve(socket);
        return;
      }
      socket.destroy();
      const trouble = statusCode === 407 || statusCode === 403 ? 'refused' : 'unreachable';
      reject(new StoreError(trouble, `the proxy ${proxy.host} answers ${statusCode}`));
    });
    asking.once('response', answer => {
      answer.destroy();
      reject(new StoreError('malformed', `the proxy ${proxy.host} answers ${answer.statusCode} to CONNECT`));
    });
    asking.once('error', reject);
    asking.end();
  });
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

/**
 * Choose the proxy for a URL from the variables that programs agree on: HTTPS_PROXY, ALL_PROXY, NO_PROXY, in upper or
 * lower case. Undefined for a direct connection; only http proxies are known.
 */
export function proxyFor(
  url: URL,
  environment: Readonly<Record<string, string | undefined>>,
): URL | undefined {
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
