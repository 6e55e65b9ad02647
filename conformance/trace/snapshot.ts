/** Remembers what each requirement said: spec/requirements.json, so that a text cannot change unnoticed. */
import type { Finding } from './finding.ts';
import type { Requirement } from './spec.ts';

export interface Entry {
  readonly id: string;
  readonly revision: number;
  readonly hash: string;
  readonly who: string;
  readonly sees: string;
  readonly profile: string;
  readonly threats: readonly string[];
  /** True once the requirement is gone; its id is never given again. */
  readonly retired?: true;
}

export const SNAPSHOT_PATH = 'spec/requirements.json';

/** Read the snapshot; a missing one is empty. */
export function parseSnapshot(text: string | undefined): readonly Entry[] {
  if (text === undefined) return [];
  const { requirements } = JSON.parse(text) as { readonly requirements: readonly Entry[] };
  return requirements;
}

export interface Compared {
  /** Faults that renewing the snapshot would hide, so it is not renewed. */
  readonly findings: readonly Finding[];
  readonly next: readonly Entry[];
}

/**
 * Compare the requirements with what the snapshot remembers and say what the next snapshot is.
 * A text in `editorial` (ids) may change under the same revision: for a correction that changes no meaning.
 */
export function compareSnapshot(
  requirements: readonly Requirement[],
  snapshot: readonly Entry[],
  editorial: ReadonlySet<string>,
): Compared {
  const findings: Finding[] = [];
  const known = new Map(snapshot.map(entry => [entry.id, entry]));
  const next = new Map<string, Entry>();
  for (const { id, revision, hash, who, sees, profile, threats, where } of requirements) {
    const fail = (kind: 'revision' | 'retired', message: string): void =>
      void findings.push({ kind, where, message: `${id}: ${message}` });
    const before = known.get(id);
    if (before?.retired) fail('retired', 'the id belonged to a requirement that was removed; take a new one');
    else if (before !== undefined && revision < before.revision) {
      fail('revision', `revision ${revision} is below ${before.revision}`);
    } else if (before?.revision === revision && before.hash !== hash && !editorial.has(id)) {
      fail('revision', `the text changed: raise the revision to ~${revision + 1}`);
    }
    if (!next.has(id)) next.set(id, { id, revision, hash, who, sees, profile, threats });
  }
  for (const entry of snapshot) if (!next.has(entry.id)) next.set(entry.id, { ...entry, retired: true });
  const ids = [...next.keys()].sort();
  return { findings, next: ids.flatMap(id => next.get(id) ?? []) };
}

/** Write the snapshot, a requirement a line, so that its diff can be reviewed. */
export function renderSnapshot(entries: readonly Entry[]): string {
  const lines = entries.map(entry => `    ${JSON.stringify(entry)}`);
  return lines.length === 0
    ? '{\n  "requirements": []\n}\n'
    : `{\n  "requirements": [\n${lines.join(',\n')}\n  ]\n}\n`;
}
