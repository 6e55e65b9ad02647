/** The values that both programs keep of the protocol, as bytes: `storage.proto` (spec/01-architecture.md). */
import { create, type DescMessage, toBinary } from '@bufbuild/protobuf';
import type { Suite } from '../crypto/suite.ts';
import { ErrorCode } from '../gen/clawchat/v1/error_pb.ts';
import {
  JoinStage,
  StoredDeviceSchema,
  StoredIdentitySchema,
  StoredInviteSchema,
  type StoredMember,
  StoredMemberSchema,
  type StoredTrust,
} from '../gen/clawchat/v1/storage_pb.ts';
import { safeNumber, tryParse } from '../wire/parse.ts';
import { parseRecord } from './connection-record.ts';
import { parseEnvelope } from './envelope.ts';
import { type Fault, fault, isFault } from './fault.ts';
import type { Held } from './freshness.ts';
import type { HostIdentity } from './host-record.ts';
import { parseInvite } from './invite.ts';
import type { Member } from './join.ts';
import { recordHash } from './keys.ts';
import {
  applyChanges,
  EMPTY_REGISTRY,
  memberId,
  type RegisteredDevice,
  type RegisteredInvite,
  type Registry,
  type RegistryChange,
  registerDevice,
} from './registry.ts';

/** Host: key of its identity. */
export const IDENTITY_KEY = 'identity';
/** Host: what the keys of invites begin with. */
export const INVITE_PREFIX = 'invite/';
/** Host: what the keys of devices begin with. */
export const DEVICE_PREFIX = 'device/';
/** Client: key of its membership. */
export const MEMBER_KEY = 'member';

/** One change of the database; those of one commit become durable together. */
export type StoredOperation =
  | { readonly kind: 'put'; readonly key: string; readonly value: Uint8Array }
  | { readonly kind: 'delete'; readonly key: string };

/** One value of the database. */
export interface StoredEntry {
  readonly key: string;
  readonly value: Uint8Array;
}

const EMPTY = new Uint8Array(0);

/** Turn the changes of a registry into operations. */
export function registryOperations(changes: readonly RegistryChange[]): readonly StoredOperation[] {
  return changes.map(change => registryOperation(change));
}

function registryOperation(change: RegistryChange): StoredOperation {
  switch (change.kind) {
    case 'putInvite':
      return { kind: 'put', key: INVITE_PREFIX + change.invite.id, value: encodeInviteEntry(change.invite) };
    case 'deleteInvite':
      return { kind: 'delete', key: INVITE_PREFIX + change.id };
    case 'putDevice':
      return { kind: 'put', key: DEVICE_PREFIX + change.device.id, value: encodeDeviceEntry(change.device) };
    case 'deleteDevice':
      return { kind: 'delete', key: DEVICE_PREFIX + change.id };
  }
}

/** Read the registry from the entries below both prefixes. Faults: STORE_DAMAGED. */
export function loadRegistry(suite: Suite, entries: readonly StoredEntry[]): Registry | Fault {
  const changes: RegistryChange[] = [];
  for (const { key, value } of entries) {
    const change = key.startsWith(INVITE_PREFIX)
      ? decodeInviteEntry(suite, value)
      : decodeDeviceEntry(suite, value);
    if (change === undefined) return damaged(key);
    changes.push(change);
  }
  return applyChanges(EMPTY_REGISTRY, changes);
}

function encodeInviteEntry(invite: RegisteredInvite): Uint8Array {
  const { publicKey, psk, gateKey, fileKey, name, madeAtMs, expiresAtMs, isBundled, claim } = invite;
  return encode(StoredInviteSchema, {
    publicKey,
    psk,
    gateKey,
    fileKey,
    name,
    madeAtMs: BigInt(madeAtMs),
    expiresAtMs: BigInt(expiresAtMs),
    claimedBy: claim?.deviceKey ?? EMPTY,
    claimedAtMs: BigInt(claim?.atMs ?? 0),
    bundled: isBundled,
  });
}

function decodeInviteEntry(suite: Suite, value: Uint8Array): RegistryChange | undefined {
  const stored = tryParse(StoredInviteSchema, value);
  if (stored === undefined) return undefined;
  const { publicKey, psk, gateKey, fileKey, name, claimedBy } = stored;
  if (![publicKey, psk, gateKey, fileKey].every(is32) || !(claimedBy.length === 0 || is32(claimedBy)))
    return undefined;
  const invite = {
    id: memberId(suite, publicKey),
    publicKey,
    psk,
    gateKey,
    fileKey,
    name,
    madeAtMs: safeNumber(stored.madeAtMs),
    expiresAtMs: safeNumber(stored.expiresAtMs),
    isBundled: stored.bundled,
    claim:
      claimedBy.length === 0 ? undefined : { deviceKey: claimedBy, atMs: safeNumber(stored.claimedAtMs) },
  };
  return { kind: 'putInvite', invite };
}

function encodeDeviceEntry(device: RegisteredDevice): Uint8Array {
  const { publicKey, secret, name, pending, enrolledAtMs, lastSeenAtMs } = device;
  return encode(StoredDeviceSchema, {
    publicKey,
    secret,
    name,
    pending,
    enrolledAtMs: BigInt(enrolledAtMs),
    lastSeenAtMs: BigInt(lastSeenAtMs),
  });
}

