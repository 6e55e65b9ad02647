/** Beginning, and beginning again behind a crash, from whatever row was committed last (spec/06-rotation.md, 6.6). */
import { CLOCK_STEP_MS } from '../gen/constants.ts';
import { replan } from './rotation-clock.ts';
import { emergencyEnd } from './rotation-emergency.ts';
import {
  atWall,
  commit,
  endOf,
  headOf,
  placeOf,
  portOf,
  remove,
  setPort,
  standingOf,
} from './rotation-record.ts';
import { hasRoom, prepare, rest } from './rotation-rows.ts';
import type { Draft, Effect, Journal, Place } from './rotation-state.ts';

/** Take up what the process before this one left, or begin the first epoch. @impl RT-007~1, RT-120~1 */
export function start(d: Draft, journal: Journal | undefined): void {
  d.clockBaseMs = d.clock.wall - d.clock.mono;
  d.checkAt = d.clock.mono;
  d.drawAt = d.clock.mono;
  if (journal === undefined) {
    prepare(d, true);
    return;
  }
  restore(d, journal);
  d.standing = standingOf(d);
  const effects: Effect[] = [...forgetMappings(d), ...endExpired(d)];
  // Fresh times wait until it is known which ports can be had again.
  d.isChanged = resume(d, journal.writtenAtMs);
  listenAgain(d);
  if (effects.length > 0) commit(d, effects);
  d.isRepublished = !d.isChanged && headOf(d)?.listedUntil !== undefined;
}

/** By the wall clock, and for no longer than was left when it was written: the monotonic clock of then is gone. */
function restore(d: Draft, journal: Journal): void {
  const { wall, mono } = d.clock;
  const { places, writtenAtMs, ...rest } = journal;
  const since = Math.max(wall, writtenAtMs);
  Object.assign(d, rest);
  d.places = places.map(({ listedUntilMs, ...place }): Place => {
    if (listedUntilMs === 0) return { ...place, listedUntil: undefined };
    const ms = listedUntilMs - since;
    return { ...place, listedUntil: { wall: wall + ms, mono: mono + ms } };
  });
  if (d.emergency !== undefined) {
    d.emergency = { ...d.emergency, atMs: Math.min(d.emergency.atMs, wall) };
    d.emergencyEndsAt = atWall(d, d.emergency.atMs + d.config.constants.EMERGENCY_MS);
  }
}

/** Mappings that no place needs any more were left behind between a commit and its effects. @impl RT-122~1 */
function forgetMappings(d: Draft): readonly Effect[] {
  const isNeeded = (port: number): boolean => d.places.some(place => place.port === port);
  return d.mappings.filter(port => !isNeeded(port)).map(port => ({ kind: 'unmap', port }));
}

/** What ended while nobody looked is not opened again. @impl RT-121~1 */
function endExpired(d: Draft): readonly Effect[] {
  const now = d.clock.mono;
  const isOver = (place: Place): boolean => {
    if (place.listedUntil === undefined) return false;
    if (place.epoch < (d.emergency?.epoch ?? 0)) return emergencyEnd(d) <= now;
    return endOf(d, place) <= now;
  };
  const effects = remove(d, d.places.filter(isOver));
  if (d.phase === 'grace') rest(d);
  return effects;
}

/** Find the row to go on from; true when the record has to be made anew. @impl RT-123~1, RT-124~1 */
function resume(d: Draft, writtenAtMs: number): boolean {
  const { PREPARE_LEAD_MS } = d.config.constants;
  const isBack = d.clock.wall < writtenAtMs - CLOCK_STEP_MS;
  const remainingMs = d.rotationAtMs - Math.max(d.clock.wall, writtenAtMs);
  const head = headOf(d);
  if (d.phase === 'emergency') {
    if (isBack) replan(d, remainingMs);
    return isBack;
  }
  if (head === undefined || (head.role === 'primary' && d.phase !== 'grace')) {
    const isAhead = head !== undefined && remainingMs > PREPARE_LEAD_MS;
    if (isAhead && !isBack) return false;
    if (!isAhead || d.phase !== 'resting') {
      begin(d);
      return false;
    }
  }
  // A port that is listed and not primary yet is the new one: with fresh times it goes through its rows again.
  else if (!isBack && remainingMs > 0) return false;
  replan(d, remainingMs);
  return true;
}

/** The host missed the row at which it should have begun: it begins now, and waits for no row. */
function begin(d: Draft): void {
  const next = placeOf(d, 'next');
  if (next === undefined || next.listedUntil !== undefined) prepare(d, true);
  else {
    d.phase = 'preparing';
    d.isHurried = true;
    d.rotationAtMs = d.clock.wall + d.config.constants.PREPARE_LEAD_MS;
  }
}

/** Bind every port that is left, the one that readers try first before the others. @impl RT-121~1 */
function listenAgain(d: Draft): void {
  const head = headOf(d);
  const isFleeing = d.phase === 'emergency';
  const order = [...d.places].sort((a, b) => rank(a, head, isFleeing) - rank(b, head, isFleeing));
  for (const { port } of order) {
    if (portOf(d, port) !== undefined) continue;
    if (hasRoom(d) || port === head?.port) listen(d, port);
    else setPort(d, port, { listener: 'lost', retryAt: d.clock.mono });
  }
}

/** Try lost ports again, as long as that opens no listener too many. @impl RT-109~2, RT-125~1 */
export function rebind(d: Draft): void {
  for (const { port, listener, retryAt } of d.ports) {
    if (listener !== 'lost' || retryAt > d.clock.mono) continue;
    if (hasRoom(d)) listen(d, port);
    else setPort(d, port, { retryAt: d.clock.mono + d.config.constants.RETRY_MS });
  }
}

/** On one port for good the older place's TLS key is presented until it ends, save in an emergency. */
function listen(d: Draft, port: number): void {
  const sharing = d.places.filter(place => place.port === port);
  const presented = d.emergency === undefined ? sharing[0] : sharing.at(-1);
  setPort(d, port, { listener: 'opening' });
  if (presented !== undefined) d.outputs.push({ kind: 'listen', port, epoch: presented.epoch });
}

/** What no record lists comes after what is promised, except in an emergency, which waits for nothing else. */
function rank(place: Place, head: Place | undefined, isFleeing: boolean): number {
  if (place === head) return 0;
  return (place.listedUntil === undefined) === isFleeing ? 1 : 2;
}

/** A port that records list cannot be had. @impl RT-125~1 */
export function portLost(d: Draft, port: number): void {
  setPort(d, port, {
    listener: 'lost',
    mapping: 'none',
    retryAt: d.clock.mono + d.config.constants.RETRY_MS,
  });
  d.outputs.push({ kind: 'note', note: { what: 'port-lost', port } });
  const head = headOf(d);
  if (head?.port !== port) {
    // The record in force names a port that works: whoever holds an older one finds it in the stores.
    d.isRepublished = true;
    return;
  }
  if (d.phase === 'emergency') {
    d.places = d.places.map(place => (place === head ? { ...place, role: 'old' } : place));
    d.epoch += 1;
    d.drawAt = d.clock.mono;
    return;
  }
  if (head.role === 'next') {
    d.places = d.places.map(place => (place === head ? { ...place, role: 'old' } : place));
    prepare(d, true);
  } else if (d.phase !== 'preparing') prepare(d, true);
  else if (!d.isHurried) begin(d);
}
