import { readFileSync } from 'node:fs';
import { expect, it } from 'vitest';
import { median, row } from './stats.ts';
import { readResults, tables, versionsTable, withTables } from './table.ts';

it.each(['README.md', 'docs/speed.md'])('%s carries the tables of bench/results*.json', async file => {
  const text = readFileSync(file, 'utf8');
  expect(text).toContain('<!-- bench:begin -->');
  expect(withTables(text, file, await readResults('')), 'npm run bench -- --readme').toBe(text);
});

it('puts the versions of Node beside each other, each by its own aim', () => {
  const run = (node: string, max: number, ours: number) => {
    const about = { group: 'G', unit: 'us', what: 'ws', theirs: [2] } as const;
    const rows = [
      row({ ...about, name: 'a', ours: [ours], aim: { max, of: 'ratio' } }),
      row({ ...about, name: 'no aim', ours: [1] }),
      ...(max === 1 ? [row({ ...about, name: 'b', ours: [2], aim: { max: 3, of: 'ratio' } })] : []),
    ];
    return { at: '2026-01-02T03:04:05Z', node, cpu: '', rounds: 1, rows };
  };
  expect(versionsTable([run('v1', 1, 2), run('v2', 2, 6)]).split('\n')).toEqual([
    '| ratio, aim | v1, 2026-01-02 | v2, 2026-01-02 |',
    '|---|---|---|',
    '| a | **1.00** (1.00 - 1.00) <= 1 hit | **3.00** (3.00 - 3.00) <= 2 MISS |',
    '| b | **1.00** (1.00 - 1.00) <= 3 hit |  |',
  ]);
});

it('writes each group as a table, and says what was hit', () => {
  const about = { group: 'G', unit: 'us', what: 'ws', aim: { max: 1.5, of: 'ratio' } } as const;
  const rows = [
    row({ ...about, name: 'a', ours: [2, 3, 100], theirs: [2, 2, 50] }),
    row({ ...about, name: 'b', ours: [4, 4, 4], theirs: [2, 2, 2] }),
  ];
  const text = tables({ at: '2026-01-02T03:04:05Z', node: 'v20', cpu: '2 x X', rounds: 3, rows });
  expect(text.split('\n').slice(2)).toEqual([
    '**G**',
    '',
    '| what | ClawChat | against | ratio (lowest - highest round) | aim | |',
    '|---|---|---|---|---|---|',
    '| a | 3.00 us | ws 2.00 us | **1.50** (1.00 - 2.00) | <= 1.5 | hit |',
    '| b | 4.00 us | ws 2.00 us | **2.00** (2.00 - 2.00) | <= 1.5 | MISS |',
  ]);
});

it('takes the middle, and of two middles their mean', () => {
  expect(median([3, 1, 2])).toBe(2);
  expect(median([4, 1, 2, 3])).toBe(2.5);
});
