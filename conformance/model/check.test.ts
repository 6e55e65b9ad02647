/** The committed vectors and examples are those that the model makes; each fits its schema, and the model judges it from its JSON alone. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { Ajv2020 } from 'ajv/dist/2020.js';
import { describe, expect, it } from 'vitest';
import { corpus, families } from './corpus.ts';
import { CHAPTERS, fillExamples } from './examples.ts';
import { FLAGS } from './flags.ts';
import { differences, judgeFamily } from './judge/judge.ts';
import { JUDGES } from './judges.ts';
import { SCHEMAS } from './schemas.ts';
import type { Family, Vector } from './vector.ts';

const ROOT = fileURLToPath(new URL('../..', import.meta.url));
const made = families();
const committed = (path: string): string => readFileSync(join(ROOT, path), 'utf8');
const read = (name: string): Family => JSON.parse(committed(`test-vectors/${name}.json`));
const NAMES = Object.keys(JUDGES);

describe('what is committed', () => {
  it.each([...corpus(made)])('%s is what the model makes', (path, text) => {
    // Not toBe on the texts: half a megabyte of difference helps nobody.
    expect(committed(path) === text, `${path} differs: run npm run vectors`).toBe(true);
  });

  it.each(CHAPTERS)('the examples in %s are those of the vectors', chapter => {
    const old = committed(chapter);
    expect(fillExamples(chapter, old, made) === old, 'differs: run npm run vectors').toBe(true);
    expect(old.includes('<!-- example: '), `${chapter} has no example`).toBe(true);
  });

  it('has a schema and a judge for each family', () => {
    expect(Object.keys(SCHEMAS).toSorted()).toEqual(NAMES.toSorted());
    expect(made.map(({ family }) => family).toSorted()).toEqual(NAMES.toSorted());
  });

  it('uses every flag that is explained', () => {
    const used = new Set(made.flatMap(one => Object.keys(one.flags)));
    expect(Object.keys(FLAGS).filter(flag => !used.has(flag))).toEqual([]);
  });

  it('stays small', () => {
    const bytes = [...corpus(made).values()].reduce((sum, text) => sum + text.length, 0);
    expect(bytes).toBeLessThan(3_250_000);
  });
});

describe.each(NAMES)('%s', name => {
  const family = read(name);
  const judge = JUDGES[name];

  it('fits its schema', () => {
    const schema = JSON.parse(committed(`test-vectors/schema/${name}.schema.json`));
    const validate = new Ajv2020({ allErrors: false }).compile(schema);
    expect(validate(family), JSON.stringify(validate.errors)).toBe(true);
  });

  it('has a schema that refuses what does not belong', () => {
    const schema = JSON.parse(committed(`test-vectors/schema/${name}.schema.json`));
    const validate = new Ajv2020({ allErrors: false }).compile(schema);
    const [first] = family.vectors;
    const spoilt = [
      { ...first, extra: 1 },
      { ...first, req: ['CF-'] },
      { ...first, error: 'NO_SUCH_CODE' },
      { ...first, input: { ...first?.input, extra: 1 } },
      { ...first, output: undefined, error: undefined },
    ];
    for (const vector of spoilt) {
      const content = JSON.parse(JSON.stringify({ ...family, vectors: [vector] }));
      expect(validate(content), JSON.stringify(Object.keys(vector))).toBe(false);
    }
  });

  it('is judged as it says', () => {
    expect(judge && judgeFamily(family, judge)).toEqual([]);
  });

  it('explains each flag and shows both what is right and what is refused', () => {
    const used = family.vectors.flatMap(({ flags }) => flags);
    expect(Object.keys(family.flags).toSorted()).toEqual([...new Set(used)].toSorted());
    const refused = family.vectors.filter(({ error }) => error !== undefined).length;
    expect(refused < family.vectors.length).toBe(true);
    expect(refused > 0).toBe(!['derivation', 'words'].includes(name));
  });
});

describe('the judge', () => {
  const vector: Vector = {
    id: 'words/x',
    note: '',
    req: [],
    flags: [],
    phase: 'derive',
    released: 'aa',
    input: {},
    output: { words: 'a', list: [{ b: 1, a: 2 }] },
  };
  it('takes fields in any order', () => {
    const outcome = { output: { list: [{ a: 2, b: 1 }], words: 'a' }, released: 'aa' };
    expect(differences(vector, outcome)).toEqual([]);
  });
  it('sees another output, another error, another release', () => {
    expect(differences(vector, { output: { words: 'b' }, released: 'aa' })).toEqual(['output']);
    expect(differences(vector, { ...vector, error: 'INTERNAL' })).toEqual(['error INTERNAL for ']);
    expect(differences(vector, { output: vector.output ?? {}, released: 'bb' })).toEqual(['released']);
  });
});
