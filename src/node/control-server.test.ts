/** What the control server does for those who attach. */
import { once } from 'node:events';
import { statSync } from 'node:fs';
import { createServer, type Socket } from 'node:net';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { ControlProgram } from '../gen/clawchat/v1/control_pb.ts';
import { ErrorCode } from '../gen/clawchat/v1/error_pb.ts';
import type { RequestInit } from './control.ts';
import { attach, type ControlClient } from './control-client.ts';
import {
  attached,
  cleanups,
  cursorOf,
  HELLO,
  IDENTITY,
  listenFrom,
  PING,
  RawPeer,
  root,
  STATUS,
  serve,
  until,
} from './testing/control-bench.ts';

describe('attaching', () => {
  // CT-012~1, CT-021~1
  test('answers hello, then requests, over a socket of mode 0600', async () => {
    const { path } = await serve({}, true);
    expect(statSync(path).mode & 0o777).toBe(0o600);
    const client = await attached(path);
    expect(client.welcome).toMatchObject({ ...IDENTITY, protocol: 1, pid: process.pid, resident: true });
    expect(await client.call(PING)).toMatchObject({ case: 'pong', value: { roundTripUs: 5 } });
  });

  test('finds nobody where nobody listens, and where nobody answers', async () => {
    const identity = IDENTITY;
    expect(await attach({ path: join(root, 'none.sock'), identity, timeoutMs: 1000 })).toBeUndefined();
    for (const react of [(socket: Socket) => socket.destroy(), (socket: Socket) => socket.resume()]) {
      const path = join(root, `mute-${react.toString().length}.sock`);
      const mute = createServer(react).listen(path);
      cleanups.push(() => mute.close());
      await once(mute, 'listening');
      expect(await attach({ path, identity, timeoutMs: 100 })).toBeUndefined();
    }
    const { path, server } = await serve();
    await server.close();
    expect(await attach({ path, identity, timeoutMs: 1000 })).toBeUndefined();
  });

  // CT-021~1
  test.each([
    [{ program: ControlProgram.HOST }, ErrorCode.USAGE],
    [{ schema: 0 }, ErrorCode.SCHEMA_NEWER],
    [{ schema: 2 }, ErrorCode.DIRECTORY_LOCKED],
  ])('is refused to %j, with the reason', async (other, code) => {
    const { path } = await serve();
    const options = { path, identity: { ...IDENTITY, ...other }, timeoutMs: 5000 };
    await expect(attach(options)).rejects.toMatchObject({ code });
  });

  // CT-021~1
  test('of another protocol version is refused', async () => {
    const { path } = await serve();
    const peer = new RawPeer(path);
    peer.say(1, { case: 'hello', value: { ...HELLO.value, protocol: 2 } as never });
    await peer.closed;
    expect(peer.responses).toMatchObject([
      { end: true, body: { case: 'error', value: { code: ErrorCode.VERSION_UNSUPPORTED } } },
    ]);
  });

  // CT-030~1
  test('is bounded in number; the room is there again when one leaves', async () => {
    const { path } = await serve({ connectionsMax: 2 });
    const first = await attached(path);
    await attached(path);
    expect(await attach({ path, identity: IDENTITY, timeoutMs: 5000 })).toBeUndefined();
    first.close();
    await first.closed;
    let third: ControlClient | undefined;
    while (third === undefined) third = await attach({ path, identity: IDENTITY, timeoutMs: 5000 });
    third.close();
  });

  // CT-030~1
  test('without a hello ends by itself', async () => {
    const { path } = await serve({ helloMsMax: 20 });
    await new RawPeer(path).closed;
  });
});

