/** What a client does with its session, and with frames where they may not come. */
import { create } from '@bufbuild/protobuf';
import { beforeEach, describe, expect, it, vi } from 'vitest';
import { EnrolledSchema } from '../gen/clawchat/v1/enrolment_pb.ts';
import { ErrorCode } from '../gen/clawchat/v1/error_pb.ts';
import { DIAL_BACKOFF_MS_MAX, DIAL_BACKOFF_MS_MIN } from '../gen/constants.ts';
import type { Frame } from '../wire/frame.ts';
import type { ResponderHandshake } from './handshake.ts';
import { ClientBench, close, data, device, hello, kinds, type Peer } from './testing/client-bench.ts';

let bench: ClientBench;
beforeEach(() => {
  bench = new ClientBench(device());
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
      bench = new ClientBench(device());
      const [one, two] = moving();
      expect(kinds(two.say(hello, reason))).not.toContain('lost');
      expect(kinds(one.say(data(1)))).toContain('deliver');
    }
  });

  it('SE-081: gives the session up when the host has, whichever path says so', () => {
    for (const code of [ErrorCode.SESSION_LOST, ErrorCode.ACK_INVALID]) {
      bench = new ClientBench(device());
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
