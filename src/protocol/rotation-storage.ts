/** The rotation's journal with the keys and the record it speaks of, as one stored value (spec/06-rotation.md, 6.5). */
import { create, toBinary } from '@bufbuild/protobuf';
import type { Suite } from '../crypto/suite.ts';
import { ErrorCode } from '../gen/clawchat/v1/error_pb.ts';
import {
  type StoredChannelKey,
  type StoredEmergency,
  type StoredEpochKeys,
  StoredPhase,
  type StoredPlace,
  type StoredRecordPlan,
  StoredRole,
  type StoredRotation,
  StoredRotationSchema,
} from '../gen/clawchat/v1/storage_pb.ts';
import { safeNumber, tryParse } from '../wire/parse.ts';
import type { HostChannelKey, HostChannelKeys } from './channel-keys.ts';
import { parseRecord } from './connection-record.ts';
import { type Fault, fault, isFault } from './fault.ts';
import type { EpochKeys, HostIdentity } from './host-record.ts';
import type { Journal, Place, RecordPlan } from './rotation-state.ts';

/** Host: key of the rotation's journal, the record and the keys behind it. */
export const ROTATION_KEY = 'rotation';

/** All that a host needs to go on with its rotation. */
export interface RotationState {
  readonly journal: Journal;
  readonly keys: readonly EpochKeys[];
  readonly channelKeys: HostChannelKeys;
  /** The exact bytes of the current record; undefined before the first. */
  readonly payload: Uint8Array | undefined;
}

const PHASES: Readonly<Record<Journal['phase'], StoredPhase>> = {
  resting: StoredPhase.RESTING,
  preparing: StoredPhase.PREPARING,
  publishing: StoredPhase.PUBLISHING,
  verified: StoredPhase.VERIFIED,
  grace: StoredPhase.GRACE,
  emergency: StoredPhase.EMERGENCY,
};
const ROLES: Readonly<Record<Place['role'], StoredRole>> = {
  primary: StoredRole.PRIMARY,
  next: StoredRole.NEXT,
  old: StoredRole.OLD,
};

/** Encode the whole state. @impl CF-022~1 */
export function encodeRotation({ journal, keys, channelKeys, payload }: RotationState): Uint8Array {
  const { record, emergency } = journal;
  return toBinary(
    StoredRotationSchema,
    create(StoredRotationSchema, {
      phase: PHASES[journal.phase],
      places: journal.places.map(({ epoch, port, role, listedUntilMs }) => ({
        epoch: BigInt(epoch),
        port,
        role: ROLES[role],
        listedUntilMs: BigInt(listedUntilMs),
      })),
      mappings: [...journal.mappings],
      recentPorts: [...journal.recentPorts],
      epoch: BigInt(journal.epoch),
      ...(record === undefined ? {} : { record: planMessage(record) }),
      rotationAtMs: BigInt(journal.rotationAtMs),
      turnSequence: BigInt(journal.turnSequence),
      hurried: journal.isHurried,
      rotationWanted: journal.isRotationWanted,
      ...(emergency === undefined
        ? {}
        : {
            emergency: {
              atMs: BigInt(emergency.atMs),
              epoch: BigInt(emergency.epoch),
              hard: emergency.isHard,
              again: emergency.again !== undefined,
              againHard: emergency.again === 'hard',
            },
          }),
      writtenAtMs: BigInt(journal.writtenAtMs),
      keys: keys.map(({ accessKey, tlsKey }) => ({
        accessKey: { epoch: BigInt(accessKey.epoch), key: accessKey.key },
        tlsKey,
      })),
      channelKeys: channelKeys.map(({ privateKey, currentAtMs, notAfterMs }) => ({
        privateKey,
        currentAtMs: BigInt(currentAtMs),
        notAfterMs: BigInt(notAfterMs),
      })),
      ...(payload === undefined ? {} : { payload }),
    }),
  );
}

function planMessage(plan: RecordPlan): {
  sequence: bigint;
  epoch: bigint;
  issuedAtMs: bigint;
  nextRotationMs: bigint;
  validUntilMs: bigint;
  ports: { port: number; notBeforeMs: bigint; notAfterMs: bigint }[];
  epochs: bigint[];
} {
  return {
    sequence: BigInt(plan.sequence),
    epoch: BigInt(plan.epoch),
    issuedAtMs: BigInt(plan.issuedAtMs),
    nextRotationMs: BigInt(plan.nextRotationMs),
    validUntilMs: BigInt(plan.validUntilMs),
    ports: plan.ports.map(({ port, notBeforeMs, notAfterMs }) => ({
      port,
      notBeforeMs: BigInt(notBeforeMs),
      notAfterMs: BigInt(notAfterMs),
    })),
    epochs: plan.epochs.map(BigInt),
  };
}

