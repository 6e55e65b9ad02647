/** The signed envelope around a record: signing, and the proof that a record is the host's (spec/03-connection-file.md). */
import { create, toBinary } from '@bufbuild/protobuf';
import { SIGNATURE_BYTES, type Suite } from '../crypto/suite.ts';
import { SignedEnvelopeSchema, SuccessionSchema } from '../gen/clawchat/v1/connection_file_pb.ts';
import { ErrorCode } from '../gen/clawchat/v1/error_pb.ts';
import { sameBytes } from '../wire/bytes.ts';
import { tryParse } from '../wire/parse.ts';
import { type ConnectionRecord, parseRecord } from './connection-record.ts';
import { type Fault, fault, isFault } from './fault.ts';
import { recordHash, recordSigningInput } from './keys.ts';
import { followChain, type Succession, type Trust } from './succession.ts';

/** Longest SignedEnvelope. */
const ENVELOPE_BYTES_MAX = 65_535;

/** A SignedEnvelope, parsed and not yet verified. */
export interface Envelope {
  /** Exactly as it came. */
  readonly bytes: Uint8Array;
  readonly payload: Uint8Array;
  readonly signature: Uint8Array;
  /** Oldest first. */
  readonly successions: readonly Succession[];
}

/** A record that the host signed. */
export interface VerifiedRecord {
  readonly record: ConnectionRecord;
  readonly hash: Uint8Array;
  readonly envelope: Envelope;
  /** Whom to trust once this record is accepted: who signed it, and whom it names next (CF-012~1). */
  readonly trust: Trust & { readonly nextIdentityHash: Uint8Array };
  /** Whether a succession was followed. */
  readonly moved: boolean;
  /** Sequence floor of the envelope's last succession; 0 without one. */
  readonly floor: number;
}

/** Sign a payload and give the bytes of its SignedEnvelope. @impl CF-007~1 */
export function signRecord(
  suite: Suite,
  seed: Uint8Array,
  payload: Uint8Array,
  successions: readonly Succession[],
): Uint8Array {
  return toBinary(
    SignedEnvelopeSchema,
    create(SignedEnvelopeSchema, {
      payload,
      signature: suite.ed25519Sign(seed, recordSigningInput(payload)),
      successions: successions.map(succession => create(SuccessionSchema, succession)),
    }),
  );
}

/** Parse a SignedEnvelope. Its parts are views of `bytes`. Faults: FILE_MALFORMED. */
export function parseEnvelope(bytes: Uint8Array): Envelope | Fault {
  const message = bytes.length <= ENVELOPE_BYTES_MAX ? tryParse(SignedEnvelopeSchema, bytes) : undefined;
  if (message === undefined || message.payload.length === 0 || message.signature.length !== SIGNATURE_BYTES) {
    return fault('peer', ErrorCode.FILE_MALFORMED, 'the signed envelope cannot be read');
  }
  const { payload, signature, successions } = message;
  return { bytes, payload, signature, successions };
}

/**
 * Prove that an envelope is the host's and that its record keeps the rules: steps 6 and 7 of 3.4.
 *
 * Faults: SUCCESSION_INVALID, SIGNATURE_INVALID, and those of `parseRecord`.
 */
export function verifyEnvelope(suite: Suite, trust: Trust, envelope: Envelope): VerifiedRecord | Fault {
  const { payload, signature, successions } = envelope;
  const chain = followChain(suite, trust, successions);
  if (isFault(chain)) return chain;
  const { identity, serverId, nextIdentityHash: named } = chain.trust;
  // @impl CF-007~1
  if (!suite.ed25519Verify(identity, recordSigningInput(payload), signature)) {
    return fault('peer', ErrorCode.SIGNATURE_INVALID, 'the record is not signed by its host');
  }
  const record = parseRecord(payload, serverId);
  if (isFault(record)) return record;
  const { nextIdentityHash } = record;
  // @impl CF-014~1: else a stolen identity key could name its own successor.
  if (named !== undefined && !sameBytes(named, nextIdentityHash)) {
    return fault('peer', ErrorCode.SUCCESSION_INVALID, 'the record names another next identity than before');
  }
  return {
    record,
    hash: recordHash(suite, payload),
    envelope,
    trust: { serverId, identity, nextIdentityHash },
    moved: chain.moved,
    floor: chain.floor,
  };
}
