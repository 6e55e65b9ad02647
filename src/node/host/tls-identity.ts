/** Turns stored TLS keys (DER) into what Node's TLS takes (PEM), and back. */
import type { TlsKey } from '../../protocol/record-maker.ts';
import type { TlsIdentity } from '../listen.ts';

/** Read the one block of a PEM text. */
export function fromPem(text: string): Uint8Array {
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
