/**
 * `npm run trace`                          prints the report, exits 1 on a finding
 * `npm run trace -- --write`               renews spec/requirements.json and spec/coverage.md
 * `npm run trace -- --write --editorial ID...`  lets these texts change under the same revision (`all` for every one)
 */
import { readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { roleOf } from './citations.ts';
import { COVERAGE_PATH } from './coverage.ts';
import { type Files, renderFindings } from './finding.ts';
import { SNAPSHOT_PATH } from './snapshot.ts';
import { trace } from './trace.ts';

const DIRECTORIES = ['spec', 'proto', 'src', 'conformance', 'test-vectors'];

/** Read what the tracer looks at from the disk. */
export async function readRepository(root: string): Promise<Files> {
  const files = new Map<string, string>();
  for (const directory of DIRECTORIES) {
    const options = { recursive: true, withFileTypes: true } as const;
    const entries = await readdir(join(root, directory), options).catch(() => []);
    for (const entry of entries) {
      const path = join(entry.parentPath, entry.name)
        .slice(root.length)
        .replaceAll('\\', '/')
        .replace(/^\//, '');
      const wanted = path.startsWith('spec/') || path.startsWith('proto/') || roleOf(path) !== undefined;
      if (
        entry.isFile() &&
        wanted &&
        !path.includes('/node_modules/') &&
        /\.\w+$/.test(path) &&
        !path.endsWith('.binpb')
      ) {
        files.set(path, await readFile(join(root, path), 'utf8'));
      }
    }
  }
  return new Map([...files].sort(([a], [b]) => (a < b ? -1 : 1)));
}

async function main(args: readonly string[]): Promise<void> {
  const root = fileURLToPath(new URL('../..', import.meta.url));
  let files = await readRepository(root);
  const named = args.includes('--editorial') ? args.slice(args.indexOf('--editorial') + 1) : [];
  const all = [...trace(files).requirements.map(({ id }) => id)];
  let traced = trace(files, new Set(named.includes('all') ? all : named));
  if (args.includes('--write')) {
    if (traced.renewable) {
      await writeFile(join(root, SNAPSHOT_PATH), traced.snapshot);
      await writeFile(join(root, COVERAGE_PATH), traced.coverage);
      files = await readRepository(root);
      traced = trace(files);
    } else console.error('not renewed, because a changed text or a reused id would go unseen:');
  }
  console.log(
    traced.coverage
      .split('\n')
      .filter(line => line.startsWith('|'))
      .join('\n'),
  );
  for (const note of traced.notes) console.log(`note: ${note}`);
  process.stderr.write(renderFindings(traced.findings));
  if (traced.findings.length > 0) {
    console.error(`${traced.findings.length} findings`);
    process.exitCode = 1;
  }
}

if (process.argv[1] === fileURLToPath(import.meta.url)) await main(process.argv.slice(2));
