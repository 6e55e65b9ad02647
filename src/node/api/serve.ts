/** The host for programs. Chapters: spec/01-architecture.md, spec/08-devices.md; guide: docs/embedding.md. */
import { isIP } from 'node:net';
import { ErrorCode } from '../../gen/clawchat/v1/error_pb.ts';
import { INVITE_LIFE_MS } from '../../gen/constants.ts';
import { parseInterval } from '../../protocol/rotation-interval.ts';
import { type Channel, StreamChannel } from '../../runtime/channel.ts';
import { BENCH_SERVICE } from '../../services/bench/answer.ts';
import { CHAT_SERVICE } from '../../services/chat/host.ts';
import { hex } from '../../wire/bytes.ts';
import { expectAnswer } from '../cli/directory.ts';
import { failure } from '../failure.ts';
import type { HostOptions, MemberService } from '../host/options.ts';
import type { Ready } from '../host-owner.ts';
import type { Log } from '../log.ts';
import { askWithin } from '../owner-link.ts';
import { openServing, type Serving } from '../serve-host.ts';
import {
  checkArgument,
  checkOptions,
  FLAG,
  FUNCTIONS,
  ID,
  PATH,
  type Rules,
  SERVICE_NAME,
  SIGNAL,
  TEXT,
  TEXTS,
  whole,
} from './check.ts';
import { COMMON_RULES, type CommonOptions, presetConstants, programLog } from './options.ts';

/** Who opened a channel: a device of this host, proven by the handshake. */
export interface Peer {
  /** 32 hexadecimal digits. */
  readonly device: string;
  /** Its name at this host; not unique. */
  readonly name: string;
}

/**
 * Serve one channel that a device opened. When it returns, the channel is closed; when it throws, the other side sees
 * `INTERNAL`, the log has the error, and the host goes on.
 */
export type Service = (channel: Channel, peer: Peer) => Promise<void> | void;

/** How a host runs. */
export interface ServeOptions extends CommonOptions {
  /** The data directory, made if need be; the same that `clawchatd` works on, which attaches to this host. */
  readonly directory: string;
  /** Address to listen on. Default: all. */
  readonly listen?: string;
  /** A fixed port instead of a random one of 49152-65535. */
  readonly port?: number;
  /** What clients shall dial. Default: the addresses of this machine. */
  readonly advertise?: readonly string[];
  /** File to publish the connection file in; `stores.json` in the directory names stores of other kinds. Default: in the directory. */
  readonly store?: string;
  /** From one move to the next, 900,000 (15 min) to 86,400,000 ms (24 h). Default: 3,600,000. */
  readonly intervalMs?: number;
  /** Who is asked for the time, hourly: `host`, `host:port` (SNTP) or an https URL. Default: nobody. */
  readonly timeServer?: string;
  /** How long closing may take for what is under way, up to 300,000 ms (5 min). Default: 10,000; 0 closes at once. */
  readonly drainMs?: number;
  /**
   * Serve even when no store can tell whether the directory is an old backup, for this start alone; `serve` waits for a
   * store otherwise, and logs that. Page: docs/recovery.md.
   */
  readonly trustDatabase?: boolean;
  /** Services beside the chat, by the name that `Client.open` takes: 1 to 32 visible ASCII characters. */
  readonly services?: Readonly<Record<string, Service>>;
  /** Closes the host when it aborts, as `close` does. */
  readonly signal?: AbortSignal;
}

/** What an invite is to be. */
export interface InviteOptions {
  /** The name that the device gets. Default: what it asks for. */
  readonly name?: string;
  /** How long it works, up to 604,800,000 ms (7 days). Default: 86,400,000 (24 h). */
  readonly lifeMs?: number;
}

/** How a host is closed. */
export interface CloseOptions {
  /** Wait for nothing. Default: false. */
  readonly now?: boolean;
}

