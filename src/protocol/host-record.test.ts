import { expect, test } from 'vitest';
import { STANDARD } from '../gen/constants.ts';
import { native } from '../node/native.ts';
import { rollChannelKeys } from './channel-keys.ts';
import { NOW_MS, named, testHost } from './fixtures.ts';
import { type EpochKeys, makeHostRecord } from './host-record.ts';

const host = testHost(native, 'record');
const identity = {
  seed: host.seed(0),
  publicKey: host.identity(0),
  serverId: host.serverId,
  nextIdentityHash: host.nextHash(0),
  successions: [],
};
const channelKeys = rollChannelKeys(
  native,
  STANDARD,
  undefined,
  [named(native, 'current'), named(native, 'next')],
  NOW_MS,
);
const epochKeys = (epoch: number): EpochKeys => ({
  accessKey: { epoch, key: named(native, `access ${epoch}`) },
  tlsKey: {
    pkcs8: new Uint8Array(1),
    certificate: new Uint8Array(1),
    spkiPin: named(native, `pin ${epoch}`),
  },
});

test('a record is what its plan and its parts say, each in its order (RT-010~1)', () => {
  const validUntilMs = NOW_MS + 3_900_000;
  const listed = { notBeforeMs: NOW_MS, notAfterMs: validUntilMs };
  const plan = {
    sequence: 12,
    epoch: 8,
    issuedAtMs: NOW_MS,
    nextRotationMs: NOW_MS + 3_600_000,
    validUntilMs,
  };
  const { record } = makeHostRecord(
    native,
    {
      ...plan,
      ports: [
        { port: 50_001, ...listed },
        { port: 50_000, ...listed },
      ],
      epochs: [8, 7],
    },
    {
      identity,
      keys: [7, 8].map(epochKeys),
      channelKeys,
      place: { addresses: ['192.0.2.1', 'host.example'], stores: [], isPinned: true },
    },
  );
  const [current, next] = channelKeys;
  expect(record).toMatchObject(plan);
  expect(record.channelKeys).toEqual(
    [current, next].map(({ publicKey, notAfterMs }) => ({ publicKey, notAfterMs })),
  );
  expect(record.accessKeys).toEqual([8, 7].map(epoch => epochKeys(epoch).accessKey));
  expect(record.tlsPins).toEqual([8, 7].map(epoch => epochKeys(epoch).tlsKey.spkiPin));
  expect(record.endpoints).toEqual(
    [50_001, 50_000].flatMap(port =>
      ['192.0.2.1', 'host.example'].map(address => ({ host: address, port, ...listed })),
    ),
  );
});
