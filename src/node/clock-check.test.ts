import { afterEach, expect, it } from 'vitest';
import { clockOffset } from './clock-check.ts';
import { startTimeServer, type TimeServer } from './testing/time-server.ts';

const servers: TimeServer[] = [];
afterEach(() => {
  for (const each of servers.splice(0)) each.close();
});

async function server(...how: Parameters<typeof startTimeServer>): Promise<string> {
  const started = await startTimeServer(...how);
  servers.push(started);
  return started.address;
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
