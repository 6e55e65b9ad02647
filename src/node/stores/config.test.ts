import { expect, test } from 'vitest';
import { ErrorCode } from '../../gen/clawchat/v1/error_pb.ts';
import { isFault } from '../../wire/fault.ts';
import { parseStoreConfigs, type StoreConfig } from './config.ts';
import { expiryWarning, openHostStore, openReader, storeKey } from './open.ts';

const PIN = 'ab'.repeat(32);
const FOLDER = 'https://mega.nz/folder/AbCdEf12#0123456789012345678901';
const HTTPS = { kind: 'https', read: 'https://s/x', write: 'https://s/y' };
const DIRECT = { environment: {} };

test('takes what the page shows', () => {
  const list = [
    { kind: 'local', path: '/home/ann/Sync/host.claw' },
    {
      ...HTTPS,
      pin: PIN,
      headers: { authorization: 'Basic eA==' },
      method: 'POST',
      ca: '-----BEGIN CERTIFICATE-----',
      proxy: 'http://p:1',
    },
    { kind: 'https', read: 'https://s/x', writeFrom: '/var/lib/address', proxy: 'none' },
    { kind: 'mega', folder: FOLDER },
  ];
  expect(parseStoreConfigs(JSON.stringify(list))).toEqual(list);
  expect(parseStoreConfigs('[]')).toEqual([]);
});

test.each<[unknown, string]>([
  [{}, 'not a list'],
  [[1], 'not an object'],
  [[null], 'not an object'],
  [[{ kind: 'ftp' }], '"kind"'],
  [[{ kind: 'local', path: 'relative' }], '"path"'],
  [[{ kind: 'local', path: '//server/share' }], '"path"'],
  [[{ kind: 'local', path: '/a', pin: PIN }], 'no "pin"'],
  [[{ kind: 'mega', folder: 'https://mega.nz/file/AbCdEf12#x' }], '"folder"'],
  [[{ ...HTTPS, read: 'http://s/x' }], '"read"'],
  [[{ ...HTTPS, write: 'http://s/x' }], '"write"'],
  [[{ ...HTTPS, writeFrom: '/a' }], 'not both'],
  [[{ kind: 'https', read: 'https://s/x' }], 'needs "write"'],
  [[{ kind: 'https', read: 'https://s/x', writeFrom: 'a' }], '"writeFrom"'],
  [[{ ...HTTPS, pin: 'abc' }], '"pin"'],
  [[{ ...HTTPS, method: 'DELETE' }], '"method"'],
  [[{ ...HTTPS, headers: { 'a b': 'c' } }], '"headers"'],
  [[{ ...HTTPS, headers: { a: 1 } }], '"headers"'],
  [[{ ...HTTPS, headers: { a: 'b\r\nc: secret' } }], '"headers"'],
  [[{ ...HTTPS, ca: 1 }], '"ca"'],
  [[{ ...HTTPS, ca: '/etc/ca.pem' }], 'the name of a file'],
  [[{ kind: 's3' }], 'also for S3'],
  [[{ ...HTTPS, proxy: 'socks5://p' }], '"proxy"'],
])('refuses %j', (list, says) => {
  const wrong = parseStoreConfigs(JSON.stringify(list));
  expect(wrong).toContain(says);
  expect(wrong).not.toContain('secret');
});

test('what is not JSON', () => {
  expect(parseStoreConfigs('[')).toMatch(/^it is not JSON/);
  const wrong = parseStoreConfigs('[\n  { "kind": "local", secret }\n]');
  expect(wrong).toBe('it is not JSON (line 2)');
  expect(parseStoreConfigs('\n')).toContain('it is empty');
});

test('only the way to read goes into the record', () => {
  const configs: readonly StoreConfig[] = [
    { kind: 'local', path: '/a' },
    { ...HTTPS, kind: 'https', pin: PIN, headers: { authorization: 'secret' } },
    { kind: 'mega', folder: FOLDER },
  ];
  const opened = configs.map(config => openHostStore(config, DIRECT));
  expect(opened.map(store => (isFault(store) ? store.detail : store.store))).toEqual([
    { kind: 'local', path: '/a' },
    { kind: 'https', readUrl: 'https://s/x', spkiPin: new Uint8Array(32).fill(0xab) },
    { kind: 'mega', folderLink: FOLDER },
  ]);
  expect(opened.map(store => !isFault(store) && store.remote)).toEqual([false, true, true]);
  expect(opened.map(store => !isFault(store) && store.reader.name)).toEqual([
    '/a',
    'https://s/x',
    'https://mega.nz/folder/AbCdEf12',
  ]);
});

test('a record can name a store that this program cannot use (DI-001~1)', () => {
  const none = new Uint8Array();
  for (const store of [
    { kind: 'local', path: 'x' },
    { kind: 'https', readUrl: 'http://s/x', spkiPin: none },
    { kind: 'https', readUrl: 'x', spkiPin: none },
    { kind: 'mega', folderLink: 'https://mega.nz/x' },
    { kind: 'mega', folderLink: 'https://example.org/folder/AbCdEf12#0123456789012345678901' },
  ] as const)
    expect(openReader(store, DIRECT)).toMatchObject({ kind: 'fault', code: ErrorCode.STORE_UNAVAILABLE });
});

test('stores that differ in anything have different keys', () => {
  const keys = [
    storeKey({ kind: 'local', path: '/a' }),
    storeKey({ kind: 'local', path: '/b' }),
    storeKey({ kind: 'https', readUrl: '/a', spkiPin: new Uint8Array() }),
    storeKey({ kind: 'https', readUrl: '/a', spkiPin: new Uint8Array(32) }),
    storeKey({ kind: 'mega', folderLink: FOLDER }),
  ];
  expect(new Set(keys).size).toBe(keys.length);
});

test('warns two days before a right to write ends, and after', async () => {
  const until = Date.UTC(2026, 10, 23, 10, 0, 0);
  const write = 'https://s/x?X-Amz-Date=20261123T090000Z&X-Amz-Expires=3600&X-Amz-Signature=secret';
  const store = openHostStore({ kind: 'https', read: 'https://s/x', write }, DIRECT);
  if (isFault(store)) throw new Error(store.detail);
  const days = 86_400_000;
  expect(await expiryWarning(store, until - 2 * days - 1)).toBeUndefined();
  expect(await expiryWarning(store, until - 2 * days)).toContain('ends at 2026-11-23T10:00:00.000Z');
  expect(await expiryWarning(store, until)).toContain('ended at');
  expect(await expiryWarning(store, until)).not.toContain('secret');
  const local = openHostStore({ kind: 'local', path: '/a' }, DIRECT);
  expect(isFault(local) ? local : await expiryWarning(local, until)).toBeUndefined();
});
