import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { type Seat, WaitingRoom } from './waiting-room.ts';

/** Nobody looks whether it is read. */
const UNSEEN = { start: () => {}, stop: () => {} };

describe('a waiting room (LI-002~2)', () => {
  it('never holds more than its bound, displaces only those who have shown nothing, and counts right', () => {
    const act = fc.tuple(fc.constantFrom('enter', 'keep', 'leave'), fc.nat({ max: 40 }));
    fc.assert(
      fc.property(
        fc.array(act, { maxLength: 120 }),
        fc.integer({ min: 1, max: 5 }),
        fc.nat(),
        (acts, max, seed) => {
          const room = new WaitingRoom(max, count => seed % Math.max(1, count), false);
          const seats: { seat: Seat; state: 'open' | 'kept' | 'gone' }[] = [];
          const inside = (): number => seats.filter(({ state }) => state !== 'gone').length;
          for (const [kind, index] of acts) {
            if (kind === 'enter') {
              const isFull = inside() === max;
              const open = seats.filter(({ state }) => state === 'open').length;
              const entry: { seat: Seat | undefined; state: 'open' | 'kept' | 'gone' } = {
                seat: undefined,
                state: 'open',
              };
              entry.seat = room.enter(() => {
                expect(entry.state).toBe('open');
                entry.state = 'gone';
              }, UNSEEN);
              expect(entry.seat === undefined).toBe(isFull && open === 0);
              if (entry.seat !== undefined) seats.push(entry as { seat: Seat; state: 'open' });
            } else {
              const chosen = seats[index % Math.max(1, seats.length)];
              if (chosen === undefined) continue;
              chosen.seat[kind]();
              if (kind === 'leave') chosen.state = 'gone';
              else if (chosen.state === 'open') chosen.state = 'kept';
            }
            expect(room.taken).toBe(inside());
            expect(room.taken).toBeLessThanOrEqual(max);
          }
        },
      ),
      { numRuns: 500 },
    );
  });

  it('displaces every one of them alike', () => {
    const counts = new Map<number, number>();
    for (let draw = 0; draw < 8; draw += 1) {
      const room = new WaitingRoom(8, () => draw, false);
      for (let i = 0; i < 8; i += 1) room.enter(() => counts.set(i, (counts.get(i) ?? 0) + 1), UNSEEN);
      room.enter(() => {}, UNSEEN);
    }
    expect([...counts.values()]).toEqual(Array(8).fill(1));
  });

  it('reads members, and whoever has shown a right MAC, at once and outside of all rounds (LI-010~1, LI-011~2)', () => {
    const entering = (
      inRounds: boolean,
    ): { readonly read: Set<number>; readonly seats: (Seat | undefined)[] } => {
      const room = new WaitingRoom(100, () => 0, inRounds);
      const read = new Set<number>();
      const seats = Array.from({ length: 100 }, (_, i) => {
        read.add(i);
        return room.enter(() => {}, { start: () => read.add(i), stop: () => read.delete(i) });
      });
      return { read, seats };
    };
    expect(entering(false).read.size).toBe(100);
    const { read, seats } = entering(true);
    expect(read.has(99)).toBe(false);
    seats[99]?.keep();
    expect(read.has(99)).toBe(true);
  });
});
