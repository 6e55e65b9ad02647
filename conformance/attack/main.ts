/**
 * `npm run attack`: attacks a host for about a minute and a half, prints what came of it, and keeps the figures in bench/attack.json.
 * `npm run attack -- --print` prints the rows of that file, `--readme` writes them into README.md.
 */
import { readFileSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { Place } from '../system/programs.ts';
import { type AttackReport, runAttack } from './run.ts';
import { findings, P99_RATIO_MAX, table, withAttack } from './table.ts';

const FILE = fileURLToPath(new URL('../../bench/attack.json', import.meta.url));

const README = fileURLToPath(new URL('../../README.md', import.meta.url));

const { values } = parseArgs({
  options: {
    print: { type: 'boolean', default: false },
    readme: { type: 'boolean', default: false },
    windows: { type: 'string', default: '4' },
    'window-ms': { type: 'string', default: '8000' },
    sources: { type: 'string', default: '4000' },
    'per-window': { type: 'string', default: '2000' },
  },
});

async function attack(): Promise<number> {
  const place = new Place();
  try {
    const report = await runAttack(place, {
      windows: Number(values.windows),
      windowMs: Number(values['window-ms']),
      sources: Number(values.sources),
      perWindow: Number(values['per-window']),
    });
    console.log(table(report));
    const found = [...findings(report)];
    // A ratio that is missed is a figure; a count that is wrong is none.
    if (found.length === 0) writeFileSync(FILE, `${JSON.stringify(report, undefined, 1)}\n`);
    if (report.p99Ratio > P99_RATIO_MAX)
      found.push(`the members' p99 is ${report.p99Ratio.toFixed(2)} of that in calm`);
    for (const each of found) console.error(`attack: ${each}`);
    return found.length === 0 ? 0 : 1;
  } finally {
    await place.clean();
  }
}

if (values.print || values.readme) {
  const report: AttackReport = JSON.parse(readFileSync(FILE, 'utf8'));
  if (values.print) console.log(table(report));
  else writeFileSync(README, withAttack(readFileSync(README, 'utf8'), report));
} else process.exitCode = await attack();
