/** Every event that is logged has its line in docs/operations.md, and every line an event. */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';
import { LOG_EVENTS } from './log-events.ts';

const SOURCES = fileURLToPath(new URL('.', import.meta.url));
/** Notes of the rotation are logged under their names; the compiler holds the table to them. */
const NOTE = /\{ what: '([a-z-]+)'/g;
const LOGGED = /log(?:Of\([^)]*\))?(?:\[level\])?\s*\??\.?(?:debug|info|warn|error)?\(\s*'([a-z-]+)'/g;

test('the table of events is that of the code', () => {
  const node = readdirSync(SOURCES, { recursive: true, encoding: 'utf8' })
    .filter(path => /(?<!\.test)\.ts$/.test(path))
    .map(path => readFileSync(join(SOURCES, path), 'utf8'));
  const protocol = join(SOURCES, '../protocol');
  const machine = readdirSync(protocol)
    .filter(name => /^rotation.*(?<!\.test)\.ts$/.test(name))
    .map(name => readFileSync(join(protocol, name), 'utf8'));
  const found = (texts: readonly string[], pattern: RegExp): string[] =>
    texts.flatMap(text => [...text.matchAll(pattern)].map(([, name = '']) => name));
  const logged = new Set([...found(node, LOGGED), ...found(machine, NOTE)]);
  expect([...logged].sort()).toEqual(LOG_EVENTS.map(([name]) => name));
});
