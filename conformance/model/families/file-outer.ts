/** Vectors: what is refused in the outer layer, the stanzas and the sealed part (spec/03-connection-file.md, 3.1, steps 1 to 5 of 3.4). */
import { FILE_BYTES_MAX } from '../../../src/gen/constants.ts';
import { concat, EMPTY, hex, stream, u32be, unhex, zeros } from '../bytes.ts';
import * as cast from '../cast.ts';
import { headerBytes, outerLayer, padEnvelope, SEAL_STEP_BYTES, seal, stanza } from '../connection-file.ts';
import { ADA, type Case, edit, envelopeCase, fileCase, shownFile } from '../file-cases.ts';
import type { Flag } from '../flags.ts';
import { lengthField, varint, varintField } from '../protobuf.ts';
import { CONTENT_KEY, envelope, payload, SALT, sealed } from '../record-samples.ts';
import type { ErrorName } from '../refusal.ts';
import type { Json, JsonObject, Vector } from '../vector.ts';

const READ = ['CF-030~1'];

const BASE_ID = 'connection-file/outer/base';
const base = sealed(envelope(payload()), [cast.device('ada').fileKey, cast.device('bob').fileKey]);

/** A change of the base file. */
function changed(
  of: Omit<Case, 'req'> & { readonly req?: readonly string[] },
  ...edits: readonly JsonObject[]
): Vector {
  const file = edits.reduce(edit, base.file);
  return fileCase({ req: READ, ...of }, { base: BASE_ID, edits }, file);
}

// Where things lie in the base file: its outer lengths take two bytes each.
const HEADER = 3;
const at = {
  version: HEADER + 1,
  salt: HEADER + 4,
  stanzas: HEADER + 39,
  own: HEADER + 39 + 56 * (base.own[0]?.at ?? 0),
  other: HEADER + 39 + 56 * (base.own[1]?.at ?? 0),
  padding: HEADER + base.header.length - (base.padding ?? 0),
  sealedTag: HEADER + base.header.length,
  sealed: base.file.length - base.sealed.length,
};

function flips(): Vector[] {
  const last = base.file.length - 1;
  const places: readonly (readonly [string, number, number])[] = [
    ['version', at.version, 1],
    ['salt-first', at.salt, 0],
    ['salt-last', at.salt + 31, 7],
    ['own-tag-first', at.own, 0],
    ['own-tag-last', at.own + 7, 3],
    ['own-wrapped-key', at.own + 20, 4],
    ['own-wrapped-key-tag', at.own + 55, 7],
    ['other-tag', at.other + 3, 2],
    ['other-wrapped-key', at.other + 30, 5],
    ['random-stanza', at.stanzas + 56 * 5 + 17, 6],
    ['padding-first', at.padding, 0],
    ['padding-last', at.sealedTag - 1, 7],
    ['sealed-first', at.sealed, 0],
    ['sealed-middle', (at.sealed + last) >> 1, 3],
    ['sealed-tag', last, 7],
    ['outer-tag-header', 0, 3],
    ['outer-tag-sealed', at.sealedTag, 0],
    ['outer-length-header', 1, 0],
    ['outer-length-sealed', at.sealedTag + 1, 0],
  ];
  // A flipped field number or wire type inside the header: libraries differ in what they make of it, but nobody opens the file.
  const tags: readonly (readonly [string, number])[] = [
    ['version-tag', HEADER],
    ['salt-tag', HEADER + 2],
    ['stanzas-tag', HEADER + 36],
  ];
  const also: readonly ErrorName[] = [
    'FILE_MALFORMED',
    'VERSION_UNSUPPORTED',
    'NOT_A_RECIPIENT',
    'FILE_ALTERED',
  ];
  return [
    ...places.map(([name, place, bit]) =>
      changed(
        { id: `outer/flip/${name}`, note: `Bit ${bit} of byte ${place} is flipped.`, flags: ['bit-flip'] },
        { at: place, flip: bit },
      ),
    ),
    ...tags.flatMap(([name, place]) =>
      [0, 1, 3].map(bit =>
        changed(
          {
            id: `outer/flip/${name}-${bit}`,
            note: `Bit ${bit} of byte ${place}, a field's tag, is flipped.`,
            flags: ['bit-flip', 'wire-type'],
            also,
          },
          { at: place, flip: bit },
        ),
      ),
    ),
  ];
}

