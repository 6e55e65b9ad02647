/** From what a record or an operator says about a store to something that reads and writes (spec/07-discovery.md). */
import type {
  StopSignal,
  StoreAnswer,
  StoreFailure,
  StoreReader,
  StoreWriter,
} from '../../discovery/store.ts';
import { ErrorCode } from '../../gen/clawchat/v1/error_pb.ts';
import type { Store } from '../../protocol/connection-record.ts';
import { type Fault, fault, isFault } from '../../wire/fault.ts';
import { readFileCapped } from '../files.ts';
import { type ProxyEnvironment, proxyFor } from '../proxy.ts';
import type { HttpsConfig, StoreConfig } from './config.ts';
import { type HttpsOptions, HttpsReader, HttpsWriter, nameOfUrl, parseStoreUrl } from './https.ts';
import { isLocalPath, LocalStore } from './local.ts';
import {
  MEGA_GATEWAY,
  type MegaReach,
  MegaReader,
  type MegaSessions,
  MegaWriter,
  parseFolderLink,
} from './mega.ts';
import type { Trust } from './tls.ts';

/** What opening depends on besides the store itself. `environment` has the proxy variables; `limitMs` is for tests. */
export interface StoreEnvironment {
  readonly environment: ProxyEnvironment;
  /** Where a host keeps its Mega session; without it there is none. */
  readonly megaSessions?: MegaSessions;
  /** Another gateway and whom to trust there, for tests. */
  readonly mega?: Pick<MegaReach, 'gateway' | 'trust'>;
  readonly limitMs?: number;
}

/** A store of a host. */
export interface HostStore {
  /** What the record says of it. */
  readonly store: Store;
  /** The way that devices read it. */
  readonly reader: StoreReader;
  readonly writer: StoreWriter;
  /** Whether devices on other machines read it. */
  readonly remote: boolean;
  /** When the host's right to write ends, in Unix milliseconds; undefined when that is not known. */
  readonly writableUntil: () => Promise<number | undefined>;
}

const PROCESS: StoreEnvironment = { environment: process.env };
const ADDRESS_BYTES_MAX = 8192;

/** Name a store, so that it is recognized in another record. Not for people: it can hold a key. */
export function storeKey(store: Store): string {
  switch (store.kind) {
    case 'local':
      return `local ${store.path}`;
    case 'https':
      return `https ${store.readUrl} ${Buffer.from(store.spkiPin).toString('hex')}`;
    case 'mega':
      return `mega ${store.folderLink}`;
  }
}

/** Open a store for reading. An address that this program cannot use is a fault, and the store is skipped. */
export function openReader(store: Store, within: StoreEnvironment = PROCESS): StoreReader | Fault {
  switch (store.kind) {
    case 'local':
      return isLocalPath(store.path)
        ? new LocalStore(store.path)
        : unusable('a local store is not an absolute path on this machine');
    case 'https': {
      const url = parseStoreUrl(store.readUrl);
      if (url === undefined) return unusable('the address of a store is not an https one');
      const trust: Trust =
        store.spkiPin.length === 0 ? { kind: 'system' } : { kind: 'pin', sha256: store.spkiPin };
      return new HttpsReader(url, options(url, trust, undefined, within));
    }
    case 'mega': {
      const link = parseFolderLink(store.folderLink);
      return link === undefined
        ? unusable('the link of a store is not that of a Mega folder')
        : new MegaReader(link, megaReach(within));
    }
  }
}

/** Open a store of a host for reading, as its devices do, and for writing. */
export function openHostStore(config: StoreConfig, within: StoreEnvironment = PROCESS): HostStore | Fault {
  switch (config.kind) {
    case 'local': {
      const store: Store = { kind: 'local', path: config.path };
      const reader = openReader(store, within);
      if (isFault(reader)) return reader;
      return { store, reader, writer: new LocalStore(config.path), remote: false, writableUntil: forEver };
    }
    case 'https':
      return openHostHttps(config, within);
    case 'mega': {
      const store: Store = { kind: 'mega', folderLink: config.folder };
      const link = parseFolderLink(config.folder);
      if (link === undefined) return unusable('the link of a store is not that of a Mega folder');
      const sessions = within.megaSessions ?? { load: forEver };
      const reader = new MegaReader(link, megaReach(within));
      const writer = new MegaWriter(link, sessions, megaReach(within));
      return { store, reader, writer, remote: true, writableUntil: forEver };
    }
  }
}

/** The proxy is that for Mega's gateway; the servers of its files go the same way. */
export function megaReach(within: StoreEnvironment): MegaReach {
  const { limitMs, environment } = within;
  const other = emulatorReach(environment);
  const proxy = proxyFor(new URL(other?.gateway ?? MEGA_GATEWAY), environment);
  const limit = limitMs === undefined ? {} : { limitMs };
  return { trust: { kind: 'system' }, proxy, ...limit, ...other, ...within.mega };
}

