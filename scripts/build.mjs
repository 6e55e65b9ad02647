/**
 * Bundles the two programs into `dist/`, so that they start fast. Plain JavaScript, because it runs at `npm ci`.
 *
 * `--if-possible`: without esbuild (`npm ci --omit=dev`) do nothing and succeed.
 */

import { existsSync } from 'node:fs';
import { chmod, mkdir, readFile, rename, rm } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { bundleOptions } from './bundle.mjs';

const root = fileURLToPath(new URL('..', import.meta.url));
const PROGRAMS = ['clawchatd', 'clawchat'];

const esbuild = await import('esbuild').catch(error => {
  if (process.argv.includes('--if-possible')) process.exit(0);
  throw error;
});
const { version } = JSON.parse(await readFile(`${root}/package.json`, 'utf8'));
const entries = PROGRAMS.filter(name => existsSync(`${root}/src/node/${name}.ts`));

if (entries.length > 0) {
  // Bundled beside dist/ and renamed into it: a program that starts meanwhile sees the old one or the new one.
  const fresh = `${root}/dist/.build-${process.pid}`;
  try {
    await esbuild.build({
      ...bundleOptions(root, version),
      entryPoints: entries.map(name => `src/node/${name}.ts`),
      outdir: fresh,
    });
    await mkdir(`${root}/dist`, { recursive: true });
    for (const name of entries) {
      await chmod(`${fresh}/${name}.js`, 0o755);
      await rename(`${fresh}/${name}.js`, `${root}/dist/${name}.js`);
    }
  } finally {
    await rm(fresh, { recursive: true, force: true });
  }
}
