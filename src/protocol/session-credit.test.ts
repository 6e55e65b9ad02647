/** The credit of a session's streams. */
import { describe, expect, it } from 'vitest';
import { ErrorCode } from '../gen/clawchat/v1/error_pb.ts';
import {
  ACK_DELAY_MS_MAX,
  DATA_COST_BYTES,
  SESSION_CREDIT_BYTES,
  STREAM_CREDIT_BYTES,
  STREAM_WINDOW_BYTES_MAX,
  STREAMS_MAX,
} from '../gen/constants.ts';
import { Session } from './session.ts';
import { budget, bytes, data, drain, framesOf, give, open, records, settle } from './testing/session-pair.ts';

describe('credit', () => {
  it('SE-030, SE-051, SE-053: stops at the initial credit and goes on as the application takes', () => {
    const { client, host, stream } = open();
    const other = client.open('x') ?? 0;
    client.write(stream, bytes(100_000, 5));
    for (const frame of records(client).flatMap(framesOf)) give(host, frame);
    // Nothing was taken: there is nothing to grant, and no Credit says what is known.
    expect(records(host, ACK_DELAY_MS_MAX).flatMap(framesOf)).toEqual([{ kind: 'ack', receivedThrough: 2 }]);
    const held = (): number =>
      host.events.reduce((sum, event) => sum + (event.kind === 'piece' ? event.cost : 0), 0);
    expect(held()).toBe(STREAM_CREDIT_BYTES);
    // A stalled reader stalls its own stream only.
    client.write(other, bytes(10));
    settle(client, host);
    expect(held()).toBe(STREAM_CREDIT_BYTES + 42);
    let total = 0;
    while (host.events.length > 0) {
      for (const event of drain(host)) {
        if (event.kind !== 'piece') continue;
        if (event.stream === stream) total += event.payload.length;
        host.taken(event.stream, event.cost);
      }
      settle(client, host);
    }
    expect(total).toBe(100_000);
  });

  it('SE-053: grants anew as soon as less than half is left and the application has taken everything', () => {
    const { host } = open();
    const half = STREAM_CREDIT_BYTES / 2;
    expect(give(host, data({ payload: bytes(half - DATA_COST_BYTES + 1) }))).toBeUndefined();
    const [, piece] = drain(host);
    if (piece?.kind !== 'piece') throw new Error('nothing was handed over');
    host.taken(1, piece.cost);
    const [credit] = records(host, ACK_DELAY_MS_MAX)
      .flatMap(framesOf)
      .filter(({ kind }) => kind === 'credit');
    expect(credit?.kind === 'credit' && credit.limit).toBeGreaterThanOrEqual(
      piece.cost + STREAM_CREDIT_BYTES,
    );
  });

  it('SE-054: grants one stream at most STREAM_WINDOW_BYTES_MAX beyond what was taken', () => {
    const { client, host, stream } = open();
    let taken = 0;
    let widest = 0;
    for (let round = 0; round < 40; round += 1) {
      client.write(stream, bytes(100_000));
      for (const frame of records(client).flatMap(framesOf)) expect(give(host, frame)).toBeUndefined();
      for (const event of drain(host)) {
        if (event.kind !== 'piece') continue;
        taken += event.cost;
        host.taken(event.stream, event.cost);
      }
      for (const frame of records(host, round * ACK_DELAY_MS_MAX).flatMap(framesOf)) {
        if (frame.kind === 'credit') widest = Math.max(widest, frame.limit - taken);
        expect(give(client, frame)).toBeUndefined();
      }
    }
    expect(widest).toBeLessThanOrEqual(STREAM_WINDOW_BYTES_MAX);
    expect(widest).toBeGreaterThan(STREAM_WINDOW_BYTES_MAX / 2);
  });

  it('SE-054: grants at most SESSION_CREDIT_BYTES, however many streams move data', () => {
    const { client, host } = open();
    for (let i = 1; i < STREAMS_MAX; i += 1) client.open('x');
    settle(client, host);
    const limits = new Map<number, number>();
    const taken = new Map<number, number>();
    // Each stream was opened by a frame of its own, which the session takes itself.
    for (let id = 1; id < 2 * STREAMS_MAX; id += 2) taken.set(id, DATA_COST_BYTES);
    const write = (): void => {
      for (let id = 1; id < 2 * STREAMS_MAX; id += 2) client.write(id, bytes(40_000));
    };
    for (let round = 0; round < 30; round += 1) {
      write();
      for (const frame of records(client).flatMap(framesOf)) expect(give(host, frame)).toBeUndefined();
      for (const event of drain(host)) {
        if (event.kind !== 'piece') continue;
        taken.set(event.stream, (taken.get(event.stream) ?? 0) + event.cost);
        host.taken(event.stream, event.cost);
      }
      for (const frame of records(host, round * 100).flatMap(framesOf)) {
        if (frame.kind === 'credit') {
          expect(frame.limit).toBeGreaterThan(limits.get(frame.stream) ?? STREAM_CREDIT_BYTES);
          limits.set(frame.stream, frame.limit);
        }
        expect(give(client, frame)).toBeUndefined();
      }
      let granted = STREAMS_MAX * STREAM_CREDIT_BYTES;
      for (let id = 1; id < 2 * STREAMS_MAX; id += 2) {
        granted += (limits.get(id) ?? STREAM_CREDIT_BYTES) - (taken.get(id) ?? 0);
      }
      expect(granted).toBeLessThanOrEqual(SESSION_CREDIT_BYTES);
    }
    expect(Math.max(...limits.values())).toBeGreaterThan(100_000);
  });

  /** Move data on these streams, and take all of it, until their windows are as wide as they get. */
  const widen = (client: Session, host: Session, ids: readonly number[]): void => {
    for (let round = 0; round < 12; round += 1) {
      for (const id of ids) client.write(id, bytes(100_000));
      settle(client, host);
      for (const event of drain(host)) if (event.kind === 'piece') host.taken(event.stream, event.cost);
      settle(client, host);
    }
  };

  it('grants what streams had that have ended to others', () => {
    const { client, host } = open();
    for (let generation = 0; generation < 3; generation += 1) {
      const wide = Array.from({ length: 12 }, () => client.open('x') ?? 0);
      widen(client, host, wide);
      for (const id of wide) {
        client.end(id);
        host.end(id);
      }
      settle(client, host);
      drain(host);
    }
    const fresh = client.open('x') ?? 0;
    widen(client, host, [fresh]);
    client.write(fresh, bytes(200_000));
    let came = 0;
    for (const frame of records(client).flatMap(framesOf))
      if (frame.kind === 'data') came += frame.payload.length;
    expect(came).toBeGreaterThan(100_000);
  });

  it('SE-050, SE-052: more than the credit is CREDIT_EXCEEDED', () => {
    const { host } = open();
    const most = STREAM_CREDIT_BYTES - DATA_COST_BYTES;
    expect(give(host, data({ payload: bytes(most) }))).toBeUndefined();
    expect(give(host, data({ sequence: 2, open: undefined, payload: bytes(1) }))).toBe(
      ErrorCode.CREDIT_EXCEEDED,
    );
    const other = new Session('host', budget());
    expect(give(other, data({ payload: bytes(most + 1) }))).toBe(ErrorCode.CREDIT_EXCEEDED);
    // SE-005: a frame at fault does nothing, and opens no stream.
    expect(other.events).toEqual([]);
    expect(other.streamCount).toBe(0);
  });
});
