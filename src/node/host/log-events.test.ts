/** What a host logs is true when it is logged: of publishing, and of whoever takes leave. */
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { connect } from '../../index.ts';
import { expectAnswer } from '../cli/directory.ts';
import { createLog } from '../log.ts';
import { askWithin } from '../owner-link.ts';
import { openServing, type Serving } from '../serve-host.ts';
import { loopbackOptions } from '../testing/host-options.ts';

interface Entry {
  readonly event: string;
  readonly sequence?: number;
  readonly code?: string;
  readonly why?: string;
}

const PATIENCE = { timeout: 60_000, interval: 20 };

let root: string;
let entries: Entry[];
let host: Serving;

const logged = (event: string): readonly Entry[] => entries.filter(entry => entry.event === event);

beforeEach(async () => {
  root = mkdtempSync(join(tmpdir(), 'clawchat-log-'));
  entries = [];
  const write = (line: string): void => void entries.push(JSON.parse(line));
  host = await openServing({
    ...loopbackOptions(join(root, 'host')),
    log: createLog({ level: 'debug', style: 'json', write, now: Date.now }),
    storePath: join(root, 'store', 'connection.clawchat'),
  });
  await host.ready;
});
afterEach(async () => {
  await host.close();
  rmSync(root, { recursive: true });
});

test('a record is published once a store has it, and not before', async () => {
  await vi.waitUntil(() => logged('store-failed').length > 0, PATIENCE);
  expect(logged('record-publishing')).toEqual([expect.objectContaining({ sequence: 1 })]);
  expect(logged('record-published')).toEqual([]);
  mkdirSync(join(root, 'store'));
  await vi.waitUntil(() => logged('record-published').length > 0, PATIENCE);
  expect(logged('record-published')).toEqual([expect.objectContaining({ sequence: 1 })]);
});

test('whoever takes leave is done, and nothing is said of a fault', async () => {
  mkdirSync(join(root, 'store'));
  const value = { name: 'Ann', lifeMs: 60_000n, bundle: true };
  const { call } = askWithin(host.owner);
  const { bundle } = expectAnswer(await call({ case: 'invite', value }), 'invite');
  const ann = await connect({ invite: bundle });
  await ann.send('hello');
  await ann.close();
  await vi.waitUntil(() => logged('path-closed').some(({ why }) => why !== ''), PATIENCE);
  expect(new Set(logged('path-closed').map(({ code }) => code))).toEqual(new Set(['DONE']));
});
