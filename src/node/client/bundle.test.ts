import { describe, expect, test } from 'vitest';
import { ErrorCode } from '../../gen/clawchat/v1/error_pb.ts';
import { openFile } from '../../protocol/connection-file.ts';
import { parseEnvelope, verifyEnvelope } from '../../protocol/envelope.ts';
import { isFault } from '../../protocol/fault.ts';
import { NOW_MS, named, type TestHost, testEnvelope, testHost, testRecord } from '../../protocol/fixtures.ts';
import { acceptEnvelope, type Held, trusting } from '../../protocol/freshness.ts';
import { encodeInvite, inviteText, parseInviteInput } from '../../protocol/invite.ts';
import type { Member } from '../../protocol/join.ts';
import { inviteKeys } from '../../protocol/keys.ts';
import { native } from '../native.ts';
import { deviceBundle } from './bundle.ts';

const host = testHost(native, 'host');
const envelope = testEnvelope(native, host, testRecord(native, host));

function held(): Held {
  const parsed = parseEnvelope(envelope);
  if (isFault(parsed)) throw new Error(parsed.detail);
  const accepted = acceptEnvelope(native, trusting(host.trust(0)), parsed, NOW_MS);
  if (accepted.kind !== 'accepted') throw new Error(accepted.kind);
  return accepted.held;
}

const device = (of: Held): Member => ({
  stage: 'device',
  devicePrivateKey: named(native, 'device'),
  deviceSecret: named(native, 'secret'),
  name: 'Ann',
  held: of,
});

const secret = named(native, 'invite');
const inviteTo = ({ identity, serverId }: TestHost): string => {
  const about = { secret, identity: identity(0), serverId, expiresAtS: NOW_MS / 1000 + 60, stores: [] };
  return inviteText(native, encodeInvite(native, about));
};

describe('a bundle that a device makes', () => {
  test('IN-010~1: has the newest record that it accepted, for the invite alone', () => {
    const parsed = parseInviteInput(native, deviceBundle(device(held()), inviteTo(host)));
    if (isFault(parsed) || parsed.connectionFile === undefined) throw new Error('no bundle');
    expect(parsed.invite.secret).toEqual(secret);
    const opened = openFile(native, parsed.connectionFile, inviteKeys(native, secret).fileKey);
    if (isFault(opened)) throw new Error(opened.detail);
    expect(opened.bytes).toEqual(envelope);
    expect(verifyEnvelope(native, parsed.invite.trust, opened)).toMatchObject({ record: { sequence: 12 } });
    const others = openFile(native, parsed.connectionFile, named(native, 'somebody else'));
    expect(others).toMatchObject({ code: ErrorCode.NOT_A_RECIPIENT });
  });

  test('is refused without a record, for another host, and for what is no invite', () => {
    const refusal = (member: Member | undefined, text: string): ErrorCode | undefined => {
      try {
        deviceBundle(member, text);
      } catch (error) {
        return (error as { code: ErrorCode }).code;
      }
      return undefined;
    };
    const fresh = device(trusting(host.trust(0)));
    expect(refusal(undefined, inviteTo(host))).toBe(ErrorCode.NOT_JOINED);
    expect(refusal(fresh, inviteTo(host))).toBe(ErrorCode.NOT_JOINED);
    expect(refusal(device(held()), inviteTo(testHost(native, 'other')))).toBe(ErrorCode.USAGE);
    expect(refusal(device(held()), 'clawchat1')).toBe(ErrorCode.INVITE_MALFORMED);
  });
});
