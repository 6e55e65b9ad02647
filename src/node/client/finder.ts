/** Performs what the reader of stores decides, and tells the client what it found. Chapter: spec/07-discovery.md 7.4. */
import {
  type ReadInput,
  type Reading,
  type ReadOutput,
  readDeadline,
  reading,
  standings,
  stepReading,
} from '../../discovery/reading.ts';
import type { StandingReport } from '../../discovery/standing.ts';
import type { StoreReader } from '../../discovery/store.ts';
import { judge, type OpenedFile, opener } from '../../discovery/verdict.ts';
import { ErrorCode } from '../../gen/clawchat/v1/error_pb.ts';
import type { Constants } from '../../gen/constants.ts';
import type { Envelope } from '../../protocol/envelope.ts';
import { type Fault, fault, isFault } from '../../protocol/fault.ts';
import { dialKeys, type Member } from '../../protocol/join.ts';
import type { Log } from '../log.ts';
import { native } from '../native.ts';
import { Alarm, drawUnit, readNow } from '../now.ts';
import type { ProxyEnvironment } from '../proxy.ts';
import { openReader, storeKey } from '../stores/open.ts';

/** What the finder asks of the client around it. */
export interface FinderPort {
  /** Who looks for the host; undefined before anybody has joined. */
  member(): Member | undefined;
  /** Hand an envelope to the machine; resolves when what it accepted is durable. */
  accept(envelope: Envelope): Promise<void>;
  /** There is a record to dial by. */
  dial(): void;
  /** Something the person should hear of. */
  warn(text: string): void;
  /** Every store was asked, and none has a record that is new; `dials`: the one that is held is dialled all the same. */
  exhausted(why: Fault, dials: boolean): void;
}

/** Drives the reading of one client's stores. */
export class Finder {
  readonly #port: FinderPort;
  readonly #log: Log;
  readonly #environment: ProxyEnvironment;
  readonly #stores = new Map<string, StoreReader>();
  readonly #reads = new Map<number, AbortController>();
  /** What ends the watching of a store. */
  readonly #watches = new Map<string, () => void>();
  readonly #alarm = new Alarm(() => this.input({ kind: 'wake', entropy: drawUnit() }));
  #reading: Reading;
  #work: Promise<void> = Promise.resolve();
  #closed = false;

  constructor(port: FinderPort, constants: Constants, log: Log, environment: ProxyEnvironment) {
    this.#port = port;
    this.#log = log;
    this.#environment = environment;
    this.#reading = reading([], {
      readBeforeDialMs: constants.READ_BEFORE_DIAL_MS,
      readAgainMs: constants.STORE_READ_AGAIN_MS,
    });
  }

  /** How every store stands. */
  get standings(): readonly StandingReport[] {
    return standings(this.#reading);
  }

  /** The address of a store for people, without credentials. @impl DI-004~1 */
  name(key: string): string {
    return this.#stores.get(key)?.name ?? 'a store';
  }

  /** Take one input, and do what follows from it. */
  input(input: ReadInput<OpenedFile>): void {
    if (this.#closed) return;
    const [state, outputs] = stepReading(this.#reading, input, readNow());
    this.#reading = state;
    this.#alarm.set(readDeadline(state));
    // An accepted record is durable before anything behind it is done.
    for (const output of outputs) {
      this.#work = this.#work.then(() => this.#perform(output));
    }
  }

  /** Look for the host, with what is known of it. */
  start(): void {
    const newest = this.#port.member()?.held.newest;
    const held =
      newest === undefined
        ? undefined
        : { sequence: newest.sequence, hash: newest.hash, nextRotationMs: newest.record.nextRotationMs };
    this.input({ kind: 'start', held });
  }

  /** Read the stores that the newest record names, or the invite while there is none. */
  use(member: Member): void {
    const invited = member.stage === 'device' ? [] : member.invite.stores;
    const places = [...(member.held.newest?.record.stores ?? []), ...invited];
    const keys: string[] = [];
    for (const place of places) {
      const key = storeKey(place);
      if (keys.includes(key)) continue;
      if (!this.#stores.has(key)) {
        const reader = openReader(place, { environment: this.#environment });
        if (isFault(reader)) continue;
        this.#stores.set(key, reader);
      }
      keys.push(key);
    }
    this.#watch(keys);
    this.input({ kind: 'stores', keys });
  }

  /** End every attempt. */
  async close(): Promise<void> {
    this.input({ kind: 'stop' });
    this.#closed = true;
    this.#alarm.set(undefined);
    for (const end of this.#watches.values()) end();
    for (const read of this.#reads.values()) read.abort();
    await this.#work.catch(() => undefined);
  }

  /** Where the platform tells of a change - a synced folder -, a client that waits looks at once. */
  #watch(keys: readonly string[]): void {
    for (const [key, end] of this.#watches) {
      if (keys.includes(key)) continue;
      end();
      this.#watches.delete(key);
    }
    for (const key of keys) {
      const store = this.#stores.get(key);
      if (store?.watch === undefined || this.#watches.has(key)) continue;
      const changed = (): void => {
        this.#log.debug('store-changed', { store: store.name });
        this.input({ kind: 'hurry' });
      };
      this.#watches.set(key, store.watch(changed));
    }
  }

  async #perform(output: ReadOutput<OpenedFile>): Promise<void> {
    if (this.#closed) return;
    switch (output.kind) {
      case 'read':
        this.#readStore(output.key, output.attempt, output.unconditional);
        break;
      case 'cancel':
        this.#reads.get(output.attempt)?.abort();
        break;
      case 'accept':
        await this.#port.accept(output.record.envelope);
        break;
      case 'dial':
        this.#port.dial();
        break;
      case 'equivocation':
        this.#port.warn(
          `two different records have number ${output.kept.sequence}: the first is kept (${output.key === undefined ? 'the host names the other' : this.name(output.key)})`,
        );
        break;
      case 'stale':
        this.#port.warn(
          `${this.name(output.key)} hands out an old connection file: the host has verified ${output.witness.sequence}`,
        );
        break;
      case 'exhausted':
        this.#port.exhausted(worst(output.reports), output.dials);
    }
  }

  #readStore(key: string, attempt: number, unconditional: boolean): void {
    const store = this.#stores.get(key);
    const member = this.#port.member();
    if (store === undefined || member === undefined) return;
    const abort = new AbortController();
    this.#reads.set(attempt, abort);
    const { fileKey } = dialKeys(native, member);
    void store.read(abort.signal, { unconditional }).then(answer => {
      this.#reads.delete(attempt);
      const verdict = judge(answer, opener(native, fileKey, member.held.trust));
      this.input({ kind: 'answer', key, attempt, verdict, entropy: drawUnit() });
    });
  }
}

/** The first thing that is wrong with a store. */
function worst(reports: readonly StandingReport[]): Fault {
  const first = reports.find(({ fault: why }) => why !== undefined)?.fault;
  if (first?.kind === 'fault') return first;
  const code = first?.code ?? ErrorCode.STORE_UNAVAILABLE;
  return fault('network', code, first?.detail ?? 'no store has a connection file');
}
