/** How a client posts on one stream: agree on the outbox first, then everything in order (spec/11-chat.md, 11.4). */
import { ErrorCode } from '../../gen/clawchat/v1/error_pb.ts';
import { hex, sameBytes } from '../../wire/bytes.ts';
import type { ClientLink } from './client-link.ts';
import type { ClientOutbox } from './client-outbox.ts';
import { judgeStatus } from './outbox.ts';
import type { ReplyBody } from './reply.ts';

/**
 * The host's and the client's outbox contradicted each other: one of the two was restored from a backup or copied.
 * @impl CH-029~1
 */
export interface OutboxNotice {
  readonly kind: 'outbox-replaced';
  /** Messages that turned out to be stored, and those that go into the new outbox. */
  readonly stored: number;
  readonly resent: number;
  /** True when the host no longer knows what it once answered: messages may be missing in its history. */
  readonly hostForgot: boolean;
}

/**
 * opening: the host's state is asked for; comparing: it contradicts ours, and we have named what we hold; storing: the
 * new outbox is on its way to the disk; replacing: the host is told of it; ready: posts flow; over: the stream ended.
 */
type Phase = 'opening' | 'comparing' | 'storing' | 'replacing' | 'ready' | 'over';

/** The posts of one stream. A new stream begins a new one. */
export class ClientPosting {
  readonly #link: ClientLink;
  readonly #outbox: ClientOutbox;
  readonly #notice: (notice: OutboxNotice) => void;
  #phase: Phase = 'opening';
  /** The id of the one question about the outbox that is open. */
  #asked: number;
  #hostForgot = false;
  /** Posts that were sent and not answered, lowest first. */
  #sent: { readonly requestId: number; readonly number: number }[] = [];
  #next = 1;

  constructor(link: ClientLink, outbox: ClientOutbox, notice: (notice: OutboxNotice) => void) {
    this.#link = link;
    this.#outbox = outbox;
    this.#notice = notice;
    this.#asked = link.request({ kind: 'outboxOpen', outboxId: outbox.view.id });
  }

  /** Send what is durable and was not sent on this stream, as far as the stream takes it. @impl CH-025~1 */
  pump(): void {
    while (this.#phase === 'ready' && this.#link.hasRoom()) {
      const { id, acknowledged, items } = this.#outbox.view;
      const item = items[this.#next - acknowledged - 1];
      if (item === undefined || !item.durable) return;
      const number = this.#next;
      this.#next += 1;
      const requestId = this.#link.request({ kind: 'post', outboxId: id, number, content: item.content });
      this.#sent.push({ requestId, number });
    }
  }

  /** Take a reply about the outbox or a post. False when nothing of the kind was asked. */
  reply(requestId: number, body: ReplyBody): boolean {
    switch (body.kind) {
      case 'outboxState':
        return requestId === this.#asked && this.#state(body);
      case 'outboxStored':
        return requestId === this.#asked && this.#compared(body);
      case 'postResult':
        return this.#result(requestId, body);
      case 'refusal':
        return this.#refused(requestId, body.code);
      default:
        return false;
    }
  }

  /** The stream is over. */
  end(): void {
    this.#phase = 'over';
  }

  #state({ status }: Extract<ReplyBody, { kind: 'outboxState' }>): boolean {
    const { view } = this.#outbox;
    if (this.#phase === 'opening') {
      if (judgeStatus(view, status) === 'agreed') {
        this.#begin();
        return true;
      }
      this.#phase = 'comparing';
      this.#hostForgot = sameBytes(view.id, status.outboxId) && status.highest < view.acknowledged;
      const entries = view.items.map(({ hash }, i) => ({ number: view.acknowledged + 1 + i, hash }));
      this.#asked = this.#link.request({ kind: 'outboxCompare', entries });
      return true;
    }
    if (this.#phase !== 'replacing') return false;
    if (!sameBytes(view.id, status.outboxId) || status.highest !== 0) return false;
    this.#begin();
    return true;
  }

  #compared({ stored }: Extract<ReplyBody, { kind: 'outboxStored' }>): boolean {
    if (this.#phase !== 'comparing') return false;
    const held = new Set(this.#outbox.view.items.map(({ hash }) => hex(hash)));
    if (!stored.every(({ hash }) => held.has(hex(hash)))) return false;
    this.#phase = 'storing';
    const before = this.#outbox.view.items.length;
    const durable = this.#outbox.replace(stored);
    const { id, items } = this.#outbox.view;
    const resent = items.length;
    this.#notice({
      kind: 'outbox-replaced',
      stored: before - resent,
      resent,
      hostForgot: this.#hostForgot,
    });
    void durable.then(() => {
      if (this.#phase !== 'storing') return;
      this.#phase = 'replacing';
      this.#asked = this.#link.request({ kind: 'outboxReplace', outboxId: id });
    });
    return true;
  }

  #begin(): void {
    this.#phase = 'ready';
    this.#next = this.#outbox.view.acknowledged + 1;
    this.pump();
  }

  /** Results come in the order of numbers. */
  #result(requestId: number, { number, outcome }: Extract<ReplyBody, { kind: 'postResult' }>): boolean {
    const first = this.#sent.shift();
    if (first === undefined || first.requestId !== requestId || first.number !== number) return false;
    this.#outbox.settle(outcome);
    return true;
  }

  /** Nothing about the outbox is ever tried again on the same stream. @impl CH-028~1 */
  #refused(requestId: number, code: ErrorCode): boolean {
    const ours = requestId === this.#asked || this.#sent.some(post => post.requestId === requestId);
    if (ours) this.#link.abort(code === ErrorCode.UNSPECIFIED ? ErrorCode.INTERNAL : code);
    return ours;
  }
}
