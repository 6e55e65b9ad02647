/** The rows of the table: when each is due, and what it does (spec/06-rotation.md, 6.2). */
import { BIND_ATTEMPTS_MAX, LISTENERS_EMERGENCY_MAX, LISTENERS_MAX } from '../gen/constants.ts';
import { choosePort, isWithin } from './rotation-port.ts';
import {
  atWall,
  closePort,
  commit,
  endOf,
  extend,
  headOf,
  isOpen,
  issue,
  placeOf,
  portOf,
  remove,
  setPlace,
  setPort,
} from './rotation-record.ts';
import type { Draft, Effect, Place, Rotation } from './rotation-state.ts';

/** Why a rotation is put off. */
export type HoldReason = 'mapping' | 'no-port' | 'stores' | 'clock' | 'busy';

/**
 * Put the rotation off: R moves by HOLD_MS until the row that is `leadMs` before it lies ahead; everything open stays.
 *
 * Before the next port is listed the record in force is made anew with the new R. @impl RT-107~1, RT-117~1
 */
export function hold(d: Draft, why: HoldReason, leadMs: number): void {
  const { HOLD_MS } = d.config.constants;
  const missed = Math.max(0, d.clock.wall + leadMs - d.rotationAtMs);
  d.rotationAtMs += HOLD_MS * (1 + Math.floor(missed / HOLD_MS));
  d.attempts = 0;
  if (d.phase === 'publishing' || d.phase === 'verified') d.phase = 'preparing';
  const primary = placeOf(d, 'primary');
  const isIssued = primary !== undefined && headOf(d)?.role === 'primary' && isOpen(d, primary.port);
  // Whoever still has to leave an old place or flee an emergency is not told to stay.
  const isTold = d.phase !== 'grace' && d.phase !== 'emergency';
  commit(d, [
    ...(isIssued ? issue(d) : []),
    ...(isTold ? [{ kind: 'notify', notice: 'hold' } as const] : []),
    { kind: 'note', note: { what: 'held', why, rotationAtMs: d.rotationAtMs } },
  ]);
}

/** Begin: the next epoch, and soon a port for it. An epoch that no record has named is taken again. @impl RT-119~1 */
export function prepare(d: Draft, isHurried: boolean): void {
  d.phase = 'preparing';
  d.isHurried = isHurried;
  if (d.epoch <= (d.record?.epoch ?? 0)) d.epoch += 1;
  d.attempts = 0;
  d.turnSequence = 0;
  if (isHurried) d.rotationAtMs = d.clock.wall + d.config.constants.PREPARE_LEAD_MS;
}

/** The monotonic instant at which a port is to be drawn. */
export function drawDue(d: Rotation): number {
  if (d.isDrawing || d.drawnPort !== undefined || placeOf(d, 'next') !== undefined)
    return Number.POSITIVE_INFINITY;
  if (listening(d) >= listenersMax(d)) return Number.POSITIVE_INFINITY;
  if (d.phase === 'emergency')
    return placeOf(d, 'primary') === undefined ? d.drawAt : Number.POSITIVE_INFINITY;
  if (d.attempts >= BIND_ATTEMPTS_MAX) return Number.POSITIVE_INFINITY;
  const row = atWall(d, d.rotationAtMs - d.config.constants.PREPARE_LEAD_MS);
  return d.isHurried ? d.drawAt : Math.max(row, d.drawAt);
}

/** Ask for entropy, or take the one port there is. @impl RT-102~1, RT-115~1 */
export function draw(d: Draft): void {
  if (d.config.fixedPort !== undefined) {
    d.drawnPort = d.config.fixedPort;
    return;
  }
  d.isDrawing = true;
  d.outputs.push({ kind: 'draw' });
}

/** Choose the next port: never one that is in use, was used lately, or belongs to the system. @impl RT-110~1, RT-111~1 */
export function drawn(d: Draft, entropy: Uint8Array): void {
  if (!d.isDrawing) return;
  d.isDrawing = false;
  if (placeOf(d, 'next') !== undefined || (d.phase !== 'preparing' && d.phase !== 'emergency')) return;
  const isExcluded = (port: number): boolean =>
    d.places.some(place => place.port === port) ||
    d.recentPorts.includes(port) ||
    isWithin(port, d.config.reserved);
  const port = choosePort(entropy, d.config.range, isExcluded);
  if (port === undefined) fail(d);
  else d.drawnPort = port;
}

