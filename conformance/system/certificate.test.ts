/** OpenSSL's reading of the host's certificate. */
import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, test } from 'vitest';
import { makeCertificate } from '../../src/node/certificate.ts';
import { native } from '../../src/node/native.ts';

const root = mkdtempSync(join(tmpdir(), 'clawchat-certificate-'));
afterAll(() => rmSync(root, { recursive: true, force: true }));

const openssl = (...parameters: string[]): string =>
  execFileSync('openssl', parameters, { encoding: 'utf8' });

test('OpenSSL parses each certificate strictly, verifies its signature and finds the pinned key', () => {
  const path = join(root, 'certificate.pem');
  for (let i = 0; i < 20; i += 1) {
    const certificate = makeCertificate(native, Date.now());
    writeFileSync(path, certificate.cert);
    expect(openssl('verify', '-x509_strict', '-check_ss_sig', '-partial_chain', '-CAfile', path, path)).toBe(
      `${path}: OK\n`,
    );
    const text = openssl('x509', '-in', path, '-noout', '-text');
    expect(text).toContain('Version: 3 (0x2)');
    expect(text.match(/ecdsa-with-SHA256/g)).toHaveLength(2);
    expect(text).toContain('ASN1 OID: prime256v1');
    const structure = openssl('asn1parse', '-in', path);
    expect(structure).not.toContain('Error');
    const publicKey = openssl('x509', '-in', path, '-noout', '-pubkey');
    const spki = Buffer.from(publicKey.replace(/-----[^-]+-----|\s/g, ''), 'base64');
    expect(certificate.spkiSha256).toEqual(native.sha256(spki));
  }
});
