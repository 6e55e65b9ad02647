/** Groups that need no network, each in a process of its own (bench/README.md). */
import { Child } from './child.ts';
import type { Group, Settings, Show } from './settings.ts';
import type { Measured } from './stats.ts';

/** What those processes are asked. */
export interface PrimitiveRequest {
  readonly rounds: number;
  readonly effort: number;
}

/** A heap that handshakes have churned makes every cipher object dearer: a process for each group. */
async function measureIn(part: string, method: string, settings: Settings, show: Show): Promise<void> {
  const { built, rounds, effort } = settings;
  const child = new Child(`${built}/${part}.js`, part);
  try {
    const request: PrimitiveRequest = { rounds, effort };
    show(await child.ask<readonly Measured[]>(method, request));
  } finally {
    await child.end();
  }
}

export const records: Group = {
  name: 'records',
  about: 'a record against the bare cipher; the largest messages on both backends',
  measure: (settings, show) => measureIn('primitives', 'records', settings, show),
};

export const handshakes: Group = {
  name: 'handshakes',
  about: 'a handshake against the DHs and keys that it cannot avoid; the gate refusing a token',
  measure: (settings, show) => measureIn('primitives', 'handshakes', settings, show),
};

export const files: Group = {
  name: 'files',
  about: 'connection files for 1, 100 and 1,000 recipients, on both backends',
  measure: (settings, show) => measureIn('primitives', 'files', settings, show),
};

export const finding: Group = {
  name: 'finding',
  about: 'a device that knows only its directory finds its host: one store, three, three with two dead ones',
  parts: ['finding-part'],
  measure: (settings, show) => measureIn('finding-part', 'finding', settings, show),
};

export const peers: Group = {
  name: 'peers',
  about: 'handshake and message beside noise-handshake, libsignal and matrix-sdk-crypto-wasm',
  parts: ['peers'],
  measure: async (settings, show) => {
    if (settings.hasPeers) await measureIn('peers', 'measure', settings, show);
  },
};
