/** The driver of the rotation machine in virtual time: a database, ports, a router and a clock that can all fail. */
import type { Constants } from '../../src/gen/constants.ts';
import { LISTENERS_EMERGENCY_MAX, LISTENERS_MAX, RECENT_PORTS_MAX } from '../../src/gen/constants.ts';
import type { Now } from '../../src/protocol/now.ts';
import { nextRow, rotation, step } from '../../src/protocol/rotation.ts';
import { PORT_ENTROPY_BYTES, PORT_RANGE } from '../../src/protocol/rotation-port.ts';
import type {
  Journal,
  Note,
  Notice,
  RecordPlan,
  Rotation,
  RotationConfig,
  RotationInput,
  RotationOutput,
} from '../../src/protocol/rotation-state.ts';
import { Violation, type World } from './rotation-world.ts';

/** How the machine around the host behaves; everything works and takes no time unless something else is said. */
export interface Surroundings {
  /** Milliseconds that an answer takes. */
  delayMs(what: 'commit' | 'bind' | 'map' | 'draw' | 'check'): number;
  canCommit(): boolean;
  canBind(port: number): boolean;
  map(port: number): 'mapped' | 'refused' | 'taken' | 'silent';
  /** How far the wall clock is off, or undefined when no time server answers. */
  clockOffsetMs(): number | undefined;
}

/** What the rest of the simulation is told. */
export interface HostEvents {
  publish(record: RecordPlan): void;
  notify(notice: Notice): void;
  /** The paths of this listener end. */
  closed(port: number): void;
  note(note: Note): void;
  crashed(): void;
}

/** A record that left the host, and by when nobody may rely on it any more, by each clock of the host. */
interface Promise {
  readonly port: number;
  readonly sequence: number;
  readonly epoch: number;
  readonly untilWall: number;
  readonly untilMono: number;
  /** The process that gave it, and how often the wall clock had been set by then. */
  readonly life: number;
  readonly steps: number;
}

/** An emergency: what it may close, and from when. */
interface Flight {
  readonly isHard: boolean;
  readonly endsMono: number;
  readonly life: number;
  readonly epoch: number;
}

/** One host machine. */
export class Host {
  /** A defect on purpose: what is done in place of what the machine says. */
  static defect:
    | ((outputs: readonly RotationOutput[], state: Rotation) => readonly RotationOutput[])
    | undefined;
  readonly world: World;
  readonly config: RotationConfig;
  readonly surroundings: Surroundings;
  readonly events: HostEvents;
  /** Undefined while no process runs. */
  state: Rotation | undefined;
  durable: Journal | undefined;
  readonly listeners: Map<number, number> = new Map();
  readonly mappings: Set<number> = new Set();
  readonly accepted: Set<number> = new Set();
  /** Counts processes; an answer to an earlier one is lost. */
  life = 0;
  /** Counts changes of the wall clock. */
  steps = 0;
  isAsleep = false;
  rotations = 0;
  /** Outputs after which the process dies, if it is to. */
  dieAfter: number | undefined;
  /** The last crash left a commit that was durable and never confirmed. */
  isUnconfirmed = false;
  /** Its oscillator against true time. */
  readonly #rate: number;
  #wallOffset: number;
  #monoOffset = 0;
  #sleptAt = 0;
  #timer = 0;
  #deferred: RotationInput[] = [];
  #promises: Promise[] = [];
  #payloads = new Map<number, string>();
  #drawn: number[] = [];
  /** Records of lower epochs were taken back by an emergency. */
  #voidBelow = 0;
  #flight: Flight | undefined;
  readonly #leaving = new Map<number, Flight | undefined>();
  #verifiedEpoch = 0;
  /** The record that was made last, and when. */
  #made = { sequence: 0, issuedAtMs: 0, mono: 0, steps: 0, life: 0 };
  #writing: { id: number; journal: Journal } | undefined;

  constructor(
    world: World,
    constants: Constants,
    surroundings: Surroundings,
    events: HostEvents,
    options: {
      readonly wallAt?: number;
      readonly isMapped?: boolean;
      readonly intervalMs?: number;
      readonly fixedPort?: number;
      readonly rate?: number;
    } = {},
  ) {
    this.world = world;
    this.surroundings = surroundings;
    this.events = events;
    this.#rate = options.rate ?? 1;
    this.#wallOffset = (options.wallAt ?? 1_790_000_000_000) - Math.floor(world.now * this.#rate);
    this.config = {
      constants,
      intervalMs: options.intervalMs ?? constants.ROTATION_INTERVAL_MS,
      range: PORT_RANGE,
      reserved: [{ min: 50_000, max: 50_099 }],
      fixedPort: options.fixedPort,
      isMapped: options.isMapped ?? false,
    };
  }

