/** What it most likely means for a person when stores stand as they do (spec/07-discovery.md, 7.5). */
import type { Standing, StandingReport } from './standing.ts';

/** How the client's connection stands. */
export interface LinkView {
  readonly isConnected: boolean;
  /** It holds a record, so it has something to dial. */
  readonly hasRecord: boolean;
}

/** For a device that the host itself has told. */
export const REVOKED =
  'this device was revoked: ask the operator for a new invite, and join into a new data directory';

/** Say in one sentence what is most likely and what to do; undefined while all is well. @impl DI-038~1 */
export function situation(reports: readonly StandingReport[], link: LinkView): string | undefined {
  const is = (...standings: readonly Standing[]): boolean =>
    reports.length > 0 && reports.every(({ standing }) => standings.includes(standing));
  const some = (standing: Standing): boolean => reports.some(report => report.standing === standing);
  const warnings = [
    ...(some('lying') ? ['a store, or the way to it, lies: tell the operator; the other stores serve'] : []),
    ...(some('stale') ? ['a store is frozen or lies: tell the operator; the other stores serve'] : []),
  ];
  if (link.isConnected) {
    if (is('failing')) return 'no store answers, and the host does: nothing to do';
    return warnings.length === 0 ? undefined : warnings.join('; ');
  }
  if (reports.length === 0)
    return 'no store is known: the host is dialled where it was; ask the operator for a new invite if that stays';
  if (some('unknown')) return undefined;
  const rest = 'this goes on by itself';
  if (is('failing')) {
    const what = link.hasRecord
      ? 'and the host does not answer where it was'
      : 'so nobody says where the host is';
    return `no store answers, ${what}: is this machine on the network? ${rest}`;
  }
  if (is('foreign') && link.hasRecord)
    return 'no store has a file for this device any more, so it was revoked, unless the stores are older than it is: ask the operator for a new invite, and join into a new data directory';
  if (is('foreign'))
    return 'no store has a file for this device: it was never let in, or the invite is used up or has expired; ask the operator';
  if (is('absent') && !link.hasRecord)
    return `nothing lies in the stores yet: the host was never started, or cannot publish; ask the operator; ${rest}`;
  if (is('absent'))
    return `nothing lies in the stores, and the host is not where it was: it is off, or has moved and publishes where this machine cannot read, such as a file of its own; if that stays, ask the operator for a new invite file and join into a new data directory; ${rest}`;
  if (is('unusable')) return 'the stores have files of a newer version: update this program';
  const newest = `the stores know nothing newer and the host does not answer: it is off, or cannot publish; ask the operator; ${rest}`;
  return [...warnings, newest].join('; ');
}
