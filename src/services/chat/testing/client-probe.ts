/** A client whose host a test plays by hand. For tests only. */
import { fromBinary } from '@bufbuild/protobuf';
import { noble } from '../../../crypto/noble.ts';
import { type ChatRequest, ChatRequestSchema } from '../../../gen/clawchat/v1/chat_pb.ts';
import { ErrorCode } from '../../../gen/clawchat/v1/error_pb.ts';
import { isFault } from '../../../wire/fault.ts';
import type { StreamHandler } from '../../ports.ts';
import { ProbeStream } from '../../testing/probe-stream.ts';
import { ChatClient } from '../client.ts';
import type { Enqueued } from '../client-outbox.ts';
import type { OutboxNotice } from '../client-posting.ts';
import { type Content, encodeContent } from '../content.ts';
import { encodeMessage, encodeReply } from '../reply-writing.ts';
import { ProbeDatabase } from './probe.ts';
import { settle } from './settle.ts';

export const NONE: Uint8Array = new Uint8Array(0);

/** Content number n: distinct, and the same each time. */
export function content(n: number, text: string = `text ${n}`, room: string = 'lobby'): Content {
  const messageId = new Uint8Array(16);
  new DataView(messageId.buffer).setUint32(0, n);
  return { messageId, room, text, sentAtMs: 1 };
}

/** It as a host stores it. */
export function stored(cursor: number, of: Content = content(cursor)): Uint8Array {
  const deviceId = new Uint8Array(16);
  return encodeMessage({ cursor, deviceId, name: 'bob', storedAtMs: 1, content: encodeContent(of) });
}

export async function enqueued(client: ChatClient, of: Content): Promise<Enqueued> {
  const result = await client.enqueue(of);
  if (isFault(result)) throw new Error(result.detail);
  return result;
}

/** A host played by hand. */
export class Host {
  readonly stream: ProbeStream = new ProbeStream();
  readonly #handler: StreamHandler;

  constructor(client: ChatClient) {
    this.#handler = client.serve(this.stream);
  }

  /** What the client sent since the last time. */
  async asked(): Promise<readonly ChatRequest[]> {
    await settle();
    return this.stream.take().map(message => fromBinary(ChatRequestSchema, message));
  }

  async kinds(): Promise<readonly string[]> {
    return (await this.asked()).map(({ body }) =>
      body.case === 'post' ? `post ${body.value.number}` : String(body.case),
    );
  }

  say(message: Uint8Array): void {
    this.#handler.message(message, 0);
  }

  reply(...[requestId, body]: Parameters<typeof encodeReply>): void {
    this.say(encodeReply(requestId, body));
  }

  state(requestId: number, outboxId: Uint8Array, highest: number = 0, hash: Uint8Array = NONE): void {
    this.reply(requestId, { case: 'outboxState', value: { outboxId, highest: BigInt(highest), hash } });
  }

  result(requestId: number, number: number, cursor: number, code: ErrorCode = ErrorCode.UNSPECIFIED): void {
    const value = { number: BigInt(number), cursor: BigInt(cursor), code };
    this.reply(requestId, { case: 'postResult', value });
  }

  writable(): void {
    this.#handler.writable();
  }

  gone(): void {
    this.#handler.closed(ErrorCode.SESSION_LOST);
  }

  /** Answer OutboxOpen as a host that knows nothing of the device. */
  async agree(): Promise<Uint8Array> {
    const [open] = await this.asked();
    if (open?.body.case !== 'outboxOpen') throw new Error(`not opened: ${open?.body.case}`);
    const { outboxId } = open.body.value;
    this.state(open.requestId, outboxId);
    return outboxId;
  }
}

/** What a client works with, which outlives it. */
export class ClientProbe {
  readonly database: ProbeDatabase = new ProbeDatabase();
  readonly notices: OutboxNotice[] = [];

  /** Start a client on it. */
  open(): Promise<ChatClient> {
    const failed = (reason: unknown): void => {
      throw reason;
    };
    const notice = (said: OutboxNotice): void => void this.notices.push(said);
    return ChatClient.open({ database: this.database, suite: noble, failed, notice });
  }
}
