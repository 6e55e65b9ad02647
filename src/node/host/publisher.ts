/** Performs what publishing decides: writes and reads stores, with a deadline each. Chapter: spec/07-discovery.md 7.3. */
import { setTimeout as sleep } from 'node:timers/promises';
import {
  isSealVerified,
  type Publication,
  type PublishInput,
  type Publishing,
  type PublishOutput,
  publishDeadline,
  publishing,
  stepPublishing,
} from '../../discovery/publishing.ts';
import type { StoreAnswer, StoreReader, StoreWriter } from '../../discovery/store.ts';
import { judge, type Opened } from '../../discovery/verdict.ts';
import type { Fault } from '../../protocol/fault.ts';
import type { RecordName } from '../../protocol/freshness.ts';
import type { Log } from '../log.ts';
import { Alarm, drawUnit, readNow } from '../now.ts';

/** One store, as this host writes it and as everybody reads it. */
export interface PublisherStore {
  readonly writer: StoreWriter;
  readonly reader: StoreReader;
  readonly remote: boolean;
}

/** What a publisher works with. */
export interface PublisherOptions {
  readonly stores: readonly PublisherStore[];
  readonly readAgainMs: number;
  /** Open a file that was read back, by a client's rules. */
  readonly open: (bytes: Uint8Array) => Opened | Fault;
  /** The record was read back from a store that counts. */
  readonly verified: (record: RecordName) => void;
  /** A store holds a record of this host that its database does not know. */
  readonly older: (found: RecordName) => void;
  /** An attempt at a store ended so: to be counted. */
  readonly ended: (store: number, result: 'verified' | 'failed') => void;
  readonly log: Log;
}

/** How long a store may take to heed that it is given up. */
const CLOSE_MS_MAX = 2000;

interface Attempt {
  readonly controller: AbortController;
  readonly ended: Promise<void>;
}

/** Keeps the current connection file in every store. */
export class Publisher {
  readonly #options: PublisherOptions;
  readonly #alarm = new Alarm(() => this.#step({ kind: 'wake', entropy: drawUnit() }));
  readonly #underWay = new Map<number, Attempt>();
  #waiting: { readonly serial: number; readonly resolve: (verified: boolean) => void }[] = [];
  #state: Publishing;
  #closed = false;

  constructor(options: PublisherOptions) {
    this.#options = options;
    this.#state = publishing(
      options.stores.map(({ remote }) => remote),
      options.readAgainMs,
    );
  }

  /** How each store stands, in the order of the options. */
  get state(): Publishing {
    return this.#state;
  }

  /** Publish; resolves with true once these very bytes were read back, with false when `waitMs` pass before. */
  publish(publication: Publication, waitMs: number): Promise<boolean> {
    this.#step({ kind: 'publish', publication });
    const { serial } = this.#state;
    return new Promise(resolve => {
      const timer = setTimeout(() => finish(false), waitMs);
      const finish = (verified: boolean): void => {
        clearTimeout(timer);
        this.#waiting = this.#waiting.filter(entry => entry !== waiting);
        resolve(verified);
      };
      const waiting = { serial, resolve: finish };
      this.#waiting.push(waiting);
      this.#settle();
    });
  }

  /** Read every store once, as a client would; resolves with what each gave. */
  async survey(timeoutMs: number): Promise<readonly StoreAnswer[]> {
    const signal = AbortSignal.timeout(timeoutMs);
    const { stores } = this.#options;
    return Promise.all(stores.map(({ reader }) => reader.read(signal, { unconditional: true })));
  }

  /** What lies in this store was seen, and is not ahead of the database: it may be written. */
  surveyed(store: number): void {
    this.#step({ kind: 'surveyed', store });
  }

  /** Give up what is under way; resolves when no store is written any more, as far as stores heed that. */
  async close(): Promise<void> {
    this.#closed = true;
    this.#alarm.set(undefined);
    for (const { controller } of this.#underWay.values()) controller.abort();
    for (const { resolve } of [...this.#waiting]) resolve(false);
    const ended = [...this.#underWay.values()].map(attempt => attempt.ended);
    const enough = new AbortController();
    const late = sleep(CLOSE_MS_MAX, undefined, { signal: enough.signal }).catch(() => {});
    await Promise.race([Promise.all(ended), late]);
    enough.abort();
  }

  #step(input: PublishInput): void {
    if (this.#closed) return;
    const [state, outputs] = stepPublishing(this.#state, input, readNow());
    this.#state = state;
    for (const output of outputs) this.#perform(output);
    this.#alarm.set(publishDeadline(this.#state));
    this.#settle();
  }

  /** Tell who waits for a publication that it, or a later one, lies where devices read it. */
  #settle(): void {
    if (!isSealVerified(this.#state)) return;
    for (const { serial, resolve } of [...this.#waiting]) {
      if (serial <= this.#state.serial) resolve(true);
    }
  }

  #perform(output: PublishOutput): void {
    const { log, stores } = this.#options;
    const store = stores[output.store];
    if (store === undefined) return;
    switch (output.kind) {
      case 'write': {
        const { attempt, bytes } = output;
        this.#begin(attempt, async signal => {
          const answer = await store.writer.publish(bytes, signal);
          this.#underWay.delete(attempt);
          this.#step({ kind: 'wrote', store: output.store, attempt, answer, entropy: drawUnit() });
        });
        break;
      }
      case 'read': {
        const { attempt } = output;
        this.#begin(attempt, async signal => {
          const answer = await store.reader.read(signal, { unconditional: true });
          this.#underWay.delete(attempt);
          const verdict = judge(answer, this.#options.open);
          this.#step({ kind: 'read', store: output.store, attempt, verdict, entropy: drawUnit() });
        });
        break;
      }
      case 'cancel':
        this.#underWay.get(output.attempt)?.controller.abort();
        break;
      case 'verified':
        this.#options.ended(output.store, 'verified');
        log.debug('store-verified', { store: store.reader.name, sequence: output.record.sequence });
        if (output.counts) this.#options.verified(output.record);
        break;
      case 'failed':
        this.#options.ended(output.store, 'failed');
        log.warn('store-failed', { store: store.reader.name, why: output.failure.detail });
        break;
      case 'older':
        log.error('store-ahead', { store: store.reader.name, sequence: output.found.sequence });
        this.#options.older(output.found);
    }
  }

  #begin(attempt: number, run: (signal: AbortSignal) => Promise<void>): void {
    const controller = new AbortController();
    this.#underWay.set(attempt, { controller, ended: run(controller.signal) });
  }
}
