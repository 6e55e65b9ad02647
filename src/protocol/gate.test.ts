import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { Suite } from '../crypto/suite.ts';
import {
  GLOBAL_REFILL_MS,
  GLOBAL_TOKENS_MAX,
  HANDLE_REFILL_MS,
  HANDLE_SEEN_MAX,
  HANDLE_TOKENS_MAX,
} from '../gen/constants.ts';
import { native } from '../node/native.ts';
import { concat, u64be } from '../wire/bytes.ts';
import { BASE64URL, decodeLetters, encodeLetters } from './base-letters.ts';
import { codeName } from './fault.ts';
import { named } from './fixtures.ts';
import { Gate, type GateRecipient, makeToken } from './gate.ts';
import type { Now } from './now.ts';

const T0: Now = { wall: 1_000_000, mono: 5_000 };
const access = (epoch: number): { epoch: number; key: Uint8Array } => ({
  epoch,
  key: named(native, `access ${epoch}`),
});
const message1 = new Uint8Array(48).fill(1);
let fresh = 0;

function member(id: string, change: Partial<GateRecipient> = {}): GateRecipient {
  const key = (what: string): Uint8Array => named(native, `${id} ${what}`);
  const keys = { publicKey: key('public'), psk: key('psk'), gateKey: key('gate') };
  return { kind: 'device', id, endsAtMs: undefined, ...keys, ...change };
}

/** A token with a fresh message 1, as clients make them. */
function token(of: GateRecipient, epoch: number, key: Uint8Array = access(epoch).key): string {
  fresh += 1;
  const message = concat(u64be(fresh), message1.subarray(8));
  return makeToken(native, { gateKey: of.gateKey, accessKey: { epoch, key }, message1: message });
}

function gateWith(members: readonly GateRecipient[], epochs: readonly number[], suite: Suite = native): Gate {
  const gate = new Gate(suite);
  // Half of the members before the epochs, half after: the order does not matter.
  const half = Math.ceil(members.length / 2);
  for (const one of members.slice(0, half)) gate.addRecipient(one);
  for (const epoch of epochs) gate.addEpoch(access(epoch));
  for (const one of members.slice(half)) gate.addRecipient(one);
  return gate;
}

function reason(gate: Gate, of: string, now: Now = T0): string {
  const result = gate.admit(of, now);
  return result.kind === 'refused' ? result.reason : `${result.recipient.id} ${result.epoch}`;
}

const [ada, bob] = [member('ada'), member('bob')];

describe('who is let through (GT-002~1, GT-004~1)', () => {
  it('is known in every accepted epoch, and in no other', () => {
    const gate = gateWith([ada, bob], [4, 5]);
    expect([4, 5, 6].map(epoch => reason(gate, token(ada, epoch)))).toEqual([
      'ada 4',
      'ada 5',
      'epoch_unknown',
    ]);
    expect(reason(gate, token(bob, 4))).toBe('bob 4');
    expect(reason(gate, token(member('eve'), 4))).toBe('handle_unknown');
    expect(reason(gate, token(ada, 4, access(5).key))).toBe('mac_wrong');
    gate.removeEpoch(4);
    gate.addEpoch(access(6));
    expect([4, 5, 6].map(epoch => reason(gate, token(ada, epoch)))).toEqual([
      'epoch_unknown',
      'ada 5',
      'ada 6',
    ]);
    expect(gate.epochs).toEqual([5, 6]);
  });

  it('is gone the moment it is removed (EN-030~1)', () => {
    const gate = gateWith([ada, bob], [4, 5]);
    gate.removeRecipient('ada');
    expect([4, 5].map(epoch => reason(gate, token(ada, epoch)))).toEqual([
      'handle_unknown',
      'handle_unknown',
    ]);
    expect(gate.has('ada', T0)).toBe(false);
    expect(reason(gate, token(bob, 5))).toBe('bob 5');
    gate.removeRecipient('ada');
  });

  it('comes until its end and not at it (IN-002~1)', () => {
    const gate = gateWith([member('ada', { kind: 'invite', endsAtMs: T0.wall + 1 })], [4]);
    expect(reason(gate, token(ada, 4))).toBe('ada 4');
    expect(gate.has('ada', T0)).toBe(true);
    const late = { ...T0, wall: T0.wall + 1 };
    expect(reason(gate, token(ada, 4), late)).toBe('recipient_ended');
    expect(gate.has('ada', late)).toBe(false);
    gate.addRecipient(ada);
    expect(reason(gate, token(ada, 4), late)).toBe('ada 4');
  });

  it('hands over message 1 of the token, unshared', () => {
    const gate = gateWith([ada], [4]);
    const accessKey = { epoch: 4, key: access(4).key };
    const result = gate.admit(makeToken(native, { gateKey: ada.gateKey, accessKey, message1 }), T0);
    expect(result.kind === 'admitted' && result.message1).toEqual(message1);
  });

  it('refuses each changed letter, and never throws', () => {
    const gate = gateWith([ada], [4]);
    const good = token(ada, 4);
    const seen = new Map<string, number>();
    for (let i = 0; i < good.length; i += 1) {
      for (const letter of ['A', '_', '+', 'é', '\0']) {
        if (good[i] === letter) continue;
        const result = reason(gate, good.slice(0, i) + letter + good.slice(i + 1));
        seen.set(result, (seen.get(result) ?? 0) + 1);
      }
    }
    expect([...seen.keys()].sort()).toEqual([
      'epoch_unknown',
      'handle_unknown',
      'mac_wrong',
      'token_unreadable',
    ]);
    fc.assert(fc.property(fc.string({ maxLength: 130 }), of => gate.admit(of, T0).kind === 'refused'));
  });
});

