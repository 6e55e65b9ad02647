/** Finds who cites a requirement: the code, the tests, the vectors, the comments in proto/. */
import type { Files, Finding } from './finding.ts';
import { citationPattern } from './spec.ts';

/** `impl` counts as cited, `test` as tested; `mention` is only checked. */
export type Role = 'impl' | 'test' | 'mention';

export interface Citation {
  readonly id: string;
  readonly revision: number | undefined;
  readonly role: Role;
  readonly where: string;
}

const CODE = /\.(?:ts|mts|js|mjs|proto|go|py|ya?ml)$/;
const IMPL = /@impl\b[ \t]*([^\n]*)/g;

/** Say what a citation in a file means, or undefined for a file that is not searched. */
export function roleOf(path: string): Role | undefined {
  if (path.startsWith('src/gen/') || path.startsWith('conformance/trace/')) return undefined;
  if (path.startsWith('test-vectors/')) return path.endsWith('.json') ? 'test' : undefined;
  if (!CODE.test(path)) return undefined;
  if (/\.test\.ts$/.test(path)) return 'test';
  if (path.startsWith('conformance/'))
    return /^conformance\/(?:model|impls)\//.test(path) ? 'mention' : 'test';
  return path.startsWith('src/') || path.startsWith('proto/') ? 'mention' : undefined;
}

/** Collect all citations; an `@impl` or a `req` that names no requirement is a finding. */
export function findCitations(files: Files): {
  readonly citations: readonly Citation[];
  readonly findings: readonly Finding[];
} {
  const citations: Citation[] = [];
  const findings: Finding[] = [];
  for (const [path, text] of files) {
    const role = roleOf(path);
    if (role === undefined) continue;
    if (path.startsWith('test-vectors/')) citeVectors(path, text, citations, findings);
    else citeText(path, text, role, citations, findings);
  }
  return { citations, findings };
}

function citeText(path: string, text: string, role: Role, citations: Citation[], findings: Finding[]): void {
  for (const [index, line] of text.split('\n').entries()) {
    const where = `${path}:${index + 1}`;
    const impl = new Set<string>();
    for (const [, list = ''] of line.matchAll(IMPL)) {
      const ids = [...list.matchAll(citationPattern())].map(([, id = '']) => id);
      const first = list.replace(/^[\s:]+/, '').split(/[\s,]/)[0] ?? '';
      if (ids[0] === undefined || !first.startsWith(ids[0])) {
        findings.push({ kind: 'citation', where, message: `@impl ${first} names no requirement` });
      }
      for (const id of ids) impl.add(id);
    }
    for (const [, id = '', revision] of line.matchAll(citationPattern())) {
      const here = role === 'mention' && path.startsWith('src/') && impl.has(id) ? 'impl' : role;
      citations.push({
        id,
        revision: revision === undefined ? undefined : Number(revision),
        role: here,
        where,
      });
    }
  }
}

function citeVectors(path: string, text: string, citations: Citation[], findings: Finding[]): void {
  const fail = (message: string): void => void findings.push({ kind: 'citation', where: path, message });
  const cite = (value: unknown): void => {
    const [match] = typeof value === 'string' ? value.matchAll(citationPattern()) : [];
    if (match?.[1] === undefined || match[0] !== value) {
      fail(`req ${JSON.stringify(value)} names no requirement`);
      return;
    }
    const revision = match[2] === undefined ? undefined : Number(match[2]);
    citations.push({ id: match[1], revision, role: 'test', where: path });
  };
  const walk = (value: unknown): void => {
    if (typeof value !== 'object' || value === null) return;
    for (const [key, inner] of Object.entries(value)) {
      if (key !== 'req') walk(inner);
      else if (Array.isArray(inner)) inner.forEach(cite);
      else if (typeof inner === 'string') cite(inner);
      else walk(inner);
    }
  };
  try {
    walk(JSON.parse(text));
  } catch {
    fail('no JSON');
  }
}
