/**
 * A moving host that is killed at any instant of its cycle and started again: everybody comes back without being told, and has
 * the same. CONFORMANCE_ROTATION_KILLS says how often (20), CONFORMANCE_SEED repeats a run.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, describe, expect, it } from 'vitest';
import { MINIMAL } from '../../src/gen/constants.ts';
import { draw, seeded } from '../../src/services/chat/testing/scheduler.ts';
import { logged } from './host-log.ts';
import { HostWatch } from './moving-relay.ts';
import { PATIENCE_MS, Place, type Running } from './programs.ts';
import { Talkers } from './talkers.ts';

process.env['CLAWCHAT_PRESET'] = 'minimal';

const KILLS = Number(process.env['CONFORMANCE_ROTATION_KILLS'] ?? 20);
const SEED = Number(process.env['CONFORMANCE_SEED'] ?? Math.floor(Math.random() * 2 ** 32));
const LIMIT_MS = 240_000 + KILLS * 20_000;
const INTERVAL_MS = MINIMAL.ROTATION_INTERVAL_MS_MIN;
/** What a kill waits for in turn; `publishing` lasts for a few milliseconds, and is hit by chance. */
const PHASES = ['any', 'preparing', 'verified', 'starting', 'grace', 'emergency', 'resting'] as const;
/** How far into a phase a kill goes. */
const DEPTH_MS = 200;
const WRITE_EVERY_MS = 40;

const place = new Place();
const A = place.path('A');
const watch = new HostWatch(A);
const random = seeded(SEED);
afterAll(async () => {
  watch.close();
  await place.clean();
});

function startHost(): Running {
  return place.start('clawchatd', ['--data', A, '--listen', '127.0.0.1', '--interval', `${INTERVAL_MS}ms`]);
}

/** Wait for the instant at which the host is to die; gives the phase that it is in then. */
async function instant(host: Running, wanted: (typeof PHASES)[number]): Promise<string> {
  if (wanted === 'starting') {
    await sleep(random() * 600);
    return 'starting';
  }
  await host.line(line => line.includes(' is ready'));
  if (wanted === 'any') await sleep(random() * INTERVAL_MS);
  else {
    if (wanted === 'emergency') await watch.emergency(random() < 0.5);
    const end = Date.now() + PATIENCE_MS;
    // An emergency may be over before anybody has looked.
    while (wanted !== 'emergency' && (await watch.status())?.phase !== wanted) {
      if (Date.now() > end) throw new Error(`the host is never ${wanted}`);
      await sleep(5);
    }
    await sleep(random() * DEPTH_MS);
  }
  return (await watch.status())?.phase ?? 'unknown';
}

describe('a moving host that is killed', () => {
  it(
    `has lost and doubled nothing after ${KILLS} kills in its cycle (RT-101, RT-119, RT-120, RT-121, RT-123, RT-124, CH-012)`,
    async () => {
      console.log(`CONFORMANCE_ROTATION_KILLS=${KILLS} CONFORMANCE_SEED=${SEED}`);
      let host = startHost();
      const hosts = [host];
      await host.line(line => line.includes(' is ready'));
      const talkers = await Talkers.join(place, A, ['ann', 'bob']);
      await talkers.flow();
      talkers.start(WRITE_EVERY_MS);
      const phases: Record<string, number> = {};
      const backMs: number[] = [];
      for (let kill = 0; kill < KILLS; kill += 1) {
        const phase = await instant(host, PHASES[kill % PHASES.length] ?? 'any');
        phases[phase] = (phases[phase] ?? 0) + 1;
        watch.close();
        await host.stop('SIGKILL');
        await sleep(draw(random, 3) * random() * 400);
        host = startHost();
        hosts.push(host);
        if (kill % 4 !== 3) continue;
        const began = Date.now();
        await talkers.flow();
        backMs.push(Date.now() - began);
      }
      await host.line(line => line.includes(' is ready'));
      const { wrong, messages } = await talkers.finish(A);
      console.log(`${messages} messages; killed while`, phases);
      console.log(`from a start to a message by everybody to everybody: ${backMs.join(', ')} ms`);
      expect(wrong).toEqual([]);
      // Whatever it died of, it goes on where it was: no number comes twice for something else, and no store knows more.
      const sequences = hosts.flatMap(each =>
        logged(each, 'record-publishing').map(({ sequence }) => sequence ?? 0),
      );
      expect(sequences).toEqual([...sequences].sort((a, b) => a - b));
      expect(hosts.flatMap(each => logged(each, 'alarm'))).toEqual([]);
      if (KILLS >= PHASES.length)
        for (const phase of ['starting', 'resting', 'preparing', 'verified', 'grace'])
          expect(phases[phase], phase).toBeGreaterThan(0);
    },
    LIMIT_MS,
  );
});
