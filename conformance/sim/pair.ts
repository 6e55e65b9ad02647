/**
 * Both machines, real handshakes and real records, on virtual time and without a socket (spec/05-session.md, 5.10).
 *
 * A scenario is a seed and a row of faults; the same scenario gives the same trace, byte for byte.
 */
import { createHash } from 'node:crypto';
import type { Suite } from '../../src/crypto/suite.ts';
import { ErrorCode } from '../../src/gen/clawchat/v1/error_pb.ts';
import { SESSION_RESUME_MS, SESSION_RETAINED_BYTES_MAX } from '../../src/gen/constants.ts';
import { Client } from '../../src/protocol/client.ts';
import type { ClientInput, ClientOutput } from '../../src/protocol/client-io.ts';
import { parseEnvelope } from '../../src/protocol/envelope.ts';
import { codeName, fault, isFault } from '../../src/protocol/fault.ts';
import { NOW_MS, testEnvelope, testHost, testRecord } from '../../src/protocol/fixtures.ts';
import { type Invite, parseInvite } from '../../src/protocol/invite.ts';
import type { Member } from '../../src/protocol/join.ts';
import type { Now } from '../../src/protocol/now.ts';
import { applyChanges, EMPTY_REGISTRY, type Registry } from '../../src/protocol/registry.ts';
import { Server } from '../../src/protocol/server.ts';
import type { ServerInput, ServerOutput } from '../../src/protocol/server-io.ts';
import { App, type Ledger } from './pair-app.ts';
import { Link, Random, type Side, Timeline } from './pair-network.ts';

/** What can go wrong. */
export const FAULTS = [
  'drop',
  'silence',
  'spoil',
  'move',
  'refuse',
  'late',
  'stall',
  'wake',
  'killClient',
  'killHost',
  'outage',
] as const;
export type FaultKind = (typeof FAULTS)[number];

/** One fault. `amount`, 0 to 999, says how much or how long. */
export interface FaultEvent {
  readonly at: number;
  readonly kind: FaultKind;
  readonly amount: number;
}

export interface Scenario {
  readonly seed: number;
  readonly faults: readonly FaultEvent[];
}

/** What came of it. */
export interface Outcome {
  /** Broken promises; none is the only good answer. */
  readonly violations: readonly string[];
  readonly counts: ReadonlyMap<string, number>;
  /** SHA-256 over all that both machines put out, and when. */
  readonly trace: string;
}

const WORK_MS = 40_000;
/** Long enough for a silent path to be given up, the longest back-off, and what is left to be sent. */
const QUIET_MS = 240_000;
/** Ticks without time passing, after which a machine runs in a circle. */
const TURNS_MAX = 50;

/** Run one scenario. */
export function runPair(suite: Suite, scenario: Scenario): Outcome {
  return new World(suite, scenario).run();
}

class World {
  private readonly suite: Suite;
  private readonly scenario: Scenario;
  private readonly timeline = new Timeline();
  private readonly random: Random;
  private readonly entropy: Random;
  private readonly trace = createHash('sha256');
  private readonly violations: string[] = [];
  private readonly counts = new Map<string, number>();
  private readonly ledger: Ledger = new Map();
  private readonly lostNames = new Set<string>();

  private readonly channelKey: Uint8Array;
  private readonly envelope: Uint8Array;
  private readonly host: ReturnType<typeof testHost>;
  private server: Server | undefined;
  private registry: Registry = EMPTY_REGISTRY;
  private hostLife = 0;
  private readonly hostApps = new Map<number, App>();
  private readonly hostLinks = new Map<number, Link>();
  private offers = 0;

  private client: Client | undefined;
  private member: Member | undefined;
  private clientLife = 0;
  private readonly clientApps = new Map<number, App>();
  private readonly clientLinks = new Map<number, Link>();
  private dialFailures = 0;
  private invite: Invite | undefined;

  private readonly diskAt: Record<Side, number> = { client: 0, host: 0 };
  private unreachableUntil = 0;
  private refusals = 0;
  private lateDials = 0;
  private stalledUntil = 0;
  /** A loss has a reason while something happened that costs sessions. */
  private excused = false;
  private detachedAt: number | undefined;
  private attachedTo = 0;

  constructor(suite: Suite, scenario: Scenario) {
    this.suite = suite;
    this.scenario = scenario;
    this.random = new Random(scenario.seed);
    this.entropy = new Random(scenario.seed ^ 0x5bd1e995);
    this.host = testHost(suite, 'pair');
    this.channelKey = this.entropy.bytes(32);
    const publicKey = suite.x25519Public(this.channelKey);
    const [usual] = testRecord(suite, this.host).channelKeys;
    const channelKeys = [{ publicKey, notAfterMs: usual?.notAfterMs ?? 0 }];
    this.envelope = testEnvelope(suite, this.host, testRecord(suite, this.host, { channelKeys }));
  }

