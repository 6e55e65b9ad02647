import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { ErrorCode } from '../gen/clawchat/v1/error_pb.ts';
import {
  ACK_BYTES_MAX,
  ACK_DELAY_MS_MAX,
  DATA_COST_BYTES,
  SESSION_CREDIT_BYTES,
  SESSION_RETAINED_BYTES_MAX,
  STREAM_CREDIT_BYTES,
  STREAM_WINDOW_BYTES_MAX,
  STREAMS_MAX,
} from '../gen/constants.ts';
import { isFault } from '../wire/fault.ts';
import type { DataFrame, Frame } from '../wire/frame.ts';
import { RowReader, RowWriter } from '../wire/row.ts';
import { Session } from './session.ts';
import type { Budget, SessionEvent } from './session-io.ts';

const bytes = (length: number, fill = 1): Uint8Array => new Uint8Array(length).fill(fill);
const budget = (bytesMax = 2 ** 40): Budget => ({ bytes: 0, bytesMax });

/** Take the records that a session would send now. */
function records(session: Session, now = 0): Uint8Array[] {
  const writer = new RowWriter();
  const out: Uint8Array[] = [];
  for (let more = true; more; ) {
    more = session.fill(writer, now);
    if (writer.empty) return out;
    out.push(Uint8Array.from(writer.finish()));
  }
  return out;
}

function framesOf(record: Uint8Array): Frame[] {
  const reader = new RowReader(record);
  const out: Frame[] = [];
  for (let frame = reader.next(); frame !== undefined; frame = reader.next()) {
    if (frame.kind === 'fault') throw new Error(frame.detail);
    out.push(frame);
  }
  return out;
}

/** Hand a frame over; gives the code of the fault it causes. */
function give(session: Session, frame: Frame, now = 0): ErrorCode | undefined {
  if (frame.kind !== 'data' && frame.kind !== 'ack' && frame.kind !== 'credit') throw new Error(frame.kind);
  return session.receive(frame, now)?.code;
}

/** Exchange records until both sides are silent. */
function settle(a: Session, b: Session, now = 0): void {
  for (let quiet = false; !quiet; ) {
    quiet = true;
    for (const [from, to] of [
      [a, b],
      [b, a],
    ] as const) {
      for (const frame of records(from, now).flatMap(framesOf)) {
        quiet = false;
        expect(give(to, frame, now)).toBeUndefined();
      }
    }
  }
}

function drain(session: Session): SessionEvent[] {
  return session.events.splice(0);
}

const data = (over: Partial<DataFrame>): DataFrame => ({
  kind: 'data',
  sequence: 1,
  stream: 1,
  payload: bytes(1),
  more: false,
  open: 'x',
  end: undefined,
  ...over,
});

function open(): { client: Session; host: Session; stream: number } {
  const client = new Session('client', budget());
  const host = new Session('host', budget());
  const stream = client.open('chat.v1') ?? 0;
  return { client, host, stream };
}

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

