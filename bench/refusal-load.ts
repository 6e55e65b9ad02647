/** Strangers of every sort, one after the other, and how long each waits for its answer (bench/README.md). */
import { connect as connectTcp, type Socket } from 'node:net';
import { native } from '../src/node/native.ts';
import { makeToken, SUBPROTOCOL } from '../src/protocol/gate.ts';
import { deviceKeys } from '../src/protocol/keys.ts';
import { accessKey, named } from './cast.ts';
import { answer } from './child.ts';
import { openTls, strangersAddress } from './links.ts';

/** What a stranger's request is refused for. */
export const REFUSED = ['plain GET', 'unknown handle', 'unknown epoch', 'wrong MAC'] as const;
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

/** Microseconds from the request to the first byte of its answer, on a connection that is up. */
async function time(port: number, kind: Refused): Promise<number> {
  const bytes = request(kind);
  const tls = openTls(port, nextAddress());
  const over = closed(tls);
  await new Promise<void>((resolve, reject) => {
    tls.once('secureConnect', resolve);
    tls.once('error', reject);
  });
  // Tickets and what else comes behind the handshake is no part of it.
  await new Promise(resolve => setTimeout(resolve, 3));
  const first = new Promise<number>(resolve => tls.once('data', () => resolve(performance.now())));
  const sentAt = performance.now();
  tls.write(bytes);
  const took = ((await first) - sentAt) * 1000;
  tls.resume();
  await over;
  return took;
}

async function timings({ port, times }: TimingRequest): Promise<Record<Refused, number[]>> {
  const all: Record<Refused, number[]> = {
    'plain GET': [],
    'unknown handle': [],
    'unknown epoch': [],
    'wrong MAC': [],
  };
  for (let i = 0; i < times; i += 1) {
    const order = [...REFUSED].map(kind => ({ kind, at: Math.random() })).sort((a, b) => a.at - b.at);
    for (const { kind } of order) all[kind].push(await time(port, kind));
  }
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
    socket.once(stage === 'TLS and a request' ? 'secureConnect' : 'connect', () => {
      if (stage === 'TCP alone') socket.end();
      else socket.write(request(stage === 'HTTP without TLS' ? 'plain GET' : 'unknown handle'));
    });
    socket.resume();
    await over;
  }
}

answer({ timings, cost });
