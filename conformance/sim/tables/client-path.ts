/** What a client does on a path behind message 2 (spec/05-session.md, 5.2). */
import { ErrorCode } from '../../../src/gen/clawchat/v1/error_pb.ts';
import { PATH_DEAD_MS, PING_IDLE_MS, PROBE_MS_MAX } from '../../../src/gen/constants.ts';
import { type ClientEnd, ClientWorld, ENVELOPE } from './client-end.ts';
import {
  attach,
  attached,
  close,
  data,
  ENROL,
  enrolled,
  HELLO,
  MALFORMED,
  NOTICE,
  SESSION_ID,
  UNKNOWN,
} from './frames.ts';
import { type PathInput, pathTable, type Scene, says, silence, statesOf } from './path-table.ts';

type Input = PathInput<ClientWorld, ClientEnd>;

/** A device that is attached and has sent one frame of its session, and a newer path that awaits Hello. */
function moving(): { readonly older: ClientEnd; readonly newer: ClientEnd; readonly world: ClientWorld } {
  const world = new ClientWorld('device');
  const older = world.dial().open();
  older.say(HELLO, attached(older.generation));
  world.step({ kind: 'move' });
  world.pass(0);
  return { world, older, newer: world.dial().open() };
}

const SCENES: readonly (() => Scene<ClientWorld, ClientEnd>)[] = [
  () => {
    const { world, newer } = moving();
    return { world, path: newer };
  },
  () => {
    const { world, newer } = moving();
    newer.say(HELLO);
    return { world, path: newer };
  },
  () => {
    const { world, newer } = moving();
    newer.say(HELLO, attached(newer.generation));
    return { world, path: newer };
  },
  () => {
    const { world, older } = moving();
    return { world, path: older };
  },
  () => {
    const world = new ClientWorld('invite');
    return { world, path: world.dial().open(HELLO) };
  },
];

export const STATES: readonly (readonly [string, () => Scene<ClientWorld, ClientEnd>])[] = statesOf(SCENES);

const closes = (resumable: boolean, ...codes: readonly ErrorCode[]): readonly Input[] =>
  codes.map(code => says(close(code, resumable)));

const INPUTS: readonly (readonly [string, ...Input[]])[] = [
  ['Hello', says(HELLO)],
  ['Attached', ({ path }) => path.say(attached(path.generation))],
  ['Attached, another generation', ({ path }) => path.say(attached(path.generation + 7))],
  ['Attached, `received_through` too high', ({ path }) => path.say(attached(path.generation, 9))],
  ['Data that fits', says(data(1, 2))],
  ['Ack that fits', says({ kind: 'ack', receivedThrough: 0 })],
  ['Data with a gap', says(data(7, 2))],
  ['Enrolled', says(enrolled(ENVELOPE))],
  ['Enrolled with a broken envelope', says(enrolled(new Uint8Array(3)))],
  ['RotationNotice', says(NOTICE)],
  ['Ping', says({ kind: 'ping', id: 1 })],
  ['Pong', says({ kind: 'pong', id: 1 })],
  ['a frame that it does not know', says(UNKNOWN)],
  ['Attach or Enrol', says(attach(SESSION_ID, 1)), says(ENROL)],
  ['a malformed frame', says(MALFORMED)],
  ['a record that does not open', ({ path }) => path.give(new Uint8Array(128))],
  [
    'Close, resumable, whatever its code',
    ...closes(true, ErrorCode.SHUTDOWN, ErrorCode.HOST_BUSY, ErrorCode.TIMEOUT, ErrorCode.PATH_SUPERSEDED),
    ...closes(true, ErrorCode.SESSION_LOST, ErrorCode.DEVICE_REVOKED, ErrorCode.VERSION_UNSUPPORTED),
  ],
  ['Close{`GENERATION_STALE`}', ...closes(false, ErrorCode.GENERATION_STALE)],
  [
    'Close{`SESSION_LOST`} or Close{`ACK_INVALID`}',
    ...closes(false, ErrorCode.SESSION_LOST, ErrorCode.ACK_INVALID),
  ],
  [
    'Close{`SESSION_REPLACED`} or Close{`DEVICE_REVOKED`}',
    ...closes(false, ErrorCode.SESSION_REPLACED, ErrorCode.DEVICE_REVOKED),
  ],
  [
    'Close{`VERSION_UNSUPPORTED`}, Close{`NOT_PERMITTED`} or one about the invite',
    ...closes(
      false,
      ErrorCode.VERSION_UNSUPPORTED,
      ErrorCode.NOT_PERMITTED,
      ErrorCode.INVITE_USED,
      ErrorCode.INVITE_EXPIRED,
    ),
    ...closes(false, ErrorCode.ENROL_INVALID, ErrorCode.DEVICE_LIMIT),
  ],
  [
    'Close, not resumable, any other code',
    ...closes(false, ErrorCode.INTERNAL, ErrorCode.FRAME_UNEXPECTED, ErrorCode.SEQUENCE_GAP),
  ],
  [
    'the connection ends',
    ({ world, path }) => {
      world.step({ kind: 'closed', path: path.id });
      world.wait(0, path);
    },
  ],
  ['15 s since message 3 of the path that awaits its answer', ({ world }) => world.pass(15_000)],
  ['silence for `PING_IDLE_MS`', silence(PING_IDLE_MS)],
  ['silence for `PATH_DEAD_MS`', silence(PATH_DEAD_MS)],
  [
    'the machine woke, then silence for `PROBE_MS_MAX`',
    ({ world, path }) => {
      world.step({ kind: 'wake' });
      world.wait(PROBE_MS_MAX, path);
    },
  ],
  [
    'a newer path is Attached',
    ({ world, path }) => {
      const newer = world.paths.at(-1);
      if (newer !== undefined && newer !== path) newer.say(HELLO, attached(newer.generation));
      world.wait(0, path);
    },
  ],
  [
    'the client stops',
    ({ world }) => {
      world.step({ kind: 'stop' });
      world.pass(0);
    },
  ],
];

/** Make the table. */
export function clientPathTable(): string {
  return pathTable(STATES, INPUTS);
}
