/** A client's machine, and the host's end of its paths played frame by frame (spec/04-handshake.md, spec/05-session.md). */
import { Client } from '../../../src/protocol/client.ts';
import type { ClientInput, ClientOutput } from '../../../src/protocol/client-io.ts';
import type { ClientPath } from '../../../src/protocol/client-path.ts';
import { parseEnvelope } from '../../../src/protocol/envelope.ts';
import { codeName, isFault } from '../../../src/protocol/fault.ts';
import { NOW_MS, named, testEnvelope, testRecord } from '../../../src/protocol/fixtures.ts';
import { acceptEnvelope, trusting } from '../../../src/protocol/freshness.ts';
import { ResponderHandshake } from '../../../src/protocol/handshake.ts';
import type { Invite } from '../../../src/protocol/invite.ts';
import { dialKeys, type Member } from '../../../src/protocol/join.ts';
import type { Frame } from '../../../src/wire/frame.ts';
import { WireEnd } from '../../vectors/wire-end.ts';
import { bytesOf, frameWord } from './frames.ts';
import { host, must, suite } from './grid.ts';

export const CHANNEL_KEY: Uint8Array = named(suite, 'channel private');
const keyOf = (record: ReturnType<typeof testRecord>): number => record.channelKeys[0]?.notAfterMs ?? 0;
export const ENVELOPE: Uint8Array = testEnvelope(
  suite,
  host,
  testRecord(suite, host, {
    channelKeys: [{ publicKey: suite.x25519Public(CHANNEL_KEY), notAfterMs: keyOf(testRecord(suite, host)) }],
  }),
);

function held(): Member['held'] {
  const accepted = acceptEnvelope(
    suite,
    trusting(host.trust(0, false)),
    must(parseEnvelope(ENVELOPE)),
    NOW_MS,
  );
  if (accepted.kind !== 'accepted') throw new Error('the record is refused');
  return accepted.held;
}

const devicePrivateKey = named(suite, 'device key');
const invite: Invite = {
  bytes: Uint8Array.of(1),
  secret: named(suite, 'invite secret'),
  trust: host.trust(0, false),
  expiresAtMs: NOW_MS + 1e6,
  stores: [],
} as unknown as Invite;

/** A client that is a device, or one that has an invite. */
export const MEMBERS: Readonly<Record<'device' | 'invite', () => Member>> = {
  device: () => ({
    stage: 'device',
    devicePrivateKey,
    deviceSecret: named(suite, 'device secret'),
    name: 'bob',
    held: held(),
  }),
  invite: () => ({ stage: 'keyed', invite, devicePrivateKey, name: 'bob', held: held() }),
};

/** A client that has been told to be connected. */
export class ClientWorld {
  readonly client: Client;
  mono = 1000;
  readonly ends: ClientEnd[] = [];
  private done: (readonly [number | undefined, string])[] = [];
  private dials = 0;

  constructor(as: 'device' | 'invite') {
    this.client = new Client({ suite, member: MEMBERS[as](), software: 'table' });
    this.step({ kind: 'start' });
  }

  step(input: ClientInput): void {
    for (const output of this.client.step(input, { wall: NOW_MS + this.mono, mono: this.mono })) {
      this.note(output);
      if (output.kind === 'persist') this.step({ kind: 'committed', id: output.id });
    }
  }

  pass(ms: number): void {
    const until = this.mono + ms;
    for (;;) {
      const at = this.client.deadline({ wall: NOW_MS + this.mono, mono: this.mono })?.at;
      if (at === undefined || at > until) break;
      this.mono = Math.max(this.mono, at);
      this.step({ kind: 'tick' });
    }
    this.mono = until;
  }

  /** Begin a path; the connection is not there yet. */
  dial(): ClientEnd {
    this.dials += 1;
    const entropy = new Uint8Array([...named(suite, `e${this.dials}`), ...named(suite, `f${this.dials}`)]);
    this.step({ kind: 'dial', entropy });
    const end = this.ends.at(-1);
    if (end === undefined) throw new Error('nothing was dialled');
    return end;
  }

  /** Words for what was done since this was last asked, `about` one path. */
  take(about: ClientEnd): readonly string[] {
    const { done } = this;
    this.done = [];
    return done.map(([id, word]) => (id === undefined || id === about.id ? word : `other path: ${word}`));
  }

  /** Let time pass in which only this path matters. */
  wait(ms: number, about: ClientEnd): void {
    this.pass(ms);
    this.done = this.done.filter(([path]) => path === about.id);
  }

