/** The host's side of invites, enrolment and revocation: one event, one registry, ordered outputs (spec/08-devices.md). */
import type { Suite } from '../crypto/suite.ts';
import { ErrorCode } from '../gen/clawchat/v1/error_pb.ts';
import { DEVICES_MAX, INVITE_LIFE_MS, INVITE_LIFE_MS_MAX, INVITES_MAX } from '../gen/constants.ts';
import { isZero, sameBytes } from '../wire/bytes.ts';
import type { Store } from './connection-record.ts';
import { type Fault, fault } from './fault.ts';
import { encodeInvite } from './invite.ts';
import { inviteKeys } from './keys.ts';
import {
  applyChanges,
  chooseName,
  deviceEndsAtMs,
  inviteEndsAtMs,
  isNameLength,
  memberId,
  type RegisteredInvite,
  type Registry,
  type RegistryChange,
  registerDevice,
} from './registry.ts';

/**
 * What the driver does, in this order.
 *
 * `commit`: make the changes durable, together, before anything behind it; with no changes, wait until all earlier ones
 * are. Then the gate learns of them. `enrolled`, `close`: answer on the path that asked. `endPaths`: close every path
 * of that invite or device, and a device's sessions. `publish`: seal and publish the record anew (CF-024~1).
 */
export type RegistryOutput =
  | { readonly kind: 'commit'; readonly changes: readonly RegistryChange[] }
  | {
      readonly kind: 'enrolled';
      readonly deviceSecret: Uint8Array;
      readonly name: string;
      readonly deviceId: string;
    }
  | { readonly kind: 'close'; readonly code: ErrorCode }
  | { readonly kind: 'alarm'; readonly inviteId: string; readonly deviceId: string }
  | { readonly kind: 'endPaths'; readonly id: string; readonly code: ErrorCode }
  | { readonly kind: 'publish' };

/** The registry from now on - in memory at once, so that no second event decides on the older one - and what to do. */
export type Decision = readonly [Registry, readonly RegistryOutput[]];

/** What an operator asks for. */
export interface InviteTerms {
  readonly secret: Uint8Array;
  readonly identity: Uint8Array;
  readonly serverId: Uint8Array;
  readonly stores: readonly Store[];
  /** Empty for the name that the device asks for. */
  readonly name: string;
  /** 0 for the default. */
  readonly lifeMs: number;
  /** It is handed out with a connection file; false if not given. */
  readonly isBundled?: boolean;
}

/** An invite to hand out, once the file with its stanza was read back (CF-025~1). */
export interface MadeInvite {
  readonly kind: 'made';
  readonly registry: Registry;
  readonly outputs: readonly RegistryOutput[];
  readonly id: string;
  readonly invite: Uint8Array;
  readonly expiresAtMs: number;
}

/** Make an invite. Faults: USAGE by this side. @impl IN-001~1, IN-003~1 */
export function makeInvite(
  suite: Suite,
  registry: Registry,
  terms: InviteTerms,
  wallMs: number,
): MadeInvite | Fault {
  const lifeMs = terms.lifeMs === 0 ? INVITE_LIFE_MS : terms.lifeMs;
  if (!(lifeMs >= 1000 && lifeMs <= INVITE_LIFE_MS_MAX))
    return refuse('an invite lives for 1 second to 7 days');
  if (registry.invites.size >= INVITES_MAX)
    return refuse(`there are ${INVITES_MAX} invites, which is the most`);
  if (!isNameLength(terms.name)) return refuse('the name is longer than 64 bytes');
  const expiresAtS = Math.floor((wallMs + lifeMs) / 1000);
  const bytes = encodeInvite(suite, { ...terms, expiresAtS });
  const { privateKey, publicKey, psk, gateKey, fileKey } = inviteKeys(suite, terms.secret);
  suite.erase(privateKey);
  const invite: RegisteredInvite = {
    id: memberId(suite, publicKey),
    publicKey,
    psk,
    gateKey,
    fileKey,
    name: terms.name,
    madeAtMs: wallMs,
    expiresAtMs: expiresAtS * 1000,
    isBundled: terms.isBundled === true,
    claim: undefined,
  };
  const [next, outputs] = decide(registry, [{ kind: 'putInvite', invite }], [], true);
  const { id, expiresAtMs } = invite;
  return { kind: 'made', registry: next, outputs, id, invite: bytes, expiresAtMs };
}

