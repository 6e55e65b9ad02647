/** Leaving every place at once, on the operator's word (spec/06-rotation.md, 6.8). */
import {
  atWall,
  closePort,
  commit,
  issue,
  placeOf,
  remove,
  setEmergency,
  setPlace,
} from './rotation-record.ts';
import { primaryIs, rest } from './rotation-rows.ts';
import type { Draft, Effect, Emergency, Rotation } from './rotation-state.ts';

/** Begin one: what goes on is replaced, and everything that was listed will end. @impl RT-140~1, RT-143~1 */
export function beginEmergency(d: Draft, asked: 'soft' | 'hard', before: readonly Effect[] = []): void {
  const next = placeOf(d, 'next');
  const effects: Effect[] = [...before];
  if (next !== undefined && next.listedUntil === undefined) {
    d.places = d.places.filter(place => place !== next);
    effects.push(...closePort(d, next.port));
  }
  // Nobody has heard of this epoch, and its keys are not fresh any more.
  if (d.epoch > (d.record?.epoch ?? 0)) effects.push({ kind: 'retire', epoch: d.epoch });
  d.places = d.places.map(place => ({ ...place, role: 'old' }));
  d.phase = 'emergency';
  d.epoch += 1;
  d.attempts = 0;
  d.drawAt = d.clock.mono;
  d.turnSequence = 0;
  d.isHurried = false;
  d.isRotationWanted = false;
  d.asked = undefined;
  d.emergency = { atMs: d.clock.wall, epoch: d.epoch, isHard: asked === 'hard', again: undefined };
  d.emergencyEndsAt = d.clock.mono + d.config.constants.EMERGENCY_MS;
  commit(d, [...effects, { kind: 'note', note: { what: 'emergency-began', isHard: asked === 'hard' } }]);
}

/** Another request during one: one more follows, and a hard one makes this one hard. @impl RT-142~1 */
export function foldEmergency(d: Draft, asked: 'soft' | 'hard'): void {
  const isHard = asked === 'hard';
  d.asked = undefined;
  setEmergency(d, {
    isHard: isHard || d.emergency?.isHard === true,
    again: isHard ? 'hard' : (d.emergency?.again ?? 'soft'),
  });
  commit(d, [{ kind: 'note', note: { what: 'emergency-folded', isHard } }]);
}

/** The new port listens: publish it alone, and send everybody there. @impl RT-140~1 */
export function publishEmergency(d: Draft): void {
  const next = placeOf(d, 'next');
  if (next === undefined) return;
  const isShared = d.places.some(place => place !== next && place.port === next.port);
  setPlace(d, next.epoch, { role: 'primary' });
  d.rotationAtMs = d.clock.wall + d.config.intervalMs;
  d.turnSequence = (d.record?.sequence ?? 0) + 1;
  commit(d, [
    ...(isShared ? [{ kind: 'swapTls', port: next.port, epoch: next.epoch } as const] : []),
    ...issue(d),
    primaryIs(next),
    { kind: 'notify', notice: 'emergency' },
  ]);
}

/** Has a store the record of the emergency? */
export function isEmergencyVerified(d: Rotation): boolean {
  return placeOf(d, 'primary') !== undefined && d.verifiedSequence >= d.turnSequence;
}

/** The monotonic instant before which nothing earlier ends. @impl RT-141~1 */
export function emergencyEarliest(d: Rotation, { atMs, isHard }: Emergency): number {
  const byWall = atWall(d, atMs + d.config.constants.EMERGENCY_MS);
  return isHard ? Math.min(byWall, d.emergencyEndsAt) : Math.max(byWall, d.emergencyEndsAt);
}

/** The monotonic instant at which everything earlier ends. @impl RT-141~1 */
export function emergencyEnd(d: Rotation): number {
  const { emergency } = d;
  if (d.phase !== 'emergency' || emergency === undefined) return Number.POSITIVE_INFINITY;
  const isPublished = placeOf(d, 'primary') !== undefined;
  const isDue = emergency.isHard
    ? isPublished || d.places.some(({ epoch }) => epoch < emergency.epoch)
    : isEmergencyVerified(d);
  return isDue ? emergencyEarliest(d, emergency) : Number.POSITIVE_INFINITY;
}

/** End everything earlier, and begin the one that follows, if one was asked for. @impl RT-141~1, RT-142~1 */
export function endEmergency(d: Draft): void {
  // A port of this very emergency that was lost and replaced goes on as long as its record promises.
  const effects = remove(
    d,
    d.places.filter(({ epoch }) => epoch < (d.emergency?.epoch ?? 0)),
  );
  if (placeOf(d, 'primary') === undefined) {
    // Hard, and no port could be had: the host goes on trying, with nothing open.
    commit(d, effects);
    return;
  }
  const again = d.emergency?.again;
  d.emergency = undefined;
  d.turnSequence = 0;
  rest(d);
  const ended: readonly Effect[] = [...effects, { kind: 'note', note: { what: 'emergency-ended' } }];
  if (again === undefined) commit(d, ended);
  else beginEmergency(d, again, ended);
}
