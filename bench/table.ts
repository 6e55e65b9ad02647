/** The tables that README.md and docs/speed.md carry, made from bench/results.json (bench/README.md). */
import { readFile, writeFile } from 'node:fs/promises';
import { HEAD, line, type Row } from './stats.ts';

/** What bench/results.json holds. */
export interface Figures {
  readonly at: string;
  readonly node: string;
  readonly cpu: string;
  readonly rounds: number;
  readonly rows: readonly Row[];
}

const BEGIN = '<!-- bench:begin -->';
const END = '<!-- bench:end -->';

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

/** The text with the tables between its markers; unchanged if it has none. */
export function withTables(text: string, file: string, figures: Figures): string {
  const begin = text.indexOf(BEGIN);
  const end = text.indexOf(END);
  const takes = FILES.find(each => each.file === file)?.takes;
  if (begin < 0 || end < begin || takes === undefined) return text;
  const rows = figures.rows.filter(takes);
  return `${text.slice(0, begin + BEGIN.length)}\n${tables({ ...figures, rows })}\n${text.slice(end)}`;
}

/** Write the tables of all files anew; gives those that changed. */
export async function renew(root: string, figures: Figures): Promise<readonly string[]> {
  const changed: string[] = [];
  for (const { file } of FILES) {
    const text = await readFile(`${root}${file}`, 'utf8');
    const next = withTables(text, file, figures);
    if (next === text) continue;
    await writeFile(`${root}${file}`, next);
    changed.push(file);
  }
  return changed;
}
