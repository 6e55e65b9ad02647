/** Vectors: when a host and its clients do what, by clocks that drift, step, sleep and lie (spec/06-rotation.md). */
import {
  CLOCK_STEP_MS,
  type Constants,
  DIAL_BACKOFF_MS_MAX,
  MINIMAL,
  PORT_MIN,
  STANDARD,
} from '../../../src/gen/constants.ts';
import type { Flag } from '../flags.ts';
import { judgeRotation } from '../judge/rotation.ts';
import { type Family, family, type JsonObject, type Vector } from '../vector.ts';

const WALL = 1_790_000_000_000;
const MONO = 5_000_000;
const DAY = 86_400_000;
const PORTS = Array.from({ length: 12 }, (_, i) => PORT_MIN + 1000 * i + 7);
const { ROTATION_INTERVAL_MS: R, ...c } = STANDARD;
const AROUND = [-1, 0, 1];

interface Head {
  readonly note: string;
  readonly req: readonly string[];
  readonly flags?: readonly Flag[];
}

/** A vector whose answer is what the model says. */
function vector(id: string, { note, req, flags = ['clock'] }: Head, input: JsonObject): Vector {
  const outcome = judgeRotation(input, {}, new Map());
  return { id: `rotation/${id}`, note, req, flags, phase: 'time', input, ...outcome };
}

/** Writes the steps of one host. Its two clocks go on together unless something is said. */
class Story {
  readonly steps: JsonObject[] = [];
  #wall = WALL;
  #mono = MONO;
  #origin = WALL;

  constructor(wall: number = WALL) {
    this.#wall = wall;
    this.#origin = wall;
    this.#add({ start: true });
    this.#add({ verified: 1 });
  }

  /** Let both clocks go on until the wall clock is `ms` behind the first start, and look. */
  at(ms: number): this {
    this.#pass(ms);
    return this.#add({ tick: true });
  }

  /** Look at each of these instants. */
  around(ms: number): this {
    for (const by of AROUND) this.at(ms + by);
    return this;
  }

  /** A store shows this sequence now, or at that time. */
  verified(sequence: number, ms?: number): this {
    if (ms !== undefined) this.#pass(ms);
    return this.#add({ verified: sequence });
  }

  /** Set the wall clock, or let the monotonic one stand still meanwhile. */
  step(byMs: number): this {
    this.#wall += byMs;
    return this.#add({ tick: true });
  }

  /** As `step`, but this time counts as seen by the story: `at` goes on from the new clock. */
  drift(byMs: number): this {
    this.#mono += byMs;
    return this;
  }

  clock(offsetMs: number | null): this {
    return this.#add({ clock_offset_ms: offsetMs });
  }

  rotate(): this {
    return this.#add({ rotate: true });
  }

  emergency(kind: 'soft' | 'hard'): this {
    return this.#add({ emergency: kind });
  }

  /** The process ends, and another one begins when the wall clock shows `ms` behind the first start. */
  again(ms: number): this {
    this.#wall = this.#origin + ms;
    this.#mono = 1_000_000 - (this.#mono % 1000);
    return this.#add({ start: true });
  }

  #pass(ms: number): void {
    const passed = this.#origin + ms - this.#wall;
    if (passed < 0) throw new Error('time goes on');
    this.#wall += passed;
    this.#mono += passed;
  }

  #add(event: JsonObject): this {
    this.steps.push({ wall_ms: this.#wall, mono_ms: this.#mono, ...event });
    return this;
  }
}

function host(
  id: string,
  head: Head,
  story: Story,
  intervalMs: number = R,
  constants: Constants = STANDARD,
): Vector {
  const preset = constants === MINIMAL ? { preset: 'minimal' } : {};
  return vector(`host/${id}`, head, {
    what: 'host',
    ...preset,
    interval_ms: intervalMs,
    ports: PORTS,
    steps: story.steps,
  });
}

/** A host in the middle of a state, with sequence 2 verified where that is wanted. */
const resting = (): Story => new Story().clock(0).at(R / 2);
const preparing = (): Story => resting().at(R - c.PREPARE_LEAD_MS + 30_000);
const publishing = (): Story => preparing().at(R - c.PUBLISH_LEAD_MS);
const verified = (): Story => publishing().verified(2, R - c.PUBLISH_LEAD_MS + 2000);
const grace = (): Story =>
  verified()
    .at(R)
    .at(R + 60_000);