describe('what a refusal costs and shows (GT-003~2, GT-005~1)', () => {
  it('does the same work for everybody: a key derivation and a MAC, and no Diffie-Hellman', () => {
    const calls: string[] = [];
    const counted = new Proxy(native, {
      get: (suite, name: keyof Suite) => {
        if (typeof suite[name] === 'function') calls.push(name);
        return suite[name];
      },
    });
    const gate = gateWith([ada, member('old', { endsAtMs: 0 })], [4], counted);
    const work = (of: string): string => {
      calls.length = 0;
      gate.admit(of, T0);
      return calls.join(' ');
    };
    const wrong = `${token(ada, 4).slice(0, 100)}${'A'.repeat(18)}`;
    const tokens = [
      token(ada, 4),
      wrong,
      token(member('eve'), 4),
      token(ada, 9),
      token(member('old'), 4),
      '',
      'A',
    ];
    expect(new Set(tokens.map(work))).toEqual(new Set(['hkdfSha256 hmacSha256 erase equal']));
  });

  it('does not admit anybody by the dummy key', () => {
    const nobody = member('nobody', { gateKey: new Uint8Array(32) });
    const gate = gateWith([ada], [4]);
    expect(reason(gate, token(nobody, 4, new Uint8Array(32)))).toBe('handle_unknown');
    expect(reason(gate, token(nobody, 9, new Uint8Array(32)))).toBe('epoch_unknown');
    // Epoch 0 is the one that the dummy MAC is made for.
    expect(reason(gate, token(nobody, 0, new Uint8Array(32)))).toBe('epoch_unknown');
  });
});

describe('a token that was let through (GT-007~1)', () => {
  it('is let through once, whatever comes between, for as long as its epoch lasts', () => {
    const gate = gateWith([ada, bob], [4, 5]);
    const [first, second] = [token(ada, 4), token(ada, 5)];
    for (const each of [first, second]) expect(reason(gate, each)).toMatch('ada');
    expect(reason(gate, token(bob, 4))).toBe('bob 4');
    for (let i = 0; i < 3; i += 1) expect(reason(gate, first)).toBe('token_seen');
    gate.removeRecipient('ada');
    expect(reason(gate, first)).toBe('handle_unknown');
    gate.addRecipient(ada);
    for (const each of [first, second]) expect(reason(gate, each)).toBe('token_seen');
    const again = gate.admit(first, T0);
    expect(again.kind === 'refused' && codeName(again.code)).toBe('GATE_REFUSED');
    gate.removeEpoch(4);
    expect(reason(gate, first)).toBe('epoch_unknown');
  });

  it('uses up nothing of its device and of the host, however often it is replayed', () => {
    const gate = gateWith([ada, bob], [4]);
    const recorded = token(ada, 4);
    reason(gate, recorded);
    for (let i = 0; i < GLOBAL_TOKENS_MAX + 10; i += 1) expect(reason(gate, recorded)).toBe('token_seen');
    for (let i = 1; i < HANDLE_TOKENS_MAX; i += 1) expect(reason(gate, token(ada, 4))).toBe('ada 4');
    expect(reason(gate, token(ada, 4))).toBe('handle_limit');
    expect(reason(gate, token(bob, 4))).toBe('bob 4');
  });

  it('was not let through when it was refused', () => {
    const gate = gateWith([ada], [4]);
    for (let i = 0; i < HANDLE_TOKENS_MAX; i += 1) reason(gate, token(ada, 4));
    const late = token(ada, 4);
    expect(reason(gate, late)).toBe('handle_limit');
    const then = { ...T0, mono: T0.mono + HANDLE_REFILL_MS };
    expect([reason(gate, late, then), reason(gate, late, then)]).toEqual(['ada 4', 'token_seen']);
  });

  it('is remembered behind so many others of its handle and no more', () => {
    const gate = gateWith([ada], [4]);
    let mono = T0.mono;
    const later = (of: string): string => {
      mono += HANDLE_REFILL_MS;
      return reason(gate, of, { ...T0, mono });
    };
    const first = token(ada, 4);
    later(first);
    for (let i = 1; i < HANDLE_SEEN_MAX; i += 1) expect(later(token(ada, 4))).toBe('ada 4');
    expect(later(first)).toBe('token_seen');
    expect(later(token(ada, 4))).toBe('ada 4');
    expect(later(first)).toBe('ada 4');
  });
});

