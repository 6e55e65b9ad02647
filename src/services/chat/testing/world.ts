/** A host, devices, copies of devices, and everything that can befall them, by seed. For tests only. */
import { fromBinary } from '@bufbuild/protobuf';
import { labelledHash } from '../../../crypto/labels.ts';
import { noble } from '../../../crypto/noble.ts';
import { type Suite, withEntropy } from '../../../crypto/suite.ts';
import { ChatReplySchema, ChatRequestSchema } from '../../../gen/clawchat/v1/chat_pb.ts';
import { ErrorCode } from '../../../gen/clawchat/v1/error_pb.ts';
import { codeName } from '../../../protocol/fault.ts';
import { hex } from '../../../wire/bytes.ts';
import type { DatabaseOperation } from '../../ports.ts';
import { ChatClient } from '../client.ts';
import { isCode, parseContent } from '../content.ts';
import { ChatHost } from '../host.ts';
import type { ChatEvent } from '../reply.ts';
import { auditPosts, auditRooms, foldActs, isOpen, messagesOf } from './audit.ts';
import { type Disk, SimDatabase, type WriteHook } from './disk.ts';
import { Ledger, REVOKED } from './ledger.ts';
import { Line } from './line.ts';
import { lobbyActs, Reader, Writer } from './people.ts';
import { operatorAct, roomActs, someRoom } from './room-acts.ts';
import { draw, Scheduler, seeded } from './scheduler.ts';

/** What a world is like. */
export interface WorldOptions {
  readonly seed: number;
  readonly devices: number;
  /** Wishes of each writer. */
  readonly messages: number;
  /** Instants of chaos before everything is left in peace. */
  readonly chaos: number;
  /** Data directories are copied and restored. */
  readonly copies: boolean;
  /** Some wishes do something: in the lobby, or anything to any room, while devices are revoked and time passes. */
  readonly acts?: 'lobby' | 'rooms';
  /** Runs what promises have become ready for. */
  readonly settle: () => Promise<void>;
  /** The host's disk, or the clients', say "durable" when they are not. */
  readonly hostLies?: boolean;
  readonly clientLies?: boolean;
  readonly hostHook?: WriteHook;
  readonly clientHook?: WriteHook;
}

/** A data directory and the process that runs on it. */
export interface Device {
  readonly name: string;
  readonly deviceId: Uint8Array;
  readonly writer: Writer;
  readonly reader: Reader;
  disk: Disk;
  database: SimDatabase | undefined;
  chat: ChatClient | undefined;
  line: Line | undefined;
  backup: Disk | undefined;
  /** Revoked. */
  gone: boolean;
}

/** So long that old messages are looked for. */
const LEAP_MS = 61_000;

/** Tasks that may run before a world that was left in peace counts as stuck. */
const PEACE_STEPS = 4_000;

/** One run. */
export class World {
  readonly scheduler: Scheduler;
  readonly devices: Device[] = [];
  readonly problems: string[] = [];
  readonly #options: WorldOptions;
  readonly #suite: Suite;
  readonly #hostDisk: Disk = new Map();
  #hostDatabase: SimDatabase | undefined;
  #host: ChatHost | undefined;
  #wallMs = 1_000;
  /** What it has decided, when more is done than can be told from the history. */
  readonly #ledger: Ledger | undefined;
  /** Highest number of each outbox that the host was sent. */
  readonly #posted = new Map<string, number>();
  readonly #people: readonly Uint8Array[];
  /** Devices that the host knows, in hexadecimal. */
  readonly #enrolled = new Set<string>();

