/** A machine on a clock that a test moves, with words for what it does, and the other end of a path to it (spec/05-session.md). */
import { NOW_MS } from '../../../src/protocol/fixtures.ts';
import type { Now } from '../../../src/protocol/now.ts';
import type { PathOutput } from '../../../src/protocol/path.ts';
import type { Frame } from '../../../src/wire/frame.ts';
import type { WireEnd } from '../../vectors/wire-end.ts';
import { bytesOf, frameWord } from './frames.ts';

/** What the machines of both sides take. */
export type CommonInput =
  | { readonly kind: 'tick' }
  | { readonly kind: 'message'; readonly path: number; readonly bytes: Uint8Array };

/** A client or a host. */
export interface Machine<Input, Output> {
  step(input: Input | CommonInput, now: Now): readonly Output[];
  deadline(now: Now): { readonly at: number } | undefined;
}

/** How its table speaks of a machine. */
export interface Speech {
  /** Of outputs that need no more than a word. */
  readonly words: Readonly<Record<string, string>>;
  /** What another path is called than the one that a cell is about. */
  readonly otherPath: string;
}

/** Plays one machine. */
export abstract class PlayedMachine<
  Input,
  Output extends { readonly kind: string },
  Path extends PlayedPath,
> {
  mono = 1000;
  readonly paths: Path[] = [];
  private readonly machine: Machine<Input, Output | PathOutput>;
  private readonly speech: Speech;
  private done: (readonly [path: number | undefined, word: string])[] = [];

  constructor(machine: Machine<Input, Output | PathOutput>, speech: Speech) {
    this.machine = machine;
    this.speech = speech;
  }

  private get now(): Now {
    return { wall: NOW_MS + this.mono, mono: this.mono };
  }

  step(input: Input | CommonInput): void {
    for (const output of this.machine.step(input, this.now)) {
      this.note(output);
      this.perform(output);
    }
  }

  pass(ms: number): void {
    const until = this.mono + ms;
    for (;;) {
      const at = this.machine.deadline(this.now)?.at;
      if (at === undefined || at > until) break;
      this.mono = Math.max(this.mono, at);
      this.step({ kind: 'tick' });
    }
    this.mono = until;
  }

  /** Words for what was done since this was last asked, `about` one path. */
  take(about: PlayedPath): readonly string[] {
    const { done, speech } = this;
    this.done = [];
    return done.map(([id, word]) =>
      id === undefined || id === about.id ? word : `${speech.otherPath}: ${word}`,
    );
  }

  /** Let time pass in which only this path matters. */
  wait(ms: number, about: PlayedPath): void {
    this.pass(ms);
    this.done = this.done.filter(([id]) => id === about.id);
  }

  /** Do what the driver of this side would. */
  protected abstract perform(output: Output | PathOutput): void;

  /** More than a word, where an output needs that. */
  protected abstract phrase(output: Output | PathOutput): string | undefined;

  private note(output: Output | PathOutput): void {
    const id = 'path' in output && typeof output.path === 'number' ? output.path : undefined;
    const path = this.paths.find(each => each.id === id);
    const say = (word: string | undefined): void => {
      if (word !== undefined) this.done.push([id, word]);
    };
    if (isSend(output)) for (const frame of path?.take(output.bytes) ?? []) say(frameWord(frame));
    else if (isClose(output)) {
      if (output.cut) say('cuts');
      else if (path?.wasClosed !== true) say('closes');
    } else say(this.phrase(output) ?? this.speech.words[output.kind]);
  }
}

type Sent = PathOutput & { readonly kind: 'send' };
type Closed = PathOutput & { readonly kind: 'close' };
const isSend = (output: { readonly kind: string }): output is Sent => output.kind === 'send';
const isClose = (output: { readonly kind: string }): output is Closed => output.kind === 'close';

/** One path, from its other end. */
export abstract class PlayedPath {
  readonly id: number;
  /** Whether the machine has said Close. */
  wasClosed = false;
  /** Defined behind the handshake. */
  protected end: WireEnd | undefined;
  private readonly around: { step(input: CommonInput): void; pass(ms: number): void };

  constructor(id: number, around: { step(input: CommonInput): void; pass(ms: number): void }) {
    this.id = id;
    this.around = around;
  }

  /** What the machine waits for on it. */
  abstract get state(): string;

  /** How many messages the machine keeps for later. */
  get keptCount(): number {
    return 0;
  }

  /** One record of frames. */
  say(...frames: readonly (Frame | Uint8Array)[]): void {
    this.give(this.end?.seal(...frames.map(bytesOf)) ?? new Uint8Array(0));
  }

  /** One binary WebSocket message, and the end of the turn. */
  give(bytes: Uint8Array): void {
    this.around.step({ kind: 'message', path: this.id, bytes });
    this.around.pass(0);
  }

  /** Frames, but for Hello, of one message of the machine. */
  take(bytes: Uint8Array): readonly Frame[] {
    if (!this.isAgreed(bytes)) return [];
    const frames = this.end?.open(bytes) ?? [];
    this.wasClosed ||= frames.some(({ kind }) => kind === 'close');
    this.heard(frames);
    return frames.filter(({ kind }) => kind !== 'hello');
  }

  /** Whether the handshake is over; if not, the message is of it, and is taken. */
  protected abstract isAgreed(message: Uint8Array): boolean;

  protected heard(_frames: readonly Frame[]): void {}
}
