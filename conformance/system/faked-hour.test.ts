/**
 * The standard hour, with clocks that go ten or twenty times as fast: no preset, the tables of the protocol. Without
 * CONFORMANCE_FAKED_HOURS one move on demand; with it so many hours, each with its own move.
 */
import { existsSync, readdirSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, describe, expect, it } from 'vitest';
import { STANDARD } from '../../src/gen/constants.ts';
import { logged } from './host-log.ts';
import { HostWatch } from './moving-relay.ts';
import { Place } from './programs.ts';
import { Talkers } from './talkers.ts';

const HOURS = Number(process.env['CONFORMANCE_FAKED_HOURS'] ?? 0);
/** A handshake has 5 s: half a second is left of them, or a quarter on a machine that does nothing else. */
const SPEED = HOURS === 0 ? 10 : 20;
const WRITE_EVERY_MS = 250;
/** In true time: what one move takes from the request on, or an hour, and as much again. */
const LIMIT_MS = 120_000 + (2 * Math.max(1, HOURS) * STANDARD.ROTATION_INTERVAL_MS) / SPEED;

const library = readdirSync('/usr/lib')
  .map(name => `/usr/lib/${name}/faketime/libfaketimeMT.so.1`)
  .find(path => existsSync(path));
const began = Date.now();
const place = new Place();
// Each process begins where the clocks of the others are by now.
place.environment = () => ({
  LD_PRELOAD: library ?? '',
  FAKETIME: `+${(((SPEED - 1) * (Date.now() - began)) / 1000).toFixed(3)} x${SPEED}`,
});
const watch = new HostWatch(place.path('A'));
afterAll(async () => {
  watch.close();
  await place.clean();
});

describe('the standard hour', () => {
  it(
    'nobody inside notices a move: each message once and in order (RT-103, RT-105, RT-150, RT-151)',
    async () => {
      expect(library, 'apt-get install faketime').toBeDefined();
      const A = place.path('A');
      const host = await place.host(A, []);
      const talkers = await Talkers.join(place, A, ['ann', 'bob', 'cy']);
      await talkers.flow();
      talkers.start(WRITE_EVERY_MS);
      const before = await watch.status();
      if (HOURS === 0) await place.ok('clawchatd', ['rotate', '--data', A]);
      const moves = Math.max(1, HOURS);
      for (const end = Date.now() + LIMIT_MS; ; await sleep(200)) {
        if (Date.now() > end)
          throw new Error(`${logged(host, 'rotated').length} moves\n${host.stderr().slice(-4000)}`);
        const [newest] = (await watch.status())?.places.filter(({ role }) => role === 'primary') ?? [];
        if (logged(host, 'rotated').length >= moves && newest?.paths === 3) break;
      }
      const { wrong, messages, sessionsLost } = await talkers.finish(A);
      const first = logged(host)[0]?.at ?? 0;
      const hours = (logged(host, 'rotated').at(-1)?.at ?? 0) - first;
      console.log(
        `${messages} messages through ${moves} moves; by the host's clock ${Math.round(hours / 60_000)} minutes in ${Math.round((Date.now() - began) / 1000)} s`,
      );
      expect(wrong).toEqual([]);
      expect(sessionsLost).toBe(0);
      expect((await watch.status())?.port).not.toBe(before?.port);
      // The table of the protocol, not the one for tests.
      const [published] = logged(host, 'record-publishing').slice(-1);
      const [rotated] = logged(host, 'rotated').slice(-1);
      const leadMs = (rotated?.at ?? 0) - (published?.at ?? 0);
      expect(leadMs).toBeGreaterThan(STANDARD.PUBLISH_LEAD_MS - STANDARD.VERIFY_LEAD_MS);
      expect(leadMs).toBeLessThan(STANDARD.PUBLISH_LEAD_MS + STANDARD.VERIFY_LEAD_MS);
      await host.stop();
    },
    LIMIT_MS + 60_000,
  );
});
