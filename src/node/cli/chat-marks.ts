/** Says how far a person has read, some at a time. Chapter: spec/11-chat.md, 11.8. */
import type { ChatModel } from './chat-model.ts';

const MARK_MS = 300;

/** What marks are sent with. */
export interface MarkPort {
  send(mark: {
    readonly room: string;
    readonly delivered: bigint;
    readonly read: bigint;
    readonly hidden: boolean;
  }): void;
  /** Whether the newest of a room stands on the screen. */
  isSeen(room: string): boolean;
}

/** Marks of all rooms; what was just said is gathered for a moment. */
export class ChatMarks {
  receipts: boolean;
  readonly #model: ChatModel;
  readonly #port: MarkPort;
  readonly #rooms = new Set<string>();
  #timer: NodeJS.Timeout | undefined;

  constructor(model: ChatModel, receipts: boolean, port: MarkPort) {
    this.#model = model;
    this.receipts = receipts;
    this.#port = port;
  }

  /** What there is of a room was received; and read, if it stands on the screen. */
  see(room: string): void {
    this.#rooms.add(room);
    this.#timer ??= setTimeout(() => {
      this.#timer = undefined;
      this.#send();
    }, MARK_MS);
  }

  /** Send no more. */
  stop(): void {
    clearTimeout(this.#timer);
  }

  #send(): void {
    for (const name of this.#rooms) {
      const room = this.#model.rooms.get(name);
      if (room === undefined || room.lastCursor === 0) continue;
      const delivered = BigInt(room.lastCursor);
      const isSeen = this.#port.isSeen(name);
      if (isSeen) {
        room.readCursor = Math.max(room.readCursor, room.lastCursor);
        room.unread = false;
      }
      this.#port.send({ room: name, delivered, read: isSeen ? delivered : 0n, hidden: !this.receipts });
    }
    this.#rooms.clear();
  }
}
