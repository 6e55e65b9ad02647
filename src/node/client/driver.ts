/** Performs what the client's machine decides. Chapter: spec/05-session.md. */
import { REVOKED, situation } from '../../discovery/situation.ts';
import type { StandingReport } from '../../discovery/standing.ts';
import { ErrorCode } from '../../gen/clawchat/v1/error_pb.ts';
import { RotationKind, type RotationNotice } from '../../gen/clawchat/v1/rotation_pb.ts';
import type { Constants } from '../../gen/constants.ts';
import { Client } from '../../protocol/client.ts';
import type { ClientInput, ClientOutput } from '../../protocol/client-io.ts';
import type { Envelope } from '../../protocol/envelope.ts';
import { codeName, type Fault, fault } from '../../protocol/fault.ts';
import type { Member } from '../../protocol/join.ts';
import {
  type Migration,
  type MigrationInput,
  type MoveNotice,
  stepMigration,
} from '../../protocol/migration.ts';
import type { ServiceStream, StreamHandler } from '../../services/ports.ts';
import type { Log } from '../log.ts';
import { native } from '../native.ts';
import { Alarm, drawUnit, readNow } from '../now.ts';
import type { ProxyEnvironment } from '../proxy.ts';
import { Turns } from '../turns.ts';
import { VERSION } from '../version.ts';
import { Connections } from './connections.ts';
import { Finder } from './finder.ts';
import { SessionStreams } from './session-streams.ts';

const NOTICES: ReadonlyMap<RotationKind, MoveNotice['kind']> = new Map([
  [RotationKind.MOVE, 'move'],
  [RotationKind.HOLD, 'hold'],
  [RotationKind.EMERGENCY, 'emergency'],
  [RotationKind.RECORD, 'record'],
]);
const DIAL_ENTROPY_BYTES = 64;
/** Nobody answers where the host was. */
const UNANSWERED: ReadonlySet<ErrorCode> = new Set([ErrorCode.HOST_UNREACHABLE, ErrorCode.TIMEOUT]);
/** What answers there lets this device in no more than a stranger. */
const TURNED_AWAY: ReadonlySet<ErrorCode> = new Set([ErrorCode.GATE_REFUSED, ErrorCode.HANDSHAKE_FAILED]);

/** How the client's connection stands. */
export type LinkState = 'idle' | 'connecting' | 'connected' | 'waiting';

/** What came to nothing: a round of all stores, a dial, or a dial in a way that says that the device was revoked. */
export type Trouble = 'round' | 'dial' | 'revoked';

/** What the driver asks of the client around it. */
export interface ClientPort {
  /** Make the member durable; calls become durable in their order. */
  persist(member: Member): Promise<void>;
  /** The database failed. */
  failed(reason: unknown): void;
  /** A session is there: give the handler of the stream that was opened to the chat service. */
  chat(stream: ServiceStream): StreamHandler;
  /** Words to compare with the host's operator. */
  show(words: string): void;
  /** Something the person should hear of; the client goes on. */
  warn(text: string): void;
  /** An invite, a record or an answer was refused; nothing has changed. */
  declined(why: Fault): void;
  /** An attempt came to nothing; the client goes on trying. */
  trouble(why: Fault, how: Trouble): void;
  /** The session is on a path. */
  attached(endpoint: string): void;
  /** There is no use in going on. */
  stopped(why: Fault): void;
}

/** Drives one client's machine. */
export class ClientDriver {
  readonly client: Client;
  readonly #port: ClientPort;
  readonly #log: Log;
  readonly #connections: Connections;
  readonly #streams: SessionStreams;
  readonly #finder: Finder;
  readonly #turns: Turns;
  readonly #moveAlarm = new Alarm(() => this.#move());
  readonly #constants: Constants;
  /** The path that the session is on. */
  #current: number | undefined;
  /** Whether the host has let this device in since this process began. */
  #wasAttached = false;
  #migration: Migration | undefined;
  #persisted: Promise<void> = Promise.resolve();
  /** How it stands, for `status`. */
  link: LinkState = 'idle';
  endpoint = '';
  lastFault: Fault | undefined;