/** An Enrol frame on a path that an invite opened. */
export interface EnrolRequest {
  readonly inviteId: string;
  readonly deviceKey: Uint8Array;
  readonly name: string;
  /** 32 fresh random bytes, used when this is the first Enrol. */
  readonly freshSecret: Uint8Array;
}

/** Answer an Enrol; the checks stand in the order of 8.2. */
export function enrol(suite: Suite, registry: Registry, request: EnrolRequest, wallMs: number): Decision {
  const { inviteId, name } = request;
  const deviceKey = request.deviceKey.slice();
  const invite = registry.invites.get(inviteId);
  if (invite === undefined || wallMs >= inviteEndsAtMs(invite))
    return close(registry, ErrorCode.INVITE_EXPIRED);
  // @impl EN-005~1
  if (deviceKey.length !== 32 || isZero(deviceKey) || !isNameLength(name)) {
    return close(registry, ErrorCode.ENROL_INVALID);
  }
  const id = memberId(suite, deviceKey);
  if (invite.claim !== undefined) return enrolAgain(registry, invite, deviceKey, id);
  // @impl EN-005~1
  if (registry.devices.has(id) || registry.invites.has(id)) return close(registry, ErrorCode.ENROL_INVALID);
  // @impl EN-006~1
  if (registry.devices.size >= DEVICES_MAX) return close(registry, ErrorCode.DEVICE_LIMIT);

  // @impl EN-002~1
  const device = registerDevice(suite, {
    publicKey: deviceKey,
    secret: request.freshSecret,
    name: chooseName(invite.name, name, id),
    pending: true,
    enrolledAtMs: wallMs,
    lastSeenAtMs: 0,
  });
  const claimed = { ...invite, claim: { deviceKey, atMs: wallMs } };
  const [next, outputs] = decide(
    registry,
    [
      { kind: 'putInvite', invite: claimed },
      { kind: 'putDevice', device },
    ],
    [{ kind: 'enrolled', deviceSecret: device.secret, name: device.name, deviceId: id }],
    true,
  );
  return [next, outputs];
}

/** @impl EN-003~1, EN-004~1 */
function enrolAgain(
  registry: Registry,
  invite: RegisteredInvite,
  deviceKey: Uint8Array,
  id: string,
): Decision {
  const device = registry.devices.get(id);
  if (invite.claim === undefined || device === undefined || !sameBytes(invite.claim.deviceKey, deviceKey)) {
    const alarm: RegistryOutput = { kind: 'alarm', inviteId: invite.id, deviceId: id };
    return [registry, [{ kind: 'close', code: ErrorCode.INVITE_USED }, alarm]];
  }
  // The claim may have been decided a moment ago on another path: its commit comes first.
  const answer: RegistryOutput = {
    kind: 'enrolled',
    deviceSecret: device.secret,
    name: device.name,
    deviceId: id,
  };
  return [registry, [{ kind: 'commit', changes: [] }, answer]];
}

/** Note the first valid message 3 of a device; nothing for one that is active, or gone. @impl EN-009~1 */
export function activate(registry: Registry, id: string, wallMs: number): Decision {
  const device = registry.devices.get(id);
  if (device === undefined || !device.pending) return [registry, []];
  const active = { ...device, pending: false, lastSeenAtMs: wallMs };
  const invite = claimedBy(registry, device.publicKey);
  const changes: RegistryChange[] = [{ kind: 'putDevice', device: active }];
  if (invite === undefined) return decide(registry, changes, [], true);
  changes.push({ kind: 'deleteInvite', id: invite.id });
  return decide(registry, changes, [{ kind: 'endPaths', id: invite.id, code: ErrorCode.UNSPECIFIED }], true);
}

/** Note that a device was heard. The commit is in no hurry: the driver gathers many. */
export function seen(registry: Registry, id: string, wallMs: number): Decision {
  const device = registry.devices.get(id);
  if (device === undefined || wallMs <= device.lastSeenAtMs) return [registry, []];
  return decide(registry, [{ kind: 'putDevice', device: { ...device, lastSeenAtMs: wallMs } }], [], false);
}

