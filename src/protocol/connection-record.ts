/** The record: where the host is, with which keys, until when (spec/03-connection-file.md, 3.3). */
import { create, type MessageInitShape, toBinary } from '@bufbuild/protobuf';
import {
  ConnectionRecordSchema,
  type ConnectionRecord as RecordMessage,
  type Store as StoreMessage,
  StoreSchema,
} from '../gen/clawchat/v1/connection_file_pb.ts';
import { ErrorCode } from '../gen/clawchat/v1/error_pb.ts';
import {
  ACCESS_KEYS_MAX,
  CHANNEL_KEY_MARGIN_MS,
  CHANNEL_KEYS_MAX,
  ENDPOINTS_MAX,
  HOST_BYTES_MAX,
  STORE_URL_BYTES_MAX,
  STORES_MAX,
  SUITES_MAX,
  TLS_PINS_MAX,
} from '../gen/constants.ts';
import { sameBytes, utf8Length } from '../wire/bytes.ts';
import { safeNumber, tryParse } from '../wire/parse.ts';
import { type Fault, fault } from './fault.ts';
import { PROTOCOL_VERSION, SUITE_1 } from './keys.ts';

/** One address of the host. Its times are advice. */
export interface Endpoint {
  /** IPv4, IPv6 without brackets, or a DNS name. */
  readonly host: string;
  readonly port: number;
  readonly notBeforeMs: number;
  readonly notAfterMs: number;
}

/** One X25519 public key of the host. */
export interface ChannelKey {
  readonly publicKey: Uint8Array;
  readonly notAfterMs: number;
}

/** One input of the gate's MAC: 32 bytes. */
export interface AccessKey {
  readonly epoch: number;
  readonly key: Uint8Array;
}

/** A place where connection files are published. `spkiPin` is 32 bytes or empty. */
export type Store =
  | { readonly kind: 'local'; readonly path: string }
  | { readonly kind: 'https'; readonly readUrl: string; readonly spkiPin: Uint8Array }
  | { readonly kind: 'mega'; readonly folderLink: string };

/** A record that keeps every rule of 3.3. Times are Unix milliseconds. */
export interface ConnectionRecord {
  readonly protocolVersion: number;
  readonly serverId: Uint8Array;
  readonly epoch: number;
  readonly sequence: number;
  readonly issuedAtMs: number;
  readonly validUntilMs: number;
  readonly nextRotationMs: number;
  readonly endpoints: readonly Endpoint[];
  readonly channelKeys: readonly ChannelKey[];
  readonly tlsPins: readonly Uint8Array[];
  /** The first is the one to use. */
  readonly accessKeys: readonly [AccessKey, ...AccessKey[]];
  readonly nextIdentityHash: Uint8Array;
  readonly suites: readonly number[];
  /** Without those of a kind that this version does not know. */
  readonly stores: readonly Store[];
}

const HOST = /^[A-Za-z0-9.:_%-]+$/;
const FOLDER_LINK_BYTES_MAX = 256;

/**
 * Parse the exact bytes of a payload; `serverId` is the host that the reader trusts, or undefined for any.
 *
 * Faults: RECORD_INVALID, VERSION_UNSUPPORTED, SERVER_MISMATCH, in the order of the table. @impl CF-020~1
 */
export function parseRecord(payload: Uint8Array, serverId: Uint8Array | undefined): ConnectionRecord | Fault {
  const message = tryParse(ConnectionRecordSchema, payload);
  if (message === undefined) return invalid('does not parse');
  if (message.protocolVersion !== PROTOCOL_VERSION) {
    return unsupported(`the record is of protocol version ${message.protocolVersion}`);
  }
  if (serverId !== undefined && !sameBytes(message.serverId, serverId)) {
    return fault('peer', ErrorCode.SERVER_MISMATCH, 'the record is of another host');
  }
  if (message.serverId.length !== 32) return invalid('has a server_id that is not 32 bytes');
  const record = toRecord(message);
  const broken = brokenRule(record, message);
  if (broken !== undefined) return invalid(broken);
  if (!record.suites.includes(SUITE_1)) return unsupported('the host speaks no cipher suite of this version');
  const stores = parseStores(message.stores);
  return stores === undefined ? invalid('has a store that breaks a rule') : { ...record, stores };
}

/** Encode a record as a payload. The caller keeps the rules of 3.3; `parseRecord` says whether it did. */
export function encodeRecord(record: ConnectionRecord): Uint8Array {
  return toBinary(
    ConnectionRecordSchema,
    create(ConnectionRecordSchema, {
      protocolVersion: record.protocolVersion,
      serverId: record.serverId,
      epoch: BigInt(record.epoch),
      sequence: BigInt(record.sequence),
      issuedAtMs: BigInt(record.issuedAtMs),
      validUntilMs: BigInt(record.validUntilMs),
      nextRotationMs: BigInt(record.nextRotationMs),
      endpoints: record.endpoints.map(({ host, port, notBeforeMs, notAfterMs }) => ({
        host,
        port,
        notBeforeMs: BigInt(notBeforeMs),
        notAfterMs: BigInt(notAfterMs),
      })),
      channelKeys: record.channelKeys.map(({ publicKey, notAfterMs }) => ({
        publicKey,
        notAfterMs: BigInt(notAfterMs),
      })),
      tlsPins: [...record.tlsPins],
      accessKeys: record.accessKeys.map(({ epoch, key }) => ({ epoch: BigInt(epoch), key })),
      nextIdentityHash: record.nextIdentityHash,
      suites: [...record.suites],
      stores: storeMessages(record.stores),
    }),
  );
}

