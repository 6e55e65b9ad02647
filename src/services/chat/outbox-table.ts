/** The host's outboxes: one for each device, in memory while a stream holds it (spec/11-chat.md, 11.4). */
import { create, fromBinary, toBinary } from '@bufbuild/protobuf';
import { StoredOutboxSchema, StoredPostSchema } from '../../gen/clawchat/v1/chat_storage_pb.ts';
import { ErrorCode } from '../../gen/clawchat/v1/error_pb.ts';
import { OUTBOX_HASHES_MAX } from '../../gen/constants.ts';
import { hex } from '../../wire/bytes.ts';
import { knownCode } from '../../wire/frame.ts';
import type { DatabaseOperation, ServiceDatabase } from '../ports.ts';
import { KEY_END, numberKey } from './bytes.ts';
import type { Change } from './change.ts';
import { emptyOutbox, type KeptPost, type OutboxHead } from './posting.ts';
import type { PostOutcome, StoredEntry } from './reply.ts';
import type { OutboxEntry } from './request.ts';

/** A device's outbox in memory. Whoever opened it last is the one holder. */
export interface DeviceOutbox {
  readonly device: string;
  holder: unknown;
  head: OutboxHead | undefined;
  /** Whether the database knows which outbox it is. */
  stored: boolean;
  readonly loaded: Promise<void>;
}

/** All outboxes that streams hold. */
export class OutboxTable {
  readonly #database: ServiceDatabase;
  readonly #devices = new Map<string, DeviceOutbox>();

  constructor(database: ServiceDatabase) {
    this.#database = database;
  }

