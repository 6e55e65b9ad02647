/** What an operator says about the stores of a host: a JSON list, kept like a key (docs/stores.md). */
import { areHeaders, parseStoreUrl } from './https.ts';
import { isLocalPath } from './local.ts';
import { parseFolderLink } from './mega.ts';

/** One store of a host. Only the way to read it goes into the record. */
export type StoreConfig =
  | { readonly kind: 'local'; readonly path: string }
  | HttpsConfig
  | { readonly kind: 'mega'; readonly folder: string };

/** An HTTPS address. */
export interface HttpsConfig {
  readonly kind: 'https';
  /** What devices read. */
  readonly read: string;
  /** SHA-256 of the key that devices and host expect, 64 hex digits. */
  readonly pin?: string;
  /** What the host writes to; or `writeFrom`, a file that holds that address and may change at any time. */
  readonly write?: string;
  readonly writeFrom?: string;
  readonly method?: 'PUT' | 'POST';
  /** Sent with each write; secret. */
  readonly headers?: Readonly<Record<string, string>>;
  /** Authorities instead of the system's for what the host does, PEM. */
  readonly ca?: string;
  /** An http proxy for this store; "none" for a direct connection. The environment decides otherwise. */
  readonly proxy?: string;
}

const KEYS: Readonly<Record<StoreConfig['kind'], readonly string[]>> = {
  local: ['kind', 'path'],
  https: ['kind', 'read', 'pin', 'write', 'writeFrom', 'method', 'headers', 'ca', 'proxy'],
  mega: ['kind', 'folder'],
};

/** Parse the list, or say in one sentence what is wrong with it, without repeating any secret. */
export function parseStoreConfigs(text: string): readonly StoreConfig[] | string {
  if (text.trim() === '')
    return 'it is empty: write the list of stores into it, or delete it (docs/stores.md)';
  let list: unknown;
  try {
    list = JSON.parse(text);
  } catch (error) {
    return `it is not JSON${placeOf(error, text)}`;
  }
  return Array.isArray(list) ? checkStoreConfigs(list) : 'it is not a list: put [ ] around the stores';
}

/** Where JSON stops to be JSON. The rest of the message could repeat a secret. */
function placeOf(error: unknown, text: string): string {
  const position = / at position (\d+)/.exec(error instanceof Error ? error.message : '')?.[1];
  return position === undefined ? '' : ` (line ${text.slice(0, Number(position)).split('\n').length})`;
}

/** Check a list of what stands for stores, or say in one sentence what is wrong with it. */
export function checkStoreConfigs(list: readonly unknown[]): readonly StoreConfig[] | string {
  const configs: StoreConfig[] = [];
  for (const [index, item] of list.entries()) {
    const wrong = whatIsWrong(item);
    if (wrong !== undefined) return `store ${index + 1}: ${wrong}`;
    configs.push(item as StoreConfig);
  }
  return configs;
}

function whatIsWrong(item: unknown): string | undefined {
  if (typeof item !== 'object' || item === null) return 'it is not an object';
  const store = item as Readonly<Record<string, unknown>>;
  const kind = store['kind'];
  if (kind !== 'local' && kind !== 'https' && kind !== 'mega')
    return '"kind" is not "local", "https" (also for S3 and WebDAV) or "mega"';
  const unknown = Object.keys(store).find(key => !KEYS[kind].includes(key));
  if (unknown !== undefined) return `a ${kind} store has no "${unknown}"`;
  switch (kind) {
    case 'local':
      return isText(store['path']) && isLocalPath(store['path'])
        ? undefined
        : '"path" is not an absolute path';
    case 'mega':
      return isText(store['folder']) && parseFolderLink(store['folder']) !== undefined
        ? undefined
        : '"folder" is not the link of a Mega folder';
    case 'https':
      return whatIsWrongHttps(store);
  }
}

function whatIsWrongHttps(store: Readonly<Record<string, unknown>>): string | undefined {
  const { read, pin, write, writeFrom, method = 'PUT', headers = {}, ca = '', proxy = 'none' } = store;
  if (!isText(read) || parseStoreUrl(read) === undefined) return '"read" is not an https address';
  if (pin !== undefined && !(isText(pin) && /^[0-9a-f]{64}$/i.test(pin))) return '"pin" is not 64 hex digits';
  if ((write === undefined) === (writeFrom === undefined))
    return 'it needs "write" or "writeFrom", and not both';
  if (write !== undefined && !(isText(write) && parseStoreUrl(write) !== undefined))
    return '"write" is not an https address';
  if (writeFrom !== undefined && !(isText(writeFrom) && isLocalPath(writeFrom)))
    return '"writeFrom" is not an absolute path';
  if (method !== 'PUT' && method !== 'POST') return '"method" is not "PUT" or "POST"';
  if (!isHeaders(headers)) return '"headers" is not an object of header names and values';
  if (!isText(ca) || (ca !== '' && !ca.includes('-----BEGIN CERTIFICATE-----')))
    return '"ca" is not the text of certificates (PEM); the name of a file does not do';
  const isProxy = isText(proxy) && URL.canParse(proxy) && new URL(proxy).protocol === 'http:';
  return isProxy || proxy === 'none' ? undefined : '"proxy" is not an http address or "none"';
}

function isHeaders(value: unknown): boolean {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return false;
  const headers = value as Readonly<Record<string, string>>;
  return Object.values(headers).every(isText) && areHeaders(headers);
}

function isText(value: unknown): value is string {
  return typeof value === 'string';
}
