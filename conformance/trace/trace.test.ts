/** The tracer on this repository, and on small ones in which each kind of fault must show. */
import { fileURLToPath } from 'node:url';
import { describe, expect, test } from 'vitest';
import { COVERAGE_PATH } from './coverage.ts';
import { type Files, renderFindings } from './finding.ts';
import { readRepository } from './main.ts';
import { parseSnapshot, SNAPSHOT_PATH } from './snapshot.ts';
import { trace } from './trace.ts';

test('this repository has no finding', async () => {
  const files = await readRepository(fileURLToPath(new URL('../..', import.meta.url)));
  const { findings, requirements } = trace(files);
  expect(files.size).toBeGreaterThan(10);
  if (files.has('spec/03-connection-file.md')) expect(requirements.length).toBeGreaterThan(20);
  expect(renderFindings(findings)).toBe('');
});

const SENTENCE =
  'A client MUST refuse a file longer\nthan `FILE_BYTES_MAX` (see e.g. RFC 1) with `FILE_TOO_LARGE`.';
const CLEAN: Readonly<Record<string, string>> = {
  'spec/00-terms.md': [
    'The label line of a requirement, and `<!-- keywords: exempt -->`:',
    '```',
    '`CF-999 | MUST | not a label`',
    '```',
    '<!-- keywords: exempt -->',
    'The key words "MUST", "MAY" and',
    '"OPTIONAL" are to be read as in RFC 2119; `MUST` in a span is none.',
    '<!-- keywords: end -->',
    'The rest names CF-001~1 and CF-001, and UTF-8, and A-256.',
  ].join('\n'),
  'spec/02-threats.md':
    '### T-01 Reads the store\ntext\n### T-02 Sweeps the ports\n<!-- trace: pending 06-rotation.md -->\ntext\n',
  'spec/03-file.md': `# File\n\n\`CF-001~1 | client | file | core | T-01\`\n${SENTENCE}\n\nMore prose.\n`,
  'spec/constants.md': [
    '| name | standard | minimal | unit | meaning |',
    '|---|---|---|---|---|',
    '| `FILE_BYTES_MAX` | 262,144 | 262,144 | bytes | a bound |',
    '## Rotation',
    '<!-- trace: pending 06-rotation.md -->',
    '| `GRACE_MS` | 300,000 | 1,000 | ms | after R |',
    '',
  ].join('\n'),
  'spec/09-errors.md': 'To be written.\n',
  'proto/clawchat/v1/error.proto':
    '// CF-001~1\nenum ErrorCode {\n  ERROR_CODE_UNSPECIFIED = 0;\n  // Too long.\n  ERROR_CODE_FILE_TOO_LARGE = 1;\n}\n',
  'src/protocol/file.ts': '/** @impl CF-001~1 */\nexport const x = 1;\n',
  'src/protocol/file.test.ts': "test('CF-001~1: too long', () => {});\n",
  'test-vectors/file.json': '{"tests":[{"id":"a","req":"CF-001~1"},{"id":"b","req":["CF-001~1"]}]}',
  'test-vectors/file.schema.json': '{"properties":{"req":{"type":"string"}}}',
};

/** A clean repository with some files replaced (undefined: removed); its snapshot is that of the clean one. */
function repository(changes: Readonly<Record<string, string | undefined>> = {}): Files {
  const clean = new Map(Object.entries(CLEAN));
  const { snapshot, coverage } = trace(clean);
  const files = clean.set(SNAPSHOT_PATH, snapshot).set(COVERAGE_PATH, coverage);
  for (const [path, text] of Object.entries(changes)) {
    if (text === undefined) files.delete(path);
    else files.set(path, text);
  }
  return files;
}

function edited(path: string, from: string, to: string): Record<string, string> {
  const text = CLEAN[path] ?? '';
  expect(text).toContain(from);
  return { [path]: text.replace(from, to) };
}

function faults(files: Files, editorial?: ReadonlySet<string>): readonly string[] {
  return trace(files, editorial)
    .findings.filter(({ kind }) => kind !== 'drift')
    .map(({ kind, where, message }) => `${kind} ${where} ${message}`);
}

