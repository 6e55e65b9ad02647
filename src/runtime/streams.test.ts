import { describe, expect, it } from 'vitest';
import { ErrorCode } from '../gen/clawchat/v1/error_pb.ts';
import { CHAT_MESSAGE_BYTES_MAX } from '../gen/constants.ts';
import type { Written } from '../protocol/session-io.ts';
import type { ServiceStream, StreamHandler } from '../services/ports.ts';
import { type StreamPort, Streams } from './streams.ts';

class FakePort implements StreamPort {
  readonly calls: string[] = [];
  answer: Written = 'accepted';
  flushes = 0;
  credit = 0;

  write(stream: number, payload: Uint8Array): Written {
    if (this.answer === 'accepted') this.calls.push(`write ${stream} ${payload.length}`);
    return this.answer;
  }
  end(stream: number): void {
    this.calls.push(`end ${stream}`);
  }
  abort(stream: number, code: ErrorCode): void {
    this.calls.push(`abort ${stream} ${code}`);
  }
  taken(_stream: number, cost: number): void {
    this.credit += cost;
  }
  flush(): void {
    this.flushes += 1;
  }
}

class Recorder implements StreamHandler {
  readonly messages: Uint8Array[] = [];
  readonly heard: string[] = [];

  message(message: Uint8Array, wallMs: number): void {
    this.messages.push(message);
    this.heard.push(`message ${message.length} at ${wallMs}`);
  }
  writable(): void {
    this.heard.push('writable');
  }
  closed(code: ErrorCode): void {
    this.heard.push(`closed ${code}`);
  }
}

function bound(): { port: FakePort; handler: Recorder; streams: Streams; stream: ServiceStream } {
  const port = new FakePort();
  const handler = new Recorder();
  let stream: ServiceStream | undefined;
  const streams = new Streams(port, (service, made) => {
    if (service !== 'chat.v1') return undefined;
    stream = made;
    return handler;
  });
  streams.take({ kind: 'opened', stream: 1, service: 'chat.v1' }, 0);
  if (stream === undefined) throw new Error('not accepted');
  return { port, handler, streams, stream };
}

function piece(bytes: number, more: boolean): Parameters<Streams['take']>[0] {
  return { kind: 'piece', stream: 1, payload: new Uint8Array(bytes).fill(7), more, cost: bytes + 32 };
}

