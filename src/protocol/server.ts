/**
 * The host's machine: its inputs, handshakes and frames (spec/04-handshake.md, spec/05-session.md, spec/08-devices.md).
 * Its paths and their ends are in `server-paths.ts`, sessions in `host-sessions.ts`, invites and devices in `members.ts`.
 */
import { create } from '@bufbuild/protobuf';
import type { Suite, X25519Key } from '../crypto/suite.ts';
import { EnrolledSchema } from '../gen/clawchat/v1/enrolment_pb.ts';
import { ErrorCode } from '../gen/clawchat/v1/error_pb.ts';
import { AUTH_MS_MAX } from '../gen/constants.ts';
import { type Fault, fault, isFault } from '../wire/fault.ts';
import type { Frame } from '../wire/frame.ts';
import { UsageError } from '../wire/usage-error.ts';
import { type ResponderKey, responderKeys } from './channel-keys.ts';
import type { AccessKey } from './connection-record.ts';
import type { RegistryOutput } from './enrolment.ts';
import type { RecordName } from './freshness.ts';
import type { GateReason } from './gate.ts';
import { ResponderHandshake } from './handshake.ts';
import type { HostSessions } from './host-sessions.ts';
import { type Effect, Members } from './members.ts';
import type { Now } from './now.ts';
import { Path, unexpected } from './path.ts';
import type { Registry } from './registry.ts';
import type { ServerDeadline, ServerInput, ServerOutput } from './server-io.ts';
import type { ServerPath } from './server-path.ts';
import { ServerPaths } from './server-paths.ts';

/** What a host begins with. */
export interface ServerOptions {
  readonly suite: Suite;
  readonly serverId: Uint8Array;
  readonly registry: Registry;
  readonly accessKeys: readonly AccessKey[];
  /** The likeliest first. */
  readonly channelKeys: readonly ResponderKey[];
  /** The current SignedEnvelope. */
  readonly envelope: Uint8Array;
  readonly witness: RecordName | undefined;
  /** Name and version, for the other side's log. */
  readonly software: string;
}

/** More than this from a path that the driver was told to pause ends it. */
const HELD_BYTES_MAX = 1024 * 1024;
const EMPTY = new Uint8Array(0);

interface ChannelKey {
  readonly key: X25519Key;
  readonly notAfterMs: number;
}

/** A host. */
export class Server {
  /** What services use. */
  readonly sessions: HostSessions;
  private readonly suite: Suite;
  private readonly serverId: Uint8Array;
  private readonly software: string;
  private readonly members: Members;
  private readonly paths = new ServerPaths();
  private channelKeys: readonly ChannelKey[];
  private envelope: Uint8Array;
  private witness: RecordName | undefined;
  private stopping = false;

  constructor(options: ServerOptions) {
    const { suite, serverId, registry, accessKeys, channelKeys, envelope, witness, software } = options;
    this.suite = suite;
    this.serverId = serverId;
    this.software = software;
    this.members = new Members(suite, registry, accessKeys);
    this.channelKeys = this.imported(channelKeys);
    this.envelope = envelope;
    this.witness = witness;
    this.sessions = this.paths.sessions;
  }

  /** Invites and devices as decided so far, durable or not. */
  get registry(): Registry {
    return this.members.registry;
  }

  /**
   * Take one input. Never throws for anything that a peer can send. The outputs are performed in order, and a `tick`
   * is given only when those of every earlier step are: two records that change places end their path.
   */
  step(input: ServerInput, now: Now): readonly ServerOutput[] {
    this.handle(input, now);
    this.sessions.feed(now.mono);
    return this.paths.take();
  }

  /** Say when the next `tick` is due; undefined for never. */
  deadline(now: Now): ServerDeadline | undefined {
    if (this.paths.hasDue) return { at: now.mono, why: 'flush' };
    const expiry = now.mono + (this.members.expiresAtMs - now.wall);
    const at = Math.min(this.paths.deadline, expiry);
    return at === Number.POSITIVE_INFINITY ? undefined : { at, why: 'timer' };
  }

