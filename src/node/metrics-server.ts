/** Answers an operator's Prometheus on a port of its own, on the loopback unless told otherwise (docs/operations.md). */
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { type AddressInfo, isIP } from 'node:net';

/** Where to answer. */
export interface MetricsAddress {
  readonly host: string;
  /** 0 lets the system choose. */
  readonly port: number;
}

const CONNECTIONS_MAX = 16;
const REQUEST_MS_MAX = 10_000;
const HEAD_BYTES_MAX = 8192;

/** Whether only this machine reaches an address. */
export function isLoopback(address: string): boolean {
  return /^127\./.test(address) || address === '::1';
}

/** One open port for metrics. */
export class MetricsServer {
  readonly #server: Server;
  readonly #text: () => string;

  private constructor(text: () => string) {
    this.#text = text;
    this.#server = createServer(
      { maxHeaderSize: HEAD_BYTES_MAX, requestTimeout: REQUEST_MS_MAX, headersTimeout: REQUEST_MS_MAX },
      (request, response) => this.#answer(request, response),
    );
    this.#server.maxConnections = CONNECTIONS_MAX;
  }

  /** Bind and answer; rejects with the system's error. `text` is asked at each request. */
  static open({ host, port }: MetricsAddress, text: () => string): Promise<MetricsServer> {
    const metrics = new MetricsServer(text);
    return new Promise((resolve, reject) => {
      metrics.#server.once('error', reject);
      metrics.#server.listen({ host, port, exclusive: true }, () => {
        metrics.#server.off('error', reject);
        metrics.#server.on('error', () => {});
        resolve(metrics);
      });
    });
  }

  /** The port that it listens on. */
  get port(): number {
    return (this.#server.address() as AddressInfo).port;
  }

  /** Stop answering. */
  close(): Promise<void> {
    return new Promise(resolve => {
      this.#server.close(() => resolve());
      this.#server.closeAllConnections();
    });
  }

  #answer(request: IncomingMessage, response: ServerResponse): void {
    const { method = '', url = '', headers } = request;
    const isKnown = url.split('?')[0] === '/metrics' && namesMachine(headers.host ?? '');
    if (!isKnown || (method !== 'GET' && method !== 'HEAD')) {
      response.writeHead(isKnown ? 405 : 404, { 'content-type': 'text/plain; charset=utf-8' });
      response.end(isKnown ? 'GET only\n' : 'metrics are at /metrics\n');
      return;
    }
    const body = this.#text();
    response.writeHead(200, {
      'content-type': 'text/plain; version=0.0.4; charset=utf-8',
      'content-length': Buffer.byteLength(body),
    });
    response.end(method === 'HEAD' ? '' : body);
  }
}

/** A page in a browser of this machine can make its own name lead here; then the name shows in the request. */
function namesMachine(authority: string): boolean {
  const host = authority.replace(/:\d+$/, '').replace(/^\[(.*)\]$/, '$1');
  return host === 'localhost' || isIP(host) !== 0;
}