function rows(constants: Constants): Vector[] {
  const { ROTATION_INTERVAL_MS: r, ...k } = constants;
  const name = constants === MINIMAL ? 'minimal' : 'standard';
  const story = new Story()
    .clock(0)
    .around(r - k.PREPARE_LEAD_MS)
    .around(r - k.PUBLISH_LEAD_MS)
    .verified(2, r - k.VERIFY_LEAD_MS - 1)
    .around(r - k.VERIFY_LEAD_MS)
    .around(r)
    .around(r + k.RETIRE_MS)
    .around(2 * r - k.PREPARE_LEAD_MS);
  return [
    host(
      `rows-${name}`,
      {
        note: 'A rotation on schedule: each row at its instant, a millisecond before and a millisecond behind it.',
        req: ['RT-102~1', 'RT-103~1', 'RT-104~1', 'RT-105~1', 'RT-106~1', 'RT-008~1', 'RT-113~1'],
        flags: ['known-answer', 'boundary', 'clock'],
      },
      story,
      r,
      constants,
    ),
  ];
}

function holds(): Vector[] {
  const late = { req: ['RT-107~1', 'RT-117~1'], flags: ['boundary'] as const };
  const at = R - c.VERIFY_LEAD_MS;
  return [
    ...AROUND.map(by =>
      host(
        `verified-${by + 1}`,
        { note: `A store answers ${by} ms from R - VERIFY_LEAD_MS.`, ...late },
        publishing()
          .verified(2, at + by)
          .at(at + 2)
          .at(R),
      ),
    ),
    host(
      'hold-of-stores',
      { note: 'No store answers for two holds; then one shows the first record of the epoch.', ...late },
      publishing()
        .around(at)
        .around(R + c.HOLD_MS - c.PUBLISH_LEAD_MS)
        .around(at + c.HOLD_MS)
        .at(R + 2 * c.HOLD_MS - c.PUBLISH_LEAD_MS)
        .verified(2)
        .around(R + 2 * c.HOLD_MS),
    ),
    host(
      'rotate-now',
      {
        note: 'A rotation on demand, at rest and behind a move.',
        req: ['RT-116~1'],
        flags: ['state-machine'],
      },
      resting()
        .rotate()
        .at(R / 2 + c.PREPARE_LEAD_MS - c.PUBLISH_LEAD_MS)
        .rotate()
        .verified(2)
        .at(R / 2 + c.PREPARE_LEAD_MS)
        .rotate()
        .at(R / 2 + c.PREPARE_LEAD_MS + c.RETIRE_MS),
    ),
  ];
}

/** Every state, and a clock that goes to either side by as much as may be passed over, or more. */
function steps(): Vector[] {
  const states: Readonly<Record<string, () => Story>> = { resting, preparing, publishing, verified, grace };
  const all: Vector[] = [];
  for (const [state, make] of Object.entries(states)) {
    for (const sign of [1, -1]) {
      const way = sign > 0 ? 'forward' : 'back';
      for (const by of AROUND) {
        all.push(
          host(
            `step-${state}-${way}-${by + 1}`,
            {
              note: `${state}: the wall clock is set ${way} by CLOCK_STEP_MS ${by < 0 ? '- 1' : by > 0 ? '+ 1' : ''}`.trim(),
              req: ['RT-130~1', 'RT-132~1'],
              flags: ['boundary', 'clock'],
            },
            make().step(sign * (CLOCK_STEP_MS + by)),
          ),
        );
      }
      for (const [name, ms] of [
        ['hour', 3_600_000],
        ['year', 365 * DAY],
      ] as const) {
        all.push(
          host(
            `step-${state}-${way}-${name}`,
            {
              note: `${state}: the clock is set ${way} by an ${name === 'hour' ? 'hour' : 'entire year'}.`,
              req: ['RT-130~1', 'RT-131~1', 'RT-132~1'],
              flags: ['clock'],
            },
            make().step(sign * ms),
          ),
        );
      }
    }
  }
  return all;
}

