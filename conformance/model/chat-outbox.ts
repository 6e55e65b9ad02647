/** A client's outbox on one stream after another, as 11.4 says it: what is sent, kept and reported, step by step. */
import { create, toBinary } from '@bufbuild/protobuf';
import {
  type ChatReply,
  ChatReplySchema,
  type ChatRequest,
  ChatRequestSchema,
  type OutboxState,
  type OutboxStored,
} from '../../src/gen/clawchat/v1/chat_pb.ts';
import { EMPTY, equal, hex } from './bytes.ts';
import { readContent, readReply } from './chat.ts';
import { codeName } from './frame.ts';
import { contentHash } from './labels.ts';
import { decode } from './protobuf.ts';
import { attempt } from './refusal.ts';
import type { JsonObject } from './vector.ts';

/** An outbox: the posts without an answer have the numbers behind `answered`. */
export interface Outbox {
  readonly id: Uint8Array;
  readonly answered: number;
  readonly answeredHash: Uint8Array;
  readonly posts: readonly Uint8Array[];
}

/** What happens: `answers` is the place of the request among those of the stream, from 1. */
export type OutboxEvent =
  | { readonly kind: 'opens' | 'ends' | 'durable' | 'crash' }
  | { readonly kind: 'reply'; readonly answers: number; readonly bytes: Uint8Array };

type Phase = 'none' | 'opening' | 'comparing' | 'storing' | 'replacing' | 'ready';
type Body = ChatRequest['body'];

interface Report {
  readonly message_id: string;
  readonly cursor?: number;
  readonly code?: string;
}

