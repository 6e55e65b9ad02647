/** What the tracer can find wrong, and how it is printed (conformance/trace/README.md). */

export type FindingKind =
  | 'label'
  | 'sentence'
  | 'keyword'
  | 'duplicate'
  | 'revision'
  | 'retired'
  | 'citation'
  | 'uncited'
  | 'untested'
  | 'threat'
  | 'error-code'
  | 'constant'
  | 'pending'
  | 'drift';

/** One fault: `where` is `path:line`, or a path. */
export interface Finding {
  readonly kind: FindingKind;
  readonly where: string;
  readonly message: string;
}

/** The files that the tracer looks at: path from the root of the repository, with `/`, to text. */
export type Files = ReadonlyMap<string, string>;

/** Print findings, one a line. */
export function renderFindings(findings: readonly Finding[]): string {
  return findings.map(({ kind, where, message }) => `${where}: [${kind}] ${message}\n`).join('');
}
