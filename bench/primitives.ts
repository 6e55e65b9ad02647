/** Measures what needs no network: records, handshakes, the gate, connection files, on both backends (bench/README.md). */
import * as crypto from 'node:crypto';
import { noble } from '../src/crypto/noble.ts';
import type { X25519Key } from '../src/crypto/suite.ts';
import {
  CHAT_MESSAGE_BYTES_MAX,
  CONTENT_BYTES_MAX,
  WIRE_RECORD_PLAINTEXT_BYTES_MAX,
} from '../src/gen/constants.ts';
import { native } from '../src/node/native.ts';
import { openFile, sealFile } from '../src/protocol/connection-file.ts';
import { isFault } from '../src/protocol/fault.ts';
import { Gate, makeToken } from '../src/protocol/gate.ts';
import { InitiatorHandshake, ResponderHandshake } from '../src/protocol/handshake.ts';
import type { Now } from '../src/protocol/now.ts';
import { gateRecipients } from '../src/protocol/registry.ts';
import { accessKey, channelKey, device, deviceKey, makeEnvelope, named, registry, trust } from './cast.ts';
import { exchange, messenger, must, sealer } from './channel.ts';
import { answer } from './child.ts';
import { compare, compareAll } from './compare.ts';
import type { PrimitiveRequest } from './primitive-groups.ts';
import type { Measured } from './stats.ts';

const EMPTY = new Uint8Array(0);

const psk = named('psk');
const clientKey = deviceKey(0);
const hostKey = native.x25519Key(channelKey);

/** Everything that a path costs both sides before its first record, network apart. */
function wholeHandshake(gate: Gate, now: Now): void {
  const { gateKey, psk: devicePsk, publicKey } = enrolled;
  const ephemeral = (): X25519Key => native.x25519Key(native.randomBytes(32));
  const initiator = InitiatorHandshake.begin({
    suite: native,
    serverId: trust.serverId,
    accessKey,
    responderKey: hostKey.public,
    staticKey: clientKey,
    psk: devicePsk,
    gateKey,
    ephemeral: ephemeral(),
  });
  if (isFault(initiator)) throw new Error(initiator.detail);
  const admitted = gate.admit(initiator.token, now);
  if (admitted.kind === 'refused') throw new Error(admitted.reason);
  const responder = ResponderHandshake.begin({
    suite: native,
    serverId: trust.serverId,
    epoch: admitted.epoch,
    message1: admitted.message1,
    psk: devicePsk,
    expectedKey: publicKey,
    channelKeys: [hostKey],
    ephemeral: ephemeral(),
    witness: undefined,
  });
  if (isFault(responder)) throw new Error(responder.detail);
  const finished = initiator.finish(responder.message2);
  if (isFault(finished)) throw new Error(finished.detail);
  const done = responder.finish(finished.message3, true);
  if (isFault(done)) throw new Error(done.detail);
}

const enrolled = device(0);

function gateOf(): Gate {
  const gate = new Gate(native);
  gate.addEpoch(accessKey);
  for (const recipient of gateRecipients(registry(1))) gate.addRecipient(recipient);
  return gate;
}

const { privateKey: bareKey, publicKey: barePeer } = crypto.generateKeyPairSync('x25519');

/** What no handshake of this pattern can do without. */
function bareHandshake(): void {
  crypto.generateKeyPairSync('x25519');
  crypto.generateKeyPairSync('x25519');
  for (let i = 0; i < 6; i += 1) crypto.diffieHellman({ privateKey: bareKey, publicKey: barePeer });
}

const bareAes = crypto.createSecretKey(named('aes'));
const bareNonce = new Uint8Array(12);

function bareSealAndOpen(plaintext: Uint8Array): void {
  const cipher = crypto.createCipheriv('aes-256-gcm', bareAes, bareNonce);
  const ciphertext = cipher.update(plaintext);
  cipher.final();
  const decipher = crypto.createDecipheriv('aes-256-gcm', bareAes, bareNonce);
  decipher.setAuthTag(cipher.getAuthTag());
  decipher.update(ciphertext);
  decipher.final();
}

