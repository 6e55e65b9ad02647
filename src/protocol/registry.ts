/** Who may come to a host: its invites and devices, as data (spec/08-devices.md). */
import type { Suite } from '../crypto/suite.ts';
import { CLAIM_LIFE_MS, DEVICE_NAME_BYTES_MAX, DEVICE_UNUSED_MS } from '../gen/constants.ts';
import { hex, utf8Length } from '../wire/bytes.ts';
import type { Gate, GateRecipient } from './gate.ts';
import { deviceId, deviceKeys, type MemberKeys } from './keys.ts';

/** An invite that is open or claimed. Neither its secret nor its private key is here. @impl IN-001~1 */
export interface RegisteredInvite extends MemberKeys {
  /** Hexadecimal device id of its public key. */
  readonly id: string;
  readonly publicKey: Uint8Array;
  /** The name that the device is to have; empty for what it asks for. */
  readonly name: string;
  readonly madeAtMs: number;
  readonly expiresAtMs: number;
  /** It was handed out with a connection file. */
  readonly isBundled: boolean;
  /** Undefined while open. */
  readonly claim: { readonly deviceKey: Uint8Array; readonly atMs: number } | undefined;
}

/** A device, enrolled or still pending. */
export interface RegisteredDevice extends MemberKeys {
  /** Hexadecimal device id. */
  readonly id: string;
  readonly publicKey: Uint8Array;
  readonly secret: Uint8Array;
  readonly name: string;
  /** True until its first valid message 3. */
  readonly pending: boolean;
  readonly enrolledAtMs: number;
  /** 0 for never. */
  readonly lastSeenAtMs: number;
}

/** All invites and devices, by id. A registry is never changed: each event gives a new one. */
export interface Registry {
  readonly invites: ReadonlyMap<string, RegisteredInvite>;
  readonly devices: ReadonlyMap<string, RegisteredDevice>;
}

/** One change; those of one commit become durable together. */
export type RegistryChange =
  | { readonly kind: 'putInvite'; readonly invite: RegisteredInvite }
  | { readonly kind: 'deleteInvite'; readonly id: string }
  | { readonly kind: 'putDevice'; readonly device: RegisteredDevice }
  | { readonly kind: 'deleteDevice'; readonly id: string };

/** Nobody yet. */
export const EMPTY_REGISTRY: Registry = { invites: new Map(), devices: new Map() };

/** Name an invite or a device by its public key, for tables, logs and paths. */
export function memberId(suite: Suite, publicKey: Uint8Array): string {
  return hex(deviceId(suite, publicKey));
}

/** Apply changes in order. */
export function applyChanges(registry: Registry, changes: readonly RegistryChange[]): Registry {
  const invites = new Map(registry.invites);
  const devices = new Map(registry.devices);
  for (const change of changes) {
    switch (change.kind) {
      case 'putInvite':
        invites.set(change.invite.id, change.invite);
        break;
      case 'deleteInvite':
        invites.delete(change.id);
        break;
      case 'putDevice':
        devices.set(change.device.id, change.device);
        break;
      case 'deleteDevice':
        devices.delete(change.id);
        break;
    }
  }
  return { invites, devices };
}

/** Tell the gate what a commit has changed, once it is durable. */
export function applyToGate(gate: Gate, changes: readonly RegistryChange[]): void {
  for (const change of changes) {
    switch (change.kind) {
      case 'putInvite':
        gate.addRecipient(inviteRecipient(change.invite));
        break;
      case 'putDevice':
        gate.addRecipient(deviceRecipient(change.device));
        break;
      case 'deleteInvite':
      case 'deleteDevice':
        gate.removeRecipient(change.id);
        break;
    }
  }
}

/** List whom the gate knows, when a host starts. */
export function gateRecipients(registry: Registry): readonly GateRecipient[] {
  return [
    ...[...registry.devices.values()].map(deviceRecipient),
    ...[...registry.invites.values()].map(inviteRecipient),
  ];
}

/** List the file keys of all recipients of the connection file. @impl CF-005~1 */
export function fileRecipients(registry: Registry): readonly Uint8Array[] {
  return [...registry.devices.values(), ...registry.invites.values()].map(({ fileKey }) => fileKey);
}

function deviceRecipient(device: RegisteredDevice): GateRecipient {
  const { id, publicKey, psk, gateKey } = device;
  return { kind: 'device', id, publicKey, psk, gateKey, endsAtMs: undefined };
}

function inviteRecipient(invite: RegisteredInvite): GateRecipient {
  const { id, publicKey, psk, gateKey } = invite;
  return { kind: 'invite', id, publicKey, psk, gateKey, endsAtMs: inviteEndsAtMs(invite) };
}

/** The first instant at which an invite opens nothing: behind its expiry, or a claim's life after the claim. */
export function inviteEndsAtMs({ claim, expiresAtMs }: RegisteredInvite): number {
  // @impl IN-002~1, EN-003~1, EN-011~1
  return claim === undefined ? expiresAtMs + 1 : claim.atMs + CLAIM_LIFE_MS;
}

/** When a device that stays away is removed; pending ones go with their invite. @impl EN-032~1 */
export function deviceEndsAtMs({ pending, enrolledAtMs, lastSeenAtMs }: RegisteredDevice): number {
  return pending ? Number.POSITIVE_INFINITY : Math.max(enrolledAtMs, lastSeenAtMs) + DEVICE_UNUSED_MS;
}

/** The next instant at which `expire` has something to do; undefined for never. */
export function registryDeadline(registry: Registry): number | undefined {
  let at = Number.POSITIVE_INFINITY;
  for (const invite of registry.invites.values()) at = Math.min(at, inviteEndsAtMs(invite));
  for (const device of registry.devices.values()) at = Math.min(at, deviceEndsAtMs(device));
  return at === Number.POSITIVE_INFINITY ? undefined : at;
}

/** Complete a device with what derives from its key and secret. */
export function registerDevice(
  suite: Suite,
  of: Omit<RegisteredDevice, 'id' | keyof MemberKeys>,
): RegisteredDevice {
  return { ...of, ...deviceKeys(suite, of.secret), id: memberId(suite, of.publicKey) };
}

/** What a name may not have: controls, format characters, separators of lines and paragraphs, lone surrogates. */
const NOT_IN_NAMES = /[\p{Cc}\p{Cf}\p{Zl}\p{Zp}\p{Cs}]/gu;

/** Drop from a name what it may not have. @impl EN-020~1 */
export function cleanName(name: string): string {
  return name.replace(NOT_IN_NAMES, '');
}

/** Whether what was asked for is no longer than a name may be. */
export function isNameLength(name: string): boolean {
  return utf8Length(name) <= DEVICE_NAME_BYTES_MAX;
}

/** Choose a device's name: the invite's, else the one asked for, else one made of its id (8.3). @impl EN-020~1 */
export function chooseName(inviteName: string, askedName: string, id: string): string {
  return cleanName(inviteName) || cleanName(askedName) || `device-${id.slice(0, 8)}`;
}