/** Names the emulator in Mega's place. */
export const MEGA_GATEWAY_VARIABLE = 'CLAWCHAT_MEGA_GATEWAY';
export const MEGA_PIN_VARIABLE = 'CLAWCHAT_MEGA_PIN';

/** An emulator in Mega's place, for whoever tries this out: its address and the pin of its key (docs/stores.md). */
function emulatorReach(
  environment: StoreEnvironment['environment'],
): Pick<MegaReach, 'gateway' | 'trust'> | undefined {
  const gateway = environment[MEGA_GATEWAY_VARIABLE] ?? '';
  const pin = environment[MEGA_PIN_VARIABLE] ?? '';
  if (parseStoreUrl(gateway) === undefined || !gateway.endsWith('/') || !/^[0-9a-f]{64}$/i.test(pin))
    return undefined;
  return { gateway, trust: { kind: 'pin', sha256: Uint8Array.from(Buffer.from(pin, 'hex')) } };
}

function openHostHttps(config: HttpsConfig, within: StoreEnvironment): HostStore | Fault {
  const { read, pin = '', ca, proxy, method = 'PUT', headers = {} } = config;
  const store: Store = { kind: 'https', readUrl: read, spkiPin: Uint8Array.from(Buffer.from(pin, 'hex')) };
  const readUrl = parseStoreUrl(read);
  const address = addressOf(config);
  if (readUrl === undefined || address === undefined)
    return unusable('the address of a store is not an https one');
  const pinned: Trust = pin === '' ? { kind: 'system' } : { kind: 'pin', sha256: store.spkiPin };
  const given: Trust | undefined = ca === undefined ? undefined : { kind: 'authorities', pem: ca };
  // A pin goes to devices, so it is what the host reads by, too.
  const readTrust = pin === '' ? (given ?? pinned) : pinned;
  const writeTrust = given ?? (isSameServer(config) ? pinned : { kind: 'system' });
  const reader = new HttpsReader(readUrl, options(readUrl, readTrust, proxy, within));
  const writing = { address, method, headers };
  const writer = new HttpsWriter(nameOfUrl(readUrl), writing, options(readUrl, writeTrust, proxy, within));
  return { store, reader, writer, remote: true, writableUntil: () => writer.expiresAt() };
}

/** An address that is read from a file is taken to be on the server that devices read. */
function isSameServer({ read, write }: HttpsConfig): boolean {
  return write === undefined || parseStoreUrl(write)?.hostname === parseStoreUrl(read)?.hostname;
}

function addressOf({ write, writeFrom }: HttpsConfig): (() => Promise<URL | undefined>) | undefined {
  if (writeFrom === undefined) {
    const url = parseStoreUrl(write ?? '');
    return url === undefined ? undefined : async () => url;
  }
  return async () => {
    const bytes = await readFileCapped(writeFrom, ADDRESS_BYTES_MAX).catch(() => undefined);
    return bytes === undefined ? undefined : parseStoreUrl(Buffer.from(bytes).toString('utf8').trim());
  };
}

function options(url: URL, trust: Trust, proxy: string | undefined, within: StoreEnvironment): HttpsOptions {
  const { environment, limitMs } = within;
  const named = proxy === undefined || proxy === 'none' ? undefined : new URL(proxy);
  const chosen = proxy === undefined ? proxyFor(url, environment) : named;
  return { trust, proxy: chosen, ...(limitMs === undefined ? {} : { limitMs }) };
}

/** How long before its end a right to write is warned of: two days. */
const WARN_MS = 2 * 86_400_000;

/** Say, for `status`, that the right to write to a store ends soon or has ended; undefined when there is nothing to say. */
export async function expiryWarning(store: HostStore, nowMs: number): Promise<string | undefined> {
  const until = await store.writableUntil();
  if (until === undefined || until - nowMs > WARN_MS) return undefined;
  const when = new Date(until).toISOString();
  return until <= nowMs
    ? `${store.writer.name}: the address to write to ended at ${when}; renew it (docs/stores.md)`
    : `${store.writer.name}: the address to write to ends at ${when}; renew it (docs/stores.md)`;
}

/** Look at a Mega store from both sides without writing: what is wrong with the session, and what readers get. */
export async function checkMega(
  folder: string,
  within: StoreEnvironment,
  stop: StopSignal,
): Promise<{ readonly account: StoreFailure | undefined; readonly reading: StoreAnswer } | Fault> {
  const link = parseFolderLink(folder);
  if (link === undefined) return unusable('that is not the link of a Mega folder');
  const reach = megaReach(within);
  const account = await new MegaWriter(link, within.megaSessions ?? { load: forEver }, reach).check(stop);
  return { account, reading: await new MegaReader(link, reach).read(stop) };
}

async function forEver(): Promise<undefined> {
  return undefined;
}

function unusable(detail: string): Fault {
  return fault('self', ErrorCode.STORE_UNAVAILABLE, detail);
}