  /** `environment` has the variables that decide on a proxy. */
  constructor(
    member: Member | undefined,
    service: string,
    constants: Constants,
    port: ClientPort,
    log: Log,
    environment: ProxyEnvironment,
  ) {
    this.client = new Client({ suite: native, member, software: `clawchat ${VERSION}` });
    this.#constants = constants;
    this.#port = port;
    this.#log = log;
    this.#turns = new Turns(this.client, () => this.step({ kind: 'tick' }));
    this.#connections = new Connections(input => this.step(input), environment);
    const streamsPort = {
      chat: (stream: ServiceStream) => port.chat(stream),
      flush: () => this.#turns.schedule(),
    };
    this.#streams = new SessionStreams(this.client, service, streamsPort, log);
    const found = {
      member: () => this.client.member,
      accept: (envelope: Envelope) => {
        this.step({ kind: 'record', envelope });
        return this.#persisted;
      },
      dial: () => this.step({ kind: 'dial', entropy: native.randomBytes(DIAL_ENTROPY_BYTES) }),
      warn: (text: string) => port.warn(text),
      exhausted: (why: Fault, dials: boolean) => this.#exhausted(why, dials),
    };
    this.#finder = new Finder(found, constants, log, environment);
    if (member !== undefined) this.#finder.use(member);
  }

  /** How every store stands. */
  get standings(): readonly StandingReport[] {
    return this.#finder.standings;
  }

  /** The address of a store for people, without credentials. */
  storeName(key: string): string {
    return this.#finder.name(key);
  }

  /** What the stores most likely mean for the person; undefined while all is well. */
  get situation(): string | undefined {
    if (this.lastFault?.code === ErrorCode.DEVICE_REVOKED) return REVOKED;
    const hasRecord = this.client.member?.held.newest !== undefined;
    return situation(this.standings, { isConnected: this.link === 'connected', hasRecord });
  }

  /** Give the machine one input and do what it says. */
  step(input: ClientInput): void {
    for (const output of this.client.step(input, readNow())) this.#perform(output);
    this.#turns.schedule();
  }

  /** Be connected from now on. */
  start(): void {
    if (this.link !== 'idle') return;
    this.link = 'connecting';
    this.step({ kind: 'start' });
  }

  /** Open a stream of the session that is there; false while there is none. */
  open(service: string, handler: (stream: ServiceStream) => StreamHandler): boolean {
    return this.#streams.open(service, handler);
  }

  /** Resolve when every member that was decided is durable. */
  get settled(): Promise<void> {
    return this.#persisted;
  }

  /** End the session and every attempt. */
  async close(): Promise<void> {
    this.step({ kind: 'stop' });
    this.#streams.close();
    this.#turns.close();
    this.#moveAlarm.set(undefined);
    this.#connections.cancelAll();
    await this.#finder.close();
    await this.#persisted.catch(() => undefined);
  }

  // ---- the machine ----

