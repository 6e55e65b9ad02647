/** A host in surroundings that a test sets by hand, with everything it did and when. */
import { type Constants, MINIMAL, STANDARD } from '../../src/gen/constants.ts';
import type { Now } from '../../src/protocol/now.ts';
import { step } from '../../src/protocol/rotation.ts';
import type { Note, Notice, RecordPlan, Rotation, RotationInput } from '../../src/protocol/rotation-state.ts';
import { Host } from './rotation-host.ts';
import { World } from './rotation-world.ts';

/** When the wall clock of every bench starts. */
export const WALL_AT = 1_790_000_000_000;

/** What a test changes while it runs. */
export interface Weather {
  canCommit: boolean;
  canBind: (port: number) => boolean;
  map: 'mapped' | 'refused' | 'taken' | 'silent';
  clockOffsetMs: number | undefined;
  /** How long a store that counts takes to be verified; undefined when none answers. */
  storeMs: number | undefined;
  commitMs: number;
}

/** One thing that happened; `at` is true time since the bench began. */
export type Happening =
  | { readonly at: number; readonly kind: 'publish'; readonly record: RecordPlan }
  | { readonly at: number; readonly kind: 'notify' | 'hand over'; readonly notice: Notice }
  | { readonly at: number; readonly kind: 'closed'; readonly port: number }
  | { readonly at: number; readonly kind: 'note'; readonly note: Note }
  | { readonly at: number; readonly kind: 'crashed' };

/** A host under the hands of a test. */
export class Bench {
  readonly world: World;
  readonly host: Host;
  readonly weather: Weather = {
    canCommit: true,
    canBind: () => true,
    map: 'mapped',
    clockOffsetMs: 0,
    storeMs: 2000,
    commitMs: 0,
  };
  readonly log: Happening[] = [];

  constructor(
    options: {
      readonly seed?: number;
      readonly constants?: Constants;
      readonly isMapped?: boolean;
      readonly intervalMs?: number;
      readonly fixedPort?: number;
    } = {},
  ) {
    const { seed = 1, constants = STANDARD, ...rest } = options;
    this.world = new World(seed);
    const { weather, log, world } = this;
    this.host = new Host(
      world,
      constants,
      {
        delayMs: what => (what === 'commit' ? weather.commitMs : 0),
        canCommit: () => weather.canCommit,
        canBind: port => weather.canBind(port),
        map: () => weather.map,
        clockOffsetMs: () => weather.clockOffsetMs,
      },
      {
        publish: record => {
          log.push({ at: world.now, kind: 'publish', record });
          this.#verify(record.sequence);
        },
        notify: notice =>
          void log.push({ at: world.now, kind: notice.kind === 'record' ? 'hand over' : 'notify', notice }),
        closed: port => void log.push({ at: world.now, kind: 'closed', port }),
        note: note => void log.push({ at: world.now, kind: 'note', note }),
        crashed: () => void log.push({ at: world.now, kind: 'crashed' }),
      },
      { wallAt: WALL_AT, ...rest },
    );
  }

  get state(): Rotation {
    const { state } = this.host;
    if (state === undefined) throw new Error('no process runs');
    return state;
  }

  /** Start and run to `ms` after the beginning. */
  run(ms: number): this {
    if (this.host.state === undefined) this.host.start();
    this.world.run(ms);
    return this;
  }

  /** Let every store answer now for what was published last. */
  verifyNow(): void {
    this.host.input({ kind: 'verified', sequence: this.state.record?.sequence ?? 0 });
  }

  /** Everything of one kind since `from`. */
  seen<Kind extends Happening['kind']>(kind: Kind, from = 0): (Happening & { kind: Kind })[] {
    return this.log.filter((one): one is Happening & { kind: Kind } => one.kind === kind && one.at >= from);
  }

  notes(from = 0): string[] {
    return this.seen('note', from).map(({ note }) => (note.what === 'held' ? `held ${note.why}` : note.what));
  }

  /** Say for the instants -1, 0 and +1 ms around `ms` whether an input then makes the machine say `kind`. */
  edge(ms: number, input: RotationInput, says: (kinds: readonly string[]) => boolean): boolean[] {
    return [-1, 0, 1].map(by => {
      const now: Now = {
        wall: this.host.now.wall + ms + by - this.world.now,
        mono: this.host.now.mono + ms + by - this.world.now,
      };
      const [next, outputs] = step(this.state, input, now);
      const then = next.commit?.then.map(effect => effect.kind) ?? [];
      return says([...outputs.map(({ kind }) => kind), ...then.map(kind => `then ${kind}`), next.phase]);
    });
  }

  #verify(sequence: number): void {
    const { life } = this.host;
    const { storeMs } = this.weather;
    if (storeMs === undefined) return;
    this.world.after(storeMs, () => {
      if (this.host.life === life) this.host.input({ kind: 'verified', sequence });
    });
  }
}

/** The presets under which a row is tested. */
export const PRESETS: readonly (readonly [string, Constants])[] = [
  ['standard', STANDARD],
  ['minimal', MINIMAL],
];

export const TICK = { kind: 'tick' } as const;

/** What `Bench.edge` gives where something happens at its instant, and a millisecond before does not. */
export const AT: readonly boolean[] = [false, true, true];

export const includes =
  (what: string) =>
  (kinds: readonly string[]): boolean =>
    kinds.includes(what);

/** Run a bench whose stores answer well before they have to. */
export function runRows(constants: Constants, until: number, isMapped = true): Bench {
  const made = new Bench({ constants, isMapped });
  made.weather.storeMs = constants.VERIFY_LEAD_MS / 5;
  return made.run(until);
}
