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
import { host, must, suite } from './grid.ts';
import { PlayedMachine, PlayedPath } from './played-machine.ts';

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
export class HostWorld extends PlayedMachine<ServerInput, ServerOutput, HostPath> {
  readonly server: Server;
  isSlow = false;
  private waiting: number[] = [];

  constructor() {
    const server = new Server({
      suite,
      serverId: host.serverId,
      registry: registry(),
      accessKeys: RECORD.accessKeys,
      channelKeys: [{ privateKey: channelKey, notAfterMs: Number.MAX_SAFE_INTEGER }],
      envelope: testEnvelope(suite, host, RECORD),
      witness: undefined,
      software: 'table',
    });
    super(server, { words: WORDS, otherPath: 'older path' });
    this.server = server;
    const terms = { identity: host.identity(0), serverId: host.serverId, stores: [], name: '', lifeMs: 0 };
    this.step({ kind: 'makeInvite', ref: 1, terms: { ...terms, secret: named(suite, 'invite secret') } });
  }

  dial(as: Dialler): HostPath {
    const path = new HostPath(this, this.paths.length + 1, as);
    this.paths.push(path);
    return path;
  }

  /** What was decided becomes durable. */
  commit(): void {
    for (const id of this.waiting.splice(0)) this.step({ kind: 'committed', id });
  }

  protected perform(output: ServerOutput): void {
    if (output.kind !== 'persist') return;
    if (this.isSlow) this.waiting.push(output.id);
    else this.step({ kind: 'committed', id: output.id });
  }

  protected phrase(output: ServerOutput): string | undefined {
    return output.kind === 'refuse' ? `404 (${output.reason})` : undefined;
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
export class HostPath extends PlayedPath {
  readonly as: Dialler;
  readonly handshake: InitiatorHandshake;
  private readonly world: HostWorld;
  private message2: Uint8Array | undefined;

  constructor(world: HostWorld, id: number, as: Dialler, hostKey: Uint8Array = channelKey) {
    super(id, world);
    this.world = world;
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

  protected isAgreed(message: Uint8Array): boolean {
    if (this.message2 !== undefined) return true;
    this.message2 = message;
    return false;
  }

  private get held(): ServerPath | undefined {
    return this.world.server['paths'].get(this.id);
  }

  /** How many messages wait for a commit. */
  override get keptCount(): number {
    return this.held?.held?.length ?? 0;
  }

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
