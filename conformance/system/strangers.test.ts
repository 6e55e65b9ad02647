import { readFileSync } from 'node:fs';
import type { AddressInfo } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { createServer } from 'node:tls';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { WebSocket } from 'ws';
import { ErrorCode } from '../../src/gen/clawchat/v1/error_pb.ts';
import { makeCertificate } from '../../src/node/certificate.ts';
import { dial } from '../../src/node/dial.ts';
import { strangersAnswer } from '../../src/node/http/answer.ts';
import { native } from '../../src/node/native.ts';
import type { AccessKey } from '../../src/protocol/connection-record.ts';
import { isFault } from '../../src/protocol/fault.ts';
import { makeToken } from '../../src/protocol/gate.ts';
import { parseInviteText } from '../../src/protocol/invite.ts';
import { deviceKeys, inviteKeys } from '../../src/protocol/keys.ts';
import { HELLO, WireEnd } from '../vectors/wire-end.ts';
import { handshakeOf, type JoinedMember, memberOf, must } from './device-end.ts';
import { Place, type Running } from './programs.ts';
import { differing, look, type Sight, upgrade } from './strangers.ts';

const place = new Place();
let host: Running;
let port = 0;

function token(gateKey: Uint8Array, accessKey: AccessKey): string {
  return makeToken(native, { gateKey, accessKey, message1: native.randomBytes(48) });
}

function gateKeyOf(invite: string): Uint8Array {
  const parsed = parseInviteText(native, invite);
  if (isFault(parsed)) throw new Error(parsed.detail);
  return inviteKeys(native, parsed.secret).gateKey;
}

/** A device that passed the gate and has read message 2. */
interface Half {
  readonly socket: WebSocket;
  readonly message3: Uint8Array;
  readonly end: WireEnd;
}

/** Pass the gate as a device, and read message 2. */
async function knock(member: JoinedMember): Promise<Half> {
  const { record } = must(member.held.newest);
  const handshake = handshakeOf(member);
  const { endpoints, tlsPins } = record;
  const { signal } = new AbortController();
  const about = { endpoints, tlsPins, timeoutMs: 10_000, signal, environment: {} };
  const { socket } = must(await dial({ ...about, token: handshake.token }));
  const message2 = await new Promise<Buffer>(resolve => socket.once('message', resolve));
  const { message3, split } = must(handshake.finish(message2));
  return { socket, message3, end: new WireEnd(split) };
}

/** Pass the handshake too, and take the host's Hello. */
async function enter(member: JoinedMember): Promise<Half> {
  const half = await knock(member);
  const { socket, message3, end } = half;
  const hello = new Promise<Buffer>(resolve => socket.once('message', resolve));
  socket.send(message3);
  socket.send(end.seal(HELLO));
  expect(end.open(await hello)).toMatchObject([{ kind: 'hello' }]);
  return half;
}

beforeAll(async () => {
  host = await place.host(place.path('A'));
  port = Number(/port (\d+)/.exec(host.lines[0] ?? '')?.[1]);
});
afterAll(() => place.clean());

