/** A small HTTPS store on loopback with every fault that a server can have (spec/07-discovery.md, 7.2). */
import type { IncomingMessage, ServerResponse } from 'node:http';
import { createServer } from 'node:https';
import type { Socket } from 'node:net';
import { gzipSync } from 'node:zlib';
import { makeCertificate } from '../../src/node/certificate.ts';
import { native } from '../../src/node/native.ts';
import { closeServer, listen } from '../stores/relay.ts';
import { readBody } from './body.ts';

/** What is wrong with the server. */
export type HttpsFault =
  | { readonly kind: 'none' }
  /** Take the request, never answer. */
  | { readonly kind: 'silent' }
  /** Answer with this status and these headers, and a body of a few words. */
  | {
      readonly kind: 'status';
      readonly status: number;
      readonly headers?: Readonly<Record<string, string>>;
      readonly body?: string;
    }
  /** Send bytes without end and without a length. */
  | { readonly kind: 'endless' }
  /** Announce more than is allowed, and send nothing. */
  | { readonly kind: 'announceTooMuch' }
  /** Send a byte now and then. */
  | { readonly kind: 'drip' }
  /** Announce the whole file and cut after this many bytes. */
  | { readonly kind: 'cutBody'; readonly bytes: number }
  /** Send the file compressed. */
  | { readonly kind: 'gzip' }
  /** Answer with something that is not HTTP. */
  | { readonly kind: 'notHttp' }
  /** Give every file the same ETag. */
  | { readonly kind: 'oneEtag' };

/** One request as it came. */
export interface SeenRequest {
  readonly method: string;
  readonly path: string;
  readonly headers: IncomingMessage['headers'];
}

/** A server that listens. */
export interface HttpsEmulator {
  readonly port: number;
  /** SHA-256 of its key. */
  readonly pin: Uint8Array;
  /** Its certificate, PEM. */
  readonly certificate: string;
  /** What lies there, by path. */
  readonly files: Map<string, Uint8Array>;
  fault: HttpsFault;
  /** Where GETs are sent instead, by path. */
  readonly redirects: Map<string, string>;
  /** The only Authorization header that may write; undefined for any. */
  writeAuthorization: string | undefined;
  /** The requests since it began. */
  readonly seen: SeenRequest[];
  /** Bytes of bodies that were sent. */
  readonly sentBytes: number;
  close(): Promise<void>;
}

/** Start a server. */
export async function emulateHttps(): Promise<HttpsEmulator> {
  const { cert, key, spkiSha256 } = makeCertificate(native, Date.now());
  const sockets = new Set<Socket>();
  const state: Mutable<
    Pick<HttpsEmulator, 'files' | 'fault' | 'redirects' | 'writeAuthorization' | 'seen' | 'sentBytes'>
  > = {
    files: new Map(),
    redirects: new Map(),
    fault: { kind: 'none' },
    writeAuthorization: undefined,
    seen: [],
    sentBytes: 0,
  };
  const server = createServer({ cert, key }, (asked, answer) => {
    asked.on('error', () => {});
    answer.on('error', () => {});
    void handle(state, asked, answer);
  });
  server.on('connection', (socket: Socket) => {
    sockets.add(socket);
    socket.on('error', () => {});
    socket.on('close', () => sockets.delete(socket));
  });
  server.on('tlsClientError', () => {});
  const port = await listen(server);
  return Object.assign(state, {
    port,
    pin: spkiSha256,
    certificate: cert,
    close: () => closeServer(server, sockets),
  });
}

type Mutable<T> = { -readonly [K in keyof T]: T[K] };
type State = Mutable<
  Pick<HttpsEmulator, 'files' | 'fault' | 'redirects' | 'writeAuthorization' | 'seen' | 'sentBytes'>
>;

async function handle(state: State, asked: IncomingMessage, answer: ServerResponse): Promise<void> {
  const { method = '', url: path = '', headers } = asked;
  state.seen.push({ method, path, headers });
  const { fault } = state;
  if (fault.kind === 'silent') return;
  if (fault.kind === 'status') {
    asked.resume();
    answer.writeHead(fault.status, fault.headers).end(fault.body ?? 'no');
    return;
  }
  if (fault.kind === 'notHttp') {
    asked.socket.end('+OK this is not HTTP\r\n');
    return;
  }
  const location = method === 'GET' ? state.redirects.get(path) : undefined;
  if (location !== undefined) answer.writeHead(302, { location }).end();
  else if (method === 'GET') give(state, asked, answer);
  else await take(state, asked, answer);
}

function give(state: State, asked: IncomingMessage, answer: ServerResponse): void {
  const { fault } = state;
  const file = state.files.get(asked.url ?? '');
  switch (fault.kind) {
    case 'endless':
      pour(state, answer);
      return;
    case 'announceTooMuch':
      answer.writeHead(200, { 'content-length': String(2 ** 40) });
      answer.flushHeaders();
      return;
    case 'drip': {
      answer.writeHead(200);
      const timer = setInterval(() => answer.write('x'), 20);
      answer.on('close', () => clearInterval(timer));
      return;
    }
    case 'cutBody':
      answer.writeHead(200, { 'content-length': String(file?.length ?? 0) });
      answer.write(file?.subarray(0, fault.bytes) ?? '', () => asked.socket.destroy());
      return;
    case 'gzip':
      answer.writeHead(200, { 'content-encoding': 'gzip' }).end(gzipSync(file ?? ''));
      return;
  }
  if (file === undefined) {
    answer.writeHead(404).end('nothing here');
    return;
  }
  const etag =
    fault.kind === 'oneEtag' ? '"one"' : `"${Buffer.from(native.sha256(file)).toString('hex').slice(0, 16)}"`;
  if (asked.headers['if-none-match'] === etag) answer.writeHead(304, { etag }).end();
  else answer.writeHead(200, { etag, 'content-length': String(file.length) }).end(file);
}

function pour(state: State, answer: ServerResponse): void {
  answer.writeHead(200);
  const part = Buffer.alloc(16 * 1024);
  const more = (): void => {
    while (!answer.destroyed) {
      state.sentBytes += part.length;
      if (!answer.write(part)) break;
    }
  };
  answer.on('drain', more);
  more();
}

async function take(state: State, asked: IncomingMessage, answer: ServerResponse): Promise<void> {
  const body = await readBody(asked);
  // A writer that died leaves what lay there.
  if (body === undefined) return;
  const { writeAuthorization, files } = state;
  if (writeAuthorization !== undefined && asked.headers.authorization !== writeAuthorization) {
    answer.writeHead(401).end('who are you');
    return;
  }
  files.set(asked.url ?? '', Uint8Array.from(body));
  answer.writeHead(204).end();
}
