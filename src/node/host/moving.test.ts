/** What an operator sees of a host that starts again: on the port that it had, and on one that it is to have. */
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { type AddressInfo, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { ErrorCode } from '../../gen/clawchat/v1/error_pb.ts';
import { MINIMAL } from '../../gen/constants.ts';
import { Listener } from '../listen.ts';
import { createLog } from '../log.ts';
import { openServing, type Serving } from '../serve-host.ts';
import { loopbackOptions } from '../testing/host-options.ts';

interface Entry {
  readonly level: string;
  readonly event: string;
  readonly port?: number;
}

let root = '';
let entries: Entry[] = [];
const serving: Serving[] = [];

beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), 'clawchat-moving-'));
});
afterEach(async () => {
  await stop();
  vi.restoreAllMocks();
  rmSync(root, { recursive: true });
});

/** A host whose next regular move is minutes away. */
async function start(port?: number, name = 'host'): Promise<void> {
  entries = [];
  const write = (line: string): void => void entries.push(JSON.parse(line));
  const one = await openServing({
    ...loopbackOptions(join(root, name), MINIMAL),
    intervalMs: MINIMAL.ROTATION_INTERVAL_MS_MAX,
    log: createLog({ level: 'debug', style: 'json', write, now: Date.now }),
    port,
  });
  serving.push(one);
  await one.ready;
}

async function stop(): Promise<void> {
  for (const one of serving.splice(0)) await one.close();
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  server.close();
  await once(server, 'close');
  return port;
}

test('it moves to the port that it is told to have at once, and what is as it should be is no warning', async () => {
  await start();
  const before = serving[0]?.moving()?.port;
  await stop();
  await start();
  expect(entries).toContainEqual(
    expect.objectContaining({ level: 'info', event: 'port-back', port: before }),
  );
  await stop();

  const port = await freePort();
  await start(port);
  const seen = (event: string): readonly Entry[] => entries.filter(entry => entry.event === event);
  await vi.waitFor(() => expect(seen('rotated')).toHaveLength(1), { timeout: 60_000, interval: 50 });
  expect(seen('rotated')).toMatchObject([{ level: 'info', port }]);
  expect(serving[0]?.moving()?.port).toBe(port);
});

// With `MINIMAL` the row at which a port should be had is 200 ms behind the start.
test('a start that is slow takes the port that it gets, and one that gets none says so', async () => {
  const open = Listener.open;
  const listen = vi.spyOn(Listener, 'open').mockImplementationOnce(async (...how) => {
    await sleep(700);
    return open(...how);
  });
  await start();
  expect(entries).toContainEqual(expect.objectContaining({ event: 'held', why: 'no-port' }));
  const known = serving[0]?.moving()?.port;
  await stop();

  listen.mockRejectedValue(Object.assign(new Error('taken'), { code: 'EADDRINUSE' }));
  await expect(start(undefined, 'another')).rejects.toMatchObject({ code: ErrorCode.NO_PORT });

  // The port that people know is waited for.
  const again = start();
  await vi.waitFor(() => expect(entries).toContainEqual(expect.objectContaining({ event: 'held' })), 20_000);
  listen.mockImplementation(open);
  await again;
  expect(serving.at(-1)?.moving()?.port).toBe(known);
}, 60_000);
