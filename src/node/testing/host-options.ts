/** Options of a host on the loopback that says nothing, for tests and measurements. */
import { type Constants, STANDARD } from '../../gen/constants.ts';
import type { HostOptions } from '../host/options.ts';
import { SILENT_LOG } from '../log.ts';

/** Make them for a data directory; with nothing else said, the host moves, publishes into its directory, and asks nobody. */
export function loopbackOptions(directory: string, constants: Constants = STANDARD): HostOptions {
  return {
    directory,
    log: SILENT_LOG,
    constants,
    listen: '127.0.0.1',
    port: undefined,
    advertise: [],
    timeServer: undefined,
    intervalMs: constants.ROTATION_INTERVAL_MS,
    storePath: undefined,
    bench: false,
  };
}
