/** The two sides of the handshake vectors: what they know, and what they make of what they receive. */
import { equal, hex, stream } from './bytes.ts';
import * as cast from './cast.ts';
import type { Token } from './gate.ts';
import {
  type ClientSide,
  clientFinish,
  clientStart,
  encodeReply,
  type Finished,
  type HostSide,
  hostAnswer,
  hostFinish,
} from './handshake.ts';
import { type Member, prologue } from './labels.ts';
import { agree, type Noise, type NoiseStep } from './noise.ts';
import { attempt } from './refusal.ts';
import { type JsonObject, NOTHING, released, type Vector } from './vector.ts';

export const EPOCH: number = 494_000;
export const KEY_ENDS_MS: number = cast.NOW_MS + 10 * 86_400_000;

/** Everything both sides know, to be varied. */
export interface Setting {
  readonly serverId: Uint8Array;
  readonly epoch: number;
  readonly member: Member;
  readonly name: string;
  readonly channel: number;
  readonly reply: Uint8Array;
  readonly tape: string;
}

export const REPLY: Uint8Array = encodeReply({ verifiedSequence: 77, verifiedHash: stream('record 77', 32) });

export const SETTING: Setting = {
  serverId: cast.SERVER_ID,
  epoch: EPOCH,
  member: cast.device('ada'),
  name: 'ada',
  channel: 0,
  reply: REPLY,
  tape: 'device',
};

/** The client of a setting. */
export function clientOf(s: Setting): ClientSide {
  return {
    serverId: s.serverId,
    nowMs: cast.NOW_MS,
    channelKeys: [{ publicKey: cast.channel(s.channel).publicKey, notAfterMs: KEY_ENDS_MS }],
    accessKeys: [{ epoch: s.epoch, key: cast.accessKey(s.epoch) }],
    staticSecret: s.member.secretKey,
    psk: s.member.psk,
    gateKey: s.member.gateKey,
    ephemeralSecret: stream(`client ephemeral ${s.tape}`, 32),
  };
}

/** The host of a setting. */
export function hostOf(s: Setting): HostSide {
  const { gateKey, psk, publicKey } = s.member;
  return {
    serverId: s.serverId,
    nowMs: cast.NOW_MS,
    channelKeys: [{ secretKey: cast.channel(s.channel).secretKey, notAfterMs: KEY_ENDS_MS }],
    accessKeys: [{ epoch: s.epoch, key: cast.accessKey(s.epoch) }],
    members: [{ name: s.name, gateKey, psk, publicKey, removed: false }],
    ephemeralSecret: stream(`host ephemeral ${s.tape}`, 32),
    reply: s.reply,
  };
}

/** A whole handshake. */
export interface Conversation {
  readonly token: Token;
  readonly message2: Uint8Array;
  readonly message3: Uint8Array;
  readonly payload: Uint8Array;
  readonly client: Finished;
  readonly host: Finished;
  readonly steps: readonly NoiseStep[];
}

/** Run both sides against each other. */
export function converse(client: ClientSide, host: HostSide): Conversation {
  const start = clientStart(client);
  const answer = hostAnswer(host, start.token.text);
  const end = clientFinish(start.noise, answer.message2);
  const hostEnd = hostFinish(answer.noise, answer.member, end.message3);
  const same = agree(start.noise, answer.noise) && equal(end.initiatorKey, hostEnd.initiatorKey);
  if (!same || !sameSteps(start.noise, answer.noise)) throw new Error('the two sides of the model differ');
  const { message2 } = answer;
  const { message3, payload } = end;
  return {
    token: start.token,
    message2,
    message3,
    payload,
    client: end,
    host: hostEnd,
    steps: start.noise.steps,
  };
}

const sameSteps = (a: Noise, b: Noise): boolean => JSON.stringify(a.steps) === JSON.stringify(b.steps);

function shownClient(side: ClientSide): JsonObject {
  return {
    server_id: hex(side.serverId),
    now_ms: side.nowMs,
    channel_keys: side.channelKeys.map(key => ({
      public_key: hex(key.publicKey),
      not_after_ms: key.notAfterMs,
    })),
    access_keys: side.accessKeys.map(({ epoch, key }) => ({ epoch, key: hex(key) })),
    static_secret: hex(side.staticSecret),
    psk: hex(side.psk),
    gate_key: hex(side.gateKey),
    ephemeral_secret: hex(side.ephemeralSecret),
  };
}