describe('streams of a session', () => {
  it('hand over whole messages and give back the credit of every piece', () => {
    const { port, handler, streams } = bound();
    streams.take(piece(10, false), 5);
    streams.take(piece(20, true), 6);
    streams.take(piece(30, true), 7);
    expect(handler.messages.length).toBe(1);
    streams.take(piece(5, false), 8);
    expect(handler.heard).toEqual(['message 10 at 5', 'message 55 at 8']);
    expect(handler.messages[1]?.every(byte => byte === 7)).toBe(true);
    expect(port.credit).toBe(10 + 20 + 30 + 5 + 4 * 32);
  });

  it('hold back the credit of messages while the service is paused, but not inside one', () => {
    const { port, streams, stream } = bound();
    stream.pause();
    streams.take(piece(10, true), 0);
    expect(port.credit).toBe(42);
    streams.take(piece(10, false), 0);
    streams.take(piece(1, false), 0);
    expect(port.credit).toBe(42);
    stream.resume();
    expect(port.credit).toBe(42 + 42 + 33);
  });

  it('keep what a full session cannot take, in order, and say when there is room', () => {
    const { port, handler, streams, stream } = bound();
    port.answer = 'full';
    expect(stream.send(new Uint8Array(1))).toBe(false);
    port.answer = 'accepted';
    expect(stream.send(new Uint8Array(2))).toBe(false);
    expect(port.calls).toEqual([]);
    streams.take({ kind: 'writable', stream: 1 }, 0);
    expect(port.calls).toEqual(['write 1 1', 'write 1 2']);
    expect(handler.heard).toEqual(['writable']);
    expect(stream.send(new Uint8Array(3))).toBe(true);
  });

  it('abort a message that is too long before more of it is kept', () => {
    const { port, handler, streams } = bound();
    for (let bytes = 0; bytes < CHAT_MESSAGE_BYTES_MAX; bytes += 65_536) streams.take(piece(65_536, true), 0);
    expect(handler.heard).toEqual([]);
    streams.take(piece(1, true), 0);
    expect(handler.heard).toEqual([`closed ${ErrorCode.MESSAGE_TOO_LARGE}`]);
    expect(port.calls).toEqual([`abort 1 ${ErrorCode.MESSAGE_TOO_LARGE}`]);
    streams.take(piece(1, false), 0);
    expect(handler.messages).toEqual([]);
  });

  it('answer a clean end with an end, and tell the handler of every end once', () => {
    const { port, handler, streams, stream } = bound();
    streams.take({ kind: 'ended', stream: 1, code: ErrorCode.UNSPECIFIED }, 0);
    streams.lost(ErrorCode.SESSION_LOST);
    stream.close(ErrorCode.UNSPECIFIED);
    expect(port.calls).toEqual(['end 1']);
    expect(handler.heard).toEqual(['closed 0']);
  });

  it('are over for the handler when the session is lost', () => {
    const { handler, streams, stream, port } = bound();
    streams.lost(ErrorCode.SESSION_LOST);
    expect(handler.heard).toEqual([`closed ${ErrorCode.SESSION_LOST}`]);
    expect(stream.send(new Uint8Array(1))).toBe(true);
    expect(port.calls).toEqual([]);
  });

  it.each(['message', 'writable', 'closed'] as const)(
    'abort with INTERNAL, and go on, when a service throws in %s (SE-046~1)',
    where => {
      const port = new FakePort();
      const failures: string[] = [];
      const heard: string[] = [];
      const fail = (): never => {
        throw new RangeError('Invalid array length');
      };
      const handlers = new Map<string, StreamHandler>([
        [
          'bad.v1',
          { message: () => {}, writable: () => {}, closed: () => void heard.push('bad'), [where]: fail },
        ],
        ['good.v1', { message: () => void heard.push('good'), writable: () => {}, closed: () => {} }],
      ]);
      const streams = new Streams(
        port,
        service => handlers.get(service),
        (stream, reason) => failures.push(`${stream} ${reason}`),
      );
      streams.take({ kind: 'opened', stream: 1, service: 'bad.v1' }, 0);
      streams.take({ kind: 'opened', stream: 3, service: 'good.v1' }, 0);
      if (where === 'message') streams.take(piece(10, false), 0);
      if (where === 'writable') streams.take({ kind: 'writable', stream: 1 }, 0);
      if (where === 'closed') streams.take({ kind: 'ended', stream: 1, code: ErrorCode.UNSPECIFIED }, 0);
      expect(failures).toEqual(['1 RangeError: Invalid array length']);
      expect(port.calls).toEqual(where === 'closed' ? ['end 1'] : [`abort 1 ${ErrorCode.INTERNAL}`]);
      // What comes behind it for that stream goes nowhere, and the other stream is served.
      streams.take(piece(10, false), 0);
      streams.take({ kind: 'piece', stream: 3, payload: new Uint8Array(1), more: false, cost: 33 }, 0);
      expect(heard).toEqual(where === 'closed' ? ['good'] : ['bad', 'good']);
      expect(failures).toHaveLength(1);
    },
  );

  it('abort with INTERNAL when a service throws while it is opened (SE-046~1)', () => {
    const port = new FakePort();
    const streams = new Streams(port, () => {
      throw new RangeError('no');
    });
    streams.take({ kind: 'opened', stream: 1, service: 'chat.v1' }, 0);
    expect(port.calls).toEqual([`abort 1 ${ErrorCode.INTERNAL}`]);
  });

  it('refuse a service that there is none of', () => {
    const { port, streams } = bound();
    streams.take({ kind: 'opened', stream: 3, service: 'files.v9' }, 0);
    expect(port.calls).toEqual([`abort 3 ${ErrorCode.SERVICE_UNKNOWN}`]);
  });
});
