/** The chat service of a client: one outbox, any number of listeners, one stream at a time (spec/11-chat.md). */
import { ErrorCode } from '../../gen/clawchat/v1/error_pb.ts';
import { HISTORY_PAGE_MESSAGES_MAX } from '../../gen/constants.ts';
import { type Fault, fault, isFault } from '../../wire/fault.ts';
import type { ServiceStream, StreamHandler } from '../ports.ts';
import { ClientEvents, type EventSink, type ReadMark } from './client-events.ts';
import { ClientOutbox, type ClientOutboxOptions, type Enqueued } from './client-outbox.ts';
import type { OutboxNotice } from './client-posting.ts';
import { ClientStream } from './client-stream.ts';
import type { Content } from './content.ts';
import { Feed, type Listening, type ListenOptions, type ListenSink } from './feed.ts';
import { Questions } from './questions.ts';
import type { ChatItem, Gap, PersonView, ReplyBody, RoomView } from './reply.ts';

/** What a client's chat service works with. */
export interface ChatClientOptions extends ClientOutboxOptions {
  /** Called with what the user should hear of. */
  readonly notice: (notice: OutboxNotice) => void;
}

/** Which messages: behind a cursor, at most `limit` (1 to 256), of one room unless it is empty. */
export interface HistoryOptions {
  readonly afterCursor: number;
  readonly limit: number;
  readonly room: string;
}

/** Which messages, backwards: below a cursor, at most `limit` (1 to 256), of one room unless it is empty, with a text. */
export interface BackwardsOptions {
  readonly beforeCursor: number;
  readonly limit: number;
  readonly room: string;
  readonly search: string;
}

/** Messages, oldest first. Those before begin below `fromCursor`. */
export interface BackwardsResult {
  readonly kind: 'backwards';
  readonly items: readonly ChatItem[];
  readonly more: boolean;
  readonly fromCursor: number;
}

/** A page of history. The next one begins behind `throughCursor`. */
export interface HistoryResult {
  readonly kind: 'page';
  readonly items: readonly ChatItem[];
  readonly more: boolean;
  readonly throughCursor: number;
  readonly gap: Gap | undefined;
}

/** Something asked of the host, which may take as long as there is no connection. */
export interface Asked<T> {
  readonly answer: Promise<T | Fault>;
  /** Give up: the answer is CANCELLED. */
  cancel(): void;
}

/** The chat service of a client. Make it with `ChatClient.open`, one for a database. */
export class ChatClient {
  readonly #outbox: ClientOutbox;
  readonly #notice: (notice: OutboxNotice) => void;
  readonly #questions = new Questions();
  readonly #feed = new Feed(this.#questions);
  readonly #events = new ClientEvents(this.#questions);
  #stream: ClientStream | undefined;
  #stopped: Fault | undefined;

  private constructor(outbox: ClientOutbox, notice: (notice: OutboxNotice) => void) {
    this.#outbox = outbox;
    this.#notice = notice;
    outbox.changed = () => this.#stream?.posting.pump();
  }

  /** Read the outbox, or make it. */
  static async open(options: ChatClientOptions): Promise<ChatClient> {
    return new ChatClient(await ClientOutbox.open(options), options.notice);
  }

  /**
   * Run the client on a stream that was opened to the host for `CHAT_SERVICE`; an earlier stream is given up. Whoever
   * calls this opens another stream whenever there is a session and no chat stream, after a wait that grows with each
   * stream that this side aborted.
   */
  serve(stream: ServiceStream): StreamHandler {
    this.#stream?.abort(ErrorCode.CANCELLED);
    const handler = new ClientStream(stream, {
      outbox: this.#outbox,
      questions: this.#questions,
      feed: this.#feed,
      events: this.#events,
      notice: this.#notice,
      over: () => {
        this.#stream = undefined;
      },
    });
    this.#stream = handler;
    if (this.#stopped === undefined) handler.begin();
    else handler.abort(ErrorCode.UNSPECIFIED);
    return handler;
  }

  /**
   * Put a message into the outbox: resolves when it is durable here, and its `result` when the host has the last word.
   * The same id again gives the result of the first. Order of calls is order of posts.
   * Faults: MESSAGE_MALFORMED, MESSAGE_TOO_LARGE, OUTBOX_FULL, USAGE; in `result` also ROOM_UNKNOWN.
   */
  enqueue(content: Content): Promise<Enqueued | Fault> {
    return this.#outbox.enqueue(content);
  }

  /** Listen from a cursor on. */
  listen(options: ListenOptions, sink: ListenSink): Listening {
    if (this.#stopped === undefined) return this.#feed.listen(options, sink);
    sink.ended(this.#stopped);
    return { resume: () => {}, cancel: () => {} };
  }

  /** Read a page of history. It is empty only when there is nothing more. */
  history({ afterCursor, limit, room }: HistoryOptions): Asked<HistoryResult> {
    return this.#asked(settle => {
      let takeBack = (): void => {};
      let gap: Gap | undefined;
      const ask = (after: number): void => {
        const bounded = Math.max(1, Math.min(limit, HISTORY_PAGE_MESSAGES_MAX));
        takeBack = this.#questions.ask(
          { kind: 'history', afterCursor: after, limit: bounded, room },
          answer => {
            if (isFault(answer) || answer.kind === 'refusal') {
              settle(isFault(answer) ? answer : refused(answer.code));
              return;
            }
            const { places, more, throughCursor } = answer;
            gap ??= answer.gap;
            const items = places.flatMap(({ item }) => (item === undefined ? [] : [item]));
            // A page of one room can be empty with more behind it.
            if (items.length === 0 && more && throughCursor > after) ask(throughCursor);
            else settle({ kind: 'page', items, more, throughCursor, gap });
          },
        );
      };
      ask(afterCursor);
      return () => takeBack();
    });
  }

