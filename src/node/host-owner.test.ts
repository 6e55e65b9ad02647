/** What leaves a host and when: records behind their commit, invites behind their file. Real directories, ports and stores. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fromBinary } from '@bufbuild/protobuf';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { storeFailed } from '../discovery/store.ts';
import { ErrorCode } from '../gen/clawchat/v1/error_pb.ts';
import { StoredRotationSchema } from '../gen/clawchat/v1/storage_pb.ts';
import { INVITE_LIFE_MS, MINIMAL } from '../gen/constants.ts';
import { openFile } from '../protocol/connection-file.ts';
import { parseRecord } from '../protocol/connection-record.ts';
import { isFault } from '../protocol/fault.ts';
import { parseInviteInput } from '../protocol/invite.ts';
import { hostFileKey, inviteKeys, recordHash } from '../protocol/keys.ts';
import { ROTATION_KEY } from '../protocol/rotation-storage.ts';
import { decodeIdentity, IDENTITY_KEY } from '../protocol/storage.ts';
import type { RequestInit, ResponseInit } from './control.ts';
import type { HostOptions } from './host/options.ts';
import { openHostOwner } from './host-owner.ts';
import { native } from './native.ts';
import type { Owner } from './owner.ts';
import { openServing, type Serving } from './serve-host.ts';
import { openStore, Store } from './store.ts';
import { LocalStore } from './stores/local.ts';
import { loopbackOptions } from './testing/host-options.ts';

/** How long a commit takes: long enough that what does not wait for it is seen. */
const COMMIT_MS = 20;
const STORE_NAME = 'connection.clawchat';

interface Publication {
  readonly bytes: Uint8Array;
  /** Hashes of the payloads that were durable when it left. */
  readonly durable: ReadonlySet<string>;
}

let directory = '';
let published: Publication[] = [];
/** Awaited before a store is written; false: it refuses. */
let store: () => Promise<boolean> = async () => true;
const serving: Serving[] = [];

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'clawchat-owner-'));
  published = [];
  store = async () => true;
  const durable = new Set<string>();
  const { commit } = Store.prototype;
  vi.spyOn(Store.prototype, 'commit').mockImplementation(async function (this: Store, operations) {
    await sleep(COMMIT_MS);
    await commit.call(this, operations);
    for (const operation of operations) {
      if (operation.key !== ROTATION_KEY || operation.kind !== 'put') continue;
      durable.add(hashOf(fromBinary(StoredRotationSchema, operation.value).payload));
    }
  });
  const { publish } = LocalStore.prototype;
  vi.spyOn(LocalStore.prototype, 'publish').mockImplementation(async function (
    this: LocalStore,
    bytes,
    stop,
  ) {
    published.push({ bytes, durable: new Set(durable) });
    return (await store()) ? publish.call(this, bytes, stop) : storeFailed('refused', 'not now');
  });
});
afterEach(async () => {
  for (const one of serving.splice(0)) await one.close();
  vi.restoreAllMocks();
  rmSync(directory, { recursive: true });
});

const options = (): HostOptions => ({
  ...loopbackOptions(directory, MINIMAL),
  advertise: ['127.0.0.1'],
  intervalMs: MINIMAL.ROTATION_INTERVAL_MS_MAX,
  storePath: join(directory, STORE_NAME),
});

async function start(): Promise<Serving> {
  const made = await openServing(options());
  serving.push(made);
  await made.ready;
  return made;
}

async function stop(): Promise<void> {
  for (const one of serving.splice(0)) await one.close();
}

function ask(owner: Owner, request: RequestInit): Promise<ResponseInit> {
  return owner.answer(request as never, new AbortController().signal) as Promise<ResponseInit>;
}

async function invite(owner: Owner, bundle = false): Promise<ResponseInit & { case: 'invite' }> {
  const value = { name: 'ann', lifeMs: BigInt(INVITE_LIFE_MS), bundle };
  const answer = await ask(owner, { case: 'invite', value });
  if (answer.case !== 'invite') throw new Error('no invite');
  return answer;
}

function hashOf(payload: Uint8Array): string {
  return Buffer.from(recordHash(native, payload)).toString('hex');
}

/** The payload of a file, as somebody with this file key reads it. */
function payloadOf(file: Uint8Array, fileKey: Uint8Array): Uint8Array {
  const envelope = openFile(native, file, fileKey);
  if (isFault(envelope)) throw new Error(envelope.detail);
  return envelope.payload;
}

/** What was published, in order, once the host has ended: sequence and hash of the payload. */
async function records(): Promise<readonly { sequence: number; hash: string; durable: boolean }[]> {
  const database = await openStore({ directory, program: 'host', suite: native });
  const identity = decodeIdentity(native, (await database.get(IDENTITY_KEY)) ?? new Uint8Array(0));
  await database.close();
  if (isFault(identity)) throw new Error(identity.detail);
  return published.map(({ bytes, durable }) => {
    const payload = payloadOf(bytes, hostFileKey(native, identity.seed));
    const record = parseRecord(payload, identity.serverId);
    if (isFault(record)) throw new Error(record.detail);
    const hash = hashOf(payload);
    return { sequence: record.sequence, hash, durable: durable.has(hash) };
  });
}

