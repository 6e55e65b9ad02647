/** Vectors: signatures, what a client accepted before, and which of two faults is named (spec/03-connection-file.md, 3.4). */
import { createHash } from 'node:crypto';
import { concat, hex, readUnsigned, stream, unhex, unsigned, zeros } from '../bytes.ts';
import * as cast from '../cast.ts';
import { headerBytes, outerLayer, padEnvelope, seal, stanza } from '../connection-file.ts';
import { ADA, envelopeCase, fileCase, holding, nextOf, recordBy } from '../file-cases.ts';
import type { Flag } from '../flags.ts';
import { recordHash, signedRecord, signedSuccession } from '../labels.ts';
import { ed25519Public, ed25519Sign, sha256 } from '../primitives.ts';
import { lengthField } from '../protobuf.ts';
import type { Reader } from '../record.ts';
import {
  CONTENT_KEY,
  chain,
  endpoint,
  envelope,
  KEY_ENDS_MS,
  payload,
  type RecordFields,
  SALT,
  SEQUENCE,
  succession,
} from '../record-samples.ts';
import type { Vector } from '../vector.ts';

const { identity } = cast;

/** The order of the group of Ed25519's base point. */
const L = 2n ** 252n + 27742317777372353535851937790883648493n;
const little = (bytes: Uint8Array): bigint => readUnsigned(bytes.toReversed());
const scalar = (value: bigint): Uint8Array => unsigned(value, 32).toReversed();
const sha512 = (...parts: readonly Uint8Array[]): Uint8Array =>
  new Uint8Array(
    createHash('sha512')
      .update(concat(...parts))
      .digest(),
  );

/** The neutral element: 1 in y, and the same number above p, which is no canonical encoding. */
const NEUTRAL = concat(Uint8Array.of(1), zeros(31));
const NEUTRAL_LONG = unhex(`ee${'ff'.repeat(30)}7f`);

/** The other points of small order, as CF-008 lists them. */
const SMALL_KEYS = [
  ['order-2', `ec${'ff'.repeat(30)}7f`],
  ['order-4', '00'.repeat(32)],
  ['order-4-sign', `${'00'.repeat(31)}80`],
  ['order-8', '26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05'],
  ['order-8-sign', '26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc85'],
  ['order-8-other', 'c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a'],
  ['order-8-other-sign', 'c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac03fa'],
] as const;

/** The scalar that belongs to an Ed25519 seed (RFC 8032, 5.1.5). */
function secretScalar(seed: Uint8Array): bigint {
  const half = sha512(seed).slice(0, 32);
  return little(half.map((byte, i) => (i === 0 ? byte & 248 : i === 31 ? (byte & 63) | 64 : byte)));
}

/** A signature under a key whose order divides 8: R is drawn until the hash that the key is taken times is a multiple of 8. */
function underSmallKey(key: Uint8Array, message: Uint8Array): Uint8Array {
  for (let i = 0; ; i += 1) {
    const seed = stream(`small key ${hex(key)} ${i}`, 32);
    const r = ed25519Public(seed);
    const k = little(sha512(r, key, message));
    if (k % 8n === 0n && (k % L) % 8n === 0n) return concat(r, scalar(secretScalar(seed) % L));
  }
}

/** A signature with the neutral element as R: the equation holds, because the signer chose S for it. */
function withNeutralR(signer: cast.Identity, message: Uint8Array): Uint8Array {
  const k = little(sha512(NEUTRAL, signer.publicKey, message)) % L;
  return concat(NEUTRAL, scalar((k * secretScalar(signer.secret)) % L));
}

