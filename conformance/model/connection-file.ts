/** Sealing a connection file and opening its outer layer (spec/03-connection-file.md, 3.1 and steps 1 to 5 of 3.4). */
import { ConnectionFileHeaderSchema } from '../../src/gen/clawchat/v1/connection_file_pb.ts';
import { FILE_BYTES_MAX, FILE_CLASSES_BYTES, STANZA_BYTES } from '../../src/gen/constants.ts';
import { byteAt, concat, equal, readUnsigned, u32be, zeros } from './bytes.ts';
import { fileSealKey, fileTag, fileWrapKey } from './labels.ts';
import { aeadOpen, aeadSeal } from './primitives.ts';
import { decode, lengthField, readVarint, varint, varintField } from './protobuf.ts';
import { demand, Refusal } from './refusal.ts';

const NONCE = zeros(12);
const STANZAS_MAX = 4670;
export const SEAL_STEP_BYTES = 512;
export const ENVELOPE_BYTES_MAX = 65_535;

/** The stanza of one recipient. */
export function stanza(fileKey: Uint8Array, salt: Uint8Array, contentKey: Uint8Array): Uint8Array {
  const tag = fileTag(fileKey, salt);
  return concat(tag, aeadSeal(fileWrapKey(fileKey, salt), NONCE, tag, contentKey));
}

export interface Header {
  readonly version: number;
  readonly salt: Uint8Array;
  readonly stanzas: Uint8Array;
  /** Length of the padding; undefined when there is no such field. */
  readonly padding: number | undefined;
}

/** Encode a header. */
export function headerBytes({ version, salt, stanzas, padding }: Header): Uint8Array {
  const front = concat(varintField(1, version), lengthField(2, salt), lengthField(3, stanzas));
  return padding === undefined ? front : concat(front, lengthField(4, zeros(padding)));
}

/** What is sealed: length, envelope, zeros. */
export function padEnvelope(envelope: Uint8Array): Uint8Array {
  const front = concat(u32be(envelope.length), envelope);
  const short = (SEAL_STEP_BYTES - (front.length % SEAL_STEP_BYTES)) % SEAL_STEP_BYTES;
  return concat(front, zeros(short));
}

/** Seal a padded envelope. */
export function seal(
  contentKey: Uint8Array,
  salt: Uint8Array,
  header: Uint8Array,
  plain: Uint8Array,
): Uint8Array {
  return aeadSeal(fileSealKey(contentKey, salt), NONCE, header, plain);
}

/** Put header and sealed part together. */
export function outerLayer(header: Uint8Array, sealed: Uint8Array): Uint8Array {
  return concat(lengthField(1, header), lengthField(2, sealed));
}

/** How a file is filled. */
export interface Filling {
  readonly bytes: number;
  readonly stanzas: number;
  readonly padding: number | undefined;
  /** Bytes that are missing behind the highest number of stanzas: what makes the filling hard. */
  readonly missing: number;
}

/** Find class, number of stanzas and padding for a sealed part and a number of recipients (CF-002~1). */
export function fill(sealedBytes: number, recipients: number): Filling {
  const field = (content: number): number => 1 + varint(content).length + content;
  const length = (stanzas: number, padding: number | undefined): number => {
    const version = 2;
    const header = version + field(32) + field(stanzas * STANZA_BYTES);
    return field(header + (padding === undefined ? 0 : field(padding))) + field(sealedBytes);
  };
  for (const bytes of FILE_CLASSES_BYTES) {
    let most: number | undefined;
    for (let stanzas = Math.floor(bytes / STANZA_BYTES); stanzas >= Math.max(recipients, 1); stanzas--) {
      const rest = bytes - length(stanzas, undefined);
      if (rest < 0) continue;
      most ??= rest;
      const missing = most;
      if (rest === 0) return { bytes, stanzas, padding: undefined, missing };
      for (let padding = 0; padding <= rest; padding++) {
        if (length(stanzas, padding) === bytes) return { bytes, stanzas, padding, missing };
      }
    }
  }
  throw new Error(`no class holds ${recipients} recipients and ${sealedBytes} sealed bytes`);
}

export interface SealInput {
  readonly envelope: Uint8Array;
  readonly salt: Uint8Array;
  readonly contentKey: Uint8Array;
  readonly fileKeys: readonly Uint8Array[];
  /** Recipients beside these, whose stanzas are as good as random here. */
  readonly others?: number;
  /** Random filling: the i-th stanza of the file, unless a recipient has that place. */
  readonly filler: (i: number) => Uint8Array;
  /** The places of the recipients' stanzas. */
  readonly places: (count: number) => readonly number[];
}

export interface SealedFile extends Filling {
  readonly header: Uint8Array;
  readonly sealed: Uint8Array;
  readonly file: Uint8Array;
  readonly own: readonly { readonly at: number; readonly stanza: Uint8Array }[];
}

