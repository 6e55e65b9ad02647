import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { noble } from '../crypto/noble.ts';
import { native } from '../node/native.ts';
import { concat } from '../wire/bytes.ts';
import type { ConnectionRecord } from './connection-record.ts';
import { parseEnvelope } from './envelope.ts';
import { codeName, isFault } from './fault.ts';
import { flipped, NOW_MS, type TestHost, testEnvelope, testHost, testRecord, withField } from './fixtures.ts';
import { type Acceptance, acceptEnvelopeBytes, channelKeyFor, type Held, trusting } from './freshness.ts';
import { nextIdentityHash, recordHash, successionSigningInput } from './keys.ts';
import { makeSuccession, type Succession } from './succession.ts';

const host = testHost(native, 'fresh');

function make(sequence: number, index = 0, change: Partial<ConnectionRecord> = {}, floor = 0): Uint8Array {
  const record = testRecord(native, host, { sequence, nextIdentityHash: host.nextHash(index), ...change });
  return testEnvelope(native, host, record, index, host.chain(index, floor));
}

function accept(held: Held, envelope: Uint8Array, wallMs: number = NOW_MS): Acceptance {
  const result = acceptEnvelopeBytes(native, held, envelope, wallMs);
  expect(acceptEnvelopeBytes(noble, held, envelope, wallMs)).toEqual(result);
  return result;
}

function outcome(result: Acceptance): string {
  return result.kind === 'fault' ? codeName(result.code) : result.kind;
}

function following(held: Held, ...envelopes: readonly Uint8Array[]): Held {
  let now = held;
  for (const envelope of envelopes) {
    const result = accept(now, envelope);
    if (result.kind !== 'accepted') throw new Error(outcome(result));
    now = result.held;
  }
  return now;
}

const invited = trusting(host.trust(0, false));
const at12 = following(invited, make(12));

describe('which record is accepted (CF-030~1, CF-032~2, CF-033~2)', () => {
  it.each<[string, Uint8Array, string]>([
    ['a first record', make(1), 'RECORD_ROLLBACK'],
    ['the one before', make(11), 'RECORD_ROLLBACK'],
    ['the same', make(12), 'unchanged'],
    ['another with the same sequence', make(12, 0, { tlsPins: [] }), 'RECORD_EQUIVOCATION'],
    ['the next', make(13), 'accepted'],
    ['the next, issued earlier', make(13, 0, { issuedAtMs: NOW_MS - 5_000 }), 'accepted'],
    ['the highest', make(2 ** 53 - 1), 'accepted'],
  ])('%s', (_, envelope, expected) => {
    expect(outcome(accept(at12, envelope))).toBe(expected);
  });

  it('says its own sequence and hash with a refusal, and changes nothing', () => {
    const before = structuredClone(at12);
    const result = accept(at12, make(11));
    if (result.kind !== 'fault') throw new Error('accepted');
    expect(result.own).toEqual({ sequence: 12, hash: at12.newest?.hash });
    expect(at12).toEqual(before);
    expect(accept(at12, flipped(make(13), 3))).toMatchObject({ kind: 'fault', own: undefined });
  });

  it('accepts the next higher after an equivocation, and knows the first by its hash', () => {
    expect(outcome(accept(at12, make(12, 0, { tlsPins: [] })))).toBe('RECORD_EQUIVOCATION');
    const envelope = make(13);
    const next = following(at12, envelope);
    const parsed = parseEnvelope(envelope);
    if (isFault(parsed)) throw new Error(parsed.detail);
    expect(next.newest?.hash).toEqual(recordHash(native, parsed.payload));
    expect(next.newest?.envelope).toEqual(envelope);
  });

  it('gives a typed fault for each flipped bit of an envelope', () => {
    const envelope = make(13);
    const seen = new Map<string, number>();
    for (let at = 0; at < envelope.length; at += 1) {
      const result = outcome(acceptEnvelopeBytes(native, at12, flipped(envelope, at, 1 << (at % 8)), NOW_MS));
      seen.set(result, (seen.get(result) ?? 0) + 1);
    }
    expect([...seen.keys()].sort()).toEqual(['FILE_MALFORMED', 'SIGNATURE_INVALID']);
    expect(seen.get('SIGNATURE_INVALID')).toBeGreaterThan(200);
  });

  it('takes the steps in their order: each fault hides the later ones', () => {
    // From the last step to the first, each envelope breaks what the ones before broke, and one rule more.
    const other = testHost(native, 'other');
    const record = { ...testRecord(native, host), sequence: 11, channelKeys: [] };
    const foreign = { ...record, serverId: other.serverId };
    const later = { ...foreign, protocolVersion: 2 };
    const steps: [Uint8Array, string][] = [
      [
        testEnvelope(
          native,
          host,
          testRecord(native, host, { sequence: 11, nextIdentityHash: host.nextHash(3) }),
        ),
        'SUCCESSION_INVALID',
      ],
      [testEnvelope(native, host, record), 'RECORD_INVALID'],
      [testEnvelope(native, host, foreign), 'SERVER_MISMATCH'],
      [testEnvelope(native, host, later), 'VERSION_UNSUPPORTED'],
      [testEnvelope(native, other, later), 'SIGNATURE_INVALID'],
      [testEnvelope(native, other, later, 0, other.chain(1)), 'SUCCESSION_INVALID'],
      [
        withField(testEnvelope(native, other, later, 0, other.chain(1)), 2, new Uint8Array(63)),
        'FILE_MALFORMED',
      ],
    ];
    for (const [envelope, expected] of steps) expect(outcome(accept(at12, envelope))).toBe(expected);
  });

  it('ends with the highest record, in whatever order stores give them', () => {
    let orders = 0;
    const records = [12, 13, 14, 15].map(sequence => make(sequence));
    fc.assert(
      fc.property(fc.array(fc.nat(3), { minLength: 1, maxLength: 12 }), picks => {
        let held = at12;
        for (const pick of picks) {
          const before = held.newest?.sequence ?? 0;
          const result = acceptEnvelopeBytes(native, held, records[pick] ?? new Uint8Array(0), NOW_MS);
          const expected =
            12 + pick > before ? 'accepted' : 12 + pick === before ? 'unchanged' : 'RECORD_ROLLBACK';
          expect(outcome(result)).toBe(expected);
          if (result.kind === 'accepted') held = result.held;
        }
        orders += 1;
        return held.newest?.sequence === 12 + Math.max(...picks);
      }),
      { numRuns: 60 },
    );
    expect(orders).toBe(60);
  });
});