  /**
   * Read the messages before a cursor, the newest of them first asked for; what is searched for may lie several pages
   * back. Faults: VERSION_UNSUPPORTED from a host that only reads forwards.
   */
  backwards({ beforeCursor, limit, room, search }: BackwardsOptions): Asked<BackwardsResult> {
    return this.#asked(settle => {
      let takeBack = (): void => {};
      const items: ChatItem[] = [];
      const ask = (before: number): void => {
        const body = {
          kind: 'backwards',
          beforeCursor: before,
          limit: limit - items.length,
          room,
          search,
        } as const;
        takeBack = this.#questions.ask(body, answer => {
          if (isFault(answer) || answer.kind === 'refusal') {
            settle(isFault(answer) ? answer : refused(answer.code));
            return;
          }
          const { places, more, fromCursor } = answer;
          items.unshift(...places.flatMap(({ item }) => (item === undefined ? [] : [item])));
          // A page of a quiet room, or of a search, can be empty with more before it.
          if (items.length === 0 && more && fromCursor > 0 && fromCursor < before) ask(fromCursor);
          else settle({ kind: 'backwards', items, more, fromCursor });
        });
      };
      takeBack = this.#greet(settle, welcome => {
        if (welcome.backwards) ask(beforeCursor);
        else settle(older());
      });
      return () => takeBack();
    });
  }

  /** List the rooms, by name. */
  rooms(): Asked<{
    readonly kind: 'rooms';
    readonly names: readonly string[];
    readonly rooms: readonly RoomView[];
  }> {
    return this.#asked(settle =>
      this.#questions.ask({ kind: 'rooms' }, answer =>
        settle(isFault(answer) || answer.kind === 'rooms' ? answer : refused(answer.code)),
      ),
    );
  }

  /** List the people of a room. Faults: ROOM_UNKNOWN; VERSION_UNSUPPORTED from an older host. */
  people(room: string): Asked<{ readonly kind: 'people'; readonly people: readonly PersonView[] }> {
    return this.#asked(settle => {
      let takeBack = (): void => {};
      takeBack = this.#greet(settle, () => {
        takeBack = this.#questions.ask({ kind: 'people', room }, answer =>
          settle(isFault(answer) || answer.kind === 'people' ? answer : refused(answer.code)),
        );
      });
      return () => takeBack();
    });
  }

  /**
   * Ask for an invite for another device of this person. It is a secret.
   * Faults: NOT_PERMITTED, RATE_LIMITED, STORE_UNAVAILABLE; VERSION_UNSUPPORTED from an older host.
   */
  deviceInvite(name: string): Asked<Extract<ReplyBody, { kind: 'deviceInvite' }>> {
    return this.#asked(settle => {
      let takeBack = (): void => {};
      takeBack = this.#greet(settle, () => {
        takeBack = this.#questions.ask({ kind: 'deviceInvite', name }, answer =>
          settle(isFault(answer) || answer.kind === 'deviceInvite' ? answer : notInvited(answer.code)),
        );
      });
      return () => takeBack();
    });
  }

  /** Learn first what the host knows: an older one would answer something else. @impl CH-039~1 */
  #greet(
    settle: (why: Fault) => void,
    then: (welcome: Extract<ReplyBody, { kind: 'welcome' }>) => void,
  ): () => void {
    return this.#questions.ask({ kind: 'hello', events: false }, answer => {
      if (isFault(answer)) settle(answer);
      else if (answer.kind === 'welcome') then(answer);
      else settle(older());
    });
  }

  /** Hear of marks, typing and presence until the function that this gives is called. */
  events(sink: EventSink): () => void {
    return this.#events.listen(sink);
  }

  /** Say how far this person has come in a room; the host learns it, on this stream or a later one. */
  mark(mark: ReadMark): void {
    this.#events.mark(mark);
  }

  /** Say that this person is writing, if there is a connection. */
  typing(room: string): void {
    this.#events.typing(room);
  }

  /** How many messages wait for the host's word. */
  get unacknowledged(): number {
    return this.#outbox.view.items.length;
  }

  /** The highest cursor heard of; 0 for none. */
  get cursor(): number {
    return this.#feed.cursor;
  }

  /** End: tell everybody who waits. What is durable goes on with the next `open`. */
  stop(why: Fault): void {
    if (this.#stopped !== undefined) return;
    this.#stopped = why;
    this.#stream?.abort(ErrorCode.UNSPECIFIED);
    this.#outbox.stop(why);
    this.#questions.stop(why);
    this.#feed.stop(why);
  }

  #asked<T>(start: (settle: (value: T | Fault) => void) => () => void): Asked<T> {
    let cancel = (): void => {};
    const answer = new Promise<T | Fault>(settle => {
      if (this.#stopped !== undefined) {
        settle(this.#stopped);
        return;
      }
      const takeBack = start(settle);
      cancel = () => {
        takeBack();
        settle(fault('self', ErrorCode.CANCELLED, 'given up'));
      };
    });
    return { answer, cancel: () => cancel() };
  }
}

function older(): Fault {
  return fault(
    'peer',
    ErrorCode.VERSION_UNSUPPORTED,
    'the host is of an older version, which cannot do this',
  );
}

function refused(code: ErrorCode): Fault {
  return fault('peer', code, 'the host refused');
}

function notInvited(code: ErrorCode): Fault {
  if (code !== ErrorCode.NOT_PERMITTED) return refused(code);
  return fault('peer', code, 'only the operator of this host invites devices: ask for an invite');
}
