/** Vectors: what a client refuses in message 2 (spec/04-handshake.md, 4.4). */
import { concat, stream, unhex, zeros } from '../bytes.ts';
import * as cast from '../cast.ts';
import type { Flag } from '../flags.ts';
import { type ClientSide, clientStart, type HostSide, hostAnswer } from '../handshake.ts';
import { prologue } from '../labels.ts';
import { Noise, readMessage1 } from '../noise.ts';
import { lengthField, varintField } from '../protobuf.ts';
import { client, clientOf, converse, EPOCH, flip, type Head, hostOf, REPLY, SETTING } from '../sides.ts';
import type { Vector } from '../vector.ts';

/** A message 2 that a client opens if it goes on with a shared secret of zeros. */
function forgeMessage2(point: Uint8Array): Uint8Array {
  const { secretKey: s } = cast.channel(0);
  const keys = {
    prologue: prologue(1, 1, SETTING.serverId, EPOCH),
    s,
    e: zeros(32),
    psk: SETTING.member.psk,
  };
  const noise = new Noise(keys, false);
  readMessage1(noise, clientStart(clientOf(SETTING)).token.message1);
  noise.mixHash(point);
  noise.mixKey(point);
  noise.mixKey(zeros(32));
  return concat(point, noise.encryptAndHash(REPLY));
}

function damagedMessage2(): Vector[] {
  const side = clientOf(SETTING);
  const talk = converse(side, hostOf(SETTING));
  const { message2 } = talk;
  const other = converse(clientOf({ ...SETTING, tape: 'other' }), hostOf({ ...SETTING, tape: 'other' }));
  const parts = [
    ['ephemeral', 0, 32],
    ['payload', 32, 96],
    ['tag', 96, 112],
  ] as const;
  return [
    ...parts.flatMap(([part, from, to]) =>
      [from, (from + to) >> 1, to - 1].map((at, i) => {
        // The top bit of an X25519 key is ignored by the computation, and bound by the transcript alone.
        const bit = part === 'ephemeral' && i === 2 ? 7 : i;
        const note = `Bit ${bit} of byte ${at} of message 2 is flipped, in its ${part}.`;
        return client(`message-2/flip/${at}`, { note, flags: ['bit-flip'] }, side, flip(message2, at, bit));
      }),
    ),
    ...[0, 31, 32, 96, 111].map(length =>
      client(
        `message-2/cut/${length}`,
        { note: `Message 2 cut to ${length} bytes.`, flags: ['truncation'], req: ['HS-012~1'] },
        side,
        message2.slice(0, length),
      ),
    ),
    client(
      'message-2/longer',
      { note: 'Message 2 with a byte behind it.', flags: ['extension'], req: ['HS-012~1'] },
      side,
      concat(message2, zeros(1)),
    ),
    client(
      'message-2/replayed',
      { note: 'Message 2 of another handshake.', flags: ['replay'] },
      side,
      other.message2,
    ),
    client(
      'message-2/spliced',
      { note: 'The ephemeral key of one message 2, the payload of another.', flags: ['splice'] },
      side,
      concat(other.message2.slice(0, 32), message2.slice(32)),
    ),
    client(
      'message-2/reflected',
      { note: 'The client gets its own message 1 back, filled up.', flags: ['replay'] },
      side,
      concat(talk.token.message1, zeros(64)),
    ),
    ...cast.SMALL_ORDER.map((point, i) => {
      const note =
        'An ephemeral key of small order, and everything after it right for a shared secret of zeros.';
      const head: Head = { note, flags: ['all-zero-dh'], req: ['KD-003~1'] };
      return client(`message-2/small-order-${i + 1}`, head, side, forgeMessage2(unhex(point)));
    }),
  ];
}

function wrongHosts(): Vector[] {
  const side = clientOf(SETTING);
  const rightHost = hostOf(SETTING);
  const { token } = clientStart(side);
  // A host that is not the right one answers as well as it can: it opens message 1 in a handshake of its own.
  const answerBy = (other: HostSide, start: ClientSide): Uint8Array =>
    hostAnswer(other, clientStart(start).token.text).message2;
  const impostor = { ...SETTING, channel: 5 };
  const foreign = { ...SETTING, serverId: stream('another server id', 32) };
  const earlier = { ...SETTING, epoch: EPOCH - 1 };
  const payloads: readonly (readonly [string, string, Uint8Array, readonly Flag[]])[] = [
    [
      'sequence-without-hash',
      'A sequence without a hash.',
      concat(varintField(1, 7), lengthField(3, zeros(60))),
      ['length'],
    ],
    [
      'hash-without-sequence',
      'A hash without a sequence.',
      concat(lengthField(2, zeros(32)), lengthField(3, zeros(28))),
      ['length'],
    ],
    [
      'hash-31',
      'A hash of 31 bytes.',
      concat(varintField(1, 7), lengthField(2, zeros(31)), lengthField(3, zeros(27))),
      ['length'],
    ],
    [
      'sequence-2-53',
      'A sequence above the highest.',
      concat(varintField(1, 2n ** 53n), lengthField(2, zeros(32)), lengthField(3, zeros(19))),
      ['range', 'boundary', 'big-number'],
    ],
    ['no-message', 'Bytes that are no message.', new Uint8Array(64).fill(0xff), ['truncation']],
    [
      'cut-field',
      'A field that reaches beyond the end.',
      concat(varintField(1, 7), unhex('1a3e'), zeros(60)),
      ['truncation'],
    ],
  ];
  const padded = concat(
    varintField(1, 7),
    lengthField(2, stream('record 7', 32)),
    lengthField(3, stream('padding', 26)),
  );
  const later = concat(
    varintField(1, 7),
    lengthField(2, stream('record 7', 32)),
    varintField(9, 1),
    lengthField(3, zeros(24)),
  );
  const withReply = (reply: Uint8Array): Uint8Array =>
    hostAnswer({ ...rightHost, reply }, token.text).message2;
  return [
    client(
      'wrong-channel-key',
      {
        note: 'Another host behind the right address: it does not hold the channel key.',
        flags: ['wrong-key'],
      },
      side,
      answerBy(hostOf(impostor), clientOf(impostor)),
    ),
    client(
      'wrong-server',
      { note: 'A host with the same channel key under another server id.', flags: ['wrong-server'] },
      side,
      answerBy(hostOf(foreign), clientOf(foreign)),
    ),
    client(
      'wrong-epoch',
      { note: 'A host that mixes in the epoch before.', flags: ['wrong-epoch'] },
      side,
      answerBy(hostOf(earlier), clientOf(earlier)),
    ),
    ...payloads.map(([id, note, reply, flags]) =>
      client(`reply/${id}`, { note, flags, req: ['HS-022~1'] }, side, withReply(reply)),
    ),
    client(
      'reply/padding-not-zero',
      { note: 'Padding that is not zero: nobody looks at it.', flags: ['unknown-field'], req: ['HS-022~1'] },
      side,
      withReply(padded),
    ),
    client(
      'reply/unknown-field',
      { note: 'A field of a later version.', flags: ['unknown-field'], req: ['HS-022~1'] },
      side,
      withReply(later),
    ),
  ];
}

/** Make them. */
export function handshakeClient(): Vector[] {
  return [...damagedMessage2(), ...wrongHosts()];
}
