/** One chat stream of a client: requests under ids of their own, replies to the part that asked (spec/11-chat.md, 11.1). */
import { ErrorCode } from '../../gen/clawchat/v1/error_pb.ts';
import { isFault } from '../../wire/fault.ts';
import type { ServiceStream, StreamHandler } from '../ports.ts';
import type { ClientEvents } from './client-events.ts';
import type { ClientLink } from './client-link.ts';
import type { ClientOutbox } from './client-outbox.ts';
import { ClientPosting, type OutboxNotice } from './client-posting.ts';
import type { Feed } from './feed.ts';
import type { Questions } from './questions.ts';
import { parseReply, type Reply } from './reply.ts';
import { encodeRequest } from './request.ts';

const REQUEST_ID_MAX = 2 ** 32 - 1;

/** The id behind another one: 1 to 2^32 - 1, and again from 1. */
export function nextRequestId(id: number): number {
  return (id % REQUEST_ID_MAX) + 1;
}

/** The parts of a client that replies are for. */
export interface ClientParts {
  readonly outbox: ClientOutbox;
  readonly questions: Questions;
  readonly feed: Feed;
  readonly events: ClientEvents;
  readonly notice: (notice: OutboxNotice) => void;
  readonly over: () => void;
}

/** One stream to the host: hands each reply to the part that asked. */
export class ClientStream implements StreamHandler, ClientLink {
  readonly posting: ClientPosting;
  readonly #stream: ServiceStream;
  readonly #parts: ClientParts;
  #lastId = 0;
  #full = false;
  #closed = false;

  constructor(stream: ServiceStream, parts: ClientParts) {
    this.#stream = stream;
    this.#parts = parts;
    this.posting = new ClientPosting(this, parts.outbox, parts.notice);
  }

  begin(): void {
    this.#parts.feed.attach(this);
    this.#parts.questions.attach(this);
    this.#parts.events.attach(this);
  }

  /** Send a request under an id of its own. @impl CH-006~2 */
  request(body: Parameters<ClientLink['request']>[0]): number {
    this.#lastId = nextRequestId(this.#lastId);
    if (!this.#closed && !this.#stream.send(encodeRequest(this.#lastId, body))) this.#full = true;
    return this.#lastId;
  }

  message(message: Uint8Array): void {
    if (this.#closed) return;
    const reply = parseReply(message);
    if (isFault(reply)) this.abort(reply.code);
    else if (!this.#take(reply)) this.abort(ErrorCode.MESSAGE_MALFORMED);
    else this.posting.pump();
  }

  writable(): void {
    this.#full = false;
    this.posting.pump();
  }

  hasRoom(): boolean {
    return !this.#full;
  }

  closed(_code: ErrorCode): void {
    if (this.#closed) return;
    this.#closed = true;
    this.posting.end();
    this.#parts.feed.detach();
    this.#parts.questions.detach();
    this.#parts.events.detach();
    this.#parts.over();
  }

  abort(code: ErrorCode): void {
    if (this.#closed) return;
    this.closed(code);
    this.#stream.close(code);
  }

  /** Hand a reply on. False when nobody asked for it. @impl CH-007~2 */
  #take({ requestId, body }: Reply): boolean {
    const { feed, questions } = this.#parts;
    switch (body.kind) {
      case 'message':
        feed.message(body.place);
        return true;
      case 'gap':
        feed.gap(body.gap);
        return true;
      case 'caughtUp':
        feed.caughtUp(body.cursor);
        return true;
      case 'mark':
      case 'typing':
      case 'presence':
      case 'roomGap':
        this.#parts.events.take(body);
        return true;
      case 'unknown':
        return true;
      default:
        return this.posting.reply(requestId, body) || questions.reply(requestId, body);
    }
  }
}