function lengths(): Vector[] {
  const cuts = [
    0,
    1,
    2,
    HEADER,
    at.salt,
    at.stanzas,
    at.sealedTag,
    at.sealedTag + 1,
    at.sealed,
    at.sealed + 1,
    base.file.length - 1,
  ];
  const malformed = (
    id: string,
    note: string,
    flags: readonly Flag[],
    ...edits: readonly JsonObject[]
  ): Vector => changed({ id: `outer/${id}`, note, flags, req: ['CF-001~1'] }, ...edits);
  const headerField = lengthField(1, base.header);
  return [
    ...cuts.map(cut => malformed(`cut/${cut}`, `The first ${cut} bytes.`, ['truncation'], { cut })),
    malformed('extended/zero', 'A zero byte behind the end.', ['extension'], { append: '00' }),
    malformed(
      'extended/field',
      'An unknown field behind the end: nothing authenticates it.',
      ['extension', 'unknown-field'],
      { append: '1a00' },
    ),
    malformed(
      'extended/sealed-again',
      'The field of the sealed part once more, empty.',
      ['duplicate-field'],
      { append: '1200' },
    ),
    malformed('unknown-field-first', 'An unknown field in front.', ['unknown-field'], {
      at: 0,
      insert: '1a00',
    }),
    malformed('unknown-field-between', 'An unknown field between the two.', ['unknown-field'], {
      at: at.sealedTag,
      insert: '1a00',
    }),
    malformed('header-twice', 'An empty header in front of the right one.', ['duplicate-field'], {
      at: 0,
      insert: '0a00',
    }),
    malformed(
      'reordered',
      'The sealed part in front of the header.',
      ['reorder'],
      { at: 0, remove: headerField.length },
      { append: hex(headerField) },
    ),
    malformed(
      'long-length-header',
      'The length of the header in three bytes where two are enough.',
      ['length'],
      {
        at: 1,
        remove: 2,
        insert: longVarint(base.header.length),
      },
    ),
    malformed('long-length-sealed', 'The same of the sealed part.', ['length'], {
      at: at.sealedTag + 1,
      remove: 2,
      insert: longVarint(base.sealed.length),
    }),
    malformed('length-of-everything', 'A header that is longer than the file.', ['truncation'], {
      at: 1,
      remove: 2,
      insert: 'ffffff7f',
    }),
    malformed('length-endless', 'A length without an end.', ['length'], {
      at: 1,
      remove: 2,
      insert: 'ffffffffffffffffffffff',
    }),
  ];
}

/** A varint with one byte more than it needs. */
function longVarint(value: number): string {
  const shortest = varint(value);
  const last = shortest.length - 1;
  return hex(
    concat(
      shortest.map((byte, i) => (i === last ? byte | 0x80 : byte)),
      Uint8Array.of(0),
    ),
  );
}

/** A small file in full, of which everything can be said; readers do not check the class. */
interface Tiny {
  readonly version?: number;
  readonly salt?: Uint8Array;
  readonly stanzas?: Uint8Array;
  readonly padding?: number;
  /** Header bytes in place of everything above. */
  readonly header?: Uint8Array;
  readonly plain?: Uint8Array;
  readonly sealed?: Uint8Array;
}

const own = stanza(ADA.fileKey, SALT, CONTENT_KEY);
const randomStanza = stream('a random stanza', 56);

function tiny(of: Tiny): Uint8Array {
  const { version = 1, salt = SALT, stanzas = concat(randomStanza, own), padding } = of;
  const header = of.header ?? headerBytes({ version, salt, stanzas, padding });
  const plain = of.plain ?? padEnvelope(envelope(payload()));
  return outerLayer(header, of.sealed ?? seal(CONTENT_KEY, salt, header, plain));
}

function tinyCase(
  id: string,
  note: string,
  flags: readonly Flag[],
  of: Tiny,
  req: readonly string[] = READ,
): Vector {
  const file = tiny(of);
  return fileCase({ id: `outer/${id}`, note, flags, req }, hex(file), file);
}