/** Decode it. Faults: STORE_DAMAGED. */
export function decodeRotation(
  suite: Suite,
  identity: HostIdentity,
  value: Uint8Array,
): RotationState | Fault {
  const stored = tryParse(StoredRotationSchema, value);
  const journal = stored === undefined ? undefined : decodeJournal(stored);
  const keys = stored?.keys.map(decodeKeys);
  const channelKeys = stored === undefined ? undefined : decodeChannelKeys(suite, stored.channelKeys);
  if (stored === undefined || journal === undefined || keys === undefined || channelKeys === undefined) {
    return damaged();
  }
  const known = keys.filter(key => key !== undefined);
  if (known.length !== keys.length) return damaged();
  const payload = stored.payload.length === 0 ? undefined : stored.payload;
  if (payload !== undefined && isFault(parseRecord(payload, identity.serverId))) return damaged();
  return { journal, keys: known, channelKeys, payload };
}

function decodeJournal(stored: StoredRotation): Journal | undefined {
  const phase = keyOf(PHASES, stored.phase);
  const places = stored.places.map(decodePlace);
  const known = places.filter(place => place !== undefined);
  if (phase === undefined || known.length !== places.length) return undefined;
  const { emergency, record } = stored;
  return {
    phase,
    places: known,
    mappings: stored.mappings,
    recentPorts: stored.recentPorts,
    epoch: safeNumber(stored.epoch),
    record: record === undefined ? undefined : decodePlan(record),
    rotationAtMs: safeNumber(stored.rotationAtMs),
    turnSequence: safeNumber(stored.turnSequence),
    isHurried: stored.hurried,
    isRotationWanted: stored.rotationWanted,
    emergency:
      emergency === undefined
        ? undefined
        : {
            atMs: safeNumber(emergency.atMs),
            epoch: safeNumber(emergency.epoch),
            isHard: emergency.hard,
            again: againOf(emergency),
          },
    writtenAtMs: safeNumber(stored.writtenAtMs),
  };
}

function againOf({ again, againHard }: StoredEmergency): 'soft' | 'hard' | undefined {
  if (!again) return undefined;
  return againHard ? 'hard' : 'soft';
}

function decodePlace({
  epoch,
  port,
  role,
  listedUntilMs,
}: StoredPlace): Journal['places'][number] | undefined {
  const known = keyOf(ROLES, role);
  if (known === undefined) return undefined;
  return { epoch: safeNumber(epoch), port, role: known, listedUntilMs: safeNumber(listedUntilMs) };
}

function decodePlan(stored: StoredRecordPlan): RecordPlan {
  return {
    sequence: safeNumber(stored.sequence),
    epoch: safeNumber(stored.epoch),
    issuedAtMs: safeNumber(stored.issuedAtMs),
    nextRotationMs: safeNumber(stored.nextRotationMs),
    validUntilMs: safeNumber(stored.validUntilMs),
    ports: stored.ports.map(({ port, notBeforeMs, notAfterMs }) => ({
      port,
      notBeforeMs: safeNumber(notBeforeMs),
      notAfterMs: safeNumber(notAfterMs),
    })),
    epochs: stored.epochs.map(safeNumber),
  };
}

function decodeKeys({ accessKey, tlsKey }: StoredEpochKeys): EpochKeys | undefined {
  if (accessKey === undefined || accessKey.key.length !== 32 || tlsKey === undefined) return undefined;
  const { pkcs8, certificate, spkiPin } = tlsKey;
  return {
    accessKey: { epoch: safeNumber(accessKey.epoch), key: accessKey.key },
    tlsKey: { pkcs8, certificate, spkiPin },
  };
}

function decodeChannelKeys(suite: Suite, stored: readonly StoredChannelKey[]): HostChannelKeys | undefined {
  const keys: HostChannelKey[] = [];
  for (const { privateKey, currentAtMs, notAfterMs } of stored) {
    if (privateKey.length !== 32) return undefined;
    keys.push({
      privateKey,
      publicKey: suite.x25519Public(privateKey),
      currentAtMs: safeNumber(currentAtMs),
      notAfterMs: safeNumber(notAfterMs),
    });
  }
  const [current, next, ...old] = keys;
  return current === undefined || next === undefined ? undefined : [current, next, ...old];
}

function keyOf<K extends string, V>(of: Readonly<Record<K, V>>, value: V): K | undefined {
  for (const key in of) if (of[key] === value) return key;
  return undefined;
}

function damaged(): Fault {
  const detail = `the stored value "${ROTATION_KEY}" cannot be read: restore a backup`;
  return fault('self', ErrorCode.STORE_DAMAGED, detail);
}
