/** Hosts, records and entropy for the tests of this directory; no program imports it (spec/03-connection-file.md). */
import type { Suite } from '../crypto/suite.ts';
import { withEntropy } from '../crypto/suite.ts';
import { CHANNEL_KEY_MARGIN_MS } from '../gen/constants.ts';
import { asciiBytes, concat } from '../wire/bytes.ts';
import { type ConnectionRecord, encodeRecord } from './connection-record.ts';
import { signRecord } from './envelope.ts';
import { nextIdentityHash, serverId } from './keys.ts';
import { makeSuccession, type Succession, type Trust } from './succession.ts';

/** 2026-11-23, as Unix milliseconds. */
export const NOW_MS = 1_795_392_000_000;
const HOUR_MS = 3_600_000;

/** Give a suite entropy that a seed decides: SHA-256 of seed and counter, and so on. */
export function seeded<S extends Suite>(suite: S, seed: string): S {
  let counter = 0;
  return withEntropy(suite, length => {
    const out = new Uint8Array(length);
    for (let at = 0; at < length; at += 32) {
      counter += 1;
      const block = suite.sha256(asciiBytes(`${seed} ${counter}`));
      out.set(block.subarray(0, Math.min(32, length - at)), at);
    }
    return out;
  });
}

/** Name 32 bytes. */
export function named(suite: Suite, name: string): Uint8Array {
  return suite.sha256(asciiBytes(name));
}

/** A host with a line of identity keys; key 0 is the first. */
export interface TestHost {
  readonly seed: (index: number) => Uint8Array;
  readonly identity: (index: number) => Uint8Array;
  readonly nextHash: (index: number) => Uint8Array;
  readonly serverId: Uint8Array;
  /** The statement by which key `index` follows the one before. */
  readonly chain: (length: number, floor?: number) => readonly Succession[];
  /** Whom somebody trusts who knows key `index`. */
  readonly trust: (index: number, knowsNext?: boolean) => Trust;
}

/** Make a host. */
export function testHost(suite: Suite, name: string): TestHost {
  const seed = (index: number): Uint8Array => named(suite, `${name} identity ${index}`);
  const identity = (index: number): Uint8Array => suite.ed25519Public(seed(index));
  const nextHash = (index: number): Uint8Array => nextIdentityHash(suite, identity(index + 1));
  const id = serverId(suite, identity(0));
  return {
    seed,
    identity,
    nextHash,
    serverId: id,
    chain: (length, floor = 0) => {
      const chain: Succession[] = [];
      for (let i = 0; i < length; i += 1) {
        chain.push(
          makeSuccession(suite, {
            serverId: id,
            chain: [...chain],
            oldSeed: seed(i),
            newSeed: seed(i + 1),
            nextIdentityHash: nextHash(i + 1),
            sequenceFloor: floor,
          }),
        );
      }
      return chain;
    },
    trust: (index, knowsNext = true) => ({
      serverId: id,
      identity: identity(index),
      nextIdentityHash: knowsNext ? nextHash(index) : undefined,
    }),
  };
}

/** A record of a host that breaks no rule. */
export function testRecord(
  suite: Suite,
  host: TestHost,
  change: Partial<ConnectionRecord> = {},
): ConnectionRecord {
  const validUntilMs = NOW_MS + HOUR_MS + 300_000;
  return {
    protocolVersion: 1,
    serverId: host.serverId,
    epoch: 7,
    sequence: 12,
    issuedAtMs: NOW_MS,
    validUntilMs,
    nextRotationMs: NOW_MS + HOUR_MS,
    endpoints: [{ host: '192.0.2.1', port: 50_000, notBeforeMs: NOW_MS, notAfterMs: validUntilMs }],
    channelKeys: [{ publicKey: named(suite, 'channel'), notAfterMs: validUntilMs + CHANNEL_KEY_MARGIN_MS }],
    tlsPins: [named(suite, 'pin')],
    accessKeys: [{ epoch: 7, key: named(suite, 'access') }],
    nextIdentityHash: host.nextHash(0),
    suites: [1],
    stores: [{ kind: 'local', path: '/var/lib/clawchat/connection' }],
    ...change,
  };
}

/** Sign a record with key `index` of the host, behind a chain of that length. */
export function testEnvelope(
  suite: Suite,
  host: TestHost,
  record: ConnectionRecord,
  index = 0,
  chain: readonly Succession[] = host.chain(index),
): Uint8Array {
  return signRecord(suite, host.seed(index), encodeRecord(record), chain);
}

/** Change one byte. */
export function flipped(bytes: Uint8Array, at: number, mask = 1): Uint8Array {
  const out = bytes.slice();
  out[at] = (out[at] ?? 0) ^ mask;
  return out;
}

/** Encode a varint field of protobuf behind a message: the last one counts. */
export function withField(message: Uint8Array, field: number, value: Uint8Array | bigint): Uint8Array {
  const varint = (of: bigint): number[] => {
    const out: number[] = [];
    for (let rest = of; ; rest >>= 7n) {
      if (rest < 128n) return [...out, Number(rest)];
      out.push(Number(rest & 127n) | 128);
    }
  };
  const isNumber = typeof value === 'bigint';
  const head = varint(BigInt((field << 3) | (isNumber ? 0 : 2)));
  const body = isNumber ? varint(value) : [...varint(BigInt(value.length)), ...value];
  return concat(message, Uint8Array.from([...head, ...body]));
}
