import { create } from '@bufbuild/protobuf';
import { beforeEach, describe, expect, it, vi } from 'vitest';
import { CipherState } from '../crypto/cipher-state.ts';
import { noble } from '../crypto/noble.ts';
import { Records } from '../crypto/record.ts';
import { EnrolledSchema } from '../gen/clawchat/v1/enrolment_pb.ts';
import { ErrorCode } from '../gen/clawchat/v1/error_pb.ts';
import { HelloSchema } from '../gen/clawchat/v1/handshake_pb.ts';
import { RotationNoticeSchema } from '../gen/clawchat/v1/rotation_pb.ts';
import {
  AUTH_MS_MAX,
  DIAL_BACKOFF_MS_MAX,
  DIAL_BACKOFF_MS_MIN,
  PATH_DEAD_MS,
  PING_IDLE_MS,
  PROBE_MS_MAX,
  WIRE_RECORDS_SOFT_MAX,
} from '../gen/constants.ts';
import type { Frame } from '../wire/frame.ts';
import { RowReader, RowWriter } from '../wire/row.ts';
import { Client } from './client.ts';
import type { ClientInput, ClientOutput } from './client-io.ts';
import type { ConnectionRecord } from './connection-record.ts';
import { parseEnvelope } from './envelope.ts';
import { fault, isFault } from './fault.ts';
import { NOW_MS, named, testEnvelope, testHost, testRecord } from './fixtures.ts';
import { acceptEnvelope, type Held, trusting } from './freshness.ts';
import { ResponderHandshake } from './handshake.ts';
import type { Invite } from './invite.ts';
import { type DialKeys, dialKeys, type Member } from './join.ts';
import { gateMacKey } from './keys.ts';

const suite = noble;
const host = testHost(suite, 'client');
const channelKey = named(suite, 'channel private');
const expiry = testRecord(suite, host).channelKeys[0]?.notAfterMs ?? 0;
const recordOf = (over: Partial<ConnectionRecord> = {}): ConnectionRecord =>
  testRecord(suite, host, {
    channelKeys: [{ publicKey: suite.x25519Public(channelKey), notAfterMs: expiry }],
    ...over,
  });
const envelopeOf = (over: Partial<ConnectionRecord> = {}): Uint8Array =>
  testEnvelope(suite, host, recordOf(over));

function held(over: Partial<ConnectionRecord> = {}): Held {
  const envelope = parseEnvelope(envelopeOf(over));
  if (isFault(envelope)) throw new Error(envelope.detail);
  const accepted = acceptEnvelope(suite, trusting(host.trust(0, false)), envelope, NOW_MS);
  if (accepted.kind !== 'accepted') throw new Error('the record is refused');
  return accepted.held;
}

const device = (): Member => ({
  stage: 'device',
  devicePrivateKey: named(suite, 'device'),
  deviceSecret: named(suite, 'device secret'),
  name: 'ann',
  held: held(),
});
const invite: Invite = {
  bytes: Uint8Array.of(1, 2, 3),
  secret: named(suite, 'invite secret'),
  trust: host.trust(0, false),
  expiresAtMs: NOW_MS + 1e6,
  stores: [],
} as unknown as Invite;
const keyed = (): Member => ({
  stage: 'keyed',
  invite,
  devicePrivateKey: named(suite, 'device'),
  name: 'ann',
  held: held(),
});

/** The host's end of a path, doing what the test wants. */
class Peer {
  readonly frames: Frame[] = [];
  readonly path: number;
  private readonly bench: Bench;
  private readonly handshake: ResponderHandshake;
  private readonly writer = new RowWriter();
  private records: Records | undefined;