  #perform(output: ClientOutput): void {
    switch (output.kind) {
      case 'deliver':
        this.#streams.deliver(output.event);
        break;
      case 'send':
        this.#connections.send(output.path, output.bytes);
        break;
      case 'close':
        this.#log.debug('path-closed', { code: codeName(output.code), why: output.detail });
        this.#connections.close(output.path, output.cut);
        break;
      case 'need':
        this.#finder.start();
        break;
      case 'dial':
        this.#connections.dial(output, this.client.member?.held.newest?.record.accessKeys[0].epoch ?? 0);
        if (this.link !== 'connected') this.link = 'connecting';
        break;
      case 'cancel':
        this.#connections.cancel(output.path);
        break;
      case 'failed':
        this.#failed(output.fault);
        break;
      case 'connected':
        this.#finder.input({ kind: 'connected', witness: output.witness });
        break;
      case 'persist':
        this.#persist(output.id, output.member);
        break;
      case 'show':
        this.#port.show(output.words);
        break;
      case 'warn':
        this.#port.warn(`${codeName(output.fault.code)}: ${output.fault.detail}`);
        break;
      case 'declined':
        this.#log.warn('declined', { code: codeName(output.fault.code), why: output.fault.detail });
        this.#port.declined(output.fault);
        break;
      case 'notice':
        this.#noticed(output.notice);
        break;
      case 'opened':
        this.#streams.opened(output.session);
        break;
      case 'attached': {
        this.link = 'connected';
        this.#wasAttached = true;
        this.lastFault = undefined;
        this.#current = output.path;
        this.#migrate({ kind: 'ended' });
        this.endpoint = this.#connections.get(output.path)?.endpoint ?? '';
        this.#port.attached(this.endpoint);
        break;
      }
      case 'detached':
        this.link = 'connecting';
        this.#current = undefined;
        this.#migrate({ kind: 'ended' });
        break;
      case 'lost':
        this.#lost(output.fault);
        break;
      case 'stopped':
        this.link = 'idle';
        this.lastFault = output.fault;
        this.#finder.input({ kind: 'stop' });
        this.#port.stopped(output.fault);
    }
  }

  #persist(id: number, member: Member): void {
    this.#persisted = this.#port.persist(member).then(
      () => {
        this.step({ kind: 'committed', id });
        this.#finder.use(member);
        const { newest } = member.held;
        if (newest !== undefined) {
          this.#finder.input({ kind: 'learned', record: { sequence: newest.sequence, hash: newest.hash } });
        }
      },
      reason => this.#port.failed(reason),
    );
  }

  #failed(why: Fault): void {
    this.lastFault = why;
    this.#log.info('dial-failed', { code: codeName(why.code), why: why.detail });
    if (this.link !== 'connected') this.link = 'waiting';
    const hopeless = this.#hopeless(why);
    const isRevoked = hopeless !== undefined && this.#isSure(why);
    this.#port.trouble(hopeless ?? why, isRevoked ? 'revoked' : 'dial');
    this.#migrate({ kind: 'failed', entropy: drawUnit() });
    this.#finder.input({ kind: 'dialFailed', entropy: drawUnit() });
  }

  /**
   * Nobody answers where the host was, or what answers turns this device away, and every store has a file for others: the
   * device waits for nothing. One that was just let in waits for the file that says so, which a host publishes behind its
   * answer.
   */
  #hopeless(why: Fault): Fault | undefined {
    const stage = this.client.member?.stage;
    if (stage === 'granted') return undefined;
    if (!UNANSWERED.has(why.code) && !(stage === 'device' && TURNED_AWAY.has(why.code))) return undefined;
    const { standings: stores, situation: text } = this;
    const isForeign = stores.length > 0 && stores.every(({ standing }) => standing === 'foreign');
    return isForeign && text !== undefined ? fault('peer', ErrorCode.NOT_A_RECIPIENT, text) : undefined;
  }

  /**
   * Whether that is what happens to a device that was revoked, and to no other: a host that let it in since this process
   * began may be off for a while, and its stores be old. @impl CT-045~4
   */
  #isSure(why: Fault): boolean {
    return this.client.member?.stage === 'device' && (TURNED_AWAY.has(why.code) || !this.#wasAttached);
  }

  // ---- moving ----

  /** The host moves: what the notice brought is stored first, then this client draws its own instant. @impl RT-150~1 */
  #noticed({ kind, rotatesInMs, oldEndsInMs }: RotationNotice): void {
    this.#log.debug('rotation-notice', { kind, in_ms: rotatesInMs });
    const named = NOTICES.get(kind);
    if (named === undefined) return;
    void this.#persisted.then(() => {
      const connection = this.#current === undefined ? undefined : this.#connections.get(this.#current);
      const record = this.client.member?.held.newest?.record;
      if (connection === undefined || record === undefined) return;
      const isElsewhere =
        connection.epoch !== record.accessKeys[0].epoch || connection.port !== record.endpoints[0]?.port;
      const notice = { kind: named, rotatesInMs, oldEndsInMs };
      this.#migrate({ kind: 'notice', notice, isElsewhere, entropy: drawUnit() });
    });
  }

  #migrate(input: MigrationInput): void {
    this.#migration = stepMigration(this.#migration, input, readNow().mono, this.#constants);
    this.#moveAlarm.set(this.#migration?.at === Number.POSITIVE_INFINITY ? undefined : this.#migration?.at);
  }

  #move(): void {
    this.#migrate({ kind: 'moving' });
    if (this.#migration !== undefined) this.step({ kind: 'move' });
  }

  #lost(why: Fault): void {
    this.#log.info('session-lost', { code: codeName(why.code), why: why.detail });
    this.#streams.lost(why.code);
  }

  /** Every store was asked. */
  #exhausted(why: Fault, dials: boolean): void {
    this.#log.info('stores-exhausted', { code: codeName(why.code), why: why.detail });
    if (dials) return;
    this.link = 'waiting';
    this.lastFault = why;
    this.#port.trouble(why, 'round');
  }
}
