/** Documents say what the code says. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';
import { documents } from './docs.ts';

const ROOT = fileURLToPath(new URL('..', import.meta.url));

test('the generated parts of documents are what the tables in the code give', async () => {
  const fresh = await documents(ROOT);
  expect(fresh.size).toBeGreaterThan(0);
  for (const [path, text] of fresh) expect(readFileSync(join(ROOT, path), 'utf8'), path).toBe(text);
});
