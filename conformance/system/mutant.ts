/** Builds programs from changed sources, so that a test can show that it notices the change. */
import { existsSync, mkdirSync, readFileSync, symlinkSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { build } from 'esbuild';
import { bundleOptions } from '../../scripts/bundle.mjs';

const ROOT = fileURLToPath(new URL('../..', import.meta.url));

/** A change of a source: `find` has to stand in it exactly once. */
export interface Edit {
  /** The file, from the root of the package. */
  readonly file: string;
  readonly find: string;
  readonly replace: string;
}

/**
 * Build a program from its entry (a file, from the root of the package) into `out`, a file in a directory that holds
 * such programs alone, and give `out`.
 *
 * @throws Error when an edit does not fit exactly once, or changes a file that is not in the program.
 */
export async function buildProgram(entry: string, out: string, edits: readonly Edit[] = []): Promise<string> {
  const files = new Map<string, Edit[]>();
  for (const edit of edits) {
    const path = join(ROOT, edit.file);
    files.set(path, [...(files.get(path) ?? []), edit]);
  }
  const used = new Set<string>();
  await build({
    ...bundleOptions(ROOT, 'variant'),
    entryPoints: [entry],
    outfile: out,
    plugins: [
      {
        name: 'edits',
        setup(bundle) {
          bundle.onLoad({ filter: /\.ts$/ }, ({ path }) => {
            const wanted = files.get(path);
            if (wanted === undefined) return undefined;
            used.add(path);
            return { contents: wanted.reduce(apply, readFileSync(path, 'utf8')), loader: 'ts' };
          });
        },
      },
    ],
  });
  for (const path of files.keys()) if (!used.has(path)) throw new Error(`${path} is not in ${entry}`);
  findPackages(dirname(out));
  return out;
}

function apply(source: string, { file, find, replace }: Edit): string {
  const [before = '', after, ...more] = source.split(find);
  if (after === undefined || more.length > 0) {
    throw new Error(`${file} holds ${after === undefined ? 'nowhere' : 'more than once'}: ${find}`);
  }
  return before + replace + after;
}

/** What is not in the bundle is found as if the bundle lay in the package. */
function findPackages(directory: string): void {
  mkdirSync(directory, { recursive: true });
  const link = join(directory, 'node_modules');
  if (!existsSync(link)) symlinkSync(join(ROOT, 'node_modules'), link);
}
