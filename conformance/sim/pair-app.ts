/** The application at both ends of pair.ts: writes numbered messages, checks what arrives, takes it when it likes. */
import { ErrorCode } from '../../src/gen/clawchat/v1/error_pb.ts';
import { SESSION_CREDIT_BYTES } from '../../src/gen/constants.ts';
import type { SessionEvent, Written } from '../../src/protocol/session-io.ts';
import { OTHER, type Random, type Side, type Timeline } from './pair-network.ts';

/** What was written and read on one stream, by who wrote it. A stream is named by its service. */
export interface Entry {
  readonly sent: Record<Side, number>;
  readonly got: Record<Side, number>;
  /** Cut on purpose: what was under way may be missing. */
  aborted: boolean;
}
export type Ledger = Map<string, Entry>;

/** The part of a machine that an application uses. */
export interface Port {
  open(session: number, service: string): number | undefined;
  write(session: number, stream: number, payload: Uint8Array): Written;
  end(session: number, stream: number): void;
  abort(session: number, stream: number, code: ErrorCode): void;
  taken(session: number, stream: number, cost: number): void;
}

interface AppStream {
  readonly name: string;
  readonly id: number;
  pieces: Uint8Array[];
  ended: boolean;
  waiting: boolean;
}

const STREAMS = 5;

/** One session's application on one side. */
export class App {
  readonly session: number;
  readonly streams: Map<number, AppStream> = new Map();
  /** Nothing is taken until it is false again. */
  stalled = false;
  private readonly side: Side;
  private readonly port: Port;
  private readonly ledger: Ledger;
  private readonly timeline: Timeline;
  private readonly random: Random;
  private readonly tell: (what: string) => void;
  private readonly count: (what: string) => void;
  private readonly name: string;
  private opened = 0;
  private held = 0;
  private untaken: { id: number; cost: number }[] = [];
  private over = false;

  constructor(of: {
    side: Side;
    session: number;
    name: string;
    port: Port;
    ledger: Ledger;
    timeline: Timeline;
    random: Random;
    /** Report a broken promise. */
    tell: (what: string) => void;
    count: (what: string) => void;
  }) {
    this.side = of.side;
    this.session = of.session;
    this.name = of.name;
    this.port = of.port;
    this.ledger = of.ledger;
    this.timeline = of.timeline;
    this.random = of.random;
    this.tell = of.tell;
    this.count = of.count;
  }

  /** The session is over. */
  stop(): void {
    this.over = true;
  }

  /** Do something: mostly write. */
  work(): void {
    if (this.over) return;
    const open = [...this.streams.values()].filter(stream => !stream.ended && !stream.waiting);
    const chance = this.random.next();
    if (open.length < 1 || (chance < 0.08 && this.streams.size < STREAMS)) {
      this.openOne();
      return;
    }
    const stream = open[this.random.below(open.length)];
    if (stream === undefined) return;
    if (chance > 0.99) this.cut(stream);
    else if (chance > 0.97) this.end(stream);
    else this.write(stream);
  }

  private openOne(): void {
    const name = `${this.name}.${this.opened}`;
    const id = this.port.open(this.session, name);
    if (id === undefined) return;
    this.opened += 1;
    this.entry(name);
    const stream = { name, id, pieces: [], ended: false, waiting: false };
    this.streams.set(id, stream);
    this.write(stream);
  }

  /** Write more than one stream takes. */
  burst(): void {
    const [stream] = [...this.streams.values()].filter(each => !each.ended);
    if (stream === undefined || this.over) return;
    for (let i = 0; i < 6 && !stream.waiting; i += 1) this.write(stream, 100_000);
  }

  private write(stream: AppStream, atLeast = 4): void {
    const kind = this.random.next();
    const length = atLeast + this.random.below(kind < 0.7 ? 200 : kind < 0.95 ? 5_000 : 120_000);
    const payload = new Uint8Array(length).fill(length & 0xff);
    const entry = this.entry(stream.name);
    new DataView(payload.buffer).setUint32(0, entry.sent[this.side] + 1);
    const written = this.port.write(this.session, stream.id, payload);
    if (written === 'accepted') {
      entry.sent[this.side] += 1;
      this.count('messages');
    } else if (written === 'full') {
      stream.waiting = true;
      this.count('full');
    }
  }

  private end(stream: AppStream): void {
    stream.ended = true;
    this.port.end(this.session, stream.id);
    this.count('ended');
  }

  private cut(stream: AppStream): void {
    this.entry(stream.name).aborted = true;
    this.port.abort(this.session, stream.id, ErrorCode.CANCELLED);
    this.streams.delete(stream.id);
    this.count('aborted');
  }

  event(event: SessionEvent): void {
    if (event.kind === 'opened') {
      this.streams.set(event.stream, {
        name: event.service,
        id: event.stream,
        pieces: [],
        ended: false,
        waiting: false,
      });
      return;
    }
    const stream = this.streams.get(event.stream);
    if (event.kind === 'piece') {
      this.take(event);
      if (stream !== undefined) this.piece(stream, event);
      return;
    }
    if (stream === undefined) return;
    if (event.kind === 'writable') stream.waiting = false;
    else if (event.code === ErrorCode.UNSPECIFIED) {
      if (!stream.ended) this.port.end(this.session, stream.id);
      this.streams.delete(stream.id);
    } else {
      if (!this.entry(stream.name).aborted) this.tell(`${this.side}: ${stream.name} was cut by nobody`);
      this.streams.delete(stream.id);
    }
  }

  /** Take what is held, when the stall is over. */
  resume(): void {
    this.stalled = false;
    const { untaken } = this;
    this.untaken = [];
    for (const { id, cost } of untaken) this.giveBack(id, cost);
  }

  private take({ stream: id, cost }: SessionEvent & { kind: 'piece' }): void {
    this.held += cost;
    if (this.held > SESSION_CREDIT_BYTES)
      this.tell(`${this.side}: ${this.held} bytes were handed over and not taken`);
    this.timeline.after(this.random.next() * 60, () => {
      if (this.stalled) this.untaken.push({ id, cost });
      else this.giveBack(id, cost);
    });
  }

  private giveBack(id: number, cost: number): void {
    this.held -= cost;
    if (!this.over) this.port.taken(this.session, id, cost);
  }

  private piece(stream: AppStream, { payload, more }: SessionEvent & { kind: 'piece' }): void {
    stream.pieces.push(payload);
    if (more) return;
    const message = Buffer.concat(stream.pieces);
    stream.pieces = [];
    const entry = this.entry(stream.name);
    const from = OTHER[this.side];
    const number = message.readUInt32BE(0);
    entry.got[from] += 1;
    if (number !== entry.got[from]) {
      this.tell(`${this.side}: ${stream.name} gave message ${number} where ${entry.got[from]} was due`);
    }
    if (message.subarray(4).some(byte => byte !== (message.length & 0xff))) {
      this.tell(`${this.side}: message ${number} of ${stream.name} is not what was written`);
    }
  }

  private entry(name: string): Entry {
    const known = this.ledger.get(name);
    if (known !== undefined) return known;
    const entry = { sent: { client: 0, host: 0 }, got: { client: 0, host: 0 }, aborted: false };
    this.ledger.set(name, entry);
    return entry;
  }
}
