/** The way back for a host whose database is an old backup. Chapter: spec/07-discovery.md 7.6. */
import { ErrorCode } from '../../gen/clawchat/v1/error_pb.ts';
import { rollChannelKeys } from '../../protocol/channel-keys.ts';
import { parseRecord } from '../../protocol/connection-record.ts';
import { ClawChatError, isFault } from '../../protocol/fault.ts';
import type { RegisteredDevice, RegistryChange } from '../../protocol/registry.ts';
import { type Floor, restartRotation } from '../../protocol/restart.ts';
import type { RotationState } from '../../protocol/rotation-storage.ts';
import { failure } from '../failure.ts';
import { native } from '../native.ts';
import { HostCore } from './core.ts';
import type { HostOptions } from './options.ts';
import { answers, permit, type SurveyedStore } from './survey.ts';

/** What an operator sees before deciding. */
export interface RecoveryView {
  /** The newest record of the database; 0 for none. */
  readonly sequence: number;
  /** Records after the recovery are above this. */
  readonly above: number;
  readonly stores: readonly SurveyedStore[];
  readonly invites: number;
  /** Enrolled devices; pending ones are removed in any case. */
  readonly devices: readonly (RegisteredDevice & { readonly words: string })[];
}

/** What was done. */
export interface Recovered extends RecoveryView {
  readonly kept: readonly string[];
  readonly removed: readonly RegisteredDevice[];
}

/**
 * Recover: `choose` is shown what there is and gives the ids of the devices that the operator confirms. When it throws,
 * nothing has changed.
 *
 * @throws ClawChatError `USAGE` when the database is not old; `STORE_UNAVAILABLE` when nobody can tell and no number was
 *   given; `DIRECTORY_LOCKED` while a host runs.
 * @impl DI-061~1
 */
export async function recoverHost(
  options: HostOptions,
  above: number | undefined,
  choose: (view: RecoveryView) => Promise<ReadonlySet<string>>,
): Promise<Recovered> {
  const core = await HostCore.open(options);
  try {
    const stores = await core.survey();
    const floor = findFloor(core, stores, above);
    const { registry } = core.driver.server;
    const devices = [...registry.devices.values()].filter(({ pending }) => !pending);
    const view: RecoveryView = {
      sequence: core.known.sequence,
      above: floor.sequence,
      stores,
      invites: registry.invites.size,
      devices: devices.map(device => ({ ...device, words: core.words(device.publicKey) })),
    };
    const keep = await choose(view);
    const removed = [...registry.devices.values()].filter(({ id, pending }) => pending || !keep.has(id));
    const changes: RegistryChange[] = [
      ...[...registry.invites.keys()].map((id): RegistryChange => ({ kind: 'deleteInvite', id })),
      ...removed.map(({ id }): RegistryChange => ({ kind: 'deleteDevice', id })),
    ];
    await core.replace(changes, restarted(core, floor));
    const kept = devices.filter(({ id }) => keep.has(id)).map(({ id }) => id);
    return { ...view, kept, removed };
  } finally {
    await core.close();
  }
}

/** The rotation of this host with nothing of before in force. @throws ClawChatError `USAGE` */
export function restarted(core: HostCore, floor: Floor): RotationState {
  const wallMs = Date.now();
  const fresh = [native.randomBytes(32), native.randomBytes(32)] as const;
  const { constants } = core.options;
  const channelKeys =
    core.rotation?.channelKeys ?? rollChannelKeys(native, constants, undefined, fresh, wallMs);
  const state = restartRotation(core.rotation, channelKeys, floor, wallMs);
  if (isFault(state)) throw new ClawChatError(state);
  return state;
}

function findFloor(core: HostCore, stores: readonly SurveyedStore[], above: number | undefined): Floor {
  const { known } = core;
  let [sequence, epoch] = [above ?? 0, above ?? 0];
  for (const { verdict } of stores) {
    if (verdict.kind !== 'record') continue;
    sequence = Math.max(sequence, verdict.record.sequence);
    const record = parseRecord(verdict.record.envelope.payload, core.identity.serverId);
    if (!isFault(record)) epoch = Math.max(epoch, record.epoch);
  }
  if (permit(known, stores, Date.now()).kind === 'old' || sequence > known.sequence)
    return { sequence, epoch };
  if (!stores.some(answers)) {
    const text =
      'no store tells how old this database is: ask what record number "clawchat status" shows on the devices, and give the highest with --above';
    throw failure(ErrorCode.STORE_UNAVAILABLE, text);
  }
  const text = `no store is ahead of this database, which knows record ${known.sequence}: there is nothing to recover. If devices know a higher number ("clawchat status"), give the highest with --above`;
  throw failure(ErrorCode.USAGE, text);
}
