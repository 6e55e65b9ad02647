/** The other end of a path, for a test that plays it frame by frame; and what a side of a session did in a step. */
import type { Split } from '../../src/crypto/noise.ts';
import { Records } from '../../src/crypto/record.ts';
import type { ErrorCode } from '../../src/gen/clawchat/v1/error_pb.ts';
import { codeName } from '../../src/protocol/fault.ts';
import type { SessionEvent } from '../../src/protocol/session-io.ts';
import { concat } from '../../src/wire/bytes.ts';
import type { Frame } from '../../src/wire/frame.ts';
import { RowReader } from '../../src/wire/row.ts';
import { rowOf, shownFrame } from './frames.ts';
import { type Fields, hex, type Json, releasedHash } from './load.ts';

/** Hello of version 1. */
export const HELLO: Uint8Array = Uint8Array.of(0x0a, 2, 0x08, 1);
/** The longest message that a vector shows whole. */
const SHOWN_BYTES_MAX = 64;

/** One end of a path whose keys are agreed. */
export class WireEnd {
  private readonly records: Records;

  constructor(split: Pick<Split, 'send' | 'receive'>) {
    this.records = new Records(split);
  }

  /** Seal one record of frames, whatever is in them. */
  seal(...frames: readonly Uint8Array[]): Uint8Array {
    const sealed = this.records.seal(rowOf(frames));
    if (sealed === undefined) throw new Error(this.records.fault);
    return sealed;
  }

  /** Open one record of a side that breaks no rule. */
  open(record: Uint8Array): readonly Frame[] {
    const plaintext = this.records.open(record);
    if (plaintext === undefined) throw new Error(this.records.fault);
    const reader = new RowReader(plaintext);
    const frames: Frame[] = [];
    for (let frame = reader.next(); frame !== undefined; frame = reader.next()) {
      if (frame.kind === 'fault') throw new Error(frame.detail);
      frames.push(frame);
    }
    return frames;
  }
}

/** What the session of a side is, or null. */
export type SessionState = {
  readonly taken: number;
  readonly acknowledged: number;
  readonly path: string | null;
} | null;

/** One side of `src/`, played step by step. Paths have the names that the vector gives them. */
export interface Side {
  readonly effects: Effects;
  readonly state: SessionState;
  pass(atMs: number): void;
  open(path: string, hello: boolean): void;
  attach(path: string): void;
  lose(path: string): void;
  hear(path: string, ...frames: readonly Uint8Array[]): void;
  write(stream: number, service: string | undefined, message: Uint8Array, end: boolean): void;
}

/** Whatever a side did since this was last taken, as the vectors list it. */
export class Effects {
  /** Messages that were handed over, since the beginning. */
  readonly messages: Uint8Array[] = [];
  /** All that were sent, since the beginning. */
  readonly sent: { readonly path: string; readonly frame: Frame }[] = [];
  private sends: Fields[] = [];
  private delivers: Fields[] = [];
  private endsStreams: number[] = [];
  private cuts: string[] = [];
  private pings: string[] = [];
  private readonly partial = new Map<number, Uint8Array>();

  /** A frame was sent. Hello, Ack and Credit are free; so is how a stream is ended that the other side aborted. */
  note(path: string, frame: Frame): void {
    this.sent.push({ path, frame });
    switch (frame.kind) {
      case 'hello':
      case 'ack':
      case 'credit':
        break;
      case 'ping':
        this.pings.push(path);
        break;
      case 'close':
        // A client that has moved may say so on the older path.
        if (frame.code !== 0 || !frame.resumable) this.sends.push({ path, frame: shownFrame(frame) });
        break;
      case 'data':
        // Anything but 0, which is a clean end.
        if (frame.end) this.endsStreams.push(frame.stream);
        else this.sends.push({ path, frame: shownFrame(frame) });
        break;
      default:
        this.sends.push({ path, frame: shownFrame(frame) });
    }
  }

  cut(path: string): void {
    this.cuts.push(path);
  }

  /** Something was handed to the application. */
  hand(event: SessionEvent): void {
    switch (event.kind) {
      case 'opened':
        this.delivers.push({ stream: event.stream, opens: event.service });
        break;
      case 'piece': {
        const { stream, payload, more } = event;
        const message = concat(this.partial.get(stream) ?? new Uint8Array(0), payload);
        this.partial.set(stream, more ? message : new Uint8Array(0));
        if (more) break;
        this.messages.push(message);
        this.delivers.push({ stream, ...shownMessage(message) });
        break;
      }
      case 'ended':
        this.partial.delete(event.stream);
        this.delivers.push({ stream: event.stream, ends: codeName(event.code) });
        break;
      case 'writable':
        break;
    }
  }

  /** Take the effects of a step. */
  take(): Fields {
    const { sends, delivers, endsStreams, cuts, pings } = this;
    const taken: { [name: string]: Json } = {};
    if (sends.length > 0) taken['sends'] = sends;
    if (delivers.length > 0) taken['delivers'] = delivers;
    if (endsStreams.length > 0) taken['ends_streams'] = endsStreams;
    if (cuts.length > 0) taken['cuts'] = cuts;
    if (pings.length > 0) taken['pings'] = pings;
    this.sends = [];
    this.delivers = [];
    this.endsStreams = [];
    this.cuts = [];
    this.pings = [];
    return taken;
  }
}

/** Show a message as the vectors do. */
function shownMessage(message: Uint8Array): Fields {
  return message.length <= SHOWN_BYTES_MAX
    ? { message: hex(message) }
    : { message_bytes: message.length, message_sha256: releasedHash(message) };
}

/** The last code of a Close that is a refusal. */
export function refusal({ sent }: Effects): string | undefined {
  const regular: readonly string[] = ['UNSPECIFIED', 'PATH_SUPERSEDED', 'SESSION_REPLACED'];
  const codes = sent.flatMap(({ frame }): ErrorCode[] => (frame.kind === 'close' ? [frame.code] : []));
  return codes
    .map(codeName)
    .filter(code => !regular.includes(code))
    .at(-1);
}
