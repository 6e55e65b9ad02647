/** The tables of the README are those of the last measurements. */
import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import type { AttackReport } from '../attack/run.ts';
import { withAttack } from '../attack/table.ts';

test('the attack, as `npm run attack -- --readme` writes it', () => {
  const reports: readonly AttackReport[] = JSON.parse(readFileSync('bench/attack.json', 'utf8'));
  const page = readFileSync('README.md', 'utf8');
  expect(withAttack(page, reports)).toBe(page);
});