/** An invite for one device. Secrets, both forms: whoever has one first can use it, once. */
export interface Invitation {
  /** Its id, which is no secret: 32 hexadecimal digits. */
  readonly invite: string;
  /** Works as long as the invited device can read one of the host's stores. */
  readonly text: string;
  /** The invite with the connection file: works without a store, while the host stays where it is. */
  readonly file: Uint8Array;
  readonly expiresAtMs: number;
  /** False when no store could be verified to have the file that `text` needs: use `file`. */
  readonly published: boolean;
}

/** An invite that nobody has used up yet. Ids are hexadecimal. */
export interface OpenInvite {
  readonly invite: string;
  /** Empty for what the device will ask for. */
  readonly name: string;
  /** The person who made it for another device of theirs; undefined for one that makes a person of its own. */
  readonly person: string | undefined;
  readonly madeAtMs: number;
  readonly endsAtMs: number;
  /** A device has begun to join with it, and has not come back as that device. */
  readonly claimed: boolean;
}

/** A device of the host. Ids are hexadecimal. */
export interface Device {
  readonly device: string;
  readonly name: string;
  readonly connected: boolean;
  /** Enrolled, and not connected as a device yet. */
  readonly pending: boolean;
  /** To be compared by voice with what the joiner was shown. */
  readonly words: string;
}

/** A host that serves. It moves by itself until it is closed. */
export interface Host {
  /** Its permanent name: 64 hexadecimal digits. */
  readonly server: string;
  /** The port at the start. */
  readonly port: number;
  /** What the connection file lists. */
  readonly addresses: readonly string[];
  /** Resolves when the host was closed or stopped; rejects with `STORAGE_FULL` when its disk takes no more, which closes it. */
  readonly closed: Promise<void>;
  /**
   * Make an invite for one device that lives `lifeMs` milliseconds, at most 604,800,000 (7 days), 86,400,000 by default.
   *
   * @throws ClawChatError `USAGE` for a name or a life that is none; `DEVICE_LIMIT`; `STORAGE_FULL`. Source: spec/08-devices.md 8.1.
   */
  invite(options?: InviteOptions): Promise<Invitation>;
  /** List the invites that are open, or claimed by a device that has not come back yet; the oldest first. */
  invites(): Promise<readonly OpenInvite[]>;
  /**
   * End an invite before its time, with the pending device of one that is claimed; false when there is none.
   *
   * @throws ClawChatError `USAGE` for what is no id; `STORAGE_FULL`. Source: spec/08-devices.md 8.1.
   */
  withdraw(invite: string): Promise<boolean>;
  /** List the devices, by name. */
  devices(): Promise<readonly Device[]>;
  /**
   * Put a device out, within a second and for good; false when there is none.
   *
   * @throws ClawChatError `USAGE` for what is no id; `STORAGE_FULL`. Source: spec/08-devices.md 8.4.
   */
  revoke(device: string): Promise<boolean>;
  /**
   * Accept nobody any more, make durable what was taken, answer it, tell every client to come back later, and let go of
   * the directory: what SIGTERM does to `clawchatd`. It waits `drainMs` at most for what is under way, and not at all
   * with `now`, which also ends the waiting of an earlier call. What was acknowledged is durable either way.
   */
  close(options?: CloseOptions): Promise<void>;
}

const DRAIN_MS = 10_000;
const DRAIN_MS_MAX = 300_000;

const SERVE: Rules<ServeOptions> = {
  ...COMMON_RULES,
  directory: PATH,
  listen: TEXT,
  port: whole(1, 65_535),
  advertise: TEXTS,
  store: TEXT,
  intervalMs: whole(0),
  timeServer: TEXT,
  drainMs: whole(0, DRAIN_MS_MAX),
  trustDatabase: FLAG,
  services: FUNCTIONS,
  signal: SIGNAL,
};
const INVITE_OPTIONS: Rules<InviteOptions> = { name: TEXT, lifeMs: whole(1) };
const CLOSE: Rules<CloseOptions> = { now: FLAG };