/** The monotonic clock stands still while a machine sleeps. */
function sleeps(): Vector[] {
  const head = (note: string): Head => ({
    note,
    req: ['RT-130~1', 'RT-131~1', 'RT-132~1'],
    flags: ['clock'],
  });
  return [
    host(
      'sleep-short',
      head('Asleep for as long as may be passed over.'),
      resting()
        .step(CLOCK_STEP_MS)
        .at(R - c.PREPARE_LEAD_MS),
    ),
    host('sleep-ten-minutes', head('Asleep for ten minutes at rest.'), resting().step(600_000)),
    host(
      'sleep-three-rotations',
      head('Asleep through three rotations: it is where it was, with fresh times, and moves now.'),
      resting()
        .step(3 * R)
        .at(R / 2 + 3 * R + c.PREPARE_LEAD_MS - c.PUBLISH_LEAD_MS),
    ),
    host(
      'sleep-in-grace',
      head('Asleep in the grace: the old port stays for what the monotonic clock has left.'),
      grace()
        .step(600_000)
        .at(R + 60_000 + 600_000 + c.RETIRE_MS - 60_000 - 1)
        .at(R + 60_000 + 600_000 + c.RETIRE_MS - 60_000),
    ),
    host(
      'sleep-while-publishing',
      head('Asleep over R with the next port listed.'),
      publishing().step(600_000),
    ),
    host(
      'back-in-grace',
      head('The clock goes back a day in the grace: the old port stays one interval longer, and no longer.'),
      grace()
        .step(-DAY)
        .at(R + 60_000 - DAY + R + c.RETIRE_MS - 60_000 - 1)
        .at(R + 60_000 - DAY + R + c.RETIRE_MS - 60_000),
    ),
    host(
      'back-twice',
      head('The clock goes back twice: one step does not add to the next.'),
      grace().step(-600_000).step(-600_000),
    ),
  ];
}

/** Clocks that go too fast or too slow for each other, by less than is seen as a step. */
function drifts(): Vector[] {
  return [-4000, 4000].map(byMs => {
    const end = R + c.RETIRE_MS;
    return host(
      `drift-${byMs < 0 ? 'slow' : 'fast'}`,
      {
        note: `The monotonic clock is ${Math.abs(byMs)} ms ${byMs < 0 ? 'behind' : 'ahead'} at the end of the grace: the later one decides.`,
        req: ['RT-131~1', 'RT-106~1'],
        flags: ['boundary', 'clock'],
      },
      grace()
        .drift(byMs)
        .around(end)
        .around(end + 4000),
    );
  });
}

/** What a process finds that begins behind another one. */
function starts(): Vector[] {
  const head = (note: string, ...req: string[]): Head => ({
    note,
    req: req.length === 0 ? ['RT-120~1', 'RT-121~1', 'RT-007~1'] : req,
    flags: ['state-machine', 'clock'],
  });
  const late = ['RT-120~1', 'RT-123~1'];
  const valid = R + c.GRACE_MS + (c.RETIRE_MS - c.GRACE_MS);
  return [
    host('again-resting', head('A restart at rest: the same record again.'), resting().again(R / 2 + 5000)),
    host(
      'again-preparing',
      head('A restart with a port that no record lists.'),
      preparing().again(R - c.PREPARE_LEAD_MS + 40_000),
    ),
    host(
      'again-publishing',
      head('A restart while nothing is verified yet.'),
      publishing()
        .again(R - 60_000)
        .verified(2)
        .at(R),
    ),
    host(
      'again-verified',
      head('A restart before R.'),
      verified()
        .again(R - 60_000)
        .at(R),
    ),
    host(
      'again-grace',
      head('A restart in the grace.'),
      grace()
        .again(R + 90_000)
        .around(R + c.RETIRE_MS),
    ),
    ...AROUND.map(by =>
      host(
        `again-row-${by + 1}`,
        head(`A start ${by} ms from R - PREPARE_LEAD_MS.`, ...late),
        resting().again(R - c.PREPARE_LEAD_MS + by),
      ),
    ),
    ...AROUND.map(by =>
      host(
        `again-behind-${by + 1}`,
        head(`A start ${by} ms from R, with the next port listed.`, 'RT-120~1', 'RT-124~1'),
        verified().again(R + by),
      ),
    ),
    ...AROUND.map(by =>
      host(
        `again-expired-${by + 1}`,
        head(`A start ${by} ms from the end of the only port.`, 'RT-121~1', 'RT-123~1'),
        resting().again(valid + by),
      ),
    ),
    host(
      'off-a-day',
      head('Down for a day: a fresh port, epoch and file at once.', ...late),
      resting()
        .again(DAY)
        .verified(2)
        .at(DAY + R - c.PREPARE_LEAD_MS),
    ),
    host(
      'again-in-1970',
      head(
        'A restart with a clock that begins in 1970: what was promised lasts for what was left.',
        'RT-130~1',
        'RT-132~1',
      ),
      new Story().again(1000 - WALL).at(2000 - WALL),
    ),
    host(
      'again-1970-in-grace',
      head('The same in the grace.', 'RT-130~1', 'RT-131~1', 'RT-132~1'),
      grace()
        .again(1000 - WALL)
        .at(1000 - WALL + c.RETIRE_MS - 60_000 - 1)
        .at(1000 - WALL + c.RETIRE_MS - 60_000),
    ),
    host(
      'begin-in-1970',
      head(
        'A first start in 1970: unfit for rotation until the clock is set.',
        'RT-130~1',
        'RT-133~1',
        'RT-134~1',
      ),
      new Story(0)
        .clock(-WALL)
        .at(R - c.PREPARE_LEAD_MS)
        .clock(-WALL)
        .step(WALL)
        .clock(0)
        .at(WALL + R - c.PREPARE_LEAD_MS + c.PREPARE_LEAD_MS - c.PUBLISH_LEAD_MS),
    ),
  ];
}

