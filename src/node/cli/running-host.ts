/** Asks the host that runs on a directory what it was started with. Chapter: spec/12-control.md. */
import { ControlProgram } from '../../gen/clawchat/v1/control_pb.ts';
import { ErrorCode } from '../../gen/clawchat/v1/error_pb.ts';
import { CONTROL_HELLO_MS_MAX } from '../../gen/constants.ts';
import { ClawChatError } from '../../protocol/fault.ts';
import type { ShownSetting } from '../config/setting.ts';
import { attach } from '../control-client.ts';
import { attacherSocketPath } from '../control-path.ts';
import { SCHEMA_VERSION } from '../store.ts';
import { VERSION } from '../version.ts';
import { expectAnswer } from './directory.ts';

/** A host that runs. */
export interface RunningHost {
  readonly pid: number;
  /** The configuration file that it read; undefined for none. */
  readonly file: string | undefined;
  /** Empty when it does not tell: a program that runs a host within itself, or an earlier version. */
  readonly settings: readonly ShownSetting[];
}

/**
 * Find the host that serves a directory; undefined when none does. Nothing is opened or made.
 *
 * @throws ClawChatError with the owner's reason when it refuses
 */
export async function runningHost(directory: string): Promise<RunningHost | undefined> {
  const path = await attacherSocketPath(directory);
  if (path === undefined) return undefined;
  const identity = { program: ControlProgram.HOST, version: VERSION, schema: SCHEMA_VERSION };
  const client = await attach({ path, identity, timeoutMs: CONTROL_HELLO_MS_MAX });
  try {
    if (client?.welcome?.resident !== true) return undefined;
    const { pid } = client.welcome;
    try {
      const told = expectAnswer(await client.call({ case: 'settings', value: {} }), 'settings');
      return { pid, file: told.file === '' ? undefined : told.file, settings: told.settings };
    } catch (error) {
      if (!(error instanceof ClawChatError) || error.code !== ErrorCode.USAGE) throw error;
      return { pid, file: undefined, settings: [] };
    }
  } finally {
    client?.close();
  }
}
