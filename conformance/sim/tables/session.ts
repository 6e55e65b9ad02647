/** What a side of a session does with a stream, and with numbers (spec/05-session.md, 5.4 to 5.6). */
import { ErrorCode } from '../../../src/gen/clawchat/v1/error_pb.ts';
import { STREAM_CREDIT_BYTES, STREAMS_MAX } from '../../../src/gen/constants.ts';
import { codeName, isFault } from '../../../src/protocol/fault.ts';
import { Session } from '../../../src/protocol/session.ts';
import type { SessionEvent } from '../../../src/protocol/session-io.ts';
import type { AckFrame, CreditFrame, DataFrame } from '../../../src/wire/frame.ts';
import { RowReader, RowWriter } from '../../../src/wire/row.ts';
import { cellOf, grid } from './grid.ts';

/** The host's side of a session, and one stream of it. */
class World {
  readonly session = new Session('host', { bytes: 0, bytesMax: 2 ** 40 });
  /** 1 is the client's first, 2 the host's own. */
  stream = 1;
  private readonly done: string[] = [];

  constructor(...moves: readonly Move[]) {
    this.session.write(this.session.open('echo.v1') ?? 0, Uint8Array.of(1));
    this.turn();
    for (const move of moves) move(this);
    this.turn();
    this.done.length = 0;
  }

  receive(frame: DataFrame | AckFrame | CreditFrame): void {
    const wrong = this.session.receive(frame, 0);
    if (wrong !== undefined) this.done.push(code(wrong.code));
  }

  /** Data of the stream, with the next number. */
  data(change: Partial<DataFrame> = {}): void {
    const sequence = this.session.receivedThrough + 1;
    const { stream } = this;
    const payload = Uint8Array.of(1);
    const frame = {
      kind: 'data',
      sequence,
      stream,
      payload,
      more: false,
      open: undefined,
      end: undefined,
    } as const;
    this.receive({ ...frame, ...change });
  }

  /** Take what the application is told, then send what is ready. */
  turn(): void {
    const { session } = this;
    for (const event of session.events.splice(0)) this.done.push(eventWord(event));
    const writer = new RowWriter();
    session.fill(writer, 0);
    if (writer.empty) return;
    const reader = new RowReader(writer.finish());
    for (let frame = reader.next(); frame !== undefined; frame = reader.next()) {
      if (isFault(frame) || frame.kind === 'ack') continue;
      if (frame.kind === 'data' && frame.end !== undefined)
        this.done.push(frame.end === ErrorCode.UNSPECIFIED ? 'StreamEnd' : `StreamEnd{${code(frame.end)}}`);
      else this.done.push(frame.kind === 'data' ? 'Data' : 'Credit');
    }
  }

  take(): readonly string[] {
    this.turn();
    return this.done;
  }

  get state(): string {
    const streams = this.session['streams'];
    const stream = streams.get(this.stream);
    if (stream === undefined) return streams.everWas(this.stream) ? 'ended on both sides' : 'not opened';
    if (stream.dropping) return 'this side has aborted';
    if (stream.ended) return 'the other side has ended';
    return stream.ending === undefined ? 'open' : 'this side has ended';
  }
}

type Move = (world: World) => void;

const code = (of: ErrorCode): string => `\`${codeName(of)}\``;

function eventWord(event: SessionEvent): string {
  switch (event.kind) {
    case 'opened':
      return 'tells of the stream';
    case 'piece':
      return 'hands over';
    case 'ended':
      return event.code === ErrorCode.UNSPECIFIED
        ? 'tells of the end'
        : `tells of the end: ${code(event.code)}`;
    case 'writable':
      return 'tells of room';
  }
}

const EMPTY = new Uint8Array(0);
const opened: Move = world => world.data({ open: 'echo.v1' });
const ends: Move = world => world.session.end(world.stream);
const aborts: Move = world => world.session.abort(world.stream, ErrorCode.CANCELLED);
const isEnded: Move = world => world.data({ payload: EMPTY, end: ErrorCode.UNSPECIFIED });
const turn: Move = world => world.turn();

/** The client has as many streams as it may have; the one in question would be the next. */
const isFull: Move = world => {
  for (let i = 0; i < STREAMS_MAX; i += 1) {
    opened(world);
    world.stream += 2;
  }
};
const isOwn: Move = world => {
  world.stream = 2;
};

const STATES: readonly (readonly [string, () => World])[] = [
  state('not opened'),
  state('not opened, `STREAMS_MAX` are', isFull),
  state('open', opened),
  state('open, by this side', isOwn),
  state('this side has ended', opened, ends),
  state('this side has aborted', opened, aborts),
  state('the other side has ended', opened, isEnded),
  state('ended on both sides', opened, isEnded, ends, turn),
];

/** A state by its name, which begins with that of the machine's. */
function state(name: string, ...moves: readonly Move[]): readonly [string, () => World] {
  const make = (): World => new World(...moves);
  if (!name.startsWith(make().state)) throw new Error(`${make().state} is not ${name}`);
  return [name, make];
}

const INPUTS: readonly (readonly [string, Move])[] = [
  ['Data with `open`', opened],
  ['Data with `open`, and StreamEnd', world => world.data({ open: 'echo.v1', end: ErrorCode.UNSPECIFIED })],
  [
    'Data with `open`, not the next number of a stream',
    world => {
      world.stream += 4;
      world.data({ open: 'echo.v1' });
      world.stream -= 4;
    },
  ],
  ['Data', world => world.data()],
  ['Data without payload', world => world.data({ payload: EMPTY })],
  ['StreamEnd', isEnded],
  ['StreamEnd{`INTERNAL`}', world => world.data({ payload: EMPTY, end: ErrorCode.INTERNAL })],
  ['Data beyond the credit', world => world.data({ payload: new Uint8Array(STREAM_CREDIT_BYTES) })],
  ['Data with a number taken before', world => world.data({ sequence: world.session.receivedThrough })],
  ['Data with a gap before it', world => world.data({ sequence: world.session.receivedThrough + 2 })],
  [
    'Credit',
    world => world.receive({ kind: 'credit', stream: world.stream, limit: 2 * STREAM_CREDIT_BYTES }),
  ],
  ['Credit, not above the last', world => world.receive({ kind: 'credit', stream: world.stream, limit: 0 })],
  ['Ack of what was given', world => world.receive({ kind: 'ack', receivedThrough: 1 })],
  ['Ack of what was not', world => world.receive({ kind: 'ack', receivedThrough: 99 })],
  ['the application writes', world => void world.session.write(world.stream, Uint8Array.of(1))],
  ['the application ends it', ends],
  ['the application aborts it', aborts],
];

function cell(make: () => World, input: Move): string {
  const world = make();
  const before = world.state;
  input(world);
  const done = world.take();
  return cellOf(before, world.state, [...new Set(done)]);
}

/** Make the table. */
export function sessionTable(): string {
  return grid(STATES, INPUTS, cell);
}
