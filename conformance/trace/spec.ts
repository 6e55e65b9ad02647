/** Reads the chapters of spec/: requirement blocks, stray keywords, threats, names in backticks. */
import { createHash } from 'node:crypto';
import { PENDING } from './constants.ts';
import type { Files, Finding, FindingKind } from './finding.ts';

/** What the areas are called in the coverage table. */
export const AREAS: Readonly<Record<string, string>> = {
  CF: 'connection file',
  KD: 'key derivation',
  IN: 'invite',
  GT: 'gate',
  HS: 'handshake',
  RC: 'record',
  SE: 'session',
  RT: 'rotation',
  DI: 'discovery',
  EN: 'enrolment',
  ER: 'errors',
  LI: 'limits',
  CH: 'chat',
  CT: 'control',
  BE: 'bench',
};

export type Level = 'must' | 'should' | 'may';

export interface Requirement {
  readonly id: string;
  readonly area: string;
  readonly revision: number;
  readonly who: string;
  readonly sees: string;
  readonly profile: string;
  readonly threats: readonly string[];
  readonly level: Level;
  readonly text: string;
  /** SHA-256 over the sentence with each run of white space as one space, the first 16 hex digits. */
  readonly hash: string;
  readonly where: string;
}

export interface Threat {
  readonly id: string;
  readonly where: string;
  readonly pending: string | undefined;
}

export interface Spec {
  readonly requirements: readonly Requirement[];
  readonly threats: readonly Threat[];
  /** Ids mentioned in running text, to be checked like citations. */
  readonly mentions: readonly {
    readonly id: string;
    readonly revision: number | undefined;
    readonly where: string;
  }[];
  /** Every word inside a code span or a fence, outside constants.md. */
  readonly names: ReadonlySet<string>;
  /** Code spans that look like the name of a constant. */
  readonly constantNames: readonly { readonly name: string; readonly where: string }[];
  readonly findings: readonly Finding[];
}

