/** What a record lists and promises, and the one way by which anything becomes durable (spec/06-rotation.md, 6.1, 6.5). */
import { ACCESS_KEYS_MAX, RECENT_PORTS_MAX } from '../gen/constants.ts';
import type { Now } from './now.ts';
import type {
  Draft,
  Effect,
  Emergency,
  Journal,
  Place,
  PortState,
  RecordPlan,
  Rotation,
  Standing,
} from './rotation-state.ts';

type Role = Place['role'];

/** Find the place of a role; there is at most one `primary` and one `next`. */
export function placeOf(d: Pick<Rotation, 'places'>, role: Role): Place | undefined {
  return d.places.find(place => place.role === role);
}

/** The place that the record in force tells readers to use first. */
export function headOf(d: Pick<Rotation, 'places'>): Place | undefined {
  const next = placeOf(d, 'next');
  return next?.listedUntil === undefined ? placeOf(d, 'primary') : next;
}

/** What is known of a port. */
export function portOf(d: Pick<Rotation, 'ports'>, port: number): PortState | undefined {
  return d.ports.find(state => state.port === port);
}

/** Does the port listen? */
export function isOpen(d: Pick<Rotation, 'ports'>, port: number): boolean {
  return portOf(d, port)?.listener === 'open';
}

/** Change what is known of a port, or begin to know it. */
export function setPort(d: Draft, port: number, changes: Partial<Omit<PortState, 'port'>>): void {
  const before = portOf(d, port) ?? { port, listener: 'opening', mapping: 'none', retryAt: 0 };
  d.ports = [...d.ports.filter(state => state.port !== port), { ...before, ...changes }];
}

/** Change one place. */
export function setPlace(d: Draft, epoch: number, changes: Partial<Omit<Place, 'epoch'>>): void {
  d.places = d.places.map(place => (place.epoch === epoch ? { ...place, ...changes } : place));
}

/** The monotonic instant at which the wall clock, as it goes now, will show `wallMs`. */
export function atWall(d: Pick<Rotation, 'clock'>, wallMs: number): number {
  return wallMs - d.clock.wall + d.clock.mono;
}

/**
 * Say how many milliseconds a place is still listed: by the later of the two clocks, and by the monotonic clock at most one
 * interval longer. @impl RT-131~1
 */
export function listedMs(d: Pick<Rotation, 'clock' | 'config'>, listedUntil: Now): number {
  const byWall = listedUntil.wall - d.clock.wall;
  const byMono = listedUntil.mono - d.clock.mono;
  return Math.min(Math.max(byWall, byMono), byMono + d.config.intervalMs);
}

/** The monotonic instant at which a place that is old ends. @impl RT-106~1 */
export function endOf(d: Pick<Rotation, 'clock' | 'config'>, place: Place): number {
  const { RETIRE_MS, GRACE_MS } = d.config.constants;
  if (place.listedUntil === undefined) return d.clock.mono;
  return d.clock.mono + listedMs(d, place.listedUntil) + RETIRE_MS - GRACE_MS;
}

/** Keep a place listed for at least `ms` from now. */
export function extend(d: Draft, place: Place, ms: number): void {
  const { wall, mono } = place.listedUntil ?? d.clock;
  setPlace(d, place.epoch, {
    listedUntil: { wall: Math.max(wall, d.clock.wall + ms), mono: Math.max(mono, d.clock.mono + ms) },
  });
}

/**
 * Make the record that is true now: R, the head first, and whatever else is open and promised.
 *
 * Gives what is to follow the commit. @impl RT-008~1, RT-103~1, RT-113~1, RT-119~1
 */
