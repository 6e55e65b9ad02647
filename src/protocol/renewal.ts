/**
 * Renewing the record: epoch, access key and TLS key on schedule, on one port (spec/06-rotation.md).
 *
 * The seam to what moves the port: a state, `deadline`, `stepRenewal`, and outputs that are performed in order. The
 * driver knows nothing of the schedule.
 */
import type { Suite } from '../crypto/suite.ts';
import { CLOCK_STEP_MS } from '../gen/constants.ts';
import { UsageError } from '../wire/usage-error.ts';
import { rollChannelKeys } from './channel-keys.ts';
import type { AccessKey } from './connection-record.ts';
import type { RecordName } from './freshness.ts';
import {
  isPlace,
  makeRecord,
  type Place,
  placeOf,
  type Renewal,
  type RenewalContext,
  type TlsKey,
} from './record-maker.ts';

/** Entropy for one new epoch; what is not used is to be erased by its maker. */
export interface FreshKeys {
  /** 32 random bytes. */
  readonly accessKey: Uint8Array;
  readonly channelKeys: readonly [Uint8Array, Uint8Array];
  readonly tlsKey: TlsKey;
}

/** Something happened to the host. */
export type RenewalInput =
  /** It starts; the state is what the database holds. */
  | { readonly kind: 'start'; readonly place: Place; readonly fresh: FreshKeys }
  /** The deadline has come. */
  | { readonly kind: 'due'; readonly fresh: FreshKeys }
  /** Its addresses or stores are others. */
  | { readonly kind: 'place'; readonly place: Place }
  /** A record was read back from a store. */
  | { readonly kind: 'verified'; readonly name: RecordName }
  /** Wall minus monotonic time has changed by this much. */
  | { readonly kind: 'clock'; readonly deltaMs: number };

/**
 * What the driver does, in this order.
 *
 * `commit`: make the state durable before anything behind it. `acceptEpoch`, `endEpoch`: tell the gate. `presentTls`:
 * what listeners present to new connections. `publish`: seal `renewal.envelope` and write it to all stores, read it
 * back, then give `verified`. `notify`: tell sessions of the new record. `held`: nobody could verify it; tell the
 * operator, and sessions that the rotation is put off.
 */
export type RenewalOutput =
  | { readonly kind: 'commit'; readonly renewal: Renewal }
  | { readonly kind: 'acceptEpoch'; readonly accessKey: AccessKey }
  | { readonly kind: 'endEpoch'; readonly epoch: number }
  | { readonly kind: 'presentTls'; readonly tlsKey: TlsKey }
  | { readonly kind: 'publish'; readonly renewal: Renewal }
  | { readonly kind: 'notify'; readonly rotationAtMs: number; readonly oldEndsAtMs: number }
  | { readonly kind: 'held'; readonly rotationAtMs: number };

/** When the next step is due, and what for. */
export interface RenewalDeadline {
  readonly atMs: number;
  readonly why: 'publish' | 'verify' | 'retire';
}

/** Say when `due` is to be given; undefined before `start`. */
export function deadline(context: RenewalContext, renewal: Renewal): RenewalDeadline {
  const { PUBLISH_LEAD_MS, RETIRE_MS, VERIFY_LEAD_MS } = context.constants;
  const { turn, record } = renewal;
  if (turn === undefined) return { atMs: record.nextRotationMs - PUBLISH_LEAD_MS, why: 'publish' };
  if (turn.isVerified) return { atMs: turn.rotationAtMs + RETIRE_MS, why: 'retire' };
  return { atMs: turn.rotationAtMs - VERIFY_LEAD_MS, why: 'verify' };
}

/** Take one step. Before the first `start` there is no state, and only `start` may come. */
export function stepRenewal(
  context: RenewalContext,
  renewal: Renewal | undefined,
  input: RenewalInput,
  wallMs: number,
): readonly [Renewal, readonly RenewalOutput[]] {
  if (input.kind === 'start') return start(context, renewal, input, wallMs);
  if (renewal === undefined) throw new UsageError('a host starts before anything else happens to it');
  switch (input.kind) {
    case 'due':
      return due(context, renewal, input.fresh, placeOf(renewal.record), wallMs);
    case 'place':
      return isPlace(renewal, input.place)
        ? [renewal, []]
        : publish(remake(context, renewal, input.place, wallMs));
    case 'verified':
      return verified(renewal, input.name);
    case 'clock':
      return clockChanged(context, renewal, input.deltaMs, placeOf(renewal.record), wallMs);
  }
}

