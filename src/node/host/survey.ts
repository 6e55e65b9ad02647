/** What a host sees in its stores before it serves, and whether it may. Chapter: spec/07-discovery.md 7.3, 7.5. */
import type { OpenedFile, Verdict } from '../../discovery/verdict.ts';
import { ErrorCode } from '../../gen/clawchat/v1/error_pb.ts';
import type { ClawChatError } from '../../protocol/fault.ts';
import { isDatabaseOld, type KnownRecord } from '../../protocol/host-record.ts';
import { failure } from '../failure.ts';
import { native } from '../native.ts';

/** What one store gave. `name` is its address without credentials. */
export interface SurveyedStore {
  readonly name: string;
  readonly verdict: Verdict<OpenedFile>;
  /** Its record is this host's, from before a succession. */
  readonly isSuperseded: boolean;
}

/** What the database knows. */
export interface Known extends KnownRecord {
  /** Until when its record counts, Unix milliseconds; undefined for a host that was made at this start. */
  readonly validUntilMs: number | undefined;
}

/** May the host serve? */
export type Permit =
  | { readonly kind: 'serve' }
  /** The database is old. */
  | { readonly kind: 'old'; readonly why: string }
  /** Nobody can tell. */
  | { readonly kind: 'wait'; readonly why: string };

/** Decide by what the stores gave. @impl DI-028~1, DI-060~1 */
export function permit(known: Known, stores: readonly SurveyedStore[], wallMs: number): Permit {
  for (const { name, verdict } of stores) {
    if (verdict.kind !== 'record' || !isDatabaseOld(native, known, verdict.record)) continue;
    const why = `${name} holds record ${verdict.record.sequence} of this host, and its database knows ${known.sequence === 0 ? 'none' : known.sequence}`;
    return { kind: 'old', why };
  }
  if (known.validUntilMs === undefined || wallMs <= known.validUntilMs) return { kind: 'serve' };
  if (stores.some(answers)) return { kind: 'serve' };
  return { kind: 'wait', why: stores.map(describeSurveyed).join('; ') };
}

/** Does the answer tell anything of how old the database is? */
export function answers({ verdict, isSuperseded }: SurveyedStore): boolean {
  return verdict.kind === 'record' || verdict.kind === 'absent' || isSuperseded;
}

/** Say for people what a store gave. */
export function describeSurveyed({ name, verdict, isSuperseded }: SurveyedStore): string {
  if (isSuperseded) return `${name}: a record from before the identity was replaced`;
  switch (verdict.kind) {
    case 'record':
      return `${name}: record ${verdict.record.sequence}`;
    case 'absent':
    case 'unchanged':
      return `${name}: nothing lies there`;
    case 'invalid':
      return `${name}: a file that is not this host's, or for nobody that it knows (${verdict.fault.detail})`;
    case 'failed':
      // A failure names its store; once is enough.
      return `${name}: no use now (${verdict.detail.replace(`${name}: `, '')})`;
  }
}

/** Make the error of a database that is older than what was published of it. */
export function databaseOld(why: string): ClawChatError {
  const text = `${why}: this data directory was restored from a backup, or two hosts share one identity. Bring back the newest directory, or: \`clawchatd recover\``;
  return failure(ErrorCode.DATABASE_OLD, text);
}
