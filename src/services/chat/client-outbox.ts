/** A client's outbox in its database: every change is durable before anybody is told of it (spec/11-chat.md, 11.4). */
import { labelledHash } from '../../crypto/labels.ts';
import type { Suite } from '../../crypto/suite.ts';
import { ErrorCode } from '../../gen/clawchat/v1/error_pb.ts';
import { CONTROL_IDS_MAX, OUTBOX_UNACKNOWLEDGED_MAX } from '../../gen/constants.ts';
import { hex, sameBytes } from '../../wire/bytes.ts';
import { type Fault, fault } from '../../wire/fault.ts';
import type { DatabaseOperation, ServiceDatabase } from '../ports.ts';
import * as storage from './client-storage.ts';
import {
  type Content,
  checkContent,
  encodeContent,
  encodeIntent,
  ID_BYTES,
  whyNoMessage,
} from './content.ts';
import { type Outbox, type OutboxItem, partStored } from './outbox.ts';
import type { PostOutcome, StoredEntry } from './reply.ts';

/** What became of a message: it is stored, or it never will be. */
export type SendResult = { readonly kind: 'stored'; readonly cursor: number } | Fault;

/** A message that is on this side's disk, or was answered before. */
export interface Enqueued {
  /** Resolves with the host's final word. */
  readonly result: Promise<SendResult>;
}

/** A message that callers wait for. */
interface Waiting {
  readonly intent: Uint8Array;
  readonly enqueued: Deferred<Enqueued | Fault>;
  readonly result: Deferred<SendResult>;
}

interface Deferred<T> {
  readonly promise: Promise<T>;
  readonly resolve: (value: T) => void;
}

const NO_HASH = new Uint8Array(0);
/** Answered messages are swept in rows of this many. */
const SWEEP = 256;

/** The posts that the host has not answered, and the ids of the last that it has. Make it with `ClientOutbox.open`. */
export class ClientOutbox {
  /** Called when there is more that may be sent. */
  changed: () => void = () => {};
  readonly #database: ServiceDatabase;
  readonly #suite: Suite;
  readonly #failed: (reason: unknown) => void;
  readonly #waiting = new Map<string, Waiting>();
  #outbox: Outbox;
  /** Counts the answered messages, so that the oldest can be forgotten. */
  #serial: number;
  #admissions: Promise<void> = Promise.resolve();
  #admitting = 0;
  #stopped: Fault | undefined;

  private constructor(options: ClientOutboxOptions, outbox: Outbox, serial: number) {
    this.#database = options.database;
    this.#suite = options.suite;
    this.#failed = options.failed;
    this.#outbox = outbox;
    this.#serial = serial;
    for (const { messageId, intent } of outbox.items) {
      const { enqueued, result } = this.#wait(messageId, intent);
      enqueued.resolve({ result: result.promise });
    }
  }

  /** Read the outbox, or make it, durably. */
  static async open(options: ClientOutboxOptions): Promise<ClientOutbox> {
    const { database, suite } = options;
    const stored = await storage.readOutbox(database, content => labelledHash(suite, 'content', content));
    const outbox = stored ?? emptyOutbox(suite.randomBytes(ID_BYTES));
    if (stored === undefined) await database.commit([storage.putState(outbox)]);
    const client = new ClientOutbox(options, outbox, await storage.readSerial(database));
    await client.#sweep();
    return client;
  }

  /** The outbox as it stands; a later change makes another. */
  get view(): Outbox {
    return this.#outbox;
  }

