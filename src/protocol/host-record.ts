/** What a host signs: its identity, the keys of its epochs, and the record made of them (spec/03-connection-file.md, 3.3). */
import type { Suite } from '../crypto/suite.ts';
import { ENDPOINTS_MAX, TLS_PINS_MAX } from '../gen/constants.ts';
import { UsageError } from '../wire/usage-error.ts';
import type { HostChannelKeys } from './channel-keys.ts';
import {
  type AccessKey,
  type ConnectionRecord,
  encodeRecord,
  parseRecord,
  type Store,
} from './connection-record.ts';
import { signRecord } from './envelope.ts';
import { isFault } from './fault.ts';
import type { RecordName } from './freshness.ts';
import { PROTOCOL_VERSION, recordHash, SUITE_1 } from './keys.ts';
import type { RecordPlan } from './rotation-state.ts';
import type { Succession } from './succession.ts';

/** Who the host is. */
export interface HostIdentity {
  /** Of the Ed25519 identity key. */
  readonly seed: Uint8Array;
  readonly publicKey: Uint8Array;
  readonly serverId: Uint8Array;
  readonly nextIdentityHash: Uint8Array;
  readonly successions: readonly Succession[];
}

/** One TLS key with its self-signed certificate, both DER, and the SHA-256 of its SubjectPublicKeyInfo. */
export interface TlsKey {
  readonly pkcs8: Uint8Array;
  readonly certificate: Uint8Array;
  readonly spkiPin: Uint8Array;
}

/** The keys of one epoch. */
export interface EpochKeys {
  readonly accessKey: AccessKey;
  readonly tlsKey: TlsKey;
}

/** Where the host is reached and where it publishes. */
export interface HostPlace {
  /** Addresses and names without ports, the best first. */
  readonly addresses: readonly string[];
  /** The port to dial, when it is not the one listened on: a proxy or a router stands in front. */
  readonly port?: number | undefined;
  readonly stores: readonly Store[];
  /** False when an authority vouches for an operator's own certificate. */
  readonly isPinned: boolean;
}

/** The record in force. */
export interface HostRecord {
  readonly payload: Uint8Array;
  readonly record: ConnectionRecord;
  /** The SignedEnvelope. */
  readonly envelope: Uint8Array;
  readonly name: RecordName;
}

/** What a record is made of besides its plan. */
export interface RecordParts {
  readonly identity: HostIdentity;
  /** Of every epoch that the plan names. */
  readonly keys: readonly EpochKeys[];
  readonly channelKeys: HostChannelKeys;
  readonly place: HostPlace;
}

/** Fill in a record and sign it. A place that no record can hold is a UsageError. @impl CF-023~1 */
export function makeHostRecord(suite: Suite, plan: RecordPlan, parts: RecordParts): HostRecord {
  const { identity, keys, channelKeys, place } = parts;
  const named = plan.epochs.map(epoch => {
    const found = keys.find(({ accessKey }) => accessKey.epoch === epoch);
    if (found === undefined) throw new UsageError(`there are no keys of epoch ${epoch}`);
    return found;
  });
  const [first, ...others] = named.map(({ accessKey }) => accessKey);
  if (first === undefined) throw new UsageError('a record names at least its own epoch');
  const [current, next] = channelKeys;
  const endpoints = plan.ports.flatMap(({ port, notBeforeMs, notAfterMs }) =>
    place.addresses.map(host => ({ host, port: place.port ?? port, notBeforeMs, notAfterMs })),
  );
  const payload = encodeRecord({
    protocolVersion: PROTOCOL_VERSION,
    serverId: identity.serverId,
    epoch: plan.epoch,
    sequence: plan.sequence,
    issuedAtMs: plan.issuedAtMs,
    validUntilMs: plan.validUntilMs,
    nextRotationMs: plan.nextRotationMs,
    endpoints: endpoints.slice(0, ENDPOINTS_MAX),
    channelKeys: [current, next].map(({ publicKey, notAfterMs }) => ({ publicKey, notAfterMs })),
    tlsPins: place.isPinned ? named.slice(0, TLS_PINS_MAX).map(({ tlsKey }) => tlsKey.spkiPin) : [],
    accessKeys: [first, ...others],
    nextIdentityHash: identity.nextIdentityHash,
    suites: [SUITE_1],
    stores: place.stores,
  });
  return loadHostRecord(suite, identity, payload);
}

/** Complete stored bytes with what derives from them. @throws UsageError for a payload that is no record. */
export function loadHostRecord(suite: Suite, identity: HostIdentity, payload: Uint8Array): HostRecord {
  const record = parseRecord(payload, identity.serverId);
  if (isFault(record)) throw new UsageError(`the host's own record is none: ${record.detail}`);
  return {
    payload,
    record,
    envelope: signRecord(suite, identity.seed, payload, identity.successions),
    name: { sequence: record.sequence, hash: recordHash(suite, payload) },
  };
}

/** The highest sequence that a database knows, 0 for none; no hash when the record itself is gone. */
export interface KnownRecord {
  readonly sequence: number;
  readonly hash: Uint8Array | undefined;
}

/** Whether a store shows that this host's database is older than what it has published. @impl DI-028~1 */
export function isDatabaseOld(suite: Suite, own: KnownRecord, seen: RecordName): boolean {
  if (own.hash === undefined || seen.sequence !== own.sequence) return seen.sequence > own.sequence;
  return !suite.equal(seen.hash, own.hash);
}
