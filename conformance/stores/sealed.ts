/** Real connection files for store tests: sealed and signed, one sequence after the other. */
import { opener } from '../../src/discovery/verdict.ts';
import { CHANNEL_KEY_MARGIN_MS, FILE_BYTES_MAX } from '../../src/gen/constants.ts';
import { native } from '../../src/node/native.ts';
import { sealFile } from '../../src/protocol/connection-file.ts';
import { encodeRecord } from '../../src/protocol/connection-record.ts';
import { signRecord } from '../../src/protocol/envelope.ts';
import { isFault } from '../../src/protocol/fault.ts';
import { nextIdentityHash, serverId } from '../../src/protocol/keys.ts';

const SEED = new Uint8Array(32).fill(7);
const IDENTITY = native.ed25519Public(SEED);
const FILE_KEY = new Uint8Array(32).fill(9);
const ISSUED_AT = 1_800_000_000_000;

/** Open a file as the device for which `sealed` makes them. */
export const open: ReturnType<typeof opener> = opener(native, FILE_KEY, {
  serverId: serverId(native, IDENTITY),
  identity: IDENTITY,
  nextIdentityHash: undefined,
});

/** Make a connection file of the smallest class with this sequence. */
export function sealed(sequence: number): Uint8Array {
  const payload = encodeRecord({
    protocolVersion: 1,
    serverId: serverId(native, IDENTITY),
    epoch: 1,
    sequence,
    issuedAtMs: ISSUED_AT,
    nextRotationMs: ISSUED_AT + 3_600_000,
    validUntilMs: ISSUED_AT + 3_900_000,
    endpoints: [{ host: '127.0.0.1', port: 50_000, notBeforeMs: 1, notAfterMs: 2 }],
    channelKeys: [
      { publicKey: new Uint8Array(32).fill(1), notAfterMs: ISSUED_AT + 3_900_000 + CHANNEL_KEY_MARGIN_MS },
    ],
    tlsPins: [],
    accessKeys: [{ epoch: 1, key: new Uint8Array(32).fill(2) }],
    nextIdentityHash: nextIdentityHash(native, IDENTITY),
    suites: [1],
    stores: [],
  });
  const file = sealFile(native, {
    envelope: signRecord(native, SEED, payload, []),
    recipients: [FILE_KEY],
  });
  if (isFault(file)) throw new Error(file.detail);
  return file;
}

/** Random bytes, `length` of them. */
export function noise(length: number = FILE_BYTES_MAX): Uint8Array {
  return native.randomBytes(length);
}
