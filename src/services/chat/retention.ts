/** Deletes what rooms do not keep, and has it cleared out of the database's files (spec/11-chat.md, 11.3). */
import { HISTORY_SCAN_MAX } from '../../gen/constants.ts';
import type { DatabaseOperation, ServiceDatabase } from '../ports.ts';
import { type MessageLog, messageKey, roomOf } from './message-log.ts';
import type { HostRoom } from './room-records.ts';
import type { RoomTable } from './rooms.ts';

/** How often old messages are looked for. */
export const PRUNE_MS = 60_000;

/** Who is told. */
export interface RetentionPort {
  /** Messages of a room behind `before` are gone, durably. */
  pruned(room: HostRoom, before: number): void;
  crashed(reason: unknown): void;
}

/** Runs through the history of each room that does not keep everything, some messages at a time. */
export class Retention {
  readonly #database: ServiceDatabase;
  readonly #log: MessageLog;
  readonly #rooms: RoomTable;
  readonly #port: RetentionPort;
  #nextAtMs = 0;
  /** Cursors from and to which something was deleted or replaced that may still be in the files. */
  #stale: readonly [number, number] | undefined;
  /** The last run through each room that is not over. */
  readonly #runs = new Map<HostRoom, Promise<void>>();
  #stopped = false;

  constructor(database: ServiceDatabase, log: MessageLog, rooms: RoomTable, port: RetentionPort) {
    this.#database = database;
    this.#log = log;
    this.#rooms = rooms;
    this.#port = port;
  }

  /** Delete what is older than its room keeps; does nothing within `PRUNE_MS` of the last time. @impl CH-047~3 */
  prune(wallMs: number): void {
    if (wallMs < this.#nextAtMs) return;
    this.#nextAtMs = wallMs + PRUNE_MS;
    for (const room of this.#rooms.pruning) {
      if (this.#runs.has(room)) continue;
      const old = Math.min(Math.floor(wallMs - room.keepMs), this.#log.through);
      // A deletion that is not durable yet clears away when it is.
      if (room.removed && room.lastCursor <= this.#log.through) void this.removed(room);
      else if (!room.removed && old > room.pruned) void this.#run(room, old);
    }
    this.#scrub().catch(this.#port.crashed);
  }

  /** A room was deleted, durably: delete what it holds, and then the room. @impl CH-053~1 */
  removed(room: HostRoom): Promise<void> {
    return this.#run(room, room.lastCursor);
  }

  /** End, as soon as what is under way has its place in the database. The rest is for whoever opens it next. */
  async stop(): Promise<void> {
    this.#stopped = true;
    await Promise.all(this.#runs.values());
  }

  /** What stood under these cursors is still in the database's files. */
  replaced(from: number, through: number): void {
    const [low, high] = this.#stale ?? [from, through];
    this.#stale = [Math.min(low, from), Math.max(high, through)];
  }

  /** Run through a room, behind the run before; resolves when it is over. */
  #run(room: HostRoom, through: number): Promise<void> {
    const { keepMs, removed } = room;
    // Meanwhile somebody may have said that they are kept, or deleted the room.
    const isWanted = (): boolean =>
      !this.#stopped &&
      room.keepMs === keepMs &&
      room.removed === removed &&
      this.#rooms.get(room.name) === room;
    const before = this.#runs.get(room) ?? Promise.resolve();
    const run = before
      .then(() => this.#pruneRoom(room, through, isWanted))
      .catch(this.#port.crashed)
      .then(() => {
        if (this.#runs.get(room) === run) this.#runs.delete(room);
      });
    this.#runs.set(room, run);
    return run;
  }

  async #pruneRoom(room: HostRoom, through: number, isWanted: () => boolean): Promise<void> {
    const { pruned: before, removed } = room;
    let [at, gone] = [before, 0];
    const operations: DatabaseOperation[] = [];
    for (let looked = 0; looked < HISTORY_SCAN_MAX; ) {
      const chunk = await this.#log.chunk(at, through);
      looked += chunk.length;
      for (const { cursor, value } of chunk) {
        at = cursor;
        if (roomOf(value) !== room.name) continue;
        operations.push({ kind: 'delete', key: messageKey(cursor) });
        gone = cursor;
      }
      if (chunk.length === 0) {
        at = through;
        break;
      }
    }
    if (!isWanted() || at <= before) return;
    operations.push(this.#rooms.prune(room, at, gone));
    const dropped = removed && at >= through ? this.#rooms.drop(room) : undefined;
    if (dropped !== undefined) operations.push(...dropped.operations, this.#log.passed(through));
    await this.#database.commit(operations);
    dropped?.take();
    if (gone > 0) {
      // Of a room that was deleted everybody was told so.
      if (!removed) this.#port.pruned(room, before);
      this.replaced(before, gone);
    }
    if (at < through) await this.#pruneRoom(room, through, isWanted);
    else await this.#scrub();
  }

  async #scrub(): Promise<void> {
    if (this.#stale === undefined) return;
    const [from, through] = this.#stale;
    this.#stale = undefined;
    await this.#database.scrub?.({ gte: messageKey(from), lt: messageKey(through + 1) });
  }
}
