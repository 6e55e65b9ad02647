import { create } from '@bufbuild/protobuf';
import { beforeEach, describe, expect, it, vi } from 'vitest';
import { noble } from '../crypto/noble.ts';
import { Records } from '../crypto/record.ts';
import { EnrolSchema } from '../gen/clawchat/v1/enrolment_pb.ts';
import { ErrorCode } from '../gen/clawchat/v1/error_pb.ts';
import { HelloSchema } from '../gen/clawchat/v1/handshake_pb.ts';
import { RotationNoticeSchema } from '../gen/clawchat/v1/rotation_pb.ts';
import {
  ACK_DELAY_MS_MAX,
  ATTACH_MS_MAX,
  AUTH_MS_MAX,
  CLAIM_LIFE_MS,
  GLOBAL_RETAINED_BYTES_MAX,
  INVITE_LIFE_MS,
  PATH_DEAD_MS,
  PING_IDLE_MS,
  SESSION_RESUME_MS,
  SESSIONS_MAX,
  WIRE_RECORDS_HARD_MAX,
} from '../gen/constants.ts';
import type { Frame } from '../wire/frame.ts';
import { RowReader, RowWriter } from '../wire/row.ts';
import { isFault } from './fault.ts';
import { NOW_MS, named, testEnvelope, testHost, testRecord } from './fixtures.ts';
import { InitiatorHandshake } from './handshake.ts';
import { HostSessions } from './host-sessions.ts';
import { parseInvite } from './invite.ts';
import { inviteKeys, type MemberKeys } from './keys.ts';
import { EMPTY_REGISTRY, type RegisteredDevice, registerDevice } from './registry.ts';
import { Server } from './server.ts';
import type { ServerInput, ServerOutput } from './server-io.ts';

const suite = noble;
const host = testHost(suite, 'server');
const channelKey = named(suite, 'channel private');
const record = testRecord(suite, host, {
  channelKeys: [
    {
      publicKey: suite.x25519Public(channelKey),
      notAfterMs: testRecord(suite, host).channelKeys[0]?.notAfterMs ?? 0,
    },
  ],
});
const envelope = testEnvelope(suite, host, record);
const responderKey = { privateKey: channelKey, notAfterMs: record.channelKeys[0]?.notAfterMs ?? 0 };
const sessionId = named(suite, 'session').slice(0, 16);

/** A host whose outputs are gathered, and whose commits are done at once unless `slow`. */
class Bench {
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
class TestPath {
  readonly id: number;
  readonly frames: Frame[] = [];
  private readonly bench: Bench;
  private readonly handshake: InitiatorHandshake;
  private readonly writer = new RowWriter();
  private message2: Uint8Array | undefined;
  private records: Records | undefined;

