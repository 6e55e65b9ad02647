import { readFileSync } from 'node:fs';
import { expect, it } from 'vitest';
import { ErrorCode } from '../../gen/clawchat/v1/error_pb.ts';
import { codeName } from '../../protocol/fault.ts';
import { exitCode } from './exit-code.ts';

it('gives each error the exit code of its row in the spec', () => {
  const rows = readFileSync('spec/09-errors.md', 'utf8').matchAll(
    /^\| `(\w+)` \| [^|]+ \| [^|]+ \| (\d+|-) \|/gm,
  );
  const said = new Map([...rows].map(([, name, exit]) => [name, exit]));
  const codes = Object.values(ErrorCode).filter(code => typeof code === 'number' && code !== 0);
  expect(codes.length).toBeGreaterThan(60);
  for (const code of codes) {
    const exit = said.get(codeName(code));
    expect(exit, codeName(code)).toBeDefined();
    if (exit !== '-') expect(String(exitCode(code)), codeName(code)).toBe(exit);
  }
});
