/** An invite with the record that a device holds of its host, in one file. Chapter: spec/08-devices.md, 8.1. */
import { ErrorCode } from '../../gen/clawchat/v1/error_pb.ts';
import { sealFile } from '../../protocol/connection-file.ts';
import { ClawChatError, isFault } from '../../protocol/fault.ts';
import { encodeBundle, parseInviteInput } from '../../protocol/invite.ts';
import type { Member } from '../../protocol/join.ts';
import { inviteKeys } from '../../protocol/keys.ts';
import { failure } from '../failure.ts';
import { native } from '../native.ts';

/**
 * Make the bundle of an invite, which the invited can join with where no store of the host is read.
 *
 * @throws ClawChatError `NOT_JOINED`; `USAGE` for an invite of another host; those of a text that is no invite
 * @impl IN-010~1
 */
export function deviceBundle(member: Member | undefined, text: string): Uint8Array {
  const newest = member?.held.newest;
  if (member === undefined || newest === undefined)
    throw failure(ErrorCode.NOT_JOINED, 'only a device that has joined knows where its host is');
  const parsed = parseInviteInput(native, new TextEncoder().encode(text));
  if (isFault(parsed)) throw new ClawChatError(parsed);
  const { invite } = parsed;
  if (!native.equal(invite.trust.serverId, member.held.trust.serverId))
    throw failure(ErrorCode.USAGE, 'the invite is one of another host');
  const recipients = [inviteKeys(native, invite.secret).fileKey];
  const file = sealFile(native, { envelope: newest.envelope, recipients });
  if (isFault(file)) throw new ClawChatError(file);
  return encodeBundle(invite.bytes, file);
}
