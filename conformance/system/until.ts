/** Waits for something to become true, as long as it takes within the patience of a test. */
import { setTimeout as sleep } from 'node:timers/promises';
import { PATIENCE_MS } from './programs.ts';

const LOOK_MS = 20;

/** Resolve once `holds` is true; `what` is said when it never is. */
export async function until(what: string, holds: () => boolean | Promise<boolean>): Promise<void> {
  const deadline = performance.now() + PATIENCE_MS;
  while (!(await holds())) {
    if (performance.now() > deadline) throw new Error(`in vain: ${what}`);
    await sleep(LOOK_MS);
  }
}
