/** Puts the trace together: what is specified, who cites it, what is wrong (conformance/trace/README.md). */
import { type Citation, findCitations } from './citations.ts';
import { parseConstants } from './constants.ts';
import { COVERAGE_PATH, idsWithRole, renderCoverage } from './coverage.ts';
import type { Files, Finding, FindingKind } from './finding.ts';
import { compareSnapshot, parseSnapshot, renderSnapshot, SNAPSHOT_PATH } from './snapshot.ts';
import { parseSpec, type Requirement, type Spec } from './spec.ts';

export interface Trace {
  readonly requirements: readonly Requirement[];
  /** Everything that makes the trace fail, drift included. */
  readonly findings: readonly Finding[];
  /** Accepted, but better otherwise. */
  readonly notes: readonly string[];
  /** What the committed files should say. */
  readonly snapshot: string;
  readonly coverage: string;
  /** False while renewing the snapshot would hide a changed text or a reused id. */
  readonly renewable: boolean;
}

const ERRORS = 'proto/clawchat/v1/error.proto';
const ERROR_CHAPTER = '09-errors.md';

/** Trace a repository given as its files. `editorial`: ids whose text may change under the same revision. */
export function trace(files: Files, editorial: ReadonlySet<string> = new Set()): Trace {
  const spec = parseSpec(files);
  const { citations, findings: citationFindings } = findCitations(files);
  const { findings: snapshotFindings, next } = compareSnapshot(
    spec.requirements,
    parseSnapshot(files.get(SNAPSHOT_PATH)),
    editorial,
  );
  const retired = new Set(next.filter(entry => entry.retired).map(({ id }) => id));
  const notes: string[] = [];
  const snapshot = renderSnapshot(next);
  const coverage = renderCoverage(spec.requirements, citations);
  const drift = (path: string, expected: string): Finding[] =>
    (files.get(path) ?? '') === expected
      ? []
      : [{ kind: 'drift', where: path, message: 'is not current: run `npm run trace -- --write`' }];
  const findings = [
    ...spec.findings,
    ...citationFindings,
    ...snapshotFindings,
    ...checkCitations(spec, citations, retired, notes),
    ...checkCovered(spec, citations),
    ...checkThreats(spec, files, notes),
    ...checkErrorCodes(spec, files, notes),
    ...checkConstants(spec, files, notes),
    ...drift(SNAPSHOT_PATH, snapshot),
    ...drift(COVERAGE_PATH, coverage),
  ];
  const { requirements } = spec;
  return { requirements, findings, notes, snapshot, coverage, renewable: snapshotFindings.length === 0 };
}

function checkCitations(
  spec: Spec,
  citations: readonly Citation[],
  retired: ReadonlySet<string>,
  notes: string[],
): readonly Finding[] {
  const current = new Map(spec.requirements.map(({ id, revision }) => [id, revision]));
  return [...citations, ...spec.mentions].flatMap(({ id, revision, where }): Finding[] => {
    const fail = (message: string): Finding[] => [{ kind: 'citation', where, message }];
    const now = current.get(id);
    if (now === undefined) return fail(`${id} ${retired.has(id) ? 'was removed' : 'does not exist'}`);
    if (revision === undefined) {
      if (!where.startsWith('spec/'))
        notes.push(`${where}: ${id} is cited without its revision, now ~${now}`);
      return [];
    }
    if (revision < now) return fail(`${id}~${revision} is stale, the text is now ~${now}: read it again`);
    return revision > now ? fail(`${id}~${revision} does not exist yet, the text is ~${now}`) : [];
  });
}

/** Each requirement is implemented somewhere, and named by something that goes red without it. */
function checkCovered(spec: Spec, citations: readonly Citation[]): readonly Finding[] {
  const [cited, tested] = [idsWithRole(citations, 'impl'), idsWithRole(citations, 'test')];
  return spec.requirements.flatMap(({ id, revision, where }): Finding[] => [
    ...(cited.has(id)
      ? []
      : [{ kind: 'uncited', where, message: `no code says @impl ${id}~${revision}` } as const]),
    ...(tested.has(id)
      ? []
      : [{ kind: 'untested', where, message: `no test and no vector names ${id}~${revision}` } as const]),
  ]);
}

