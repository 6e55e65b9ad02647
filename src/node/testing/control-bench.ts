/** Control servers with an owner that does what a test says, and those who attach; each test leaves nothing behind. */
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { connect, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach } from 'vitest';
import { ControlProgram, type ControlResponse } from '../../gen/clawchat/v1/control_pb.ts';
import { ErrorCode } from '../../gen/clawchat/v1/error_pb.ts';
import {
  type ControlOwner,
  decodeResponse,
  encodeRequest,
  MessageReader,
  type RequestBody,
  type RequestInit,
  type ResponseBody,
  type ResponseInit,
} from '../control.ts';
import { attach, type ControlClient } from '../control-client.ts';
import {
  CONTROL_LIMITS,
  type ControlIdentity,
  type ControlLimits,
  ControlServer,
} from '../control-server.ts';
import { failure } from '../failure.ts';

export const root: string = mkdtempSync(join(tmpdir(), 'clawchat-control-'));
afterAll(() => rmSync(root, { recursive: true, force: true }));

export const IDENTITY: ControlIdentity = { program: ControlProgram.CLIENT, version: '1.2.3', schema: 1 };
export const HELLO: RequestInit = { case: 'hello', value: { protocol: 1, ...IDENTITY } };
export const PING: RequestInit = { case: 'ping', value: {} };
export const STATUS: RequestInit = { case: 'status', value: {} };
export const listenFrom = (afterCursor: number): RequestInit => ({
  case: 'listen',
  value: { afterCursor: BigInt(afterCursor) },
});

/** What a test owner does; counts what it was asked. */
export class TestOwner implements ControlOwner {
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

export const cleanups: (() => unknown)[] = [];
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup();
});

let sockets = 0;
/** A server at a path of its own. */
export async function serve(
  limits: Partial<ControlLimits> = {},
  resident = false,
): Promise<{ path: string; owner: TestOwner; server: ControlServer }> {
  sockets += 1;
  const path = join(root, `${sockets}.sock`);
  const owner = new TestOwner();
  const options = { identity: IDENTITY, resident, owner, limits: { ...CONTROL_LIMITS, ...limits } };
  const server = new ControlServer(options);
  await server.listen(path);
  cleanups.push(() => server.close());
  return { path, owner, server };
}

export async function attached(path: string): Promise<ControlClient> {
  const client = await attach({ path, identity: IDENTITY, timeoutMs: 5_000 });
  if (client === undefined) throw new Error('nobody answers');
  cleanups.push(() => client.close());
  return client;
}

/** A connection that says what it is told, byte for byte. */
export class RawPeer {
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

export const until = async (condition: () => boolean): Promise<void> => {
  while (!condition()) await new Promise(resolve => setImmediate(resolve));
};
/** Let so many turns of the event loop pass. */
export const turns = async (count: number): Promise<void> => {
  for (let turn = 0; turn < count; turn += 1) await new Promise(resolve => setImmediate(resolve));
};
export const cursorOf = (body: ResponseBody): number =>
  body.case === 'items' ? Number(body.value.items[0]?.cursor) : -1;