/** Is there a port to be taken? */
export function takeDue(d: Rotation): number {
  return d.drawnPort === undefined ? Number.POSITIVE_INFINITY : Number.NEGATIVE_INFINITY;
}

/** Commit a port with the mapping it may get, then listen. @impl RT-101~1 */
export function take(d: Draft): void {
  const port = d.drawnPort;
  d.drawnPort = undefined;
  if (port === undefined) return;
  d.places = [...d.places, { epoch: d.epoch, port, role: 'next', listedUntil: undefined }];
  if (d.config.isMapped && !d.mappings.includes(port)) d.mappings = [...d.mappings, port];
  const isShared = portOf(d, port) !== undefined;
  if (!isShared) setPort(d, port, { listener: 'opening' });
  commit(d, isShared ? [] : [{ kind: 'listen', port, epoch: d.epoch }]);
}

/** One more port could not be had. */
function fail(d: Draft): void {
  d.attempts += 1;
  if (d.attempts < BIND_ATTEMPTS_MAX || !(d.isHurried || d.phase === 'emergency')) return;
  // Nobody waits for a row here: after a pause the ports are drawn again.
  d.attempts = 0;
  d.drawAt = d.clock.mono + d.config.constants.RETRY_MS;
}

/** The next port, not listed yet, that cannot be had or mapped. */
function refused(d: Rotation): Place | undefined {
  const next = placeOf(d, 'next');
  if (next === undefined || next.listedUntil !== undefined) return undefined;
  const state = portOf(d, next.port);
  return state?.listener === 'refused' || state?.mapping === 'taken' ? next : undefined;
}

/** Is it time to give that port up? */
export function giveUpDue(d: Rotation): number {
  return refused(d) === undefined ? Number.POSITIVE_INFINITY : Number.NEGATIVE_INFINITY;
}

/** Take another one. @impl RT-114~1 */
export function giveUp(d: Draft): void {
  const next = refused(d);
  if (next === undefined) return;
  d.places = d.places.filter(place => place !== next);
  d.outputs.push({ kind: 'note', note: { what: 'port-refused', port: next.port } });
  const effects = closePort(d, next.port);
  fail(d);
  if (effects.length > 0) commit(d, effects);
}

/** Is the next port listening, and mapped where that is wanted? Whether it is reached from outside nobody asks. */
export function isReady(d: Rotation): boolean {
  const next = placeOf(d, 'next');
  if (next === undefined || !isOpen(d, next.port)) return false;
  return !d.config.isMapped || portOf(d, next.port)?.mapping === 'mapped';
}

/** R - MAPPING_LEAD_MS, and the next port is not ready. @impl RT-108~1 */
export function unready(d: Draft): void {
  const next = placeOf(d, 'next');
  const isMapping = next !== undefined && isOpen(d, next.port);
  hold(d, isMapping ? 'mapping' : 'no-port', d.config.constants.MAPPING_LEAD_MS);
}

/** R - PUBLISH_LEAD_MS: list the next port, with fresh times if it was listed before. @impl RT-103~1 */
export function publish(d: Draft): void {
  const { PUBLISH_LEAD_MS } = d.config.constants;
  if (d.isClockUnfit && !d.isHurried) {
    hold(d, 'clock', PUBLISH_LEAD_MS);
    return;
  }
  const next = placeOf(d, 'next');
  if (next === undefined) return;
  if (d.isHurried) {
    const promisedMs = (d.record?.nextRotationMs ?? 0) - d.clock.wall;
    const isSoon = promisedMs <= d.config.constants.PREPARE_LEAD_MS;
    d.rotationAtMs = d.clock.wall + Math.max(PUBLISH_LEAD_MS, isSoon ? promisedMs : 0);
  }
  d.isHurried = false;
  const sequence = (d.record?.sequence ?? 0) + 1;
  if (placeOf(d, 'primary') === undefined) {
    // The first start, or a start after the last record has ended: there is nothing to move from.
    d.rotationAtMs = d.clock.wall + d.config.intervalMs;
    setPlace(d, next.epoch, { role: 'primary' });
    rest(d);
    commit(d, [...issue(d), primaryIs(next)]);
    return;
  }
  d.phase = 'publishing';
  if (d.turnSequence === 0) d.turnSequence = sequence;
  // From here on it is the head.
  extend(d, next, 0);
  commit(d, [...issue(d), { kind: 'notify', notice: 'move' }]);
}

