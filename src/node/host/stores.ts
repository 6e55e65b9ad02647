/** The stores of a host, from what its operator wrote down. Chapter: spec/07-discovery.md; docs/stores.md. */
import { join, resolve } from 'node:path';
import { ErrorCode } from '../../gen/clawchat/v1/error_pb.ts';
import { STORES_MAX } from '../../gen/constants.ts';
import { ClawChatError, isFault } from '../../protocol/fault.ts';
import type { Database } from '../../runtime/database.ts';
import { failure } from '../failure.ts';
import { readSecretFile } from '../files.ts';
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

/**
 * Open the stores of a host: those of `stores.json`, else the file at `storePath`, else one in the data directory.
 *
 * @throws ClawChatError `USAGE` for a list that cannot be used; `PERMISSIONS_LOOSE` when others can read it.
 */
export async function openStores(
  directory: string,
  storePath: string | undefined,
  database: Database,
): Promise<readonly HostStore[]> {
  const within: StoreEnvironment = { environment: process.env, megaSessions: megaSessions(database) };
  return (await readStoreConfigs(directory, storePath)).map(config => {
    const store = openHostStore(config, within);
    if (isFault(store)) throw new ClawChatError({ ...store, code: ErrorCode.USAGE });
    return store;
  });
}

/** Read what the operator wrote down about stores. @throws ClawChatError `USAGE`, `PERMISSIONS_LOOSE`. */
export async function readStoreConfigs(
  directory: string,
  storePath: string | undefined,
): Promise<readonly StoreConfig[]> {
  const path = storeConfigPath(directory);
  const bytes = await readSecretFile(path, CONFIG_BYTES_MAX);
  if (bytes === undefined) return [{ kind: 'local', path: resolve(storePath ?? join(directory, FILE_NAME)) }];
  if (storePath !== undefined) {
    throw failure(ErrorCode.USAGE, `give --store or ${path}, not both`);
  }
  const configs = parseStoreConfigs(new TextDecoder().decode(bytes));
  if (typeof configs === 'string') throw failure(ErrorCode.USAGE, `${path}: ${configs}`);
  if (configs.length === 0 || configs.length > STORES_MAX) {
    throw failure(ErrorCode.USAGE, `${path}: name 1 to ${STORES_MAX} stores`);
  }
  return configs;
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
