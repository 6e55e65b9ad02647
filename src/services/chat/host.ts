/** The chat service of a host: one history, one outbox for each device (spec/11-chat.md). */
import { fromBinary } from '@bufbuild/protobuf';
import { labelledHash } from '../../crypto/labels.ts';
import type { Suite } from '../../crypto/suite.ts';
import { StoredRoomSchema } from '../../gen/clawchat/v1/chat_storage_pb.ts';
import { ErrorCode } from '../../gen/clawchat/v1/error_pb.ts';
import { ROOMS_MAX } from '../../gen/constants.ts';
import type { DatabaseOperation, ServiceDatabase, ServiceStream, StreamHandler } from '../ports.ts';
import { hex, KEY_END } from './bytes.ts';
import { isCode, parseContent } from './content.ts';
import { HostStream } from './host-stream.ts';
import { MessageLog, type Sender } from './message-log.ts';
import { type DeviceOutbox, OutboxTable } from './outbox-table.ts';
import type { OutboxHead } from './posting.ts';
import type { PostOutcome } from './reply.ts';

/** The name that a StreamOpen gives for this service. */
export const CHAT_SERVICE = 'chat.v1';
/** The room that is always there. */
export const LOBBY = 'lobby';
const ROOMS = 'chat/room/';

/** What the operator should hear of. */
export interface ChatAlarm {
  readonly kind: 'outbox-replaced';
  readonly deviceId: Uint8Array;
  readonly name: string;
  readonly oldOutbox: Uint8Array;
  readonly newOutbox: Uint8Array;
  /** How far the old outbox had come. */
  readonly highest: number;
}

/** What a host's chat service works with. */
export interface ChatHostOptions {
  readonly database: ServiceDatabase;
  readonly suite: Suite;
  /** Called when a device's outbox contradicted the host's: it was restored from a backup, or copied. */
  readonly alarm: (alarm: ChatAlarm) => void;
  /** Called once when the database fails. Every stream is aborted; the host has to end. */
  readonly failed: (reason: unknown) => void;
}

/** The chat service of a host. Make it with `ChatHost.open`, one for a database. */
export class ChatHost {
  readonly log: MessageLog;
  readonly outboxes: OutboxTable;
  readonly rooms: readonly string[];
  readonly #options: ChatHostOptions;
  readonly #streams = new Set<HostStream>();
  #failed = false;

  private constructor(options: ChatHostOptions, log: MessageLog, rooms: readonly string[]) {
    this.#options = options;
    this.log = log;
    this.outboxes = new OutboxTable(options.database);
    this.rooms = rooms;
  }

  /** Read what there is. */
  static async open(options: ChatHostOptions): Promise<ChatHost> {
    const { database } = options;
    const stored = await database.range({ gte: ROOMS, lt: ROOMS + KEY_END, limit: ROOMS_MAX - 1 });
    const named = stored.map(({ value }) => fromBinary(StoredRoomSchema, value).name);
    const rooms = [...new Set([LOBBY, ...named])].sort((a, b) => (a < b ? -1 : a > b ? 1 : 0));
    return new ChatHost(options, await MessageLog.open(database), rooms);
  }

  /** Serve a stream that a device opened for `CHAT_SERVICE`; the name is copied into its messages. */
  serve(stream: ServiceStream, sender: Sender): StreamHandler {
    const handler = new HostStream(this, stream, sender, () => this.#streams.delete(handler));
    this.#streams.add(handler);
    return handler;
  }

  /** End a device's streams, and give the writes for the commit that deletes the device. */
  async revoke(deviceId: Uint8Array): Promise<readonly DatabaseOperation[]> {
    const device = hex(deviceId);
    for (const stream of [...this.#streams]) {
      if (stream.device === device) stream.abort(ErrorCode.DEVICE_REVOKED);
    }
    return await this.outboxes.forget(device);
  }

  /** Hash the exact bytes of a ChatContent. */
  hash(content: Uint8Array): Uint8Array {
    return labelledHash(this.#options.suite, 'content', content);
  }

  /**
   * Store or finally refuse the post that follows, in one commit with the outbox's number, and then answer.
   * @impl CH-015~1 @impl CH-017~1 @impl CH-018~1
   */
  post(
    from: { readonly outbox: DeviceOutbox; readonly head: OutboxHead; readonly sender: Sender },
    content: Uint8Array,
    wallMs: number,
    answer: (outcome: PostOutcome) => void,
  ): void {
    const code = this.#judgeContent(content);
    const appended = code === ErrorCode.UNSPECIFIED && this.log.append(from.sender, content, wallMs);
    const outcome = { code, cursor: appended ? appended.cursor : 0 };
    const advance = this.outboxes.advance(from.outbox, from.head, this.hash(content), outcome);
    const operations = appended ? [appended.operation, ...advance] : advance;
    this.commit(operations, () => {
      if (appended) appended.committed();
      answer(outcome);
    });
  }

  /** Say why the host will never store this content; unspecified when it will. @impl CH-009~1 */
  #judgeContent(bytes: Uint8Array): ErrorCode {
    const content = parseContent(bytes);
    if (isCode(content)) return content;
    return this.rooms.includes(content.room) ? ErrorCode.UNSPECIFIED : ErrorCode.ROOM_UNKNOWN;
  }

  /** Write, and go on once it is durable. */
  commit(operations: readonly DatabaseOperation[], durable: () => void): void {
    this.#options.database.commit(operations).then(durable).catch(this.fail);
  }

  /** Tell the operator. */
  alarm(alarm: ChatAlarm): void {
    this.#options.alarm(alarm);
  }

  /** Give up: nobody knows any more what is stored, so nothing more is answered. */
  readonly fail = (reason: unknown): void => {
    if (this.#failed) return;
    this.#failed = true;
    for (const stream of [...this.#streams]) stream.abort(ErrorCode.INTERNAL);
    this.#options.failed(reason);
  };
}