describe('numbers', () => {
  it('SE-031: drops duplicates, SE-032: refuses gaps', () => {
    const { host } = open();
    expect(give(host, data({}))).toBeUndefined();
    expect(give(host, data({}))).toBeUndefined();
    expect(drain(host)).toHaveLength(2);
    expect(give(host, data({ sequence: 3, open: undefined }))).toBe(ErrorCode.SEQUENCE_GAP);
    expect(host.receivedThrough).toBe(1);
  });

  it('SE-033, SE-034: acknowledges with what is sent anyway, after a delay, or after enough bytes', () => {
    const { client, host, stream } = open();
    client.write(stream, bytes(10));
    for (const frame of records(client).flatMap(framesOf)) give(host, frame, 1_000);
    expect(host.ackDeadline).toBe(1_000 + ACK_DELAY_MS_MAX);
    // What comes later puts nothing off.
    client.write(stream, bytes(10));
    for (const frame of records(client).flatMap(framesOf)) give(host, frame, 2_000);
    expect(host.ackDeadline).toBe(1_000 + ACK_DELAY_MS_MAX);
    expect(records(host, 1_000 + ACK_DELAY_MS_MAX - 1)).toHaveLength(0);
    expect(records(host, 1_000 + ACK_DELAY_MS_MAX).flatMap(framesOf)).toEqual([
      { kind: 'ack', receivedThrough: 2 },
    ]);
    expect(host.ackDeadline).toBeUndefined();
    client.write(stream, bytes(10));
    for (const frame of records(client).flatMap(framesOf)) give(host, frame, 1_000);
    host.write(stream, bytes(1));
    expect(
      records(host, 1_000)
        .flatMap(framesOf)
        .map(({ kind }) => kind),
    ).toEqual(['ack', 'data']);
    const many = new Session('host', budget());
    let sequence = 0;
    for (let bytesIn = 0; bytesIn < ACK_BYTES_MAX; bytesIn += 8_032) {
      sequence += 1;
      give(many, data({ sequence, stream: 2 * sequence - 1, payload: bytes(8_000) }), 1_000);
    }
    expect(many.ackDeadline).toBe(1_000);
  });

  it('SE-035: an ack of what was never sent is ACK_INVALID', () => {
    const { client, stream } = open();
    client.write(stream, bytes(1));
    expect(give(client, { kind: 'ack', receivedThrough: 1 })).toBe(ErrorCode.ACK_INVALID);
    records(client);
    expect(give(client, { kind: 'ack', receivedThrough: 2 })).toBe(ErrorCode.ACK_INVALID);
    expect(give(client, { kind: 'ack', receivedThrough: 1 })).toBeUndefined();
    expect(give(client, { kind: 'ack', receivedThrough: 0 })).toBeUndefined();
    expect(client.heldBytes).toBe(0);
  });

  const invalid: readonly (readonly [string, Frame])[] = [
    ['data of a stream that was never opened', data({ open: undefined })],
    ['a stream opened under a number of the receiver', data({ stream: 2 })],
    ['a stream opened out of turn', data({ stream: 3 })],
    ['credit for a stream of the receiver that never was', { kind: 'credit', stream: 2, limit: 9 }],
    ['credit for a stream of the sender that never was', { kind: 'credit', stream: 1, limit: 9 }],
  ];
  it.each(invalid)('SE-040, SE-042, SE-056: %s is STREAM_INVALID', (_, frame) => {
    expect(give(new Session('host', budget()), frame)).toBe(ErrorCode.STREAM_INVALID);
  });

  it('SE-042: data behind an end, or a second opening, is STREAM_INVALID', () => {
    for (const [first, second] of [
      [data({ end: 0 }), data({ sequence: 2, open: undefined })],
      [data({}), data({ sequence: 2 })],
    ] as const) {
      const host = new Session('host', budget());
      expect(give(host, first)).toBeUndefined();
      expect(give(host, second)).toBe(ErrorCode.STREAM_INVALID);
    }
  });

  it('SE-055: ignores late credit for a stream that has ended', () => {
    const { client, host, stream } = open();
    client.abort(stream, ErrorCode.CANCELLED);
    settle(client, host);
    expect(give(client, { kind: 'credit', stream, limit: 1e6 })).toBeUndefined();
  });
});