  constructor(options: WorldOptions) {
    this.#options = options;
    const random = seeded(options.seed);
    this.scheduler = new Scheduler(random);
    this.#suite = withEntropy(noble, length => Uint8Array.from({ length }, () => draw(random, 256)));
    const ids = Array.from({ length: options.devices }, () => this.#suite.randomBytes(16));
    if (options.acts === 'rooms') this.#ledger = new Ledger(ids);
    // Somebody names an id that is nobody's.
    this.#people = [...ids, this.#suite.randomBytes(16)];
    for (const [i, deviceId] of ids.entries()) this.#addDevice(`device ${i}`, deviceId);
  }

  /** Run chaos, then peace; give what the ledgers say is wrong. */
  async run(): Promise<readonly string[]> {
    for (let i = 0; i < this.#options.chaos; i += 1) {
      if (draw(this.scheduler.random, 40) === 0) this.#fault();
      await this.#live(this.devices);
    }
    // Copies of one device take turns; each gets as long as it needs.
    const live = new Set<Device>();
    for (const device of this.devices) {
      if (device.gone) continue;
      for (const other of live) if (hex(other.deviceId) === hex(device.deviceId)) live.delete(other);
      live.add(device);
      await this.#peace([...live]);
    }
    const ledger = this.#ledger;
    if (ledger !== undefined) await this.#rest();
    const told =
      ledger === undefined
        ? [...auditPosts(this.devices, this.#hostDisk), ...foldActs(this.#hostDisk)]
        : [
            ...ledger.problems,
            ...auditRooms(ledger, this.devices, this.#hostDisk, this.scheduler),
            ...ledger.compare(this.#hostDisk, this.#wallMs),
          ];
    return [...this.problems, ...this.devices.flatMap(({ writer }) => writer.problems), ...told];
  }

  /** Kill the host, or the clients, from a write hook. */
  crashHost(): void {
    if (this.#hostDatabase === undefined) return;
    this.scheduler.count('host crash');
    this.#hostDatabase.crash();
    this.#hostDatabase = undefined;
    this.#host = undefined;
    for (const { line } of this.devices) line?.host.die();
  }

  crashDevice(device: Device): void {
    if (device.database === undefined) return;
    this.scheduler.count('client crash');
    device.database.crash();
    device.line?.client.die();
    if (device.chat !== undefined) this.scheduler.drop(device.chat);
    device.database = undefined;
    device.chat = undefined;
    device.line = undefined;
    device.writer.forgotten();
  }

  #addDevice(name: string, deviceId: Uint8Array): Device {
    const { messages, acts } = this.#options;
    const random = (length: number): Uint8Array => this.#suite.randomBytes(length);
    const ledger = this.#ledger;
    const isJudged = ledger !== undefined;
    const choose = isJudged ? roomActs(deviceId, this.#people, ledger) : acts && lobbyActs;
    const writer = new Writer(name, messages, random, this.scheduler, {
      isJudged,
      ...(choose && { choose }),
    });
    const device: Device = {
      name,
      deviceId,
      writer,
      reader: new Reader(),
      disk: new Map(),
      database: undefined,
      chat: undefined,
      line: undefined,
      backup: undefined,
      gone: false,
    };
    this.devices.push(device);
    return device;
  }

  #fault(): void {
    const { random } = this.scheduler;
    const device = this.devices[draw(random, this.devices.length)];
    if (device === undefined || device.gone) return;
    if (this.#ledger !== undefined && draw(random, 3) === 0) {
      this.#roomFault(device);
      return;
    }
    const which = draw(random, this.#options.copies ? 8 : 5);
    if (which === 0) this.crashHost();
    else if (which === 1) this.crashDevice(device);
    else if (which <= 3 && device.line?.open) {
      this.scheduler.count('stream broken');
      device.line.break();
    } else if (which === 4 && device.line?.open) {
      this.scheduler.count('stream abandoned');
      device.line.abandon();
    } else if (which === 5) device.backup = new Map(device.disk);
    else if (which === 6 && device.backup !== undefined) {
      this.scheduler.count('directory restored');
      device.writer.restored();
      this.crashDevice(device);
      device.disk = new Map(device.backup);
    } else if (which === 7 && this.devices.length < 2 * this.#options.devices && device.disk.size > 0) {
      this.scheduler.count('directory copied');
      const copy = this.#addDevice(`copy of ${device.name}`, device.deviceId);
      copy.disk = new Map(device.disk);
    }
  }

  /** What befalls rooms and the people in them. */
  #roomFault(device: Device): void {
    const { random } = this.scheduler;
    const host = this.#host;
    const which = draw(random, 5);
    if (host === undefined) return;
    if (which === 0) {
      this.scheduler.count('time passes');
      this.#wallMs += LEAP_MS;
      host.prune(this.#wallMs);
    } else if (which <= 2 && this.devices.filter(({ gone }) => !gone).length > 2) {
      this.#revoke(device, host);
    } else {
      const act = operatorAct(this.#people, random);
      const done = host.operate(this.#suite.randomBytes(16), someRoom(random), act, this.#wallMs);
      done.then(({ code }) => {
        if (code === ErrorCode.UNSPECIFIED) this.scheduler.count(`operator: ${act.kind}`);
      }, this.#hostFailed);
    }
  }

  /** The device is no more: it never comes again, even when the host dies before it has written that. */
  #revoke(device: Device, host: ChatHost): void {
    const database = this.#hostDatabase;
    device.gone = true;
    device.writer.revoked();
    this.crashDevice(device);
    const key = REVOKED + hex(device.deviceId);
    host
      .revoke(device.deviceId)
      .then(async forget => {
        this.#enrolled.delete(hex(device.deviceId));
        const { operations, committed } = forget(this.#wallMs);
        await database?.commit([...operations, { kind: 'put', key, value: new Uint8Array(0) }]);
        committed();
        this.scheduler.count('device revoked');
      })
      .catch(this.#hostFailed);
  }

  readonly #hostFailed = (reason: unknown): void => void this.problems.push(`host: ${reason}`);

  /** Let everything old be deleted, and everything that was begun end. */
  async #rest(): Promise<void> {
    for (let turn = 0; turn < 2; turn += 1) {
      this.#wallMs += LEAP_MS;
      if (this.#hostDatabase === undefined) await this.#startHost();
      this.#host?.prune(this.#wallMs);
      for (let idle = 0; idle < 20; ) {
        idle = this.scheduler.step() ? 0 : idle + 1;
        await this.#options.settle();
      }
    }
  }

  async #live(devices: readonly Device[]): Promise<void> {
    this.#wallMs += draw(this.scheduler.random, 3);
    if (this.#hostDatabase === undefined) await this.#startHost();
    const device = devices[draw(this.scheduler.random, devices.length)];
    if (device !== undefined && !device.gone) {
      if (device.database === undefined) this.#startDevice(device);
      else if (device.chat !== undefined) {
        device.writer.tick(device.chat, this.scheduler);
        if (this.#ledger !== undefined) this.#read(device, device.chat);
        if (this.#host !== undefined && !device.line?.open) this.#connect(device, this.#host, device.chat);
      }
    }
    for (let i = 0; i < 4; i += 1) {
      this.scheduler.step();
      await this.#options.settle();
    }
  }

  async #peace(devices: readonly Device[]): Promise<void> {
    for (const other of this.devices) if (!devices.includes(other)) this.crashDevice(other);
    const newest = (): number =>
      messagesOf(this.#hostDisk).findLast(message => !message.isEmpty && isOpen(this.#ledger, message.cursor))
        ?.cursor ?? 0;
    const quiet = (): boolean =>
      devices.every(
        ({ chat, writer, reader }) =>
          chat?.unacknowledged === 0 && writer.done && (reader.cursors.at(-1) ?? 0) >= newest(),
      );
    for (let i = 0; i < PEACE_STEPS && !quiet(); i += 1) await this.#live(devices);
    for (const { name, chat, writer, reader } of quiet() ? [] : devices) {
      const left = chat?.unacknowledged ?? -1;
      const read = `read through ${reader.cursors.at(-1) ?? 0} of ${newest()}`;
      this.problems.push(`${name} is stuck: ${left} unacknowledged, ${read}, done ${writer.done}`);
    }
  }

  /** Now and then somebody says how far they came. */
  #read({ reader }: Device, chat: ChatClient): void {
    const { random } = this.scheduler;
    if (draw(random, 8) > 0) return;
    const [delivered, read] = [reader.cursors.at(-1) ?? 0, reader.cursors.at(-3) ?? 0];
    chat.mark({ room: someRoom(random), delivered, read, hidden: draw(random, 2) === 0 });
  }

  async #startHost(): Promise<void> {
    const { hostHook: hook, hostLies: lies = false } = this.#options;
    const applied = (operations: readonly DatabaseOperation[]): void =>
      this.#ledger?.applied(operations, this.#wallMs);
    const database = new SimDatabase(this.#hostDisk, this.scheduler, {
      lies,
      applied,
      ...(hook && { hook }),
    });
    this.#hostDatabase = database;
    const options = {
      database,
      suite: this.#suite,
      enrolled: (device: string) => (this.#enrolled.has(device) ? 'somebody' : undefined),
      alarm: () => this.scheduler.count('operator alarm'),
      failed: this.#hostFailed,
      crashed: this.#hostFailed,
    };
    this.#enrolled.clear();
    for (const { deviceId } of this.devices) {
      const device = hex(deviceId);
      if (!this.#hostDisk.has(REVOKED + device)) this.#enrolled.add(device);
    }
    const host = await this.#opened(ChatHost.open(options), database);
    if (this.#hostDatabase === database) this.#host = host;
  }

  #startDevice(device: Device): void {
    const { clientHook: hook, clientLies: lies = false } = this.#options;
    const database = new SimDatabase(device.disk, this.scheduler, { lies, ...(hook && { hook }) });
    device.database = database;
    const options = {
      database,
      suite: this.#suite,
      notice: () => this.scheduler.count('outbox replaced'),
      failed: (reason: unknown) => this.problems.push(`${device.name}: ${reason}`),
    };
    ChatClient.open(options).then(chat => {
      if (device.database !== database) return;
      device.chat = chat;
      device.reader.listen(chat, this.scheduler);
      if (this.#ledger !== undefined) {
        const event = ({ kind }: ChatEvent): void => this.scheduler.count(`told: ${kind}`);
        chat.events({ changed: () => {}, welcome: () => {}, event });
      }
    }, options.failed);
  }

  /** Run the world until something is open. */
  async #opened<T>(promise: Promise<T>, database: SimDatabase): Promise<T | undefined> {
    let value: T | undefined;
    promise.then(
      opened => {
        value = opened;
      },
      reason => this.problems.push(String(reason)),
    );
    while (value === undefined && this.#hostDatabase === database) {
      this.scheduler.step();
      await this.#options.settle();
    }
    return value;
  }

  #connect(device: Device, host: ChatHost, chat: ChatClient): void {
    if (draw(this.scheduler.random, 3) > 0) return;
    for (const other of this.devices) {
      if (other === device || hex(other.deviceId) !== hex(device.deviceId) || !other.line?.open) continue;
      this.scheduler.count('session replaced');
      if (draw(this.scheduler.random, 2) === 0) other.line.break(ErrorCode.SESSION_REPLACED);
      else other.line.abandon();
    }
    const line = new Line(this.scheduler, () => this.#wallMs, this.#tap);
    device.line = line;
    line.host.handler = host.serve(line.host, { deviceId: device.deviceId, name: device.name });
    line.client.handler = chat.serve(line.client);
  }

  readonly #tap = (to: 'host' | 'client', message: Uint8Array): void => {
    if (to === 'client') {
      const { body } = fromBinary(ChatReplySchema, message);
      if (body.case === 'outboxStored') this.scheduler.count('compared');
      if (body.case === 'refusal') this.scheduler.count(`refused ${codeName(body.value.code)}`);
      if (body.case === 'postResult' && body.value.code !== 0) this.scheduler.count('refused for good');
      return;
    }
    const { body } = fromBinary(ChatRequestSchema, message);
    if (body.case !== 'post') return;
    const content = parseContent(body.value.content);
    if (!isCode(content))
      this.#ledger?.posted(labelledHash(this.#suite, 'content', body.value.content), content);
    if (!isCode(content))
      this.scheduler.count(content.edits === undefined ? (content.act?.kind ?? 'said') : 'edit');
    const outbox = hex(body.value.outboxId);
    const number = Number(body.value.number);
    if (number <= (this.#posted.get(outbox) ?? 0)) this.scheduler.count('post repeated');
    else this.#posted.set(outbox, number);
  };
}
