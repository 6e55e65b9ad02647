/** The reference implementation against rotation.json: the host's machine on two clocks, a client's instants, bounds. */
import { describe, expect, it } from 'vitest';
import { reading, stepReading } from '../../src/discovery/reading.ts';
import { type Constants, MINIMAL, PORT_MIN, STANDARD } from '../../src/gen/constants.ts';
import { codeName, isFault } from '../../src/protocol/fault.ts';
import { type MoveNotice, moveInMs, stepMigration } from '../../src/protocol/migration.ts';
import type { Now } from '../../src/protocol/now.ts';
import { rotation, step } from '../../src/protocol/rotation.ts';
import { parseInterval } from '../../src/protocol/rotation-interval.ts';
import { PORT_RANGE } from '../../src/protocol/rotation-port.ts';
import type {
  Journal,
  Notice,
  RecordPlan,
  Rotation,
  RotationConfig,
  RotationInput,
  RotationOutput,
} from '../../src/protocol/rotation-state.ts';
import { type Fields, fields, list, loadFamily, number, text, type Vector } from './load.ts';

const { vectors } = loadFamily('rotation');
const of = (what: string): [string, Vector][] =>
  vectors.filter(({ input }) => input['what'] === what).map(vector => [vector.id, vector]);
const constantsOf = ({ preset }: Fields): Constants => (preset === 'minimal' ? MINIMAL : STANDARD);

/** The machine with a disk, ports and a router that take no time. */
class HostUnderTest {
  readonly #config: RotationConfig;
  readonly #ports: number[];
  readonly #inputs: RotationInput[] = [];
  #disk: Journal | undefined;
  #state: Rotation;
  readonly #listens = new Set<number>();
  readonly #accepts = new Set<number>();
  #record: RecordPlan | undefined;
  #notices: Notice[] = [];
  #asks = false;
  #clock: string | undefined;