test('a clean repository has no finding, and its requirement is cited and tested', () => {
  const { findings, coverage, requirements } = trace(repository());
  expect(findings).toEqual([]);
  expect(requirements).toMatchObject([{ id: 'CF-001', revision: 1, level: 'must', threats: ['T-01'] }]);
  expect(requirements[0]?.text).toBe(SENTENCE.replace('\n', ' '));
  expect(coverage).toContain('| CF | connection file | 1 | 1 | 0 | 0 | 1 | 1 |');
  expect(coverage).toContain('| T-01 | CF-001 |');
});

describe('each fault shows', () => {
  const CHAPTER = 'spec/03-file.md';
  const LABEL = '`CF-001~1 | client | file | core | T-01`';
  const cases: readonly (readonly [string, () => Record<string, string | undefined>, RegExp])[] = [
    ...[
      '`CF-01~1 | client | file | core | T-01`',
      '`XX-001~1 | client | file | core | T-01`',
      '`CF-001 | client | file | core | T-01`',
      '`CF-001~0 | client | file | core | T-01`',
      '`CF-001~1 | nobody | file | core | T-01`',
      '`CF-001~1 | client | smell | core | T-01`',
      '`CF-001~1 | client | file | Core | T-01`',
      '`CF-001~1 | client | file | core | T-1`',
      '`CF-001~1 | client | file | core |`',
      '`CF-001~1|client|file|core|T-01`',
      '- `CF-001~1 | client | file | core | T-01`',
    ].map(
      label => [`label ${label}`, () => edited(CHAPTER, LABEL, label), /^label .*:3 .* is no label/] as const,
    ),
    ['keyword in prose', () => edited(CHAPTER, 'More prose.', 'It MAY rain.'), /^keyword .*:7 MAY outside/],
    ['keyword in a heading', () => edited(CHAPTER, '# File', '# MUST'), /^keyword .*:1 MUST outside/],
    [
      'keyword between two spans',
      () => edited(CHAPTER, 'More', 'One `a\nb` SHALL `c` more'),
      /^keyword .*:8 SHALL outside/,
    ],
    [
      'keyword after the boilerplate',
      () => edited('spec/00-terms.md', 'The rest', 'It MUST'),
      /^keyword .*00-terms.md:9 MUST/,
    ],
    [
      'boilerplate without end',
      () => edited('spec/00-terms.md', '<!-- keywords: end -->', ''),
      /^keyword .*never ended/,
    ],
    [
      'boilerplate elsewhere',
      () => edited(CHAPTER, 'More', '<!-- keywords: exempt -->\nIt MAY'),
      /^keyword .*belongs in/,
    ],
    ['no keyword', () => edited(CHAPTER, 'MUST', 'must'), /^keyword .*:3 CF-001: 0 keywords/],
    [
      'two keywords',
      () => edited(CHAPTER, 'A client', 'A client SHOULD NOT and'),
      /^keyword .*CF-001: 2 keywords/,
    ],
    ['two sentences', () => edited(CHAPTER, 'longer', 'at once. It is longer'), /^sentence .*more than one/],
    ['no sentence', () => edited(CHAPTER, `${LABEL}\n`, `${LABEL}\n\n`), /^sentence .*next line/],
    ['no full stop', () => edited(CHAPTER, '`FILE_TOO_LARGE`.', '`FILE_TOO_LARGE`'), /^sentence .*full stop/],
    ['open fence', () => edited(CHAPTER, 'More', '```\nMore'), /^label .*never closed/],
    [
      'id twice',
      () => ({ 'spec/04-more.md': CLEAN[CHAPTER] }),
      /^duplicate spec\/04-more.md:3 CF-001 already stands at/,
    ],
    ['threat twice', () => edited('spec/02-threats.md', '### T-02', '### T-01'), /^duplicate .*T-01/],
    [
      'unknown threat',
      () => edited(CHAPTER, 'T-01', 'T-01, T-09'),
      /^threat .*:3 CF-001: T-09 stands nowhere/,
    ],
    [
      'threat heading',
      () => edited('spec/02-threats.md', '### T-02', '## T-02'),
      /^threat .*:3 a threat is a heading/,
    ],
    [
      'threat without answer',
      () => edited(CHAPTER, '| T-01', '| -'),
      /^threat .*no requirement answers T-01/,
    ],
    ['pending threat is due', () => ({ 'spec/06-rotation.md': 'Uses `GRACE_MS`.' }), /^threat .*T-02/],
    [
      'pending comment is old',
      () => ({ 'spec/06-rotation.md': 'Uses `GRACE_MS`.' }),
      /^pending spec\/constants.md .*take/,
    ],
    [
      'error code unused',
      () => edited(CHAPTER, '`FILE_TOO_LARGE`', 'FILE_TOO_LARGE'),
      /^error-code .*error.proto:5 no/,
    ],
    [
      'constant unused',
      () => edited(CHAPTER, '`FILE_BYTES_MAX`', 'FILE_BYTES_MAX'),
      /^constant .*md:3 no chapter uses/,
    ],
    [
      'constant unknown',
      () => edited(CHAPTER, 'More', '`FILES_BYTES_MAX`'),
      /^constant .*:7 FILES_BYTES_MAX is not in/,
    ],
    [
      'constant table',
      () => edited('spec/constants.md', '| 1,000 |', '| 1,001 |'),
      /^constant .*neither standard nor/,
    ],
    [
      'text changed',
      () => edited(CHAPTER, 'longer', 'larger'),
      /^revision .*text changed: raise the revision to ~2/,
    ],
    [
      'text changed, id stale',
      () => edited(CHAPTER, 'CF-001~1', 'CF-001~2'),
      /^citation src\/protocol\/file.ts:1 .*stale/,
    ],
    [
      'stale in a vector',
      () => edited(CHAPTER, 'CF-001~1', 'CF-001~2'),
      /^citation test-vectors\/file.json .*stale/,
    ],
    [
      'stale in proto',
      () => edited(CHAPTER, 'CF-001~1', 'CF-001~2'),
      /^citation proto\/clawchat\/v1\/error.proto:1 .*stale/,
    ],
    [
      'stale in a test',
      () => edited(CHAPTER, 'CF-001~1', 'CF-001~2'),
      /^citation src\/protocol\/file.test.ts:1 .*stale/,
    ],
    [
      'stale in the spec',
      () => edited(CHAPTER, 'CF-001~1', 'CF-001~2'),
      /^citation spec\/00-terms.md:9 .*stale/,
    ],
    ['not yet', () => ({ 'src/a.ts': '// @impl CF-001~2' }), /^citation src\/a.ts:1 .*does not exist yet/],
    [
      'unknown in code',
      () => ({ 'src/a.ts': '// see CF-777' }),
      /^citation src\/a.ts:1 CF-777 does not exist/,
    ],
    [
      'unknown in conformance',
      () => ({ 'conformance/checks/a.ts': "'CF-777~1'" }),
      /^citation conformance\/checks\/a.ts:1/,
    ],
    [
      'unknown in another language',
      () => ({ 'conformance/impls/a.go': '// CF-777~1' }),
      /^citation conformance\/impls/,
    ],
    [
      'unknown in a vector',
      () => ({ 'test-vectors/a.json': '{"req":"CF-777~1"}' }),
      /^citation test-vectors\/a.json CF-777/,
    ],
    [
      'req is no id',
      () => ({ 'test-vectors/a.json': '{"req":["CF-1"]}' }),
      /^citation .* req "CF-1" names no/,
    ],
    ['vector is no JSON', () => ({ 'test-vectors/a.json': '{' }), /^citation .*no JSON/],
    [
      '@impl of nothing',
      () => ({ 'src/a.ts': '/** @impl CF-1 */' }),
      /^citation src\/a.ts:1 @impl CF-1 names no/,
    ],
    [
      'nobody implements it',
      () => ({ 'src/protocol/file.ts': '// CF-001~1' }),
      /^uncited .*:3 .*@impl CF-001~1/,
    ],
    [
      'nothing tests it',
      () => ({ 'src/protocol/file.test.ts': '', 'test-vectors/file.json': '{"tests":[]}' }),
      /^untested .*:3 .*CF-001~1/,
    ],
    ['removed, still cited', () => ({ [CHAPTER]: '' }), /^citation .*CF-001 was removed/],
  ];

  test.each(cases)('%s', (_name, change, expected) => {
    const found = faults(repository(change()));
    expect(
      found.some(line => expected.test(line)),
      found.join('\n'),
    ).toBe(true);
  });

  test('the snapshot or the coverage is not current', () => {
    const drifted = (files: Files): readonly string[] =>
      trace(files)
        .findings.filter(({ kind }) => kind === 'drift')
        .map(({ where }) => where);
    expect(drifted(repository({ [SNAPSHOT_PATH]: undefined }))).toEqual([SNAPSHOT_PATH]);
    expect(drifted(repository({ 'src/protocol/file.ts': '' }))).toEqual([COVERAGE_PATH]);
    expect(drifted(repository(edited(CHAPTER, 'client |', 'both |')))).toEqual([SNAPSHOT_PATH]);
  });
});

