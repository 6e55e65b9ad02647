/** An invite whose file the system does not let anybody write: no invite stays open, and it is said why. */
import { execFileSync } from 'node:child_process';
import { mkdirSync } from 'node:fs';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { Place } from '../programs.ts';

const place = new Place();
const host = place.path('A');
const sealed = place.path('sealed');
beforeAll(() => {
  mkdirSync(sealed);
  execFileSync('mount', ['-t', 'tmpfs', '-o', 'ro', 'tmpfs', sealed]);
});
afterAll(async () => {
  execFileSync('umount', [sealed]);
  await place.clean();
});

it('is refused before the invite is made, with the whole path and what to do', async () => {
  const running = await place.host(host);
  const ended = await place.run('clawchatd', ['invite', '--data', host, '--file', 'sealed/ann.invite']);
  expect([ended.code, ended.stdout]).toEqual([6, '']);
  expect(ended.stderr).toBe(
    `clawchatd: [FILE_UNWRITABLE] ${sealed}/ann.invite cannot be written (EROFS): name a place where you may write\n`,
  );
  expect(await place.ok('clawchatd', ['invites', '--data', host, '--json'])).toBe('');
  await running.stop();
});
