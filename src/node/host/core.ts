/** Everything that a host is, with or without a network: database, members, chat, publishing. Chapter: spec/01-architecture.md. */
import { judge } from '../../discovery/verdict.ts';
import { ErrorCode } from '../../gen/clawchat/v1/error_pb.ts';
import { STORE_ATTEMPT_MS_MAX } from '../../gen/constants.ts';
import type { Store as StorePlace } from '../../protocol/connection-record.ts';
import { ClawChatError, codeName, type Fault, fault, isFault } from '../../protocol/fault.ts';
import type { RecordName } from '../../protocol/freshness.ts';
import { type HostIdentity, type HostRecord, isDatabaseOld } from '../../protocol/host-record.ts';
import { inviteText } from '../../protocol/invite.ts';
import type { RegistryChange } from '../../protocol/registry.ts';
import { encodeRotation, ROTATION_KEY, type RotationState } from '../../protocol/rotation-storage.ts';
import type { ServerOutput } from '../../protocol/server-io.ts';
import {
  encodeIdentity,
  IDENTITY_KEY,
  registryOperations,
  type StoredOperation,
} from '../../protocol/storage.ts';
import { words } from '../../protocol/words.ts';
import type { StreamAcceptor } from '../../runtime/streams.ts';
import { BENCH_SERVICE } from '../../services/bench/answer.ts';
import { BenchHost } from '../../services/bench/host.ts';
import { CHAT_SERVICE, type ChatHost, type MadeInvite } from '../../services/chat/host.ts';
import { LOOK_MS } from '../../services/chat/people.ts';
import { PRUNE_MS } from '../../services/chat/retention.ts';
import { asError, failure } from '../failure.ts';
import { native } from '../native.ts';
import { openStore, type Store } from '../store.ts';
import type { HostStore } from '../stores/open.ts';
import { chatChange } from './chat-changes.ts';
import { HostDriver, type ToldNotice } from './driver.ts';
import type { History } from './history.ts';
import { type Loaded, load } from './load.ts';
import type { HostOptions } from './options.ts';
import { OwnFile } from './own-file.ts';
import { Publisher } from './publisher.ts';
import { databaseOld, type Known, type SurveyedStore } from './survey.ts';

const EMPTY = new Uint8Array(0);
/** How long stores have to answer when a host starts. */
const SURVEY_MS = 10_000;
/** Of an invite that a person asks for: it is for a device that lies at hand. */
const DEVICE_INVITE_LIFE_MS = 3_600_000;

/** An invite that was just made. */
export interface HostInvite {
  readonly id: string;
  readonly invite: Uint8Array;
  readonly expiresAtMs: number;
}

interface Pending {
  readonly resolve: (made: HostInvite | undefined) => void;
  readonly reject: (error: unknown) => void;
}

/** A host's data directory, open. */
export class HostCore {
  readonly options: HostOptions;
  readonly identity: HostIdentity;
  readonly driver: HostDriver;
  readonly publisher: Publisher;
  readonly stores: readonly HostStore[];
  /** What happened to the rotation. */
  readonly history: History;
  readonly chat: ChatHost;
  /** Resolves once nothing can be promised any more: the database refused a write. */
  readonly broken: Promise<unknown>;
  readonly alarms: string[] = [];
  /** Journal and keys of the rotation, as they are on the disk; undefined before the first start. */
  rotation: RotationState | undefined;
  /** The record in force. */
  record: HostRecord | undefined;
  /** Who the host is was made just now. */
  readonly #isNew: boolean;
  readonly #database: Store;
  readonly #file: OwnFile;
  readonly #pending = new Map<number, Pending>();
  readonly #pruning: NodeJS.Timeout;
  readonly #looking: NodeJS.Timeout;
  #refs = 0;
  #persisting: Promise<void> = Promise.resolve();
  #publishing: Promise<boolean> = Promise.resolve(false);
  #break: (reason: unknown) => void = () => {};
  /** Of the record that was last read back from a store. */
  #publishedSequence = 0;
  /** Called when the record was read back from a store. */
  onVerified: (record: RecordName) => void = () => {};
  /** What somebody who attaches has to hear of a move and of the record. */
  noticeFor: (port: number, epoch: number) => ToldNotice | undefined = () => undefined;

