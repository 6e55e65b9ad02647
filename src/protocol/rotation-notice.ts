/** What sessions are told of a move and of the record, in times relative to the telling (spec/06-rotation.md, 6.9). */
import type { Now } from './now.ts';
import { headOf, listedMs, placeOf } from './rotation-record.ts';
import type { Notice, Rotation } from './rotation-state.ts';

/** The longest that a notice can name. */
const NOTICE_ROTATES_MS_MAX = 86_400_000;
const NOTICE_ENDS_MS_MAX = 90_000_000;

/**
 * Say what a session is to be told that is attached on a path of this port and epoch; undefined while there is no record.
 *
 * Nobody who attaches late is left behind by a move, nor with an old record. @impl RT-126~1, RT-156~1
 */
export function noticeFor(
  state: Rotation,
  path: { readonly port: number; readonly epoch: number },
  now: Now,
): Notice | undefined {
  // What is on its way to the disk is nobody's business yet.
  const d = { ...state, ...state.standing, clock: now };
  const head = headOf(d);
  if (d.record === undefined) return undefined;
  if (head === undefined || (head.port === path.port && head.epoch === path.epoch))
    return noticeNow(d, 'record');
  switch (d.phase) {
    case 'publishing':
    case 'verified':
    case 'grace':
      return noticeNow(d, 'move');
    case 'emergency':
      return noticeNow(d, 'emergency');
    case 'starting':
    case 'resting':
    case 'preparing':
      return noticeNow(d, 'record');
  }
}

/** Reckon a notice that leaves now. @impl RT-104~1 */
export function noticeNow(d: Rotation, kind: Notice['kind']): Notice {
  const { GRACE_MS, EMERGENCY_MS } = d.config.constants;
  const { wall } = d.clock;
  // A hold is always about an R that lies ahead.
  const isOver = kind === 'move' && (d.phase === 'grace' || d.phase === 'resting');
  const sequence = kind === 'hold' ? undefined : d.record?.sequence;
  if (kind === 'record') return { kind, rotatesInMs: 0, oldEndsInMs: 0, sequence };
  if (kind === 'emergency') {
    const endsInMs = (d.emergency?.atMs ?? wall) + EMERGENCY_MS - wall;
    return { kind, rotatesInMs: 0, oldEndsInMs: clamp(endsInMs, NOTICE_ENDS_MS_MAX), sequence };
  }
  const old = isOver ? d.places.find(({ role }) => role === 'old') : placeOf(d, 'primary');
  const listedUntilMs = wall + (old?.listedUntil === undefined ? 0 : listedMs(d, old.listedUntil));
  const endsAtMs = isOver ? listedUntilMs : Math.max(d.rotationAtMs + GRACE_MS, listedUntilMs);
  return {
    kind,
    rotatesInMs: isOver ? 0 : clamp(d.rotationAtMs - wall, NOTICE_ROTATES_MS_MAX),
    oldEndsInMs: clamp(endsAtMs - wall, NOTICE_ENDS_MS_MAX),
    sequence,
  };
}

function clamp(ms: number, max: number): number {
  return Math.min(Math.max(0, Math.round(ms)), max);
}
