/** A host at a bench: its outputs are gathered, and clients say what a test wants. */
import { create } from '@bufbuild/protobuf';
import { noble } from '../../crypto/noble.ts';
import { Records } from '../../crypto/record.ts';
import type { Suite } from '../../crypto/suite.ts';
import type { ErrorCode } from '../../gen/clawchat/v1/error_pb.ts';
import { HelloSchema } from '../../gen/clawchat/v1/handshake_pb.ts';
import type { Frame } from '../../wire/frame.ts';
import { RowReader, RowWriter } from '../../wire/row.ts';
import type { ResponderKey } from '../channel-keys.ts';
import type { ConnectionRecord } from '../connection-record.ts';
import { isFault } from '../fault.ts';
import { NOW_MS, named, type TestHost, testEnvelope, testHost, testRecord } from '../fixtures.ts';
import { InitiatorHandshake } from '../handshake.ts';
import { parseInvite } from '../invite.ts';
import { inviteKeys, type MemberKeys } from '../keys.ts';
import { EMPTY_REGISTRY, type RegisteredDevice, registerDevice } from '../registry.ts';
import { Server } from '../server.ts';
import type { ServerInput, ServerOutput } from '../server-io.ts';

export const suite: Suite = noble;
export const host: TestHost = testHost(suite, 'server');
const channelKey = named(suite, 'channel private');
export const record: ConnectionRecord = testRecord(suite, host, {
  channelKeys: [
    {
      publicKey: suite.x25519Public(channelKey),
      notAfterMs: testRecord(suite, host).channelKeys[0]?.notAfterMs ?? 0,
    },
  ],
});
export const envelope: Uint8Array = testEnvelope(suite, host, record);
export const responderKey: ResponderKey = {
  privateKey: channelKey,
  notAfterMs: record.channelKeys[0]?.notAfterMs ?? 0,
};
export const sessionId: Uint8Array = named(suite, 'session').slice(0, 16);

/** A host whose outputs are gathered, and whose commits are done at once unless `slow`. */
export class ServerBench {
  readonly server: Server;
  readonly log: ServerOutput[] = [];
  slow = false;
  mono = 1_000;
  private waiting: number[] = [];
  private readonly paths = new Map<number, TestPath>();

  constructor(devices: readonly RegisteredDevice[] = []) {
    const registry = { ...EMPTY_REGISTRY, devices: new Map(devices.map(device => [device.id, device])) };
    const { accessKeys } = record;
    const about = { suite, serverId: host.serverId, registry, accessKeys, channelKeys: [responderKey] };
    this.server = new Server({ ...about, envelope, witness: undefined, software: 'test host' });
  }

  get now(): { wall: number; mono: number } {
    return { wall: NOW_MS + this.mono, mono: this.mono };
  }

  step(input: ServerInput): readonly ServerOutput[] {
    const all: ServerOutput[] = [];
    for (const output of this.server.step(input, this.now)) {
      all.push(output);
      this.log.push(output);
      if (output.kind === 'send') this.paths.get(output.path)?.take(output.bytes);
      if (output.kind !== 'persist') continue;
      if (this.slow) this.waiting.push(output.id);
      else all.push(...this.step({ kind: 'committed', id: output.id }));
    }
    return all;
  }

  commit(): readonly ServerOutput[] {
    return this.waiting.splice(0).flatMap(id => this.step({ kind: 'committed', id }));
  }

  /** Let time pass, and do what is due in it. */
  pass(ms: number): readonly ServerOutput[] {
    const until = this.mono + ms;
    const outputs: ServerOutput[] = [];
    for (;;) {
      const at = this.server.deadline(this.now)?.at;
      if (at === undefined || at > until) break;
      this.mono = Math.max(this.mono, at);
      outputs.push(...this.step({ kind: 'tick' }));
    }
    this.mono = until;
    return outputs;
  }

  /** End the turn: what is ready leaves. */
  flush(): readonly ServerOutput[] {
    return this.pass(0);
  }

  adopt(path: TestPath): void {
    this.paths.set(path.id, path);
  }

  makeInvite(): { id: string; keys: MemberKeys & { privateKey: Uint8Array } } {
    const secret = named(suite, `invite ${this.log.length}`);
    const about = { identity: host.identity(0), serverId: host.serverId, stores: [], name: '', lifeMs: 0 };
    const made = this.step({ kind: 'makeInvite', ref: 1, terms: { secret, ...about } }).find(
      output => output.kind === 'made',
    );
    const invite = parseInvite(suite, made?.kind === 'made' ? made.invite : new Uint8Array(0));
    if (isFault(invite)) throw new Error(invite.detail);
    const [entry] = [...this.server.registry.invites.values()].slice(-1);
    return { id: entry?.id ?? '', keys: inviteKeys(suite, secret) };
  }
}

