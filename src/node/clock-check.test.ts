import { createSocket, type Socket } from 'node:dgram';
import type { AddressInfo } from 'node:net';
import { afterEach, expect, it } from 'vitest';
import { clockOffset } from './clock-check.ts';

const sockets: Socket[] = [];
afterEach(() => {
  for (const socket of sockets.splice(0)) socket.close();
});

/** A time server whose clock is `offMs` ahead of this machine's; `change` may spoil its answer. */
async function server(offMs: number, change: (answer: Buffer) => Buffer = answer => answer): Promise<string> {
  const socket = createSocket('udp4');
  sockets.push(socket);
  socket.on('message', (asked, peer) => {
    const answer = Buffer.alloc(48);
    answer[0] = 0x24;
    answer[1] = 2;
    asked.copy(answer, 24, 40, 48);
    for (const at of [32, 40]) {
      const now = Date.now() + offMs;
      answer.writeUInt32BE(Math.floor(now / 1000) + 2_208_988_800, at);
      answer.writeUInt32BE(Math.floor(((now % 1000) / 1000) * 2 ** 32), at + 4);
    }
    const sent = change(answer);
    if (sent.length > 0) socket.send(sent, peer.port, peer.address);
  });
  await new Promise<void>(resolve => socket.bind(0, '127.0.0.1', resolve));
  return `127.0.0.1:${(socket.address() as AddressInfo).port}`;
}

it('says by how much the clock is off, with its sign', async () => {
  for (const offMs of [0, 90_000, -400_000]) {
    const found = await clockOffset(await server(offMs));
    expect(Math.abs((found ?? Number.NaN) + offMs)).toBeLessThan(1000);
  }
});

it('takes no answer that is not to its own question, or of a server that has no time itself', async () => {
  const other = (answer: Buffer): Buffer => Buffer.from(answer.fill(7, 24, 32));
  const unset = (answer: Buffer): Buffer => Buffer.from(answer.fill(0, 1, 2));
  const short = (answer: Buffer): Buffer => answer.subarray(0, 40);
  const all = await Promise.all(
    [other, unset, short].map(async change => clockOffset(await server(0, change))),
  );
  expect(all).toEqual([undefined, undefined, undefined]);
}, 20_000);

it('knows nothing when nobody answers', async () => {
  expect(await clockOffset('127.0.0.1:9')).toBeUndefined();
  expect(await clockOffset('https://127.0.0.1:9/')).toBeUndefined();
  expect(await clockOffset('a:b:c')).toBeUndefined();
}, 20_000);
