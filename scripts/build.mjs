/**
 * Makes `dist/`: the two programs and the library, each bundled into one file so that it starts fast, the library's
 * declarations, and the licences of what is inside. Plain JavaScript, because it runs at `npm ci`.
 *
 * `--if-possible`: without esbuild (`npm ci --omit=dev`) do nothing and succeed.
 */

import { existsSync } from 'node:fs';
import { chmod, mkdir, readdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { bundleOptions, libraryOptions } from './bundle.mjs';
import { makeTypes, notices } from './types.mjs';

const root = fileURLToPath(new URL('..', import.meta.url));
const PROGRAMS = ['clawchatd', 'clawchat'];

const esbuild = await import('esbuild').catch(error => {
  if (process.argv.includes('--if-possible')) process.exit(0);
  throw error;
});
const { version } = JSON.parse(await readFile(`${root}/package.json`, 'utf8'));
const programs = PROGRAMS.filter(name => existsSync(`${root}/src/node/${name}.ts`));
const hasLibrary = existsSync(`${root}/src/index.ts`);

// Made beside dist/ and renamed into it: a program that starts meanwhile sees the old one or the new one.
const fresh = `${root}/dist/.build-${process.pid}`;
const inputs = new Set();
async function bundle(options) {
  const { metafile } = await esbuild.build({ ...options, outdir: fresh, metafile: true });
  for (const input of Object.keys(metafile.inputs)) inputs.add(input);
}

try {
  if (programs.length > 0) {
    await bundle({
      ...bundleOptions(root, version),
      entryPoints: programs.map(name => `src/node/${name}.ts`),
    });
    for (const name of programs) await chmod(`${fresh}/${name}.js`, 0o755);
  }
  if (hasLibrary) {
    await bundle({ ...libraryOptions(root, version), entryPoints: ['src/index.ts'] });
    await makeTypes(root, `${fresh}/types`);
  }
  if (inputs.size > 0) {
    await writeFile(`${fresh}/THIRD-PARTY-LICENSES.txt`, await notices(root, inputs));
    await mkdir(`${root}/dist`, { recursive: true });
    await rm(`${root}/dist/types`, { recursive: true, force: true });
    for (const name of await readdir(fresh)) await rename(`${fresh}/${name}`, `${root}/dist/${name}`);
  }
} finally {
  await rm(fresh, { recursive: true, force: true });
}
