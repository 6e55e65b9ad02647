/** Owns a client's data directory: one device, one session, however many commands. Chapter: spec/12-control.md. */
import { REVOKED } from '../discovery/situation.ts';
import { ControlLinkState, type ControlStanding } from '../gen/clawchat/v1/control_pb.ts';
import { ErrorCode } from '../gen/clawchat/v1/error_pb.ts';
import type { Constants } from '../gen/constants.ts';
import { openFile } from '../protocol/connection-file.ts';
import { verifyEnvelope } from '../protocol/envelope.ts';
import { ClawChatError, type Fault, fault, isFault } from '../protocol/fault.ts';
import { dialKeys, type Member } from '../protocol/join.ts';
import { deviceId } from '../protocol/keys.ts';
import { decodeMember, encodeMember, MEMBER_KEY } from '../protocol/storage.ts';
import { words } from '../protocol/words.ts';
import type { Database } from '../runtime/database.ts';
import { ChatClient } from '../services/chat/client.ts';
import { contentExtra } from '../services/chat/content.ts';
import { CHAT_SERVICE } from '../services/chat/host.ts';
import { runBench } from './client/bench-run.ts';
import { deviceBundle } from './client/bundle.ts';
import { ChatRequests } from './client/chat-requests.ts';
import { ClientDriver, type LinkState, type Trouble } from './client/driver.ts';
import { controlItem, fitting, ListenQueue } from './client/listen-queue.ts';
import { Patience } from './client/patience.ts';
import type { RequestBody, ResponseInit } from './control.ts';
import type { PassphraseSource } from './data-key.ts';
import { asError, failure } from './failure.ts';
import type { Log } from './log.ts';
import { native } from './native.ts';
import type { Owner } from './owner.ts';
import type { ProxyEnvironment } from './proxy.ts';
import { openStore } from './store.ts';

/** What a client runs with, wherever it keeps what it has. */
export interface Running {
  /** The preset that the host has. */
  readonly constants: Constants;
  readonly log: Log;
  /** Has the variables that decide on a proxy; those of the process when undefined. */
  readonly environment?: ProxyEnvironment;
}

/** A client's data directory. */
export interface ClientOptions extends Running {
  readonly directory: string;
  readonly passphrase?: PassphraseSource | undefined;
}

const LINKS: Readonly<Record<LinkState, ControlLinkState>> = {
  idle: ControlLinkState.IDLE,
  connecting: ControlLinkState.CONNECTING,
  connected: ControlLinkState.CONNECTED,
  waiting: ControlLinkState.WAITING,
};
/** How a store stands, for `status` and `join`. */
export type StoreStanding = Omit<ControlStanding, '$typeName' | '$unknown'>;

/** What somebody waits for, who is told when there is no use in waiting. */
type Waiter = (why: Fault) => void;

/** The owner of a client's data directory. */
export class ClientOwner implements Owner {
  readonly driver: ClientDriver;
  readonly #store: Database;
  readonly #chat: ChatClient;
  readonly #log: Log;
  readonly #waiters = new Set<Waiter>();
  /** Of those, the ones who wait for a message to be stored. */
  readonly #senders = new Set<Waiter>();
  /** What ends the streams of answers once there is no use in going on. */
  readonly #streams = new Set<AbortController>();
  readonly #patience = new Patience();
  readonly #chatRequests: ChatRequests;
  readonly #warnings: string[] = [];
  /** Called with the words, when the device is let in. */
  onWords: (words: string) => void = () => {};
  onAttached: () => void = () => {};
  /** Called when an invite, a record or an answer was refused, and nothing has changed. */
  onDeclined: (why: Fault) => void = () => {};

