/** A host's machine, and paths to it that are played frame by frame (spec/04-handshake.md, spec/05-session.md). */
import type { ConnectionRecord } from '../../../src/protocol/connection-record.ts';
import { NOW_MS, named, testEnvelope, testRecord } from '../../../src/protocol/fixtures.ts';
import { InitiatorHandshake } from '../../../src/protocol/handshake.ts';
import { deviceKeys, inviteKeys, type MemberKeys } from '../../../src/protocol/keys.ts';
import { EMPTY_REGISTRY, memberId, type Registry, registerDevice } from '../../../src/protocol/registry.ts';
import { Server } from '../../../src/protocol/server.ts';
import type { ServerInput, ServerOutput } from '../../../src/protocol/server-io.ts';
import type { ServerPath } from '../../../src/protocol/server-path.ts';
import type { Frame } from '../../../src/wire/frame.ts';
import { WireEnd } from '../../vectors/wire-end.ts';
import { bytesOf, frameWord } from './frames.ts';
import { host, must, suite } from './grid.ts';

const channelKey = named(suite, 'channel private');
export const RECORD: ConnectionRecord = testRecord(suite, host, {
  channelKeys: [
    {
      publicKey: suite.x25519Public(channelKey),
      notAfterMs: testRecord(suite, host).channelKeys[0]?.notAfterMs ?? 0,
    },
  ],
});

/** Who dials: its key, and what derives from its secret. */
export interface Dialler {
  readonly id: string;
  readonly privateKey: Uint8Array;
  readonly keys: MemberKeys;
}

function deviceOf(name: string): Dialler {
  const privateKey = named(suite, `${name} key`);
  const id = memberId(suite, suite.x25519Public(privateKey));
  return { id, privateKey, keys: deviceKeys(suite, named(suite, `${name} secret`)) };
}

export const DEVICE: Dialler = deviceOf('device');
export const PENDING: Dialler = deviceOf('pending');
const inviteOf = inviteKeys(suite, named(suite, 'invite secret'));
export const INVITE: Dialler = {
  id: memberId(suite, inviteOf.publicKey),
  privateKey: inviteOf.privateKey,
  keys: inviteOf,
};

function registry(): Registry {
  const device = (name: string, pending: boolean): ReturnType<typeof registerDevice> =>
    registerDevice(suite, {
      publicKey: suite.x25519Public(named(suite, `${name} key`)),
      secret: named(suite, `${name} secret`),
      name,
      pending,
      enrolledAtMs: NOW_MS,
      lastSeenAtMs: NOW_MS,
    });
  const devices = [device('device', false), device('pending', true)];
  return { ...EMPTY_REGISTRY, devices: new Map(devices.map(each => [each.id, each])) };
}

/** A host with a device, a pending device and an open invite. Its commits wait for `commit` when `isSlow`. */
export class HostWorld {
  readonly server: Server;
  mono = 1000;
  isSlow = false;
  private readonly paths: HostPath[] = [];
  private done: (readonly [HostPath | undefined, string])[] = [];
  private waiting: number[] = [];

  constructor() {
    this.server = new Server({
      suite,
      serverId: host.serverId,
      registry: registry(),
      accessKeys: RECORD.accessKeys,
      channelKeys: [channelKey],
      envelope: testEnvelope(suite, host, RECORD),
      witness: undefined,
      software: 'table',
    });
    const terms = { identity: host.identity(0), serverId: host.serverId, stores: [], name: '', lifeMs: 0 };
    this.step({ kind: 'makeInvite', ref: 1, terms: { ...terms, secret: named(suite, 'invite secret') } });
  }

  dial(as: Dialler): HostPath {
    const path = new HostPath(this, this.paths.length + 1, as);
    this.paths.push(path);
    return path;
  }

  step(input: ServerInput): void {
    for (const output of this.server.step(input, { wall: NOW_MS + this.mono, mono: this.mono })) {
      this.note(output);
      if (output.kind !== 'persist') continue;
      if (this.isSlow) this.waiting.push(output.id);
      else this.step({ kind: 'committed', id: output.id });
    }
  }

  /** What was decided becomes durable. */
  commit(): void {
    for (const id of this.waiting.splice(0)) this.step({ kind: 'committed', id });
  }

