/** How a command of `clawchatd` reaches the owner of its data directory. Chapter: spec/12-control.md. */
import { existsSync } from 'node:fs';
import { ControlProgram } from '../../gen/clawchat/v1/control_pb.ts';
import { openHostOwner } from '../host-owner.ts';
import type { Wish } from '../owner.ts';
import type { OwnerLink } from '../owner-link.ts';
import { type Call, usage } from './command-line.ts';
import { directoryOptions, withOwner } from './directory.ts';
import { hostOptions } from './host-options.ts';

/** How long a command that needs a host that runs looks for it: one that is only just starting may be there soon. */
const ATTACH_MS = 1500;

/** Work with the owner of the call's directory; `timeoutMs` is how long one that is there may take to answer. */
export async function reachHost<T>(
  call: Call,
  work: (link: OwnerLink) => Promise<T>,
  wish: Wish = 'either',
  timeoutMs?: number,
): Promise<T> {
  const options = await hostOptions(call);
  const open = (): ReturnType<typeof openHostOwner> => openHostOwner(options);
  const about = directoryOptions(ControlProgram.HOST, options.directory, options.log, open);
  const ms = timeoutMs ?? (wish === 'attach' ? ATTACH_MS : undefined);
  return withOwner(ms === undefined ? about : { ...about, timeoutMs: ms }, work, wish);
}

/**
 * The same for a directory that is there: to ask about a mistyped one would make a host in it.
 *
 * @throws ClawChatError `USAGE` when there is none.
 */
export async function reachExistingHost(call: Call, work: (link: OwnerLink) => Promise<void>): Promise<void> {
  const { directory } = await hostOptions(call);
  if (!existsSync(directory))
    throw usage(`there is no ${directory}: name the host's data directory with --data, or start it once`);
  await reachHost(call, work);
}