/** The client; it begins with an outbox that is durable, and without a stream. */
export class OutboxModel {
  #durable: Outbox;
  #now: Outbox;
  readonly #newId: Uint8Array;
  #phase: Phase = 'none';
  /** How many requests the stream has carried, and which of them are posts without an answer. */
  #asked = 0;
  #posts: number[] = [];
  #reports: Report[] = [];
  #out: { sends: string[]; keeps?: JsonObject; reports: Report[]; aborts?: string } = {
    sends: [],
    reports: [],
  };

  constructor(outbox: Outbox, newId: Uint8Array) {
    this.#durable = outbox;
    this.#now = outbox;
    this.#newId = newId;
  }

  /** What comes of one event. */
  step(event: OutboxEvent): JsonObject {
    this.#out = { sends: [], reports: [] };
    switch (event.kind) {
      case 'opens':
        this.#phase = 'opening';
        this.#asked = 0;
        this.#posts = [];
        this.#send({
          case: 'outboxOpen',
          value: { $typeName: 'clawchat.v1.OutboxOpen', outboxId: this.#now.id },
        });
        break;
      case 'ends':
        this.#phase = 'none';
        break;
      case 'crash':
        this.#phase = 'none';
        this.#now = this.#durable;
        this.#reports = [];
        break;
      case 'durable':
        this.#settle();
        break;
      case 'reply':
        this.#hear(event.answers, event.bytes);
    }
    const { sends, keeps, reports, aborts } = this.#out;
    return {
      ...(sends.length > 0 && { sends }),
      ...(keeps && { keeps }),
      ...(reports.length > 0 && { reports: reports.map(report => ({ ...report })) }),
      ...(aborts !== undefined && { aborts }),
    };
  }

  #send(body: Body): void {
    this.#asked += 1;
    this.#out.sends.push(hex(toBinary(ChatRequestSchema, create(ChatRequestSchema, { body }))));
  }

  #abort(code: string): void {
    this.#phase = 'none';
    this.#out.aborts = code;
  }

  #keep(outbox: Outbox): void {
    this.#now = outbox;
    const { id, answered, answeredHash, posts } = outbox;
    this.#out.keeps = { id: hex(id), answered, answered_hash: hex(answeredHash), posts: posts.map(hex) };
  }

  /** What was to be kept is durable: now it is reported, and a new outbox is named to the host. */
  #settle(): void {
    this.#durable = this.#now;
    this.#out.reports = this.#reports;
    this.#reports = [];
    if (this.#phase !== 'storing') return;
    this.#phase = 'replacing';
    const value = { $typeName: 'clawchat.v1.OutboxReplace' as const, outboxId: this.#now.id };
    this.#send({ case: 'outboxReplace', value });
  }

  #hear(answers: number, bytes: Uint8Array): void {
    const reply = 'value' in attempt(() => readReply(bytes)) ? decode(ChatReplySchema, bytes) : undefined;
    if (reply === undefined || !this.#take(answers, reply.body)) this.#abort('MESSAGE_MALFORMED');
  }

  /** False when it answers nothing that was asked. */
  #take(answers: number, body: ChatReply['body']): boolean {
    if (body.case === 'refusal') {
      this.#abort(body.value.code === 0 ? 'INTERNAL' : codeName(body.value.code));
      return true;
    }
    if (body.case === 'postResult') return this.#answered(answers, body);
    if (answers !== this.#asked) return false;
    if (body.case === 'outboxState' && this.#phase === 'opening') this.#opened(body.value);
    else if (body.case === 'outboxStored' && this.#phase === 'comparing') this.#compared(body.value);
    else if (body.case === 'outboxState' && this.#phase === 'replacing') {
      const { outboxId, highest } = body.value;
      if (!equal(outboxId, this.#now.id) || highest !== 0n) return false;
      this.#postAll();
    } else return false;
    return true;
  }

  #opened(state: OutboxState): void {
    if (this.#agrees(state)) {
      this.#postAll();
      return;
    }
    this.#phase = 'comparing';
    const entries = this.#now.posts.map((content, i) => ({
      $typeName: 'clawchat.v1.OutboxEntry' as const,
      number: BigInt(this.#now.answered + 1 + i),
      hash: contentHash(content),
    }));
    this.#send({ case: 'outboxCompare', value: { $typeName: 'clawchat.v1.OutboxCompare', entries } });
  }

  /** CH-019. */
  #agrees({ outboxId, highest, hash }: OutboxState): boolean {
    const { id, answered, answeredHash, posts } = this.#now;
    if (!equal(outboxId, id)) return false;
    if (highest < answered || highest > answered + posts.length) return false;
    if (Number(highest) === answered) return equal(hash, answeredHash);
    const post = posts[Number(highest) - answered - 1];
    return post !== undefined && equal(hash, contentHash(post));
  }

  /** CH-025. */
  #postAll(): void {
    this.#phase = 'ready';
    this.#now.posts.forEach((content, i) => {
      const number = BigInt(this.#now.answered + 1 + i);
      const value = { $typeName: 'clawchat.v1.Post' as const, outboxId: this.#now.id, number, content };
      this.#send({ case: 'post', value });
      this.#posts.push(this.#asked);
    });
  }

  /** CH-023. */
  #compared({ hashes, cursors }: OutboxStored): void {
    const rest: Uint8Array[] = [];
    for (const content of this.#now.posts) {
      const at = hashes.findIndex(hash => equal(hash, contentHash(content)));
      if (at < 0) rest.push(content);
      else this.#reports.push({ message_id: idOf(content), cursor: Number(cursors[at]) });
    }
    this.#phase = 'storing';
    this.#keep({ id: this.#newId, answered: 0, answeredHash: EMPTY, posts: rest });
  }

  /** CH-024; results come in the order of numbers. */
  #answered(answers: number, { value }: Extract<ChatReply['body'], { case: 'postResult' }>): boolean {
    const { id, answered, posts } = this.#now;
    const [post, ...rest] = posts;
    if (post === undefined || this.#posts.shift() !== answers || Number(value.number) !== answered + 1) {
      return false;
    }
    const what = value.code === 0 ? { cursor: Number(value.cursor) } : { code: codeName(value.code) };
    this.#reports.push({ message_id: idOf(post), ...what });
    this.#keep({ id, answered: answered + 1, answeredHash: contentHash(post), posts: rest });
    return true;
  }
}

function idOf(content: Uint8Array): string {
  return String(readContent(content)['message_id']);
}
