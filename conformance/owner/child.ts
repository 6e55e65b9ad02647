/**
 * A process that shares a data directory with others like it: a client without a network. It sends lines or listens,
 * through whoever owns the directory, and takes over when that one dies.
 *
 *     child DIRECTORY send PREFIX FROM TO     prints "acked PREFIX-n" for each line that the owner has committed
 *     child DIRECTORY listen AFTER            prints "item CURSOR TEXT" for each line behind a cursor
 *     child DIRECTORY idle                    only stands by to take over
 *
 * Whenever it becomes the owner it prints "owning", and as the owner "repeated" for a line that it has already.
 */
import { ControlProgram } from '../../src/gen/clawchat/v1/control_pb.ts';
import type { RequestBody, ResponseInit } from '../../src/node/control.ts';
import { native } from '../../src/node/native.ts';
import type { Owner } from '../../src/node/owner.ts';
import { OwnerLink } from '../../src/node/owner-link.ts';
import { openStore, SCHEMA_VERSION, type Store } from '../../src/node/store.ts';
import { numberKey, prefixRange } from '../../src/runtime/database.ts';

const PAGE = 20;
const WINDOW = 8;

/** Keeps lines by cursor and by id, as a client keeps its messages. */
class LineOwner implements Owner {
  readonly #store: Store;
  /** By id: the cursor, as soon as it is given and once it is committed. */
  readonly #sent = new Map<string, Promise<number>>();
  #last: number;
  #committed: number;
  #wake: (() => void)[] = [];

  static async open(directory: string): Promise<LineOwner> {
    const store = await openStore({ directory, program: 'client', suite: native });
    const [newest] = await store.range({ ...prefixRange('line/'), reverse: true, limit: 1 });
    const owner = new LineOwner(store, newest === undefined ? 0 : Number.parseInt(newest.key.slice(5), 16));
    for (const { key, value } of await store.range(prefixRange('id/'))) {
      owner.#sent.set(key, Promise.resolve(Number(Buffer.from(value).toString())));
    }
    return owner;
  }

  constructor(store: Store, last: number) {
    this.#store = store;
    this.#last = last;
    this.#committed = last;
  }

  answer(request: RequestBody, signal: AbortSignal): Promise<ResponseInit> | AsyncIterable<ResponseInit> {
    if (request.case === 'send') return this.#send(request.value.messageId, request.value.text);
    if (request.case === 'listen') return this.#listen(Number(request.value.afterCursor), signal);
    return Promise.resolve({ case: 'clientStatus', value: {} });
  }

  close(): Promise<void> {
    return this.#store.close();
  }

  async #send(messageId: Uint8Array, text: string): Promise<ResponseInit> {
    const key = `id/${Buffer.from(messageId).toString('hex')}`;
    // With SEED_FAULT=forget-ids the same line is stored as often as it is sent: the test has to notice.
    const known = process.env['SEED_FAULT'] === 'forget-ids' ? undefined : this.#sent.get(key);
    if (known !== undefined) say('repeated');
    const cursor = known ?? this.#add(key, text);
    this.#sent.set(key, cursor);
    return { case: 'sent', value: { cursor: BigInt(await cursor) } };
  }

  async #add(idKey: string, text: string): Promise<number> {
    this.#last += 1;
    const cursor = this.#last;
    await this.#store.commit([
      { kind: 'put', key: `line/${numberKey(cursor)}`, value: Buffer.from(text) },
      { kind: 'put', key: idKey, value: Buffer.from(String(cursor)) },
    ]);
    this.#committed = Math.max(this.#committed, cursor);
    for (const resolve of this.#wake.splice(0)) resolve();
    return cursor;
  }

  async *#listen(after: number, signal: AbortSignal): AsyncGenerator<ResponseInit> {
    signal.addEventListener('abort', () => {
      for (const resolve of this.#wake.splice(0)) resolve();
    });
    for (let cursor = after; !signal.aborted; ) {
      const { lt } = prefixRange('line/');
      const entries = await this.#store.range({ gte: `line/${numberKey(cursor + 1)}`, lt, limit: PAGE });
      const items = entries.map(({ key, value }) => ({
        cursor: BigInt(Number.parseInt(key.slice(5), 16)),
        text: Buffer.from(value).toString(),
      }));
      if (items.length > 0) yield { case: 'items', value: { items } };
      cursor = Number(items.at(-1)?.cursor ?? cursor);
      while (cursor >= this.#committed && !signal.aborted) {
        await new Promise<void>(resolve => this.#wake.push(resolve));
      }
    }
  }
}

function say(line: string): void {
  process.stdout.write(`${line}\n`);
}

async function sendLines(link: OwnerLink, prefix: string, from: number, to: number): Promise<void> {
  const running = new Set<Promise<void>>();
  for (let n = from; n <= to; n += 1) {
    const text = `${prefix}-${n}`;
    // The same line has the same id in each process that sends it, like an outbox that outlives its process.
    const messageId = native.sha256(Buffer.from(text)).slice(0, 16);
    const one = link.call({ case: 'send', value: { messageId, text } }).then(() => {
      running.delete(one);
      say(`acked ${text}`);
    });
    running.add(one);
    if (running.size >= WINDOW) await Promise.race(running);
  }
  await Promise.all(running);
}

async function listen(link: OwnerLink, after: number): Promise<void> {
  let cursor = after;
  const ask = () => ({ case: 'listen', value: { afterCursor: BigInt(cursor) } }) as const;
  for await (const body of link.stream(ask(), ask)) {
    if (body.case !== 'items') continue;
    for (const item of body.value.items) {
      say(`item ${item.cursor} ${item.text}`);
      cursor = Number(item.cursor);
    }
  }
}

async function main([directory = '', command = '', ...parameters]: readonly string[]): Promise<void> {
  const link = await OwnerLink.open({
    directory,
    identity: { program: ControlProgram.CLIENT, version: '0', schema: SCHEMA_VERSION },
    suite: native,
    timeoutMs: 30_000,
    open: async () => {
      const owner = await LineOwner.open(directory);
      say('owning');
      return owner;
    },
  });
  const [first = '0', from = '1', to = '0'] = parameters;
  if (command === 'send') await sendLines(link, first, Number(from), Number(to));
  if (command === 'listen') await listen(link, Number(first));
  // Standing by means asking: only who asks notices that the owner is gone.
  while (command === 'idle') {
    await link.call({ case: 'status', value: {} });
    await new Promise(resolve => setTimeout(resolve, 20));
  }
  await link.close();
}

await main(process.argv.slice(2));