  get now(): Now {
    const passed = Math.floor(this.world.now * this.#rate);
    return { wall: passed + this.#wallOffset, mono: passed + this.#monoOffset };
  }

  get isUp(): boolean {
    return this.state !== undefined && !this.isAsleep;
  }

  /** Begin a process on what is durable. */
  start(): void {
    if (this.state !== undefined) return;
    this.life += 1;
    this.#timer += 1;
    this.#writing = undefined;
    this.#deferred = [];
    // The monotonic clock of a process has nothing to do with that of another.
    this.#monoOffset = this.world.between(0, 1_000_000) - Math.floor(this.world.now * this.#rate);
    this.state = rotation(this.config);
    this.accepted.clear();
    for (const { epoch } of this.durable?.places ?? []) this.accepted.add(epoch);
    const unexpired = this.#promises.filter(promise => this.#binds(promise)).map(({ port }) => port);
    this.input({ kind: 'start', journal: this.durable });
    for (const port of unexpired) this.#mustBeOpening(port);
  }

  /** End the process at once: listeners and everything in memory are gone, what is being written may be durable. */
  crash(): void {
    if (this.state === undefined) return;
    this.state = undefined;
    this.life += 1;
    this.dieAfter = undefined;
    if (this.#writing !== undefined && this.world.chance(0.5)) {
      this.isUnconfirmed = true;
      this.#becameDurable(this.#writing.journal);
    }
    this.#writing = undefined;
    this.listeners.clear();
    this.events.crashed();
  }

  sleep(): void {
    if (this.isAsleep) return;
    this.isAsleep = true;
    this.#sleptAt = Math.floor(this.world.now * this.#rate);
  }

  /** Wake up: the monotonic clock stood still. */
  wake(): void {
    if (!this.isAsleep) return;
    this.isAsleep = false;
    this.#monoOffset -= Math.floor(this.world.now * this.#rate) - this.#sleptAt;
    const deferred = this.#deferred;
    this.#deferred = [];
    for (const input of deferred) this.input(input);
    this.input({ kind: 'tick' });
  }

  /** Set the wall clock; the driver sees it when it looks next. */
  stepClock(byMs: number): void {
    this.#wallOffset += byMs;
    this.steps += 1;
    this.world.after(this.world.between(0, 1000), () => this.input({ kind: 'tick' }));
  }

  /** Give the machine an input and perform what comes of it. */
  input(input: RotationInput): void {
    if (this.state === undefined) return;
    if (this.isAsleep) {
      if (input.kind !== 'tick') this.#deferred.push(input);
      return;
    }
    const { life } = this;
    if (input.kind === 'verified') {
      const seen = this.#promises.find(({ sequence }) => sequence === input.sequence);
      this.#verifiedEpoch = Math.max(this.#verifiedEpoch, seen?.epoch ?? 0);
    }
    const [next, right] = step(this.state, input, this.now);
    this.state = next;
    const outputs = Host.defect === undefined ? right : Host.defect(right, next);
    for (const output of outputs) {
      this.#perform(output);
      if (this.life !== life) return;
      if (this.dieAfter !== undefined && --this.dieAfter <= 0) {
        this.crash();
        return;
      }
    }
    if (this.life === life) this.#arm();
  }

  /** Does somebody who dials this port with this epoch's access key get in? */
  admits(port: number, epoch: number): boolean {
    return this.isUp && this.listeners.has(port) && this.accepted.has(epoch);
  }

  #arm(): void {
    if (this.state === undefined || this.isAsleep) return;
    const row = nextRow(this.state);
    this.#timer += 1;
    if (row === undefined || row.at === Number.POSITIVE_INFINITY) return;
    const timer = this.#timer;
    const inMs = row.at - this.now.mono;
    if (inMs <= 0) throw new Violation(`"${row.why}" was due ${-inMs} ms ago and did not run`);
    this.world.after(Math.ceil(inMs / this.#rate), () => {
      if (timer === this.#timer) this.input({ kind: 'tick' });
    });
  }

  get #instant(): { readonly mono: number; readonly steps: number; readonly life: number } {
    return { mono: this.now.mono, steps: this.steps, life: this.life };
  }

  #answer(what: Parameters<Surroundings['delayMs']>[0], give: () => void): void {
    const { life } = this;
    const ms = this.surroundings.delayMs(what);
    this.world.after(ms, () => {
      if (this.life === life) give();
    });
  }