  constructor(input: Fields) {
    this.#ports = (input['ports'] as readonly number[]).slice();
    this.#config = {
      constants: constantsOf(input),
      intervalMs: number(input['interval_ms']),
      range: PORT_RANGE,
      reserved: [],
      fixedPort: undefined,
      isMapped: false,
    };
    this.#state = rotation(this.#config);
  }

  step(given: Fields): unknown {
    const now = { wall: number(given['wall_ms']), mono: number(given['mono_ms']) };
    this.#record = undefined;
    this.#notices = [];
    this.#asks = false;
    this.#clock = undefined;
    if (given['start'] !== undefined) {
      this.#state = rotation(this.#config);
      this.#listens.clear();
      this.#accepts.clear();
      for (const { epoch } of this.#disk?.places ?? []) this.#accepts.add(epoch);
    }
    this.#input(this.#inputOf(given), now);
    return {
      listens: [...this.#listens].sort((a, b) => a - b),
      accepts: [...this.#accepts].sort((a, b) => a - b),
      rotates_at_ms: this.#state.rotationAtMs,
      ...(this.#record === undefined ? {} : { record: shownPlan(this.#record) }),
      ...(this.#notices.length === 0 ? {} : { notices: this.#notices.map(shownNotice) }),
      ...(this.#asks ? { asks_for_the_time: true } : {}),
      ...(this.#clock === undefined ? {} : { clock: this.#clock }),
    };
  }

  #inputOf(given: Fields): RotationInput {
    if (given['start'] !== undefined) return { kind: 'start', journal: this.#disk };
    if (given['verified'] !== undefined) return { kind: 'verified', sequence: number(given['verified']) };
    if (given['rotate'] !== undefined) return { kind: 'rotateNow' };
    if (given['emergency'] !== undefined) return { kind: 'emergency', isHard: given['emergency'] === 'hard' };
    const offset = given['clock_offset_ms'];
    if (offset === undefined) return { kind: 'tick' };
    return { kind: 'clockChecked', offsetMs: offset === null ? undefined : number(offset) };
  }

  #input(input: RotationInput, now: Now): void {
    this.#inputs.push(input);
    if (this.#inputs.length > 1) return;
    // What an output gives back waits for the outputs beside it.
    for (let next = this.#inputs[0]; next !== undefined; next = this.#inputs[0]) {
      const [state, outputs] = step(this.#state, next, now);
      this.#state = state;
      for (const output of outputs) this.#perform(output, now);
      this.#inputs.shift();
    }
  }

  #perform(output: RotationOutput, now: Now): void {
    switch (output.kind) {
      case 'commit':
        // What is read back is what was written, and nothing that the process still changes.
        this.#disk = JSON.parse(JSON.stringify(output.journal)) as Journal;
        for (const { epoch } of output.journal.places) this.#accepts.add(epoch);
        this.#input({ kind: 'committed', id: output.id }, now);
        break;
      case 'draw': {
        const offset = (this.#ports.shift() ?? 0) - PORT_MIN;
        this.#input({ kind: 'drawn', entropy: Uint8Array.of(offset >> 8, offset & 255) }, now);
        break;
      }
      case 'listen':
        this.#listens.add(output.port);
        this.#input({ kind: 'bound', port: output.port }, now);
        break;
      case 'unlisten':
        this.#listens.delete(output.port);
        break;
      case 'publish':
        this.#record = output.record;
        break;
      case 'notify':
        this.#notices.push(output.notice);
        break;
      case 'retire':
        this.#accepts.delete(output.epoch);
        break;
      case 'checkClock':
        this.#asks = true;
        break;
      case 'note':
        if (output.note.what === 'clock-off') this.#clock = 'warns';
        if (output.note.what === 'clock-unfit') this.#clock = 'holds';
        break;
      case 'swapTls':
      case 'map':
      case 'unmap':
      case 'setPrimary':
        break;
    }
  }
}

function shownPlan(plan: RecordPlan): unknown {
  return {
    sequence: plan.sequence,
    epoch: plan.epoch,
    issued_at_ms: plan.issuedAtMs,
    next_rotation_ms: plan.nextRotationMs,
    valid_until_ms: plan.validUntilMs,
    ports: plan.ports.map(({ port, notBeforeMs, notAfterMs }) => ({
      port,
      not_before_ms: notBeforeMs,
      not_after_ms: notAfterMs,
    })),
    epochs: plan.epochs,
  };
}

function shownNotice({ kind, rotatesInMs, oldEndsInMs, sequence }: Notice): unknown {
  const times = { kind, rotates_in_ms: rotatesInMs, old_ends_in_ms: oldEndsInMs };
  return sequence === undefined ? times : { ...times, sequence };
}

describe('rotation.json', () => {
  it.each(of('host'))('%s', (_id, { input, output }) => {
    const host = new HostUnderTest(input);
    const expected = list(output['steps']);
    list(input['steps']).forEach((given, index) => {
      expect({ index, ...(host.step(given) as object) }).toEqual({ index, ...expected[index] });
    });
  });

  it.each(of('move'))('%s', (_id, { input, output }) => {
    const given = fields(input['notice']);
    const notice: MoveNotice = {
      kind: text(given['kind']) as MoveNotice['kind'],
      rotatesInMs: number(given['rotates_in_ms']),
      oldEndsInMs: number(given['old_ends_in_ms']),
    };
    const draw = (entropy: number): number => moveInMs(notice, entropy, constantsOf(input));
    expect({ first_ms: draw(0), last_ms: draw(1 - Number.EPSILON / 2) }).toEqual(output);
  });

  it.each(of('retry'))('%s', (_id, { input, output }) => {
    const draw = (entropy: number): number => {
      const before = { at: Number.POSITIVE_INFINITY, failures: number(input['failures']) - 1 };
      return stepMigration(before, { kind: 'failed', entropy }, 0, STANDARD)?.at ?? Number.NaN;
    };
    expect({ from_ms: draw(0), before_ms: draw(1 - Number.EPSILON / 2) + 1 }).toEqual(output);
  });

  it.each(of('start'))('%s', (_id, { input, output }) => {
    const { READ_BEFORE_DIAL_MS, STORE_READ_AGAIN_MS } = constantsOf(input);
    const state = reading(['a store'], {
      readBeforeDialMs: READ_BEFORE_DIAL_MS,
      readAgainMs: STORE_READ_AGAIN_MS,
    });
    const held = { sequence: 1, hash: new Uint8Array(32), nextRotationMs: number(input['next_rotation_ms']) };
    const [, outputs] = stepReading(
      state,
      { kind: 'start', held },
      { wall: number(input['now_ms']), mono: 0 },
    );
    expect({ reads_first: !outputs.some(({ kind }) => kind === 'dial') }).toEqual(output);
  });

  it.each(of('interval'))('%s', (_id, { input, output, error }) => {
    const taken = parseInterval(number(input['asked_ms']), constantsOf(input));
    if (isFault(taken)) expect(codeName(taken.code)).toBe(error);
    else expect({ interval_ms: taken }).toEqual(output);
  });

  it('leaves none out', () => {
    const kinds = ['host', 'move', 'retry', 'start', 'interval'];
    expect(kinds.flatMap(of)).toHaveLength(vectors.length);
  });
});
