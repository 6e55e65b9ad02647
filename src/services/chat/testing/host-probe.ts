/** A host that is asked request by request, and what it answers in a few words. For tests only. */
import { noble } from '../../../crypto/noble.ts';
import { ErrorCode } from '../../../gen/clawchat/v1/error_pb.ts';
import { codeName } from '../../../protocol/fault.ts';
import { isFault } from '../../../wire/fault.ts';
import type { StreamHandler } from '../../ports.ts';
import { ProbeStream } from '../../testing/probe-stream.ts';
import { encodeContent } from '../content.ts';
import { type ChatAlarm, ChatHost } from '../host.ts';
import type { Sender } from '../message-log.ts';
import { parseReply, type Reply } from '../reply.ts';
import { encodeRequest, type RequestBody } from '../request.ts';
import { ProbeDatabase } from './probe.ts';
import { settle } from './settle.ts';

export const ALICE: Sender = { deviceId: new Uint8Array(16).fill(0xaa), name: 'alice' };
export const BOB: Sender = { deviceId: new Uint8Array(16).fill(0xbb), name: 'bob' };
/** Outboxes. */
export const X: Uint8Array = new Uint8Array(16).fill(1);
export const Y: Uint8Array = new Uint8Array(16).fill(2);

/** Content number n: distinct, and the same each time. */
export function content(n: number, change: { room?: string; text?: string } = {}): Uint8Array {
  const messageId = new Uint8Array(16);
  new DataView(messageId.buffer).setUint32(0, n);
  return encodeContent({ messageId, room: 'lobby', text: `text ${n}`, sentAtMs: 1, ...change });
}

/** One device's stream at the host. */
export class Peer {
  readonly stream: ProbeStream = new ProbeStream();
  readonly handler: StreamHandler;
  #id = 0;
  wallMs: number = 1_000;

  constructor(host: ChatHost, sender: Sender = ALICE) {
    this.handler = host.serve(this.stream, sender);
  }

  ask(body: RequestBody): void {
    this.#id += 1;
    this.handler.message(encodeRequest(this.#id, body), this.wallMs);
  }

  post(number: number, bytes: Uint8Array = content(number), outboxId: Uint8Array = X): void {
    this.ask({ kind: 'post', outboxId, number, content: bytes });
  }

  async answers(): Promise<readonly Reply['body'][]> {
    await settle();
    return this.stream.take().map(message => {
      const reply = parseReply(message);
      if (isFault(reply)) throw new Error(reply.detail);
      return reply.body;
    });
  }

  async open(outboxId: Uint8Array = X): Promise<readonly string[]> {
    this.ask({ kind: 'outboxOpen', outboxId });
    return brief(await this.answers());
  }
}

/** Say each answer in a few words. */
export function brief(bodies: readonly Reply['body'][]): readonly string[] {
  return bodies.map((body): string => {
    switch (body.kind) {
      case 'outboxState':
        return `state ${body.status.outboxId[0]} ${body.status.highest} ${body.status.hash.length}`;
      case 'outboxStored':
        return `stored ${body.stored.map(({ cursor }) => cursor).join(' ')}`;
      case 'postResult': {
        const { code, cursor } = body.outcome;
        return `result ${body.number} ${code === ErrorCode.UNSPECIFIED ? cursor : codeName(code)}`;
      }
      case 'message':
        return `message ${body.place.cursor} ${body.place.item?.text}`;
      case 'gap':
        return `gap ${body.gap.afterCursor} ${body.gap.firstCursor}`;
      case 'caughtUp':
        return `caught up ${body.cursor}`;
      case 'history':
        return `page ${body.places.map(({ cursor }) => cursor).join(' ')} through ${body.throughCursor} ${body.more}`;
      case 'rooms':
        return `rooms ${body.names.join(' ')}`;
      case 'refusal':
        return `refusal ${codeName(body.code)}`;
      case 'unknown':
        break;
    }
    return 'unknown';
  });
}

/** What a host works with, which outlives it. */
export class HostProbe {
  database: ProbeDatabase = new ProbeDatabase();
  readonly alarms: ChatAlarm[] = [];
  readonly failures: unknown[] = [];

  /** Start a host on it. */
  open(): Promise<ChatHost> {
    return ChatHost.open({
      database: this.database,
      suite: noble,
      alarm: alarm => this.alarms.push(alarm),
      enrolled: () => 'somebody',
      failed: reason => this.failures.push(reason),
    });
  }
}
