/** Every attack on freshness fails, and succeeds when its defence is removed (spec/02-threats.md, T-05, T-08, T-14). */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { afterAll, expect, test } from 'vitest';
import { buildProgram, type Edit } from '../system/mutant.ts';
import { attacks } from './freshness-attacks.ts';

const programs = mkdtempSync(join(tmpdir(), 'clawchat-attacks-'));
afterAll(() => rmSync(programs, { recursive: true, force: true }));

const FRESHNESS = 'src/protocol/freshness.ts';
const READING = 'src/discovery/reading.ts';
const ENVELOPE = 'src/protocol/envelope.ts';
const noSignature: Edit = {
  file: ENVELOPE,
  find: 'if (!suite.ed25519Verify(identity, recordSigningInput(payload), signature))',
  replace: 'if (signature.length === 0)',
};

/** What is taken away, by attack. */
const DEFENCES: Readonly<Record<string, readonly Edit[]>> = {
  // CF-032, DI-034
  rollback: [
    { file: FRESHNESS, find: 'if (sequence < lowest) {', replace: 'if (sequence < 0) {' },
    {
      file: FRESHNESS,
      find: 'if (newest === undefined || sequence > newest.sequence ||',
      replace: 'if (newest === undefined || sequence !== newest.sequence ||',
    },
    {
      file: READING,
      find: 'if (held === undefined || fresh?.record.moved === true || found.sequence > held.sequence) {',
      replace:
        'if (held === undefined || fresh?.record.moved === true || found.sequence !== held.sequence) {',
    },
  ],
  // DI-036
  freeze: [
    {
      file: READING,
      find: 'if (witness === undefined) return;',
      replace: 'if (witness !== undefined) return;',
    },
  ],
  // CF-033
  equivocation: [
    {
      file: READING,
      find: '} else if (!sameBytes(found.hash, held.hash)) {',
      replace: '} else if (found.hash.length === 0) {',
    },
  ],
  // CF-007
  'fast-forward by a stranger': [noSignature],
  // CF-012
  'fast-forward by a thief': [
    {
      file: FRESHNESS,
      find: 'const newest = verified.moved ? undefined : held.newest;',
      replace: 'const newest = held.newest;',
    },
  ],
  'mix-and-match': [noSignature],
  // CF-004, and the header as associated data: either alone is enough.
  'mix-and-match of halves': [
    {
      file: 'src/protocol/connection-file.ts',
      find: 'const salt = suite.randomBytes(SALT_BYTES);',
      replace: 'const salt = new Uint8Array(SALT_BYTES);',
    },
    {
      file: 'src/protocol/connection-file.ts',
      find: 'aead.sealInto(file, at, NONCE, header, plaintext);',
      replace: 'aead.sealInto(file, at, NONCE, NONCE, plaintext);',
    },
    {
      file: 'src/protocol/connection-file.ts',
      find: 'aead.open(NONCE, parts.header, parts.sealed)',
      replace: 'aead.open(NONCE, NONCE, parts.sealed)',
    },
    {
      file: 'src/protocol/connection-file.ts',
      find: 'const contentKey = suite.randomBytes(KEY_BYTES);',
      replace: 'const contentKey = new Uint8Array(KEY_BYTES);',
    },
  ],
  // CF-020
  "replay of another host's file": [
    {
      file: 'src/protocol/connection-record.ts',
      find: 'if (serverId !== undefined && !sameBytes(message.serverId, serverId)) {',
      replace: 'if (serverId !== undefined && message.serverId.length === 0) {',
    },
  ],
  // DI-028
  'a restored backup': [
    {
      file: 'src/node/host/survey.ts',
      find: "if (verdict.kind !== 'record' || !isDatabaseOld(native, known, verdict.record)) continue;",
      replace: "if (verdict.kind !== 'record' || isDatabaseOld(native, known, verdict.record)) continue;",
    },
  ],
};

test.each(Object.keys(attacks))('%s fails', name => {
  expect(attacks[name]?.()).toBe(false);
});

test.each(Object.keys(attacks))('%s succeeds without its defence', async name => {
  const edits = DEFENCES[name];
  if (edits === undefined) throw new Error(`${name} has no defence that could be removed`);
  const out = join(programs, `${name.replace(/\W/g, '-')}.mjs`);
  await buildProgram('conformance/sim/freshness-attacks.ts', out, edits);
  const broken = (await import(pathToFileURL(out).href)) as { attacks: typeof attacks };
  expect(broken.attacks[name]?.()).toBe(true);
});
