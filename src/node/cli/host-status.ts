/** Prints how a host stands. */
import type { ControlHostStatus } from '../../gen/clawchat/v1/control_pb.ts';
import { ErrorCode } from '../../gen/clawchat/v1/error_pb.ts';
import { codeName } from '../../protocol/fault.ts';
import { fromNow, hex, jsonLine, line } from './output.ts';

/** Print it for people, or as one JSON value whose names are part of the interface. */
export function describeHost(status: ControlHostStatus, json: boolean): void {
  const stores = status.stores.map(store => ({
    name: store.name,
    error: store.code === ErrorCode.UNSPECIFIED ? null : codeName(store.code),
    verified_sequence: store.verifiedSequence,
    verified_at_ms: store.verifiedAtMs,
  }));
  if (json) {
    jsonLine({
      server: status.serverId,
      serving: status.serving,
      started_at_ms: status.startedAtMs,
      epoch: status.epoch,
      sequence: status.sequence,
      port: status.port,
      addresses: status.addresses,
      next_rotation_ms: status.nextRotationAtMs,
      valid_until_ms: status.validUntilMs,
      devices: status.devices,
      connected: status.connected,
      invites: status.invites,
      stores,
      next_identity_exported: status.nextIdentityExported,
      warnings: status.warnings,
    });
    return;
  }
  const now = Date.now();
  line(`host       ${hex(status.serverId)}`);
  line(
    `serving    ${status.serving ? `on port ${status.port}, since ${fromNow(status.startedAtMs, now)}` : 'no'}`,
  );
  if (status.addresses.length > 0) line(`addresses  ${status.addresses.join(', ')}`);
  line(
    `record     number ${status.sequence}, epoch ${status.epoch}, renews ${fromNow(status.nextRotationAtMs, now)}`,
  );
  line(`devices    ${status.devices}, ${status.connected} connected; ${status.invites} invites open`);
  for (const store of stores) {
    const state = store.error ?? `verified ${fromNow(store.verified_at_ms, now)}`;
    line(`store      ${store.name}: ${state}`);
  }
  for (const warning of status.warnings) line(`warning    ${warning}`);
}
