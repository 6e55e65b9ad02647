/** Both sides of the handshake, from the token to message 3 (spec/04-handshake.md, 4.4). */
import { create, toBinary } from '@bufbuild/protobuf';
import { HandshakeState } from '../../../src/crypto/noise.ts';
import { ErrorCode } from '../../../src/gen/clawchat/v1/error_pb.ts';
import { HandshakeReplySchema } from '../../../src/gen/clawchat/v1/handshake_pb.ts';
import { AUTH_MS_MAX, HANDLE_TOKENS_MAX } from '../../../src/gen/constants.ts';
import { fault } from '../../../src/protocol/fault.ts';
import { flipped, named } from '../../../src/protocol/fixtures.ts';
import { makeToken } from '../../../src/protocol/gate.ts';
import { dialKeys } from '../../../src/protocol/join.ts';
import { prologue } from '../../../src/protocol/keys.ts';
import { CHANNEL_KEY, type ClientEnd, ClientWorld } from './client-end.ts';
import { grid, host, must, pathCell, same, suite } from './grid.ts';
import { DEVICE, type Dialler, HostPath, HostWorld, INVITE, PENDING, RECORD } from './host-end.ts';

const [ACCESS] = RECORD.accessKeys;
const DIALLERS: readonly (readonly [string, Dialler])[] = [
  ['awaits message 3 of a device', DEVICE],
  ['awaits message 3 of a pending device', PENDING],
  ['awaits message 3 of an invite', INVITE],
];

// ---- the host: a token ----

interface Scene {
  readonly world: HostWorld;
  readonly path: HostPath;
}

/** Gives the path that it is about, when that is another one. */
type Input = (scene: Scene) => unknown;

const offers =
  (change: (token: string) => string): Input =>
  ({ path }) =>
    path.offer(change(path.handshake.token));
/** The same token with one bit of its bytes changed. */
const bit =
  (at: number) =>
  (token: string): string =>
    Buffer.from(flipped(Uint8Array.from(Buffer.from(token, 'base64url')), at)).toString('base64url');

/** A token with a right MAC over a message 1 of somebody else's making. */
function forged(gateKey: Uint8Array, message1: Uint8Array): string {
  return makeToken(suite, { gateKey, accessKey: ACCESS, message1 });
}

const TOKEN_INPUTS: readonly (readonly [string, ...Input[]])[] = [
  ['a token that is right', offers(token => token)],
  [
    'the same token again',
    ({ world, path }) => {
      world.dial(path.as).offer(path.handshake.token);
      world.take(path);
      path.offer();
    },
  ],
  ['one letter more or less', offers(token => `${token}A`), offers(token => token.slice(1))],
  ['a letter outside the alphabet', offers(token => `${token.slice(0, -1)}=`)],
  [
    'last bits that are not zero',
    offers(token => `${token.slice(0, -1)}${token.at(-1) === 'A' ? 'B' : next(token)}`),
  ],
  ['an epoch that is not accepted', offers(bit(7))],
  ['a handle that nobody has', offers(bit(8))],
  ['a wrong MAC', offers(bit(87)), offers(bit(30))],
  [
    'a right MAC, message 1 for another channel key',
    ({ world, path }) => {
      const misled = new HostPath(world, path.id, path.as, named(suite, 'another channel key'));
      path.offer(misled.handshake.token);
    },
  ],
  [
    'a right MAC, message 1 with a key of small order',
    ({ path }) => path.offer(forged(path.as.keys.gateKey, new Uint8Array(48))),
  ],
  [
    'right, the handle has no attempts left',
    ({ world, path }) => {
      for (let i = 0; i < HANDLE_TOKENS_MAX; i += 1) world.dial(path.as).offer();
      world.take(path);
      path.offer();
    },
  ],
  [
    'right, revoked or withdrawn a moment ago',
    ({ world, path }) => {
      world.isSlow = true;
      end(world, path.as);
      world.take(path);
      path.offer();
    },
  ],
  [
    'right, the host is stopping',
    ({ world, path }) => {
      world.step({ kind: 'shutdown' });
      path.offer();
    },
  ],
];

