/** The reference implementation, in both roles, against handshake.json. */

import { fromBinary } from '@bufbuild/protobuf';
import { describe, expect, it } from 'vitest';
import { noble } from '../../src/crypto/noble.ts';
import type { Split } from '../../src/crypto/noise.ts';
import type { Suite } from '../../src/crypto/suite.ts';
import { HandshakeReplySchema } from '../../src/gen/clawchat/v1/handshake_pb.ts';
import { native } from '../../src/node/native.ts';
import { codeName, isFault } from '../../src/protocol/fault.ts';
import { Gate } from '../../src/protocol/gate.ts';
import { InitiatorHandshake, ResponderHandshake } from '../../src/protocol/handshake.ts';
import { bytes, type Fields, fields, hex, list, loadFamily, number, text, type Vector } from './load.ts';

interface Outcome {
  readonly got: { [name: string]: string };
  readonly error: string | undefined;
}

/** Seal an empty text with each transport key: the keys themselves do not leave their CipherState. */
function probe(split: Split, sendName: string, receiveName: string): { [name: string]: string } {
  return {
    handshake_hash: hex(split.h),
    [sendName]: hex(split.send.encryptWithAd(new Uint8Array(0), new Uint8Array(0))),
    [receiveName]: hex(split.receive.encryptWithAd(new Uint8Array(0), new Uint8Array(0))),
  };
}

/** The same probe of a key that a vector states. */
function probeOf(suite: Suite, key: string): string {
  return hex(suite.aead(bytes(key)).seal(new Uint8Array(12), new Uint8Array(0), new Uint8Array(0)));
}

function runClient(suite: Suite, client: Fields): Outcome {
  const now = number(client['now_ms']);
  const usable = list(client['channel_keys']).find(key => now <= number(key['not_after_ms']));
  const [access] = list(client['access_keys']);
  if (usable === undefined || access === undefined) throw new Error('the vector has no key to use');
  const handshake = InitiatorHandshake.begin({
    suite,
    serverId: bytes(client['server_id']),
    accessKey: { epoch: number(access['epoch']), key: bytes(access['key']) },
    responderKey: bytes(usable['public_key']),
    staticKey: suite.x25519Key(bytes(client['static_secret'])),
    psk: bytes(client['psk']),
    gateKey: bytes(client['gate_key']),
    ephemeral: suite.x25519Key(bytes(client['ephemeral_secret'])),
  });
  if (isFault(handshake)) return { got: {}, error: codeName(handshake.code) };
  const token = handshake.token;
  const message1 = hex(Uint8Array.from(Buffer.from(token, 'base64url').subarray(24, 72)));
  const finished = handshake.finish(bytes(client['message_2']));
  if (isFault(finished)) return { got: { token, message_1: message1 }, error: codeName(finished.code) };
  return {
    got: {
      token,
      message_1: message1,
      message_3: hex(finished.message3),
      ...probe(finished.split, 'initiator_key', 'responder_key'),
    },
    error: undefined,
  };
}

function runHost(suite: Suite, host: Fields): Outcome {
  const now = { wall: number(host['now_ms']), mono: 0 };
  const gate = new Gate(suite);
  for (const { epoch, key } of list(host['access_keys']))
    gate.addEpoch({ epoch: number(epoch), key: bytes(key) });
  for (const member of list(host['members'])) {
    gate.addRecipient({
      kind: 'device',
      id: text(member['name']),
      publicKey: bytes(member['static_public']),
      psk: bytes(member['psk']),
      gateKey: bytes(member['gate_key']),
      endsAtMs: undefined,
    });
  }
  const admitted = gate.admit(text(host['token']), now);
  if (admitted.kind === 'refused') return { got: {}, error: codeName(admitted.code) };
  const reply = fromBinary(HandshakeReplySchema, bytes(host['reply_payload']));
  const sequence = Number(reply.verifiedSequence);
  const handshake = ResponderHandshake.begin({
    suite,
    serverId: bytes(host['server_id']),
    epoch: admitted.epoch,
    message1: admitted.message1,
    psk: admitted.recipient.psk,
    expectedKey: admitted.recipient.publicKey,
    channelKeys: list(host['channel_keys'])
      .filter(key => now.wall <= number(key['not_after_ms']))
      .map(key => suite.x25519Key(bytes(key['secret_key']))),
    ephemeral: suite.x25519Key(bytes(host['ephemeral_secret'])),
    witness: sequence === 0 ? undefined : { sequence, hash: reply.verifiedHash },
  });
  if (isFault(handshake)) return { got: {}, error: codeName(handshake.code) };
  const { id } = admitted.recipient;
  const said = { member: id, message_2: hex(handshake.message2) };
  const member = list(host['members']).find(({ name }) => name === id);
  if (member?.['removed_before_message_3'] === true) gate.removeRecipient(id);
  const finished = handshake.finish(bytes(host['message_3']), gate.has(id, now));
  if (isFault(finished)) return { got: said, error: codeName(finished.code) };
  return { got: { ...said, ...probe(finished.split, 'responder_key', 'initiator_key') }, error: undefined };
}

function check(suite: Suite, { input, output, error }: Vector): void {
  const outcomes = [
    ...(input['client'] === undefined ? [] : [runClient(suite, fields(input['client']))]),
    ...(input['host'] === undefined ? [] : [runHost(suite, fields(input['host']))]),
  ];
  expect(outcomes.length).toBeGreaterThan(0);
  const wanted = Object.fromEntries(
    Object.entries(output).map(([name, value]) => [
      name,
      name.endsWith('_key') ? probeOf(suite, text(value)) : text(value),
    ]),
  );
  const got: { [name: string]: string } = {};
  for (const outcome of outcomes) {
    expect(outcome.error).toBe(error);
    for (const [name, value] of Object.entries(outcome.got)) {
      // Whatever both sides know must be the same.
      if (name in got) expect(value).toBe(got[name]);
      got[name] = value;
    }
  }
  if (!('member' in wanted)) delete got['member'];
  expect(got).toEqual(wanted);
}

for (const suite of [native, noble]) {
  describe(suite.name, () => {
    it.each(loadFamily('handshake').vectors.map(vector => [vector.id, vector] as const))('%s', (_, vector) =>
      check(suite, vector),
    );
  });
}
