/** The client's machine of `src/`, with a host whose paths a test plays frame by frame. */
import type { Suite } from '../../src/crypto/suite.ts';
import { Client } from '../../src/protocol/client.ts';
import type { ClientInput, ClientOutput } from '../../src/protocol/client-io.ts';
import { parseEnvelope } from '../../src/protocol/envelope.ts';
import { isFault } from '../../src/protocol/fault.ts';
import { NOW_MS, named, testEnvelope, testHost, testRecord } from '../../src/protocol/fixtures.ts';
import { acceptEnvelope, trusting } from '../../src/protocol/freshness.ts';
import { ResponderHandshake } from '../../src/protocol/handshake.ts';
import { dialKeys, type Member } from '../../src/protocol/join.ts';
import { Effects, HELLO, type SessionState, type Side, WireEnd } from './wire-end.ts';

interface ClientSideOptions {
  /** Ids of new sessions, in turn. */
  readonly sessionIds?: readonly Uint8Array[];
  /** The application takes what is handed to it. */
  readonly reads?: boolean;
}

interface Path {
  readonly id: number;
  readonly handshake: ResponderHandshake;
  readonly hello: boolean;
  /** Behind message 3. */
  end: WireEnd | undefined;
}

/**
 * An enrolled client. It attaches with its first record, so a path gets its keys when the vector attaches it, or, if
 * a frame is to come before that, when that comes.
 */
export class ClientSide implements Side {
  readonly effects: Effects = new Effects();
  private readonly suite: Suite;
  private readonly client: Client;
  private readonly member: Member;
  private readonly channelKey: Uint8Array;
  private readonly reads: boolean;
  private readonly sessionIds: Uint8Array[];
  private readonly paths = new Map<string, Path>();
  private handle = 0;
  private mono = 0;

  constructor(suite: Suite, { sessionIds = [], reads = true }: ClientSideOptions = {}) {
    this.suite = suite;
    this.reads = reads;
    this.sessionIds = [...sessionIds];
    this.channelKey = named(suite, 'channel');
    const host = testHost(suite, 'vectors');
    const [key] = testRecord(suite, host).channelKeys;
    const notAfterMs = key?.notAfterMs ?? 0;
    const record = testRecord(suite, host, {
      channelKeys: [{ publicKey: suite.x25519Public(this.channelKey), notAfterMs }],
    });
    const envelope = parseEnvelope(testEnvelope(suite, host, record));
    if (isFault(envelope)) throw new Error(envelope.detail);
    const accepted = acceptEnvelope(suite, trusting(host.trust(0, false)), envelope, NOW_MS);
    if (accepted.kind !== 'accepted') throw new Error('the record is refused');
    this.member = {
      stage: 'device',
      devicePrivateKey: named(suite, 'device'),
      deviceSecret: named(suite, 'device secret'),
      name: 'device',
      held: accepted.held,
    };
    this.client = new Client({ suite, member: this.member, software: 'client 1' });
    this.step({ kind: 'start' });
  }

  get state(): SessionState {
    const link = this.client['link'];
    const { current } = link;
    const session = link['session'];
    if (session === undefined) return null;
    return {
      taken: session.session.receivedThrough,
      acknowledged: session.session['retention'].acked,
      path: current === undefined ? null : this.nameOf(current.id),
    };
  }

  pass(atMs: number): void {
    for (;;) {
      const at = this.client.deadline(this.now)?.at;
      if (at === undefined || at > atMs) break;
      this.mono = Math.max(this.mono, at);
      this.step({ kind: 'tick' });
    }
    this.mono = atMs;
  }

  open(path: string, hello: boolean): void {
    const { suite } = this;
    if (this.client['link'].current !== undefined) this.step({ kind: 'move' });
    const entropy = Uint8Array.from([
      ...named(suite, `client ${path}`),
      ...(this.sessionIds[0] ?? named(suite, 'session').slice(0, 16)),
      ...new Uint8Array(16),
    ]);
    const dial = this.step({ kind: 'dial', entropy }).find(output => output.kind === 'dial');
    if (dial?.kind !== 'dial') throw new Error('the client does not dial');
    const { privateKey, psk } = dialKeys(suite, this.member);
    const handshake = ResponderHandshake.begin({
      suite,
      serverId: this.member.held.trust.serverId,
      epoch: 7,
      message1: Uint8Array.from(Buffer.from(dial.token, 'base64url').subarray(24, 72)),
      psk,
      expectedKey: suite.x25519Public(privateKey),
      channelKeys: [suite.x25519Key(this.channelKey)],
      ephemeral: suite.x25519Key(named(suite, `host ephemeral ${path}`)),
      witness: undefined,
    });
    if (isFault(handshake)) throw new Error(handshake.detail);
    this.paths.set(path, { id: dial.path, handshake, hello, end: undefined });
    this.step({ kind: 'open', path: dial.path });
  }

  attach(path: string): void {
    const { id, handshake, hello } = this.path(path);
    this.step({ kind: 'message', path: id, bytes: handshake.message2 });
    this.pass(this.mono);
    if (hello) this.hear(path, HELLO);
  }

  lose(path: string): void {
    this.step({ kind: 'closed', path: this.path(path).id });
    this.pass(this.mono);
  }

  hear(path: string, ...frames: readonly Uint8Array[]): void {
    if (this.path(path).end === undefined) this.attach(path);
    const { id, end } = this.path(path);
    if (end === undefined) throw new Error('message 3 did not come');
    this.step({ kind: 'message', path: id, bytes: end.seal(...frames) });
    this.pass(this.mono);
  }

  write(stream: number, service: string | undefined, message: Uint8Array, end: boolean): void {
    const { client, handle } = this;
    if (service !== undefined && client.open(handle, service) !== stream) throw new Error('another stream');
    if (message.length > 0 && client.write(handle, stream, message) !== 'accepted')
      throw new Error('no room');
    if (end) client.end(handle, stream);
    this.pass(this.mono);
  }

  private get now(): { readonly wall: number; readonly mono: number } {
    return { wall: NOW_MS + this.mono, mono: this.mono };
  }

  private step(input: ClientInput): readonly ClientOutput[] {
    const outputs = this.client.step(input, this.now);
    for (const output of outputs) {
      switch (output.kind) {
        case 'send':
          this.arrive(this.nameOf(output.path), output.bytes);
          break;
        case 'close':
          if (output.cut) this.effects.cut(this.nameOf(output.path));
          break;
        case 'opened':
          this.handle = output.session;
          this.sessionIds.shift();
          break;
        case 'deliver':
          this.effects.hand(output.event);
          if (output.event.kind === 'piece' && this.reads) {
            this.client.taken(output.session, output.event.stream, output.event.cost);
          }
          break;
        default:
          break;
      }
    }
    return outputs;
  }

  /** Message 3, or a record. */
  private arrive(name: string, bytes: Uint8Array): void {
    const path = this.path(name);
    if (path.end !== undefined) {
      for (const frame of path.end.open(bytes)) this.effects.note(name, frame);
      return;
    }
    const finished = path.handshake.finish(bytes, true);
    if (isFault(finished)) throw new Error(finished.detail);
    path.end = new WireEnd(finished.split);
  }

  private path(name: string): Path {
    const path = this.paths.get(name);
    if (path === undefined) throw new Error(`there is no path ${name}`);
    return path;
  }

  private nameOf(id: number): string {
    return [...this.paths].find(([, path]) => path.id === id)?.[0] ?? '';
  }
}
