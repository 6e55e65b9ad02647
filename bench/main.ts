/**
 * Measures ClawChat beside what it is built on and what people use instead, and prints ratios (bench/README.md).
 *
 * `npm run bench [-- --rounds N] [-- --only network,connections,fan-out,sessions,memory,primitives,peers] [-- --match TEXT] [-- --flags='--cpu-prof --cpu-prof-dir=DIR']`
 */
import { existsSync } from 'node:fs';
import { mkdir, rm, writeFile } from 'node:fs/promises';
import { cpus } from 'node:os';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { build } from 'esbuild';
import { bundleOptions } from '../scripts/bundle.mjs';
import { Child } from './child.ts';
import { measureMemory, measureNetwork } from './network.ts';
import { HEAD, line, type Measured, type Row, row } from './stats.ts';

const root = fileURLToPath(new URL('..', import.meta.url));
const built = `${root}/dist/.bench-${process.pid}`;
const OURS = ['host', 'load', 'primitives'];

/** What was asked for. */
export interface Settings {
  /** Where the bundled parts are. */
  readonly built: string;
  readonly rounds: number;
  readonly groups: ReadonlySet<string>;
  /** Only exchanges whose name contains this. */
  readonly match: string;
  readonly hasPeers: boolean;
  /** Flags of Node for the measured host. */
  readonly hostFlags: readonly string[];
}

function settings(): Settings {
  const { values } = parseArgs({
    options: {
      rounds: { type: 'string', default: '7' },
      only: { type: 'string', default: 'network,connections,fan-out,sessions,memory,primitives,peers' },
      match: { type: 'string', default: '' },
      flags: { type: 'string', default: '' },
    },
  });
  return {
    built,
    rounds: Math.max(1, Number.parseInt(values.rounds, 10)),
    groups: new Set(values.only.split(',')),
    match: values.match,
    hasPeers: existsSync(`${root}/bench/node_modules/socket.io`),
    hostFlags: values.flags.split(' ').filter(flag => flag !== ''),
  };
}

/** Bundle every part as the programs are bundled, so that what is measured is what ships; raw `ws` stays as it comes. */
async function bundle(): Promise<void> {
  await mkdir(built, { recursive: true });
  const options = bundleOptions(root, 'bench');
  const entries = (names: readonly string[]): string[] => names.map(name => `bench/${name}.ts`);
  const ours = build({ ...options, entryPoints: entries(OURS), outdir: built });
  const raw = build({
    ...options,
    entryPoints: entries(['raw-host']),
    outdir: built,
    alias: {},
    external: [...(options.external ?? []), 'bufferutil'],
  });
  await Promise.all([ours, raw]);
}

async function measurePrimitives({ rounds }: Settings): Promise<readonly Measured[]> {
  const all: Measured[] = [];
  for (const method of ['records', 'handshakes', 'files']) {
    // A process for each: a heap that handshakes have churned makes every cipher object dearer.
    const child = new Child(`${built}/primitives.js`, 'primitives');
    all.push(...(await child.ask<readonly Measured[]>(method, Math.max(rounds, 5))));
    await child.end();
  }
  return all;
}

async function measurePeers({ rounds }: Settings): Promise<readonly Measured[]> {
  const child = new Child(`${built}/peers.js`, 'peers');
  const all = await child.ask<readonly Measured[]>('measure', {
    rounds: Math.max(rounds, 5),
    from: `${root}/bench/`,
  });
  await child.end();
  return all;
}

function show(measured: readonly Measured[], rows: Row[]): void {
  for (const each of measured) {
    const next = row(each);
    if (rows.at(-1)?.group !== next.group) console.log(['', `### ${next.group}`, '', ...HEAD].join('\n'));
    console.log(line(next));
    rows.push(next);
  }
}

async function main(): Promise<void> {
  const asked = settings();
  const rows: Row[] = [];
  const startedAt = performance.now();
  await bundle();
  try {
    console.log(
      `Node ${process.version}, ${cpus().length} x ${cpus()[0]?.model ?? 'unknown'}, ${asked.rounds} rounds`,
    );
    if (!asked.hasPeers) console.log('without what people use instead: npm ci --prefix bench');
    await measureNetwork(asked, measured => show(measured, rows));
    if (asked.groups.has('memory')) show(await measureMemory(asked), rows);
    if (asked.groups.has('primitives')) show(await measurePrimitives(asked), rows);
    if (asked.groups.has('peers') && asked.hasPeers) show(await measurePeers(asked), rows);
  } finally {
    await rm(built, { recursive: true, force: true });
  }
  const judged = rows.filter(({ hit }) => hit !== undefined);
  const missed = judged.filter(({ hit }) => hit === false);
  const seconds = Math.round((performance.now() - startedAt) / 1000);
  console.log(`\n${judged.length - missed.length} of ${judged.length} aims hit, in ${seconds} s`);
  const about = { at: new Date().toISOString(), node: process.version, rounds: asked.rounds };
  await writeFile(`${root}/bench/results.json`, `${JSON.stringify({ ...about, rows }, undefined, 1)}\n`);
}

await main();