/** Take the stores of a record or an invite, or undefined when one breaks a rule; unknown kinds are skipped. */
export function parseStores(messages: readonly StoreMessage[]): readonly Store[] | undefined {
  if (messages.length > STORES_MAX) return undefined;
  const stores: Store[] = [];
  for (const { kind } of messages) {
    if (kind.case === undefined) continue;
    const store = toStore(kind);
    if (store === undefined) return undefined;
    stores.push(store);
  }
  return stores;
}

/** Turn stores into what a record or an invite carries. */
export function storeMessages(stores: readonly Store[]): StoreMessage[] {
  return stores.map(store => create(StoreSchema, { kind: storeKind(store) }));
}

function storeKind(store: Store): NonNullable<MessageInitShape<typeof StoreSchema>['kind']> {
  switch (store.kind) {
    case 'local':
      return { case: 'local', value: { path: store.path } };
    case 'https':
      return { case: 'https', value: { readUrl: store.readUrl, spkiPin: store.spkiPin } };
    case 'mega':
      return { case: 'mega', value: { folderLink: store.folderLink } };
  }
}

function toStore(kind: Exclude<StoreMessage['kind'], { case: undefined }>): Store | undefined {
  switch (kind.case) {
    case 'local': {
      const { path } = kind.value;
      return isText(path, STORE_URL_BYTES_MAX) ? { kind: 'local', path } : undefined;
    }
    case 'https': {
      const { readUrl, spkiPin } = kind.value;
      const isPin = spkiPin.length === 0 || spkiPin.length === 32;
      return isPin && isText(readUrl, STORE_URL_BYTES_MAX) ? { kind: 'https', readUrl, spkiPin } : undefined;
    }
    case 'mega': {
      const { folderLink } = kind.value;
      return isText(folderLink, FOLDER_LINK_BYTES_MAX) ? { kind: 'mega', folderLink } : undefined;
    }
  }
}

function isText(text: string, bytesMax: number): boolean {
  return text.length > 0 && utf8Length(text) <= bytesMax;
}

/** The numbers of a message; NaN stands for one of 2^53 or more, and an epoch of NaN for an absent access key. */
function toRecord(message: RecordMessage): ConnectionRecord {
  const [first = { epoch: Number.NaN, key: new Uint8Array(0) }, ...others] = message.accessKeys.map(
    ({ epoch, key }): AccessKey => ({ epoch: safeNumber(epoch), key }),
  );
  return {
    protocolVersion: message.protocolVersion,
    serverId: message.serverId,
    epoch: safeNumber(message.epoch),
    sequence: safeNumber(message.sequence),
    issuedAtMs: safeNumber(message.issuedAtMs),
    validUntilMs: safeNumber(message.validUntilMs),
    nextRotationMs: safeNumber(message.nextRotationMs),
    endpoints: message.endpoints.map(({ host, port, notBeforeMs, notAfterMs }) => ({
      host,
      port,
      notBeforeMs: safeNumber(notBeforeMs),
      notAfterMs: safeNumber(notAfterMs),
    })),
    channelKeys: message.channelKeys.map(({ publicKey, notAfterMs }) => ({
      publicKey,
      notAfterMs: safeNumber(notAfterMs),
    })),
    tlsPins: message.tlsPins,
    accessKeys: [first, ...others],
    nextIdentityHash: message.nextIdentityHash,
    suites: message.suites,
    stores: [],
  };
}

/** Name the first rule of the table, from `epoch` to `suites`, that a record breaks. NaN passes none of them. */
function brokenRule(record: ConnectionRecord, message: RecordMessage): string | undefined {
  const { epoch, sequence, issuedAtMs, nextRotationMs, validUntilMs } = record;
  if (!(epoch >= 1 && sequence >= 1)) return 'has an epoch or a sequence out of range';
  if (!(issuedAtMs < nextRotationMs && nextRotationMs <= validUntilMs)) return 'has times out of order';
  if (!isCount(record.endpoints, 1, ENDPOINTS_MAX) || !record.endpoints.every(isEndpoint)) {
    return 'has an endpoint out of range';
  }
  const keyUntil = validUntilMs + CHANNEL_KEY_MARGIN_MS;
  const isChannelKey = (key: ChannelKey): boolean =>
    key.publicKey.length === 32 && key.notAfterMs >= keyUntil;
  if (!isCount(record.channelKeys, 1, CHANNEL_KEYS_MAX) || !record.channelKeys.every(isChannelKey)) {
    return 'has a channel key out of range';
  }
  if (record.tlsPins.length > TLS_PINS_MAX || !record.tlsPins.every(pin => pin.length === 32)) {
    return 'has a TLS pin out of range';
  }
  const isAccessKey = (key: AccessKey): boolean => key.epoch >= 1 && key.key.length === 32;
  if (!isCount(message.accessKeys, 1, ACCESS_KEYS_MAX) || !record.accessKeys.every(isAccessKey)) {
    return 'has an access key out of range';
  }
  if (record.accessKeys[0].epoch !== epoch) return 'begins its access keys with another epoch';
  if (record.nextIdentityHash.length !== 32) return 'has a next_identity_hash that is not 32 bytes';
  return isCount(record.suites, 1, SUITES_MAX) ? undefined : 'has no suites, or too many';
}

function isEndpoint({ host, port, notBeforeMs, notAfterMs }: Endpoint): boolean {
  const isHost = host.length <= HOST_BYTES_MAX && HOST.test(host);
  return isHost && port >= 1 && port <= 65_535 && notBeforeMs < notAfterMs;
}

function isCount(list: readonly unknown[], min: number, max: number): boolean {
  return list.length >= min && list.length <= max;
}

function invalid(what: string): Fault {
  return fault('peer', ErrorCode.RECORD_INVALID, `the record ${what}`);
}

function unsupported(detail: string): Fault {
  return fault('peer', ErrorCode.VERSION_UNSUPPORTED, detail);
}
