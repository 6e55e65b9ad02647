import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { CHANNEL_KEY_MARGIN_MS } from '../gen/constants.ts';
import { native } from '../node/native.ts';
import { type ConnectionRecord, encodeRecord, parseRecord, type Store } from './connection-record.ts';
import { codeName, isFault } from './fault.ts';
import { NOW_MS, named, testHost, testRecord, withField } from './fixtures.ts';

const host = testHost(native, 'record');
const good = testRecord(native, host);
const [endpoint] = good.endpoints;
const [channelKey] = good.channelKeys;
const [accessKey] = good.accessKeys;
if (endpoint === undefined || channelKey === undefined) throw new Error('a record has both');

function code(payload: Uint8Array, serverId: Uint8Array | undefined = host.serverId): string {
  const record = parseRecord(payload, serverId);
  return isFault(record) ? codeName(record.code) : 'parsed';
}

const changed = (change: Partial<ConnectionRecord>): Uint8Array => encodeRecord({ ...good, ...change });
const times = <T>(count: number, of: T): T[] => Array.from({ length: count }, () => of);
const bytes = (length: number): Uint8Array => new Uint8Array(length).fill(3);
const local = (path: string): Store => ({ kind: 'local', path });

describe('a record (CF-020~1)', () => {
  it.each<[string, Partial<ConnectionRecord>, string]>([
    ['a record', {}, 'parsed'],
    ['protocol version 0', { protocolVersion: 0 }, 'VERSION_UNSUPPORTED'],
    ['protocol version 2', { protocolVersion: 2 }, 'VERSION_UNSUPPORTED'],
    ['version 2 of another host', { protocolVersion: 2, serverId: bytes(32) }, 'VERSION_UNSUPPORTED'],
    ['another host', { serverId: bytes(32) }, 'SERVER_MISMATCH'],
    ['another host whose record is broken', { serverId: bytes(32), suites: [] }, 'SERVER_MISMATCH'],
    ['a server id of 31 bytes', { serverId: bytes(31) }, 'SERVER_MISMATCH'],
    ['epoch 0', { epoch: 0, accessKeys: [{ ...accessKey, epoch: 0 }] }, 'RECORD_INVALID'],
    [
      'the highest epoch',
      { epoch: 2 ** 53 - 1, accessKeys: [{ ...accessKey, epoch: 2 ** 53 - 1 }] },
      'parsed',
    ],
    ['sequence 0', { sequence: 0 }, 'RECORD_INVALID'],
    ['the highest sequence', { sequence: 2 ** 53 - 1 }, 'parsed'],
    ['issued at the rotation', { issuedAtMs: good.nextRotationMs }, 'RECORD_INVALID'],
    ['issued 1 ms before the rotation', { issuedAtMs: good.nextRotationMs - 1 }, 'parsed'],
    ['valid until the rotation', { nextRotationMs: good.validUntilMs }, 'parsed'],
    ['valid until before the rotation', { nextRotationMs: good.validUntilMs + 1 }, 'RECORD_INVALID'],
    ['no endpoint', { endpoints: [] }, 'RECORD_INVALID'],
    ['16 endpoints', { endpoints: times(16, endpoint) }, 'parsed'],
    ['17 endpoints', { endpoints: times(17, endpoint) }, 'RECORD_INVALID'],
    ['an empty host', { endpoints: [{ ...endpoint, host: '' }] }, 'RECORD_INVALID'],
    ['a host of 253 bytes', { endpoints: [{ ...endpoint, host: 'a'.repeat(253) }] }, 'parsed'],
    ['a host of 254 bytes', { endpoints: [{ ...endpoint, host: 'a'.repeat(254) }] }, 'RECORD_INVALID'],
    ['an IPv6 host with a zone', { endpoints: [{ ...endpoint, host: 'fe80::1%eth0' }] }, 'parsed'],
    ['every letter of a host', { endpoints: [{ ...endpoint, host: 'AZaz09.-:_%' }] }, 'parsed'],
    ['a host with a space', { endpoints: [{ ...endpoint, host: 'a b' }] }, 'RECORD_INVALID'],
    ['a host with a line feed behind', { endpoints: [{ ...endpoint, host: 'a\n' }] }, 'RECORD_INVALID'],
    ['a host in brackets', { endpoints: [{ ...endpoint, host: '[::1]' }] }, 'RECORD_INVALID'],
    ['a host outside ASCII', { endpoints: [{ ...endpoint, host: 'ä' }] }, 'RECORD_INVALID'],
    ['port 0', { endpoints: [{ ...endpoint, port: 0 }] }, 'RECORD_INVALID'],
    ['port 1', { endpoints: [{ ...endpoint, port: 1 }] }, 'parsed'],
    ['port 65,535', { endpoints: [{ ...endpoint, port: 65_535 }] }, 'parsed'],
    ['port 65,536', { endpoints: [{ ...endpoint, port: 65_536 }] }, 'RECORD_INVALID'],
    ['an endpoint for no time', { endpoints: [{ ...endpoint, notAfterMs: NOW_MS }] }, 'RECORD_INVALID'],
    ['no channel key', { channelKeys: [] }, 'RECORD_INVALID'],
    ['4 channel keys', { channelKeys: times(4, channelKey) }, 'parsed'],
    ['5 channel keys', { channelKeys: times(5, channelKey) }, 'RECORD_INVALID'],
    [
      'a channel key of 31 bytes',
      { channelKeys: [{ ...channelKey, publicKey: bytes(31) }] },
      'RECORD_INVALID',
    ],
    [
      'a second channel key of 33 bytes',
      { channelKeys: [channelKey, { ...channelKey, publicKey: bytes(33) }] },
      'RECORD_INVALID',
    ],
    [
      'a channel key 1 ms too short',
      { channelKeys: [{ ...channelKey, notAfterMs: good.validUntilMs + CHANNEL_KEY_MARGIN_MS - 1 }] },
      'RECORD_INVALID',
    ],
    ['no pin', { tlsPins: [] }, 'parsed'],
    ['4 pins', { tlsPins: times(4, bytes(32)) }, 'parsed'],
    ['5 pins', { tlsPins: times(5, bytes(32)) }, 'RECORD_INVALID'],
    ['an empty pin', { tlsPins: [bytes(0)] }, 'RECORD_INVALID'],
    ['4 access keys', { accessKeys: [accessKey, accessKey, accessKey, accessKey] }, 'parsed'],
    ['5 access keys', { accessKeys: [accessKey, ...times(4, accessKey)] }, 'RECORD_INVALID'],
    [
      'an access key of another epoch first',
      { accessKeys: [{ ...accessKey, epoch: 6 }, accessKey] },
      'RECORD_INVALID',
    ],
    [
      'an access key of another epoch second',
      { accessKeys: [accessKey, { ...accessKey, epoch: 6 }] },
      'parsed',
    ],
    ['an access key of epoch 0', { accessKeys: [accessKey, { ...accessKey, epoch: 0 }] }, 'RECORD_INVALID'],
    ['an access key of 33 bytes', { accessKeys: [{ epoch: 7, key: bytes(33) }] }, 'RECORD_INVALID'],
    ['a next identity hash of 31 bytes', { nextIdentityHash: bytes(31) }, 'RECORD_INVALID'],
    ['no suite', { suites: [] }, 'RECORD_INVALID'],
    ['another suite', { suites: [2] }, 'VERSION_UNSUPPORTED'],
    ['another suite first', { suites: [2, 1] }, 'parsed'],
    ['8 suites', { suites: [1, 2, 3, 4, 5, 6, 7, 8] }, 'parsed'],
    ['9 suites', { suites: [1, 2, 3, 4, 5, 6, 7, 8, 9] }, 'RECORD_INVALID'],
    ['another suite and a broken store', { suites: [2], stores: [local('')] }, 'VERSION_UNSUPPORTED'],
    ['no store', { stores: [] }, 'parsed'],
    ['8 stores', { stores: times(8, local('/a')) }, 'parsed'],
    ['9 stores', { stores: times(9, local('/a')) }, 'RECORD_INVALID'],
    ['a path of 1,024 bytes', { stores: [local('ä'.repeat(512))] }, 'parsed'],
    ['a path of 1,026 bytes', { stores: [local('ä'.repeat(513))] }, 'RECORD_INVALID'],
    ['an empty path', { stores: [local('')] }, 'RECORD_INVALID'],
    ['a pinned store', { stores: [{ kind: 'https', readUrl: 'https://a/', spkiPin: bytes(32) }] }, 'parsed'],
    [
      'a store with a pin of 31 bytes',
      { stores: [{ kind: 'https', readUrl: 'https://a/', spkiPin: bytes(31) }] },
      'RECORD_INVALID',
    ],
    ['an empty URL', { stores: [{ kind: 'https', readUrl: '', spkiPin: bytes(0) }] }, 'RECORD_INVALID'],
    ['a link of 256 bytes', { stores: [{ kind: 'mega', folderLink: 'm'.repeat(256) }] }, 'parsed'],
    ['a link of 257 bytes', { stores: [{ kind: 'mega', folderLink: 'm'.repeat(257) }] }, 'RECORD_INVALID'],
  ])('%s', (_, change, expected) => {
    expect(code(changed(change))).toBe(expected);
  });

  it.each<[string, number]>([
    ['epoch', 3],
    ['sequence', 4],
    ['issued_at_ms', 5],
    ['valid_until_ms', 6],
    ['next_rotation_ms', 7],
  ])('%s of 2^53 and of 2^64 - 1', (_, field) => {
    for (const value of [2n ** 53n, 2n ** 64n - 1n]) {
      expect(code(withField(encodeRecord(good), field, value))).toBe('RECORD_INVALID');
    }
  });

  it('is of any host for a reader who trusts none', () => {
    const other = changed({ serverId: bytes(32) });
    expect(isFault(parseRecord(other, undefined))).toBe(false);
    expect(isFault(parseRecord(changed({ serverId: bytes(31) }), undefined))).toBe(true);
  });

  it('skips a store of a kind that it does not know, which still counts, and unknown fields (CF-021~1)', () => {
    const unknown = Uint8Array.of(0x7a, 2, 8, 1);
    const payload = withField(withField(encodeRecord(good), 14, unknown), 100, 1n);
    const record = parseRecord(payload, host.serverId);
    expect(!isFault(record) && record.stores).toEqual(good.stores);
    let full = changed({ stores: [] });
    for (let i = 0; i < 9; i += 1) full = withField(full, 14, unknown);
    expect(code(full)).toBe('RECORD_INVALID');
  });

  it('says what was encoded, in numbers', () => {
    const record = parseRecord(encodeRecord(good), host.serverId);
    expect(record).toEqual(good);
    expect(JSON.stringify(record)).toBeTypeOf('string'); // which a bigint would prevent
  });

  it('never throws, whatever the payload is (ER-001~1)', () => {
    const payload = encodeRecord(good);
    let parsed = 0;
    fc.assert(
      fc.property(fc.nat(payload.length - 1), fc.integer({ min: 1, max: 255 }), (at, mask) => {
        const altered = payload.slice();
        altered[at] = (altered[at] ?? 0) ^ mask;
        const record = parseRecord(altered, undefined);
        if (!isFault(record)) parsed += 1;
        return isFault(parseRecord(payload.subarray(0, at), host.serverId)) || at > 200;
      }),
      { numRuns: 2000 },
    );
    expect(parsed).toBeGreaterThan(0);
    expect(code(named(native, 'noise'))).toBe('RECORD_INVALID');
  });
});
