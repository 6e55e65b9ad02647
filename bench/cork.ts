/** Lets everything that is written in one turn of the event loop leave together (bench/README.md). */
import type { Duplex } from 'node:stream';

const corked = new Set<Duplex>();

/** Cork until this turn is over. */
export function cork(stream: Duplex): void {
  if (corked.has(stream)) return;
  corked.add(stream);
  stream.cork();
  setImmediate(() => {
    corked.delete(stream);
    stream.uncork();
  });
}
