/** Regeneration is a no-op, and a changed source shows. */
import { cpSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';
import { differing, generate, readGenerated } from './generate.ts';

const ROOT = fileURLToPath(new URL('..', import.meta.url));

test('src/gen is what proto/ and spec/constants.md generate', async () => {
  const fresh = await generate(ROOT);
  expect(fresh.size).toBeGreaterThan(1);
  expect(differing(fresh, await readGenerated(ROOT))).toEqual([]);
});

test('a changed message, a changed constant and a stray file show', async () => {
  const tree = mkdtempSync(join(tmpdir(), 'clawchat-drift-'));
  try {
    symlinkSync(join(ROOT, 'node_modules'), join(tree, 'node_modules'));
    for (const path of ['proto', 'spec', 'src/gen', 'buf.yaml', 'buf.gen.yaml', 'package.json']) {
      cpSync(join(ROOT, path), join(tree, path), { recursive: true });
    }
    const change = (path: string, from: string, to: string): void => {
      const text = readFileSync(join(tree, path), 'utf8');
      expect(text).toContain(from);
      writeFileSync(join(tree, path), text.replace(from, to));
    };
    change('proto/clawchat/v1/error.proto', 'ERROR_CODE_FILE_ALTERED = 5', 'ERROR_CODE_FILE_ALTERED = 500');
    change('spec/constants.md', '`GRACE_MS` | 300,000 | 1,000 |', '`GRACE_MS` | 300,300 | 1,001 |');
    writeFileSync(join(tree, 'src/gen/stray.ts'), '');
    const changed = differing(await generate(tree), await readGenerated(tree));
    expect(changed).toEqual(['clawchat/v1/error_pb.ts', 'constants.ts', 'stray.ts']);
  } finally {
    rmSync(tree, { recursive: true });
  }
});
