/** Vectors: numbers, streams and credit of a session that stands (spec/05-session.md, 5.4 to 5.7). */
import { ErrorCode } from '../../../src/gen/clawchat/v1/error_pb.ts';
import { DATA_COST_BYTES, STREAM_CREDIT_BYTES, STREAMS_MAX } from '../../../src/gen/constants.ts';
import {
  ack,
  attach,
  attached,
  attachedClient,
  attaches,
  client,
  credit,
  type DataOf,
  data,
  type Head,
  head,
  hears,
  host,
  type Step,
  writes,
} from '../session-cases.ts';
import type { Vector } from '../vector.ts';

const echo = { opens: 'echo.v1' };

/** A side whose other side opens streams: what is written here of a host's is one higher at a client. */
class Hearing {
  readonly begin: readonly Step[];
  private readonly more: number;

  constructor(role: 'host' | 'client') {
    this.begin =
      role === 'host' ? [hears('A', attach(1, 0, true))] : [attaches('A'), hears('A', attached(1))];
    this.more = role === 'host' ? 0 : 1;
  }

  /** A session that has taken one message. */
  get first(): readonly Step[] {
    return [...this.begin, this.hears(1, 'one', echo)];
  }

  hears(sequence: number, text: string | number, of: DataOf = {}): Step {
    return hears('A', data(sequence, text, { ...of, on: (of.on ?? 1) + this.more }));
  }

  writes(at: number, ...rest: Tail<Parameters<typeof writes>>): Step {
    return writes(at + this.more, ...rest);
  }
}

type Tail<All extends readonly unknown[]> = All extends readonly [unknown, ...infer Rest] ? Rest : never;

/** A vector for a host, and the same turned around for a client. */
function both(
  id: string,
  about: Head,
  steps: (side: Hearing) => readonly Step[],
  options?: Parameters<typeof host>[3],
): Vector[] {
  const turned = { ...about, note: `${about.note} Turned around.` };
  return [
    host(id, about, steps(new Hearing('host')), options),
    client(`turned/${id}`, turned, steps(new Hearing('client')), options),
  ];
}

function numbers(): Vector[] {
  return [
    ...both(
      'number/repeated',
      head('A number twice: the second is dropped, whatever it holds.', 'SE-031~1', 'late-frame', 'replay'),
      side => [...side.first, side.hears(1, 'other'), side.hears(2, 'two'), side.hears(1, 'one', echo)],
    ),
    ...both(
      'number/repeated-strange',
      head(
        'A number that was taken, for a stream that never was: dropped as well.',
        'SE-031~1',
        'late-frame',
      ),
      side => [...side.first, side.hears(1, 'x', { on: 9 }), side.hears(2, 'two')],
    ),
    ...both('number/gap', head('A number is missing.', 'SE-032~1'), side => [
      ...side.first,
      side.hears(3, 'three'),
    ]),
    ...both('number/gap-first', head('The first number is 2.', 'SE-032~1'), side => [
      ...side.begin,
      side.hears(2, 'two', echo),
    ]),
    ...both(
      'number/gap-strange',
      head('A gap, and a stream that never was: the gap.', 'SE-032~1', 'order-of-steps'),
      side => [...side.first, side.hears(3, 'x', { on: 9 })],
    ),
    ...both(
      'number/strange-credit',
      head('A stream that never was, and more than any credit: the stream.', 'SE-042~1', 'order-of-steps'),
      side => [...side.first, side.hears(2, STREAM_CREDIT_BYTES, { on: 9 })],
    ),
    client('number/gap', head('A number is missing, at the client.', 'SE-032~1'), [
      ...attachedClient,
      hears('A', data(2, 'TWO')),
    ]),
    client('number/repeated', head('A number twice, at the client.', 'SE-031~1', 'late-frame', 'replay'), [
      ...attachedClient,
      hears('A', data(1, 'ONE')),
      hears('A', data(1, 'ONE')),
      hears('A', data(2, 'TWO')),
    ]),
    client('ack/never-given', head('An Ack for what was never sent.', 'SE-035~1'), [
      ...attachedClient,
      hears('A', ack(2)),
    ]),
    client('ack/lower', head('An Ack that is lower than one before is ignored.', 'SE-035~1'), [
      ...attachedClient,
      writes(1, 'two'),
      hears('A', ack(2)),
      hears('A', ack(1)),
      hears('A', ack(0)),
    ]),
    ...both('ack/never-given', head('An Ack for what was never sent, at the host.', 'SE-035~1'), side => [
      ...side.first,
      hears('A', ack(1)),
    ]),
    client(
      'ack/not-data',
      head(
        'Acks and credits have no numbers: a host that sent only those has its first Data under 1.',
        'SE-033~1',
      ),
      [
        attaches('A'),
        hears('A', attached(1)),
        hears('A', ack(0)),
        hears('A', data(1, 'HI', { on: 2, ...echo })),
      ],
    ),
  ];
}