  constructor(store: Database, chat: ChatClient, member: Member | undefined, options: Running) {
    const { constants, log, environment = process.env } = options;
    this.#store = store;
    this.#chat = chat;
    this.#log = log;
    this.#chatRequests = new ChatRequests(chat, {
      wait: (work, signal, cancel) => this.wait(work, signal, cancel),
      link: () => LINKS[this.driver.link],
      deviceId: () => this.#deviceId(),
    });
    this.driver = new ClientDriver(
      member,
      CHAT_SERVICE,
      constants,
      {
        persist: next => store.commit([{ kind: 'put', key: MEMBER_KEY, value: encodeMember(next) }]),
        failed: reason => this.#broken(reason),
        chat: stream => chat.serve(stream),
        show: text => this.onWords(text),
        warn: text => this.#warn(text),
        declined: why => this.onDeclined(why),
        trouble: (why, how) => this.#trouble(why, how),
        attached: () => {
          this.#patience.attached();
          this.onAttached();
        },
        stopped: why => this.#giveUp(why),
      },
      log,
      environment,
    );
  }

  /** How every store stands, as `status` says it. */
  get stores(): readonly StoreStanding[] {
    return this.driver.standings.map(report => {
      const { standing, sequence, fault: why, timesBehind, timesLying, timesFailed } = report;
      const name = this.driver.storeName(report.key);
      const times = { timesBehind, timesLying, timesFailed };
      return { name, standing, sequence: BigInt(sequence ?? 0), detail: why?.detail ?? '', ...times };
    });
  }

  answer(request: RequestBody, signal: AbortSignal): Promise<ResponseInit> | AsyncIterable<ResponseInit> {
    switch (request.case) {
      case 'listen': {
        this.#connect();
        const { afterCursor, fromNow, room } = request.value;
        const from = fromNow ? undefined : Number(afterCursor);
        const open = (ends: AbortSignal): ListenQueue =>
          new ListenQueue(sink => this.#chat.listen({ afterCursor: from, room }, sink), ends);
        return this.#untilStopped(open, signal);
      }
      case 'events':
        this.#connect();
        return this.#untilStopped(ends => this.#chatRequests.events(ends), signal);
      case 'send':
        return this.#send(request.value, signal);
      case 'history':
        return this.#history(request.value, signal);
      case 'rooms':
      case 'people':
      case 'mark':
      case 'typing':
      case 'deviceInvite':
        this.#connect();
        return this.#chatRequests.answer(request, signal);
      case 'ping':
        return this.#ping(signal);
      case 'status':
        return Promise.resolve(this.#status());
      case 'bench':
        return this.#bench(request.value, signal);
      case 'inspect':
        return this.#inspect(request.value.connectionFile);
      case 'bundle':
        return this.#bundle(request.value.invite);
      default:
        return Promise.reject(failure(ErrorCode.USAGE, `a client does not answer "${request.case}"`));
    }
  }

  async close(): Promise<void> {
    this.#chat.stop(fault('self', ErrorCode.CANCELLED, 'the client was closed'));
    await this.driver.close();
    await this.#store.close();
  }

  /** Wait for `work`, unless there is no use in waiting: the host refuses this device, or `signal` ends it. */
  async wait<T>(
    work: Promise<T>,
    signal: AbortSignal,
    cancel: () => void = () => {},
    isSend = false,
  ): Promise<T> {
    let reject: Waiter = () => {};
    const hopeless = new Promise<never>((_, no) => {
      reject = why => no(new ClawChatError(why));
    });
    const aborted = (): void => reject(fault('self', ErrorCode.CANCELLED, 'given up'));
    const waiters = isSend ? this.#senders : this.#waiters;
    waiters.add(reject);
    signal.addEventListener('abort', aborted, { once: true });
    if (signal.aborted) aborted();
    try {
      return await Promise.race([work, hopeless]);
    } finally {
      waiters.delete(reject);
      signal.removeEventListener('abort', aborted);
      cancel();
    }
  }

  /** A stream of answers, which ends with the reason once there is no use in going on. */
  #untilStopped(
    open: (signal: AbortSignal) => AsyncIterable<ResponseInit>,
    signal: AbortSignal,
  ): AsyncIterable<ResponseInit> {
    const stop = new AbortController();
    this.#streams.add(stop);
    return this.#until(stop, open(AbortSignal.any([signal, stop.signal])));
  }

  async *#until(stop: AbortController, answers: AsyncIterable<ResponseInit>): AsyncGenerator<ResponseInit> {
    try {
      yield* answers;
    } catch (error) {
      throw stop.signal.aborted ? stop.signal.reason : error;
    } finally {
      this.#streams.delete(stop);
    }
    if (stop.signal.aborted) throw stop.signal.reason;
  }

  #connect(): void {
    const { member } = this.driver.client;
    if (member === undefined) {
      throw failure(ErrorCode.NOT_JOINED, 'this data directory has not joined a host: `clawchat join`');
    }
    this.driver.start();
  }

  /** The outbox keeps the id with the post and answers a repeat with the first one's result. @impl CT-042~1, CT-043~1, CT-044~1 */
  async #send(value: (RequestBody & { case: 'send' })['value'], signal: AbortSignal): Promise<ResponseInit> {
    this.#connect();
    const { messageId, room, text, sentAtMs, extra } = value;
    const content = {
      messageId,
      room: room === '' ? 'lobby' : room,
      text,
      sentAtMs: Number(sentAtMs),
      ...(extra === undefined ? {} : contentExtra(extra)),
    };
    const enqueued = await this.#chat.enqueue(content);
    if (isFault(enqueued)) throw new ClawChatError(enqueued);
    const result = await this.wait(enqueued.result, signal, undefined, true);
    if (isFault(result)) throw new ClawChatError(result);
    return { case: 'sent', value: { cursor: BigInt(result.cursor) } };
  }

  async #history(
    value: (RequestBody & { case: 'history' })['value'],
    signal: AbortSignal,
  ): Promise<ResponseInit> {
    this.#connect();
    const { afterCursor, limit, room } = value;
    if (value.beforeCursor > 0n) return this.#chatRequests.backwards(value, signal);
    const asked = this.#chat.history({
      afterCursor: Number(afterCursor),
      limit: limit === 0 ? 256 : limit,
      room,
    });
    const page = await this.wait(asked.answer, signal, () => asked.cancel());
    if (isFault(page)) throw new ClawChatError(page);
    const fit = fitting(page.items);
    const items = page.items.slice(0, fit).map(controlItem);
    return { case: 'history', value: { items, more: page.more || fit < page.items.length } };
  }

  /** The second question is timed: the first may have had to connect. */
  async #ping(signal: AbortSignal): Promise<ResponseInit> {
    this.#connect();
    await this.#roundTrip(signal);
    const began = performance.now();
    await this.#roundTrip(signal);
    const roundTripUs = Math.round((performance.now() - began) * 1000);
    return { case: 'pong', value: { roundTripUs, endpoint: this.driver.endpoint } };
  }

  async #roundTrip(signal: AbortSignal): Promise<void> {
    const asked = this.#chat.rooms();
    const answer = await this.wait(asked.answer, signal, () => asked.cancel());
    if (isFault(answer)) throw new ClawChatError(answer);
  }

  /** Only a session that is there can be measured: one round trip first. */
  async *#bench(
    value: (RequestBody & { case: 'bench' })['value'],
    signal: AbortSignal,
  ): AsyncGenerator<ResponseInit> {
    this.#connect();
    await this.#roundTrip(signal);
    yield* runBench(this.driver, value, signal);
  }

  #status(): ResponseInit {
    const { client, link, endpoint, lastFault } = this.driver;
    const { member } = client;
    const held = member?.held;
    return {
      case: 'clientStatus',
      value: {
        joined: member?.stage === 'device',
        ...(held === undefined ? {} : { serverId: held.trust.serverId }),
        ...(member === undefined ? {} : { deviceId: this.#deviceId(), name: member.name }),
        link: LINKS[link],
        endpoint,
        sequence: BigInt(held?.newest?.sequence ?? 0),
        validUntilMs: BigInt(held?.newest?.record.validUntilMs ?? 0),
        unacknowledged: this.#chat.unacknowledged,
        cursor: BigInt(this.#chat.cursor),
        lastError: lastFault?.code ?? ErrorCode.UNSPECIFIED,
        lastErrorDetail: lastFault?.detail ?? '',
        warnings: this.#warnings,
        ...(held?.newest === undefined ? {} : { recordHash: held.newest.hash }),
        stores: [...this.stores],
        words: this.#words(),
        situation: member === undefined ? '' : (this.driver.situation ?? ''),
      },
    };
  }

  #deviceId(): Uint8Array {
    const { member } = this.driver.client;
    return member === undefined
      ? new Uint8Array(0)
      : deviceId(native, native.x25519Public(member.devicePrivateKey));
  }

  /** What names this device and the identity that its host has now. @impl EN-041~1 */
  #words(): string {
    const { member } = this.driver.client;
    if (member?.stage !== 'device') return '';
    return words(native, member.held.trust.identity, native.x25519Public(member.devicePrivateKey));
  }

  async #inspect(file: Uint8Array): Promise<ResponseInit> {
    const { member } = this.driver.client;
    if (member === undefined)
      throw failure(ErrorCode.NOT_JOINED, 'only a device that has joined can open the file');
    const envelope = openFile(native, file, dialKeys(native, member).fileKey);
    if (isFault(envelope)) throw new ClawChatError(envelope);
    const verified = verifyEnvelope(native, member.held.trust, envelope);
    if (isFault(verified)) throw new ClawChatError(verified);
    return { case: 'inspected', value: { envelope: envelope.bytes } };
  }

  async #bundle(invite: string): Promise<ResponseInit> {
    return { case: 'bundled', value: { bundle: deviceBundle(this.driver.client.member, invite) } };
  }

  #warn(text: string): void {
    this.#log.warn('warning', { text });
    if (!this.#warnings.includes(text)) this.#warnings.push(text);
    if (this.#warnings.length > 16) this.#warnings.shift();
  }

  #trouble(why: Fault, how: Trouble): void {
    const { member } = this.driver.client;
    // While there is no record there is nothing to try but the stores, and they have just been asked.
    if (how === 'round') {
      if (member?.held.newest === undefined) this.#tell(why);
      return;
    }
    const told = how === 'revoked' ? 'everybody' : this.#patience.failed(why.code, performance.now());
    if (told === 'everybody') this.#tell(why);
    else if (told === 'questions') for (const waiter of [...this.#waiters]) waiter(why);
  }

  #giveUp(ended: Fault): void {
    const isRevoked = ended.code === ErrorCode.DEVICE_REVOKED;
    const why = isRevoked ? fault(ended.by, ended.code, REVOKED) : ended;
    this.#warn(why.detail);
    this.#tell(why);
    for (const stream of [...this.#streams]) stream.abort(new ClawChatError(why));
  }

  #tell(why: Fault): void {
    for (const waiter of [...this.#waiters, ...this.#senders]) waiter(why);
  }

  #broken(reason: unknown): void {
    const detail = asError(reason).message;
    this.#log.error('database-failed', { why: detail });
    this.#tell(fault('self', ErrorCode.STORAGE_FULL, detail));
  }
}

/** Open a client's data directory and everything that runs on it. @throws as `openStore` does */
export async function openClientOwner(options: ClientOptions): Promise<ClientOwner> {
  const { directory, passphrase } = options;
  return openClientOn(await openStore({ directory, program: 'client', suite: native, passphrase }), options);
}

/** Open a client that keeps what it has in `database`, which is its own from here on. */
export async function openClientOn(database: Database, running: Running): Promise<ClientOwner> {
  const { log } = running;
  try {
    const stored = await database.get(MEMBER_KEY);
    const member = stored === undefined ? undefined : decodeMember(native, stored);
    if (member !== undefined && isFault(member)) throw new ClawChatError(member);
    const chat = await ChatClient.open({
      database,
      suite: native,
      failed: reason => log.error('outbox-failed', { why: asError(reason) }),
      notice: notice => log.warn('outbox', { kind: notice.kind }),
    });
    return new ClientOwner(database, chat, member, running);
  } catch (error) {
    await database.close();
    throw error;
  }
}
