/** Reads what a host was when it ended. Chapter: spec/01-architecture.md. */
import { ErrorCode } from '../../gen/clawchat/v1/error_pb.ts';
import { ClawChatError, isFault } from '../../protocol/fault.ts';
import { type HostIdentity, type HostRecord, loadHostRecord } from '../../protocol/host-record.ts';
import { decodeRotation, ROTATION_KEY, type RotationState } from '../../protocol/rotation-storage.ts';
import { Server } from '../../protocol/server.ts';
import { DEVICE_PREFIX, INVITE_PREFIX, loadRegistry } from '../../protocol/storage.ts';
import { prefixRange } from '../../runtime/database.ts';
import { ChatHost, type MadeInvite } from '../../services/chat/host.ts';
import { native } from '../native.ts';
import type { Store } from '../store.ts';
import type { HostStore } from '../stores/open.ts';
import { VERSION } from '../version.ts';
import { History } from './history.ts';
import { makeIdentity, readIdentity, settleNextIdentity } from './identity.ts';
import type { HostOptions } from './options.ts';
import { openStores } from './stores.ts';

const EMPTY = new Uint8Array(0);

/** Everything that a directory held, in working order. */
export interface Loaded {
  readonly isNew: boolean;
  readonly database: Store;
  readonly stores: readonly HostStore[];
  readonly history: History;
  readonly identity: HostIdentity;
  readonly rotation: RotationState | undefined;
  readonly record: HostRecord | undefined;
  readonly server: Server;
  readonly chat: {
    readonly host: ChatHost;
    failed: (reason: unknown) => void;
    crashed: (reason: unknown) => void;
    alarm: (text: string) => void;
    posted: (code: ErrorCode) => void;
    inviteDevice: (name: string) => Promise<MadeInvite | ErrorCode>;
  };
}

/** Read a host's directory; who the host is is made when there is nothing yet. @throws ClawChatError as `openStore` does, and for stores that are none */
export async function load(database: Store, options: HostOptions): Promise<Loaded> {
  const { directory } = options;
  const stores = await openStores(options, database);
  const known = await readIdentity(database);
  const identity = known ?? (await makeIdentity(database, directory));
  await settleNextIdentity(directory, identity);
  const stored = await database.get(ROTATION_KEY);
  const rotation = stored === undefined ? undefined : decodeRotation(native, identity, stored);
  if (rotation !== undefined && isFault(rotation)) throw new ClawChatError(rotation);
  const payload = rotation?.payload;
  const record = payload === undefined ? undefined : loadHostRecord(native, identity, payload);
  const entries = [
    ...(await database.range(prefixRange(INVITE_PREFIX))),
    ...(await database.range(prefixRange(DEVICE_PREFIX))),
  ];
  const registry = loadRegistry(native, entries);
  if (isFault(registry)) throw new ClawChatError(registry);
  const ignore = (): void => {};
  const hooks: Omit<Loaded['chat'], 'host'> = {
    failed: ignore,
    crashed: ignore,
    alarm: ignore,
    posted: ignore,
    inviteDevice: async () => ErrorCode.NOT_PERMITTED,
  };
  const host = await ChatHost.open({
    database,
    suite: native,
    enrolled: device => server.registry.devices.get(device)?.name,
    failed: reason => hooks.failed(reason),
    posted: code => hooks.posted(code),
    crashed: reason => hooks.crashed(reason),
    ...(options.deviceInvites !== false && { inviteDevice: name => hooks.inviteDevice(name) }),
    alarm: ({ name, highest }) => {
      hooks.alarm(
        `the outbox of ${name} was replaced at number ${highest}: its directory was restored or copied`,
      );
    },
  });
  const server = new Server({
    suite: native,
    serverId: identity.serverId,
    registry,
    accessKeys: rotation?.keys.map(({ accessKey }) => accessKey) ?? [],
    channelKeys: rotation?.channelKeys ?? [],
    envelope: record?.envelope ?? EMPTY,
    witness: undefined,
    software: `clawchatd ${VERSION}`,
  });
  const history = await History.open(database);
  const isNew = known === undefined;
  const all = { isNew, database, stores, history, identity, rotation, record, server };
  return { ...all, chat: Object.assign(hooks, { host }) };
}
