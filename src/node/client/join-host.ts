/** Joins a host: from an invite to a device that the host has answered. Chapter: spec/08-devices.md 8.2. */
import { ControlProgram } from '../../gen/clawchat/v1/control_pb.ts';
import { ErrorCode } from '../../gen/clawchat/v1/error_pb.ts';
import { openFile } from '../../protocol/connection-file.ts';
import type { Envelope } from '../../protocol/envelope.ts';
import { ClawChatError, fault, isFault } from '../../protocol/fault.ts';
import { type Invite, type InviteInput, parseInviteInput } from '../../protocol/invite.ts';
import { deviceId, inviteKeys } from '../../protocol/keys.ts';
import { words } from '../../protocol/words.ts';
import {
  type ClientOptions,
  type ClientOwner,
  openClientOwner,
  type StoreStanding,
} from '../client-owner.ts';
import { isOwnerLost } from '../control-client.ts';
import { failure } from '../failure.ts';
import { native } from '../native.ts';
import { type Attachment, attachOrOwn, type DirectoryOptions } from '../owner.ts';
import { SCHEMA_VERSION } from '../store.ts';
import { VERSION } from '../version.ts';

/** What a client joins with. */
export interface Joining {
  /** The text of an invite, or a bundle. */
  readonly invite: Uint8Array;
  /** The name to ask for; may be empty. */
  readonly name: string;
  readonly progress: (text: string) => void;
}

/** What `join` works with. */
export interface JoinOptions extends ClientOptions, Joining {
  readonly timeoutMs: number;
  /** Told what was seen, before the directory is let go. */
  readonly looked?: (what: Looked) => void;
}

/** What a join has seen, whether it worked or not. */
export interface Looked {
  readonly stores: readonly StoreStanding[];
  /** Of the newest record that was found; 0 for none. */
  readonly sequence: number;
  /** The address that was dialled last; empty for none. */
  readonly endpoint: string;
  /** What that most likely means; empty for nothing to say. */
  readonly situation: string;
}

/** A device that has joined. */
export interface Joined {
  readonly deviceId: Uint8Array;
  readonly serverId: Uint8Array;
  readonly name: string;
  readonly words: string;
}

/**
 * Join a host, or go on with a join that was interrupted: resolves when the host has answered this device.
 *
 * @throws ClawChatError with the invite's, the file's, the store's or the host's reason; `TIMEOUT`.
 */
export async function joinHost(options: JoinOptions): Promise<Joined> {
  const { directory, log, timeoutMs } = options;
  // A wrong letter is said before a directory is made.
  parseInput(options.invite);
  const identity = { program: ControlProgram.CLIENT, version: VERSION, schema: SCHEMA_VERSION };
  let opened: ClientOwner | undefined;
  const open = async (): Promise<ClientOwner> => {
    opened = await openClientOwner(options);
    return opened;
  };
  const attachment = await ownUnlessJoined({ directory, identity, suite: native, open, log });
  if (attachment.kind !== 'owned' || opened === undefined)
    throw failure(ErrorCode.DIRECTORY_LOCKED, directory);
  const late = AbortSignal.timeout(timeoutMs);
  try {
    return await joinWith(opened, options, late);
  } catch (error) {
    if (!late.aborted) throw error;
    const why = opened.driver.lastFault;
    const detail = `not joined within ${timeoutMs / 1000} s${why === undefined ? '' : `: ${why.detail}`}; the same command goes on where this one stopped`;
    throw new ClawChatError(fault('time', why?.code ?? ErrorCode.TIMEOUT, detail), { cause: error });
  } finally {
    const { driver, stores } = opened;
    const newest = driver.client.member?.held.newest;
    options.looked?.({
      stores,
      sequence: newest?.sequence ?? 0,
      endpoint: driver.endpoint || dialled(newest?.record.endpoints[0]),
      situation: driver.situation ?? '',
    });
    await attachment.server.close();
    await attachment.owner.close();
  }
}

