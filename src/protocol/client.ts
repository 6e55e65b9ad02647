/**
 * The client's machine: one session, the path it is on, and the path that is being made (spec/05-session.md,
 * spec/08-devices.md). When to read stores and how long to wait after a failed dial is decided by
 * `discovery/reading.ts`; this machine says `need`, `connected` and `failed`.
 */
import { create } from '@bufbuild/protobuf';
import type { Suite } from '../crypto/suite.ts';
import { EnrolSchema } from '../gen/clawchat/v1/enrolment_pb.ts';
import { ErrorCode } from '../gen/clawchat/v1/error_pb.ts';
import type { RotationNotice } from '../gen/clawchat/v1/rotation_pb.ts';
import {
  AUTH_MS_MAX,
  DIAL_BACKOFF_MS_MAX,
  DIAL_BACKOFF_MS_MIN,
  SESSION_RETAINED_BYTES_MAX,
} from '../gen/constants.ts';
import { type Fault, fault, isFault } from '../wire/fault.ts';
import type { AttachedFrame, Frame } from '../wire/frame.ts';
import { RowWriter } from '../wire/row.ts';
import type { ClientDeadline, ClientInput, ClientOutput } from './client-io.ts';
import { ClientMember, type MemberEffect } from './client-member.ts';
import {
  BLAMELESS,
  beginPath,
  type ClientPath,
  CUT,
  connectionLost,
  FINAL,
  OVER,
  RESUMABLE,
} from './client-path.ts';
import { parseEnvelope } from './envelope.ts';
import type { Member } from './join.ts';
import type { Now } from './now.ts';
import { Path, type PathEnd, unexpected } from './path.ts';
import { Session, type Written } from './session.ts';

/** What a client begins with. */
export interface ClientOptions {
  readonly suite: Suite;
  /** As stored; undefined for who has joined nobody. */
  readonly member: Member | undefined;
  /** Name and version, for the other side's log. */
  readonly software: string;
}

interface ClientSession {
  readonly handle: number;
  readonly id: Uint8Array;
  readonly session: Session;
  generation: number;
  /** Whether the host has answered an Attach of it. */
  known: boolean;
}

/** From message 3 to the host's answer; the host may have to write to its disk first. @impl SE-008~2 */
const ANSWER_MS_MAX = 15_000;

/** A client. */
export class Client {
  private readonly suite: Suite;
  private readonly software: string;
  private readonly members: ClientMember;
  private readonly writer = new RowWriter();
  private outputs: ClientOutput[] = [];
  private session: ClientSession | undefined;
  // The path that the session is on, and the one that is being made.
  private current: ClientPath | undefined;
  private pending: ClientPath | undefined;
  private dirty = false;
  private paths = 0;
  private handles = 0;
  private started = false;
  private moving = false;
  // Whether `need` was said and no connection has come of it yet; when it is to be said.
  private asked = false;
  private needAt = 0;
  // Paths in a row that did not last; sessions in a row that the host did not know.
  private flaps = 0;
  /** The last path ended with SESSION_LOST. */
  private lost = false;

  constructor({ suite, member, software }: ClientOptions) {
    this.suite = suite;
    this.software = software;
    this.members = new ClientMember(suite, member);
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
    if (this.dirty) return { at: now.mono, why: 'flush' };
    let at = this.wants ? this.needAt : Number.POSITIVE_INFINITY;
    for (const path of this.both) {
      at = Math.min(at, path.endsAt, path.path?.deadline ?? Number.POSITIVE_INFINITY);
      if (this.carries(path) && path.path?.blocked === false) {
        at = Math.min(at, this.session?.session.ackDeadline ?? Number.POSITIVE_INFINITY);
      }
    }
    return at === Number.POSITIVE_INFINITY ? undefined : { at, why: 'timer' };
  }

  // ---- services: what they do leaves with the next `tick` ----

  /** Open a stream; undefined while there are too many, or when the session is over. */
  open(handle: number, service: string): number | undefined {
    const session = this.of(handle);
    const stream = session?.open(service);
    this.dirty ||= session !== undefined;
    return stream;
  }

  /** Write a message, or a piece of one; see `Session.write`. */
  write(handle: number, stream: number, payload: Uint8Array, more = false): Written {
    const session = this.of(handle);
    this.dirty ||= session !== undefined;
    return session?.write(stream, payload, more) ?? 'closed';
  }

  /** End this side's direction of a stream. */
  end(handle: number, stream: number): void {
    this.of(handle)?.end(stream);
    this.dirty = true;
  }

  /** End both directions of a stream. */
  abort(handle: number, stream: number, code: ErrorCode): void {
    this.of(handle)?.abort(stream, code);
    this.dirty = true;
  }

