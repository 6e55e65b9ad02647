/** How the vectors of connection files are written and read: a file in parts, edits, what a client holds. */

import { SignedEnvelopeSchema } from '../../src/gen/clawchat/v1/connection_file_pb.ts';
import { STANZA_BYTES } from '../../src/gen/constants.ts';
import { concat, EMPTY, hex, sha256, stream, unhex } from './bytes.ts';
import * as cast from './cast.ts';
import { headerBytes, outerLayer, type SealedFile } from './connection-file.ts';
import type { Flag } from './flags.ts';
import { bytes, has, number, object, objects, text } from './json.ts';
import { nextIdentityHash } from './labels.ts';
import { decode } from './protobuf.ts';
import { type Accepted, type Reader, readEnvelope, readFile } from './record.ts';
import { payload, type RecordFields, SALT, shownRecord } from './record-samples.ts';
import { attempt, type ErrorName } from './refusal.ts';
import { type Json, type JsonObject, NOTHING, released, type Vector } from './vector.ts';

/** A file in its parts: all of it but the random stanzas, which are a stream. */
export function shownFile(file: SealedFile): JsonObject {
  return {
    version: 1,
    salt: hex(SALT),
    stanzas: {
      count: file.stanzas,
      filling: 'filling',
      own: file.own.map(({ at, stanza }): Json => ({ at, stanza: hex(stanza) })),
    },
    ...(file.padding === undefined ? {} : { padding: file.padding }),
    sealed: hex(file.sealed),
  };
}

/** What comes of sealing. */
export function shownSealed(file: SealedFile, envelope: Uint8Array, whole: boolean): JsonObject {
  return {
    signature: hex(decode(SignedEnvelopeSchema, envelope)?.signature ?? EMPTY),
    size: file.bytes,
    stanzas: file.stanzas,
    ...(file.padding === undefined ? {} : { padding: file.padding }),
    own_stanzas_sha256: hex(sha256(concat(...file.own.map(one => one.stanza)))),
    sealed_sha256: hex(sha256(file.sealed)),
    file_sha256: hex(sha256(file.file)),
    ...(whole ? { file: hex(file.file) } : {}),
  };
}

/** Put a file together from its parts, from hexadecimal or from another vector's file and edits. */
export function buildFile(from: JsonObject, vectors: ReadonlyMap<string, Vector>): Uint8Array {
  if (typeof from['file'] === 'string') return unhex(from['file']);
  const parts = object(from, 'file');
  if (has(parts, 'stream')) return bytes(from, 'file');
  if (has(parts, 'base')) {
    const base = vectors.get(text(parts, 'base'));
    if (base === undefined) throw new Error(`no vector ${text(parts, 'base')}`);
    return objects(parts, 'edits').reduce(edit, buildFile(base.input, vectors));
  }
  const stanzas = object(parts, 'stanzas');
  const own = new Map(objects(stanzas, 'own').map(one => [number(one, 'at'), bytes(one, 'stanza')]));
  const count = number(stanzas, 'count');
  const fill = stream(text(stanzas, 'filling'), count * STANZA_BYTES);
  const all = Array.from(
    { length: count },
    (_, i) => own.get(i) ?? fill.slice(i * STANZA_BYTES, (i + 1) * STANZA_BYTES),
  );
  const header = headerBytes({
    version: number(parts, 'version'),
    salt: bytes(parts, 'salt'),
    stanzas: concat(...all),
    padding: has(parts, 'padding') ? number(parts, 'padding') : undefined,
  });
  return outerLayer(header, bytes(parts, 'sealed'));
}

/** One change to some bytes. */
export function edit(before: Uint8Array, change: JsonObject): Uint8Array {
  if (has(change, 'cut')) return before.slice(0, number(change, 'cut'));
  if (has(change, 'append')) return concat(before, bytes(change, 'append'));
  const at = number(change, 'at');
  if (has(change, 'flip')) {
    return before.map((byte, i) => (i === at ? byte ^ (1 << number(change, 'flip')) : byte));
  }
  const remove = has(change, 'remove') ? number(change, 'remove') : 0;
  const insert = has(change, 'insert') ? bytes(change, 'insert') : new Uint8Array(0);
  return concat(before.slice(0, at), insert, before.slice(at + remove));
}

/** The client that most vectors are read by: enrolled as "ada", no record yet accepted but the identity's successor known. */
export const ADA: Reader = {
  fileKey: cast.device('ada').fileKey,
  identity: cast.identity(0).publicKey,
  serverId: cast.SERVER_ID,
  nextIdentityHash: cast.NEXT_IDENTITY_HASH,
  highest: undefined,
};

