/** The client for programs. Chapters: spec/08-devices.md, spec/11-chat.md; guide: docs/embedding.md. */
import { readdir } from 'node:fs/promises';
import { ControlLinkState, ControlProgram } from '../../gen/clawchat/v1/control_pb.ts';
import { ErrorCode } from '../../gen/clawchat/v1/error_pb.ts';
import { ClawChatError, isFault } from '../../protocol/fault.ts';
import { inviteExpired, parseInviteInput } from '../../protocol/invite.ts';
import { type Channel, StreamChannel } from '../../runtime/channel.ts';
import { MemoryDatabase, restoreDatabase } from '../../runtime/memory-database.ts';
import type { ServiceStream } from '../../services/ports.ts';
import { hex } from '../../wire/bytes.ts';
import { expectAnswer } from '../cli/directory.ts';
import { type Asking, following } from '../client/following.ts';
import { type Joined, joinWith } from '../client/join-host.ts';
import { type ClientOwner, openClientOn, openClientOwner, type Running } from '../client-owner.ts';
import type { RequestInit, ResponseBody } from '../control.ts';
import { failure, systemCode } from '../failure.ts';
import { native } from '../native.ts';
import { askWithin, OwnerLink } from '../owner-link.ts';
import { SCHEMA_VERSION } from '../store.ts';
import { VERSION } from '../version.ts';
import {
  BYTES,
  checkArgument,
  checkOptions,
  FUNCTION,
  ID,
  INVITE,
  PATH,
  type Rules,
  SERVICE_NAME,
  SIGNAL,
  TEXT,
  whole,
} from './check.ts';
import { type Message, messageOf } from './message.ts';
import { COMMON_RULES, type CommonOptions, presetConstants, programLog } from './options.ts';

/** Where a client keeps what it is, and how it becomes somebody. */
export interface ConnectOptions extends CommonOptions {
  /**
   * The data directory, made if need be; the same that `clawchat` works on, at the same time if you like: one directory
   * is one device however many processes use it. Without it everything stays in memory: see `identity`.
   */
  readonly directory?: string;
  /**
   * Instead of a directory: the bytes that `Client.identity` gave. A secret. Joining in memory cannot be gone on with when the
   * process dies in the midst of it: the invite is spent then, and another is needed.
   */
  readonly identity?: Uint8Array;
  /** The text of an invite, or the bytes of an invite file. Used when the client has not joined yet. */
  readonly invite?: string | Uint8Array;
  /** The name to ask for when joining, up to 64 bytes; the host decides. */
  readonly name?: string;
  /** Ends the attempt to connect; a `join` that it ended goes on when it is called again. */
  readonly signal?: AbortSignal;
}

/** Ends a call: it then fails with `CANCELLED`. */
export interface CallOptions {
  readonly signal?: AbortSignal;
}

/** How a client joins. */
export interface JoinOptions extends CallOptions {
  /** The name to ask for, up to 64 bytes; the host decides. */
  readonly name?: string;
}

/** How a message is sent. */
export interface SendOptions extends CallOptions {
  /** Default: `lobby`. */
  readonly room?: string;
  /** 32 hexadecimal digits, random. Sent again with the same id and text, a message is stored once. Default: a new one. */
  readonly id?: string;
  /** Cursor of the message that this one answers. */
  readonly replyTo?: number;
}

/** What to listen to. */
export interface ListenOptions extends CallOptions {
  /** Begin behind this cursor, 0 for everything that is kept. Default: what comes from now on. */
  readonly after?: number;
  /** One room. Default: all. */
  readonly room?: string;
  /** Called when messages below this cursor are no longer kept by the host, and so not given: of one room unless it is empty. */
  readonly onGap?: (firstCursor: number, room: string) => void;
}

/** What to read of the history. */
export interface HistoryOptions extends CallOptions {
  /** Behind this cursor. Default: 0, the beginning. */
  readonly after?: number;
  /** At most this many messages, 1 to 256. Default: 256. */
  readonly limit?: number;
  /** One room. Default: all. */
  readonly room?: string;
}

/** How a client stands. */
export interface ClientStatus {
  readonly joined: boolean;
  /** The host's permanent name: 64 hexadecimal digits; empty before joining. */
  readonly server: string;
  /** This device: 32 hexadecimal digits; empty before joining. */
  readonly device: string;
  readonly name: string;
  readonly link: 'idle' | 'connecting' | 'connected' | 'waiting';
  /** Messages that the host has not stored yet. */
  readonly unacknowledged: number;
  /** What a person should know, such as a store that hands out old files. */
  readonly warnings: readonly string[];
}