  constructor(bench: Bench, dial: ClientOutput & { kind: 'dial' }, keys: DialKeys) {
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

class Bench {
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

const hello: Frame = { kind: 'hello', hello: create(HelloSchema, { protocolVersion: 1 }) };
const close = (code: ErrorCode, resumable = false): Frame => ({ kind: 'close', code, resumable });
const data = (sequence: number): Frame => ({
  kind: 'data',
  sequence,
  stream: 2,
  payload: Uint8Array.of(sequence),
  more: false,
  open: sequence === 1 ? 'push.v1' : undefined,
  end: undefined,
});
const kinds = (outputs: readonly ClientOutput[]): string[] => outputs.map(({ kind }) => kind);

let bench: Bench;
beforeEach(() => {
  bench = new Bench(device());
});

describe('dialling', () => {
  it('GT-001: uses the first access key of its highest record', () => {
    const [first] = recordOf().accessKeys;
    const accessKeys = [first, { epoch: 6, key: named(suite, 'older access key') }] as const;
    bench = new Bench({ ...device(), held: held({ accessKeys }) });
    bench.step({ kind: 'start' });
    const dial = [...bench.flush(), ...bench.dial()].find(output => output.kind === 'dial');
    const token = Buffer.from(dial?.kind === 'dial' ? dial.token : '', 'base64url');
    expect(token.readBigUInt64BE(0)).toBe(BigInt(first.epoch));
    const keys = dialKeys(suite, device());
    const macKey = gateMacKey(suite, keys.gateKey, first.key, first.epoch);
    const mac = suite.hmacSha256(macKey, Uint8Array.from(token.subarray(0, 72)));
    expect(token.subarray(72).equals(mac.subarray(0, 16))).toBe(true);
  });

  it('HS-019: says nothing of its own before message 2 is verified, nor after one that is not', () => {
    bench.step({ kind: 'start' });
    const stream = (): number | undefined => bench.client.open(1, 'chat.v1');
    const told = [
      ...bench.flush(),
      ...bench.dial(),
      ...bench.step({ kind: 'open', path: 1 }),
      ...bench.flush(),
    ];
    // There is no session yet that an application could write to.
    expect(stream()).toBeUndefined();
    expect(kinds(told)).toEqual(['need', 'dial']);
    const bytes = new Uint8Array(112).fill(7);
    const outputs = [...bench.step({ kind: 'message', path: 1, bytes }), ...bench.flush()];
    expect(outputs[0]).toMatchObject({ kind: 'close', code: ErrorCode.HANDSHAKE_FAILED, cut: true });
    expect(kinds(outputs)).not.toContain('send');
    expect(stream()).toBeUndefined();
  });

  it('asks for a path, dials with the record, and attaches behind the handshake in one record', () => {
    expect(kinds([...bench.step({ kind: 'start' }), ...bench.flush()])).toEqual(['need']);
    expect(bench.flush()).toEqual([]);
    const [dial] = bench.dial();
    expect(dial).toMatchObject({ kind: 'dial', path: 1, endpoints: recordOf().endpoints });
    const outputs = bench.last.open();
    expect(kinds(outputs)).toEqual(['send', 'connected', 'opened', 'send']);
    expect(bench.last.kinds).toEqual(['hello', 'attach']);
    expect(bench.last.attach).toMatchObject({ generation: 1, receivedThrough: 0, open: true });
    expect(kinds(bench.last.attached())).toEqual(['attached']);
  });

  it('says what failed and leaves the wait to whoever reads stores', () => {
    bench.step({ kind: 'start' });
    bench.flush();
    bench.dial();
    const why = fault('network', ErrorCode.HOST_UNREACHABLE, 'test');
    expect(bench.step({ kind: 'dialFailed', path: 1, fault: why })).toEqual([{ kind: 'failed', fault: why }]);
    expect(bench.pass(100_000)).toEqual([]);
    expect(kinds(bench.dial())).toEqual(['dial']);
    expect(kinds(bench.dial())).toEqual(['cancel', 'dial']);
  });

  it('gives up a host that does not answer with message 2 in time, or with a wrong one', () => {
    bench.step({ kind: 'start' });
    bench.flush();
    bench.dial();
    bench.step({ kind: 'open', path: 1 });
    expect(kinds(bench.pass(AUTH_MS_MAX - 1))).toEqual([]);
    expect(bench.pass(1)).toMatchObject([
      { kind: 'close', code: ErrorCode.TIMEOUT, cut: true },
      { kind: 'failed', fault: { code: ErrorCode.TIMEOUT } },
    ]);
    bench.dial();
    bench.step({ kind: 'open', path: 2 });
    const outputs = bench.step({ kind: 'message', path: 2, bytes: new Uint8Array(112) });
    expect(outputs).toMatchObject([
      { kind: 'close', code: ErrorCode.HANDSHAKE_FAILED, cut: true },
      { kind: 'failed', fault: { code: ErrorCode.HANDSHAKE_FAILED } },
    ]);
  });

  it('CF-041: does not dial with expired keys unless the person accepts the clock', () => {
    bench.mono = expiry - NOW_MS + 1;
    bench.step({ kind: 'start' });
    bench.flush();
    expect(bench.dial()).toMatchObject([{ kind: 'failed', fault: { code: ErrorCode.CLOCK_SUSPECT } }]);
    expect(kinds(bench.dial(true))).toEqual(['dial']);
  });

  it('CF-034: dials only with a record that is durable', () => {
    bench.step({ kind: 'start' });
    bench.slow = true;
    const endpoints = [{ host: '192.0.2.9', port: 50_001, notBeforeMs: 1, notAfterMs: 2 }];
    const envelope = parseEnvelope(envelopeOf({ sequence: 13, endpoints }));
    if (isFault(envelope)) throw new Error(envelope.detail);
    expect(kinds(bench.step({ kind: 'record', envelope }))).toEqual(['persist']);
    expect(bench.dial()).toMatchObject([{ endpoints: recordOf().endpoints }]);
    bench.commit();
    expect(bench.dial().at(-1)).toMatchObject({ kind: 'dial', endpoints });
  });
});

describe('sessions', () => {
  it('lets what is written at once ride in the first record', () => {
    bench.step({ kind: 'start' });
    bench.flush();
    bench.dial();
    const peer = bench.last;
    bench.step({ kind: 'open', path: 1 });
    // Before the turn ends the application has written.
    const spy = vi.spyOn(bench.client, 'step');
    const handshake = (peer as unknown as { handshake: ResponderHandshake }).handshake;
    bench.step({ kind: 'message', path: 1, bytes: handshake.message2 });
    spy.mockRestore();
    const stream = bench.client.open(1, 'chat.v1') ?? 0;
    bench.client.write(1, stream, Uint8Array.of(1));
    expect(kinds(bench.flush())).toEqual(['send']);
    expect(peer.kinds).toEqual(['hello', 'attach', 'data']);
  });

  it('SE-010, SE-011: raises the generation, and asks to open only until it was answered', () => {
    const one = bench.connect();
    bench.step({ kind: 'closed', path: one.path });
    bench.pass(DIAL_BACKOFF_MS_MAX);
    const two = bench.again();
    expect(two.attach).toMatchObject({ generation: 2, open: true });
    expect(two.attach.sessionId).toEqual(one.attach.sessionId);
    two.attached();
    bench.step({ kind: 'closed', path: two.path });
    bench.pass(DIAL_BACKOFF_MS_MAX);
    expect(bench.again().attach).toMatchObject({ generation: 3, open: false });
  });

  it('SE-016: takes frames of the older path until Attached, and then sends only on the new one', () => {
    const one = bench.connect();
    one.attached();
    expect(kinds(one.say(data(1)))).toEqual(['deliver', 'deliver']);
    bench.step({ kind: 'move' });
    const two = bench.again();
    expect(two.attach).toMatchObject({ generation: 2, receivedThrough: 1, open: false });
    expect(kinds(one.say(data(2)))).toContain('deliver');
    // Until Attached, what the application writes leaves on the older path.
    bench.client.write(1, 2, Uint8Array.of(1));
    bench.flush();
    expect(one.kinds.at(-1)).toBe('data');
    const outputs = two.attached(1);
    expect(kinds(outputs)).toContain('attached');
    expect(outputs).toContainEqual(expect.objectContaining({ kind: 'close', path: one.path }));
    bench.client.write(1, 2, Uint8Array.of(2));
    bench.flush();
    // SE-018: it has taken more than its Attach said.
    bench.pass(100);
    expect(two.frames.filter(({ kind }) => kind === 'ack')).toContainEqual({
      kind: 'ack',
      receivedThrough: 2,
    });
    expect(two.kinds.filter(kind => kind === 'data')).toHaveLength(1);
    // A duplicate of what came on the older path is dropped.
    expect(kinds(two.say(data(2), data(3)))).toEqual(['deliver']);
  });

  it('SE-005: handles nothing behind the frame that is at fault', () => {
    const one = bench.connect();
    const attached: Frame = { kind: 'attached', generation: one.attach.generation, receivedThrough: 0 };
    const outputs = kinds(one.say(hello, data(1), attached, data(1)));
    expect(outputs).toContain('ended');
    expect(outputs).not.toContain('attached');
    expect(outputs).not.toContain('deliver');
  });

  it('waits for Attached before it repeats what an older session already sent', () => {
    const one = bench.connect();
    one.attached();
    const stream = bench.client.open(1, 'chat.v1') ?? 0;
    bench.client.write(1, stream, Uint8Array.of(1));
    bench.client.write(1, stream, Uint8Array.of(2));
    bench.flush();
    bench.step({ kind: 'closed', path: one.path });
    bench.pass(DIAL_BACKOFF_MS_MIN);
    const two = bench.again();
    bench.client.write(1, stream, Uint8Array.of(3));
    bench.flush();
    expect(two.kinds).toEqual(['hello', 'attach']);
    two.attached(1);
    expect(two.frames.slice(2)).toMatchObject([{ sequence: 2 }, { sequence: 3 }]);
  });

  it('opens a new session at once when the host does not know the old one', () => {
    const one = bench.connect();
    one.attached();
    bench.step({ kind: 'closed', path: one.path });
    bench.pass(DIAL_BACKOFF_MS_MIN);
    const two = bench.again();
    const outputs = two.say(hello, close(ErrorCode.SESSION_LOST));
    expect(kinds(outputs)).toEqual(['close', 'lost', 'ended', 'need']);
    const three = bench.again();
    expect(three.attach).toMatchObject({ generation: 1, open: true });
    expect(three.attach.sessionId).not.toEqual(one.attach.sessionId);
  });

  it('SE-014: an impossible number in Attached ends the session', () => {
    const one = bench.connect();
    const outputs = one.attached(1);
    expect(outputs).toContainEqual(expect.objectContaining({ kind: 'lost' }));
    expect(one.frames.at(-1)).toEqual(close(ErrorCode.ACK_INVALID));
  });

  /** A second path that is not attached yet, beside one that is. */
  function moving(): readonly [Peer, Peer] {
    const one = bench.connect();
    one.attached();
    bench.step({ kind: 'move' });
    return [one, bench.again()];
  }

  it('SE-014: ends the session on the path that it is on as well', () => {
    const [one, two] = moving();
    const outputs = two.attached(1);
    expect(kinds(outputs).filter(kind => kind === 'lost' || kind === 'attached')).toEqual(['lost']);
    expect(one.frames.at(-1)).toEqual(close(ErrorCode.ACK_INVALID));
    expect(two.frames.at(-1)).toEqual(close(ErrorCode.ACK_INVALID));
  });

  it('SE-081: keeps the session, and its path, when another path ends before it is attached', () => {
    const reasons: readonly Frame[] = [data(1), close(ErrorCode.INTERNAL), close(ErrorCode.UNSPECIFIED)];
    for (const reason of reasons) {
      bench = new Bench(device());
      const [one, two] = moving();
      expect(kinds(two.say(hello, reason))).not.toContain('lost');
      expect(kinds(one.say(data(1)))).toContain('deliver');
    }
  });

  it('SE-081: gives the session up when the host has, whichever path says so', () => {
    for (const code of [ErrorCode.SESSION_LOST, ErrorCode.ACK_INVALID]) {
      bench = new Bench(device());
      const [one, two] = moving();
      expect(kinds(two.say(hello, close(code)))).toContain('lost');
      expect(one.frames.at(-1)).toEqual(close(ErrorCode.UNSPECIFIED));
      expect(bench.again().attach).toMatchObject({ generation: 1, open: true });
    }
  });
});

describe('SE-004: frames where they may not come', () => {
  const cases: readonly (readonly [string, readonly Frame[]])[] = [
    ['Data before Attached', [hello, data(1)]],
    ['Ack before Attached', [hello, { kind: 'ack', receivedThrough: 0 }]],
    ['Attached before Hello', [{ kind: 'attached', generation: 1, receivedThrough: 0 }]],
    ['Attached for another Attach', [hello, { kind: 'attached', generation: 9, receivedThrough: 0 }]],
    [
      'a second Attached',
      [
        hello,
        { kind: 'attached', generation: 1, receivedThrough: 0 },
        { kind: 'attached', generation: 1, receivedThrough: 0 },
      ],
    ],
    ['Enrolled on a device path', [hello, { kind: 'enrolled', enrolled: create(EnrolledSchema) }]],
    [
      'an Attach of the host',
      [
        hello,
        { kind: 'attach', sessionId: new Uint8Array(16), generation: 1, receivedThrough: 0, open: true },
      ],
    ],
  ];
  it.each(cases)('%s', (_, frames) => {
    const one = bench.connect();
    const outputs = one.say(...frames);
    expect(outputs).toContainEqual(
      expect.objectContaining({ kind: 'close', code: ErrorCode.FRAME_UNEXPECTED }),
    );
    expect(one.frames.at(-1)).toEqual(close(ErrorCode.FRAME_UNEXPECTED));
  });
});

describe('the end of a path', () => {
  it.each([
    ErrorCode.SESSION_REPLACED,
    ErrorCode.DEVICE_REVOKED,
    ErrorCode.VERSION_UNSUPPORTED,
    ErrorCode.NOT_PERMITTED,
  ])('stops for good after code %i', code => {
    const one = bench.connect();
    one.attached();
    const outputs = one.say(close(code));
    expect(kinds(outputs)).toEqual(['close', 'lost', 'ended', 'stopped']);
    expect(bench.pass(1_000_000)).toEqual([]);
    expect(kinds([...bench.step({ kind: 'start' }), ...bench.flush()])).toEqual(['need']);
  });

  /** How long it takes until another path is asked for. */
  const waitMs = (): number => {
    const from = bench.mono;
    for (let i = 0; i < 1_000; i += 1) {
      if (kinds(bench.pass(100)).includes('need')) return bench.mono - from;
    }
    throw new Error('no path is asked for');
  };

  it('SE-082: comes back after a lost path within a second, and at once after one that had lasted', () => {
    const one = bench.connect();
    one.attached();
    bench.step({ kind: 'closed', path: one.path });
    expect(waitMs()).toBe(DIAL_BACKOFF_MS_MIN);
    const two = bench.again();
    two.attached();
    for (let i = 0; i < 6; i += 1) {
      bench.pass(10_000);
      two.say({ kind: 'ping', id: i });
    }
    expect(kinds([...bench.step({ kind: 'closed', path: two.path }), ...bench.flush()])).toContain('need');
  });

  it('SE-082: waits longer each time the host sends it away', () => {
    bench.connect().say(hello, close(ErrorCode.HOST_BUSY, true));
    const waits = [waitMs()];
    for (let i = 0; i < 7; i += 1) {
      bench.again().say(hello, close(ErrorCode.HOST_BUSY, true));
      waits.push(waitMs());
    }
    expect(waits).toEqual([1_000, 2_000, 4_000, 8_000, 16_000, 32_000, 60_000, 60_000]);
  });

  it('SE-082: draws every wait below its bound', () => {
    // 0x33333333 of 2^32 is a fifth.
    bench.jitterByte = 0x33;
    bench.connect().say(hello, close(ErrorCode.HOST_BUSY, true));
    const waits = [waitMs()];
    bench.again().say(hello, close(ErrorCode.HOST_BUSY, true));
    waits.push(waitMs());
    const one = bench.again();
    one.attached();
    bench.step({ kind: 'closed', path: one.path });
    waits.push(waitMs());
    expect(waits).toEqual([200, 400, 200]);
  });

  it('SE-082: begins anew when a path has lasted', () => {
    bench.connect().say(hello, close(ErrorCode.HOST_BUSY, true));
    expect(waitMs()).toBe(1_000);
    bench.again().say(hello, close(ErrorCode.HOST_BUSY, true));
    expect(waitMs()).toBe(2_000);
    const one = bench.again();
    one.attached();
    for (let i = 0; i < 6; i += 1) {
      bench.pass(10_000);
      one.say({ kind: 'ping', id: i });
    }
    one.say(close(ErrorCode.HOST_BUSY, true));
    expect(waitMs()).toBe(1_000);
  });

  it('SE-082: forgives one lost session in a row', () => {
    bench.connect().say(hello, close(ErrorCode.SESSION_LOST));
    bench.again().say(hello, close(ErrorCode.SESSION_LOST));
    expect(waitMs()).toBe(DIAL_BACKOFF_MS_MIN);
  });

  it('SE-082: does not forgive a host that takes a session and then has lost it, again and again', () => {
    bench.connect();
    const waits = [0, 1, 2, 3].map(() => {
      bench.last.attached();
      const outputs = bench.last.say(close(ErrorCode.SESSION_LOST));
      const wait = kinds(outputs).includes('need') ? 0 : waitMs();
      bench.again();
      return wait;
    });
    expect(waits).toEqual([0, 1_000, 2_000, 4_000]);
  });

  it.each([ErrorCode.PATH_SUPERSEDED, ErrorCode.TRANSPORT_EXHAUSTED])(
    'SE-082: waits as after a failed dial when code %i ends a path that was never attached',
    code => {
      bench.connect().say(hello, close(code, true));
      const waits = [waitMs()];
      for (let i = 0; i < 2; i += 1) {
        bench.again().say(hello, close(code, true));
        waits.push(waitMs());
      }
      expect(waits).toEqual([1_000, 2_000, 4_000]);
    },
  );

  it('goes on within a second when a newer path took over that it has not got', () => {
    const one = bench.connect();
    one.attached();
    const outputs = one.say(close(ErrorCode.PATH_SUPERSEDED, true));
    expect(kinds(outputs)).toEqual(['close', 'detached', 'ended']);
    expect(waitMs()).toBe(DIAL_BACKOFF_MS_MIN);
    expect(bench.again().attach).toMatchObject({ generation: 2, open: false });
  });

  it('SE-081: drops only the path when its generation is stale', () => {
    const one = bench.connect();
    one.attached();
    bench.step({ kind: 'move' });
    const two = bench.again();
    expect(kinds(two.say(hello, close(ErrorCode.GENERATION_STALE)))).toEqual(['close', 'ended']);
    expect(kinds(one.say(data(1)))).toContain('deliver');
  });

  it('SE-081: drops only the path when its generation is said to be stale behind Attached', () => {
    const one = bench.connect();
    one.attached();
    expect(kinds(one.say(close(ErrorCode.GENERATION_STALE)))).toEqual(['close', 'detached', 'ended']);
    waitMs();
    expect(bench.again().attach).toMatchObject({ generation: 2, open: false });
  });

  it('ends the session when it is told to stop, and says so', () => {
    const one = bench.connect();
    one.attached();
    expect(kinds(bench.step({ kind: 'stop' }))).toEqual(['lost', 'send', 'close', 'ended']);
    expect(one.frames.at(-1)).toEqual(close(ErrorCode.UNSPECIFIED));
    expect(bench.pass(1_000_000)).toEqual([]);
  });
});

describe('the life of a path', () => {
  it('SE-070, SE-071: pings after silence, and gives the path up after more of it', () => {
    const one = bench.connect();
    one.attached();
    bench.pass(PING_IDLE_MS);
    expect(one.frames.at(-1)).toMatchObject({ kind: 'ping' });
    expect(kinds(bench.pass(PATH_DEAD_MS - PING_IDLE_MS - 1))).toEqual([]);
    expect(bench.pass(1)).toMatchObject([
      { kind: 'close', code: ErrorCode.PATH_DEAD, cut: true },
      { kind: 'detached' },
      { kind: 'ended' },
    ]);
  });

  it('SE-008: gives up a path on which no Attached comes, also when Pongs do', () => {
    const one = bench.connect();
    let pings = 0;
    let outputs = one.say(hello);
    for (let ms = 0; ms < PATH_DEAD_MS && !kinds(outputs).includes('close'); ms += 1000) {
      pings += 1;
      outputs = [...one.say({ kind: 'pong', id: pings }), ...bench.pass(1000)];
    }
    expect(outputs).toContainEqual(expect.objectContaining({ kind: 'close', code: ErrorCode.TIMEOUT }));
    expect(one.frames.at(-1)).toEqual(close(ErrorCode.TIMEOUT, true));
  });

  it('SE-007: takes nothing before Hello', () => {
    const one = bench.connect();
    one.say({ kind: 'close', code: ErrorCode.SHUTDOWN, resumable: true });
    expect(one.frames.at(-1)).toEqual(close(ErrorCode.FRAME_UNEXPECTED));
  });

  it('SE-073: asks at once when the machine wakes, and does not wait long for the answer', () => {
    const one = bench.connect();
    one.attached();
    bench.step({ kind: 'wake' });
    bench.flush();
    expect(one.frames.at(-1)).toMatchObject({ kind: 'ping' });
    one.say({ kind: 'pong', id: 1 });
    expect(kinds(bench.pass(PROBE_MS_MAX))).toEqual([]);
    bench.step({ kind: 'wake' });
    expect(kinds(bench.pass(PROBE_MS_MAX - 1))).toEqual(['send']);
    expect(kinds(bench.pass(1))).toContain('close');
  });

  it('SE-073: waits for no back-off when the machine wakes and there is no path', () => {
    bench.connect().say(hello, close(ErrorCode.HOST_BUSY, true));
    expect(kinds(bench.flush())).toEqual([]);
    expect(kinds([...bench.step({ kind: 'wake' }), ...bench.flush()])).toEqual(['need']);
  });

  it('RC-004: makes another path too when it has sealed much', () => {
    const one = bench.connect();
    one.attached();
    const sealed = vi.spyOn(CipherState.prototype, 'n', 'get').mockReturnValue(WIRE_RECORDS_SOFT_MAX);
    bench.client.open(1, 'chat.v1');
    const outputs = [...bench.flush(), ...bench.flush()];
    sealed.mockRestore();
    expect(kinds(outputs)).toContain('need');
  });

  it('RC-003: cuts a path whose record does not open, and keeps the session', () => {
    const one = bench.connect();
    one.attached();
    const outputs = bench.step({ kind: 'message', path: one.path, bytes: new Uint8Array(128) });
    expect(outputs).toContainEqual(expect.objectContaining({ kind: 'close', path: one.path, cut: true }));
    expect(kinds(outputs)).toEqual(['close', 'detached', 'ended']);
    expect(one.kinds).not.toContain('close');
    expect(bench.again().attach).toMatchObject({ generation: 2, open: false });
  });

  it('RC-004: makes another path when this one has carried much, and keeps it meanwhile', () => {
    const one = bench.connect();
    one.attached();
    const open = vi.spyOn(Records.prototype, 'open').mockReturnValue(new Uint8Array(112));
    const renew = vi.spyOn(Records.prototype, 'renew', 'get').mockReturnValue(true);
    const outputs = bench.step({ kind: 'message', path: one.path, bytes: new Uint8Array(128) });
    const later = bench.flush();
    for (const mocked of [open, renew]) mocked.mockRestore();
    expect(kinds([...outputs, ...later])).toEqual(['need']);
    bench.dial();
    const two = bench.last;
    two.open();
    two.attached();
    expect(bench.flush()).toEqual([]);
  });

  it('stores the record of a notice, and passes the notice on', () => {
    const one = bench.connect();
    one.attached();
    const notice = create(RotationNoticeSchema, {
      kind: 1,
      rotatesInMs: 5,
      envelope: envelopeOf({ sequence: 20 }),
    });
    const outputs = one.say({ kind: 'rotationNotice', notice });
    expect(kinds(outputs)).toEqual(['persist', 'notice']);
    expect(bench.client.member?.held.newest?.sequence).toBe(20);
    // RT-154~1: an older record, or none that can be read, plans nothing; the same one again is no reason to refuse.
    for (const [envelope, heard] of [
      [envelopeOf({ sequence: 19 }), ['declined']],
      [Uint8Array.of(1, 2, 3), ['declined']],
      [envelopeOf({ sequence: 20 }), ['notice']],
    ] as const) {
      const again = create(RotationNoticeSchema, { kind: 1, rotatesInMs: 5, envelope });
      expect(kinds(one.say({ kind: 'rotationNotice', notice: again }))).toEqual(heard);
    }
    const unknown = create(RotationNoticeSchema, { kind: 9 as never });
    expect(kinds(one.say({ kind: 'rotationNotice', notice: unknown }))).toEqual([]);
  });
});

describe('enrolment', () => {
  const reply = (deviceSecret: Uint8Array): Frame => ({
    kind: 'enrolled',
    enrolled: create(EnrolledSchema, { deviceSecret, envelope: envelopeOf(), name: 'ann' }),
  });

  it('EN-008, EN-010: stores each stage before it acts on it', () => {
    bench = new Bench(keyed());
    const one = bench.connect();
    expect(one.kinds).toEqual(['hello', 'enrol']);
    bench.slow = true;
    expect(kinds(one.say(hello, reply(named(suite, 'device secret'))))).toEqual(['persist']);
    expect(bench.client.member?.stage).toBe('keyed');
    const after = [...bench.commit(), ...bench.flush()];
    expect(kinds(after)).toEqual(['show', 'send', 'close', 'ended', 'need']);
    expect(bench.client.member?.stage).toBe('granted');
    const two = bench.again();
    expect(two.kinds).toEqual(['hello', 'attach']);
    expect(kinds(two.attached())).toEqual(['persist', 'attached']);
    bench.commit();
    expect(bench.client.member?.stage).toBe('device');
  });

  it.each<[string, Frame]>([
    ['Hello', hello],
    ['a Ping before Hello, which may not come', { kind: 'ping', id: 1 }],
  ])('EN-010: erases the invite at the first frame on the path of the device: %s', (_, first) => {
    bench = new Bench(keyed());
    bench.connect().say(hello, reply(named(suite, 'device secret')));
    const two = bench.again();
    expect(bench.client.member?.stage).toBe('granted');
    expect(kinds(two.say(first))).toContain('persist');
    expect(bench.client.member?.stage).toBe('device');
  });

  it('EN-013, EN-015: stores nothing of a reply that breaks a rule, and says which', () => {
    bench = new Bench(keyed());
    const one = bench.connect();
    const outputs = one.say(hello, reply(new Uint8Array(31)));
    expect(kinds(outputs)).not.toContain('persist');
    expect(outputs).toContainEqual(
      expect.objectContaining({ kind: 'close', code: ErrorCode.FRAME_MALFORMED }),
    );
    expect(one.frames.at(-1)).toEqual(close(ErrorCode.FRAME_MALFORMED));
    expect(bench.client.member?.stage).toBe('keyed');
  });

  it('tells the person when the invite is of no use', () => {
    bench = new Bench(keyed());
    const outputs = bench.connect().say(hello, close(ErrorCode.INVITE_USED));
    expect(kinds(outputs)).toEqual(['close', 'ended', 'stopped']);
  });
});
