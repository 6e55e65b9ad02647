/** Replaces the identity of a host by the next one that its records have named. Chapter: spec/03-connection-file.md 3.2. */
import { ErrorCode } from '../../gen/clawchat/v1/error_pb.ts';
import { SUCCESSIONS_MAX } from '../../gen/constants.ts';
import type { HostIdentity } from '../../protocol/host-record.ts';
import { SECRET_BYTES } from '../../protocol/keys.ts';
import { makeSuccession } from '../../protocol/succession.ts';
import { failure } from '../failure.ts';
import { readSecretFile } from '../files.ts';
import { native } from '../native.ts';
import { HostCore } from './core.ts';
import { isNext, nextIdentityPath, prepareNextIdentity, settleNextIdentity } from './identity.ts';
import type { HostOptions } from './options.ts';
import { restarted } from './recover.ts';

/** What was done. */
export interface Succeeded {
  /** How many successions there are now, of at most `SUCCESSIONS_MAX`. */
  readonly index: number;
  readonly identity: Uint8Array;
  /** The first record of the new identity has at least this number. */
  readonly floor: number;
  /** Where the key behind the new one lies. */
  readonly nextKeyPath: string;
}

/**
 * Replace the identity by the key in `file`. Crash-proof: the key file behind it is settled by what the database says.
 *
 * @throws ClawChatError `USAGE` for a file that is not the next key, and for a full chain; `DIRECTORY_LOCKED` while a host
 *   runs.
 * @impl CF-015~1, CF-016~1
 */
export async function succeedHost(options: HostOptions, file: string): Promise<Succeeded> {
  const core = await HostCore.open(options);
  try {
    const { identity: old } = core;
    const newSeed = await readSecretFile(file, SECRET_BYTES);
    if (newSeed === undefined) throw failure(ErrorCode.USAGE, `there is no file ${file}`);
    if (!isNext(old, newSeed)) {
      const text = `${file} is not the key that this host has named as its next one; no other can follow`;
      throw failure(ErrorCode.USAGE, text);
    }
    if (old.successions.length >= SUCCESSIONS_MAX) {
      const text = `this identity was replaced ${SUCCESSIONS_MAX} times, which is as often as devices follow: begin a new host and invite anew`;
      throw failure(ErrorCode.USAGE, text);
    }
    const nextIdentityHash = await prepareNextIdentity(options.directory);
    const floor = core.known.sequence + 1;
    const succession = makeSuccession(native, {
      serverId: old.serverId,
      chain: old.successions,
      oldSeed: old.seed,
      newSeed,
      nextIdentityHash,
      sequenceFloor: floor,
    });
    const identity: HostIdentity = {
      seed: newSeed,
      publicKey: native.ed25519Public(newSeed),
      serverId: old.serverId,
      nextIdentityHash,
      successions: [...old.successions, succession],
    };
    await core.replace([], restarted(core, { sequence: 0, epoch: 0 }), identity);
    await settleNextIdentity(options.directory, identity);
    return {
      index: identity.successions.length,
      identity: identity.publicKey,
      floor,
      nextKeyPath: nextIdentityPath(options.directory),
    };
  } finally {
    await core.close();
  }
}
