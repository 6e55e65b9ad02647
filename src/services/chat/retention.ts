/** Deletes what rooms do not keep, and has it cleared out of the database's files (spec/11-chat.md, 11.3). */
import { HISTORY_SCAN_MAX } from '../../gen/constants.ts';
import type { DatabaseOperation, ServiceDatabase } from '../ports.ts';
import { type MessageLog, messageKey, roomOf } from './message-log.ts';
import type { HostRoom, RoomTable } from './rooms.ts';

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

  constructor(database: ServiceDatabase, log: MessageLog, rooms: RoomTable, port: RetentionPort) {
    this.#database = database;
    this.#log = log;
    this.#rooms = rooms;
    this.#port = port;
  }

  /** Delete what is older than its room keeps; does nothing within `PRUNE_MS` of the last time. @impl CH-047~2 */
  prune(wallMs: number): void {
    if (wallMs < this.#nextAtMs) return;
    this.#nextAtMs = wallMs + PRUNE_MS;
    for (const room of this.#rooms.pruning) {
      const old = Math.min(Math.floor(wallMs - room.keepMs), this.#log.through);
      if (room.removed) this.removed(room);
      else if (old > room.pruned) this.#pruneRoom(room, old).catch(this.#port.crashed);
    }
    this.#scrub().catch(this.#port.crashed);
  }

  /** A room was deleted, durably: delete what it holds, and then the room. @impl CH-053~1 */
  removed(room: HostRoom): void {
    this.#pruneRoom(room, room.lastCursor).catch(this.#port.crashed);
  }

  /** What stood under these cursors is still in the database's files. */
  replaced(from: number, through: number): void {
    const [low, high] = this.#stale ?? [from, through];
    this.#stale = [Math.min(low, from), Math.max(high, through)];
  }

  async #pruneRoom(room: HostRoom, through: number): Promise<void> {
    const { pruned: before, keepMs, removed } = room;
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
    // Meanwhile somebody may have said that they are kept, or another run may have come first.
    const isOther = room.pruned !== before || room.keepMs !== keepMs || room.removed !== removed;
    if (isOther || at <= before) return;
    operations.push(this.#rooms.prune(room, at));
    if (removed && at >= through) operations.push(...this.#rooms.drop(room), this.#log.passed(through));
    await this.#database.commit(operations);
    if (gone > 0) {
      // Of a room that was deleted everybody was told so.
      if (!removed) this.#port.pruned(room, before);
      this.replaced(before, gone);
    }
    if (at < through) await this.#pruneRoom(room, through);
    else await this.#scrub();
  }

  async #scrub(): Promise<void> {
    if (this.#stale === undefined) return;
    const [from, through] = this.#stale;
    this.#stale = undefined;
    await this.#database.scrub?.({ gte: messageKey(from), lt: messageKey(through + 1) });
  }
}
