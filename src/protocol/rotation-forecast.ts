/** When a host moves next and when its old ports end, as far as it knows by now: for people (spec/06-rotation.md). */
import type { Now } from './now.ts';
import { emergencyEarliest, isEmergencyVerified } from './rotation-emergency.ts';
import { endOf, placeOf } from './rotation-record.ts';
import type { Place, Rotation } from './rotation-state.ts';

/** The end of an old place. */
export interface PlaceEnd {
  /** Unix milliseconds. */
  readonly atMs: number;
  /** Not before a store has the new address, either. */
  readonly waitsForStore: boolean;
}

/** Say when the host next moves, Unix milliseconds: what has to be waited for counts, what may go wrong does not. @impl CT-051~1 */
export function movesAtMs(state: Rotation, now: Now): number {
  const { PREPARE_LEAD_MS, PUBLISH_LEAD_MS, HOLD_MS } = state.config.constants;
  const { phase, rotationAtMs } = state;
  switch (phase) {
    case 'grace': {
      const ends = state.places.filter(({ role }) => role === 'old').map(place => oldEnd(state, place, now));
      const free = Math.max(now.wall, ...ends.map(({ atMs }) => atMs)) + PREPARE_LEAD_MS;
      const holds = Math.ceil(Math.max(0, free - rotationAtMs) / HOLD_MS);
      const scheduled = rotationAtMs + holds * HOLD_MS;
      return state.isRotationWanted ? Math.min(free, scheduled) : scheduled;
    }
    case 'preparing': {
      // It waits for no row, and R is set anew when the port is ready.
      if (!state.isHurried) return rotationAtMs;
      const promisedMs = (state.record?.nextRotationMs ?? 0) - now.wall;
      return now.wall + Math.max(PUBLISH_LEAD_MS, promisedMs <= PREPARE_LEAD_MS ? promisedMs : 0);
    }
    case 'emergency':
      return placeOf(state, 'primary') === undefined ? now.wall : rotationAtMs;
    case 'starting':
    case 'resting':
    case 'publishing':
    case 'verified':
      return rotationAtMs;
  }
}

/** Say when an old place ends; undefined for one that is not old. */
export function placeEnd(state: Rotation, place: Place, now: Now): PlaceEnd | undefined {
  return place.role === 'old' ? oldEnd(state, place, now) : undefined;
}

function oldEnd(state: Rotation, place: Place, now: Now): PlaceEnd {
  const d = { ...state, clock: now };
  const wallOf = (mono: number): number => now.wall + mono - now.mono;
  const listed = wallOf(endOf(d, place));
  if (d.phase !== 'emergency' || d.emergency === undefined) return { atMs: listed, waitsForStore: false };
  const together = wallOf(emergencyEarliest(d, d.emergency));
  const waitsForStore = !d.emergency.isHard && !isEmergencyVerified(d);
  // One that this emergency itself has lost and replaced stays as long as its record promises.
  const isLeft = place.epoch < d.emergency.epoch;
  return { atMs: isLeft ? together : Math.max(together, listed), waitsForStore };
}
