/** What is foretold of moves and old ports is what then happens. Chapter: spec/06-rotation.md. */
import { describe, expect, it } from 'vitest';
import { STANDARD } from '../gen/constants.ts';
import { deadline, rotation, step } from './rotation.ts';
import { movesAtMs, type PlaceEnd, placeEnd } from './rotation-forecast.ts';
import { PORT_ENTROPY_BYTES, PORT_RANGE } from './rotation-port.ts';
import { placeOf } from './rotation-record.ts';
import type { Rotation, RotationInput } from './rotation-state.ts';

const WALL_MS = 1_800_000_000_000;
const HOUR_MS = 3_600_000;

/** A host on which everything works at once, unless told otherwise. */
class Bench {
  mono = 0;
  isVerified = true;
  /** When the primary became another, and when each port was closed: wall time. */
  readonly moves: number[] = [];
  readonly closed = new Map<number, number>();
  state: Rotation = rotation({
    constants: STANDARD,
    intervalMs: HOUR_MS,
    range: PORT_RANGE,
    reserved: [],
    fixedPort: undefined,
    isMapped: false,
  });
  private draws = 0;
  private readonly lost = new Set<number>();

  constructor() {
    this.input({ kind: 'start', journal: undefined });
    this.moves.length = 0;
  }

  get now(): { wall: number; mono: number } {
    return { wall: WALL_MS + this.mono, mono: this.mono };
  }

  input(input: RotationInput): void {
    const inputs = [input];
    for (let next = inputs.shift(); next !== undefined; next = inputs.shift()) {
      const [state, outputs] = step(this.state, next, this.now);
      this.state = state;
      for (const output of outputs) {
        switch (output.kind) {
          case 'commit':
            inputs.push({ kind: 'committed', id: output.id });
            break;
          case 'draw': {
            this.draws += 1;
            inputs.push({ kind: 'drawn', entropy: new Uint8Array(PORT_ENTROPY_BYTES).fill(this.draws * 7) });
            break;
          }
          case 'listen':
            inputs.push({ kind: this.lost.has(output.port) ? 'bindFailed' : 'bound', port: output.port });
            break;
          case 'unlisten':
            this.closed.set(output.port, this.now.wall);
            break;
          case 'publish':
            if (this.isVerified) inputs.push({ kind: 'verified', sequence: output.record.sequence });
            break;
          case 'setPrimary':
            this.moves.push(this.now.wall);
        }
      }
    }
  }

  pass(ms: number): void {
    const until = this.mono + ms;
    for (;;) {
      const at = Math.min(until, deadline(this.state) ?? until);
      this.mono = Math.max(at, this.mono);
      this.input({ kind: 'tick' });
      if (this.mono >= until) return;
    }
  }

  /** The system takes a port away. */
  lose(port: number): void {
    this.lost.add(port);
    this.input({ kind: 'bindFailed', port });
  }

  get port(): number {
    return placeOf(this.state, 'primary')?.port ?? 0;
  }

  get moveAt(): number {
    return movesAtMs(this.state, this.now);
  }

  end(port: number): PlaceEnd | undefined {
    const place = this.state.places.find(one => one.port === port);
    return place === undefined ? undefined : placeEnd(this.state, place, this.now);
  }

  /** Let time pass until the next move, and say when it came. */
  nextMove(): number {
    const before = this.moves.length;
    for (let i = 0; this.moves.length === before && i < 40_000; i += 1) this.pass(1000);
    return this.moves[before] ?? 0;
  }
}

