/** Virtual time and a network that loses, delays and alters: what stands between the two machines of pair.ts. */

/** Numbers that a seed decides. */
export class Random {
  private state: number;

  constructor(seed: number) {
    this.state = seed >>> 0;
  }

  /** Uniform, 0 <= x < 1 (mulberry32). */
  next(): number {
    this.state = (this.state + 0x6d2b79f5) >>> 0;
    let t = this.state;
    t = Math.imul(t ^ (t >>> 15), t | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  }

  /** A whole number, 0 <= n < below. */
  below(below: number): number {
    return Math.floor(this.next() * below);
  }

  bytes(length: number): Uint8Array {
    return Uint8Array.from({ length }, () => this.below(256));
  }
}

interface Timer {
  readonly at: number;
  readonly order: number;
  readonly run: () => void;
}

/** What is to happen when, by virtual milliseconds; at one instant, in the order in which it was asked for. */
export class Timeline {
  now = 0;
  private readonly heap: Timer[] = [];
  private count = 0;

  /** Run something later. */
  after(ms: number, run: () => void): void {
    this.count += 1;
    const timer = { at: this.now + ms, order: this.count, run };
    let i = this.heap.push(timer) - 1;
    while (i > 0) {
      const parent = (i - 1) >> 1;
      if (!earlier(timer, this.heap[parent])) break;
      [this.heap[i], this.heap[parent]] = [this.heap[parent] as Timer, timer];
      i = parent;
    }
  }

  /** When the next is due. */
  get nextAt(): number {
    return this.heap[0]?.at ?? Number.POSITIVE_INFINITY;
  }

  /** Take out the next one. */
  pop(): Timer | undefined {
    const [first] = this.heap;
    const last = this.heap.pop();
    if (first === undefined || last === undefined || this.heap.length === 0) return first;
    this.heap[0] = last;
    for (let i = 0; ; ) {
      const [left, right] = [2 * i + 1, 2 * i + 2];
      let least = i;
      if (earlier(this.heap[left], this.heap[least])) least = left;
      if (earlier(this.heap[right], this.heap[least])) least = right;
      if (least === i) return first;
      [this.heap[i], this.heap[least]] = [this.heap[least] as Timer, this.heap[i] as Timer];
      i = least;
    }
  }
}

function earlier(a: Timer | undefined, b: Timer | undefined): boolean {
  if (a === undefined || b === undefined) return a !== undefined;
  return a.at < b.at || (a.at === b.at && a.order < b.order);
}

export type Side = 'client' | 'host';
export const OTHER: Readonly<Record<Side, Side>> = { client: 'host', host: 'client' };

/** What a link tells the process at one of its ends. */
export interface LinkEnd {
  message(bytes: Uint8Array): void;
  written(bytes: number): void;
  closed(): void;
  /** The messages of one turn of the event loop have been handed over. */
  turn(): void;
}

interface Message {
  readonly at: number;
  readonly bytes: Uint8Array;
}

/** How one link treats what it carries. */
export interface LinkTerms {
  /** One way. */
  readonly latencyMs: number;
  readonly jitterMs: number;
}

/** One connection. Messages of a direction stay in order; what is in flight can be lost when it ends. */
export class Link {
  readonly terms: LinkTerms;
  /** Nothing arrives any more, and nobody is told. */
  silent = false;
  /** What to do to the next message to that side: change a bit, repeat it, or swap it with the one behind it. */
  readonly spoil: { to: Side | undefined; how: number } = { to: undefined, how: 0 };
  // It was dropped: what is sent from now on goes nowhere.
  private broken = false;
  private readonly ends: Record<Side, LinkEnd>;
  private readonly timeline: Timeline;
  private readonly random: Random;
  private readonly gone: Record<Side, boolean> = { client: false, host: false };
  private readonly paused: Record<Side, boolean> = { client: false, host: false };
  private readonly queue: Record<Side, Message[]> = { client: [], host: [] };
  private readonly lastAt: Record<Side, number> = { client: 0, host: 0 };
  private readonly count: (what: string) => void;

  constructor(
    timeline: Timeline,
    random: Random,
    terms: LinkTerms,
    ends: Record<Side, LinkEnd>,
    count: (what: string) => void,
  ) {
    this.timeline = timeline;
    this.random = random;
    this.terms = terms;
    this.ends = ends;
    this.count = count;
  }

  /** Whether an end still has it. */
  has(side: Side): boolean {
    return !this.gone[side];
  }

