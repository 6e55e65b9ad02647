/** Vectors: what a host refuses in a token's message 1 and in message 3 (spec/04-handshake.md, 4.4). */
import { concat, EMPTY, stream, unhex, zeros } from '../bytes.ts';
import * as cast from '../cast.ts';
import type { Flag } from '../flags.ts';
import { makeToken } from '../gate.ts';
import { clientStart, type HostSide, hostAnswer } from '../handshake.ts';
import { prologue } from '../labels.ts';
import { Noise, readMessage2, writeMessage3 } from '../noise.ts';
import { clientOf, converse, EPOCH, flip, type Head, host, hostOf, SETTING } from '../sides.ts';
import type { Vector } from '../vector.ts';

const side = hostOf(SETTING);
const talk = converse(clientOf(SETTING), side);
const other = converse(clientOf({ ...SETTING, tape: 'other' }), hostOf({ ...SETTING, tape: 'other' }));

/** A token with a right MAC around any message 1: whoever holds the gate key can make it. */
const tokenAround = (message1: Uint8Array): string =>
  makeToken(SETTING.member.gateKey, cast.accessKey(EPOCH), EPOCH, message1).text;

const initiator = (): Noise =>
  new Noise(
    {
      prologue: prologue(1, 1, SETTING.serverId, EPOCH),
      s: SETTING.member.secretKey,
      e: stream(`client ephemeral ${SETTING.tape}`, 32),
      rs: cast.channel(0).publicKey,
      psk: SETTING.member.psk,
    },
    true,
  );

/** A message 1 that a host opens if it goes on with a shared secret of zeros. */
function forgeMessage1(point: Uint8Array): Uint8Array {
  const noise = initiator();
  noise.mixHash(point);
  noise.mixKey(point);
  noise.mixKey(zeros(32));
  return concat(point, noise.encryptAndHash(EMPTY));
}

/** The same of message 3, with a static key of small order. */
function forgeMessage3(point: Uint8Array): Uint8Array {
  const { noise } = clientStart(clientOf(SETTING));
  readMessage2(noise, talk.message2);
  const s = noise.encryptAndHash(point);
  noise.mixKey(zeros(32));
  noise.mixKeyAndHash(SETTING.member.psk);
  return concat(s, noise.encryptAndHash(EMPTY));
}

function message1(): Vector[] {
  const { message1: good } = talk.token;
  const of = (id: string, note: string, flags: readonly Flag[], bytes: Uint8Array, req?: string): Vector => {
    const head: Head = req === undefined ? { note, flags } : { note, flags, req: [req] };
    return host(`message-1/${id}`, head, side, tokenAround(bytes), talk.message3);
  };
  const ended: HostSide = { ...side, nowMs: (side.channelKeys[0]?.notAfterMs ?? 0) + 1 };
  const stranger = makeToken(cast.device('mallory').gateKey, cast.accessKey(EPOCH), EPOCH, good).text;
  const foreign = clientStart(clientOf({ ...SETTING, serverId: stream('another server id', 32) })).token;
  const earlier = clientStart(clientOf({ ...SETTING, epoch: EPOCH - 1 })).token;
  const wrongKey = clientStart(clientOf({ ...SETTING, channel: 5 })).token;
  return [
    ...[0, 16, 31, 32, 40, 47].map(at => {
      const bit = at === 31 ? 7 : 2;
      const where = at < 32 ? 'ephemeral key' : 'tag';
      const note = `Bit ${bit} of byte ${at} of message 1 is flipped, in its ${where}, under a right MAC.`;
      return of(`flip/${at}`, note, ['bit-flip'], flip(good, at, bit));
    }),
    ...cast.SMALL_ORDER.map((point, i) => {
      const note =
        'An ephemeral key of small order, and everything after it right for a shared secret of zeros.';
      return of(`small-order-${i + 1}`, note, ['all-zero-dh'], forgeMessage1(unhex(point)), 'KD-003~1');
    }),
    of(
      'wrong-server',
      'For a host with the same keys and another server id.',
      ['wrong-server'],
      foreign.message1,
    ),
    of('wrong-epoch', 'Made for the epoch before.', ['wrong-epoch'], earlier.message1),
    of(
      'wrong-channel-key',
      'Made for a channel key that the host does not hold.',
      ['wrong-key'],
      wrongKey.message1,
      'HS-011~2',
    ),
    host(
      'message-1/channel-key-ended',
      { note: 'The channel key ended a millisecond ago.', flags: ['clock', 'boundary'], req: ['HS-011~2'] },
      ended,
      talk.token.text,
      talk.message3,
    ),
    host(
      'token/stranger',
      {
        note: 'Refused before any Diffie-Hellman: there is no message 2.',
        flags: ['wrong-key'],
        req: ['GT-002~1', 'GT-005~1'],
      },
      side,
      stranger,
      talk.message3,
    ),
  ];
}

