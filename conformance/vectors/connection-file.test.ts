/** The reference implementation against connection-file.json: sealing byte for byte, and every step of reading. */
import { describe, expect, it } from 'vitest';
import { noble } from '../../src/crypto/noble.ts';
import { type Suite, withEntropy } from '../../src/crypto/suite.ts';
import { native } from '../../src/node/native.ts';
import { openFile, sealFile } from '../../src/protocol/connection-file.ts';
import type { ConnectionRecord } from '../../src/protocol/connection-record.ts';
import { type Envelope, parseEnvelope, signRecord, verifyEnvelope } from '../../src/protocol/envelope.ts';
import { codeName, isFault } from '../../src/protocol/fault.ts';
import { withField } from '../../src/protocol/fixtures.ts';
import { acceptEnvelope, type Held, trusting } from '../../src/protocol/freshness.ts';
import {
  bytes,
  expand,
  type Fields,
  fields,
  hex,
  type Json,
  list,
  loadFamily,
  manyBytes,
  number,
  releasedHash,
  text,
  type Vector,
} from './load.ts';
import { storeFields } from './store-fields.ts';

const { vectors } = loadFamily('connection-file');
const byId = new Map(vectors.map(vector => [vector.id, vector]));

/** Hand out entropy so that salt, content key, filling and places are those of the vector. */
function taped(suite: Suite, input: Fields, keys: readonly Uint8Array[]): Suite {
  const places =
    input['places'] === 'in order' ? keys.map((_, i) => i) : (input['places'] as readonly Json[]).map(number);
  const free: number[] = [];
  let draws = -1;
  return withEntropy(suite, length => {
    draws += 1;
    if (draws === 0) return bytes(input['salt']);
    if (draws === 1) return bytes(input['content_key']);
    if (draws === 2) {
      for (let i = 0; i < length / 56; i += 1) free.push(i);
      return expand(text(input['filling']), length);
    }
    // The n-th draw picks among the places that are left: from `n` on, each at the index where the shuffle has it.
    const n = draws - 3;
    const at = free.indexOf(places[n] ?? -1);
    free[at] = free[n] ?? 0;
    free[n] = places[n] ?? 0;
    const out = new Uint8Array(4);
    new DataView(out.buffer).setUint32(0, at - n);
    return out;
  });
}

function checkSeal(suite: Suite, { input, output }: Vector): void {
  const keys = manyBytes(input['file_keys']);
  const envelope = signRecord(suite, bytes(input['identity_secret']), bytes(input['payload']), []);
  const parsed = parseEnvelope(envelope);
  expect(!isFault(parsed) && hex(parsed.signature)).toBe(output['signature']);
  const file = sealFile(taped(suite, input, keys), { envelope, recipients: keys });
  if (isFault(file)) throw new Error(file.detail);
  expect(file.length).toBe(output['size']);
  expect(releasedHash(file)).toBe(output['file_sha256']);
  if (output['file'] !== undefined) expect(hex(file)).toBe(hex(bytes(output['file'])));
  for (const key of [keys[0], keys.at(-1)]) {
    if (key === undefined) continue;
    const opened = openFile(suite, file, key);
    expect(!isFault(opened) && hex(opened.bytes)).toBe(hex(envelope));
  }
}

/** Put a file together from what a vector says. */
function fileOf(value: Json | undefined): Uint8Array {
  if (typeof value === 'string') return bytes(value);
  const of = fields(value);
  if ('stream' in of) return bytes(of);
  if ('base' in of)
    return list(of['edits']).reduce(edited, fileOf(byId.get(text(of['base']))?.input['file']));
  const { count, filling, own } = fields(of['stanzas']);
  const stanzas = expand(text(filling), number(count) * 56);
  for (const { at, stanza } of list(own)) stanzas.set(bytes(stanza), number(at) * 56);
  let header: Uint8Array = new Uint8Array(0);
  header = withField(header, 1, BigInt(number(of['version'])));
  header = withField(header, 2, bytes(of['salt']));
  header = withField(header, 3, stanzas);
  if (of['padding'] !== undefined) header = withField(header, 4, new Uint8Array(number(of['padding'])));
  return withField(withField(new Uint8Array(0), 1, header), 2, bytes(of['sealed']));
}

