/** Strangers of every sort, one after the other, and how long each waits for its answer (bench/README.md). */
import { connect as connectTcp, type Socket } from 'node:net';
import { native } from '../src/node/native.ts';
import { makeToken, SUBPROTOCOL } from '../src/protocol/gate.ts';
import { deviceKeys } from '../src/protocol/keys.ts';
import { accessKey, named } from './cast.ts';
import { answer } from './child.ts';
import { openTls, strangersAddress } from './links.ts';

/** What a stranger's request is refused for. */
const REFUSED = ['plain GET', 'unknown handle', 'unknown epoch', 'wrong MAC'] as const;
export type Refused = (typeof REFUSED)[number];

/** One of each, that many times, in an order that is drawn anew each time. */
export interface TimingRequest {
  readonly port: number;
  readonly times: number;
}

/** How far a stranger gets that costs the host something. */
export type Stage = 'TCP alone' | 'HTTP without TLS' | 'TLS and a request';

/** So many strangers of one sort. */
export interface CostRequest {
  readonly port: number;
  readonly stage: Stage;
  readonly count: number;
}

/** Of the requests of each sort, how many may have no answer. */
const CUT_MAX = 0.1;

/** Addresses that were used: a host counts by address. */
let used = 0;

function nextAddress(): string {
  used += 1;
  return strangersAddress(used);
}

function request(kind: Refused): string {
  const { gateKey } = deviceKeys(native, named('device secret 0'));
  const about = { gateKey, accessKey, message1: native.randomBytes(48) };
  let token = makeToken(native, about);
  if (kind === 'unknown handle') token = makeToken(native, { ...about, gateKey: native.randomBytes(32) });
  if (kind === 'unknown epoch') {
    token = makeToken(native, { ...about, accessKey: { ...accessKey, epoch: accessKey.epoch + 1 } });
  }
  // The last letter but one is of the MAC alone.
  if (kind === 'wrong MAC') token = `${token.slice(0, 116)}${token[116] === 'A' ? 'B' : 'A'}${token[117]}`;
  const key = Buffer.from(native.randomBytes(16)).toString('base64');
  const upgrade = [
    'GET / HTTP/1.1',
    'Host: 127.0.0.1',
    'Connection: Upgrade',
    'Upgrade: websocket',
    'Sec-WebSocket-Version: 13',
    `Sec-WebSocket-Key: ${key}`,
    `Sec-WebSocket-Protocol: ${SUBPROTOCOL}, ${token}`,
    '',
    '',
  ].join('\r\n');
  // Of the same length: what a longer head takes is what it takes everywhere.
  return kind === 'plain GET' ? upgrade.replace(/^(\w+): Upgrade|Sec-WebSocket/gm, plainName) : upgrade;
}

function plainName(name: string): string {
  return name === 'Sec-WebSocket' ? 'Sec-Something' : 'Connection: close  ';
}

function closed(socket: Socket): Promise<void> {
  return new Promise(resolve => socket.once('close', () => resolve()));
}

/** Microseconds from the request to the first byte of its answer, on a connection that is up; undefined if it was cut. */
async function time(port: number, kind: Refused): Promise<number | undefined> {
  const bytes = request(kind);
  const tls = openTls(port, nextAddress());
  const over = closed(tls);
  tls.on('error', () => {});
  const isUp = await Promise.race([
    new Promise<boolean>(resolve => tls.once('secureConnect', () => resolve(true))),
    over.then(() => false),
  ]);
  if (!isUp) return undefined;
  // Tickets and what else comes behind the handshake is no part of it.
  await new Promise(resolve => setTimeout(resolve, 3));
  const first = new Promise<number>(resolve => tls.once('data', () => resolve(performance.now())));
  const sentAt = performance.now();
  tls.write(bytes);
  const answeredAt = await Promise.race([first, over]);
  tls.resume();
  await over;
  return answeredAt === undefined ? undefined : (answeredAt - sentAt) * 1000;
}

async function timings({ port, times }: TimingRequest): Promise<Record<Refused, number[]>> {
  const all: Record<Refused, number[]> = {
    'plain GET': [],
    'unknown handle': [],
    'unknown epoch': [],
    'wrong MAC': [],
  };
  let cut = 0;
  for (let i = 0; i < times; i += 1) {
    const order = [...REFUSED].map(kind => ({ kind, at: Math.random() })).sort((a, b) => a.at - b.at);
    for (const { kind } of order) {
      const us = await time(port, kind);
      if (us === undefined) cut += 1;
      else all[kind].push(us);
    }
  }
  // A host that has too much to do cuts off who is late; when that is more than a few, nothing was measured.
  if (cut > CUT_MAX * times) throw new Error(`${cut} of ${REFUSED.length * times} requests had no answer`);
  return all;
}

async function cost({ port, stage, count }: CostRequest): Promise<void> {
  for (let i = 0; i < count; i += 1) {
    const localAddress = nextAddress();
    const socket =
      stage === 'TLS and a request'
        ? openTls(port, localAddress)
        : connectTcp({ port, host: '127.0.0.1', localAddress });
    const over = closed(socket);
    socket.on('error', () => {});
    socket.once(stage === 'TLS and a request' ? 'secureConnect' : 'connect', () => {
      if (stage === 'TCP alone') socket.end();
      else socket.write(request(stage === 'HTTP without TLS' ? 'plain GET' : 'unknown handle'));
    });
    socket.resume();
    await over;
  }
}

answer({ timings, cost });
