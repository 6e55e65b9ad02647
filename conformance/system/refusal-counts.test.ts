/** Every way to be refused that one machine can go, walked a known number of times, and the host's count of each. */
import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import type { TLSSocket } from 'node:tls';
import { afterAll, beforeAll, expect, it, vi } from 'vitest';
import { openTls } from '../../bench/links.ts';
import { ADDRESS_TOKENS_MAX, PREAUTH_BYTES_MAX } from '../../src/gen/constants.ts';
import { REFUSALS, type Refusal } from '../../src/node/host/counts.ts';
import { native } from '../../src/node/native.ts';
import { metrics } from '../attack/metrics.ts';
import { handshakeOf, type JoinedMember, memberOf } from './device-end.ts';
import { logged } from './host-log.ts';
import { Place } from './programs.ts';
import { upgrade } from './strangers.ts';

const place = new Place();
let port = 0;
let metricsPort = 0;
let member: JoinedMember;
let addresses = 0;

beforeAll(async () => {
  const host = await place.host(place.path('A'), ['--metrics', '127.0.0.1:0']);
  port = Number(/port (\d+)/.exec(host.lines[0] ?? '')?.[1]);
  metricsPort = logged(host, 'metrics-open')[0]?.port ?? 0;
  await place.join(place.path('A'), place.path('B'));
  member = await memberOf(place.path('B'));
});
afterAll(() => place.clean());

async function counts(): Promise<Readonly<Record<string, number>>> {
  const found = await metrics(metricsPort);
  return Object.fromEntries(
    Object.keys(REFUSALS).map(reason => [
      reason,
      found.get(`clawchat_refused_total{reason="${reason}"}`) ?? -1,
    ]),
  );
}

function nextAddress(): string {
  addresses += 1;
  return `127.201.${addresses >> 7}.${1 + (addresses & 127)}`;
}

/** A connection from an address that is used once, and when it is over. */
function plain(): Promise<Socket> {
  const socket = connect({ port, host: '127.0.0.1', localAddress: nextAddress() });
  socket.on('error', () => {}).resume();
  return once(socket, 'connect').then(() => socket);
}

/** TLS with a request; gives the first line of the answer. */
async function request(text: string): Promise<{ readonly tls: TLSSocket; readonly line: string }> {
  const tls = openTls(port, nextAddress());
  tls.on('error', () => {});
  tls.write(text);
  const [piece] = (await once(tls, 'data')) as [Buffer];
  return { tls, line: piece.toString('latin1').split('\r\n')[0] ?? '' };
}

const closed = (socket: Socket): Promise<unknown> =>
  socket.closed ? Promise.resolve() : once(socket, 'close');

/** Present a token and be refused. */
async function refused(token: string): Promise<void> {
  const { tls, line } = await request(upgrade(token));
  expect(line).toBe('HTTP/1.1 404 Not Found');
  await closed(tls);
}

/** A fresh token passes the gate. */
async function admitted(): Promise<TLSSocket> {
  const { tls, line } = await request(upgrade(handshakeOf(member).token));
  expect(line).toBe('HTTP/1.1 101 Switching Protocols');
  return tls;
}

/** A client's binary frame, its mask zero. */
function frame(length: number): Buffer {
  const head = length < 126 ? [0x82, 0x80 | length] : [0x82, 0xfe, length >> 8, length & 0xff];
  return Buffer.concat([Buffer.of(...head), Buffer.alloc(4 + length)]);
}

/** A token of the member with these bytes changed from `at` on. */
function changed(at: number, bytes: Uint8Array): string {
  const token = Buffer.from(handshakeOf(member).token, 'base64url');
  token.set(bytes, at);
  return token.toString('base64url');
}

it('counts each refusal under its own reason, as often as it happened (LI-009~1, GT-007~1)', async () => {
  const expected = { late: 0, gave_up: 0 } as Record<Refusal, number>;

  const late = await Promise.all([plain(), plain(), plain()]);
  expected.late = late.length;

  for (let i = 0; i < 2; i += 1) (await plain()).end();
  expected.gave_up = 2;

  for (const text of ['GET / HTTP/1.1\r\nHost: x\r\n\r\n', 'nonsense\r\n\r\n']) {
    const { tls } = await request(text);
    await closed(tls);
  }
  expected.no_upgrade = 1;
  expected.not_http = 1;

  const { token } = handshakeOf(member);
  await refused('A');
  await refused(changed(0, Buffer.from('00000000ffffffff', 'hex')));
  await refused(changed(8, native.randomBytes(16)));
  await refused(changed(80, native.randomBytes(8)));
  expected.token_unreadable = 1;
  expected.epoch_unknown = 1;
  expected.handle_unknown = 1;
  expected.mac_wrong = 1;

  // The first time it opens the gate, and whoever recorded it has no message 3.
  const { tls: first } = await request(upgrade(token));
  first.write(frame(64));
  await closed(first);
  for (let i = 0; i < 3; i += 1) await refused(token);
  expected.handshake_failed = 1;
  expected.token_seen = 3;

  const talkative = await admitted();
  talkative.write(frame(20_000).subarray(0, PREAUTH_BYTES_MAX + 1));
  await closed(talkative);
  expected.too_many_bytes = 1;

  let limited = 0;
  while (limited === 0) {
    const tries = Array.from({ length: 16 }, () => request(upgrade(handshakeOf(member).token)));
    for (const { tls, line } of await Promise.all(tries)) {
      if (line.includes(' 404 ')) limited += 1;
      // Whoever passes and says nothing else gives up.
      else {
        expected.gave_up += 1;
        tls.destroy();
      }
      await closed(tls);
    }
  }
  expected.handle_limit = limited;

  const where = { port, host: '127.0.0.1', localAddress: '127.202.0.1' };
  const many = Array.from({ length: 2 * ADDRESS_TOKENS_MAX }, () => connect(where));
  for (const socket of many) socket.on('error', () => {}).resume();
  // Those that are let in say nothing, and are late in the end.
  await Promise.all([...many, ...late].map(closed));
  const { address_limit: cut = 0 } = await counts();
  expect(cut).toBeGreaterThan(0);
  expect(cut).toBeLessThanOrEqual(ADDRESS_TOKENS_MAX);
  expected.address_limit = cut;
  expected.late += many.length - cut;

  // The last ends are counted when the host has heard of them.
  const all = Object.fromEntries(Object.keys(REFUSALS).map(reason => [reason, 0]));
  await vi.waitFor(async () => expect(await counts()).toEqual({ ...all, ...expected }), { timeout: 60_000 });
});