/**
 * Run a host, with chat and with services of your own. Resolves once clients can come.
 *
 * @throws ClawChatError `USAGE` for options that are none; `DIRECTORY_LOCKED` when it runs already; `NO_PORT`;
 *   `DATABASE_OLD`; `STORE_DAMAGED`, `SCHEMA_NEWER`, `PERMISSIONS_LOOSE`, `PASSPHRASE_NEEDED`, `PASSPHRASE_WRONG`,
 *   `STORAGE_FULL` of the directory; `CANCELLED`. Source: spec/06-rotation.md, spec/12-control.md.
 */
export async function serve(options: ServeOptions): Promise<Host> {
  checkOptions('serve', options, SERVE);
  checkArgument('serve: directory', options.directory, PATH);
  const { signal } = options;
  if (signal?.aborted) throw failure(ErrorCode.CANCELLED, 'given up');
  const channels = new Set<StreamChannel>();
  const serving = await openServing(hostOptions(options, channels));
  const given = (): void => void serving.close();
  signal?.addEventListener('abort', given, { once: true });
  const about = await serving.ready.finally(() => signal?.removeEventListener('abort', given));
  const host = new ServingHost(serving, about, channels, options.drainMs);
  const abort = (): void => void host.close();
  signal?.addEventListener('abort', abort, { once: true });
  host.closed.catch(() => undefined).finally(() => signal?.removeEventListener('abort', abort));
  if (signal?.aborted) {
    await host.close();
    throw failure(ErrorCode.CANCELLED, 'given up');
  }
  return host;
}

function hostOptions(options: ServeOptions, channels: Set<StreamChannel>): HostOptions {
  const constants = presetConstants(options.preset);
  const { listen, port, services = {} } = options;
  if (listen !== undefined && isIP(listen) === 0) {
    throw failure(ErrorCode.USAGE, `listen takes an IP address, not ${JSON.stringify(listen)}`);
  }
  const intervalMs = parseInterval(options.intervalMs ?? constants.ROTATION_INTERVAL_MS, constants);
  if (typeof intervalMs !== 'number') throw failure(ErrorCode.USAGE, `intervalMs ${intervalMs.detail}`);
  const log = programLog(options.log);
  return {
    directory: options.directory,
    constants,
    log,
    listen,
    port,
    advertise: options.advertise ?? [],
    timeServer: options.timeServer,
    intervalMs,
    storePath: options.store,
    bench: false,
    trustDatabase: options.trustDatabase ?? false,
    passphrase: async () => options.passphrase,
    services: new Map(
      Object.entries(services).map(([name, service]) => [
        checkName(name),
        memberService(name, service, channels, log),
      ]),
    ),
  };
}

function idBytes(id: string, what: string): Uint8Array {
  checkArgument(what, id, ID);
  return Buffer.from(id, 'hex');
}

function checkName(name: string): string {
  if (SERVICE_NAME.holds(name) && name !== CHAT_SERVICE && name !== BENCH_SERVICE) return name;
  throw failure(ErrorCode.USAGE, `${JSON.stringify(name)} cannot be the name of a service`);
}

/** Run a program's service over a stream; nothing that it throws reaches the host. */
function memberService(
  name: string,
  service: Service,
  channels: Set<StreamChannel>,
  log: Log,
): MemberService {
  return (stream, member) => {
    const channel = new StreamChannel(stream);
    channels.add(channel);
    const peer = { device: hex(member.deviceId), name: member.name };
    Promise.resolve()
      .then(() => service(channel, peer))
      .then(
        () => channel.close(),
        (error: unknown) => {
          // That the other side went away is no fault of the service.
          if (channel.isOver) return;
          log.error('service-failed', {
            service: name,
            error: error instanceof Error ? error : String(error),
          });
          channel.abort(ErrorCode.INTERNAL);
        },
      )
      .finally(() => channels.delete(channel));
    return channel;
  };
}

