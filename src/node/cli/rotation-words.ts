/** What happens to a host's address, in words for people. JSON and the log keep the names. Page: docs/operations.md. */
import type { ControlNote, ControlPlace } from '../../gen/clawchat/v1/control_pb.ts';
import type { Note, Rotation } from '../../protocol/rotation-state.ts';
import { timeText } from './output.ts';

type What = Note['what'] | 'started' | 'stopped';
type Fields = ReadonlyMap<string, string>;

const HAPPENED: Readonly<Record<What, (fields: Fields) => string>> = {
  started: () => 'started',
  stopped: () => 'stopped',
  rotated: fields => `moved to ${port(fields)}`,
  retired: fields => `gave ${port(fields)} up`,
  held: fields => `did not move: ${held(fields.get('why'))}`,
  'emergency-began': () => 'began to leave every earlier address (emergency)',
  'emergency-folded': () => 'was asked for another emergency, which follows the one under way',
  'emergency-ended': () => 'left every earlier address (emergency)',
  'port-lost': fields => `could not open ${port(fields)}, which people were told of; goes on trying`,
  'port-back': fields => `${port(fields)} is open again`,
  'port-refused': fields => `could not have ${port(fields)}, and takes another one`,
  'mapping-refused': fields => `the router did not forward ${port(fields)}`,
  'clock-jumped': fields => `the machine slept, or its clock was set: ${seconds(fields.get('byMs'))}`,
  'clock-off': fields => `the clock is wrong by ${seconds(fields.get('offsetMs'))}`,
  'clock-unfit': fields =>
    `the clock is wrong by ${seconds(fields.get('offsetMs'))}: no move until it is set`,
  'commit-failed': () => 'the disk did not take what was to be written',
  'already-rotating': () => 'was asked to move while a move was under way',
};

const HOLDS: ReadonlyMap<string, string> = new Map([
  ['stores', 'no store shows the new address'],
  ['mapping', 'the router did not forward the next port'],
  ['no-port', 'no other port could be had'],
  ['clock', 'the clock is not to be trusted'],
  ['busy', 'the disk was too slow'],
]);

const DOING: Readonly<Record<Rotation['phase'], string>> = {
  starting: 'it is starting',
  resting: '',
  preparing: 'the next port is being opened',
  publishing: 'the next address is on its way into the stores',
  verified: 'the stores have the next address',
  grace: 'the port before is still open',
  emergency: 'it is leaving every earlier address',
};

/** Say one thing that happened, with its time. */
export function happenedText({ atMs, what, detail, times, lastAtMs }: ControlNote): string {
  const fields = new Map(
    detail.split(', ').map((pair): [string, string] => {
      const [name = '', ...value] = pair.split(' ');
      return [name, value.join(' ')];
    }),
  );
  const say = (HAPPENED as Readonly<Record<string, ((fields: Fields) => string) | undefined>>)[what];
  const text = say?.(fields) ?? `${what}${detail === '' ? '' : `: ${detail}`}`;
  const repeated = times > 1 ? ` (${times} times, the last at ${timeText(lastAtMs)})` : '';
  return `${timeText(atMs)}  ${text}${repeated}`;
}

/** Say what a move waits for; empty between two moves. */
export function phaseText({
  phase,
  places,
}: {
  readonly phase: string;
  readonly places: readonly Pick<ControlPlace, 'role' | 'open'>[];
}): string {
  const isGone = places.every(({ role, open }) => role !== 'old' || !open);
  if (phase === 'grace' && isGone) return 'the port before is promised still, and cannot be opened';
  return (DOING as Readonly<Record<string, string | undefined>>)[phase] ?? phase;
}

function port(fields: Fields): string {
  return `port ${fields.get('port') ?? '?'}`;
}

function held(why: string | undefined): string {
  return HOLDS.get(why ?? '') ?? why ?? '';
}

function seconds(ms: string | undefined): string {
  return `${Math.round(Math.abs(Number(ms)) / 100) / 10} s`;
}
