import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { WIRE_RECORD_BYTES_MAX, WIRE_RECORDS_HARD_MAX, WIRE_RECORDS_SOFT_MAX } from '../gen/constants.ts';
import { native } from '../node/native.ts';
import { UsageError } from '../wire/usage-error.ts';
import { CipherState } from './cipher-state.ts';
import { noble } from './noble.ts';
import { Records } from './record.ts';
import type { Aead, Suite } from './suite.ts';

const suites: readonly Suite[] = [noble, native];
const pairs = suites.flatMap(one => suites.map(other => ({ one, other, name: `${one.name}-${other.name}` })));
const none = new Uint8Array(0);

/** The two ends of a path. */
function path(one: Suite, other: Suite): readonly [Records, Records] {
  const key = (suite: Suite, byte: number): CipherState =>
    new CipherState(suite, new Uint8Array(32).fill(byte));
  return [
    new Records({ send: key(one, 1), receive: key(one, 2) }),
    new Records({ send: key(other, 2), receive: key(other, 1) }),
  ];
}

function seal(records: Records, plaintext: Uint8Array): Uint8Array {
  const sealed = records.seal(plaintext);
  if (sealed === undefined) throw new Error(records.fault);
  return sealed;
}

/** After a fault both directions give nothing more, and the fault stays. */
function expectDead(records: Records, fault: string): void {
  expect(records.fault).toBe(fault);
  expect(records.seal(none)).toBeUndefined();
  expect(records.open(new Uint8Array(16))).toBeUndefined();
  expect(records.open(none)).toBeUndefined();
  expect(records.fault).toBe(fault);
}

describe.each(pairs)('records between $name', ({ one, other }) => {
  test('arrive in order, in both directions, whatever they carry', () => {
    const turns = fc.array(fc.tuple(fc.boolean(), fc.uint8Array({ maxLength: 300 })), {
      minLength: 1,
      maxLength: 30,
    });
    fc.assert(
      fc.property(turns, list => {
        const [client, host] = path(one, other);
        for (const [fromClient, plaintext] of list) {
          const [from, to] = fromClient ? [client, host] : [host, client];
          const record = seal(from, plaintext);
          expect(record).toHaveLength(plaintext.length + 16);
          expect(to.open(record)).toEqual(plaintext);
          expect([from.renew, to.renew]).toEqual([false, false]);
        }
        const sent = list.filter(([fromClient]) => fromClient).length;
        expect([client.sealed, client.opened]).toEqual([sent, list.length - sent]);
        expect([host.opened, host.sealed]).toEqual([sent, list.length - sent]);
      }),
      { numRuns: 30 },
    );
  });

  test('of the longest kind', () => {
    const [client, host] = path(one, other);
    const plaintext = new Uint8Array(WIRE_RECORD_BYTES_MAX - 16).fill(3);
    const record = seal(client, plaintext);
    expect(record).toHaveLength(WIRE_RECORD_BYTES_MAX);
    expect(host.open(record)).toEqual(plaintext);
  });
});

