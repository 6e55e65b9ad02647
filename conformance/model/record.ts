/** Reading a signed envelope: chain, signature, record, sequence, clock (spec/03-connection-file.md, 3.2, 3.3, 3.5 and steps 5 to 9 of 3.4). */
import {
  type ConnectionRecord,
  ConnectionRecordSchema,
  type SignedEnvelope,
  SignedEnvelopeSchema,
  type Succession,
  type SuccessionStatement,
  SuccessionStatementSchema,
} from '../../src/gen/clawchat/v1/connection_file_pb.ts';
import * as constants from '../../src/gen/constants.ts';
import { equal } from './bytes.ts';
import { ENVELOPE_BYTES_MAX, openFile } from './connection-file.ts';
import { nextIdentityHash, recordHash, signedRecord, signedSuccession } from './labels.ts';
import { ed25519Verify } from './primitives.ts';
import { decode } from './protobuf.ts';
import { demand, Refusal } from './refusal.ts';
import { brokenStoreRule } from './stores.ts';

/** What a client holds before it reads. */
export interface Reader {
  readonly fileKey: Uint8Array;
  readonly identity: Uint8Array;
  readonly serverId: Uint8Array;
  /** Undefined for a client that was invited and has no record yet. */
  readonly nextIdentityHash: Uint8Array | undefined;
  /** The highest record that it has accepted. */
  readonly highest: { readonly sequence: bigint; readonly hash: Uint8Array } | undefined;
}

/** What it holds afterwards. */
export interface Accepted {
  readonly payload: Uint8Array;
  readonly record: ConnectionRecord;
  readonly hash: Uint8Array;
  /** The key that signed. */
  readonly identity: Uint8Array;
  /** How many successions were followed. */
  readonly followed: number;
  /** True when every channel key is expired: CLOCK_SUSPECT, but accepted. */
  readonly clockSuspect: boolean;
}

/** Read a whole file. */
export function readFile(file: Uint8Array, reader: Reader, nowMs: number): Accepted {
  return readEnvelope(openFile(file, reader.fileKey), reader, nowMs);
}

/** Read an envelope: of a file, a notice or an enrolment reply. */
export function readEnvelope(bytes: Uint8Array, reader: Reader, nowMs: number): Accepted {
  demand(bytes.length <= ENVELOPE_BYTES_MAX, 'FILE_MALFORMED', 'step 5: envelope too long');
  const envelope = decode(SignedEnvelopeSchema, bytes);
  demand(envelope !== undefined, 'FILE_MALFORMED', 'step 5: envelope');
  demand(envelope.payload.length > 0, 'FILE_MALFORMED', 'step 5: payload');
  demand(envelope.signature.length === 64, 'FILE_MALFORMED', 'step 5: signature');
  const chain = followChain(envelope, reader);
  const valid = ed25519Verify(chain.identity, signedRecord(envelope.payload), envelope.signature);
  demand(valid, 'SIGNATURE_INVALID', 'step 6: signature');
  const record = judgeRecord(envelope.payload, reader.serverId);
  const next = chain.followed > 0 ? chain.nextIdentityHash : reader.nextIdentityHash;
  demand(
    next === undefined || equal(next, record.nextIdentityHash),
    'SUCCESSION_INVALID',
    'step 7: another next identity',
  );
  const hash = recordHash(envelope.payload);
  demand(record.sequence >= chain.floor, 'RECORD_ROLLBACK', 'step 8: below the floor');
  const highest = chain.followed > 0 ? undefined : reader.highest;
  if (highest !== undefined) {
    demand(record.sequence >= highest.sequence, 'RECORD_ROLLBACK', 'step 8: below the highest');
    const equivocation = record.sequence === highest.sequence && !equal(hash, highest.hash);
    demand(!equivocation, 'RECORD_EQUIVOCATION', 'step 8: another record of that sequence');
  }
  return {
    payload: envelope.payload,
    record,
    hash,
    identity: chain.identity,
    followed: chain.followed,
    clockSuspect: allExpired(record, nowMs),
  };
}

/** CF-041~1: the clock is the later of the system's and the record's. */
function allExpired(record: ConnectionRecord, nowMs: number): boolean {
  const clock = BigInt(nowMs) > record.issuedAtMs ? BigInt(nowMs) : record.issuedAtMs;
  return record.channelKeys.every(key => clock > key.notAfterMs);
}

interface Chain {
  /** The key that has to have signed the record. */
  readonly identity: Uint8Array;
  readonly followed: number;
  readonly nextIdentityHash: Uint8Array | undefined;
  readonly floor: bigint;
}

