import { readFileSync } from 'node:fs';
import { Ajv2020 } from 'ajv/dist/2020.js';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import aesGcm from '../../test-vectors/primitives/aes-256-gcm.json' with { type: 'json' };
import ed25519 from '../../test-vectors/primitives/ed25519.json' with { type: 'json' };
import hkdf from '../../test-vectors/primitives/hkdf-sha256.json' with { type: 'json' };
import hmac from '../../test-vectors/primitives/hmac-sha256.json' with { type: 'json' };
import sha256 from '../../test-vectors/primitives/sha256.json' with { type: 'json' };
import x25519 from '../../test-vectors/primitives/x25519.json' with { type: 'json' };
import { native } from '../node/native.ts';
import { UsageError } from '../wire/usage-error.ts';
import { noble } from './noble.ts';
import { type Suite, withEntropy } from './suite.ts';

const suites: readonly Suite[] = [noble, native];
const pairs = suites.flatMap(one =>
  suites.map(other => ({ one, other, name: `${one.name} to ${other.name}` })),
);

const hex = (text: string): Uint8Array => Uint8Array.from(Buffer.from(text, 'hex'));
const toHex = (bytes: Uint8Array | undefined): string | null =>
  bytes === undefined ? null : Buffer.from(bytes).toString('hex');
const flip = (bytes: Uint8Array, at: number): Uint8Array =>
  bytes.map((byte, i) => (i === at ? byte ^ 1 : byte));
const bytes = (min: number, max: number = min): fc.Arbitrary<Uint8Array> =>
  fc.uint8Array({ minLength: min, maxLength: max });

test('the known answers follow their schema and have unique ids', () => {
  const schema = JSON.parse(readFileSync('test-vectors/schema/primitives.schema.json', 'utf8'));
  const validate = new Ajv2020({ strict: false }).compile(schema);
  const ids: string[] = [];
  for (const family of [aesGcm, ed25519, hkdf, hmac, sha256, x25519]) {
    expect(validate(family), `${family.family}: ${JSON.stringify(validate.errors)}`).toBe(true);
    ids.push(...family.vectors.map(({ id }) => id));
    const flags: Record<string, string> = 'flags' in family ? family.flags : {};
    for (const vector of family.vectors) {
      for (const flag of 'flags' in vector ? (vector.flags ?? []) : []) expect(flags).toHaveProperty(flag);
    }
  }
  expect(new Set(ids).size).toBe(ids.length);
  expect(validate({ ...sha256, vectors: [{ id: 'x', source: 'x', message: '0', digest: '' }] })).toBe(false);
});

describe.each(suites)('known answers, $name', suite => {
  test.each(sha256.vectors)('$id', ({ message, repeat, digest }) => {
    const input =
      repeat === undefined ? hex(message ?? '') : new Uint8Array(repeat.count).fill(hex(repeat.byte)[0] ?? 0);
    expect(toHex(suite.sha256(input))).toBe(digest);
    for (const at of [0, 1, 3, 55, 56, 64].filter(at => at <= input.length)) {
      expect(toHex(suite.sha256(input.subarray(0, at), new Uint8Array(0), input.subarray(at)))).toBe(digest);
    }
  });

  test('sha256 of no parts is that of nothing', () => {
    expect(toHex(suite.sha256())).toBe(sha256.vectors[0]?.digest);
  });

  test.each(hmac.vectors)('$id', ({ key, data, mac }) => {
    const input = hex(data);
    expect(toHex(suite.hmacSha256(hex(key), input))?.slice(0, mac.length)).toBe(mac);
    expect(
      toHex(suite.hmacSha256(hex(key), input.subarray(0, 2), input.subarray(2)))?.slice(0, mac.length),
    ).toBe(mac);
  });

  test.each(hkdf.vectors)('$id', ({ ikm, salt, info, okm }) => {
    expect(toHex(suite.hkdfSha256(hex(ikm), hex(salt), hex(info), okm.length / 2))).toBe(okm);
  });

  test.each(x25519.vectors)('$id', vector => {
    if (vector.iterations === undefined) {
      expect(toHex(suite.x25519(hex(vector.private), hex(vector.public)))).toBe(vector.shared);
      expect(toHex(suite.x25519Key(hex(vector.private)).dh(hex(vector.public)))).toBe(vector.shared);
      return;
    }
    let [k, u] = [hex(`09${'00'.repeat(31)}`), hex(`09${'00'.repeat(31)}`)];
    for (let i = 0; i < vector.iterations; i += 1) [k, u] = [suite.x25519(k, u) ?? new Uint8Array(32), k];
    expect(toHex(k)).toBe(vector.result);
  });

  test('the public key is the shared secret with the base point', () => {
    let count = 0;
    for (const vector of x25519.vectors) {
      if (vector.private === undefined || vector.public !== `09${'00'.repeat(31)}`) continue;
      expect(toHex(suite.x25519Public(hex(vector.private)))).toBe(vector.shared);
      expect(toHex(suite.x25519Key(hex(vector.private)).public)).toBe(vector.shared);
      count += 1;
    }
    expect(count).toBe(2);
  });

  test.each(ed25519.vectors)('$id', ({ seed, public: publicKey, message, signature, valid }) => {
    if (seed !== undefined) {
      expect(toHex(suite.ed25519Public(hex(seed)))).toBe(publicKey);
      expect(toHex(suite.ed25519Sign(hex(seed), hex(message)))).toBe(signature);
    }
    expect(suite.ed25519Verify(hex(publicKey), hex(message), hex(signature))).toBe(valid);
  });

  test.each(aesGcm.vectors)('$id', ({ key, nonce, ad, plaintext, ciphertext, tag }) => {
    const aead = suite.aead(hex(key));
    expect(toHex(aead.seal(hex(nonce), hex(ad), hex(plaintext)))).toBe(ciphertext + tag);
    expect(toHex(aead.open(hex(nonce), hex(ad), hex(ciphertext + tag)))).toBe(plaintext);
  });
});

