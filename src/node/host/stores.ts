/** The stores of a host, from what its operator wrote down. Chapter: spec/07-discovery.md; docs/stores.md. */

import { join, resolve } from 'node:path';
import { ErrorCode } from '../../gen/clawchat/v1/error_pb.ts';
import { STORES_MAX } from '../../gen/constants.ts';
import { ClawChatError, isFault } from '../../protocol/fault.ts';
import type { Database } from '../../runtime/database.ts';
import { failure } from '../failure.ts';
import { readSecretFile } from '../files.ts';
import type { ProxyEnvironment } from '../proxy.ts';
import { parseStoreConfigs, type StoreConfig } from '../stores/config.ts';
import { type HostStore, openHostStore, type StoreEnvironment } from '../stores/open.ts';

const CONFIG_NAME = 'stores.json';
const CONFIG_BYTES_MAX = 65_536;
const FILE_NAME = 'connection.clawchat';
/** Host: key of the saved session of a Mega account. The database seals it. */
const MEGA_KEY = 'mega-session';

/** Where an operator writes down the stores. */
export function storeConfigPath(directory: string): string {
  return join(directory, CONFIG_NAME);
}

/** What decides on the stores of a host. */
export interface StoreOptions {
  readonly directory: string;
  readonly storePath: string | undefined;
  /** Those of the configuration file; undefined when it names none. */
  readonly stores?: readonly StoreConfig[] | undefined;
  /** Has the variables that decide on a proxy. */
  readonly environment?: ProxyEnvironment;
}

/**
 * Open the stores of a host: those of the configuration or of `stores.json`, else the file at `storePath`, else one in
 * the data directory.
 *
 * @throws ClawChatError `USAGE` for a list that cannot be used; `PERMISSIONS_LOOSE` when others can read it.
 */
export async function openStores(options: StoreOptions, database: Database): Promise<readonly HostStore[]> {
  const { environment = process.env } = options;
  const within: StoreEnvironment = { environment, megaSessions: megaSessions(database) };
  return (await readStoreConfigs(options)).map(config => {
    const store = openHostStore(config, within);
    if (isFault(store)) throw new ClawChatError({ ...store, code: ErrorCode.USAGE });
    return store;
  });
}

/** Read what the operator wrote down about stores. @throws ClawChatError `USAGE`, `PERMISSIONS_LOOSE`. */
export async function readStoreConfigs(
  options: Omit<StoreOptions, 'environment'>,
): Promise<readonly StoreConfig[]> {
  const { directory, storePath, stores } = options;
  const path = storeConfigPath(directory);
  const bytes = await readSecretFile(path, CONFIG_BYTES_MAX);
  if (bytes === undefined) {
    if (stores !== undefined) return bounded(stores, 'the configuration');
    return [{ kind: 'local', path: resolve(storePath ?? join(directory, FILE_NAME)) }];
  }
  if (storePath !== undefined || stores !== undefined) {
    const other = stores === undefined ? '--store' : 'stores in the configuration';
    throw failure(ErrorCode.USAGE, `give ${other} or ${path}, not both`);
  }
  const configs = parseStoreConfigs(new TextDecoder().decode(bytes));
  if (typeof configs === 'string') throw failure(ErrorCode.USAGE, `${path}: ${configs}`);
  return bounded(configs, path);
}

function bounded(configs: readonly StoreConfig[], path: string): readonly StoreConfig[] {
  if (configs.length > 0 && configs.length <= STORES_MAX) return configs;
  throw failure(ErrorCode.USAGE, `${path}: name 1 to ${STORES_MAX} stores`);
}

/** Where the session of a Mega account lies between runs. */
export function megaSessions(database: Database): {
  load(): Promise<Uint8Array | undefined>;
  save(bytes: Uint8Array): Promise<void>;
} {
  return {
    load: () => database.get(MEGA_KEY),
    save: bytes => database.commit([{ kind: 'put', key: MEGA_KEY, value: bytes }]),
  };
}
