import { once } from 'node:events';
import { mkdtempSync, rmSync, statSync } from 'node:fs';
import { connect, createServer, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, describe, expect, test } from 'vitest';
import { ControlProgram, type ControlResponse } from '../gen/clawchat/v1/control_pb.ts';
import { ErrorCode } from '../gen/clawchat/v1/error_pb.ts';
import {
  type ControlOwner,
  decodeResponse,
  encodeRequest,
  MessageReader,
  type RequestBody,
  type RequestInit,
  type ResponseBody,
  type ResponseInit,
} from './control.ts';
import { attach, type ControlClient } from './control-client.ts';
import { CONTROL_LIMITS, type ControlLimits, ControlServer } from './control-server.ts';
import { failure } from './failure.ts';

const root = mkdtempSync(join(tmpdir(), 'clawchat-control-'));
afterAll(() => rmSync(root, { recursive: true, force: true }));

const IDENTITY = { program: ControlProgram.CLIENT, version: '1.2.3', schema: 1 };
const HELLO: RequestInit = { case: 'hello', value: { protocol: 1, ...IDENTITY } };
const PING: RequestInit = { case: 'ping', value: {} };
const STATUS: RequestInit = { case: 'status', value: {} };
const listenFrom = (afterCursor: number): RequestInit => ({
  case: 'listen',
  value: { afterCursor: BigInt(afterCursor) },
});

/** What a test owner does; counts what it was asked. */
class TestOwner implements ControlOwner {
  asked: RequestBody[] = [];
  aborted = 0;
  release: () => void = () => {};
  produced = 0;
  itemBytes = 10;

  answer(request: RequestBody, signal: AbortSignal): Promise<ResponseInit> | AsyncIterable<ResponseInit> {
    this.asked.push(request);
    signal.addEventListener('abort', () => {
      this.aborted += 1;
    });
    switch (request.case) {
      case 'ping':
        return Promise.resolve({ case: 'pong', value: { roundTripUs: 5 } });
      case 'send':
        return Promise.reject(failure(ErrorCode.ROOM_UNKNOWN, `no room ${request.value.room}`));
      case 'status':
        // Answered when the test says so.
        return new Promise(resolve => {
          this.release = () => resolve({ case: 'clientStatus', value: { joined: true } });
        });
      case 'listen':
        return this.#listen(Number(request.value.afterCursor));
      case 'history':
        throw new Error('thrown, not rejected');
      default:
        return Promise.reject(new Error(`a fault of the program in ${request.case}`));
    }
  }

  /** Cursors up to 1,000,000. */
  async *#listen(after: number): AsyncGenerator<ResponseInit> {
    for (let cursor = after + 1; cursor <= 1_000_000; cursor += 1) {
      this.produced += 1;
      const item = { cursor: BigInt(cursor), text: 'x'.repeat(this.itemBytes) };
      yield { case: 'items', value: { items: [item] } };
    }
  }
}

const cleanups: (() => unknown)[] = [];
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup();
});

let sockets = 0;
async function serve(limits: Partial<ControlLimits> = {}, resident = false) {
  sockets += 1;
  const path = join(root, `${sockets}.sock`);
  const owner = new TestOwner();
  const options = { identity: IDENTITY, resident, owner, limits: { ...CONTROL_LIMITS, ...limits } };
  const server = new ControlServer(options);
  await server.listen(path);
  cleanups.push(() => server.close());
  return { path, owner, server };
}

async function attached(path: string): Promise<ControlClient> {
  const client = await attach({ path, identity: IDENTITY, timeoutMs: 5_000 });
  if (client === undefined) throw new Error('nobody answers');
  cleanups.push(() => client.close());
  return client;
}

/** A connection that says what it is told, byte for byte. */
class RawPeer {
  readonly socket: Socket;
  readonly responses: ControlResponse[] = [];
  readonly closed: Promise<unknown>;
  readonly #reader = new MessageReader();

  constructor(path: string) {
    this.socket = connect(path);
    this.closed = once(this.socket, 'close');
    this.socket.on('error', () => {});
    this.socket.on('data', chunk => {
      for (const message of this.#reader.push(chunk) ?? []) {
        const response = decodeResponse(message);
        if (response !== undefined) this.responses.push(response);
      }
    });
    cleanups.push(() => this.socket.destroy());
  }

  say(requestId: number, body: RequestInit): void {
    this.socket.write(encodeRequest(requestId, body));
  }
}

const until = async (condition: () => boolean): Promise<void> => {
  while (!condition()) await new Promise(resolve => setImmediate(resolve));
};
const cursorOf = (body: ResponseBody): number =>
  body.case === 'items' ? Number(body.value.items[0]?.cursor) : -1;

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