describe('the backends agree', () => {
  test('on hashes, MACs and derived keys of any lengths', () => {
    // Lengths on both sides of the block and of the native backend's scratch space.
    const part = fc.oneof(bytes(0, 70), bytes(380, 520));
    fc.assert(
      fc.property(
        fc.array(part, { maxLength: 4 }),
        fc.oneof(bytes(0, 70), bytes(120, 140)),
        part,
        (parts, key, salt) => {
          const all = Uint8Array.from(parts.flatMap(piece => [...piece]));
          expect(native.sha256(...parts)).toEqual(noble.sha256(all));
          expect(noble.sha256(...parts)).toEqual(noble.sha256(all));
          expect(native.hmacSha256(key, ...parts)).toEqual(noble.hmacSha256(key, all));
          expect(noble.hmacSha256(key, ...parts)).toEqual(noble.hmacSha256(key, all));
          const length = all.length % 100;
          expect(native.hkdfSha256(key, salt, all, length)).toEqual(noble.hkdfSha256(key, salt, all, length));
        },
      ),
    );
    expect(native.hkdfSha256(hex(''), hex(''), hex(''), 8160)).toEqual(
      noble.hkdfSha256(hex(''), hex(''), hex(''), 8160),
    );
  });

  test('on X25519, for any 64 bytes', () => {
    fc.assert(
      fc.property(bytes(32), bytes(32), (priv, pub) => {
        expect(native.x25519(priv, pub)).toEqual(noble.x25519(priv, pub));
        expect(native.x25519Public(priv)).toEqual(noble.x25519Public(priv));
        expect(native.x25519Key(priv).dh(pub)).toEqual(noble.x25519Key(priv).dh(pub));
      }),
      { numRuns: 50 },
    );
  });

  test.each(pairs)('on Ed25519: signed by one, verified by the other, $name', ({ one, other }) => {
    fc.assert(
      fc.property(bytes(32), bytes(0, 300), fc.nat(), (seed, message, at) => {
        const publicKey = one.ed25519Public(seed);
        const signature = one.ed25519Sign(seed, message);
        expect(other.ed25519Sign(seed, message)).toEqual(signature);
        expect(other.ed25519Verify(publicKey, message, signature)).toBe(true);
        expect(other.ed25519Verify(publicKey, message, flip(signature, at % 64))).toBe(false);
        expect(other.ed25519Verify(flip(publicKey, at % 32), message, signature)).toBe(false);
        expect(other.ed25519Verify(publicKey, Uint8Array.of(...message, 0), signature)).toBe(false);
      }),
      { numRuns: 25 },
    );
  });

  test.each(pairs)('on AES-256-GCM: sealed by one, opened by the other, $name', ({ one, other }) => {
    fc.assert(
      fc.property(
        bytes(32),
        bytes(12),
        bytes(0, 40),
        bytes(0, 5000),
        fc.nat(9),
        (key, nonce, ad, plaintext, offset) => {
          const sealed = one.aead(key).seal(nonce, ad, plaintext);
          expect(other.aead(key).open(nonce, ad, sealed)).toEqual(plaintext);
          const out = new Uint8Array(offset + sealed.length + 3).fill(7);
          other.aead(key).sealInto(out, offset, nonce, ad, plaintext);
          expect(out).toEqual(Uint8Array.of(...Array(offset).fill(7), ...sealed, 7, 7, 7));
        },
      ),
    );
  });
});

