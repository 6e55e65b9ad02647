/**
 * How long a message waits because of a move: both machines, real handshakes, and a network that takes the same time for
 * everything, on virtual time (spec/06-rotation.md, 6.9).
 */
import type { Suite } from '../../src/crypto/suite.ts';
import { Client } from '../../src/protocol/client.ts';
import type { ClientInput, ClientOutput } from '../../src/protocol/client-io.ts';
import { parseEnvelope } from '../../src/protocol/envelope.ts';
import { codeName, isFault } from '../../src/protocol/fault.ts';
import { NOW_MS, testEnvelope, testHost, testRecord } from '../../src/protocol/fixtures.ts';
import { parseInvite } from '../../src/protocol/invite.ts';
import type { Now } from '../../src/protocol/now.ts';
import { applyChanges, EMPTY_REGISTRY, type Registry } from '../../src/protocol/registry.ts';
import { Server } from '../../src/protocol/server.ts';
import type { ServerInput, ServerOutput } from '../../src/protocol/server-io.ts';
import { OTHER, Random, type Side, Timeline } from './pair-network.ts';

/** What a run came to. Times are milliseconds from writing to reading. */
export interface MovingDelays {
  readonly messages: number;
  readonly moves: number;
  /** By the number of the message. */
  readonly worst: number;
  /** Numbers that did not come once and in order. */
  readonly wrong: readonly string[];
}

const DISK_MS = 2;
const SERVICE = 'delay.v1';

/** Run until there were `moves`, a message each `everyMs` in both directions, `latencyMs` one way. */
export function measureMoves(
  suite: Suite,
  of: { readonly seed: number; readonly moves: number; readonly latencyMs: number; readonly everyMs: number },
): MovingDelays {
  return new Run(suite, of).go();
}

