/** How a client's paths live and end. */
import { create } from '@bufbuild/protobuf';
import { beforeEach, describe, expect, it, vi } from 'vitest';
import { CipherState } from '../crypto/cipher-state.ts';
import { Records } from '../crypto/record.ts';
import { ErrorCode } from '../gen/clawchat/v1/error_pb.ts';
import { RotationKind, RotationNoticeSchema } from '../gen/clawchat/v1/rotation_pb.ts';
import {
  DIAL_BACKOFF_MS_MIN,
  PATH_DEAD_MS,
  PING_IDLE_MS,
  PROBE_MS_MAX,
  WIRE_RECORDS_SOFT_MAX,
} from '../gen/constants.ts';
import { ClientBench, close, data, device, envelopeOf, hello, kinds } from './testing/client-bench.ts';

let bench: ClientBench;
beforeEach(() => {
  bench = new ClientBench(device());
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

  it.each([RotationKind.MOVE, RotationKind.RECORD])(
    'stores the record of a notice of kind %i, and passes the notice on',
    kind => {
      const one = bench.connect();
      one.attached();
      const notice = create(RotationNoticeSchema, {
        kind,
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
        const again = create(RotationNoticeSchema, { kind, rotatesInMs: 5, envelope });
        expect(kinds(one.say({ kind: 'rotationNotice', notice: again }))).toEqual(heard);
      }
      const unknown = create(RotationNoticeSchema, { kind: 9 as never });
      expect(kinds(one.say({ kind: 'rotationNotice', notice: unknown }))).toEqual([]);
    },
  );
});