describe('what the snapshot remembers', () => {
  const CHAPTER = 'spec/03-file.md';
  const uncited = { 'spec/00-terms.md': undefined, 'proto/clawchat/v1/error.proto': undefined };
  const quiet = {
    ...uncited,
    'src/protocol/file.ts': '/** @impl CF-001 */',
    'src/protocol/file.test.ts': '// CF-001',
    'test-vectors/file.json': '{}',
  };

  test('a changed text passes with a higher revision, or as an editorial change', () => {
    const changed = edited(CHAPTER, 'longer', 'larger');
    const raised = { [CHAPTER]: changed[CHAPTER]?.replace('~1', '~2') };
    expect(faults(repository({ ...quiet, ...raised }))).toEqual([]);
    expect(faults(repository({ ...quiet, ...changed }), new Set(['CF-001']))).toEqual([]);
    expect(trace(repository({ ...quiet, ...changed })).renewable).toBe(false);
  });

  test('a removed id is retired and cannot come back, nor can a revision sink', () => {
    const gone = trace(repository({ ...quiet, [CHAPTER]: '' }));
    expect(parseSnapshot(gone.snapshot)).toMatchObject([{ id: 'CF-001', retired: true }]);
    const back = repository({ ...quiet, [SNAPSHOT_PATH]: gone.snapshot });
    expect(faults(back)).toEqual([expect.stringMatching(/^retired .*take a new one/)]);
    expect(trace(back).renewable).toBe(false);

    const raised = trace(repository({ ...quiet, ...edited(CHAPTER, '~1', '~3') })).snapshot;
    const sunk = repository({ ...quiet, [SNAPSHOT_PATH]: raised, ...edited(CHAPTER, '~1', '~2') });
    expect(faults(sunk)).toEqual([expect.stringMatching(/^revision .*2 is below 3/)]);
  });

  test('a line wrapped elsewhere is the same text', () => {
    expect(faults(repository(edited(CHAPTER, 'A client MUST refuse', 'A client\nMUST  refuse')))).toEqual([]);
  });
});

test('a citation without revision is accepted and noted, outside the spec', () => {
  const { findings, notes } = trace(repository(edited('src/protocol/file.ts', 'CF-001~1', 'CF-001')));
  expect(findings).toEqual([]);
  expect(notes).toContain('src/protocol/file.ts:1: CF-001 is cited without its revision, now ~1');
  expect(notes).toContain('1 threats wait for spec/06-rotation.md');
});

test('error codes wait for their chapter', () => {
  const chapter = edited('spec/03-file.md', '`FILE_TOO_LARGE`', 'a fault');
  const files = new Map(Object.entries({ ...CLEAN, ...chapter }));
  expect(faults(files).join()).toContain('FILE_TOO_LARGE');
  files.delete('spec/09-errors.md');
  expect(faults(files)).toEqual([]);
  expect(trace(files).notes).toContain('1 error-codes wait for spec/09-errors.md');
});

test('a mention in src is no citation, one in a test is a test', () => {
  const { coverage } = trace(
    repository(edited('src/protocol/file.ts', '@impl CF-001~1', 'as CF-001~1 says')),
  );
  expect(coverage).toContain('| CF | connection file | 1 | 1 | 0 | 0 | 0 | 1 |');
});