/** The host asks for the time. */
function checks(): Vector[] {
  const bound = (limit: number, name: string): Vector[] =>
    AROUND.flatMap(by =>
      [1, -1].map(sign =>
        host(
          `clock-${name}-${sign > 0 ? 'ahead' : 'behind'}-${by + 1}`,
          {
            note: `The clock was found off by ${limit + by} ms.`,
            req: ['RT-133~1', 'RT-134~1'],
            flags: ['boundary', 'clock'],
          },
          new Story().clock(sign * (limit + by)).at(R - c.PREPARE_LEAD_MS),
        ),
      ),
    );
  const unfit = c.CLOCK_HOLD_MS + 1;
  const head = (note: string): Head => ({ note, req: ['RT-134~1'], flags: ['clock'] });
  return [
    host(
      'clock-check',
      {
        note: 'The time is asked for at the start and each CLOCK_CHECK_MS.',
        req: ['RT-133~1'],
        flags: ['boundary'],
      },
      new Story().clock(0).around(c.CLOCK_CHECK_MS).clock(0),
      3 * R,
    ),
    host(
      'clock-check-unfit',
      head('An unfit clock is looked at again each HOLD_MS.'),
      new Story()
        .clock(unfit)
        .around(c.HOLD_MS)
        .clock(null)
        .around(2 * c.HOLD_MS),
    ),
    ...bound(c.CLOCK_WARN_MS, 'warn'),
    ...bound(c.CLOCK_HOLD_MS, 'hold'),
    host(
      'unfit-preparing',
      head('Found unfit while preparing.'),
      preparing()
        .clock(unfit)
        .at(R - c.PUBLISH_LEAD_MS),
    ),
    host(
      'unfit-verified',
      head('Found unfit before R.'),
      verified()
        .clock(-unfit)
        .at(R)
        .clock(0)
        .at(R + c.HOLD_MS - c.PUBLISH_LEAD_MS),
    ),
    host(
      'unfit-grace',
      head('Found unfit in the grace: no old place ends.'),
      grace()
        .clock(unfit)
        .around(R + c.RETIRE_MS)
        .clock(0)
        .at(R + c.RETIRE_MS + c.HOLD_MS + c.RETIRE_MS - c.GRACE_MS),
    ),
  ];
}

function emergencies(): Vector[] {
  const end = R / 2 + c.EMERGENCY_MS;
  const head = (note: string): Head => ({
    note,
    req: ['RT-140~1', 'RT-141~1'],
    flags: ['boundary', 'clock'],
  });
  return [
    host(
      'emergency',
      head('A soft emergency with a store.'),
      resting().emergency('soft').verified(2).around(end),
    ),
    host(
      'emergency-unverified',
      head('A soft one waits for a store.'),
      resting()
        .emergency('soft')
        .around(end)
        .at(end + 60_000)
        .verified(2),
    ),
    host('emergency-hard', head('A hard one waits for nothing.'), resting().emergency('hard').around(end)),
    host(
      'emergency-hard-forward',
      head('A hard one ends as soon as one clock says so.'),
      resting().emergency('hard').step(4000).around(end),
    ),
    host(
      'emergency-soft-back',
      head('A soft one ends when both clocks say so.'),
      resting()
        .emergency('soft')
        .verified(2)
        .step(-4000)
        .at(end - 4000)
        .around(end),
    ),
    host(
      'emergency-sleep',
      head('Asleep during a soft one.'),
      resting().emergency('soft').verified(2).step(600_000),
    ),
    host(
      'emergency-in-rotation',
      { note: 'It replaces a rotation, listed or not.', req: ['RT-143~1'], flags: ['state-machine'] },
      publishing()
        .emergency('soft')
        .verified(3)
        .at(R - c.PUBLISH_LEAD_MS + c.EMERGENCY_MS),
    ),
    host(
      'emergency-while-preparing',
      { note: 'A port that no record lists is given up.', req: ['RT-143~1'], flags: ['state-machine'] },
      preparing().emergency('soft'),
    ),
    host(
      'emergency-folded',
      { note: 'A second request folds into one that follows.', req: ['RT-142~1'], flags: ['state-machine'] },
      resting().emergency('soft').verified(2).emergency('soft').around(end),
    ),
    host(
      'emergency-again',
      head('A restart in the middle of one.'),
      resting()
        .emergency('soft')
        .again(R / 2 + 30_000)
        .verified(2)
        .around(end),
    ),
    host(
      'emergency-hard-again',
      head('A restart behind the end of a hard one.'),
      resting()
        .emergency('hard')
        .again(end + 1),
    ),
  ];
}

