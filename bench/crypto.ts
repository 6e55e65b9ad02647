/** Measures the crypto layer against the bare primitives below it; prints ratios (run: `npx tsx bench/crypto.ts`). */
import * as crypto from 'node:crypto';
import { HandshakeState } from '../src/crypto/noise.ts';
import { Records } from '../src/crypto/record.ts';
import type { X25519Key } from '../src/crypto/suite.ts';
import { native } from '../src/node/native.ts';

const ROUNDS = 31;
const prologue = native.randomBytes(64);
const psk = native.randomBytes(32);
const key = (): X25519Key => native.x25519Key(native.randomBytes(32));

function handshake(client: X25519Key, host: X25519Key): readonly [Records, Records] {
  const initiator = HandshakeState.initiator({ suite: native, prologue, psk, s: client, rs: host.public });
  const responder = HandshakeState.responder({ suite: native, prologue, psk, s: host });
  const pass = (from: HandshakeState, to: HandshakeState, payload: Uint8Array, e?: X25519Key): void => {
    const written = from.writeMessage(payload, e);
    if (written.kind === 'fault' || to.readMessage(written.message).kind === 'fault')
      throw new Error('handshake');
  };
  pass(initiator, responder, new Uint8Array(0), key());
  pass(responder, initiator, new Uint8Array(64), key());
  pass(initiator, responder, new Uint8Array(0));
  return [new Records(initiator.split()), new Records(responder.split())];
}

/** Microseconds of CPU of one call, measured in turns; the lowest rounds are compared, since noise only adds. */
function compare(what: string, count: number, ours: () => void, bare: () => void): void {
  const times = { ours: [] as number[], bare: [] as number[] };
  for (let round = 0; round <= ROUNDS; round += 1) {
    for (const [name, run] of [
      ['ours', ours],
      ['bare', bare],
    ] as const) {
      const before = process.cpuUsage();
      for (let i = 0; i < count; i += 1) run();
      const { user, system } = process.cpuUsage(before);
      if (round > 0) times[name].push((user + system) / count);
    }
  }
  const [mine, theirs] = [Math.min(...times.ours), Math.min(...times.bare)];
  console.log(
    `${what}: ${mine.toFixed(1)} us against ${theirs.toFixed(1)} us, ratio ${(mine / theirs).toFixed(2)}`,
  );
}

const [clientStatic, hostStatic] = [key(), key()];
// Records first: a heap that handshakes have churned makes every cipher object dearer.
for (const [length, count] of [
  [256, 1_500],
  [65_519, 100],
] as const) {
  const plaintext = native.randomBytes(length);
  const aes = crypto.createSecretKey(native.randomBytes(32));
  const nonce = new Uint8Array(12);
  let [sender, receiver] = handshake(clientStatic, hostStatic);
  compare(
    `seal and open ${length} bytes, against bare createCipheriv and createDecipheriv`,
    count,
    () => {
      const sealed = sender.seal(plaintext);
      if (sealed.kind === 'fault' || receiver.open(sealed.record).kind === 'fault') throw new Error('record');
      if (sealed.renew) [sender, receiver] = handshake(clientStatic, hostStatic);
    },
    () => {
      const cipher = crypto.createCipheriv('aes-256-gcm', aes, nonce);
      const ciphertext = cipher.update(plaintext);
      cipher.final();
      const decipher = crypto.createDecipheriv('aes-256-gcm', aes, nonce);
      decipher.setAuthTag(cipher.getAuthTag());
      decipher.update(ciphertext);
      decipher.final();
    },
  );
}

const bareKey = crypto.createPrivateKey({
  format: 'jwk',
  key: { kty: 'OKP', crv: 'X25519', d: Buffer.alloc(32, 7).toString('base64url'), x: '' },
});
compare(
  'handshake, both sides, against 2 key generations and 6 DH',
  100,
  () => {
    handshake(clientStatic, hostStatic);
  },
  () => {
    const { publicKey } = crypto.generateKeyPairSync('x25519');
    crypto.generateKeyPairSync('x25519');
    for (let i = 0; i < 6; i += 1) crypto.diffieHellman({ privateKey: bareKey, publicKey });
  },
);
