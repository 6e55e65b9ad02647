/** The connection file: sealing a signed envelope for its recipients, and opening it as one (spec/03-connection-file.md). */
import { KEY_BYTES, NONCE_BYTES, type Suite, TAG_BYTES } from '../crypto/suite.ts';
import {
  type ConnectionFileHeader,
  ConnectionFileHeaderSchema,
} from '../gen/clawchat/v1/connection_file_pb.ts';
import { ErrorCode } from '../gen/clawchat/v1/error_pb.ts';
import { FILE_BYTES_MAX, FILE_CLASSES_BYTES, STANZA_BYTES } from '../gen/constants.ts';
import { isZero } from '../wire/bytes.ts';
import { tryParse } from '../wire/parse.ts';
import { readVarint, varintBytes, writeVarint } from '../wire/varint.ts';
import { type Envelope, parseEnvelope } from './envelope.ts';
import { type Fault, fault, isFault } from './fault.ts';
import { FILE_TAG_BYTES, fileSealKey, fileTag, fileWrapKey } from './keys.ts';

const FILE_VERSION = 1;
const SALT_BYTES = 32;
const STANZAS_MAX = 4_670;
const PADDING_BYTES_MAX = 127;
const SEALED_BLOCK_BYTES = 512;
const LENGTH_BYTES = 4;

const HEADER_TAG = 0x0a;
const SEALED_TAG = 0x12;
/** `version` and `salt` of a header up to the salt's bytes; then come the tags of `stanzas` and `padding`. */
const HEADER_START: readonly number[] = [0x08, FILE_VERSION, 0x12, SALT_BYTES];
const STANZAS_TAG = 0x1a;
const PADDING_TAG = 0x22;

/** Each key is used once, so its one nonce is zero. */
const NONCE = new Uint8Array(NONCE_BYTES);

/** Where everything is in a file of one class. */
interface Layout {
  readonly fileBytes: number;
  readonly headerBytes: number;
  readonly stanzas: number;
  /** Bytes of the padding field with its tag and length; 0 for no field, else at least 2. */
  readonly paddingFieldBytes: number;
  readonly sealedBytes: number;
}

/** What a connection file is made of. */
export interface SealRequest {
  /** The exact bytes of a SignedEnvelope. */
  readonly envelope: Uint8Array;
  /** The file key of each recipient, 32 bytes each. */
  readonly recipients: readonly Uint8Array[];
}

/**
 * Seal an envelope for its recipients: bytes of the smallest class that holds them, in a single buffer.
 *
 * Draws salt, content key, filling and order from the suite, in this order. Faults: FILE_TOO_LARGE by this side, when
 * no class holds envelope and recipients. @impl CF-002~1, CF-004~1, CF-005~1
 */
export function sealFile(suite: Suite, { envelope, recipients }: SealRequest): Uint8Array | Fault {
  const layout = layOut(envelope.length, recipients.length);
  if (layout === undefined) {
    return fault(
      'self',
      ErrorCode.FILE_TOO_LARGE,
      `no connection file holds ${recipients.length} recipients`,
    );
  }
  const file = new Uint8Array(layout.fileBytes);
  const salt = suite.randomBytes(SALT_BYTES);
  const contentKey = suite.randomBytes(KEY_BYTES);

  // @impl CF-001~1
  file[0] = HEADER_TAG;
  const headerAt = writeVarint(file, 1, layout.headerBytes);
  file.set(HEADER_START, headerAt);
  file.set(salt, headerAt + HEADER_START.length);
  let at = headerAt + HEADER_START.length + SALT_BYTES;
  file[at] = STANZAS_TAG;
  at = writeVarint(file, at + 1, layout.stanzas * STANZA_BYTES);
  const stanzas = file.subarray(at, at + layout.stanzas * STANZA_BYTES);
  stanzas.set(suite.randomBytes(stanzas.length));
  const places = drawPlaces(suite, recipients.length, layout.stanzas);
  for (const [i, fileKey] of recipients.entries()) {
    const from = (places[i] ?? 0) * STANZA_BYTES;
    writeStanza(suite, stanzas.subarray(from, from + STANZA_BYTES), { fileKey, salt, contentKey });
  }
  at += stanzas.length;
  if (layout.paddingFieldBytes > 0) {
    file[at] = PADDING_TAG;
    file[at + 1] = layout.paddingFieldBytes - 2;
    at += layout.paddingFieldBytes;
  }
  const header = file.subarray(headerAt, at);
  file[at] = SEALED_TAG;
  at = writeVarint(file, at + 1, layout.sealedBytes);
  sealEnvelope(suite, file, at, { envelope, header, salt, contentKey });
  suite.erase(contentKey);
  return file;
}