  private note(output: ClientOutput): void {
    const path = 'path' in output ? output.path : undefined;
    const end = this.ends.find(({ id }) => id === path);
    switch (output.kind) {
      case 'dial':
        this.ends.push(new ClientEnd(this, output, this.client.member));
        break;
      case 'send':
        for (const frame of end?.take(output.bytes) ?? []) this.done.push([path, frameWord(frame)]);
        break;
      case 'close':
        if (output.cut) this.done.push([path, 'cuts']);
        else if (end?.wasClosed !== true) this.done.push([path, 'closes']);
        break;
      case 'failed':
      case 'declined':
        this.done.push([path, `${output.kind}: \`${codeName(output.fault.code)}\``]);
        break;
      case 'stopped':
        this.done.push([undefined, 'stops for good']);
        break;
      default: {
        const word = WORDS[output.kind];
        if (word !== undefined) this.done.push([path, word]);
      }
    }
  }
}

const WORDS: Readonly<Partial<Record<ClientOutput['kind'], string>>> = {
  connected: 'the host is proven',
  persist: 'stores',
  notice: 'plans the move',
  detached: 'the session waits',
  lost: 'session over',
  deliver: 'delivers',
};

/** One path, from the host's end. */
export class ClientEnd {
  readonly id: number;
  readonly message1: Uint8Array;
  /** Whether the client has said Close. */
  wasClosed = false;
  private readonly world: ClientWorld;
  private readonly handshake: ResponderHandshake;
  private end: WireEnd | undefined;
  /** Whether the client answers a message 2 that this end did not make. */
  private isForeign = false;
  private frames: Frame[] = [];

  constructor(world: ClientWorld, dial: ClientOutput & { kind: 'dial' }, member: Member | undefined) {
    if (member === undefined) throw new Error('nobody dials');
    const { psk, privateKey } = dialKeys(suite, member);
    this.world = world;
    this.id = dial.path;
    this.message1 = Uint8Array.from(Buffer.from(dial.token, 'base64url').subarray(24, 72));
    this.handshake = must(
      ResponderHandshake.begin({
        suite,
        serverId: host.serverId,
        epoch: 7,
        message1: this.message1,
        psk,
        expectedKey: suite.x25519Public(privateKey),
        channelKeys: [suite.x25519Key(CHANNEL_KEY)],
        ephemeral: suite.x25519Key(named(suite, `host ephemeral ${dial.path}`)),
        witness: undefined,
      }),
    );
  }

  get message2(): Uint8Array {
    return this.handshake.message2;
  }

  /** 101, message 2, and these frames in one record. */
  open(...frames: readonly (Frame | Uint8Array)[]): this {
    this.world.step({ kind: 'open', path: this.id });
    this.give(this.message2);
    if (frames.length > 0) this.say(...frames);
    return this;
  }

  say(...frames: readonly (Frame | Uint8Array)[]): void {
    this.give(this.end?.seal(...frames.map(bytesOf)) ?? new Uint8Array(0));
  }

  /** One binary WebSocket message, and the end of the turn. */
  give(bytes: Uint8Array): void {
    this.world.step({ kind: 'message', path: this.id, bytes });
    this.world.pass(0);
  }

  take(bytes: Uint8Array): readonly Frame[] {
    if (this.isForeign) return [];
    if (this.end === undefined) {
      const finished = this.handshake.finish(bytes, true);
      this.isForeign = isFault(finished);
      if (!isFault(finished)) this.end = new WireEnd(finished.split);
      return [];
    }
    const frames = this.end.open(bytes);
    this.frames.push(...frames);
    this.wasClosed ||= frames.some(({ kind }) => kind === 'close');
    return frames.filter(({ kind }) => kind !== 'hello');
  }

  /** The generation of the Attach that came on it. */
  get generation(): number {
    const frame = this.frames.find(({ kind }) => kind === 'attach');
    return frame?.kind === 'attach' ? frame.generation : 1;
  }

  /** What the client's machine waits for on it. */
  get state(): string {
    const { client } = this.world;
    const path: ClientPath | undefined = client['link'].paths.find(({ id }) => id === this.id);
    switch (path?.phase) {
      case undefined:
        return 'ended';
      case 'dialing':
        return 'awaits 101';
      case 'message2':
        return 'awaits message 2';
      case 'enrolling':
      case 'attaching':
        if (path.path?.greeted !== true) return 'awaits Hello';
        return path.phase === 'enrolling' ? 'awaits Enrolled' : 'awaits Attached';
      case 'attached':
        break;
    }
    return client['link'].pending === undefined ? 'attached' : 'attached, a newer path awaits Attached';
  }
}
