/**
 * The client's machine: its inputs, handshakes and frames (spec/05-session.md, spec/08-devices.md). What it is to its
 * host is in `client-member.ts`, session and paths are in `client-link.ts`, when to read stores and how long to wait
 * after a failed dial in `discovery/reading.ts`; to that, this machine says `need`, `connected` and `failed`.
 */
import { create } from '@bufbuild/protobuf';
import type { Suite } from '../crypto/suite.ts';
import { EnrolSchema } from '../gen/clawchat/v1/enrolment_pb.ts';
import { ErrorCode } from '../gen/clawchat/v1/error_pb.ts';
import { RotationKind, type RotationNotice } from '../gen/clawchat/v1/rotation_pb.ts';
import { AUTH_MS_MAX } from '../gen/constants.ts';
import { sameBytes } from '../wire/bytes.ts';
import { type Fault, fault, isFault } from '../wire/fault.ts';
import type { Frame } from '../wire/frame.ts';
import type { ClientDeadline, ClientInput, ClientOutput } from './client-io.ts';
import { ClientLink } from './client-link.ts';
import { ClientMember, type MemberEffect } from './client-member.ts';
import { beginPath, type ClientPath, connectionLost } from './client-path.ts';
import { parseEnvelope } from './envelope.ts';
import { type Invite, inviteExpired } from './invite.ts';
import type { Member } from './join.ts';
import type { Now } from './now.ts';
import { Path, unexpected } from './path.ts';
import type { Written } from './session-io.ts';

/** What a client begins with. */
export interface ClientOptions {
  readonly suite: Suite;
  /** As stored; undefined for who has joined nobody. */
  readonly member: Member | undefined;
  /** Name and version, for the other side's log. */
  readonly software: string;
}

/** From message 3 to the host's answer; the host may have to write to its disk first. @impl SE-008~2 */
const ANSWER_MS_MAX = 15_000;

/** A client. */
export class Client {
  private readonly suite: Suite;
  private readonly software: string;
  private readonly members: ClientMember;
  private readonly link: ClientLink;
  private outputs: ClientOutput[] = [];
  private dials = 0;
  /** Whether an Enrol may have been sent with the invite that is held, also by an earlier process. */
  private mayHaveEnrolled = true;

  constructor({ suite, member, software }: ClientOptions) {
    this.suite = suite;
    this.software = software;
    this.members = new ClientMember(suite, member);
    this.link = new ClientLink({ push: output => this.outputs.push(output) });
  }

  /** What this client is to its host, as stored. */
  get member(): Member | undefined {
    return this.members.durable;
  }

  /**
   * Take one input. Never throws for anything that a peer can send. The outputs are performed in order, and a `tick`
   * is given only when those of every earlier step are: two records that change places end their path.
   */
  step(input: ClientInput, now: Now): readonly ClientOutput[] {
    this.handle(input, now);
    const { outputs } = this;
    this.outputs = [];
    return outputs;
  }

  /** Say when the next `tick` is due; undefined for never. */
  deadline(now: Now): ClientDeadline | undefined {
    if (this.link.dirty) return { at: now.mono, why: 'flush' };
    const at = this.link.deadline();
    return at === Number.POSITIVE_INFINITY ? undefined : { at, why: 'timer' };
  }

  // ---- services: what they do leaves with the next `tick` ----

  /** Open a stream; undefined while there are too many, or when the session is over. */
  open(handle: number, service: string): number | undefined {
    return this.link.use(handle)?.open(service);
  }

  /** Write a message, or a piece of one; see `Session.write`. */
  write(handle: number, stream: number, payload: Uint8Array, more = false): Written {
    return this.link.use(handle)?.write(stream, payload, more) ?? 'closed';
  }

  /** End this side's direction of a stream. */
  end(handle: number, stream: number): void {
    this.link.use(handle)?.end(stream);
  }

  /** End both directions of a stream. */
  abort(handle: number, stream: number, code: ErrorCode): void {
    this.link.use(handle)?.abort(stream, code);
  }

  /** Give back credit; see `Session.taken`. */
  taken(handle: number, stream: number, cost: number): void {
    this.link.use(handle)?.taken(stream, cost);
  }

  // ---- inputs ----

