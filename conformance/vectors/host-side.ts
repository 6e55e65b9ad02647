/** The host's machine of `src/`, with a device and an invite whose paths a test plays frame by frame. */
import type { Suite } from '../../src/crypto/suite.ts';
import { isFault } from '../../src/protocol/fault.ts';
import { NOW_MS, named, testEnvelope, testHost, testRecord } from '../../src/protocol/fixtures.ts';
import { InitiatorHandshake } from '../../src/protocol/handshake.ts';
import { inviteKeys, type MemberKeys } from '../../src/protocol/keys.ts';
import {
  EMPTY_REGISTRY,
  memberId,
  type RegisteredDevice,
  type RegisteredInvite,
  type Registry,
  registerDevice,
} from '../../src/protocol/registry.ts';
import { Server } from '../../src/protocol/server.ts';
import type { ServerInput, ServerOutput } from '../../src/protocol/server-io.ts';
import { Effects, HELLO, type SessionState, type Side, WireEnd } from './wire-end.ts';

interface HostSideOptions {
  /** The host has no room for a session. */
  readonly busy?: boolean;
  /** The application takes what is handed to it. */
  readonly reads?: boolean;
}

/** Whoever dials: a private key, and what the host and it share. */
interface Dialler {
  readonly privateKey: Uint8Array;
  readonly keys: MemberKeys;
}

/** A host. */
export class HostSide implements Side {
  readonly effects: Effects = new Effects();
  readonly log: ServerOutput[] = [];
  readonly invite: RegisteredInvite;
  private readonly suite: Suite;
  private readonly server: Server;
  private readonly channelKey: Uint8Array;
  private readonly device: RegisteredDevice;
  private readonly diallers: Readonly<Record<'device' | 'invite', Dialler>>;
  private readonly reads: boolean;
  private readonly names: string[] = [];
  private readonly ends = new Map<string, WireEnd>();
  private readonly host: ReturnType<typeof testHost>;
  private mono = 0;

  constructor(suite: Suite, { busy = false, reads = true }: HostSideOptions = {}) {
    this.suite = suite;
    this.reads = reads;
    this.host = testHost(suite, 'vectors');
    this.channelKey = named(suite, 'channel');
    const privateKey = named(suite, 'device');
    const about = { secret: named(suite, 'device secret'), name: 'device', pending: false };
    const times = { enrolledAtMs: NOW_MS, lastSeenAtMs: NOW_MS };
    this.device = registerDevice(suite, { ...about, ...times, publicKey: suite.x25519Public(privateKey) });
    const keys = inviteKeys(suite, named(suite, 'invite'));
    this.invite = {
      ...keys,
      id: memberId(suite, keys.publicKey),
      name: '',
      madeAtMs: NOW_MS,
      expiresAtMs: NOW_MS + 86_400_000,
      isBundled: false,
      claim: undefined,
    };
    this.diallers = {
      device: { privateKey, keys: this.device },
      invite: { privateKey: keys.privateKey, keys },
    };
    const record = testRecord(suite, this.host);
    this.server = new Server({
      suite,
      serverId: this.host.serverId,
      registry: {
        ...EMPTY_REGISTRY,
        devices: new Map([[this.device.id, this.device]]),
        invites: new Map([[this.invite.id, this.invite]]),
      },
      accessKeys: record.accessKeys,
      channelKeys: [{ privateKey: this.channelKey, notAfterMs: Number.MAX_SAFE_INTEGER }],
      envelope: testEnvelope(suite, this.host, record),
      witness: undefined,
      software: 'host 1',
    });
    // As if the sessions of other devices held all that a host may hold.
    const budget = this.server.sessions['budget'];
    if (busy) budget.bytes = budget.bytesMax;
  }

  get registry(): Registry {
    return this.server.registry;
  }

  get state(): SessionState {
    const session = this.server.sessions['byDevice'].get(this.device.id);
    if (session === undefined) return null;
    return {
      taken: session.session.receivedThrough,
      acknowledged: session.session['retention'].acked,
      path: session.path === undefined ? null : this.nameOf(session.path.id),
    };
  }