function headers(): Vector[] {
  const good = headerBytes({
    version: 1,
    salt: SALT,
    stanzas: concat(randomStanza, own),
    padding: undefined,
  });
  const falseOwn = concat(own.slice(0, 8), stream('in place of a wrapped key', 48));
  const nonzero = concat(good, lengthField(4, concat(zeros(9), Uint8Array.of(1))));
  return [
    tinyCase(
      'tiny',
      'Two stanzas, no padding, no class: readers do not check the class.',
      ['known-answer'],
      {},
    ),
    tinyCase('one-stanza', 'A single stanza.', ['count', 'boundary'], { stanzas: own }),
    tinyCase('padding-127', 'The longest padding.', ['boundary'], { padding: 127 }),
    tinyCase('padding-0', 'A padding field of no bytes.', ['boundary', 'filling'], { padding: 0 }),
    tinyCase('padding-128', 'A padding that is too long.', ['boundary', 'length'], { padding: 128 }),
    tinyCase(
      'padding-not-zero',
      'A padding byte that is not zero, sealed as it stands.',
      ['padding-oracle'],
      { header: nonzero },
    ),
    tinyCase('version-0', 'No version.', ['version-first'], { version: 0 }),
    tinyCase('version-2', 'A later version.', ['version-first'], { version: 2 }),
    tinyCase('salt-31', 'A salt of 31 bytes.', ['length'], { salt: SALT.slice(0, 31) }),
    tinyCase('salt-33', 'A salt of 33 bytes.', ['length'], { salt: concat(SALT, zeros(1)) }),
    tinyCase('no-stanza', 'No stanza.', ['count', 'boundary'], { stanzas: EMPTY }),
    tinyCase('stanzas-55', 'A byte is missing in the stanzas.', ['length'], { stanzas: own.slice(0, 55) }),
    tinyCase('stanzas-57', 'A byte too many in the stanzas.', ['length'], { stanzas: concat(own, zeros(1)) }),
    tinyCase('header-cut', 'A header whose last field is cut off, sealed as it stands.', ['truncation'], {
      header: good.slice(0, -1),
    }),
    tinyCase(
      'header-empty',
      'An empty header: a message without fields, so of version 0.',
      ['version-first', 'truncation'],
      { header: EMPTY },
    ),
    tinyCase(
      'header-unknown-field',
      'A header with a field of a later version.',
      ['unknown-field'],
      { header: concat(good, varintField(9, 1)) },
      ['CF-021~1'],
    ),
    tinyCase(
      'header-salt-twice',
      'Two salts: the last one counts.',
      ['duplicate-field'],
      { header: concat(lengthField(2, zeros(32)), good) },
      ['CF-021~1'],
    ),
    tinyCase(
      'same-tag-first-false',
      'Two stanzas with the tag of the reader; the second opens.',
      ['no-stanza'],
      { stanzas: concat(falseOwn, own) },
    ),
    tinyCase('same-tag-last-false', 'The same in the other order.', ['no-stanza'], {
      stanzas: concat(own, falseOwn),
    }),
    tinyCase('own-tag-only', 'A stanza with the tag of the reader that does not open.', ['no-stanza'], {
      stanzas: falseOwn,
    }),
    tinyCase(
      'other-content-key',
      'A stanza that opens, with a content key that opens nothing.',
      ['wrong-key'],
      { stanzas: stanza(ADA.fileKey, SALT, zeros(32)) },
    ),
    fileCase(
      {
        id: 'outer/not-a-recipient',
        note: 'Read by somebody for whom it was not sealed.',
        flags: ['no-stanza', 'wrong-key'],
        req: READ,
        reader: { ...ADA, fileKey: cast.device('mallory').fileKey },
      },
      hex(tiny({})),
      tiny({}),
    ),
  ];
}

function splices(): Vector[] {
  const shuffled = tiny({
    header: headerBytes({ version: 1, salt: SALT, stanzas: concat(own, randomStanza), padding: undefined }),
    sealed: sealedOf(tiny({})),
  });
  const foreign = tiny({
    sealed: sealedOf(tiny({ plain: padEnvelope(envelope(payload({ sequence: 78n }))), stanzas: own })),
  });
  return [
    fileCase(
      {
        id: 'outer/splice/header-of-other',
        note: 'The header of one file, the sealed part of another with the same keys.',
        flags: ['splice'],
        req: ['CF-007~1', 'CF-030~1'],
      },
      hex(foreign),
      foreign,
    ),
    fileCase(
      {
        id: 'outer/splice/shuffled',
        note: 'The stanzas changed places after the sealing.',
        flags: ['splice', 'reorder'],
        req: READ,
      },
      hex(shuffled),
      shuffled,
    ),
  ];
}

const sealedOf = (file: Uint8Array): Uint8Array =>
  file.slice(-(padEnvelope(envelope(payload())).length + 16));

