/** Who plays in the vectors: a host, its keys, some invites and devices. Every secret is the start of a stream, so nothing here is random. */
import { stream } from './bytes.ts';
import { deviceKeys, inviteKeys, type Member, nextIdentityHash, serverId } from './labels.ts';
import { ed25519Public, x25519Public } from './primitives.ts';

export interface Identity {
  readonly secret: Uint8Array;
  readonly publicKey: Uint8Array;
}

/** The n-th identity key of the host, from 0. */
export function identity(index: number): Identity {
  const secret = stream(`host identity ${index}`, 32);
  return { secret, publicKey: ed25519Public(secret) };
}

export interface ChannelPair {
  readonly secretKey: Uint8Array;
  readonly publicKey: Uint8Array;
}

/** The n-th channel key of the host, from 0. */
export function channel(index: number): ChannelPair {
  const secretKey = stream(`host channel ${index}`, 32);
  return { secretKey, publicKey: x25519Public(secretKey) };
}

/** The access key of an epoch. */
export const accessKey = (epoch: number): Uint8Array => stream(`access key ${epoch}`, 32);

export const SERVER_ID: Uint8Array = serverId(identity(0).publicKey);
export const NEXT_IDENTITY_HASH: Uint8Array = nextIdentityHash(identity(1).publicKey);

export const inviteSecret = (name: string): Uint8Array => stream(`invite ${name}`, 32);
export const invite = (name: string): Member => inviteKeys(inviteSecret(name));

export const deviceStatic = (name: string): Uint8Array => stream(`device static ${name}`, 32);
export const deviceSecret = (name: string): Uint8Array => stream(`device secret ${name}`, 32);
export const device = (name: string): Member => deviceKeys(deviceStatic(name), deviceSecret(name));

/** The instant at which most vectors play: 2026-11-01T12:00:00Z. */
export const NOW_MS = 1_793_534_400_000;

/** Points of small order on Curve25519: X25519 with any of them gives 32 zero bytes. */
export const SMALL_ORDER: readonly string[] = [
  '0000000000000000000000000000000000000000000000000000000000000000',
  '0100000000000000000000000000000000000000000000000000000000000000',
  'e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800',
  '5f9c95bca3508c24b1d0b1559c83ef5b04445cc4581c8e86d8224eddd09f1157',
  'ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f',
  'edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f',
  'eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f',
];
