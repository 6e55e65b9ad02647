/** One side of a session: numbers, streams, credit, attach and resume (spec/05-session.md, 5.3 to 5.9). */
import type { Attach, Attached, Data } from '../../src/gen/clawchat/v1/frame_pb.ts';
import * as constants from '../../src/gen/constants.ts';
import { concat, EMPTY, equal, hex, sha256 } from './bytes.ts';
import { type BodyInit, closeBody, codeName, encodeFrame, readFrame } from './frame.ts';
import { attempt, type ErrorName } from './refusal.ts';
import {
  cost,
  fresh,
  freshStream,
  type Path,
  type Role,
  type Session,
  type Stream,
} from './session-state.ts';
import type { JsonObject } from './vector.ts';

/** What a side hands to its application. */
export type Delivery =
  | { readonly stream: number; readonly opens: string }
  | { readonly stream: number; readonly message: Uint8Array }
  | { readonly stream: number; readonly ends: string };

/** What a side does in one step, besides Ack, Credit and Hello, which have a time of their own. */
export interface Effects {
  readonly sends: { readonly path: string; readonly frame: Uint8Array }[];
  readonly delivers: Delivery[];
  /** Streams that the side has to end because the other one aborted them. */
  readonly endsStreams: number[];
  /** Paths that end without a word. */
  readonly cuts: string[];
  /** Paths on which a Ping is due. */
  readonly pings: string[];
}

/** A fault that ends the session, or only the path when the path carries none. */
class Fault extends Error {
  readonly code: ErrorName;
  readonly resumable: boolean;
  constructor(code: ErrorName, resumable = false) {
    super(code);
    this.code = code;
    this.resumable = resumable;
  }
}

/** One side, fed step by step. It writes a message as one Data frame, and opens and ends streams in the frame of a message where there is one. */
export class Side {
  readonly role: Role;
  readonly #paths = new Map<string, Path>();
  #session: Session | undefined;
  readonly #busy: boolean;
  readonly #nextId: () => Uint8Array;
  #effects: Effects = nothing();

  /** `nextId` hands out session ids to a client; `busy` makes a host refuse new sessions. */
  constructor(role: Role, nextId: () => Uint8Array, busy = false) {
    this.role = role;
    this.#nextId = nextId;
    this.#busy = busy;
  }

  /** Highest number taken, highest acknowledged; undefined without a session. */
  get state():
    | { readonly taken: number; readonly acknowledged: number; readonly path: string | undefined }
    | undefined {
    const s = this.#session;
    return s === undefined ? undefined : { taken: s.taken, acknowledged: s.acknowledged, path: s.path };
  }