describe.each(suites)('what a peer can send, $name', suite => {
  const plaintext = Uint8Array.from({ length: 20 }, (_, i) => i);

  test('a flipped byte, a cut or an added byte ends the path', () => {
    const [client] = path(suite, suite);
    const record = seal(client, plaintext);
    for (let at = 0; at < record.length; at += 1) {
      const [, host] = path(suite, suite);
      expect(host.open(record.map((byte, i) => (i === at ? byte ^ 1 : byte)))).toBeUndefined();
      expectDead(host, 'decryption_failed');
      const [, other] = path(suite, suite);
      const code = at < 16 ? 'record_length' : 'decryption_failed';
      expect(other.open(record.subarray(0, at))).toBeUndefined();
      expectDead(other, code);
    }
    const [, host] = path(suite, suite);
    expect(host.open(Uint8Array.of(...record, 0))).toBeUndefined();
    expectDead(host, 'decryption_failed');
  });

  test('a record that is too long ends the path', () => {
    const [, host] = path(suite, suite);
    expect(host.open(new Uint8Array(WIRE_RECORD_BYTES_MAX + 1))).toBeUndefined();
    expectDead(host, 'record_length');
  });

  test('a repeated, skipped, reordered or reflected record ends the path', () => {
    const fresh = (): { records: Uint8Array[]; host: Records; client: Records } => {
      const [client, host] = path(suite, suite);
      return { records: [0, 1, 2].map(() => seal(client, plaintext)), host, client };
    };
    const order = (...indices: readonly number[]): string[] => {
      const { records, host } = fresh();
      return indices.map(index => (host.open(records[index] ?? none) === undefined ? 'fault' : 'opened'));
    };
    expect(order(0, 1, 2)).toEqual(['opened', 'opened', 'opened']);
    expect(order(0, 0, 1)).toEqual(['opened', 'fault', 'fault']);
    expect(order(0, 2, 1)).toEqual(['opened', 'fault', 'fault']);
    expect(order(1, 0, 1)).toEqual(['fault', 'fault', 'fault']);
    const { records, client } = fresh();
    expect(client.open(records[0] ?? none)).toBeUndefined();
    expectDead(client, 'decryption_failed');
  });
});

/** A suite whose cipher only counts, so that a path can be used up in a moment. */
function counting(): { suite: Suite; destroyed: () => number } {
  let destroyed = 0;
  const aead: Aead = {
    seal: () => new Uint8Array(16),
    sealInto: () => undefined,
    open: () => none,
    destroy: () => {
      destroyed += 1;
    },
  };
  return { suite: { ...noble, aead: () => aead }, destroyed: () => destroyed };
}

describe('a path that is used up', () => {
  test.each(['seal', 'open'] as const)(
    'asks for a new one at the soft limit and ends at the hard one, by %s',
    turn => {
      const { suite, destroyed } = counting();
      const [records] = path(suite, suite);
      const record = new Uint8Array(16);
      const use = (): Uint8Array | undefined => (turn === 'seal' ? records.seal(none) : records.open(record));
      let [first, count] = [0, 0];
      for (;;) {
        if (use() === undefined) break;
        count += 1;
        if (records.renew && first === 0) first = count;
        if (records.renew !== count >= WIRE_RECORDS_SOFT_MAX) throw new Error(`renew at ${count}`);
      }
      expect(first).toBe(WIRE_RECORDS_SOFT_MAX);
      expect(count).toBe(WIRE_RECORDS_HARD_MAX);
      expect(turn === 'seal' ? records.sealed : records.opened).toBe(WIRE_RECORDS_HARD_MAX);
      expectDead(records, 'records_exhausted');
      expect(destroyed()).toBe(1);
    },
  );

  test('either direction asks', () => {
    const [records] = path(counting().suite, noble);
    for (let i = 0; i < WIRE_RECORDS_SOFT_MAX - 1; i += 1) records.open(new Uint8Array(16));
    records.seal(none);
    expect(records.renew).toBe(false);
    records.open(new Uint8Array(16));
    expect(records.renew).toBe(true);
    records.seal(none);
    expect(records.renew).toBe(true);
  });
});

describe('a caller who breaks the contract', () => {
  test('cannot seal more than a record carries, and the path lives on', () => {
    const [client, host] = path(native, native);
    expect(() => client.seal(new Uint8Array(WIRE_RECORD_BYTES_MAX - 15))).toThrow(UsageError);
    expect(host.open(seal(client, none))).toEqual(none);
  });

  test('cannot use a path that was destroyed', () => {
    const [client, host] = path(native, native);
    const record = seal(client, none);
    for (const records of [client, host]) records.destroy();
    expect(() => client.seal(none)).toThrow(UsageError);
    expect(() => host.open(record)).toThrow(UsageError);
  });
});
