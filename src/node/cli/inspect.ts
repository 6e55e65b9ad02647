/** Prints an opened connection file under the names of the original plan. Chapter: spec/03-connection-file.md. */
import type { ConnectionRecord, Store } from '../../protocol/connection-record.ts';
import { parseRecord } from '../../protocol/connection-record.ts';
import { parseEnvelope } from '../../protocol/envelope.ts';
import { ClawChatError, isFault } from '../../protocol/fault.ts';
import { recordHash } from '../../protocol/keys.ts';
import { native } from '../native.ts';
import { fromNow, hex, jsonLine, line, timeText } from './output.ts';
import { harmlessLine } from './terminal-text.ts';

/** How to print it. */
export interface InspectOptions {
  readonly json: boolean;
  /** Print access keys instead of saying that they are hidden. */
  readonly showSecrets: boolean;
}

const FILE_VERSION = 1;
const HIDDEN = '(hidden)';

/** Print the exact bytes of a SignedEnvelope whose signature was verified. */
export function inspectText(envelopeBytes: Uint8Array, options: InspectOptions): void {
  const envelope = parseEnvelope(envelopeBytes);
  if (isFault(envelope)) throw new ClawChatError(envelope);
  const record = parseRecord(envelope.payload, undefined);
  if (isFault(record)) throw new ClawChatError(record);
  const hash = recordHash(native, envelope.payload);
  if (options.json) jsonLine(inspectJson(record, envelope.signature, hash, options.showSecrets));
  else inspectLines(record, envelope.signature, hash, options.showSecrets);
}

function inspectJson(
  record: ConnectionRecord,
  signature: Uint8Array,
  hash: Uint8Array,
  showSecrets: boolean,
): Readonly<Record<string, unknown>> {
  const [endpoint] = record.endpoints;
  const [accessKey] = record.accessKeys;
  return {
    version: FILE_VERSION,
    protocol_version: record.protocolVersion,
    server_id: record.serverId,
    ip: endpoint?.host,
    port: endpoint?.port,
    secret: showSecrets ? accessKey.key : HIDDEN,
    timestamp: record.issuedAtMs,
    valid_until: record.validUntilMs,
    next_rotation: record.nextRotationMs,
    signature,
    epoch: record.epoch,
    sequence: record.sequence,
    hash,
    endpoints: record.endpoints.map(({ host, port, notBeforeMs, notAfterMs }) => ({
      host,
      port,
      not_before: notBeforeMs,
      not_after: notAfterMs,
    })),
    channel_keys: record.channelKeys.map(({ publicKey, notAfterMs }) => ({
      public_key: publicKey,
      not_after: notAfterMs,
    })),
    tls_pins: record.tlsPins,
    access_keys: record.accessKeys.map(({ epoch, key }) => ({ epoch, key: showSecrets ? key : HIDDEN })),
    next_identity_hash: record.nextIdentityHash,
    suites: record.suites,
    stores: record.stores.map(storeName),
  };
}

function inspectLines(
  record: ConnectionRecord,
  signature: Uint8Array,
  hash: Uint8Array,
  showSecrets: boolean,
): void {
  const [endpoint] = record.endpoints;
  const [accessKey] = record.accessKeys;
  const at = (ms: number): string => `${ms}  ${timeText(ms)}, ${fromNow(ms, Date.now())}`;
  const rows: readonly (readonly [string, string | number])[] = [
    ['version', FILE_VERSION],
    ['protocol_version', record.protocolVersion],
    ['server_id', hex(record.serverId)],
    ['ip', harmlessLine(endpoint?.host ?? '')],
    ['port', endpoint?.port ?? 0],
    ['secret', showSecrets ? hex(accessKey.key) : `${HIDDEN}: an input of the gate, never a shared secret`],
    ['timestamp', at(record.issuedAtMs)],
    ['next_rotation', at(record.nextRotationMs)],
    ['valid_until', at(record.validUntilMs)],
    ['signature', `${hex(signature)}  Ed25519, verified`],
    ['epoch', record.epoch],
    ['sequence', record.sequence],
    ['hash', hex(hash)],
    ...record.endpoints.map(({ host, port }): [string, string] => [
      'endpoint',
      `${harmlessLine(host)} ${port}`,
    ]),
    ...record.channelKeys.map((key): [string, string] => [
      'channel_key',
      `${hex(key.publicKey)}  until ${timeText(key.notAfterMs)}`,
    ]),
    ...record.tlsPins.map((pin): [string, string] => ['tls_pin', hex(pin)]),
    ['next_identity_hash', hex(record.nextIdentityHash)],
    ['suites', record.suites.join(' ')],
    ...record.stores.map((store): [string, string] => ['store', harmlessLine(storeName(store))]),
  ];
  for (const [name, value] of rows) line(`${name.padEnd(19)}${value}`);
}

function storeName(store: Store): string {
  switch (store.kind) {
    case 'local':
      return `file ${store.path}`;
    case 'https':
      return store.readUrl;
    case 'mega':
      return `mega ${store.folderLink}`;
  }
}
