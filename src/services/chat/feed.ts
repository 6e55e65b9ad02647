/** A client's listeners: each has its own cursor, all share one subscription (spec/11-chat.md, 11.5). */
import { ErrorCode } from '../../gen/clawchat/v1/error_pb.ts';
import { type Fault, fault, isFault } from '../../wire/fault.ts';
import type { ClientLink } from './client-link.ts';
import type { Answer, Questions } from './questions.ts';
import type { ChatItem, Gap, Place, RoomGap } from './reply.ts';

/** Messages that a listener asks for at a time. */
const PULL_MESSAGES = 64;

/** What to listen to: behind a cursor, or from now on when it is undefined; one room, or all when it is empty. */
export interface ListenOptions {
  readonly afterCursor: number | undefined;
  readonly room: string;
}

/** Who listens. */
export interface ListenSink {
  /** Take messages, in the order of cursors, each once. False: no more until `resume`. */
  items(items: readonly ChatItem[]): boolean;
  /** Messages are no longer kept: of one room when it is named, else of all that is listened to. */
  gap(gap: Gap | RoomGap): void;
  /** Everything stored so far was given; said again after each time that this listener fell behind. */
  caughtUp(cursor: number): void;
  /** Nothing more comes. Not told after `cancel`. */
  ended(why: Fault): void;
}

/** One who listens, as seen from there. */
export interface Listening {
  resume(): void;
  cancel(): void;
}

interface Listener {
  readonly room: string;
  readonly sink: ListenSink;
  /** Everything up to here was given; undefined until "now" is known. */
  position: number | undefined;
  /** Gets what the subscription brings; else it asks for pages. */
  live: boolean;
  full: boolean;
  told: boolean;
  /** The last page held all there was; while the head is unknown, asking again would be asking for ever. */
  drained: boolean;
  takeBack: (() => void) | undefined;
  /** What was told of rooms: the first cursor of each that may be kept. */
  readonly gaps: Map<string, number>;
}

/**
 * Give each listener each message once, in the order of cursors, at its own pace.
 *
 * A listener that is behind, or was full, asks for pages from its cursor on; once it has all that the subscription has
 * brought, it is live. So nothing is buffered and nobody waits for anybody. @impl CH-036~1
 */
export class Feed {
  readonly #questions: Questions;
  readonly #listeners = new Set<Listener>();
  #link: ClientLink | undefined;
  #subscribed = false;
  #caughtUp = false;
  /** Every message above it will be brought by the subscription, on this stream or a later one. */
  #head: number | undefined;
  /** Takes back what `#askGaps` asked. */
  #askedGaps: (() => void) | undefined;

  constructor(questions: Questions) {
    this.#questions = questions;
  }

  /** The highest cursor heard of; 0 for none. */
  get cursor(): number {
    return this.#head ?? 0;
  }

  /** Begin to listen. */
  listen({ afterCursor, room }: ListenOptions, sink: ListenSink): Listening {
    const listener: Listener = {
      room,
      sink,
      position: afterCursor,
      live: false,
      full: false,
      told: false,
      drained: false,
      takeBack: undefined,
      gaps: new Map(),
    };
    this.#listeners.add(listener);
    this.#subscribe();
    this.#advance(listener);
    return {
      resume: () => {
        listener.full = false;
        this.#advance(listener);
      },
      cancel: () => {
        this.#listeners.delete(listener);
        listener.takeBack?.();
      },
    };
  }

