/**
 * `npm run attack`: attacks a host at 250, 500 and 1,000 connections a second, for about a minute and a half each, prints what came of
 * it, and keeps the figures in bench/attack.json. `--rate N`, any number of times, takes other rates and keeps nothing.
 * `--readme` writes the table into README.md as well; `--kept` measures nothing and takes what is kept.
 */
import { readFileSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { Place } from '../system/programs.ts';
import { type AttackReport, runAttack } from './run.ts';
import { findings, P99_RATIO_MAX, table, withAttack } from './table.ts';

const FILE = fileURLToPath(new URL('../../bench/attack.json', import.meta.url));
const README = fileURLToPath(new URL('../../README.md', import.meta.url));
const RATES = [250, 500, 1000];

const { values } = parseArgs({
  options: {
    rate: { type: 'string', multiple: true, default: [] },
    kept: { type: 'boolean', default: false },
    readme: { type: 'boolean', default: false },
    windows: { type: 'string', default: '4' },
    'window-ms': { type: 'string', default: '8000' },
    sources: { type: 'string', default: '4000' },
  },
});

function positive(value: string, option: string): number {
  const number = Number(value);
  if (Number.isInteger(number) && number > 0) return number;
  console.error(`attack: --${option} takes a whole number above 0, not ${value}`);
  process.exit(2);
}

async function attack(rate: number): Promise<AttackReport> {
  const place = new Place();
  try {
    return await runAttack(place, {
      windows: positive(values.windows, 'windows'),
      windowMs: positive(values['window-ms'], 'window-ms'),
      sources: positive(values.sources, 'sources'),
      rate,
    });
  } finally {
    await place.clean();
  }
}

/** What is wrong, and what was missed. */
function flaws(report: AttackReport): readonly string[] {
  const { rate, reached, p99Ratio } = report;
  const found = [...findings(report)];
  if (p99Ratio > P99_RATIO_MAX) found.push(`the members' p99 is ${p99Ratio.toFixed(2)} of that in calm`);
  if (reached < 0.9 * rate) found.push(`the attackers came to ${reached.toFixed(0)} a second only`);
  return found.map(each => `at ${rate} a second: ${each}`);
}

async function main(): Promise<void> {
  let reports: AttackReport[] = [];
  if (values.kept) reports = JSON.parse(readFileSync(FILE, 'utf8'));
  else {
    const asked = values.rate.map(rate => positive(rate, 'rate'));
    if (asked.length > 0 && values.readme) {
      console.error('attack: README.md has the table of the usual rates; leave out --rate or --readme');
      process.exit(2);
    }
    for (const rate of asked.length > 0 ? asked : RATES) {
      console.error(`attack: ${rate} connections a second`);
      reports.push(await attack(rate));
    }
    const isRight = reports.every(report => findings(report).length === 0);
    // A ratio that is missed is a figure; a count that is wrong is none.
    if (asked.length === 0 && isRight) writeFileSync(FILE, `${JSON.stringify(reports, undefined, 1)}\n`);
    for (const flaw of reports.flatMap(flaws)) {
      console.error(`attack: ${flaw}`);
      process.exitCode = 1;
    }
    if (!isRight) values.readme = false;
  }
  console.log(table(reports));
  if (values.readme) writeFileSync(README, withAttack(readFileSync(README, 'utf8'), reports));
}

await main();
