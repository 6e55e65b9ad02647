/** Numbers, acks and retention of a session, and how it goes on after a break. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { ErrorCode } from '../gen/clawchat/v1/error_pb.ts';
import {
  ACK_BYTES_MAX,
  ACK_DELAY_MS_MAX,
  DATA_COST_BYTES,
  SESSION_RETAINED_BYTES_MAX,
} from '../gen/constants.ts';
import { isFault } from '../wire/fault.ts';
import type { Frame } from '../wire/frame.ts';
import { Session } from './session.ts';
import { budget, bytes, data, drain, framesOf, give, open, records, settle } from './testing/session-pair.ts';

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