/** A process that was stopped over R gives those who are on the old port their time. */
function lates(): Vector[] {
  const slack = c.RETIRE_MS - c.GRACE_MS;
  return AROUND.map(by =>
    host(
      `late-${by + 1}`,
      { note: `R comes ${slack + by} ms late.`, req: ['RT-106~1'], flags: ['boundary'] },
      verified()
        .at(R + slack + by)
        .at(R + c.RETIRE_MS),
    ),
  );
}

function moves(): Vector[] {
  const head: Head = {
    note: 'Between which instants a client draws the one of its move.',
    req: ['RT-150~1'],
    flags: ['boundary'],
  };
  const move = (id: string, rotates: number, ends: number, kind = 'move', req = head.req): Vector =>
    vector(
      `move/${id}`,
      { ...head, req },
      { what: 'move', notice: { kind, rotates_in_ms: rotates, old_ends_in_ms: ends } },
    );
  const lead = c.MIGRATE_LEAD_MS;
  const over = c.GRACE_MS - c.MIGRATE_LAG_MS;
  return [
    move('on-time', c.PUBLISH_LEAD_MS, c.PUBLISH_LEAD_MS + c.GRACE_MS),
    ...AROUND.map(by => move(`lead-${by + 1}`, lead + by, lead + by + c.GRACE_MS)),
    move('at-r', 0, c.GRACE_MS),
    move('late', 0, c.GRACE_MS - 60_000),
    ...AROUND.map(by => move(`over-${by + 1}`, 0, over + by, 'move', ['RT-150~1', 'RT-153~1'])),
    move('gone', 0, 0, 'move', ['RT-153~1']),
    move('emergency', 0, c.EMERGENCY_MS, 'emergency', ['RT-153~1']),
    move('emergency-odd', 0, 1001, 'emergency', ['RT-153~1']),
  ];
}

function retries(): Vector[] {
  const doublings = Math.ceil(Math.log2(DIAL_BACKOFF_MS_MAX / 1000));
  return [1, 2, 3, doublings, doublings + 1, doublings + 2].map(failures =>
    vector(
      `retry/${failures}`,
      { note: 'How long a move waits that failed so often.', req: ['RT-152~1'], flags: ['boundary'] },
      { what: 'retry', failures },
    ),
  );
}

/** When a client that starts reads before it dials, by its own clock. */
function clientStarts(): Vector[] {
  return AROUND.map(by =>
    vector(
      `start/${by + 1}`,
      {
        note: `A client starts ${by} ms from the instant from which on it reads first, by its own clock.`,
        req: ['DI-030~1'],
        flags: ['boundary', 'clock'],
      },
      { what: 'start', now_ms: WALL + R - c.READ_BEFORE_DIAL_MS + by, next_rotation_ms: WALL + R },
    ),
  );
}

function intervals(): Vector[] {
  return [c.ROTATION_INTERVAL_MS_MIN, c.ROTATION_INTERVAL_MS_MAX].flatMap((bound, i) =>
    AROUND.map(by =>
      vector(
        `interval/${i === 0 ? 'min' : 'max'}-${by + 1}`,
        { note: 'An interval at its bound.', req: ['RT-112~1'], flags: ['boundary', 'range'] },
        { what: 'interval', asked_ms: bound + by },
      ),
    ),
  );
}

/** Make the family. */
export function rotation(): Family {
  return family(
    'rotation',
    ['spec/06-rotation.md', 'spec/07-discovery.md#74-reading'],
    'A host that is looked at on two clocks, the instants of a client, and bounds.',
    [
      ...rows(STANDARD),
      ...rows(MINIMAL),
      ...holds(),
      ...steps(),
      ...sleeps(),
      ...drifts(),
      ...starts(),
      ...checks(),
      ...emergencies(),
      ...lates(),
      ...moves(),
      ...retries(),
      ...clientStarts(),
      ...intervals(),
    ],
  );
}
