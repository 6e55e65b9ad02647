/** Programs whose output nobody reads any more, as with `| head`. */
import { afterAll, expect, it } from 'vitest';
import { Place } from '../programs.ts';
import { until } from '../until.ts';

const place = new Place();
const A = place.path('A');
afterAll(() => place.clean());

it('a host goes on, and a command ends as others do, without a word', async () => {
  const host = place.start('clawchatd', ['--data', A, '--listen', '127.0.0.1']);
  host.child.stdout?.destroy();
  await until('it is well', async () => (await place.run('clawchatd', ['health', '--data', A])).code === 0);
  const commands = [
    ['status', '--data', A],
    ['config', '--json', '--data', A],
  ];
  for (const args of commands) {
    const command = place.start('clawchatd', args);
    command.child.stdout?.destroy();
    expect(await command.ended).toMatchObject({ code: 141, stderr: '' });
  }
  await place.join(A, place.path('B'));
  const listen = place.start('clawchat', ['listen', '--from', '0', '--data', place.path('B')]);
  listen.child.stdout?.destroy();
  await place.ok('clawchat', ['send', 'hello', '--data', place.path('B')]);
  expect(await listen.ended).toMatchObject({ code: 141, stderr: '' });
  expect((await host.stop()).code).toBe(0);
});