  pass(ms: number): void {
    const until = this.mono + ms;
    for (;;) {
      const at = this.server.deadline({ wall: NOW_MS + this.mono, mono: this.mono })?.at;
      if (at === undefined || at > until) break;
      this.mono = Math.max(this.mono, at);
      this.step({ kind: 'tick' });
    }
    this.mono = until;
  }

  /** Words for what was done since this was last asked, `about` one path. */
  take(about: HostPath): readonly string[] {
    const { done } = this;
    this.done = [];
    return done.map(([path, word]) => (path === undefined || path === about ? word : `older path: ${word}`));
  }

  /** Let time pass in which only this path matters. */
  wait(ms: number, about: HostPath): void {
    this.pass(ms);
    this.done = this.done.filter(([path]) => path === about);
  }

  private note(output: ServerOutput): void {
    const path = 'path' in output ? this.paths.find(({ id }) => id === output.path) : undefined;
    switch (output.kind) {
      case 'send':
        for (const frame of path?.take(output.bytes) ?? []) this.done.push([path, frameWord(frame)]);
        break;
      case 'close':
        if (output.cut) this.done.push([path, 'cuts']);
        else if (path?.wasClosed !== true) this.done.push([path, 'closes']);
        break;
      case 'refuse':
        this.done.push([path, `404 (${output.reason})`]);
        break;
      default: {
        const word = WORDS[output.kind];
        if (word !== undefined) this.done.push([path, word]);
      }
    }
  }
}

const WORDS: Readonly<Partial<Record<ServerOutput['kind'], string>>> = {
  accept: '101',
  detached: 'the session waits',
  lost: 'session over',
  opened: 'opens a session',
  deliver: 'delivers',
  persist: 'commits',
  enrolled: 'shows the words',
  alarm: 'alarm',
};

/** One path, from the client's end. */
export class HostPath {
  readonly id: number;
  readonly as: Dialler;
  readonly handshake: InitiatorHandshake;
  /** Whether the host has said Close. */
  wasClosed = false;
  private readonly world: HostWorld;
  private message2: Uint8Array | undefined;
  private end: WireEnd | undefined;

  constructor(world: HostWorld, id: number, as: Dialler, hostKey: Uint8Array = channelKey) {
    this.world = world;
    this.id = id;
    this.as = as;
    const { privateKey, keys } = as;
    this.handshake = must(
      InitiatorHandshake.begin({
        suite,
        serverId: host.serverId,
        accessKey: RECORD.accessKeys[0],
        responderKey: suite.x25519Public(hostKey),
        staticKey: suite.x25519Key(privateKey),
        psk: keys.psk,
        gateKey: keys.gateKey,
        ephemeral: suite.x25519Key(named(suite, `ephemeral ${id} ${as.id}`)),
      }),
    );
  }

  offer(token: string = this.handshake.token): void {
    const entropy = new Uint8Array([...named(suite, `a ${this.id}`), ...named(suite, `b ${this.id}`)]);
    const { id: path, world } = this;
    world.step({ kind: 'offer', path, token, acceptedAt: world.mono, entropy });
  }

  /** Make message 3. */
  message3(): Uint8Array {
    const finished = must(this.handshake.finish(this.message2 ?? new Uint8Array(0)));
    this.end = new WireEnd(finished.split);
    return finished.message3;
  }

  /** Offer, message 3, and these frames in one record. */
  open(...frames: readonly (Frame | Uint8Array)[]): this {
    this.offer();
    this.give(this.message3());
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
    if (this.message2 === undefined) {
      this.message2 = bytes;
      return [];
    }
    const frames = this.end?.open(bytes) ?? [];
    this.wasClosed ||= frames.some(({ kind }) => kind === 'close');
    return frames.filter(({ kind }) => kind !== 'hello');
  }

  private get held(): ServerPath | undefined {
    return this.world.server['paths'].get(this.id);
  }

  /** How many messages wait for a commit. */
  get keptCount(): number {
    return this.held?.held?.length ?? 0;
  }

  /** What the host's machine waits for on it. */
  get state(): string {
    const path = this.held;
    if (path === undefined) return 'ended';
    if (path.phase === 'handshake') return 'awaits message 3';
    if (path.phase === 'commit') return 'awaits the commit of message 3';
    if (path.path?.greeted !== true) return 'awaits Hello';
    if (path.phase === 'attached') return 'attached';
    if (path.phase === 'device') return 'awaits Attach';
    return path.enrolling ? 'awaits the commit of Enrol' : 'awaits Enrol';
  }
}
