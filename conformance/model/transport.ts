/** Transport records: one key a direction, the nonce is the place (spec/05-session.md, 5.1). */
import { WIRE_RECORD_BYTES_MAX, WIRE_RECORDS_HARD_MAX } from '../../src/gen/constants.ts';
import { EMPTY } from './bytes.ts';
import { noiseNonce } from './noise.ts';
import { aeadOpen, aeadSeal } from './primitives.ts';
import { demand } from './refusal.ts';

/** Seal the record at a place. */
export function sealRecord(key: Uint8Array, place: number, plain: Uint8Array): Uint8Array {
  return aeadSeal(key, noiseNonce(place), EMPTY, plain);
}

/** Open the record that has to be at a place. */
export function openRecord(key: Uint8Array, place: number, record: Uint8Array): Uint8Array {
  demand(place < WIRE_RECORDS_HARD_MAX, 'TRANSPORT_EXHAUSTED', 'more records than a path may carry');
  demand(record.length <= WIRE_RECORD_BYTES_MAX, 'TRANSPORT_FAILED', 'too long');
  const plain = aeadOpen(key, noiseNonce(place), EMPTY, record);
  demand(plain !== undefined, 'TRANSPORT_FAILED', 'does not open');
  return plain;
}