function signatures(): Vector[] {
  const bytes = payload();
  const { secret } = identity(0);
  const right = ed25519Sign(secret, signedRecord(bytes));
  const flip = (of: Uint8Array, at: number, bit: number): Uint8Array =>
    of.map((byte, i) => (i === at ? byte ^ (1 << bit) : byte));
  const shifted = concat(right.slice(0, 32), scalar(little(right.slice(32)) + L));
  const weak = ['weak-signature'] as const;
  const of = (
    id: string,
    note: string,
    flags: readonly Flag[],
    signature: Uint8Array,
    { signed = bytes, reader = ADA }: { readonly signed?: Uint8Array; readonly reader?: Reader } = {},
  ): Vector => {
    const req = flags.includes('weak-signature') ? 'CF-008~1' : 'CF-007~1';
    const whole = concat(lengthField(1, signed), lengthField(2, signature));
    return envelopeCase({ id: `signature/${id}`, note, req: [req], flags, reader }, whole);
  };
  const forged = concat(NEUTRAL, zeros(32));
  const neutral = (publicKey: Uint8Array): { readonly reader: Reader } => ({
    reader: { ...ADA, identity: publicKey },
  });
  return [
    of('right', 'The envelope that the others change.', ['known-answer'], right),
    of('r-flipped', 'A bit of R is flipped.', ['bit-flip'], flip(right, 3, 2)),
    of('s-flipped', 'A bit of S is flipped.', ['bit-flip'], flip(right, 40, 2)),
    of('s-plus-l', 'S and the order of the group: a second writing of the same signature.', weak, shifted),
    of(
      'neutral-r',
      'The neutral element as R, with an S that fits.',
      weak,
      withNeutralR(identity(0), signedRecord(bytes)),
    ),
    of(
      'neutral-key',
      'The neutral element as identity key and as R: every message fits.',
      weak,
      forged,
      neutral(NEUTRAL),
    ),
    of(
      'neutral-key-long',
      'The same key in a writing that is not canonical.',
      weak,
      forged,
      neutral(NEUTRAL_LONG),
    ),
    ...SMALL_KEYS.map(([id, key]) =>
      of(
        `small-key/${id}`,
        'A point of small order as identity key, with an R that is none and a signature that fits.',
        weak,
        underSmallKey(unhex(key), signedRecord(bytes)),
        neutral(unhex(key)),
      ),
    ),
    of('payload-flipped', 'A bit of an access key in the payload is flipped.', ['bit-flip'], right, {
      signed: flip(bytes, bytes.length - 60, 0),
    }),
    of('zeros', 'A signature of zeros.', ['wrong-key'], zeros(64)),
    of(
      'other-key',
      'By the next identity, without a succession.',
      ['wrong-key'],
      ed25519Sign(identity(1).secret, signedRecord(bytes)),
    ),
    of('no-label', 'Over the payload alone.', ['label-length'], ed25519Sign(secret, bytes)),
    of(
      'other-label',
      'Under the label of a succession.',
      ['label-length'],
      ed25519Sign(secret, signedSuccession(bytes)),
    ),
    of(
      'over-hash',
      'Over the hash of the payload.',
      ['label-length'],
      ed25519Sign(secret, signedRecord(sha256(bytes))),
    ),
  ];
}

