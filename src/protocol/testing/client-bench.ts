/** A client at a bench: its commits are done at once, and the host at the other end of its paths says what a test wants. */
import { create } from '@bufbuild/protobuf';
import { noble } from '../../crypto/noble.ts';
import { Records } from '../../crypto/record.ts';
import type { Suite } from '../../crypto/suite.ts';
import type { ErrorCode } from '../../gen/clawchat/v1/error_pb.ts';
import { HelloSchema } from '../../gen/clawchat/v1/handshake_pb.ts';
import type { Frame } from '../../wire/frame.ts';
import { RowReader, RowWriter } from '../../wire/row.ts';
import { Client } from '../client.ts';
import type { ClientInput, ClientOutput } from '../client-io.ts';
import type { ConnectionRecord } from '../connection-record.ts';
import { parseEnvelope } from '../envelope.ts';
import { isFault } from '../fault.ts';
import { NOW_MS, named, type TestHost, testEnvelope, testHost, testRecord } from '../fixtures.ts';
import { acceptEnvelope, type Held, trusting } from '../freshness.ts';
import { ResponderHandshake } from '../handshake.ts';
import type { Invite } from '../invite.ts';
import { type DialKeys, dialKeys, type Member } from '../join.ts';

export const suite: Suite = noble;
const host: TestHost = testHost(suite, 'client');
const channelKey = named(suite, 'channel private');
export const expiry: number = testRecord(suite, host).channelKeys[0]?.notAfterMs ?? 0;
export const recordOf = (over: Partial<ConnectionRecord> = {}): ConnectionRecord =>
  testRecord(suite, host, {
    channelKeys: [{ publicKey: suite.x25519Public(channelKey), notAfterMs: expiry }],
    ...over,
  });
export const envelopeOf = (over: Partial<ConnectionRecord> = {}): Uint8Array =>
  testEnvelope(suite, host, recordOf(over));

export function held(over: Partial<ConnectionRecord> = {}): Held {
  const envelope = parseEnvelope(envelopeOf(over));
  if (isFault(envelope)) throw new Error(envelope.detail);
  const accepted = acceptEnvelope(suite, trusting(host.trust(0, false)), envelope, NOW_MS);
  if (accepted.kind !== 'accepted') throw new Error('the record is refused');
  return accepted.held;
}

export const device = (): Member => ({
  stage: 'device',
  devicePrivateKey: named(suite, 'device'),
  deviceSecret: named(suite, 'device secret'),
  name: 'ann',
  held: held(),
});
export const invite: Invite = {
  bytes: Uint8Array.of(1, 2, 3),
  secret: named(suite, 'invite secret'),
  trust: host.trust(0, false),
  expiresAtMs: NOW_MS + 1e6,
  stores: [],
} as unknown as Invite;
export const keyed = (): Member => ({
  stage: 'keyed',
  invite,
  devicePrivateKey: named(suite, 'device'),
  name: 'ann',
  held: held(),
});

/** The host's end of a path, doing what the test wants. */
export class Peer {
  readonly frames: Frame[] = [];
  readonly path: number;
  private readonly bench: ClientBench;
  private readonly handshake: ResponderHandshake;
  private readonly writer = new RowWriter();
  private records: Records | undefined;

  constructor(bench: ClientBench, dial: ClientOutput & { kind: 'dial' }, keys: DialKeys) {
    this.bench = bench;
    this.path = dial.path;
    const token = Buffer.from(dial.token, 'base64url');
    const handshake = ResponderHandshake.begin({
      suite,
      serverId: host.serverId,
      epoch: 7,
      message1: Uint8Array.from(token.subarray(24, 72)),
      psk: keys.psk,
      expectedKey: suite.x25519Public(keys.privateKey),
      channelKeys: [suite.x25519Key(channelKey)],
      ephemeral: suite.x25519Key(named(suite, `host ephemeral ${dial.path}`)),
      witness: undefined,
    });
    if (isFault(handshake)) throw new Error(handshake.detail);
    this.handshake = handshake;
  }

  /** 101 and message 2, and take message 3 and the first record. */
  open(): readonly ClientOutput[] {
    const { path, bench } = this;
    return [
      ...bench.step({ kind: 'open', path }),
      ...bench.step({ kind: 'message', path, bytes: this.handshake.message2 }),
      ...bench.flush(),
    ];
  }