class ServingHost implements Host {
  readonly server: string;
  readonly port: number;
  readonly addresses: readonly string[];
  readonly closed: Promise<void>;
  readonly #call: ReturnType<typeof askWithin>['call'];
  readonly #serving: Serving;
  /** Those that services have open. */
  readonly #channels: ReadonlySet<StreamChannel>;
  readonly #drainMs: number;
  readonly #cut = new AbortController();
  #closing: Promise<void> | undefined;
  #settle: (why: unknown) => void = () => {};

  constructor(
    serving: Serving,
    about: Ready,
    channels: ReadonlySet<StreamChannel>,
    drainMs: number = DRAIN_MS,
  ) {
    this.#serving = serving;
    this.#channels = channels;
    this.#drainMs = drainMs;
    this.server = hex(about.serverId);
    this.port = about.port;
    this.addresses = about.addresses;
    const { call } = askWithin(serving.owner);
    this.#call = async body => {
      if (this.#closing !== undefined) throw failure(ErrorCode.CANCELLED, 'the host was closed');
      return call(body);
    };
    this.closed = new Promise((resolve, reject) => {
      this.#settle = why => (why === undefined ? resolve() : reject(why));
    });
    // Whoever waits for it sees it; a program that does not is not ended by it.
    this.closed.catch(() => undefined);
    void serving.ended.then(why => this.#end(why));
  }

  async invite(options: InviteOptions = {}): Promise<Invitation> {
    checkOptions('invite', options, INVITE_OPTIONS);
    const { name = '', lifeMs = INVITE_LIFE_MS } = options;
    const value = { name, lifeMs: BigInt(lifeMs), bundle: true };
    const made = expectAnswer(await this.#call({ case: 'invite', value }), 'invite');
    const { invite: text, bundle: file, published } = made;
    return { invite: hex(made.inviteId), text, file, expiresAtMs: Number(made.expiresAtMs), published };
  }

  async invites(): Promise<readonly OpenInvite[]> {
    const { invites } = expectAnswer(await this.#call({ case: 'invites', value: {} }), 'invites');
    return invites.map(({ inviteId, name, personId, madeAtMs, endsAtMs, claimedBy }) => ({
      invite: hex(inviteId),
      name,
      person: personId.length === 0 ? undefined : hex(personId),
      madeAtMs: Number(madeAtMs),
      endsAtMs: Number(endsAtMs),
      claimed: claimedBy.length > 0,
    }));
  }

  async withdraw(invite: string): Promise<boolean> {
    const value = { inviteId: idBytes(invite, 'withdraw: the invite') };
    return expectAnswer(await this.#call({ case: 'withdraw', value }), 'withdrawn').existed;
  }

  async devices(): Promise<readonly Device[]> {
    const { devices } = expectAnswer(await this.#call({ case: 'devices', value: {} }), 'devices');
    return devices.map(({ deviceId, name, connected, pending, words }) => ({
      device: hex(deviceId),
      name,
      connected,
      pending,
      words,
    }));
  }

  async revoke(device: string): Promise<boolean> {
    const value = { deviceId: idBytes(device, 'revoke: the device') };
    return expectAnswer(await this.#call({ case: 'revoke', value }), 'revoked').existed;
  }

  async close(options: CloseOptions = {}): Promise<void> {
    checkOptions('close', options, CLOSE);
    if (options.now === true) this.#cut.abort();
    return this.#end(undefined);
  }

  #end(why: unknown): Promise<void> {
    this.#closing ??= this.#finish(why).finally(() => this.#settle(why));
    return this.#closing;
  }

  async #finish(why: unknown): Promise<void> {
    if (why === undefined) await this.#serving.drain(this.#drainMs, this.#cut.signal);
    await this.#serving.close();
    for (const channel of this.#channels) channel.closed(ErrorCode.SESSION_LOST);
  }
}
