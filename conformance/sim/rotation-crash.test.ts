/** The host dies at every output of a day full of rotations, comes back, and keeps every promise (chapter 6, 6.6). */
import { expect, test } from 'vitest';
import { STANDARD } from '../../src/gen/constants.ts';
import type { Phase } from '../../src/protocol/rotation-state.ts';
import { Bench, WALL_AT } from './rotation-bench.ts';

const MINUTE = 60_000;
const HOUR = 60 * MINUTE;
const { HOLD_MS } = STANDARD;

/** A rotation, a rotation with a hold, one on demand, an emergency inside a rotation, another one in that. */
function live(bench: Bench): void {
  const { host, weather } = bench;
  bench.run(HOUR + 20 * MINUTE);
  weather.storeMs = undefined;
  bench.run(2 * HOUR + MINUTE);
  weather.storeMs = 2000;
  bench.run(2 * HOUR + HOLD_MS + 20 * MINUTE);
  host.input({ kind: 'rotateNow' });
  bench.run(2 * HOUR + HOLD_MS + 22 * MINUTE);
  host.input({ kind: 'emergency', isHard: false });
  bench.run(2 * HOUR + HOLD_MS + 22 * MINUTE + 20_000);
  host.input({ kind: 'emergency', isHard: true });
  bench.run(4 * HOUR);
}

/** One life that is cut short at the n-th output; undefined when it has fewer. */
function die(n: number, seed: number, downMs: number): { bench: Bench; phase: Phase } | undefined {
  const bench = new Bench({ seed, isMapped: true });
  bench.weather.commitMs = 5;
  let phase: Phase | undefined;
  const { host } = bench;
  host.dieAfter = n;
  const crashed = host.events.crashed.bind(host.events);
  host.events.crashed = () => {
    phase = host.durable?.phase ?? 'starting';
    crashed();
    bench.world.after(downMs, () => host.start());
  };
  live(bench);
  return phase === undefined ? undefined : { bench, phase };
}

test.each([
  ['a second', 1000],
  ['ten minutes', 10 * MINUTE],
  ['a day', 24 * HOUR],
])('RT-101~1, RT-120~1, RT-121~1, RT-123~1: dead at every output, down for %s', (_, downMs) => {
  const phases = new Map<Phase, number>();
  let deaths = 0;
  for (let n = 1; ; n++) {
    // With either seed a commit that is on its way survives, or does not.
    const lives = [1, 2].map(seed => die(n, seed, downMs));
    if (lives.every(life => life === undefined)) break;
    for (const life of lives) {
      if (life === undefined) continue;
      deaths += 1;
      phases.set(life.phase, (phases.get(life.phase) ?? 0) + 1);
      const { bench } = life;
      bench.run(4 * HOUR + downMs + 3 * HOUR);
      // It serves, it is found, and it rotates again.
      const { state, host } = bench;
      const primary = state.places.find(({ role }) => role === 'primary');
      expect(host.listeners.has(primary?.port ?? 0)).toBe(true);
      expect(state.record?.validUntilMs).toBeGreaterThan(host.now.wall);
      expect(bench.notes(4 * HOUR + downMs)).toContain('rotated');
      expect(host.mappings.size).toBe(host.listeners.size);
      expect([...host.accepted].sort()).toEqual(state.places.map(({ epoch }) => epoch).sort());
    }
  }
  console.log(`${deaths} deaths, by the phase that was durable:`, Object.fromEntries(phases));
  for (const phase of ['resting', 'preparing', 'publishing', 'verified', 'grace', 'emergency'] as const)
    expect(phases.get(phase) ?? 0).toBeGreaterThan(0);
});

test('RT-122~1: a mapping that a crash left behind is ended', () => {
  const bench = new Bench({ isMapped: true }).run(HOUR - STANDARD.PREPARE_LEAD_MS);
  const [, next] = bench.state.places;
  // The commit, then the end of the listener, then death: the mapping has not been ended.
  bench.host.dieAfter = 2;
  bench.host.input({ kind: 'emergency', isHard: false });
  bench.world.run(bench.world.now);
  expect(bench.host.state).toBeUndefined();
  expect(bench.host.durable?.places.map(({ port }) => port)).not.toContain(next?.port);
  expect([...bench.host.mappings]).toContain(next?.port);
  bench.host.start();
  bench.run(bench.world.now + 1000);
  expect([...bench.host.mappings]).not.toContain(next?.port);
});