  private constructor(options: HostOptions, loaded: Loaded) {
    const { database, identity, rotation, record, server, chat } = loaded;
    this.options = options;
    this.identity = identity;
    this.stores = loaded.stores;
    this.history = loaded.history;
    this.rotation = rotation;
    this.record = record;
    this.#isNew = loaded.isNew;
    this.#database = database;
    this.chat = chat.host;
    this.#file = new OwnFile(identity, () => server.registry);
    this.broken = new Promise(settle => {
      this.#break = settle;
    });
    chat.failed = reason => this.#fail(reason);
    chat.crashed = reason => options.log.error('service-failed', { why: asError(reason) });
    chat.inviteDevice = name => this.#inviteDevice(name);
    this.#pruning = setInterval(() => this.chat.prune(Date.now()), PRUNE_MS);
    this.#pruning.unref();
    this.#looking = setInterval(() => this.chat.people.look(device => this.driver.isAway(device)), LOOK_MS);
    this.#looking.unref();
    this.chat.prune(Date.now());
    chat.alarm = text => this.#alarm(text);
    chat.posted = code =>
      this.driver.counts.posts.add(code === ErrorCode.UNSPECIFIED ? 'STORED' : codeName(code));
    this.driver = new HostDriver(
      server,
      {
        persist: changes => this.#persist(changes),
        publish: () => void this.publish(),
        failed: reason => this.#fail(reason),
        accept: device => this.#acceptor(device),
        noticeFor: (port, epoch) => this.noticeFor(port, epoch),
        report: output => this.#report(output),
      },
      options.log,
    );
    this.publisher = new Publisher({
      stores: loaded.stores,
      readAgainMs: options.constants.STORE_READ_AGAIN_MS,
      open: bytes => this.#file.open(bytes),
      verified: record => this.#verified(record),
      ended: (store, result) => this.driver.counts.published(store, result),
      older: found => this.#old(`a store holds record ${found.sequence} of this host`),
      log: options.log,
    });
  }

  /** Open a data directory; who the host is is made when there is nothing yet. @throws as `openStore` does */
  static async open(options: HostOptions): Promise<HostCore> {
    const { directory, passphrase } = options;
    const database = await openStore({ directory, program: 'host', suite: native, passphrase });
    try {
      return new HostCore(options, await load(database, options));
    } catch (error) {
      await database.close();
      throw error;
    }
  }

  /** Where the host publishes, as the record says it. */
  get storePlaces(): readonly StorePlace[] {
    return this.stores.map(({ store }) => store);
  }

  /** Make journal, keys and record durable in one step, and only then let the machine and the world see them. */
  async commitRotation(rotation: RotationState, record: HostRecord | undefined): Promise<void> {
    await this.#database.commit([{ kind: 'put', key: ROTATION_KEY, value: encodeRotation(rotation) }]);
    this.rotation = rotation;
    if (record === this.record || record === undefined) return;
    this.record = record;
    const { channelKeys } = rotation;
    this.driver.step({ kind: 'record', envelope: record.envelope, channelKeys });
  }

  /** Seal the current record for everybody who may read it, and publish it. True once it was read back. */
  publish(): Promise<boolean> {
    this.#publishing = this.#sealAndPublish();
    return this.#publishing;
  }

  /** What the database knows of its newest record. */
  get known(): Known {
    const newest = this.rotation?.journal.record;
    return {
      sequence: newest?.sequence ?? 0,
      hash: this.record?.name.hash,
      validUntilMs: this.#isNew ? undefined : (this.record?.record.validUntilMs ?? 0),
    };
  }

