/** Vectors: numbers, streams and credit of a session that stands (spec/05-session.md, 5.4 to 5.7). */
import { ErrorCode } from '../../../src/gen/clawchat/v1/error_pb.ts';
import { DATA_COST_BYTES, STREAM_CREDIT_BYTES, STREAMS_MAX } from '../../../src/gen/constants.ts';
import {
  ack,
  attach,
  attached,
  attachedClient,
  attachedHost,
  attaches,
  client,
  credit,
  data,
  head,
  hears,
  host,
  type Step,
  writes,
} from '../session-cases.ts';
import type { Vector } from '../vector.ts';

const echo = { opens: 'echo.v1' };

function numbers(): Vector[] {
  return [
    host(
      'number/repeated',
      head('A number twice: the second is dropped, whatever it holds.', 'SE-031~1', 'late-frame', 'replay'),
      [
        ...attachedHost,
        hears('A', data(1, 'other')),
        hears('A', data(2, 'two')),
        hears('A', data(1, 'one', echo)),
      ],
    ),
    host(
      'number/repeated-strange',
      head(
        'A number that was taken, for a stream that never was: dropped as well.',
        'SE-031~1',
        'late-frame',
      ),
      [...attachedHost, hears('A', data(1, 'x', { on: 9 })), hears('A', data(2, 'two'))],
    ),
    host('number/gap', head('A number is missing.', 'SE-032~1'), [
      ...attachedHost,
      hears('A', data(3, 'three')),
    ]),
    host('number/gap-first', head('The first number is 2.', 'SE-032~1'), [
      hears('A', attach(1, 0, true)),
      hears('A', data(2, 'two', echo)),
    ]),
    host(
      'number/gap-strange',
      head('A gap, and a stream that never was: the gap.', 'SE-032~1', 'order-of-steps'),
      [...attachedHost, hears('A', data(3, 'x', { on: 9 }))],
    ),
    host(
      'number/strange-credit',
      head('A stream that never was, and more than any credit: the stream.', 'SE-042~1', 'order-of-steps'),
      [...attachedHost, hears('A', data(2, STREAM_CREDIT_BYTES, { on: 9 }))],
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
    host('ack/never-given', head('An Ack for what was never sent, at the host.', 'SE-035~1'), [
      ...attachedHost,
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
  const many = (count: number): Step[] =>
    Array.from({ length: count }, (_, i) => hears('A', data(i + 1, 's', { on: 2 * i + 1, ...echo })));
  const begin = hears('A', attach(1, 0, true));
  const req = 'SE-042~1';
  return [
    host('stream/pieces', head('A message in three pieces, and one in one.', 'SE-044~1', 'known-answer'), [
      begin,
      hears('A', data(1, 'he', { ...echo, more: true })),
      hears('A', data(2, 'l', { more: true })),
      hears('A', data(3, 'lo')),
      hears('A', data(4, 'x')),
    ]),
    host('stream/interleaved', head('Two streams, piece by piece.', 'SE-044~1', 'known-answer'), [
      begin,
      hears('A', data(1, 'a', { ...echo, more: true })),
      hears('A', data(2, 'b', { on: 3, ...echo, more: true })),
      hears('A', data(3, 'A')),
      hears('A', data(4, 'B', { on: 3 })),
    ]),
    host('stream/empty-frames', head('Frames that only open and end carry no message.', 'SE-040~1'), [
      begin,
      hears('A', data(1, '', echo)),
      hears('A', data(2, 'one')),
      hears('A', data(3, '', { ends: 0 })),
    ]),
    host(
      'stream/empty-last-piece',
      head('An empty last piece ends a message that is under way.', 'SE-044~1'),
      [begin, hears('A', data(1, 'one', { ...echo, more: true })), hears('A', data(2, ''))],
    ),
    host(
      'stream/end-with-message',
      head('The last message and the end in one frame; then this side ends.', 'SE-044~1'),
      [begin, hears('A', data(1, 'one', { ...echo, ends: 0 })), writes(1, 'bye', { end: true })],
    ),
    host('stream/behind-end', head('A message behind the end.', req), [
      begin,
      hears('A', data(1, 'one', { ...echo, ends: 0 })),
      hears('A', data(2, 'two')),
    ]),
    host('stream/ended-both', head('A stream that both have ended.', req), [
      begin,
      hears('A', data(1, 'one', { ...echo, ends: 0 })),
      writes(1, 'bye', { end: true }),
      hears('A', data(2, 'two')),
    ]),
    host(
      'stream/abort',
      head(
        'An abort: the piece that was under way is dropped, and this side ends its own direction.',
        'SE-043~1',
      ),
      [
        begin,
        hears('A', data(1, 'one', echo)),
        hears('A', data(2, 'half', { more: true })),
        hears('A', data(3, '', { ends: ErrorCode.CANCELLED })),
      ],
    ),
    host(
      'stream/abort-unknown',
      {
        ...head('An abort with a code of a later version.', 'SE-043~1', 'unknown-code'),
        req: ['SE-043~1', 'ER-002~1'],
      },
      [begin, hears('A', data(1, 'one', echo)), hears('A', data(2, '', { ends: 9999 }))],
    ),
    host('stream/not-opened', head('A stream that was not opened.', req), [
      begin,
      hears('A', data(1, 'one')),
    ]),
    host('stream/even', head('A client opens an even stream.', req), [
      begin,
      hears('A', data(1, 'one', { on: 2, ...echo })),
    ]),
    host('stream/skipped', head('Stream 3 before stream 1.', req), [
      begin,
      hears('A', data(1, 'one', { on: 3, ...echo })),
    ]),
    host('stream/backwards', head('Stream 1 once more, after it ended.', req), [
      begin,
      hears('A', data(1, 'one', { ...echo, ends: 0 })),
      writes(1, '', { end: true }),
      hears('A', data(2, 'two', echo)),
    ]),
    host('stream/opened-twice', head('A stream that is open is opened again.', req), [
      ...attachedHost,
      hears('A', data(2, 'two', echo)),
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
    host('stream/limit', head('As many streams as may be open.', 'SE-041~1', 'count', 'boundary'), [
      begin,
      ...many(STREAMS_MAX),
    ]),
    host('stream/beyond-limit', head('One more.', req, 'count', 'boundary'), [
      begin,
      ...many(STREAMS_MAX + 1),
    ]),
    host('stream/limit-again', head('One that both have ended makes room.', 'SE-041~1', 'count'), [
      begin,
      ...many(STREAMS_MAX),
      hears('A', data(STREAMS_MAX + 1, '', { on: 5, ends: 0 })),
      writes(5, '', { end: true }),
      hears('A', data(STREAMS_MAX + 2, 's', { on: 2 * STREAMS_MAX + 1, ...echo })),
    ]),
    host('stream/limit-half-ended', head('One that only the client has ended does not.', req, 'count'), [
      begin,
      ...many(STREAMS_MAX),
      hears('A', data(STREAMS_MAX + 1, '', { on: 5, ends: 0 })),
      hears('A', data(STREAMS_MAX + 2, 's', { on: 2 * STREAMS_MAX + 1, ...echo })),
    ]),
  ];
}

function credits(): Vector[] {
  const begin = hears('A', attach(1, 0, true));
  const full = STREAM_CREDIT_BYTES - DATA_COST_BYTES;
  const still = { reads: false };
  const flags = ['credit', 'boundary'] as const;
  return [
    host(
      'credit/all',
      head('As much as the first credit allows.', 'SE-050~1', ...flags),
      [begin, hears('A', data(1, full, echo))],
      still,
    ),
    host(
      'credit/beyond',
      head('One byte more.', 'SE-052~1', ...flags),
      [begin, hears('A', data(1, full + 1, echo))],
      still,
    ),
    host(
      'credit/empty-counts',
      head('An empty frame without an end counts 32 bytes.', 'SE-052~1', ...flags),
      [begin, hears('A', data(1, full, echo)), hears('A', data(2, ''))],
      still,
    ),
    host(
      'credit/end-is-free',
      head('An empty end counts nothing.', 'SE-050~1', ...flags),
      [begin, hears('A', data(1, full, echo)), hears('A', data(2, '', { ends: 0 }))],
      still,
    ),
    host(
      'credit/end-with-content',
      head('An end with content counts like any other.', 'SE-052~1', ...flags),
      [begin, hears('A', data(1, full, echo)), hears('A', data(2, 'y', { ends: 0 }))],
      still,
    ),
    host(
      'credit/each-stream',
      head('Each stream has its own credit.', 'SE-050~1', 'credit'),
      [begin, hears('A', data(1, full, echo)), hears('A', data(2, full, { on: 3, ...echo }))],
      still,
    ),
    host(
      'credit/again-is-free',
      head('What is sent again counts nothing more.', 'SE-050~1', 'credit', 'late-frame'),
      [
        begin,
        hears('A', data(1, full - 100, echo)),
        hears('A', data(1, full - 100, echo)),
        hears('A', data(2, 100 - DATA_COST_BYTES)),
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
