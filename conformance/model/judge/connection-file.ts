/** Judges vectors of `connection-file`. */
import { stream, unhex } from '../bytes.ts';
import { sealFile } from '../connection-file.ts';
import { buildFile, outcomeOf, readerOf, shownSealed } from '../file-cases.ts';
import { array, bytes, number, object, text } from '../json.ts';
import { ed25519Public } from '../primitives.ts';
import { readEnvelope, readFile } from '../record.ts';
import { envelope, filling } from '../record-samples.ts';
import type { JsonObject } from '../vector.ts';
import type { Judge, Outcome } from './judge.ts';

/** Judge a vector of `connection-file`. */
export const judgeConnectionFile: Judge = (input, _shared, vectors) => {
  if (text(input, 'what') === 'seal') return seal(input);
  const reader = readerOf(object(input, 'client'));
  const nowMs = number(input, 'now_ms');
  const { debug, ...outcome } = outcomeOf(() =>
    text(input, 'what') === 'read file'
      ? readFile(buildFile(input, vectors), reader, nowMs)
      : readEnvelope(bytes(input, 'envelope'), reader, nowMs),
  );
  return outcome as Outcome;
};

function seal(input: JsonObject): Outcome {
  const secret = bytes(input, 'identity_secret');
  const signed = envelope(bytes(input, 'payload'), { secret, publicKey: ed25519Public(secret) });
  const fileKeys = keys(input);
  const inOrder = input['places'] === 'in order';
  const places = inOrder ? fileKeys.map((_, i) => i) : array(input, 'places').map(Number);
  const file = sealFile({
    envelope: signed,
    salt: bytes(input, 'salt'),
    contentKey: bytes(input, 'content_key'),
    fileKeys,
    filler: filling(text(input, 'filling')),
    places: () => places,
  });
  return { output: shownSealed(file, signed, file.bytes === 4096) };
}

function keys(input: JsonObject): readonly Uint8Array[] {
  if (Array.isArray(input['file_keys'])) return input['file_keys'].map(one => unhex(String(one)));
  const described = object(input, 'file_keys');
  const name = text(described, 'stream_each');
  return Array.from({ length: number(described, 'count') }, (_, i) => stream(`${name}${i}`, 32));
}
