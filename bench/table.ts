/** The tables that README.md and docs/speed.md carry, made from bench/results*.json (bench/README.md). */
import { readdir, readFile, writeFile } from 'node:fs/promises';
import { HEAD, line, type Row, ratioOf, verdictOf } from './stats.ts';

/** What bench/results.json holds. */
export interface Figures {
  readonly at: string;
  readonly node: string;
  readonly cpu: string;
  readonly rounds: number;
  readonly rows: readonly Row[];
}

/** All that was measured: the figures of the README, and those of other versions of Node. */
export interface Results {
  readonly main: Figures;
  readonly others: readonly Figures[];
}

const RESULTS = 'results.json';
const OTHERS = /^results\.node\d+\.json$/;

/** Read what was measured, from `bench/`. */
export async function readResults(root: string): Promise<Results> {
  const read = async (name: string): Promise<Figures> =>
    JSON.parse(await readFile(`${root}bench/${name}`, 'utf8'));
  const others = (await readdir(`${root}bench`)).filter(name => OTHERS.test(name)).sort();
  return { main: await read(RESULTS), others: await Promise.all(others.map(read)) };
}

/** Which file carries which rows: the README those with an aim, the page about speed all. */
const FILES: readonly { readonly file: string; readonly takes: (row: Row) => boolean }[] = [
  { file: 'README.md', takes: ({ aim }) => aim !== undefined },
  { file: 'docs/speed.md', takes: () => true },
];

/** The Markdown of these rows: one table for each group. */
export function tables({ at, node, cpu, rounds, rows }: Figures): string {
  const lines = [`Measured ${at.slice(0, 10)} with Node ${node} on ${cpu}, medians of ${rounds} rounds.`];
  let group: string | undefined;
  for (const row of rows) {
    if (row.group !== group) lines.push('', `**${row.group}**`, '', ...HEAD);
    group = row.group;
    lines.push(line(row));
  }
  return lines.join('\n');
}

/** The rows that have an aim on each of these versions of Node: the ratios of several runs, each on its own. */
export function versionsTable(runs: readonly Figures[]): string {
  const judged = runs.map(({ node, at, rows }) => ({
    head: `${node}, ${at.slice(0, 10)}`,
    rows: rows.filter(({ aim, ratio }) => aim !== undefined && ratio !== undefined),
  }));
  const names = [...new Set(judged.flatMap(({ rows }) => rows.map(({ name }) => name)))];
  const cell = (rows: readonly Row[], name: string): string => {
    const row = rows.find(each => each.name === name);
    return row === undefined ? '' : `${ratioOf(row)} <= ${row.aim?.max} ${verdictOf(row)}`;
  };
  return [
    `| ratio, aim | ${judged.map(({ head }) => head).join(' | ')} |`,
    `|---|${'---|'.repeat(judged.length)}`,
    ...names.map(name => `| ${name} | ${judged.map(({ rows }) => cell(rows, name)).join(' | ')} |`),
  ].join('\n');
}

/** Replace what stands between the markers of this name; a text without them stays. */
function between(text: string, name: string, body: string): string {
  const begin = `<!-- ${name}:begin -->`;
  const end = `<!-- ${name}:end -->`;
  const from = text.indexOf(begin);
  const to = text.indexOf(end);
  if (from < 0 || to < from) return text;
  return `${text.slice(0, from + begin.length)}\n${body}\n${text.slice(to)}`;
}

/** The text with the tables between its markers. */
export function withTables(text: string, file: string, { main, others }: Results): string {
  const takes = FILES.find(each => each.file === file)?.takes;
  if (takes === undefined) return text;
  const written = between(text, 'bench', tables({ ...main, rows: main.rows.filter(takes) }));
  return between(written, 'bench-versions', versionsTable(others));
}

/** Write the tables of all files anew; gives those that changed. */
export async function renew(root: string): Promise<readonly string[]> {
  const results = await readResults(root);
  const changed: string[] = [];
  for (const { file } of FILES) {
    const text = await readFile(`${root}${file}`, 'utf8');
    const next = withTables(text, file, results);
    if (next === text) continue;
    await writeFile(`${root}${file}`, next);
    changed.push(file);
  }
  return changed;
}
