/** Asks the owner of a data directory from within the test, which is faster than a command for each question. */
import type { ControlProgram } from '../../src/gen/clawchat/v1/control_pb.ts';
import type { RequestInit, ResponseBody } from '../../src/node/control.ts';
import { attach, type ControlClient } from '../../src/node/control-client.ts';
import { attacherSocketPath } from '../../src/node/control-path.ts';
import { SCHEMA_VERSION } from '../../src/node/store.ts';
import { PATIENCE_MS } from './programs.ts';

async function attachTo(directory: string, program: ControlProgram): Promise<ControlClient | undefined> {
  const path = await attacherSocketPath(directory);
  if (path === undefined) return undefined;
  const identity = { program, version: 'test', schema: SCHEMA_VERSION };
  return attach({ path, identity, timeoutMs: PATIENCE_MS });
}

/** Name the process that owns a data directory; undefined when there is none. */
export async function ownerOf(directory: string, program: ControlProgram): Promise<number | undefined> {
  const client = await attachTo(directory, program);
  client?.close();
  return client?.welcome?.pid;
}

/** Ask the owner of a data directory; undefined when there is none. */
export async function askOwner(
  directory: string,
  program: ControlProgram,
  request: RequestInit,
): Promise<ResponseBody | undefined> {
  const client = await attachTo(directory, program);
  try {
    return await client?.call(request);
  } finally {
    client?.close();
  }
}
