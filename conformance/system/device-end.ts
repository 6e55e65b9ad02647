/** A device that a test speaks for by itself: what it holds, and its handshake. */
import { native } from '../../src/node/native.ts';
import { openStore } from '../../src/node/store.ts';
import { type Fault, isFault } from '../../src/protocol/fault.ts';
import { InitiatorHandshake } from '../../src/protocol/handshake.ts';
import { dialKeys, type Member } from '../../src/protocol/join.ts';
import { decodeMember, MEMBER_KEY } from '../../src/protocol/storage.ts';

/** A directory that has joined. */
export type JoinedMember = Exclude<Member, { stage: 'keyed' }>;

/** Read what the device of a data directory holds. */
export async function memberOf(data: string): Promise<JoinedMember> {
  const store = await openStore({ directory: data, program: 'client', suite: native });
  const stored = await store.get(MEMBER_KEY);
  await store.close();
  const member = stored === undefined ? undefined : decodeMember(native, stored);
  if (member === undefined || isFault(member) || member.stage === 'keyed') throw new Error('no member');
  return member;
}

/** Begin a handshake with the device's newest record. */
export function handshakeOf(member: JoinedMember): InitiatorHandshake {
  const { record } = must(member.held.newest);
  const { privateKey, psk, gateKey } = dialKeys(native, member);
  return must(
    InitiatorHandshake.begin({
      suite: native,
      serverId: record.serverId,
      accessKey: record.accessKeys[0],
      responderKey: record.channelKeys[0]?.publicKey ?? new Uint8Array(32),
      staticKey: native.x25519Key(privateKey),
      psk,
      gateKey,
      ephemeral: native.x25519Key(native.randomBytes(32)),
    }),
  );
}

/** The value, which a test cannot go on without. */
export function must<T extends object>(value: T | Fault | undefined): T {
  if (value === undefined || isFault(value)) throw new Error(value?.detail ?? 'there is none');
  return value;
}
