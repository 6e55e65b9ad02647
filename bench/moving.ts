/** A host that moves while a thousand sessions each send a numbered message a second (bench/README.md). */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { type Constants, STANDARD } from '../src/gen/constants.ts';
import { Child } from './child.ts';
import type { MovingHostPlace, MovingHostState } from './moving-host.ts';
import type { MovingLoadReport } from './moving-load.ts';
import type { Group, Settings } from './settings.ts';
import type { Measured } from './stats.ts';

const SESSIONS = 1000;
const QUICK_SESSIONS = 50;
/** The rotation table in less time: a window of 30 s where the standard has 240, so 33 moves a second where it has four. */
const FASTER = 8;
const QUICK_FASTER = 100;
const REST_MS = 10_000;
/** What the last session may need behind the window: it draws an instant within it, and dials then. */
const LATE_MS_MAX = 5000;
const RSS_MIB_MAX = 384;

/** The standard preset with every time of the rotation table divided. */
function faster(by: number): Constants {
  const names: readonly (keyof Constants)[] = [
    'PREPARE_LEAD_MS',
    'MAPPING_LEAD_MS',
    'PUBLISH_LEAD_MS',
    'MIGRATE_LEAD_MS',
    'VERIFY_LEAD_MS',
    'MIGRATE_LAG_MS',
    'GRACE_MS',
    'RETIRE_MS',
    'HOLD_MS',
    'EMERGENCY_MS',
    'READ_BEFORE_DIAL_MS',
  ];
  return { ...STANDARD, ...Object.fromEntries(names.map(name => [name, Math.ceil(STANDARD[name] / by)])) };
}

/** Host and load, with a move between two rests. */
class Move {
  readonly #host: Child;
  readonly #load: Child;
  readonly #sessions: number;
  readonly #constants: Constants;
  #rssBytes = 0;

  constructor({ built, effort, hostFlags }: Settings) {
    this.#host = new Child(`${built}/moving-host.js`, 'moving host', hostFlags);
    this.#load = new Child(`${built}/moving-load.js`, 'moving load');
    this.#sessions = effort < 1 ? QUICK_SESSIONS : SESSIONS;
    this.#constants = faster(effort < 1 ? QUICK_FASTER : FASTER);
  }

  async measure(directory: string): Promise<readonly Measured[]> {
    const constants = this.#constants;
    const place = await this.#host.ask<MovingHostPlace>('start', {
      directory,
      constants,
      devices: this.#sessions,
    });
    await this.#load.ask('start', { ...place, constants, sessions: this.#sessions });
    const restMs = Math.min(REST_MS, constants.PREPARE_LEAD_MS);
    const rest = await this.#stretch(() => sleep(restMs));
    const before = await this.#state();
    const move = await this.#stretch(async () => {
      await this.#host.ask('rotate');
      const { PREPARE_LEAD_MS, MIGRATE_LAG_MS } = constants;
      const end = performance.now() + PREPARE_LEAD_MS + MIGRATE_LAG_MS + LATE_MS_MAX;
      while ((await this.#load.ask<number>('moved')) < this.#sessions && performance.now() < end)
        await this.#look(100);
    });
    const after = await this.#state();
    const end = await this.#load.ask<MovingLoadReport>('finish');
    const windowEndsAt = (after.rotatedAtMs ?? 0) + constants.MIGRATE_LAG_MS;
    const windowMs = constants.MIGRATE_LEAD_MS + constants.MIGRATE_LAG_MS;
    await this.#host.end();
    await this.#load.end();
    const wrong = [
      ...end.wrong,
      ...(end.moved === this.#sessions ? [] : [`${end.moved} of ${this.#sessions} sessions moved`]),
      ...(after.port === before.port ? ['the host is where it was'] : []),
      ...(end.answered === end.sent ? [] : [`${end.sent} messages, ${end.answered} answers`]),
    ];
    if (end.moves > end.moved)
      console.log(`${end.moves - end.moved} paths more than moves, of connections that broke`);
    if (end.troubles.length > 0) console.log('attempts that failed:', end.troubles.slice(0, 5));
    if (wrong.length > 0) throw new Error(wrong.slice(0, 5).join('; '));
    const group = `A move of ${this.#sessions} sessions, each sending a numbered message a second`;
    const cpuUs = move.cpuUs - (rest.cpuUs / rest.ms) * move.ms;
    const percent = ({ cpuUs: us, ms }: Stretch): number => us / ms / 10;
    const row = (name: string, unit: string, value: number): Measured => ({
      group,
      name,
      unit,
      ours: [value],
    });
    return [
      {
        ...row(
          `the last has moved, behind the end of its window of ${windowMs / 1000} s`,
          's',
          (end.lastMoveAtMs - windowEndsAt) / 1000,
        ),
        aim: { max: LATE_MS_MAX / 1000, of: 'value' },
      },
      row('server CPU for each move', 'us', cpuUs / this.#sessions),
      { ...row('server CPU during the move', '%', percent(move)), theirs: [percent(rest)], what: 'at rest' },
      { ...row('worst delay during the move', 'ms', move.worstMs), theirs: [rest.worstMs], what: 'at rest' },
      {
        ...row('resident memory, the most', 'MiB', this.#rssBytes / 2 ** 20),
        aim: { max: RSS_MIB_MAX, of: 'value' },
      },
    ];
  }

  async end(): Promise<void> {
    await Promise.all([this.#host.end(), this.#load.end()]);
  }

  #state(): Promise<MovingHostState> {
    return this.#host.ask('state');
  }

  async #look(ms: number): Promise<void> {
    await sleep(ms);
    this.#rssBytes = Math.max(this.#rssBytes, (await this.#state()).rssBytes);
  }

  async #stretch(work: () => Promise<unknown>): Promise<Stretch> {
    await this.#load.ask('worst');
    const [cpu, began] = [(await this.#state()).cpuUs, performance.now()];
    await work();
    const { cpuUs } = await this.#state();
    const ms = performance.now() - began;
    return { cpuUs: cpuUs - cpu, ms, worstMs: await this.#load.ask<number>('worst') };
  }
}

interface Stretch {
  readonly cpuUs: number;
  readonly ms: number;
  readonly worstMs: number;
}

export const moving: Group = {
  name: 'moving',
  about: `a move of ${SESSIONS} sessions that go on sending: nothing lost or doubled (90 seconds)`,
  parts: ['moving-host', 'moving-load'],
  measure: async (settings, show) => {
    const directory = await mkdtemp(join(tmpdir(), 'clawchat-bench-'));
    const move = new Move(settings);
    try {
      show(await move.measure(directory));
    } finally {
      await move.end();
      await rm(directory, { recursive: true, force: true });
    }
  },
};