  private handle(input: ClientInput, now: Now): void {
    const { link, members } = this;
    switch (input.kind) {
      case 'join':
        if (!this.holds(input.invite)) this.mayHaveEnrolled = false;
        this.perform(members.step(input, now.wall), now);
        break;
      case 'record':
        this.perform(members.step(input, now.wall), now);
        break;
      case 'start':
        link.need.start(now.mono);
        break;
      case 'dial':
        this.dial(input.entropy, input.acceptClock === true, now);
        break;
      case 'open':
        if (link.pending?.id !== input.path) break;
        link.pending.phase = 'message2';
        link.pending.endsAt = now.mono + AUTH_MS_MAX;
        break;
      case 'dialFailed':
        if (link.pending?.id === input.path) link.gone(link.pending, input.fault, now.mono);
        break;
      case 'message':
        this.message(link.find(input.path), input.bytes, now);
        break;
      case 'written':
        if (link.find(input.path)?.path?.written(input.bytes) === true) link.dirty = true;
        break;
      case 'closed': {
        const path = link.find(input.path);
        if (path !== undefined) link.gone(path, connectionLost(path), now.mono);
        break;
      }
      case 'committed':
        this.perform(members.committed(input.id), now);
        break;
      case 'move':
        link.need.move(link.current !== undefined, now.mono);
        break;
      case 'wake':
        link.current?.path?.probe(now.mono);
        link.need.hurry(now.mono);
        link.dirty = true;
        break;
      case 'tick':
        link.tick(now.mono);
        break;
      case 'stop':
        link.stop(fault('self', ErrorCode.CANCELLED, 'the client was stopped'), now.mono);
        break;
    }
  }

  private holds(invite: Invite): boolean {
    const held = this.members.durable;
    return held !== undefined && held.stage !== 'device' && sameBytes(held.invite.bytes, invite.bytes);
  }

  // ---- the handshake ----

  private dial(entropy: Uint8Array, acceptClock: boolean, now: Now): void {
    const { link, suite } = this;
    const member = this.members.durable;
    if (member === undefined || !link.need.allows(link.current)) return;
    if (link.pending !== undefined) {
      if (link.pending.path !== undefined) return;
      link.cancel(link.pending);
    }
    // @impl IN-006~1
    const expired =
      member.stage === 'keyed' && !this.mayHaveEnrolled ? inviteExpired(member.invite, now.wall) : undefined;
    if (expired !== undefined) {
      link.stop(expired, now.mono);
      this.outputs.push({ kind: 'stopped', code: expired.code, fault: expired });
      return;
    }
    link.need.ask();
    this.dials += 1;
    const id = this.dials;
    const begun = beginPath({ id, suite, member, entropy, acceptClock, wallMs: now.wall });
    if (isFault(begun)) {
      this.outputs.push({ kind: 'failed', fault: begun });
      return;
    }
    link.pending = begun.path;
    const { endpoints, tlsPins } = begun.record;
    this.outputs.push({ kind: 'dial', path: id, token: begun.path.handshake.token, endpoints, tlsPins });
  }

  /** Take message 2, and answer with message 3 and the first record. @impl HS-018~1, HS-019~1 */
  private greet(path: ClientPath, message2: Uint8Array, now: number): void {
    const finished = path.handshake.finish(message2);
    path.staticKey.destroy();
    if (isFault(finished)) {
      this.link.fail(path, finished, now);
      return;
    }
    const { split, message3, witness } = finished;
    this.link.need.settle();
    this.outputs.push({ kind: 'send', path: path.id, bytes: message3, room: 0 });
    this.outputs.push({ kind: 'connected', path: path.id, witness });
    path.path = new Path(path.id, split, this.software, now);
    path.endsAt = now + ANSWER_MS_MAX;
    this.link.dirty = true;
    if (path.member.stage === 'keyed') {
      const { devicePrivateKey, name } = path.member;
      path.phase = 'enrolling';
      const enrol = create(EnrolSchema, { deviceKey: this.suite.x25519Public(devicePrivateKey), name });
      path.path.queue({ kind: 'enrol', enrol });
      this.mayHaveEnrolled = true;
    } else this.link.attach(path, path.path);
  }

  // ---- records and frames ----

