/** Those who use a chat client: one who writes and repeats until answered, one who reads. For tests only. */
import { ErrorCode } from '../../../gen/clawchat/v1/error_pb.ts';
import { hex } from '../../../wire/bytes.ts';
import { isFault } from '../../../wire/fault.ts';
import type { ChatClient } from '../client.ts';
import type { ContentExtra } from '../content.ts';
import type { Listening } from '../feed.ts';
import { draw, type Scheduler } from './scheduler.ts';

/** A message that a writer wants to send. */
export interface Wish {
  readonly id: string;
  readonly messageId: Uint8Array;
  room: string;
  readonly text: string;
  /** Nobody asks again once the client has it on its disk. */
  readonly trusting: boolean;
  /** Asked of the process that runs now. */
  asked: boolean;
  /** The client said that it is on its disk. */
  durable: boolean;
  /** What the host said at last. */
  answer: 'stored' | 'refused' | undefined;
  /** Where it is stored, once that was said. */
  cursor: number;
  /** What it does, or to which message, chosen when it is asked for the first time. */
  extra: ContentExtra | undefined;
  /** Somebody edits or takes it back. */
  touched: boolean;
  /** Given up, because the disk that held it was replaced: it is stored once or not at all. */
  uncertain: boolean;
}

/** Chooses what a wish does when it is asked for the first time; it may name another room. */
export type Chooser = (wish: Wish, mine: readonly Wish[], scheduler: Scheduler) => ContentExtra;

export const UNKNOWN_ROOM = 'nowhere';
/** Wishes that a writer has open at once. */
const WINDOW = 6;

/** Sends its wishes in order; after a crash it asks again, with the same ids, for what was not answered. */
export class Writer {
  readonly wishes: Wish[];
  readonly problems: string[] = [];
  readonly #choose: Chooser;
  /** Somebody else judges what the host answers. */
  readonly #isJudged: boolean;

  constructor(
    name: string,
    count: number,
    randomBytes: (length: number) => Uint8Array,
    scheduler: Scheduler,
    {
      choose = () => ({}),
      isJudged = false,
    }: { readonly choose?: Chooser; readonly isJudged?: boolean } = {},
  ) {
    this.#choose = choose;
    this.#isJudged = isJudged;
    this.wishes = Array.from({ length: count }, (_, k) => {
      const messageId = randomBytes(16);
      const room = draw(scheduler.random, 12) === 0 ? UNKNOWN_ROOM : 'lobby';
      const text = `${name} ${k}`;
      const fresh = {
        asked: false,
        durable: false,
        answer: undefined,
        uncertain: false,
        cursor: 0,
        extra: undefined,
        touched: false,
      };
      return { id: hex(messageId), messageId, room, text, trusting: k % 2 === 0, ...fresh };
    });
  }

  /** Everything has its answer, or is left to the client. */
  get done(): boolean {
    return this.#open.length === 0;
  }

  get #open(): readonly Wish[] {
    return this.wishes.filter(
      ({ answer, uncertain, trusting, durable }) =>
        answer === undefined && !uncertain && !(trusting && durable),
    );
  }

  /** The process that was asked is dead. */
  forgotten(): void {
    for (const wish of this.wishes) wish.asked = false;
  }

  /** The disk was replaced by an older one: what was asked before and not answered may be lost. */
  restored(): void {
    for (const wish of this.wishes) {
      if ((wish.asked || wish.durable) && wish.answer === undefined) wish.uncertain = true;
    }
  }

  /** The device is no more: what it was asked is answered or never will be. */
  revoked(): void {
    for (const wish of this.wishes) if (wish.answer === undefined) wish.uncertain = true;
  }

  /** Ask for the next wish; sometimes ask twice, as somebody does who lost the connection to the owner. */
  tick(chat: ChatClient, scheduler: Scheduler): void {
    const open = this.#open;
    const wish = open.slice(0, WINDOW).find(({ asked }) => !asked);
    const again = open.find(({ asked }) => asked);
    if (wish !== undefined) {
      wish.extra ??= this.#choose(wish, this.wishes, scheduler);
      this.#ask(wish, chat);
    } else if (again !== undefined && draw(scheduler.random, 4) === 0) {
      scheduler.count('asked twice');
      this.#ask(again, chat);
    }
  }

  #ask(wish: Wish, chat: ChatClient): void {
    wish.asked = true;
    const { messageId, room, extra } = wish;
    const text = extra?.act === undefined ? wish.text : '';
    const answered = async (): Promise<void> => {
      const enqueued = await chat.enqueue({ messageId, room, text, sentAtMs: 1, ...extra });
      if (isFault(enqueued)) {
        this.problems.push(`${wish.text}: ${enqueued.detail}`);
        return;
      }
      wish.durable = true;
      const result = await enqueued.result;
      const answer = isFault(result) ? 'refused' : 'stored';
      const expected = room === UNKNOWN_ROOM ? 'refused' : 'stored';
      const isWrong = answer !== expected && !this.#isJudged;
      if (isWrong || (!this.#isJudged && isFault(result) && result.code !== ErrorCode.ROOM_UNKNOWN)) {
        this.problems.push(`${wish.text}: ${answer}, not ${expected}`);
      }
      wish.answer = answer;
      wish.cursor = isFault(result) ? 0 : result.cursor;
    };
    answered().catch(error => this.problems.push(String(error)));
  }
}

/** Do something in the lobby whose place in the history says how everything has to stand at the end. */
export const lobbyActs: Chooser = (wish, mine, scheduler) => {
  const which = draw(scheduler.random, 6);
  const last = mine.findLast(
    ({ cursor, touched, extra, room }) =>
      cursor > 0 &&
      !touched &&
      room !== UNKNOWN_ROOM &&
      extra?.act === undefined &&
      extra?.edits === undefined,
  );
  if (wish.room === UNKNOWN_ROOM || which > 3) return {};
  if (which === 0) return { act: { kind: 'rename', name: wish.text } };
  if (which === 1) return { act: { kind: 'topic', topic: wish.text } };
  if (last === undefined) return {};
  if (which === 2) return { edits: last.cursor };
  last.touched = true;
  return { act: { kind: 'delete', cursor: last.cursor } };
};

/** Reads everything from the beginning, in a process of its own that remembers its cursor. */
export class Reader {
  readonly cursors: number[] = [];
  /** Cursors of acts that delete a room: nobody reads them. */
  readonly removals: number[] = [];
  #cursor = 0;
  #listening: Listening | undefined;

  /** Listen to the process that runs now. */
  listen(chat: ChatClient, scheduler: Scheduler): void {
    this.#listening?.cancel();
    const listening = chat.listen(
      { afterCursor: this.#cursor, room: '' },
      {
        items: items => {
          for (const { cursor, act } of items) {
            this.cursors.push(cursor);
            if (act?.kind === 'remove') this.removals.push(cursor);
            this.#cursor = cursor;
          }
          if (draw(scheduler.random, 3) > 0) return true;
          scheduler.count('listener full');
          scheduler.add(chat, () => listening.resume());
          return false;
        },
        gap: () => scheduler.count('gap'),
        caughtUp: () => scheduler.count('caught up'),
        ended: () => scheduler.count('listener ended'),
      },
    );
    this.#listening = listening;
  }
}