  run(): Outcome {
    this.startHost();
    this.hostInput({ kind: 'makeInvite', ref: 1, terms: this.terms() });
    let last = 0;
    for (const { at, kind, amount } of this.scenario.faults) {
      last = Math.max(last, at + (kind === 'outage' ? SESSION_RESUME_MS + 120_000 : 0));
      this.timeline.after(at, () => this.strike(kind, amount));
    }
    this.work();
    this.advance(Math.max(WORK_MS, last) + QUIET_MS);
    this.judge();
    return { violations: this.violations, counts: this.counts, trace: this.trace.digest('hex') };
  }

  private terms(): ServerInput extends infer I
    ? I extends { kind: 'makeInvite'; terms: infer T }
      ? T
      : never
    : never {
    return {
      secret: this.entropy.bytes(32),
      identity: this.host.identity(0),
      serverId: this.host.serverId,
      stores: [],
      name: '',
      lifeMs: 0,
    };
  }

  private get now(): Now {
    return { wall: NOW_MS + this.timeline.now, mono: this.timeline.now };
  }

  private count(what: string): void {
    this.counts.set(what, (this.counts.get(what) ?? 0) + 1);
  }

  private tell(what: string): void {
    if (this.violations.length < 20) this.violations.push(`${Math.round(this.timeline.now)} ms: ${what}`);
  }

  // ---- time ----

  private advance(until: number): void {
    for (;;) {
      const host = this.server?.deadline(this.now)?.at ?? Number.POSITIVE_INFINITY;
      const client = this.client?.deadline(this.now)?.at ?? Number.POSITIVE_INFINITY;
      const next = Math.min(this.timeline.nextAt, host, client);
      if (next > until) break;
      this.timeline.now = Math.max(this.timeline.now, next);
      if (next === this.timeline.nextAt) this.timeline.pop()?.run();
      this.turn('client');
      this.turn('host');
    }
    this.timeline.now = until;
  }

  /** The end of a turn of one process: ticks, until its deadline lies in the future. */
  private turn(side: Side): void {
    for (let i = 0; i < TURNS_MAX; i += 1) {
      const machine = side === 'host' ? this.server : this.client;
      const deadline = machine?.deadline(this.now);
      if (deadline === undefined || deadline.at > this.timeline.now) return;
      if (side === 'host') this.hostInput({ kind: 'tick' });
      else this.clientInput({ kind: 'tick' });
    }
    this.tell(`${side}: the deadline does not move`);
    throw new Error(this.violations.join('\n'));
  }

  private work(): void {
    if (this.timeline.now >= WORK_MS) return;
    const apps = [...this.clientApps.values(), ...this.hostApps.values()];
    for (const app of apps) if (this.random.next() < 0.5) app.work();
    this.timeline.after(20 + this.random.below(300), () => this.work());
  }

  // ---- the host ----

  private startHost(): void {
    this.hostLife += 1;
    this.server = new Server({
      suite: this.suite,
      serverId: this.host.serverId,
      registry: this.registry,
      accessKeys: testRecord(this.suite, this.host).accessKeys,
      channelKeys: [{ privateKey: this.channelKey, notAfterMs: Number.MAX_SAFE_INTEGER }],
      envelope: this.envelope,
      witness: undefined,
      software: 'pair host',
    });
  }

  private hostInput(input: ServerInput): void {
    const { server } = this;
    if (server === undefined) return;
    for (const output of server.step(input, this.now)) {
      this.note('host', output);
      this.hostOutput(output, server);
    }
    if (server.sessions.heldBytes > SESSION_RETAINED_BYTES_MAX + 200_000) this.tell('host: retains too much');
  }

