/** The handshake of both sides around Noise: token, reply, which keys, which checks (spec/04-handshake.md, 4.3 and 4.4). */
import { create, toBinary } from '@bufbuild/protobuf';
import { HandshakeReplySchema } from '../../src/gen/clawchat/v1/handshake_pb.ts';
import { SEQUENCE_MAX } from '../../src/gen/constants.ts';
import { concat, EMPTY, equal, zeros } from './bytes.ts';
import { type GateTable, judgeToken, makeToken, type Token } from './gate.ts';
import { prologue } from './labels.ts';
import {
  Noise,
  NoiseFailure,
  readMessage1,
  readMessage2,
  readMessage3,
  writeMessage1,
  writeMessage2,
  writeMessage3,
} from './noise.ts';
import { decode, lengthField } from './protobuf.ts';
import { demand, Refusal } from './refusal.ts';

const REPLY_BYTES = 64;
const SUITE_1 = 1;
const PROTOCOL_VERSION = 1;

/** What message 2 says of the newest verified record. */
export interface Reply {
  readonly verifiedSequence: number;
  readonly verifiedHash: Uint8Array;
}

/** Encode a HandshakeReply as exactly 64 bytes. */
export function encodeReply(reply: Reply): Uint8Array {
  const front = toBinary(
    HandshakeReplySchema,
    create(HandshakeReplySchema, {
      verifiedSequence: BigInt(reply.verifiedSequence),
      verifiedHash: reply.verifiedHash,
    }),
  );
  return concat(front, lengthField(3, zeros(REPLY_BYTES - front.length - 2)));
}

/** Read a HandshakeReply (HS-022~1). */
function judgeReply(payload: Uint8Array): Reply {
  const reply = decode(HandshakeReplySchema, payload);
  demand(reply !== undefined, 'HANDSHAKE_FAILED', 'reply does not parse');
  const { verifiedSequence, verifiedHash } = reply;
  demand(verifiedSequence <= BigInt(SEQUENCE_MAX), 'HANDSHAKE_FAILED', 'verified_sequence');
  demand(verifiedHash.length === (verifiedSequence === 0n ? 0 : 32), 'HANDSHAKE_FAILED', 'verified_hash');
  return { verifiedSequence: Number(verifiedSequence), verifiedHash };
}

/** What a client knows before it dials. */
export interface ClientSide {
  readonly serverId: Uint8Array;
  readonly nowMs: number;
  readonly channelKeys: readonly { readonly publicKey: Uint8Array; readonly notAfterMs: number }[];
  readonly accessKeys: readonly { readonly epoch: number; readonly key: Uint8Array }[];
  readonly staticSecret: Uint8Array;
  readonly psk: Uint8Array;
  readonly gateKey: Uint8Array;
  readonly ephemeralSecret: Uint8Array;
}

/** What a side has at the end. */
export interface Finished {
  readonly handshakeHash: Uint8Array;
  readonly initiatorKey: Uint8Array;
  readonly responderKey: Uint8Array;
}

function finish(noise: Noise): Finished {
  const [initiatorKey, responderKey] = noise.split();
  return { handshakeHash: noise.h, initiatorKey, responderKey };
}

/** Turn a failure of Noise into the refusal that the spec names. */
function failing<T>(run: () => T): T {
  try {
    return run();
  } catch (error) {
    if (error instanceof NoiseFailure) throw new Refusal('HANDSHAKE_FAILED', error.at);
    throw error;
  }
}

/** Client: make message 1 and the token around it. */
export function clientStart(side: ClientSide): { readonly noise: Noise; readonly token: Token } {
  const access = side.accessKeys[0];
  const channel = side.channelKeys.find(({ notAfterMs }) => side.nowMs <= notAfterMs);
  demand(channel !== undefined, 'CLOCK_SUSPECT', 'every channel key is expired');
  if (access === undefined) throw new Error('a record has an access key');
  const noise = new Noise(
    {
      prologue: prologue(PROTOCOL_VERSION, SUITE_1, side.serverId, access.epoch),
      s: side.staticSecret,
      e: side.ephemeralSecret,
      rs: channel.publicKey,
      psk: side.psk,
    },
    true,
  );
  const message1 = failing(() => writeMessage1(noise, EMPTY));
  return { noise, token: makeToken(side.gateKey, access.key, access.epoch, message1) };
}

/** Client: verify message 2 and answer with message 3. */
export function clientFinish(
  noise: Noise,
  message2: Uint8Array,
): Finished & { readonly payload: Uint8Array; readonly reply: Reply; readonly message3: Uint8Array } {
  return failing(() => {
    const payload = readMessage2(noise, message2);
    const reply = judgeReply(payload);
    const message3 = writeMessage3(noise, EMPTY);
    return { payload, reply, message3, ...finish(noise) };
  });
}

/** What a host knows when somebody dials. */
export interface HostSide {
  readonly serverId: Uint8Array;
  readonly nowMs: number;
  readonly channelKeys: readonly { readonly secretKey: Uint8Array; readonly notAfterMs: number }[];
  readonly accessKeys: GateTable['accessKeys'];
  readonly members: readonly HostMember[];
  readonly ephemeralSecret: Uint8Array;
  readonly reply: Uint8Array;
}

export interface HostMember {
  readonly name: string;
  readonly gateKey: Uint8Array;
  readonly psk: Uint8Array;
  readonly publicKey: Uint8Array;
  /** True when the member is gone by the time message 3 arrives. */
  readonly removed: boolean;
}

/** Host: judge the token, read message 1 with the channel key that opens it, write message 2. */
export function hostAnswer(
  side: HostSide,
  token: string,
): { readonly noise: Noise; readonly member: HostMember; readonly message2: Uint8Array } {
  const verdict = judgeToken(token, side);
  if (verdict.kind === 'refused') throw new Refusal('GATE_REFUSED', verdict.reason);
  const member = side.members.find(({ name }) => name === verdict.member);
  if (member === undefined) throw new Error('the gate answers with a member');
  for (const { secretKey, notAfterMs } of side.channelKeys) {
    if (side.nowMs > notAfterMs) continue;
    const noise = new Noise(
      {
        prologue: prologue(PROTOCOL_VERSION, SUITE_1, side.serverId, verdict.epoch),
        s: secretKey,
        e: side.ephemeralSecret,
        psk: member.psk,
      },
      false,
    );
    try {
      readMessage1(noise, verdict.message1);
    } catch (error) {
      if (error instanceof NoiseFailure) continue;
      throw error;
    }
    return { noise, member, message2: failing(() => writeMessage2(noise, side.reply)) };
  }
  throw new Refusal('HANDSHAKE_FAILED', 'no channel key opens message 1');
}

/** Host: read message 3 and check who it is (HS-014~1). */
export function hostFinish(noise: Noise, member: HostMember, message3: Uint8Array): Finished {
  failing(() => readMessage3(noise, message3));
  const named = noise.rs;
  demand(
    named !== undefined && equal(named, member.publicKey),
    'HANDSHAKE_FAILED',
    'static key of somebody else',
  );
  demand(!member.removed, 'HANDSHAKE_FAILED', 'the member is gone');
  return finish(noise);
}
