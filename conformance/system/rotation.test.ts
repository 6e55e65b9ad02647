/**
 * Nobody inside notices a move: three people write and listen and one sends a bulk stream, while the host moves from port to
 * port and connections break. CONFORMANCE_ROTATIONS says how often it moves (5), CONFORMANCE_SEED repeats what breaks.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, describe, expect, it } from 'vitest';
import { MINIMAL } from '../../src/gen/constants.ts';
import { seeded } from '../../src/services/chat/testing/scheduler.ts';
import { type Logged, logged } from './host-log.ts';
import { type Break, MovingRelay } from './moving-relay.ts';
import { Place, type Running } from './programs.ts';
import { type Delivery, summary, Talkers } from './talkers.ts';

process.env['CLAWCHAT_PRESET'] = 'minimal';

const ROTATIONS = Math.max(3, Number(process.env['CONFORMANCE_ROTATIONS'] ?? 5));
const SEED = Number(process.env['CONFORMANCE_SEED'] ?? Math.floor(Math.random() * 2 ** 32));
/** In these nothing breaks, so that a move is measured alone. */
const CALM_ROTATIONS = 2;
const INTERVAL_MS = MINIMAL.ROTATION_INTERVAL_MS;
const LIMIT_MS = ROTATIONS * INTERVAL_MS + 240_000;
/** A second of the bulk stream; it lasts a bit longer than the last move. */
const BULK_BYTES = 2_000_000;
const WRITE_EVERY_MS = 50;
const BREAKS: readonly Break[] = ['reset', 'end', 'freeze'];

const NAMES = ['ann', 'bob', 'cy'];
const RELAY = '127.0.0.2';
const place = new Place();
afterAll(() => place.clean());

interface Stretch {
  readonly from: number;
  readonly to: number;
}

/** From each publishing of a next port to the end of the one before. */
function moves(host: Running): readonly Stretch[] {
  const ends = logged(host, 'retired');
  const [, ...published] = logged(host, 'record-publishing');
  return published.flatMap(({ at: from }, index) => {
    const to = ends[index]?.at;
    return to === undefined ? [] : [{ from, to }];
  });
}

function delays(deliveries: readonly Delivery[], within: readonly Stretch[]): readonly number[] {
  return deliveries
    .filter(({ writtenAt }) => within.some(({ from, to }) => from <= writtenAt && writtenAt <= to))
    .flatMap(({ writtenAt, seenAt }) => seenAt.map(at => at - writtenAt));
}

/** Break a connection about each second, and more often in a move, until the host has moved as often as it should. */
async function storm(relay: MovingRelay, host: Running): Promise<void> {
  const random = seeded(SEED);
  while (logged(host, 'retired').length < ROTATIONS) {
    await sleep(random() * (relay.isMoving ? 300 : 1800));
    const how = BREAKS[Math.floor(random() * BREAKS.length)] ?? 'reset';
    relay.break(how, random(), random() * 700);
  }
}

describe('a host that moves', () => {
  it(
    `takes everybody along through ${ROTATIONS} moves and broken connections: each message once, in order (RT-105, RT-106, RT-150, RT-151, CH-012)`,
    async () => {
      console.log(`CONFORMANCE_ROTATIONS=${ROTATIONS} CONFORMANCE_SEED=${SEED}`);
      const A = place.path('A');
      const host = await place.host(A, ['--advertise', RELAY, '--bench']);
      const relay = new MovingRelay(A, RELAY);
      try {
        const talkers = await Talkers.join(place, A, NAMES);
        await talkers.flow();
        const bytes = Math.ceil((ROTATIONS + 0.5) * (INTERVAL_MS / 1000) * BULK_BYTES);
        const bulk = place.start('clawchat', [
          'bench-stream',
          ...['--json', '--data', place.path('bob'), '--bytes', String(bytes), '--rate', String(BULK_BYTES)],
        ]);
        const began = Date.now();
        talkers.start(WRITE_EVERY_MS);
        while (logged(host, 'retired').length < CALM_ROTATIONS) await sleep(50);
        const calm = moves(host);
        const calmEnd = Date.now();
        // Make before break: no attempt fails, and no path ends but those that a new one has replaced.
        expect(talkers.logged('dial-failed')).toEqual([]);
        const ended = (): readonly Logged[] => logged(host, 'path-closed').filter(({ at }) => at > began);
        // A slow machine's last ones leave with the listener, and are logged behind its end.
        while (ended().length < CALM_ROTATIONS * NAMES.length) await sleep(50);
        const closed = ended();
        const superseded = { code: 'PATH_SUPERSEDED', why: '' };
        expect(closed.map(({ code, why }) => ({ code, why }))).toEqual(
          Array.from({ length: CALM_ROTATIONS * NAMES.length }, () => superseded),
        );
        await storm(relay, host);
        const bulkEnd = await bulk.ended;
        const { wrong, messages, sessionsLost } = await talkers.finish(A);

        const all = talkers.deliveries;
        const rest = { from: calm[0]?.to ?? 0, to: calm[1]?.from ?? 0 };
        const last = JSON.parse(bulk.lines.at(-1) ?? '{}');
        console.log(`${messages} messages; broke`, relay.broken, `${relay.brokenInMove} of them in a move`);
        console.log(`delivery at rest:       ${summary(delays(all, [rest]))}`);
        console.log(`delivery during a move: ${summary(delays(all, calm))}`);
        console.log(`with broken links too:  ${summary(delays(all, [{ from: calmEnd, to: Date.now() }]))}`);
        console.log(
          `bulk: ${last.bytes} bytes, longest wait ${Math.max(...bulk.lines.map(line => JSON.parse(line).worst_delay_us)) / 1000} ms`,
        );

        expect(wrong).toEqual([]);
        expect(sessionsLost).toBe(0);
        expect(bulkEnd.code, bulkEnd.stderr).toBe(0);
        expect(last).toMatchObject({ done: true, bytes });
        // It was under way before the first move and behind the last one.
        expect(last.elapsed_ms).toBeGreaterThan((ROTATIONS + 0.4) * INTERVAL_MS);
        expect(logged(host, 'rotated').length).toBeGreaterThanOrEqual(ROTATIONS);
        expect(relay.ports.size).toBeGreaterThan(ROTATIONS);
        for (const how of BREAKS) expect(relay.broken[how], how).toBeGreaterThan(0);
        expect(relay.brokenInMove).toBeGreaterThan(0);
      } finally {
        await relay.close();
      }
    },
    LIMIT_MS,
  );
});
