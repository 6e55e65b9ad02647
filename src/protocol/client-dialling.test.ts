/** How a client comes to its host: records, keys, waits, and what it asks for when it joins. */
import { create } from '@bufbuild/protobuf';
import { beforeEach, describe, expect, it } from 'vitest';
import { EnrolledSchema } from '../gen/clawchat/v1/enrolment_pb.ts';
import { ErrorCode } from '../gen/clawchat/v1/error_pb.ts';
import { AUTH_MS_MAX } from '../gen/constants.ts';
import type { Frame } from '../wire/frame.ts';
import { parseEnvelope } from './envelope.ts';
import { fault, isFault } from './fault.ts';
import { NOW_MS, named } from './fixtures.ts';
import { dialKeys } from './join.ts';
import { gateMacKey } from './keys.ts';
import {
  ClientBench,
  close,
  device,
  envelopeOf,
  expiry,
  held,
  hello,
  invite,
  keyed,
  kinds,
  recordOf,
  suite,
} from './testing/client-bench.ts';

let bench: ClientBench;
beforeEach(() => {
  bench = new ClientBench(device());
});

describe('dialling', () => {
  it('GT-001: uses the first access key of its highest record', () => {
    const [first] = recordOf().accessKeys;
    const accessKeys = [first, { epoch: 6, key: named(suite, 'older access key') }] as const;
    bench = new ClientBench({ ...device(), held: held({ accessKeys }) });
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

describe('enrolment', () => {
  const reply = (deviceSecret: Uint8Array): Frame => ({
    kind: 'enrolled',
    enrolled: create(EnrolledSchema, { deviceSecret, envelope: envelopeOf(), name: 'ann' }),
  });

  it('EN-008, EN-010: stores each stage before it acts on it', () => {
    bench = new ClientBench(keyed());
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

  /** A client that has just been told to join, and knows where the host is. */
  const joining = (): ClientBench => {
    const joined = new ClientBench(undefined);
    joined.step({ kind: 'join', invite, devicePrivateKey: named(suite, 'device'), name: 'ann' });
    const envelope = parseEnvelope(envelopeOf());
    if (isFault(envelope)) throw new Error(envelope.detail);
    joined.step({ kind: 'record', envelope });
    joined.step({ kind: 'start' });
    joined.flush();
    return joined;
  };

  it('IN-006: gives an invite up that ends while it waits, unless it may have sent an Enrol', () => {
    bench = joining();
    expect(kinds(bench.dial())).toEqual(['dial']);
    bench.step({ kind: 'dialFailed', path: 1, fault: fault('network', ErrorCode.HOST_UNREACHABLE, 'x') });
    bench.mono = invite.expiresAtMs - NOW_MS + 1;
    expect(bench.dial()).toMatchObject([{ kind: 'stopped', code: ErrorCode.INVITE_EXPIRED }]);

    bench = joining();
    const one = bench.again();
    expect(one.kinds).toContain('enrol');
    bench.step({ kind: 'closed', path: one.path });
    bench.pass(invite.expiresAtMs - NOW_MS + 1);
    expect(kinds(bench.dial())).toEqual(['dial']);
  });

  it.each<[string, Frame]>([
    ['Hello', hello],
    ['a Ping before Hello, which may not come', { kind: 'ping', id: 1 }],
  ])('EN-010: erases the invite at the first frame on the path of the device: %s', (_, first) => {
    bench = new ClientBench(keyed());
    bench.connect().say(hello, reply(named(suite, 'device secret')));
    const two = bench.again();
    expect(bench.client.member?.stage).toBe('granted');
    expect(kinds(two.say(first))).toContain('persist');
    expect(bench.client.member?.stage).toBe('device');
  });

  it('EN-013, EN-015: stores nothing of a reply that breaks a rule, and says which', () => {
    bench = new ClientBench(keyed());
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
    bench = new ClientBench(keyed());
    const outputs = bench.connect().say(hello, close(ErrorCode.INVITE_USED));
    expect(kinds(outputs)).toEqual(['close', 'ended', 'stopped']);
  });
});