describe('how often (GT-006~1, LI-005~1)', () => {
  const at = (ms: number): Now => ({ ...T0, mono: T0.mono + ms });

  it('limits a handle, not its neighbours, and gives back a token each interval', () => {
    const gate = gateWith([ada, bob], [4, 5]);
    const results = Array.from({ length: HANDLE_TOKENS_MAX + 1 }, () => reason(gate, token(ada, 4)));
    expect(new Set(results.slice(0, -1))).toEqual(new Set(['ada 4']));
    expect(results.at(-1)).toBe('handle_limit');
    const refused = gate.admit(token(ada, 4), T0);
    expect(refused.kind === 'refused' && codeName(refused.code)).toBe('RATE_LIMITED');
    expect(reason(gate, token(ada, 5))).toBe('ada 5');
    expect(reason(gate, token(bob, 4))).toBe('bob 4');
    expect(reason(gate, token(ada, 4), at(HANDLE_REFILL_MS - 1))).toBe('handle_limit');
    expect(reason(gate, token(ada, 4), at(HANDLE_REFILL_MS))).toBe('ada 4');
    expect(reason(gate, token(ada, 4), at(HANDLE_REFILL_MS))).toBe('handle_limit');
  });

  it('takes nothing for a wrong MAC, so that a stranger cannot use up a member', () => {
    const gate = gateWith([ada], [4]);
    const wrong = token(ada, 4, access(5).key);
    for (let i = 0; i < HANDLE_TOKENS_MAX * 2; i += 1) expect(reason(gate, wrong)).toBe('mac_wrong');
    expect(reason(gate, token(ada, 4))).toBe('ada 4');
  });

  it('does not fill a bucket by removing and adding a member', () => {
    const gate = gateWith([ada], [4]);
    for (let i = 0; i < HANDLE_TOKENS_MAX; i += 1) reason(gate, token(ada, 4));
    gate.addRecipient(ada);
    expect(reason(gate, token(ada, 4))).toBe('handle_limit');
  });

  it('limits the host as a whole, after the handle', () => {
    const many = Array.from({ length: 20 }, (_, i) => member(`m${i}`));
    const gate = gateWith(many, [4]);
    let admitted = 0;
    const refusals = new Set<string>();
    for (let i = 0; i < GLOBAL_TOKENS_MAX + 40; i += 1) {
      const one = many[i % 20] ?? ada;
      const result = reason(gate, token(one, 4));
      if (result.startsWith('m')) admitted += 1;
      else refusals.add(result);
    }
    expect(admitted).toBe(GLOBAL_TOKENS_MAX);
    expect(refusals).toEqual(new Set(['host_limit']));
  });

  it('takes nothing of the host for a handle that has none left, nor for a wrong MAC, and gives back in time', () => {
    const handles = GLOBAL_TOKENS_MAX / HANDLE_TOKENS_MAX;
    const many = Array.from({ length: handles }, (_, i) => member(`m${i}`));
    const gate = gateWith([...many, ada], [4]);
    const wrong = token(ada, 4, access(5).key);
    for (const one of many) {
      for (let i = 0; i < HANDLE_TOKENS_MAX; i += 1) expect(reason(gate, token(one, 4))).toBe(`${one.id} 4`);
      expect(reason(gate, token(one, 4))).toBe('handle_limit');
      expect(reason(gate, wrong)).toBe('mac_wrong');
    }
    expect(reason(gate, token(ada, 4))).toBe('host_limit');
    expect(reason(gate, token(ada, 4), at(GLOBAL_REFILL_MS - 1))).toBe('host_limit');
    expect(reason(gate, token(ada, 4), at(GLOBAL_REFILL_MS))).toBe('ada 4');
    expect(reason(gate, token(ada, 4), at(GLOBAL_REFILL_MS))).toBe('host_limit');
  });
});

describe('base64url', () => {
  it('writes what Node writes, and reads it back', () => {
    fc.assert(
      fc.property(fc.uint8Array(), bytes => {
        const text = encodeLetters(BASE64URL, bytes);
        expect(text).toBe(Buffer.from(bytes).toString('base64url'));
        return Buffer.compare(Buffer.from(decodeLetters(BASE64URL, text) ?? []), Buffer.from(bytes)) === 0;
      }),
    );
  });

  it('reads exactly one text for each value', () => {
    fc.assert(
      fc.property(fc.string({ unit: fc.constantFrom(...'AB_-/+= x9') }), text => {
        const bytes = decodeLetters(BASE64URL, text);
        return bytes === undefined || encodeLetters(BASE64URL, bytes) === text;
      }),
    );
  });
});
