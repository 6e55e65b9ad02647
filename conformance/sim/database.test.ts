/** One body of behaviour over every database, and what a crash may do to the one that can crash. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterAll, describe, expect, test } from 'vitest';
import { native } from '../../src/node/native.ts';
import { openStore } from '../../src/node/store.ts';
import {
  type Database,
  GroupCommit,
  numberKey,
  prefixRange,
  type Range,
} from '../../src/runtime/database.ts';
import { UsageError } from '../../src/wire/usage-error.ts';
import { Crash, CrashDatabase, type Death } from './crash-database.ts';

const root = mkdtempSync(join(tmpdir(), 'clawchat-database-'));
afterAll(() => rmSync(root, { recursive: true, force: true }));

/** A database that can be closed and opened again. */
interface Subject {
  readonly open: () => Promise<Database>;
}

let directories = 0;

const SUBJECTS: Readonly<Record<string, () => Subject>> = {
  'the store on disk': () => {
    directories += 1;
    const directory = join(root, String(directories));
    return { open: () => openStore({ directory, program: 'host', suite: native }) };
  },
  'the crash database': () => {
    let last: CrashDatabase | undefined;
    return {
      open: async () => {
        last = new CrashDatabase(last === undefined ? {} : { bytes: last.syncedBytes });
        return last;
      },
    };
  },
};

const bytes = (...values: number[]): Uint8Array => Uint8Array.from(values);
const put = (key: string, ...values: number[]) => ({ kind: 'put', key, value: bytes(...values) }) as const;
const remove = (key: string) => ({ kind: 'delete', key }) as const;
const keysOf = async (database: Database, range: Range): Promise<string[]> =>
  (await database.range(range)).map(entry => entry.key);

