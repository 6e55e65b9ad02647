/** Which port a rotation draws, and what makes way for another. */
import { describe, expect, test } from 'vitest';
import { BIND_ATTEMPTS_MAX, PORT_MIN, STANDARD } from '../../src/gen/constants.ts';
import { step } from '../../src/protocol/rotation.ts';
import { Bench, TICK } from './rotation-bench.ts';

describe('ports', () => {
  const R = STANDARD.ROTATION_INTERVAL_MS;
  const PREPARE = R - STANDARD.PREPARE_LEAD_MS;

  test.each([
    [BIND_ATTEMPTS_MAX - 1, true],
    [BIND_ATTEMPTS_MAX, false],
  ])('RT-114~1: after %i refused ports another one is tried: %s', (refusals, isTried) => {
    const b = new Bench().run(PREPARE - 1);
    let left = refusals;
    b.weather.canBind = () => left-- <= 0;
    b.run(PREPARE + 10);
    expect(b.host.listeners.size).toBe(isTried ? 2 : 1);
    expect(b.notes().filter(what => what === 'port-refused')).toHaveLength(refusals);
    b.run(R + 10);
    expect(b.notes()).toContain(isTried ? 'rotated' : 'held no-port');
    b.run(R + STANDARD.HOLD_MS + 10);
    expect(b.notes()).toContain('rotated');
  });

  test('RT-111~1: a port in use and one that was given up lately are passed over', () => {
    const b = new Bench().run(2 * R + PREPARE - 1);
    const { places, recentPorts } = b.state;
    expect(recentPorts.length).toBeGreaterThan(1);
    const now = { wall: b.host.now.wall + 1, mono: b.host.now.mono + 1 };
    const [drawing, outputs] = step(b.state, TICK, now);
    expect(outputs).toMatchObject([{ kind: 'draw' }]);
    const [place] = places;
    const passed = [place?.port ?? 0, ...recentPorts];
    const free =
      Array.from({ length: 99 }, (_, by) => PORT_MIN + by).find(port => !passed.includes(port)) ?? 0;
    const entropy = Uint8Array.from(
      [...passed, free].flatMap(port => [(port - PORT_MIN) >> 8, (port - PORT_MIN) & 255]),
    );
    const [, taken] = step(drawing, { kind: 'drawn', entropy }, now);
    const [commit] = taken;
    expect(commit?.kind === 'commit' && commit.journal.places.at(-1)).toMatchObject({
      role: 'next',
      port: free,
    });
  });

  test('RT-116~1: a rotation that is asked for while one goes on begins none behind it', () => {
    const b = new Bench().run(R - STANDARD.PUBLISH_LEAD_MS + 1);
    expect(b.state.phase).toBe('publishing');
    b.host.input({ kind: 'rotateNow' });
    expect(b.notes()).toContain('already-rotating');
    b.run(R + R - STANDARD.PREPARE_LEAD_MS - 1);
    expect(b.notes().filter(what => what === 'rotated')).toHaveLength(1);
    expect(b.host.listeners.size).toBe(1);
  });

  test('RT-114~1: a port that the router gives to somebody else makes way for another', () => {
    const b = new Bench({ isMapped: true }).run(PREPARE - 1);
    b.weather.map = 'taken';
    b.run(PREPARE);
    expect(b.notes().filter(what => what === 'port-refused')).toHaveLength(BIND_ATTEMPTS_MAX);
    expect(b.host.listeners.size).toBe(1);
    expect(b.host.mappings.size).toBe(1);
  });

  test('RT-115~1: on one port for good, keys and epochs go through the same table', () => {
    const b = new Bench({ fixedPort: 8443 }).run(R - STANDARD.PUBLISH_LEAD_MS);
    expect([...b.host.listeners]).toEqual([[8443, 1]]);
    expect(b.state.record).toMatchObject({ epoch: 2, epochs: [2, 1], ports: [{ port: 8443 }] });
    b.run(R + STANDARD.RETIRE_MS - 1);
    expect([...b.host.listeners]).toEqual([[8443, 1]]);
    expect([...b.host.accepted]).toEqual([1, 2]);
    b.run(R + STANDARD.RETIRE_MS);
    expect([...b.host.listeners]).toEqual([[8443, 2]]);
    expect([...b.host.accepted]).toEqual([2]);
    expect(b.seen('closed')).toEqual([]);
    b.host.input({ kind: 'emergency', isHard: false });
    b.run(R + STANDARD.RETIRE_MS + 1);
    expect([...b.host.listeners]).toEqual([[8443, 3]]);
  });
});
