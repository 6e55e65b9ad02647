/** How a host answers those who join, and what it waits for. */
import { create } from '@bufbuild/protobuf';
import { beforeEach, describe, expect, it } from 'vitest';
import { EnrolSchema } from '../gen/clawchat/v1/enrolment_pb.ts';
import { ErrorCode } from '../gen/clawchat/v1/error_pb.ts';
import { CLAIM_LIFE_MS } from '../gen/constants.ts';
import type { Frame } from '../wire/frame.ts';
import type { RegisteredDevice } from './registry.ts';
import type { ServerOutput } from './server-io.ts';
import {
  ann,
  bob,
  closes,
  envelope,
  hello,
  keyOf,
  kinds,
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