  private hostOutput(output: ServerOutput, server: Server): void {
    switch (output.kind) {
      case 'send':
        this.hostLinks.get(output.path)?.send('host', output.bytes);
        break;
      case 'close':
        this.hostLinks.get(output.path)?.close('host', output.cut);
        this.hostLinks.delete(output.path);
        this.count(`host closes ${codeName(output.code)}`);
        break;
      case 'pause':
      case 'resume':
        this.hostLinks.get(output.path)?.pause('host', output.kind === 'pause');
        break;
      case 'persist': {
        this.commit('host', () => {
          this.registry = applyChanges(this.registry, output.changes);
          this.hostInput({ kind: 'committed', id: output.id });
        });
        break;
      }
      case 'made': {
        const invite = parseInvite(this.suite, output.invite);
        if (isFault(invite)) throw new Error(invite.detail);
        this.invite = invite;
        this.startClient();
        break;
      }
      case 'opened':
        this.hostApps.set(output.session, this.app('host', output.session, server.sessions));
        break;
      case 'lost':
        this.lose('host', output.session, output.code);
        break;
      case 'deliver':
        this.hostApps.get(output.session)?.event(output.event);
        break;
      case 'alarm':
      case 'declined':
        this.tell(`host: ${output.kind}`);
        break;
      case 'detached':
        this.detachedAt = this.timeline.now;
        break;
      case 'attached':
        this.detachedAt = undefined;
        this.count('attached');
        // Paths are numbered as they are dialled: a session never goes back to an earlier one. (SE-013)
        if (output.path < this.attachedTo) this.tell('host: a session went back to an older path');
        this.attachedTo = output.path;
        break;
      case 'accept':
      case 'refuse':
      case 'publish':
      case 'enrolled':
      case 'done':
        break;
    }
  }

  private app(side: Side, session: number, port: ConstructorParameters<typeof App>[0]['port']): App {
    const { ledger, timeline } = this;
    const life = side === 'host' ? this.hostLife : this.clientLife;
    const app = new App({
      side,
      session,
      name: `${side}.${life}.${session}`,
      port,
      ledger,
      timeline,
      random: new Random(this.random.below(2 ** 31)),
      tell: what => this.tell(what),
      count: what => this.count(what),
    });
    app.stalled = this.timeline.now < this.stalledUntil;
    return app;
  }

  // ---- the client ----

  private startClient(): void {
    this.clientLife += 1;
    this.client = new Client({ suite: this.suite, member: this.member, software: 'pair client' });
    if (this.member === undefined && this.invite !== undefined) {
      const devicePrivateKey = this.entropy.bytes(32);
      this.clientInput({ kind: 'join', invite: this.invite, devicePrivateKey, name: 'pair' });
    } else this.clientInput({ kind: 'start' });
    if (this.member?.held.newest !== undefined) return;
    const envelope = parseEnvelope(this.envelope);
    if (isFault(envelope)) throw new Error(envelope.detail);
    this.clientInput({ kind: 'record', envelope });
  }

  private clientInput(input: ClientInput): void {
    const { client } = this;
    if (client === undefined) return;
    for (const output of client.step(input, this.now)) {
      this.note('client', output);
      this.clientOutput(output, client);
    }
  }

  private clientOutput(output: ClientOutput, client: Client): void {
    const life = this.clientLife;
    switch (output.kind) {
      case 'send':
        this.clientLinks.get(output.path)?.send('client', output.bytes);
        break;
      case 'close':
        this.clientLinks.get(output.path)?.close('client', output.cut);
        this.clientLinks.delete(output.path);
        this.count(`client closes ${codeName(output.code)}`);
        break;
      case 'cancel':
        this.clientLinks.get(output.path)?.close('client', true);
        this.clientLinks.delete(output.path);
        break;
      case 'need':
        this.later(life, 'client', this.random.below(50), () => this.dialAgain());
        break;
      case 'failed': {
        this.dialFailures += 1;
        const bound = Math.min(60_000, 1_000 * 2 ** (this.dialFailures - 1));
        this.later(life, 'client', bound * this.random.next(), () => this.dialAgain());
        break;
      }
      case 'connected':
        this.dialFailures = 0;
        break;
      case 'dial':
        this.dial(output.path, output.token);
        break;
      case 'persist':
        this.commit('client', () => {
          this.member = output.member;
          this.clientInput({ kind: 'committed', id: output.id });
        });
        break;
      case 'opened':
        this.clientApps.set(output.session, this.app('client', output.session, client));
        // What is written at once rides in the first record.
        this.clientApps.get(output.session)?.work();
        break;
      case 'lost':
        this.lose('client', output.session, output.fault.code);
        break;
      case 'deliver':
        this.clientApps.get(output.session)?.event(output.event);
        break;
      case 'stopped':
      case 'declined':
      case 'warn':
        this.tell(`client: ${output.kind} ${codeName(output.fault.code)} ${output.fault.detail}`);
        break;
      case 'attached':
      case 'detached':
      case 'ended':
      case 'show':
      case 'notice':
        break;
    }
  }

  private dialAgain(): void {
    this.clientInput({ kind: 'dial', entropy: this.entropy.bytes(64) });
  }

