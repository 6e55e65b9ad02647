/** Counts how far each requirement has come and writes spec/coverage.md. */
import type { Citation } from './citations.ts';
import { AREAS, type Requirement } from './spec.ts';

export const COVERAGE_PATH = 'spec/coverage.md';

interface Row {
  readonly area: string;
  readonly title: string;
  readonly own: readonly Requirement[];
}

/** Write the table of areas and, per area, what is not cited or not tested yet. */
export function renderCoverage(requirements: readonly Requirement[], citations: readonly Citation[]): string {
  const cited = idsWithRole(citations, 'impl');
  const tested = idsWithRole(citations, 'test');
  const rows: readonly Row[] = Object.entries(AREAS).map(([area, title]) => {
    const own = requirements.filter(requirement => requirement.area === area);
    return { area, title, own };
  });
  const all = { area: 'all', title: '', own: requirements };
  const cells = ({ area, title, own }: Row): string => {
    const level = (wanted: string): number => own.filter(requirement => requirement.level === wanted).length;
    const within = (ids: ReadonlySet<string>): number =>
      own.filter(requirement => ids.has(requirement.id)).length;
    const counts = [own.length, level('must'), level('should'), level('may'), within(cited), within(tested)];
    return `| ${[area, title, ...counts].join(' | ')} |`;
  };
  const missing = (ids: ReadonlySet<string>): string[] =>
    rows.flatMap(({ area, own }) => {
      const list = own
        .filter(({ id }) => !ids.has(id))
        .map(({ id }) => id)
        .sort();
      return list.length === 0 ? [] : [`- ${area}: ${list.join(', ')}`];
    });
  return [
    '# Coverage',
    '',
    'Written by `npm run trace -- --write`. Specified: the requirement has a text. Cited: code in `src/` says that it',
    'implements it. Tested: a unit test, a vector or a conformance check names it.',
    '',
    '| area | | specified | must | should | may | cited | tested |',
    '|---|---|---|---|---|---|---|---|',
    ...rows.map(cells),
    cells(all),
    '',
    '## Threats',
    '',
    '| threat | answered by |',
    '|---|---|',
    ...threatRows(requirements),
    '',
    '## Not cited',
    '',
    ...orNone(missing(cited)),
    '',
    '## Not tested',
    '',
    ...orNone(missing(tested)),
    '',
  ].join('\n');
}

function threatRows(requirements: readonly Requirement[]): readonly string[] {
  const threats = new Set(requirements.flatMap(requirement => requirement.threats));
  return [...threats].sort().map(threat => {
    const answers = requirements
      .filter(requirement => requirement.threats.includes(threat))
      .map(({ id }) => id);
    return `| ${threat} | ${answers.sort().join(', ')} |`;
  });
}

/** The ids that are cited so. */
export function idsWithRole(citations: readonly Citation[], role: Citation['role']): ReadonlySet<string> {
  return new Set(citations.filter(citation => citation.role === role).map(({ id }) => id));
}

function orNone(lines: readonly string[]): readonly string[] {
  return lines.length === 0 ? ['None.'] : lines;
}