  /**
   * Put a message into the outbox and resolve when it is durable there. The order of the calls is the order of the
   * numbers. A message whose id is known already is not put in again: its result is that of the first.
   *
   * Faults: MESSAGE_MALFORMED, MESSAGE_TOO_LARGE; OUTBOX_FULL; USAGE when the id belongs to another content, whenever
   * that was written.
   * @impl CH-020~1 @impl CH-026~1 @impl CH-027~1
   */
  async enqueue(content: Content): Promise<Enqueued | Fault> {
    if (this.#stopped !== undefined) return this.#stopped;
    const wrong = checkContent(content);
    if (wrong !== undefined) return fault('self', wrong, whyNoMessage(content, wrong));
    const bytes = encodeContent(content);
    const hash = this.#hash(bytes);
    const intent = this.#hash(encodeIntent(content));
    const messageId = hex(content.messageId);
    const known = this.#waiting.get(messageId);
    if (known !== undefined) return sameBytes(known.intent, intent) ? known.enqueued.promise : otherContent();
    if (this.#admitting >= OUTBOX_UNACKNOWLEDGED_MAX) return full();
    const waiting = this.#wait(messageId, intent);
    this.#admitting += 1;
    const item: OutboxItem = { messageId, hash, intent, content: bytes, durable: false };
    this.#admissions = this.#admissions
      .then(() => this.#admit(item, waiting))
      .catch(this.#fail)
      .then(() => {
        this.#admitting -= 1;
      });
    return waiting.enqueued.promise;
  }

  /** Give the message its number unless it was answered before. Everything behind the first await is one step. */
  async #admit(item: OutboxItem, { enqueued, result }: Waiting): Promise<void> {
    const { messageId, intent } = item;
    const sent = await storage.readSent(this.#database, messageId);
    if (this.#stopped !== undefined) return;
    if (sent !== undefined) {
      this.#waiting.delete(messageId);
      result.resolve(resultOf(sent));
      enqueued.resolve(sameBytes(sent.hash, intent) ? { result: result.promise } : otherContent());
      return;
    }
    const { acknowledged, items } = this.#outbox;
    if (items.length >= OUTBOX_UNACKNOWLEDGED_MAX) {
      this.#waiting.delete(messageId);
      enqueued.resolve(full());
      return;
    }
    this.#outbox = { ...this.#outbox, items: [...items, item] };
    this.#commit([storage.putPost(acknowledged + items.length + 1, item.content)], () => {
      item.durable = true;
      enqueued.resolve({ result: result.promise });
      this.changed();
    });
  }

  /** Take the host's final word on the lowest number without one. @impl CH-024~1 */
  settle(outcome: PostOutcome): void {
    const [item, ...items] = this.#outbox.items;
    if (item === undefined) return;
    const number = this.#outbox.acknowledged + 1;
    this.#outbox = { id: this.#outbox.id, acknowledged: number, acknowledgedHash: item.hash, items };
    const operations = [storage.putState(this.#outbox), storage.deletePost(number)];
    this.#commit([...operations, ...this.#record(item, outcome)], () => this.#answer(item, outcome));
  }

  /**
   * Begin a new outbox with what the host has not stored, in its order; resolve when it is durable.
   * @impl CH-023~1
   */
  replace(stored: readonly StoredEntry[]): Promise<void> {
    const { acknowledged, items } = this.#outbox;
    const { done, rest } = partStored(items, stored);
    const moved = rest.map(item => ({ ...item, durable: false }));
    this.#outbox = { ...emptyOutbox(this.#suite.randomBytes(ID_BYTES)), items: moved };
    const operations = [
      ...items.map((_, i) => storage.deletePost(acknowledged + 1 + i)),
      ...moved.map(({ content }, i) => storage.putPost(1 + i, content)),
      storage.putState(this.#outbox),
      ...done.flatMap(({ item, cursor }) => this.#record(item, { code: ErrorCode.UNSPECIFIED, cursor })),
    ];
    return new Promise(resolve => {
      this.#commit(operations, () => {
        for (const item of moved) item.durable = true;
        for (const { item, cursor } of done) this.#answer(item, { code: ErrorCode.UNSPECIFIED, cursor });
        resolve();
        // The stream that compared may be gone, and another one may have agreed meanwhile.
        this.changed();
      });
    });
  }

  /** Tell every caller that waits that this process can say no more. What is durable stays so. */
  stop(why: Fault): void {
    if (this.#stopped !== undefined) return;
    this.#stopped = why;
    for (const { enqueued, result } of this.#waiting.values()) {
      enqueued.resolve(why);
      result.resolve(why);
    }
    this.#waiting.clear();
  }

  #hash(content: Uint8Array): Uint8Array {
    return labelledHash(this.#suite, 'content', content);
  }

  #wait(messageId: string, intent: Uint8Array): Waiting {
    const known = this.#waiting.get(messageId);
    if (known !== undefined) return known;
    const waiting: Waiting = { intent, enqueued: deferred(), result: deferred() };
    this.#waiting.set(messageId, waiting);
    return waiting;
  }

  #record({ messageId, intent }: OutboxItem, outcome: PostOutcome): readonly DatabaseOperation[] {
    this.#serial += 1;
    return storage.putSent(this.#serial, messageId, { hash: intent, ...outcome });
  }

  #answer({ messageId }: OutboxItem, outcome: PostOutcome): void {
    this.#waiting.get(messageId)?.result.resolve(resultOf(outcome));
    this.#waiting.delete(messageId);
    if (this.#serial % SWEEP === 0) this.#sweep().catch(this.#fail);
  }

  async #sweep(): Promise<void> {
    const operations = await storage.forgetSent(this.#database, this.#serial - CONTROL_IDS_MAX);
    if (operations.length > 0) await this.#database.commit(operations);
  }

  #commit(operations: readonly DatabaseOperation[], durable: () => void): void {
    this.#database.commit(operations).then(durable).catch(this.#fail);
  }

  readonly #fail = (reason: unknown): void => {
    if (this.#stopped !== undefined) return;
    this.stop(fault('self', ErrorCode.INTERNAL, 'the database failed'));
    this.#failed(reason);
  };
}

/** What a client's outbox works with. */
export interface ClientOutboxOptions {
  readonly database: ServiceDatabase;
  readonly suite: Suite;
  /** Called once when the database fails; the client has to end. */
  readonly failed: (reason: unknown) => void;
}

function emptyOutbox(id: Uint8Array): Outbox {
  return { id, acknowledged: 0, acknowledgedHash: NO_HASH, items: [] };
}

function resultOf({ code, cursor }: PostOutcome): SendResult {
  if (code === ErrorCode.UNSPECIFIED) return { kind: 'stored', cursor };
  return fault('peer', code, REFUSED.get(code) ?? 'the host refused the message for good');
}

const REFUSED: ReadonlyMap<ErrorCode, string> = new Map([
  [ErrorCode.ROOM_UNKNOWN, 'there is no such room, or it is closed to you'],
  [ErrorCode.ROOM_EXISTS, 'a room of this name exists, or one whose name reads the same'],
  [ErrorCode.ROOM_FORBIDDEN, 'your part in this room does not let you do that'],
  [ErrorCode.MESSAGE_UNKNOWN, 'there is no such message that you can change'],
  [ErrorCode.PERSON_UNKNOWN, 'nobody who has a device is this person'],
]);

function full(): Fault {
  return fault('self', ErrorCode.OUTBOX_FULL, 'too many messages wait for the host');
}

function otherContent(): Fault {
  return fault('self', ErrorCode.USAGE, 'another message has this id');
}

function deferred<T>(): Deferred<T> {
  let resolve: (value: T) => void = () => {};
  const promise = new Promise<T>(settle => {
    resolve = settle;
  });
  return { promise, resolve };
}
