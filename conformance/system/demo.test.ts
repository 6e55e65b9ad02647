/** `npm run demo`, as it is run by a person and as it has to fail. */
import { spawn } from 'node:child_process';
import { expect, it } from 'vitest';

interface Shown {
  readonly code: number | null;
  readonly text: string;
}

function demo(...args: readonly string[]): Promise<Shown> {
  const file = new URL('../../scripts/demo/main.ts', import.meta.url).pathname;
  // A machine that does other things as well gets its time.
  const child = spawn(process.execPath, ['--import', 'tsx', file, '--limit', '240000', ...args]);
  let text = '';
  for (const stream of [child.stdout, child.stderr]) {
    stream.on('data', (piece: Buffer) => {
      text += piece.toString();
    });
  }
  return new Promise(resolve => child.on('close', code => resolve({ code, text })));
}

it('shows people who talk through a move of their host, and a wire that knows nothing', async () => {
  const { code, text } = await demo();
  expect(code, text).toBe(0);
  expect(text).toMatch(/^people \| Ann: is this line safe\?/m);
  expect(text).toMatch(/^wire {3}\| #\d+ (->|<-) :\d+ +\d+ B {2}17 03 03 /m);
  const [, from, to] =
    /has moved from port (\d+) to port (\d+)/.exec(text.slice(text.indexOf('watch the wire'))) ?? [];
  expect(Number(to)).toBeGreaterThan(0);
  expect(from).not.toBe(to);
  // The talk went on behind it.
  expect(text.indexOf('goodbye')).toBeGreaterThan(text.indexOf(`to port ${to}`));
  expect(text).toMatch(/in the clear 0 of \d+/);
});

it('fails when one line passes the wire in the clear', async () => {
  const { code, text } = await demo('--leak');
  expect(code, text).toBe(1);
  expect(text).toMatch(/stands on the wire, for everybody to read/);
  expect(text).toContain('The demonstration FAILED.');
});
