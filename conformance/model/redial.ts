/** How long a client waits before it dials again because a path has ended (spec/05-session.md, 5.9). */
import { DIAL_BACKOFF_MS_MAX, DIAL_BACKOFF_MS_MIN } from '../../src/gen/constants.ts';
import { flag, has, number, text } from './json.ts';
import type { JsonObject } from './vector.ts';

/** Ends of an attached path that say nothing against the host. */
const WITHOUT_BLAME = ['lost', 'dead', 'garbled', 'PATH_SUPERSEDED', 'TRANSPORT_EXHAUSTED'];

/** Below what each wait is drawn; 0 is at once, and null no dial at all (SE-082~4). */
export function waits(paths: readonly JsonObject[]): readonly (number | null)[] {
  let failures = 0;
  let wasLost = false;
  return paths.map(path => {
    if (has(path, 'beside') && flag(path, 'beside')) return null;
    const attachedMs = path['attached_ms'] === null ? undefined : number(path, 'attached_ms');
    const end = has(path, 'code') ? text(path, 'code') : text(path, 'ends');
    const lasted = attachedMs !== undefined && attachedMs >= DIAL_BACKOFF_MS_MAX;
    if (lasted) failures = 0;
    const lostAgain = wasLost;
    wasLost = end === 'SESSION_LOST';
    if (wasLost && !lostAgain) return 0;
    if (attachedMs !== undefined && WITHOUT_BLAME.includes(end)) return lasted ? 0 : DIAL_BACKOFF_MS_MIN;
    failures += 1;
    return Math.min(DIAL_BACKOFF_MS_MIN * 2 ** (failures - 1), DIAL_BACKOFF_MS_MAX);
  });
}