  private message(path: ClientPath | undefined, bytes: Uint8Array, now: Now): void {
    if (path === undefined) return;
    if (path.path === undefined) this.greet(path, bytes, now.mono);
    else this.record(path, path.path, bytes, now);
  }

  /** @impl SE-005~1 */
  private record(path: ClientPath, on: Path, bytes: Uint8Array, now: Now): void {
    const reader = on.open(bytes, now.mono);
    if (isFault(reader)) {
      this.link.fail(path, reader, now.mono);
      return;
    }
    for (let frame = reader.next(); frame !== undefined; frame = reader.next()) {
      if (path.as === 'device') this.heard(now);
      const wrong = frame.kind === 'fault' ? frame : this.frame(path, on, frame, now);
      if (wrong !== undefined) this.link.fail(path, wrong, now.mono);
      if (on.closed) break;
    }
    this.link.recordTaken(path, on, now.mono);
  }

  /** The host has let this device in. @impl EN-010~2 */
  private heard(now: Now): void {
    if (this.members.durable?.stage === 'granted') {
      this.perform(this.members.step({ kind: 'heard' }, now.wall), now);
    }
  }

  /** @impl SE-004~1, SE-016~1 */
  private frame(path: ClientPath, on: Path, frame: Frame, now: Now): Fault | undefined {
    if (
      path.phase === 'attached' &&
      (frame.kind === 'data' || frame.kind === 'ack' || frame.kind === 'credit')
    ) {
      return this.link.receive(frame, now.mono);
    }
    const common = on.common(frame);
    if (common === true) return undefined;
    if (common !== false) return common;
    if (frame.kind === 'close') {
      const { code, resumable } = frame;
      const told = fault('peer', code, 'the host closed the path');
      this.link.end(path, { code, resumable, quiet: true }, told, now.mono);
      return undefined;
    }
    if (frame.kind === 'attached' && path.phase === 'attaching')
      return this.link.attached(path, frame, now.mono);
    if (frame.kind === 'enrolled' && path.phase === 'enrolling') {
      const { deviceSecret, envelope, name } = frame.enrolled;
      const effects = this.members.step({ kind: 'enrolled', deviceSecret, envelope, name }, now.wall);
      const [first] = effects;
      // @impl EN-015~1
      if (first?.kind === 'refuse') return first.fault;
      this.perform(effects, now);
      return undefined;
    }
    if (frame.kind === 'rotationNotice' && path.as === 'device') {
      this.noticed(frame.notice, now);
      return undefined;
    }
    return unexpected(frame);
  }

  /** Take the record first; a notice whose record is refused says nothing. @impl RT-154~1 */
  private noticed(notice: RotationNotice, now: Now): void {
    if (notice.kind < RotationKind.MOVE || notice.kind > RotationKind.RECORD) return;
    const envelope = notice.envelope.length === 0 ? undefined : parseEnvelope(notice.envelope.slice());
    if (envelope !== undefined && isFault(envelope)) {
      this.outputs.push({ kind: 'declined', fault: envelope });
      return;
    }
    const effects = envelope && this.members.step({ kind: 'record', envelope }, now.wall);
    if (effects !== undefined) this.perform(effects, now);
    if (effects?.some(({ kind }) => kind === 'refuse') !== true)
      this.outputs.push({ kind: 'notice', notice });
  }

  // ---- the member ----

  private perform(effects: readonly MemberEffect[], now: Now): void {
    for (const effect of effects) {
      switch (effect.kind) {
        case 'persist':
        case 'show':
        case 'warn':
          this.outputs.push(effect);
          break;
        case 'refuse':
          this.outputs.push({ kind: 'declined', fault: effect.fault });
          break;
        case 'dial':
          // Another invite, or another self: what was begun as the old one is given up.
          this.dropOthers(effect.as, now.mono);
          this.link.need.startAnew(now.mono);
          break;
        case 'endPath':
          this.dropOthers('device', now.mono);
          break;
        case 'commit':
          break;
      }
    }
  }

  /** Keep a path that is being made only if it is made as this. */
  private dropOthers(as: 'invite' | 'device', now: number): void {
    const { pending } = this.link;
    if (pending?.as !== as || pending.member !== this.members.durable) this.link.giveUp(now);
  }
}