  private handle(input: ServerInput, now: Now): void {
    switch (input.kind) {
      case 'offer':
        this.offer(input, now);
        break;
      case 'message':
        this.message(this.paths.get(input.path), input.bytes, now);
        break;
      case 'written':
        this.written(this.paths.get(input.path), input.bytes);
        break;
      case 'closed':
        this.paths.gone(this.paths.get(input.path), now.mono);
        break;
      case 'committed':
        this.perform(this.members.committed(input.id), now);
        break;
      case 'tick':
        this.tick(now);
        break;
      case 'record':
        for (const { key } of this.channelKeys) key.destroy();
        this.channelKeys = this.imported(input.channelKeys);
        this.envelope = input.envelope;
        break;
      case 'witness':
        this.witness = input.witness;
        break;
      case 'acceptEpoch':
        this.members.gate.addEpoch(input.accessKey);
        break;
      case 'endEpoch':
        this.members.gate.removeEpoch(input.epoch);
        break;
      case 'notify':
        this.paths.notify(input.paths, { kind: 'rotationNotice', notice: input.notice });
        break;
      case 'endPaths':
        for (const id of input.paths) {
          const path = this.paths.get(id);
          const end = { code: ErrorCode.PATH_SUPERSEDED, resumable: true, detail: 'its listener ends' };
          if (path !== undefined) this.paths.stop(path, end, now.mono);
        }
        break;
      case 'makeInvite':
        this.perform(this.members.makeInvite(input.ref, input.terms, now), now);
        break;
      case 'withdrawInvite':
        this.perform(this.members.withdraw(input.ref, input.invite), now);
        break;
      case 'revokeDevice':
        this.perform(this.members.revoke(input.ref, input.device), now);
        break;
      case 'shutdown':
        this.stopping = true;
        for (const path of this.paths.all()) {
          this.paths.stop(path, { code: ErrorCode.SHUTDOWN, resumable: true }, now.mono);
        }
        break;
    }
  }

  // ---- the handshake ----

  private imported(keys: readonly ResponderKey[]): readonly ChannelKey[] {
    return keys.map(({ privateKey, notAfterMs }) => ({ key: this.suite.x25519Key(privateKey), notAfterMs }));
  }

  /** Judge an upgrade request. @impl HS-013~1 */
  private offer({ path: id, token, acceptedAt, entropy }: ServerInput & { kind: 'offer' }, now: Now): void {
    if (entropy.length !== 64) throw new UsageError('an offer brings 64 random bytes');
    const admitted = this.members.gate.admit(token, now);
    if (admitted.kind === 'refused') {
      this.refuse(id, admitted.reason, admitted.code);
      return;
    }
    const { recipient, epoch, message1 } = admitted;
    if (this.stopping) {
      this.refuse(id, 'shutdown');
      return;
    }
    // A revocation counts from its decision, a moment before the gate learns of it.
    if (!this.members.knows(recipient.id)) {
      this.refuse(id, 'recipient_ended');
      return;
    }
    const { suite, serverId, witness } = this;
    const channelKeys = responderKeys(this.channelKeys, now.wall).map(({ key }) => key);
    const ephemeral = suite.x25519Key(entropy.subarray(0, 32));
    const { psk, publicKey: expectedKey } = recipient;
    const about = { suite, serverId, epoch, message1, psk, expectedKey, channelKeys, ephemeral, witness };
    const handshake = ResponderHandshake.begin(about);
    if (isFault(handshake)) {
      this.refuse(id, 'handshake_failed', handshake.code);
      return;
    }
    const path: ServerPath = {
      id,
      recipient,
      handshake,
      freshSecret: recipient.kind === 'invite' ? entropy.slice(32) : EMPTY,
      phase: 'handshake',
      endsAt: acceptedAt + AUTH_MS_MAX,
      path: undefined,
      session: undefined,
      isDue: false,
      enrolling: false,
      held: undefined,
    };
    this.paths.add(path);
    this.paths.emit({ kind: 'accept', path: id, id: recipient.id });
    this.paths.emit({ kind: 'send', path: id, bytes: handshake.message2, room: 0 });
  }