describe('requests', () => {
  test('fail with the code of the owner, or as a fault of the program', async () => {
    const { path } = await serve();
    const client = await attached(path);
    const send: RequestInit = { case: 'send', value: { room: 'x' } };
    await expect(client.call(send)).rejects.toMatchObject({
      code: ErrorCode.ROOM_UNKNOWN,
      message: '[ROOM_UNKNOWN] no room x',
    });
    await expect(client.call({ case: 'devices', value: {} })).rejects.toMatchObject({
      code: ErrorCode.INTERNAL,
    });
    await expect(client.call({ case: 'history', value: {} })).rejects.toMatchObject({
      code: ErrorCode.INTERNAL,
    });
    expect(await client.call(PING)).toMatchObject({ case: 'pong' });
  });

  // CT-024~1
  test('reach the owner in order, however many, and never more at once than it takes', async () => {
    const { path, owner } = await serve();
    const client = await attached(path);
    const calls = Array.from({ length: 500 }, (_, i) => {
      const call = client.call({ case: 'send', value: { room: String(i) } });
      return call.catch((error: Error) => error.message);
    });
    const texts = await Promise.all(calls);
    expect(texts).toEqual(Array.from({ length: 500 }, (_, i) => `[ROOM_UNKNOWN] no room ${i}`));
    const rooms = owner.asked.map(request => request.case === 'send' && request.value.room);
    expect(rooms).toEqual(Array.from({ length: 500 }, (_, i) => String(i)));
  });

  test('are not held up by one that waits', async () => {
    const { path, owner } = await serve();
    const client = await attached(path);
    const status = client.call(STATUS);
    expect(await client.call(PING)).toMatchObject({ case: 'pong' });
    owner.release();
    expect(await status).toMatchObject({ case: 'clientStatus', value: { joined: true } });
  });

  // CT-026~1
  test('are cancelled on both sides', async () => {
    const { path, owner } = await serve();
    const client = await attached(path);
    const abort = new AbortController();
    const status = client.call(STATUS, abort.signal);
    await until(() => owner.asked.length === 1);
    abort.abort();
    await expect(status).rejects.toMatchObject({ code: ErrorCode.CANCELLED });
    await until(() => owner.aborted === 1);
    await expect(client.call(PING, abort.signal)).rejects.toMatchObject({ code: ErrorCode.CANCELLED });
    expect(await client.call(PING)).toMatchObject({ case: 'pong' });
  });

  test('that were not answered fail when the connection ends, and any later one', async () => {
    const { path, owner } = await serve();
    const client = await attached(path);
    const calls = [client.call(STATUS), client.call(PING), client.call(STATUS)].map(call =>
      call.catch(error => error),
    );
    expect(await calls[1]).toMatchObject({ case: 'pong' });
    client.close();
    for (const at of [0, 2]) expect(await calls[at]).toMatchObject({ code: ErrorCode.OWNER_LOST });
    await expect(client.call(PING)).rejects.toMatchObject({ code: ErrorCode.OWNER_LOST });
    await until(() => owner.aborted === 2);
  });
});

describe('streams', () => {
  // CT-025~1
  test('come in order and end', async () => {
    const { path } = await serve();
    const client = await attached(path);
    const cursors: number[] = [];
    for await (const body of client.stream(listenFrom(999_000))) cursors.push(cursorOf(body));
    expect(cursors).toEqual(Array.from({ length: 1000 }, (_, i) => 999_001 + i));
  });

  // CT-026~1
  test('end at the owner when the reader leaves, by break or by signal', async () => {
    const { path, owner } = await serve();
    const client = await attached(path);
    for await (const body of client.stream(listenFrom(0))) if (cursorOf(body) === 3) break;
    await until(() => owner.aborted === 1);
    const abort = new AbortController();
    const reading = async (): Promise<void> => {
      for await (const body of client.stream(listenFrom(0), abort.signal))
        if (cursorOf(body) === 3) abort.abort();
    };
    await expect(reading()).rejects.toMatchObject({ code: ErrorCode.CANCELLED });
    await until(() => owner.aborted === 2);
    expect(await client.call(PING)).toMatchObject({ case: 'pong' });
  });

  // CT-032~1
  test('wait for a slow reader instead of piling up, and lose nothing', async () => {
    const { path, owner } = await serve();
    owner.itemBytes = 10_000;
    const client = await attached(path);
    const cursors: number[] = [];
    let producedAtPause = 0;
    for await (const body of client.stream(listenFrom(999_000))) {
      cursors.push(cursorOf(body));
      if (cursors.length !== 10) continue;
      // While nobody reads, only so much is asked of the owner: what fits into queue, socket and buffer.
      let before = -1;
      while (before !== owner.produced) {
        before = owner.produced;
        await new Promise(resolve => setTimeout(resolve, 30));
      }
      producedAtPause = owner.produced;
    }
    expect(producedAtPause).toBeLessThan(500);
    expect(cursors).toEqual(Array.from({ length: 1000 }, (_, i) => 999_001 + i));
  });
});