  take(bytes: Uint8Array): void {
    if (this.records === undefined) {
      const finished = this.handshake.finish(bytes, true);
      if (isFault(finished)) throw new Error(finished.detail);
      this.records = new Records(finished.split);
      return;
    }
    const plaintext = this.records.open(bytes);
    if (plaintext === undefined) throw new Error('a record of the client does not open');
    const reader = new RowReader(plaintext);
    for (let frame = reader.next(); frame !== undefined; frame = reader.next()) {
      if (frame.kind === 'fault') throw new Error(frame.detail);
      this.frames.push(frame);
    }
  }

  say(...frames: readonly Frame[]): readonly ClientOutput[] {
    for (const frame of frames) if (!this.writer.frame(frame)) throw new Error('too much');
    const sealed = this.records?.seal(this.writer.finish());
    if (sealed === undefined) throw new Error('not sealed');
    const { path, bench } = this;
    return [...bench.step({ kind: 'message', path, bytes: sealed }), ...bench.flush()];
  }

  get kinds(): readonly string[] {
    return this.frames.map(({ kind }) => kind);
  }

  get attach(): Frame & { kind: 'attach' } {
    const frame = this.frames.find(each => each.kind === 'attach');
    if (frame?.kind !== 'attach') throw new Error('no attach');
    return frame;
  }

  /** Hello and Attached. */
  attached(receivedThrough = 0): readonly ClientOutput[] {
    return this.say(hello, { kind: 'attached', generation: this.attach.generation, receivedThrough });
  }
}

export class ClientBench {
  readonly client: Client;
  readonly member: Member | undefined;
  peers: Peer[] = [];
  slow = false;
  mono = 0;
  /** The jitter is just below 1, so that every wait is as long as it can be. */
  jitterByte = 0xff;
  private waiting: number[] = [];
  private dials = 0;

  constructor(member: Member | undefined) {
    this.member = member;
    this.client = new Client({ suite, member, software: 'test client' });
  }

  step(input: ClientInput): readonly ClientOutput[] {
    const all: ClientOutput[] = [];
    for (const output of this.client.step(input, { wall: NOW_MS + this.mono, mono: this.mono })) {
      all.push(output);
      if (output.kind === 'send') this.peers.find(({ path }) => path === output.path)?.take(output.bytes);
      if (output.kind === 'dial' && this.client.member !== undefined) {
        this.peers.push(new Peer(this, output, dialKeys(suite, this.client.member)));
      }
      if (output.kind !== 'persist') continue;
      if (this.slow) this.waiting.push(output.id);
      else all.push(...this.step({ kind: 'committed', id: output.id }));
    }
    return all;
  }

  commit(): readonly ClientOutput[] {
    return this.waiting.splice(0).flatMap(id => this.step({ kind: 'committed', id }));
  }

  pass(ms: number): readonly ClientOutput[] {
    const until = this.mono + ms;
    const all: ClientOutput[] = [];
    for (;;) {
      const at = this.client.deadline({ wall: NOW_MS + this.mono, mono: this.mono })?.at;
      if (at === undefined || at > until) break;
      this.mono = Math.max(this.mono, at);
      all.push(...this.step({ kind: 'tick' }));
    }
    this.mono = until;
    return all;
  }

  flush(): readonly ClientOutput[] {
    return this.pass(0);
  }

  dial(acceptClock = false): readonly ClientOutput[] {
    this.dials += 1;
    const entropy = new Uint8Array([...named(suite, `e${this.dials}`), ...named(suite, `f${this.dials}`)]);
    entropy.fill(this.jitterByte, 48, 52);
    return this.step({ kind: 'dial', entropy, acceptClock });
  }

  /** Start, dial, and open the path at the other end. */
  connect(): Peer {
    this.step({ kind: 'start' });
    return this.again();
  }

  again(): Peer {
    this.flush();
    this.dial();
    const peer = this.last;
    peer.open();
    return peer;
  }

  get last(): Peer {
    const peer = this.peers.at(-1);
    if (peer === undefined) throw new Error('nothing was dialled');
    return peer;
  }
}

export const hello: Frame = { kind: 'hello', hello: create(HelloSchema, { protocolVersion: 1 }) };
export const close = (code: ErrorCode, resumable = false): Frame => ({ kind: 'close', code, resumable });
export const data = (sequence: number): Frame => ({
  kind: 'data',
  sequence,
  stream: 2,
  payload: Uint8Array.of(sequence),
  more: false,
  open: sequence === 1 ? 'push.v1' : undefined,
  end: undefined,
});
export const kinds = (outputs: readonly ClientOutput[]): string[] => outputs.map(({ kind }) => kind);
