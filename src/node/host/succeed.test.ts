/** What is durable when an identity was replaced, and what is not in force any more (spec/03-connection-file.md, 3.2). */
import { copyFileSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { INVITE_LIFE_MS, MINIMAL } from '../../gen/constants.ts';
import { isFault } from '../../protocol/fault.ts';
import type { HostIdentity } from '../../protocol/host-record.ts';
import { decodeRotation, ROTATION_KEY, type RotationState } from '../../protocol/rotation-storage.ts';
import { decodeIdentity, IDENTITY_KEY } from '../../protocol/storage.ts';
import { parseStatement } from '../../protocol/succession.ts';
import { native } from '../native.ts';
import { openServing } from '../serve-host.ts';
import { Store } from '../store.ts';
import { loopbackOptions } from '../testing/host-options.ts';
import { HostCore } from './core.ts';
import type { HostOptions } from './options.ts';
import { succeedHost } from './succeed.ts';

let root = '';

beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), 'clawchat-succeed-'));
});
afterEach(() => {
  vi.restoreAllMocks();
  rmSync(root, { recursive: true });
});

const options = (address = '127.0.0.1'): HostOptions => ({
  ...loopbackOptions(join(root, 'host'), MINIMAL),
  advertise: [address],
  intervalMs: MINIMAL.ROTATION_INTERVAL_MS_MAX,
  storePath: join(root, 'connection.claw'),
});

/**
 * Serve at an address until this record is in force, and give what is then in the database. With an invite there is
 * somebody beside the host whom its file is for.
 */
async function served(
  sequence: number,
  address?: string,
): Promise<{ readonly identity: HostIdentity; readonly rotation: RotationState }> {
  const serving = await openServing(options(address));
  await serving.ready;
  const reached = (): void =>
    expect(serving.moving()?.state.record?.sequence ?? 0).toBeGreaterThanOrEqual(sequence);
  await vi.waitFor(reached, 60_000);
  const value = { name: 'ann', lifeMs: BigInt(INVITE_LIFE_MS), bundle: false };
  await serving.owner.answer({ case: 'invite', value } as never, new AbortController().signal);
  await serving.close();
  const core = await HostCore.open(options());
  const { identity, rotation } = core;
  await core.close();
  if (rotation === undefined) throw new Error('nothing was served');
  return { identity, rotation };
}

test('one commit holds the new identity, its succession and the end of every epoch; records go on above (CF-015~1, CF-016~1)', async () => {
  await served(1);
  // Another address is another record, so that the floor is not the first one.
  const before = await served(2, '127.0.0.2');
  const sequence = before.rotation.journal.record?.sequence ?? 0;
  expect(sequence).toBeGreaterThan(1);
  expect(before.rotation.keys).not.toEqual([]);

  const key = join(root, 'next.key');
  copyFileSync(join(root, 'host', 'next-identity.key'), key);
  const commits: Parameters<Store['commit']>[0][] = [];
  const { commit } = Store.prototype;
  vi.spyOn(Store.prototype, 'commit').mockImplementation(function (this: Store, operations) {
    commits.push(operations);
    return commit.call(this, operations);
  });
  const { floor, identity: publicKey } = await succeedHost(options(), key);
  vi.restoreAllMocks();

  const touched = commits.map(all => all.map(operation => operation.key)).filter(keys => keys.length > 0);
  expect(touched.filter(keys => keys.includes(ROTATION_KEY) || keys.includes(IDENTITY_KEY))).toEqual([
    expect.arrayContaining([ROTATION_KEY, IDENTITY_KEY]),
  ]);
  const stored = (wanted: string): Uint8Array => {
    const found = commits.flat().find(operation => operation.key === wanted);
    return found?.kind === 'put' ? found.value : new Uint8Array(0);
  };
  const identity = decodeIdentity(native, stored(IDENTITY_KEY));
  if (isFault(identity)) throw new Error(identity.detail);
  const rotation = decodeRotation(native, identity, stored(ROTATION_KEY));
  if (isFault(rotation)) throw new Error(rotation.detail);
  expect(identity.publicKey).toEqual(publicKey);
  expect(identity.successions.map(parseStatement)).toMatchObject([
    {
      index: 1,
      oldIdentity: before.identity.publicKey,
      newIdentity: publicKey,
      nextIdentityHash: identity.nextIdentityHash,
      sequenceFloor: sequence + 1,
    },
  ]);
  expect(floor).toBe(sequence + 1);
  expect(rotation).toMatchObject({
    keys: [],
    payload: undefined,
    journal: { places: [], record: { sequence } },
  });

  const after = await served(sequence + 1);
  const { record } = after.rotation.journal;
  expect(after.identity.publicKey).toEqual(publicKey);
  expect(record?.sequence).toBe(sequence + 1);
  const ended = before.rotation.keys.map(({ accessKey }) => accessKey);
  const inForce = after.rotation.keys.map(({ accessKey }) => accessKey);
  expect(Math.min(...inForce.map(({ epoch }) => epoch))).toBeGreaterThan(
    Math.max(...ended.map(({ epoch }) => epoch)),
  );
  expect(inForce.filter(({ key: one }) => ended.some(other => native.equal(one, other.key)))).toEqual([]);
});