describe('hostile keys and signatures', () => {
  const p = 2n ** 255n - 19n;
  const order8 = 0x05fc536d880238b13933c6d305acdfd5f098eff289f4c345b027b2c28f95e826n;
  const encode = (y: bigint, sign: bigint): Uint8Array =>
    hex((y | (sign << 255n)).toString(16).padStart(64, '0')).reverse();
  /** Each encoding of a point whose order divides 8, canonical or not (y and y + p where both fit into 255 bits). */
  const small = [0n, 1n, p - 1n, p, p + 1n, order8, p - order8].flatMap(y => [encode(y, 0n), encode(y, 1n)]);
  const honest = noble.ed25519Public(new Uint8Array(32).fill(1));
  const l = 2n ** 252n + 27742317777372353535851937790883648493n;

  test('both backends refuse every public key and every R of small order', () => {
    const scalars = [0n, 1n, l - 1n, l, l + 1n].map(s => encode(s, 0n));
    let [keys, points] = [0, 0];
    for (const r of small) {
      for (const signature of scalars.map(s => Uint8Array.of(...r, ...s))) {
        for (const suite of suites) {
          for (const key of small) {
            expect(suite.ed25519Verify(key, hex(''), signature)).toBe(false);
            keys += 1;
          }
          expect(suite.ed25519Verify(honest, hex(''), signature)).toBe(false);
          points += 1;
        }
      }
    }
    console.log(`refused: ${keys} with a key and R of small order, ${points} with such an R alone`);
    expect(points).toBe(2 * small.length * scalars.length);
  });

  test('both backends refuse S + L for a valid S', () => {
    const message = hex('616263');
    const signature = noble.ed25519Sign(new Uint8Array(32).fill(1), message);
    const s = BigInt(`0x${toHex(signature.slice(32).reverse())}`);
    const raised = Uint8Array.of(...signature.subarray(0, 32), ...encode(s + l, 0n));
    for (const suite of suites) {
      expect(suite.ed25519Verify(honest, message, signature)).toBe(true);
      expect(suite.ed25519Verify(honest, message, raised)).toBe(false);
    }
  });

  test('both backends refuse bytes that encode no point', () => {
    let refused = 0;
    for (let y = 2n; y < 40n; y += 1n) {
      const signature = Uint8Array.of(...honest, ...encode(5n, 0n));
      for (const suite of suites) expect(suite.ed25519Verify(encode(y, 0n), hex(''), signature)).toBe(false);
      refused += 1;
    }
    expect(refused).toBe(38);
  });

  test.each(suites)('other lengths of key or signature are false, $name', suite => {
    const signature = suite.ed25519Sign(new Uint8Array(32).fill(1), hex(''));
    expect(suite.ed25519Verify(honest, hex(''), signature)).toBe(true);
    for (const length of [0, 31, 33]) {
      expect(suite.ed25519Verify(new Uint8Array(length), hex(''), signature)).toBe(false);
    }
    for (const length of [0, 63]) {
      expect(suite.ed25519Verify(honest, hex(''), signature.subarray(0, length))).toBe(false);
    }
    expect(suite.ed25519Verify(honest, hex(''), Uint8Array.of(...signature, 0))).toBe(false);
  });
});