/** Find the smallest class, and how it is filled; undefined when none holds the recipients. */
function layOut(envelopeBytes: number, recipients: number): Layout | undefined {
  const plaintextBytes = Math.ceil((LENGTH_BYTES + envelopeBytes) / SEALED_BLOCK_BYTES) * SEALED_BLOCK_BYTES;
  const sealedBytes = plaintextBytes + TAG_BYTES;
  for (const fileBytes of FILE_CLASSES_BYTES) {
    const layout = fillClass(fileBytes, sealedBytes);
    if (layout !== undefined && layout.stanzas >= recipients) return layout;
  }
  return undefined;
}

function fillClass(fileBytes: number, sealedBytes: number): Layout | undefined {
  let stanzas = Math.floor((fileBytes - sealedBytes) / STANZA_BYTES);
  while (stanzas > 0 && fileSize(headerSize(stanzas), sealedBytes) > fileBytes) stanzas -= 1;
  if (fileBytes - fileSize(headerSize(stanzas), sealedBytes) === 1) stanzas -= 1;
  if (stanzas < 1) return undefined;
  const bareBytes = headerSize(stanzas);
  // The field may make the length of the header one byte longer, so its own length is found by looking.
  const missing = fileBytes - fileSize(bareBytes, sealedBytes);
  const fits = [missing, missing - 1].find(
    field => (field === 0 || field >= 2) && fileSize(bareBytes + field, sealedBytes) === fileBytes,
  );
  if (fits === undefined) return undefined;
  return { fileBytes, headerBytes: bareBytes + fits, stanzas, paddingFieldBytes: fits, sealedBytes };
}

/** Bytes of a header without padding. */
function headerSize(stanzas: number): number {
  const bytes = stanzas * STANZA_BYTES;
  return HEADER_START.length + SALT_BYTES + 1 + varintBytes(bytes) + bytes;
}

function fileSize(headerBytes: number, sealedBytes: number): number {
  return 1 + varintBytes(headerBytes) + headerBytes + 1 + varintBytes(sealedBytes) + sealedBytes;
}

/** Draw `count` different places below `places`, uniformly and in random order. @impl CF-003~1 */
function drawPlaces(suite: Suite, count: number, places: number): Uint16Array {
  const free = Uint16Array.from({ length: places }, (_, i) => i);
  for (let i = 0; i < count; i += 1) {
    const j = i + drawBelow(suite, places - i);
    const place = free[j] ?? 0;
    free[j] = free[i] ?? 0;
    free[i] = place;
  }
  return free.subarray(0, count);
}

/** Draw a number below `bound` without bias: what would favour the low ones is drawn again. */
function drawBelow(suite: Suite, bound: number): number {
  const limit = 2 ** 32 - (2 ** 32 % bound);
  for (;;) {
    const bytes = suite.randomBytes(4);
    const value = new DataView(bytes.buffer, bytes.byteOffset, 4).getUint32(0);
    if (value < limit) return value % bound;
  }
}

interface StanzaKeys {
  readonly fileKey: Uint8Array;
  readonly salt: Uint8Array;
  readonly contentKey: Uint8Array;
}

function writeStanza(suite: Suite, stanza: Uint8Array, { fileKey, salt, contentKey }: StanzaKeys): void {
  const tag = fileTag(suite, fileKey, salt);
  const wrapKey = fileWrapKey(suite, fileKey, salt);
  const aead = suite.aead(wrapKey);
  stanza.set(tag);
  aead.sealInto(stanza, FILE_TAG_BYTES, NONCE, tag, contentKey);
  aead.destroy();
  suite.erase(wrapKey);
}

interface SealedPart {
  readonly envelope: Uint8Array;
  readonly header: Uint8Array;
  readonly salt: Uint8Array;
  readonly contentKey: Uint8Array;
}

/** Seal the envelope into the rest of the file from `at` on. */
function sealEnvelope(suite: Suite, file: Uint8Array, at: number, part: SealedPart): void {
  const { envelope, header, salt, contentKey } = part;
  const plaintext = new Uint8Array(file.length - at - TAG_BYTES);
  new DataView(plaintext.buffer).setUint32(0, envelope.length);
  plaintext.set(envelope, LENGTH_BYTES);
  const sealKey = fileSealKey(suite, contentKey, salt);
  const aead = suite.aead(sealKey);
  aead.sealInto(file, at, NONCE, header, plaintext);
  aead.destroy();
  suite.erase(sealKey);
}

/**
 * Open a connection file as the recipient with this file key: steps 1 to 5 of 3.4. The envelope is not verified yet.
 *
 * Faults: FILE_TOO_LARGE, FILE_MALFORMED, VERSION_UNSUPPORTED, NOT_A_RECIPIENT, FILE_ALTERED. @impl CF-030~1
 */