  #perform(output: RotationOutput): void {
    const { surroundings: around } = this;
    switch (output.kind) {
      case 'commit': {
        const { id, journal } = output;
        this.#mustHold(this.#writing === undefined, 'two commits at once');
        for (const { epoch } of journal.places) this.accepted.add(epoch);
        // A record promises from the instant at which it was made, whatever the clocks do until it leaves.
        const { sequence = 0, issuedAtMs = 0 } = journal.record ?? {};
        const isNew = sequence > this.#made.sequence || issuedAtMs !== this.#made.issuedAtMs;
        if (sequence >= this.#made.sequence && isNew) this.#made = { sequence, issuedAtMs, ...this.#instant };
        if (!around.canCommit()) {
          this.#answer('commit', () => this.input({ kind: 'commitFailed', id }));
          return;
        }
        this.#writing = { id, journal };
        this.#answer('commit', () => {
          this.#becameDurable(journal);
          this.#writing = undefined;
          this.input({ kind: 'committed', id });
        });
        return;
      }
      case 'draw':
        this.#answer('draw', () =>
          this.input({ kind: 'drawn', entropy: this.world.bytes(PORT_ENTROPY_BYTES) }),
        );
        return;
      case 'listen':
        this.#listen(output.port, output.epoch);
        return;
      case 'unlisten':
        this.#mayClose(output.port);
        this.listeners.delete(output.port);
        this.events.closed(output.port);
        return;
      case 'swapTls':
        this.listeners.set(output.port, output.epoch);
        return;
      case 'map':
        this.#map(output.port);
        return;
      case 'unmap':
        this.mappings.delete(output.port);
        this.#answer('map', () => this.input({ kind: 'unmapped', port: output.port }));
        return;
      case 'publish':
        this.#publish(output.record);
        return;
      case 'notify':
        this.#mustHold(
          (output.notice.sequence ?? 0) <= (this.durable?.record?.sequence ?? 0),
          'a notice that leaves before its commit',
        );
        this.events.notify(output.notice);
        return;
      case 'setPrimary':
        this.#mustHold(
          this.durable?.places.some(({ epoch, role }) => epoch === output.epoch && role === 'primary') ===
            true,
          'a primary that is not committed',
        );
        return;
      case 'retire':
        this.#mustHold(
          this.durable?.places.every(({ epoch }) => epoch !== output.epoch) === true,
          'an end that is not committed',
        );
        this.accepted.delete(output.epoch);
        return;
      case 'checkClock':
        this.#answer('check', () => this.input({ kind: 'clockChecked', offsetMs: around.clockOffsetMs() }));
        return;
      case 'note':
        if (output.note.what === 'rotated') this.rotations += 1;
        this.events.note(output.note);
        if (output.note.what === 'emergency-ended') this.#mustBeAlone();
    }
  }

  #listen(port: number, epoch: number): void {
    this.#mustHold(
      this.durable?.places.some(place => place.port === port) === true,
      `a listener on ${port} that is not committed`,
    );
    this.#answer('bind', () => {
      if (!this.surroundings.canBind(port)) {
        this.input({ kind: 'bindFailed', port });
        return;
      }
      this.listeners.set(port, epoch);
      // An emergency that ends has its listeners until its end is durable, and so has an older place.
      const isEmergency = this.state?.phase === 'emergency' || this.durable?.emergency !== undefined;
      const older = this.durable?.places.filter(({ role }) => role === 'old').length ?? 0;
      const most = isEmergency || older > 1 ? LISTENERS_EMERGENCY_MAX : LISTENERS_MAX;
      this.#mustHold(this.listeners.size <= most, `${this.listeners.size} listeners`);
      this.input({ kind: 'bound', port });
    });
  }

  #map(port: number): void {
    this.#mustHold(this.durable?.mappings.includes(port) === true, 'a mapping that is not committed');
    const result = this.surroundings.map(port);
    if (result === 'silent') return;
    this.#answer('map', () => {
      if (result === 'mapped') {
        this.mappings.add(port);
        this.input({ kind: 'mapped', port });
      } else this.input({ kind: 'mapFailed', port, isTaken: result === 'taken' });
    });
  }

  #publish(record: RecordPlan): void {
    const text = JSON.stringify(record);
    const before = this.#payloads.get(record.sequence) ?? text;
    this.#mustHold(before === text, `two payloads with sequence ${record.sequence}`);
    this.#mustHold(
      (this.durable?.record?.sequence ?? 0) >= record.sequence,
      'a record that leaves before its commit',
    );
    this.#mustHold(record.issuedAtMs < record.nextRotationMs, 'a record with R in its past');
    if (!this.#payloads.has(record.sequence)) {
      // What another process made and did not get out promises from then on: its clock of then is what RT-131 goes by.
      const { sequence, issuedAtMs } = this.#made;
      const isKnown = sequence === record.sequence && issuedAtMs === record.issuedAtMs;
      const { mono, steps, life } = isKnown ? this.#made : this.#instant;
      const madeAtMs = isKnown ? record.issuedAtMs : this.now.wall;
      for (const { port, notAfterMs } of record.ports) {
        this.#promises.push({
          port,
          sequence: record.sequence,
          epoch: record.epoch,
          untilWall: notAfterMs,
          untilMono: mono + notAfterMs - madeAtMs,
          life,
          steps,
        });
      }
      this.#promises = this.#promises.slice(-64);
      this.#payloads.set(record.sequence, text);
      this.#payloads.delete(record.sequence - 64);
    }
    this.events.publish(record);
  }

  /** What a commit says of ports and emergencies counts from the instant at which it is durable. */
  #becameDurable(journal: Journal): void {
    const known = this.durable?.places.map(({ port }) => port) ?? [];
    for (const { port } of journal.places) {
      if (known.includes(port) || this.config.fixedPort !== undefined) continue;
      // RT-111~1: of the last RECENT_PORTS_MAX closed ports and those in use, these are the last drawn for certain.
      this.#mustHold(
        !this.#drawn.slice(3 - RECENT_PORTS_MAX).includes(port),
        `RT-111~1: port ${port} again so soon`,
      );
      this.#mustHold(port < 50_000 || port > 50_099, `RT-111~1: port ${port} is reserved`);
      this.#drawn = [...this.#drawn, port].slice(-RECENT_PORTS_MAX);
    }
    // What this commit lets go belongs to the emergency before it.
    for (const port of known)
      if (journal.places.every(place => place.port !== port)) this.#leaving.set(port, this.#flight);
    const { emergency } = journal;
    if (emergency !== undefined && emergency.epoch !== this.#voidBelow) {
      this.#voidBelow = emergency.epoch;
      const endsMono = this.now.mono - this.now.wall + emergency.atMs + this.config.constants.EMERGENCY_MS;
      this.#flight = { isHard: emergency.isHard, endsMono, life: this.life, epoch: emergency.epoch };
    } else if (emergency?.isHard === true && this.#flight !== undefined) {
      this.#flight = { ...this.#flight, isHard: true };
    }
    this.durable = journal;
  }

  /** By what clock a promise still holds: within one process either, over a restart the wall clock, if nobody set it. */
  #binds({ untilWall, untilMono, life, steps }: Promise): boolean {
    const { wall, mono } = this.now;
    if (life === this.life) return mono < untilMono || (steps === this.steps && wall < untilWall);
    return steps === this.steps && wall < untilWall;
  }

  /** The invariant: a listener is open at every instant that any unexpired record lists it. RT-100~1 */
  #mayClose(port: number): void {
    const binding = this.#promises.filter(other => other.port === port && this.#binds(other));
    const promise = binding.find(({ epoch }) => epoch >= this.#voidBelow);
    if (promise === undefined) {
      if (binding.length > 0) this.#mayFlee(port);
      return;
    }
    const leftMs = promise.untilWall - this.now.wall;
    throw new Violation(
      `RT-100~1: port ${port} closed while sequence ${promise.sequence} lists it for ${leftMs} ms`,
    );
  }

  /** RT-141~1: a soft emergency closes nothing before its time, nor before somebody can find the new port. */
  #mayFlee(port: number): void {
    const flight = this.#leaving.get(port);
    if (flight === undefined || flight.isHard) return;
    const isInTime = flight.life !== this.life || this.now.mono >= flight.endsMono;
    this.#mustHold(isInTime, `RT-141~1: port ${port} closed before the end of a soft emergency`);
    const isVerified = this.#verifiedEpoch >= flight.epoch;
    this.#mustHold(isVerified, `RT-141~1: port ${port} closed before a store was verified`);
  }

  /** RT-121~1: every port of an unexpired record is bound again. */
  #mustBeOpening(port: number): void {
    if (this.durable?.emergency !== undefined) return;
    const isVoid = this.#promises.every(other => other.port !== port || other.epoch < this.#voidBelow);
    const { ports = [], places = [] } = this.state ?? {};
    const isUnlisted = (one: number): boolean =>
      places.every(place => place.port !== one || place.listedUntil === undefined);
    const bound = ports.find(other => other.port === port);
    // It may have to wait for room, but not because of a port that nobody has been told of.
    const isWaiting = ports.every(other => other.listener === 'lost' || !isUnlisted(other.port));
    const isBound = bound !== undefined && (bound.listener !== 'lost' || isWaiting);
    this.#mustHold(isVoid || isBound, `RT-121~1: port ${port} is not bound again`);
  }

  /** RT-141~1: behind an emergency nothing earlier answers. */
  #mustBeAlone(): void {
    if (this.state?.emergency !== undefined) return;
    const isClosed = [...this.listeners.values()].every(epoch => epoch >= this.#voidBelow);
    this.#mustHold(isClosed, 'RT-141~1: a listener outlives an emergency');
    const isAlone = [...this.accepted].every(epoch => epoch >= this.#voidBelow);
    this.#mustHold(isAlone, 'RT-141~1: an access key outlives an emergency');
  }

  #mustHold(isTrue: boolean, what: string): void {
    if (!isTrue) throw new Violation(what);
  }
}