/** Whether a store shows that this host's database is older than what it has published (a restored backup). */
export function isDatabaseOld(suite: Suite, renewal: Renewal | undefined, seen: RecordName): boolean {
  if (renewal === undefined || seen.sequence !== renewal.sequence)
    return seen.sequence > (renewal?.sequence ?? 0);
  return !suite.equal(seen.hash, renewal.name.hash);
}

type Step = readonly [Renewal, readonly RenewalOutput[]];

/** @impl RT-006~1, RT-007~1 */
function start(
  context: RenewalContext,
  stored: Renewal | undefined,
  { place, fresh }: RenewalInput & { readonly kind: 'start' },
  wallMs: number,
): Step {
  if (stored === undefined) {
    const first = firstRecord(context, place, fresh, wallMs);
    return [
      first,
      [
        { kind: 'commit', renewal: first },
        { kind: 'presentTls', tlsKey: first.tlsKey },
        { kind: 'acceptEpoch', accessKey: first.accessKey },
        { kind: 'publish', renewal: first },
      ],
    ];
  }
  const { accessKey, tlsKey, turn } = stored;
  const outputs: RenewalOutput[] = [
    { kind: 'presentTls', tlsKey },
    { kind: 'acceptEpoch', accessKey },
  ];
  if (turn !== undefined) outputs.push({ kind: 'acceptEpoch', accessKey: turn.oldAccessKey });
  const [state, done] = due(context, stored, fresh, place, wallMs);
  outputs.push(...done);
  if (done.some(({ kind }) => kind === 'publish')) return [state, outputs];
  const [next, more] = refresh(context, state, place, wallMs);
  return [next, [...outputs, ...more]];
}

/** What a start publishes when no new epoch is due: the record as it is, unless it says something wrong. */
function refresh(context: RenewalContext, renewal: Renewal, place: Place, wallMs: number): Step {
  // How much time has passed nobody knows; that none has is the assumption that keeps old keys longest.
  const deltaMs = wallMs - renewal.record.issuedAtMs;
  if (deltaMs < -CLOCK_STEP_MS) return clockChanged(context, renewal, deltaMs, place, wallMs);
  if (!isPlace(renewal, place)) return publish(remake(context, renewal, place, wallMs));
  return [renewal, [{ kind: 'publish', renewal }]];
}

/** Do what is due at this instant: hold, retire, publish, in this order. */
function due(
  context: RenewalContext,
  renewal: Renewal,
  fresh: FreshKeys,
  place: Place,
  wallMs: number,
): Step {
  const outputs: RenewalOutput[] = [];
  let state = renewal;
  for (let next = deadline(context, state); next.atMs <= wallMs; next = deadline(context, state)) {
    const [after, more] =
      next.why === 'publish'
        ? nextEpoch(context, state, fresh, place, wallMs)
        : next.why === 'verify'
          ? hold(context, state, wallMs)
          : retire(state);
    state = after;
    outputs.push(...more);
    // One epoch a step, because there is entropy for one.
    if (next.why === 'publish') break;
  }
  return [state, outputs];
}

function firstRecord(context: RenewalContext, place: Place, fresh: FreshKeys, wallMs: number): Renewal {
  const accessKey = { epoch: 1, key: fresh.accessKey };
  const { suite, constants, intervalMs } = context;
  const channelKeys = rollChannelKeys(suite, constants, undefined, fresh.channelKeys, wallMs);
  return makeRecord(context, {
    sequence: 1,
    accessKey,
    channelKeys,
    tlsKey: fresh.tlsKey,
    turn: undefined,
    place,
    rotationAtMs: wallMs + intervalMs,
    wallMs,
    verified: undefined,
  });
}