  constructor(bench: Bench, privateKey: Uint8Array, keys: MemberKeys) {
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

const hello: Frame = { kind: 'hello', hello: create(HelloSchema, { protocolVersion: 1 }) };
const close = (code: ErrorCode, resumable = false): Frame => ({ kind: 'close', code, resumable });
const data = (sequence: number, over: object = {}): Frame => ({
  kind: 'data',
  sequence,
  stream: 1,
  payload: Uint8Array.of(sequence),
  more: false,
  open: sequence === 1 ? 'chat.v1' : undefined,
  end: undefined,
  ...over,
});

const secretOf = (name: string): Uint8Array => named(suite, `secret of ${name}`);
const keyOf = (name: string): Uint8Array => named(suite, `key of ${name}`);
function device(name: string, pending = false): RegisteredDevice {
  const publicKey = suite.x25519Public(keyOf(name));
  const times = { enrolledAtMs: NOW_MS, lastSeenAtMs: NOW_MS };
  return registerDevice(suite, { publicKey, secret: secretOf(name), name, pending, ...times });
}
const ann = device('ann');
const bob = device('bob');

let bench: Bench;
beforeEach(() => {
  bench = new Bench([ann, bob]);
});
const path = (who: RegisteredDevice = ann): TestPath => new TestPath(bench, keyOf(who.name), who);
const kinds = (outputs: readonly ServerOutput[]): string[] => outputs.map(({ kind }) => kind);
const closes = (outputs: readonly ServerOutput[]): unknown[] =>
  outputs.flatMap(output => (output.kind === 'close' ? [[output.path, output.code, output.cut]] : []));

describe('the handshake', () => {
  it('HS-020: answers a good token with 101 and message 2, and message 3 with Hello', () => {
    const one = path();
    expect(kinds(one.offer())).toEqual(['accept', 'send']);
    expect(closes(one.authenticate())).toEqual([]);
    bench.flush();
    expect(one.kinds).toEqual(['hello']);
  });

  it('RC-014: puts what is ready in one turn into one record', () => {
    const one = path();
    one.offer();
    one.authenticate();
    const attach: Frame = { kind: 'attach', sessionId, generation: 1, receivedThrough: 0, open: true };
    const outputs = one.say(hello, { kind: 'ping', id: 7 }, attach);
    expect(outputs.filter(({ kind }) => kind === 'send')).toHaveLength(1);
    expect(one.kinds).toEqual(['hello', 'attached', 'pong']);
  });

  it('HS-018: cuts a path whose message 3 is wrong, without a word', () => {
    const one = path();
    one.offer();
    expect(closes(one.authenticate(true))).toEqual([[one.id, ErrorCode.HANDSHAKE_FAILED, true]]);
    expect(one.frames).toEqual([]);
  });

  it('HS-015: ends a path that is not authenticated AUTH_MS_MAX after accept, and not before', () => {
    const one = path();
    one.offer();
    expect(closes(bench.pass(AUTH_MS_MAX - 1))).toEqual([]);
    expect(closes(bench.pass(1))).toEqual([[one.id, ErrorCode.TIMEOUT, true]]);
    // What came before the token counts too.
    const other = path();
    other.offer(bench.mono - 1_000);
    expect(closes(bench.pass(AUTH_MS_MAX - 1_001))).toEqual([]);
    expect(closes(bench.pass(1))).toEqual([[other.id, ErrorCode.TIMEOUT, true]]);
  });

  it('refuses unknown tokens, and everybody once it stops', () => {
    const stranger = new TestPath(bench, keyOf('eve'), device('eve'));
    expect(stranger.offer()).toMatchObject([{ kind: 'refuse', reason: 'handle_unknown' }]);
    const one = path().open();
    expect(closes(bench.step({ kind: 'shutdown' }))).toEqual([[one.id, ErrorCode.SHUTDOWN, false]]);
    expect(one.frames.at(-1)).toEqual(close(ErrorCode.SHUTDOWN, true));
    expect(path().offer()).toMatchObject([{ kind: 'refuse', reason: 'shutdown' }]);
  });

  it('HS-014: refuses a device that was revoked between its token and message 3', () => {
    const one = path();
    one.offer();
    bench.slow = true;
    bench.step({ kind: 'revokeDevice', ref: 7, device: ann.id });
    expect(path().offer()).toMatchObject([{ kind: 'refuse', reason: 'recipient_ended' }]);
    expect(closes(one.authenticate())).toEqual([[one.id, ErrorCode.HANDSHAKE_FAILED, true]]);
  });

  it('HS-014: refuses an invite whose time ended between its token and message 3', () => {
    const { keys } = bench.makeInvite();
    const one = new TestPath(bench, keys.privateKey, keys);
    bench.mono = INVITE_LIFE_MS;
    one.offer();
    bench.mono += 1_001;
    expect(closes(one.authenticate())).toEqual([[one.id, ErrorCode.HANDSHAKE_FAILED, true]]);
  });

  it('HS-011: tries a channel key to its last instant and not behind it, whatever record is in force', () => {
    const other = { ...responderKey, privateKey: named(suite, 'another channel key') };
    const ending = { ...responderKey, notAfterMs: bench.now.wall + 1_000 };
    bench.step({ kind: 'record', envelope, channelKeys: [other, ending] });
    bench.mono += 1_000;
    expect(kinds(path().offer())).toEqual(['accept', 'send']);
    bench.mono += 1;
    expect(path().offer()).toMatchObject([{ kind: 'refuse', reason: 'handshake_failed' }]);
  });

  it('takes a new record, and new keys, from then on', () => {
    const other = { ...responderKey, privateKey: named(suite, 'another channel key') };
    bench.step({ kind: 'record', envelope, channelKeys: [other] });
    expect(path().offer()).toMatchObject([{ kind: 'refuse', reason: 'handshake_failed' }]);
    bench.step({ kind: 'record', envelope, channelKeys: [other, responderKey] });
    expect(kinds(path().offer())).toEqual(['accept', 'send']);
    bench.step({ kind: 'endEpoch', epoch: record.epoch });
    expect(path().offer()).toMatchObject([{ kind: 'refuse', reason: 'epoch_unknown' }]);
    bench.step({ kind: 'acceptEpoch', accessKey: record.accessKeys[0] });
    expect(kinds(path().offer())).toEqual(['accept', 'send']);
  });
});

describe('sessions', () => {
  it('opens, delivers, answers and acknowledges', () => {
    const one = path().open();
    const outputs = one.say(
      { kind: 'attach', sessionId, generation: 1, receivedThrough: 0, open: true },
      data(1),
      data(2),
    );
    expect(kinds(outputs)).toEqual(['opened', 'attached', 'deliver', 'deliver', 'deliver', 'send']);
    const session = outputs.find(output => output.kind === 'opened')?.session ?? 0;
    expect(bench.server.sessions.write(session, 1, Uint8Array.of(7))).toBe('accepted');
    bench.flush();
    expect(one.kinds).toEqual(['hello', 'attached', 'ack', 'data']);
    expect(one.frames.at(1)).toMatchObject({ generation: 1, receivedThrough: 0 });
    expect(one.frames.at(2)).toMatchObject({ receivedThrough: 2 });
  });

  it('SE-015: fences the older path, closes it and sends the rest on the new one, in one step', () => {
    const one = path().open();
    one.attach(1);
    one.say(data(1));
    bench.server.sessions.write(1, 1, Uint8Array.of(1));
    bench.server.sessions.write(1, 1, Uint8Array.of(2));
    bench.flush();
    const two = path().open();
    const outputs = two.attach(2, { receivedThrough: 1, open: false });
    expect(closes(outputs)).toEqual([[one.id, ErrorCode.PATH_SUPERSEDED, false]]);
    expect(one.frames.at(-1)).toEqual(close(ErrorCode.PATH_SUPERSEDED, true));
    expect(two.frames.slice(1)).toMatchObject([
      { kind: 'attached', generation: 2, receivedThrough: 1 },
      { kind: 'data', sequence: 2 },
    ]);
    // What the older path still had on its way counts no more.
    expect(bench.step({ kind: 'message', path: one.id, bytes: new Uint8Array(128) })).toEqual([]);
    bench.step({ kind: 'closed', path: one.id });
    expect(kinds(two.say(data(2)))).toContain('deliver');
  });

  it('SE-013: refuses a generation that is not higher, and changes nothing', () => {
    const one = path().open();
    one.attach(2);
    const two = path().open();
    const outputs = two.attach(2, { open: false });
    expect(closes(outputs)).toEqual([[two.id, ErrorCode.GENERATION_STALE, false]]);
    expect(two.frames.at(-1)).toEqual(close(ErrorCode.GENERATION_STALE));
    expect(kinds(one.say(data(1)))).toContain('deliver');
  });

  it('SE-012: a session that it does not know is lost, unless it is to be opened', () => {
    const one = path().open();
    expect(closes(one.attach(1, { open: false }))).toEqual([[one.id, ErrorCode.SESSION_LOST, false]]);
    expect(one.frames.at(-1)).toEqual(close(ErrorCode.SESSION_LOST));
  });

  it('SE-012: a new session ends the older one of the device, and no other', () => {
    const others = path(bob).open();
    others.attach(1);
    const one = path().open();
    one.attach(1);
    const two = path().open();
    const outputs = two.attach(1, { sessionId: named(suite, 'other').slice(0, 16) });
    expect(closes(outputs)).toEqual([[one.id, ErrorCode.SESSION_REPLACED, false]]);
    expect(outputs).toContainEqual({ kind: 'lost', session: 2, code: ErrorCode.SESSION_REPLACED });
    expect(kinds(outputs)).toContain('opened');
    expect(kinds(others.say(data(1)))).toContain('deliver');
  });

  it('SE-021: keeps a session without a path for SESSION_RESUME_MS, and not longer', () => {
    const one = path().open();
    one.attach(1);
    expect(bench.step({ kind: 'closed', path: one.id })).toMatchObject([{ kind: 'detached', session: 1 }]);
    expect(bench.pass(SESSION_RESUME_MS - 1)).toEqual([]);
    expect(bench.pass(1)).toEqual([{ kind: 'lost', session: 1, code: ErrorCode.SESSION_LOST }]);
  });

  it('CH-059: knows for how long a session has had no path', () => {
    const pathless = (): number => bench.server.sessions.pathlessMs(ann.id, bench.now.mono);
    const one = path().open();
    expect(pathless()).toBe(0);
    one.attach(1);
    bench.pass(1_000);
    expect(pathless()).toBe(0);
    bench.step({ kind: 'closed', path: one.id });
    bench.pass(2_000);
    expect(pathless()).toBe(2_000);
    path().open().attach(2, { open: false });
    expect(pathless()).toBe(0);
  });

  it('SE-014: a number that was never given ends the session', () => {
    const one = path().open();
    const outputs = one.attach(1, { receivedThrough: 1 });
    expect(closes(outputs)).toEqual([[one.id, ErrorCode.ACK_INVALID, false]]);
    expect(outputs).toContainEqual({ kind: 'lost', session: 1, code: ErrorCode.ACK_INVALID });
  });

  it('SE-014: ends it on the older path as well, which is not superseded', () => {
    const one = path().open();
    one.attach(1);
    const two = path().open();
    const outputs = two.attach(2, { receivedThrough: 1, open: false });
    expect(closes(outputs)).toEqual([
      [one.id, ErrorCode.ACK_INVALID, false],
      [two.id, ErrorCode.ACK_INVALID, false],
    ]);
    expect([one, two].map(({ frames }) => frames.at(-1))).toEqual(
      [one, two].map(() => close(ErrorCode.ACK_INVALID)),
    );
    expect(kinds(outputs).filter(kind => kind === 'lost' || kind === 'attached')).toEqual(['lost']);
    const three = path().open();
    three.attach(3, { open: false });
    expect(three.frames.at(-1)).toEqual(close(ErrorCode.SESSION_LOST));
  });

  it('SE-006: ends a path without an Attach, SE-019: and the oldest idle one when a third comes', () => {
    const one = path().open();
    bench.pass(ATTACH_MS_MAX - 2_000);
    const two = path().open();
    const three = path();
    three.offer();
    expect(closes(three.authenticate())).toEqual([[one.id, ErrorCode.PATH_SUPERSEDED, false]]);
    three.attach(1, {});
    expect(closes(bench.pass(ATTACH_MS_MAX))).toContainEqual([two.id, ErrorCode.TIMEOUT, false]);
    expect(two.frames.at(-1)).toEqual(close(ErrorCode.TIMEOUT, true));
  });

  it('SE-019: leaves an attached path alone, however old, and ends the other so that it can be resumed', () => {
    const one = path().open();
    one.attach(1);
    const two = path().open();
    const three = path();
    three.offer();
    expect(closes(three.authenticate())).toEqual([[two.id, ErrorCode.PATH_SUPERSEDED, false]]);
    expect(two.frames.at(-1)).toEqual(close(ErrorCode.PATH_SUPERSEDED, true));
  });

  it('SE-020: has no room for more sessions than SESSIONS_MAX', () => {
    const sessions = new HostSessions({ emit: () => {}, stop: () => {}, touch: () => {} });
    const frame = { kind: 'attach', sessionId, generation: 1, receivedThrough: 0, open: true } as const;
    const attach = (of: number): unknown => {
      const recipient = { ...ann, kind: 'device', id: String(of), endsAtMs: undefined } as const;
      const about = {
        id: of,
        recipient,
        handshake: undefined,
        freshSecret: secretOf('x'),
        phase: 'device',
      } as const;
      const rest = {
        endsAt: 0,
        path: undefined,
        session: undefined,
        isDue: false,
        enrolling: false,
        held: undefined,
      };
      return sessions.attach({ ...about, ...rest }, frame, 0);
    };
    for (let of = 0; of < SESSIONS_MAX; of += 1) expect(attach(of)).toBeUndefined();
    expect(attach(SESSIONS_MAX)).toMatchObject({ code: ErrorCode.HOST_BUSY });
  });

  it('SE-020: has no room for a session while too much is kept', () => {
    const one = path().open();
    one.attach(1);
    one.say(data(1));
    // The first is fed beyond the bound of all sessions, by the budget that they share.
    (bench.server.sessions as unknown as { budget: { bytes: number } }).budget.bytes =
      GLOBAL_RETAINED_BYTES_MAX;
    expect(bench.server.sessions.write(1, 1, Uint8Array.of(1))).toBe('full');
    const two = path(bob).open();
    expect(closes(two.attach(1))).toEqual([[two.id, ErrorCode.HOST_BUSY, false]]);
    expect(two.frames.at(-1)).toEqual(close(ErrorCode.HOST_BUSY, true));
    (bench.server.sessions as unknown as { budget: { bytes: number } }).budget.bytes = 0;
    expect(bench.step({ kind: 'tick' })).toContainEqual({
      kind: 'deliver',
      session: 1,
      event: { kind: 'writable', stream: 1 },
    });
  });

  it('SE-034: acknowledges at once when much has come, be it in one record', () => {
    const one = path().open();
    one.attach(1);
    const frames = Array.from({ length: 2_000 }, (_, i) =>
      data(i + 1, { stream: 2 * (i % 20) + 1, open: i < 20 ? 'small' : undefined }),
    );
    one.say(...frames.slice(0, 1_900));
    expect(one.kinds).not.toContain('ack');
    bench.pass(ACK_DELAY_MS_MAX);
    one.say(...frames.slice(1_900));
    expect(one.frames.at(-1)).toEqual({ kind: 'ack', receivedThrough: 1_900 });
    const two = path(bob).open();
    two.attach(1);
    two.say(...frames);
    expect(two.frames.at(-1)).toEqual({ kind: 'ack', receivedThrough: 2_000 });
  });

  it('SE-005: hands over what came before the frame that is at fault', () => {
    const one = path().open();
    one.attach(1);
    const outputs = one.say(data(1), data(3), data(2));
    expect(outputs.filter(({ kind }) => kind === 'deliver')).toHaveLength(2);
    expect(outputs.at(-1)).toMatchObject({ kind: 'close', code: ErrorCode.SEQUENCE_GAP });
    expect(kinds(outputs)).toContain('lost');
  });

  it('SE-005: handles nothing behind the frame that is at fault', () => {
    const one = path().open();
    const attach: Frame = { kind: 'attach', sessionId, generation: 1, receivedThrough: 0, open: true };
    expect(kinds(one.say(data(1), attach, data(1)))).toEqual(['send', 'close']);
    expect(one.frames.at(-1)).toEqual(close(ErrorCode.FRAME_UNEXPECTED));
  });

  it('SE-080, SE-081: forgets the session after a Close that is not resumable, and keeps it after one that is', () => {
    const one = path().open();
    one.attach(1);
    expect(kinds(one.say(close(ErrorCode.UNSPECIFIED, true)))).toEqual(['close', 'detached']);
    const two = path().open();
    two.attach(2, { open: false });
    expect(kinds(two.say(close(ErrorCode.UNSPECIFIED)))).toEqual(['lost', 'close']);
    expect(two.kinds).not.toContain('close');
  });
});

describe('SE-004: frames where they may not come', () => {
  const attach: Frame = { kind: 'attach', sessionId, generation: 1, receivedThrough: 0, open: true };
  const enrol: Frame = { kind: 'enrol', enrol: create(EnrolSchema, { deviceKey: keyOf('x') }) };
  const cases: readonly (readonly [string, ErrorCode, readonly Frame[]])[] = [
    ['Attach before Hello', ErrorCode.FRAME_UNEXPECTED, [attach]],
    ['Ping before Hello', ErrorCode.FRAME_UNEXPECTED, [{ kind: 'ping', id: 1 }]],
    ['SE-007: Close before Hello', ErrorCode.FRAME_UNEXPECTED, [close(ErrorCode.UNSPECIFIED)]],
    ['SE-007: Enrol before Hello', ErrorCode.FRAME_UNEXPECTED, [enrol]],
    ['a second Hello', ErrorCode.FRAME_UNEXPECTED, [hello, hello]],
    ['Data before Attach', ErrorCode.FRAME_UNEXPECTED, [hello, data(1)]],
    ['Ack before Attach', ErrorCode.FRAME_UNEXPECTED, [hello, { kind: 'ack', receivedThrough: 0 }]],
    ['a second Attach', ErrorCode.FRAME_UNEXPECTED, [hello, attach, attach]],
    [
      'Attached',
      ErrorCode.FRAME_UNEXPECTED,
      [hello, { kind: 'attached', generation: 1, receivedThrough: 0 }],
    ],
    ['Enrol on a device path', ErrorCode.NOT_PERMITTED, [hello, enrol]],
  ];
  it.each(cases)('%s', (_, code, frames) => {
    const one = path();
    one.offer();
    one.authenticate();
    expect(closes(one.say(...frames))).toEqual([[one.id, code, false]]);
    expect(one.frames.at(-1)).toEqual(close(code));
  });

  it('SE-001, HS-021: ignores frames that it does not know, and versions above its own', () => {
    const one = path();
    one.offer();
    one.authenticate();
    const newer: Frame = { kind: 'hello', hello: create(HelloSchema, { protocolVersion: 9 }) };
    expect(closes(one.say({ kind: 'unknown' }, newer, { kind: 'pong', id: 5 }))).toEqual([]);
  });

  it.each([
    ['Attach', attach],
    ['Data', data(1)],
    ['Ack', { kind: 'ack', receivedThrough: 0 } as Frame],
  ])('EN-007: %s on a path of an invite', (_, frame) => {
    const { keys } = bench.makeInvite();
    const one = new TestPath(bench, keys.privateKey, keys).open();
    expect(closes(one.say(frame))).toEqual([[one.id, ErrorCode.NOT_PERMITTED, false]]);
  });
});

describe('enrolment', () => {
  const enrol = (name: string): Frame => ({
    kind: 'enrol',
    enrol: create(EnrolSchema, { deviceKey: suite.x25519Public(keyOf(name)), name }),
  });

  it('EN-014: answers one Enrol of a path at a time, whatever the others ask for', () => {
    const { keys } = bench.makeInvite();
    const one = new TestPath(bench, keys.privateKey, keys).open();
    bench.slow = true;
    expect(kinds(one.say(enrol('carl')))).toEqual(['persist']);
    expect(kinds(one.say(enrol('dora')))).toEqual([]);
    expect(kinds([...bench.commit(), ...bench.flush()])).toEqual(['enrolled', 'publish', 'send']);
    expect(one.kinds.filter(kind => kind === 'enrolled')).toHaveLength(1);
    // Answered, the invite is claimed by the first.
    expect(closes(one.say(enrol('dora')))).toEqual([[one.id, ErrorCode.INVITE_USED, false]]);
  });

  it('EN-002: answers only when the claim is durable, EN-009: and a device when it is active', () => {
    const { id, keys } = bench.makeInvite();
    const one = new TestPath(bench, keys.privateKey, keys).open();
    bench.slow = true;
    expect(kinds(one.say(enrol('carl')))).toEqual(['persist']);
    expect(kinds(one.say(enrol('carl')))).toEqual([]);
    expect(kinds([...bench.commit(), ...bench.flush()])).toEqual(['enrolled', 'publish', 'send']);
    expect(one.kinds.filter(kind => kind === 'enrolled')).toHaveLength(1);
    const reply = one.frames.find(frame => frame.kind === 'enrolled')?.enrolled;
    expect(reply?.name).toBe('carl');
    expect(reply?.envelope).toEqual(envelope);

    const carl = [...bench.server.registry.devices.values()].find(({ name }) => name === 'carl');
    expect(carl?.pending).toBe(true);
    const two = new TestPath(bench, keyOf('carl'), carl ?? ann);
    two.offer();
    expect(kinds(two.authenticate())).toEqual(['pause', 'persist']);
    // HS-017: what follows waits, and nothing is answered.
    expect(
      two.say(hello, { kind: 'attach', sessionId, generation: 1, receivedThrough: 0, open: true }),
    ).toEqual([]);
    expect(two.frames).toEqual([]);
    const after = bench.commit();
    expect(closes(after)).toEqual([[one.id, ErrorCode.UNSPECIFIED, false]]);
    expect(kinds(after)).toEqual(['send', 'close', 'publish', 'resume', 'opened', 'attached']);
    bench.flush();
    expect(two.kinds).toEqual(['hello', 'attached']);
    expect(bench.server.registry.invites.has(id)).toBe(false);
    expect(new TestPath(bench, keys.privateKey, keys).offer()).toMatchObject([{ kind: 'refuse' }]);
  });

  it('HS-017: holds a bounded amount of what follows, for a driver that cannot pause', () => {
    const { keys } = bench.makeInvite();
    new TestPath(bench, keys.privateKey, keys).open().say(enrol('carl'));
    const carl = [...bench.server.registry.devices.values()].find(({ name }) => name === 'carl');
    const one = new TestPath(bench, keyOf('carl'), carl ?? ann);
    one.offer();
    bench.slow = true;
    one.authenticate();
    const outputs: ServerOutput[] = [];
    // 16 of these are one MiB.
    for (let i = 0; i < 17; i += 1) {
      expect(closes(outputs)).toEqual([]);
      outputs.push(...bench.step({ kind: 'message', path: one.id, bytes: new Uint8Array(65_535) }));
    }
    expect(closes(outputs)).toEqual([[one.id, ErrorCode.TRANSPORT_FAILED, true]]);
  });

  it('EN-004: tells the operator when somebody else uses a claimed invite', () => {
    const { id, keys } = bench.makeInvite();
    new TestPath(bench, keys.privateKey, keys).open().say(enrol('carl'));
    const two = new TestPath(bench, keys.privateKey, keys).open();
    const outputs = two.say(enrol('mallory'));
    expect(closes(outputs)).toEqual([[two.id, ErrorCode.INVITE_USED, false]]);
    expect(outputs).toContainEqual(expect.objectContaining({ kind: 'alarm', invite: id }));
  });

  it('EN-011: deletes what was claimed and never came, at its time', () => {
    const { keys } = bench.makeInvite();
    const one = new TestPath(bench, keys.privateKey, keys).open();
    one.say(enrol('carl'));
    bench.step({ kind: 'closed', path: one.id });
    bench.pass(CLAIM_LIFE_MS - 1);
    expect(bench.server.registry.devices.size).toBe(3);
    expect(kinds(bench.pass(1))).toEqual(['persist', 'publish']);
    expect(bench.server.registry.devices.size).toBe(2);
  });

  it('EN-030, EN-031: revoking closes paths and ends the session when it is durable, and says so then', () => {
    const one = path().open();
    one.attach(1);
    bench.slow = true;
    expect(kinds(bench.step({ kind: 'revokeDevice', ref: 9, device: ann.id }))).toEqual(['persist']);
    const outputs = bench.commit();
    expect(closes(outputs)).toEqual([[one.id, ErrorCode.DEVICE_REVOKED, false]]);
    expect(kinds(outputs)).toEqual(['lost', 'send', 'close', 'publish', 'done']);
    expect(path().offer()).toMatchObject([{ kind: 'refuse' }]);
    expect(bench.step({ kind: 'revokeDevice', ref: 9, device: ann.id })).toMatchObject([
      { kind: 'declined', ref: 9, fault: { code: ErrorCode.DEVICE_UNKNOWN } },
    ]);
  });

  it('IN-008: withdraws an invite with its pending device when it is durable, closes its paths, and says so then', () => {
    const { id, keys } = bench.makeInvite();
    const invited = (): TestPath => new TestPath(bench, keys.privateKey, keys);
    const one = invited().open();
    one.say(enrol('carl'));
    const before = bench.server.registry.devices.size;
    bench.slow = true;
    expect(kinds(bench.step({ kind: 'withdrawInvite', ref: 2, invite: id }))).toEqual(['persist']);
    const outputs = bench.commit();
    expect(closes(outputs)).toEqual([[one.id, ErrorCode.INVITE_EXPIRED, false]]);
    expect(kinds(outputs)).toEqual(['send', 'close', 'publish', 'done']);
    expect(bench.server.registry.devices.size).toBe(before - 1);
    expect(invited().offer()).toMatchObject([{ kind: 'refuse' }]);
    expect(bench.step({ kind: 'withdrawInvite', ref: 2, invite: id })).toMatchObject([
      { kind: 'declined', ref: 2, fault: { code: ErrorCode.DEVICE_UNKNOWN } },
    ]);
  });
});

describe('the life of a path', () => {
  it('SE-070: pings after silence, SE-071: gives up after more of it, SE-072: and answers pings', () => {
    const one = path().open();
    one.attach(1);
    expect(bench.pass(PING_IDLE_MS - 1)).toEqual([]);
    bench.pass(1);
    expect(one.frames.at(-1)).toEqual({ kind: 'ping', id: 1 });
    one.say({ kind: 'pong', id: 1 }, { kind: 'ping', id: 8 }, { kind: 'ping', id: 9 });
    expect(one.frames.at(-1)).toEqual({ kind: 'pong', id: 9 });
    // Ahead of Data, however long that has waited.
    one.say(data(1));
    bench.server.sessions.write(1, 1, Uint8Array.of(1));
    one.say({ kind: 'ping', id: 10 });
    expect(one.kinds.slice(-3)).toEqual(['pong', 'ack', 'data']);
    bench.pass(PING_IDLE_MS);
    expect(one.frames.at(-1)).toEqual({ kind: 'ping', id: 2 });
    expect(closes(bench.pass(PATH_DEAD_MS - PING_IDLE_MS - 1))).toEqual([]);
    expect(bench.pass(1)).toMatchObject([
      { kind: 'close', code: ErrorCode.PATH_DEAD, cut: true },
      { kind: 'detached' },
    ]);
  });

  it('RC-003: cuts a path whose record does not open, and keeps the session', () => {
    const one = path().open();
    one.attach(1);
    const outputs = bench.step({ kind: 'message', path: one.id, bytes: new Uint8Array(128) });
    expect(outputs).toMatchObject([
      { kind: 'close', code: ErrorCode.TRANSPORT_FAILED, cut: true },
      { kind: 'detached', session: 1 },
    ]);
  });

  it('RC-005: ends a path before its keys have carried too much', () => {
    const one = path().open();
    one.attach(1);
    const sealed = vi.spyOn(Records.prototype, 'sealed', 'get').mockReturnValue(WIRE_RECORDS_HARD_MAX - 1);
    const outputs = one.say({ kind: 'ping', id: 1 });
    sealed.mockRestore();
    expect(closes(outputs)).toEqual([[one.id, ErrorCode.TRANSPORT_EXHAUSTED, false]]);
    expect(one.frames.at(-1)).toEqual(close(ErrorCode.TRANSPORT_EXHAUSTED, true));
  });

  it('stops sealing while the driver has much to write, and goes on when it has written', () => {
    const one = path().open();
    one.attach(1);
    for (let i = 1; i <= 100; i += 1) one.say(data(i, { stream: 2 * i - 1, open: 'bulk' }));
    bench.log.length = 0;
    for (let i = 1; i <= 100; i += 1) bench.server.sessions.write(1, 2 * i - 1, new Uint8Array(8_000));
    const sent = (outputs: readonly ServerOutput[]): number =>
      outputs.reduce((sum, output) => sum + (output.kind === 'send' ? output.bytes.length : 0), 0);
    const first = sent(bench.flush());
    expect(first).toBeGreaterThan(100_000);
    expect(first).toBeLessThan(400_000);
    expect(bench.server.deadline(bench.now)?.why).toBe('timer');
    bench.step({ kind: 'written', path: one.id, bytes: 1_000_000 });
    expect(sent(bench.flush())).toBeGreaterThan(100_000);
  });

  it('ends the paths of a listener, resumable, and no other (RT-118~1)', () => {
    const [one, other] = [path().open(), path(bob).open()];
    one.attach(1);
    other.attach(1);
    const outputs = bench.step({ kind: 'endPaths', paths: [one.id] });
    expect(closes(outputs)).toEqual([[one.id, ErrorCode.PATH_SUPERSEDED, false]]);
    expect(one.frames.at(-1)).toEqual(close(ErrorCode.PATH_SUPERSEDED, true));
  });

  it('tells a device of a move', () => {
    const one = path().open();
    const notice = create(RotationNoticeSchema, { kind: 1, rotatesInMs: 5 });
    bench.step({ kind: 'notify', notice, paths: [one.id] });
    bench.flush();
    expect(one.frames.at(-1)).toMatchObject({ kind: 'rotationNotice', notice: { rotatesInMs: 5 } });
  });
});