test('RT-123~1: R passed while down: the next port is published at once', () => {
  const bench = new Bench().run(30 * MINUTE);
  bench.host.crash();
  bench.world.run(HOUR + MINUTE);
  bench.run(HOUR + MINUTE);
  const published = bench.seen('publish').at(-1);
  expect(published?.at).toBe(HOUR + MINUTE);
  expect(published?.record.ports).toHaveLength(2);
});

test('RT-125~1: a port that cannot be bound again gives way at once, and is tried as long as it is listed', () => {
  const bench = new Bench().run(30 * MINUTE);
  const [lost] = bench.state.places;
  bench.host.crash();
  bench.weather.canBind = port => port !== lost?.port;
  bench.run(31 * MINUTE);
  bench.world.run(31 * MINUTE + 10_000);
  expect(bench.notes()).toContain('port-lost');
  expect(bench.state.record?.ports.map(({ port }) => port)).not.toContain(lost?.port);
  bench.weather.canBind = () => true;
  bench.world.run(31 * MINUTE + 20_000);
  expect(bench.notes()).toContain('port-back');
  expect(bench.host.listeners.has(lost?.port ?? 0)).toBe(true);
  bench.run(HOUR + STANDARD.RETIRE_MS);
  expect(bench.host.listeners.has(lost?.port ?? 0)).toBe(false);
});

test('RT-115~1: on one port for good the older TLS key is presented again behind a crash, until its place ends', () => {
  const bench = new Bench({ fixedPort: 8443 }).run(HOUR + 1000);
  expect([...bench.host.listeners]).toEqual([[8443, 1]]);
  bench.host.crash();
  bench.run(HOUR + 2000);
  expect([...bench.host.listeners]).toEqual([[8443, 1]]);
  expect([...bench.host.accepted].sort()).toEqual([1, 2]);
  bench.run(HOUR + STANDARD.RETIRE_MS);
  expect([...bench.host.listeners]).toEqual([[8443, 2]]);
});

test('RT-131~1: a step back keeps the old port no longer than one interval more', () => {
  const bench = new Bench().run(HOUR);
  const [old] = bench.state.places;
  bench.host.stepClock(-400 * 24 * HOUR);
  const end = HOUR + STANDARD.RETIRE_MS + STANDARD.ROTATION_INTERVAL_MS;
  bench.run(end - 1);
  expect(bench.host.listeners.has(old?.port ?? 0)).toBe(true);
  bench.run(end);
  expect(bench.host.listeners.has(old?.port ?? 0)).toBe(false);
});

test.each([1000, -1000, 5000, -5000])(
  'RT-131~1: a change of %i ms keeps it until the later of the two clocks',
  byMs => {
    const bench = new Bench().run(HOUR);
    const [old] = bench.state.places;
    bench.host.stepClock(byMs);
    const end = HOUR + STANDARD.RETIRE_MS + Math.max(0, -byMs);
    bench.run(end - 1);
    expect(bench.host.listeners.has(old?.port ?? 0)).toBe(true);
    bench.run(end);
    expect(bench.host.listeners.has(old?.port ?? 0)).toBe(false);
  },
);

test('RT-132~1: a host that sleeps through three rotations is where it was, says so at once, and moves', () => {
  const bench = new Bench().run(30 * MINUTE);
  const { port } = bench.state.places[0] ?? { port: 0 };
  bench.host.sleep();
  bench.world.run(4 * HOUR);
  bench.host.wake();
  bench.run(4 * HOUR + 1);
  expect(bench.host.listeners.has(port)).toBe(true);
  expect(bench.state.record).toMatchObject({ sequence: 2, epoch: 1 });
  expect(bench.state.record?.nextRotationMs).toBe(bench.host.now.wall - 1 + STANDARD.PREPARE_LEAD_MS);
  bench.run(4 * HOUR + STANDARD.PREPARE_LEAD_MS + 1);
  expect(bench.notes()).toContain('rotated');
});

test('RT-142~1: requests during an emergency fold into one that follows, and a hard one hardens both', () => {
  const bench = new Bench().run(30 * MINUTE);
  bench.weather.storeMs = undefined;
  bench.host.input({ kind: 'emergency', isHard: false });
  bench.run(30 * MINUTE + 10_000);
  for (const isHard of [false, true, false]) bench.host.input({ kind: 'emergency', isHard });
  bench.run(30 * MINUTE + STANDARD.EMERGENCY_MS);
  expect(bench.notes().filter(what => what === 'emergency-began')).toHaveLength(2);
  bench.run(HOUR);
  expect(bench.notes().filter(what => what === 'emergency-ended')).toHaveLength(2);
  expect(bench.notes().filter(what => what === 'emergency-began')).toHaveLength(2);
  expect(bench.host.listeners.size).toBe(1);
});

