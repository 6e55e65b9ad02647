import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { TABLES, withTable } from './machine-tables.ts';

test.each(TABLES)('the table of $name in its chapter is the one of the code', ({ name, path, text }) => {
  const chapter = readFileSync(path, 'utf8');
  expect(withTable(chapter, name, text()), 'run npx tsx conformance/sim/machine-tables.ts').toBe(chapter);
});
