/** The chat service of a host: one history, one outbox for each device (spec/11-chat.md). */
import { labelledHash } from '../../crypto/labels.ts';
import type { Suite } from '../../crypto/suite.ts';
import { Role } from '../../gen/clawchat/v1/chat_pb.ts';
import { ErrorCode } from '../../gen/clawchat/v1/error_pb.ts';
import { hex, parseHex } from '../../wire/bytes.ts';
import type { DatabaseOperation, ServiceDatabase, ServiceStream, StreamHandler } from '../ports.ts';
import { together } from './change.ts';
import { type Content, encodeContent, ID_BYTES, isCode, parseContent } from './content.ts';
import { HostStream } from './host-stream.ts';
import { MessageLog, type Placed, roomOf, type Sender } from './message-log.ts';
import { isSo, judgeOperator, OPERATOR, type OperatorAct, survey } from './operator.ts';
import { type DeviceOutbox, OutboxTable } from './outbox-table.ts';
import { type Guest, People } from './people.ts';
import type { OutboxHead } from './posting.ts';
import type { PostOutcome } from './reply.ts';
import { Retention } from './retention.ts';
import { Rewrites, type Targets, targetOf } from './rewrites.ts';
import type { HostRoom } from './room-records.ts';
import { RoomTable } from './rooms.ts';
import { Telling } from './telling.ts';

/** The name that a StreamOpen gives for this service. */
export const CHAT_SERVICE = 'chat.v1';

/** What the operator should hear of. */
export interface ChatAlarm {
  readonly kind: 'outbox-replaced';
  readonly deviceId: Uint8Array;
  readonly name: string;
  readonly oldOutbox: Uint8Array;
  readonly newOutbox: Uint8Array;
  /** How far the old outbox had come. */
  readonly highest: number;
}

/** What a host's chat service works with. */
export interface ChatHostOptions {
  readonly database: ServiceDatabase;
  readonly suite: Suite;
  /** Called when a device's outbox contradicted the host's: it was restored from a backup, or copied. */
  readonly alarm: (alarm: ChatAlarm) => void;
  /** Called once when the database fails. Every stream is aborted; the host has to end. */
  readonly failed: (reason: unknown) => void;
  /** Called when a post was decided, with `UNSPECIFIED` when it was stored. */
  readonly posted?: (code: ErrorCode) => void;
  /** The name of an enrolled device, by its id in hexadecimal; undefined when there is no such device. */
  readonly enrolled: (device: string) => string | undefined;
  /** Called with what was thrown by a fault of the program; the host goes on. */
  readonly crashed?: (reason: unknown) => void;
  /** Make an invite for another device of a person, or say why not; absent when this host makes none. */
  readonly inviteDevice?: (name: string) => Promise<MadeInvite | ErrorCode>;
}

/** An invite for a device: its text, its id in hexadecimal, and when it ends, Unix milliseconds. */
export interface MadeInvite {
  readonly id: string;
  readonly text: string;
  readonly expiresAtMs: number;
}

/** The chat service of a host. Make it with `ChatHost.open`, one for a database. */
export class ChatHost {
  readonly log: MessageLog;
  readonly outboxes: OutboxTable;
  readonly rooms: RoomTable;
  readonly people: People;
  readonly rewrites: Rewrites;
  readonly telling: Telling;
  readonly #options: ChatHostOptions;
  readonly #streams = new Set<HostStream>();
  #failed = false;
  readonly #retention: Retention;
  /** Over when the room that was deleted last is cleared away. */
  #clearing: Promise<void> = Promise.resolve();

