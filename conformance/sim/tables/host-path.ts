/** What a host does on a path behind message 3 (spec/05-session.md, 5.2). */
import { ErrorCode } from '../../../src/gen/clawchat/v1/error_pb.ts';
import { ATTACH_MS_MAX, PATH_DEAD_MS, PING_IDLE_MS } from '../../../src/gen/constants.ts';
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
  OTHER_ID,
  SESSION_ID,
  UNKNOWN,
} from './frames.ts';
import { DEVICE, type HostPath, HostWorld, INVITE, PENDING } from './host-end.ts';
import { type PathInput, pathTable, type Scene, says, silence, statesOf } from './path-table.ts';

type Input = PathInput<HostWorld, HostPath>;

/** A device whose session, generation 3, is on an older path. */
function withOlderPath(): HostWorld {
  const world = new HostWorld();
  world.dial(DEVICE).open(HELLO, attach(SESSION_ID, 3, 0, true), data(1));
  return world;
}

const SCENES: readonly (() => Scene<HostWorld, HostPath>)[] = [
  () => {
    const world = withOlderPath();
    return { world, path: world.dial(DEVICE).open() };
  },
  () => {
    const world = new HostWorld();
    world.isSlow = true;
    return { world, path: world.dial(PENDING).open() };
  },
  () => {
    const world = withOlderPath();
    return { world, path: world.dial(DEVICE).open(HELLO) };
  },
  () => {
    const world = withOlderPath();
    return { world, path: world.dial(DEVICE).open(HELLO, attach(SESSION_ID, 4)) };
  },
  () => {
    const world = new HostWorld();
    return { world, path: world.dial(INVITE).open(HELLO) };
  },
  () => {
    const world = new HostWorld();
    const path = world.dial(INVITE).open(HELLO);
    world.isSlow = true;
    path.say(ENROL);
    return { world, path };
  },
];

export const STATES: readonly (readonly [string, () => Scene<HostWorld, HostPath>])[] = statesOf(SCENES);

const steps =
  (make: (path: HostPath) => Parameters<HostWorld['step']>[0]): Input =>
  ({ world, path }) => {
    world.step(make(path));
    world.pass(0);
  };
const INPUTS: readonly (readonly [string, ...Input[]])[] = [
  ['Hello', says(HELLO)],
  ['Attach{its session, a higher generation}', says(attach(SESSION_ID, 5))],
  ['Attach{its session, not a higher one}', says(attach(SESSION_ID, 3))],
  ['Attach{its session, `received_through` too high}', says(attach(SESSION_ID, 5, 9))],
  ['Attach{another id, open}', says(attach(OTHER_ID, 1, 0, true))],
  ['Attach{another id}', says(attach(OTHER_ID, 1))],
  ['Data that fits', says(data(2))],
  [
    'Ack or Credit that fits',
    says({ kind: 'ack', receivedThrough: 0 }),
    says({ kind: 'credit', stream: 1, limit: 9000 }),
  ],
  ['Data with a gap', says(data(7))],
  ['Enrol', says(ENROL)],
  ['Ping', says({ kind: 'ping', id: 1 })],
  ['Pong', says({ kind: 'pong', id: 1 })],
  ['a frame that it does not know', says(UNKNOWN)],
  [
    'Attached, Enrolled or RotationNotice',
    says(attached(5)),
    says(enrolled(new Uint8Array(0))),
    says(NOTICE),
  ],
  ['a malformed frame', says(MALFORMED)],
  ['a record that does not open', ({ path }) => path.give(new Uint8Array(128))],
  [
    'Close, resumable, whatever its code',
    says(close(ErrorCode.UNSPECIFIED, true)),
    says(close(ErrorCode.SEQUENCE_GAP, true)),
    says(close(ErrorCode.SESSION_LOST, true)),
  ],
  ['Close, not resumable', says(close(ErrorCode.UNSPECIFIED, false))],
  ['the connection ends', steps(({ id }) => ({ kind: 'closed', path: id }))],
  [
    'the commit is durable',
    ({ world }) => {
      world.commit();
      world.pass(0);
    },
  ],
  ['`ATTACH_MS_MAX` have passed', silence(ATTACH_MS_MAX)],
  ['silence for `PING_IDLE_MS`', silence(PING_IDLE_MS)],
  ['silence for `PATH_DEAD_MS`', silence(PATH_DEAD_MS)],
  ['its listener ends', steps(({ id }) => ({ kind: 'endPaths', paths: [id] }))],
  [
    'the host gives notice of a move',
    steps(({ id }) => ({ kind: 'notify', paths: [id], notice: NOTICE.notice })),
  ],
  [
    'its device is revoked, its invite withdrawn',
    ({ world, path }) => {
      const { id } = path.as;
      const isInvite = path.as === INVITE;
      world.step(
        isInvite
          ? { kind: 'withdrawInvite', ref: 3, invite: id }
          : { kind: 'revokeDevice', ref: 2, device: id },
      );
      world.commit();
      world.pass(0);
    },
  ],
  ['the host stops', steps(() => ({ kind: 'shutdown' }))],
];

/** Make the table. */
export function hostPathTable(): string {
  return pathTable(STATES, INPUTS);
}