test('RT-143~1: an emergency replaces a rotation in progress, listed or not, with at most three listeners', () => {
  for (const lead of [STANDARD.PREPARE_LEAD_MS - 1000, STANDARD.PUBLISH_LEAD_MS - 10_000]) {
    const bench = new Bench().run(HOUR - lead);
    const isListed = lead < STANDARD.PUBLISH_LEAD_MS;
    bench.host.input({ kind: 'emergency', isHard: false });
    bench.run(HOUR - lead + 1);
    expect(bench.host.listeners.size).toBe(isListed ? 3 : 2);
    bench.run(HOUR - lead + STANDARD.EMERGENCY_MS);
    expect(bench.host.listeners.size).toBe(1);
    expect(bench.state.rotationAtMs - bench.host.now.wall).toBe(HOUR - STANDARD.EMERGENCY_MS);
  }
});

test('RT-116~1: a rotation on demand begins at once and keeps the old port as long as it was promised', () => {
  const bench = new Bench().run(10 * MINUTE);
  const [old] = bench.state.places;
  bench.host.input({ kind: 'rotateNow' });
  const R = 10 * MINUTE + STANDARD.PREPARE_LEAD_MS;
  bench.run(R);
  expect(bench.notes()).toContain('rotated');
  bench.run(HOUR + STANDARD.RETIRE_MS - 1);
  expect(bench.host.listeners.has(old?.port ?? 0)).toBe(true);
  bench.run(HOUR + STANDARD.RETIRE_MS);
  expect(bench.host.listeners.has(old?.port ?? 0)).toBe(false);
  // The next one is not late for it.
  bench.run(R + HOUR);
  expect(bench.notes().filter(what => what === 'rotated')).toHaveLength(2);
  bench.host.input({ kind: 'rotateNow' });
  bench.run(R + HOUR + STANDARD.RETIRE_MS + STANDARD.PREPARE_LEAD_MS);
  expect(bench.notes().filter(what => what === 'rotated')).toHaveLength(3);
});

test('RT-119~1, RT-123~1: an epoch that no record has named is taken again behind a crash', () => {
  const bench = new Bench().run(HOUR - STANDARD.PREPARE_LEAD_MS - 1);
  bench.weather.canBind = port => port === bench.state.places[0]?.port;
  bench.run(HOUR - STANDARD.PREPARE_LEAD_MS + 1000);
  expect(bench.state).toMatchObject({ phase: 'preparing', epoch: 2 });
  // Now the first port is lost as well, and then the process.
  bench.host.input({ kind: 'bindFailed', port: bench.state.places[0]?.port ?? 0 });
  expect(bench.state).toMatchObject({ isHurried: true, epoch: 2 });
  bench.host.crash();
  bench.weather.canBind = () => true;
  bench.run(HOUR);
  expect(bench.state.record).toMatchObject({ epoch: 2, sequence: 2 });
});

test('RT-109~2: a first port that comes back behind another crash leaves no room for a third', () => {
  const bench = new Bench({ isMapped: true }).run(HOUR + 10_000);
  const [old, primary] = bench.state.places;
  bench.host.crash();
  bench.weather.canBind = port => port === old?.port;
  bench.host.start();
  bench.run(HOUR + 10_000 + 1000);
  expect(bench.notes()).toContain('port-lost');
  // Sixteen ports were refused, and none is next.
  expect(bench.host.durable).toMatchObject({ phase: 'preparing', isHurried: true });
  expect(bench.host.durable?.places).toHaveLength(2);
  bench.host.crash();
  bench.weather.canBind = () => true;
  bench.run(HOUR + STANDARD.RETIRE_MS - 1000);
  expect([...bench.host.listeners.keys()].sort()).toEqual([old?.port, primary?.port].sort());
  bench.run(HOUR + STANDARD.RETIRE_MS + 1000);
  expect(bench.host.listeners.has(old?.port ?? 0)).toBe(false);
});

