/** One data directory, one owner: attach to the process that has it, or become it (spec/12-control.md). */
import { setMaxListeners } from 'node:events';
import { existsSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Suite } from '../crypto/suite.ts';
import { ControlProgram } from '../gen/clawchat/v1/control_pb.ts';
import { ErrorCode } from '../gen/clawchat/v1/error_pb.ts';
import { CONTROL_HELLO_MS_MAX, CONTROL_TAKEOVER_MS_MAX } from '../gen/constants.ts';
import { ClawChatError } from '../protocol/fault.ts';
import type { ControlOwner } from './control.ts';
import { attach, type ControlClient } from './control-client.ts';
import { attacherSocketPath, ownerSocketPath } from './control-path.ts';
import { type ControlIdentity, ControlServer } from './control-server.ts';
import { failure } from './failure.ts';
import type { Log } from './log.ts';
import { wrongDirectory } from './wrong-directory.ts';

/** What a program runs on a data directory that it owns. */
export interface Owner extends ControlOwner {
  /** Let go of the directory. */
  close(): Promise<void>;
}

/** A data directory and what to do with it. */
export interface DirectoryOptions {
  readonly directory: string;
  readonly identity: ControlIdentity;
  readonly suite: Suite;
  /**
   * Open the database and what runs on it.
   *
   * @throws ClawChatError `DIRECTORY_LOCKED` while another process has the database (`openStore` does).
   */
  readonly open: () => Promise<Owner>;
  /** Whether the owner would stay until it is stopped. */
  readonly resident?: boolean;
  readonly log?: Log;
  /** How long to try; `CONTROL_TAKEOVER_MS_MAX` if not given. */
  readonly timeoutMs?: number;
}

/**
 * What a command can work with: `either` to attach or own, `own` to own and nothing else, `attach` to attach and
 * nothing else.
 */
export type Wish = 'either' | 'own' | 'attach';

/** What came of it. */
export type Attachment =
  | { readonly kind: 'owned'; readonly owner: Owner; readonly server: ControlServer }
  | { readonly kind: 'attached'; readonly client: ControlClient };

/** The signal of whoever gave none. */
export const NEVER: AbortSignal = new AbortController().signal;
// Every request without a signal listens to it.
setMaxListeners(0, NEVER);
const BACKOFF_MS_MIN = 4;
const BACKOFF_MS_MAX = 120;

/**
 * Attach to the owner of a data directory, or become it: try one, then the other, until one works.
 *
 * @throws ClawChatError `DIRECTORY_LOCKED` when neither worked in time, or when `own` is asked and a resident has it;
 *   `OWNER_LOST` when `attach` is asked and there is no owner; the reason of an owner that refuses; what `open` throws;
 *   `CANCELLED`.
 * @impl CT-014~1
 */
export async function attachOrOwn(
  options: DirectoryOptions,
  wish: Wish = 'either',
  signal: AbortSignal = NEVER,
): Promise<Attachment> {
  const deadline = performance.now() + (options.timeoutMs ?? CONTROL_TAKEOVER_MS_MAX);
  for (let backoffMs = BACKOFF_MS_MIN; ; backoffMs = Math.min(backoffMs * 2, BACKOFF_MS_MAX)) {
    if (signal.aborted) throw cancelled();
    const client = await tryAttach(options, deadline - performance.now());
    if (client !== undefined && wish !== 'own') return { kind: 'attached', client };
    if (client?.welcome?.resident) {
      client.close();
      const which = `process ${client.welcome.pid}, version ${client.welcome.version}`;
      const how = isHost(options) ? '; to stop it: `clawchatd stop`' : '';
      throw failure(ErrorCode.DIRECTORY_LOCKED, `${options.directory} is already served (${which})${how}`);
    }
    client?.close(); // A command has it, and will soon be done.
    const owned = wish === 'attach' ? undefined : await tryOwn(options);
    if (owned !== undefined) return owned;
    // Uneven waits, so that those who lost one race do not meet again in the next.
    const waitMs = backoffMs * (0.5 + Math.random() / 2);
    if (performance.now() + waitMs >= deadline) throw nobody(options, wish);
    await sleep(waitMs, undefined, { signal }).catch(() => {}); // Cancelled: the next turn says so.
  }
}

async function tryAttach(options: DirectoryOptions, leftMs: number): Promise<ControlClient | undefined> {
  const path = await attacherSocketPath(options.directory);
  if (path === undefined) return undefined;
  const timeoutMs = Math.max(1, Math.min(CONTROL_HELLO_MS_MAX, leftMs));
  try {
    return await attach({ path, identity: options.identity, timeoutMs });
  } catch (error) {
    // To a hello that is the answer for the other program, and for nothing else (CT-021).
    const isOther = error instanceof ClawChatError && error.code === ErrorCode.USAGE;
    throw isOther ? wrongDirectory(options.directory, isHost(options) ? 'host' : 'client') : error;
  }
}

async function tryOwn(options: DirectoryOptions): Promise<Attachment | undefined> {
  let owner: Owner;
  try {
    owner = await options.open();
  } catch (error) {
    if (error instanceof ClawChatError && error.code === ErrorCode.DIRECTORY_LOCKED) return undefined;
    throw error;
  }
  const { identity, resident = false, log } = options;
  const server = new ControlServer({ identity, resident, owner, ...(log === undefined ? {} : { log }) });
  try {
    await server.listen(await ownerSocketPath(options.directory, options.suite));
    return { kind: 'owned', owner, server };
  } catch (error) {
    await owner.close();
    throw error;
  }
}

function isHost({ identity }: DirectoryOptions): boolean {
  return identity.program === ControlProgram.HOST;
}

function nobody(options: DirectoryOptions, wish: Wish): ClawChatError {
  const { directory } = options;
  if (wish === 'attach') {
    const start = isHost(options) ? '; to start it: `clawchatd`' : '';
    const how = existsSync(directory) ? start : ', and there is no such directory: --data names it';
    return failure(ErrorCode.OWNER_LOST, `nothing runs on ${directory}${how}`);
  }
  return failure(ErrorCode.DIRECTORY_LOCKED, `another process owns ${directory} and does not answer`);
}

/** What becomes of somebody who gave up waiting. */
export function cancelled(): ClawChatError {
  return failure(ErrorCode.CANCELLED, 'the request was cancelled');
}