/** What a client accepted before. */
function states(): Vector[] {
  const seen = payload();
  const highest = { sequence: BigInt(SEQUENCE), hash: recordHash(seen) };
  const other = { ...highest, hash: recordHash(payload({ stores: [] })) };
  const of = (
    id: string,
    note: string,
    flags: readonly Flag[],
    fields: RecordFields,
    before: Reader['highest'],
    req: string,
  ): Vector =>
    envelopeCase(
      { id: `state/${id}`, note, req: [req], flags, reader: { ...ADA, highest: before } },
      envelope(payload(fields)),
    );
  return [
    of(
      'same',
      'The record that was accepted, once more.',
      ['replay', 'idempotence'],
      {},
      highest,
      'CF-030~1',
    ),
    of('next', 'The next sequence.', ['boundary'], { sequence: BigInt(SEQUENCE + 1) }, highest, 'CF-032~2'),
    of(
      'before',
      'The sequence before.',
      ['rollback', 'boundary'],
      { sequence: BigInt(SEQUENCE - 1) },
      highest,
      'CF-032~2',
    ),
    of('first', 'The very first sequence.', ['rollback'], { sequence: 1n }, highest, 'CF-032~2'),
    of('equivocation', 'Another record of the same sequence.', ['equivocation'], {}, other, 'CF-033~2'),
    of(
      'after-equivocation',
      'The next sequence, whatever the one before was.',
      ['equivocation'],
      { sequence: BigInt(SEQUENCE + 1) },
      other,
      'CF-033~2',
    ),
    of(
      'clock-put-back',
      "A higher sequence that was issued earlier: the host's clock was put right.",
      ['clock'],
      { sequence: BigInt(SEQUENCE + 1), issuedAtMs: 1n },
      highest,
      'CF-041~1',
    ),
    of(
      '2-32',
      'A sequence that is lower in its lower 32 bits.',
      ['big-number', 'rollback'],
      { sequence: 2n ** 32n + 1n },
      highest,
      'CF-032~2',
    ),
  ];
}

/** Two faults at once: which one is named. */
function orders(): Vector[] {
  const bad = { signer: identity(3), server: stream('another server id', 32) };
  const highest = { sequence: 1000n, hash: stream('a later record', 32) };
  const of = (
    id: string,
    note: string,
    bytes: Uint8Array,
    reader: Reader = ADA,
    nowMs = cast.NOW_MS,
  ): Vector =>
    envelopeCase(
      { id: `order/${id}`, note, req: ['CF-030~1'], flags: ['order-of-steps'], reader, nowMs },
      bytes,
    );
  const forged = (fields: RecordFields): Uint8Array => envelope(payload(fields), bad.signer);
  const rightly = (fields: RecordFields): Uint8Array => envelope(payload(fields));
  const ahead = { ...ADA, highest };
  const equal = { ...ADA, highest: { sequence: BigInt(SEQUENCE), hash: highest.hash } };
  const over = KEY_ENDS_MS + 1;
  const noPort = [endpoint('a', 0)];
  return [
    ...fileOrders(),
    of(
      'chain-signature',
      'The chain does not hold, and the signature is false: the chain.',
      envelope(recordBy(1), bad.signer, [succession(1, { index: 2 })]),
    ),
    of(
      'signature-record',
      'A false signature over a record without endpoints: the signature.',
      forged({ endpoints: [] }),
    ),
    of(
      'signature-server',
      'A false signature over a record of another host: the signature.',
      forged({ serverId: bad.server }),
    ),
    of(
      'signature-version',
      'A false signature over a record of a later version: the signature.',
      forged({ protocolVersion: 2 }),
    ),
    of('signature-rollback', 'A false signature over an older record: the signature.', forged({}), ahead),
    of(
      'version-server',
      'A later version of another host: the version.',
      rightly({ protocolVersion: 2, serverId: bad.server }),
    ),
    of(
      'version-record',
      'A later version without endpoints: the version.',
      rightly({ protocolVersion: 2, endpoints: [] }),
    ),
    of(
      'server-record',
      'Another host, and no endpoints: the host.',
      rightly({ serverId: bad.server, endpoints: [] }),
    ),
    of(
      'server-rollback',
      'Another host, and an older sequence: the host.',
      rightly({ serverId: bad.server }),
      ahead,
    ),
    of(
      'record-suites',
      'A port 0, and only unknown suites: the port.',
      rightly({ endpoints: noPort, suites: [2] }),
    ),
    of(
      'suites-stores',
      'Only unknown suites, and nine stores: the suites.',
      rightly({ suites: [2], stores: Array.from({ length: 9 }, () => ({})) }),
    ),
    of(
      'record-next',
      'A port 0, and another next identity: the port.',
      rightly({ endpoints: noPort, nextIdentityHash: nextOf(7) }),
    ),
    of(
      'suites-next',
      'Only unknown suites, and another next identity: the suites.',
      rightly({ suites: [2], nextIdentityHash: nextOf(7) }),
    ),
    of(
      'next-rollback',
      'Another next identity, and an older sequence: the identity.',
      rightly({ nextIdentityHash: nextOf(7) }),
      ahead,
    ),
    of(
      'record-rollback',
      'A port 0, and an older sequence: the port.',
      rightly({ endpoints: noPort }),
      ahead,
    ),
    of(
      'rollback-clock',
      'An older sequence, and keys that are over: the sequence.',
      rightly({}),
      ahead,
      over,
    ),
    of(
      'equivocation-clock',
      'Another record of that sequence, and keys that are over: the equivocation.',
      rightly({}),
      equal,
      over,
    ),
    of(
      'floor-equivocation',
      'Below the floor, and of an accepted sequence: the floor.',
      envelope(recordBy(1, { sequence: 9n }), identity(1), chain(1)),
      {
        ...holding(1),
        highest: { ...highest, sequence: 9n },
      },
    ),
  ];
}