describe('a stranger', () => {
  it('sees the same bytes and the same end whatever it tries (HS-005~3, GT-002, EN-030, IN-002)', async () => {
    const data = place.path('A');
    const used = await place.ok('clawchatd', ['invite', '--data', data]);
    await place.ok('clawchat', ['join', '-', '--data', place.path('B')], used);
    await place.join(data, place.path('R'), 'revoked');
    await place.ok('clawchatd', ['revoke', 'revoked', '--data', data]);
    const expired = await place.ok('clawchatd', ['invite', '--data', data, '--expires', '1s']);
    const [device, revoked] = await Promise.all([memberOf(place.path('B')), memberOf(place.path('R'))]);
    const accessKey = device.held.newest?.record.accessKeys[0];
    if (accessKey === undefined) throw new Error('no access key');
    const { gateKey } = deviceKeys(native, device.deviceSecret);
    const right = token(gateKey, accessKey);
    await sleep(2500);

    const requests: Record<string, string | Uint8Array> = {
      'plain GET': 'GET / HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n',
      'GET of a path': 'GET /admin HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n',
      'HTTP/1.0': 'GET / HTTP/1.0\r\n\r\n',
      POST: 'POST / HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 5\r\n\r\nhello',
      'another protocol': upgrade(right).replace('clawchat.v1', 'chat'),
      'no key': upgrade(right).replace(/Sec-WebSocket-Key[^\r]+\r\n/, ''),
      'no token': upgrade('A'),
      'unknown handle': upgrade(token(native.randomBytes(32), accessKey)),
      'wrong epoch': upgrade(token(gateKey, { ...accessKey, epoch: accessKey.epoch + 1 })),
      'wrong access key': upgrade(token(gateKey, { ...accessKey, key: native.randomBytes(32) })),
      'wrong MAC': upgrade(right.slice(0, -3) + (right.endsWith('AAA') ? 'BBB' : 'AAA')),
      'right MAC around garbage': upgrade(right),
      'revoked device': upgrade(token(deviceKeys(native, revoked.deviceSecret).gateKey, accessKey)),
      'used invite': upgrade(token(gateKeyOf(used), accessKey)),
      'expired invite': upgrade(token(gateKeyOf(expired), accessKey)),
    };
    const sights = new Map<string, Sight>();
    for (const [name, request] of Object.entries(requests)) sights.set(name, await look(port, request));
    expect(differing(sights)).toEqual([]);
    const [first] = sights.values();
    expect(first?.bytes).toMatch(/^HTTP\/1\.1 404 Not Found\r\n/);
    expect(first?.events).toEqual(['secure TLSv1.3 false', 'end', 'close false']);
    // Each was refused for its own reason, which only the host knows.
    const reasons = host.stderr();
    for (const reason of [
      'handle_unknown',
      'epoch_unknown',
      'mac_wrong',
      'handshake_failed',
      'token_unreadable',
    ]) {
      expect(reasons).toContain(`"reason":"${reason}"`);
    }
  });

  it('would tell hosts apart by one byte, and this test would say so', async () => {
    const { key, cert } = makeCertificate(native, Date.now());
    const right = strangersAnswer({ status: 404, shape: 'whole', isPadded: false }, new Date());
    const answers = [right, right.replace('nginx', 'nginy')];
    const sights = new Map<string, Sight>();
    for (const [i, answer] of answers.entries()) {
      const server = createServer(
        { key, cert, minVersion: 'TLSv1.3', ALPNProtocols: ['http/1.1'] },
        socket => {
          socket.once('data', () => socket.end(answer));
        },
      );
      await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve));
      sights.set(String(i), await look((server.address() as AddressInfo).port, upgrade('A')));
      server.close();
    }
    sights.set('host', await look(port, upgrade('A')));
    expect(differing(sights)).toEqual(['1']);
  });

  it('is whoever sends something else than message 3: cut without a word (HS-006~1, HS-012~1, HS-018~1, ER-003~1)', async () => {
    const member = await memberOf(place.path('B'));
    const wrong: Record<string, (half: Half) => Uint8Array | string> = {
      'a text': () => 'hello',
      'message 3 as a text': ({ message3 }) => Buffer.from(message3).toString('latin1'),
      nothing: () => new Uint8Array(0),
      'a byte less': ({ message3 }) => message3.subarray(1),
      'a byte more': ({ message3 }) => Buffer.concat([message3, Buffer.of(0)]),
      'random bytes': () => native.randomBytes(64),
      'more than a record': () => new Uint8Array(65_536),
    };
    const ends: Record<string, unknown> = {};
    for (const [name, make] of Object.entries(wrong)) {
      const half = await knock(member);
      const { socket } = half;
      const heard: unknown[] = [];
      socket.on('message', data => heard.push(data));
      // Reset or ended, as the system has it: what counts is that no Close frame came, which would have another code.
      socket.on('error', () => {});
      const closed = new Promise<number>(resolve => socket.once('close', code => resolve(code)));
      socket.send(make(half));
      ends[name] = { code: await closed, heard };
    }
    const cut = { code: 1006, heard: [] };
    expect(ends).toEqual(Object.fromEntries(Object.keys(wrong).map(name => [name, cut])));
    expect(host.stderr()).toContain('"reason":"handshake_failed"');
    // The same device is let in when it does what it should.
    const { socket } = await enter(member);
    socket.terminate();
  });

  it('is what a member becomes that sends a text message (HS-006~1)', async () => {
    const { socket, end } = await enter(await memberOf(place.path('B')));
    // The host has said Hello by now, so it waits for nothing but an Attach, whose end would be a Close.
    const frames: string[] = [];
    socket.on('message', (record: Buffer) => frames.push(...end.open(record).map(({ kind }) => kind)));
    const closed = new Promise<number>(resolve => socket.once('close', code => resolve(code)));
    socket.send('hello');
    expect(await closed).toBe(1006);
    expect(frames).toEqual([]);
  });

  it('is told why when it is one no more: a Close frame, and always the same close code (ER-004~2, SE-080)', async () => {
    const { socket, end } = await enter(await memberOf(place.path('B')));
    const frames: unknown[] = [];
    socket.on('message', (record: Buffer) => frames.push(...end.open(record)));
    const closed = new Promise<number>(resolve => socket.once('close', code => resolve(code)));
    // A second Hello comes where it may not.
    socket.send(end.seal(HELLO));
    expect(await closed).toBe(1000);
    expect(frames).toMatchObject([{ kind: 'close', code: ErrorCode.FRAME_UNEXPECTED, resumable: false }]);
  });

  it('learns no secret from the log (LI-007)', () => {
    const log = host.stderr();
    const key = readFileSync(place.path('A', 'data.key'));
    for (const form of [key.toString('hex'), key.toString('base64')]) expect(log).not.toContain(form);
    expect(log).not.toMatch(/clawchat1[0-9a-z]{20}/);
  });
});
