import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { noble } from '../crypto/noble.ts';
import { withEntropy } from '../crypto/suite.ts';
import { ErrorCode } from '../gen/clawchat/v1/error_pb.ts';
import { FILE_CLASSES_BYTES } from '../gen/constants.ts';
import { native } from '../node/native.ts';
import { concat } from '../wire/bytes.ts';
import { readVarint, varintBytes, writeVarint } from '../wire/varint.ts';
import { openFile, sealFile } from './connection-file.ts';
import type { Envelope } from './envelope.ts';
import { codeName, type Fault, isFault } from './fault.ts';
import { flipped, named, seeded, testEnvelope, testHost, testRecord, withField } from './fixtures.ts';
import { fileSealKey, fileTag, fileWrapKey } from './keys.ts';

const host = testHost(native, 'file');
const envelope = testEnvelope(native, host, testRecord(native, host));
const fileKey = (i: number): Uint8Array => named(native, `file key ${i}`);
const keys = (count: number): Uint8Array[] => Array.from({ length: count }, (_, i) => fileKey(i));

function sealed(count: number, of: Uint8Array = envelope, seed = 'seal'): Uint8Array {
  const file = sealFile(seeded(native, seed), { envelope: of, recipients: keys(count) });
  if (isFault(file)) throw new Error(file.detail);
  return file;
}

function code(result: Envelope | Fault): string {
  return isFault(result) ? codeName(result.code) : 'opened';
}

/** Put a file together by hand, so that each part can break a rule alone. */
function craft(change: {
  readonly header?: (header: Uint8Array) => Uint8Array;
  readonly stanza?: (stanza: Uint8Array) => Uint8Array;
  readonly plaintext?: Uint8Array;
  readonly envelope?: Uint8Array;
}): Uint8Array {
  const salt = named(native, 'salt');
  const contentKey = named(native, 'content key');
  const tag = fileTag(native, fileKey(0), salt);
  const wrapped = native
    .aead(fileWrapKey(native, fileKey(0), salt))
    .seal(new Uint8Array(12), tag, contentKey);
  const stanza = change.stanza ?? (of => of);
  const parts: readonly (readonly [number, Uint8Array | bigint])[] = [
    [1, 1n],
    [2, salt],
    [3, stanza(concat(tag, wrapped))],
  ];
  let bare: Uint8Array = new Uint8Array(0);
  for (const [field, value] of parts) bare = withField(bare, field, value);
  const header = (change.header ?? (of => of))(bare);
  const body = change.envelope ?? envelope;
  const padded = new Uint8Array(Math.ceil((4 + body.length) / 512) * 512);
  new DataView(padded.buffer).setUint32(0, body.length);
  padded.set(body, 4);
  const aead = native.aead(fileSealKey(native, contentKey, salt));
  const seal = aead.seal(new Uint8Array(12), header, change.plaintext ?? padded);
  return withField(withField(new Uint8Array(0), 1, header), 2, seal);
}