export function openFile(suite: Suite, file: Uint8Array, fileKey: Uint8Array): Envelope | Fault {
  // @impl CF-031~1
  if (file.length > FILE_BYTES_MAX) {
    return fault('peer', ErrorCode.FILE_TOO_LARGE, `the connection file has ${file.length} bytes`);
  }
  const parts = splitFile(file);
  if (parts === undefined) return malformed('it is cut off, or is no connection file');
  const header = parseHeader(parts.header);
  if (isFault(header)) return header;
  const contentKey = findContentKey(suite, header, fileKey);
  if (isFault(contentKey)) return contentKey;
  const sealKey = fileSealKey(suite, contentKey, header.salt);
  suite.erase(contentKey);
  const aead = suite.aead(sealKey);
  suite.erase(sealKey);
  const plaintext = aead.open(NONCE, parts.header, parts.sealed);
  aead.destroy();
  if (plaintext === undefined) return altered();
  return unpad(plaintext);
}

/** Take the two parts of the outer layer; undefined unless it is exactly as stated. @impl CF-001~1 */
function splitFile(
  file: Uint8Array,
): { readonly header: Uint8Array; readonly sealed: Uint8Array } | undefined {
  const header = takeField(file, 0, HEADER_TAG);
  if (header === undefined) return undefined;
  const sealed = takeField(file, header.end, SEALED_TAG);
  if (sealed === undefined || sealed.end !== file.length) return undefined;
  return { header: header.bytes, sealed: sealed.bytes };
}

function takeField(
  file: Uint8Array,
  at: number,
  tag: number,
): { readonly bytes: Uint8Array; readonly end: number } | undefined {
  if (file[at] !== tag) return undefined;
  const cursor = { at: at + 1 };
  const length = readVarint(file, file.length, cursor);
  if (length < 0 || cursor.at - at - 1 !== varintBytes(length)) return undefined;
  const end = cursor.at + length;
  return end > file.length ? undefined : { bytes: file.subarray(cursor.at, end), end };
}

function parseHeader(bytes: Uint8Array): ConnectionFileHeader | Fault {
  const header = tryParse(ConnectionFileHeaderSchema, bytes);
  if (header === undefined) return malformed('its header cannot be read');
  if (header.version !== FILE_VERSION) {
    const detail = `the connection file is of version ${header.version}`;
    return fault('peer', ErrorCode.VERSION_UNSUPPORTED, detail);
  }
  const { salt, stanzas, padding } = header;
  const isStanzas =
    stanzas.length > 0 && stanzas.length % STANZA_BYTES === 0 && stanzas.length <= STANZAS_MAX * STANZA_BYTES;
  const isPadding = padding.length <= PADDING_BYTES_MAX && isZero(padding);
  return salt.length === SALT_BYTES && isStanzas && isPadding
    ? header
    : malformed('its header breaks a rule');
}

function findContentKey(suite: Suite, header: ConnectionFileHeader, fileKey: Uint8Array): Uint8Array | Fault {
  const { salt, stanzas } = header;
  const tag = fileTag(suite, fileKey, salt);
  let wrapKey: Uint8Array | undefined;
  let contentKey: Uint8Array | undefined;
  for (let at = 0; at < stanzas.length && contentKey === undefined; at += STANZA_BYTES) {
    if (!hasTag(stanzas, at, tag)) continue;
    wrapKey ??= fileWrapKey(suite, fileKey, salt);
    const aead = suite.aead(wrapKey);
    contentKey = aead.open(NONCE, tag, stanzas.subarray(at + FILE_TAG_BYTES, at + STANZA_BYTES));
    aead.destroy();
  }
  if (wrapKey === undefined) {
    return fault('peer', ErrorCode.NOT_A_RECIPIENT, 'the connection file is not for this device');
  }
  suite.erase(wrapKey);
  return contentKey ?? altered();
}

function hasTag(stanzas: Uint8Array, at: number, tag: Uint8Array): boolean {
  for (let i = 0; i < FILE_TAG_BYTES; i += 1) if (stanzas[at + i] !== tag[i]) return false;
  return true;
}

/** @impl CF-006~1 */
function unpad(plaintext: Uint8Array): Envelope | Fault {
  if (plaintext.length < LENGTH_BYTES || plaintext.length % SEALED_BLOCK_BYTES !== 0) {
    return malformed('its sealed part has a length that none has');
  }
  const view = new DataView(plaintext.buffer, plaintext.byteOffset, plaintext.byteLength);
  const end = LENGTH_BYTES + view.getUint32(0);
  if (end > plaintext.length || !isZero(plaintext.subarray(end)))
    return malformed('its sealed part breaks a rule');
  return parseEnvelope(plaintext.subarray(LENGTH_BYTES, end));
}

function malformed(what: string): Fault {
  return fault('peer', ErrorCode.FILE_MALFORMED, `the connection file cannot be read: ${what}`);
}

function altered(): Fault {
  return fault('peer', ErrorCode.FILE_ALTERED, 'the connection file was altered');
}
