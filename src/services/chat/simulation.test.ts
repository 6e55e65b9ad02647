import { afterEach, describe, expect, test, vi } from 'vitest';
import type * as Outbox from './outbox.ts';
import type * as Posting from './posting.ts';
import { settle } from './testing/settle.ts';
import { World, type WorldOptions } from './testing/world.ts';

/** Defects that a test can switch on; the code under test knows nothing of them. */
const defects = vi.hoisted(() => ({ noOutboxCheck: false, noComparison: false }));

vi.mock('./posting.ts', async original => {
  const posting = await original<typeof Posting>();
  const judgePost: typeof Posting.judgePost = (head, outboxId, number) =>
    defects.noOutboxCheck ? { kind: 'next' } : posting.judgePost(head, outboxId, number);
  return { ...posting, judgePost };
});

vi.mock('./outbox.ts', async original => {
  const outbox = await original<typeof Outbox>();
  const partStored: typeof Outbox.partStored = (items, stored) =>
    outbox.partStored(items, defects.noComparison ? [] : stored);
  return { ...outbox, partStored };
});

type Options = Omit<WorldOptions, 'settle' | 'seed'>;

const PLAIN: Options = { devices: 2, messages: 30, chaos: 400, copies: false };
const COPIES: Options = { ...PLAIN, copies: true };
const PLAIN_FAULTS = [
  'asked twice',
  'caught up',
  'client crash',
  'host crash',
  'listener full',
  'paused',
  'post repeated',
  'queue full',
  'refused for good',
  'stream abandoned',
  'stream broken',
  'unsynced commits kept',
  'unsynced commits lost',
];
const COPY_FAULTS = [
  'directory copied',
  'directory restored',
  'session replaced',
  'compared',
  'outbox replaced',
  'operator alarm',
];

/** Worlds in which anything is done to rooms; `.ci/deep` asks for more. */
const ROOM_SEEDS = Number(process.env['CONFORMANCE_CHAT_WORLDS'] ?? 40);
const ROOM_EVENTS = [
  'client crash',
  'host crash',
  'device revoked',
  'time passes',
  'done: create',
  'done: create in a closed room',
  'done: join',
  'done: leave',
  'done: grant',
  'done: grant in a closed room',
  'done: keep',
  'done: remove',
  'done: remove in a closed room',
  'done: delete',
  'done: edit',
  'operator: grant',
  'operator: keep',
  'operator: remove',
  'refused: MESSAGE_UNKNOWN',
  'refused: PERSON_UNKNOWN',
  'refused: ROOM_EXISTS',
  'refused: ROOM_FORBIDDEN',
  'refused: ROOM_UNKNOWN',
  'told: mark',
  'told: presence',
  'told: roomGap',
];

/** Run one world for each seed; give what went wrong, by seed, and count what happened. */
async function campaign(
  options: Options,
  seeds: number,
  isEnough: (problems: readonly string[]) => boolean = () => false,
): Promise<{ readonly problems: readonly string[]; readonly counts: ReadonlyMap<string, number> }> {
  const problems: string[] = [];
  const counts = new Map<string, number>();
  for (let seed = 1; seed <= seeds && !isEnough(problems); seed += 1) {
    const world = new World({ ...options, seed, settle });
    problems.push(...(await world.run()).map(problem => `seed ${seed}: ${problem}`));
    for (const [what, times] of world.scheduler.counts) counts.set(what, (counts.get(what) ?? 0) + times);
  }
  return { problems, counts };
}

function expectEach(faults: readonly string[], counts: ReadonlyMap<string, number>): void {
  const table = faults.map(fault => `  ${fault}: ${counts.get(fault) ?? 0}`);
  console.log(['what befell them', ...table].join('\n'));
  for (const fault of faults) expect(counts.get(fault) ?? 0, fault).toBeGreaterThan(0);
}

afterEach(() => {
  defects.noOutboxCheck = false;
  defects.noComparison = false;
});

describe('a host and its clients, whatever befalls them', () => {
  test('each message is stored once, in order, and read once', async () => {
    const { problems, counts } = await campaign(PLAIN, 120);
    expect(problems).toEqual([]);
    expectEach(PLAIN_FAULTS, counts);
  });

  test('also when data directories are restored and copied', async () => {
    const { problems, counts } = await campaign(COPIES, 120);
    expect(problems).toEqual([]);
    expectEach([...PLAIN_FAULTS, ...COPY_FAULTS], counts);
  });

  test('and what they do to rooms, names and messages is done once, in its place', async () => {
    const { problems, counts } = await campaign({ ...PLAIN, acts: 'lobby', copies: true }, 60);
    expect(problems).toEqual([]);
    expectEach(['rename', 'topic', 'edit', 'delete', ...COPY_FAULTS], counts);
  });

  test(
    'and whatever they do to rooms, and whoever is sent away, is what the rules make of it',
    async () => {
      const { problems, counts } = await campaign({ ...PLAIN, devices: 5, acts: 'rooms' }, ROOM_SEEDS);
      expect(problems).toEqual([]);
      expectEach(ROOM_EVENTS, counts);
    },
    ROOM_SEEDS * 4_000,
  );

  test.each([
    ['without the outbox check at the host', PLAIN, { noOutboxCheck: true }, 'stored 2 times'],
    ['when what was compared is sent all the same', COPIES, { noComparison: true }, 'stored 2 times'],
    ['when the host answers before the disk has it', { ...PLAIN, hostLies: true }, {}, 'is lost'],
    ['when the client forgets before the disk has it', { ...PLAIN, clientLies: true }, {}, 'is lost'],
  ] as const)('a run is red %s', async (_name, options, switched, expected) => {
    Object.assign(defects, switched);
    const isRed = (problems: readonly string[]): boolean => problems.some(text => text.includes(expected));
    const { problems } = await campaign(options, 120, isRed);
    expect(problems.filter(text => text.includes(expected))).not.toEqual([]);
  });
});

describe('death at every write', () => {
  test.each(['host', 'client'] as const)('of the %s loses and doubles nothing', async side => {
    let deaths = 0;
    for (let n = 1; ; n += 1) {
      for (const moment of ['before', 'after'] as const) {
        const before = deaths;
        let writes = 0;
        const hook = (when: 'before' | 'after'): boolean => {
          if (when === 'before') writes += 1;
          if (when !== moment || writes !== n || deaths > before) return false;
          deaths += 1;
          if (side === 'host') world.crashHost();
          else for (const device of world.devices) world.crashDevice(device);
          return true;
        };
        const hooks = side === 'host' ? { hostHook: hook } : { clientHook: hook };
        const world: World = new World({
          ...PLAIN,
          devices: 1,
          messages: 40,
          chaos: 0,
          seed: 7,
          settle,
          ...hooks,
        });
        expect(await world.run(), `${moment} write ${n}`).toEqual([]);
        if (deaths === before) {
          console.log(`${side}: died ${deaths} times, before and after each of ${n - 1} writes`);
          expect(n).toBeGreaterThan(8);
          return;
        }
      }
    }
  });
});