  /** A TLS connection and an upgrade request. */
  private dial(path: number, token: string): void {
    const latencyMs = 5 + this.random.below(80);
    const lives = { client: this.clientLife, host: this.hostLife };
    this.offers += 1;
    const offer = this.offers;
    const end = (side: Side): ConstructorParameters<typeof Link>[3]['client'] => {
      const input = (kind: 'closed' | 'message' | 'written', bytes?: Uint8Array | number): void => {
        if (lives[side] !== (side === 'host' ? this.hostLife : this.clientLife)) return;
        const of = side === 'host' ? offer : path;
        if (kind === 'closed') (side === 'host' ? this.hostLinks : this.clientLinks).delete(of);
        const about = (kind === 'closed' ? { kind, path: of } : { kind, path: of, bytes }) as ServerInput &
          ClientInput;
        if (side === 'host') this.hostInput(about);
        else this.clientInput(about);
      };
      return {
        message: bytes => input('message', bytes),
        written: bytes => input('written', bytes),
        closed: () => input('closed'),
        turn: () => this.turn(side),
      };
    };
    const terms = { latencyMs, jitterMs: this.random.below(60) };
    const link = new Link(
      this.timeline,
      this.random,
      terms,
      { client: end('client'), host: end('host') },
      what => this.count(what),
    );
    link.late = this.lateDials > 0;
    if (link.late) this.lateDials -= 1;
    this.clientLinks.set(path, link);
    const failed = (code: ErrorCode): void => {
      this.clientLinks.delete(path);
      const why = fault('network', code, 'the pair says so');
      this.clientInput({ kind: 'dialFailed', path, fault: why });
    };
    this.later(lives.client, 'client', 3 * latencyMs, () => {
      if (!link.has('client')) return;
      if (this.server === undefined || this.timeline.now < this.unreachableUntil) {
        this.count('unreachable');
        failed(ErrorCode.HOST_UNREACHABLE);
        return;
      }
      if (this.refusals > 0) {
        this.refusals -= 1;
        this.count('refused');
        failed(ErrorCode.GATE_REFUSED);
        return;
      }
      this.offer(link, path, offer, token, failed);
      lives.host = this.hostLife;
    });
  }

  private offer(
    link: Link,
    path: number,
    id: number,
    token: string,
    failed: (code: ErrorCode) => void,
  ): void {
    const { server } = this;
    if (server === undefined) return;
    this.hostLinks.set(id, link);
    const entropy = this.entropy.bytes(64);
    const acceptedAt = this.timeline.now - link.terms.latencyMs;
    for (const output of server.step({ kind: 'offer', path: id, token, acceptedAt, entropy }, this.now)) {
      this.note('host', output);
      if (output.kind === 'accept') {
        this.later(this.clientLife, 'client', 0, () => {
          if (link.has('client')) this.clientInput({ kind: 'open', path });
        });
      } else if (output.kind === 'refuse') {
        this.hostLinks.delete(id);
        this.count(`host refuses: ${output.reason}`);
        this.later(this.clientLife, 'client', link.terms.latencyMs, () => failed(ErrorCode.GATE_REFUSED));
      } else this.hostOutput(output, server);
    }
  }

  /** The disk is slow, and keeps the order. */
  private commit(side: Side, done: () => void): void {
    const wait = Math.max(this.diskAt[side] - this.timeline.now, 0) + 1 + this.random.below(40);
    this.diskAt[side] = this.timeline.now + wait;
    this.later(side === 'host' ? this.hostLife : this.clientLife, side, wait, done);
  }

  /** Run something in a process, if it still lives by then. */
  private later(life: number, side: Side, ms: number, run: () => void): void {
    this.timeline.after(ms, () => {
      if (life === (side === 'host' ? this.hostLife : this.clientLife)) run();
    });
  }

  // ---- faults ----

  private strike(kind: FaultKind, amount: number): void {
    const links = [...this.clientLinks.values()].filter(link => link.has('client') && link.has('host'));
    const link = links[amount % Math.max(1, links.length)];
    switch (kind) {
      case 'drop':
        if (link === undefined) return;
        this.count(link.inFlight('client') + link.inFlight('host') > 0 ? 'drop in flight' : 'drop');
        link.drop();
        return;
      case 'silence':
        if (link === undefined) return;
        this.count('silence');
        link.silent = true;
        return;
      case 'spoil':
        if (link === undefined) return;
        link.spoil.to = amount % 2 === 0 ? 'client' : 'host';
        link.spoil.how = amount % 3;
        return;
      case 'move':
        if (links.length > 1) this.count('move during a move');
        this.count('move');
        this.clientInput({ kind: 'move' });
        if (amount % 4 === 0) this.timeline.after(250, () => this.strike('move', 1));
        return;
      case 'refuse':
        this.refusals += 1 + (amount % 2);
        return;
      case 'late':
        // The next dial, which this makes sure there is.
        this.lateDials += 1;
        this.clientInput({ kind: 'move' });
        return;
      case 'stall':
        this.stall(200 + amount * 10);
        return;
      case 'wake':
        this.count('wake');
        this.clientInput({ kind: 'wake' });
        return;
      case 'killClient':
        this.killClient(amount);
        return;
      case 'killHost':
        this.killHost(amount);
        return;
      case 'outage':
        this.outage();
        return;
    }
  }