function edited(file: Uint8Array, edit: Fields): Uint8Array {
  const { cut, append, at, flip, remove, insert } = edit;
  if (cut !== undefined) return file.slice(0, number(cut));
  if (append !== undefined) return Uint8Array.from([...file, ...bytes(append)]);
  const place = number(at);
  if (flip === undefined) {
    return Uint8Array.from([
      ...file.subarray(0, place),
      ...bytes(insert ?? ''),
      ...file.subarray(place + number(remove ?? 0)),
    ]);
  }
  const out = file.slice();
  out[place] = (out[place] ?? 0) ^ (1 << number(flip));
  return out;
}

function heldBy(client: Fields): Held {
  const next = client['next_identity_hash'];
  const trust = {
    serverId: bytes(client['server_id']),
    identity: bytes(client['identity']),
    nextIdentityHash: next === null || next === undefined ? undefined : bytes(next),
  };
  const highest = client['highest'];
  if (highest === null || highest === undefined) return trusting(trust);
  const { sequence, hash } = fields(highest);
  // Nothing else of the highest record is looked at.
  const record = {} as ConnectionRecord;
  const newest = { sequence: number(sequence), hash: bytes(hash), record, envelope: new Uint8Array(0) };
  return { ...trusting(trust), newest };
}

function recordFields(record: ConnectionRecord): Fields {
  return {
    protocol_version: record.protocolVersion,
    server_id: hex(record.serverId),
    epoch: record.epoch,
    sequence: record.sequence,
    issued_at_ms: record.issuedAtMs,
    valid_until_ms: record.validUntilMs,
    next_rotation_ms: record.nextRotationMs,
    endpoints: record.endpoints.map(({ host, port, notBeforeMs, notAfterMs }) => ({
      host,
      port,
      not_before_ms: notBeforeMs,
      not_after_ms: notAfterMs,
    })),
    channel_keys: record.channelKeys.map(({ publicKey, notAfterMs }) => ({
      public_key: hex(publicKey),
      not_after_ms: notAfterMs,
    })),
    tls_pins: record.tlsPins.map(hex),
    access_keys: record.accessKeys.map(({ epoch, key }) => ({ epoch, key: hex(key) })),
    next_identity_hash: hex(record.nextIdentityHash),
    suites: [...record.suites],
    stores: record.stores.map(storeFields),
  };
}

function checkRead(suite: Suite, { input, output, error, also, released }: Vector): void {
  const client = fields(input['client']);
  const held = heldBy(client);
  const names = [error, ...also];
  const envelope =
    input['what'] === 'read file'
      ? openFile(suite, fileOf(input['file']), bytes(client['file_key']))
      : parseEnvelope(bytes(input['envelope']));
  if (isFault(envelope)) {
    expect(names).toContain(codeName(envelope.code));
    return;
  }
  const result = acceptEnvelope(suite, held, envelope, number(input['now_ms']));
  if (result.kind === 'fault') {
    expect(names).toContain(codeName(result.code));
    return;
  }
  expect(result.clock && codeName(result.clock.code)).toBe(error);
  expect(released).toBe(releasedHash(envelope.payload));
  checkOutput(suite, held, envelope, output, result.kind === 'accepted' ? result.held : undefined);
}

function checkOutput(
  suite: Suite,
  before: Held,
  envelope: Envelope,
  output: Fields,
  after: Held | undefined,
): void {
  const verified = verifyEnvelope(suite, before.trust, envelope);
  if (isFault(verified)) throw new Error(verified.detail);
  const wanted = fields(output['record']);
  const stores = list(wanted['stores']).filter(store => Object.keys(store).length > 0);
  expect(recordFields(verified.record)).toEqual({ ...wanted, stores });
  expect(hex(verified.hash)).toBe(output['hash']);
  expect(hex(verified.trust.identity)).toBe(output['identity']);
  expect(verified.moved).toBe(number(output['followed']) > 0);
  if (after !== undefined) {
    expect(after.trust).toEqual(verified.trust);
    expect(after.newest).toMatchObject({ sequence: verified.record.sequence, hash: verified.hash });
  }
}

for (const suite of [native, noble]) {
  describe(suite.name, () => {
    it.each(vectors.map(vector => [vector.id, vector] as const))('%s', (_, vector) => {
      if (vector.input['what'] === 'seal') checkSeal(suite, vector);
      else checkRead(suite, vector);
    });
  });
}
