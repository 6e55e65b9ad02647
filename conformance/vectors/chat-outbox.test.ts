/** The reference implementation against the outboxes of chat.json: its requests, what it keeps, reports and refuses. */
import { describe, expect, it } from 'vitest';
import { labelledHash } from '../../src/crypto/labels.ts';
import { noble } from '../../src/crypto/noble.ts';
import { type Suite, withEntropy } from '../../src/crypto/suite.ts';
import { ErrorCode } from '../../src/gen/clawchat/v1/error_pb.ts';
import { codeName, isFault } from '../../src/protocol/fault.ts';
import type { ClientLink } from '../../src/services/chat/client-link.ts';
import { ClientOutbox } from '../../src/services/chat/client-outbox.ts';
import { ClientPosting } from '../../src/services/chat/client-posting.ts';
import { putPost, putState, readOutbox } from '../../src/services/chat/client-storage.ts';
import { isCode, parseContent } from '../../src/services/chat/content.ts';
import type { Outbox } from '../../src/services/chat/outbox.ts';
import { parseReply } from '../../src/services/chat/reply.ts';
import { encodeRequest, type RequestBody } from '../../src/services/chat/request.ts';
import type { DatabaseOperation, ServiceDatabase } from '../../src/services/ports.ts';
import { bytes, type Fields, hex, type Json, loadFamily } from './load.ts';

type Range = Parameters<ServiceDatabase['range']>[0];

/** A disk that takes what is written to it only when the vector says so. */
class SlowDisk implements ServiceDatabase {
  readonly values = new Map<string, Uint8Array>();
  #waiting: (() => void)[] = [];

  get(key: string): Promise<Uint8Array | undefined> {
    return Promise.resolve(this.values.get(key));
  }

  range({ gte, lt, reverse, limit }: Range): Promise<readonly { key: string; value: Uint8Array }[]> {
    const found = [...this.values]
      .filter(([key]) => key >= gte && key < lt)
      .sort(([a], [b]) => (a < b ? -1 : 1));
    if (reverse === true) found.reverse();
    return Promise.resolve(found.slice(0, limit).map(([key, value]) => ({ key, value })));
  }

  commit(operations: readonly DatabaseOperation[]): Promise<void> {
    return new Promise(resolve => {
      this.#waiting.push(() => {
        this.write(operations);
        resolve();
      });
    });
  }

  write(operations: readonly DatabaseOperation[]): void {
    for (const operation of operations) {
      if (operation.kind === 'put') this.values.set(operation.key, operation.value);
      else this.values.delete(operation.key);
    }
  }

  flush(): void {
    for (const write of this.#waiting.splice(0)) write();
  }

  lose(): void {
    this.#waiting = [];
  }
}

/** One client, with the streams that the vector gives it. */
class Run implements ClientLink {
  readonly #disk = new SlowDisk();
  readonly #suite: Suite;
  #outbox: ClientOutbox | undefined;
  #posting: ClientPosting | undefined;
  #asked = 0;
  #sends: string[] = [];
  #reports: Fields[] = [];
  #aborts: string | undefined;

  constructor(outbox: Fields, newId: Uint8Array) {
    this.#suite = withEntropy(noble, () => newId);
    const acknowledged = Number(outbox['answered']);
    const state = {
      id: bytes(outbox['id']),
      acknowledged,
      acknowledgedHash: bytes(outbox['answered_hash']),
      items: [],
    };
    const posts = outbox['posts'] as readonly Json[];
    this.#disk.write([
      putState(state),
      ...posts.map((post, i) => putPost(acknowledged + 1 + i, bytes(post))),
    ]);
  }

  /** Open the outbox as a process does that begins. */
  async begin(): Promise<void> {
    const failed = (reason: unknown): void => {
      throw reason;
    };
    const outbox = await ClientOutbox.open({ database: this.#disk, suite: this.#suite, failed });
    this.#outbox = outbox;
    outbox.changed = () => this.#posting?.pump();
    for (const { content } of outbox.view.items) await this.#await(outbox, content);
  }

  /** Whoever repeats a message is told its result. */
  async #await(outbox: ClientOutbox, encoded: Uint8Array): Promise<void> {
    const content = parseContent(encoded);
    if (isCode(content)) throw new Error('no content');
    const enqueued = await outbox.enqueue(content);
    if (isFault(enqueued)) throw new Error(enqueued.detail);
    void enqueued.result.then(result => {
      const what = isFault(result) ? { code: codeName(result.code) } : { cursor: result.cursor };
      this.#reports.push({ message_id: hex(content.messageId), ...what });
    });
  }

  request(body: RequestBody): number {
    this.#sends.push(hex(encodeRequest(0, body)));
    this.#asked += 1;
    return this.#asked;
  }

  hasRoom(): boolean {
    return true;
  }

  abort(code: ErrorCode): void {
    this.#aborts = codeName(code);
    this.#end();
  }

  #end(): void {
    this.#posting?.end();
    this.#posting = undefined;
  }

  async step(given: Fields): Promise<Fields> {
    const before = this.#outbox?.view;
    if (given['reply'] !== undefined) this.#hear(Number(given['answers']), bytes(given['reply']));
    switch (given['event']) {
      case 'opens':
        this.#asked = 0;
        this.#posting = new ClientPosting(this, this.#open(), () => {});
        break;
      case 'ends':
        this.#end();
        break;
      case 'durable':
        this.#disk.flush();
        expect(shown(await this.#stored())).toEqual(shown(this.#open().view));
        break;
      case 'crash':
        this.#end();
        this.#disk.lose();
        await this.begin();
    }
    await new Promise(setImmediate);
    const after = this.#open().view;
    const keeps = given['reply'] !== undefined && after !== before ? shown(after) : undefined;
    const [sends, reports, aborts] = [this.#sends, this.#reports, this.#aborts];
    this.#sends = [];
    this.#reports = [];
    this.#aborts = undefined;
    return {
      ...(sends.length > 0 && { sends }),
      ...(keeps && { keeps }),
      ...(reports.length > 0 && { reports }),
      ...(aborts !== undefined && { aborts }),
    };
  }

  #open(): ClientOutbox {
    if (this.#outbox === undefined) throw new Error('no outbox');
    return this.#outbox;
  }

  #hear(answers: number, encoded: Uint8Array): void {
    const reply = parseReply(encoded);
    if (isFault(reply)) this.abort(reply.code);
    else if (this.#posting?.reply(answers, reply.body) === false) this.abort(ErrorCode.MESSAGE_MALFORMED);
  }

  /** What a process would find that begins now. */
  async #stored(): Promise<Outbox> {
    const found = await readOutbox(this.#disk, content => labelledHash(this.#suite, 'content', content));
    if (found === undefined) throw new Error('no outbox');
    return found;
  }
}

function shown({ id, acknowledged, acknowledgedHash, items }: Outbox): Fields {
  return {
    id: hex(id),
    answered: acknowledged,
    answered_hash: hex(acknowledgedHash),
    posts: items.map(({ content }) => hex(content)),
  };
}

describe('outboxes', () => {
  const vectors = loadFamily('chat').vectors.filter(({ input }) => input['what'] === 'outbox');
  it.each(vectors.map(vector => [vector.id, vector] as const))('%s', async (_id, { input, output }) => {
    const run = new Run(input['outbox'] as Fields, bytes(input['new_outbox_id']));
    await run.begin();
    const steps: Fields[] = [];
    for (const step of input['steps'] as readonly Fields[]) steps.push(await run.step(step));
    expect({ steps }).toEqual(output);
  });
});