async function records(request: PrimitiveRequest): Promise<readonly Measured[]> {
  const group = 'Records';
  const what = 'createCipheriv + createDecipheriv';
  const rows: Measured[] = [];
  for (const [bytes, count, aim] of [
    [256, 20_000, { max: 1.1, of: 'ratio' }],
    [WIRE_RECORD_PLAINTEXT_BYTES_MAX, 1000, undefined],
  ] as const) {
    const plaintext = new Uint8Array(bytes).fill(7);
    const seal = sealer(native);
    const ours = (): void => void seal(plaintext);
    const name = `seal and open a record of ${bytes} bytes`;
    const theirs = (): void => bareSealAndOpen(plaintext);
    rows.push(
      await compare(
        { group, name, count, ours, theirs, what, ...(aim === undefined ? {} : { aim }) },
        request,
      ),
    );
  }
  for (const [bytes, of] of [
    [CONTENT_BYTES_MAX, 'the longest text (32 KiB)'],
    [CHAT_MESSAGE_BYTES_MAX, 'the largest message of a chat stream (1 MiB)'],
  ] as const) {
    for (const suite of [native, noble]) {
      const name = `frame, seal, open and parse ${of}, ${suite.name}`;
      const ours = messenger(suite, bytes);
      rows.push(
        await compare({ group, name, count: 10, ours, unit: 'ms', aim: { max: 100, of: 'value' } }, request),
      );
    }
  }
  return rows;
}

function handshakes(request: PrimitiveRequest): Promise<readonly Measured[]> {
  const group = 'Handshakes and refusals';
  const what = '2 key generations + 6 DH';
  const max = Number.parseInt(process.versions.node, 10) < 22 ? 1.8 : 1.6;
  const about = { prologue: named('prologue'), psk };
  const now = { wall: Date.now(), mono: 0 };
  let gate = gateOf();
  let used = 0;
  const stranger = makeToken(native, { gateKey: named('nobody'), accessKey, message1: new Uint8Array(48) });
  const replayed = makeToken(native, {
    gateKey: enrolled.gateKey,
    accessKey: { epoch: accessKey.epoch, key: named('a wrong access key') },
    message1: new Uint8Array(48),
  });
  return compareAll(
    [
      {
        group,
        name: 'Noise handshake, both sides',
        count: 100,
        ours: () => void exchange(native, about, clientKey, hostKey),
        theirs: bareHandshake,
        what,
        aim: { max, of: 'ratio' },
      },
      {
        group,
        name: 'the same with token, gate and replies',
        count: 100,
        ours: () => {
          // A handle's bucket has 64 tokens.
          if (++used % 60 === 0) gate = gateOf();
          wholeHandshake(gate, now);
        },
        theirs: bareHandshake,
        what,
      },
      {
        group,
        name: 'the gate refuses an unknown token',
        count: 500,
        ours: () => {
          if (gate.admit(stranger, now).kind !== 'refused') throw new Error('it was admitted');
        },
        theirs: () => {
          if (gate.admit(replayed, now).kind !== 'refused') throw new Error('it was admitted');
        },
        what: 'a known handle, wrong MAC',
      },
    ],
    request,
  );
}

async function files(request: PrimitiveRequest): Promise<readonly Measured[]> {
  const envelope = makeEnvelope(50_000, named('pin'));
  const rows: Measured[] = [];
  for (const recipients of [1, 100, 1000]) {
    const keys = Array.from({ length: recipients }, (_, i) => named(`file key ${i}`));
    for (const suite of [native, noble]) {
      const seal = (): Uint8Array => must(sealFile(suite, { envelope, recipients: keys }));
      const file = seal();
      const [own = EMPTY] = keys;
      const about = { group: 'Connection file', unit: 'ms' } as const;
      const count = Math.max(1, Math.ceil((suite === native ? 200 : 40) / recipients));
      const kib = file.length / 1024;
      const name = `${recipients} recipient${recipients > 1 ? 's' : ''} (${kib} KiB), ${suite.name}`;
      rows.push(
        await compare({ ...about, name: `seal for ${name}`, count, ours: () => void seal() }, request),
      );
      const open = (): void => void must(openFile(suite, file, own));
      rows.push(
        await compare({ ...about, name: `open one for ${name}`, count: count * 2, ours: open }, request),
      );
    }
  }
  return rows;
}

answer({ records, handshakes, files });