describe.each(suites)('the contract, $name', suite => {
  const [key, nonce, none] = [new Uint8Array(32).fill(3), new Uint8Array(12), new Uint8Array(0)];

  test('no flipped byte, no cut and no added byte opens', () => {
    const ad = hex('aabb');
    const aead = suite.aead(key);
    const sealed = aead.seal(nonce, ad, hex('00112233'));
    for (let i = 0; i < sealed.length; i += 1) {
      expect(aead.open(nonce, ad, flip(sealed, i))).toBeUndefined();
      expect(aead.open(nonce, ad, sealed.subarray(0, i))).toBeUndefined();
    }
    for (let i = 0; i < 12; i += 1) expect(aead.open(flip(nonce, i), ad, sealed)).toBeUndefined();
    for (const other of [hex('abbb'), hex('aaba'), hex('aa'), none]) {
      expect(aead.open(nonce, other, sealed)).toBeUndefined();
    }
    expect(aead.open(nonce, ad, Uint8Array.of(...sealed, 0))).toBeUndefined();
    expect(suite.aead(flip(key, 31)).open(nonce, ad, sealed)).toBeUndefined();
    expect(aead.open(nonce, ad, sealed)).toEqual(hex('00112233'));
  });

  test('keys are copied when they are made ready', () => {
    const [own, dhKey] = [Uint8Array.from(key), Uint8Array.from(key)];
    const [aead, x] = [suite.aead(own), suite.x25519Key(dhKey)];
    suite.erase(own);
    suite.erase(dhKey);
    expect(aead.seal(nonce, none, none)).toEqual(suite.aead(key).seal(nonce, none, none));
    expect(x.dh(x.public)).toEqual(suite.x25519(key, suite.x25519Public(key)));
  });

  test('a public key that changes in place is another key', () => {
    const [own, peer] = [suite.x25519Key(key), suite.x25519Public(new Uint8Array(32).fill(4))];
    const first = own.dh(peer);
    peer.set(suite.x25519Public(key));
    expect(own.dh(peer)).toEqual(suite.x25519(key, suite.x25519Public(key)));
    expect(own.dh(peer)).not.toEqual(first);
  });

  test('inputs stay as they are, and two results never share bytes', () => {
    const input = Uint8Array.from(key);
    const results = [suite.sha256(input, input), suite.hmacSha256(input, input), suite.sha256(input, input)];
    expect(input).toEqual(key);
    results[0]?.fill(0);
    expect(results[2]).toEqual(suite.sha256(key, key));
    const sealed = suite.aead(key).seal(nonce, none, key);
    const again = suite.aead(key).seal(nonce, none, key);
    sealed.fill(0);
    expect(suite.aead(key).open(nonce, none, again)).toEqual(key);
  });

  test('results are plain Uint8Arrays, whose slice copies', () => {
    const x = suite.x25519Key(key);
    const sealed = suite.aead(key).seal(nonce, none, key);
    for (const result of [
      suite.randomBytes(4),
      suite.sha256(key),
      suite.sha256(key, key),
      suite.hmacSha256(key, key),
      suite.hmacSha256(key, new Uint8Array(1000)),
      suite.hkdfSha256(key, key, key, 32),
      suite.x25519Public(key),
      x.public,
      x.dh(x.public),
      suite.ed25519Public(key),
      suite.ed25519Sign(key, key),
      sealed,
      suite.aead(key).open(nonce, none, sealed),
    ]) {
      expect(Object.getPrototypeOf(result)).toBe(Uint8Array.prototype);
    }
  });

  test('a caller who breaks the contract gets a UsageError', () => {
    const aead = suite.aead(key);
    const out = new Uint8Array(40);
    const short = new Uint8Array(31);
    const misuses: readonly (() => unknown)[] = [
      () => suite.hkdfSha256(key, key, key, 8161),
      () => suite.hkdfSha256(key, key, key, -1),
      () => suite.hkdfSha256(key, key, key, 1.5),
      () => suite.x25519Key(short),
      () => suite.x25519Key(key).dh(short),
      () => suite.x25519Public(short),
      () => suite.x25519(short, key),
      () => suite.x25519(key, new Uint8Array(33)),
      () => suite.ed25519Public(short),
      () => suite.ed25519Sign(new Uint8Array(64), key),
      () => suite.aead(new Uint8Array(16)),
      () => aead.seal(new Uint8Array(11), none, none),
      () => aead.seal(new Uint8Array(13), none, none),
      () => aead.open(new Uint8Array(8), none, none),
      () => aead.sealInto(out, 0, nonce, none, new Uint8Array(25)),
      () => aead.sealInto(out, 25, nonce, none, none),
      () => aead.sealInto(out, -1, nonce, none, none),
      () => aead.sealInto(out, 0.5, nonce, none, none),
    ];
    for (const [i, misuse] of misuses.entries()) expect(misuse, `misuse ${i}`).toThrow(UsageError);
    expect(out).toEqual(new Uint8Array(40));
    aead.sealInto(out, 0, nonce, none, new Uint8Array(24));
  });

  test.each([0, 1, 2, 3])('a key destroyed after %i uses is of no use', uses => {
    const [aead, x] = [suite.aead(key), suite.x25519Key(key)];
    const sealed = noble.aead(key).seal(nonce, none, none);
    for (let i = 0; i < uses; i += 1) expect(aead.seal(nonce, none, none)).toEqual(sealed);
    for (const handle of [aead, x, aead, x]) handle.destroy();
    expect(() => aead.seal(nonce, none, none)).toThrow(UsageError);
    expect(() => aead.sealInto(new Uint8Array(16), 0, nonce, none, none)).toThrow(UsageError);
    expect(() => aead.open(nonce, none, sealed)).toThrow(UsageError);
    expect(() => x.dh(x.public)).toThrow(UsageError);
  });

  test('equal, erase, entropy', () => {
    expect(suite.equal(hex('0102'), hex('0102'))).toBe(true);
    expect(suite.equal(hex('0102'), hex('0103'))).toBe(false);
    expect(suite.equal(hex('0102'), hex('010200'))).toBe(false);
    expect(suite.equal(none, none)).toBe(true);
    const secret = hex('010203');
    suite.erase(secret);
    expect(secret).toEqual(new Uint8Array(3));
    expect(suite.randomBytes(32)).toHaveLength(32);
    expect(suite.randomBytes(32)).not.toEqual(suite.randomBytes(32));
    const taped = withEntropy(suite, length => new Uint8Array(length).fill(9));
    expect(taped.randomBytes(3)).toEqual(hex('090909'));
    expect(taped.sha256(key)).toEqual(suite.sha256(key));
  });
});
