/**
 * A moving host behind a slow and lossy network, with connections that are cut and stall: three people, a bulk stream, and the
 * ledgers compared at the end. For `.ci/deep`; exits with 1 when something is wrong.
 *
 *   npx tsx conformance/system/net/rotation-net.ts [--rotations 200] [--delay 40] [--jitter 10] [--loss 1] [--seed N]
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { MINIMAL } from '../../../src/gen/constants.ts';
import { seeded } from '../../../src/services/chat/testing/scheduler.ts';
import { logged } from '../host-log.ts';
import { HostWatch } from '../moving-relay.ts';
import { Place } from '../programs.ts';
import { summary, Talkers } from '../talkers.ts';
import { NetBed } from './bed.ts';

const { values } = parseArgs({
  options: {
    rotations: { type: 'string', default: '200' },
    delay: { type: 'string', default: '40' },
    jitter: { type: 'string', default: '10' },
    loss: { type: 'string', default: '1' },
    seed: { type: 'string', default: String(Math.floor(Math.random() * 2 ** 32)) },
  },
});
const rotations = Number(values.rotations);
const random = seeded(Number(values.seed));
process.env['CLAWCHAT_PRESET'] = 'minimal';

const WRITE_EVERY_MS = 100;
const BULK_BYTES_A_SECOND = 200_000;

async function trouble(
  bed: NetBed,
  watch: HostWatch,
  isOver: () => boolean,
): Promise<Record<string, number>> {
  const counts = { stalled: 0, lost: 0, cut: 0 };
  while (!isOver()) {
    await sleep(500 + random() * 4000);
    const kind = random();
    if (kind < 0.4) {
      counts.stalled += 1;
      await bed.stall(random() * 2000, false);
    } else if (kind < 0.6) {
      counts.lost += 1;
      await bed.stall(random() * 3000, true);
    } else {
      const open = (await watch.status())?.places.filter(({ open: is }) => is) ?? [];
      const chosen = open[Math.floor(random() * open.length)];
      if (chosen === undefined) continue;
      counts.cut += 1;
      bed.cut(chosen.port);
    }
  }
  return counts;
}

async function run(place: Place, bed: NetBed): Promise<readonly string[]> {
  await bed.up({
    delayMs: Number(values.delay),
    jitterMs: Number(values.jitter),
    lossPercent: Number(values.loss),
  });
  place.prefix = name => bed.in(name === 'clawchatd' ? 'host' : 'clients');
  const A = place.path('A');
  const address = bed.hostAddress;
  const host = await place.host(A, ['--advertise', address, '--listen', address, '--bench']);
  const watch = new HostWatch(A);
  const talkers = await Talkers.join(place, A, ['ann', 'bob', 'cy']);
  await talkers.flow();
  const bytes = Math.ceil(rotations * (MINIMAL.ROTATION_INTERVAL_MS / 1000) * BULK_BYTES_A_SECOND);
  const rate = ['--bytes', String(bytes), '--rate', String(BULK_BYTES_A_SECOND)];
  const bulk = place.start('clawchat', ['bench-stream', '--json', '--data', place.path('bob'), ...rate]);
  talkers.start(WRITE_EVERY_MS);
  const broken = await trouble(bed, watch, () => logged(host, 'rotated').length >= rotations);
  const bulkEnd = await bulk.ended;
  const { wrong, messages, sessionsLost } = await talkers.finish(A);
  const delays = talkers.deliveries.flatMap(({ writtenAt, seenAt }) => seenAt.map(at => at - writtenAt));
  console.log(`${messages} messages through ${logged(host, 'rotated').length} moves;`, broken);
  console.log(
    `delivery: ${summary(delays)}; bulk: ${JSON.parse(bulk.lines.at(-1) ?? '{}').bytes} of ${bytes} bytes`,
  );
  watch.close();
  await host.stop();
  return [
    ...wrong,
    ...(sessionsLost === 0 ? [] : [`${sessionsLost} sessions were lost`]),
    ...(bulkEnd.code === 0 ? [] : [`the bulk stream ended with ${bulkEnd.code}: ${bulkEnd.stderr}`]),
  ];
}

const place = new Place();
const bed = new NetBed();
console.log(`--rotations ${rotations} --delay ${values.delay} --loss ${values.loss} --seed ${values.seed}`);
try {
  const wrong = await run(place, bed);
  for (const line of wrong) console.log(`WRONG: ${line}`);
  process.exitCode = wrong.length === 0 ? 0 : 1;
} finally {
  await place.clean();
  await bed.down();
}
