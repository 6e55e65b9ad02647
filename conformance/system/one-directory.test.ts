/**
 * Two `listen` and several `send` on one data directory, while the process that owns the directory is killed over and
 * over: whoever is left takes over, and every line arrives once. CONFORMANCE_SEED repeats a run.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { ControlProgram } from '../../src/gen/clawchat/v1/control_pb.ts';
import { askOwner, ownerOf } from './directory-owner.ts';
import { type Printed, printed, seeded } from './kill-run.ts';
import { type Ended, PATIENCE_MS, Place, type Running } from './programs.ts';

const KILLS = Number(process.env['CONFORMANCE_OWNER_KILLS'] ?? 40);
const SEED = Number(process.env['CONFORMANCE_SEED'] ?? Math.floor(Math.random() * 2 ** 32));
/** Lines of each `send -`. */
const LINES = 200;
const LIMIT_MS = Math.max(300_000, KILLS * 20_000);

const place = new Place();
const B = place.path('B');
const random = seeded(SEED);
afterAll(() => place.clean());
beforeAll(async () => {
  await place.host(place.path('A'));
  await place.join(place.path('A'), B, 'Bob');
  await place.join(place.path('A'), place.path('C'), 'Cleo');
});

type Kind = 'listen' | 'send' | 'send -';

/** What runs on the directory, by process. */
const running = new Map<number, { readonly kind: Kind; readonly program: Running }>();
let over = false;

async function run(kind: Kind, args: readonly string[], input?: string): Promise<Ended> {
  const program = place.start('clawchat', [...args, '--data', B], input);
  const pid = program.child.pid ?? 0;
  running.set(pid, { kind, program });
  const ended = await program.ended;
  running.delete(pid);
  return ended;
}

/** Listen to everything; whoever is killed is followed by one that begins where it stopped. */
async function listening(): Promise<readonly Printed[]> {
  const heard: Printed[] = [];
  for (;;) {
    const from = String(heard.at(-1)?.cursor ?? 0);
    const { code, signal, stdout, stderr } = await run('listen', ['listen', '--json', '--from', from]);
    heard.push(...printed(stdout));
    if (signal !== 'SIGKILL') {
      expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
      return heard;
    }
  }
}

interface Sent {
  readonly lines: readonly string[];
  /** Whether it said that all is stored; else it was killed. */
  readonly isStored: boolean;
}

/** Send `count` lines at a time, over and over. */
async function sending(name: string, count: number): Promise<readonly Sent[]> {
  const sent: Sent[] = [];
  while (!over) {
    const lines = Array.from({ length: count }, (_, i) => `${name} ${sent.length} ${i}`);
    const { code, signal, stderr } =
      count === 1
        ? await run('send', ['send', lines[0] ?? ''])
        : await run('send -', ['send', '-'], lines.join('\n'));
    if (signal !== 'SIGKILL') expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
    sent.push({ lines, isStored: code === 0 });
  }
  return sent;
}

/** Kill the owner, whoever it is, until everybody has been it. */
async function killing(): Promise<Readonly<Record<Kind, number>>> {
  const kills: Record<Kind, number> = { listen: 0, send: 0, 'send -': 0 };
  const total = (): number => kills.listen + kills.send + kills['send -'];
  while (total() < KILLS || (Math.min(kills.listen, kills['send -']) === 0 && total() < 4 * KILLS)) {
    const pid = await ownerOf(B, ControlProgram.CLIENT);
    const owner = running.get(pid ?? 0);
    if (owner === undefined) {
      await sleep(5);
      continue;
    }
    await sleep(random() ** 2 * 500);
    const { signal } = await owner.program.stop('SIGKILL');
    if (signal === 'SIGKILL') kills[owner.kind] += 1;
  }
  return kills;
}

/** Reject as soon as one of them does; what they end with is for others. */
function failed(work: readonly Promise<unknown>[]): Promise<never> {
  return new Promise((_, reject) => {
    for (const one of work) one.catch(reject);
  });
}

async function unacknowledged(): Promise<number | undefined> {
  const status = await askOwner(B, ControlProgram.CLIENT, { case: 'status', value: {} });
  return status?.case === 'clientStatus' ? status.value.unacknowledged : undefined;
}

/** Wait until nothing waits for the host any more: what was killed may have left something in the outbox. */
async function settled(): Promise<void> {
  const deadline = performance.now() + PATIENCE_MS;
  while ((await unacknowledged()) !== 0) {
    if (performance.now() > deadline) throw new Error('the outbox does not become empty');
    await sleep(50);
  }
}

it(
  `is one device whoever owns it, through ${KILLS} deaths of the owner (CT-014~1, CT-041~3, CT-042~1, CT-044~1)`,
  async () => {
    const listeners = [listening(), listening()];
    const senders = [sending('one', 1), sending('another', 1), sending('many', LINES)];
    const kills = await Promise.race([killing(), failed([...listeners, ...senders])]);
    over = true;
    const sent = (await Promise.all(senders)).flat();
    await settled();

    const history = printed(await place.ok('clawchat', ['history', '--json', '--data', place.path('C')]));
    const last = `{"cursor":${history.at(-1)?.cursor},`;
    for (const { program } of [...running.values()]) await program.line(line => line.startsWith(last));
    for (const { program } of [...running.values()]) program.child.kill('SIGTERM');
    const heard = await Promise.all(listeners);

    const stored = sent.filter(({ isStored }) => isStored);
    console.log(
      `CONFORMANCE_SEED=${SEED}: owners killed`,
      kills,
      `${history.length} messages, ${stored.length} of ${sent.length} sends ended well`,
    );
    const texts = history.map(({ text }) => text);
    const once = new Set(texts);
    expect(texts.length).toBe(once.size);
    expect(stored.flatMap(({ lines }) => lines).filter(text => !once.has(text))).toEqual([]);
    const known = new Set(sent.flatMap(({ lines }) => lines));
    expect(texts.filter(text => !known.has(text))).toEqual([]);
    // Who was killed has sent the beginning of what it was given; nobody's lines changed places.
    for (const { lines } of sent) {
      const mine = new Set(lines);
      const arrived = texts.filter(text => mine.has(text));
      expect(arrived).toEqual(lines.slice(0, arrived.length));
    }
    for (const one of heard) expect(one).toEqual(history);
    expect(stored.length).toBeGreaterThan(0);
  },
  LIMIT_MS,
);
