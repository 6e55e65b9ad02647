/** A host's rotation on one clock or two, slowly and from the text alone: commits, binds and stores take no time (spec/06-rotation.md). */
import {
  CLOCK_STEP_MS,
  type Constants,
  LISTENERS_EMERGENCY_MAX,
  LISTENERS_MAX,
} from '../../src/gen/constants.ts';
import type { JsonObject } from './vector.ts';

/** What both clocks show. */
export interface Clocks {
  readonly wall: number;
  readonly mono: number;
}

/** A port with its epoch. `until`: when the last record that lists it stops doing so, by each clock. */
interface Place {
  readonly port: number;
  readonly epoch: number;
  role: 'next' | 'primary' | 'old';
  until: Clocks | undefined;
}

interface Listing {
  readonly port: number;
  readonly not_before_ms: number;
  readonly not_after_ms: number;
}

interface Plan {
  readonly sequence: number;
  readonly epoch: number;
  readonly issued_at_ms: number;
  readonly next_rotation_ms: number;
  readonly valid_until_ms: number;
  readonly ports: readonly Listing[];
  readonly epochs: readonly number[];
}

interface Flight {
  readonly epoch: number;
  at: number;
  isHard: boolean;
  again: 'soft' | 'hard' | undefined;
}

type Phase = 'resting' | 'preparing' | 'publishing' | 'verified' | 'grace' | 'emergency';

/** What is on the disk. */
interface Disk {
  readonly phase: Phase;
  readonly places: readonly (Omit<Place, 'until'> & { readonly listedUntil: number })[];
  readonly epoch: number;
  readonly record: Plan | undefined;
  readonly R: number;
  readonly turn: number;
  readonly isHurried: boolean;
  readonly isWanted: boolean;
  readonly flight: Flight | undefined;
  readonly at: number;
}

/** One host, over all its processes. */
export class RotatingHost {
  readonly #c: Constants;
  readonly #interval: number;
  readonly #draws: number[];
  #disk: Disk | undefined;
  #now: Clocks = { wall: 0, mono: 0 };
  #phase: Phase = 'resting';
  #places: Place[] = [];
  #epoch = 0;
  #record: Plan | undefined;
  #R = 0;
  /** First sequence that lists the port which is to be verified. */
  #turn = 0;
  #isHurried = false;
  #isWanted = false;
  #flight: Flight | undefined;
  /** What ends with the process. */
  #base = 0;
  #verified = 0;
  #isUnfit = false;
  #checkAt = 0;
  #flightEnds = 0;
  #published: Plan | undefined;
  #notices: JsonObject[] = [];
  /** Made in this step, and nobody was told. */
  #isUntold = false;
  #asks = false;
  #warns: string | undefined;

  /** `ports` are what is drawn, one after the other. */
  constructor(constants: Constants, intervalMs: number, ports: readonly number[]) {
    this.#c = constants;
    this.#interval = intervalMs;
    this.#draws = [...ports];
  }

  // ---- what happens ----

  /** A process begins, on what the one before it left. */
  start(now: Clocks): JsonObject {
    this.#begin(now);
    this.#base = now.wall - now.mono;
    this.#verified = 0;
    this.#isUnfit = false;
    this.#checkAt = now.mono;
    const disk = this.#disk;
    if (disk === undefined) this.#prepare(true);
    else this.#restore(disk);
    return this.#finish();
  }

  /** Both clocks are looked at. */
  tick(now: Clocks): JsonObject {
    this.#begin(now);
    return this.#finish();
  }