  /** A path has its keys; `hello`: and both have said Hello. */
  open(path: string, hello: boolean, nowMs: number): Effects {
    return this.#step(nowMs, () => {
      const times = { openedAtMs: nowMs, heardAtMs: nowMs, pinged: false };
      this.#paths.set(path, { hello, attach: 'none', generation: 0, over: false, ...times });
    });
  }

  /** A path ended without a word. */
  lose(path: string, nowMs: number): Effects {
    return this.#step(nowMs, () => this.#end(path, nowMs));
  }

  /** Time has passed. */
  clock(nowMs: number): Effects {
    return this.#step(nowMs, () => undefined);
  }

  /** Client: put the session on a path, opening one if there is none. */
  attach(path: string, nowMs: number): Effects {
    return this.#step(nowMs, () => {
      this.#session ??= fresh(this.#nextId(), this.role);
      const s = this.#session;
      s.generation++;
      const known = this.#paths.get(path);
      if (known !== undefined) {
        known.attach = 'sent';
        known.generation = s.generation;
      }
      this.#send(path, {
        case: 'attach',
        value: {
          sessionId: s.id,
          generation: BigInt(s.generation),
          receivedThrough: BigInt(s.taken),
          open: s.opening,
        },
      });
    });
  }

  /** The application writes a message, or nothing but an end. */
  write(
    stream: number,
    service: string | undefined,
    message: Uint8Array,
    end: boolean,
    nowMs: number,
  ): Effects {
    return this.#step(nowMs, () => {
      const s = this.#session;
      if (s === undefined) throw new Error('no session to write to');
      if (service !== undefined) s.streams.set(stream, freshStream(true));
      const known = s.streams.get(stream);
      if (known === undefined) throw new Error(`no stream ${stream} to write to`);
      known.waiting.push({ message, end, open: service });
      this.#flush();
    });
  }

  /** A frame arrives. */
  frame(path: string, bytes: Uint8Array, nowMs: number): Effects {
    return this.#step(nowMs, () => {
      const known = this.#paths.get(path);
      if (known === undefined || known.over) return;
      known.heardAtMs = nowMs;
      known.pinged = false;
      try {
        const read = attempt(() => readFrame(bytes));
        if ('refusal' in read) throw new Fault(read.refusal.code);
        this.#handle(path, known, read.value, nowMs);
      } catch (error) {
        if (!(error instanceof Fault)) throw error;
        this.#close(path, error.code, error.resumable, nowMs);
      }
    });
  }

  #step(nowMs: number, run: () => void): Effects {
    this.#effects = nothing();
    this.#pass(nowMs);
    run();
    return this.#effects;
  }

  #pass(nowMs: number): void {
    const s = this.#session;
    if (
      this.role === 'host' &&
      s?.path === undefined &&
      s !== undefined &&
      nowMs > s.pathLostAtMs + constants.SESSION_RESUME_MS
    ) {
      this.#session = undefined;
    }
    for (const [name, path] of this.#paths) {
      if (path.over) continue;
      const idle = nowMs - path.heardAtMs;
      if (idle > constants.PATH_DEAD_MS) {
        this.#effects.cuts.push(name);
        this.#end(name, nowMs);
      } else if (
        this.role === 'host' &&
        path.attach === 'none' &&
        nowMs > path.openedAtMs + constants.ATTACH_MS_MAX
      ) {
        this.#close(name, 'TIMEOUT', true, nowMs);
      } else if (idle >= constants.PING_IDLE_MS && !path.pinged) {
        path.pinged = true;
        this.#effects.pings.push(name);
      }
    }
  }

  #send(path: string, body: BodyInit): void {
    this.#effects.sends.push({ path, frame: encodeFrame(body) });
  }

  /** End a path with a Close; with a code that is not resumable, the session that is on it as well. */
  #close(path: string, code: ErrorName, resumable: boolean, nowMs: number): void {
    this.#send(path, closeBody(code, resumable));
    const mine = this.#session?.path === path;
    this.#end(path, nowMs);
    if (mine && !resumable) this.#session = undefined;
  }

  #end(path: string, nowMs: number): void {
    const known = this.#paths.get(path);
    if (known !== undefined) known.over = true;
    const s = this.#session;
    if (s?.path !== path) return;
    s.path = undefined;
    s.pathLostAtMs = nowMs;
  }

  /** What may come on which path (the table of SE-004~1). */
  #handle(path: string, known: Path, body: ReturnType<typeof readFrame>, nowMs: number): void {
    if (body.case === undefined) return;
    if (!known.hello) {
      if (body.case !== 'hello') throw new Fault('FRAME_UNEXPECTED');
      known.hello = true;
      return;
    }
    const attached = known.attach === 'attached';
    switch (body.case) {
      case 'ping':
        this.#send(path, { case: 'pong', value: { id: body.value.id } });
        return;
      case 'pong':
        return;
      case 'close':
        this.#closed(path, body.value, nowMs);
        return;
      case 'rotationNotice':
        if (this.role === 'host') throw new Fault('FRAME_UNEXPECTED');
        return;
      case 'enrol':
        throw new Fault(this.role === 'host' ? 'NOT_PERMITTED' : 'FRAME_UNEXPECTED');
      case 'attach':
        if (this.role === 'client' || known.attach !== 'none') throw new Fault('FRAME_UNEXPECTED');
        this.#attachArrives(path, known, body.value, nowMs);
        return;
      case 'attached':
        if (this.role === 'host' || known.attach !== 'sent') throw new Fault('FRAME_UNEXPECTED');
        this.#attachedArrives(path, known, body.value, nowMs);
        return;
      case 'data':
      case 'ack':
      case 'credit': {
        if (!attached) throw new Fault('FRAME_UNEXPECTED');
        const s = this.#session;
        // A client that has moved takes nothing more from the older path.
        if (s === undefined || s.path !== path) return;
        if (body.case === 'data') this.#data(s, body.value);
        else if (body.case === 'ack') this.#ack(s, Number(body.value.receivedThrough));
        else this.#credit(s, body.value.stream, Number(body.value.limit));
        return;
      }
      default:
        throw new Fault('FRAME_UNEXPECTED');
    }
  }

  #closed(
    path: string,
    { code, resumable }: { readonly code: number; readonly resumable: boolean },
    nowMs: number,
  ): void {
    const mine = this.#session?.path === path;
    const elsewhere = codeName(code) === 'GENERATION_STALE';
    // ACK_INVALID on a path that is not attached answers its Attach.
    const lost = ['SESSION_LOST', 'SESSION_REPLACED', 'DEVICE_REVOKED', 'ACK_INVALID'].includes(
      codeName(code),
    );
    this.#end(path, nowMs);
    if (!resumable && ((mine && !elsewhere) || lost)) this.#session = undefined;
  }

  /** SE-012~1 to SE-015~1, SE-020~1. */
  #attachArrives(path: string, known: Path, asked: Attach, nowMs: number): void {
    const generation = Number(asked.generation);
    const through = Number(asked.receivedThrough);
    let s = this.#session;
    if (s === undefined || !equal(s.id, asked.sessionId)) {
      if (!asked.open) throw new Fault('SESSION_LOST');
      if (this.#busy) throw new Fault('HOST_BUSY', true);
      if (s?.path !== undefined) this.#close(s.path, 'SESSION_REPLACED', false, nowMs);
      s = fresh(asked.sessionId, this.role);
      this.#session = s;
    } else if (generation <= s.generation) throw new Fault('GENERATION_STALE');
    this.#demandGiven(s, through, nowMs);
    if (s.path !== undefined) this.#close(s.path, 'PATH_SUPERSEDED', true, nowMs);
    s.generation = generation;
    s.path = path;
    known.attach = 'attached';
    this.#send(path, {
      case: 'attached',
      value: { generation: asked.generation, receivedThrough: BigInt(s.taken) },
    });
    this.#resume(s, through);
  }

  #attachedArrives(path: string, known: Path, answer: Attached, nowMs: number): void {
    const s = this.#session;
    if (s === undefined) return;
    if (Number(answer.generation) !== known.generation) throw new Fault('FRAME_UNEXPECTED');
    const through = Number(answer.receivedThrough);
    this.#demandGiven(s, through, nowMs);
    s.path = path;
    s.opening = false;
    known.attach = 'attached';
    this.#resume(s, through);
  }

  /** SE-014~3: the session ends where it is, and the path that brought the number ends with the fault. */
  #demandGiven(s: Session, through: number, nowMs: number): void {
    if (through <= s.given) return;
    if (s.path !== undefined) this.#close(s.path, 'ACK_INVALID', false, nowMs);
    this.#session = undefined;
    throw new Fault('ACK_INVALID');
  }

  /** SE-017~1. */
  #resume(s: Session, through: number): void {
    this.#ack(s, through);
    for (const { frame } of s.retained) {
      if (s.path !== undefined) this.#effects.sends.push({ path: s.path, frame });
    }
    this.#flush();
  }

  /** SE-035~1. */
  #ack(s: Session, through: number): void {
    if (through > s.given) throw new Fault('ACK_INVALID');
    s.acknowledged = Math.max(s.acknowledged, through);
    while ((s.retained[0]?.sequence ?? Number.POSITIVE_INFINITY) <= s.acknowledged) s.retained.shift();
  }

  /** SE-055~1, SE-056~1. */
  #credit(s: Session, stream: number, limit: number): void {
    const known = s.streams.get(stream);
    if (known === undefined) throw new Fault('STREAM_INVALID');
    known.sendLimit = Math.max(known.sendLimit, limit);
    this.#flush();
  }

  /** SE-031~1, SE-032~1, SE-042~1, SE-050~1, SE-052~1. */
  #data(s: Session, data: Data): void {
    const sequence = Number(data.sequence);
    if (sequence <= s.taken) return;
    if (sequence > s.taken + 1) throw new Fault('SEQUENCE_GAP');
    const stream = this.#streamOf(s, data);
    const counted = cost(data.payload.length, data.end !== undefined);
    if (stream.receiveUsed + counted > constants.STREAM_CREDIT_BYTES) {
      throw new Fault('CREDIT_EXCEEDED');
    }
    stream.receiveUsed += counted;
    s.taken = sequence;
    if (data.open !== undefined) this.#deliver({ stream: data.stream, opens: data.open.service });
    stream.partial = concat(stream.partial, data.payload);
    if (!data.more && stream.partial.length > 0 && codeOf(data) === 'UNSPECIFIED') {
      this.#deliver({ stream: data.stream, message: stream.partial });
      stream.partial = EMPTY;
    }
    if (data.end === undefined) return;
    stream.gotEnd = true;
    stream.partial = EMPTY;
    this.#deliver({ stream: data.stream, ends: codeOf(data) });
    if (codeOf(data) !== 'UNSPECIFIED' && !stream.sentEnd) {
      stream.sentEnd = true;
      stream.waiting.length = 0;
      this.#effects.endsStreams.push(data.stream);
    }
  }

  #streamOf(s: Session, data: Data): Stream {
    const known = s.streams.get(data.stream);
    if (known !== undefined) {
      if (data.open !== undefined || known.gotEnd) throw new Fault('STREAM_INVALID');
      return known;
    }
    if (data.open === undefined || data.stream !== s.nextOpened) throw new Fault('STREAM_INVALID');
    const open = [...s.streams.values()].filter(one => !one.openedBySelf && !(one.sentEnd && one.gotEnd));
    if (open.length >= constants.STREAMS_MAX) throw new Fault('STREAM_LIMIT');
    const stream = freshStream(false);
    s.streams.set(data.stream, stream);
    s.nextOpened += 2;
    return stream;
  }

  #deliver(delivery: Delivery): void {
    this.#effects.delivers.push(delivery);
  }

  /** Give numbers to what waits, as far as credit goes and while there is a path. */
  #flush(): void {
    const s = this.#session;
    if (s?.path === undefined) return;
    for (const [number, stream] of s.streams) {
      for (let next = stream.waiting[0]; next !== undefined; next = stream.waiting[0]) {
        const counted = cost(next.message.length, next.end);
        if (stream.sendUsed + counted > stream.sendLimit) break;
        stream.waiting.shift();
        stream.sendUsed += counted;
        stream.sentEnd ||= next.end;
        s.given++;
        const frame = encodeFrame({
          case: 'data',
          value: {
            sequence: BigInt(s.given),
            stream: number,
            payload: next.message,
            ...(next.open === undefined ? {} : { open: { service: next.open } }),
            ...(next.end ? { end: {} } : {}),
          },
        });
        s.retained.push({ sequence: s.given, frame });
        this.#effects.sends.push({ path: s.path, frame });
      }
    }
  }
}

const codeOf = (data: Data): string => codeName(data.end?.code ?? 0);

const nothing = (): Effects => ({ sends: [], delivers: [], endsStreams: [], cuts: [], pings: [] });

/** A delivery as a vector shows it. */
export function shownDelivery(one: Delivery): JsonObject {
  if (!('message' in one)) return one;
  const { stream, message } = one;
  return message.length <= 64
    ? { stream, message: hex(message) }
    : { stream, message_bytes: message.length, message_sha256: hex(sha256(message)) };
}