// CT-051~1
describe('the next move', () => {
  it('on schedule, in every phase', () => {
    const bench = new Bench();
    const at = bench.moveAt;
    expect(at).toBe(WALL_MS + HOUR_MS);
    for (const before of [300_000, 200_000, 100_000, 1000]) {
      bench.pass(at - before - bench.now.wall);
      expect(bench.moveAt).toBe(at);
    }
    expect(bench.nextMove()).toBe(at);
    expect(bench.state.phase).toBe('grace');
    expect(bench.moveAt).toBe(at + HOUR_MS);
  });

  it('that was asked for while the host rests', () => {
    const bench = new Bench();
    bench.input({ kind: 'rotateNow' });
    const at = bench.moveAt;
    expect(at).toBe(WALL_MS + STANDARD.PREPARE_LEAD_MS);
    expect(bench.nextMove()).toBe(at);
  });

  it('that was asked for while an old port is still open waits for its end', () => {
    const bench = new Bench();
    bench.nextMove();
    bench.pass(60_000);
    bench.input({ kind: 'rotateNow' });
    const at = bench.moveAt;
    expect(at).toBeGreaterThan(bench.now.wall + STANDARD.PREPARE_LEAD_MS);
    expect(at).toBeLessThan(WALL_MS + HOUR_MS + STANDARD.RETIRE_MS + STANDARD.PREPARE_LEAD_MS + 1000);
    expect(bench.nextMove()).toBe(at);
  });

  it('that the end of an old port puts off', () => {
    const bench = new Bench();
    // On demand, so that the old port stays nearly an hour; twice, so that the next one is late.
    bench.input({ kind: 'rotateNow' });
    bench.nextMove();
    bench.pass(10_000);
    const at = bench.moveAt;
    const [old] = bench.state.places;
    expect(bench.end(old?.port ?? 0)?.atMs).toBeGreaterThan(bench.now.wall + HOUR_MS / 2);
    expect(bench.nextMove()).toBe(at);
  });

  it('of a host whose port was lost comes as soon as another is known', () => {
    const bench = new Bench();
    bench.pass(HOUR_MS / 2);
    bench.lose(bench.port);
    const at = bench.moveAt;
    expect(bench.nextMove()).toBe(at);
  });
});

// CT-051~1
describe('an old port', () => {
  const endsThen = (bench: Bench, port: number): void => {
    const end = bench.end(port);
    expect(end?.waitsForStore).toBe(false);
    bench.pass((end?.atMs ?? 0) - bench.now.wall - 1);
    expect(bench.closed.has(port)).toBe(false);
    bench.pass(1);
    expect(bench.closed.get(port)).toBe(end?.atMs);
  };

  it('ends with its grace, and is not foretold of one that is not old', () => {
    const bench = new Bench();
    const { port } = bench;
    expect(bench.end(port)).toBeUndefined();
    bench.nextMove();
    endsThen(bench, port);
  });

  it('left on demand ends when the records that name it do', () => {
    const bench = new Bench();
    const { port } = bench;
    bench.input({ kind: 'rotateNow' });
    bench.nextMove();
    endsThen(bench, port);
  });

  it('ends a minute behind an emergency, whatever was promised', () => {
    const bench = new Bench();
    const { port } = bench;
    bench.input({ kind: 'emergency', isHard: false });
    expect(bench.end(port)?.atMs).toBe(bench.now.wall + STANDARD.EMERGENCY_MS);
    endsThen(bench, port);
  });

  it('ends in an emergency not before a store has the new address, unless it is a hard one', () => {
    const bench = new Bench();
    const { port } = bench;
    bench.isVerified = false;
    bench.input({ kind: 'emergency', isHard: false });
    expect(bench.end(port)?.waitsForStore).toBe(true);
    bench.pass(2 * STANDARD.EMERGENCY_MS);
    expect(bench.closed.has(port)).toBe(false);
    expect(bench.end(port)?.waitsForStore).toBe(true);
    const hard = new Bench();
    const second = hard.port;
    hard.isVerified = false;
    hard.input({ kind: 'emergency', isHard: true });
    endsThen(hard, second);
  });

  it('that the emergency itself lost and replaced goes on as long as its record promises', () => {
    const bench = new Bench();
    bench.input({ kind: 'emergency', isHard: false });
    const { port } = bench;
    bench.lose(port);
    expect(bench.port).not.toBe(port);
    const end = bench.end(port);
    expect(end?.atMs).toBeGreaterThan(bench.now.wall + HOUR_MS / 2);
    bench.pass(2 * STANDARD.EMERGENCY_MS);
    expect(bench.state.phase).toBe('grace');
    expect(bench.end(port)).toEqual({ ...end, waitsForStore: false });
    bench.pass((end?.atMs ?? 0) - bench.now.wall - 1);
    expect(bench.state.places.some(place => place.port === port)).toBe(true);
    bench.pass(1);
    expect(bench.state.places.some(place => place.port === port)).toBe(false);
  });
});