/** Own a directory. Whoever has it now, such as a chat, may do so for a device that has joined: then nothing is waited for. */
async function ownUnlessJoined(options: DirectoryOptions): Promise<Attachment> {
  const found = await attachOrOwn(options);
  if (found.kind === 'owned') return found;
  try {
    const answer = await found.client.call({ case: 'status', value: {} });
    if (answer.case === 'clientStatus' && answer.value.joined) throw alreadyJoined();
  } catch (error) {
    if (!isOwnerLost(error)) throw error;
  } finally {
    found.client.close();
  }
  return attachOrOwn(options, 'own');
}

function alreadyJoined(): ClawChatError {
  return failure(ErrorCode.ALREADY_JOINED, 'this data directory has already joined a host');
}

/**
 * Join with a client that is open, and leave it connected.
 *
 * @throws ClawChatError as `joinHost` does; `ALREADY_JOINED`; `CANCELLED`.
 */
export async function joinWith(owner: ClientOwner, joining: Joining, signal: AbortSignal): Promise<Joined> {
  if (owner.driver.client.member?.stage === 'device') throw alreadyJoined();
  const { invite, connectionFile } = parseInput(joining.invite);
  const bundled = connectionFile === undefined ? undefined : openBundle(connectionFile, invite.secret);
  const { length } = invite.stores;
  const where = `Looking for the host in ${length === 1 ? 'the store' : `${length} stores`} of the invite ...`;
  joining.progress(
    bundled === undefined ? where : 'The invite came with the address of the host. Dialling ...',
  );
  try {
    return await runJoin(owner, { invite, bundled, name: joining.name }, signal);
  } catch (error) {
    throw bundled === undefined ? withStores(error, invite) : error;
  }
}

/** Whoever joins from another machine finds nothing at a path of the host's: say so. */
function withStores(error: unknown, { stores }: Invite): unknown {
  const isLost = error instanceof ClawChatError && error.code === ErrorCode.STORE_UNAVAILABLE;
  const paths = stores.flatMap(store => (store.kind === 'local' ? [store.path] : []));
  if (!isLost || paths.length < stores.length) return error;
  const text = `this invite says to look for the host's connection file in ${paths.join(', ')} on this machine, and it is not there`;
  return new ClawChatError(fault(error.by, error.code, text), { cause: error });
}

function dialled(endpoint: { readonly host: string; readonly port: number } | undefined): string {
  if (endpoint === undefined) return '';
  const { host, port } = endpoint;
  return host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`;
}

function parseInput(bytes: Uint8Array): InviteInput {
  const input = parseInviteInput(native, bytes);
  if (isFault(input)) throw new ClawChatError(input);
  return input;
}

function openBundle(file: Uint8Array, secret: Uint8Array): Envelope {
  const envelope = openFile(native, file, inviteKeys(native, secret).fileKey);
  if (isFault(envelope)) throw new ClawChatError(envelope);
  return envelope;
}

async function runJoin(
  owner: ClientOwner,
  { invite, bundled, name }: { invite: Invite; bundled: Envelope | undefined; name: string },
  signal: AbortSignal,
): Promise<Joined> {
  const { driver } = owner;
  let text = '';
  owner.onWords = shown => {
    text = shown;
  };
  const attached = new Promise<void>((resolve, reject) => {
    owner.onAttached = resolve;
    owner.onDeclined = why => reject(new ClawChatError(why));
  });
  // Whoever waits sees it; before that nobody does.
  attached.catch(() => undefined);
  driver.step({ kind: 'join', invite, devicePrivateKey: native.randomBytes(32), name });
  if (bundled !== undefined) driver.step({ kind: 'record', envelope: bundled });
  await owner.wait(attached, signal);
  await driver.settled;
  const member = driver.client.member;
  if (member === undefined) throw failure(ErrorCode.INTERNAL, 'joined, but nothing was stored');
  const publicKey = native.x25519Public(member.devicePrivateKey);
  return {
    deviceId: deviceId(native, publicKey),
    serverId: member.held.trust.serverId,
    name: member.name,
    words: text === '' ? words(native, member.held.trust.identity, publicKey) : text,
  };
}