/** Begin a new epoch: late, after a time down or a long hold, with the whole lead before its R. @impl RT-001~1, RT-002~1 */
function nextEpoch(
  context: RenewalContext,
  renewal: Renewal,
  fresh: FreshKeys,
  place: Place,
  wallMs: number,
): Step {
  const { suite, constants, intervalMs } = context;
  const { PUBLISH_LEAD_MS, RETIRE_MS } = constants;
  const { record, tlsKey, accessKey: oldAccessKey } = renewal;
  const sequence = renewal.sequence + 1;
  const accessKey = { epoch: oldAccessKey.epoch + 1, key: fresh.accessKey };
  const rotationAtMs = Math.max(record.nextRotationMs, wallMs + PUBLISH_LEAD_MS);
  const next = makeRecord(context, {
    sequence,
    accessKey,
    channelKeys: rollChannelKeys(suite, constants, renewal.channelKeys, fresh.channelKeys, wallMs),
    tlsKey,
    turn: { rotationAtMs, sequence, oldAccessKey, nextTlsKey: fresh.tlsKey, isVerified: false },
    place,
    rotationAtMs: rotationAtMs + intervalMs,
    wallMs,
    verified: renewal.verified,
  });
  return [
    next,
    [
      { kind: 'commit', renewal: next },
      { kind: 'acceptEpoch', accessKey },
      { kind: 'publish', renewal: next },
      { kind: 'notify', rotationAtMs, oldEndsAtMs: rotationAtMs + RETIRE_MS },
    ],
  ];
}

/** Nobody has verified the new record: the old keys stay. @impl RT-004~1 */
function hold({ constants }: RenewalContext, renewal: Renewal, wallMs: number): Step {
  const { turn } = renewal;
  if (turn === undefined) return [renewal, []];
  const { HOLD_MS, VERIFY_LEAD_MS } = constants;
  const late = wallMs - (turn.rotationAtMs - VERIFY_LEAD_MS);
  const rotationAtMs = turn.rotationAtMs + HOLD_MS * (Math.floor(late / HOLD_MS) + 1);
  const held = { ...renewal, turn: { ...turn, rotationAtMs } };
  return [
    held,
    [
      { kind: 'commit', renewal: held },
      { kind: 'held', rotationAtMs },
    ],
  ];
}

/** The old keys have had their time. @impl RT-003~1 */
function retire(renewal: Renewal): Step {
  const { turn } = renewal;
  if (turn === undefined) return [renewal, []];
  const next: Renewal = { ...renewal, tlsKey: turn.nextTlsKey, turn: undefined };
  return [
    next,
    [
      { kind: 'commit', renewal: next },
      { kind: 'presentTls', tlsKey: next.tlsKey },
      { kind: 'endEpoch', epoch: turn.oldAccessKey.epoch },
    ],
  ];
}

/** Keep the highest. Only what it means for the old keys is stored: a start reads back anyway. @impl RT-003~1 */
function verified(renewal: Renewal, name: RecordName): Step {
  if (name.sequence <= (renewal.verified?.sequence ?? 0) || name.sequence > renewal.sequence)
    return [renewal, []];
  const { turn } = renewal;
  if (turn === undefined || turn.isVerified || name.sequence < turn.sequence) {
    return [{ ...renewal, verified: name }, []];
  }
  const next: Renewal = { ...renewal, verified: name, turn: { ...turn, isVerified: true } };
  return [next, [{ kind: 'commit', renewal: next }]];
}

/** Publish fresh times; the old keys stay until the later of the two clocks says so. @impl RT-005~1 */
function clockChanged(
  context: RenewalContext,
  renewal: Renewal,
  deltaMs: number,
  place: Place,
  wallMs: number,
): Step {
  const { turn } = renewal;
  const { intervalMs } = context;
  const moved =
    turn === undefined
      ? undefined
      : { ...turn, rotationAtMs: laterClock(turn.rotationAtMs, deltaMs, intervalMs) };
  const fresh = remake(context, { ...renewal, turn: moved }, place, wallMs, wallMs + intervalMs);
  return publish(fresh);
}

function laterClock(atMs: number, deltaMs: number, intervalMs: number): number {
  const monoMs = atMs + deltaMs;
  return Math.max(monoMs, Math.min(atMs, monoMs + intervalMs));
}

/** Make a record of the same epoch with a higher sequence. */
function remake(
  context: RenewalContext,
  renewal: Renewal,
  place: Place,
  wallMs: number,
  rotationAtMs: number = renewal.record.nextRotationMs,
): Renewal {
  const { sequence, accessKey, channelKeys, tlsKey, turn } = renewal;
  return makeRecord(context, {
    sequence: sequence + 1,
    accessKey,
    channelKeys,
    tlsKey,
    turn,
    place,
    // In a long hold the planned instant may have passed.
    rotationAtMs: rotationAtMs > wallMs ? rotationAtMs : wallMs + context.constants.HOLD_MS,
    wallMs,
    verified: renewal.verified,
  });
}

/** @impl CF-022~1 */
function publish(renewal: Renewal): Step {
  return [
    renewal,
    [
      { kind: 'commit', renewal },
      { kind: 'publish', renewal },
    ],
  ];
}
