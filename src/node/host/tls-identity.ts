/** Turns stored TLS keys (DER) into what Node's TLS takes (PEM), and back. */
import { PassThrough } from 'node:stream';
import { createSecureContext, TLSSocket } from 'node:tls';
import { ErrorCode } from '../../gen/clawchat/v1/error_pb.ts';
import type { EpochKeys, TlsKey } from '../../protocol/host-record.ts';
import { makeCertificate } from '../certificate.ts';
import { failure } from '../failure.ts';
import { readFileCapped, refuseLooseFile } from '../files.ts';
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

/** Where an operator keeps a certificate chain and its key, both PEM. */
export interface TlsFiles {
  readonly certificate: string;
  readonly key: string;
}

const PEM_BYTES_MAX = 262_144;

/** Read an operator's own certificate. @throws ClawChatError `USAGE` when it cannot be used; `PERMISSIONS_LOOSE`. */
export async function readTlsFiles({ certificate, key }: TlsFiles): Promise<TlsIdentity> {
  const cert = await readFileCapped(certificate, PEM_BYTES_MAX);
  if (cert === undefined) throw failure(ErrorCode.USAGE, `there is no certificate ${certificate}`);
  const secret = await readFileCapped(key, PEM_BYTES_MAX);
  if (secret === undefined) throw failure(ErrorCode.USAGE, `there is no key ${key}`);
  await refuseLooseFile(key, 'whoever has it can be taken for this host');
  const identity = { cert: Buffer.from(cert).toString(), key: Buffer.from(secret).toString() };
  try {
    createSecureContext(identity);
  } catch (cause) {
    throw failure(
      ErrorCode.USAGE,
      `${certificate} and ${key} are no certificate with its key, both PEM`,
      cause,
    );
  }
  return identity;
}

/** Until when a certificate is valid, Unix milliseconds; as TLS reads it. */
export function endOfCertificate(identity: TlsIdentity): number {
  const socket = new TLSSocket(new PassThrough(), {
    isServer: true,
    secureContext: createSecureContext(identity),
  });
  const found = socket.getCertificate();
  socket.destroy();
  return found !== null && 'valid_to' in found ? Date.parse(String(found.valid_to)) : Number.NaN;
}

/** Draw the keys of a new epoch. */
export function freshEpochKeys(epoch: number, wallMs: number): EpochKeys {
  const { cert, key, spkiSha256 } = makeCertificate(native, wallMs);
  return {
    accessKey: { epoch, key: native.randomBytes(32) },
    tlsKey: { pkcs8: fromPem(key), certificate: fromPem(cert), spkiPin: spkiSha256 },
  };
}