  /** Look at what lies in every store; one that is not ahead of the database may be written from then on. */
  async survey(): Promise<readonly SurveyedStore[]> {
    const answers = await this.publisher.survey(SURVEY_MS);
    return answers.map((answer, index) => {
      const verdict = judge(answer, bytes => this.#file.openFile(bytes));
      const isOver = verdict.kind === 'record' && isDatabaseOld(native, this.known, verdict.record);
      if (verdict.kind === 'absent' || (verdict.kind === 'record' && !isOver)) this.publisher.surveyed(index);
      const files = answer.kind === 'file' ? [answer.bytes, ...answer.others] : [];
      const isSuperseded = verdict.kind === 'invalid' && files.some(bytes => this.#file.isSuperseded(bytes));
      return { name: this.stores[index]?.reader.name ?? '', verdict, isSuperseded };
    });
  }

  /** The current file, for a bundle. Faults: FILE_TOO_LARGE; USAGE before the first start. */
  seal(): Uint8Array | Fault {
    const { record } = this;
    if (record === undefined) return fault('self', ErrorCode.USAGE, 'the host has to run once first');
    return this.#file.seal(record);
  }

  /** Make an invite; it is durable, and `published` says whether the file with its stanza was read back. */
  async invite(
    name: string,
    lifeMs: number,
    isBundled: boolean,
  ): Promise<HostInvite & { readonly published: boolean }> {
    const { publicKey: identity, serverId } = this.identity;
    const terms = {
      secret: native.randomBytes(32),
      identity,
      serverId,
      stores: this.storePlaces,
      name,
      lifeMs,
      isBundled,
    };
    const made = await this.#ask(ref => ({ kind: 'makeInvite', ref, terms }));
    if (made === undefined) throw failure(ErrorCode.INTERNAL, 'an invite was asked for and none was made');
    return { ...made, published: await this.#publishing };
  }

  /** Make an invite for a further device of a person, which is on its way as soon as it is told. */
  async #inviteDevice(name: string): Promise<MadeInvite | ErrorCode> {
    try {
      const { id, invite, expiresAtMs, published } = await this.invite(name, DEVICE_INVITE_LIFE_MS, false);
      if (published) return { id, text: inviteText(native, invite), expiresAtMs };
      await this.withdraw(id);
      return ErrorCode.STORE_UNAVAILABLE;
    } catch (error) {
      this.options.log.warn('device-invite', { why: asError(error) });
      return ErrorCode.RATE_LIMITED;
    }
  }

  /** End an invite before its time, durably; false when there is none of this id. @impl IN-008~1 */
  async withdraw(invite: string): Promise<boolean> {
    if (!this.driver.server.registry.invites.has(invite)) return false;
    await this.#ask(ref => ({ kind: 'withdrawInvite', ref, invite }));
    return true;
  }

  /** Remove a device, durably; false when there is none of this id. @impl EN-031~1 */
  async revoke(device: string): Promise<boolean> {
    if (!this.driver.server.registry.devices.has(device)) return false;
    await this.#ask(ref => ({ kind: 'revokeDevice', ref, device }));
    return true;
  }

  /** The words of a device, for comparing by voice. @impl EN-040~1, EN-041~1 */
  words(publicKey: Uint8Array): string {
    return words(native, this.identity.publicKey, publicKey);
  }

  /** Resolve when everything that was decided so far is durable, and its answers had their turn to leave. */
  async settled(): Promise<void> {
    await this.#persisting.catch(() => undefined);
    await this.#database.commit([]).catch(() => undefined);
    for (let turn = 0; turn < 2; turn += 1) await new Promise(resolve => setImmediate(resolve));
  }

  /** The person whose further device this is; empty when it is a person's first. @impl CH-044~1 */
  personBehind(device: string): Uint8Array {
    const person = this.chat.people.personOf(device);
    return person === device ? EMPTY : Buffer.from(person, 'hex');
  }

  /** Finish every write and let go of the directory. */
  async close(): Promise<void> {
    clearInterval(this.#pruning);
    clearInterval(this.#looking);
    this.driver.close();
    await this.publisher.close();
    for (const { reject } of this.#pending.values()) reject(failure(ErrorCode.CANCELLED, 'the host stops'));
    await this.#persisting.catch(() => undefined);
    await this.chat.stop();
    await this.history.flush();
    await this.#database.close();
  }

  #ask(input: (ref: number) => Parameters<HostDriver['step']>[0]): Promise<HostInvite | undefined> {
    const ref = ++this.#refs;
    return new Promise((settle, reject) => {
      this.#pending.set(ref, { resolve: settle, reject });
      this.driver.step(input(ref));
    });
  }

  #report(output: ServerOutput & { kind: 'made' | 'done' | 'declined' | 'enrolled' | 'alarm' }): void {
    switch (output.kind) {
      case 'made':
        this.#settle(output.ref)?.resolve(output);
        break;
      case 'done':
        this.#settle(output.ref)?.resolve(undefined);
        break;
      case 'declined':
        this.#settle(output.ref)?.reject(new ClawChatError(output.fault));
        break;
      case 'enrolled': {
        const compare = this.words(output.publicKey);
        this.options.log.info('device-enrolled', {
          device: output.device,
          name: output.name,
          words: compare,
        });
        break;
      }
      case 'alarm':
        this.#alarm(`somebody tried an invite that was already used (invite ${output.invite})`);
    }
  }

  #settle(ref: number): Pending | undefined {
    const pending = this.#pending.get(ref);
    this.#pending.delete(ref);
    return pending;
  }

  #alarm(text: string): void {
    this.options.log.error('alarm', { text });
    this.driver.counts.alarms += 1;
    this.alarms.push(text);
    if (this.alarms.length > 32) this.alarms.shift();
  }

  #fail(reason: unknown): void {
    this.options.log.error('database-failed', { why: asError(reason) });
    this.#break(reason);
  }

