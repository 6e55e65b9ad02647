/** What a host keeps behind its record, and how it fills one in (spec/06-rotation.md, 6.1). */
import type { Suite } from '../crypto/suite.ts';
import type { Constants } from '../gen/constants.ts';
import { sameBytes } from '../wire/bytes.ts';
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

/** Where the host is reached and where it publishes. */
export interface Place {
  readonly addresses: readonly { readonly host: string; readonly port: number }[];
  readonly stores: readonly Store[];
  /** False when an authority vouches for an operator's own certificate. */
  readonly isPinned: boolean;
}

/** A new epoch that is published, and whose old keys have not ended. */
export interface Turn {
  /** R: as published, later if it was held. */
  readonly rotationAtMs: number;
  /** Sequence of the first record of the new epoch. */
  readonly sequence: number;
  readonly oldAccessKey: AccessKey;
  readonly nextTlsKey: TlsKey;
  /** Whether a record of the new epoch was read back: only then do the old keys end. */
  readonly isVerified: boolean;
}

/** The current record and every key behind it. One stored value, except `verified` and what derives from `payload`. */
export interface Renewal {
  readonly sequence: number;
  readonly payload: Uint8Array;
  readonly record: ConnectionRecord;
  /** The SignedEnvelope. */
  readonly envelope: Uint8Array;
  readonly name: RecordName;
  readonly accessKey: AccessKey;
  readonly channelKeys: HostChannelKeys;
  /** What listeners present. */
  readonly tlsKey: TlsKey;
  readonly turn: Turn | undefined;
  /** The newest record that was read back from a store that remote devices use. */
  readonly verified: RecordName | undefined;
}

/** What does not change while a host runs. */
export interface RenewalContext {
  readonly suite: Suite;
  readonly constants: Constants;
  readonly identity: HostIdentity;
  readonly intervalMs: number;
}

/** What a record is made of. */
export interface RecordRequest
  extends Pick<Renewal, 'sequence' | 'accessKey' | 'channelKeys' | 'tlsKey' | 'turn' | 'verified'> {
  readonly place: Place;
  readonly rotationAtMs: number;
  readonly wallMs: number;
}

/** Fill in a record and sign it. A place that no record can hold is a UsageError. @impl RT-008~1, CF-023~1 */
export function makeRecord(context: RenewalContext, request: RecordRequest): Renewal {
  const { place, rotationAtMs, wallMs, verified: newest, ...stored } = request;
  const { identity, constants } = context;
  const { accessKey, channelKeys, tlsKey, turn, sequence } = stored;
  const validUntilMs = rotationAtMs + constants.GRACE_MS;
  const [current, next] = channelKeys;
  const tlsKeys = turn === undefined ? [tlsKey] : [tlsKey, turn.nextTlsKey];
  const payload = encodeRecord({
    protocolVersion: PROTOCOL_VERSION,
    serverId: identity.serverId,
    epoch: accessKey.epoch,
    sequence,
    issuedAtMs: wallMs,
    validUntilMs,
    nextRotationMs: rotationAtMs,
    endpoints: place.addresses.map(({ host, port }) => ({
      host,
      port,
      notBeforeMs: wallMs,
      notAfterMs: validUntilMs,
    })),
    channelKeys: [current, next].map(({ publicKey, notAfterMs }) => ({ publicKey, notAfterMs })),
    tlsPins: place.isPinned ? tlsKeys.map(({ spkiPin }) => spkiPin) : [],
    accessKeys: [accessKey],
    nextIdentityHash: identity.nextIdentityHash,
    suites: [SUITE_1],
    stores: place.stores,
  });
  return { ...loadRenewal(context, { ...stored, payload }), verified: newest };
}

/** Complete a stored state with what derives from it. @throws UsageError for a payload that is no record. */
export function loadRenewal(
  { suite, identity }: Pick<RenewalContext, 'suite' | 'identity'>,
  stored: Omit<Renewal, 'record' | 'envelope' | 'name' | 'verified'>,
): Renewal {
  const { payload, sequence } = stored;
  const record = parseRecord(payload, identity.serverId);
  if (isFault(record)) throw new UsageError(`the host's own record is none: ${record.detail}`);
  return {
    ...stored,
    record,
    envelope: signRecord(suite, identity.seed, payload, identity.successions),
    name: { sequence, hash: recordHash(suite, payload) },
    verified: undefined,
  };
}

/** Where the current record says that the host is. */
export function placeOf({ endpoints, stores, tlsPins }: ConnectionRecord): Place {
  return {
    addresses: endpoints.map(({ host, port }) => ({ host, port })),
    stores,
    isPinned: tlsPins.length > 0,
  };
}

/** Whether the current record already says this; compared as bytes, so that no field is forgotten. */
export function isPlace({ record }: Renewal, place: Place): boolean {
  const own = placeOf(record);
  const blank = (of: Place): Uint8Array =>
    encodeRecord({
      ...record,
      endpoints: of.addresses.map(address => ({ ...address, notBeforeMs: 0, notAfterMs: 1 })),
      stores: of.stores,
      tlsPins: of.isPinned ? record.tlsPins : [],
    });
  return own.isPinned === place.isPinned && sameBytes(blank(own), blank(place));
}
