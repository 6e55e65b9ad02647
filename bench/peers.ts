/** What people use instead: the handshake and the messages of three libraries beside ours (bench/README.md). */
import { native } from '../src/node/native.ts';
import { channelKey, named } from './cast.ts';
import { exchange, sealer } from './channel.ts';
import { answer } from './child.ts';
import { type Comparison, compareAll } from './compare.ts';
import {
  type Matrix,
  type NoiseCipherClass,
  type NoiseHandshakeClass,
  requirePeer,
  type SodiumPair,
} from './peer-packages.ts';
import type { PrimitiveRequest } from './primitive-groups.ts';
import { SignalPair } from './signal-pair.ts';
import type { Measured } from './stats.ts';

const group = 'What people use instead';
const MESSAGE = new Uint8Array(256).fill(7);
const TEXT = 'x'.repeat(256);

/** Ours, as the others are measured: static keys are there, the rest is not. */
const clientKey = native.x25519Key(named('device key 0'));
const hostKey = native.x25519Key(channelKey);
const about = { prologue: named('prologue'), psk: named('psk') };
const ourHandshake = (): void => void exchange(native, about, clientKey, hostKey);

/** XK, the same three messages and DHs without a PSK, on libsodium. */
function noiseRows(): readonly Comparison[] {
  const Noise = requirePeer<NoiseHandshakeClass>('noise-handshake');
  const Cipher = requirePeer<NoiseCipherClass>('noise-handshake/cipher');
  const { generateKeyPair } = requirePeer<{ generateKeyPair(): SodiumPair }>('noise-handshake/dh');
  const client = generateKeyPair();
  const host = generateKeyPair();
  const handshake = (): { readonly tx: Uint8Array; readonly rx: Uint8Array } => {
    const initiator = new Noise('XK', true, client);
    const responder = new Noise('XK', false, host);
    initiator.initialise(about.prologue, host.publicKey);
    responder.initialise(about.prologue);
    responder.recv(initiator.send());
    initiator.recv(responder.send());
    responder.recv(initiator.send());
    return { tx: initiator.tx, rx: responder.rx };
  };
  const { tx, rx } = handshake();
  const sender = new Cipher(tx);
  const receiver = new Cipher(rx);
  const seal = sealer(native);
  return [
    {
      group,
      name: 'handshake, both sides',
      what: 'noise-handshake (XK, libsodium)',
      count: 100,
      ours: ourHandshake,
      theirs: () => void handshake(),
    },
    {
      group,
      name: 'encrypt and decrypt 256 B',
      what: 'noise-handshake (ChaCha20-Poly1305)',
      count: 1500,
      ours: () => void seal(MESSAGE),
      theirs: () => void receiver.decrypt(sender.encrypt(MESSAGE)),
    },
  ];
}

async function signalRows(): Promise<readonly Comparison[]> {
  const pair = await SignalPair.make();
  await pair.handshake();
  const seal = sealer(native);
  return [
    {
      group,
      name: 'handshake, both sides',
      what: 'libsignal (PQXDH from a bundle, and the first message)',
      count: 100,
      theirCount: 20,
      ours: ourHandshake,
      theirs: () => pair.handshake(),
    },
    {
      group,
      name: 'encrypt and decrypt 256 B',
      what: 'libsignal (triple ratchet)',
      count: 1500,
      theirCount: 200,
      ours: () => void seal(MESSAGE),
      theirs: () => pair.message(MESSAGE),
    },
  ];
}

async function matrixRows(): Promise<readonly Comparison[]> {
  const { Ecies, initAsync } = requirePeer<Matrix>('@matrix-org/matrix-sdk-crypto-wasm');
  await initAsync();
  const handshake = () => {
    const host = new Ecies();
    const { channel, initial_message } = new Ecies().establish_outbound_channel(host.public_key(), 'x');
    return { sender: channel, receiver: host.establish_inbound_channel(initial_message).channel };
  };
  const { sender, receiver } = handshake();
  const seal = sealer(native);
  return [
    {
      group,
      name: 'handshake, both sides',
      what: 'matrix-sdk-crypto-wasm (ECIES: one DH, nobody is authenticated)',
      count: 100,
      ours: ourHandshake,
      theirs: () => {
        const made = handshake();
        made.sender.free();
        made.receiver.free();
      },
    },
    {
      group,
      name: 'encrypt and decrypt 256 B',
      what: 'matrix-sdk-crypto-wasm (the same channel, as text)',
      count: 1500,
      theirCount: 500,
      ours: () => void seal(MESSAGE),
      theirs: () => void receiver.decrypt(sender.encrypt(TEXT)),
    },
  ];
}

answer({
  measure: async (request: PrimitiveRequest): Promise<readonly Measured[]> => {
    const rows = [...noiseRows(), ...(await signalRows()), ...(await matrixRows())];
    return compareAll(rows, request);
  },
});
