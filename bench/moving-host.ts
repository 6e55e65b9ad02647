/** A whole host with its database, stores and rotation, and that many devices (bench/README.md). */
import type { Constants } from '../src/gen/constants.ts';
import { HostCore } from '../src/node/host/core.ts';
import { Moving } from '../src/node/host/moving.ts';
import { native } from '../src/node/native.ts';
import { openStore } from '../src/node/store.ts';
import { loopbackOptions } from '../src/node/testing/host-options.ts';
import { registryOperations } from '../src/protocol/storage.ts';
import { device } from './cast.ts';
import { answer } from './child.ts';

/** What a device needs to find this host. */
export interface MovingHostPlace {
  readonly serverId: Uint8Array;
  readonly identity: Uint8Array;
  readonly nextIdentityHash: Uint8Array | undefined;
  readonly envelope: Uint8Array;
}

/** How it stands. */
export interface MovingHostState {
  readonly port: number;
  /** R, once it has passed. */
  readonly rotatedAtMs: number | undefined;
  readonly cpuUs: number;
  readonly rssBytes: number;
}

let core: HostCore | undefined;
let serving: Moving | undefined;

async function start(asked: {
  readonly directory: string;
  readonly constants: Constants;
  readonly devices: number;
}): Promise<MovingHostPlace> {
  const { directory, constants } = asked;
  const store = await openStore({ directory, program: 'host', suite: native });
  const devices = Array.from({ length: asked.devices }, (_, index) => device(index));
  await store.commit(registryOperations(devices.map(each => ({ kind: 'putDevice', device: each }))));
  await store.close();
  const options = loopbackOptions(directory, constants);
  core = await HostCore.open({ ...options, advertise: ['127.0.0.1'], bench: true });
  // All come from one address here, and a host counts by address.
  const { driver } = core;
  driver.accepts = () => driver.acceptsHop();
  serving = await Moving.open(core);
  const { serverId, publicKey: identity, nextIdentityHash } = core.identity;
  return { serverId, identity, nextIdentityHash, envelope: core.record?.envelope ?? new Uint8Array(0) };
}

answer({
  start,
  rotate: () => serving?.rotate(),
  state: (): MovingHostState => {
    const { user, system } = process.cpuUsage();
    return {
      port: serving?.port ?? 0,
      rotatedAtMs: core?.history.notes.find(({ what }) => what === 'rotated')?.atMs,
      cpuUs: user + system,
      rssBytes: process.memoryUsage.rss(),
    };
  },
});