describe('successions (CF-010~2 to CF-014~1)', () => {
  const statement = (
    by: TestHost,
    index: number,
    change: Partial<Parameters<typeof makeSuccession>[1]>,
  ): Succession =>
    makeSuccession(native, {
      serverId: by.serverId,
      chain: by.chain(index),
      oldSeed: by.seed(index),
      newSeed: by.seed(index + 1),
      nextIdentityHash: by.nextHash(index + 1),
      sequenceFloor: 0,
      ...change,
    });
  const signed = (chain: readonly Succession[], index: number, sequence = 20): Uint8Array =>
    testEnvelope(
      native,
      host,
      testRecord(native, host, { sequence, nextIdentityHash: host.nextHash(index) }),
      index,
      chain,
    );

  it('follows one step, and many while it slept', () => {
    for (const index of [1, 2, 16]) {
      const held = following(at12, make(20, index));
      expect(held.trust).toEqual(host.trust(index));
      expect(outcome(accept(held, make(21, index)))).toBe('accepted');
      expect(outcome(accept(held, make(21, index - 1)))).not.toBe('accepted');
    }
  });

  it('refuses a chain of 17', () => {
    const chain = host.chain(16);
    const last = chain.at(-1);
    if (last === undefined) throw new Error('no chain');
    expect(outcome(accept(at12, signed([...chain, last], 16)))).toBe('SUCCESSION_INVALID');
  });

  it('lets somebody who was invited after a succession begin with the key of the invite', () => {
    const late = trusting(host.trust(2, false));
    expect(following(late, make(20, 2)).trust).toEqual(host.trust(2));
    expect(following(late, make(20, 5)).trust).toEqual(host.trust(5));
  });

  it('takes the first next-identity hash of an invite as it stands, and no other later', () => {
    expect(at12.trust.nextIdentityHash).toEqual(host.nextHash(0));
    expect(outcome(accept(at12, make(13, 0, { nextIdentityHash: host.nextHash(1) })))).toBe(
      'SUCCESSION_INVALID',
    );
  });

  it('does not let a stolen identity key sign its own succession', () => {
    // The thief has key 0 of the host, and keys of its own.
    const thief = testHost(native, 'thief');
    const seized = statement(host, 0, { newSeed: thief.seed(1), nextIdentityHash: thief.nextHash(1) });
    const record = testRecord(native, host, { sequence: 20, nextIdentityHash: thief.nextHash(1) });
    expect(outcome(accept(at12, testEnvelope(native, thief, record, 1, [seized])))).toBe(
      'SUCCESSION_INVALID',
    );
    // Nor name its own successor first.
    const naming = testRecord(native, host, {
      sequence: 20,
      nextIdentityHash: nextIdentityHash(native, thief.identity(1)),
    });
    expect(outcome(accept(at12, testEnvelope(native, host, naming)))).toBe('SUCCESSION_INVALID');
    // A host's own succession then shuts the thief out, whatever sequence it signed before.
    const robbed = following(at12, make(1_000_000));
    const saved = following(robbed, make(30, 1, {}, 25));
    expect(saved.newest?.sequence).toBe(30);
    expect(outcome(accept(saved, make(2_000_000)))).toBe('SIGNATURE_INVALID');
  });

  it('sets a new floor, also downwards (CF-012~1, CF-013~1)', () => {
    const high = following(at12, make(500));
    expect(outcome(accept(high, make(99, 1, {}, 100)))).toBe('RECORD_ROLLBACK');
    const moved = following(high, make(100, 1, {}, 100));
    expect(moved).toMatchObject({ floor: 100, newest: { sequence: 100 } });
    expect(outcome(accept(moved, make(99, 1, {}, 100)))).toBe('RECORD_ROLLBACK');
    // An equal sequence from before the succession is no equivocation.
    expect(outcome(accept(following(at12, make(200)), make(200, 1, {}, 100)))).toBe('accepted');
    // The floor counts for whoever begins behind it, too.
    expect(outcome(accept(trusting(host.trust(1, false)), make(99, 1, {}, 100)))).toBe('RECORD_ROLLBACK');
  });

  it.each<[string, () => readonly Succession[]]>([
    ['of another host', () => [statement(host, 0, { serverId: testHost(native, 'x').serverId })]],
    ['with another index', () => [statement(host, 0, { chain: host.chain(1) })]],
    ['whose new key was not named', () => [statement(host, 0, { newSeed: host.seed(5) })]],
    [
      'that does not follow the one before',
      () => [...host.chain(1), statement(host, 1, { oldSeed: host.seed(7) })],
    ],
    ['with a floor of 2^53', () => [resigned(0, of => withField(of, 6, 2n ** 53n))]],
    ['with a hash of 31 bytes', () => [resigned(0, of => withField(of, 5, new Uint8Array(31)))]],
    ['that does not parse', () => [resigned(0, () => Uint8Array.of(0xff))]],
    ['without the old signature', () => altered({ oldSignature: new Uint8Array(64) })],
    ['with an old signature of no length', () => altered({ oldSignature: new Uint8Array(0) })],
    ['without the new signature', () => altered({ newSignature: new Uint8Array(64) })],
    ['with the signatures swapped', () => swapped()],
    ['of keys that the client never knew', () => host.chain(3).slice(1)],
  ])('refuses a statement %s', (_, chain) => {
    const list = chain();
    expect(outcome(accept(at12, signed(list, list.length)))).toBe('SUCCESSION_INVALID');
  });

  it('ignores an unknown field of a statement (CF-021~1)', () => {
    expect(outcome(accept(at12, signed([resigned(0, of => withField(of, 60, 1n))], 1)))).toBe('accepted');
  });

  function resigned(index: number, change: (statement: Uint8Array) => Uint8Array): Succession {
    const bytes = change(statement(host, index, {}).statement);
    const input = successionSigningInput(bytes);
    return {
      statement: bytes,
      oldSignature: native.ed25519Sign(host.seed(index), input),
      newSignature: native.ed25519Sign(host.seed(index + 1), input),
    };
  }
  function altered(change: Partial<Succession>): readonly Succession[] {
    return [{ ...statement(host, 0, {}), ...change }];
  }
  function swapped(): readonly Succession[] {
    const { statement: bytes, oldSignature, newSignature } = statement(host, 0, {});
    return [{ statement: bytes, oldSignature: newSignature, newSignature: oldSignature }];
  }
});

