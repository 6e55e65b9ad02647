/** Vectors: what the end of a path makes a client wait (spec/05-session.md, 5.9). */
import { DIAL_BACKOFF_MS_MAX, PATH_DEAD_MS } from '../../../src/gen/constants.ts';
import type { Flag } from '../flags.ts';
import { judgeSession } from '../judge/session.ts';
import type { JsonObject, Vector } from '../vector.ts';

const SHORT = PATH_DEAD_MS + 1000;
const LONG = DIAL_BACKOFF_MS_MAX;

const ends = (attachedMs: number | null, how: string): JsonObject => ({ attached_ms: attachedMs, ends: how });
const closes = (attachedMs: number | null, code: string, resumable = false): JsonObject => ({
  attached_ms: attachedMs,
  ends: 'close',
  code,
  resumable,
});

function vector(id: string, note: string, flags: readonly Flag[], ...paths: readonly JsonObject[]): Vector {
  const input = { what: 'redial', paths };
  return {
    id: `session/redial/${id}`,
    note,
    req: ['SE-082~4'],
    flags,
    phase: 'time',
    ...judgeSession(input, {}, new Map()),
    input,
  };
}

/** Make them. */
export function sessionRedial(): Vector[] {
  const superseded = (attachedMs: number | null): JsonObject => closes(attachedMs, 'PATH_SUPERSEDED', true);
  return [
    ...['lost', 'dead', 'garbled'].flatMap(how => [
      vector(`${how}-soon`, 'A short while after Attached: a little.', ['clock'], ends(SHORT, how)),
      vector(`${how}-late`, 'A path that had lasted: not at all.', ['clock', 'boundary'], ends(LONG, how)),
    ]),
    vector(
      'superseded',
      'A path that a newer one took over which this client has not got.',
      ['clock'],
      superseded(SHORT),
      superseded(LONG),
    ),
    vector(
      'move',
      'The ordinary order of a move: the older path ends while the newer one awaits Attached, which is the one that counts.',
      ['clock', 'state-machine'],
      { ...superseded(SHORT), beside: true },
    ),
    vector(
      'lost-beside',
      'The older path breaks while the newer one awaits Attached.',
      ['clock', 'state-machine'],
      { ...ends(SHORT, 'lost'), beside: true },
    ),
    vector(
      'never-attached',
      'Before Attached every end counts as a failed dial, also one that says nothing against the host.',
      ['clock'],
      superseded(null),
      ends(null, 'lost'),
      closes(null, 'HOST_BUSY', true),
      ends(null, 'garbled'),
    ),
    vector(
      'sent-away',
      'A host that sends it away each time is asked less and less often, up to a bound.',
      ['clock', 'boundary'],
      ...Array.from({ length: 9 }, () => closes(SHORT, 'HOST_BUSY', true)),
    ),
    vector(
      'begins-anew',
      'A path that lasted makes the waits short again; a shorter one does not.',
      ['clock', 'boundary'],
      closes(null, 'HOST_BUSY', true),
      closes(LONG - 1, 'SHUTDOWN', true),
      closes(LONG, 'SHUTDOWN', true),
      closes(SHORT, 'INTERNAL'),
    ),
    vector(
      'session-lost',
      'A lost session is forgiven once in a row.',
      ['clock', 'state-machine'],
      closes(null, 'SESSION_LOST'),
      closes(SHORT, 'SESSION_LOST'),
      closes(null, 'SESSION_LOST'),
      ends(SHORT, 'lost'),
      closes(null, 'SESSION_LOST'),
    ),
  ];
}
