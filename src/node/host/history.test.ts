/** The history of a host's moves: bounded, and not filled by what repeats itself (spec/06-rotation.md). */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { HISTORY_NOTES_MAX } from '../../gen/constants.ts';
import { native } from '../native.ts';
import { openStore, type Store } from '../store.ts';
import { History } from './history.ts';

let directory: string;
let store: Store;

async function open(): Promise<History> {
  store = await openStore({ directory, program: 'host', suite: native, passphrase: undefined });
  return History.open(store);
}

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'clawchat-history-'));
});
afterEach(async () => {
  await store.close();
  rmSync(directory, { recursive: true });
});

const told = (history: History): readonly string[] =>
  history.notes.map(({ what, detail, times }) => `${times} ${what} ${detail}`.trim());

describe('RT-127~2 the history of moves', () => {
  it('keeps what came before an outage of any length, across processes', async () => {
    const before = await open();
    before.add('started');
    before.add('rotated', { epoch: 2, port: 50_001 });
    before.add('retired', { epoch: 1, port: 50_000 });
    for (let hold = 1; hold <= HISTORY_NOTES_MAX; hold += 1) {
      before.add('held', { why: 'stores', rotationAtMs: hold });
      if (hold === 7) before.add('held', { why: 'clock', rotationAtMs: hold });
      before.add('port-refused', { port: hold });
    }
    const expected = [
      '1 started',
      '1 rotated epoch 2, port 50001',
      '1 retired epoch 1, port 50000',
      `512 held why stores, rotationAtMs 512`,
      '512 port-refused port 512',
      '1 held why clock, rotationAtMs 7',
    ];
    expect(told(before)).toEqual(expected);
    await before.flush();
    await store.close();
    const after = await open();
    expect(told(after)).toEqual(expected);
    expect(after.notes).toEqual(before.notes);
  });

  it('says when first and when last', async () => {
    const history = await open();
    const clock = vi.spyOn(Date, 'now');
    for (const now of [1000, 2000, 3000]) {
      clock.mockReturnValue(now);
      history.add('held', { why: 'stores', rotationAtMs: now });
    }
    clock.mockRestore();
    expect(history.notes).toMatchObject([{ atMs: 1000, lastAtMs: 3000, times: 3 }]);
    await history.flush();
    expect((await History.open(store)).notes).toEqual(history.notes);
  });

  it('is written without being asked, because a process can die at any time', async () => {
    const history = await open();
    history.add('rotated', { epoch: 2, port: 50_001 });
    await vi.waitFor(async () => expect((await History.open(store)).notes).toEqual(history.notes), 10_000);
  });

  it('tells what happened before a move from what happened behind it', async () => {
    const history = await open();
    for (const what of ['held', 'rotated', 'held', 'stopped', 'started', 'held', 'held'])
      history.add(what, what === 'held' ? { why: 'stores', rotationAtMs: 1 } : {});
    expect(history.notes.map(({ what, times }) => `${times} ${what}`)).toEqual([
      '1 held',
      '1 rotated',
      '1 held',
      '1 stopped',
      '1 started',
      '2 held',
    ]);
  });

  it('tells ports apart that people were told of', async () => {
    const history = await open();
    for (const port of [50_000, 50_001, 50_000]) history.add('port-back', { port });
    expect(told(history)).toEqual(['2 port-back port 50000', '1 port-back port 50001']);
  });

  it('is bounded by the oldest', async () => {
    const history = await open();
    for (let move = 0; move < HISTORY_NOTES_MAX + 3; move += 1) history.add('rotated', { epoch: move });
    expect(history.notes).toHaveLength(HISTORY_NOTES_MAX);
    expect(history.notes[0]?.detail).toBe('epoch 3');
  });
});