export function shownReader(reader: Reader): JsonObject {
  const { highest } = reader;
  return {
    file_key: hex(reader.fileKey),
    identity: hex(reader.identity),
    server_id: hex(reader.serverId),
    next_identity_hash: reader.nextIdentityHash === undefined ? null : hex(reader.nextIdentityHash),
    highest: highest === undefined ? null : { sequence: Number(highest.sequence), hash: hex(highest.hash) },
  };
}

export function readerOf(from: JsonObject): Reader {
  const optional = (name: string): boolean => from[name] !== null;
  return {
    fileKey: bytes(from, 'file_key'),
    identity: bytes(from, 'identity'),
    serverId: bytes(from, 'server_id'),
    nextIdentityHash: optional('next_identity_hash') ? bytes(from, 'next_identity_hash') : undefined,
    highest: optional('highest')
      ? {
          sequence: BigInt(number(object(from, 'highest'), 'sequence')),
          hash: bytes(object(from, 'highest'), 'hash'),
        }
      : undefined,
  };
}

/** What a client holds after it accepted a record. */
function shownAccepted(accepted: Accepted): JsonObject {
  return {
    record: shownRecord(accepted.record),
    hash: hex(accepted.hash),
    identity: hex(accepted.identity),
    followed: accepted.followed,
  };
}

/** What came of reading, in the words of a vector. */
export function outcomeOf(run: () => Accepted): Pick<Vector, 'error' | 'output' | 'released' | 'debug'> {
  const outcome = attempt(run);
  if ('refusal' in outcome) {
    const { code, detail } = outcome.refusal;
    return { error: code, released: NOTHING, debug: { why: detail } };
  }
  const { value } = outcome;
  const accepted = { released: released(value.payload), output: shownAccepted(value) };
  return value.clockSuspect ? { error: 'CLOCK_SUSPECT', ...accepted } : accepted;
}

export interface Case {
  readonly id: string;
  readonly note: string;
  readonly req: readonly string[];
  readonly flags: readonly Flag[];
  readonly also?: readonly ErrorName[];
  readonly reader?: Reader;
  readonly nowMs?: number;
}

const PHASES: Readonly<Partial<Record<ErrorName, Vector['phase']>>> = {
  FILE_TOO_LARGE: 'parse',
  FILE_MALFORMED: 'parse',
  VERSION_UNSUPPORTED: 'parse',
  RECORD_INVALID: 'parse',
  NOT_A_RECIPIENT: 'decrypt',
  FILE_ALTERED: 'decrypt',
  SIGNATURE_INVALID: 'auth',
  SUCCESSION_INVALID: 'auth',
  SERVER_MISMATCH: 'auth',
  RECORD_ROLLBACK: 'state',
  RECORD_EQUIVOCATION: 'state',
  CLOCK_SUSPECT: 'time',
};

function reading(of: Case, given: JsonObject, run: (reader: Reader, nowMs: number) => Accepted): Vector {
  const { reader = ADA, nowMs = cast.NOW_MS, also } = of;
  const { debug, ...outcome } = outcomeOf(() => run(reader, nowMs));
  return {
    id: `connection-file/${of.id}`,
    note: of.note,
    req: of.req,
    flags: of.flags,
    phase: outcome.error === undefined ? 'parse' : (PHASES[outcome.error] ?? 'parse'),
    ...(also === undefined ? {} : { also }),
    input: { ...given, client: shownReader(reader), now_ms: nowMs },
    ...outcome,
    ...(debug === undefined ? {} : { debug }),
  };
}

/** A vector that reads a file, given as `shown`. */
export function fileCase(of: Case, shown: Json, file: Uint8Array): Vector {
  return reading(of, { what: 'read file', file: shown }, (reader, nowMs) => readFile(file, reader, nowMs));
}

/** A vector that reads a bare envelope, as notices and enrolment replies carry it. */
export function envelopeCase(of: Case, envelope: Uint8Array, shown: Json = hex(envelope)): Vector {
  return reading(of, { what: 'read envelope', envelope: shown }, (reader, nowMs) =>
    readEnvelope(envelope, reader, nowMs),
  );
}

export const nextOf = (index: number): Uint8Array => nextIdentityHash(cast.identity(index + 1).publicKey);

/** A client that holds the n-th identity and the hash of the one after it. */
export const holding = (index: number, other: Partial<Reader> = {}): Reader => ({
  ...ADA,
  identity: cast.identity(index).publicKey,
  nextIdentityHash: nextOf(index),
  ...other,
});

/** A record signed by the n-th identity. */
export const recordBy = (index: number, other: RecordFields = {}): Uint8Array =>
  payload({ nextIdentityHash: nextOf(index), ...other });