function decodeDeviceEntry(suite: Suite, value: Uint8Array): RegistryChange | undefined {
  const stored = tryParse(StoredDeviceSchema, value);
  if (stored === undefined || !is32(stored.publicKey) || !is32(stored.secret)) return undefined;
  const { publicKey, secret, name, pending } = stored;
  const enrolledAtMs = safeNumber(stored.enrolledAtMs);
  const lastSeenAtMs = safeNumber(stored.lastSeenAtMs);
  const device = registerDevice(suite, { publicKey, secret, name, pending, enrolledAtMs, lastSeenAtMs });
  return { kind: 'putDevice', device };
}

/** Encode who a host is. */
export function encodeIdentity({ seed, serverId, nextIdentityHash, successions }: HostIdentity): Uint8Array {
  return encode(StoredIdentitySchema, { seed, serverId, nextIdentityHash, successions: [...successions] });
}

/** Decode who a host is. Faults: STORE_DAMAGED. */
export function decodeIdentity(suite: Suite, value: Uint8Array): HostIdentity | Fault {
  const stored = tryParse(StoredIdentitySchema, value);
  if (stored === undefined || ![stored.seed, stored.serverId, stored.nextIdentityHash].every(is32)) {
    return damaged(IDENTITY_KEY);
  }
  const { seed, serverId, nextIdentityHash, successions } = stored;
  return { seed, publicKey: suite.ed25519Public(seed), serverId, nextIdentityHash, successions };
}

const STAGES: Readonly<Record<Member['stage'], JoinStage>> = {
  keyed: JoinStage.KEYED,
  granted: JoinStage.GRANTED,
  device: JoinStage.DEVICE,
};

/** Encode a client's membership. @impl EN-001~1, EN-008~1, EN-010~2 */
export function encodeMember(member: Member): Uint8Array {
  const { trust, floor, newest } = member.held;
  return encode(StoredMemberSchema, {
    stage: STAGES[member.stage],
    invite: member.stage === 'device' ? EMPTY : member.invite.bytes,
    devicePrivateKey: member.devicePrivateKey,
    deviceSecret: member.stage === 'keyed' ? EMPTY : member.deviceSecret,
    name: member.name,
    trust: {
      serverId: trust.serverId,
      identity: trust.identity,
      nextIdentityHash: trust.nextIdentityHash ?? EMPTY,
      sequenceFloor: BigInt(floor),
      envelope: newest?.envelope ?? EMPTY,
    },
  });
}

/** Decode a client's membership. Faults: STORE_DAMAGED. */
export function decodeMember(suite: Suite, value: Uint8Array): Member | Fault {
  const stored = tryParse(StoredMemberSchema, value);
  const held = stored?.trust === undefined ? undefined : decodeHeld(suite, stored.trust);
  const member = stored === undefined || held === undefined ? undefined : toMember(suite, stored, held);
  return member ?? damaged(MEMBER_KEY);
}

function toMember(suite: Suite, stored: StoredMember, held: Held): Member | undefined {
  const { devicePrivateKey, deviceSecret, name, stage } = stored;
  if (!is32(devicePrivateKey) || (stage !== JoinStage.KEYED && !is32(deviceSecret))) return undefined;
  if (stage === JoinStage.DEVICE) return { stage: 'device', devicePrivateKey, deviceSecret, name, held };
  const invite = parseInvite(suite, stored.invite);
  if (isFault(invite)) return undefined;
  if (stage === JoinStage.KEYED) return { stage: 'keyed', invite, devicePrivateKey, name, held };
  if (stage !== JoinStage.GRANTED) return undefined;
  return { stage: 'granted', invite, devicePrivateKey, deviceSecret, name, held };
}

/** The stored record was verified when it was accepted; it is only parsed again. */
function decodeHeld(suite: Suite, stored: StoredTrust): Held | undefined {
  const { serverId, identity, nextIdentityHash: next, envelope: bytes } = stored;
  if (!is32(serverId) || !is32(identity) || !(next.length === 0 || is32(next))) return undefined;
  const trust = { serverId, identity, nextIdentityHash: next.length === 0 ? undefined : next };
  const floor = safeNumber(stored.sequenceFloor);
  if (bytes.length === 0) return { trust, floor, newest: undefined };
  const envelope = parseEnvelope(bytes);
  if (isFault(envelope)) return undefined;
  const record = parseRecord(envelope.payload, serverId);
  if (isFault(record)) return undefined;
  const hash = recordHash(suite, envelope.payload);
  return { trust, floor, newest: { sequence: record.sequence, hash, record, envelope: bytes } };
}

function is32(bytes: Uint8Array): boolean {
  return bytes.length === 32;
}

function encode<Desc extends DescMessage>(
  schema: Desc,
  init: Parameters<typeof create<Desc>>[1],
): Uint8Array {
  return toBinary(schema, create(schema, init));
}

function damaged(key: string): Fault {
  return fault('self', ErrorCode.STORE_DAMAGED, `the stored value "${key}" cannot be read: restore a backup`);
}
