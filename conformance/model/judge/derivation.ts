/** Judges vectors of `derivation` and `words`. */
import { hex, unhex } from '../bytes.ts';
import { array, bytes, has, number, text } from '../json.ts';
import * as labels from '../labels.ts';
import { ed25519Sign, x25519Public } from '../primitives.ts';
import type { JsonObject } from '../vector.ts';
import { words, writeWords } from '../words.ts';
import type { Judge } from './judge.ts';

const DERIVATIONS: Readonly<Record<string, (input: JsonObject) => Uint8Array>> = {
  label: input => labels.label(text(input, 'name')),
  derive: input =>
    labels.derive(
      bytes(input, 'ikm'),
      bytes(input, 'salt'),
      text(input, 'name'),
      array(input, 'context').map(part => unhex(String(part))),
      number(input, 'length'),
    ),
  hash: input => labels.hash(text(input, 'name'), ...array(input, 'parts').map(part => unhex(String(part)))),
  'server id': input => labels.serverId(bytes(input, 'identity')),
  'next identity': input => labels.nextIdentityHash(bytes(input, 'identity')),
  'record hash': input => labels.recordHash(bytes(input, 'payload')),
  'device id': input => labels.deviceId(bytes(input, 'device_key')),
  'words hash': input => labels.wordsHash(bytes(input, 'identity'), bytes(input, 'device_key')),
  'content hash': input => labels.contentHash(bytes(input, 'content')),
  'invite checksum': input => labels.inviteChecksum(bytes(input, 'invite')),
  'invite static': input => labels.inviteKeys(bytes(input, 'secret')).secretKey,
  'invite psk': input => labels.inviteKeys(bytes(input, 'secret')).psk,
  'invite gate': input => labels.inviteKeys(bytes(input, 'secret')).gateKey,
  'invite file': input => labels.inviteKeys(bytes(input, 'secret')).fileKey,
  'device psk': input => labels.deviceKeys(new Uint8Array(32), bytes(input, 'secret')).psk,
  'device gate': input => labels.deviceKeys(new Uint8Array(32), bytes(input, 'secret')).gateKey,
  'device file': input => labels.deviceKeys(new Uint8Array(32), bytes(input, 'secret')).fileKey,
  'x25519 public': input => x25519Public(bytes(input, 'secret_key')),
  'stanza tag': input => labels.fileTag(bytes(input, 'file_key'), bytes(input, 'salt')),
  'stanza key': input => labels.fileWrapKey(bytes(input, 'file_key'), bytes(input, 'salt')),
  'seal key': input => labels.fileSealKey(bytes(input, 'content_key'), bytes(input, 'salt')),
  'gate handle': input => labels.gateHandle(bytes(input, 'gate_key'), number(input, 'epoch')),
  'gate mac key': input =>
    labels.gateMacKey(bytes(input, 'gate_key'), bytes(input, 'access_key'), number(input, 'epoch')),
  'signed record': input =>
    ed25519Sign(bytes(input, 'identity_secret'), labels.signedRecord(bytes(input, 'bytes'))),
  'signed succession': input =>
    ed25519Sign(bytes(input, 'identity_secret'), labels.signedSuccession(bytes(input, 'bytes'))),
  prologue: input =>
    labels.prologue(
      number(input, 'protocol_version'),
      number(input, 'suite'),
      bytes(input, 'server_id'),
      number(input, 'epoch'),
    ),
};

/** Judge a vector of `derivation`. */
export const judgeDerivation: Judge = input => {
  const run = DERIVATIONS[text(input, 'what')];
  if (run === undefined) throw new Error(`no derivation ${text(input, 'what')}`);
  return { output: { value: hex(run(input)) } };
};

/** Judge a vector of `words`. */
export const judgeWords: Judge = input => {
  if (has(input, 'bytes')) return { output: { words: writeWords(bytes(input, 'bytes')) } };
  return { output: { words: words(bytes(input, 'identity'), bytes(input, 'device_key')) } };
};
