/** The reference implementation against records.json: sealing and opening byte for byte, rows, and every kind of frame. */
import { describe, expect, it } from 'vitest';
import { noble } from '../../src/crypto/noble.ts';
import { Records } from '../../src/crypto/record.ts';
import type { Suite } from '../../src/crypto/suite.ts';
import { native } from '../../src/node/native.ts';
import { codeName, isFault } from '../../src/protocol/fault.ts';
import { Path } from '../../src/protocol/path.ts';
import type { Fault } from '../../src/wire/fault.ts';
import { decodeFrame, decodeFull, encodeFrame, type Frame } from '../../src/wire/frame.ts';
import { RowReader, RowWriter } from '../../src/wire/row.ts';
import { cipherAt, rowOf, shownFrame } from './frames.ts';
import { bytes, type Fields, hex, loadFamily, manyBytes, number, releasedHash, type Vector } from './load.ts';

const { vectors } = loadFamily('records');
const of = (what: string): [string, Vector][] =>
  vectors.filter(({ input }) => input['what'] === what).map(vector => [vector.id, vector]);
/** Fills whatever is needed up to a place. */
const NOTHING = new Uint8Array(0);
const NO_RECORD = new Uint8Array(16);

/** How many frames were written by the row writer as well: the others hold fields of a later version. */
let written = 0;

function checkSeal(suite: Suite, { input, output }: Vector): void {
  const frames = manyBytes(input['frames']);
  const place = number(input['place']);
  const records = new Records({
    send: cipherAt(suite, bytes(input['key']), place),
    receive: cipherAt(suite, new Uint8Array(32), 0),
  });
  for (let i = 0; i < place; i += 1) records.seal(NOTHING);
  expect(records.sealed).toBe(place);
  const plaintext = rowOf(frames);
  const sealed = records.seal(plaintext);
  if (sealed === undefined) throw new Error(records.fault);
  expect(sealed.length).toBe(output['bytes']);
  expect(releasedHash(sealed)).toBe(output['sha256']);
  if (output['record'] !== undefined) expect(hex(sealed)).toBe(output['record']);
  const decoded = frames.map(bytes => decodeFrame(bytes)).filter(frame => !isFault(frame));
  if (decoded.some((frame, i) => hex(encodeFrame(frame)) !== hex(frames[i] ?? NOTHING))) return;
  const writer = new RowWriter();
  for (const frame of decoded) expect(writer.frame(frame)).toBe(true);
  expect(hex(writer.finish())).toBe(hex(plaintext));
  written += frames.length;
}

/** Take frames as a path hands them on, up to the first fault. */
function readAll(reader: RowReader | Fault, handled: Frame[]): Fault | undefined {
  if (!(reader instanceof RowReader)) return reader;
  for (let next = reader.next(); next !== undefined; next = reader.next()) {
    if (next.kind === 'fault') return next;
    handled.push(next);
  }
  return undefined;
}

/** The bytes of the first frames of plaintexts that hold at least so many. */
function encodings(plaintexts: readonly Uint8Array[], count: number): readonly Uint8Array[] {
  const all: Uint8Array[] = [];
  for (const plaintext of plaintexts) {
    for (let at = 0; at < plaintext.length && all.length < count; ) {
      let length = 0;
      for (let shift = 1, byte = 128; byte >= 128; shift *= 128) {
        byte = plaintext[at++] ?? 0;
        length += (byte % 128) * shift;
      }
      if (length === 0) break;
      all.push(plaintext.subarray(at, at + length));
      at += length;
    }
  }
  return all;
}

function checkRead(
  { output, error, also, released }: Vector,
  plaintexts: readonly Uint8Array[],
  readers: Iterable<RowReader | Fault>,
): void {
  const handled: Frame[] = [];
  let fault: Fault | undefined;
  for (const reader of readers) fault ??= readAll(reader, handled);
  expect(handled.map(shownFrame)).toEqual(output['frames']);
  expect(releasedHash(...encodings(plaintexts, handled.length))).toBe(released);
  if (fault === undefined) expect(error).toBeUndefined();
  else expect([error, ...also]).toContain(codeName(fault.code));
}

function checkOpen(suite: Suite, vector: Vector): void {
  const { input } = vector;
  const place = number(input['place']);
  const split = {
    send: cipherAt(suite, new Uint8Array(32), 0),
    receive: cipherAt(suite, bytes(input['key']), place),
  };
  const path = new Path(1, split, 'test', 0);
  for (let i = 0; i < place; i += 1) path.open(NO_RECORD, 0);
  const records = manyBytes(input['records']);
  const plaintexts: Uint8Array[] = [];
  const probe = cipherAt(suite, bytes(input['key']), place);
  for (let i = 0; i < place; i += 1) probe.decryptWithAd(NOTHING, NO_RECORD);
  for (const record of records) {
    const plaintext = record.length < 16 ? undefined : probe.decryptWithAd(NOTHING, record);
    if (plaintext === undefined) break;
    plaintexts.push(plaintext);
  }
  checkRead(
    vector,
    plaintexts,
    records.map(record => path.open(record, 0)),
  );
}

function checkFrame({ input, output, error, also }: Vector): void {
  const encoded = bytes(input['frame']);
  const frame = decodeFrame(encoded);
  // The short cut for the data path says the same as the decoder that knows every field.
  expect(frame).toEqual(encoded.length > 65_280 ? frame : decodeFull(encoded));
  if (isFault(frame)) {
    expect([error, ...also]).toContain(codeName(frame.code));
    return;
  }
  expect(error).toBeUndefined();
  const shown = shownFrame(frame);
  expect(shown).toEqual(output['frame']);
  if (Object.keys(shown).length === 0) return;
  // What this program writes of it reads the same, and is the same bytes if it is as long.
  const again = encodeFrame(frame);
  expect(shownAgain(again)).toEqual(shown);
  if (again.length === encoded.length) expect(hex(again)).toBe(hex(encoded));
}

function shownAgain(encoded: Uint8Array): Fields | undefined {
  const frame = decodeFrame(encoded);
  return isFault(frame) ? undefined : shownFrame(frame);
}

for (const suite of [native, noble]) {
  describe(suite.name, () => {
    it.each(of('seal'))('%s', (_, vector) => checkSeal(suite, vector));
    it.each(of('open'))('%s', (_, vector) => checkOpen(suite, vector));
    it('seals rows of the row writer among them', () => expect(written).toBeGreaterThan(5));
  });
}

describe('without keys', () => {
  it.each(of('row'))('%s', (_, vector) => {
    const plaintext = bytes(vector.input['plaintext']);
    checkRead(vector, [plaintext], [new RowReader(plaintext)]);
  });
  it.each(of('frame'))('%s', (_, vector) => checkFrame(vector));
});