describe.each(Object.entries(SUBJECTS))('%s', (_, make) => {
  test('gives back what was committed, also after reopening', async () => {
    const { open } = make();
    const first = await open();
    expect(await first.get('a')).toBeUndefined();
    await first.commit([put('a', 1), put('b', 2), put('empty')]);
    await first.commit([put('a', 3), remove('b'), remove('never-there')]);
    await first.close();
    const second = await open();
    expect(await second.get('a')).toEqual(bytes(3));
    expect(await second.get('b')).toBeUndefined();
    expect(await second.get('empty')).toEqual(bytes());
    await second.close();
  });

  test('keeps the last operation of a commit on one key', async () => {
    const database = await make().open();
    await database.commit([put('a', 1), remove('a'), put('a', 2), put('b', 1), remove('b')]);
    expect(await database.get('a')).toEqual(bytes(2));
    expect(await database.get('b')).toBeUndefined();
    await database.close();
  });

  test('orders keys by their bytes and numbers by their value', async () => {
    const database = await make().open();
    const numbers = [0, 9, 10, 255, 256, 2 ** 32, 2 ** 53 - 1];
    await database.commit([...numbers].reverse().map(n => put(`n/${numberKey(n)}`, 1)));
    await database.commit([put('n', 1), put('n0', 1), put('m~', 1), put('N', 1), put('~', 1), put('"', 1)]);
    expect(await keysOf(database, prefixRange('n/'))).toEqual(numbers.map(n => `n/${numberKey(n)}`));
    const all = await keysOf(database, {});
    expect(all).toEqual([...all].sort());
    expect(all).toHaveLength(numbers.length + 6);
    await database.close();
  });

  test('reads any range either way, as a sorted list would', async () => {
    const database = await make().open();
    const key = fc.string({ unit: fc.constantFrom('a', 'b', '~', '"'), minLength: 1, maxLength: 3 });
    const bound = fc.option(key, { nil: undefined });
    let nonEmpty = 0;
    const model = new Set<string>();
    const range = fc.record({ gte: bound, lt: bound, reverse: fc.boolean(), limit: fc.nat(5) });
    await fc.assert(
      fc.asyncProperty(
        fc.array(key, { maxLength: 4 }),
        fc.array(key, { maxLength: 2 }),
        range,
        async (add, drop, r) => {
          for (const one of add) model.add(one);
          for (const one of drop) model.delete(one);
          await database.commit([...add.map(one => put(one, one.length)), ...drop.map(remove)]);
          const { gte, lt } = r;
          const asked = { ...r, ...(gte === undefined ? {} : { gte }), ...(lt === undefined ? {} : { lt }) };
          const sorted = [...model].sort().filter(k => (gte ?? '') <= k && k < (lt ?? '\x7f'));
          if (r.reverse) sorted.reverse();
          const expected = sorted.slice(0, r.limit);
          nonEmpty += expected.length > 0 ? 1 : 0;
          expect(await keysOf(database, asked as Range)).toEqual(expected);
        },
      ),
      { numRuns: 150 },
    );
    expect(nonEmpty).toBeGreaterThan(30);
    await database.close();
  });

  test('copies values at the door', async () => {
    const database = await make().open();
    const mine = bytes(1, 2, 3);
    const committed = database.commit([{ kind: 'put', key: 'a', value: mine }]);
    mine.fill(9);
    await committed;
    const read = await database.get('a');
    read?.fill(8);
    expect(await database.get('a')).toEqual(bytes(1, 2, 3));
    const [entry] = await database.range({});
    entry?.value.fill(8);
    expect(await database.get('a')).toEqual(bytes(1, 2, 3));
    await database.close();
  });

  test('makes commits durable in the order of the calls', async () => {
    const database = await make().open();
    const order: number[] = [];
    const commits = Array.from({ length: 50 }, (_, i) =>
      database.commit([put('a', i)]).then(() => {
        order.push(i);
      }),
    );
    commits.push(database.commit([]).then(() => void order.push(50)));
    await Promise.all(commits);
    expect(order).toEqual(Array.from({ length: 51 }, (_, i) => i));
    expect(await database.get('a')).toEqual(bytes(49));
    await database.close();
  });

  test('finishes what was requested before it closes, and takes nothing after', async () => {
    const { open } = make();
    const database = await open();
    const committed = database.commit([put('a', 1)]);
    const closed = database.close();
    await expect(database.commit([put('a', 2)])).rejects.toThrow('closed');
    await committed;
    await closed;
    await database.close();
    await expect(database.get('a')).rejects.toThrow('closed');
    const again = await open();
    expect(await again.get('a')).toEqual(bytes(1));
    await again.close();
  });

  test.each(['', '!schema', 'a b', 'ä', 'a\x7f', 'x'.repeat(257)])('refuses the key %j', async key => {
    const database = await make().open();
    await expect(database.get(key)).rejects.toThrow(UsageError);
    await expect((async () => await database.commit([put('fine', 1), put(key, 1)]))()).rejects.toThrow(
      UsageError,
    );
    expect(await database.get('fine')).toBeUndefined();
    await database.close();
  });

  test('refuses a range that reaches below the first key', async () => {
    const database = await make().open();
    await expect(database.range({ gte: '!' })).rejects.toThrow(UsageError);
    await database.close();
  });
});

describe('group commit', () => {
  test('shares one write in one turn and while a write runs, and keeps the order', async () => {
    const groups: number[][] = [];
    let finish: (() => void) | undefined;
    const group = new GroupCommit<number>(
      items => {
        groups.push([...items]);
        return new Promise(resolve => {
          finish = resolve;
        });
      },
      callback => void setImmediate(callback),
    );
    const turn = (): Promise<void> => new Promise(resolve => setImmediate(() => setImmediate(resolve)));
    const first = [group.commit([1], 1), group.commit([2], 1)];
    void Promise.resolve().then(() => group.commit([3], 1));
    await turn();
    expect(groups).toEqual([[1, 2, 3]]);
    const second = [group.commit([4], 1), group.commit([5], 1)];
    await turn();
    expect(groups).toEqual([[1, 2, 3]]);
    finish?.();
    await Promise.all(first);
    await turn();
    expect(groups).toEqual([
      [1, 2, 3],
      [4, 5],
    ]);
    finish?.();
    await Promise.all(second);
    await group.idle();
  });

  test('splits a group by size, never a commit', async () => {
    const groups: number[] = [];
    const group = new GroupCommit<number>(async items => void groups.push(items.length), setImmediate);
    const large = 3 * 1024 * 1024;
    await Promise.all([group.commit([1, 1], large), group.commit([1], large), group.commit([1], 10 * large)]);
    expect(groups).toEqual([2, 1, 1]);
  });

  // CT-005~1
  test('takes nothing more once a write has failed', async () => {
    let writes = 0;
    const fail = async (): Promise<void> => {
      writes += 1;
      throw new Error('disk full');
    };
    const group = new GroupCommit<number>(fail, setImmediate);
    const commits = await Promise.allSettled([group.commit([1], 1), group.commit([2], 5 * 1024 * 1024)]);
    expect(commits.map(one => one.status)).toEqual(['rejected', 'rejected']);
    await expect(group.commit([3], 1)).rejects.toThrow('disk full');
    await group.idle();
    expect(writes).toBe(1);
  });
});

