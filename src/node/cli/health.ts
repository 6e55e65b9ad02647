/** Whether a host is well, in one line: for supervisors, and as the first line of `status`. docs/operations.md. */
import type { ControlHostStatus } from '../../gen/clawchat/v1/control_pb.ts';
import { ErrorCode } from '../../gen/clawchat/v1/error_pb.ts';
import { fromNow, movesText } from './output.ts';
import { troubleOf } from './store-trouble.ts';
import { withCommands } from './typed-command.ts';

/** What is thought of a host. */
export interface Health {
  /** False when a restart or an operator is needed. */
  readonly well: boolean;
  readonly text: string;
}

/**
 * Judge. A store that fails is said and is not enough: people inside stay, the host goes on trying, and a restart would
 * not help.
 */
export function judgeHealth(status: ControlHostStatus, nowMs: number): Health {
  if (!status.serving)
    return { well: false, text: withCommands('no host runs on this directory; to start it: `clawchatd`') };
  const open = status.places.filter(place => place.open);
  if (open.length === 0) return { well: false, text: `port ${status.port} is not open` };
  if (Number(status.validUntilMs) <= nowMs)
    return {
      well: false,
      text: `what people know of its address ended ${fromNow(status.validUntilMs, nowMs)}`,
    };
  const failing = status.stores.filter(({ code }) => code !== ErrorCode.UNSPECIFIED);
  const stores =
    failing.length === 0
      ? `${status.stores.length} of ${status.stores.length} stores answer`
      : `${failing.length} of ${status.stores.length} stores fail (${failing.map(troubleOf).join(', ')})`;
  const moves = movesText(status.nextRotationAtMs, nowMs);
  const text = `port ${status.port}, ${moves}, ${status.connected} of ${status.devices} devices here, ${stores}`;
  return { well: true, text };
}
