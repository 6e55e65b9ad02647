/**
 * Writes what documents and code say alike: the marked parts of `docs/`, from the tables in the code.
 *
 * `npm run generate` writes; `scripts/docs.test.ts` finds what differs.
 */
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { metricsTable } from '../src/node/host/metrics.ts';

/** Marked parts: document, mark, text. A part lies between `<!-- MARK: generated -->` and `<!-- end -->`. */
const PARTS: readonly (readonly [path: string, mark: string, text: () => string])[] = [
  ['docs/operations.md', 'metrics', metricsTable],
];

/** Give each document as it should be, by path. */
export async function documents(root: string): Promise<ReadonlyMap<string, string>> {
  const found = new Map<string, string>();
  for (const [path, mark, text] of PARTS) {
    const before = found.get(path) ?? (await readFile(join(root, path), 'utf8'));
    found.set(path, fill(before, path, mark, text()));
  }
  return found;
}

function fill(document: string, path: string, mark: string, text: string): string {
  const head = `<!-- ${mark}: generated -->\n`;
  const from = document.indexOf(head);
  const to = document.indexOf('<!-- end -->', from);
  if (from < 0 || to < 0) throw new Error(`${path} has no part "${mark}"`);
  return `${document.slice(0, from + head.length)}\n${text}\n\n${document.slice(to)}`;
}

async function main(): Promise<void> {
  const root = fileURLToPath(new URL('..', import.meta.url));
  for (const [path, text] of await documents(root)) {
    if ((await readFile(join(root, path), 'utf8').catch(() => '')) === text) continue;
    await writeFile(join(root, path), text);
    console.log(`wrote ${path}`);
  }
}

if (process.argv[1] === fileURLToPath(import.meta.url)) await main();