  private refuse(
    path: number,
    reason: GateReason | 'handshake_failed' | 'shutdown',
    code: ErrorCode = ErrorCode.GATE_REFUSED,
  ): void {
    this.paths.emit({ kind: 'refuse', path, reason, code });
  }

  private message(path: ServerPath | undefined, bytes: Uint8Array, now: Now): void {
    if (path === undefined) return;
    if (path.phase === 'handshake') this.authenticate(path, bytes, now);
    else if (path.phase === 'commit') this.hold(path, bytes, now.mono);
    else this.record(path, bytes, now);
  }

  /** Keep what came behind message 3 until its commit is done. @impl HS-017~1 */
  private hold(path: ServerPath, bytes: Uint8Array, now: number): void {
    path.held ??= [];
    path.held.push(bytes);
    const held = path.held.reduce((sum, { length }) => sum + length, 0);
    if (held <= HELD_BYTES_MAX) return;
    this.paths.fail(path, fault('peer', ErrorCode.TRANSPORT_FAILED, 'too much came before an answer'), now);
  }

  /** Take message 3. @impl HS-012~1, HS-014~1, HS-018~1 */
  private authenticate(path: ServerPath, message3: Uint8Array, now: Now): void {
    const { recipient, handshake } = path;
    if (handshake === undefined) return;
    const exists = this.members.knows(recipient.id) && this.members.gate.has(recipient.id, now);
    const finished = handshake.finish(message3, exists);
    if (isFault(finished)) {
      this.paths.fail(path, finished, now.mono);
      return;
    }
    path.path = new Path(path.id, finished.split, this.software, now.mono);
    path.handshake = undefined;
    this.paths.enter(path, recipient.kind, now.mono);
    if (recipient.kind === 'invite') return;
    this.paths.makeRoom(path, now.mono);
    // @impl EN-009~1
    const effects = this.members.authenticated(recipient.id, path.id, now);
    if (effects.some(({ kind }) => kind === 'waits')) {
      path.phase = 'commit';
      this.paths.emit({ kind: 'pause', path: path.id });
    }
    this.perform(effects, now);
  }

  // ---- records and frames ----

  /** @impl SE-005~1 */
  private record(path: ServerPath, bytes: Uint8Array, now: Now): void {
    if (path.path === undefined) return;
    const reader = path.path.open(bytes, now.mono);
    if (isFault(reader)) {
      this.paths.fail(path, reader, now.mono);
      return;
    }
    for (let frame = reader.next(); frame !== undefined; frame = reader.next()) {
      const wrong = frame.kind === 'fault' ? frame : this.frame(path, path.path, frame, now);
      if (wrong !== undefined) this.paths.fail(path, wrong, now.mono);
      if (path.path.closed) break;
    }
    if (path.session !== undefined) this.sessions.settle(path.session, now.mono);
    if (!path.isDue && path.path.sendable(path.session?.session)) this.paths.touch(path);
  }

  /** @impl SE-004~1, EN-007~2 */
  private frame(path: ServerPath, on: Path, frame: Frame, now: Now): Fault | undefined {
    const { session } = path;
    if (session !== undefined && (frame.kind === 'data' || frame.kind === 'ack' || frame.kind === 'credit')) {
      return session.session.receive(frame, now.mono);
    }
    const common = on.common(frame);
    if (common === true) return undefined;
    if (common !== false) return common;
    if (frame.kind === 'close') {
      const { code, resumable } = frame;
      this.paths.stop(path, { code, resumable, quiet: true, detail: 'the client closed the path' }, now.mono);
      return undefined;
    }
    if (path.phase === 'invite' && frame.kind === 'enrol') {
      this.enrol(path, frame.enrol, now);
      return undefined;
    }
    if (path.phase === 'device' && frame.kind === 'attach') {
      return this.sessions.attach(path, frame, now.mono);
    }
    if (path.phase === 'invite' || frame.kind === 'enrol') {
      return fault('peer', ErrorCode.NOT_PERMITTED, `a path of this kind has no ${frame.kind}`);
    }
    return unexpected(frame);
  }

