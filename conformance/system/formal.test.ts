/** The model of rotation, searched to its end within bounds, and its broken variants, each caught (chapter 6). */
import { execFileSync } from 'node:child_process';
import { copyFileSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, describe, expect, test } from 'vitest';

const MODEL = fileURLToPath(new URL('../../spec/formal/rotation.pml', import.meta.url));
const root = mkdtempSync(join(tmpdir(), 'clawchat-formal-'));
afterAll(() => rmSync(root, { recursive: true, force: true }));

interface Search {
  readonly states: number;
  readonly errors: number;
  /** The first assertion that did not hold. */
  readonly violated: string | undefined;
  readonly isWhole: boolean;
  /** What no run of the host reached, by line. */
  readonly unreached: readonly number[];
}

let searches = 0;

/** Search every state that the model can reach with these definitions. */
function search(definitions: readonly string[]): Search {
  searches += 1;
  const directory = mkdtempSync(join(root, `${searches}-`));
  copyFileSync(MODEL, join(directory, 'rotation.pml'));
  const run = (command: string, ...words: string[]): string =>
    execFileSync(command, words, { cwd: directory, encoding: 'utf8', maxBuffer: 1 << 26 });
  run('spin', '-a', ...definitions.map(name => `-D${name}`), 'rotation.pml');
  run('gcc', '-O2', '-DSAFETY', '-DCOLLAPSE', '-DVECTORSZ=2048', '-DMEMLIM=3000', '-o', 'pan', 'pan.c');
  const said = run('./pan', '-m200000');
  const host = /unreached in proctype Host\n([\s\S]*?)\n(?:unreached|$)/.exec(said)?.[1] ?? '';
  return {
    states: Number(/([\d.e+]+) states, stored/.exec(said)?.[1] ?? 0),
    errors: Number(/errors: (\d+)/.exec(said)?.[1] ?? -1),
    violated: /assertion violated (.*) \(at depth/.exec(said)?.[1],
    isWhole: !/Search not completed|max search depth too small|reached -DMEMLIM/.test(said),
    unreached: [...host.matchAll(/rotation\.pml:(\d+)/g)].map(([, line]) => Number(line)),
  };
}

const BOUNDS: readonly (readonly string[])[] = [
  ['TIME_MAX=24', 'CRASHES=2', 'EMERGENCIES=0'],
  ['TIME_MAX=16', 'CRASHES=2', 'EMERGENCIES=1'],
  ['TIME_MAX=13', 'CRASHES=1', 'EMERGENCIES=2'],
  ['TIME_MAX=18', 'CRASHES=0', 'EMERGENCIES=2'],
];

describe('RT-100~1, RT-101~1, RT-107~1, RT-109~2, RT-119~1, RT-121~1, RT-141~1, RT-151~1', () => {
  test('no reachable state breaks a promise, and every row is reached', () => {
    let everywhere: Set<number> | undefined;
    for (const bounds of BOUNDS) {
      const found = search(bounds);
      console.log(`${bounds.join(' ')}: ${found.states} states`);
      expect(found).toMatchObject({ errors: 0, violated: undefined, isWhole: true });
      expect(found.states).toBeGreaterThan(100_000);
      const lines = new Set(found.unreached);
      // Without emergencies their rows are not reached: the lines are read right.
      if (bounds.includes('EMERGENCIES=0')) expect(lines.size).toBeGreaterThan(10);
      everywhere = everywhere === undefined ? lines : both(everywhere, lines);
    }
    expect([...(everywhere ?? [])]).toEqual([]);
  });

  test.each([
    ['EFFECT_FIRST', 'RT-101', /d\.primary==/],
    ['RETIRE_AT_R', 'RT-100', /until\[was\]<=now/],
    ['NO_HOLD', 'RT-107', /^\(store==m\.next\)$/],
    ['FORGET_OLD', 'RT-121', /until\[i\]>now.*open\[i\]/],
    ['EARLY_END', 'RT-141', /m\.hard\|\|\(store==m\.primary\)/],
    ['KEEP_NEXT', 'RT-109', /count<=/],
    ['BREAK_FIRST', 'RT-151', /path>0/],
    ['EPOCH_AGAIN', 'RT-119', /m\.epoch>left/],
  ])('the variant %s is caught by %s', (variant, _, property) => {
    const found = search(['TIME_MAX=18', 'CRASHES=1', 'EMERGENCIES=1', variant]);
    expect(found.errors).toBe(1);
    expect(found.violated).toMatch(property);
  });
});

function both(a: ReadonlySet<number>, b: ReadonlySet<number>): Set<number> {
  return new Set([...a].filter(line => b.has(line)));
}