  /** A stream is open. */
  attach(link: ClientLink): void {
    this.#link = link;
    this.#subscribe();
    for (const listener of [...this.#listeners]) this.#advance(listener);
    this.#askGaps();
  }

  /** The stream is over. */
  detach(): void {
    this.#link = undefined;
    this.#askedGaps?.();
    this.#askedGaps = undefined;
    this.#subscribed = false;
    this.#caughtUp = false;
    if (this.#listeners.size === 0) this.#head = undefined;
  }

  /** Take a pushed message. */
  message({ cursor, item }: Place): void {
    if (cursor <= (this.#head ?? 0)) return;
    this.#head = cursor;
    for (const listener of [...this.#listeners]) {
      if (!listener.live || cursor <= (listener.position ?? 0)) this.#advance(listener);
      else if (listener.full) {
        listener.live = false;
        listener.told = false;
      } else {
        listener.position = cursor;
        if (item !== undefined && (listener.room === '' || listener.room === item.room)) {
          listener.full = !listener.sink.items([item]);
        }
      }
    }
  }

  /** Take a pushed gap. */
  gap({ firstCursor }: Gap): void {
    this.#head = Math.max(this.#head ?? 0, firstCursor - 1);
    for (const listener of [...this.#listeners]) {
      const { position, live } = listener;
      if (!live || position === undefined || position >= firstCursor - 1) continue;
      listener.position = firstCursor - 1;
      listener.sink.gap({ afterCursor: position, firstCursor });
    }
  }

  /** Take word that everything stored so far was pushed. */
  caughtUp(cursor: number): void {
    this.#head = Math.max(this.#head ?? 0, cursor);
    this.#caughtUp = true;
    for (const listener of [...this.#listeners]) {
      this.#advance(listener);
      this.#tell(listener);
    }
  }

  /** Tell everybody that nothing more comes. */
  stop(why: Fault): void {
    const listeners = [...this.#listeners];
    this.#listeners.clear();
    for (const { sink, takeBack } of listeners) {
      takeBack?.();
      sink.ended(why);
    }
  }

  #subscribe(): void {
    if (this.#link === undefined || this.#subscribed || this.#listeners.size === 0) return;
    this.#subscribed = true;
    const fromNow = this.#head === undefined;
    this.#link.request({ kind: 'subscribe', afterCursor: this.#head ?? 0, fromNow });
  }

  /** After a loss: which rooms have lost what those who go on with the subscription do not have? @impl CH-047~3 */
  #askGaps(): void {
    const afterCursor = this.#head;
    const waiting = [...this.#listeners].filter(({ live }) => live);
    if (afterCursor === undefined || waiting.length === 0) return;
    this.#askedGaps = this.#questions.ask({ kind: 'history', afterCursor, limit: 1, room: '' }, answer => {
      if (isFault(answer) || answer.kind === 'refusal') return;
      for (const listener of waiting) {
        const { room } = listener;
        const told = answer.roomGaps.filter(gap => room === '' || room === gap.room);
        if (this.#listeners.has(listener)) this.#tellRooms(listener, told);
      }
    });
  }

  /** Bring a listener on: live if it has everything, else by the next page. */
  #advance(listener: Listener): void {
    if (listener.live || listener.full || listener.takeBack !== undefined) return;
    if (!this.#listeners.has(listener)) return;
    if (listener.position === undefined && this.#caughtUp) listener.position = this.#head;
    if (listener.position === undefined) return;
    if (this.#head !== undefined && listener.position >= this.#head) {
      listener.live = true;
      this.#tell(listener);
    } else if (this.#head !== undefined || !listener.drained) {
      const { position: afterCursor, room } = listener;
      // Set before the answer can come, for it may come at once.
      listener.takeBack = () => {};
      const takeBack = this.#questions.ask(
        { kind: 'history', afterCursor, limit: PULL_MESSAGES, room },
        answer => {
          listener.takeBack = undefined;
          this.#take(listener, afterCursor, answer);
        },
      );
      if (listener.takeBack !== undefined) listener.takeBack = takeBack;
    }
  }

  #take(listener: Listener, afterCursor: number, answer: Answer<'history'>): void {
    const { sink } = listener;
    if (isFault(answer) || answer.kind === 'refusal') {
      this.#listeners.delete(listener);
      sink.ended(isFault(answer) ? answer : fault('peer', answer.code, 'the host refused a page of history'));
      return;
    }
    const { places, throughCursor, gap, roomGaps, more } = answer;
    if (throughCursor < afterCursor || (more && throughCursor === afterCursor)) {
      this.#link?.abort(ErrorCode.MESSAGE_MALFORMED);
      return;
    }
    listener.position = throughCursor;
    listener.drained = !more;
    if (gap !== undefined) sink.gap({ afterCursor, firstCursor: gap.firstCursor });
    this.#tellRooms(listener, roomGaps);
    const items = places.flatMap(({ cursor, item }) => (item && cursor > afterCursor ? [item] : []));
    if (items.length > 0) listener.full = !sink.items(items);
    this.#advance(listener);
  }

  /** Each page says again what is missing behind it; nobody is told twice. */
  #tellRooms({ gaps, sink }: Listener, told: readonly RoomGap[]): void {
    for (const gap of told) {
      const known = gaps.get(gap.room);
      gaps.set(gap.room, Math.max(known ?? 0, gap.firstCursor));
      if (known === undefined || gap.afterCursor >= known) sink.gap(gap);
    }
  }

  #tell(listener: Listener): void {
    if (!listener.live || listener.told || !this.#caughtUp || !this.#listeners.has(listener)) return;
    listener.told = true;
    listener.sink.caughtUp(Math.max(listener.position ?? 0, this.#head ?? 0));
  }
}
