/** The bundler on a small tree: the programs run by themselves, `ws` inside them. */
import { execFileSync, spawnSync } from 'node:child_process';
import {
  chmodSync,
  cpSync,
  mkdirSync,
  mkdtempSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeEach, expect, test } from 'vitest';

const ROOT = fileURLToPath(new URL('..', import.meta.url));
let tree: string;

beforeEach(() => {
  tree = mkdtempSync(join(tmpdir(), 'clawchat-build-'));
  mkdirSync(join(tree, 'scripts'));
  mkdirSync(join(tree, 'src/node'), { recursive: true });
  for (const name of ['scripts/build.mjs', 'scripts/bundle.mjs', 'scripts/types.mjs'])
    cpSync(join(ROOT, name), join(tree, name));
  writeFileSync(join(tree, 'package.json'), '{"type":"module","version":"1.2.3"}');
});
afterEach(() => rmSync(tree, { recursive: true }));

function build(...args: string[]): number | null {
  return spawnSync(process.execPath, [join(tree, 'scripts/build.mjs'), ...args], { cwd: '/' }).status;
}

test('a bundle is executable, knows its version, holds ws and leaves classic-level outside', () => {
  symlinkSync(join(ROOT, 'node_modules'), join(tree, 'node_modules'));
  const source = `import { WebSocketServer } from 'ws';
    import { ClassicLevel } from 'classic-level';
    declare const __VERSION__: string;
    new WebSocketServer({ port: 0, host: '127.0.0.1' }, function () { this.close(); });
    console.log(__VERSION__, typeof ClassicLevel);`;
  writeFileSync(join(tree, 'src/node/clawchatd.ts'), source);
  writeFileSync(
    join(tree, 'src/node/clawchat.ts'),
    source.replace(/.*classic-level.*\n/, '').replace('ClassicLevel', '0'),
  );
  expect(build()).toBe(0);
  const program = (name: string): string => join(tree, 'dist', `${name}.js`);
  expect(statSync(program('clawchatd')).mode & 0o777).toBe(0o755);
  expect(execFileSync(program('clawchatd'), { encoding: 'utf8' })).toBe('1.2.3 function\n');
  rmSync(join(tree, 'node_modules'));
  expect(execFileSync(program('clawchat'), { encoding: 'utf8' })).toBe('1.2.3 number\n');
  expect(spawnSync(program('clawchatd')).status).not.toBe(0);
});

test('a rebuild keeps the mode even where the old file had lost it', () => {
  symlinkSync(join(ROOT, 'node_modules'), join(tree, 'node_modules'));
  writeFileSync(join(tree, 'src/node/clawchat.ts'), 'console.log(1)');
  expect(build()).toBe(0);
  chmodSync(join(tree, 'dist/clawchat.js'), 0o600);
  expect(build('--if-possible')).toBe(0);
  expect(statSync(join(tree, 'dist/clawchat.js')).mode & 0o777).toBe(0o755);
});

test('without esbuild it fails, with --if-possible it does nothing', () => {
  writeFileSync(join(tree, 'src/node/clawchat.ts'), 'console.log(1)');
  expect(build()).not.toBe(0);
  expect(build('--if-possible')).toBe(0);
});

test('a broken source fails also with --if-possible', () => {
  symlinkSync(join(ROOT, 'node_modules'), join(tree, 'node_modules'));
  writeFileSync(join(tree, 'src/node/clawchat.ts'), 'console.log(');
  expect(build('--if-possible')).not.toBe(0);
});
