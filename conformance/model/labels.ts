/** Labels, derivations and the table of spec/04-handshake.md, 4.1: every key and hash of the protocol. */
import { ascii, concat, EMPTY, sha256, u8, u16be, u32be, u64be } from './bytes.ts';
import { hkdfExpand, hkdfExtract, hmac, x25519Public } from './primitives.ts';

/** label(name): the length of the rest, "ClawChat/1 ", the name. */
export function label(name: string): Uint8Array {
  const rest = concat(ascii('ClawChat/1 '), ascii(name));
  return concat(u8(rest.length), rest);
}

/** info(name, [c1, c2 ...]). */
export function info(name: string, context: readonly Uint8Array[]): Uint8Array {
  return concat(label(name), ...context.flatMap(part => [u16be(part.length), part]));
}

/** derive(ikm, salt, name, context, n). */
export function derive(
  ikm: Uint8Array,
  salt: Uint8Array,
  name: string,
  context: readonly Uint8Array[],
  length: number,
): Uint8Array {
  return hkdfExpand(hkdfExtract(salt, ikm), info(name, context), length);
}

/** What is hashed by hash(name, p1, p2 ...). */
export function hashInput(name: string, ...parts: readonly Uint8Array[]): Uint8Array {
  return concat(label(name), ...parts.flatMap(part => [u32be(part.length), part]));
}

/** hash(name, p1, p2 ...). */
export function hash(name: string, ...parts: readonly Uint8Array[]): Uint8Array {
  return sha256(hashInput(name, ...parts));
}

export const serverId = (firstIdentity: Uint8Array): Uint8Array => hash('server id', firstIdentity);
export const nextIdentityHash = (identity: Uint8Array): Uint8Array => hash('next identity', identity);
export const recordHash = (payload: Uint8Array): Uint8Array => hash('record', payload);
export const deviceId = (device: Uint8Array): Uint8Array => hash('device id', device).slice(0, 16);
export const contentHash = (content: Uint8Array): Uint8Array => hash('content', content);
export const inviteChecksum = (invite: Uint8Array): Uint8Array => hash('invite checksum', invite).slice(0, 4);
export const wordsHash = (identity: Uint8Array, device: Uint8Array): Uint8Array =>
  hash('words', identity, device).slice(0, 8);

/** What a member holds, whether it is an invite or a device. */
export interface Member {
  /** X25519 private key: derived from an invite's secret, made by a device itself. */
  readonly secretKey: Uint8Array;
  readonly publicKey: Uint8Array;
  readonly psk: Uint8Array;
  readonly gateKey: Uint8Array;
  readonly fileKey: Uint8Array;
}

/** The keys of an invite. */
export function inviteKeys(secret: Uint8Array): Member {
  const secretKey = derive(secret, EMPTY, 'invite static', [], 32);
  return {
    secretKey,
    publicKey: x25519Public(secretKey),
    psk: derive(secret, EMPTY, 'invite psk', [], 32),
    gateKey: derive(secret, EMPTY, 'invite gate', [], 32),
    fileKey: derive(secret, EMPTY, 'invite file', [], 32),
  };
}

/** The keys of a device. */
export function deviceKeys(secretKey: Uint8Array, secret: Uint8Array): Member {
  return {
    secretKey,
    publicKey: x25519Public(secretKey),
    psk: derive(secret, EMPTY, 'device psk', [], 32),
    gateKey: derive(secret, EMPTY, 'device gate', [], 32),
    fileKey: derive(secret, EMPTY, 'device file', [], 32),
  };
}

export const fileTag = (fileKey: Uint8Array, salt: Uint8Array): Uint8Array =>
  derive(fileKey, salt, 'file tag', [], 8);
export const fileWrapKey = (fileKey: Uint8Array, salt: Uint8Array): Uint8Array =>
  derive(fileKey, salt, 'file wrap', [], 32);
export const fileSealKey = (contentKey: Uint8Array, salt: Uint8Array): Uint8Array =>
  derive(contentKey, salt, 'file seal', [], 32);

export const gateHandle = (gateKey: Uint8Array, epoch: number | bigint): Uint8Array =>
  hmac(gateKey, concat(label('gate handle'), u64be(epoch))).slice(0, 16);
export const gateMacKey = (gateKey: Uint8Array, accessKey: Uint8Array, epoch: number | bigint): Uint8Array =>
  derive(gateKey, accessKey, 'gate mac', [u64be(epoch)], 32);

export const signedRecord = (payload: Uint8Array): Uint8Array => concat(label('connection record'), payload);
export const signedSuccession = (statement: Uint8Array): Uint8Array => concat(label('succession'), statement);

/** The Noise prologue. */
export function prologue(
  version: number,
  suite: number,
  server: Uint8Array,
  epoch: number | bigint,
): Uint8Array {
  return concat(label('prologue'), u16be(version), u16be(suite), server, u64be(epoch));
}
