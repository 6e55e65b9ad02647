/** Records, envelopes, successions and files for the vectors. */
import { create, type MessageInitShape, toBinary } from '@bufbuild/protobuf';
import {
  type ConnectionRecord,
  ConnectionRecordSchema,
  SuccessionStatementSchema,
} from '../../src/gen/clawchat/v1/connection_file_pb.ts';
import { STANZA_BYTES } from '../../src/gen/constants.ts';
import { concat, hex, stream } from './bytes.ts';
import * as cast from './cast.ts';
import { type SealedFile, sealFile } from './connection-file.ts';
import { nextIdentityHash, signedRecord, signedSuccession } from './labels.ts';
import { ed25519Sign } from './primitives.ts';
import { lengthField } from './protobuf.ts';
import { HTTPS, shownStore } from './samples.ts';
import type { Json, JsonObject } from './vector.ts';

type RecordFields = Partial<MessageInitShape<typeof ConnectionRecordSchema>>;

const EPOCH = 494_000;
export const SEQUENCE = 77;
export const ISSUED_MS: number = cast.NOW_MS - 60_000;
export const NEXT_ROTATION_MS: number = ISSUED_MS + 3_720_000;
export const VALID_UNTIL_MS: number = NEXT_ROTATION_MS + 300_000;
export const KEY_ENDS_MS: number = VALID_UNTIL_MS + 20 * 86_400_000;

export const endpoint = (
  host = '192.0.2.10',
  port = 50_123,
): NonNullable<RecordFields['endpoints']>[number] => ({
  host,
  port,
  notBeforeMs: BigInt(ISSUED_MS - 120_000),
  notAfterMs: BigInt(VALID_UNTIL_MS),
});

const BASE: RecordFields = {
  protocolVersion: 1,
  serverId: cast.SERVER_ID,
  epoch: BigInt(EPOCH),
  sequence: BigInt(SEQUENCE),
  issuedAtMs: BigInt(ISSUED_MS),
  nextRotationMs: BigInt(NEXT_ROTATION_MS),
  validUntilMs: BigInt(VALID_UNTIL_MS),
  endpoints: [endpoint()],
  channelKeys: [{ publicKey: cast.channel(0).publicKey, notAfterMs: BigInt(KEY_ENDS_MS) }],
  tlsPins: [stream('tls pin 0', 32)],
  accessKeys: [{ epoch: BigInt(EPOCH), key: cast.accessKey(EPOCH) }],
  nextIdentityHash: cast.NEXT_IDENTITY_HASH,
  suites: [1],
  stores: [HTTPS],
};

/** Encode the record of the vectors, with other values for some of its fields. */
export function payload(other: RecordFields = {}): Uint8Array {
  const fields = { ...BASE, ...other } as MessageInitShape<typeof ConnectionRecordSchema>;
  return toBinary(ConnectionRecordSchema, create(ConnectionRecordSchema, fields));
}

export type { RecordFields };

/** The smallest record that says where a host is. */
export const SMALL: RecordFields = { tlsPins: [], stores: [] };

/** Sign a payload and put it into an envelope, with successions in front of it. */
export function envelope(
  bytes: Uint8Array,
  signer: cast.Identity = cast.identity(0),
  successions: readonly Uint8Array[] = [],
): Uint8Array {
  const signature = ed25519Sign(signer.secret, signedRecord(bytes));
  return concat(
    lengthField(1, bytes),
    lengthField(2, signature),
    ...successions.map(one => lengthField(3, one)),
  );
}

type StatementFields = Partial<MessageInitShape<typeof SuccessionStatementSchema>>;

/** The statement by which identity `index - 1` is followed by identity `index`. */
export function statement(index: number, other: StatementFields = {}): Uint8Array {
  const fields = {
    serverId: cast.SERVER_ID,
    index,
    oldIdentity: cast.identity(index - 1).publicKey,
    newIdentity: cast.identity(index).publicKey,
    nextIdentityHash: nextIdentityHash(cast.identity(index + 1).publicKey),
    sequenceFloor: BigInt(10 * index),
    ...other,
  } as MessageInitShape<typeof SuccessionStatementSchema>;
  return toBinary(SuccessionStatementSchema, create(SuccessionStatementSchema, fields));
}

/** A succession: a statement signed by both. */
export function succession(
  index: number,
  other: StatementFields = {},
  by: readonly [cast.Identity, cast.Identity] = [cast.identity(index - 1), cast.identity(index)],
): Uint8Array {
  return signStatement(statement(index, other), by);
}

/** Sign any bytes as a statement. */
export function signStatement(bytes: Uint8Array, by: readonly [cast.Identity, cast.Identity]): Uint8Array {
  const [old, young] = by.map(one => ed25519Sign(one.secret, signedSuccession(bytes)));
  if (old === undefined || young === undefined) throw new Error('two signers');
  return concat(lengthField(1, bytes), lengthField(2, old), lengthField(3, young));
}

/** The chain up to an identity. */
export const chain = (length: number): Uint8Array[] => Array.from({ length }, (_, i) => succession(i + 1));

export const SALT: Uint8Array = stream('file salt', 32);
export const CONTENT_KEY: Uint8Array = stream('content key', 32);

/** The i-th stanza of a filling. */
export const filling =
  (name: string) =>
  (i: number): Uint8Array =>
    stream(name, STANZA_BYTES, i * STANZA_BYTES);

/** Where the vectors put the recipients' stanzas: spread evenly, the first ones last. */
export const spread =
  (recipients: number) =>
  (count: number): readonly number[] =>
    Array.from({ length: recipients }, (_, i) => count - 1 - Math.floor((i * count) / recipients));

/** Seal for some members, and for others whose stanzas are not shown. */
export function sealed(bytes: Uint8Array, fileKeys: readonly Uint8Array[], others = 0): SealedFile {
  const places = spread(fileKeys.length);
  const common = { envelope: bytes, salt: SALT, contentKey: CONTENT_KEY, filler: filling('filling') };
  return sealFile({ ...common, fileKeys, others, places });
}

/** A record as a vector shows it. */
export function shownRecord(record: ConnectionRecord): JsonObject {
  return {
    protocol_version: record.protocolVersion,
    server_id: hex(record.serverId),
    epoch: Number(record.epoch),
    sequence: Number(record.sequence),
    issued_at_ms: Number(record.issuedAtMs),
    valid_until_ms: Number(record.validUntilMs),
    next_rotation_ms: Number(record.nextRotationMs),
    endpoints: record.endpoints.map(
      (one): Json => ({
        host: one.host,
        port: one.port,
        not_before_ms: Number(one.notBeforeMs),
        not_after_ms: Number(one.notAfterMs),
      }),
    ),
    channel_keys: record.channelKeys.map(
      (one): Json => ({ public_key: hex(one.publicKey), not_after_ms: Number(one.notAfterMs) }),
    ),
    tls_pins: record.tlsPins.map(hex),
    access_keys: record.accessKeys.map((one): Json => ({ epoch: Number(one.epoch), key: hex(one.key) })),
    next_identity_hash: hex(record.nextIdentityHash),
    suites: record.suites,
    stores: record.stores.map(shownStore),
  };
}
