/**
 * Makes the declarations of the package: what `src/index.ts` exports, and of the files behind it only those that they
 * name. Plain JavaScript, because it runs at `npm ci`.
 */

import { execFileSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';

const LICENCES = ['LICENSE', 'LICENSE.md', 'LICENSE.txt', 'license', 'LICENCE'];
const RELATIVE = /(\bfrom\s+|\bimport\()(['"])(\.{1,2}\/[^'"]+?)\.ts\2/g;

/** The compiler, where it is installed. */
export function findCompiler(root) {
  const path = join(root, 'node_modules/typescript/bin/tsc');
  return existsSync(path) ? path : undefined;
}

/** Write the declarations into `directory`, beginning with `index.d.ts`. */
export async function makeTypes(root, directory) {
  const all = `${directory}.all`;
  try {
    execFileSync(
      process.execPath,
      [findCompiler(root), '-p', join(root, 'tsconfig.types.json'), '--outDir', all],
      {
        cwd: root,
        stdio: 'inherit',
      },
    );
    const seen = new Set();
    const waiting = ['index'];
    for (let name = waiting.pop(); name !== undefined; name = waiting.pop()) {
      if (seen.has(name)) continue;
      seen.add(name);
      const text = await readFile(join(all, `${name}.d.ts`), 'utf8');
      const written = text.replace(RELATIVE, (_, before, quote, path) => {
        waiting.push(join(dirname(name), path));
        return `${before}${quote}${path}.js${quote}`;
      });
      await mkdir(dirname(join(directory, name)), { recursive: true });
      await writeFile(join(directory, `${name}.d.ts`), written);
    }
  } finally {
    await rm(all, { recursive: true, force: true });
  }
}

/** The texts of the licences of everything that was bundled, from esbuild's list of inputs. */
export async function notices(root, inputs) {
  const packages = new Map();
  for (const input of inputs) {
    const [, name] = /(?:^|\/)node_modules\/((?:@[^/]+\/)?[^/]+)\//.exec(input) ?? [];
    if (name !== undefined) packages.set(name, [...(packages.get(name) ?? []), input]);
  }
  const parts = ['The programs contain the following packages.\n'];
  for (const [name, files] of [...packages].sort(([a], [b]) => (a < b ? -1 : 1))) {
    const directory = join(root, 'node_modules', name);
    const { version, license } = JSON.parse(await readFile(join(directory, 'package.json'), 'utf8'));
    const file = LICENCES.map(candidate => join(directory, candidate)).find(path => existsSync(path));
    const text = file === undefined ? await headers(root, files) : await readFile(file, 'utf8');
    parts.push(`---\n${name} ${version}, ${license}\n\n${text.trim()}\n`);
  }
  return parts.join('\n');
}

/** What a package without a licence file says at the head of its sources. */
async function headers(root, files) {
  const texts = new Set();
  for (const file of files) {
    const [head] = /^(?:\/\/[^\n]*\n)+/.exec(await readFile(join(root, file), 'utf8')) ?? [''];
    if (head.includes('Copyright')) texts.add(head.replace(/^\/\/ ?/gm, ''));
  }
  return [...texts].join('\n');
}
