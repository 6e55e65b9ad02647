/** How a host puts sessions on paths, and takes frames where they may not come. */
import { create } from '@bufbuild/protobuf';
import { beforeEach, describe, expect, it } from 'vitest';
import { EnrolSchema } from '../gen/clawchat/v1/enrolment_pb.ts';
import { ErrorCode } from '../gen/clawchat/v1/error_pb.ts';
import { HelloSchema } from '../gen/clawchat/v1/handshake_pb.ts';
import {
  ACK_DELAY_MS_MAX,
  ATTACH_MS_MAX,
  GLOBAL_RETAINED_BYTES_MAX,
  SESSION_RESUME_MS,
  SESSIONS_MAX,
} from '../gen/constants.ts';
import type { Frame } from '../wire/frame.ts';
import { named } from './fixtures.ts';
import { HostSessions } from './host-sessions.ts';
import type { RegisteredDevice } from './registry.ts';
import {
  ann,
  bob,
  close,
  closes,
  data,
  hello,
  keyOf,
  kinds,
  ServerBench,
  secretOf,
  sessionId,
  suite,
  TestPath,
} from './testing/server-bench.ts';

let bench: ServerBench;
beforeEach(() => {
  bench = new ServerBench([ann, bob]);
});
const path = (who: RegisteredDevice = ann): TestPath => new TestPath(bench, keyOf(who.name), who);

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