describe('retention', () => {
  it('SE-030, SE-061: keeps at most SESSION_RETAINED_BYTES_MAX and makes writers wait', () => {
    const { client, host } = open();
    let given = 0;
    for (let i = 1; i < 100; i += 1) client.open('x');
    let refused = 0;
    for (let round = 0; round < 40; round += 1) {
      for (let id = 1; id < 200; id += 2) refused += client.write(id, bytes(8_000)) === 'full' ? 1 : 0;
      // Data arrives and is taken, credit comes back, but every ack is lost.
      for (const frame of records(client).flatMap(framesOf)) {
        if (frame.kind === 'data') given += frame.payload.length + DATA_COST_BYTES;
        give(host, frame);
      }
      for (const event of drain(host)) if (event.kind === 'piece') host.taken(event.stream, event.cost);
      for (const frame of records(host).flatMap(framesOf)) if (frame.kind === 'credit') give(client, frame);
    }
    expect(refused).toBeGreaterThan(0);
    expect(given).toBeLessThanOrEqual(SESSION_RETAINED_BYTES_MAX);
    expect(client.heldBytes).toBeLessThanOrEqual(SESSION_RETAINED_BYTES_MAX + 262_144);
    expect(client.heldBytes).toBeGreaterThan(SESSION_RETAINED_BYTES_MAX * 0.9);
    drain(client);
    expect(give(client, { kind: 'ack', receivedThrough: host.receivedThrough })).toBeUndefined();
    expect(drain(client).filter(({ kind }) => kind === 'writable').length).toBeGreaterThan(0);
  });

  it('lets a writer go on when what it wrote has left', () => {
    const { client, host, stream } = open();
    settle(client, host);
    for (let i = 0; i < 3; i += 1) client.write(stream, bytes(100_000));
    expect(client.write(stream, bytes(1))).toBe('full');
    expect(give(client, { kind: 'credit', stream, limit: 200_000 })).toBeUndefined();
    records(client);
    expect(drain(client)).toEqual([{ kind: 'writable', stream }]);
  });

  it('SE-062: counts against a budget that sessions share, and gives it back', () => {
    const shared = budget(100_000);
    const [a, b] = [new Session('client', shared), new Session('client', shared)];
    const stream = a.open('x') ?? 0;
    expect(a.write(stream, bytes(100_000))).toBe('accepted');
    expect(b.write(b.open('x') ?? 0, bytes(1))).toBe('full');
    const [record = bytes(0)] = records(a);
    const [frame] = framesOf(record);
    if (frame?.kind !== 'data') throw new Error('no data');
    const cost = frame.payload.length + DATA_COST_BYTES;
    expect(shared.bytes).toBe(100_000 + DATA_COST_BYTES);
    expect(give(a, { kind: 'ack', receivedThrough: 1 })).toBeUndefined();
    expect(shared.bytes).toBe(100_000 + DATA_COST_BYTES - cost);
    a.release();
    expect(shared.bytes).toBe(0);
    b.wake();
    expect(drain(b)).toEqual([{ kind: 'writable', stream: 1 }]);
  });
});

describe('resuming', () => {
  it('SE-014, SE-017: sends again from the first frame that is missing, and no other', () => {
    const { client, host, stream } = open();
    for (let i = 0; i < 5; i += 1) client.write(stream, bytes(1, i));
    const first = records(client).flatMap(framesOf);
    for (const frame of first.slice(0, 3)) give(host, frame);
    expect(client.resume(host.announce())).toBeUndefined();
    expect(records(client).flatMap(framesOf)).toEqual(first.slice(3));
    expect(client.resume(9)?.code).toBe(ErrorCode.ACK_INVALID);
    // An Ack has overtaken the number: it is as good as the Ack.
    expect(client.resume(2)).toBeUndefined();
    expect(records(client).flatMap(framesOf)).toEqual(first.slice(3));
  });

  it('SE-018: repeats credit', () => {
    const { client, host, stream } = open();
    client.write(stream, bytes(8_000));
    for (const frame of records(client).flatMap(framesOf)) give(host, frame);
    host.taken(stream, 8_032);
    const credit = records(host)
      .flatMap(framesOf)
      .find(({ kind }) => kind === 'credit');
    expect(credit).toBeDefined();
    host.resume(0);
    expect(records(host).flatMap(framesOf)).toContainEqual(credit);
  });

  it('delivers each message once and in order, over paths that break anywhere', () => {
    const seen = { breaks: 0, duplicates: 0, overlaps: 0, messages: 0 };
    fc.assert(
      fc.property(
        fc.array(
          fc.record({
            what: fc.constantFrom('write', 'write', 'send', 'send', 'carry', 'break', 'move', 'take'),
            side: fc.nat(1),
            stream: fc.nat(3),
            length: fc.oneof(fc.integer({ min: 4, max: 300 }), fc.integer({ min: 4, max: 30_000 })),
            count: fc.nat(4),
          }),
          { minLength: 10, maxLength: 80, size: 'max' },
        ),
        steps => runSteps(steps, seen),
      ),
      { numRuns: 300 },
    );
    console.log(`session pair: ${JSON.stringify(seen)}`);
    expect(Math.min(seen.breaks, seen.duplicates, seen.overlaps, seen.messages)).toBeGreaterThan(0);
  });
});

interface Step {
  readonly what: string;
  readonly side: number;
  readonly stream: number;
  readonly length: number;
  readonly count: number;
}
type Side = 'client' | 'host';