  /** Give back credit; see `Session.taken`. */
  taken(handle: number, stream: number, cost: number): void {
    this.of(handle)?.taken(stream, cost);
    this.dirty = true;
  }

  private of(handle: number): Session | undefined {
    return this.session?.handle === handle ? this.session.session : undefined;
  }

  // ---- inputs ----

  private handle(input: ClientInput, now: Now): void {
    switch (input.kind) {
      case 'join':
        this.perform(this.members.step(input, now.wall), now);
        break;
      case 'start':
        this.started = true;
        this.needAt = now.mono;
        break;
      case 'record':
        this.perform(this.members.step(input, now.wall), now);
        break;
      case 'dial':
        this.dial(input.entropy, input.acceptClock === true, now);
        break;
      case 'open':
        if (this.pending?.id !== input.path) break;
        this.pending.phase = 'message2';
        this.pending.endsAt = now.mono + AUTH_MS_MAX;
        break;
      case 'dialFailed':
        if (this.pending?.id === input.path) this.gone(this.pending, input.fault, now.mono);
        break;
      case 'message':
        this.message(this.find(input.path), input.bytes, now);
        break;
      case 'written':
        if (this.find(input.path)?.path?.written(input.bytes) === true) this.dirty = true;
        break;
      case 'closed': {
        const path = this.find(input.path);
        if (path !== undefined) this.gone(path, connectionLost(path), now.mono);
        break;
      }
      case 'committed':
        this.perform(this.members.committed(input.id), now);
        break;
      case 'move':
        this.moving = this.current !== undefined;
        this.needAt = now.mono;
        break;
      case 'wake':
        this.current?.path?.probe(now.mono);
        this.needAt = Math.min(this.needAt, now.mono);
        this.dirty = true;
        break;
      case 'tick':
        this.tick(now);
        break;
      case 'stop':
        this.stop(fault('self', ErrorCode.CANCELLED, 'the client was stopped'), now.mono);
        break;
    }
  }

  private find(id: number): ClientPath | undefined {
    return this.both.find(path => path.id === id);
  }

  private get both(): readonly ClientPath[] {
    return [this.current, this.pending].filter(path => path !== undefined);
  }

  /** Whether what the session has to send leaves on this path. */
  private carries(path: ClientPath): boolean {
    return path.phase === 'attached' || path.eager;
  }

  // ---- dialling ----

  /** Whether a path is wanted that nobody was asked for. */
  private get wants(): boolean {
    if (!this.started || this.asked || this.pending !== undefined) return false;
    // @impl RC-004~1
    return this.current === undefined || this.moving || this.current.path?.renew === true;
  }

  private dial(entropy: Uint8Array, acceptClock: boolean, now: Now): void {
    const member = this.members.durable;
    if (!this.started || member === undefined) return;
    if (this.current !== undefined && !this.moving && this.current.path?.renew !== true) return;
    if (this.pending !== undefined) {
      if (this.pending.path !== undefined) return;
      this.giveUp(this.pending);
    }
    this.asked = true;
    this.paths += 1;
    const { suite, paths: id } = this;
    const begun = beginPath({ id, suite, member, entropy, acceptClock, wallMs: now.wall });
    if (isFault(begun)) {
      this.outputs.push({ kind: 'failed', fault: begun });
      return;
    }
    this.pending = begun.path;
    const { endpoints, tlsPins } = begun.record;
    this.outputs.push({ kind: 'dial', path: id, token: begun.path.handshake.token, endpoints, tlsPins });
  }

  /** Take message 2, and answer with message 3 and the first record. @impl HS-018~1, HS-019~1 */
  private greet(path: ClientPath, message2: Uint8Array, now: number): void {
    const finished = path.handshake.finish(message2);
    path.staticKey.destroy();
    if (isFault(finished)) {
      this.fail(path, finished, now);
      return;
    }
    const { split, message3, witness } = finished;
    this.asked = false;
    this.outputs.push({ kind: 'send', path: path.id, bytes: message3, room: 0 });
    this.outputs.push({ kind: 'connected', path: path.id, witness });
    path.path = new Path(path.id, split, this.software, now);
    path.endsAt = now + ANSWER_MS_MAX;
    this.dirty = true;
    if (path.member.stage === 'keyed') {
      const { devicePrivateKey, name } = path.member;
      path.phase = 'enrolling';
      const enrol = create(EnrolSchema, { deviceKey: this.suite.x25519Public(devicePrivateKey), name });
      path.path.queue({ kind: 'enrol', enrol });
    } else this.attach(path, path.path);
  }

