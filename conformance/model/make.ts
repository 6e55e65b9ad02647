/**
 * `npm run vectors`             writes `test-vectors/` and the worked examples in `spec/`
 * `npm run vectors -- --check`  writes nothing, names what differs, exits 1 if anything does
 */
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { corpus, families } from './corpus.ts';
import { CHAPTERS, fillExamples } from './examples.ts';

async function main(): Promise<void> {
  const root = fileURLToPath(new URL('../..', import.meta.url));
  const check = process.argv.includes('--check');
  const made = families();
  const files = new Map(corpus(made));
  for (const chapter of CHAPTERS) {
    const old = await readFile(join(root, chapter), 'utf8').catch(() => undefined);
    if (old !== undefined) files.set(chapter, fillExamples(chapter, old, made));
  }
  for (const [path, text] of files) {
    const target = join(root, path);
    if ((await readFile(target, 'utf8').catch(() => undefined)) === text) continue;
    console.log(`${check ? 'differs' : 'wrote'} ${path}`);
    if (check) {
      process.exitCode = 1;
      continue;
    }
    await mkdir(dirname(target), { recursive: true });
    await writeFile(target, text);
  }
  const count = made.map(({ family, vectors }) => `${family} ${vectors.length}`).join(', ');
  console.log(`${made.reduce((sum, { vectors }) => sum + vectors.length, 0)} vectors: ${count}`);
}

await main();
