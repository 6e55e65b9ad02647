/** Runs the model over a vector as somebody else's program would: from its JSON alone (test-vectors/README.md). */
import type { ErrorName } from '../refusal.ts';
import type { Family, JsonObject, Vector } from '../vector.ts';

/** What came out, in the words of a vector. */
export interface Outcome {
  readonly error?: ErrorName;
  readonly output?: JsonObject;
  readonly released?: string;
}

/** Judges the vectors of one family. */
export type Judge = (input: JsonObject, shared: JsonObject, vectors: ReadonlyMap<string, Vector>) => Outcome;

/** Name what differs between a vector and what came out; nothing when all is right. */
export function differences(vector: Vector, outcome: Outcome): readonly string[] {
  const names: readonly (ErrorName | undefined)[] =
    vector.error === undefined ? [undefined] : [vector.error, ...(vector.also ?? [])];
  const wrong = names.includes(outcome.error) ? [] : [`error ${outcome.error} for ${names.join(' or ')}`];
  const same = (a: unknown, b: unknown): boolean => JSON.stringify(a) === JSON.stringify(b);
  if (!same(sorted(vector.output), sorted(outcome.output))) wrong.push('output');
  if (vector.released !== undefined && vector.released !== outcome.released) wrong.push('released');
  return wrong;
}

/** The same value with its fields in one order. */
function sorted(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(sorted);
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(
    Object.entries(value)
      .filter(([, inner]) => inner !== undefined)
      .sort(([a], [b]) => (a < b ? -1 : 1))
      .map(([name, inner]) => [name, sorted(inner)]),
  );
}

export type Judges = Readonly<Record<string, Judge>>;

/** Judge all vectors of a family and name every difference. */
export function judgeFamily(family: Family, judge: Judge): readonly string[] {
  const vectors = new Map(family.vectors.map(vector => [vector.id, vector]));
  return family.vectors.flatMap(vector =>
    differences(vector, judge(vector.input, family.shared ?? {}, vectors)).map(
      what => `${vector.id}: ${what}`,
    ),
  );
}
