/** A database in memory, and its snapshots: what comes back is what was there, and what is none is refused. */
import { fc, test as property } from '@fast-check/vitest';
import { expect, test } from 'vitest';
import { MemoryDatabase, restoreDatabase } from './memory-database.ts';

const keys = fc.string({
  unit: fc.constantFrom(...'abc/019'),
  minLength: 1,
  maxLength: 12,
});
const values = fc.dictionary(keys, fc.uint8Array({ maxLength: 40 }), { maxKeys: 12 });

property.prop([values])('a snapshot gives the same values, in the order of keys', async entries => {
  const database = new MemoryDatabase();
  await database.commit(Object.entries(entries).map(([key, value]) => ({ kind: 'put', key, value })));
  const restored = restoreDatabase(database.snapshot());
  const found = await restored?.range({});
  const sorted = Object.entries(entries).sort(([a], [b]) => (a < b ? -1 : 1));
  expect(found).toEqual(sorted.map(([key, value]) => ({ key, value: Uint8Array.from(value) })));
});

property.prop([values, fc.nat()])(
  'a snapshot that was cut is refused, or ends at a value',
  async (entries, at) => {
    const database = new MemoryDatabase();
    await database.commit(Object.entries(entries).map(([key, value]) => ({ kind: 'put', key, value })));
    const snapshot = database.snapshot();
    const cut = restoreDatabase(snapshot.subarray(0, at % snapshot.length));
    const found = (await cut?.range({})) ?? [];
    for (const { key, value } of found) expect(value).toEqual(Uint8Array.from(entries[key] ?? []));
  },
);

property.prop([fc.uint8Array({ maxLength: 64 })])('any bytes are a snapshot or refused', bytes => {
  restoreDatabase(bytes);
});

test('values and deletions are as on a disk', async () => {
  const database = new MemoryDatabase();
  const value = new Uint8Array([1]);
  await database.commit([{ kind: 'put', key: 'a', value }]);
  value[0] = 2;
  (await database.get('a'))?.fill(3);
  expect(await database.get('a')).toEqual(new Uint8Array([1]));
  await database.commit([{ kind: 'delete', key: 'a' }]);
  expect(await database.get('a')).toBeUndefined();
  expect(await database.range({ gte: 'a', limit: 1, reverse: true })).toEqual([]);
  expect(restoreDatabase(new Uint8Array(0))).toBeUndefined();
});
