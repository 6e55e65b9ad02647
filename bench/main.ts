/** Measures ClawChat beside what it is built on and what people use instead, and prints ratios (bench/README.md). */
import { execFileSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { mkdir, rm, writeFile } from 'node:fs/promises';
import { cpus } from 'node:os';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { build } from 'esbuild';
import { bundleOptions } from '../scripts/bundle.mjs';
import { GROUPS } from './groups.ts';
import type { Group, Settings } from './settings.ts';
import { HEAD, line, type Measured, type Row, row } from './stats.ts';
import { renew } from './table.ts';

const root = fileURLToPath(new URL('..', import.meta.url));
const built = `${root}dist/.bench-${process.pid}`;
const results = `${root}bench/results.json`;
const OURS = ['host', 'load', 'primitives'];
const ROUNDS = 5;
const QUICK_EFFORT = 0.02;

const HELP = `npm run bench [-- OPTIONS]

Measures ClawChat beside raw ws over the same TLS 1.3, its primitives, and what people use instead: interleaved in one
run, medians of at least ${ROUNDS} rounds, server CPU for each operation. Prints a Markdown table and writes the figures as JSON.

  --only GROUP,...   only these groups
  --match TEXT       of a group with many rows only those whose name contains TEXT
  --rounds N         rounds (${ROUNDS}); fewer than ${ROUNDS} only with --quick
  --quick            one round of little: shows that all of it runs, and writes no figures
  --json FILE        where the figures go (bench/results.json; not written with --only unless named, '-' for stdout)
  --no-peers         leave out what people use instead; it is installed by \`npm ci --prefix bench\` when it is absent
  --flags FLAGS      flags of Node for the measured host, such as '--cpu-prof --cpu-prof-dir=/tmp/prof'
  --readme           measure nothing: write the tables of README.md and docs/speed.md anew from bench/results*.json
  --help

Groups:
${GROUPS.map(({ name, about }) => `  ${name.padEnd(14)}${about}`).join('\n')}

Exit codes: 0 measured, whether the aims were hit or not; 1 something failed; 2 a mistake in the command.`;

class CommandError extends Error {}

interface Asked extends Settings {
  readonly groups: readonly Group[];
  /** Where the figures go: a file, '-' for standard output, or nowhere. */
  readonly json: string | undefined;
}

const OPTIONS = {
  only: { type: 'string' },
  match: { type: 'string', default: '' },
  rounds: { type: 'string' },
  quick: { type: 'boolean', default: false },
  json: { type: 'string' },
  'no-peers': { type: 'boolean', default: false },
  flags: { type: 'string', default: '' },
  readme: { type: 'boolean', default: false },
  help: { type: 'boolean', default: false },
} as const;

type Values = ReturnType<typeof parse>;

function parse(args: readonly string[]) {
  try {
    return parseArgs({ args: [...args], options: OPTIONS, strict: true }).values;
  } catch (error) {
    throw new CommandError(error instanceof Error ? error.message : String(error));
  }
}

function asked(values: Values): Asked {
  const { only, match, quick } = values;
  const names = only?.split(',') ?? GROUPS.map(({ name }) => name);
  const unknown = names.filter(name => !GROUPS.some(group => group.name === name));
  if (unknown.length > 0) {
    const all = GROUPS.map(({ name }) => name).join(', ');
    throw new CommandError(`there is no group ${unknown.join(', ')}; the groups are ${all}`);
  }
  const rounds = values.rounds === undefined ? (quick ? 1 : ROUNDS) : Number(values.rounds);
  if (!Number.isSafeInteger(rounds) || rounds < (quick ? 1 : ROUNDS)) {
    throw new CommandError(`--rounds is a whole number of at least ${quick ? 1 : ROUNDS}`);
  }
  const isPartial = only !== undefined || match !== '' || quick || values['no-peers'];
  return {
    built,
    rounds,
    effort: quick ? QUICK_EFFORT : 1,
    match,
    groups: GROUPS.filter(({ name }) => names.includes(name)),
    json: values.json ?? (isPartial ? undefined : results),
    hasPeers: !values['no-peers'] && installPeers(),
    hostFlags: values.flags.split(' ').filter(flag => flag !== ''),
  };
}

/** What people use instead is no dependency of ClawChat: it is installed when it is to be measured. */
function installPeers(): boolean {
  if (existsSync(`${root}bench/node_modules/socket.io`)) return true;
  const args = ['ci', '--prefix', `${root}bench`, '--ignore-scripts', '--no-audit', '--no-fund'];
  console.error(`installs what is compared with: npm ${args.slice(0, 3).join(' ')}`);
  try {
    execFileSync('npm', args, { stdio: ['ignore', 'ignore', 'inherit'] });
    return true;
  } catch {
    throw new CommandError(
      'cannot install what is compared with (see above): `npm ci --prefix bench` by hand, or leave it out with --no-peers',
    );
  }
}

/** Bundle every part as the programs are bundled, so that what is measured is what ships; raw `ws` stays as it comes. */
async function bundle(groups: readonly Group[]): Promise<void> {
  await mkdir(built, { recursive: true });
  const shipped = bundleOptions(root, 'bench');
  const options = { ...shipped, define: { ...shipped.define, __BENCH__: JSON.stringify(`${root}bench/`) } };
  const entries = (names: readonly string[]): string[] => names.map(name => `bench/${name}.ts`);
  const parts = [...new Set([...OURS, ...groups.flatMap(group => group.parts ?? [])])];
  const ours = build({ ...options, entryPoints: entries(parts), outdir: built });
  const raw = build({
    ...options,
    entryPoints: entries(['raw-host']),
    outdir: built,
    alias: {},
    external: [...(options.external ?? []), 'bufferutil'],
  });
  await Promise.all([ours, raw]);
}

function show(measured: readonly Measured[], rows: Row[]): void {
  for (const each of measured) {
    const next = row(each);
    if (rows.at(-1)?.group !== next.group) console.log(['', `### ${next.group}`, '', ...HEAD].join('\n'));
    console.log(line(next));
    rows.push(next);
  }
}

async function measure(settings: Asked): Promise<void> {
  const rows: Row[] = [];
  const failed: string[] = [];
  const startedAt = performance.now();
  await bundle(settings.groups);
  const cpu = `${cpus().length} x ${cpus()[0]?.model ?? 'unknown'}`;
  console.log(`Node ${process.version}, ${cpu}, ${settings.rounds} rounds`);
  try {
    for (const group of settings.groups) {
      const beganAt = performance.now();
      try {
        await group.measure(settings, measured => show(measured, rows));
      } catch (error) {
        // What the others measure is not lost.
        failed.push(group.name);
        console.error(`${group.name} failed:`, error);
      }
      console.error(`${group.name}: ${Math.round((performance.now() - beganAt) / 1000)} s`);
    }
  } finally {
    await rm(built, { recursive: true, force: true });
  }
  const judged = rows.filter(({ hit }) => hit !== undefined);
  const missed = judged.filter(({ hit }) => hit === false);
  const seconds = Math.round((performance.now() - startedAt) / 1000);
  console.log(`\n${judged.length - missed.length} of ${judged.length} aims hit, in ${seconds} s`);
  if (failed.length > 0) {
    console.error(`failed: ${failed.join(', ')}`);
    process.exitCode = 1;
  }
  if (settings.json === undefined) return;
  const { rounds } = settings;
  const all = { at: new Date().toISOString(), node: process.version, cpu, rounds, seconds, rows };
  const text = `${JSON.stringify(all, undefined, 1)}\n`;
  if (settings.json === '-') console.log(text);
  else await writeFile(settings.json, text);
}

async function main(): Promise<void> {
  const values = parse(process.argv.slice(2));
  if (values.help) console.log(HELP);
  else if (values.readme) {
    for (const file of await renew(root)) console.log(`${file} has the tables of what was measured`);
  } else await measure(asked(values));
}

main().catch((error: unknown) => {
  console.error(error instanceof CommandError ? `bench: ${error.message}\nbench: see --help` : error);
  process.exitCode = error instanceof CommandError ? 2 : 1;
});