function message3(): Vector[] {
  const good = talk.message3;
  const of = (id: string, note: string, flags: readonly Flag[], bytes: Uint8Array, req?: string): Vector => {
    const head: Head = req === undefined ? { note, flags } : { note, flags, req: [req] };
    return host(`message-3/${id}`, head, side, talk.token.text, bytes);
  };
  const parts = [
    ['static key', 0],
    ['static key', 31],
    ['tag of the static key', 32],
    ['tag of the static key', 47],
    ['tag of the payload', 48],
    ['tag of the payload', 63],
  ] as const;
  return [
    of('good', 'The message 3 that the others are made of.', ['known-answer'], good),
    ...parts.map(([part, at]) =>
      of(
        `flip/${at}`,
        `Bit 5 of byte ${at} of message 3 is flipped, in the ${part}.`,
        ['bit-flip'],
        flip(good, at, 5),
      ),
    ),
    ...[0, 32, 48, 63].map(length =>
      of(
        `cut/${length}`,
        `Message 3 cut to ${length} bytes.`,
        ['truncation'],
        good.slice(0, length),
        'HS-012~1',
      ),
    ),
    of('longer', 'Message 3 with a byte behind it.', ['extension'], concat(good, zeros(1)), 'HS-012~1'),
    of('replayed', 'Message 3 of another handshake of the same device.', ['replay'], other.message3),
    of(
      'spliced',
      'The static key of this handshake, the payload of another.',
      ['splice'],
      concat(good.slice(0, 48), other.message3.slice(48)),
    ),
    of(
      'swapped',
      'The two halves in the other order.',
      ['reorder'],
      concat(good.slice(48), good.slice(0, 48)),
    ),
    ...cast.SMALL_ORDER.slice(0, 2).map((point, i) => {
      const note = 'A static key of small order, and everything after it right for a shared secret of zeros.';
      return of(`small-order-${i + 1}`, note, ['all-zero-dh'], forgeMessage3(unhex(point)), 'KD-003~1');
    }),
  ];
}

/** Clients that hold some of what they need. */
function wrongMembers(): Vector[] {
  const { member } = SETTING;
  const bob = cast.device('bob');
  // The client goes on with what it has; what the host then receives is in the vector.
  const attempt = (
    id: string,
    note: string,
    flags: readonly Flag[],
    pretended: typeof member,
    of: HostSide = side,
  ): Vector => {
    const client = clientOf({ ...SETTING, member: pretended });
    const { token } = clientStart(client);
    const { message2 } = hostAnswer(of, token.text);
    const again = clientStart(client);
    readMessage2(again.noise, message2);
    const third = writeMessage3(again.noise, EMPTY);
    return host(`member/${id}`, { note, flags, req: ['HS-014~1', 'HS-018~1'] }, of, token.text, third);
  };
  const gone = { ...side, members: side.members.map(one => ({ ...one, removed: true })) };
  return [
    attempt('wrong-psk', 'The gate key and the static key of a device, but not its PSK.', ['wrong-key'], {
      ...member,
      psk: bob.psk,
    }),
    attempt(
      'wrong-static',
      'The gate key and the PSK of a device under the static key of another member.',
      ['wrong-key', 'splice'],
      { ...member, secretKey: bob.secretKey, publicKey: bob.publicKey },
    ),
    attempt(
      'removed',
      'The device was revoked between token and message 3.',
      ['state-machine'],
      member,
      gone,
    ),
  ];
}

/** Make them. */
export function handshakeHost(): Vector[] {
  return [...message1(), ...message3(), ...wrongMembers()];
}
