/**
 * Moving the host from port to port: the table of rotation as a machine (spec/06-rotation.md).
 *
 * It names places by their epoch and holds no key: its whole state can be logged. The driver performs outputs in order, gives
 * back what it is asked for, and says `tick` at the deadline.
 */
import { CLOCK_LOOK_MS } from '../gen/constants.ts';
import type { Now } from './now.ts';
import { isJumped, jumped, publishFresh } from './rotation-clock.ts';
import {
  beginEmergency,
  emergencyEnd,
  endEmergency,
  foldEmergency,
  publishEmergency,
} from './rotation-emergency.ts';
import { bindFailed, bound, mapAgain, mapFailed, mappingDue } from './rotation-listeners.ts';
import { noticeNow } from './rotation-notice.ts';
import {
  atWall,
  commit,
  isOpen,
  journalOf,
  placeOf,
  portOf,
  setPort,
  standingOf,
} from './rotation-record.ts';
import {
  activate,
  draw,
  drawDue,
  drawn,
  giveUp,
  giveUpDue,
  hold,
  isReady,
  prepare,
  publish,
  retire,
  retireDue,
  take,
  takeDue,
  unready,
} from './rotation-rows.ts';
import { rebind, start } from './rotation-start.ts';
import type {
  Draft,
  Phase,
  Rotation,
  RotationConfig,
  RotationInput,
  RotationOutput,
} from './rotation-state.ts';

const NOW = Number.NEGATIVE_INFINITY;
const NEVER = Number.POSITIVE_INFINITY;

/** Make the state of a process that has not begun. */
export function rotation(config: RotationConfig): Rotation {
  return {
    config,
    phase: 'starting',
    places: [],
    mappings: [],
    recentPorts: [],
    epoch: 0,
    record: undefined,
    rotationAtMs: 0,
    turnSequence: 0,
    isHurried: false,
    isRotationWanted: false,
    emergency: undefined,
    clock: { wall: 0, mono: 0 },
    clockBaseMs: 0,
    ports: [],
    verifiedSequence: 0,
    attempts: 0,
    isDrawing: false,
    drawnPort: undefined,
    drawAt: 0,
    isClockUnfit: false,
    checkAt: 0,
    emergencyEndsAt: 0,
    asked: undefined,
    isChanged: false,
    isRepublished: false,
    commits: 0,
    commit: undefined,
    standing: { phase: 'starting', places: [], record: undefined, rotationAtMs: 0, emergency: undefined },
  };
}

/** Something that is done when its time has come. `due` is a monotonic instant. */
interface Rule {
  readonly why: string;
  readonly in: readonly Phase[] | undefined;
  readonly due: (d: Rotation) => number;
  readonly run: (d: Draft) => void;
}

