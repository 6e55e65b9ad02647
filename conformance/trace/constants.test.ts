/** The table of constants: what is written from it, and which rows are refused. */
import { describe, expect, test } from 'vitest';
import { parseConstants, renderConstants } from './constants.ts';

describe('constants', () => {
  const row = (cells: string): string =>
    `| name | standard | minimal | unit | meaning |\n|---|---|---|---|---|\n${cells}\n`;

  test('both presets, plain constants and lists are written', () => {
    const table = row(
      '| `A_MS` | 310,000 | 1,034 | ms | x `y` |\n| `B_BYTES` | 4,096 / 262,144 | 4,096 / 262,144 | bytes | z |',
    );
    const { constants, findings } = parseConstants(table);
    expect(findings).toEqual([]);
    expect(renderConstants(constants)).toMatch(
      /interface Constants \{\n {2}\/\*\* ms: x y\. \*\/\n {2}readonly A_MS: number;\n\}[\s\S]*STANDARD: Constants = \{\n {2}A_MS: 310_000,\n\};[\s\S]*MINIMAL: Constants = \{\n {2}A_MS: 1034,\n\};[\s\S]*export const B_BYTES: readonly number\[\] = \[4096, 262_144\];\n$/,
    );
  });

  test.each([
    ['| A_MS | 1 | 1 | ms | x |', 'is no name'],
    ['| `A` | 1 | 1 | ms | x |', 'is no name'],
    ['| `A_MS` | 1000 | 1000 | ms | x |', 'a value is'],
    ['| `A_MS` | 9,007,199,254,740,993 | 1 | ms | x |', 'a value is'],
    ['| `A_BYTES` | 2 / 1 | 2 / 1 | bytes | x |', 'a value is'],
    ['| `A_MS` | 1 | 1 | s | x |', 'disagree'],
    ['| `A_LIFE` | 1 | 1 | ms | x |', 'disagree'],
    ['| `A_MS` | 310,000 | 1,033 | ms | x |', 'neither'],
    ['| `A_BYTES` | 300 | 1 | bytes | x |', 'neither'],
    ['| `A_MS` | 1 | ms | x |', 'five cells'],
    ['| `A_MS` | 1 | 1 | ms | x |\n| `A_MS` | 1 | 1 | ms | x |', 'stands twice'],
  ])('%s is refused', (cells, message) => {
    const { findings } = parseConstants(row(cells));
    expect(findings).toMatchObject([{ kind: 'constant', message: expect.stringContaining(message) }]);
  });
});