const AREA = Object.keys(AREAS).join('|');
const ID = String.raw`(?:${AREA})-\d{3}`;
const LABEL = new RegExp(
  String.raw`^(${ID})~([1-9]\d*) \| (client|server|both|tool) \| (wire|time|file|internal) \| ([a-z][a-z0-9-]*) \| (-|T-\d\d(?:, ?T-\d\d)*)$`,
);
/** What somebody may have meant as a label: one code span on a line of its own that has a bar in it. */
const LABEL_LIKE = /^(?:[-*>]\s+)?`([^`]*\|[^`]*)`[.:]?$/;
const KEYWORD = /\b(?:MUST|SHALL|SHOULD|RECOMMENDED|MAY|REQUIRED|OPTIONAL)\b/g;
/** A comment, or a code span (group 1 its ticks, group 2 its text) that no blank line cuts. */
const COMMENT_OR_SPAN = /<!--[\s\S]*?-->|(?<!`)(`+)((?:(?!\n[ \t]*\n)[^`])+)\1(?!`)/g;
/** Around the boilerplate sentence of RFC 8174. */
const EXEMPT = '<!-- keywords: exempt -->';
const EXEMPT_END = '<!-- keywords: end -->';
const TERMS = 'spec/00-terms.md';
const THREATS = 'spec/02-threats.md';
const CONSTANT_LIKE = /^[A-Z][A-Z0-9]*(?:_[A-Z0-9]+)*_(?:MS|BYTES|MAX|MIN)$/;

/** Match every citation of a requirement: group 1 the id, group 2 the revision if it is given. */
export function citationPattern(): RegExp {
  return new RegExp(String.raw`(?<![A-Za-z0-9-])(${ID})(?:~(\d+))?(?![\w-])`, 'g');
}

/** Files that are read as chapters; coverage.md is the tracer's own output. */
function isChapter(path: string): boolean {
  return /^spec\/[^/]+\.md$/.test(path) && path !== 'spec/coverage.md';
}

interface Draft {
  requirements: Requirement[];
  threats: Threat[];
  mentions: { id: string; revision: number | undefined; where: string }[];
  names: Set<string>;
  constantNames: { name: string; where: string }[];
  findings: Finding[];
}

/** Parse all chapters. */
export function parseSpec(files: Files): Spec {
  const spec: Draft = {
    requirements: [],
    threats: [],
    mentions: [],
    names: new Set(),
    constantNames: [],
    findings: [],
  };
  for (const [path, text] of files) if (isChapter(path)) parseChapter(path, text, spec);
  const first = new Map<string, string>();
  for (const { id, where } of [...spec.requirements, ...spec.threats]) {
    const earlier = first.get(id);
    if (earlier === undefined) first.set(id, where);
    else spec.findings.push({ kind: 'duplicate', where, message: `${id} already stands at ${earlier}` });
  }
  return spec;
}

function parseChapter(path: string, text: string, spec: Draft): void {
  const chapter = readChapter(path, text, spec);
  let exempt = false;
  for (let i = 0; i < chapter.lines.length; i++) {
    const line = chapter.lines[i] ?? '';
    const where = `${path}:${i + 1}`;
    const fail = (kind: FindingKind, message: string): void =>
      void spec.findings.push({ kind, where, message });

    const comment = chapter.comments.get(i);
    if (comment === EXEMPT) {
      if (path === TERMS) exempt = true;
      else fail('keyword', `the exemption of the boilerplate sentence belongs in ${TERMS} only`);
    }
    if (comment === EXEMPT_END) exempt = false;
    if (path === THREATS) addThreat(line, comment, where, spec);

    const label = LABEL_LIKE.exec(line.trim())?.[1];
    if (label !== undefined) {
      const length = paragraphLength(chapter.lines, i + 1);
      parseBlock({ label, line, sentence: chapter.lines.slice(i + 1, i + 1 + length), where }, spec);
      i += length;
    } else if (!exempt) {
      for (const [keyword] of (chapter.prose[i] ?? '').matchAll(KEYWORD)) {
        fail('keyword', `${keyword} outside a labelled block`);
      }
    }
  }
  if (exempt) spec.findings.push({ kind: 'keyword', where: path, message: `${EXEMPT} is never ended` });
}

interface Chapter {
  /** Without fences and comments. */
  readonly lines: readonly string[];
  /** The same with each code span as `x`. */
  readonly prose: readonly string[];
  readonly comments: ReadonlyMap<number, string>;
}

/** Blank what is no prose, keeping line numbers, and collect the names in spans and fences and the ids. */
function readChapter(path: string, text: string, spec: Draft): Chapter {
  const unfenced = blankFences(path, text, spec);
  const comments = new Map<number, string>();
  const lineAt = (offset: number): number => unfenced.slice(0, offset).split('\n').length - 1;
  const spans: string[] = [];
  const bare = unfenced.replaceAll(
    COMMENT_OR_SPAN,
    (whole, ticks: string | undefined, _inner, offset: number) => {
      if (ticks !== undefined) return whole;
      comments.set(lineAt(offset), whole);
      return whole.replaceAll(/[^\n]/g, ' ');
    },
  );
  const prose = bare.replaceAll(COMMENT_OR_SPAN, (whole, _ticks, inner: string, offset: number) => {
    spans.push(inner);
    if (CONSTANT_LIKE.test(inner.trim())) {
      spec.constantNames.push({ name: inner.trim(), where: `${path}:${lineAt(offset) + 1}` });
    }
    return `x${whole.replaceAll(/[^\n]/g, '')}`;
  });
  for (const span of spans) addNames(span, path, spec);
  const lines = bare.split('\n');
  for (const [i, line] of lines.entries()) {
    if (LABEL_LIKE.test(line.trim())) continue;
    for (const [, id = '', revision] of line.matchAll(citationPattern())) {
      const where = `${path}:${i + 1}`;
      spec.mentions.push({ id, revision: revision === undefined ? undefined : Number(revision), where });
    }
  }
  return { lines, prose: prose.split('\n'), comments };
}

function blankFences(path: string, text: string, spec: Draft): string {
  let fence: string | undefined;
  const lines = text.split('\n').map(line => {
    const mark = /^\s*(`{3,}|~{3,})/.exec(line)?.[1];
    if (fence === undefined) {
      fence = mark;
      return mark === undefined ? line : '';
    }
    if (mark?.startsWith(fence) && line.trim() === mark) fence = undefined;
    else addNames(line, path, spec);
    return '';
  });
  if (fence !== undefined)
    spec.findings.push({ kind: 'label', where: path, message: 'a fence is never closed' });
  return lines.join('\n');
}

function addThreat(line: string, comment: string | undefined, where: string, spec: Draft): void {
  if (/^#+\s+T-/.test(line)) {
    const id = /^### (T-\d\d) \S/.exec(line)?.[1];
    if (id !== undefined) spec.threats.push({ id, where, pending: undefined });
    else spec.findings.push({ kind: 'threat', where, message: 'a threat is a heading "### T-nn title"' });
  }
  const pending = PENDING.exec(comment ?? '')?.[1];
  const last = spec.threats.at(-1);
  if (pending !== undefined && last !== undefined) spec.threats.splice(-1, 1, { ...last, pending });
}

interface Block {
  readonly label: string;
  readonly line: string;
  readonly sentence: readonly string[];
  readonly where: string;
}

function parseBlock({ label, line, sentence, where }: Block, spec: Draft): void {
  const fail = (kind: FindingKind, message: string): void =>
    void spec.findings.push({ kind, where, message });
  const [, id, revision, who, sees, profile, threats] = LABEL.exec(label) ?? [];
  if (id === undefined || line.trim() !== `\`${label}\``) {
    fail(
      'label',
      `\`${label}\` is no label: "AREA-nnn~revision | who | sees | profile | threats or -" alone on a line`,
    );
    return;
  }
  const text = sentence.join(' ').replaceAll(/\s+/g, ' ').trim();
  const prose = text.replaceAll(COMMENT_OR_SPAN, 'x');
  const keywords = [...prose.matchAll(KEYWORD)].map(([keyword]) => keyword);
  if (text === '') fail('sentence', `${id}: the sentence must follow on the next line`);
  else if (keywords.length !== 1)
    fail('keyword', `${id}: ${keywords.length} keywords (${keywords.join(', ')}), one is wanted`);
  else if (!/[.:]$/.test(text))
    fail('sentence', `${id}: the sentence does not end with a full stop or a colon`);
  else if (isSeveralSentences(prose)) fail('sentence', `${id}: more than one sentence in the block`);
  spec.requirements.push({
    id,
    area: id.slice(0, 2),
    revision: Number(revision),
    who: who ?? '',
    sees: sees ?? '',
    profile: profile ?? '',
    threats: threats === undefined || threats === '-' ? [] : threats.split(',').map(threat => threat.trim()),
    level: levelOf(keywords[0] ?? 'MUST'),
    text,
    hash: createHash('sha256').update(text).digest('hex').slice(0, 16),
    where,
  });
}

function levelOf(keyword: string): Level {
  if (keyword === 'MAY' || keyword === 'OPTIONAL') return 'may';
  return keyword === 'SHOULD' || keyword === 'RECOMMENDED' ? 'should' : 'must';
}

function isSeveralSentences(prose: string): boolean {
  return /[.!?]["')]*\s+["'(]?[A-Z]/.test(prose.replaceAll(/\b(?:e\.g|i\.e|cf|vs|etc|approx)\./g, ''));
}

/** How many lines from `start` up to the next blank one. */
function paragraphLength(lines: readonly string[], start: number): number {
  const rest = lines.slice(start);
  const end = rest.findIndex(line => line.trim() === '');
  return end === -1 ? rest.length : end;
}

function addNames(code: string, path: string, spec: Draft): void {
  if (path === 'spec/constants.md') return;
  for (const [name] of code.matchAll(/[A-Za-z_][A-Za-z0-9_]*/g)) spec.names.add(name);
}