function fileOrders(): Vector[] {
  const own = stanza(ADA.fileKey, SALT, CONTENT_KEY);
  const stranger = { ...ADA, fileKey: cast.device('mallory').fileKey };
  const right = padEnvelope(envelope(payload()));
  const header = (version: number, stanzas: Uint8Array, salt = SALT): Uint8Array =>
    headerBytes({ version, salt, stanzas, padding: undefined });
  const of = (id: string, note: string, file: Uint8Array, reader: Reader = ADA): Vector =>
    fileCase(
      { id: `order/${id}`, note, req: ['CF-030~1'], flags: ['order-of-steps'], reader },
      hex(file),
      file,
    );
  const sealedBy = (head: Uint8Array, plain = right, contentKey = CONTENT_KEY): Uint8Array =>
    outerLayer(head, seal(contentKey, SALT, head, plain));
  const flipLast = (bytes: Uint8Array): Uint8Array =>
    bytes.map((byte, i) => (i === bytes.length - 1 ? byte ^ 1 : byte));
  return [
    of(
      'outer-version',
      'A byte behind the end, and a later version: the byte.',
      concat(sealedBy(header(2, own)), zeros(1)),
    ),
    of(
      'version-salt',
      'A later version with a salt of 16 bytes: the version.',
      sealedBy(header(2, own, SALT.slice(0, 16))),
    ),
    of(
      'version-stanza',
      'A later version without a stanza for the reader: the version.',
      sealedBy(header(2, own)),
      stranger,
    ),
    of(
      'stanzas-recipient',
      "A byte too many in the stanzas, none of which is the reader's: the byte.",
      sealedBy(header(1, concat(own, zeros(1)))),
      stranger,
    ),
    of(
      'recipient-seal',
      'No stanza for the reader, and a false seal: the stanza.',
      flipLast(sealedBy(header(1, own))),
      stranger,
    ),
    of(
      'stanza-plaintext',
      'A stanza that does not open, and a plaintext that is not padded: the stanza.',
      sealedBy(header(1, flipLast(own)), right.slice(0, 40)),
    ),
    of(
      'seal-plaintext',
      'A false seal around a plaintext that is not padded: the seal.',
      flipLast(sealedBy(header(1, own), right.slice(0, 40))),
    ),
    of(
      'padding-signature',
      'Padding that is not zero, and a false signature: the padding.',
      sealedBy(header(1, own), flipLast(padEnvelope(envelope(payload(), identity(3))))),
    ),
    of(
      'envelope-chain',
      'A signature of 63 bytes, and a chain that does not hold: the length.',
      sealedBy(
        header(1, own),
        padEnvelope(concat(lengthField(1, payload()), lengthField(2, zeros(63)), lengthField(3, zeros(4)))),
      ),
    ),
  ];
}

/** Make them. */
export function fileOrder(): Vector[] {
  return [...signatures(), ...states(), ...orders()];
}
