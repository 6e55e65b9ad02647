/** What the host does when its two clocks disagree (spec/06-rotation.md, 6.7). */
import { CLOCK_STEP_MS } from '../gen/constants.ts';
import { commit, endOf, headOf, issue, portOf, setEmergency } from './rotation-record.ts';
import type { Draft, Effect, Rotation } from './rotation-state.ts';

/** By how much wall minus monotonic time has changed since the record in force was made. */
function clockDrift(d: Rotation): number {
  return d.clock.wall - d.clock.mono - d.clockBaseMs;
}

/** Has it changed by more than can be passed over? @impl RT-130~1 */
export function isJumped(d: Rotation): boolean {
  return Math.abs(clockDrift(d)) > CLOCK_STEP_MS;
}

/** The machine slept, or its clock was set: publish fresh times at once, and check the clock. @impl RT-130~1, RT-131~1 */
export function jumped(d: Draft): void {
  const byMs = clockDrift(d);
  const remainingMs = Math.min(d.rotationAtMs - d.clock.wall, d.rotationAtMs - d.clock.wall + byMs);
  d.clockBaseMs += byMs;
  d.checkAt = d.clock.mono;
  // Times that lie ahead by a wrong clock are brought near.
  setEmergency(d, { atMs: Math.min(d.emergency?.atMs ?? 0, d.clock.wall) });
  const isTurning = headOf(d)?.role === 'next';
  replan(d, remainingMs);
  const effects = publishFresh(d);
  const note: Effect = { kind: 'note', note: { what: 'clock-jumped', byMs } };
  commit(d, isTurning ? [...effects, { kind: 'notify', notice: 'move' }, note] : [...effects, note]);
}

/** Make the record anew, if there is one and what it names first is not lost. */
export function publishFresh(d: Draft): readonly Effect[] {
  const head = headOf(d);
  const isLost = head !== undefined && portOf(d, head.port)?.listener === 'lost';
  return head?.listedUntil === undefined || isLost ? [] : issue(d);
}

/** Give R a place from which every row still lies ahead. `remainingMs` is what is left by the clock that says less. @impl RT-132~1 */
export function replan(d: Draft, remainingMs: number): void {
  const { PREPARE_LEAD_MS, PUBLISH_LEAD_MS } = d.config.constants;
  const { wall } = d.clock;
  const soon = Math.min(remainingMs, d.config.intervalMs);
  switch (d.phase) {
    case 'starting':
      return;
    case 'resting':
      d.rotationAtMs = wall + Math.max(soon, PREPARE_LEAD_MS);
      return;
    case 'grace': {
      const ends = d.places.filter(({ role }) => role === 'old').map(place => endOf(d, place) - d.clock.mono);
      d.rotationAtMs = wall + Math.max(soon, PREPARE_LEAD_MS + Math.max(0, ...ends));
      return;
    }
    case 'preparing':
    case 'publishing':
    case 'verified':
      d.attempts = 0;
      if (headOf(d)?.role === 'next') {
        d.phase = 'publishing';
        d.rotationAtMs = wall + PUBLISH_LEAD_MS;
      } else d.rotationAtMs = wall + PREPARE_LEAD_MS;
      return;
    case 'emergency':
      d.rotationAtMs = wall + d.config.intervalMs;
  }
}
