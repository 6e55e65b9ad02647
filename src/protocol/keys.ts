/** Every key, name and hash of the protocol under its label (spec/04-handshake.md, 4.1). @impl KD-001~1 */
import { derive, info, label, labelledHash } from '../crypto/labels.ts';
import { KEY_BYTES, requireLength, type Suite } from '../crypto/suite.ts';
import { concat, u64be } from '../wire/bytes.ts';

/** Version of the protocol. */
export const PROTOCOL_VERSION = 1;
/** Noise_XKpsk3_25519_AESGCM_SHA256. */
export const SUITE_1 = 1;
/** Bytes of the random secret of an invite or a device. */
export const SECRET_BYTES = 32;
/** Bytes of a device id. */
const DEVICE_ID_BYTES = 16;
/** Bytes of a gate handle. */
export const HANDLE_BYTES = 16;
/** Bytes of the tag by which a recipient finds its stanza. */
export const FILE_TAG_BYTES = 8;

const NO_SALT = new Uint8Array(0);
const GATE_HANDLE_LABEL = label('gate handle');
const RECORD_LABEL = label('connection record');
const SUCCESSION_LABEL = label('succession');
const PROLOGUE_LABEL = label('prologue');
const FILE_TAG_INFO = info('file tag');
const FILE_WRAP_INFO = info('file wrap');
const FILE_SEAL_INFO = info('file seal');

/** What an invite and a device have alike: 32 bytes each. */
export interface MemberKeys {
  readonly psk: Uint8Array;
  readonly gateKey: Uint8Array;
  readonly fileKey: Uint8Array;
}

/** What derives from an invite secret. */
export interface InviteKeys extends MemberKeys {
  /** X25519; the host does not keep it. */
  readonly privateKey: Uint8Array;
  readonly publicKey: Uint8Array;
}

/** Derive the keys of the temporary device that an invite is. */
export function inviteKeys(suite: Suite, secret: Uint8Array): InviteKeys {
  const privateKey = derive(suite, secret, NO_SALT, 'invite static', [], KEY_BYTES);
  return { privateKey, publicKey: suite.x25519Public(privateKey), ...memberKeys(suite, secret, 'invite') };
}

/** Derive the key with which a host opens its own file. @impl CF-026~1 */
export function hostFileKey(suite: Suite, identitySeed: Uint8Array): Uint8Array {
  return derive(suite, identitySeed, NO_SALT, 'host file', [], KEY_BYTES);
}

/** Derive what a device shares with its host from the device secret. */
export function deviceKeys(suite: Suite, secret: Uint8Array): MemberKeys {
  return memberKeys(suite, secret, 'device');
}

function memberKeys(suite: Suite, secret: Uint8Array, kind: 'invite' | 'device'): MemberKeys {
  requireLength(secret, SECRET_BYTES, 'the secret of an invite or a device');
  return {
    psk: derive(suite, secret, NO_SALT, `${kind} psk`, [], KEY_BYTES),
    gateKey: derive(suite, secret, NO_SALT, `${kind} gate`, [], KEY_BYTES),
    fileKey: derive(suite, secret, NO_SALT, `${kind} file`, [], KEY_BYTES),
  };
}

/** Name a host for good, by its first identity public key: 32 bytes. */
export function serverId(suite: Suite, firstIdentity: Uint8Array): Uint8Array {
  return labelledHash(suite, 'server id', firstIdentity);
}

/** Commit to the identity public key that will follow: 32 bytes. */
export function nextIdentityHash(suite: Suite, identity: Uint8Array): Uint8Array {
  return labelledHash(suite, 'next identity', identity);
}

/** Name a record by its exact payload bytes: 32 bytes. */
export function recordHash(suite: Suite, payload: Uint8Array): Uint8Array {
  return labelledHash(suite, 'record', payload);
}

/** Name a device by its X25519 public key: 16 bytes. */
export function deviceId(suite: Suite, publicKey: Uint8Array): Uint8Array {
  return labelledHash(suite, 'device id', publicKey).slice(0, DEVICE_ID_BYTES);
}

/** Hash the bytes of a ChatContent: 32 bytes. */
export function contentHash(suite: Suite, content: Uint8Array): Uint8Array {
  return labelledHash(suite, 'content', content);
}

/** Check the letters of an invite: the 4 bytes behind it in its text form. */
export function inviteChecksum(suite: Suite, invite: Uint8Array): Uint8Array {
  return labelledHash(suite, 'invite checksum', invite).slice(0, 4);
}

/** Hash host and device for the words that two people compare: 8 bytes. */
export function wordsHash(suite: Suite, identity: Uint8Array, devicePublicKey: Uint8Array): Uint8Array {
  return labelledHash(suite, 'words', identity, devicePublicKey).slice(0, 8);
}

/** What a record's signature is over. */
export function recordSigningInput(payload: Uint8Array): Uint8Array {
  return concat(RECORD_LABEL, payload);
}

/** What both signatures of a succession are over. */
export function successionSigningInput(statement: Uint8Array): Uint8Array {
  return concat(SUCCESSION_LABEL, statement);
}

/** Bind a handshake to version, suite, host and epoch: the prologue, 64 bytes. */
export function prologue(serverIdBytes: Uint8Array, epoch: number): Uint8Array {
  requireLength(serverIdBytes, 32, 'a server id');
  const numbers = Uint8Array.of(0, PROTOCOL_VERSION, 0, SUITE_1);
  return concat(PROLOGUE_LABEL, numbers, serverIdBytes, u64be(epoch));
}

/** Name an invite or a device within one epoch: 16 bytes. */
export function gateHandle(suite: Suite, gateKey: Uint8Array, epoch: number): Uint8Array {
  return suite.hmacSha256(gateKey, GATE_HANDLE_LABEL, u64be(epoch)).slice(0, HANDLE_BYTES);
}

/** Derive the key of a token's MAC. */
export function gateMacKey(
  suite: Suite,
  gateKey: Uint8Array,
  accessKey: Uint8Array,
  epoch: number,
): Uint8Array {
  return derive(suite, gateKey, accessKey, 'gate mac', [u64be(epoch)], KEY_BYTES);
}

/** The tag of a recipient's stanza in the file with this salt: 8 bytes. */
export function fileTag(suite: Suite, fileKey: Uint8Array, salt: Uint8Array): Uint8Array {
  return suite.hkdfSha256(fileKey, salt, FILE_TAG_INFO, FILE_TAG_BYTES);
}

/** The key under which a recipient's stanza wraps the content key. */
export function fileWrapKey(suite: Suite, fileKey: Uint8Array, salt: Uint8Array): Uint8Array {
  return suite.hkdfSha256(fileKey, salt, FILE_WRAP_INFO, KEY_BYTES);
}

/** The key of the sealed part. */
export function fileSealKey(suite: Suite, contentKey: Uint8Array, salt: Uint8Array): Uint8Array {
  return suite.hkdfSha256(contentKey, salt, FILE_SEAL_INFO, KEY_BYTES);
}
