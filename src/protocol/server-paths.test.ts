/** How a host's paths begin, live and end. */
import { create } from '@bufbuild/protobuf';
import { beforeEach, describe, expect, it, vi } from 'vitest';
import { Records } from '../crypto/record.ts';
import { ErrorCode } from '../gen/clawchat/v1/error_pb.ts';
import { RotationNoticeSchema } from '../gen/clawchat/v1/rotation_pb.ts';
import {
  AUTH_MS_MAX,
  INVITE_LIFE_MS,
  PATH_DEAD_MS,
  PING_IDLE_MS,
  WIRE_RECORDS_HARD_MAX,
} from '../gen/constants.ts';
import type { Frame } from '../wire/frame.ts';
import { named } from './fixtures.ts';
import type { RegisteredDevice } from './registry.ts';
import type { ServerOutput } from './server-io.ts';
import {
  ann,
  bob,
  close,
  closes,
  data,
  device,
  envelope,
  hello,
  keyOf,
  kinds,
  record,
  responderKey,
  ServerBench,
  sessionId,
  suite,
  TestPath,
} from './testing/server-bench.ts';

let bench: ServerBench;
beforeEach(() => {
  bench = new ServerBench([ann, bob]);
});
const path = (who: RegisteredDevice = ann): TestPath => new TestPath(bench, keyOf(who.name), who);

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