function next(token: string): string {
  const alphabet = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_';
  return alphabet[alphabet.indexOf(token.at(-1) ?? 'A') + 1] ?? 'B';
}

function end(world: HostWorld, { id }: Dialler): void {
  world.step(
    id === INVITE.id
      ? { kind: 'withdrawInvite', ref: 3, invite: id }
      : { kind: 'revokeDevice', ref: 2, device: id },
  );
}

/** Make the table of tokens. */
export function tokenTable(): string {
  const whoever = [['a token of a device, of a pending device or of an invite', undefined]] as const;
  return grid(whoever, rows(TOKEN_INPUTS), (_, inputs) => {
    const cells = inputs.flatMap(input =>
      DIALLERS.map(([, as]) => {
        const world = new HostWorld();
        const path = world.dial(as);
        world.take(path);
        input({ world, path });
        return pathCell('ended', path.state, world.take(path));
      }),
    );
    return same(cells);
  });
}

// ---- the host: message 3 ----

const gives =
  (change: (message3: Uint8Array) => Uint8Array): Input =>
  ({ path }) =>
    path.give(change(path.message3()));

const MESSAGE_3_INPUTS: readonly (readonly [string, ...Input[]])[] = [
  ['message 3', gives(message => message)],
  ['63 or 65 bytes', gives(message => message.slice(1)), gives(message => Uint8Array.of(...message, 0))],
  ['a byte of it changed', gives(message => flipped(message, 3)), gives(message => flipped(message, 60))],
  [
    'message 3 of another path',
    ({ world, path }) => {
      const other = world.dial(path.as);
      other.offer();
      world.take(other);
      path.give(other.message3());
    },
  ],
  [
    'right keys, but the static key of somebody else',
    ({ world, path }) => {
      const thief = world.dial({ ...path.as, privateKey: named(suite, 'thief') });
      thief.offer();
      world.take(thief);
      thief.give(thief.message3());
      return thief;
    },
  ],
  [
    'message 3, revoked or withdrawn a moment ago',
    ({ world, path }) => {
      world.isSlow = true;
      end(world, path.as);
      world.take(path);
      path.give(path.message3());
    },
  ],
  ['`AUTH_MS_MAX` since it was accepted', ({ world }) => world.pass(AUTH_MS_MAX)],
  ['the connection ends', ({ world, path }) => world.step({ kind: 'closed', path: path.id })],
  ['the host stops', ({ world }) => world.step({ kind: 'shutdown' })],
];

/** Make the table of message 3. */
export function message3Table(): string {
  return grid(DIALLERS, rows(MESSAGE_3_INPUTS), (as, inputs) => {
    const cells = inputs.map(input => {
      const world = new HostWorld();
      const path = world.dial(as);
      path.offer();
      world.take(path);
      const other = input({ world, path });
      const about = other instanceof HostPath ? other : path;
      return pathCell('awaits message 3', about.state, world.take(about));
    });
    return same(cells);
  });
}

// ---- the client ----

interface ClientScene {
  readonly world: ClientWorld;
  readonly path: ClientEnd;
}

type ClientInput = (scene: ClientScene) => void;

/** Message 2 with this payload, or by a host with this channel key. */
function message2(
  { message1 }: ClientEnd,
  world: ClientWorld,
  payload: Uint8Array,
  key = CHANNEL_KEY,
): Uint8Array {
  const { member } = world.client;
  if (member === undefined) throw new Error('nobody dials');
  const { psk } = dialKeys(suite, member);
  const noise = HandshakeState.responder({
    suite,
    prologue: prologue(host.serverId, 7),
    s: suite.x25519Key(key),
    psk,
  });
  const read = noise.readMessage(message1);
  if (read.kind === 'fault') throw new Error('message 1 does not open');
  const written = noise.writeMessage(payload, suite.x25519Key(named(suite, 'e of the host')));
  return must(written).message;
}

