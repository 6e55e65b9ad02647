/** What an answer of a store is worth, once its candidates were opened by a client's rules (spec/07-discovery.md). */
import type { Suite } from '../crypto/suite.ts';
import { ErrorCode } from '../gen/clawchat/v1/error_pb.ts';
import { openFile } from '../protocol/connection-file.ts';
import { type Envelope, verifyEnvelope } from '../protocol/envelope.ts';
import { type Fault, fault, isFault } from '../protocol/fault.ts';
import type { RecordName } from '../protocol/freshness.ts';
import type { Trust } from '../protocol/succession.ts';
import type { StoreAnswer, StoreFailure } from './store.ts';

/** What an opened file says of itself. `moved` when a succession was followed: it is newer whatever its sequence is. */
export interface Opened extends RecordName {
  readonly moved?: boolean;
}

/** An answer, judged. */
export type Verdict<T extends Opened> =
  | { readonly kind: 'record'; readonly record: T; readonly bytes: Uint8Array }
  | { readonly kind: 'invalid'; readonly fault: Fault }
  | { readonly kind: 'unchanged' }
  | { readonly kind: 'absent' }
  | StoreFailure;

/** A file that opened, with what `acceptEnvelope` takes. */
export interface OpenedFile extends Opened {
  readonly envelope: Envelope;
}

/** Open files as the device with this file key: steps 1 to 7 of 3.4, and the floor of the file's own succession. */
export function opener(
  suite: Suite,
  fileKey: Uint8Array,
  trust: Trust,
): (bytes: Uint8Array) => OpenedFile | Fault {
  return bytes => {
    const envelope = openFile(suite, bytes, fileKey);
    if (isFault(envelope)) return envelope;
    const verified = verifyEnvelope(suite, trust, envelope);
    if (isFault(verified)) return verified;
    const { hash, moved, floor } = verified;
    const { sequence } = verified.record;
    if (sequence >= floor) return { sequence, hash, moved, envelope };
    const detail = `the record has sequence ${sequence}, below the floor ${floor} of its own succession`;
    return fault('peer', ErrorCode.RECORD_ROLLBACK, detail);
  };
}

/**
 * Open every candidate of an answer and keep the newest valid one. @impl DI-005~1
 *
 * `open` does not judge whether a sequence is too low: that is for the caller. When no candidate opens, the fault is that of the file itself.
 */
export function judge<T extends Opened>(
  answer: StoreAnswer,
  open: (bytes: Uint8Array) => T | Fault,
): Verdict<T> {
  if (answer.kind !== 'file') return answer;
  const first = open(answer.bytes);
  let best: Verdict<T> = isFault(first)
    ? { kind: 'invalid', fault: first }
    : { kind: 'record', record: first, bytes: answer.bytes };
  for (const bytes of answer.others) {
    const record = open(bytes);
    if (isFault(record)) continue;
    if (best.kind === 'record' && !isNewer(record, best.record)) continue;
    best = { kind: 'record', record, bytes };
  }
  return best;
}

/** Does `a` come after `b`, one of the two having followed a succession or having the higher sequence? */
function isNewer(a: Opened, b: Opened): boolean {
  const [moved, before] = [a.moved === true, b.moved === true];
  return moved === before ? a.sequence > b.sequence : moved;
}
