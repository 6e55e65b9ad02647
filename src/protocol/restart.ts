/** Beginning anew with a higher sequence: behind a recovery and behind a succession (spec/07-discovery.md 7.6, spec/03-connection-file.md 3.2). */
import { ErrorCode } from '../gen/clawchat/v1/error_pb.ts';
import { SEQUENCE_MAX } from '../gen/constants.ts';
import type { HostChannelKeys } from './channel-keys.ts';
import { type Fault, fault } from './fault.ts';
import type { Journal } from './rotation-state.ts';
import type { RotationState } from './rotation-storage.ts';

/** What every later record and epoch is above. */
export interface Floor {
  readonly sequence: number;
  readonly epoch: number;
}

/**
 * Forget every place, key of an epoch and record, and go on above `floor`. Channel keys stay, because they outlive epochs.
 *
 * Faults: USAGE for a floor that leaves no room. @impl DI-062~1, DI-063~1, CF-015~1
 */
export function restartRotation(
  before: RotationState | undefined,
  channelKeys: HostChannelKeys,
  floor: Floor,
  wallMs: number,
): RotationState | Fault {
  const sequence = Math.max(floor.sequence, before?.journal.record?.sequence ?? 0);
  const epoch = Math.max(floor.epoch, sequence, before?.journal.epoch ?? 0);
  if (epoch >= SEQUENCE_MAX) return fault('self', ErrorCode.USAGE, `no sequence is left above ${epoch}`);
  const known = { issuedAtMs: 0, nextRotationMs: 0, validUntilMs: 0, ports: [], epochs: [] };
  const journal: Journal = {
    phase: 'resting',
    places: [],
    mappings: before?.journal.mappings ?? [],
    recentPorts: before?.journal.recentPorts ?? [],
    epoch,
    record: { sequence, epoch, ...known },
    rotationAtMs: 0,
    turnSequence: 0,
    isHurried: false,
    isRotationWanted: false,
    emergency: undefined,
    writtenAtMs: wallMs,
  };
  return { journal, keys: [], channelKeys, payload: undefined };
}