/** Step 6: CF-010~2, CF-011~1. */
function followChain({ successions }: SignedEnvelope, reader: Reader): Chain {
  demand(successions.length <= constants.SUCCESSIONS_MAX, 'SUCCESSION_INVALID', 'step 6: too many');
  const chain = successions.map((one, i) => ({ ...one, says: judgeStatement(one, i + 1) }));
  const last = chain.at(-1)?.says;
  const untouched = { identity: reader.identity, followed: 0, nextIdentityHash: undefined };
  if (last === undefined) return { ...untouched, floor: 0n };
  const first = chain.findIndex(({ says }) => equal(says.oldIdentity, reader.identity));
  if (first < 0) {
    demand(equal(last.newIdentity, reader.identity), 'SUCCESSION_INVALID', 'step 6: another chain');
    return { ...untouched, floor: last.sequenceFloor };
  }
  let identity = reader.identity;
  let next = reader.nextIdentityHash;
  for (const { says, statement, oldSignature, newSignature } of chain.slice(first)) {
    demand(equal(says.serverId, reader.serverId), 'SUCCESSION_INVALID', 'step 6: another host');
    demand(equal(says.oldIdentity, identity), 'SUCCESSION_INVALID', 'step 6: a link is missing');
    const expected = next === undefined || equal(nextIdentityHash(says.newIdentity), next);
    demand(expected, 'SUCCESSION_INVALID', 'step 6: not the next identity');
    const signed = signedSuccession(statement);
    const both =
      ed25519Verify(says.oldIdentity, signed, oldSignature) &&
      ed25519Verify(says.newIdentity, signed, newSignature);
    demand(both, 'SUCCESSION_INVALID', 'step 6: signature of a statement');
    identity = says.newIdentity;
    next = says.nextIdentityHash;
  }
  return { identity, followed: chain.length - first, nextIdentityHash: next, floor: last.sequenceFloor };
}

/** What holds for every statement, also for those in front of the one that the client begins with. */
function judgeStatement(one: Succession, place: number): SuccessionStatement {
  const says = decode(SuccessionStatementSchema, one.statement);
  const refuse = (what: string): never => {
    throw new Refusal('SUCCESSION_INVALID', `step 6: ${what} of statement ${place}`);
  };
  if (says === undefined) return refuse('encoding');
  if (one.oldSignature.length !== 64 || one.newSignature.length !== 64) return refuse('signatures');
  if (says.index !== place) return refuse('index');
  const keys = [says.serverId, says.oldIdentity, says.newIdentity, says.nextIdentityHash];
  if (keys.some(key => key.length !== 32)) return refuse('a length');
  return says.sequenceFloor <= BigInt(constants.SEQUENCE_MAX) ? says : refuse('sequence_floor');
}

const LIMIT = BigInt(constants.SEQUENCE_MAX);
const within = (value: bigint, from: bigint): boolean => value >= from && value <= LIMIT;
const counted = (list: readonly unknown[], from: number, to: number): boolean =>
  list.length >= from && list.length <= to;

/** Step 7: the table of 3.3, from top to bottom. */
function judgeRecord(payload: Uint8Array, serverId: Uint8Array): ConnectionRecord {
  const record = decode(ConnectionRecordSchema, payload);
  demand(record !== undefined, 'RECORD_INVALID', 'step 7: encoding');
  const rule = (holds: boolean, name: string): void => demand(holds, 'RECORD_INVALID', `step 7: ${name}`);
  demand(record.protocolVersion === 1, 'VERSION_UNSUPPORTED', 'step 7: protocol_version');
  demand(equal(record.serverId, serverId), 'SERVER_MISMATCH', 'step 7: server_id');
  rule(within(record.epoch, 1n), 'epoch');
  rule(within(record.sequence, 1n), 'sequence');
  const { issuedAtMs, nextRotationMs, validUntilMs } = record;
  rule(
    [issuedAtMs, nextRotationMs, validUntilMs].every(time => within(time, 0n)),
    'times',
  );
  rule(issuedAtMs < nextRotationMs && nextRotationMs <= validUntilMs, 'order of times');
  rule(counted(record.endpoints, 1, constants.ENDPOINTS_MAX), 'endpoints');
  for (const one of record.endpoints) {
    rule(
      one.host.length <= constants.HOST_BYTES_MAX && /^[A-Za-z0-9.:_%-]+$/.test(one.host),
      'endpoint host',
    );
    rule(one.port >= 1 && one.port <= 65_535, 'endpoint port');
    rule(within(one.notAfterMs, 0n) && one.notBeforeMs < one.notAfterMs, 'endpoint times');
  }
  rule(counted(record.channelKeys, 1, constants.CHANNEL_KEYS_MAX), 'channel_keys');
  const keyEnd = validUntilMs + BigInt(constants.CHANNEL_KEY_MARGIN_MS);
  for (const one of record.channelKeys) {
    rule(one.publicKey.length === 32, 'channel key');
    rule(within(one.notAfterMs, keyEnd), 'end of channel key');
  }
  rule(counted(record.tlsPins, 0, constants.TLS_PINS_MAX), 'tls_pins');
  rule(
    record.tlsPins.every(pin => pin.length === 32),
    'tls pin',
  );
  rule(counted(record.accessKeys, 1, constants.ACCESS_KEYS_MAX), 'access_keys');
  for (const one of record.accessKeys) {
    rule(within(one.epoch, 1n) && one.key.length === 32, 'access key');
  }
  rule(record.accessKeys[0]?.epoch === record.epoch, 'epoch of the first access key');
  rule(record.nextIdentityHash.length === 32, 'next_identity_hash');
  rule(counted(record.suites, 1, constants.SUITES_MAX), 'suites');
  demand(record.suites.includes(1), 'VERSION_UNSUPPORTED', 'step 7: suites');
  const broken = brokenStoreRule(record.stores);
  rule(broken === undefined, broken ?? '');
  return record;
}