  pass(atMs: number): void {
    for (;;) {
      const at = this.server.deadline(this.now)?.at;
      if (at === undefined || at > atMs) break;
      this.mono = Math.max(this.mono, at);
      this.step({ kind: 'tick' });
    }
    this.mono = atMs;
  }

  open(path: string, hello: boolean, as: 'device' | 'invite' = 'device'): void {
    const { suite, host } = this;
    this.names.push(path);
    const id = this.names.length;
    const { privateKey, keys } = this.diallers[as];
    const handshake = InitiatorHandshake.begin({
      suite,
      serverId: host.serverId,
      accessKey: testRecord(suite, host).accessKeys[0],
      responderKey: suite.x25519Public(this.channelKey),
      staticKey: suite.x25519Key(privateKey),
      psk: keys.psk,
      gateKey: keys.gateKey,
      ephemeral: suite.x25519Key(named(suite, `client ephemeral ${path}`)),
    });
    if (isFault(handshake)) throw new Error(handshake.detail);
    const entropy = Uint8Array.from([...named(suite, `host ${path}`), ...named(suite, `secret ${path}`)]);
    const about = { token: handshake.token, acceptedAt: this.mono, entropy };
    const message2 = this.step({ kind: 'offer', path: id, ...about }).find(({ kind }) => kind === 'send');
    const finished = handshake.finish(message2?.kind === 'send' ? message2.bytes : new Uint8Array(0));
    if (isFault(finished)) throw new Error(finished.detail);
    this.ends.set(path, new WireEnd(finished.split));
    this.step({ kind: 'message', path: id, bytes: finished.message3 });
    if (hello) this.hear(path, HELLO);
    else this.pass(this.mono);
  }

  attach(): void {
    throw new Error('a host attaches nothing');
  }

  lose(path: string): void {
    this.step({ kind: 'closed', path: this.idOf(path) });
    this.pass(this.mono);
  }

  hear(path: string, ...frames: readonly Uint8Array[]): void {
    const bytes = this.ends.get(path)?.seal(...frames);
    if (bytes === undefined) throw new Error(`there is no path ${path}`);
    this.step({ kind: 'message', path: this.idOf(path), bytes });
    this.pass(this.mono);
  }

  write(stream: number, service: string | undefined, message: Uint8Array, end: boolean): void {
    const { sessions } = this.server;
    const handle = sessions['byDevice'].get(this.device.id)?.handle ?? 0;
    if (service !== undefined && sessions.open(handle, service) !== stream) throw new Error('another stream');
    if (message.length > 0 && sessions.write(handle, stream, message) !== 'accepted')
      throw new Error('no room');
    if (end) sessions.end(handle, stream);
    this.pass(this.mono);
  }

  private get now(): { readonly wall: number; readonly mono: number } {
    return { wall: NOW_MS + this.mono, mono: this.mono };
  }

  private step(input: ServerInput): readonly ServerOutput[] {
    const outputs = this.server.step(input, this.now);
    this.log.push(...outputs);
    for (const output of outputs) {
      switch (output.kind) {
        case 'send': {
          // Message 2 is no record.
          const end = this.ends.get(this.nameOf(output.path));
          for (const frame of end?.open(output.bytes) ?? [])
            this.effects.note(this.nameOf(output.path), frame);
          break;
        }
        case 'close':
          if (output.cut) this.effects.cut(this.nameOf(output.path));
          break;
        case 'deliver':
          this.effects.hand(output.event);
          if (output.event.kind === 'piece' && this.reads) {
            this.server.sessions.taken(output.session, output.event.stream, output.event.cost);
          }
          break;
        case 'persist':
          this.step({ kind: 'committed', id: output.id });
          break;
        default:
          break;
      }
    }
    return outputs;
  }

  private idOf(path: string): number {
    return this.names.indexOf(path) + 1;
  }

  private nameOf(id: number): string {
    return this.names[id - 1] ?? '';
  }
}
