/** Judges vectors of `records`. */
import { concat, hex } from '../bytes.ts';
import { pad, readFrame, readRow, row, shownFrame } from '../frame.ts';
import { array, bytes, bytesOf, number, text } from '../json.ts';
import { sha256 } from '../primitives.ts';
import { attempt } from '../refusal.ts';
import { openRecord, sealRecord } from '../transport.ts';
import { type JsonObject, released } from '../vector.ts';
import type { Judge, Outcome } from './judge.ts';

/** The longest record that stands in a vector in full. */
const WHOLE = 1024;

/** Judge a vector of `records`. */
export const judgeRecords: Judge = input => {
  switch (text(input, 'what')) {
    case 'seal':
      return seal(input);
    case 'open':
      return open(input);
    case 'row':
      return readAll([bytes(input, 'plaintext')]);
    default: {
      const frame = attempt(() => readFrame(bytes(input, 'frame')));
      return 'refusal' in frame
        ? { error: frame.refusal.code }
        : { output: { frame: shownFrame(frame.value) } };
    }
  }
};

function seal(input: JsonObject): Outcome {
  const plain = pad(row(array(input, 'frames').map(bytesOf)));
  const record = sealRecord(bytes(input, 'key'), number(input, 'place'), plain);
  const output = { bytes: record.length, sha256: hex(sha256(record)) };
  return { output: record.length > WHOLE ? output : { ...output, record: hex(record) } };
}

function open(input: JsonObject): Outcome {
  const key = bytes(input, 'key');
  const plains: Uint8Array[] = [];
  for (const [i, record] of array(input, 'records').entries()) {
    const plain = attempt(() => openRecord(key, number(input, 'place') + i, bytesOf(record)));
    if ('refusal' in plain) return { ...readAll(plains), error: plain.refusal.code };
    plains.push(plain.value);
  }
  return readAll(plains);
}

/** Handle the frames of rows, up to the first fault. */
function readAll(plains: readonly Uint8Array[]): Outcome {
  const handled: Uint8Array[] = [];
  const shown: JsonObject[] = [];
  const outcome = attempt(() => {
    for (const plain of plains) {
      for (const frame of readRow(plain)) {
        shown.push(shownFrame(readFrame(frame)));
        handled.push(frame);
      }
    }
  });
  const result = { output: { frames: shown }, released: released(concat(...handled)) };
  return 'refusal' in outcome ? { ...result, error: outcome.refusal.code } : result;
}