describe('a record', () => {
  // CF-022~1, CF-023~1, CF-026~1: read back as the host itself
  test('leaves behind its commit; a new one has a higher sequence, the same one keeps it', async () => {
    const { owner } = await start();
    await invite(owner);
    await invite(owner);
    const before = published.length;
    await ask(owner, { case: 'rotate', value: {} });
    await vi.waitFor(() => expect(published.length).toBeGreaterThan(before), { timeout: 60_000 });
    await stop();
    await invite((await start()).owner);
    await stop();

    const all = await records();
    expect(all.filter(({ durable }) => !durable)).toEqual([]);
    // Each sealing of a payload bears its sequence: one hash to a sequence, and none goes back.
    const hashes = new Map(all.map(({ sequence, hash }) => [sequence, hash]));
    expect(all.every(({ sequence, hash }) => hashes.get(sequence) === hash)).toBe(true);
    const sequences = all.map(({ sequence }) => sequence);
    expect(sequences).toEqual(sequences.toSorted((a, b) => a - b));
    // Start and two invites; then the rotation.
    expect(sequences.slice(0, 4)).toEqual([1, 1, 1, 2]);
  });
});

// RT-116~1
test('the next move that status names is the one that was asked for', async () => {
  const { owner } = await start();
  const nextMove = async (): Promise<number> => {
    const answer = await ask(owner, { case: 'status', value: {} });
    if (answer.case !== 'hostStatus') throw new Error('no status');
    return Number(answer.value.nextRotationAtMs);
  };
  const half = Date.now() + MINIMAL.ROTATION_INTERVAL_MS_MAX / 2;
  expect(await nextMove()).toBeGreaterThan(half);
  // It is held until a store has the new address, so that nothing is over before this looks.
  store = async () => false;
  await ask(owner, { case: 'rotate', value: {} });
  expect(await nextMove()).toBeLessThan(half);
});

describe('an invite', () => {
  // CF-025~1
  test('is shown once the file with its stanza was read back', async () => {
    const { owner } = await start();
    let release = (): void => {};
    const held = new Promise<boolean>(resolve => {
      release = () => resolve(true);
    });
    store = () => held;
    const before = published.length;
    let shown = false;
    const asked = invite(owner).then(answer => {
      shown = true;
      return answer;
    });
    await vi.waitFor(() => expect(published.length).toBeGreaterThan(before), { timeout: 30_000 });
    await sleep(5 * COMMIT_MS);
    expect(shown).toBe(false);
    release();
    const { value } = await asked;
    expect(value).toMatchObject({ published: true });
    const parsed = parseInviteInput(native, Buffer.from(value.invite ?? ''));
    if (isFault(parsed)) throw new Error(parsed.detail);
    const { fileKey } = inviteKeys(native, parsed.invite.secret);
    expect(payloadOf(published.at(-1)?.bytes ?? new Uint8Array(0), fileKey).length).toBeGreaterThan(0);
  });

  // CF-025~1
  test('that no store shows is not shown, but in a bundle with its file', async () => {
    const { owner } = await start();
    store = async () => false;
    const [alone, bundled] = await Promise.allSettled([invite(owner), invite(owner, true)]);
    // IN-009~1: what nobody was shown is not open
    const left = await ask(owner, { case: 'invites', value: {} });
    expect(left).toMatchObject({ case: 'invites', value: { invites: [{ name: 'ann', bundled: true }] } });
    expect(alone).toMatchObject({
      status: 'rejected',
      reason: { code: ErrorCode.STORE_UNAVAILABLE, message: expect.stringContaining('--file') },
    });
    if (bundled.status === 'rejected') throw bundled.reason;
    const parsed = parseInviteInput(native, bundled.value.value.bundle ?? new Uint8Array(0));
    if (isFault(parsed) || parsed.connectionFile === undefined) throw new Error('no bundle');
    const { fileKey } = inviteKeys(native, parsed.invite.secret);
    expect(payloadOf(parsed.connectionFile, fileKey).length).toBeGreaterThan(0);
  });

  // CF-025~1
  test('that is made before the first start says when it works', async () => {
    const owner = await openHostOwner(options());
    try {
      const { value } = await invite(owner);
      expect(value).toMatchObject({
        published: false,
        warnings: expect.arrayContaining(['The invite works once the host has been started.']),
      });
      await expect(invite(owner, true)).rejects.toMatchObject({ code: ErrorCode.USAGE });
    } finally {
      await owner.close();
    }
  });
});