describe('sealing and opening', () => {
  it('opens for each recipient and for nobody else, in both suites (CF-005~1)', () => {
    const file = sealed(5);
    for (const suite of [native, noble]) {
      for (let i = 0; i < 5; i += 1) {
        const opened = openFile(suite, file, fileKey(i));
        expect(!isFault(opened) && opened.bytes).toEqual(envelope);
      }
      expect(code(openFile(suite, file, fileKey(5)))).toBe('NOT_A_RECIPIENT');
    }
  });

  it('seals the same bytes from the same entropy in both suites, and others from other entropy (CF-004~1)', () => {
    const request = { envelope, recipients: keys(3) };
    const file = sealFile(seeded(native, 'same'), request);
    expect(sealFile(seeded(noble, 'same'), request)).toEqual(file);
    expect(sealFile(seeded(native, 'other'), request)).not.toEqual(file);
  });

  it('takes the smallest class for the number of recipients (CF-002~1)', () => {
    const sizes = [0, 1, 62, 63, 282, 283, 1_159, 1_160, 4_670].map(count => sealed(count).length);
    expect(sizes).toEqual([4096, 4096, 4096, 16_384, 16_384, 65_536, 65_536, 262_144, 262_144]);
  });

  it('fills every class exactly, whatever the length of the envelope (CF-001~1, CF-002~1)', () => {
    const sizes = new Map<number, number>();
    for (let blocks = 1; blocks <= 128; blocks += 1) {
      const of = new Uint8Array(512 * blocks - 4).fill(7);
      for (const recipients of [1, 54, 274, 1160].map(keys)) {
        const file = sealFile(native, {
          envelope: of,
          recipients: recipients.slice(0, blocks < 4 ? 1160 : 1),
        });
        if (isFault(file)) throw new Error(file.detail);
        sizes.set(file.length, (sizes.get(file.length) ?? 0) + 1);
        // Not an envelope, and so seen to be none: everything around it is right.
        expect(code(openFile(native, file, fileKey(0)))).toBe('FILE_MALFORMED');
      }
    }
    expect([...sizes.keys()].sort((a, b) => a - b)).toEqual(FILE_CLASSES_BYTES);
  });

  it('says when no class holds the recipients', () => {
    const result = sealFile(native, { envelope, recipients: keys(4_671) });
    expect(isFault(result) && [result.by, codeName(result.code)]).toEqual(['self', 'FILE_TOO_LARGE']);
  });

  it('puts recipients at uniformly random places (CF-003~1)', () => {
    const places = new Map<number, number>();
    for (let i = 0; i < 1200; i += 1) {
      const file = sealed(1, envelope, `place ${i}`);
      const salt = file.subarray(7, 39);
      const tag = Buffer.from(fileTag(native, fileKey(0), salt));
      const place = (Buffer.from(file).indexOf(tag) - 42) / 56;
      expect(Number.isInteger(place)).toBe(true);
      places.set(place, (places.get(place) ?? 0) + 1);
    }
    // 62 places, 19.4 each: a place that is never used, or a favourite, would be seen.
    const counts = [...places.values()];
    expect([...places.keys()].sort((a, b) => a - b)).toEqual(Array.from({ length: 62 }, (_, i) => i));
    expect(Math.max(...counts)).toBeLessThan(55);
    expect(Math.min(...counts)).toBeGreaterThan(4);
  });

  it('puts recipients into any order (CF-003~1)', () => {
    const orders = new Set<string>();
    for (let i = 0; i < 64; i += 1) {
      const file = Buffer.from(sealed(3, envelope, `order ${i}`));
      const at = [0, 1, 2].map(one => file.indexOf(fileTag(native, fileKey(one), file.subarray(7, 39))));
      orders.add([0, 1, 2].sort((a, b) => (at[a] ?? 0) - (at[b] ?? 0)).join(''));
    }
    expect([...orders].sort()).toEqual(['012', '021', '102', '120', '201', '210']);
  });

  it('draws again what would favour some places (CF-003~1)', () => {
    const sealedBy = (...draws: readonly number[]): unknown => {
      const left = [...draws];
      const suite = withEntropy(native, length =>
        new Uint8Array(length).fill(length === 4 ? (left.shift() ?? 0) : 7),
      );
      return { file: sealFile(suite, { envelope, recipients: keys(1) }), left };
    };
    // 2^32 - 1 lies beyond the last whole multiple of 62.
    expect(sealedBy(0xff, 1)).toEqual(sealedBy(1));
    expect(sealedBy(2)).not.toEqual(sealedBy(1));
  });
});

