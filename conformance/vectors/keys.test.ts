/** The reference implementation against derivation.json, words.json, invite.json and gate.json. */
import { describe, expect, it } from 'vitest';
import { derive, label, labelledHash } from '../../src/crypto/labels.ts';
import { noble } from '../../src/crypto/noble.ts';
import type { Suite } from '../../src/crypto/suite.ts';
import { native } from '../../src/node/native.ts';
import { codeName, type Fault, isFault } from '../../src/protocol/fault.ts';
import { Gate, makeToken, SUBPROTOCOL } from '../../src/protocol/gate.ts';
import {
  encodeBundle,
  encodeInvite,
  type Invite,
  type InviteInput,
  inviteExpired,
  inviteText,
  parseInvite,
  parseInviteInput,
  parseInviteText,
} from '../../src/protocol/invite.ts';
import * as keys from '../../src/protocol/keys.ts';
import { proquint, words } from '../../src/protocol/words.ts';
import { bytes, type Fields, fields, hex, list, loadFamily, number, text, type Vector } from './load.ts';
import { storeFields } from './store-fields.ts';

const SUITES: readonly Suite[] = [native, noble];

function derivation(suite: Suite, input: Fields): Uint8Array {
  const epoch = (): number => number(input['epoch']);
  const salt = (): Uint8Array => bytes(input['salt']);
  const secret = (): Uint8Array => bytes(input['secret']);
  const identity = (): Uint8Array => bytes(input['identity']);
  const parts = (of: string): Uint8Array[] => (input[of] as string[]).map(bytes);
  switch (text(input['what'])) {
    case 'label':
      return label(text(input['name']));
    case 'derive':
      return derive(
        suite,
        bytes(input['ikm']),
        salt(),
        text(input['name']),
        parts('context'),
        number(input['length']),
      );
    case 'hash':
      return labelledHash(suite, text(input['name']), ...parts('parts'));
    case 'server id':
      return keys.serverId(suite, identity());
    case 'next identity':
      return keys.nextIdentityHash(suite, identity());
    case 'record hash':
      return keys.recordHash(suite, bytes(input['payload']));
    case 'device id':
      return keys.deviceId(suite, bytes(input['device_key']));
    case 'words hash':
      return keys.wordsHash(suite, identity(), bytes(input['device_key']));
    case 'content hash':
      return keys.contentHash(suite, bytes(input['content']));
    case 'invite checksum':
      return keys.inviteChecksum(suite, bytes(input['invite']));
    case 'invite static':
      return keys.inviteKeys(suite, secret()).privateKey;
    case 'invite psk':
      return keys.inviteKeys(suite, secret()).psk;
    case 'invite gate':
      return keys.inviteKeys(suite, secret()).gateKey;
    case 'invite file':
      return keys.inviteKeys(suite, secret()).fileKey;
    case 'device psk':
      return keys.deviceKeys(suite, secret()).psk;
    case 'device gate':
      return keys.deviceKeys(suite, secret()).gateKey;
    case 'device file':
      return keys.deviceKeys(suite, secret()).fileKey;
    case 'x25519 public':
      return suite.x25519Public(bytes(input['secret_key']));
    case 'stanza tag':
      return keys.fileTag(suite, bytes(input['file_key']), salt());
    case 'stanza key':
      return keys.fileWrapKey(suite, bytes(input['file_key']), salt());
    case 'seal key':
      return keys.fileSealKey(suite, bytes(input['content_key']), salt());
    case 'gate handle':
      return keys.gateHandle(suite, bytes(input['gate_key']), epoch());
    case 'gate mac key':
      return keys.gateMacKey(suite, bytes(input['gate_key']), bytes(input['access_key']), epoch());
    case 'signed record':
      return suite.ed25519Sign(
        bytes(input['identity_secret']),
        keys.recordSigningInput(bytes(input['bytes'])),
      );
    case 'signed succession':
      return suite.ed25519Sign(
        bytes(input['identity_secret']),
        keys.successionSigningInput(bytes(input['bytes'])),
      );
    case 'prologue':
      return keys.prologue(bytes(input['server_id']), epoch());
    default:
      throw new Error(`the test knows no ${JSON.stringify(input)}`);
  }
}

function inviteFields({ secret, trust, expiresAtMs, stores }: Invite): Fields {
  return {
    secret: hex(secret),
    identity: hex(trust.identity),
    server_id: hex(trust.serverId),
    expires_at_s: expiresAtMs / 1000,
    stores: stores.map(storeFields),
  };
}

function readInvite(suite: Suite, input: Fields): Invite | InviteInput | Fault {
  switch (text(input['what'])) {
    case 'write':
      return parseInvite(suite, bytes(input['invite']));
    case 'read bundle': {
      const { bundle, invite, connection_file: file } = input;
      return parseInviteInput(
        suite,
        bundle === undefined ? encodeBundle(bytes(invite), bytes(file)) : bytes(bundle),
      );
    }
    default:
      return parseInviteText(suite, text(input['text']));
  }
}