describe('clocks (CF-040~1, CF-041~1)', () => {
  const [key] = testRecord(native, host).channelKeys;
  const endMs = key?.notAfterMs ?? 0;
  const second = { publicKey: new Uint8Array(32).fill(9), notAfterMs: endMs + 1000 };
  const two = testRecord(native, host, { sequence: 13, channelKeys: key === undefined ? [] : [key, second] });

  it('accepts and stores a record whose keys are over, and says that the clock is suspect', () => {
    const late = accept(at12, make(13), endMs + 1);
    expect(late).toMatchObject({ kind: 'accepted', clock: { by: 'time' } });
    expect(late.kind === 'accepted' && late.clock && codeName(late.clock.code)).toBe('CLOCK_SUSPECT');
    expect(accept(at12, make(13), endMs)).toMatchObject({ kind: 'accepted', clock: undefined });
    expect(accept(at12, make(12), endMs + 1)).toMatchObject({ kind: 'unchanged', clock: { by: 'time' } });
  });

  it('takes the first key that is not over, to the millisecond', () => {
    expect(channelKeyFor(two, endMs)).toEqual(key);
    expect(channelKeyFor(two, endMs + 1)).toEqual(second);
    expect(channelKeyFor(two, endMs + 1000)).toEqual(second);
    expect(isFault(channelKeyFor(two, endMs + 1001))).toBe(true);
  });

  it('goes by the record where the system clock is behind', () => {
    const ahead = { ...two, issuedAtMs: endMs + 1 };
    expect(channelKeyFor(ahead, 0)).toEqual(second);
  });

  it('accepts a record long out of date: its times are soft', () => {
    expect(accept(at12, make(13), two.validUntilMs + 3_600_000)).toMatchObject({
      kind: 'accepted',
      clock: undefined,
    });
  });

  it('judges nothing but an envelope', () => {
    expect(outcome(accept(at12, concat(make(13), Uint8Array.of(0xff))))).toBe('FILE_MALFORMED');
    expect(outcome(accept(at12, new Uint8Array(65_536)))).toBe('FILE_MALFORMED');
  });
});
