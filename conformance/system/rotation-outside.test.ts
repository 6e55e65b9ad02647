/** A moving host as somebody sees it who has nothing but TCP connects and the connection file. CONFORMANCE_SEED repeats the address. */
import { mkdirSync, renameSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, describe, expect, it } from 'vitest';
import { MINIMAL, PORT_MAX, PORT_MIN } from '../../src/gen/constants.ts';
import { seeded } from '../../src/services/chat/testing/scheduler.ts';
import { Outsider, type Promised, sweep } from './outside.ts';
import { PATIENCE_MS, Place } from './programs.ts';

process.env['CLAWCHAT_PRESET'] = 'minimal';

const SEED = Number(process.env['CONFORMANCE_SEED'] ?? Math.floor(Math.random() * 2 ** 32));
const { PREPARE_LEAD_MS, RETIRE_MS, GRACE_MS } = MINIMAL;
/** Moves without trouble before the store goes away, and after it is back. */
const MOVES = 2;

const place = new Place();
afterAll(() => place.clean());

/** How long it took to try every port there is (T-03). */
const sweepsMs: number[] = [];

/** Two addresses of loopback: the host's, and one on which only they answer who listen on all addresses. */
function ownAddresses(): readonly [host: string, others: string] {
  const random = seeded(SEED);
  const part = (): number => 1 + Math.floor(random() * 250);
  const draw = (first: number): string => `127.${first + Math.floor(random() * 100)}.${part()}.${part()}`;
  return [draw(1), draw(101)];
}

/** What listens on the host's address and is not somebody's who listens everywhere: other programs run here too. */
async function sweepHost(address: string, others: string): Promise<readonly number[]> {
  const before = await sweep(others);
  const began = performance.now();
  const found = await sweep(address);
  sweepsMs.push(performance.now() - began);
  const foreign = new Set([...before, ...(await sweep(others))]);
  return found.filter(port => !foreign.has(port));
}

/** Wait until something is there. */
async function until<T>(what: string, look: () => T | undefined | false): Promise<T> {
  const end = Date.now() + PATIENCE_MS;
  while (Date.now() < end) {
    const found = look();
    if (found !== undefined && found !== false) return found;
    await sleep(10);
  }
  throw new Error(`there is no ${what}`);
}

describe('from outside', () => {
  it('every promised port answers, the next one before any store lists it, and the old one refuses behind its time (RT-101, RT-102, RT-106, RT-117)', async () => {
    const [address, others] = ownAddresses();
    console.log(`CONFORMANCE_SEED=${SEED} ${address}`);
    const [A, B, folder] = [place.path('A'), place.path('B'), place.path('store')];
    const path = place.path('store', 'connection.clawchat');
    mkdirSync(folder);
    await place.host(A, ['--interval', '4s', '--store', path, '--listen', address]);
    await place.join(A, B);
    const outsider = new Outsider(place, address, path, B);
    try {
      await until('move', () => outsider.refused.size >= MOVES);

      // No store lists anything, and the host is due to move.
      const file = outsider.newest;
      const current = file?.endpoints[0]?.port ?? 0;
      renameSync(folder, `${folder}-away`);
      const prepareAt = (file?.next_rotation ?? 0) - PREPARE_LEAD_MS;
      await sleep(prepareAt - Date.now());
      let open: readonly number[] = [];
      for (const end = Date.now() + PATIENCE_MS; open.length < 2 && Date.now() < end; )
        open = await sweepHost(address, others);
      const [next = 0, ...more] = open.filter(port => port !== current);
      expect(open).toContain(current);
      expect(more).toEqual([]);
      expect(outsider.newest).toBe(file);
      // The time comes and goes: as no store could be verified, both stay.
      await sleep((file?.next_rotation ?? 0) + RETIRE_MS + 500 - Date.now());
      expect(await sweepHost(address, others)).toEqual([...open].sort((a, b) => a - b));
      renameSync(`${folder}-away`, folder);
      const isNewer = ({ sequence }: Promised): boolean => sequence > (file?.sequence ?? 0);
      const listed = await until('newer file', () => outsider.files.find(isNewer));
      expect(listed.endpoints[0]?.port).toBe(next);
      await until('end of the port before', () => outsider.refused.has(current));
      const moved = outsider.refused.size;
      await until('further move', () => outsider.refused.size > moved);
    } finally {
      await outsider.close();
    }

    expect(outsider.broken).toEqual([]);
    const late = [...outsider.refused].map(([port, { ended }]) => ended - outsider.promisedUntil(port));
    for (const ms of late) expect(ms).toBeGreaterThanOrEqual(RETIRE_MS - GRACE_MS);
    console.log(
      `all ${PORT_MAX - PORT_MIN + 1} ports swept in ${(Math.min(...sweepsMs) / 1000).toFixed(1)} s`,
    );
    console.log(
      `${outsider.samples} connects to promised ports of ${outsider.files.length} files, none refused; old ports refuse ${late.join(', ')} ms behind what was promised`,
    );
  });
});