function checkInvite(suite: Suite, { input, output, error }: Vector): void {
  const read = readInvite(suite, input);
  if (input['what'] === 'expiry' && !isFault(read) && 'bytes' in read) {
    const expired = inviteExpired(read, number(input['now_ms']));
    expect(expired && codeName(expired.code)).toBe(error);
    return;
  }
  if (isFault(read)) {
    expect(codeName(read.code)).toBe(error);
    return;
  }
  expect(error).toBeUndefined();
  const invite = 'invite' in read ? read.invite : read;
  const wanted = fields(output['fields']);
  // A store of a kind that this version does not know stands there as {}.
  const stores = list(wanted['stores']).filter(store => Object.keys(store).length > 0);
  expect(inviteFields(invite)).toEqual({ ...wanted, stores });
  if ('invite' in read && output['connection_file'] !== undefined) {
    expect(hex(read.connectionFile ?? new Uint8Array(0))).toBe(hex(bytes(output['connection_file'])));
  }
  if (input['what'] === 'write') {
    expect(inviteText(suite, invite.bytes)).toBe(output['text']);
    const derived = keys.inviteKeys(suite, invite.secret);
    const named: Fields = {
      static_secret: hex(derived.privateKey),
      static_public: hex(derived.publicKey),
      psk: hex(derived.psk),
      gate_key: hex(derived.gateKey),
      file_key: hex(derived.fileKey),
    };
    for (const [name, value] of Object.entries(named)) if (name in output) expect(value).toBe(output[name]);
    expect(Object.keys(named).filter(name => name in output).length).toBeGreaterThan(3);
    rewrite(suite, invite);
  }
}

/** What this program writes from the fields parses to the same fields; it is the same bytes unless the vector has more. */
function rewrite(suite: Suite, invite: Invite): void {
  const { secret, trust, expiresAtMs, stores } = invite;
  const { identity, serverId } = trust;
  const again = encodeInvite(suite, { secret, identity, serverId, expiresAtS: expiresAtMs / 1000, stores });
  const parsed = parseInvite(suite, again);
  expect(!isFault(parsed) && inviteFields(parsed)).toEqual(inviteFields(invite));
  if (again.length === invite.bytes.length) expect(hex(again)).toBe(hex(invite.bytes));
}

const NOW = { wall: 0, mono: 0 };

function gateOf(suite: Suite, shared: Fields): Gate {
  const gate = new Gate(suite);
  for (const { epoch, key } of list(shared['access_keys']))
    gate.addEpoch({ epoch: number(epoch), key: bytes(key) });
  for (const { name, gate_key: gateKey } of list(shared['members'])) {
    const rest = { publicKey: new Uint8Array(32), psk: new Uint8Array(32), endsAtMs: undefined };
    gate.addRecipient({ kind: 'device', id: text(name), gateKey: bytes(gateKey), ...rest });
  }
  return gate;
}

function checkGate(suite: Suite, shared: Fields, { input, output, error }: Vector): void {
  if (input['what'] === 'make') {
    const accessKey = { epoch: number(input['epoch']), key: bytes(input['access_key']) };
    const request = { gateKey: bytes(input['gate_key']), accessKey, message1: bytes(input['message_1']) };
    const token = makeToken(suite, request);
    expect(token).toBe(output['token']);
    expect(`Sec-WebSocket-Protocol: ${SUBPROTOCOL}, ${token}`).toBe(output['header']);
    return;
  }
  const gate = gateOf(suite, shared);
  for (const { token } of list(input['before'] ?? [])) gate.admit(text(token), NOW);
  const judged = gate.admit(text(input['token']), NOW);
  if (judged.kind === 'refused') {
    expect(codeName(judged.code)).toBe(error);
    return;
  }
  expect(error).toBeUndefined();
  const { recipient, epoch, message1 } = judged;
  expect({ member: recipient.id, epoch, message_1: hex(message1) }).toEqual(output);
}

for (const suite of SUITES) {
  describe(suite.name, () => {
    const { shared, vectors } = loadFamily('gate');
    it.each(vectors.map(vector => [vector.id, vector] as const))('%s', (_, vector) =>
      checkGate(suite, fields(shared), vector),
    );
    it.each(loadFamily('invite').vectors.map(vector => [vector.id, vector] as const))('%s', (_, vector) =>
      checkInvite(suite, vector),
    );
    it.each(loadFamily('derivation').vectors.map(vector => [vector.id, vector] as const))('%s', (_, vector) =>
      expect(hex(derivation(suite, vector.input))).toBe(vector.output['value']),
    );
    it.each(loadFamily('words').vectors.map(vector => [vector.id, vector] as const))(
      '%s',
      (_, { input, output }) => {
        const { bytes: raw, identity, device_key: key } = input;
        const written = raw === undefined ? words(suite, bytes(identity), bytes(key)) : proquint(bytes(raw));
        expect(written).toBe(output['words']);
      },
    );
  });
}
