/** A host and the people of it, each with a stream. For tests only. */
import { noble } from '../../../crypto/noble.ts';
import { ErrorCode } from '../../../gen/clawchat/v1/error_pb.ts';
import { codeName } from '../../../protocol/fault.ts';
import { hex } from '../../../wire/bytes.ts';
import { isFault } from '../../../wire/fault.ts';
import type { StreamHandler } from '../../ports.ts';
import { ProbeStream } from '../../testing/probe-stream.ts';
import { type ContentExtra, encodeContent } from '../content.ts';
import { ChatHost, type ChatHostOptions } from '../host.ts';
import { type ChatItem, parseReply, type Reply } from '../reply.ts';
import { encodeRequest, type RequestBody } from '../request.ts';
import { ProbeDatabase } from './probe.ts';
import { settle } from './settle.ts';

/** An id of one byte, over and over. */
export const id = (fill: number): Uint8Array => new Uint8Array(16).fill(fill);
export const ANN: Uint8Array = id(0xaa);
export const BOB: Uint8Array = id(0xbb);
export const CAT: Uint8Array = id(0xcc);
export const DAN: Uint8Array = id(0xdd);
/** Another outbox than a device's own. */
export const X: Uint8Array = id(1);
export const CREATE: ContentExtra = { act: { kind: 'create', topic: '', closed: true } };
export const REMOVE: ContentExtra = { act: { kind: 'remove' } };

let ids = 0;

/** A host on a database of its own. Make it with `House.made`. */
export class House {
  database: ProbeDatabase = new ProbeDatabase();
  /** Names by device, in hexadecimal. */
  readonly devices: Map<string, string> = new Map(
    [ANN, BOB, CAT, DAN].map((device, i) => [hex(device), ['Ann', 'Bob', 'Cat', 'Dan'][i] ?? '']),
  );
  #host: ChatHost | undefined;

  static async made(): Promise<House> {
    const house = new House();
    await house.open();
    return house;
  }

  get host(): ChatHost {
    if (this.#host === undefined) throw new Error('not open');
    return this.#host;
  }

  /** Start the host, again if need be. */
  async open(change: Partial<ChatHostOptions> = {}): Promise<void> {
    this.#host = await ChatHost.open({
      database: this.database,
      suite: noble,
      alarm: () => {},
      enrolled: device => this.devices.get(device),
      failed: reason => {
        throw reason;
      },
      inviteDevice: async name => ({ id: '77'.repeat(16), text: `invite for ${name}`, expiresAtMs: 9 }),
      ...change,
    });
  }

  peer(device: Uint8Array, name: string, outbox: Uint8Array = device): Peer {
    return new Peer(this.host, device, name, outbox);
  }

  async revoke(device: Uint8Array): Promise<void> {
    this.devices.delete(hex(device));
    const forget = await this.host.revoke(device);
    const { operations, committed } = forget(5_000);
    await this.database.commit(operations);
    committed();
  }
}

/** One device's stream, which posts in its own outbox. */
export class Peer {
  readonly stream: ProbeStream = new ProbeStream();
  readonly handler: StreamHandler;
  readonly #outbox: Uint8Array;
  #asked = 0;
  #posted = 0;
  wallMs: number = 1_000;

  constructor(host: ChatHost, device: Uint8Array, name: string, outbox: Uint8Array) {
    this.#outbox = outbox;
    this.handler = host.serve(this.stream, { deviceId: device, name });
    this.ask({ kind: 'outboxOpen', outboxId: outbox });
  }

  ask(body: RequestBody): void {
    this.#asked += 1;
    this.handler.message(encodeRequest(this.#asked, body), this.wallMs);
  }

  async replies(): Promise<readonly Reply['body'][]> {
    await settle();
    await settle();
    return this.stream.take().map(message => {
      const reply = parseReply(message);
      if (isFault(reply)) throw new Error(reply.detail);
      return reply.body;
    });
  }

  /** Post and give the cursor, or the name of the refusal. */
  async post(text: string, extra: ContentExtra = {}, room: string = 'lobby'): Promise<number | string> {
    await this.replies();
    return this.begin(text, extra, room)();
  }

  /** Post, and give what waits for the answer. */
  begin(text: string, extra: ContentExtra = {}, room: string = 'lobby'): () => Promise<number | string> {
    ids += 1;
    const messageId = new Uint8Array(16);
    new DataView(messageId.buffer).setUint32(0, ids);
    this.#posted += 1;
    const content = encodeContent({ messageId, room, text, sentAtMs: 1, ...extra });
    this.ask({ kind: 'post', outboxId: this.#outbox, number: this.#posted, content });
    return async () => {
      const result = (await this.replies()).find(({ kind }) => kind === 'postResult');
      if (result?.kind !== 'postResult') throw new Error('no result');
      const { code, cursor } = result.outcome;
      return code === ErrorCode.UNSPECIFIED ? cursor : codeName(code);
    };
  }

  async history(
    room: string = '',
    search: string = '',
    beforeCursor: number = 9e15,
  ): Promise<readonly ChatItem[]> {
    await this.replies();
    this.ask({ kind: 'backwards', beforeCursor, limit: 10, room, search });
    const page = (await this.replies()).find(({ kind }) => kind === 'history');
    return page?.kind === 'history' ? page.places.flatMap(({ item }) => (item ? [item] : [])) : [];
  }

  async rooms(): Promise<readonly string[]> {
    await this.replies();
    this.ask({ kind: 'rooms' });
    const list = (await this.replies()).find(({ kind }) => kind === 'rooms');
    return list?.kind === 'rooms' ? list.rooms.map(({ name, role }) => `${name} ${role}`) : [];
  }
}
