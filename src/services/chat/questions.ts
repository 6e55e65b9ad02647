/** Questions that change nothing, asked again on each new stream until they are answered (spec/11-chat.md, 11.1). */
import type { Fault } from '../../wire/fault.ts';
import type { ClientLink } from './client-link.ts';
import type { ReplyBody } from './reply.ts';
import type { RequestBody } from './request.ts';

/** Questions that a stream carries at once; the others wait here. */
const IN_FLIGHT_MAX = 4;

/** Which reply answers which question. */
const ANSWERS = {
  history: 'history',
  backwards: 'history',
  rooms: 'rooms',
  hello: 'welcome',
  people: 'people',
  deviceInvite: 'deviceInvite',
} as const;

type Ask = Extract<RequestBody, { readonly kind: keyof typeof ANSWERS }>;
/** An answer: of the kind that was asked, a refusal, or the end of the client. */
export type Answer<K extends Ask['kind']> =
  | Extract<ReplyBody, { readonly kind: (typeof ANSWERS)[K] }>
  | Extract<ReplyBody, { readonly kind: 'refusal' }>
  | Fault;

interface Question {
  readonly body: Ask;
  readonly answered: (reply: ReplyBody | Fault) => void;
  /** It was answered or taken back: nobody waits for it. */
  over: boolean;
}

/** A row of questions, first asked, first sent. Who asks bounds how many there are. */
export class Questions {
  #link: ClientLink | undefined;
  #waiting: Question[] = [];
  #asked = new Map<number, Question>();

  /** Ask, and be told once. Gives a function that takes the question back. */
  ask<K extends Ask['kind']>(
    body: Extract<Ask, { readonly kind: K }>,
    answered: (answer: Answer<K>) => void,
  ): () => void {
    const tell = answered as (reply: ReplyBody | Fault) => void;
    const question: Question = {
      body,
      over: false,
      answered: reply => {
        if (question.over) return;
        question.over = true;
        tell(reply);
      },
    };
    this.#waiting.push(question);
    this.#pump();
    return () => {
      question.over = true;
      this.#waiting = this.#waiting.filter(other => other !== question);
    };
  }

  /** A stream is open. */
  attach(link: ClientLink): void {
    this.#link = link;
    this.#pump();
  }

  /** The stream is over: what it did not answer is asked again first. */
  detach(): void {
    this.#link = undefined;
    this.#waiting = [...this.#asked.values(), ...this.#waiting].filter(({ over }) => !over);
    this.#asked.clear();
  }

  /** Take a reply. False when nothing of the kind was asked. */
  reply(requestId: number, body: ReplyBody): boolean {
    const question = this.#asked.get(requestId);
    if (question === undefined) return false;
    if (body.kind !== ANSWERS[question.body.kind] && body.kind !== 'refusal') return false;
    this.#asked.delete(requestId);
    question.answered(body);
    this.#pump();
    return true;
  }

  /** Answer everything with the end of the client. */
  stop(why: Fault): void {
    this.detach();
    const waiting = this.#waiting;
    this.#waiting = [];
    for (const { answered } of waiting) answered(why);
  }

  #pump(): void {
    while (this.#link !== undefined && this.#asked.size < IN_FLIGHT_MAX) {
      const question = this.#waiting.shift();
      if (question === undefined) return;
      this.#asked.set(this.#link.request(question.body), question);
    }
  }
}
