/** Turns what a listener is given into a stream of responses, with a bound on what waits. Chapter: spec/12-control.md. */
import { CONTROL_ITEMS_BYTES_MAX } from '../../gen/constants.ts';
import { ClawChatError, type Fault } from '../../protocol/fault.ts';
import { contentExtraInit } from '../../services/chat/content.ts';
import type { Listening, ListenSink } from '../../services/chat/feed.ts';
import type { ChatItem } from '../../services/chat/reply.ts';
import type { ResponseInit } from '../control.ts';

type Item = NonNullable<Extract<ResponseInit, { case: 'history' }>['value']['items']>[number];

/** Responses that may wait for a slow reader before the feed is told to stop. */
const WAITING_MAX = 64;

/** Show a chat message as the control socket does. */
export function controlItem(item: ChatItem): Item {
  return {
    cursor: BigInt(item.cursor),
    room: item.room,
    deviceId: item.deviceId,
    name: item.name,
    sentAtMs: BigInt(item.sentAtMs),
    storedAtMs: BigInt(item.storedAtMs),
    text: item.text,
    messageId: item.messageId,
    personId: item.personId,
    extra: contentExtraInit(item),
    edited: item.editedBy > 0,
    deleted: item.deletedBy > 0,
  };
}

/** More than the encoded fields of an item beside its text, room and name. */
const ITEM_BYTES = 512;

/** How many of these items one response may hold: at least one. @impl CT-033~1 */
export function fitting(items: readonly ChatItem[]): number {
  let bytes = 0;
  for (const [count, { text, room, name }] of items.entries()) {
    bytes += Buffer.byteLength(text) + Buffer.byteLength(room) + Buffer.byteLength(name) + ITEM_BYTES;
    if (bytes > CONTROL_ITEMS_BYTES_MAX && count > 0) return count;
  }
  return items.length;
}

/** One listener, read with `for await`. It ends when `signal` does. */
export class ListenQueue implements AsyncIterable<ResponseInit>, ListenSink {
  readonly #signal: AbortSignal;
  readonly #listening: Listening;
  #waiting: ResponseInit[] = [];
  #full = false;
  #end: Fault | 'ended' | undefined;
  #wake: () => void = () => {};

  constructor(listen: (sink: ListenSink) => Listening, signal: AbortSignal) {
    this.#signal = signal;
    this.#listening = listen(this);
  }

  items(items: readonly ChatItem[]): boolean {
    for (let rest = items; rest.length > 0; ) {
      const fit = fitting(rest);
      this.#push({ case: 'items', value: { items: rest.slice(0, fit).map(controlItem) } });
      rest = rest.slice(fit);
    }
    this.#full = this.#waiting.length >= WAITING_MAX;
    return !this.#full;
  }

  gap(gap: Parameters<ListenSink['gap']>[0]): void {
    const room = 'room' in gap ? gap.room : '';
    const value = { afterCursor: BigInt(gap.afterCursor), firstCursor: BigInt(gap.firstCursor), room };
    this.#push({ case: 'gap', value });
  }

  caughtUp(cursor: number): void {
    this.#push({ case: 'caughtUp', value: { cursor: BigInt(cursor) } });
  }

  ended(why: Fault): void {
    this.#end ??= why;
    this.#wake();
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<ResponseInit> {
    const aborted = (): void => {
      this.#end ??= 'ended';
      this.#wake();
    };
    this.#signal.addEventListener('abort', aborted, { once: true });
    if (this.#signal.aborted) aborted();
    try {
      for (;;) {
        const next = this.#waiting.shift();
        if (next !== undefined) {
          yield next;
          continue;
        }
        if (this.#full) {
          this.#full = false;
          this.#listening.resume();
          continue;
        }
        if (this.#end === 'ended') return;
        if (this.#end !== undefined) throw new ClawChatError(this.#end);
        await new Promise<void>(resolve => {
          this.#wake = resolve;
        });
      }
    } finally {
      this.#signal.removeEventListener('abort', aborted);
      this.#listening.cancel();
    }
  }

  #push(response: ResponseInit): void {
    this.#waiting.push(response);
    this.#wake();
  }
}
