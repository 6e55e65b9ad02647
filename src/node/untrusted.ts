/** Tells a certificate that this machine does not trust from a connection that broke. Chapter: spec/04-handshake.md, 4.2. */

/** The codes of OpenSSL's verification and of Node's check of names; not those of a broken connection. */
const CODES =
  /^(?:CERT_|UNABLE_TO_|SELF_SIGNED|DEPTH_ZERO|INVALID_CA|INVALID_PURPOSE|PATH_LENGTH|HOSTNAME_MISMATCH|CRL_|ERR_TLS_CERT)/;

/** What is said of it, before the code. */
export const UNTRUSTED_TEXT = 'this machine does not trust its certificate';

/** Whether a code of the system says that nobody vouches for a certificate. */
export function isUntrusted(code: string): boolean {
  return CODES.test(code);
}
