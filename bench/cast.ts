/** The host of the measurements and its devices, derived from names, so that every process knows the same (bench/README.md). */

import type { X25519Key } from '../src/crypto/suite.ts';
import { CHANNEL_KEY_MARGIN_MS } from '../src/gen/constants.ts';
import { native } from '../src/node/native.ts';
import { type AccessKey, type ConnectionRecord, encodeRecord } from '../src/protocol/connection-record.ts';
import { parseEnvelope, signRecord } from '../src/protocol/envelope.ts';
import { isFault } from '../src/protocol/fault.ts';
import { acceptEnvelope, type Held, trusting } from '../src/protocol/freshness.ts';
import type { Member } from '../src/protocol/join.ts';
import { nextIdentityHash, serverId } from '../src/protocol/keys.ts';
import { type RegisteredDevice, type Registry, registerDevice } from '../src/protocol/registry.ts';
import type { Trust } from '../src/protocol/succession.ts';
import { asciiBytes } from '../src/wire/bytes.ts';

const HOUR_MS = 3_600_000;

/** 32 bytes that a name decides. */
export function named(name: string): Uint8Array {
  return native.sha256(asciiBytes(`bench ${name}`));
}

const identity = native.ed25519Public(named('identity'));
/** The host, as an invite names it. */
export const trust: Trust = {
  serverId: serverId(native, identity),
  identity,
  nextIdentityHash: nextIdentityHash(native, named('next identity')),
};
export const accessKey: AccessKey = { epoch: 7, key: named('access key') };
/** The host's channel key. */
export const channelKey: Uint8Array = named('channel key');

/** Sign a record of this host, valid from now on. */
export function makeEnvelope(port: number, spkiPin: Uint8Array): Uint8Array {
  const now = Date.now();
  const validUntilMs = now + HOUR_MS + 300_000;
  const publicKey = native.x25519Public(channelKey);
  const record: ConnectionRecord = {
    protocolVersion: 1,
    serverId: trust.serverId,
    epoch: accessKey.epoch,
    sequence: 12,
    issuedAtMs: now,
    validUntilMs,
    nextRotationMs: now + HOUR_MS,
    endpoints: [{ host: '127.0.0.1', port, notBeforeMs: now, notAfterMs: validUntilMs }],
    channelKeys: [{ publicKey, notAfterMs: validUntilMs + CHANNEL_KEY_MARGIN_MS }],
    tlsPins: [spkiPin],
    accessKeys: [accessKey],
    nextIdentityHash: trust.nextIdentityHash ?? named('next'),
    suites: [1],
    stores: [{ kind: 'local', path: '/nowhere' }],
  };
  return signRecord(native, named('identity'), encodeRecord(record), []);
}

/** What a client holds that has read this record. */
export function held(envelope: Uint8Array): Held {
  const parsed = parseEnvelope(envelope);
  if (isFault(parsed)) throw new Error(parsed.detail);
  const acceptance = acceptEnvelope(native, trusting(trust), parsed, Date.now());
  if (acceptance.kind !== 'accepted') throw new Error(acceptance.kind);
  return acceptance.held;
}

/** The static key of a device. */
export function deviceKey(index: number): X25519Key {
  return native.x25519Key(named(`device key ${index}`));
}

/** One device, as its host stores it. */
export function device(index: number): RegisteredDevice {
  return registerDevice(native, {
    publicKey: deviceKey(index).public,
    secret: named(`device secret ${index}`),
    name: `device ${index}`,
    pending: false,
    enrolledAtMs: Date.now(),
    lastSeenAtMs: Date.now(),
  });
}

/** The same device, as itself stores it. */
export function member(index: number, holds: Held): Member {
  return {
    stage: 'device',
    devicePrivateKey: named(`device key ${index}`),
    deviceSecret: named(`device secret ${index}`),
    name: `device ${index}`,
    held: holds,
  };
}

/** That many devices. */
export function registry(devices: number): Registry {
  const all = Array.from({ length: devices }, (_, index) => device(index));
  return { invites: new Map(), devices: new Map(all.map(each => [each.id, each])) };
}
