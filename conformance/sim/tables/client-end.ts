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
import { host, must, suite } from './grid.ts';
import { PlayedMachine, PlayedPath } from './played-machine.ts';

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
const MEMBERS: Readonly<Record<'device' | 'invite', () => Member>> = {
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
export class ClientWorld extends PlayedMachine<ClientInput, ClientOutput, ClientEnd> {
  readonly client: Client;
  private dials = 0;

  constructor(as: 'device' | 'invite') {
    const client = new Client({ suite, member: MEMBERS[as](), software: 'table' });
    super(client, { words: WORDS, otherPath: 'other path' });
    this.client = client;
    this.step({ kind: 'start' });
  }

  /** Begin a path; the connection is not there yet. */
  dial(): ClientEnd {
    this.dials += 1;
    const entropy = new Uint8Array([...named(suite, `e${this.dials}`), ...named(suite, `f${this.dials}`)]);
    this.step({ kind: 'dial', entropy });
    const end = this.paths.at(-1);
    if (end === undefined) throw new Error('nothing was dialled');
    return end;
  }

  protected perform(output: ClientOutput): void {
    if (output.kind === 'dial') this.paths.push(new ClientEnd(this, output, this.client.member));
    if (output.kind === 'persist') this.step({ kind: 'committed', id: output.id });
  }

  protected phrase(output: ClientOutput): string | undefined {
    const isFailure = output.kind === 'failed' || output.kind === 'declined';
    return isFailure ? `${output.kind}: \`${codeName(output.fault.code)}\`` : undefined;
  }
}

const WORDS: Readonly<Partial<Record<ClientOutput['kind'], string>>> = {
  connected: 'the host is proven',
  persist: 'stores',
  notice: 'plans the move',
  detached: 'the session waits',
  lost: 'session over',
  deliver: 'delivers',
  stopped: 'stops for good',
};

/** One path, from the host's end. */
export class ClientEnd extends PlayedPath {
  readonly message1: Uint8Array;
  private readonly world: ClientWorld;
  private readonly handshake: ResponderHandshake;
  /** Whether the client answers a message 2 that this end did not make. */
  private isForeign = false;
  private frames: Frame[] = [];

  constructor(world: ClientWorld, dial: ClientOutput & { kind: 'dial' }, member: Member | undefined) {
    super(dial.path, world);
    if (member === undefined) throw new Error('nobody dials');
    const { psk, privateKey } = dialKeys(suite, member);
    this.world = world;
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

  protected isAgreed(message3: Uint8Array): boolean {
    if (this.isForeign || this.end !== undefined) return !this.isForeign;
    const finished = this.handshake.finish(message3, true);
    this.isForeign = isFault(finished);
    if (!isFault(finished)) this.end = new WireEnd(finished.split);
    return false;
  }

  protected override heard(frames: readonly Frame[]): void {
    this.frames.push(...frames);
  }

  /** The generation of the Attach that came on it. */
  get generation(): number {
    const frame = this.frames.find(({ kind }) => kind === 'attach');
    return frame?.kind === 'attach' ? frame.generation : 1;
  }

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