let serial = 0;

/** A client that says what the test wants. */
export class TestPath {
  readonly id: number;
  readonly frames: Frame[] = [];
  private readonly bench: ServerBench;
  private readonly handshake: InitiatorHandshake;
  private readonly writer = new RowWriter();
  private message2: Uint8Array | undefined;
  private records: Records | undefined;

  constructor(bench: ServerBench, privateKey: Uint8Array, keys: MemberKeys) {
    serial += 1;
    this.id = serial;
    this.bench = bench;
    const handshake = InitiatorHandshake.begin({
      suite,
      serverId: host.serverId,
      accessKey: record.accessKeys[0],
      responderKey: suite.x25519Public(channelKey),
      staticKey: suite.x25519Key(privateKey),
      psk: keys.psk,
      gateKey: keys.gateKey,
      ephemeral: suite.x25519Key(named(suite, `ephemeral ${serial}`)),
    });
    if (isFault(handshake)) throw new Error(handshake.detail);
    this.handshake = handshake;
    bench.adopt(this);
  }

  offer(acceptedAt: number = this.bench.mono): readonly ServerOutput[] {
    const entropy = new Uint8Array([...named(suite, `a ${this.id}`), ...named(suite, `b ${this.id}`)]);
    const { id: path, bench } = this;
    return bench.step({ kind: 'offer', path, token: this.handshake.token, acceptedAt, entropy });
  }

  /** Message 3. */
  authenticate(spoil = false): readonly ServerOutput[] {
    const finished = this.handshake.finish(this.message2 ?? new Uint8Array(0));
    if (isFault(finished)) throw new Error(finished.detail);
    this.records = new Records(finished.split);
    const bytes = finished.message3;
    if (spoil) bytes[5] = (bytes[5] ?? 0) ^ 1;
    return this.bench.step({ kind: 'message', path: this.id, bytes });
  }

  /** Handshake and Hello. */
  open(): this {
    this.offer();
    this.authenticate();
    this.say(hello);
    return this;
  }

  /** One record. */
  say(...frames: readonly Frame[]): readonly ServerOutput[] {
    for (const frame of frames) if (!this.writer.frame(frame)) throw new Error('too much');
    const bytes = this.records?.seal(this.writer.finish());
    if (bytes === undefined) throw new Error('not sealed');
    return [...this.bench.step({ kind: 'message', path: this.id, bytes }), ...this.bench.flush()];
  }

  attach(generation: number, over: Partial<Frame & { kind: 'attach' }> = {}): readonly ServerOutput[] {
    return this.say({ kind: 'attach', sessionId, generation, receivedThrough: 0, open: true, ...over });
  }

  take(bytes: Uint8Array): void {
    if (this.message2 === undefined) {
      this.message2 = bytes;
      return;
    }
    const plaintext = this.records?.open(bytes);
    if (plaintext === undefined) throw new Error('a record of the host does not open');
    const reader = new RowReader(plaintext);
    for (let frame = reader.next(); frame !== undefined; frame = reader.next()) {
      if (frame.kind === 'fault') throw new Error(frame.detail);
      this.frames.push(frame);
    }
  }

  get kinds(): readonly string[] {
    return this.frames.map(({ kind }) => kind);
  }
}

export const hello: Frame = { kind: 'hello', hello: create(HelloSchema, { protocolVersion: 1 }) };
export const close = (code: ErrorCode, resumable = false): Frame => ({ kind: 'close', code, resumable });
export const data = (sequence: number, over: object = {}): Frame => ({
  kind: 'data',
  sequence,
  stream: 1,
  payload: Uint8Array.of(sequence),
  more: false,
  open: sequence === 1 ? 'chat.v1' : undefined,
  end: undefined,
  ...over,
});

export const secretOf = (name: string): Uint8Array => named(suite, `secret of ${name}`);
export const keyOf = (name: string): Uint8Array => named(suite, `key of ${name}`);
export function device(name: string, pending = false): RegisteredDevice {
  const publicKey = suite.x25519Public(keyOf(name));
  const times = { enrolledAtMs: NOW_MS, lastSeenAtMs: NOW_MS };
  return registerDevice(suite, { publicKey, secret: secretOf(name), name, pending, ...times });
}
export const ann: RegisteredDevice = device('ann');
export const bob: RegisteredDevice = device('bob');

export const kinds = (outputs: readonly ServerOutput[]): string[] => outputs.map(({ kind }) => kind);
export const closes = (outputs: readonly ServerOutput[]): unknown[] =>
  outputs.flatMap(output => (output.kind === 'close' ? [[output.path, output.code, output.cut]] : []));
