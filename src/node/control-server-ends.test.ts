/** What the control server does to those who break its rules, and when it closes. */
import { statSync } from 'node:fs';
import { describe, expect, test, vi } from 'vitest';
import { ErrorCode } from '../gen/clawchat/v1/error_pb.ts';
import {
  attached,
  cursorOf,
  HELLO,
  listenFrom,
  PING,
  RawPeer,
  STATUS,
  serve,
  turns,
  until,
} from './testing/control-bench.ts';

describe('who breaks the rules', () => {
  // CT-022~1
  const rules: Readonly<Record<string, (peer: RawPeer) => void>> = {
    'does not say hello first': peer => peer.say(1, PING),
    'says hello twice': peer => {
      peer.say(1, HELLO);
      peer.say(2, HELLO);
    },
    'uses an id that is in use': peer => {
      peer.say(1, HELLO);
      peer.say(2, STATUS);
      peer.say(2, PING);
    },
    'uses the id 0': peer => {
      peer.say(1, HELLO);
      peer.say(0, PING);
    },
    'asks too much at once': peer => {
      peer.say(1, HELLO);
      for (let id = 2; id <= 66; id += 1) peer.say(id, STATUS);
    },
    'announces a message that is too long': peer => {
      peer.say(1, HELLO);
      peer.socket.write(Uint8Array.of(0, 0x10, 0, 1));
    },
    'sends what is no message': peer => {
      peer.say(1, HELLO);
      peer.socket.write(Uint8Array.of(0, 0, 0, 1, 0xff));
    },
  };

  test.each(Object.entries(rules))('%s is told so and cut off, and nobody else is', async (_, break_) => {
    const { path, owner } = await serve();
    const bystander = await attached(path);
    const peer = new RawPeer(path);
    break_(peer);
    await peer.closed;
    expect(peer.responses.at(-1)).toMatchObject({
      requestId: 0,
      end: true,
      body: { case: 'error', value: { code: ErrorCode.USAGE } },
    });
    await until(() => owner.aborted === owner.asked.length);
    expect(await bystander.call(PING)).toMatchObject({ case: 'pong' });
  });

  // CT-023~1
  test('asks what this version does not know is told so, and may go on', async () => {
    const { path } = await serve();
    const peer = new RawPeer(path);
    peer.say(1, HELLO);
    // Request 2 with an unknown field 100 and no body.
    peer.socket.write(Uint8Array.of(0, 0, 0, 5, 0x08, 2, 0xa2, 0x06, 0));
    peer.say(3, PING);
    await until(() => peer.responses.length === 3);
    expect(peer.responses).toMatchObject([
      { requestId: 1, body: { case: 'welcome' } },
      { requestId: 2, end: true, body: { case: 'error', value: { code: ErrorCode.USAGE } } },
      { requestId: 3, end: true, body: { case: 'pong' } },
    ]);
  });

  // CT-031~1
  test('reads nothing of a stream is cut off after a while, not at once', async () => {
    const { path, owner } = await serve({ stallMs: 100 });
    owner.itemBytes = 10_000;
    const peer = new RawPeer(path);
    peer.say(1, HELLO);
    await until(() => peer.responses.length === 1);
    peer.socket.pause();
    const began = performance.now();
    peer.say(2, listenFrom(0));
    await until(() => owner.aborted === 1);
    expect(performance.now() - began).toBeGreaterThan(90);
    expect(owner.produced).toBeLessThan(200);
  });

  // CT-031~1
  test('reads slowly stays, and is cut off once it reads nothing', async () => {
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });
    try {
      const stallMs = 1000;
      const { path, owner } = await serve({ stallMs });
      owner.itemBytes = 10_000;
      const peer = new RawPeer(path);
      peer.say(1, HELLO);
      await until(() => peer.responses.length === 1);
      const pass = async (): Promise<number> => {
        await until(() => vi.getTimerCount() > 0);
        vi.advanceTimersByTime(stallMs);
        await turns(5);
        return owner.aborted;
      };
      peer.socket.pause();
      peer.say(2, listenFrom(0));
      await until(() => vi.getTimerCount() > 0);
      for (let round = 0; round < 3; round += 1) {
        const read = peer.responses.length;
        peer.socket.resume();
        await until(() => peer.responses.length > read + 50);
        peer.socket.pause();
        expect(await pass()).toBe(0);
      }
      // What the system still takes into its buffers counts as read.
      while ((await pass()) === 0);
      expect(owner.aborted).toBe(1);
    } finally {
      vi.useRealTimers();
    }
  });

  // CT-031~1
  test('asks and asks and reads nothing is cut off by size', async () => {
    const { path, owner } = await serve({ queueBytesMax: 1000 });
    const peer = new RawPeer(path);
    peer.say(1, HELLO);
    await until(() => peer.responses.length === 1);
    peer.socket.pause();
    owner.itemBytes = 1_000_000;
    peer.say(2, listenFrom(0));
    await until(() => owner.aborted === 1);
    expect(owner.produced).toBeLessThan(3);
  });
});

describe('closing', () => {
  // CT-040~1
  test('finishes single answers, ends streams without a word, takes nothing new, and removes the socket', async () => {
    const { path, owner, server } = await serve();
    const peer = new RawPeer(path);
    peer.say(1, HELLO);
    peer.say(2, STATUS);
    await until(() => owner.asked.length === 1);
    const client = await attached(path);
    const reading = (async () => {
      for await (const body of client.stream(listenFrom(0))) if (cursorOf(body) === 1) await client.closed;
      return undefined;
    })().catch(error => error);
    await until(() => owner.asked.length === 2);
    const closed = server.close();
    peer.say(3, PING);
    await until(() => owner.aborted === 1);
    owner.release();
    await closed;
    await peer.closed;
    expect(peer.responses.map(response => response.requestId)).toEqual([1, 2]);
    expect(await reading).toMatchObject({ code: ErrorCode.OWNER_LOST });
    expect(() => statSync(path)).toThrow('ENOENT');
  });

  // CT-040~1
  test('lets an attacher read its answer that goes on asking before it has read it', async () => {
    const { path, owner, server } = await serve();
    const peer = new RawPeer(path);
    peer.say(1, HELLO);
    await until(() => peer.responses.length === 1);
    peer.socket.pause();
    peer.say(2, STATUS);
    await until(() => owner.asked.length === 1);
    const closed = server.close();
    owner.release();
    // Long enough for the answer and the end of the connection to be sent.
    for (let turn = 0; turn < 20; turn += 1) await new Promise(resolve => setImmediate(resolve));
    peer.say(3, PING);
    for (let turn = 0; turn < 20; turn += 1) await new Promise(resolve => setImmediate(resolve));
    peer.socket.resume();
    await peer.closed;
    await closed;
    expect(peer.responses.map(response => response.requestId)).toEqual([1, 2]);
  });
});
