/** What a device is told that the operator has removed (spec/07-discovery.md, 7.5; spec/12-control.md, CT-045). */
import { afterEach, expect, test } from 'vitest';
import { Place } from './programs.ts';

const place = new Place();
afterEach(() => place.clean());

// CT-045~4, DI-038~1
test('a device that was revoked is told so at once, and waits for nothing', async () => {
  const [hostData, bob, cat] = [place.path('host'), place.path('bob'), place.path('cat')];
  await place.host(hostData);
  await place.join(hostData, bob, 'Bob');
  await place.join(hostData, cat, 'Cat');
  const chat = place.start('clawchat', ['chat', '--data', bob], 'pipe');
  await chat.line(line => line.includes('where lobby begins'));
  const listening = place.start('clawchat', ['listen', '--from', '0', '--data', cat], 'pipe');
  chat.child.stdin?.write('hello\n');
  await chat.line(line => line.includes('hello [sent]'));
  await listening.line(line => line.includes('Bob: hello'));
  await place.ok('clawchatd', ['revoke', 'Bob', '--data', hostData]);
  await place.ok('clawchatd', ['revoke', 'Cat', '--data', hostData]);
  for (const running of [chat, listening]) {
    const { code, stderr } = await running.ended;
    expect([code, stderr]).toEqual([
      4,
      expect.stringMatching(/\[DEVICE_REVOKED\] this device was revoked: ask the/),
    ]);
  }
  // Nothing ran when it happened: the host says what it says to a stranger, and the store tells the rest.
  const sent = await place.run('clawchat', ['send', 'hi', '--timeout', '1h', '--data', bob]);
  expect([sent.code, sent.stderr]).toEqual([
    4,
    expect.stringMatching(
      /\[NOT_A_RECIPIENT\] no store has a file for this device any more, so it was revoked/,
    ),
  ]);
});