/** Seal an envelope for its recipients. */
export function sealFile(input: SealInput): SealedFile {
  const { envelope, salt, contentKey, fileKeys } = input;
  const plain = padEnvelope(envelope);
  const filling = fill(plain.length + 16, fileKeys.length + (input.others ?? 0));
  const places = input.places(filling.stanzas);
  const own = fileKeys.map((fileKey, i) => ({
    at: placeOf(places, i),
    stanza: stanza(fileKey, salt, contentKey),
  }));
  const byPlace = new Map(own.map(one => [one.at, one.stanza]));
  const all = Array.from({ length: filling.stanzas }, (_, i) => byPlace.get(i) ?? input.filler(i));
  const header = headerBytes({ version: 1, salt, stanzas: concat(...all), padding: filling.padding });
  const sealed = seal(contentKey, salt, header, plain);
  return { ...filling, header, sealed, own, file: outerLayer(header, sealed) };
}

function placeOf(places: readonly number[], i: number): number {
  const place = places[i];
  if (place === undefined) throw new Error('fewer places than recipients');
  return place;
}

/** Steps 1 to 5: from the bytes of a file to those of its envelope. */
export function openFile(file: Uint8Array, fileKey: Uint8Array): Uint8Array {
  demand(file.length <= FILE_BYTES_MAX, 'FILE_TOO_LARGE', 'step 1');
  const { header, sealed } = splitOuterLayer(file);
  const parsed = decode(ConnectionFileHeaderSchema, header);
  demand(parsed !== undefined, 'FILE_MALFORMED', 'step 2: header');
  const { version, salt, stanzas, padding } = parsed;
  demand(version === 1, 'VERSION_UNSUPPORTED', 'step 3: version');
  demand(salt.length === 32, 'FILE_MALFORMED', 'step 3: salt');
  const count = stanzas.length / STANZA_BYTES;
  demand(Number.isInteger(count) && count >= 1 && count <= STANZAS_MAX, 'FILE_MALFORMED', 'step 3: stanzas');
  demand(padding.length <= 127 && padding.every(byte => byte === 0), 'FILE_MALFORMED', 'step 3: padding');
  const contentKey = findContentKey(stanzas, salt, fileKey);
  const plain = aeadOpen(fileSealKey(contentKey, salt), NONCE, header, sealed);
  demand(plain !== undefined, 'FILE_ALTERED', 'step 5: seal');
  return unpad(plain);
}

/** CF-001~1. */
function splitOuterLayer(file: Uint8Array): { readonly header: Uint8Array; readonly sealed: Uint8Array } {
  const part = (at: number, tag: number): { readonly content: Uint8Array; readonly end: number } => {
    demand(file[at] === tag, 'FILE_MALFORMED', 'step 2: tag');
    const length = readVarint(file, at + 1);
    demand(length !== undefined, 'FILE_MALFORMED', 'step 2: length');
    const minimal = equal(file.slice(at + 1, length.end), varint(length.value));
    demand(minimal, 'FILE_MALFORMED', 'step 2: length not minimal');
    const end = BigInt(length.end) + length.value;
    demand(end <= BigInt(file.length), 'FILE_MALFORMED', 'step 2: cut off');
    return { content: file.slice(length.end, Number(end)), end: Number(end) };
  };
  const header = part(0, 0x0a);
  const sealed = part(header.end, 0x12);
  demand(sealed.end === file.length, 'FILE_MALFORMED', 'step 2: bytes behind the end');
  return { header: header.content, sealed: sealed.content };
}

/** Step 4. */
function findContentKey(stanzas: Uint8Array, salt: Uint8Array, fileKey: Uint8Array): Uint8Array {
  const tag = fileTag(fileKey, salt);
  const wrapKey = fileWrapKey(fileKey, salt);
  let found = false;
  for (let at = 0; at < stanzas.length; at += STANZA_BYTES) {
    const one = stanzas.slice(at, at + STANZA_BYTES);
    if (!equal(one.slice(0, 8), tag)) continue;
    found = true;
    const contentKey = aeadOpen(wrapKey, NONCE, tag, one.slice(8));
    if (contentKey !== undefined) return contentKey;
  }
  throw new Refusal(found ? 'FILE_ALTERED' : 'NOT_A_RECIPIENT', 'step 4');
}

/** CF-006~1. */
function unpad(plain: Uint8Array): Uint8Array {
  demand(plain.length >= 4 && plain.length % SEAL_STEP_BYTES === 0, 'FILE_MALFORMED', 'step 5: plaintext');
  const length = Number(readUnsigned(plain.slice(0, 4)));
  demand(4 + length <= plain.length, 'FILE_MALFORMED', 'step 5: length');
  const rest = plain.slice(4 + length);
  demand(
    rest.every((_, i) => byteAt(rest, i) === 0),
    'FILE_MALFORMED',
    'step 5: padding',
  );
  return plain.slice(4, 4 + length);
}