function checkThreats(spec: Spec, files: Files, notes: string[]): readonly Finding[] {
  const known = new Set(spec.threats.map(({ id }) => id));
  const cited = new Set(spec.requirements.flatMap(({ threats }) => threats));
  const unknown = spec.requirements.flatMap(({ id, threats, where }): Finding[] =>
    threats
      .filter(threat => !known.has(threat))
      .map(threat => ({
        kind: 'threat',
        where,
        message: `${id}: ${threat} stands nowhere in 02-threats.md`,
      })),
  );
  const uncited = spec.threats
    .filter(({ id }) => !cited.has(id))
    .map(
      ({ id, where, pending }): Uncited => ({
        kind: 'threat',
        what: `no requirement answers ${id}`,
        where,
        pending,
      }),
    );
  const excused = spec.threats
    .filter(({ id }) => cited.has(id))
    .map(({ where, pending }): Uncited => ({ kind: 'threat', what: undefined, where, pending }));
  return [...unknown, ...checkUncited([...uncited, ...excused], files, notes)];
}

function checkConstants(spec: Spec, files: Files, notes: string[]): readonly Finding[] {
  const { constants, findings } = parseConstants(files.get('spec/constants.md') ?? '');
  const known = new Set(constants.map(({ name }) => name));
  const unknown = spec.constantNames
    .filter(({ name }) => !known.has(name))
    .map(
      ({ name, where }): Finding => ({ kind: 'constant', where, message: `${name} is not in constants.md` }),
    );
  const uncited = constants.map(({ name, line, pending }): Uncited => {
    const what = spec.names.has(name) ? undefined : `no chapter uses ${name}`;
    return { kind: 'constant', what, where: `spec/constants.md:${line}`, pending };
  });
  return [...findings, ...unknown, ...checkUncited(uncited, files, notes)];
}

/** Something that may lack a citation (`what` says so) while a chapter is pending. */
interface Uncited {
  readonly kind: FindingKind;
  readonly what: string | undefined;
  readonly where: string;
  readonly pending: string | undefined;
}

function checkUncited(items: readonly Uncited[], files: Files, notes: string[]): readonly Finding[] {
  const arrived = new Set<string>();
  const waiting = new Map<string, number>();
  const findings = items.flatMap(({ kind, what, where, pending }): Finding[] => {
    const excuse = pending !== undefined && !files.has(`spec/${pending}`);
    if (pending !== undefined && !excuse) arrived.add(`${where.split(':')[0]} ${pending}`);
    if (what === undefined) return [];
    if (!excuse) return [{ kind, where, message: what }];
    waiting.set(pending, (waiting.get(pending) ?? 0) + 1);
    return [];
  });
  for (const [chapter, count] of waiting) notes.push(`${count} ${items[0]?.kind}s wait for spec/${chapter}`);
  const stale = [...arrived].map((key): Finding => {
    const [where = '', chapter = ''] = key.split(' ');
    return { kind: 'pending', where, message: `spec/${chapter} is written: take the pending comment out` };
  });
  return [...findings, ...stale];
}

function checkErrorCodes(spec: Spec, files: Files, notes: string[]): readonly Finding[] {
  const pending = files.has(`spec/${ERROR_CHAPTER}`) ? undefined : ERROR_CHAPTER;
  const uncited = errorCodes(files.get(ERRORS) ?? '').map(({ names, line }): Uncited => {
    const used = names.some(alias => spec.names.has(alias));
    const what = used ? undefined : `no chapter says when ${names[0]} is given`;
    return { kind: 'error-code', what, where: `${ERRORS}:${line}`, pending };
  });
  return checkUncited(uncited, files, notes);
}

/** The codes of error.proto, each under the names that a chapter may use: with the enum's prefix or without. */
function errorCodes(text: string): readonly { readonly names: readonly string[]; readonly line: number }[] {
  let prefix: string | undefined;
  return text.split('\n').flatMap((line, index) => {
    const name = /^\s*enum\s+(\w+)\s*\{/.exec(line)?.[1];
    if (name !== undefined) prefix = `${name.replaceAll(/(?<=[a-z0-9])(?=[A-Z])/g, '_').toUpperCase()}_`;
    const value = /^\s*([A-Z][A-Z0-9_]*)\s*=\s*(-?\d+)/.exec(line);
    if (/^\s*\}/.test(line)) prefix = undefined;
    if (prefix === undefined || value?.[1] === undefined || value[2] === '0') return [];
    const short = value[1].startsWith(prefix) ? value[1].slice(prefix.length) : value[1];
    return [{ names: [value[1], short], line: index + 1 }];
  });
}
