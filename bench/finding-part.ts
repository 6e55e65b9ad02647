/** Measures how long a device takes from knowing only its directory to a session, by what its stores do (bench/README.md). */
import { cpSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { emulateHttps } from '../conformance/emulators/https.ts';
import { STANDARD } from '../src/gen/constants.ts';
import { joinHost } from '../src/node/client/join-host.ts';
import { openClientOwner } from '../src/node/client-owner.ts';
import { SILENT_LOG } from '../src/node/log.ts';
import { askWithin } from '../src/node/owner-link.ts';
import { openServing } from '../src/node/serve-host.ts';
import { loopbackOptions } from '../src/node/testing/host-options.ts';
import { answer } from './child.ts';
import type { PrimitiveRequest } from './primitive-groups.ts';
import type { Measured } from './stats.ts';

const PATH = '/host.claw';
/** A device that always looks into its stores before it dials, as one does that has slept through a move. */
const LOOKS_FIRST = { ...STANDARD, READ_BEFORE_DIAL_MS: Number.MAX_SAFE_INTEGER };
const WARM_ROUNDS = 1;

/** How many stores, and how many of them are dead: one refuses, one says nothing. */
const CASES: readonly (readonly [string, number, number])[] = [
  ['one store', 1, 0],
  ['three stores', 3, 0],
  ['three stores, two of them dead', 3, 2],
];

async function finding({ rounds }: PrimitiveRequest): Promise<readonly Measured[]> {
  const root = mkdtempSync(join(tmpdir(), 'clawchat-bench-'));
  const rows: Measured[] = [];
  try {
    for (const [name, stores, dead] of CASES) {
      const ours = await measure(join(root, String(rows.length)), stores, dead, rounds);
      rows.push({ group: 'Finding the host', name: `from nothing to connected, ${name}`, unit: 'ms', ours });
    }
  } finally {
    rmSync(root, { recursive: true, force: true });
  }
  return rows;
}

async function measure(
  root: string,
  stores: number,
  dead: number,
  rounds: number,
): Promise<readonly number[]> {
  const webs = await Promise.all(Array.from({ length: stores }, emulateHttps));
  const configs = webs.map(web => {
    const address = `https://127.0.0.1:${web.port}${PATH}`;
    const pin = Buffer.from(web.pin).toString('hex');
    return { kind: 'https' as const, read: address, write: address, pin };
  });
  const serving = await openServing({ ...loopbackOptions(join(root, 'host')), stores: configs });
  const device = join(root, 'device');
  const times: number[] = [];
  try {
    await serving.ready;
    const made = await askWithin(serving.owner).call({
      case: 'invite',
      value: { name: 'device', lifeMs: 3_600_000n, bundle: false },
    });
    if (made.case !== 'invite') throw new Error('no invite');
    const about = { log: SILENT_LOG, constants: STANDARD, name: '', progress: () => {}, timeoutMs: 30_000 };
    const invite = new TextEncoder().encode(made.value.invite);
    await joinHost({ ...about, directory: device, invite });
    const [refusing, silent] = webs.slice(stores - dead);
    if (refusing !== undefined && dead > 0) await refusing.close();
    if (silent !== undefined && dead > 1) silent.fault = { kind: 'silent' };
    for (let round = -WARM_ROUNDS; round < rounds; round += 1) {
      const copy = join(root, `copy ${round}`);
      cpSync(device, copy, { recursive: true });
      const ms = await connect(copy);
      if (round >= 0) times.push(ms);
    }
  } finally {
    await serving.close();
    await Promise.all(webs.map(web => web.close().catch(() => undefined)));
  }
  return times;
}

async function connect(directory: string): Promise<number> {
  const startedAt = performance.now();
  const owner = await openClientOwner({ directory, constants: LOOKS_FIRST, log: SILENT_LOG });
  try {
    await new Promise<void>(resolve => {
      owner.onAttached = resolve;
      owner.driver.start();
    });
    return performance.now() - startedAt;
  } finally {
    await owner.close();
  }
}

answer({ finding });