/** Remove a device, and while it is pending its invite too. @impl EN-030~1, EN-031~1 */
export function revoke(registry: Registry, id: string): Decision {
  const device = registry.devices.get(id);
  if (device === undefined) return [registry, []];
  const changes: RegistryChange[] = [{ kind: 'deleteDevice', id }];
  const ends: RegistryOutput[] = [{ kind: 'endPaths', id, code: ErrorCode.DEVICE_REVOKED }];
  const invite = device.pending ? claimedBy(registry, device.publicKey) : undefined;
  if (invite !== undefined) {
    changes.push({ kind: 'deleteInvite', id: invite.id });
    ends.push({ kind: 'endPaths', id: invite.id, code: ErrorCode.INVITE_EXPIRED });
  }
  return decide(registry, changes, ends, true);
}

/** End an invite before its time; a claimed one takes its pending device with it. @impl IN-008~1 */
export function withdraw(registry: Registry, inviteId: string): Decision {
  const invite = registry.invites.get(inviteId);
  return invite === undefined ? [registry, []] : decide(registry, ...endInvite(registry, invite), true);
}

/**
 * End what has had its time: open invites, claims that came to nothing, devices long unused. `connected` are the ids of
 * devices with a path, which are in use whatever the clock says. @impl IN-002~1, EN-011~1, EN-032~1
 */
export function expire(registry: Registry, wallMs: number, connected: ReadonlySet<string>): Decision {
  const changes: RegistryChange[] = [];
  const ends: RegistryOutput[] = [];
  for (const invite of registry.invites.values()) {
    if (wallMs < inviteEndsAtMs(invite)) continue;
    const [itsChanges, itsEnds] = endInvite(registry, invite);
    changes.push(...itsChanges);
    ends.push(...itsEnds);
  }
  for (const device of registry.devices.values()) {
    if (wallMs < deviceEndsAtMs(device) || connected.has(device.id)) continue;
    changes.push({ kind: 'deleteDevice', id: device.id });
    ends.push({ kind: 'endPaths', id: device.id, code: ErrorCode.DEVICE_REVOKED });
  }
  return changes.length === 0 ? [registry, []] : decide(registry, changes, ends, true);
}

function endInvite(
  registry: Registry,
  invite: RegisteredInvite,
): readonly [readonly RegistryChange[], readonly RegistryOutput[]] {
  const changes: RegistryChange[] = [{ kind: 'deleteInvite', id: invite.id }];
  const ends: RegistryOutput[] = [{ kind: 'endPaths', id: invite.id, code: ErrorCode.INVITE_EXPIRED }];
  const { claim } = invite;
  const claimant = [...registry.devices.values()].find(
    ({ pending, publicKey }) => pending && claim !== undefined && sameBytes(publicKey, claim.deviceKey),
  );
  if (claimant !== undefined) {
    changes.push({ kind: 'deleteDevice', id: claimant.id });
    ends.push({ kind: 'endPaths', id: claimant.id, code: ErrorCode.INVITE_EXPIRED });
  }
  return [changes, ends];
}

function claimedBy(registry: Registry, deviceKey: Uint8Array): RegisteredInvite | undefined {
  return [...registry.invites.values()].find(
    ({ claim }) => claim !== undefined && sameBytes(claim.deviceKey, deviceKey),
  );
}

/** One durable commit first, then what follows from it, then the file. @impl CF-024~1 */
function decide(
  registry: Registry,
  changes: readonly RegistryChange[],
  then: readonly RegistryOutput[],
  publish: boolean,
): Decision {
  const outputs: RegistryOutput[] = [{ kind: 'commit', changes }, ...then];
  if (publish) outputs.push({ kind: 'publish' });
  return [applyChanges(registry, changes), outputs];
}

function close(registry: Registry, code: ErrorCode): Decision {
  return [registry, [{ kind: 'close', code }]];
}

function refuse(detail: string): Fault {
  return fault('self', ErrorCode.USAGE, detail);
}