  /** Serving goes on from nothing of this: whoever runs the host is told, and has to recover it. @impl DI-026~2 */
  #old(why: string): void {
    this.#alarm(`${why}, which this database does not know`);
    this.#break(databaseOld(why));
  }

  /** Commit members and rotation in one step, with nobody served: the network and the machine know nothing of it. */
  async replace(
    changes: readonly RegistryChange[],
    rotation: RotationState,
    identity?: HostIdentity,
  ): Promise<void> {
    const value = encodeRotation(rotation);
    const more: StoredOperation[] = [{ kind: 'put', key: ROTATION_KEY, value }];
    if (identity !== undefined)
      more.push({ kind: 'put', key: IDENTITY_KEY, value: encodeIdentity(identity) });
    await this.#persist(changes, more);
  }

  /** What the chat service keeps of a device comes and goes in the commit of the device. @impl CH-016~1 @impl CH-044~1 */
  #persist(changes: readonly RegistryChange[], more: readonly StoredOperation[] = []): Promise<void> {
    this.#persisting = this.#persisting.then(async () => {
      const { registry } = this.driver.server;
      const chat = await Promise.all(changes.map(change => chatChange(this.chat, registry, change)));
      const taken = chat.map(take => take());
      const operations = taken.flatMap(each => each.operations);
      await this.#database.commit([...registryOperations(changes), ...operations, ...more]);
      for (const { committed } of taken) committed?.();
    });
    return this.#persisting;
  }

  /** @impl BE-001~1 */
  #acceptor(device: string): StreamAcceptor {
    return (service, stream) => {
      if (service === BENCH_SERVICE && this.options.bench) return new BenchHost(native, stream);
      const name = this.driver.server.registry.devices.get(device)?.name ?? device.slice(0, 8);
      const member = { deviceId: Buffer.from(device, 'hex'), name };
      if (service === CHAT_SERVICE) return this.chat.serve(stream, member);
      return this.options.services?.get(service)?.(stream, member);
    };
  }

  async #sealAndPublish(): Promise<boolean> {
    const { record } = this;
    if (record === undefined) return false;
    const bytes = this.#file.seal(record);
    if (isFault(bytes)) {
      this.#alarm(bytes.detail);
      return false;
    }
    this.#file.publishes(record.name, bytes);
    return this.publisher.publish({ record: record.name, bytes }, STORE_ATTEMPT_MS_MAX);
  }

  #verified(record: RecordName): void {
    const { sequence } = record;
    if (sequence > this.#publishedSequence) this.options.log.info('record-published', { sequence });
    this.#publishedSequence = sequence;
    this.driver.step({ kind: 'witness', witness: record });
    this.onVerified(record);
  }
}