  private constructor(options: ChatHostOptions, log: MessageLog, rooms: RoomTable, people: People) {
    this.#options = options;
    this.log = log;
    this.outboxes = new OutboxTable(options.database);
    this.rooms = rooms;
    this.people = people;
    this.rewrites = new Rewrites(log, rooms);
    this.telling = new Telling(options.database, log, rooms, people);
    this.#retention = new Retention(options.database, log, rooms, {
      pruned: (room, before) =>
        this.telling.gap(room, before, room.pruned, person => this.rooms.sees(person, room.name)),
      crashed: this.crashed,
    });
  }

  /** Read what there is. */
  static async open(given: ChatHostOptions): Promise<ChatHost> {
    let failed = given.failed;
    const database = watched(given.database, reason => failed(reason));
    const options = { ...given, database };
    const log = await MessageLog.open(database);
    const people = await People.open(database, options.enrolled);
    const rooms = await RoomTable.open(database, person => people.isThere(person));
    // The record of the room that spoke last may not say so: it is among the newest messages.
    const wanted = { limit: 1, room: '', search: '' };
    const newest = await log.backwards(Number.MAX_SAFE_INTEGER, wanted, () => true);
    for (const { cursor, value } of newest.messages) rooms.found(roomOf(value) ?? '', cursor);
    const host = new ChatHost(options, log, rooms, people);
    failed = host.fail;
    return host;
  }

  /** Serve a stream that a device opened for `CHAT_SERVICE`; the name is copied into its messages. */
  serve(stream: ServiceStream, sender: Sender): StreamHandler {
    const device = hex(sender.deviceId);
    const person = this.people.personOf(device);
    const known = person === device ? sender : { ...sender, personId: parseHex(person) };
    const handler = new HostStream(this, stream, known, () => this.#streams.delete(handler));
    this.#streams.add(handler);
    return handler;
  }

  /**
   * End a device's streams. Resolves with what forgets the device and gives the writes for it: to be called in the tick of
   * their commit, so that whatever is decided before is committed before, and what comes after knows of it.
   */
  async revoke(deviceId: Uint8Array): Promise<(wallMs: number) => Forgotten> {
    const device = hex(deviceId);
    for (const stream of [...this.#streams]) {
      if (stream.device === device) stream.abort(ErrorCode.DEVICE_REVOKED);
    }
    const posts = await this.outboxes.forget(device);
    return wallMs => {
      const person = this.people.personOf(device);
      const { operations, last } = this.people.forget(device);
      if (!last) return { operations: [...operations, ...posts], committed: () => {} };
      const left = this.rooms.forget(person);
      const told = left.heirs.map(({ room, heir }) => this.#inherit(room, heir, wallMs));
      return {
        operations: [...operations, ...posts, ...left.operations, ...told.flatMap(each => each.operations)],
        committed: () => {
          for (const { committed } of told) committed();
        },
      };
    };
  }

  /** A room gets another owner, which is told in it. @impl CH-051~2 */
  #inherit(room: string, heir: string, wallMs: number): Placed {
    const act: OperatorAct = { kind: 'grant', personId: parseHex(heir), role: Role.OWNER };
    const done = this.#operated(this.#options.suite.randomBytes(ID_BYTES), room, act, wallMs);
    done.take();
    return done;
  }

  /** Place what the operator does, which was judged. @impl CH-054~1 */
  #operated(messageId: Uint8Array, room: string, act: OperatorAct, wallMs: number): Performed {
    const content: Content = { messageId, room, text: '', sentAtMs: Math.floor(wallMs), act };
    return this.#place(OPERATOR, content, encodeContent(content), wallMs, []);
  }

  /** Hash the exact bytes of a ChatContent. */
  hash(content: Uint8Array): Uint8Array {
    return labelledHash(this.#options.suite, 'content', content);
  }

  /**
   * Store or finally refuse the post that follows, in one commit with the outbox's number and with everything that it
   * does, and then answer.
   * @impl CH-015~2 @impl CH-017~1 @impl CH-018~1
   */
  post(
    from: { readonly outbox: DeviceOutbox; readonly head: OutboxHead; readonly sender: Sender },
    content: Uint8Array,
    wallMs: number,
    targets: Targets | undefined,
    answer: (outcome: PostOutcome) => void,
  ): void {
    const done = this.#perform(from.sender, content, wallMs, targets);
    const outcome = isCode(done)
      ? { code: done, cursor: 0 }
      : { code: ErrorCode.UNSPECIFIED, cursor: done.cursor };
    const advance = this.outboxes.advance(from.outbox, from.head, this.hash(content), outcome);
    const change = isCode(done) ? advance : together(done, advance);
    // From here on nothing fails: what has its place is committed.
    change.take();
    this.commit(change.operations, () => {
      if (!isCode(done)) done.committed();
      this.#options.posted?.(outcome.code);
      answer(outcome);
    });
    this.prune(wallMs);
  }

  /** Judge a post and do what it says; a code is why the host will never store it. */
  #perform(
    sender: Sender,
    bytes: Uint8Array,
    wallMs: number,
    targets: Targets | undefined,
  ): Performed | ErrorCode {
    const content = parseContent(bytes);
    if (isCode(content)) return content;
    const person = hex(sender.personId ?? sender.deviceId);
    const code = this.rooms.judge(person, content);
    if (code !== ErrorCode.UNSPECIFIED) return code;
    const changed = this.rewrites.perform(person, content, bytes, this.log.next(wallMs), targets);
    return isCode(changed) ? changed : this.#place(sender, content, bytes, wallMs, changed);
  }

  /** Do what a content says that somebody may say; `changed` is what it puts in the place of other messages. @impl CH-058~1 */
  #place(
    sender: Sender,
    content: Content,
    bytes: Uint8Array,
    wallMs: number,
    changed: readonly Placed[],
  ): Performed {
    const person = hex(sender.personId ?? sender.deviceId);
    const cursor = this.log.next(wallMs);
    const name = this.people.nameOf(person, sender.name);
    const appended = this.log.append({ ...sender, name }, content.room, bytes, wallMs);
    const { act } = content;
    const renamed = act?.kind === 'rename' ? [this.people.rename(person, act.name)] : [];
    const room = this.rooms.get(content.room);
    const gone = goes(person, content);
    // A room that is not open any more to somebody to whom it was.
    const closing = room?.closed && gone !== undefined && this.rooms.isOpenTo(room, gone) ? room : undefined;
    const rooms = this.rooms.perform(person, content, cursor);
    return {
      cursor,
      ...together(appended, ...changed, rooms, ...renamed),
      committed: () => {
        appended.committed();
        for (const { committed } of changed) committed();
        const target = targetOf(content);
        if (target !== undefined) this.#retention.replaced(target, cursor);
        if (act?.kind === 'remove' && room !== undefined) this.#removed(room, cursor);
        if (closing !== undefined) this.telling.gap(closing, closing.pruned, cursor, who => who === gone);
      },
    };
  }

  /**
   * Do to a room what the operator wants, and resolve when it is durable and what it deletes is gone: with the cursor of
   * the message that says so, or 0 when it was so before. `messageId` is 16 random bytes. @impl CH-054~1
   */
  async operate(messageId: Uint8Array, room: string, act: OperatorAct, wallMs: number): Promise<PostOutcome> {
    await this.#adopt(room);
    const code = judgeOperator(this.rooms, room, act);
    if (code !== ErrorCode.UNSPECIFIED) return { code, cursor: 0 };
    if (isSo(this.rooms, room, act)) {
      await this.durable();
      return { code, cursor: 0 };
    }
    const done = this.#operated(messageId, room, act, wallMs);
    done.take();
    await this.#options.database.commit(done.operations);
    done.committed();
    await this.#clearing;
    return { code, cursor: done.cursor };
  }

  /** Whatever an operator does to a room whose record is lost is done to a closed one that is nobody's. @impl CH-060~1 */
  async #adopt(name: string): Promise<void> {
    if (this.rooms.get(name) !== undefined) return;
    const { lost } = await survey(this.log, this.rooms, () => true);
    const last = lost.get(name);
    const adopted = last === undefined ? undefined : this.rooms.adopt(name, last);
    if (adopted === undefined) return;
    adopted.take();
    await this.#options.database.commit(adopted.operations);
  }

  /** Make an invite for a further device of the person whose device asks. @impl CH-044~1 @impl CH-049~1 */
  async inviteDevice(by: Guest, name: string): Promise<MadeInvite | ErrorCode> {
    const make = this.#options.inviteDevice;
    if (make === undefined) return ErrorCode.NOT_PERMITTED;
    if (!this.people.beginInvite(by.person)) return ErrorCode.RATE_LIMITED;
    try {
      const made = await make(name);
      if (!isCode(made)) await this.#options.database.commit(this.people.invited(made.id, by));
      return made;
    } finally {
      this.people.endInvite(by.person);
    }
  }

  /** Whether this host makes invites for further devices. */
  get invites(): boolean {
    return this.#options.inviteDevice !== undefined;
  }

  /** Delete what is older than its room keeps; call it every `PRUNE_MS`, or more often. */
  prune(wallMs: number): void {
    this.#retention.prune(wallMs);
  }

  /** Delete nothing more of what is old; resolves when what was begun is in the database. */
  stop(): Promise<void> {
    return this.#retention.stop();
  }

  /** A room is no more: tell those who saw it, and clear it away. @impl CH-052~1 @impl CH-053~1 */
  #removed(room: HostRoom, cursor: number): void {
    this.telling.gap(room, room.pruned, cursor, person => this.rooms.isOpenTo(room, person));
    this.#clearing = this.#retention.removed(room);
  }

  /** Resolve when everything that was decided is durable. */
  durable(): Promise<void> {
    return this.#options.database.commit([]);
  }

  /** Write, and go on once it is durable. */
  commit(operations: readonly DatabaseOperation[], durable: () => void): void {
    this.#options.database.commit(operations).then(durable).catch(this.crashed);
  }

  /** A fault of the program, unless the database has failed: it ends what it was about, never the host. @impl SE-046~1 */
  readonly crashed = (reason: unknown): void => {
    if (!this.#failed) this.#options.crashed?.(reason);
  };

  /** Tell the operator. */
  alarm(alarm: ChatAlarm): void {
    this.#options.alarm(alarm);
  }

  /** Give up: nobody knows any more what is stored, so nothing more is answered. */
  readonly fail = (reason: unknown): void => {
    if (this.#failed) return;
    this.#failed = true;
    for (const stream of [...this.#streams]) stream.abort(ErrorCode.INTERNAL);
    this.#options.failed(reason);
  };
}

/** The same database; `failed` hears of what it refuses. */
function watched(database: ServiceDatabase, failed: (reason: unknown) => void): ServiceDatabase {
  const watch = <T>(work: Promise<T>): Promise<T> => {
    work.catch(failed);
    return work;
  };
  return {
    get: key => watch(database.get(key)),
    range: range => watch(database.range(range)),
    commit: operations => watch(database.commit(operations)),
    scrub: async range => {
      await (database.scrub && watch(database.scrub(range)));
    },
  };
}

/** Who is sent away by this, or leaves: in hexadecimal. */
function goes(person: string, { act }: Content): string | undefined {
  if (act?.kind === 'leave') return person;
  return act?.kind === 'grant' && act.role === Role.UNSPECIFIED ? hex(act.personId) : undefined;
}

/** What the deletion of a device takes with it: writes for its commit, and what is to be told once that is durable. */
export interface Forgotten {
  readonly operations: readonly DatabaseOperation[];
  readonly committed: () => void;
}

/** What a post that is stored does. */
interface Performed extends Placed {
  readonly cursor: number;
}
