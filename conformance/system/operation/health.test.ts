/** What `status` and `health` say of a host that is well, starts, hangs, or is not there. */
import { afterAll, expect, it } from 'vitest';
import { Place } from '../programs.ts';

const place = new Place();
const A = place.path('A');
afterAll(() => place.clean());

it('of one that is not there', async () => {
  const ended = await place.run('clawchatd', ['health', '--data', A, '--timeout', '300ms']);
  expect(ended.code).toBe(4);
  expect(ended.stdout).toMatch(/^not well: .*nothing runs on .*\n$/);
});

it('of one that starts, is well, and hangs', async () => {
  const waiting = place.start('clawchatd', ['health', '--data', A, '--wait', '60s', '--timeout', '1s']);
  const host = await place.host(A);
  await place.join(A, place.path('B'), 'Ann');
  const ended = await waiting.ended;
  expect(ended.code).toBe(0);
  expect(ended.stdout).toMatch(/^ok: port \d+, moves in .*, . of . devices here, 1 of 1 stores answer\n$/);
  const screen = await place.ok('clawchatd', ['status', '--data', A]);
  expect(screen.split('\n').length).toBeLessThan(30);
  for (const expected of [
    /^state {6}well$/m,
    /^serving {4}on port \d+; started \d+ s ago$/m,
    /^record {5}number \d+, moves in about \d+ min/m,
    /^person {5}Ann: away, seen within the hour$/m,
    /^store {6}\S+\/connection\.clawchat: verified /m,
    /^warning {4}the next identity key lies on this machine/m,
  ])
    expect(screen).toMatch(expected);
  host.child.kill('SIGSTOP');
  const hung = await place.run('clawchatd', ['health', '--json', '--data', A, '--timeout', '500ms']);
  host.child.kill('SIGCONT');
  expect(hung.code).toBe(4);
  expect(JSON.parse(hung.stdout)).toMatchObject({ well: false });
  expect((await place.run('clawchatd', ['health', '--data', A])).code).toBe(0);
});
