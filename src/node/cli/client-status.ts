/** Prints how a client stands, and what it measures. */

import { describeStanding } from '../../discovery/standing.ts';
import {
  type ControlBench,
  type ControlClientStatus,
  ControlLinkState,
} from '../../gen/clawchat/v1/control_pb.ts';
import { ErrorCode } from '../../gen/clawchat/v1/error_pb.ts';
import { codeName } from '../../protocol/fault.ts';
import type { StoreStanding } from '../client-owner.ts';
import { countText, endsText, hex, jsonLine, line } from './output.ts';
import { harmlessLine } from './terminal-text.ts';
import { typedCommand, withCommands } from './typed-command.ts';

const LINKS: ReadonlyMap<ControlLinkState, readonly [json: string, text: string]> = new Map([
  [ControlLinkState.IDLE, ['idle', 'not connected: nothing that needs the host runs here']],
  [ControlLinkState.CONNECTING, ['connecting', 'connecting']],
  [ControlLinkState.CONNECTED, ['connected', 'connected']],
  [ControlLinkState.WAITING, ['waiting', 'waiting to try again']],
]);

/** Bytes of a record's hash that people compare. */
const HASH_SHOWN = 8;

/** A store as JSON shows it. */
export function standingJson(store: StoreStanding): Readonly<Record<string, unknown>> {
  const { name, standing, sequence, detail, timesBehind, timesLying, timesFailed } = store;
  const times = { times_behind: timesBehind, times_lying: timesLying, times_failed: timesFailed };
  return { name, standing, sequence, detail, ...times };
}

/** A store as people see it. */
export function standingText({ name, standing, sequence, detail }: StoreStanding): string {
  return harmlessLine(describeStanding(name, { standing, sequence: Number(sequence), detail }));
}

/** Print it for people, or as one JSON value whose names are part of the interface. @impl DI-064~1 */
export function describeStatus(status: ControlClientStatus, json: boolean): void {
  const [link, linkText] = LINKS.get(status.link) ?? ['unknown', 'unknown'];
  const error = status.lastError === ErrorCode.UNSPECIFIED ? null : codeName(status.lastError);
  if (json) {
    jsonLine({
      joined: status.joined,
      server: status.serverId,
      device: status.deviceId,
      name: status.name,
      words: status.words,
      link,
      endpoint: status.endpoint,
      sequence: status.sequence,
      record_hash: status.recordHash,
      valid_until_ms: status.validUntilMs,
      unacknowledged: status.unacknowledged,
      cursor: status.cursor,
      last_error: error,
      last_error_detail: error === null ? null : status.lastErrorDetail,
      stores: status.stores.map(standingJson),
      situation: status.situation,
      warnings: status.warnings.map(warning => withCommands(warning)),
    });
    return;
  }
  if (!status.joined) {
    line(withCommands('Not joined: `clawchat join`'));
    return;
  }
  line(`name       ${harmlessLine(status.name)}`);
  line(`device     ${hex(status.deviceId)}`);
  line(`host       ${hex(status.serverId)}`);
  line(`words      ${harmlessLine(status.words)}`);
  line(`link       ${linkText}${status.endpoint === '' ? '' : ` (${status.endpoint})`}`);
  const hash = hex(status.recordHash.subarray(0, HASH_SHOWN));
  line(`record     number ${status.sequence}, hash ${hash}, ${endsText(status.validUntilMs, Date.now())}`);
  line(`waiting    ${countText(status.unacknowledged, 'message')} for the host's word`);
  const { lastErrorDetail: detail } = status;
  if (error !== null) line(`last error ${error}${detail === '' ? '' : `: ${harmlessLine(detail)}`}`);
  // A command that owns the directory only to answer reads no store.
  const isAsleep = status.link === ControlLinkState.IDLE;
  for (const store of status.stores) {
    const isUnread = isAsleep && store.standing === 'unknown';
    const text = `${harmlessLine(store.name)}: not read while nothing is connected; to read it: ${typedCommand('clawchat doctor')}`;
    line(`store      ${isUnread ? text : standingText(store)}`);
  }
  if (status.situation !== '') line(`so         ${status.situation}`);
  for (const warning of status.warnings) line(`warning    ${harmlessLine(withCommands(warning))}`);
}

/** Print how a bulk stream goes, or as one JSON value a line whose names are part of the interface. */
export function describeBench(bench: ControlBench, json: boolean): void {
  const { messages, bytes, elapsedMs, worstUs, done, digest } = bench;
  if (json) {
    const shown = done ? { digest } : {};
    jsonLine({ done, messages, bytes, elapsed_ms: elapsedMs, worst_delay_us: worstUs, ...shown });
    return;
  }
  const mebibytes = Number(bytes) / 2 ** 20;
  const rate = (mebibytes / Math.max(elapsedMs, 1)) * 1000;
  const delay = `longest wait for an answer ${(worstUs / 1000).toFixed(1)} ms`;
  line(
    `${mebibytes.toFixed(1)} MiB, ${rate.toFixed(1)} MiB/s, ${delay}${done ? '; all there, once and in order' : ''}`,
  );
}