  private enrol(path: ServerPath, asked: { deviceKey: Uint8Array; name: string }, now: Now): void {
    // The answer to an earlier one is on its way; it answers this one too. @impl EN-014~1
    if (path.enrolling) return;
    path.enrolling = true;
    path.endsAt = Number.POSITIVE_INFINITY;
    const { deviceKey, name } = asked;
    const { freshSecret, recipient } = path;
    const about = { inviteId: recipient.id, deviceKey, name, freshSecret };
    this.perform(this.members.enrol(about, path.id, now), now);
  }

  private written(path: ServerPath | undefined, bytes: number): void {
    if (path?.path === undefined) return;
    if (path.path.written(bytes)) this.paths.touch(path);
  }

  // ---- time ----

  private tick(now: Now): void {
    this.paths.watch(now.mono);
    this.sessions.tick(now.mono);
    if (now.wall >= this.members.expiresAtMs) {
      const connected = new Set([...this.paths.all()].map(({ recipient }) => recipient.id));
      this.perform(this.members.expire(connected, now), now);
    }
    this.paths.flush(now.mono);
  }

  // ---- members ----

  /** Do what a decision about members asks for. */
  private perform(effects: readonly Effect[], now: Now): void {
    for (const effect of effects) {
      switch (effect.kind) {
        case 'waits':
          break;
        case 'output':
          this.paths.emit(effect.output);
          break;
        case 'entered':
          this.unwait(this.paths.get(effect.path), now);
          break;
        case 'registry':
          this.registryEffect(effect.output, effect.path, now.mono);
          break;
      }
    }
  }

  private unwait(path: ServerPath | undefined, now: Now): void {
    if (path === undefined) return;
    this.paths.enter(path, 'device', now.mono);
    this.paths.emit({ kind: 'resume', path: path.id });
    const { held = [] } = path;
    path.held = undefined;
    for (const bytes of held) if (this.paths.get(path.id) !== undefined) this.record(path, bytes, now);
  }

  private registryEffect(output: RegistryOutput, id: number | undefined, now: number): void {
    const path = id === undefined ? undefined : this.paths.get(id);
    switch (output.kind) {
      case 'commit':
        break;
      case 'enrolled':
        this.enrolled(output, path);
        break;
      case 'close':
        if (path !== undefined) this.paths.stop(path, { code: output.code, resumable: false }, now);
        break;
      case 'alarm':
        this.paths.emit({ kind: 'alarm', invite: output.inviteId, device: output.deviceId });
        break;
      case 'endPaths':
        this.sessions.endOf(output.id, output.code, now);
        for (const other of this.paths.all()) {
          if (other.recipient.id === output.id)
            this.paths.stop(other, { code: output.code, resumable: false }, now);
        }
        break;
      case 'publish':
        this.paths.emit({ kind: 'publish' });
        break;
    }
  }

  /** @impl EN-002~1, EN-003~1 */
  private enrolled(output: RegistryOutput & { kind: 'enrolled' }, path: ServerPath | undefined): void {
    const { deviceSecret, name, deviceId: device } = output;
    const publicKey = this.members.registry.devices.get(device)?.publicKey;
    if (publicKey !== undefined) this.paths.emit({ kind: 'enrolled', device, publicKey, name });
    if (path?.path === undefined) return;
    path.enrolling = false;
    const enrolled = create(EnrolledSchema, { deviceSecret, envelope: this.envelope, name });
    path.path.queue({ kind: 'enrolled', enrolled });
    this.paths.touch(path);
  }
}
