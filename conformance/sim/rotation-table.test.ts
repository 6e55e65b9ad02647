/** Every row of the table of chapter 6, at its instant and a millisecond to either side. */
import { describe, expect, test } from 'vitest';
import { STORE_ATTEMPT_MS_MAX } from '../../src/gen/constants.ts';
import { step } from '../../src/protocol/rotation.ts';
import { noticeFor } from '../../src/protocol/rotation-notice.ts';
import { AT, type Bench, includes, PRESETS, runRows, TICK, WALL_AT } from './rotation-bench.ts';

describe.each(PRESETS)('the rows, preset %s', (_, constants) => {
  const c = constants;
  const R = c.ROTATION_INTERVAL_MS;
  const bench = (until: number, isMapped = true): Bench => runRows(constants, until, isMapped);

  test('RT-100~1, RT-102~1: R - PREPARE_LEAD_MS draws a port, commits it, listens and maps', () => {
    const at = R - c.PREPARE_LEAD_MS;
    const b = bench(at - 2);
    expect(b.edge(at, TICK, includes('draw'))).toEqual(AT);
    b.run(at);
    expect([...b.host.listeners.keys()]).toEqual(b.state.places.map(({ port }) => port));
    expect(b.host.listeners.size).toBe(2);
    expect([...b.host.mappings]).toEqual([...b.host.listeners.keys()]);
    // Nobody is told yet.
    expect(b.seen('publish')).toHaveLength(1);
    expect(b.seen('notify')).toHaveLength(0);
  });

  test.each(['refused', 'silent'] as const)('RT-108~1: R - MAPPING_LEAD_MS holds, mapping %s', map => {
    const b = bench(R - c.PREPARE_LEAD_MS - 1);
    b.weather.map = map;
    const at = R - c.MAPPING_LEAD_MS;
    b.run(at - 2);
    expect(b.edge(at, TICK, includes('then notify'))).toEqual(AT);
    b.run(at);
    expect(b.notes()).toContain('held mapping');
    expect(b.state.rotationAtMs).toBe(WALL_AT + R + c.HOLD_MS);
    expect(b.seen('notify').at(-1)?.notice).toEqual({
      kind: 'hold',
      rotatesInMs: c.MAPPING_LEAD_MS + c.HOLD_MS,
      oldEndsInMs: c.MAPPING_LEAD_MS + c.HOLD_MS + c.GRACE_MS,
      sequence: undefined,
    });
    // The record says so too, and both listeners stay.
    expect(b.state.record?.nextRotationMs).toBe(WALL_AT + R + c.HOLD_MS);
    expect(b.host.listeners.size).toBe(2);
    b.weather.map = 'mapped';
    b.run(R + c.HOLD_MS + STORE_ATTEMPT_MS_MAX + 2 * c.HOLD_MS);
    expect(b.notes()).toContain('rotated');
  });

  test('RT-108~1: R - MAPPING_LEAD_MS holds when nothing has said yet that the port listens', () => {
    const at = R - c.MAPPING_LEAD_MS;
    const b = bench(at - 2, false);
    const next = b.state.places.at(-1)?.port;
    const ports = b.state.ports.map(one =>
      one.port === next ? { ...one, listener: 'opening' as const } : one,
    );
    b.host.state = { ...b.state, ports };
    expect(b.edge(at, TICK, includes('then notify'))).toEqual(AT);
    b.run(at).host.input(TICK);
    b.run(at + 1);
    expect(b.notes()).toContain('held no-port');
  });

  test('RT-008~1, RT-103~1, RT-104~1, RT-113~1: R - PUBLISH_LEAD_MS publishes and tells, with both ports', () => {
    const at = R - c.PUBLISH_LEAD_MS;
    const b = bench(at - 2);
    expect(b.edge(at, TICK, includes('then publish'))).toEqual(AT);
    b.run(at);
    const [old, next] = b.state.places;
    expect(b.seen('publish', at).map(({ record }) => record)).toEqual([
      {
        sequence: 2,
        epoch: 2,
        issuedAtMs: WALL_AT + at,
        nextRotationMs: WALL_AT + 2 * R,
        validUntilMs: WALL_AT + 2 * R + c.GRACE_MS,
        ports: [
          { port: next?.port, notBeforeMs: WALL_AT + at, notAfterMs: WALL_AT + 2 * R + c.GRACE_MS },
          { port: old?.port, notBeforeMs: WALL_AT + at, notAfterMs: WALL_AT + R + c.GRACE_MS },
        ],
        epochs: [2, 1],
      },
    ]);
    expect(2 * R + c.GRACE_MS - at).toBe(c.RECORD_LIFE_MS);
    expect(b.seen('notify')).toEqual([
      {
        at,
        kind: 'notify',
        notice: {
          kind: 'move',
          rotatesInMs: c.PUBLISH_LEAD_MS,
          oldEndsInMs: c.PUBLISH_LEAD_MS + c.GRACE_MS,
          sequence: 2,
        },
      },
    ]);
  });

  test('RT-107~1: R - VERIFY_LEAD_MS holds when nothing is verified, and not when something is', () => {
    const at = R - c.VERIFY_LEAD_MS;
    const b = bench(R - c.PUBLISH_LEAD_MS - 1);
    b.weather.storeMs = undefined;
    b.run(at - 2);
    expect(b.edge(at, TICK, includes('then notify'))).toEqual(AT);
    // At that very millisecond a store that answers is in time.
    expect(b.edge(at, { kind: 'verified', sequence: 2 }, includes('verified'))).toEqual([true, true, true]);
    expect(b.edge(at, { kind: 'verified', sequence: 1 }, includes('verified'))).toEqual([
      false,
      false,
      false,
    ]);
    // A store cannot show what was never published.
    expect(b.edge(at - 2, { kind: 'verified', sequence: 3 }, includes('verified'))).toEqual([
      false,
      false,
      false,
    ]);
    b.run(at);
    expect(b.state.phase).toBe('preparing');
    expect(b.state.rotationAtMs).toBe(WALL_AT + R + c.HOLD_MS);
    expect(b.notes()).toContain('held stores');
    expect(b.host.listeners.size).toBe(2);
    expect([...b.host.accepted]).toEqual([1, 2]);
    // The rows come again, with fresh times, as often as it takes.
    b.run(R + c.HOLD_MS - c.PUBLISH_LEAD_MS);
    expect(b.state.record).toMatchObject({
      sequence: 3,
      epoch: 2,
      nextRotationMs: WALL_AT + 2 * R + c.HOLD_MS,
    });
    b.run(R + c.HOLD_MS - c.VERIFY_LEAD_MS);
    expect(b.state.rotationAtMs).toBe(WALL_AT + R + 2 * c.HOLD_MS);
    // The first record of the epoch is enough: it lists the port.
    b.host.input({ kind: 'verified', sequence: 2 });
    b.run(R + 2 * c.HOLD_MS);
    expect(b.notes()).toContain('rotated');
  });

  test('RT-105~1: R makes the next port primary, and keeps the old one', () => {
    const b = bench(R - 2);
    expect(b.edge(R, TICK, includes('then setPrimary'))).toEqual(AT);
    b.run(R);
    expect(b.state.phase).toBe('grace');
    expect(b.state.places.map(({ role }) => role)).toEqual(['old', 'primary']);
    expect(b.host.listeners.size).toBe(2);
    expect([...b.host.accepted]).toEqual([1, 2]);
  });

  test('RT-106~1: R + RETIRE_MS ends listener, mapping and keys of the old port', () => {
    const at = R + c.RETIRE_MS;
    const b = bench(at - 2);
    expect(b.edge(at, TICK, includes('then unlisten'))).toEqual(AT);
    expect(b.edge(at, TICK, includes('then unmap'))).toEqual(AT);
    expect(b.edge(at, TICK, includes('then retire'))).toEqual(AT);
    b.run(at);
    expect(b.state.phase).toBe('resting');
    expect(b.host.listeners.size).toBe(1);
    expect(b.host.mappings.size).toBe(1);
    expect([...b.host.accepted]).toEqual([2]);
    b.run(2 * R);
    expect(b.notes().filter(what => what === 'rotated')).toHaveLength(2);
  });

  test('RT-140~1, RT-141~1: E + EMERGENCY_MS ends everything earlier, once verified', () => {
    const E = R / 2;
    const b = bench(E);
    b.host.input({ kind: 'emergency', isHard: false });
    b.run(E + 1);
    const end = E + c.EMERGENCY_MS;
    b.run(end - 2);
    expect(b.host.listeners.size).toBe(2);
    expect(b.edge(end, TICK, includes('then unlisten'))).toEqual(AT);
    b.run(end);
    expect(b.host.listeners.size).toBe(1);
    expect([...b.host.accepted]).toEqual([2]);
    expect(b.notes()).toContain('emergency-ended');
    expect(b.state.rotationAtMs).toBe(WALL_AT + E + R);
  });

  test('RT-141~1: without a store it waits, and ends at the verified one or, hard, at E + EMERGENCY_MS', () => {
    const E = R / 2;
    const b = bench(E);
    b.weather.storeMs = undefined;
    b.host.input({ kind: 'emergency', isHard: false });
    b.run(E + 3 * c.EMERGENCY_MS);
    expect(b.host.listeners.size).toBe(2);
    const now = b.world.now;
    expect(b.edge(now, { kind: 'verified', sequence: 2 }, includes('then unlisten'))).toEqual([
      true,
      true,
      true,
    ]);
    expect(b.edge(now, { kind: 'verified', sequence: 1 }, includes('then unlisten'))).toEqual([
      false,
      false,
      false,
    ]);
    const hard = bench(E);
    hard.weather.storeMs = undefined;
    hard.host.input({ kind: 'emergency', isHard: true });
    const end = E + c.EMERGENCY_MS;
    hard.run(end - 2);
    expect(hard.edge(end, TICK, includes('then unlisten'))).toEqual(AT);
  });

  test('RT-101~1: the answer to another commit lets nothing go', () => {
    const b = bench(R - 2);
    const { wall, mono } = b.host.now;
    const now = { wall: wall + 2, mono: mono + 2 };
    const [waiting] = step(b.state, TICK, now);
    const id = waiting.commit?.id ?? 0;
    expect(step(waiting, { kind: 'committed', id: id - 1 }, now)[1]).toEqual([]);
    expect(step(waiting, { kind: 'committed', id }, now)[1][0]).toMatchObject({
      kind: 'setPrimary',
      epoch: 2,
    });
  });

  test('RT-126~1, RT-156~1: whoever attaches is told the record, and elsewhere what goes on', () => {
    const told = (ms: number, of: 'first' | 'last', emergency = false): unknown => {
      const b = bench(ms);
      if (emergency) {
        b.weather.storeMs = undefined;
        b.host.input({ kind: 'emergency', isHard: false });
        b.run(ms + 1);
      }
      const place = of === 'first' ? b.state.places[0] : b.state.places.at(-1);
      return place && noticeFor(b.state, place, b.host.now);
    };
    const record = (sequence: number) => ({ kind: 'record', rotatesInMs: 0, oldEndsInMs: 0, sequence });
    expect(told(R / 2, 'first')).toEqual(record(1));
    expect(told(R - c.MAPPING_LEAD_MS, 'first')).toEqual(record(1));
    expect(told(R - c.MAPPING_LEAD_MS, 'last')).toEqual(record(1));
    const lead = c.MIGRATE_LEAD_MS;
    expect(told(R - lead, 'first')).toEqual({
      kind: 'move',
      rotatesInMs: lead,
      oldEndsInMs: lead + c.GRACE_MS,
      sequence: 2,
    });
    expect(told(R - lead, 'last')).toEqual(record(2));
    expect(told(R + c.MIGRATE_LAG_MS, 'first')).toEqual({
      kind: 'move',
      rotatesInMs: 0,
      oldEndsInMs: c.GRACE_MS - c.MIGRATE_LAG_MS,
      sequence: 2,
    });
    expect(told(R / 2, 'first', true)).toEqual({
      kind: 'emergency',
      rotatesInMs: 0,
      oldEndsInMs: c.EMERGENCY_MS - 1,
      sequence: 2,
    });
    expect(told(R / 2, 'last', true)).toEqual(record(2));
  });

  test('RT-101~1, RT-126~1: nobody is told of what is not durable yet', () => {
    const b = bench(R - c.PUBLISH_LEAD_MS - 1);
    b.weather.canCommit = false;
    b.run(R - c.PUBLISH_LEAD_MS + 1);
    expect(b.state).toMatchObject({ phase: 'publishing', record: { sequence: 2 } });
    const [old] = b.state.places;
    expect(old && noticeFor(b.state, old, b.host.now)).toMatchObject({ kind: 'record', sequence: 1 });
    expect(b.seen('notify')).toEqual([]);
    b.weather.canCommit = true;
    b.run(R - c.PUBLISH_LEAD_MS + 1 + c.RETRY_MS);
    expect(old && noticeFor(b.state, old, b.host.now)).toMatchObject({ kind: 'move', sequence: 2 });
    expect(b.seen('notify')).toHaveLength(1);
  });

  test('RT-156~1: a record that comes without a move goes to whoever is inside, once it is durable', () => {
    const b = bench(R / 2);
    expect(b.seen('hand over').map(({ notice }) => notice.sequence)).toEqual([1]);
    b.weather.canCommit = false;
    b.host.input({ kind: 'changed' });
    b.run(R / 2 + 1);
    expect(b.seen('hand over')).toHaveLength(1);
    b.weather.canCommit = true;
    b.run(R / 2 + 1 + c.RETRY_MS);
    expect(b.seen('publish').map(({ record }) => record.sequence)).toEqual([1, 2]);
    expect(b.seen('hand over').map(({ notice }) => notice.sequence)).toEqual([1, 2]);
    expect(b.seen('notify')).toEqual([]);
  });

  test('a mapping that is retried comes RETRY_MS later', () => {
    const b = bench(R - c.PREPARE_LEAD_MS - 1);
    b.weather.map = 'refused';
    const at = R - c.PREPARE_LEAD_MS + c.RETRY_MS;
    b.run(at - 2);
    expect(b.edge(at, TICK, includes('map'))).toEqual(AT);
  });
});