function reply(sequence: bigint, hashBytes: number): Uint8Array {
  const fields = { verifiedSequence: sequence, verifiedHash: new Uint8Array(hashBytes) };
  const bare = toBinary(HandshakeReplySchema, create(HandshakeReplySchema, fields)).length;
  const padding = new Uint8Array(64 - bare - 2);
  return toBinary(HandshakeReplySchema, create(HandshakeReplySchema, { ...fields, padding }));
}

const says =
  (payload: Uint8Array): ClientInput =>
  ({ world, path }) =>
    path.give(message2(path, world, payload));
const fails =
  (code: ErrorCode): ClientInput =>
  ({ world, path }) =>
    world.step({ kind: 'dialFailed', path: path.id, fault: fault('network', code, 'no') });

type ClientRow = readonly [string, ...ClientInput[]];

/** What can come of a dial. */
const ANSWERS: readonly ClientRow[] = [
  ['101', ({ world, path }) => world.step({ kind: 'open', path: path.id })],
  ['any other answer', fails(ErrorCode.GATE_REFUSED)],
  ['no endpoint passes TLS', fails(ErrorCode.TLS_FAILED)],
  ['no endpoint answers', fails(ErrorCode.HOST_UNREACHABLE)],
];

/** What can come behind 101. */
const MESSAGES: readonly ClientRow[] = [
  ['message 2', ({ path }) => path.give(path.message2)],
  [
    '111 or 113 bytes',
    ({ path }) => path.give(path.message2.slice(1)),
    ({ path }) => path.give(Uint8Array.of(...path.message2, 0)),
  ],
  [
    'a byte of it changed',
    ({ path }) => path.give(flipped(path.message2, 3)),
    ({ path }) => path.give(flipped(path.message2, 90)),
  ],
  ['its key of small order', ({ path }) => path.give(new Uint8Array(112))],
  ['its payload is no HandshakeReply', says(new Uint8Array(64).fill(0xff))],
  ['it names sequence 0 with a hash', says(reply(0n, 32))],
  [
    'it names a sequence without a hash, or above `SEQUENCE_MAX`',
    says(reply(12n, 0)),
    says(reply(2n ** 53n, 32)),
  ],
  ['`AUTH_MS_MAX` since the 101', ({ world }) => world.pass(AUTH_MS_MAX)],
  ['the connection ends', ({ world, path }) => world.step({ kind: 'closed', path: path.id })],
];

const STOP: ClientRow = ['the client stops', ({ world }) => world.step({ kind: 'stop' })];

const CLIENT_STATES: readonly (readonly [string, () => ClientScene])[] = [
  ['awaits 101', () => dialled('device', false)],
  ['awaits message 2, as a device', () => dialled('device', true)],
  ['awaits message 2, as an invite', () => dialled('invite', true)],
];

function dialled(as: 'device' | 'invite', isOpen: boolean): ClientScene {
  const world = new ClientWorld(as);
  const path = world.dial();
  if (isOpen) world.step({ kind: 'open', path: path.id });
  world.take(path);
  return { world, path };
}

/** Make the table of message 2. */
export function message2Table(): string {
  const all = [...ANSWERS, ...MESSAGES, STOP].map(row => [row[0], row] as const);
  return grid(CLIENT_STATES, all, (make, row) => {
    const [, ...inputs] = row;
    const cells = inputs.map(input => {
      const { world, path } = make();
      const before = path.state;
      if ((before === 'awaits 101' ? MESSAGES : ANSWERS).includes(row)) return '-';
      input({ world, path });
      return pathCell(before, path.state, world.take(path));
    });
    return same(cells);
  });
}

function rows<T>(
  inputs: readonly (readonly [string, ...T[]])[],
): readonly (readonly [string, readonly T[]])[] {
  return inputs.map(([name, ...each]) => [name, each]);
}