export function issue(d: Draft): readonly Effect[] {
  const head = headOf(d);
  if (head === undefined) return [];
  const { GRACE_MS } = d.config.constants;
  const now = d.clock.wall;
  const isTurning = head.role === 'next';
  const nextRotationMs = isTurning ? d.rotationAtMs + d.config.intervalMs : d.rotationAtMs;
  const validUntilMs = nextRotationMs + GRACE_MS;
  // An emergency names nothing that came before it. @impl RT-140~1
  const others = d.emergency === undefined ? d.places.filter(place => place.epoch !== head.epoch) : [];
  const listed = [{ place: head, notAfterMs: validUntilMs }];
  for (const place of others) {
    if (place.role === 'next' || place.port === head.port || !isOpen(d, place.port)) continue;
    // No longer than was promised: what a wrong clock adds keeps the port, and is not announced again.
    const promised = place.listedUntil === undefined ? 0 : now + place.listedUntil.mono - d.clock.mono;
    const notAfterMs = Math.max(
      promised,
      isTurning && place.role === 'primary' ? d.rotationAtMs + GRACE_MS : 0,
    );
    if (notAfterMs > now) listed.push({ place, notAfterMs });
  }
  const record: RecordPlan = {
    sequence: (d.record?.sequence ?? 0) + 1,
    epoch: head.epoch,
    issuedAtMs: now,
    nextRotationMs,
    validUntilMs,
    ports: listed.map(({ place, notAfterMs }) => ({ port: place.port, notBeforeMs: now, notAfterMs })),
    epochs: [head, ...others.filter(({ role }) => role !== 'next')]
      .map(({ epoch }) => epoch)
      .slice(0, ACCESS_KEYS_MAX),
  };
  d.record = record;
  d.clockBaseMs = d.clock.wall - d.clock.mono;
  d.isChanged = false;
  d.isRepublished = false;
  for (const { place, notAfterMs } of listed) extend(d, place, notAfterMs - now);
  // On one port for good the places share a listener, and what is listed is the port.
  const sharing = others.find(({ role, port }) => role === 'primary' && port === head.port);
  if (sharing !== undefined && isTurning) extend(d, sharing, d.rotationAtMs + GRACE_MS - now);
  return [{ kind: 'publish', record }];
}

/** Commit everything durable; `effects` leave when it is, and a record goes to whoever is inside. @impl RT-101~1, RT-156~1 */
export function commit(d: Draft, effects: readonly Effect[]): void {
  const isPublished = effects.some(({ kind }) => kind === 'publish');
  const then: readonly Effect[] = isPublished ? [...effects, { kind: 'notify', notice: 'record' }] : effects;
  d.commits += 1;
  d.commit = { id: d.commits, then, standing: standingOf(d), retryAt: undefined };
  d.outputs.push({ kind: 'commit', id: d.commits, journal: journalOf(d) });
}

/** Take what sessions may be told of once it is durable. */
export function standingOf({ phase, places, record, rotationAtMs, emergency }: Standing): Standing {
  return { phase, places, record, rotationAtMs, emergency };
}

/** What a process that begins needs to know of the one before it. */
export function journalOf(d: Rotation): Journal {
  return {
    phase: d.phase === 'starting' ? 'resting' : d.phase,
    places: d.places.map(({ epoch, port, role, listedUntil }) => ({
      epoch,
      port,
      role,
      listedUntilMs: listedUntil === undefined ? 0 : d.clock.wall + listedMs(d, listedUntil),
    })),
    mappings: d.mappings,
    recentPorts: d.recentPorts,
    epoch: d.epoch,
    record: d.record,
    rotationAtMs: d.rotationAtMs,
    turnSequence: d.turnSequence,
    isHurried: d.isHurried,
    isRotationWanted: d.isRotationWanted,
    emergency: d.emergency,
    writtenAtMs: d.clock.wall,
  };
}

/** Take places away, and give what ends with them once that is committed. @impl RT-100~1, RT-106~1 */
export function remove(d: Draft, ended: readonly Place[]): readonly Effect[] {
  const epochs = new Set(ended.map(({ epoch }) => epoch));
  d.places = d.places.filter(({ epoch }) => !epochs.has(epoch));
  const effects: Effect[] = [];
  for (const { epoch, port } of ended) {
    const stays = d.places.findLast(place => place.port === port);
    if (stays !== undefined) effects.push({ kind: 'swapTls', port, epoch: stays.epoch });
    else effects.push(...closePort(d, port));
    effects.push({ kind: 'retire', epoch });
    effects.push({ kind: 'note', note: { what: 'retired', epoch, port } });
  }
  return effects;
}

/** Forget a port: give what closes it, and never draw it for a while. */
export function closePort(d: Draft, port: number): readonly Effect[] {
  const state = portOf(d, port);
  d.ports = d.ports.filter(other => other !== state);
  d.recentPorts = [...d.recentPorts.filter(other => other !== port), port].slice(-RECENT_PORTS_MAX);
  const effects: Effect[] = [];
  if (state?.listener === 'opening' || state?.listener === 'open') effects.push({ kind: 'unlisten', port });
  if (d.mappings.includes(port)) effects.push({ kind: 'unmap', port });
  return effects;
}

/** Change the emergency that goes on. */
export function setEmergency(d: Draft, changes: Partial<Emergency>): void {
  if (d.emergency !== undefined) d.emergency = { ...d.emergency, ...changes };
}