describe('what cannot be read (CF-030~1)', () => {
  const file = sealed(2);

  it('gives a typed fault for each flipped bit of each byte', () => {
    const seen = new Map<string, number>();
    for (let at = 0; at < file.length; at += 1) {
      const result = code(openFile(native, flipped(file, at, 1 << (at % 8)), fileKey(0)));
      seen.set(result, (seen.get(result) ?? 0) + 1);
    }
    expect(seen.get('opened')).toBeUndefined();
    expect([...seen.keys()].sort()).toEqual([
      'FILE_ALTERED',
      'FILE_MALFORMED',
      'NOT_A_RECIPIENT',
      'VERSION_UNSUPPORTED',
    ]);
  });

  it('gives a typed fault for each truncation and for what is behind', () => {
    for (let length = 0; length < file.length; length += 1) {
      expect(code(openFile(native, file.subarray(0, length), fileKey(0)))).toBe('FILE_MALFORMED');
    }
    expect(code(openFile(native, concat(file, Uint8Array.of(0)), fileKey(0)))).toBe('FILE_MALFORMED');
  });

  it('never throws on anything (ER-001~1)', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 300 }), bytes => isFault(openFile(native, bytes, fileKey(0)))),
    );
  });

  it('refuses what is too long before it looks at it (CF-031~1)', () => {
    expect(code(openFile(native, new Uint8Array(262_145), fileKey(0)))).toBe('FILE_TOO_LARGE');
    expect(code(openFile(native, new Uint8Array(262_144), fileKey(0)))).toBe('FILE_MALFORMED');
  });

  it('refuses lengths that are not minimal (CF-001~1)', () => {
    const good = craft({});
    expect(code(openFile(native, good, fileKey(0)))).toBe('opened');
    const length = 2 + 34 + 2 + 56;
    expect([good[0], good[1]]).toEqual([0x0a, length]);
    const long = concat(Uint8Array.of(0x0a, length | 0x80, 0), good.subarray(2));
    expect(code(openFile(native, long, fileKey(0)))).toBe('FILE_MALFORMED');
    const swapped = new Uint8Array(good.length);
    const header = good.subarray(0, 2 + length);
    swapped.set(good.subarray(header.length));
    swapped.set(header, good.length - header.length);
    expect(code(openFile(native, swapped, fileKey(0)))).toBe('FILE_MALFORMED');
  });

  const stanzas = (count: number): { readonly stanza: () => Uint8Array } => ({
    stanza: () => new Uint8Array(count * 56),
  });

  it.each<[string, Uint8Array, string]>([
    ['an unknown field of the header', craft({ header: of => withField(of, 9, 5n) }), 'opened'],
    ['version 2', craft({ header: of => withField(of, 1, 2n) }), 'VERSION_UNSUPPORTED'],
    [
      'version 2 before a short salt',
      craft({ header: of => withField(withField(of, 1, 2n), 2, new Uint8Array(31)) }),
      'VERSION_UNSUPPORTED',
    ],
    ['a salt of 31 bytes', craft({ header: of => withField(of, 2, new Uint8Array(31)) }), 'FILE_MALFORMED'],
    ['a header that is no message', craft({ header: () => Uint8Array.of(0xff) }), 'FILE_MALFORMED'],
    ['no stanza', craft({ header: of => withField(of, 3, new Uint8Array(0)) }), 'FILE_MALFORMED'],
    ['a stanza and a half', craft({ stanza: of => concat(of, new Uint8Array(28)) }), 'FILE_MALFORMED'],
    ['4,670 stanzas of others', withSmallSeal(craft(stanzas(4_670))), 'NOT_A_RECIPIENT'],
    ['4,671 stanzas', withSmallSeal(craft(stanzas(4_671))), 'FILE_MALFORMED'],
    ['127 bytes of padding', craft({ header: of => withField(of, 4, new Uint8Array(127)) }), 'opened'],
    [
      '128 bytes of padding',
      craft({ header: of => withField(of, 4, new Uint8Array(128)) }),
      'FILE_MALFORMED',
    ],
    [
      'padding that is not zero',
      craft({ header: of => withField(of, 4, Uint8Array.of(0, 1)) }),
      'FILE_MALFORMED',
    ],
    ['a stanza of somebody else', craft({ stanza: of => flipped(of, 0) }), 'NOT_A_RECIPIENT'],
    ['an altered stanza', craft({ stanza: of => flipped(of, 20) }), 'FILE_ALTERED'],
    [
      'an altered stanza before the right one',
      craft({ stanza: of => concat(flipped(of, 20), of) }),
      'opened',
    ],
    ['a plaintext of nothing', craft({ plaintext: new Uint8Array(0) }), 'FILE_MALFORMED'],
    ['a plaintext of 3 bytes', craft({ plaintext: new Uint8Array(3) }), 'FILE_MALFORMED'],
    ['a plaintext of 511 bytes', craft({ plaintext: new Uint8Array(511) }), 'FILE_MALFORMED'],
    [
      'a length beyond the end',
      craft({ plaintext: Uint8Array.of(0, 0, 1, 253, ...new Uint8Array(508)) }),
      'FILE_MALFORMED',
    ],
    [
      'a length of 2^32 - 1',
      craft({ plaintext: Uint8Array.of(255, 255, 255, 255, ...new Uint8Array(508)) }),
      'FILE_MALFORMED',
    ],
    ['an envelope of nothing', craft({ plaintext: new Uint8Array(512) }), 'FILE_MALFORMED'],
    ['padding of the sealed part that is not zero', craft({ plaintext: paddedWith(1) }), 'FILE_MALFORMED'],
    ['a good sealed part', craft({ plaintext: paddedWith(0) }), 'opened'],
    [
      'a signature of 63 bytes',
      craft({ envelope: withField(envelope, 2, new Uint8Array(63)) }),
      'FILE_MALFORMED',
    ],
    ['no payload', craft({ envelope: withField(envelope, 1, new Uint8Array(0)) }), 'FILE_MALFORMED'],
    ['an envelope of 65,535 bytes', craft({ envelope: envelopeOf(65_535) }), 'opened'],
    ['an envelope of 65,536 bytes', craft({ envelope: envelopeOf(65_536) }), 'FILE_MALFORMED'],
    ['an unknown field of the envelope', craft({ envelope: withField(envelope, 15, 1n) }), 'opened'],
  ])('%s (CF-006~1, CF-021~1)', (_, bytes, expected) => {
    for (const suite of [native, noble]) expect(code(openFile(suite, bytes, fileKey(0)))).toBe(expected);
  });

  it('opens a file with two stanzas of one tag by the one that opens', () => {
    const result = openFile(
      native,
      craft({ stanza: of => concat(flipped(of, 9), flipped(of, 30), of) }),
      fileKey(0),
    );
    expect(isFault(result)).toBe(false);
    expect(ErrorCode.FILE_ALTERED).toBe(5);
  });
});

/** The same file with a sealed part of 1 byte, so that it is not too long whatever its header is. */
function withSmallSeal(file: Uint8Array): Uint8Array {
  const cursor = { at: 1 };
  const length = readVarint(file, file.length, cursor);
  return withField(file.subarray(0, cursor.at + length), 2, Uint8Array.of(0));
}

function paddedWith(last: number): Uint8Array {
  const plaintext = new Uint8Array(Math.ceil((4 + envelope.length) / 512) * 512);
  new DataView(plaintext.buffer).setUint32(0, envelope.length);
  plaintext.set(envelope, 4);
  plaintext[plaintext.length - 1] = last;
  return plaintext;
}

/** An envelope of exactly this length: the rest is an unknown field. */
function envelopeOf(length: number): Uint8Array {
  const rest = length - envelope.length;
  const bytes = rest - 1 - varintBytes(rest - 4);
  const out = new Uint8Array(length);
  out.set(envelope);
  out[envelope.length] = (15 << 3) | 2;
  writeVarint(out, envelope.length + 1, bytes);
  return out;
}
