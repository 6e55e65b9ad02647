import { expect, test } from 'vitest';
import { native } from './native.ts';

const { subtle } = globalThis.crypto;
/** What every SubjectPublicKeyInfo of an uncompressed P-256 point begins with (RFC 5480). */
const P256_SPKI = '3059301306072a8648ce3d020106082a8648ce3d03010703420004';

/** Turn the two integers of a DER signature into what WebCrypto takes: 32 bytes each. */
function rawSignature(der: Uint8Array): Uint8Array<ArrayBuffer> {
  expect([der[0], der[1]]).toEqual([0x30, der.length - 2]);
  const out = new Uint8Array(64);
  let at = 2;
  for (const end of [32, 64]) {
    expect(der[at]).toBe(0x02);
    const length = der[at + 1] ?? 0;
    const integer = der.subarray(at + 2, at + 2 + length);
    const digits = integer.subarray(Math.max(0, length - 32));
    out.set(digits, end - digits.length);
    at += 2 + length;
  }
  expect(at).toBe(der.length);
  return out;
}

test('a P-256 key pair is fresh, in DER, and signs what WebCrypto verifies', async () => {
  const [one, other] = [native.p256KeyPair(), native.p256KeyPair()];
  expect(Buffer.from(one.spki).toString('hex').startsWith(P256_SPKI)).toBe(true);
  expect(one.spki).toHaveLength(91);
  expect(one.spki).not.toEqual(other.spki);
  expect(one.pkcs8).not.toEqual(other.pkcs8);
  const message = Uint8Array.from({ length: 100 }, (_, i) => i);
  const ecdsa = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' };
  for (let i = 0; i < 20; i += 1) {
    const signature = rawSignature(native.p256Sign(one.pkcs8, message));
    const verify = async ({ spki }: { spki: Uint8Array }): Promise<boolean> => {
      const key = await subtle.importKey('spki', Uint8Array.from(spki), ecdsa, false, ['verify']);
      return subtle.verify(ecdsa, key, signature, message);
    };
    expect(await verify(one)).toBe(true);
    expect(await verify(other)).toBe(false);
  }
});

test('keys are imported, used and exported many times while memory is collected', () => {
  // Exporting a key that was generated, not imported, hung Node 20 in half of such runs.
  let last = native.randomBytes(32);
  for (let i = 0; i < 3_000; i += 1) {
    const key = native.x25519Key(last);
    last = key.public;
    key.destroy();
  }
  expect(last).toHaveLength(32);
});
