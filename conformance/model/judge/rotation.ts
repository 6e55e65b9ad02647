/** Judges vectors of `rotation`: a host on two clocks, the instant of a client's move, and bounds. */
import { DIAL_BACKOFF_MS_MAX, MINIMAL, STANDARD } from '../../../src/gen/constants.ts';
import { array, has, number, object, objects, text } from '../json.ts';
import type { ErrorName } from '../refusal.ts';
import { type Clocks, RotatingHost } from '../rotation.ts';
import type { JsonObject } from '../vector.ts';
import type { Judge } from './judge.ts';

/** Judge a vector of `rotation`. */
export const judgeRotation: Judge = input => {
  const constants = has(input, 'preset') && text(input, 'preset') === 'minimal' ? MINIMAL : STANDARD;
  switch (text(input, 'what')) {
    case 'host':
      return { output: { steps: play(input, constants) } };
    case 'move':
      return { output: { ...moveWindow(object(input, 'notice'), constants) } };
    case 'retry':
      return { output: { from_ms: 0, before_ms: retryBefore(number(input, 'failures')) } };
    case 'start':
      return { output: { reads_first: readsFirst(input, constants) } };
    default: {
      const asked = number(input, 'asked_ms');
      const isIn = asked >= constants.ROTATION_INTERVAL_MS_MIN && asked <= constants.ROTATION_INTERVAL_MS_MAX;
      const refused: ErrorName = 'USAGE';
      return isIn ? { output: { interval_ms: asked } } : { error: refused };
    }
  }
};

function play(input: JsonObject, constants: typeof STANDARD): readonly JsonObject[] {
  const ports = array(input, 'ports').map(Number);
  const host = new RotatingHost(constants, number(input, 'interval_ms'), ports);
  return objects(input, 'steps').map(step => perform(host, step));
}

function perform(host: RotatingHost, step: JsonObject): JsonObject {
  const now: Clocks = { wall: number(step, 'wall_ms'), mono: number(step, 'mono_ms') };
  if (has(step, 'start')) return host.start(now);
  if (has(step, 'verified')) return host.verify(now, number(step, 'verified'));
  if (has(step, 'clock_offset_ms')) {
    const offset = step['clock_offset_ms'];
    return host.checked(now, offset === null ? undefined : number(step, 'clock_offset_ms'));
  }
  if (has(step, 'rotate')) return host.rotate(now);
  if (has(step, 'emergency')) return host.flee(now, text(step, 'emergency') === 'hard');
  return host.tick(now);
}

/** Between which instants, both included and reckoned from the notice, a client draws the one of its move. */
function moveWindow(notice: JsonObject, constants: typeof STANDARD): { first_ms: number; last_ms: number } {
  const { MIGRATE_LEAD_MS, MIGRATE_LAG_MS, GRACE_MS } = constants;
  const rotates = number(notice, 'rotates_in_ms');
  const ends = number(notice, 'old_ends_in_ms');
  const rest = { first_ms: 0, last_ms: Math.floor(ends / 2) };
  if (text(notice, 'kind') === 'emergency') return rest;
  // R by what the notice says of it, and by when the old place ends, which is GRACE_MS or more behind R.
  const last = Math.min(rotates + MIGRATE_LAG_MS, ends - GRACE_MS + MIGRATE_LAG_MS);
  const first = Math.max(0, rotates - MIGRATE_LEAD_MS);
  return first <= last ? { first_ms: first, last_ms: last } : rest;
}

/** The wait behind so many failures of one move is drawn below this. */
function retryBefore(failures: number): number {
  let waitMs = 1000;
  for (let i = 1; i < failures; i += 1) waitMs = Math.min(DIAL_BACKOFF_MS_MAX, waitMs * 2);
  return waitMs;
}

function readsFirst(input: JsonObject, constants: typeof STANDARD): boolean {
  return number(input, 'now_ms') >= number(input, 'next_rotation_ms') - constants.READ_BEFORE_DIAL_MS;
}
