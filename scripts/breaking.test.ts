/** The promise of the wire: the image is committed, nothing breaks it, and a break shows. */
import { existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';
import { breaking, IMAGE, needsImage, writeImage } from './breaking.ts';

const ROOT = fileURLToPath(new URL('..', import.meta.url));
const YAML = 'version: v2\nmodules:\n  - path: proto\nbreaking:\n  use:\n    - WIRE_JSON\n';
const PROTO = 'syntax = "proto3";\npackage a.v1;\nmessage M {\n  uint32 one = 1;\n}\n';

test('proto/ breaks nothing that the committed image promises', () => {
  if (!needsImage(ROOT)) return;
  expect(existsSync(join(ROOT, IMAGE)), `${IMAGE} is absent: npm run breaking -- --write`).toBe(true);
  expect(breaking(ROOT)).toEqual([]);
});

test('a field that changes its type, its number or its name breaks; a new field does not', () => {
  const tree = mkdtempSync(join(tmpdir(), 'clawchat-breaking-'));
  try {
    mkdirSync(join(tree, 'proto/a/v1'), { recursive: true });
    writeFileSync(join(tree, 'buf.yaml'), YAML);
    const write = (text: string): void => writeFileSync(join(tree, 'proto/a/v1/m.proto'), text);
    expect(needsImage(tree)).toBe(false);
    write(PROTO);
    expect(needsImage(tree)).toBe(true);
    writeImage(tree);
    expect(breaking(tree)).toEqual([]);
    write(PROTO.replace('}', '  uint32 two = 2;\n}'));
    expect(breaking(tree)).toEqual([]);
    for (const field of ['string one = 1;', 'uint32 one = 2;', 'uint32 first = 1;']) {
      write(PROTO.replace('uint32 one = 1;', field));
      expect(breaking(tree), field).not.toEqual([]);
    }
    rmSync(join(tree, IMAGE));
    write(PROTO);
    expect(breaking(tree)).not.toEqual([]);
  } finally {
    rmSync(tree, { recursive: true });
  }
});
