/**
 * Leaves a connection unread, by what Node keeps for itself: it has no public way to do that under TLS. Chapter:
 * spec/10-limits.md, 10.1.
 */
import type { Socket } from 'node:net';
import type { Reading } from './rounds.ts';

interface Handle {
  /** Whether Node wants to read. */
  readonly reading: boolean;
  readStart(): void;
  readStop(): void;
}

/** The reading of one connection, which goes on until it is told to stop. */
export function readingOf(socket: Socket): Reading {
  const { _handle: handle } = socket as unknown as { readonly _handle: Handle };
  return {
    start: () => {
      // Behind its end Node's own getter throws.
      if (!socket.destroyed && handle.reading) handle.readStart();
    },
    stop: () => handle.readStop(),
  };
}
