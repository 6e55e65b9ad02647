import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { AUTH_MS_MAX, PREAUTH_CONNECTIONS_MAX } from '../gen/constants.ts';
import { type Loop, type Reading, ROUND_CONNECTIONS_MAX, Rounds } from './rounds.ts';
import { type Seat, WaitingRoom } from './waiting-room.ts';

/** An event loop in virtual time. */
class VirtualLoop implements Loop {
  ms = 0;
  readonly #timers = new Set<{ readonly at: number; readonly run: () => void }>();
  #after: (() => void)[] = [];

  now(): number {
    return this.ms;
  }
  later(run: () => void, ms: number): void {
    this.#timers.add({ at: this.ms + ms, run });
  }
  afterReads(run: () => void): void {
    this.#after.push(run);
  }

  /** One turn: the timers that are due, then `poll`, then what waits for its end; when nothing took time, until `nextAt`. */
  turn(poll: () => void, nextAt: number): void {
    const before = this.ms;
    for (const timer of this.#timers) {
      if (timer.at > this.ms) continue;
      this.#timers.delete(timer);
      timer.run();
    }
    poll();
    for (const run of this.#after.splice(0)) run();
    if (this.ms > before) return;
    const next = Math.min(nextAt, ...[...this.#timers].map(({ at }) => at));
    this.ms = Math.max(this.ms + 0.01, next);
  }
}

/** Numbers that look drawn, the same ones each time. */
function drawer(seed: number): (count: number) => number {
  let state = seed >>> 0;
  return count => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return Math.floor((state / 2 ** 32) * count);
  };
}

/** Who is read now. */
type Readers = Set<Guest>;

/** A connection whose every turn costs this much. */
class Guest implements Reading {
  readonly costMs: number;
  readonly #readers: Readers;
  turns = 0;
  isGone = false;
  seat: Seat | undefined;
  /** When it has something to say. */
  readyAt = 0;

  constructor(readers: Readers, costMs: number) {
    this.#readers = readers;
    this.costMs = costMs;
    this.start();
  }
  start(): void {
    this.#readers.add(this);
  }
  stop(): void {
    this.#readers.delete(this);
  }
  leave(): void {
    this.isGone = true;
    this.stop();
  }
}

describe('rounds (LI-011~2)', () => {
  it('read a bounded number at once, and nobody for three times as long as they took', () => {
    const costs = fc.array(fc.constantFrom(0, 0, 0.1, 0.4, 3), { minLength: 1, maxLength: 60 });
    const leaving = fc.array(fc.nat({ max: 80 }), { maxLength: 20 });
    fc.assert(
      fc.property(costs, fc.nat(), leaving, (costMs, seed, leaves) => {
        const loop = new VirtualLoop();
        const rounds = new Rounds(drawer(seed), loop);
        const readers: Readers = new Set();
        const guests = costMs.map(ms => new Guest(readers, ms));
        for (const guest of guests) rounds.add(guest);
        let restsUntil = 0;
        for (let turn = 0; turn < 600; turn += 1) {
          expect(readers.size).toBeLessThanOrEqual(ROUND_CONNECTIONS_MAX);
          let tookMs = 0;
          loop.turn(() => {
            for (const guest of readers) {
              expect(loop.ms).toBeGreaterThanOrEqual(restsUntil);
              guest.turns += 1;
              if (guest.costMs === 0) continue;
              rounds.work();
              loop.ms += guest.costMs;
              tookMs += guest.costMs;
            }
            if (tookMs > 0) restsUntil = loop.ms + Math.min(3 * tookMs, 25) - 1e-6;
            const guest = turn % 20 === 0 ? guests[(leaves[turn / 20] ?? 0) % guests.length] : undefined;
            if (guest === undefined || leaves[turn / 20] === undefined) return;
            rounds.remove(guest);
            guest.leave();
          }, loop.ms + 1);
        }
        // Whoever is there has its turns, whatever the others do.
        for (const guest of guests) if (!guest.isGone) expect(guest.turns).toBeGreaterThan(0);
      }),
      { numRuns: 100 },
    );
  });

  it('have one connection wait for nothing', () => {
    const rounds = new Rounds(() => 0, new VirtualLoop());
    const readers: Readers = new Set();
    const guests = Array.from({ length: ROUND_CONNECTIONS_MAX + 1 }, () => new Guest(readers, 0));
    for (const guest of guests) rounds.add(guest);
    expect(readers).toEqual(new Set(guests.slice(0, -1)));
  });
});

/** What came of a flood of strangers, each of whom costs something at every turn. */
interface Flooded {
  /** Of the newcomers, who need two turns with a round trip between, those who got them. */
  readonly inside: number;
  /** Of the loop, what went to turns of strangers. */
  readonly busy: number;
}

const TURN_MS = 0.35;
const ACCEPT_MS = 0.15;
const ROUND_TRIP_MS = 50;

/** Let `newcomers` come one after the other, while so many strangers come each second. */
function flooded(rate: number, newcomers: number): Flooded {
  const loop = new VirtualLoop();
  const room = new WaitingRoom(PREAUTH_CONNECTIONS_MAX, drawer(rate), true, loop);
  const readers: Readers = new Set();
  const ends: { readonly at: number; readonly guest: Guest }[] = [];
  const enter = (): Guest => {
    const guest = new Guest(readers, TURN_MS);
    guest.seat = room.enter(() => guest.leave(), guest);
    ends.push({ at: loop.ms + AUTH_MS_MAX, guest });
    return guest;
  };
  const leave = (guest: Guest): void => {
    guest.seat?.leave();
    guest.leave();
  };
  let newcomer: Guest | undefined;
  let [arrived, came, inside, busyMs] = [0, 0, 0, 0];
  const fullAt = (2000 * PREAUTH_CONNECTIONS_MAX) / rate;
  while (came <= newcomers) {
    loop.turn(
      () => {
        if (loop.ms >= (arrived / rate) * 1000) {
          arrived += 1;
          loop.ms += ACCEPT_MS;
          enter();
        }
        while (ends[0] !== undefined && ends[0].at <= loop.ms) leave((ends.shift() ?? ends[0]).guest);
        if (loop.ms > fullAt && newcomer?.isGone !== false) {
          newcomer = enter();
          came += 1;
        }
        for (const guest of readers) {
          if (guest.readyAt > loop.ms) continue;
          guest.seat?.work();
          loop.ms += guest.costMs;
          busyMs += guest.costMs;
          guest.turns += 1;
          if (guest !== newcomer) continue;
          guest.readyAt = loop.ms + ROUND_TRIP_MS;
          if (guest.turns < 2) continue;
          inside += 1;
          leave(guest);
        }
      },
      (arrived / rate) * 1000,
    );
  }
  return { inside: inside / newcomers, busy: busyMs / loop.ms };
}

describe('a waiting room under a flood (LI-002~2, LI-011~2)', () => {
  for (const [rate, inside] of [
    [250, 1 / 2],
    [500, 1 / 3],
    [1000, 1 / 8],
    [2000, 1 / 20],
  ] as const) {
    it(`of ${rate} connections a second gives strangers a quarter of the loop, and a newcomer its chance`, () => {
      const came = flooded(rate, 400);
      expect(came.busy).toBeLessThan(0.26);
      expect(came.inside).toBeGreaterThan(inside);
    });
  }
});