function streams(): Vector[] {
  const many = (side: Hearing, count: number): Step[] =>
    Array.from({ length: count }, (_, i) => side.hears(i + 1, 's', { on: 2 * i + 1, ...echo }));
  const req = 'SE-042~1';
  return [
    ...both(
      'stream/pieces',
      head('A message in three pieces, and one in one.', 'SE-044~1', 'known-answer'),
      side => [
        ...side.begin,
        side.hears(1, 'he', { ...echo, more: true }),
        side.hears(2, 'l', { more: true }),
        side.hears(3, 'lo'),
        side.hears(4, 'x'),
      ],
    ),
    ...both('stream/interleaved', head('Two streams, piece by piece.', 'SE-044~1', 'known-answer'), side => [
      ...side.begin,
      side.hears(1, 'a', { ...echo, more: true }),
      side.hears(2, 'b', { on: 3, ...echo, more: true }),
      side.hears(3, 'A'),
      side.hears(4, 'B', { on: 3 }),
    ]),
    ...both(
      'stream/empty-frames',
      head('Frames that only open and end carry no message.', 'SE-040~1'),
      side => [...side.begin, side.hears(1, '', echo), side.hears(2, 'one'), side.hears(3, '', { ends: 0 })],
    ),
    ...both(
      'stream/empty-last-piece',
      head('An empty last piece ends a message that is under way.', 'SE-044~1'),
      side => [...side.begin, side.hears(1, 'one', { ...echo, more: true }), side.hears(2, '')],
    ),
    ...both(
      'stream/end-with-message',
      head('The last message and the end in one frame; then this side ends.', 'SE-044~1'),
      side => [
        ...side.begin,
        side.hears(1, 'one', { ...echo, ends: 0 }),
        side.writes(1, 'bye', { end: true }),
      ],
    ),
    ...both('stream/behind-end', head('A message behind the end.', req), side => [
      ...side.begin,
      side.hears(1, 'one', { ...echo, ends: 0 }),
      side.hears(2, 'two'),
    ]),
    ...both('stream/ended-both', head('A stream that both have ended.', req), side => [
      ...side.begin,
      side.hears(1, 'one', { ...echo, ends: 0 }),
      side.writes(1, 'bye', { end: true }),
      side.hears(2, 'two'),
    ]),
    ...both(
      'stream/abort',
      head(
        'An abort: the piece that was under way is dropped, and this side ends its own direction.',
        'SE-043~1',
      ),
      side => [
        ...side.begin,
        side.hears(1, 'one', echo),
        side.hears(2, 'half', { more: true }),
        side.hears(3, '', { ends: ErrorCode.CANCELLED }),
      ],
    ),
    ...both(
      'stream/abort-unknown',
      {
        ...head('An abort with a code of a later version.', 'SE-043~1', 'unknown-code'),
        req: ['SE-043~1', 'ER-002~1'],
      },
      side => [...side.begin, side.hears(1, 'one', echo), side.hears(2, '', { ends: 9999 })],
    ),
    ...both('stream/not-opened', head('A stream that was not opened.', req), side => [
      ...side.begin,
      side.hears(1, 'one'),
    ]),
    ...both('stream/even', head('The other side opens a stream with a number of this side.', req), side => [
      ...side.begin,
      side.hears(1, 'one', { on: 2, ...echo }),
    ]),
    ...both('stream/skipped', head('The second stream before the first.', req), side => [
      ...side.begin,
      side.hears(1, 'one', { on: 3, ...echo }),
    ]),
    ...both('stream/backwards', head('The first stream once more, after it ended.', req), side => [
      ...side.begin,
      side.hears(1, 'one', { ...echo, ends: 0 }),
      side.writes(1, '', { end: true }),
      side.hears(2, 'two', echo),
    ]),
    ...both('stream/opened-twice', head('A stream that is open is opened again.', req), side => [
      ...side.first,
      side.hears(2, 'two', echo),
    ]),
    client('stream/of-host', head('The host opens stream 2, then 4.', 'SE-040~1', 'known-answer'), [
      ...attachedClient,
      hears('A', data(1, 'TWO', { on: 2, ...echo })),
      hears('A', data(2, 'FOUR', { on: 4, ...echo })),
    ]),
    client('stream/odd', head('A host opens an odd stream.', req), [
      ...attachedClient,
      hears('A', data(1, 'x', { on: 3, ...echo })),
    ]),
    client('stream/not-opened', head('The host sends on a stream that nobody opened.', req), [
      ...attachedClient,
      hears('A', data(1, 'x', { on: 3 })),
    ]),
    client('stream/opens-mine', head('The host opens a stream that the client opened.', req), [
      ...attachedClient,
      hears('A', data(1, 'x', { on: 1, ...echo })),
    ]),
    ...both(
      'stream/limit',
      head('As many streams as may be open.', 'SE-041~1', 'count', 'boundary'),
      side => [...side.begin, ...many(side, STREAMS_MAX)],
    ),
    ...both('stream/beyond-limit', head('One more.', req, 'count', 'boundary'), side => [
      ...side.begin,
      ...many(side, STREAMS_MAX + 1),
    ]),
    ...both('stream/limit-again', head('One that both have ended makes room.', 'SE-041~1', 'count'), side => [
      ...side.begin,
      ...many(side, STREAMS_MAX),
      side.hears(STREAMS_MAX + 1, '', { on: 5, ends: 0 }),
      side.writes(5, '', { end: true }),
      side.hears(STREAMS_MAX + 2, 's', { on: 2 * STREAMS_MAX + 1, ...echo }),
    ]),
    ...both(
      'stream/limit-half-ended',
      head('One that only the other side has ended does not.', req, 'count'),
      side => [
        ...side.begin,
        ...many(side, STREAMS_MAX),
        side.hears(STREAMS_MAX + 1, '', { on: 5, ends: 0 }),
        side.hears(STREAMS_MAX + 2, 's', { on: 2 * STREAMS_MAX + 1, ...echo }),
      ],
    ),
  ];
}