  /** The record of this sequence was read back from a store that counts. */
  verify(now: Clocks, sequence: number): JsonObject {
    this.#begin(now);
    if (sequence <= (this.#record?.sequence ?? 0)) this.#verified = Math.max(this.#verified, sequence);
    return this.#finish();
  }

  /** A time server says by how much this clock is ahead; undefined when none answers. */
  checked(now: Clocks, offsetMs: number | undefined): JsonObject {
    this.#begin(now);
    if (offsetMs !== undefined) {
      const off = Math.abs(offsetMs);
      this.#isUnfit = off > this.#c.CLOCK_HOLD_MS;
      if (off > this.#c.CLOCK_WARN_MS) this.#warns = this.#isUnfit ? 'holds' : 'warns';
    }
    this.#checkAt = now.mono + (this.#isUnfit ? this.#c.HOLD_MS : this.#c.CLOCK_CHECK_MS);
    return this.#finish();
  }

  /** The operator asks for a rotation. */
  rotate(now: Clocks): JsonObject {
    this.#begin(now);
    if (this.#phase === 'resting' || this.#phase === 'grace') this.#isWanted = true;
    return this.#finish();
  }

  /** The operator asks for an emergency. */
  flee(now: Clocks, isHard: boolean): JsonObject {
    this.#begin(now);
    this.#jump();
    if (this.#flight !== undefined) {
      this.#flight.isHard ||= isHard;
      this.#flight.again = isHard ? 'hard' : (this.#flight.again ?? 'soft');
      this.#write();
    } else this.#flee(isHard);
    return this.#finish();
  }

  // ---- one step ----

  #begin(now: Clocks): void {
    this.#now = now;
    this.#published = undefined;
    this.#notices = [];
    this.#asks = false;
    this.#warns = undefined;
  }

  #finish(): JsonObject {
    this.#tellRecord();
    this.#jump();
    do this.#tellRecord();
    while (this.#row());
    return {
      listens: [...new Set(this.#places.map(({ port }) => port))].sort((a, b) => a - b),
      accepts: this.#places.map(({ epoch }) => epoch).sort((a, b) => a - b),
      rotates_at_ms: this.#R,
      ...(this.#published === undefined ? {} : { record: { ...this.#published } as unknown as JsonObject }),
      ...(this.#notices.length === 0 ? {} : { notices: this.#notices }),
      ...(this.#asks ? { asks_for_the_time: true } : {}),
      ...(this.#warns === undefined ? {} : { clock: this.#warns }),
    };
  }

  /** Do the first thing that is due; false when nothing is. */
  #row(): boolean {
    const { wall, mono } = this.#now;
    const c = this.#c;
    const R = this.#R;
    const primary = this.#place('primary');
    const next = this.#place('next');
    if (mono >= this.#checkAt) {
      this.#checkAt = mono + c.CLOCK_CHECK_MS;
      this.#asks = true;
      return true;
    }
    if (this.#phase === 'emergency') return this.#emergencyRow(primary, next);
    const ended = this.#places.filter(place => place.role === 'old' && this.#endsAt(place) <= mono);
    if (ended.length > 0) {
      this.#end(ended);
      return true;
    }
    if (this.#phase === 'resting' && this.#isWanted) {
      this.#isWanted = false;
      this.#R = Math.min(R, wall + c.PREPARE_LEAD_MS);
      return true;
    }
    if (this.#phase === 'resting' && wall >= R - c.PREPARE_LEAD_MS) {
      if (this.#isUnfit) this.#hold(c.PREPARE_LEAD_MS);
      else this.#prepare(false);
      return true;
    }
    if (this.#phase === 'grace' && primary !== undefined && wall >= R - c.PREPARE_LEAD_MS) {
      this.#hold(c.PREPARE_LEAD_MS);
      return true;
    }
    if (this.#phase === 'preparing') return this.#preparingRow(next);
    if (this.#phase === 'publishing' && this.#verified >= this.#turn) {
      this.#phase = 'verified';
      this.#write();
      return true;
    }
    if (this.#phase === 'publishing' && wall >= R - c.VERIFY_LEAD_MS) {
      this.#hold(c.PUBLISH_LEAD_MS);
      return true;
    }
    if (this.#phase === 'verified' && wall >= R) {
      this.#activate(primary, next);
      return true;
    }
    return false;
  }

  #preparingRow(next: Place | undefined): boolean {
    const c = this.#c;
    const { wall } = this.#now;
    if (next === undefined) {
      const older = this.#places.filter(({ role }) => role === 'old').length;
      if (this.#places.length >= (older > 1 ? LISTENERS_EMERGENCY_MAX : LISTENERS_MAX)) {
        if (wall < this.#R - c.MAPPING_LEAD_MS) return false;
        this.#hold(c.MAPPING_LEAD_MS);
        return true;
      }
      if (!this.#isHurried && wall < this.#R - c.PREPARE_LEAD_MS) return false;
      this.#draw();
      return true;
    }
    if (!this.#isHurried && wall < this.#R - c.PUBLISH_LEAD_MS) return false;
    if (this.#isUnfit && !this.#isHurried) {
      this.#hold(c.PUBLISH_LEAD_MS);
      return true;
    }
    if (this.#isHurried) {
      const promised = (this.#record?.next_rotation_ms ?? 0) - wall;
      this.#R = wall + Math.max(c.PUBLISH_LEAD_MS, promised <= c.PREPARE_LEAD_MS ? promised : 0);
    }
    this.#isHurried = false;
    if (this.#place('primary') === undefined) {
      this.#R = wall + this.#interval;
      next.role = 'primary';
      this.#rest();
      this.#issue();
      this.#write();
      return true;
    }
    this.#phase = 'publishing';
    if (this.#turn === 0) this.#turn = (this.#record?.sequence ?? 0) + 1;
    next.until ??= this.#now;
    this.#issue();
    this.#write();
    this.#tell('move');
    return true;
  }

  #emergencyRow(primary: Place | undefined, next: Place | undefined): boolean {
    const { wall, mono } = this.#now;
    const flight = this.#flight;
    if (flight === undefined) return false;
    const byWall = wall >= flight.at + this.#c.EMERGENCY_MS;
    const byMono = mono >= this.#flightEnds;
    const isPublished = primary !== undefined;
    const isOver = flight.isHard
      ? (byWall || byMono) && (isPublished || this.#places.some(({ epoch }) => epoch < flight.epoch))
      : byWall && byMono && isPublished && this.#verified >= this.#turn;
    if (isOver) {
      this.#places = this.#places.filter(({ epoch }) => epoch >= flight.epoch);
      if (!isPublished) {
        this.#write();
        return true;
      }
      this.#flight = undefined;
      this.#turn = 0;
      this.#rest();
      this.#write();
      if (flight.again !== undefined) this.#flee(flight.again === 'hard');
      return true;
    }
    if (next !== undefined) {
      next.role = 'primary';
      this.#R = wall + this.#interval;
      this.#turn = (this.#record?.sequence ?? 0) + 1;
      this.#issue();
      this.#write();
      this.#tell('emergency');
      return true;
    }
    if (primary !== undefined) {
      if (wall < this.#R - this.#c.PREPARE_LEAD_MS) return false;
      this.#hold(this.#c.PREPARE_LEAD_MS);
      return true;
    }
    if (this.#places.length >= LISTENERS_EMERGENCY_MAX) return false;
    this.#draw();
    return true;
  }

  // ---- the rows ----

  #prepare(isHurried: boolean): void {
    this.#phase = 'preparing';
    this.#isHurried = isHurried;
    if (this.#epoch <= (this.#record?.epoch ?? 0)) this.#epoch += 1;
    this.#turn = 0;
    if (isHurried) this.#R = this.#now.wall + this.#c.PREPARE_LEAD_MS;
  }

  #draw(): void {
    const port = this.#draws.shift();
    if (port === undefined) throw new Error('no port left to draw');
    this.#places.push({ port, epoch: this.#epoch, role: 'next', until: undefined });
    this.#write();
  }

  #hold(leadMs: number): void {
    const { HOLD_MS } = this.#c;
    do this.#R += HOLD_MS;
    while (this.#now.wall >= this.#R - leadMs);
    const isTold = this.#phase !== 'grace' && this.#phase !== 'emergency';
    if (this.#phase === 'publishing' || this.#phase === 'verified') this.#phase = 'preparing';
    if (this.#head()?.role === 'primary') this.#issue();
    this.#write();
    if (isTold) this.#tell('hold');
  }

  #activate(primary: Place | undefined, next: Place | undefined): void {
    const { GRACE_MS, RETIRE_MS, PUBLISH_LEAD_MS } = this.#c;
    if (this.#isUnfit) {
      this.#hold(PUBLISH_LEAD_MS);
      return;
    }
    if (next === undefined) throw new Error('nothing to move to');
    if (primary !== undefined) {
      if (this.#now.wall - this.#R > RETIRE_MS - GRACE_MS) this.#promise(primary, GRACE_MS);
      primary.role = 'old';
    }
    next.role = 'primary';
    this.#rest();
    this.#turn = 0;
    this.#R = this.#record?.next_rotation_ms ?? this.#now.wall + this.#interval;
    this.#write();
  }

  #end(ended: readonly Place[]): void {
    if (this.#isUnfit) {
      for (const place of ended) this.#promise(place, this.#c.HOLD_MS);
    } else {
      this.#places = this.#places.filter(place => !ended.includes(place));
      if (this.#phase === 'grace') this.#rest();
    }
    this.#write();
  }

  #flee(isHard: boolean): void {
    const { wall, mono } = this.#now;
    this.#places = this.#places.filter(({ until }) => until !== undefined);
    for (const place of this.#places) place.role = 'old';
    this.#phase = 'emergency';
    this.#epoch += 1;
    this.#turn = 0;
    this.#isHurried = false;
    this.#isWanted = false;
    this.#flight = { epoch: this.#epoch, at: wall, isHard, again: undefined };
    this.#flightEnds = mono + this.#c.EMERGENCY_MS;
    this.#write();
  }

  /** The clocks drifted apart by more than may be passed over: the machine slept, or its clock was set. */
  #jump(): void {
    const { wall, mono } = this.#now;
    const by = wall - mono - this.#base;
    if (Math.abs(by) <= CLOCK_STEP_MS) return;
    this.#base += by;
    this.#checkAt = mono;
    if (this.#flight !== undefined) this.#flight.at = Math.min(this.#flight.at, wall);
    const isMoving = this.#head()?.role === 'next';
    this.#replan(Math.min(this.#R - wall, this.#R - wall + by));
    if (this.#head()?.until !== undefined) this.#issue();
    this.#write();
    if (isMoving) this.#tell('move');
  }

  /** Set R so that every row that is not done lies ahead. */
  #replan(leftMs: number): void {
    const { wall, mono } = this.#now;
    const { PREPARE_LEAD_MS, PUBLISH_LEAD_MS } = this.#c;
    const left = Math.min(leftMs, this.#interval);
    if (this.#phase === 'resting') this.#R = wall + Math.max(left, PREPARE_LEAD_MS);
    else if (this.#phase === 'grace') {
      const busy = this.#places.filter(({ role }) => role === 'old').map(place => this.#endsAt(place) - mono);
      this.#R = wall + Math.max(left, PREPARE_LEAD_MS + Math.max(0, ...busy));
    } else if (this.#phase === 'emergency') this.#R = wall + this.#interval;
    else if (this.#head()?.role === 'next') {
      this.#phase = 'publishing';
      this.#R = wall + PUBLISH_LEAD_MS;
    } else this.#R = wall + PREPARE_LEAD_MS;
  }

  // ---- behind the end of a process ----

  #restore(disk: Disk): void {
    const { wall, mono } = this.#now;
    this.#phase = disk.phase;
    this.#epoch = disk.epoch;
    this.#record = disk.record;
    this.#R = disk.R;
    this.#turn = disk.turn;
    this.#isHurried = disk.isHurried;
    this.#isWanted = disk.isWanted;
    this.#flight = disk.flight && { ...disk.flight, at: Math.min(disk.flight.at, wall) };
    this.#flightEnds = (this.#flight?.at ?? 0) + this.#c.EMERGENCY_MS - wall + mono;
    // What was promised lasts for what is left by the wall clock, and never longer than when it was written.
    this.#places = disk.places.map(({ listedUntil, ...place }) => {
      const left = listedUntil - Math.max(wall, disk.at);
      return { ...place, until: listedUntil === 0 ? undefined : { wall: wall + left, mono: mono + left } };
    });
    const before = this.#places.length;
    this.#places = this.#places.filter(place => place.until === undefined || this.#endsAt(place) > mono);
    if (this.#phase === 'grace') this.#rest();
    const isBack = wall < disk.at - CLOCK_STEP_MS;
    const left = this.#R - Math.max(wall, disk.at);
    const isFresh = this.#resume(left, isBack);
    if (this.#places.length < before) this.#write();
    if (isFresh && this.#head()?.until !== undefined) {
      this.#issue();
      this.#write();
    } else if (!isFresh && this.#head()?.until !== undefined) this.#published = this.#record;
  }

  /** Find the row to go on from; true when the record needs fresh times. */
  #resume(left: number, isBack: boolean): boolean {
    const head = this.#head();
    if (this.#phase === 'emergency') {
      if (isBack) this.#replan(left);
      return isBack;
    }
    const isTurning = head !== undefined && (head.role === 'next' || this.#phase === 'grace');
    if (isTurning) {
      if (!isBack && left > 0) return false;
    } else {
      const isAhead = head !== undefined && left > this.#c.PREPARE_LEAD_MS;
      if (isAhead && !isBack) return false;
      if (!isAhead || this.#phase !== 'resting') {
        this.#late();
        return false;
      }
    }
    this.#replan(left);
    return true;
  }

  #late(): void {
    const next = this.#place('next');
    if (next === undefined || next.until !== undefined) this.#prepare(true);
    else {
      this.#phase = 'preparing';
      this.#isHurried = true;
      this.#R = this.#now.wall + this.#c.PREPARE_LEAD_MS;
    }
  }

  // ---- records and promises ----

  #issue(): void {
    const head = this.#head();
    if (head === undefined) return;
    const { wall, mono } = this.#now;
    const isTurning = head.role === 'next';
    const nextRotation = isTurning ? this.#R + this.#interval : this.#R;
    const validUntil = nextRotation + this.#c.GRACE_MS;
    const others = this.#flight === undefined ? this.#places.filter(place => place !== head) : [];
    const listed: [Place, number][] = [[head, validUntil]];
    for (const place of others) {
      if (place.role === 'next') continue;
      const promised = place.until === undefined ? 0 : wall + place.until.mono - mono;
      const moving = isTurning && place.role === 'primary' ? this.#R + this.#c.GRACE_MS : 0;
      const until = Math.max(promised, moving);
      if (until > wall) listed.push([place, until]);
    }
    const known = others.filter(({ role }) => role !== 'next');
    this.#record = {
      sequence: (this.#record?.sequence ?? 0) + 1,
      epoch: head.epoch,
      issued_at_ms: wall,
      next_rotation_ms: nextRotation,
      valid_until_ms: validUntil,
      ports: listed.map(([{ port }, until]) => ({ port, not_before_ms: wall, not_after_ms: until })),
      epochs: [head.epoch, ...known.map(({ epoch }) => epoch)],
    };
    this.#published = this.#record;
    this.#isUntold = true;
    this.#base = wall - mono;
    for (const [place, until] of listed) this.#promise(place, until - wall);
  }

  /** Keep a place listed for so long from now, by both clocks. */
  #promise(place: Place, ms: number): void {
    const { wall, mono } = this.#now;
    const old = place.until ?? this.#now;
    place.until = { wall: Math.max(old.wall, wall + ms), mono: Math.max(old.mono, mono + ms) };
  }

  /** How long a place is still listed: by the later clock, and by the monotonic one at most an interval longer. */
  #listedMs(until: Clocks): number {
    const [byWall, byMono] = [until.wall - this.#now.wall, until.mono - this.#now.mono];
    return Math.min(Math.max(byWall, byMono), byMono + this.#interval);
  }

  /** When a place ends, by the monotonic clock. */
  #endsAt(place: Place): number {
    const { mono } = this.#now;
    if (place.until === undefined) return mono;
    if (place.epoch < (this.#flight?.epoch ?? 0)) return Number.POSITIVE_INFINITY;
    return mono + this.#listedMs(place.until) + this.#c.RETIRE_MS - this.#c.GRACE_MS;
  }

  /** Whoever is inside hears of a record that was made, behind what there is to say of a move. */
  #tellRecord(): void {
    if (!this.#isUntold) return;
    this.#isUntold = false;
    const sequence = { sequence: this.#record?.sequence };
    this.#notices.push({ kind: 'record', rotates_in_ms: 0, old_ends_in_ms: 0, ...sequence });
  }

  #tell(kind: 'move' | 'hold' | 'emergency'): void {
    const { wall } = this.#now;
    const { GRACE_MS, EMERGENCY_MS } = this.#c;
    const sequence = kind === 'hold' ? {} : { sequence: this.#record?.sequence };
    if (kind === 'emergency') {
      const ends = Math.max(0, (this.#flight?.at ?? wall) + EMERGENCY_MS - wall);
      this.#notices.push({ kind, rotates_in_ms: 0, old_ends_in_ms: ends, ...sequence });
      return;
    }
    const until = this.#place('primary')?.until;
    const ends = Math.max(this.#R + GRACE_MS - wall, until === undefined ? 0 : this.#listedMs(until));
    this.#notices.push({ kind, rotates_in_ms: this.#R - wall, old_ends_in_ms: ends, ...sequence });
  }

  #place(role: Place['role']): Place | undefined {
    return this.#places.find(place => place.role === role);
  }

  /** What the record in force names first. */
  #head(): Place | undefined {
    const next = this.#place('next');
    return next?.until === undefined ? this.#place('primary') : next;
  }

  #rest(): void {
    this.#phase = this.#place('old') === undefined ? 'resting' : 'grace';
  }

  #write(): void {
    this.#disk = {
      phase: this.#phase,
      places: this.#places.map(({ until, ...place }) => ({
        ...place,
        listedUntil: until === undefined ? 0 : this.#now.wall + this.#listedMs(until),
      })),
      epoch: this.#epoch,
      record: this.#record,
      R: this.#R,
      turn: this.#turn,
      isHurried: this.#isHurried,
      isWanted: this.#isWanted,
      flight: this.#flight && { ...this.#flight },
      at: this.#now.wall,
    };
  }
}