  /** @impl SE-010~1, SE-011~1 */
  private attach(path: ClientPath, on: Path): void {
    path.phase = 'attaching';
    if (this.session === undefined) {
      this.handles += 1;
      const budget = { bytes: 0, bytesMax: SESSION_RETAINED_BYTES_MAX * 2 };
      const session = new Session('client', budget);
      this.session = { handle: this.handles, id: path.sessionId, session, generation: 0, known: false };
      this.outputs.push({ kind: 'opened', session: this.handles });
    }
    const { id, session, known } = this.session;
    this.session.generation += 1;
    path.generation = this.session.generation;
    const { generation } = path;
    const receivedThrough = session.announce();
    path.announced = receivedThrough;
    on.queue({ kind: 'attach', sessionId: id, generation, receivedThrough, open: !known });
    // Nothing of a session that the host may not have can be there twice, so its frames need not wait.
    path.eager = !known;
    if (path.eager) session.rewind();
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
      this.fail(path, reader, now.mono);
      return;
    }
    for (let frame = reader.next(); frame !== undefined; frame = reader.next()) {
      if (path.as === 'device') this.heard(now);
      const wrong = frame.kind === 'fault' ? frame : this.frame(path, on, frame, now);
      if (wrong !== undefined) this.fail(path, wrong, now.mono);
      if (on.closed) break;
    }
    this.deliver();
    this.dirty ||= on.sendable(this.carries(path) ? this.session?.session : undefined);
    const due = this.session?.session.ackDeadline;
    this.dirty ||= due !== undefined && due <= now.mono;
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
      return this.session?.session.receive(frame, now.mono);
    }
    const common = on.common(frame);
    if (common === true) return undefined;
    if (common !== false) return common;
    if (frame.kind === 'close') {
      const { code, resumable } = frame;
      const told = fault('peer', code, 'the host closed the path');
      this.endPath(path, { code, resumable, quiet: true }, told, now.mono);
      return undefined;
    }
    if (frame.kind === 'attached' && path.phase === 'attaching') return this.attached(path, frame, now.mono);
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

  /** The session is on this path now, and only now is the older one done. @impl SE-014~3, SE-016~1, RT-151~1 */
  private attached(path: ClientPath, frame: AttachedFrame, now: number): Fault | undefined {
    const { session, current } = this;
    if (session === undefined || frame.generation !== path.generation) return unexpected(frame);
    const wrong = session.session.resume(frame.receivedThrough, !path.eager);
    if (wrong !== undefined) return wrong;
    // An ack on the older path may have come too late there. @impl SE-018~1
    if (session.session.receivedThrough > path.announced) session.session.oweAck(now);
    session.known = true;
    this.moving = false;
    path.phase = 'attached';
    path.eager = false;
    path.endsAt = Number.POSITIVE_INFINITY;
    path.attachedAt = now;
    this.current = path;
    this.pending = undefined;
    current?.path?.close(this.writer, { code: ErrorCode.UNSPECIFIED, resumable: true }, this.outputs);
    this.outputs.push({ kind: 'attached', session: session.handle, path: path.id });
    this.dirty = true;
    return undefined;
  }

  /** Take the record first; a notice whose record is refused says nothing. @impl RT-154~1 */
  private noticed(notice: RotationNotice, now: Now): void {
    if (notice.kind < 1 || notice.kind > 3) return;
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

  private deliver(): void {
    const { session } = this;
    if (session === undefined || session.session.events.length === 0) return;
    const { events } = session.session;
    session.session.events = [];
    for (const event of events) this.outputs.push({ kind: 'deliver', session: session.handle, event });
  }

  // ---- the end of paths ----

  /** A path is at fault. */
  private fail(path: ClientPath, why: Fault, now: number): void {
    const { code, detail } = why;
    this.endPath(path, { code, resumable: RESUMABLE.has(code), cut: CUT.has(code), detail }, why, now);
  }

  /** End a path from this side, or after the other side's Close. @impl SE-081~1 */
  private endPath(path: ClientPath, end: PathEnd, why: Fault, now: number): void {
    if (path.path !== undefined) path.path.close(this.writer, end, this.outputs);
    else {
      const { code, detail = '' } = end;
      this.outputs.push({ kind: 'close', path: path.id, code, cut: true, detail });
    }
    // A path that is not attached ends alone.
    const concerns = path === this.current ? end.code !== ErrorCode.GENERATION_STALE : OVER.has(end.code);
    if (!end.resumable && concerns && path.path !== undefined && path.as === 'device') {
      this.lose(why, now, end.quiet === true ? ErrorCode.UNSPECIFIED : end.code);
    }
    this.gone(path, why, now);
    if (!end.resumable && FINAL.has(end.code)) {
      this.stop(why, now);
      this.outputs.push({ kind: 'stopped', code: end.code, fault: why });
    }
  }

  /** The session is over: so is every path that carried it. `code`: what to say where it was. */
  private lose(why: Fault, now: number, code: ErrorCode = ErrorCode.UNSPECIFIED): void {
    const { session } = this;
    if (session === undefined) return;
    this.deliver();
    this.session = undefined;
    session.session.release();
    this.outputs.push({ kind: 'lost', session: session.handle, fault: why });
    for (const other of this.both) {
      if (other.path === undefined || other.path.closed || other.as === 'invite') continue;
      const said = other === this.current ? code : ErrorCode.UNSPECIFIED;
      other.path.close(this.writer, { code: said, resumable: false }, this.outputs);
      this.gone(other, why, now);
    }
  }

  /** A path has ended: forget it, and see when another is wanted. */
  private gone(path: ClientPath, why: Fault, now: number): void {
    if (path !== this.current && path !== this.pending) return;
    const wasCurrent = path === this.current;
    if (wasCurrent) this.current = undefined;
    else this.pending = undefined;
    if (path.path === undefined) {
      path.handshake.destroy();
      path.staticKey.destroy();
      this.outputs.push({ kind: 'failed', fault: why });
      return;
    }
    if (!path.path.closed) path.path.end();
    const { session } = this;
    if (wasCurrent && session !== undefined) {
      this.deliver();
      this.outputs.push({ kind: 'detached', session: session.handle, path: path.id });
    } else if (this.current !== undefined) session?.session.oweAck(now);
    this.needAt = now + this.waitMs(path, why, now);
    this.outputs.push({ kind: 'ended', path: path.id, fault: why });
  }

  /** How long to wait before another path is asked for. @impl SE-082~3 */
  private waitMs(path: ClientPath, { code }: Fault, now: number): number {
    const lasted = path.attachedAt > 0 && now - path.attachedAt >= DIAL_BACKOFF_MS_MAX;
    if (lasted) this.flaps = 0;
    const { lost } = this;
    this.lost = code === ErrorCode.SESSION_LOST;
    if (this.lost && !lost) return 0;
    if (path.phase === 'attached' && BLAMELESS.has(code))
      return lasted ? 0 : DIAL_BACKOFF_MS_MIN * path.jitter;
    const bound = Math.min(DIAL_BACKOFF_MS_MIN * 2 ** Math.min(this.flaps, 10), DIAL_BACKOFF_MS_MAX);
    this.flaps += 1;
    return bound * path.jitter;
  }

  private giveUp(path: ClientPath): void {
    this.pending = undefined;
    path.handshake.destroy();
    path.staticKey.destroy();
    this.outputs.push({ kind: 'cancel', path: path.id });
  }

  private stop(why: Fault, now: number): void {
    this.started = false;
    this.asked = false;
    this.moving = false;
    if (this.pending !== undefined && this.pending.path === undefined) this.giveUp(this.pending);
    this.lose(why, now);
    for (const path of this.both) {
      path.path?.close(this.writer, { code: ErrorCode.UNSPECIFIED, resumable: false }, this.outputs);
      this.gone(path, why, now);
    }
  }

  // ---- time ----

  private tick(now: Now): void {
    for (const path of this.both) {
      const late = now.mono >= path.endsAt;
      const wrong = late
        ? fault('time', ErrorCode.TIMEOUT, `the host did not answer: ${path.phase}`)
        : path.path?.watch(now.mono);
      if (wrong !== undefined) this.fail(path, wrong, now.mono);
    }
    this.dirty = false;
    for (const path of this.both) {
      const session = this.carries(path) ? this.session?.session : undefined;
      const wrong = path.path?.flush(this.writer, session, now.mono, this.outputs);
      if (wrong !== undefined) this.fail(path, wrong, now.mono);
    }
    this.deliver();
    if (this.wants && now.mono >= this.needAt) {
      this.asked = true;
      this.outputs.push({ kind: 'need' });
    }
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
          this.started = true;
          this.flaps = 0;
          this.needAt = now.mono;
          break;
        case 'endPath':
          this.dropOthers('device', now.mono);
          break;
        case 'commit':
          break;
      }
    }
  }

  private dropOthers(as: 'invite' | 'device', now: number): void {
    const { pending } = this;
    if (pending === undefined || (pending.as === as && pending.member === this.members.durable)) return;
    if (pending.path === undefined) {
      this.giveUp(pending);
      this.asked = false;
      return;
    }
    const done = fault('self', ErrorCode.UNSPECIFIED, 'the path is not needed any more');
    pending.path.close(this.writer, { code: ErrorCode.UNSPECIFIED, resumable: false }, this.outputs);
    this.gone(pending, done, now);
  }
}
