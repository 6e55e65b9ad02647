/** Opens TLS 1.3 to a host, checks its key, and passes the gate with a token. Chapter: spec/04-handshake.md 4.2. */

import { isIP } from 'node:net';
import { connect, type TLSSocket } from 'node:tls';
import { WebSocket } from 'ws';
import { ErrorCode } from '../gen/clawchat/v1/error_pb.ts';
import { WIRE_RECORD_BYTES_MAX } from '../gen/constants.ts';
import { type Fault, fault } from '../protocol/fault.ts';
import { SUBPROTOCOL } from '../protocol/gate.ts';
import { systemCode } from './failure.ts';
import { native } from './native.ts';

/** Where to dial, and what to check and show there. */
export interface DialOptions {
  readonly host: string;
  readonly port: number;
  /** SHA-256 of each SubjectPublicKeyInfo that is right; none means that the system's authorities decide. */
  readonly tlsPins: readonly Uint8Array[];
  readonly token: string;
  /** Give up after this. */
  readonly timeoutMs: number;
  readonly signal: AbortSignal;
}

/** Open a WebSocket that the host's gate has admitted, or say why not. Never rejects. @impl HS-001~1, HS-003~1 */
export function dial(options: DialOptions): Promise<WebSocket | Fault> {
  return new Promise(resolve => {
    const attempt = new Attempt(options, result => resolve(result));
    attempt.begin();
  });
}

class Attempt {
  readonly #options: DialOptions;
  readonly #resolve: (result: WebSocket | Fault) => void;
  readonly #timer: NodeJS.Timeout;
  readonly #aborted = (): void => this.#fail(fault('self', ErrorCode.CANCELLED, 'the attempt was given up'));
  #tls: TLSSocket | undefined;
  #over = false;

  constructor(options: DialOptions, resolve: (result: WebSocket | Fault) => void) {
    this.#options = options;
    this.#resolve = resolve;
    const late = fault('time', ErrorCode.TIMEOUT, `no answer within ${options.timeoutMs} ms`);
    this.#timer = setTimeout(() => this.#fail(late), options.timeoutMs);
    options.signal.addEventListener('abort', this.#aborted, { once: true });
  }

  begin(): void {
    const { host, port, tlsPins, signal } = this.#options;
    if (signal.aborted) {
      this.#aborted();
      return;
    }
    const pinned = tlsPins.length > 0;
    const tls = connect({
      host,
      port,
      minVersion: 'TLSv1.3',
      ALPNProtocols: ['http/1.1'],
      // A pin says more than an authority, and a name in the hello would tell listeners which host is meant.
      rejectUnauthorized: !pinned,
      servername: pinned || isIP(host) !== 0 ? '' : host,
    });
    this.#tls = tls;
    tls.setNoDelay(true);
    let connected = false;
    tls.once('connect', () => {
      connected = true;
    });
    tls.once('secureConnect', () => this.#secured(tls));
    tls.on('error', error => {
      const where = `${host} port ${port}`;
      const code = systemCode(error) ?? error.message;
      if (!connected) this.#fail(fault('network', ErrorCode.HOST_UNREACHABLE, `${where}: ${code}`));
      else this.#fail(fault('peer', ErrorCode.TLS_FAILED, `${where}: ${code}`));
    });
    tls.once('close', () => this.#fail(fault('network', ErrorCode.HOST_UNREACHABLE, 'the connection ended')));
  }

  /** @impl HS-002~1 */
  #secured(tls: TLSSocket): void {
    const { tlsPins } = this.#options;
    if (tlsPins.length > 0) {
      const spki = tls.getPeerX509Certificate()?.publicKey.export({ type: 'spki', format: 'der' });
      const hash = spki === undefined ? undefined : native.sha256(spki);
      if (hash === undefined || !tlsPins.some(pin => native.equal(pin, hash))) {
        this.#fail(
          fault('peer', ErrorCode.TLS_FAILED, 'the certificate is not the one that the record names'),
        );
        return;
      }
    }
    this.#upgrade(tls);
  }

  #upgrade(tls: TLSSocket): void {
    const { host, port, token } = this.#options;
    const authority = isIP(host) === 6 ? `[${host.split('%')[0]}]` : host;
    // ws would open a connection of its own; it gets the one whose key was checked. The scheme is then only a name.
    const websocket = new WebSocket(`ws://${authority}:${port}/`, [SUBPROTOCOL, token], {
      createConnection: () => tls,
      perMessageDeflate: false,
      maxPayload: WIRE_RECORD_BYTES_MAX,
      followRedirects: false,
    });
    websocket.binaryType = 'nodebuffer';
    websocket.on('error', () => {
      this.#fail(fault('peer', ErrorCode.GATE_REFUSED, `${host} port ${port} does not let this device in`));
    });
    websocket.once('unexpected-response', (request, response) => {
      response.destroy();
      request.destroy();
      const status = response.statusCode ?? 0;
      const detail = `${host} port ${port} answers ${status}: it does not let this device in, or is not the host`;
      this.#fail(fault('peer', ErrorCode.GATE_REFUSED, detail));
    });
    websocket.once('open', () => {
      if (websocket.protocol === SUBPROTOCOL) this.#succeed(websocket);
      else this.#fail(fault('peer', ErrorCode.GATE_REFUSED, `${host} port ${port} is not a ClawChat host`));
    });
  }

  #succeed(websocket: WebSocket): void {
    if (this.#over) return;
    this.#end();
    this.#resolve(websocket);
  }

  #fail(why: Fault): void {
    if (this.#over) return;
    this.#end();
    this.#tls?.on('error', () => {});
    this.#tls?.destroy();
    this.#resolve(why);
  }

  #end(): void {
    this.#over = true;
    clearTimeout(this.#timer);
    this.#options.signal.removeEventListener('abort', this.#aborted);
  }
}