/** What the host answered to a new device. Ids are hexadecimal. */
export interface JoinedDevice {
  readonly server: string;
  readonly device: string;
  /** The name that the host gave it. */
  readonly name: string;
  /** To be compared by voice with what the host's operator sees in `clawchatd devices`. */
  readonly words: string;
}

/** A client. It reconnects and follows its host by itself until it is closed. */
export interface Client {
  /**
   * Join a host. `connect` with an `invite` does it by itself.
   *
   * @throws ClawChatError `ALREADY_JOINED`; `INVITE_MALFORMED`, `INVITE_CHECKSUM`, `INVITE_EXPIRED`, `INVITE_USED`;
   *   `STORE_UNAVAILABLE`, `HOST_UNREACHABLE`, `GATE_REFUSED` when no host answers; `DIRECTORY_LOCKED` while another
   *   process owns the directory; `CANCELLED`. Source: spec/08-devices.md 8.2.
   */
  join(invite: string | Uint8Array, options?: JoinOptions): Promise<JoinedDevice>;
  /**
   * Send a text of 1 to 32,768 bytes of UTF-8, and resolve when the host has stored it, with its cursor. While there is no connection it waits in
   * the outbox (in a data directory: on the disk, also past the end of the process) and goes out once, in order.
   *
   * @throws ClawChatError `NOT_JOINED`; `MESSAGE_MALFORMED`, `MESSAGE_TOO_LARGE`, `ROOM_UNKNOWN`, `ROOM_FORBIDDEN`:
   *   it will never be stored; `OUTBOX_FULL`: 1,024 wait already; `GATE_REFUSED` when the host refuses this device
   *   and `CANCELLED`: it still waits, and may yet be stored. Source: spec/11-chat.md 11.4.
   */
  send(text: string, options?: SendOptions): Promise<{ readonly cursor: number; readonly id: string }>;
  /**
   * Give each message once, in the order of cursors, at the reader's pace, across lost connections and moves.
   *
   * @throws ClawChatError `NOT_JOINED`; `GATE_REFUSED`; `CANCELLED` when the signal ends it. Leaving the loop ends it too.
   *   Source: spec/11-chat.md 11.5.
   */
  listen(options?: ListenOptions): AsyncIterable<Message>;
  /**
   * Read a page of what the host has stored, oldest first; `more` when there is more behind it.
   *
   * @throws ClawChatError as `listen` does; `USAGE` for a limit that is none. Source: spec/11-chat.md 11.5.
   */
  history(
    options?: HistoryOptions,
  ): Promise<{ readonly messages: readonly Message[]; readonly more: boolean }>;
  /** Say how the client stands, without waiting for the host. */
  status(): Promise<ClientStatus>;
  /**
   * Open a channel to a service of the host's own (`ServeOptions.services`), once there is a connection.
   *
   * @throws ClawChatError `USAGE` for a name that is none; `NOT_JOINED`; `DIRECTORY_LOCKED` while another process owns the
   *   directory, because channels belong to the process that has the session; `GATE_REFUSED`; `CANCELLED`. Source: spec/05-session.md 5.5.
   */
  open(service: string, options?: CallOptions): Promise<Channel>;
  /**
   * Give what a client in memory is, to go on from with `connect({ identity })`: keys, outbox and the newest record.
   * Take it after `close`; an older one works, and then the host's operator is told that it was restored. A secret.
   *
   * @throws ClawChatError `USAGE` for a client in a directory.
   */
  identity(): Uint8Array;
  /** Let go of session and directory. What is not stored by the host stays in the outbox. */
  close(): Promise<void>;
}

/** Whom the client asks: this process, or whoever owns the directory. */
interface Link extends Asking {
  call(body: RequestInit, signal?: AbortSignal): Promise<ResponseBody>;
  close(): Promise<void>;
}

interface Opened {
  readonly link: Link;
  /** The owner, while it is in this process. */
  readonly owner: () => ClientOwner | undefined;
  readonly memory: MemoryDatabase | undefined;
}

const LINKS: Readonly<Record<ControlLinkState, ClientStatus['link']>> = {
  [ControlLinkState.UNSPECIFIED]: 'idle',
  [ControlLinkState.IDLE]: 'idle',
  [ControlLinkState.CONNECTING]: 'connecting',
  [ControlLinkState.CONNECTED]: 'connected',
  [ControlLinkState.WAITING]: 'waiting',
};
const NEVER: AbortSignal = new AbortController().signal;

