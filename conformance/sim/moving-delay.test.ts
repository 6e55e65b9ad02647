/** Nobody inside notices a move: on virtual time no message comes later than 50 ms behind its writing. */
import { expect, it } from 'vitest';
import { native } from '../../src/node/native.ts';
import { measureMoves } from './moving-delay.ts';

/** What a move may cost a message, latency included. */
const DELAY_MS_MAX = 50;

it.each([1, 10])(
  'RT-150~1, RT-151~1: with %i ms one way no message comes late through 30 moves',
  latencyMs => {
    const result = measureMoves(native, { seed: latencyMs, moves: 30, latencyMs, everyMs: 1 });
    console.log(
      `${latencyMs} ms one way: ${result.messages} messages, ${result.moves} moves, worst delivery ${result.worst.toFixed(1)} ms`,
    );
    expect(result.wrong).toEqual([]);
    expect(result.moves).toBe(30);
    // The messages that a move catches in flight are sent again behind a round trip: it was seen at all.
    expect(result.worst).toBeGreaterThan(latencyMs);
    expect(result.worst).toBeLessThan(DELAY_MS_MAX);
  },
);
