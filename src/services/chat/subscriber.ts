/** One subscriber: reads the history at its own pace, then follows, and falls back when it is full (spec/11-chat.md, 11.5). */
import type { MessageLog, RoomFilter } from './message-log.ts';
import { encodePush, encodeReply } from './reply-writing.ts';

/** Where pushes go. */
export interface PushPort {
  /** False while the stream's queue is full: nothing may be pushed. */
  readonly writable: () => boolean;
  readonly send: (message: Uint8Array) => void;
  /** The database failed. */
  readonly failed: (reason: unknown) => void;
}

/** Messages read at a time. Few, because what does not fit into the queue is read again. */
const PULL_MESSAGES = 32;

/**
 * The messages behind a cursor, and then the new ones, each once and in order.
 *
 * It keeps nothing but its cursor: while the stream is full it waits, and then reads from the cursor on.
 * @impl CH-031~1 @impl CH-032~1 @impl CH-034~1
 */
export class Subscriber {
  readonly #log: MessageLog;
  readonly #port: PushPort;
  readonly #visible: RoomFilter;
  #position: number;
  #pulling = false;
  #stopped = false;

  /**
   * Begin behind `afterCursor`, or with what comes from now on when it is undefined. `visible` tells what this subscriber
   * may see.
   */
  constructor(log: MessageLog, port: PushPort, afterCursor: number | undefined, visible: RoomFilter) {
    this.#log = log;
    this.#port = port;
    this.#visible = visible;
    this.#position = afterCursor ?? log.through;
    this.writable();
  }

  /** Go on after the stream was full. */
  writable(): void {
    if (this.#pulling || this.#stopped || this.#log.followers.has(this.#follow)) return;
    this.#pulling = true;
    this.#pull().catch(this.#port.failed);
  }

  /** End it; nothing is pushed from here on. */
  stop(): void {
    this.#stopped = true;
    this.#log.followers.delete(this.#follow);
  }

  readonly #follow = (cursor: number, push: Uint8Array, room: string): void => {
    if (cursor <= this.#position || !this.#visible(room, cursor)) return;
    if (!this.#port.writable()) {
      this.#log.followers.delete(this.#follow);
      return;
    }
    this.#position = cursor;
    this.#port.send(push);
  };

  async #pull(): Promise<void> {
    while (!this.#stopped && this.#port.writable()) {
      this.#pushGap();
      if (this.#position >= this.#log.through) {
        // No await between this check and following: no message is committed unseen.
        this.#log.followers.add(this.#follow);
        this.#port.send(encodeReply(0, { case: 'caughtUp', value: { cursor: BigInt(this.#log.through) } }));
        break;
      }
      const page = await this.#log.page(this.#position, { limit: PULL_MESSAGES, room: '' }, this.#visible);
      let pushed = 0;
      for (const { cursor, value } of page.messages) {
        if (this.#stopped || !this.#port.writable()) break;
        this.#position = cursor;
        this.#port.send(encodePush(value));
        pushed += 1;
      }
      // What lies behind the last one is not for this subscriber.
      if (pushed === page.messages.length) this.#position = Math.max(this.#position, page.throughCursor);
    }
    this.#pulling = false;
  }

  #pushGap(): void {
    const gap = this.#log.gapBehind(this.#position);
    if (gap === undefined) return;
    this.#position = gap.firstCursor - 1;
    const { afterCursor, firstCursor } = gap;
    const value = { afterCursor: BigInt(afterCursor), firstCursor: BigInt(firstCursor) };
    this.#port.send(encodeReply(0, { case: 'gap', value }));
  }
}