const CALL: Rules<CallOptions> = { signal: SIGNAL };
const JOIN: Rules<JoinOptions> = { ...CALL, name: TEXT };
const CONNECT: Rules<ConnectOptions> = {
  ...COMMON_RULES,
  ...JOIN,
  directory: PATH,
  identity: BYTES,
  invite: INVITE,
};
const SEND: Rules<SendOptions> = { ...CALL, room: TEXT, id: ID, replyTo: whole(1) };
const LISTEN: Rules<ListenOptions> = { ...CALL, after: whole(0), room: TEXT, onGap: FUNCTION };
const HISTORY: Rules<HistoryOptions> = { ...CALL, after: whole(0), limit: whole(1, 256), room: TEXT };

/**
 * Make a client from a data directory, from an identity in memory, or from an invite.
 *
 * Resolves when it has joined; the connection itself is made by the first call that needs it, and kept.
 *
 * @throws ClawChatError what `Client.join` throws; `NOT_JOINED` without an invite; `USAGE` for options that are none
 *   or contradict each other, or an identity that is none; `STORE_DAMAGED`, `SCHEMA_NEWER`, `PERMISSIONS_LOOSE`,
 *   `DIRECTORY_LOCKED`, `PASSPHRASE_NEEDED`, `PASSPHRASE_WRONG`, `STORAGE_FULL` of the directory. Source: spec/08-devices.md, spec/12-control.md.
 */
export async function connect(options: ConnectOptions): Promise<Client> {
  checkOptions('connect', options, CONNECT);
  const { directory, identity, invite, name, signal } = options;
  if (directory !== undefined && identity !== undefined)
    throw failure(ErrorCode.USAGE, 'connect: give a directory or an identity, not both');
  if (signal?.aborted) throw failure(ErrorCode.CANCELLED, 'given up');
  if (await isNowhere(options)) refuseFruitless(invite);
  const running: Running = { constants: presetConstants(options.preset), log: programLog(options.log) };
  const opened = await open(options, running);
  const client = new LinkedClient(opened);
  try {
    const { joined } = await client.status();
    const joining = { ...(name !== undefined && { name }), ...(signal !== undefined && { signal }) };
    if (!joined) await client.join(given(invite), joining);
    return client;
  } catch (error) {
    await client.close();
    throw error;
  }
}

/** Whether there is no client yet that these options could mean. */
async function isNowhere({ directory, identity }: ConnectOptions): Promise<boolean> {
  if (directory === undefined) return identity === undefined;
  const found = await readdir(directory).catch(error => (systemCode(error) === 'ENOENT' ? [] : undefined));
  return found?.length === 0;
}

/** Nothing is made for the sake of an invite that lets nobody in. @throws ClawChatError `NOT_JOINED`; those of an invite */
function refuseFruitless(invite: ConnectOptions['invite']): void {
  const parsed = parseInviteInput(native, inviteBytes(given(invite)));
  const wrong = isFault(parsed) ? parsed : inviteExpired(parsed.invite, Date.now());
  if (wrong !== undefined) throw new ClawChatError(wrong);
}

function given(invite: ConnectOptions['invite']): string | Uint8Array {
  if (invite !== undefined) return invite;
  throw failure(ErrorCode.NOT_JOINED, 'this client has not joined a host: connect with an invite');
}

function inviteBytes(invite: string | Uint8Array): Uint8Array {
  return typeof invite === 'string' ? new TextEncoder().encode(invite) : invite;
}

async function open({ directory, identity, passphrase }: ConnectOptions, running: Running): Promise<Opened> {
  if (directory === undefined) {
    const memory = identity === undefined ? new MemoryDatabase() : restoreDatabase(identity);
    if (memory === undefined) throw failure(ErrorCode.USAGE, 'identity is not what Client.identity gave');
    const owner = await openClientOn(memory, running);
    const { call, stream } = askWithin(owner);
    const link = {
      call,
      stream: (body: RequestInit, _resume: () => RequestInit, signal?: AbortSignal) => stream(body, signal),
      close: () => owner.close(),
    };
    return { link, owner: () => owner, memory };
  }
  let owned: ClientOwner | undefined;
  const link = await OwnerLink.open({
    directory,
    identity: { program: ControlProgram.CLIENT, version: VERSION, schema: SCHEMA_VERSION },
    suite: native,
    log: running.log,
    open: async () => {
      owned = await openClientOwner({ directory, passphrase: async () => passphrase, ...running });
      return owned;
    },
  });
  return { link, owner: () => (link.owning ? owned : undefined), memory: undefined };
}

