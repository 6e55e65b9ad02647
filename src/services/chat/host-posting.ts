/** The posts of one device's stream at the host: who holds the outbox, what is a repeat, what comes next (spec/11-chat.md, 11.4). */
import { ErrorCode } from '../../gen/clawchat/v1/error_pb.ts';
import { CHAT_MESSAGE_BYTES_MAX, OUTBOX_UNACKNOWLEDGED_MAX } from '../../gen/constants.ts';
import { hex } from '../../wire/bytes.ts';
import type { ChatHost } from './host.ts';
import type { Sender } from './message-log.ts';
import type { DeviceOutbox } from './outbox-table.ts';
import { judgePost, judgeRepeat, judgeReplace, type OutboxHead } from './posting.ts';
import type { PostOutcome } from './reply.ts';
import { encodeReply } from './reply-writing.ts';
import type { RequestBody } from './request.ts';
import type { Targets } from './rewrites.ts';

type Body<K extends RequestBody['kind']> = Extract<RequestBody, { readonly kind: K }>;

/** The stream that posts. */
export interface PostingPort {
  send(message: Uint8Array): void;
  refuse(requestId: number, code: ErrorCode): void;
  /** Take no other request until this is done. */
  wait(work: Promise<void>): void;
  /** There may be room for another request. */
  pump(): void;
}

/** What one stream posts. */
export class HostPosting {
  readonly #host: ChatHost;
  readonly #sender: Sender;
  readonly #device: string;
  readonly #port: PostingPort;
  #outbox: DeviceOutbox | undefined;
  #inFlight = 0;
  #bytesInFlight = 0;
  #ended = false;

  constructor(host: ChatHost, sender: Sender, port: PostingPort) {
    this.#host = host;
    this.#sender = sender;
    this.#device = hex(sender.deviceId);
    this.#port = port;
  }

  /** Whether so much is on its way to the database that nothing more is taken. */
  get isFull(): boolean {
    return this.#inFlight >= OUTBOX_UNACKNOWLEDGED_MAX || this.#bytesInFlight >= CHAT_MESSAGE_BYTES_MAX;
  }

  /** The stream is over. */
  end(): void {
    this.#ended = true;
    if (this.#outbox !== undefined) this.#host.outboxes.release(this.#outbox, this);
  }

  /** The stream posts from here on, and older ones of the device do not. */
  async open(requestId: number, { outboxId }: Body<'outboxOpen'>): Promise<void> {
    const outbox = this.#host.outboxes.take(this.#device, this);
    this.#outbox = outbox;
    const head = await this.#host.outboxes.state(outbox, outboxId);
    if (this.#holds(outbox)) this.#sendState(requestId, head);
    else this.#port.refuse(requestId, ErrorCode.OUTBOX_UNKNOWN);
  }

  async compare(requestId: number, { entries }: Body<'outboxCompare'>): Promise<void> {
    const outbox = this.#outbox;
    if (outbox === undefined || !this.#holds(outbox)) {
      this.#port.refuse(requestId, ErrorCode.OUTBOX_UNKNOWN);
      return;
    }
    const stored = await this.#host.outboxes.stored(outbox, entries);
    const hashes = stored.map(({ hash }) => hash);
    const cursors = stored.map(({ cursor }) => BigInt(cursor));
    this.#port.send(encodeReply(requestId, { case: 'outboxStored', value: { hashes, cursors } }));
  }

  replace(requestId: number, { outboxId }: Body<'outboxReplace'>): void {
    const [outbox, head] = this.#mine();
    const verdict = head && judgeReplace(head, outboxId);
    if (outbox === undefined || verdict === undefined || verdict === 'refuse') {
      this.#port.refuse(requestId, head === undefined ? ErrorCode.OUTBOX_UNKNOWN : ErrorCode.OUTBOX_MISMATCH);
      return;
    }
    const operations = verdict === 'begin' ? this.#host.outboxes.replace(outbox, head, outboxId) : [];
    const replaced = outbox.head ?? head;
    if (verdict === 'begin') {
      const { deviceId, name } = this.#sender;
      const { id: oldOutbox, highest } = head;
      const newOutbox = replaced.id;
      this.#host.alarm({ kind: 'outbox-replaced', deviceId, name, oldOutbox, newOutbox, highest });
    }
    this.#host.commit(operations, () => this.#sendState(requestId, replaced));
  }

  post(requestId: number, body: Body<'post'>, wallMs: number, targets?: Targets): void {
    const { outboxId, number, content } = body;
    const [outbox, head] = this.#mine();
    if (outbox === undefined) {
      this.#port.refuse(requestId, ErrorCode.OUTBOX_UNKNOWN);
      return;
    }
    const verdict = judgePost(head, outboxId, number);
    switch (verdict.kind) {
      case 'refuse':
        this.#port.refuse(requestId, verdict.code);
        break;
      case 'repeat':
        this.#port.wait(this.#repeat(requestId, outbox, number, verdict.serial, this.#host.hash(content)));
        break;
      case 'next': {
        const decide = (found: Targets): void => this.post(requestId, body, wallMs, found);
        const reading = targets === undefined ? this.#host.rewrites.read(content, decide) : undefined;
        if (reading !== undefined) {
          this.#port.wait(reading);
          return;
        }
        this.#inFlight += 1;
        this.#bytesInFlight += content.length;
        this.#host.post({ outbox, head, sender: this.#sender }, content, wallMs, targets, outcome => {
          this.#inFlight -= 1;
          this.#bytesInFlight -= content.length;
          this.#sendResult(requestId, number, outcome);
          this.#port.pump();
        });
      }
    }
  }

  async #repeat(
    requestId: number,
    outbox: DeviceOutbox,
    number: number,
    serial: number,
    hash: Uint8Array,
  ): Promise<void> {
    const outcome = judgeRepeat(await this.#host.outboxes.kept(outbox, serial), hash);
    if (outcome === undefined) this.#port.refuse(requestId, ErrorCode.OUTBOX_MISMATCH);
    else this.#sendResult(requestId, number, outcome);
  }

  /** The outbox and its state while this stream is the one that holds it. */
  #mine(): readonly [DeviceOutbox, OutboxHead] | readonly [undefined, undefined] {
    const outbox = this.#outbox;
    if (outbox?.head === undefined || !this.#holds(outbox)) return [undefined, undefined];
    return [outbox, outbox.head];
  }

  #holds(outbox: DeviceOutbox): boolean {
    return outbox.holder === this && !this.#ended;
  }

  #sendState(requestId: number, { id, highest, hash }: OutboxHead): void {
    const value = { outboxId: id, highest: BigInt(highest), hash };
    this.#port.send(encodeReply(requestId, { case: 'outboxState', value }));
  }

  #sendResult(requestId: number, number: number, { code, cursor }: PostOutcome): void {
    const value = { number: BigInt(number), code, cursor: BigInt(cursor) };
    this.#port.send(encodeReply(requestId, { case: 'postResult', value }));
  }
}