/** In this order; the first that is due runs, until none is or something waits for its commit. */
const RULES: readonly Rule[] = [
  { why: 'clock', in: undefined, due: d => (isJumped(d) ? NOW : NEVER), run: jumped },
  {
    why: 'check clock',
    in: undefined,
    due: d => d.checkAt,
    run: d => {
      d.checkAt = d.clock.mono + d.config.constants.CLOCK_CHECK_MS;
      d.outputs.push({ kind: 'checkClock' });
    },
  },
  {
    why: 'emergency',
    in: undefined,
    due: d => (d.asked === undefined ? NEVER : NOW),
    run: d => {
      if (d.asked === undefined) return;
      if (d.phase === 'emergency') foldEmergency(d, d.asked);
      else beginEmergency(d, d.asked);
    },
  },
  { why: 'end of emergency', in: ['emergency'], due: emergencyEnd, run: endEmergency },
  {
    why: 'publish emergency',
    in: ['emergency'],
    due: d => (isOpen(d, placeOf(d, 'next')?.port ?? 0) ? NOW : NEVER),
    run: publishEmergency,
  },
  { why: 'retire', in: undefined, due: retireDue, run: retire },
  {
    why: 'rotate now',
    in: ['resting'],
    due: d => (d.isRotationWanted ? NOW : NEVER),
    run: d => {
      d.isRotationWanted = false;
      d.rotationAtMs = Math.min(d.rotationAtMs, d.clock.wall + d.config.constants.PREPARE_LEAD_MS);
    },
  },
  {
    why: 'prepare',
    in: ['resting'],
    due: d => atWall(d, d.rotationAtMs - d.config.constants.PREPARE_LEAD_MS),
    run: d => {
      if (d.isClockUnfit) hold(d, 'clock', d.config.constants.PREPARE_LEAD_MS);
      else prepare(d, false);
    },
  },
  {
    why: 'busy',
    in: ['grace', 'emergency'],
    due: d =>
      placeOf(d, 'primary') === undefined
        ? NEVER
        : atWall(d, d.rotationAtMs - d.config.constants.PREPARE_LEAD_MS),
    run: d => hold(d, 'busy', d.config.constants.PREPARE_LEAD_MS),
  },
  { why: 'give up', in: ['preparing', 'emergency'], due: giveUpDue, run: giveUp },
  { why: 'take', in: ['preparing', 'emergency'], due: takeDue, run: take },
  { why: 'draw', in: ['preparing', 'emergency'], due: drawDue, run: draw },
  {
    why: 'publish',
    in: ['preparing'],
    due: d => {
      if (!isReady(d)) return NEVER;
      return d.isHurried ? NOW : atWall(d, d.rotationAtMs - d.config.constants.PUBLISH_LEAD_MS);
    },
    run: publish,
  },
  {
    why: 'not ready',
    in: ['preparing'],
    due: d => (isReady(d) ? NEVER : atWall(d, d.rotationAtMs - d.config.constants.MAPPING_LEAD_MS)),
    run: unready,
  },
  {
    why: 'verified',
    in: ['publishing'],
    due: d => (d.verifiedSequence >= d.turnSequence ? NOW : NEVER),
    run: d => {
      d.phase = 'verified';
      commit(d, []);
    },
  },
  {
    why: 'not verified',
    in: ['publishing'],
    due: d => atWall(d, d.rotationAtMs - d.config.constants.VERIFY_LEAD_MS),
    run: d => hold(d, 'stores', d.config.constants.PUBLISH_LEAD_MS),
  },
  { why: 'rotate', in: ['verified'], due: d => atWall(d, d.rotationAtMs), run: activate },
  {
    why: 'map again',
    in: undefined,
    due: mappingDue,
    run: mapAgain,
  },
  {
    why: 'rebind',
    in: undefined,
    due: d => Math.min(...d.ports.map(({ listener, retryAt }) => (listener === 'lost' ? retryAt : NEVER))),
    run: rebind,
  },
  {
    why: 'changed',
    in: undefined,
    due: d =>
      d.isChanged && d.record !== undefined && d.ports.every(({ listener }) => listener !== 'opening')
        ? NOW
        : NEVER,
    run: d => {
      d.isChanged = false;
      const effects = publishFresh(d);
      if (effects.length > 0) commit(d, effects);
    },
  },
  {
    why: 'publish again',
    in: undefined,
    due: d => (d.isRepublished ? NOW : NEVER),
    run: d => {
      d.isRepublished = false;
      if (d.record !== undefined) d.outputs.push({ kind: 'publish', record: d.record });
    },
  },
];

/** What comes next, and when by the monotonic clock; undefined while nothing is. For people: drivers use `deadline`. */
export function nextRow(state: Rotation): { readonly at: number; readonly why: string } | undefined {
  if (state.phase === 'starting') return undefined;
  if (state.commit !== undefined) {
    const at = state.commit.retryAt;
    return at === undefined ? undefined : { at, why: 'commit again' };
  }
  let soonest: { readonly at: number; readonly why: string } | undefined;
  for (const { why, in: phases, due } of RULES) {
    if (phases !== undefined && !phases.includes(state.phase)) continue;
    const at = due(state);
    if (at !== NEVER && (soonest === undefined || at < soonest.at)) soonest = { at, why };
  }
  return soonest;
}

/** The monotonic instant at which to say `tick`: the next row, or sooner to look at both clocks. @impl RT-130~1 */
export function deadline(state: Rotation): number | undefined {
  if (state.phase === 'starting') return undefined;
  return Math.min(nextRow(state)?.at ?? NEVER, state.clock.mono + CLOCK_LOOK_MS);
}

