/** Opens TLS 1.3 to a host, checks its key, and passes the gate with a token. Chapter: spec/04-handshake.md 4.2. */

import { isIP, type Socket } from 'node:net';
import { connect, type TLSSocket } from 'node:tls';
import { WebSocket } from 'ws';
import { ErrorCode } from '../gen/clawchat/v1/error_pb.ts';
import { WIRE_RECORD_BYTES_MAX } from '../gen/constants.ts';
import type { Endpoint } from '../protocol/connection-record.ts';
import { type Fault, fault } from '../protocol/fault.ts';
import { SUBPROTOCOL } from '../protocol/gate.ts';
import { asError, systemCode } from './failure.ts';
import { native } from './native.ts';
import { connectThrough, type ProxyEnvironment, ProxyError, proxyFor } from './proxy.ts';
import { isUntrusted, UNTRUSTED_TEXT } from './untrusted.ts';

/** Where to dial, and what to check and show there. */
export interface DialOptions {
  /** Tried in this order, each a moment after the one before; the first that passes TLS gets the token. */
  readonly endpoints: readonly Place[];
  /** SHA-256 of each SubjectPublicKeyInfo that is right; none means that the system's authorities decide. */
  readonly tlsPins: readonly Uint8Array[];
  readonly token: string;
  /** Give up after this. */
  readonly timeoutMs: number;
  readonly signal: AbortSignal;
  /** Has the variables that decide on a proxy. */
  readonly environment: ProxyEnvironment;
}

/** A WebSocket that the host's gate has admitted. */
export interface Dialled {
  readonly kind: 'dialled';
  readonly socket: WebSocket;
  readonly endpoint: string;
  readonly port: number;
}

/** What the system says when it was the network, or the end of the process at the other end. */
const NETWORK_CODES: ReadonlySet<string> = new Set([
  'ECONNABORTED',
  'ECONNREFUSED',
  'ECONNRESET',
  'EHOSTDOWN',
  'EHOSTUNREACH',
  'ENETDOWN',
  'ENETRESET',
  'ENETUNREACH',
  'EPIPE',
  'ETIMEDOUT',
]);

type Place = Pick<Endpoint, 'host' | 'port'>;

/** How long an endpoint has before the next one is tried beside it. */
const STAGGER_MS = 250;

/**
 * Reach the host, or say why not. Never rejects. The token is shown to one endpoint only.
 *
 * Faults: HOST_UNREACHABLE, PROXY_REFUSED, PROXY_UNREACHABLE, TLS_FAILED, GATE_REFUSED, TIMEOUT, CANCELLED. @impl HS-001~1, HS-003~1
 */
export function dial(options: DialOptions): Promise<Dialled | Fault> {
  return new Promise(resolve => new Race(options, resolve).begin());
}

/** Several endpoints, of which one gets the token. */
class Race {
  readonly #options: DialOptions;
  readonly #resolve: (result: Dialled | Fault) => void;
  readonly #timer: NodeJS.Timeout;
  readonly #aborted = (): void => this.#end(fault('self', ErrorCode.CANCELLED, 'the attempt was given up'));
  readonly #sockets = new Set<TLSSocket>();
  /** Proxies that have been asked for a connection. */
  readonly #asked = new Set<AbortController>();
  #next = 0;
  #stagger: NodeJS.Timeout | undefined;
  /** What became of each endpoint that is over; the same for several, such as of a proxy, stands once. */
  readonly #failures = new Map<string, Fault>();
  #winner: TLSSocket | undefined;
  #over = false;

