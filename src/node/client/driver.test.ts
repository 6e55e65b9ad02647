/** What a client tells its person when nobody answers, over a real port and a real store. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { STANDARD } from '../../gen/constants.ts';
import { sealFile } from '../../protocol/connection-file.ts';
import { parseEnvelope } from '../../protocol/envelope.ts';
import { codeName, isFault } from '../../protocol/fault.ts';
import { named, testEnvelope, testHost, testRecord } from '../../protocol/fixtures.ts';
import { acceptEnvelope, type Held, trusting } from '../../protocol/freshness.ts';
import type { Invite } from '../../protocol/invite.ts';
import type { Member } from '../../protocol/join.ts';
import { SILENT_LOG } from '../log.ts';
import { native } from '../native.ts';
import { ClientDriver } from './driver.ts';

const host = testHost(native, 'away');
const HOUR_MS = 3_600_000;

let directory = '';
let driver: ClientDriver | undefined;
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'clawchat-driver-'));
});
afterEach(async () => {
  await driver?.close();
  rmSync(directory, { recursive: true });
});

/** A port at which nobody listens. */
function closedPort(): Promise<number> {
  return new Promise(resolve => {
    const server = createServer().listen(0, '127.0.0.1', () => {
      const address = server.address();
      server.close(() => resolve(typeof address === 'object' ? (address?.port ?? 0) : 0));
    });
  });
}

/** A record by which a client reads its store before it dials; nobody answers there, and the store has it for others. */
async function abandoned(): Promise<Held> {
  const store = join(directory, 'connection.clawchat');
  const nowMs = Date.now();
  const valid = { notBeforeMs: nowMs - HOUR_MS, notAfterMs: nowMs + HOUR_MS };
  const { channelKeys } = testRecord(native, host);
  const record = testRecord(native, host, {
    issuedAtMs: nowMs - HOUR_MS,
    nextRotationMs: nowMs,
    validUntilMs: nowMs + HOUR_MS,
    endpoints: [{ host: '127.0.0.1', port: await closedPort(), ...valid }],
    channelKeys: channelKeys.map(key => ({ ...key, notAfterMs: nowMs + 31 * 24 * HOUR_MS })),
    stores: [{ kind: 'local', path: store }],
  });
  const bytes = testEnvelope(native, host, record);
  const file = sealFile(native, { envelope: bytes, recipients: [named(native, 'somebody else')] });
  const envelope = parseEnvelope(bytes);
  if (isFault(file) || isFault(envelope)) throw new Error('no file');
  writeFileSync(store, file);
  const accepted = acceptEnvelope(native, trusting(host.trust(0, false)), envelope, nowMs);
  if (accepted.kind !== 'accepted') throw new Error('the record is refused');
  return accepted.held;
}

function trouble(member: Member): Promise<string> {
  return new Promise((resolve, reject) => {
    const made = new ClientDriver(
      member,
      'chat.v1',
      STANDARD,
      {
        persist: async () => {},
        failed: reject,
        chat: () => ({ message: () => {}, writable: () => {}, closed: () => {} }),
        show: () => {},
        warn: () => {},
        declined: reject,
        trouble: (why, how) => resolve(`${how}: ${codeName(why.code)}`),
        attached: () => {},
        stopped: reject,
      },
      SILENT_LOG,
      {},
    );
    driver = made;
    made.start();
  });
}

// CT-045~4
test('a device for which every store has a foreign file is told so; one that was just let in waits for its file', async () => {
  const keys = {
    devicePrivateKey: named(native, 'device'),
    deviceSecret: named(native, 'secret'),
    name: 'ann',
  };
  const held = await abandoned();
  expect(await trouble({ stage: 'device', ...keys, held })).toBe('revoked: NOT_A_RECIPIENT');
  await driver?.close();
  const invite: Invite = {
    bytes: new Uint8Array(1),
    secret: named(native, 'invite'),
    trust: host.trust(0, false),
    expiresAtMs: Date.now() + HOUR_MS,
    stores: [],
  };
  expect(await trouble({ stage: 'granted', ...keys, invite, held })).toBe('dial: HOST_UNREACHABLE');
});