/** Two sessions, records in flight in both directions, and an older path whose records to the client still arrive. */
function runSteps(
  steps: readonly Step[],
  seen: Record<'breaks' | 'duplicates' | 'overlaps' | 'messages', number>,
): void {
  const sides: Record<Side, Session> = {
    client: new Session('client', budget()),
    host: new Session('host', budget()),
  };
  const other = { client: 'host', host: 'client' } as const;
  const flight: Record<Side, Uint8Array[]> = { client: [], host: [] };
  const sent: Record<Side, Map<number, number[]>> = { client: new Map(), host: new Map() };
  const got: Record<Side, Map<number, number[]>> = { client: new Map(), host: new Map() };
  const partial: Record<Side, Map<number, Uint8Array>> = { client: new Map(), host: new Map() };
  const untaken: Record<Side, Map<number, number>> = { client: new Map(), host: new Map() };
  let older: Uint8Array[] = [];
  let serial = 0;
  for (let i = 0; i < 4; i += 1) sides.client.open('x');
  settle(sides.client, sides.host);

  const pull = (side: Side): void => void flight[side].push(...records(sides[side], Number.MAX_SAFE_INTEGER));
  const take = (to: Side, record: Uint8Array): void => {
    for (const frame of framesOf(record)) {
      if (frame.kind === 'data' && frame.sequence <= sides[to].receivedThrough) seen.duplicates += 1;
      expect(give(sides[to], frame)).toBeUndefined();
    }
    for (const event of drain(sides[to])) {
      if (event.kind !== 'piece') continue;
      untaken[to].set(event.stream, (untaken[to].get(event.stream) ?? 0) + event.cost);
      const message = Buffer.concat([partial[to].get(event.stream) ?? bytes(0), event.payload]);
      partial[to].set(event.stream, event.more ? message : bytes(0));
      if (event.more) continue;
      const list = got[to].get(event.stream) ?? [];
      list.push(message.readUInt32BE(message.length - 4), message.length);
      got[to].set(event.stream, list);
      seen.messages += 1;
    }
  };
  const carry = (side: Side, count: number): void => {
    for (const record of flight[side].splice(0, count)) take(other[side], record);
  };
  const reattach = (): void => {
    // Attach says what the client has; the host answers with what it has: both in one step of the host.
    const attach = sides.client.announce();
    for (const record of older) take('client', record);
    older = [];
    expect(isFault(sides.host.resume(attach) ?? 0)).toBe(false);
    expect(sides.client.resume(sides.host.announce())).toBeUndefined();
  };
  for (const { what, side: n, stream, length, count } of steps) {
    const side: Side = n === 0 ? 'client' : 'host';
    const id = 2 * stream + 1;
    if (what === 'write') {
      const payload = bytes(length);
      serial += 1;
      new DataView(payload.buffer).setUint32(length - 4, serial);
      if (sides[side].write(id, payload) !== 'accepted') continue;
      const list = sent[side].get(id) ?? [];
      list.push(serial, length);
      sent[side].set(id, list);
    } else if (what === 'send') {
      pull(side);
    } else if (what === 'carry') {
      carry(side, count);
    } else if (what === 'take') {
      for (const [each, cost] of untaken[side]) sides[side].taken(each, cost);
      untaken[side].clear();
    } else if (what === 'break') {
      seen.breaks += flight.client.length + flight.host.length > 0 ? 1 : 0;
      flight.client = [];
      flight.host = [];
      reattach();
    } else {
      // Make before break: what the host sent on the older path still reaches the client.
      seen.overlaps += flight.host.length > 0 ? 1 : 0;
      older = flight.host;
      flight.client = [];
      flight.host = [];
      reattach();
    }
  }
  for (let round = 0; round < 40; round += 1) {
    for (const side of ['client', 'host'] as const) {
      pull(side);
      carry(side, Number.POSITIVE_INFINITY);
      for (const [each, cost] of untaken[side]) sides[side].taken(each, cost);
      untaken[side].clear();
    }
  }
  expect(got.host).toEqual(sent.client);
  expect(got.client).toEqual(sent.host);
  expect([sides.client.heldBytes, sides.host.heldBytes]).toEqual([0, 0]);
}

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