test('RT-109~2: behind a second crash two promised ports leave room for the one that people are to find', () => {
  const bench = new Bench().run(HOUR + 10_000);
  bench.host.crash();
  const { durable } = bench.host;
  if (durable === undefined) throw new Error('nothing is durable');
  const listedUntilMs = durable.writtenAtMs + HOUR;
  // What a host leaves whose record ended while it was down, behind a clock that had been set back.
  const olds = durable.places.map(place => ({ ...place, role: 'old' as const, listedUntilMs }));
  const next = { epoch: 3, port: 50_200, role: 'next' as const, listedUntilMs: 0 };
  const places = [...olds, next];
  const rotationAtMs = durable.writtenAtMs + STANDARD.PREPARE_LEAD_MS;
  bench.host.durable = { ...durable, phase: 'preparing', isHurried: true, epoch: 3, places, rotationAtMs };
  bench.host.start();
  bench.run(HOUR + 20_000);
  expect([...bench.host.listeners.keys()].sort()).toEqual(places.map(({ port }) => port).sort());
  expect(bench.state.record?.ports[0]?.port).toBe(next.port);
});

test('RT-131~1: behind a restart with a clock that went back, what was promised lasts as long as was left', () => {
  const bench = new Bench().run(HOUR + 100_000);
  const [old] = bench.state.places;
  bench.host.crash();
  bench.host.stepClock(-10 * 24 * HOUR);
  bench.run(HOUR + 100_000);
  const end = HOUR + 100_000 + STANDARD.RETIRE_MS;
  bench.run(end - 1);
  expect(bench.host.listeners.has(old?.port ?? 0)).toBe(true);
  bench.run(end);
  expect(bench.host.listeners.has(old?.port ?? 0)).toBe(false);
  // Fresh times, and a rotation within an interval.
  bench.run(HOUR + 100_000 + HOUR);
  expect(bench.notes(HOUR + 100_000)).toContain('rotated');
});

test('RT-134~1: a host that begins in 1970 serves, holds, and goes on when its clock is set', () => {
  const bench = new Bench();
  bench.host.stepClock(-WALL_AT);
  bench.weather.clockOffsetMs = -WALL_AT;
  bench.run(3 * HOUR);
  expect(bench.host.listeners.size).toBe(1);
  expect(bench.notes()).not.toContain('rotated');
  expect(bench.notes()).toContain('held clock');
  bench.host.stepClock(WALL_AT);
  bench.weather.clockOffsetMs = 0;
  bench.run(3 * HOUR + MINUTE);
  expect(bench.notes()).toContain('clock-jumped');
  expect(bench.state.record?.issuedAtMs).toBeGreaterThan(WALL_AT);
  bench.run(4 * HOUR + MINUTE);
  expect(bench.notes()).toContain('rotated');
});

test('RT-007~1, RT-120~1: a start in the middle of its time goes on with the same record', () => {
  const bench = new Bench().run(30 * MINUTE);
  const { record, rotationAtMs } = bench.state;
  bench.host.crash();
  bench.run(31 * MINUTE);
  bench.world.run(31 * MINUTE + 10_000);
  expect(bench.state).toMatchObject({ phase: 'resting', record, rotationAtMs });
  expect(bench.seen('publish').at(-1)?.record).toEqual(record);
  expect([...bench.host.accepted]).toEqual([1]);
});

test('RT-124~1: a start behind R with a listed next port gives it fresh times', () => {
  for (const storeMs of [undefined, 2000]) {
    const bench = new Bench().run(HOUR - STANDARD.PUBLISH_LEAD_MS - 1);
    bench.weather.storeMs = storeMs;
    bench.run(HOUR - STANDARD.MIGRATE_LEAD_MS);
    const { record } = bench.state;
    bench.host.crash();
    bench.world.run(HOUR);
    bench.run(HOUR);
    bench.world.run(HOUR + 1);
    expect(bench.state.phase).toBe('publishing');
    expect(bench.state.record).toMatchObject({ epoch: 2, sequence: 3, issuedAtMs: WALL_AT + HOUR });
    expect(bench.state.record?.ports.map(({ port }) => port)).toEqual(record?.ports.map(({ port }) => port));
    expect(bench.state.rotationAtMs).toBe(WALL_AT + HOUR + STANDARD.PUBLISH_LEAD_MS);
    bench.verifyNow();
    bench.run(HOUR + STANDARD.PUBLISH_LEAD_MS);
    expect(bench.notes()).toContain('rotated');
  }
});
