import { fc, test } from '@fast-check/vitest';
import { describe, expect, it } from 'vitest';
import { noble } from '../../crypto/noble.ts';
import { ErrorCode } from '../../gen/clawchat/v1/error_pb.ts';
import { BENCH_MESSAGE_BYTES_MAX, BENCH_UNANSWERED_MAX } from '../../gen/constants.ts';
import { asciiBytes, concat, hex } from '../../wire/bytes.ts';
import type { Fault } from '../../wire/fault.ts';
import { ProbeStream } from '../testing/probe-stream.ts';
import { EMPTY_TALLY, encodeAnswer, parseAnswer, type Tally } from './answer.ts';
import { BenchClient, type BenchPlan } from './client.ts';
import { BenchHost } from './host.ts';

interface Run {
  readonly client: BenchClient;
  readonly up: ProbeStream;
  readonly ends: (Tally | Fault)[];
  readonly answered: number[];
}

function run(plan: BenchPlan): Run {
  const up = new ProbeStream();
  const ends: (Tally | Fault)[] = [];
  const answered: number[] = [];
  const client = new BenchClient(noble, up, plan, {
    sent: () => {},
    answered: message => answered.push(message),
    done: tally => ends.push(tally),
    failed: why => ends.push(why),
  });
  return { client, up, ends, answered };
}

function answersTo(messages: readonly Uint8Array[]): readonly Uint8Array[] {
  const down = new ProbeStream();
  const host = new BenchHost(noble, down);
  for (const message of messages) host.message(message);
  return down.sent;
}

describe('the host', () => {
  it('counts and digests what came, as chapter 13 works it out (BE-002)', () => {
    expect(answersTo([asciiBytes('a'), asciiBytes('bc')]).map(hex)).toEqual([
      '0000000000000001000000000000000141a0370c3d9f42773a59e8e01651911cf43b1e3f66944cbb690029debc4eb647',
      '0000000000000002000000000000000394d00f3289e8fe03976d6c8d7178a6c66c0458b38c7a8c03caffca4d4f540e4b',
    ]);
  });

  it('gives no more credit while an answer waits for room (BE-003)', () => {
    const down = new ProbeStream();
    const host = new BenchHost(noble, down);
    down.room = 2;
    host.message(asciiBytes('a'));
    expect(down.paused).toBe(false);
    host.message(asciiBytes('b'));
    expect(down.paused).toBe(true);
    host.writable();
    expect(down.paused).toBe(false);
  });

  it('takes the longest message there may be and aborts behind it (BE-004)', () => {
    const down = new ProbeStream();
    const host = new BenchHost(noble, down);
    host.message(new Uint8Array(BENCH_MESSAGE_BYTES_MAX));
    expect([down.sent.length, down.closedWith]).toEqual([1, undefined]);
    host.message(new Uint8Array(BENCH_MESSAGE_BYTES_MAX + 1));
    host.message(asciiBytes('a'));
    expect([down.sent.length, down.closedWith]).toEqual([1, ErrorCode.MESSAGE_TOO_LARGE]);
  });
});

describe('the client', () => {
  test.prop([
    fc.integer({ min: 1, max: 3000 }),
    fc.integer({ min: 1, max: 100 }),
    fc.array(fc.integer({ min: 1, max: 9 })),
  ])(
    'sends all of it once it may, whatever the room, and ends when the host has it (BE-005)',
    (bytes, messageBytes, rooms) => {
      const { client, up, ends, answered } = run({ bytes, messageBytes });
      const down = new ProbeStream();
      const host = new BenchHost(noble, down);
      client.allow(bytes / 3);
      client.allow(Number.POSITIVE_INFINITY);
      for (let taken = 0, round = 0; ends.length === 0; round += 1) {
        expect(up.sent.length - taken).toBeLessThanOrEqual(BENCH_UNANSWERED_MAX);
        for (; taken < up.sent.length; taken += 1) host.message(up.sent[taken] ?? new Uint8Array());
        up.room = rooms[round] ?? Number.POSITIVE_INFINITY;
        client.writable();
        for (const answer of down.sent.splice(0)) client.message(answer);
      }
      expect(up.closedWith).toBe(ErrorCode.UNSPECIFIED);
      expect(concat(...up.sent).length).toBe(bytes);
      const [end] = ends;
      expect(end).toMatchObject({ bytes, messages: Math.ceil(bytes / messageBytes) });
      expect(answered).toEqual(up.sent.map((_, index) => index + 1));
    },
  );

  it('sends no more than it was allowed', () => {
    const { client, up } = run({ bytes: 100, messageBytes: 10 });
    client.allow(9);
    expect(up.sent).toHaveLength(0);
    client.allow(35);
    client.allow(20);
    expect(up.sent).toHaveLength(3);
  });

  it.each([
    ['lost', (m: readonly Uint8Array[]) => m.filter((_, i) => i !== 3)],
    ['doubled', (m: readonly Uint8Array[]) => m.flatMap((one, i) => (i === 3 ? [one, one] : [one]))],
    [
      'swapped',
      (m: readonly Uint8Array[]) => m.map((one, i) => (i === 3 ? m[4] : i === 4 ? m[3] : one) ?? one),
    ],
    [
      'altered',
      (m: readonly Uint8Array[]) =>
        m.map((one, i) => (i === 3 ? one.map((b, at) => (at === 20 ? b ^ 1 : b)) : one)),
    ],
  ])('finds out a message that was %s (BE-005)', (_what, change) => {
    const { client, up, ends } = run({ bytes: 1000, messageBytes: 50 });
    client.allow(Number.POSITIVE_INFINITY);
    for (const answer of answersTo(change(up.sent))) client.message(answer);
    expect(up.closedWith).toBe(ErrorCode.MESSAGE_MALFORMED);
    expect(ends).toHaveLength(1);
    expect(ends[0]).toMatchObject({ kind: 'fault', by: 'peer', code: ErrorCode.MESSAGE_MALFORMED });
  });

  it('refuses an answer to nothing, and one that is none (BE-005)', () => {
    const early = run({ bytes: 10, messageBytes: 10 });
    early.client.message(encodeAnswer(EMPTY_TALLY));
    expect(early.ends).toMatchObject([{ code: ErrorCode.MESSAGE_MALFORMED }]);
    const short = run({ bytes: 10, messageBytes: 10 });
    short.client.allow(10);
    short.client.message(new Uint8Array(47));
    expect(short.ends).toMatchObject([{ code: ErrorCode.MESSAGE_MALFORMED }]);
    expect(parseAnswer(new Uint8Array(48).fill(0xff))).toBeUndefined();
  });

  it('says when the stream ends before its run, and nothing behind its end', () => {
    const lost = run({ bytes: 10, messageBytes: 10 });
    lost.client.closed(ErrorCode.SESSION_LOST);
    lost.client.closed(ErrorCode.SESSION_LOST);
    lost.client.allow(10);
    expect(lost.ends).toMatchObject([{ kind: 'fault', code: ErrorCode.SESSION_LOST }]);
    expect(lost.up.sent).toHaveLength(0);
    const cancelled = run({ bytes: 10, messageBytes: 10 });
    cancelled.client.cancel();
    expect([cancelled.up.closedWith, cancelled.ends]).toEqual([ErrorCode.CANCELLED, []]);
  });

  it('is not made of a plan that is none', () => {
    for (const [bytes, messageBytes] of [
      [0, 1],
      [1, 0],
      [1.5, 1],
      [1, BENCH_MESSAGE_BYTES_MAX + 1],
    ] as const) {
      expect(() => run({ bytes, messageBytes })).toThrow('no run');
    }
  });
});
