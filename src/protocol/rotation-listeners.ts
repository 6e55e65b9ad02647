/** The listeners and mappings of a host's ports, as the driver tells of them (spec/06-rotation.md, 6.2). */
import { STORE_ATTEMPT_MS_MAX } from '../gen/constants.ts';
import { placeOf, portOf, setPort } from './rotation-record.ts';
import { portLost } from './rotation-start.ts';
import type { Draft, PortState, Rotation } from './rotation-state.ts';

/** A port listens. */
export function bound(d: Draft, port: number): void {
  const state = portOf(d, port);
  if (state === undefined) {
    // Given up meanwhile.
    d.outputs.push({ kind: 'unlisten', port });
    return;
  }
  setPort(d, port, { listener: 'open' });
  const isListed = d.places.some(place => place.port === port && place.listedUntil !== undefined);
  if (isListed) d.outputs.push({ kind: 'note', note: { what: 'port-back', port } });
  if (d.config.isMapped && state.mapping === 'none') askMapping(d, port);
}

/** A port cannot be bound: one that records list is lost, one that nobody was told of is replaced. */
export function bindFailed(d: Draft, port: number): void {
  if (portOf(d, port) === undefined) return;
  const unlisted = d.places.find(place => place.port === port && place.listedUntil === undefined);
  const isShared = d.places.some(place => place.port === port && place !== unlisted);
  if (unlisted === undefined || isShared) portLost(d, port);
  else setPort(d, port, { listener: 'refused' });
}

/** A port cannot be mapped. `isTaken`: the router has given it to somebody else. */
export function mapFailed(d: Draft, port: number, isTaken: boolean): void {
  if (portOf(d, port) === undefined) return;
  const next = placeOf(d, 'next');
  const isReplaceable = next?.port === port && next.listedUntil === undefined && d.phase !== 'emergency';
  if (isTaken && isReplaceable) {
    setPort(d, port, { mapping: 'taken' });
    return;
  }
  setPort(d, port, { mapping: 'failed', retryAt: d.clock.mono + d.config.constants.RETRY_MS });
  d.outputs.push({ kind: 'note', note: { what: 'mapping-refused', port } });
}

/** When a mapping is asked for again. */
export function mappingDue({ ports }: Rotation): number {
  return Math.min(...ports.map(mapDue));
}

/** Ask again for every mapping that is due. */
export function mapAgain(d: Draft): void {
  for (const state of d.ports) if (mapDue(state) <= d.clock.mono) askMapping(d, state.port);
}

/** A router that refused, or does not answer, is asked again. */
function mapDue({ listener, mapping, retryAt }: PortState): number {
  return listener === 'open' && (mapping === 'failed' || mapping === 'asked')
    ? retryAt
    : Number.POSITIVE_INFINITY;
}

function askMapping(d: Draft, port: number): void {
  setPort(d, port, { mapping: 'asked', retryAt: d.clock.mono + STORE_ATTEMPT_MS_MAX });
  d.outputs.push({ kind: 'map', port });
}