/** Take one input. */
export function step(
  state: Rotation,
  input: RotationInput,
  now: Now,
): readonly [Rotation, readonly RotationOutput[]] {
  if (state.phase === 'starting' && input.kind !== 'start') return [state, []];
  // Whole milliseconds: what is reckoned from both clocks goes into records.
  const clock = { wall: Math.floor(now.wall), mono: Math.floor(now.mono) };
  const draft: Draft = { ...state, clock, outputs: [] };
  hear(draft, input);
  while (draft.commit === undefined && runOne(draft)) {
    // Until nothing is due, or something waits for its commit.
  }
  const { outputs, ...next } = draft;
  return [next, outputs];
}

function runOne(d: Draft): boolean {
  for (const { in: phases, due, run } of RULES) {
    if (phases !== undefined && !phases.includes(d.phase)) continue;
    if (due(d) > d.clock.mono) continue;
    run(d);
    return true;
  }
  return false;
}

/** Note what has happened; what follows from it is for the rules. */
function hear(d: Draft, input: RotationInput): void {
  switch (input.kind) {
    case 'start':
      if (d.phase === 'starting') start(d, input.journal);
      break;
    case 'tick':
      if (d.commit?.retryAt !== undefined && d.commit.retryAt <= d.clock.mono) commitAgain(d, d.commit);
      break;
    case 'drawn':
      drawn(d, input.entropy);
      break;
    case 'committed':
      if (d.commit?.id === input.id) leave(d, d.commit);
      break;
    case 'commitFailed':
      if (d.commit?.id === input.id) {
        d.commit = { ...d.commit, retryAt: d.clock.mono + d.config.constants.RETRY_MS };
        d.outputs.push({ kind: 'note', note: { what: 'commit-failed' } });
      }
      break;
    case 'bound':
      bound(d, input.port);
      break;
    case 'bindFailed':
      bindFailed(d, input.port);
      break;
    case 'mapped':
      if (portOf(d, input.port) !== undefined) setPort(d, input.port, { mapping: 'mapped' });
      break;
    case 'unmapped':
      if (portOf(d, input.port) === undefined) d.mappings = d.mappings.filter(port => port !== input.port);
      break;
    case 'mapFailed':
      mapFailed(d, input.port, input.isTaken);
      break;
    case 'verified':
      if (input.sequence <= (d.record?.sequence ?? 0))
        d.verifiedSequence = Math.max(d.verifiedSequence, input.sequence);
      break;
    case 'changed':
      d.isChanged = true;
      break;
    case 'rotateNow':
      rotateNow(d);
      break;
    case 'emergency':
      d.asked = input.isHard ? 'hard' : (d.asked ?? 'soft');
      break;
    case 'clockChecked':
      clockChecked(d, input.offsetMs);
      break;
  }
}

/** The commit is durable: let go what waited for it. Times of a notice count from here. @impl RT-101~1, RT-104~1 */
function leave(d: Draft, { then, standing }: NonNullable<Rotation['commit']>): void {
  d.commit = undefined;
  d.standing = standing;
  for (const effect of then) {
    if (effect.kind === 'notify')
      d.outputs.push({ kind: 'notify', notice: noticeNow({ ...d, ...standing }, effect.notice) });
    else d.outputs.push(effect);
  }
}

function commitAgain(d: Draft, failed: NonNullable<Rotation['commit']>): void {
  d.commits += 1;
  d.commit = { ...failed, id: d.commits, standing: standingOf(d), retryAt: undefined };
  d.outputs.push({ kind: 'commit', id: d.commits, journal: journalOf(d) });
}

/** @impl RT-116~1 */
function rotateNow(d: Draft): void {
  if (d.phase === 'resting' || d.phase === 'grace') d.isRotationWanted = true;
  else d.outputs.push({ kind: 'note', note: { what: 'already-rotating' } });
}

/** @impl RT-133~1 */
function clockChecked(d: Draft, offsetMs: number | undefined): void {
  const { CLOCK_WARN_MS, CLOCK_HOLD_MS, CLOCK_CHECK_MS, HOLD_MS } = d.config.constants;
  if (offsetMs !== undefined) {
    d.isClockUnfit = Math.abs(offsetMs) > CLOCK_HOLD_MS;
    if (d.isClockUnfit) d.outputs.push({ kind: 'note', note: { what: 'clock-unfit', offsetMs } });
    else if (Math.abs(offsetMs) > CLOCK_WARN_MS)
      d.outputs.push({ kind: 'note', note: { what: 'clock-off', offsetMs } });
  }
  d.checkAt = d.clock.mono + (d.isClockUnfit ? HOLD_MS : CLOCK_CHECK_MS);
}
