/** TLS connections to HTTPS stores: whom to trust, and through which proxy (spec/07-discovery.md, 7.2). */
import { isIP, type Socket } from 'node:net';
import { type ConnectionOptions, connect, type TLSSocket } from 'node:tls';
import type { StoreTrouble } from '../../discovery/store.ts';
import { sameBytes } from '../../wire/bytes.ts';
import { native } from '../native.ts';
import { bareHost, connectThrough, ProxyError, type ProxyTrouble } from '../proxy.ts';
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
    const through = proxy === undefined ? undefined : await tunnel(proxy, host, port, signal);
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

/** A connection through a proxy; its troubles are the store's. */
async function tunnel(proxy: URL, host: string, port: number, signal: AbortSignal): Promise<Socket> {
  try {
    return await connectThrough(proxy, host, port, signal);
  } catch (error) {
    if (!(error instanceof ProxyError)) throw error;
    throw new StoreError(TROUBLES[error.trouble], error.message);
  }
}

const TROUBLES: Readonly<Record<ProxyTrouble, StoreTrouble>> = {
  credentials: 'refused',
  refused: 'refused',
  target: 'unreachable',
  unreachable: 'unreachable',
  malformed: 'malformed',
};