describe('the crash database crashes', () => {
  // CT-005~1
  test('into a prefix of the commits that holds every one that resolved', async () => {
    const seen = { resolved: 0, lost: 0, keptUnsynced: 0, torn: 0 };
    const death = fc.record({
      write: fc.integer({ min: 1, max: 6 }),
      when: fc.constantFrom<Death['when']>('before', 'during', 'after'),
    });
    const turns = fc.array(fc.integer({ min: 1, max: 3 }), { minLength: 1, maxLength: 8 });
    await fc.assert(
      fc.asyncProperty(death, turns, fc.integer(), async (planned, commitsOfTurn, seed) => {
        const database = new CrashDatabase({ death: planned });
        let requested = 0;
        let resolved = 0;
        try {
          for (const count of commitsOfTurn) {
            const commits = Array.from({ length: count }, () => {
              requested += 1;
              return database.commit([put(`k/${numberKey(requested)}`, requested), put('last', requested)]);
            });
            await Promise.all(commits);
            resolved = requested;
          }
        } catch (error) {
          expect(error).toBeInstanceOf(Crash);
        }
        const unsynced = database.unsyncedLength;
        const after = database.crash(seed);
        await expect(database.get('last')).rejects.toThrow(Crash);
        const [last = 0] = (await after.get('last')) ?? [];
        expect(last).toBeGreaterThanOrEqual(resolved);
        expect(last).toBeLessThanOrEqual(requested);
        expect(await keysOf(after, prefixRange('k/'))).toEqual(
          Array.from({ length: last }, (_, i) => `k/${numberKey(i + 1)}`),
        );
        seen.resolved += resolved;
        seen.lost += requested - last;
        seen.keptUnsynced += unsynced > 0 && last > resolved ? 1 : 0;
        seen.torn += unsynced > 0 && last === resolved ? 1 : 0;
        // What survives is a database like any other.
        await after.commit([put('last', 99)]);
        expect(await after.crash(seed).get('last')).toEqual(bytes(99));
      }),
      { numRuns: 300 },
    );
    console.log(`crashes: ${JSON.stringify(seen)}`);
    for (const count of Object.values(seen)) expect(count).toBeGreaterThan(0);
  });

  test('before, during and after the write that it is told, and counts its writes', async () => {
    for (const when of ['before', 'during', 'after'] as const) {
      const database = new CrashDatabase({ death: { write: 2, when } });
      await database.commit([put('a', 1)]);
      await expect(database.commit([put('a', 2)])).rejects.toThrow(Crash);
      await database.died;
      expect(database.writes).toBe(2);
      expect(database.unsyncedLength > 0).toBe(when === 'during');
      const after = database.crash(1);
      if (when !== 'during') expect(await after.get('a')).toEqual(bytes(when === 'after' ? 2 : 1));
    }
  });

  test('without a word when it is told to hang', async () => {
    const database = new CrashDatabase({ death: { write: 1, when: 'after', how: 'hang' } });
    let settled = false;
    void database.commit([put('a', 1)]).finally(() => {
      settled = true;
    });
    await database.died;
    void database.get('a').finally(() => {
      settled = true;
    });
    for (let i = 0; i < 5; i += 1) await new Promise(resolve => setImmediate(resolve));
    expect(settled).toBe(false);
    expect(await database.crash(0).get('a')).toEqual(bytes(1));
  });

  test('between the turns, losing what was not yet written', async () => {
    const database = new CrashDatabase();
    const committed = database.commit([put('a', 1)]);
    expect(await database.crash(7).get('a')).toBeUndefined();
    await expect(committed).rejects.toThrow(Crash);
  });
});
