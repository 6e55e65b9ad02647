/** The load: opens connections of one kind and exchanges messages on them (bench/README.md). */
import { native } from '../src/node/native.ts';
import { SUBPROTOCOL } from '../src/protocol/gate.ts';
import { answer } from './child.ts';
import type { Place } from './host.ts';
import { type Kind, type Link, openLink, openTls, strangersAddress } from './links.ts';

/** Open connections `from` to `from + count - 1`. */
export interface OpenRequest {
  readonly kind: Kind;
  readonly place: Place;
  readonly from: number;
  readonly count: number;
}

/** Exchange that many messages over all connections, `inFlight` at a time on each. */
export interface ExchangeRequest {
  readonly kind: Kind;
  readonly bytes: number;
  readonly inFlight: number;
  readonly messages: number;
}

/** What was seen of it. */
export interface Exchanged {
  readonly messages: number;
  readonly elapsedMs: number;
  /** Median time from sending a message to its echo. Defined for one in flight. */
  readonly p50Us: number | undefined;
}

/** Come as a stranger. */
export interface StrangersRequest {
  readonly place: Place;
  readonly from: number;
  readonly count: number;
  /** Leave right behind the TLS handshake. */
  readonly isSilent: boolean;
}

const all = new Map<Kind, Link[]>();
/** epoch(8) || handle(16) || message 1 || mac(16). */
const TOKEN_BYTES = 88;
/** Connections are opened this many at a time. */
const OPENING_MAX = 16;

async function inTurns<T>(count: number, each: (index: number) => Promise<T>): Promise<T[]> {
  const results: T[] = [];
  let next = 0;
  const worker = async (): Promise<void> => {
    while (next < count) {
      const index = next++;
      results[index] = await each(index);
    }
  };
  await Promise.all(Array.from({ length: Math.min(OPENING_MAX, count) }, worker));
  return results;
}

async function open(request: OpenRequest): Promise<void> {
  const links = await inTurns(request.count, i => openLink(request.kind, request.place, request.from + i));
  all.set(request.kind, [...(all.get(request.kind) ?? []), ...links]);
}

async function close(which: Kind): Promise<void> {
  await Promise.all((all.get(which) ?? []).map(link => link.close()));
  all.delete(which);
}

function exchange({ kind, bytes, inFlight, messages }: ExchangeRequest): Promise<Exchanged> {
  const links = all.get(kind) ?? [];
  const message = new Uint8Array(bytes).fill(7);
  const perLink = Math.ceil(messages / links.length);
  const times: number[] = [];
  const startedAt = performance.now();
  return new Promise(resolve => {
    let finished = 0;
    for (const link of links) {
      let sent = 0;
      let echoed = 0;
      let sentAt = 0;
      const send = (): void => {
        if (sent >= perLink) return;
        sent += 1;
        if (inFlight === 1) sentAt = performance.now();
        link.send(message);
      };
      link.onMessage = () => {
        if (inFlight === 1) times.push(performance.now() - sentAt);
        echoed += 1;
        if (echoed < perLink) send();
        else if (++finished === links.length) {
          const p50Us =
            inFlight === 1 ? (times.sort((a, b) => a - b)[times.length >> 1] ?? 0) * 1000 : undefined;
          resolve({ messages: perLink * links.length, elapsedMs: performance.now() - startedAt, p50Us });
        }
      };
      for (let i = 0; i < inFlight; i += 1) send();
    }
  });
}

/** Resolve when each connection has one message more. */
function receive(kind: Kind): Promise<number> {
  const links = all.get(kind) ?? [];
  return new Promise(resolve => {
    let finished = 0;
    for (const link of links) {
      link.onMessage = () => {
        finished += 1;
        if (finished === links.length) resolve(finished);
      };
    }
  });
}

/** A request as a client makes it, with a token that nobody gave out. */
function strangersRequest(path: string): string {
  const token = Buffer.from(native.randomBytes(TOKEN_BYTES)).toString('base64url');
  return [
    `GET ${path} HTTP/1.1`,
    'Host: 127.0.0.1',
    'Connection: Upgrade',
    'Upgrade: websocket',
    'Sec-WebSocket-Version: 13',
    `Sec-WebSocket-Key: ${Buffer.from(native.randomBytes(16)).toString('base64')}`,
    `Sec-WebSocket-Protocol: ${SUBPROTOCOL}, ${token}`,
    '',
    '',
  ].join('\r\n');
}

/** Be refused by TLS and HTTP, or only see TLS when `isSilent`. Gives the first lines of the answers. */
async function strangers({ place, from, count, isSilent }: StrangersRequest): Promise<readonly string[]> {
  const answers = await inTurns(count, i => {
    const tls = openTls(place.port, strangersAddress(from + i));
    return new Promise<string>((resolve, reject) => {
      let text = '';
      tls.on('secureConnect', () => {
        if (isSilent) tls.end();
        else tls.write(strangersRequest(place.envelope.length > 0 ? '/' : '/stranger'));
      });
      tls.on('data', (data: Buffer) => {
        text += data.toString('latin1');
      });
      tls.on('error', reject);
      tls.on('close', () => resolve(text.split('\r\n')[0] ?? ''));
    });
  });
  return [...new Set(answers)];
}

answer({ open, close, exchange, receive, strangers });
