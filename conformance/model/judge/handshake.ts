/** Judges vectors of `gate` and `handshake`. */
import { hex, unhex } from '../bytes.ts';
import { type GateTable, judgeToken, makeToken } from '../gate.ts';
import {
  type ClientSide,
  clientFinish,
  clientStart,
  type Finished,
  type HostSide,
  hostAnswer,
  hostFinish,
} from '../handshake.ts';
import { bytes, flag, has, number, object, objects, text } from '../json.ts';
import { attempt } from '../refusal.ts';
import { type JsonObject, NOTHING, released } from '../vector.ts';
import type { Judge, Outcome } from './judge.ts';

const accessKeys = (from: JsonObject): GateTable['accessKeys'] =>
  objects(from, 'access_keys').map(one => ({ epoch: number(one, 'epoch'), key: bytes(one, 'key') }));

/** Judge a vector of `gate`. */
export const judgeGate: Judge = (input, shared) => {
  if (text(input, 'what') === 'make') {
    const { text: token, header } = makeToken(
      bytes(input, 'gate_key'),
      bytes(input, 'access_key'),
      number(input, 'epoch'),
      bytes(input, 'message_1'),
    );
    return { output: { token, header } };
  }
  const members = objects(shared, 'members').map(one => ({
    name: text(one, 'name'),
    gateKey: bytes(one, 'gate_key'),
  }));
  const before = has(input, 'before') ? objects(input, 'before').map(one => text(one, 'token')) : [];
  const verdict = judgeToken(text(input, 'token'), { accessKeys: accessKeys(shared), members }, before);
  if (verdict.kind === 'refused') return { error: 'GATE_REFUSED' };
  const { member, epoch, message1 } = verdict;
  return { output: { member, epoch, message_1: hex(message1) } };
};

/** Judge a vector of `handshake`: the client if there is one, the host if there is one, both if there are both. */
export const judgeHandshake: Judge = input => {
  const client = has(input, 'client') ? runClient(object(input, 'client')) : undefined;
  const host = has(input, 'host') ? runHost(object(input, 'host')) : undefined;
  if (client === undefined) return host ?? {};
  if (host === undefined) return client;
  const { member, ...rest } = host.output ?? {};
  if (member === undefined) return host;
  return { ...client, output: { ...rest, ...client.output } };
};

const keys = (end: Finished): JsonObject => ({
  handshake_hash: hex(end.handshakeHash),
  initiator_key: hex(end.initiatorKey),
  responder_key: hex(end.responderKey),
});

function runClient(from: JsonObject): Outcome {
  const side: ClientSide = {
    serverId: bytes(from, 'server_id'),
    nowMs: number(from, 'now_ms'),
    channelKeys: objects(from, 'channel_keys').map(one => ({
      publicKey: bytes(one, 'public_key'),
      notAfterMs: number(one, 'not_after_ms'),
    })),
    accessKeys: accessKeys(from),
    staticSecret: bytes(from, 'static_secret'),
    psk: bytes(from, 'psk'),
    gateKey: bytes(from, 'gate_key'),
    ephemeralSecret: bytes(from, 'ephemeral_secret'),
  };
  const { noise, token } = clientStart(side);
  const made = { token: token.text, message_1: hex(token.message1) };
  const end = attempt(() => clientFinish(noise, bytes(from, 'message_2')));
  if ('refusal' in end) return { error: end.refusal.code, output: made, released: NOTHING };
  const { message3, payload } = end.value;
  return { output: { ...made, message_3: hex(message3), ...keys(end.value) }, released: released(payload) };
}

function runHost(from: JsonObject): Outcome {
  const side: HostSide = {
    serverId: bytes(from, 'server_id'),
    nowMs: number(from, 'now_ms'),
    channelKeys: objects(from, 'channel_keys').map(one => ({
      secretKey: bytes(one, 'secret_key'),
      notAfterMs: number(one, 'not_after_ms'),
    })),
    accessKeys: accessKeys(from),
    members: objects(from, 'members').map(one => ({
      name: text(one, 'name'),
      gateKey: bytes(one, 'gate_key'),
      psk: bytes(one, 'psk'),
      publicKey: bytes(one, 'static_public'),
      removed: flag(one, 'removed_before_message_3'),
    })),
    ephemeralSecret: bytes(from, 'ephemeral_secret'),
    reply: bytes(from, 'reply_payload'),
  };
  const answer = attempt(() => hostAnswer(side, text(from, 'token')));
  if ('refusal' in answer) return { error: answer.refusal.code, released: NOTHING };
  const { noise, member, message2 } = answer.value;
  const made = { member: member.name, message_2: hex(message2) };
  const end = attempt(() => hostFinish(noise, member, unhex(text(from, 'message_3'))));
  if ('refusal' in end) return { error: end.refusal.code, output: made, released: NOTHING };
  return { output: { ...made, ...keys(end.value) }, released: NOTHING };
}