  /** Make `holder` the one that may post for a device, at once: the earlier holder is fenced. @impl CH-010~1 */
  take(device: string, holder: unknown): DeviceOutbox {
    const known = this.#devices.get(device);
    if (known !== undefined) {
      known.holder = holder;
      return known;
    }
    const outbox: DeviceOutbox = {
      device,
      holder,
      head: undefined,
      stored: false,
      loaded: Promise.resolve().then(() => this.#load(outbox)),
    };
    this.#devices.set(device, outbox);
    return outbox;
  }

  /** Let go of an outbox. It is read from the database again when somebody takes it. */
  release(outbox: DeviceOutbox, holder: unknown): void {
    if (outbox.holder !== holder) return;
    outbox.holder = undefined;
    if (this.#devices.get(outbox.device) === outbox) this.#devices.delete(outbox.device);
  }

  /**
   * Say how the outbox stands, once all that was decided about it is durable. A device without one gets the asked one.
   * @impl CH-011~1
   */
  async state(outbox: DeviceOutbox, outboxId: Uint8Array): Promise<OutboxHead> {
    await outbox.loaded;
    await this.#database.commit([]);
    const head = outbox.stored ? outbox.head : undefined;
    outbox.head = head ?? emptyOutbox(outboxId.slice(), 0);
    return outbox.head;
  }

  async #load(outbox: DeviceOutbox): Promise<void> {
    // What an earlier holder decided may not be durable yet, and is in nobody's memory any more.
    await this.#database.commit([]);
    const value = await this.#database.get(outboxKey(outbox.device));
    if (value === undefined) return;
    const { outboxId, base } = fromBinary(StoredOutboxSchema, value);
    const prefix = keptPrefix(outbox.device);
    const range = { gte: prefix, lt: prefix + KEY_END, reverse: true, limit: 1 };
    const [newest] = await this.#database.range(range);
    const empty = emptyOutbox(outboxId, Number(base));
    const highest = newest === undefined ? 0 : serialOf(newest.key) - empty.base;
    outbox.stored = true;
    outbox.head = newest && highest > 0 ? { ...empty, highest, hash: readKept(newest.value).hash } : empty;
  }

  /**
   * Advance the outbox by the post that follows, in the post's own commit.
   * @impl CH-014~1 @impl CH-015~2
   */
  advance(outbox: DeviceOutbox, head: OutboxHead, hash: Uint8Array, outcome: PostOutcome): Change {
    const highest = head.highest + 1;
    const serial = head.base + highest;
    const operations = outbox.stored ? [] : [putOutbox(outbox.device, head)];
    operations.push({ kind: 'put', key: keptKey(outbox.device, serial), value: writeKept(hash, outcome) });
    if (serial > OUTBOX_HASHES_MAX) {
      operations.push({ kind: 'delete', key: keptKey(outbox.device, serial - OUTBOX_HASHES_MAX) });
    }
    const take = (): void => {
      outbox.stored = true;
      outbox.head = { ...head, highest, hash };
    };
    return { operations, take };
  }

  /** Find the kept answer to one of the device's last posts. */
  async kept(outbox: DeviceOutbox, serial: number): Promise<KeptPost | undefined> {
    await this.#database.commit([]);
    const value = await this.#database.get(keptKey(outbox.device, serial));
    return value === undefined ? undefined : readKept(value);
  }

  /** Name those of the entries that are stored, whichever outbox they came from. @impl CH-021~1 */
  async stored(outbox: DeviceOutbox, entries: readonly OutboxEntry[]): Promise<readonly StoredEntry[]> {
    await this.#database.commit([]);
    const prefix = keptPrefix(outbox.device);
    const kept = await this.#database.range({ gte: prefix, lt: prefix + KEY_END });
    const cursors = new Map(
      kept.map(({ value }): [string, number] => [hex(readKept(value).hash), readKept(value).cursor]),
    );
    return entries.flatMap(({ hash }) => {
      const cursor = cursors.get(hex(hash)) ?? 0;
      return cursor > 0 ? [{ hash, cursor }] : [];
    });
  }

  /** Begin another outbox, whose number 1 follows the last post of the one before; give the write. @impl CH-022~1 */
  replace(outbox: DeviceOutbox, head: OutboxHead, outboxId: Uint8Array): readonly DatabaseOperation[] {
    const next = emptyOutbox(outboxId.slice(), head.base + head.highest);
    outbox.head = next;
    outbox.stored = true;
    return [putOutbox(outbox.device, next)];
  }

  /** Forget a device that is no more; give the writes for the commit that deletes it. @impl CH-016~1 */
  async forget(device: string): Promise<readonly DatabaseOperation[]> {
    const outbox = this.#devices.get(device);
    if (outbox !== undefined) this.release(outbox, outbox.holder);
    await this.#database.commit([]);
    const prefix = keptPrefix(device);
    const kept = await this.#database.range({ gte: prefix, lt: prefix + KEY_END });
    return [outboxKey(device), ...kept.map(({ key }) => key)].map(key => ({ kind: 'delete', key }));
  }
}

function putOutbox(device: string, { id, base }: OutboxHead): DatabaseOperation {
  const value = toBinary(
    StoredOutboxSchema,
    create(StoredOutboxSchema, { outboxId: id, base: BigInt(base) }),
  );
  return { kind: 'put', key: outboxKey(device), value };
}

function writeKept(hash: Uint8Array, { code, cursor }: PostOutcome): Uint8Array {
  return toBinary(StoredPostSchema, create(StoredPostSchema, { hash, code, cursor: BigInt(cursor) }));
}

function readKept(value: Uint8Array): KeptPost {
  const { hash, code, cursor } = fromBinary(StoredPostSchema, value);
  return { hash, code: code === ErrorCode.UNSPECIFIED ? code : knownCode(code), cursor: Number(cursor) };
}

function outboxKey(device: string): string {
  return `chat/outbox/${device}`;
}

function keptPrefix(device: string): string {
  return `chat/kept/${device}/`;
}

function keptKey(device: string, serial: number): string {
  return keptPrefix(device) + numberKey(serial);
}

function serialOf(key: string): number {
  return Number.parseInt(key.slice(-14), 16);
}