function credits(): Vector[] {
  const full = STREAM_CREDIT_BYTES - DATA_COST_BYTES;
  const still = { reads: false };
  const flags = ['credit', 'boundary'] as const;
  return [
    ...both(
      'credit/all',
      head('As much as the first credit allows.', 'SE-050~1', ...flags),
      side => [...side.begin, side.hears(1, full, echo)],
      still,
    ),
    ...both(
      'credit/beyond',
      head('One byte more.', 'SE-052~1', ...flags),
      side => [...side.begin, side.hears(1, full + 1, echo)],
      still,
    ),
    ...both(
      'credit/empty-counts',
      head('An empty frame without an end counts 32 bytes.', 'SE-052~1', ...flags),
      side => [...side.begin, side.hears(1, full, echo), side.hears(2, '')],
      still,
    ),
    ...both(
      'credit/end-is-free',
      head('An empty end counts nothing.', 'SE-050~1', ...flags),
      side => [...side.begin, side.hears(1, full, echo), side.hears(2, '', { ends: 0 })],
      still,
    ),
    ...both(
      'credit/end-with-content',
      head('An end with content counts like any other.', 'SE-052~1', ...flags),
      side => [...side.begin, side.hears(1, full, echo), side.hears(2, 'y', { ends: 0 })],
      still,
    ),
    ...both(
      'credit/each-stream',
      head('Each stream has its own credit.', 'SE-050~1', 'credit'),
      side => [...side.begin, side.hears(1, full, echo), side.hears(2, full, { on: 3, ...echo })],
      still,
    ),
    ...both(
      'credit/again-is-free',
      head('What is sent again counts nothing more.', 'SE-050~1', 'credit', 'late-frame'),
      side => [
        ...side.begin,
        side.hears(1, full - 100, echo),
        side.hears(1, full - 100, echo),
        side.hears(2, 100 - DATA_COST_BYTES),
      ],
      still,
    ),
    client(
      'credit/waits',
      head('The sender waits at its limit, and goes on when it rises.', 'SE-051~1', ...flags),
      [
        ...attachedClient,
        writes(1, full - 35),
        writes(1, 'y'),
        hears('A', credit(1, STREAM_CREDIT_BYTES + 32)),
        hears('A', credit(1, STREAM_CREDIT_BYTES + 33)),
      ],
    ),
    client('credit/end-passes', head('An empty end needs no credit.', 'SE-050~1', 'credit'), [
      ...attachedClient,
      writes(1, full - 35),
      writes(1, '', { end: true }),
    ]),
    client('credit/lower', head('A lower limit is ignored.', 'SE-055~1', 'credit'), [
      ...attachedClient,
      hears('A', credit(1, 20_000)),
      hears('A', credit(1, 0)),
      writes(1, 8000),
      writes(1, 8000),
    ]),
    client('credit/unknown-stream', head('Credit for a stream that never was.', 'SE-056~1', 'credit'), [
      ...attachedClient,
      hears('A', credit(3, 9)),
    ]),
    client(
      'credit/ended-stream',
      head('Credit for a stream that has ended is ignored.', 'SE-055~1', 'credit'),
      [
        ...attachedClient,
        writes(1, '', { end: true }),
        hears('A', data(1, '', { ends: 0 })),
        hears('A', credit(1, 99_999)),
      ],
    ),
  ];
}

/** Make them. */
export function sessionData(): Vector[] {
  return [...numbers(), ...streams(), ...credits()];
}