class LinkedClient implements Client {
  readonly #link: Link;
  readonly #owner: () => ClientOwner | undefined;
  readonly #memory: MemoryDatabase | undefined;

  constructor({ link, owner, memory }: Opened) {
    this.#link = link;
    this.#owner = owner;
    this.#memory = memory;
  }

  async join(invite: string | Uint8Array, options: JoinOptions = {}): Promise<JoinedDevice> {
    checkArgument('join: the invite', invite, INVITE);
    checkOptions('join', options, JOIN);
    const { name = '', signal = NEVER } = options;
    const joining = { invite: inviteBytes(invite), name, progress: () => {} };
    const joined: Joined = await joinWith(this.#here(), joining, signal);
    return {
      server: hex(joined.serverId),
      device: hex(joined.deviceId),
      name: joined.name,
      words: joined.words,
    };
  }

  async send(
    text: string,
    options: SendOptions = {},
  ): Promise<{ readonly cursor: number; readonly id: string }> {
    checkArgument('send: the message', text, TEXT);
    checkOptions('send', options, SEND);
    const { room = '', id, replyTo, signal } = options;
    const messageId = id === undefined ? native.randomBytes(16) : new Uint8Array(Buffer.from(id, 'hex'));
    const extra = replyTo === undefined ? {} : { extra: { replyTo: BigInt(replyTo) } };
    const value = { messageId, room, text, sentAtMs: BigInt(Date.now()), ...extra };
    const { cursor } = expectAnswer(await this.#link.call({ case: 'send', value }, signal), 'sent');
    return { cursor: Number(cursor), id: hex(messageId) };
  }

  async *listen(options: ListenOptions = {}): AsyncGenerator<Message> {
    checkOptions('listen', options, LISTEN);
    const { after, room = '', signal, onGap = () => {} } = options;
    for await (const item of following(this.#link, { after, room, signal, gap: onGap }))
      yield messageOf(item);
    if (signal?.aborted) throw failure(ErrorCode.CANCELLED, 'given up');
  }

  async history(
    options: HistoryOptions = {},
  ): Promise<{ readonly messages: readonly Message[]; readonly more: boolean }> {
    checkOptions('history', options, HISTORY);
    const { after = 0, limit = 256, room = '', signal } = options;
    const value = { afterCursor: BigInt(after), limit, room };
    const page = expectAnswer(await this.#link.call({ case: 'history', value }, signal), 'history');
    return { messages: page.items.map(messageOf), more: page.more };
  }

  async status(): Promise<ClientStatus> {
    const found = expectAnswer(await this.#link.call({ case: 'status', value: {} }), 'clientStatus');
    return {
      joined: found.joined,
      server: hex(found.serverId),
      device: hex(found.deviceId),
      name: found.name,
      link: LINKS[found.link] ?? 'idle',
      unacknowledged: found.unacknowledged,
      warnings: found.warnings,
    };
  }

  async open(service: string, options: CallOptions = {}): Promise<Channel> {
    checkArgument('open: the service', service, SERVICE_NAME);
    checkOptions('open', options, CALL);
    const { signal } = options;
    const { driver } = this.#here();
    let channel: StreamChannel | undefined;
    const bind = (stream: ServiceStream): StreamChannel => {
      channel = new StreamChannel(stream);
      return channel;
    };
    // A session that was lost behind the round trip is looked for again, until the signal or a refusal ends it.
    do await this.#link.call({ case: 'ping', value: {} }, signal);
    while (!driver.open(service, bind) && driver.link !== 'connected');
    if (channel === undefined)
      throw failure(ErrorCode.USAGE, 'as many channels are open as a session may have');
    return channel;
  }

  identity(): Uint8Array {
    if (this.#memory !== undefined) return this.#memory.snapshot();
    throw failure(ErrorCode.USAGE, 'this client keeps what it is in its data directory');
  }

  close(): Promise<void> {
    return this.#link.close();
  }

  #here(): ClientOwner {
    const owner = this.#owner();
    if (owner !== undefined) return owner;
    throw failure(
      ErrorCode.DIRECTORY_LOCKED,
      'another process owns this data directory: end it, or take another directory',
    );
  }
}
