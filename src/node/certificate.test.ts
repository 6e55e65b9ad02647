import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import { connect, createServer } from 'node:tls';
import { expect, test } from 'vitest';
import { withEntropy } from '../crypto/suite.ts';
import { type Certificate, makeCertificate } from './certificate.ts';
import { native } from './native.ts';

const DAY_MS = 86_400_000;
const NOW = Date.UTC(2026, 10, 23, 12);

/** Present a certificate in a real TLS 1.3 connection and look at it from the other end. */
async function present(certificate: Certificate) {
  const { cert, key } = certificate;
  const server = createServer({ cert, key, minVersion: 'TLSv1.3' }, socket => socket.end('hello')).listen(
    0,
    '127.0.0.1',
  );
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  const socket = connect({ port, host: '127.0.0.1', rejectUnauthorized: false });
  await once(socket, 'secureConnect');
  const x509 = socket.getPeerX509Certificate();
  const protocol = socket.getProtocol();
  const [hello] = await once(socket, 'data');
  socket.destroy();
  server.close();
  if (x509 === undefined) throw new Error('no certificate');
  return { x509, protocol, hello: String(hello) };
}

test('carries a TLS 1.3 connection, signs itself and is what the pin says', async () => {
  const certificate = makeCertificate(native, NOW);
  const { x509, protocol, hello } = await present(certificate);
  expect(protocol).toBe('TLSv1.3');
  expect(hello).toBe('hello');
  expect(x509.verify(x509.publicKey)).toBe(true);
  expect(x509.checkIssued(x509)).toBe(true);
  expect(x509.publicKey.asymmetricKeyDetails?.namedCurve).toBe('prime256v1');
  const spki = x509.publicKey.export({ type: 'spki', format: 'der' });
  expect(certificate.spkiSha256).toEqual(native.sha256(spki));
  expect(x509.subjectAltName).toBe(`DNS:${x509.subject.slice('CN='.length)}`);
});

test('has nothing in common with the next', async () => {
  const seen = {
    serial: new Set<string>(),
    name: new Set(),
    begins: new Set(),
    length: new Set(),
    key: new Set(),
  };
  const count = 30;
  for (let i = 0; i < count; i += 1) {
    const { x509 } = await present(makeCertificate(native, NOW));
    const begins = Date.parse(x509.validFrom);
    const ends = Date.parse(x509.validTo);
    expect(begins).toBeLessThanOrEqual(NOW);
    expect(begins).toBeGreaterThan(NOW - 28 * DAY_MS - 1000);
    expect(ends).toBeGreaterThan(NOW + 60 * DAY_MS);
    expect(x509.serialNumber).toMatch(/^[4-7][0-9A-F]{31}$/);
    expect(x509.subject).toMatch(/^CN=[a-z][a-z2-7]{6,13}$/);
    expect(x509.issuer).toBe(x509.subject);
    seen.serial.add(x509.serialNumber);
    seen.name.add(x509.subject);
    seen.begins.add(begins);
    seen.length.add(Math.round((ends - begins) / DAY_MS));
    seen.key.add(x509.publicKey.export({ type: 'spki', format: 'der' }).toString('hex'));
  }
  for (const name of ['serial', 'name', 'begins', 'key'] as const) expect(seen[name].size).toBe(count);
  expect(seen.length.size).toBeGreaterThan(2);
});

test('draws all that it chooses from the suite', () => {
  const tape = (): typeof native => {
    let next = 1;
    const bytes = (length: number): Uint8Array =>
      Uint8Array.from({ length }, () => (next = (next * 167 + 13) % 256));
    return {
      ...native,
      ...withEntropy(native, bytes),
      p256KeyPair: () => pair,
      p256Sign: () => new Uint8Array(70),
    };
  };
  const pair = native.p256KeyPair();
  const keep = { ...pair, pkcs8: pair.pkcs8.slice() };
  const first = makeCertificate(tape(), NOW);
  pair.pkcs8.set(keep.pkcs8);
  expect(makeCertificate(tape(), NOW).cert).toBe(first.cert);
  expect(makeCertificate(tape(), NOW + 1000).cert).not.toBe(first.cert);
});

test('writes years from 2050 on as RFC 5280 has them', async () => {
  const late = Date.UTC(2049, 11, 30);
  const { x509 } = await present(makeCertificate(native, late));
  expect(new Date(x509.validFrom).getUTCFullYear()).toBe(2049);
  expect(new Date(x509.validTo).getUTCFullYear()).toBeGreaterThanOrEqual(2050);
});
