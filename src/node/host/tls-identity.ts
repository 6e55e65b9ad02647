/** Turns stored TLS keys (DER) into what Node's TLS takes (PEM), and back. */
import type { EpochKeys, TlsKey } from '../../protocol/host-record.ts';
import { makeCertificate } from '../certificate.ts';
import type { TlsIdentity } from '../listen.ts';
import { native } from '../native.ts';

function fromPem(text: string): Uint8Array {
  return Uint8Array.from(Buffer.from(text.replace(/-----[^-]+-----|\s/g, ''), 'base64'));
}

/** Give a stored key and its certificate to a listener. */
export function tlsIdentity({ pkcs8, certificate }: TlsKey): TlsIdentity {
  return { key: toPem('PRIVATE KEY', pkcs8), cert: toPem('CERTIFICATE', certificate) };
}

function toPem(name: string, bytes: Uint8Array): string {
  const lines =
    Buffer.from(bytes)
      .toString('base64')
      .match(/.{1,64}/g) ?? [];
  return [`-----BEGIN ${name}-----`, ...lines, `-----END ${name}-----`, ''].join('\n');
}

/** Draw the keys of a new epoch. */
export function freshEpochKeys(epoch: number, wallMs: number): EpochKeys {
  const { cert, key, spkiSha256 } = makeCertificate(native, wallMs);
  return {
    accessKey: { epoch, key: native.randomBytes(32) },
    tlsKey: { pkcs8: fromPem(key), certificate: fromPem(cert), spkiPin: spkiSha256 },
  };
}