/** R: the next port is primary; the old one goes on for those whose files name it. @impl RT-105~1, RT-134~1 */
export function activate(d: Draft): void {
  const { GRACE_MS, RETIRE_MS, PUBLISH_LEAD_MS } = d.config.constants;
  if (d.isClockUnfit) {
    hold(d, 'clock', PUBLISH_LEAD_MS);
    return;
  }
  const [primary, next] = [placeOf(d, 'primary'), placeOf(d, 'next')];
  if (next === undefined) return;
  if (primary !== undefined) {
    // A host that was stopped over R gives those who are still on the old port their time.
    const isLate = d.clock.wall - d.rotationAtMs > RETIRE_MS - GRACE_MS;
    if (isLate) extend(d, primary, GRACE_MS);
    setPlace(d, primary.epoch, { role: 'old' });
  }
  setPlace(d, next.epoch, { role: 'primary' });
  rest(d);
  d.turnSequence = 0;
  d.rotationAtMs = d.record?.nextRotationMs ?? d.clock.wall + d.config.intervalMs;
  commit(d, [
    primaryIs(next),
    { kind: 'note', note: { what: 'rotated', epoch: next.epoch, port: next.port } },
  ]);
}

/** The monotonic instant at which the first old place ends; in an emergency they end together. */
export function retireDue(d: Rotation): number {
  if (d.phase === 'emergency') return Number.POSITIVE_INFINITY;
  return Math.min(...d.places.filter(({ role }) => role === 'old').map(place => endOf(d, place)));
}

/** End every old place whose time has come, or keep it while the clock is not to be trusted. @impl RT-106~1, RT-134~1 */
export function retire(d: Draft): void {
  const ended = d.places.filter(place => place.role === 'old' && endOf(d, place) <= d.clock.mono);
  if (d.isClockUnfit) {
    for (const place of ended) extend(d, place, d.config.constants.HOLD_MS);
    commit(d, [{ kind: 'note', note: { what: 'held', why: 'clock', rotationAtMs: d.rotationAtMs } }]);
    return;
  }
  const effects = remove(d, ended);
  if (d.phase === 'grace') rest(d);
  commit(d, effects);
}

/** Rest when nothing old is left, and wait for its end otherwise. */
export function rest(d: Draft): void {
  d.phase = d.places.some(({ role }) => role === 'old') ? 'grace' : 'resting';
}

/** Say which place `status` names. */
export function primaryIs({ epoch, port }: Place): Effect {
  return { kind: 'setPrimary', epoch, port };
}

/** How many listeners are open, or soon will be. */
function listening(d: Rotation): number {
  const ports = d.ports.filter(({ listener }) => listener === 'opening' || listener === 'open').length;
  return ports + (d.isDrawing || d.drawnPort !== undefined ? 1 : 0);
}

/** How many may be. @impl RT-109~2 */
function listenersMax(d: Pick<Rotation, 'phase' | 'places'>): number {
  const older = d.places.filter(({ role }) => role === 'old').length;
  return d.phase === 'emergency' || older > 1 ? LISTENERS_EMERGENCY_MAX : LISTENERS_MAX;
}

/** Is there room to bind an earlier port again? One listener is left to the new port, when nothing that is listed first listens. */
export function hasRoom(d: Rotation): boolean {
  const head = headOf(d);
  const listener = head === undefined ? undefined : portOf(d, head.port)?.listener;
  const isMissing = listener !== 'open' && listener !== 'opening' && placeOf(d, 'next') === undefined;
  const isComing = isMissing && (d.phase === 'preparing' || d.phase === 'emergency');
  return listening(d) + (isComing && !d.isDrawing && d.drawnPort === undefined ? 1 : 0) < listenersMax(d);
}
