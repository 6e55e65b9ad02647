/** Streams of a session, and what a caller may not do with them. */
import { describe, expect, it } from 'vitest';
import { ErrorCode } from '../gen/clawchat/v1/error_pb.ts';
import { ACK_DELAY_MS_MAX, STREAMS_MAX } from '../gen/constants.ts';
import { bytes, data, drain, framesOf, give, open, records, settle } from './testing/session-pair.ts';

describe('streams', () => {
  it('SE-044: carries messages, ends both directions, and forgets the stream', () => {
    const { client, host, stream } = open();
    expect(stream).toBe(1);
    client.write(stream, bytes(3));
    client.write(stream, bytes(2, 9));
    settle(client, host);
    expect(drain(host)).toEqual([
      { kind: 'opened', stream, service: 'chat.v1' },
      { kind: 'piece', stream, payload: bytes(3), more: false, cost: 35 },
      { kind: 'piece', stream, payload: bytes(2, 9), more: false, cost: 34 },
    ]);
    host.write(stream, bytes(1));
    host.end(stream);
    settle(client, host);
    expect(drain(client).map(({ kind }) => kind)).toEqual(['piece', 'ended']);
    expect(client.streamCount).toBe(1);
    client.end(stream);
    settle(client, host);
    expect(drain(host)).toEqual([{ kind: 'ended', stream, code: ErrorCode.UNSPECIFIED }]);
    expect([client.streamCount, host.streamCount]).toEqual([0, 0]);
    expect(client.write(stream, bytes(1))).toBe('closed');
  });

  it('RC-014: shares one record among what is ready in one turn', () => {
    const { client, stream } = open();
    const second = client.open('files.v1') ?? 0;
    for (let i = 0; i < 20; i += 1) client.write(i % 2 === 0 ? stream : second, bytes(10, i));
    const [record, ...rest] = records(client);
    expect(rest).toHaveLength(0);
    expect(framesOf(record ?? bytes(0))).toHaveLength(20);
  });

  it('SE-045: lets a chat line pass a file: one frame of each stream in turn', () => {
    const { client, host, stream } = open();
    const chat = client.open('chat.v1') ?? 0;
    settle(client, host);
    drain(host);
    // The file has used its credit and been granted more again and again.
    for (let i = 0; i < 20; i += 1) {
      client.write(stream, bytes(60_000));
      settle(client, host);
      for (const event of drain(host)) if (event.kind === 'piece') host.taken(event.stream, event.cost);
      settle(client, host);
    }
    client.write(stream, bytes(200_000));
    client.write(chat, bytes(10));
    const order = records(client)
      .flatMap(framesOf)
      .map(frame => (frame.kind === 'data' ? frame.stream : frame.kind));
    expect(order.slice(0, 3)).toEqual([stream, chat, stream]);
    expect(order.length).toBeGreaterThan(3);
  });

  it('SE-043: an abort drops what is not sealed and makes the other side end too', () => {
    const { client, host, stream } = open();
    client.write(stream, bytes(100_000));
    settle(client, host);
    host.abort(stream, ErrorCode.SERVICE_UNKNOWN);
    settle(client, host);
    settle(client, host, ACK_DELAY_MS_MAX);
    expect(drain(client)).toEqual([{ kind: 'ended', stream, code: ErrorCode.SERVICE_UNKNOWN }]);
    expect([client.streamCount, host.streamCount, client.heldBytes]).toEqual([0, 0, 0]);
    expect(drain(host).at(-1)?.kind).not.toBe('ended');
  });

  it('SE-051: an end needs no credit, so a stalled stream can always be ended', () => {
    const { client, host, stream } = open();
    client.write(stream, bytes(50_000));
    settle(client, host);
    client.abort(stream, ErrorCode.CANCELLED);
    settle(client, host);
    expect(drain(host).at(-1)).toEqual({ kind: 'ended', stream, code: ErrorCode.CANCELLED });
    expect([client.streamCount, host.streamCount]).toEqual([0, 0]);
  });

  it('lets the other side finish after a clean end, and drops what nobody wants', () => {
    const { client, host, stream } = open();
    client.end(stream);
    settle(client, host);
    client.abort(stream, ErrorCode.CANCELLED);
    for (let i = 0; i < 30; i += 1) host.write(stream, bytes(10_000));
    host.end(stream);
    settle(client, host);
    expect([client.streamCount, host.streamCount]).toEqual([0, 0]);
    expect(drain(client)).toEqual([]);
  });

  it('SE-041: opens at most STREAMS_MAX at once, and as many again as have ended', () => {
    const { client, host, stream } = open();
    for (let i = 1; i < STREAMS_MAX; i += 1) expect(client.open('x')).toBe(2 * i + 1);
    expect(client.open('x')).toBeUndefined();
    settle(client, host);
    expect(give(host, data({ sequence: STREAMS_MAX + 1, stream: 2 * STREAMS_MAX + 1 }))).toBe(
      ErrorCode.STREAM_LIMIT,
    );
    client.end(stream);
    host.end(stream);
    settle(client, host);
    expect(client.open('x')).toBe(2 * STREAMS_MAX + 1);
    settle(client, host);
  });
});

describe('misuse', () => {
  it('throws a UsageError at a caller who breaks the contract', () => {
    const { client, stream } = open();
    expect(() => client.open('a b')).toThrow('service');
    expect(() => client.write(stream, bytes(0))).toThrow('at least one byte');
    expect(() => client.taken(stream, 1)).toThrow('more was taken');
    expect(() => client.abort(stream, ErrorCode.UNSPECIFIED)).toThrow('reason');
    client.write(stream, bytes(1), true);
    expect(() => client.end(stream)).toThrow('inside a message');
  });
});
