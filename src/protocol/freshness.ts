/** Which records a client accepts, in what order, and by which clock (spec/03-connection-file.md, 3.4 and 3.5). */
import type { Suite } from '../crypto/suite.ts';
import { ErrorCode } from '../gen/clawchat/v1/error_pb.ts';
import { sameBytes } from '../wire/bytes.ts';
import type { ChannelKey, ConnectionRecord } from './connection-record.ts';
import { type Envelope, parseEnvelope, type VerifiedRecord, verifyEnvelope } from './envelope.ts';
import { type Fault, fault, isFault } from './fault.ts';
import type { Trust } from './succession.ts';

/** Names a record: what a refusal and a handshake tell. */
export interface RecordName {
  readonly sequence: number;
  readonly hash: Uint8Array;
}

/** The highest record that a client has accepted. */
export interface HeldRecord extends RecordName {
  readonly record: ConnectionRecord;
  /** The exact bytes of the SignedEnvelope. */
  readonly envelope: Uint8Array;
}

/** What a client holds of its host. */
export interface Held {
  readonly trust: Trust;
  /** Sequence floor of the last succession that it followed; 0 for none. */
  readonly floor: number;
  /** Undefined before the first record. */
  readonly newest: HeldRecord | undefined;
}

/** A record was new: `held` is to be stored durably before anything of it is used (CF-034~1). */
export interface Accepted {
  readonly kind: 'accepted';
  readonly held: Held & { readonly newest: HeldRecord };
  /** CLOCK_SUSPECT when the record is stored, but must not be dialled without the person's consent. */
  readonly clock: Fault | undefined;
}

/** The record is the one that is held. */
export interface Unchanged {
  readonly kind: 'unchanged';
  readonly clock: Fault | undefined;
}

/** A refused record, with the client's own {sequence, hash} where they differ. @impl CF-032~2 */
export interface Refusal extends Fault {
  readonly own: RecordName | undefined;
}

/** What became of a record. */
export type Acceptance = Accepted | Unchanged | Refusal;

/** Begin with whom an invite trusts, and no record. */
export function trusting(trust: Trust): Held {
  return { trust, floor: 0, newest: undefined };
}

/**
 * Judge a SignedEnvelope, from a file, a notice or an enrolment reply: steps 6 to 9 of 3.4.
 *
 * `wallMs` is the system clock, read once. A refusal changes nothing. @impl CF-030~1
 */
export function acceptEnvelope(suite: Suite, held: Held, envelope: Envelope, wallMs: number): Acceptance {
  const verified = verifyEnvelope(suite, held.trust, envelope);
  if (isFault(verified)) return { ...verified, own: undefined };
  const { record, hash } = verified;
  // After a succession only its floor counts, also downwards. @impl CF-012~1
  const newest = verified.moved ? undefined : held.newest;
  const floor = verified.moved ? verified.floor : held.floor;
  const stale = staleness(verified, newest, floor);
  if (stale !== undefined) return { ...stale, own: held.newest && nameOf(held.newest) };
  if (newest !== undefined && record.sequence === newest.sequence) {
    return { kind: 'unchanged', clock: clockFault(record, wallMs) };
  }
  const next = { sequence: record.sequence, hash, record, envelope: envelope.bytes };
  return {
    kind: 'accepted',
    held: { trust: verified.trust, floor, newest: next },
    clock: clockFault(record, wallMs),
  };
}

/** Judge the bytes of a SignedEnvelope, which are copied: as `acceptEnvelope`, and FILE_MALFORMED. */
export function acceptEnvelopeBytes(suite: Suite, held: Held, bytes: Uint8Array, wallMs: number): Acceptance {
  const envelope = parseEnvelope(bytes.slice());
  return isFault(envelope) ? { ...envelope, own: undefined } : acceptEnvelope(suite, held, envelope, wallMs);
}

/** Step 8. @impl CF-013~1, CF-032~2, CF-033~2 */
function staleness(
  verified: VerifiedRecord,
  newest: HeldRecord | undefined,
  floor: number,
): Fault | undefined {
  const { sequence } = verified.record;
  const lowest = Math.max(floor, verified.floor, newest?.sequence ?? 0);
  if (sequence < lowest) {
    const detail = `the record has sequence ${sequence}, and ${lowest} is known already`;
    return fault('peer', ErrorCode.RECORD_ROLLBACK, detail);
  }
  if (newest === undefined || sequence > newest.sequence || sameBytes(verified.hash, newest.hash))
    return undefined;
  const detail = `two different records have sequence ${sequence}; the first is kept`;
  return fault('peer', ErrorCode.RECORD_EQUIVOCATION, detail);
}

/**
 * Choose the channel key to dial with: the first that has not expired by max(system clock, issued_at of the record,
 * which is the highest accepted one). Faults: CLOCK_SUSPECT. @impl CF-040~1, CF-041~1
 */
export function channelKeyFor(record: ConnectionRecord, wallMs: number): ChannelKey | Fault {
  const now = Math.max(wallMs, record.issuedAtMs);
  const key = record.channelKeys.find(({ notAfterMs }) => now <= notAfterMs);
  if (key !== undefined) return key;
  const detail =
    `by this machine's clock it is ${new Date(wallMs).toISOString()} and every key of the host is expired; ` +
    `the host's newest record is of ${new Date(record.issuedAtMs).toISOString()}`;
  return fault('time', ErrorCode.CLOCK_SUSPECT, detail);
}

/** Step 9. */
function clockFault(record: ConnectionRecord, wallMs: number): Fault | undefined {
  const key = channelKeyFor(record, wallMs);
  return isFault(key) ? key : undefined;
}

function nameOf({ sequence, hash }: RecordName): RecordName {
  return { sequence, hash };
}
