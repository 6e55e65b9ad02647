import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { INVITE_LIFE_MS, PATH_DEAD_MS } from '../../gen/constants.ts';
import { LOOK_MS } from '../../services/chat/people.ts';
import { connect } from '../api/connect.ts';
import type { RequestInit, ResponseInit } from '../control.ts';
import { SILENT_LOG } from '../log.ts';
import { openServing } from '../serve-host.ts';
import { loopbackOptions } from '../testing/host-options.ts';
import { HostCore } from './core.ts';

let directory = '';

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'clawchat-core-'));
});
afterEach(() => {
  vi.useRealTimers();
  vi.restoreAllMocks();
  rmSync(directory, { recursive: true });
});

test('an open host looks every few seconds who has had no path for too long (CH-059~1)', async () => {
  vi.useFakeTimers({ toFake: ['setInterval', 'clearInterval'] });
  const core = await HostCore.open(loopbackOptions(directory));
  try {
    const { people } = core.chat;
    const [device, person, deviceName, name] = ['aa'.repeat(16), 'aa'.repeat(16), 'phone', 'Ann'];
    people.arrive({ device, person, deviceName, name, tell: () => {}, whisper: () => {} });
    const asked = vi.spyOn(core.driver.server.sessions, 'pathlessMs');
    const isOnlineAfter = (pathlessMs: number): boolean => {
      asked.mockReturnValue(pathlessMs);
      vi.advanceTimersByTime(LOOK_MS);
      return people.isOnline(person);
    };
    expect([0, PATH_DEAD_MS - 1, PATH_DEAD_MS, PATH_DEAD_MS + 1, 0].map(isOnlineAfter)).toEqual([
      true,
      true,
      false,
      false,
      true,
    ]);
    expect(asked).toHaveBeenCalledWith(device, expect.any(Number));
    expect(LOOK_MS).toBeLessThanOrEqual(5000);
  } finally {
    await core.close();
  }
  expect(vi.getTimerCount()).toBe(0);
});

test('a host says in its log which words whoever joined was shown (EN-040~1)', async () => {
  const info = vi.fn();
  const serving = await openServing({ ...loopbackOptions(directory), log: { ...SILENT_LOG, info } });
  try {
    await serving.ready;
    const ask = async (request: RequestInit): Promise<ResponseInit> =>
      (await serving.owner.answer(request as never, new AbortController().signal)) as ResponseInit;
    const value = { name: 'Ann', lifeMs: BigInt(INVITE_LIFE_MS), bundle: true };
    const made = await ask({ case: 'invite', value });
    const file = made.case === 'invite' ? made.value.bundle : undefined;
    if (file === undefined) throw new Error('no bundle');
    const ann = await connect({ invite: file });
    const { device } = await ann.status();
    await ann.close();
    const listed = await ask({ case: 'devices', value: {} });
    const [entry] = listed.case === 'devices' ? (listed.value.devices ?? []) : [];
    expect(entry?.words).toMatch(/^[a-z]{5}(?:-[a-z]{5}){3}$/);
    expect(info).toHaveBeenCalledWith('device-enrolled', { device, name: 'Ann', words: entry?.words });
  } finally {
    await serving.close();
  }
});
