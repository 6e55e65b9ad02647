/** Prints where the time of a CPU profile went: `npx tsx bench/profile.ts FILE.cpuprofile [lines]` (bench/README.md). */
import { readFile } from 'node:fs/promises';

interface Node {
  readonly id: number;
  readonly callFrame: { readonly functionName: string; readonly url: string; readonly lineNumber: number };
  readonly children?: readonly number[];
}
interface Profile {
  readonly nodes: readonly Node[];
  readonly samples: readonly number[];
  readonly timeDeltas: readonly number[];
}

const [file = '', lines = '40'] = process.argv.slice(2);
const { nodes, samples, timeDeltas }: Profile = JSON.parse(await readFile(file, 'utf8'));
const names = new Map(
  nodes.map(({ id, callFrame: { functionName, url, lineNumber } }) => {
    const from = url.split('/').at(-1) ?? '';
    return [id, `${functionName || '(anonymous)'} ${from}${from === '' ? '' : `:${lineNumber + 1}`}`];
  }),
);
const parents = new Map(
  nodes.flatMap(({ id, children = [] }) => children.map(child => [child, id] as const)),
);
const self = new Map<string, number>();
const total = new Map<string, number>();
let busy = 0;
samples.forEach((id, i) => {
  const us = timeDeltas[i] ?? 0;
  const name = names.get(id) ?? '';
  if (name.startsWith('(idle)')) return;
  busy += us;
  self.set(name, (self.get(name) ?? 0) + us);
  const seen = new Set<string>();
  for (let at: number | undefined = id; at !== undefined; at = parents.get(at)) seen.add(names.get(at) ?? '');
  for (const each of seen) total.set(each, (total.get(each) ?? 0) + us);
});
console.log(`${(busy / 1000).toFixed(0)} ms busy\n   self   total`);
for (const [name, us] of [...self].sort((a, b) => b[1] - a[1]).slice(0, Number.parseInt(lines, 10))) {
  const percent = (value: number): string => `${((value / busy) * 100).toFixed(1)} %`.padStart(7);
  console.log(`${percent(us)} ${percent(total.get(name) ?? 0)}  ${name}`);
}