class Run {
  readonly #suite: Suite;
  readonly #of: Parameters<typeof measureMoves>[1];
  readonly #timeline = new Timeline();
  readonly #random: Random;
  readonly #server: Server;
  readonly #client: Client;
  readonly #envelope: Uint8Array;
  readonly #host: ReturnType<typeof testHost>;
  /** Paths of the two sides have one number; who still has it. */
  readonly #ends: Record<Side, Set<number>> = { client: new Set(), host: new Set() };
  readonly #streams: Record<Side, { session: number; stream: number } | undefined> = {
    client: undefined,
    host: undefined,
  };
  readonly #writtenAt: Record<Side, number[]> = { client: [], host: [] };
  readonly #got: Record<Side, number> = { client: 0, host: 0 };
  readonly #wrong: string[] = [];
  #registry: Registry = EMPTY_REGISTRY;
  #device = false;
  #worst = 0;
  #moves = 0;
  #isOver = false;

  constructor(suite: Suite, of: Parameters<typeof measureMoves>[1]) {
    this.#suite = suite;
    this.#of = of;
    this.#random = new Random(of.seed);
    this.#host = testHost(suite, 'delay');
    const channelKey = this.#random.bytes(32);
    const [usual] = testRecord(suite, this.#host).channelKeys;
    const channelKeys = [{ publicKey: suite.x25519Public(channelKey), notAfterMs: usual?.notAfterMs ?? 0 }];
    this.#envelope = testEnvelope(suite, this.#host, testRecord(suite, this.#host, { channelKeys }));
    this.#server = new Server({
      suite,
      serverId: this.#host.serverId,
      registry: this.#registry,
      accessKeys: testRecord(suite, this.#host).accessKeys,
      channelKeys: [{ privateKey: channelKey, notAfterMs: Number.MAX_SAFE_INTEGER }],
      envelope: this.#envelope,
      witness: undefined,
      software: 'delay host',
    });
    this.#client = new Client({ suite, member: undefined, software: 'delay client' });
  }

  go(): MovingDelays {
    const terms = {
      secret: this.#random.bytes(32),
      identity: this.#host.identity(0),
      serverId: this.#host.serverId,
      stores: [],
      name: '',
      lifeMs: 0,
    };
    this.#hostInput({ kind: 'makeInvite', ref: 1, terms });
    const { moves } = this.#of;
    this.#run(() => this.#moves < moves);
    this.#isOver = true;
    const end = this.#timeline.now + 2000;
    this.#run(() => this.#timeline.now < end);
    for (const side of ['client', 'host'] as const) {
      const [wrote, got] = [this.#writtenAt[side].length, this.#got[OTHER[side]]];
      if (wrote !== got) this.#wrong.push(`${side} wrote ${wrote}, and ${got} came`);
    }
    const messages = this.#writtenAt.client.length + this.#writtenAt.host.length;
    return { messages, moves: this.#moves, worst: this.#worst, wrong: this.#wrong };
  }

  get #now(): Now {
    return { wall: NOW_MS + this.#timeline.now, mono: this.#timeline.now };
  }

  #run(goesOn: () => boolean): void {
    while (goesOn()) {
      const host = this.#server.deadline(this.#now)?.at ?? Number.POSITIVE_INFINITY;
      const client = this.#client.deadline(this.#now)?.at ?? Number.POSITIVE_INFINITY;
      const next = Math.min(this.#timeline.nextAt, host, client);
      this.#timeline.now = Math.max(this.#timeline.now, next);
      if (next === this.#timeline.nextAt) this.#timeline.pop()?.run();
      else if (next === host) this.#hostInput({ kind: 'tick' });
      else this.#clientInput({ kind: 'tick' });
    }
  }

  // ---- the application ----

  #work(): void {
    if (this.#isOver) return;
    this.#write('client');
    this.#write('host');
    this.#timeline.after(this.#of.everyMs, () => this.#work());
  }

  #moveLater(): void {
    this.#timeline.after(400 + this.#random.below(400), () => {
      if (this.#isOver) return;
      this.#clientInput({ kind: 'move' });
      this.#moveLater();
    });
  }

  #write(side: Side): void {
    const open = this.#streams[side];
    if (open === undefined) return;
    const payload = new Uint8Array(100);
    new DataView(payload.buffer).setUint32(0, this.#writtenAt[side].length);
    const machine = side === 'host' ? this.#server.sessions : this.#client;
    if (machine.write(open.session, open.stream, payload) !== 'accepted') this.#wrong.push(`${side} is full`);
    this.#writtenAt[side].push(this.#timeline.now);
  }

  #read(side: Side, session: number, event: (ClientOutput & { kind: 'deliver' })['event']): void {
    if (event.kind === 'opened') this.#streams[side] = { session, stream: event.stream };
    if (event.kind !== 'piece') return;
    const number = new DataView(event.payload.buffer, event.payload.byteOffset).getUint32(0);
    if (number !== this.#got[side]) this.#wrong.push(`${side} got ${number} for ${this.#got[side]}`);
    this.#got[side] = number + 1;
    const writtenAt = this.#writtenAt[OTHER[side]][number] ?? 0;
    this.#worst = Math.max(this.#worst, this.#timeline.now - writtenAt);
    const machine = side === 'host' ? this.#server.sessions : this.#client;
    machine.taken(session, event.stream, event.cost);
  }

  // ---- the network ----

  /** What is sent arrives a latency later, if the other side still has the path. */
  #carry(from: Side, path: number, act: (to: Side) => void): void {
    const to = OTHER[from];
    this.#timeline.after(this.#of.latencyMs, () => {
      if (this.#ends[to].has(path)) act(to);
    });
  }

  #message(from: Side, path: number, bytes: Uint8Array): void {
    const copy = bytes.slice();
    this.#carry(from, path, to => {
      if (to === 'host') this.#hostInput({ kind: 'message', path, bytes: copy });
      else this.#clientInput({ kind: 'message', path, bytes: copy });
    });
    this.#timeline.after(0, () => {
      if (!this.#ends[from].has(path)) return;
      if (from === 'host') this.#hostInput({ kind: 'written', path, bytes: copy.length });
      else this.#clientInput({ kind: 'written', path, bytes: copy.length });
    });
  }

  #close(from: Side, path: number): void {
    this.#ends[from].delete(path);
    this.#carry(from, path, to => {
      this.#ends[to].delete(path);
      if (to === 'host') this.#hostInput({ kind: 'closed', path });
      else this.#clientInput({ kind: 'closed', path });
    });
  }

  /** TCP, TLS and the upgrade: three round trips. */
  #dial(path: number, token: string): void {
    const { latencyMs } = this.#of;
    this.#ends.client.add(path);
    this.#timeline.after(5 * latencyMs, () => {
      this.#ends.host.add(path);
      const entropy = this.#random.bytes(64);
      this.#hostInput({ kind: 'offer', path, token, acceptedAt: this.#timeline.now - latencyMs, entropy });
    });
  }

  // ---- the machines ----

  #hostInput(input: ServerInput): void {
    for (const output of this.#server.step(input, this.#now)) this.#hostOutput(output);
  }

  #hostOutput(output: ServerOutput): void {
    switch (output.kind) {
      case 'send':
        this.#message('host', output.path, output.bytes);
        break;
      case 'close':
        this.#close('host', output.path);
        break;
      case 'accept':
        this.#carry('host', output.path, () => this.#clientInput({ kind: 'open', path: output.path }));
        break;
      case 'persist':
        this.#timeline.after(DISK_MS, () => {
          this.#registry = applyChanges(this.#registry, output.changes);
          this.#hostInput({ kind: 'committed', id: output.id });
        });
        break;
      case 'made':
        this.#join(output.invite);
        break;
      case 'deliver':
        this.#read('host', output.session, output.event);
        break;
      case 'refuse':
      case 'declined':
      case 'lost':
        this.#wrong.push(`host: ${output.kind}`);
        break;
      default:
        break;
    }
  }

  #join(bytes: Uint8Array): void {
    const invite = parseInvite(this.#suite, bytes);
    const envelope = parseEnvelope(this.#envelope);
    if (isFault(invite) || isFault(envelope)) throw new Error('no invite');
    this.#clientInput({ kind: 'join', invite, devicePrivateKey: this.#random.bytes(32), name: 'delay' });
    this.#clientInput({ kind: 'record', envelope });
  }

  #clientInput(input: ClientInput): void {
    for (const output of this.#client.step(input, this.#now)) this.#clientOutput(output);
  }

  #clientOutput(output: ClientOutput): void {
    switch (output.kind) {
      case 'send':
        this.#message('client', output.path, output.bytes);
        break;
      case 'close':
      case 'cancel':
        this.#close('client', output.path);
        break;
      case 'need':
        this.#timeline.after(1, () => this.#clientInput({ kind: 'dial', entropy: this.#random.bytes(64) }));
        break;
      case 'dial':
        this.#dial(output.path, output.token);
        break;
      case 'persist':
        this.#device = output.member.stage === 'device';
        this.#timeline.after(DISK_MS, () => this.#clientInput({ kind: 'committed', id: output.id }));
        break;
      case 'opened':
        this.#begin(output.session);
        break;
      case 'attached':
        if (this.#device && this.#writtenAt.client.length > 0) this.#moves += 1;
        break;
      case 'deliver':
        this.#read('client', output.session, output.event);
        break;
      case 'failed':
      case 'lost':
      case 'declined':
      case 'stopped':
        this.#wrong.push(`client: ${output.kind} ${codeName(output.fault.code)}`);
        break;
      default:
        break;
    }
  }

  #begin(session: number): void {
    const stream = this.#client.open(session, SERVICE);
    if (stream === undefined) throw new Error('no stream');
    this.#streams.client = { session, stream };
    this.#work();
    this.#moveLater();
  }
}
