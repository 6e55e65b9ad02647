/** The README's table has every command, and none that there is not. */
import { readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { CLAWCHAT } from '../../src/node/cli/clawchat-program.ts';
import { CLAWCHATD } from '../../src/node/cli/clawchatd-program.ts';

const section = readFileSync('README.md', 'utf8').split('\n## The programs\n')[1]?.split('\n## ')[0] ?? '';
const rows = section.split('\n').flatMap(line => {
  const [, commands] = /^\| (`clawchat.*?) \| /.exec(line.replaceAll('\\|', '/')) ?? [];
  return commands === undefined ? [] : [commands];
});

describe.each([CLAWCHATD, CLAWCHAT])('$name', ({ name, commands }) => {
  /** What the table names of this program: `clawchat join X`, and `status` behind it. */
  const named = new Set(
    rows.flatMap(row => {
      let program = '';
      return [...row.matchAll(/`(?:(clawchatd?) )?([a-z-]+)?[^`]*`/g)].flatMap(([, said, command]) => {
        program = said ?? program;
        return program === name && command !== undefined ? [command] : [];
      });
    }),
  );

  test('has all of its commands in the table', () => {
    expect(named.size).toBeGreaterThan(5);
    expect(
      commands
        .filter(command => command.name !== '' && !named.has(command.name))
        .map(command => command.name),
    ).toEqual([]);
  });

  test('has no other there', () => {
    const known = new Set(commands.flatMap(({ name: own, words = '' }) => [own, ...words.split(/[^a-z]+/)]));
    expect([...named].filter(command => !known.has(command) && !command.startsWith('-'))).toEqual([]);
  });
});