  /** Messages that have left and not arrived. */
  inFlight(to: Side): number {
    return this.queue[to].length;
  }

  send(from: Side, bytes: Uint8Array): void {
    const to = OTHER[from];
    if (this.silent || this.broken || this.gone[from]) return;
    const { latencyMs, jitterMs } = this.terms;
    const at = Math.max(this.lastAt[to], this.timeline.now + latencyMs + this.random.next() * jitterMs);
    this.lastAt[to] = at;
    this.queue[to].push({ at, bytes: bytes.slice() });
    this.timeline.after(at - this.timeline.now, () => this.pump(to));
    if (from === 'client') this.sentByClient += 1;
    if (this.late && this.sentByClient === 2) this.delay();
    this.timeline.after(this.random.next() * 10, () => {
      if (!this.gone[from]) this.ends[from].written(bytes.length);
    });
  }

  pause(side: Side, paused: boolean): void {
    this.paused[side] = paused;
    if (!paused) this.timeline.after(0, () => this.pump(side));
  }

  /** One end is done with it. The other is told behind what is in flight, or at once when it was cut. */
  close(from: Side, cut: boolean): void {
    if (this.gone[from]) return;
    this.gone[from] = true;
    const to = OTHER[from];
    if (this.silent) return;
    if (cut) this.queue[to] = [];
    const at = cut ? this.timeline.now + this.terms.latencyMs : this.lastAt[to] + 1;
    this.timeline.after(Math.max(0, at - this.timeline.now), () => this.tellClosed(to));
  }

  /**
   * Take the connection away right behind the client's second message: its handshake and its Attach. The client learns
   * of it at once; what it has sent arrives when it has long come back another way.
   */
  late = false;
  private sentByClient = 0;

  private delay(): void {
    this.broken = true;
    this.timeline.after(5, () => this.tellClosed('client'));
    const wait = 3_000 + this.random.next() * 800;
    this.queue.host = this.queue.host.map(({ bytes }) => ({ at: this.timeline.now + wait, bytes }));
    this.timeline.after(wait, () => this.pump('host'));
    this.timeline.after(wait + 10, () => this.tellClosed('host'));
    this.count('late attach');
  }

  /** The network takes it away: some of what is in flight still arrives, and each end learns of it in its own time. */
  drop(): void {
    for (const side of ['client', 'host'] as const) {
      const kept = this.random.below(this.queue[side].length + 1);
      this.queue[side].splice(kept);
      const last = this.queue[side].at(-1)?.at ?? this.timeline.now;
      const wait = last - this.timeline.now + this.random.next() * 3_000;
      this.timeline.after(wait, () => this.tellClosed(side));
    }
    this.broken = true;
  }

  private tellClosed(side: Side): void {
    if (this.gone[side]) return;
    this.gone[side] = true;
    this.queue[side] = [];
    this.ends[side].closed();
  }

  /** Hand over what has arrived; now and then what is just behind it comes in the same turn. */
  private pump(to: Side): void {
    if (this.gone[to] || this.silent || this.paused[to]) return;
    const together = this.random.next() < 0.4;
    const until = this.timeline.now + (together ? 30 : 0);
    let handed = 0;
    for (let next = this.queue[to][0]; next !== undefined && next.at <= until; next = this.queue[to][0]) {
      if (this.gone[to] || this.paused[to]) break;
      this.queue[to].shift();
      for (const bytes of this.spoiled(to, next.bytes)) this.ends[to].message(bytes);
      handed += 1;
      if (together) continue;
      this.ends[to].turn();
    }
    if (handed > 0 && together) this.ends[to].turn();
    if (handed > 1) this.count(together ? 'coalesced' : 'split');
  }

  private spoiled(to: Side, bytes: Uint8Array): readonly Uint8Array[] {
    if (this.spoil.to !== to) return [bytes];
    this.spoil.to = undefined;
    const behind = this.queue[to][0];
    if (this.spoil.how === 0 || (this.spoil.how === 2 && behind === undefined)) {
      const copy = bytes.slice();
      const at = this.random.below(copy.length);
      copy[at] = (copy[at] ?? 0) ^ (1 << this.random.below(8));
      this.count('altered');
      return [copy];
    }
    if (this.spoil.how === 1 || behind === undefined) {
      this.count('replayed');
      return [bytes, bytes.slice()];
    }
    this.queue[to].shift();
    this.count('reordered');
    return [behind.bytes, bytes];
  }
}