  private stall(ms: number): void {
    this.count('stall');
    const apps = [...this.clientApps.values(), ...this.hostApps.values()];
    this.stalledUntil = this.timeline.now + ms;
    for (const app of apps) {
      app.stalled = true;
      app.burst();
    }
    this.timeline.after(ms, () => {
      for (const app of [...this.clientApps.values(), ...this.hostApps.values()]) app.resume();
    });
  }

  private killClient(amount: number): void {
    if (this.client === undefined) return;
    this.count(this.member?.stage === 'device' ? 'kill client' : 'kill client while it joins');
    this.excused = true;
    this.client = undefined;
    this.clientLife += 1;
    this.drop('client');
    this.timeline.after(50 + amount * 5, () => this.startClient());
  }

  private killHost(amount: number): void {
    if (this.server === undefined || this.invite === undefined) return;
    this.count('kill host');
    this.excused = true;
    this.server = undefined;
    this.hostLife += 1;
    this.drop('host');
    this.timeline.after(50 + amount * 5, () => this.startHost());
  }

  /** The kernel closes what a dead process had, or nobody does. */
  private drop(side: Side): void {
    const apps = side === 'host' ? this.hostApps : this.clientApps;
    for (const app of apps.values()) app.stop();
    for (const [session] of apps) this.lostNames.add(`${side}.${session}`);
    apps.clear();
    const links = side === 'host' ? this.hostLinks : this.clientLinks;
    for (const link of links.values()) {
      if (this.random.next() < 0.1) link.silent = true;
      link.close(side, true);
    }
    links.clear();
    this.forgetLedger();
  }

  /** No path at all for longer than a session lives. */
  private outage(): void {
    this.count('outage');
    this.unreachableUntil = this.timeline.now + SESSION_RESUME_MS + 60_000;
    for (const link of this.clientLinks.values()) link.drop();
    this.timeline.after(SESSION_RESUME_MS + 50_000, () => {
      this.excused = true;
    });
  }

  // ---- judgement ----

  /** A session ended. What it had under way may be missing, and there must be a reason. */
  private lose(side: Side, session: number, code: ErrorCode): void {
    const apps = side === 'host' ? this.hostApps : this.clientApps;
    apps.get(session)?.stop();
    apps.delete(session);
    this.count(`${side} lost ${codeName(code)}`);
    const long = this.detachedAt !== undefined && this.timeline.now - this.detachedAt >= SESSION_RESUME_MS;
    const typed = code === ErrorCode.SESSION_LOST || code === ErrorCode.SESSION_REPLACED;
    if (!typed || !(this.excused || long))
      this.tell(`${side}: lost its session for no reason, ${codeName(code)}`);
    if (long) this.excused = true;
    this.forgetLedger();
  }

  /** Streams that existed when a session died are not judged for completeness any more. */
  private forgetLedger(): void {
    for (const entry of this.ledger.values()) entry.aborted = true;
  }

  private judge(): void {
    if (this.clientApps.size !== 1) this.tell(`client: ${this.clientApps.size} sessions at the end`);
    if (this.hostApps.size !== 1) this.tell(`host: ${this.hostApps.size} sessions at the end`);
    if (this.member?.stage !== 'device') this.tell(`client: ended as ${this.member?.stage}`);
    if (this.registry.devices.size !== 1) this.tell(`host: ${this.registry.devices.size} devices at the end`);
    for (const [name, { sent, got, aborted }] of this.ledger) {
      if (aborted) continue;
      this.count('streams judged');
      for (const side of ['client', 'host'] as const) {
        if (got[side] !== sent[side])
          this.tell(`${name}: ${got[side]} of ${sent[side]} messages of the ${side} arrived`);
      }
    }
  }

  private note(side: Side, output: ServerOutput | ClientOutput): void {
    const bytes =
      'bytes' in output ? `${output.bytes.length} ${Buffer.from(output.bytes).toString('base64')}` : '';
    const about = 'path' in output ? output.path : 'session' in output ? output.session : '';
    this.trace.update(`${this.timeline.now} ${side} ${output.kind} ${about} ${bytes}\n`);
  }
}
