/** Reads the tables of spec/constants.md and writes them as TypeScript (spec/constants.md). */
import type { Finding } from './finding.ts';

/** One row: the values are lists because a few constants are (most lists have one element). */
export interface Constant {
  readonly name: string;
  readonly standard: readonly number[];
  readonly minimal: readonly number[];
  readonly unit: string;
  readonly meaning: string;
  readonly line: number;
  /** The chapter that will cite it and is not written yet, if its section says so. */
  readonly pending: string | undefined;
}

export interface ConstantTable {
  readonly constants: readonly Constant[];
  readonly findings: readonly Finding[];
}

const PATH = 'spec/constants.md';
const NAME = /^`([A-Z][A-Z0-9]*(?:_[A-Z0-9]+)+)`$/;
const VALUE = /^(?:0|[1-9]\d{0,2}(?:,\d{3})*)$/;
/** An hour of 12 seconds. */
const MINIMAL_DIVISOR = 300;

/** A comment that excuses a section until the chapter that it names is written. */
export const PENDING: RegExp = /^<!-- trace: pending (\S+) -->$/;

/** Parse the tables of constants.md; a row that breaks a rule of that chapter is a finding. */
export function parseConstants(text: string): ConstantTable {
  const constants: Constant[] = [];
  const findings: Finding[] = [];
  const seen = new Set<string>();
  let pending: string | undefined;
  for (const [index, line] of text.split('\n').entries()) {
    const at = index + 1;
    const fail = (message: string): void => {
      findings.push({ kind: 'constant', where: `${PATH}:${at}`, message });
    };
    if (line.startsWith('#')) pending = undefined;
    pending = PENDING.exec(line.trim())?.[1] ?? pending;
    if (!line.startsWith('|') || /^\|(?:-+\|)+$/.test(line) || line.startsWith('| name |')) continue;
    const cells = line.split('|').map(cell => cell.trim());
    if (cells.length !== 7) {
      fail('a row has five cells: name, standard, minimal, unit, meaning');
      continue;
    }
    const [, nameCell = '', standardCell = '', minimalCell = '', unit = '', meaning = ''] = cells;
    const name = NAME.exec(nameCell)?.[1];
    const standard = parseValues(standardCell);
    const minimal = parseValues(minimalCell);
    if (name === undefined) fail(`${nameCell} is no name: upper-case words in backticks, unit then bound`);
    else if (seen.has(name)) fail(`${name} stands twice`);
    else if (standard === undefined || minimal === undefined)
      fail(`${name}: a value is 1,234 or 1,234 / 5,678, rising`);
    else if (!unitFits(name, unit)) fail(`${name}: the name and the unit ${unit} disagree`);
    else if (!followsRule(standard, minimal, unit)) {
      fail(`${name}: minimal is neither standard nor standard / ${MINIMAL_DIVISOR}, rounded up`);
    } else constants.push({ name, standard, minimal, unit, meaning, line: at, pending });
    if (name !== undefined) seen.add(name);
  }
  return { constants, findings };
}

function parseValues(cell: string): readonly number[] | undefined {
  const parts = cell.split(' / ');
  const values = parts.map(part => Number(part.replaceAll(',', '')));
  const valid = parts.every(part => VALUE.test(part)) && values.every(value => Number.isSafeInteger(value));
  return valid && values.every((value, i) => i === 0 || value > (values[i - 1] ?? 0)) ? values : undefined;
}

function unitFits(name: string, unit: string): boolean {
  const words = name.split('_');
  return words.includes('MS') === (unit === 'ms') && words.includes('BYTES') === (unit === 'bytes');
}

function followsRule(standard: readonly number[], minimal: readonly number[], unit: string): boolean {
  if (sameValues(standard, minimal)) return true;
  return (
    unit === 'ms' &&
    sameValues(
      minimal,
      standard.map(value => Math.ceil(value / MINIMAL_DIVISOR)),
    )
  );
}

function sameValues(a: readonly number[], b: readonly number[]): boolean {
  return a.length === b.length && a.every((value, i) => value === b[i]);
}

/** Write the constants as a TypeScript module: both presets where they differ, else one plain constant. */
export function renderConstants(constants: readonly Constant[]): string {
  const differing = constants.filter(({ standard, minimal }) => !sameValues(standard, minimal));
  const equal = constants.filter(({ standard, minimal }) => sameValues(standard, minimal));
  const preset = (name: string, pick: (row: Constant) => readonly number[]): string[] => [
    `export const ${name}: Constants = {`,
    ...differing.map(row => `  ${row.name}: ${literal(pick(row))},`),
    '};',
    '',
  ];
  return [
    '// Generated from spec/constants.md by `npm run generate`. Do not edit.',
    '',
    '/** The constants that depend on the preset: times of the rotation table. */',
    'export interface Constants {',
    ...differing.flatMap(row => [`  ${comment(row)}`, `  readonly ${row.name}: ${typeOf(row.standard)};`]),
    '}',
    '',
    '/** The protocol. */',
    ...preset('STANDARD', row => row.standard),
    '/** The same protocol with an hour of 12 seconds, for tests in real time. */',
    ...preset('MINIMAL', row => row.minimal),
    ...equal.flatMap(row => [
      comment(row),
      `export const ${row.name}: ${typeOf(row.standard)} = ${literal(row.standard)};`,
      '',
    ]),
  ]
    .join('\n')
    .trimEnd()
    .concat('\n');
}

function comment({ unit, meaning }: Constant): string {
  return `/** ${unit}: ${meaning.replaceAll('`', '').replaceAll('*/', '* /')}. */`;
}

function typeOf(values: readonly number[]): string {
  return values.length === 1 ? 'number' : 'readonly number[]';
}

function literal(values: readonly number[]): string {
  const [first, ...rest] = values.map(group);
  return first !== undefined && rest.length === 0 ? first : `[${values.map(group).join(', ')}]`;
}

function group(value: number): string {
  return value < 10_000 ? String(value) : String(value).replaceAll(/\B(?=(?:\d{3})+$)/g, '_');
}
