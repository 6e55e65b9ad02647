/**
 * Writes `src/gen`: protobuf-es from `proto/`, the constants from `spec/constants.md`.
 * It builds everything in a temporary directory and then touches only what differs, so that nobody sees a gap.
 *
 * `npm run generate`              writes
 * `npm run generate -- --check`   writes nothing, names what differs, exits 1 if anything does
 */
import { execFile } from 'node:child_process';
import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { delimiter, dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { parseConstants, renderConstants } from '../conformance/trace/constants.ts';
import { renderFindings } from '../conformance/trace/finding.ts';

const GEN = 'src/gen';
const run = promisify(execFile);

/** Generate into a temporary directory and answer path from `src/gen` to text. */
export async function generate(root: string): Promise<Map<string, string>> {
  const { constants, findings } = parseConstants(await readFile(join(root, 'spec/constants.md'), 'utf8'));
  if (findings.length > 0) throw new Error(renderFindings(findings));
  const out = await mkdtemp(join(tmpdir(), 'clawchat-generate-'));
  try {
    const bin = join(root, 'node_modules/.bin');
    const { PATH = '' } = process.env;
    const env = { ...process.env, PATH: `${bin}${delimiter}${PATH}` };
    await run(join(bin, 'buf'), ['generate', '--output', out], { cwd: root, env });
    const files = await readTree(join(out, GEN));
    return files.set('constants.ts', renderConstants(constants));
  } finally {
    await rm(out, { recursive: true, force: true });
  }
}

/** Read the generated files that are there now. */
export async function readGenerated(root: string): Promise<Map<string, string>> {
  return await readTree(join(root, GEN));
}

/** Name the paths whose text differs or that only one side has. */
export function differing(a: ReadonlyMap<string, string>, b: ReadonlyMap<string, string>): readonly string[] {
  return [...new Set([...a.keys(), ...b.keys()])].filter(path => a.get(path) !== b.get(path)).sort();
}

async function readTree(dir: string): Promise<Map<string, string>> {
  const entries = await readdir(dir, { recursive: true, withFileTypes: true }).catch(() => []);
  const files = entries.filter(entry => entry.isFile()).map(entry => join(entry.parentPath, entry.name));
  const read = async (path: string): Promise<[string, string]> => [
    path.slice(dir.length + 1).replaceAll('\\', '/'),
    await readFile(path, 'utf8'),
  ];
  return new Map(await Promise.all(files.sort().map(read)));
}

async function main(): Promise<void> {
  const root = fileURLToPath(new URL('..', import.meta.url));
  const fresh = await generate(root);
  const changed = differing(fresh, await readGenerated(root));
  const check = process.argv.includes('--check');
  for (const path of changed) {
    console.log(`${check ? 'differs' : 'wrote'} ${GEN}/${path}`);
    if (check) continue;
    const target = join(root, GEN, path);
    const text = fresh.get(path);
    await mkdir(dirname(target), { recursive: true });
    await (text === undefined ? rm(target) : writeFile(target, text));
  }
  if (check && changed.length > 0) process.exitCode = 1;
}

if (process.argv[1] === fileURLToPath(import.meta.url)) await main();
