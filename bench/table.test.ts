import { readFileSync } from 'node:fs';
import { expect, it } from 'vitest';
import { median, row } from './stats.ts';
import { type Figures, tables, withTables } from './table.ts';

const figures: Figures = JSON.parse(readFileSync('bench/results.json', 'utf8'));

it.each(['README.md', 'docs/speed.md'])('%s carries the tables of bench/results.json', file => {
  const text = readFileSync(file, 'utf8');
  expect(text).toContain('<!-- bench:begin -->');
  expect(withTables(text, file, figures), 'npm run bench -- --readme').toBe(text);
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