function plaintexts(): Vector[] {
  const signed = envelope(payload());
  const right = padEnvelope(signed);
  const req = ['CF-006~1'];
  const nonzero = right.map((byte, i) => (i === right.length - 1 ? 1 : byte));
  const firstNonzero = right.map((byte, i) => (i === 4 + signed.length ? 0x80 : byte));
  // An envelope that leaves no room for padding.
  const room = SEAL_STEP_BYTES * 2 - 4 - signed.length;
  const exact = concat(signed, lengthField(900, stream('later', room - 4)));
  const plain = (id: string, note: string, flags: readonly Flag[], bytes: Uint8Array): Vector =>
    tinyCase(`plaintext/${id}`, note, flags, { plain: bytes }, req);
  const noSignature = lengthField(1, payload());
  return [
    plain('empty', 'Nothing is sealed.', ['length', 'boundary'], EMPTY),
    plain('3-bytes', 'Too short for a length.', ['length', 'boundary'], zeros(3)),
    plain(
      'not-padded',
      'No padding at all.',
      ['length', 'padding-class'],
      concat(u32be(signed.length), signed),
    ),
    plain('step-less-1', 'A byte less than a multiple of 512.', ['length', 'boundary'], right.slice(0, -1)),
    plain('step-and-1', 'A byte more.', ['length', 'boundary'], concat(right, zeros(1))),
    plain(
      'more-padding',
      '512 bytes more than needed: that is allowed.',
      ['padding-oracle'],
      concat(right, zeros(512)),
    ),
    plain(
      'no-room',
      'An envelope that ends where the plaintext ends.',
      ['boundary'],
      concat(u32be(exact.length), exact),
    ),
    plain(
      'length-beyond',
      'A length that reaches a byte beyond the end.',
      ['boundary', 'length'],
      concat(u32be(exact.length + 1), exact),
    ),
    plain(
      'length-highest',
      'The highest length there is.',
      ['big-number', 'length'],
      concat(u32be(2 ** 32 - 1), exact),
    ),
    plain(
      'length-little-endian',
      'The length least significant byte first.',
      ['byte-order'],
      concat(u32be(signed.length).toReversed(), right.slice(4)),
    ),
    plain('padding-first', 'The first padding byte is not zero.', ['padding-oracle'], firstNonzero),
    plain('padding-last', 'The last padding byte is not zero.', ['padding-oracle'], nonzero),
    plain('length-0', 'An envelope of no bytes.', ['length'], zeros(512)),
    plain('no-signature', 'An envelope without a signature.', ['length'], padEnvelope(noSignature)),
    plain('no-payload', 'An envelope without a payload.', ['length'], padEnvelope(envelope(EMPTY))),
    plain(
      'signature-63',
      'A signature of 63 bytes.',
      ['length'],
      padEnvelope(concat(noSignature, lengthField(2, zeros(63)))),
    ),
    plain(
      'signature-65',
      'A signature of 65 bytes.',
      ['length'],
      padEnvelope(concat(noSignature, lengthField(2, zeros(65)))),
    ),
    plain(
      'envelope-cut',
      'An envelope whose last byte is missing.',
      ['truncation'],
      padEnvelope(signed.slice(0, -1)),
    ),
    plain(
      'no-message',
      'Bytes that are no message.',
      ['truncation'],
      padEnvelope(unhex('ffffffffffffffffffffffff')),
    ),
    tinyCase('sealed-empty', 'A sealed part of no bytes.', ['truncation', 'length'], { sealed: EMPTY }),
    tinyCase('sealed-15', 'A sealed part too short for a tag.', ['truncation', 'length'], {
      sealed: zeros(15),
    }),
  ];
}

function sizes(): Vector[] {
  const junk = (length: number): Json => ({ stream: 'no file', length });
  const of = (id: string, note: string, length: number, req: string): Vector =>
    fileCase(
      { id: `outer/${id}`, note, flags: ['boundary', 'length'], req: [req] },
      junk(length),
      stream('no file', length),
    );
  const front = concat(
    envelope(payload()),
    varint((900 << 3) | 2),
    varint(65_535 - envelope(payload()).length - 6),
  );
  const grown = (total: number): { readonly bytes: Uint8Array; readonly shown: Json } => {
    const length = total - front.length;
    const right = concat(envelope(payload()), varint((900 << 3) | 2), varint(length));
    return {
      bytes: concat(right, stream('later', length)),
      shown: { prefix: hex(right), stream: 'later', length },
    };
  };
  const longest = grown(65_535);
  const tooLong = grown(65_536);
  return [
    of('junk-262144', 'As long as a file may be, and no file.', FILE_BYTES_MAX, 'CF-031~1'),
    of('junk-262145', 'One byte longer: it is not looked at.', FILE_BYTES_MAX + 1, 'CF-031~1'),
    of('junk-400', 'Some bytes.', 400, 'CF-001~1'),
    envelopeCase(
      {
        id: 'envelope/65535',
        note: 'The longest envelope.',
        flags: ['boundary', 'unknown-field'],
        req: READ,
      },
      longest.bytes,
      longest.shown,
    ),
    envelopeCase(
      { id: 'envelope/65536', note: 'One byte longer.', flags: ['boundary', 'length'], req: READ },
      tooLong.bytes,
      tooLong.shown,
    ),
  ];
}

/** Make them. */
export function fileOuter(): Vector[] {
  const first = fileCase(
    { id: 'outer/base', note: 'The file that the others change.', flags: ['known-answer'], req: READ },
    shownFile(base),
    base.file,
  );
  return [first, ...flips(), ...lengths(), ...headers(), ...splices(), ...plaintexts(), ...sizes()];
}