  constructor(options: DialOptions, resolve: (result: Dialled | Fault) => void) {
    this.#options = options;
    this.#resolve = resolve;
    this.#timer = setTimeout(() => this.#late(), options.timeoutMs);
    options.signal.addEventListener('abort', this.#aborted, { once: true });
  }

  begin(): void {
    if (this.#options.signal.aborted) this.#aborted();
    else this.#tryNext();
  }

  /** Name those that said nothing, and what became of the others. */
  #late(): void {
    const { endpoints, timeoutMs } = this.#options;
    const over = [...this.#failures.values()];
    const silent = endpoints.slice(0, this.#next).map(({ host, port }) => `${host} port ${port}`);
    const places = silent.filter(place => !over.some(({ detail }) => detail.startsWith(`${place}:`)));
    const others = over.length === 0 ? [] : [unreached(over).detail];
    const text = `${listText(places, ', ')}: no answer within ${timeoutMs / 1000} s`;
    this.#end(fault('time', ErrorCode.TIMEOUT, [text, ...others].join('; ')));
  }

  #tryNext(): void {
    clearTimeout(this.#stagger);
    const endpoint = this.#options.endpoints[this.#next];
    if (endpoint === undefined || this.#winner !== undefined || this.#over) {
      const isIdle = this.#sockets.size === 0 && this.#asked.size === 0;
      if (isIdle && this.#winner === undefined) this.#end(unreached([...this.#failures.values()]));
      return;
    }
    this.#next += 1;
    this.#stagger = setTimeout(() => this.#tryNext(), STAGGER_MS);
    this.#connect(endpoint);
  }

  #connect({ host, port }: Place): void {
    const authority = isIP(host) === 6 ? `[${host.split('%')[0]}]` : host;
    const url = `https://${authority}:${port}`;
    const proxy = URL.canParse(url) ? proxyFor(new URL(url), this.#options.environment) : undefined;
    if (proxy === undefined) this.#secure({ host, port }, undefined);
    else void this.#tunnel(proxy, { host, port });
  }

  /** @impl HS-040~1 */
  async #tunnel(proxy: URL, place: Place): Promise<void> {
    const asking = new AbortController();
    this.#asked.add(asking);
    try {
      // Its silence is said before the attempt as a whole is too late.
      const answerMs = this.#options.timeoutMs / 2;
      const socket = await connectThrough(proxy, place.host, place.port, asking.signal, answerMs);
      this.#asked.delete(asking);
      if (this.#over || this.#winner !== undefined) socket.destroy();
      else this.#secure(place, socket);
    } catch (error) {
      this.#asked.delete(asking);
      this.#lost(undefined, proxyFault(error));
    }
  }

  #secure({ host, port }: Place, through: Socket | undefined): void {
    const pinned = this.#options.tlsPins.length > 0;
    const tls = connect({
      ...(through === undefined ? { host, port } : { socket: through, host }),
      minVersion: 'TLSv1.3',
      ALPNProtocols: ['http/1.1'],
      // A pin says more than an authority, and a name in the hello would tell listeners which host is meant.
      rejectUnauthorized: !pinned,
      servername: pinned || isIP(host) !== 0 ? '' : host,
    });
    this.#sockets.add(tls);
    tls.setNoDelay(true);
    let connected = through !== undefined;
    let why: Fault | undefined;
    tls.once('connect', () => {
      connected = true;
    });
    tls.once('secureConnect', () => {
      if (this.#isHost(tls)) this.#win(tls, host, port);
      else {
        why = fault('peer', ErrorCode.TLS_FAILED, `${host} port ${port}: not the certificate of the record`);
        tls.destroy();
      }
    });
    tls.on('error', error => {
      const detail = `${host} port ${port}: ${systemText(error)}`;
      why ??=
        connected && !isNetwork(error)
          ? fault('peer', ErrorCode.TLS_FAILED, detail)
          : fault('network', ErrorCode.HOST_UNREACHABLE, detail);
    });
    tls.once('close', () => {
      this.#sockets.delete(tls);
      this.#lost(tls, why ?? fault('network', ErrorCode.HOST_UNREACHABLE, `${host} port ${port}: hung up`));
    });
  }

  /** @impl HS-002~1, HS-023~1 */
  #isHost(tls: TLSSocket): boolean {
    const { tlsPins } = this.#options;
    if (tlsPins.length === 0) return true;
    const spki = tls.getPeerX509Certificate()?.publicKey.export({ type: 'spki', format: 'der' });
    const hash = spki === undefined ? undefined : native.sha256(spki);
    return hash !== undefined && tlsPins.some(pin => native.equal(pin, hash));
  }

  #lost(tls: TLSSocket | undefined, why: Fault): void {
    if (this.#over) return;
    if (tls !== undefined && this.#winner === tls) {
      this.#end(why);
      return;
    }
    this.#failures.set(why.detail, why);
    this.#tryNext();
  }

  /** @impl HS-024~1 */
  #win(tls: TLSSocket, host: string, port: number): void {
    if (this.#over || this.#winner !== undefined) {
      tls.destroy();
      return;
    }
    this.#winner = tls;
    clearTimeout(this.#stagger);
    for (const other of this.#sockets) if (other !== tls) other.destroy();
    for (const asking of this.#asked) asking.abort();
    this.#upgrade(tls, host, port);
  }

  #upgrade(tls: TLSSocket, host: string, port: number): void {
    const authority = isIP(host) === 6 ? `[${host.split('%')[0]}]` : host;
    const endpoint = `${authority}:${port}`;
    // ws would open a connection of its own; it gets the one whose key was checked. The scheme is then only a name.
    const socket = new WebSocket(`ws://${endpoint}/`, [SUBPROTOCOL, this.#options.token], {
      createConnection: () => tls,
      perMessageDeflate: false,
      maxPayload: WIRE_RECORD_BYTES_MAX,
      followRedirects: false,
    });
    socket.binaryType = 'nodebuffer';
    const refuse = (detail: string): void =>
      this.#end(fault('peer', ErrorCode.GATE_REFUSED, `${endpoint} ${detail}`));
    // A host says no with an answer; who dies before it has said nothing.
    socket.on('error', error => {
      if (!isNetwork(error)) refuse('does not let this device in');
      else this.#end(fault('network', ErrorCode.HOST_UNREACHABLE, `${endpoint} hung up (${error.message})`));
    });
    socket.once('unexpected-response', (request, response) => {
      request.destroy();
      refuse(`answers ${response.statusCode}: it does not let this device in, or is not the host`);
    });
    // What the host sends right behind its 101 waits until somebody listens.
    socket.once('open', () => {
      if (this.#over) return;
      this.#over = true;
      this.#clear();
      this.#resolve({ kind: 'dialled', socket, endpoint, port });
    });
  }

  #end(why: Fault): void {
    if (this.#over) return;
    this.#over = true;
    this.#clear();
    for (const tls of this.#sockets) tls.destroy();
    for (const asking of this.#asked) asking.abort();
    this.#resolve(why);
  }

  #clear(): void {
    clearTimeout(this.#timer);
    clearTimeout(this.#stagger);
    this.#options.signal.removeEventListener('abort', this.#aborted);
  }
}

/** The end of an attempt in which every endpoint failed. That somebody else answers at one says more than that nobody does. */
function unreached(failures: readonly Fault[]): Fault {
  const last = failures.at(-1);
  if (last === undefined) return fault('network', ErrorCode.HOST_UNREACHABLE, 'the record names no endpoint');
  const foreign = failures.filter(({ code }) => code === ErrorCode.TLS_FAILED);
  const others = failures.filter(({ code }) => code !== ErrorCode.TLS_FAILED);
  const details = [...foreign, ...others].map(({ detail }) => detail);
  return { ...(foreign[0] ?? last), detail: listText(details, '; ') };
}

/** So many places are named; a record can list more. */
const NAMED_MAX = 4;

function listText(all: readonly string[], between: string): string {
  const more = all.length - NAMED_MAX;
  return [...all.slice(0, NAMED_MAX), ...(more > 0 ? [`and ${more} more`] : [])].join(between);
}

/** What people are told of the network's commonest refusals. */
const SYSTEM_TEXTS: ReadonlyMap<string, string> = new Map([
  ['ECONNREFUSED', 'nothing listens there'],
  ['ECONNRESET', 'the connection was cut'],
  ['EHOSTUNREACH', 'no way there from here'],
  ['ENETUNREACH', 'no way there from here'],
  ['ENOTFOUND', 'there is no such name'],
  ['EAI_AGAIN', 'names cannot be looked up now'],
  ['ETIMEDOUT', 'no answer'],
]);

function systemText(error: Error): string {
  const code = systemCode(error);
  if (code !== undefined && isUntrusted(code)) return `${UNTRUSTED_TEXT} (${code})`;
  const text = code === undefined ? undefined : SYSTEM_TEXTS.get(code);
  return text === undefined ? (code ?? error.message) : `${text} (${code})`;
}

/** What a proxy's trouble means for whoever wanted to get through it. @impl HS-041~1 */
function proxyFault(error: unknown): Fault {
  const detail = asError(error).message;
  const trouble = error instanceof ProxyError ? error.trouble : 'unreachable';
  switch (trouble) {
    case 'credentials':
    case 'refused':
      return fault('network', ErrorCode.PROXY_REFUSED, detail);
    case 'unreachable':
    case 'malformed':
      return fault('network', ErrorCode.PROXY_UNREACHABLE, detail);
    case 'target':
      return fault('network', ErrorCode.HOST_UNREACHABLE, detail);
  }
}

function isNetwork(error: Error): boolean {
  return NETWORK_CODES.has(systemCode(error) ?? '');
}
