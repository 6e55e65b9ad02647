/** Prints how a client stands. */
import { type ControlClientStatus, ControlLinkState } from '../../gen/clawchat/v1/control_pb.ts';
import { ErrorCode } from '../../gen/clawchat/v1/error_pb.ts';
import { codeName } from '../../protocol/fault.ts';
import { fromNow, hex, jsonLine, line } from './output.ts';
import { harmlessLine } from './terminal-text.ts';

const LINKS: ReadonlyMap<ControlLinkState, readonly [json: string, text: string]> = new Map([
  [ControlLinkState.IDLE, ['idle', 'idle']],
  [ControlLinkState.CONNECTING, ['connecting', 'connecting']],
  [ControlLinkState.CONNECTED, ['connected', 'connected']],
  [ControlLinkState.WAITING, ['waiting', 'waiting to try again']],
]);

/** Print it for people, or as one JSON value whose names are part of the interface. */
export function describeStatus(status: ControlClientStatus, json: boolean): void {
  const [link, linkText] = LINKS.get(status.link) ?? ['unknown', 'unknown'];
  const error = status.lastError === ErrorCode.UNSPECIFIED ? null : codeName(status.lastError);
  if (json) {
    jsonLine({
      joined: status.joined,
      server: status.serverId,
      device: status.deviceId,
      name: status.name,
      link,
      endpoint: status.endpoint,
      sequence: status.sequence,
      valid_until_ms: status.validUntilMs,
      unacknowledged: status.unacknowledged,
      cursor: status.cursor,
      last_error: error,
      warnings: status.warnings,
    });
    return;
  }
  if (!status.joined) {
    line('Not joined: clawchat join');
    return;
  }
  line(`name       ${harmlessLine(status.name)}`);
  line(`device     ${hex(status.deviceId)}`);
  line(`host       ${hex(status.serverId)}`);
  line(`link       ${linkText}${status.endpoint === '' ? '' : ` (${status.endpoint})`}`);
  line(`record     number ${status.sequence}, promised until ${fromNow(status.validUntilMs, Date.now())}`);
  line(`waiting    ${status.unacknowledged} messages for the host's word`);
  if (error !== null) line(`last error ${error}`);
  for (const warning of status.warnings) line(`warning    ${warning}`);
}