function shownHost(side: HostSide): JsonObject {
  return {
    server_id: hex(side.serverId),
    now_ms: side.nowMs,
    channel_keys: side.channelKeys.map(key => ({
      secret_key: hex(key.secretKey),
      not_after_ms: key.notAfterMs,
    })),
    access_keys: side.accessKeys.map(({ epoch, key }) => ({ epoch, key: hex(key) })),
    members: side.members.map(({ name, gateKey, psk, publicKey, removed }) => ({
      name,
      gate_key: hex(gateKey),
      psk: hex(psk),
      static_public: hex(publicKey),
      removed_before_message_3: removed,
    })),
    ephemeral_secret: hex(side.ephemeralSecret),
    reply_payload: hex(side.reply),
  };
}

const shownKeys = (end: Finished): JsonObject => ({
  handshake_hash: hex(end.handshakeHash),
  initiator_key: hex(end.initiatorKey),
  responder_key: hex(end.responderKey),
});

export type Head = Pick<Vector, 'note' | 'flags'> & { readonly req?: readonly string[] };

/** A handshake that succeeds, with everything in it. */
export function whole(id: string, head: Head, client: ClientSide, host: HostSide): Vector {
  const talk = converse(client, host);
  const epoch = client.accessKeys[0]?.epoch ?? 0;
  return {
    id: `handshake/${id}`,
    note: head.note,
    req: head.req ?? ['HS-010~1', 'GT-001~1', 'HS-013~1'],
    flags: head.flags,
    phase: 'handshake',
    released: released(talk.payload),
    input: {
      client: { ...shownClient(client), message_2: hex(talk.message2) },
      host: { ...shownHost(host), token: talk.token.text, message_3: hex(talk.message3) },
    },
    output: {
      token: talk.token.text,
      message_1: hex(talk.token.message1),
      message_2: hex(talk.message2),
      message_3: hex(talk.message3),
      ...shownKeys(talk.client),
    },
    debug: {
      prologue: hex(prologue(1, 1, client.serverId, epoch)),
      steps: talk.steps as unknown as JsonObject[],
    },
  };
}

/** What a client makes of a message 2. */
export function client(id: string, head: Head, side: ClientSide, message2: Uint8Array): Vector {
  const { noise, token } = clientStart(side);
  const outcome = attempt(() => clientFinish(noise, message2));
  const common = {
    id: `handshake/client/${id}`,
    note: head.note,
    req: head.req ?? ['HS-010~1', 'HS-018~1'],
    flags: head.flags,
    phase: 'handshake',
    input: { client: { ...shownClient(side), message_2: hex(message2) } },
  } as const;
  const made = { token: token.text, message_1: hex(token.message1) };
  if ('refusal' in outcome) {
    const { code, detail } = outcome.refusal;
    return { ...common, error: code, released: NOTHING, output: made, debug: { why: detail } };
  }
  const { payload, message3 } = outcome.value;
  const output = { ...made, message_3: hex(message3), ...shownKeys(outcome.value) };
  return { ...common, released: released(payload), output };
}

/** What a host makes of a token and a message 3. */
export function host(id: string, head: Head, side: HostSide, token: string, message3: Uint8Array): Vector {
  const common = {
    id: `handshake/host/${id}`,
    note: head.note,
    req: head.req ?? ['HS-010~1', 'HS-018~1'],
    flags: head.flags,
    phase: 'handshake',
    released: NOTHING,
    input: { host: { ...shownHost(side), token, message_3: hex(message3) } },
  } as const;
  const answer = attempt(() => hostAnswer(side, token));
  if ('refusal' in answer) {
    return { ...common, error: answer.refusal.code, debug: { why: answer.refusal.detail } };
  }
  const { noise, member, message2 } = answer.value;
  const end = attempt(() => hostFinish(noise, member, message3));
  const made = { member: member.name, message_2: hex(message2) };
  if ('refusal' in end) {
    return { ...common, error: end.refusal.code, output: made, debug: { why: end.refusal.detail } };
  }
  return { ...common, output: { ...made, ...shownKeys(end.value) } };
}

/** A copy with one bit turned. */
export const flip = (bytes: Uint8Array, at: number, bit: number): Uint8Array =>
  bytes.map((byte, i) => (i === at ? byte ^ (1 << bit) : byte));
