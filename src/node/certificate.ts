/** The self-signed certificate of one epoch, of which nothing returns in the next (spec/04-handshake.md). */
import type { NativeSuite } from './native.ts';

/** What a TLS server presents, and what the connection record pins. */
export interface Certificate {
  /** The certificate, PEM. */
  readonly cert: string;
  /** The private key, PKCS #8 PEM. */
  readonly key: string;
  /** SHA-256 of the SubjectPublicKeyInfo, 32 bytes. */
  readonly spkiSha256: Uint8Array;
}

const DAY_MS = 86_400_000;
const AGE_DAYS_MAX = 28;
/** Lengths of life that certificates on the net have. */
const LIFE_DAYS: readonly number[] = [90, 180, 365, 397, 730, 825];
const NAME_CHARS_MIN = 6;
const NAME_CHARS_SPREAD = 8;
/** 32 of them, so that five bits of a random byte choose one evenly. */
const NAME_ALPHABET = 'abcdefghijklmnopqrstuvwxyz234567';
const SERIAL_BYTES = 16;

/**
 * Make a P-256 key and its certificate: serial, name, validity and key are new each time.
 *
 * A certificate that lasts, or a field that does, is a serial number by which a scan catalogue finds the host again on
 * its next port. `now` is Unix milliseconds.
 */
export function makeCertificate(suite: NativeSuite, now: number): Certificate {
  const { pkcs8, spki } = suite.p256KeyPair();
  const name = randomName(suite);
  const distinguished = sequence(set(sequence(OID_COMMON_NAME, der(UTF8_STRING, ascii(name)))));
  const begins = Math.floor((now - uniform(suite, AGE_DAYS_MAX * DAY_MS)) / 1000) * 1000;
  const life = (LIFE_DAYS[uniform(suite, LIFE_DAYS.length)] ?? 90) * DAY_MS;
  const tbs = sequence(
    der(CONTEXT_0, integer(Uint8Array.of(2))), // v3
    integer(randomSerial(suite)),
    ECDSA_WITH_SHA256,
    distinguished,
    sequence(time(begins), time(begins + life - 1000)),
    distinguished,
    spki,
    der(CONTEXT_3, sequence(subjectAltName(name))),
  );
  const signature = suite.p256Sign(pkcs8, tbs);
  const certificate = sequence(tbs, ECDSA_WITH_SHA256, bitString(signature));
  const key = pem('PRIVATE KEY', pkcs8);
  suite.erase(pkcs8);
  return { key, cert: pem('CERTIFICATE', certificate), spkiSha256: suite.sha256(spki) };
}

function randomName(suite: NativeSuite): string {
  const length = NAME_CHARS_MIN + uniform(suite, NAME_CHARS_SPREAD);
  const chars = Array.from(suite.randomBytes(length), byte => NAME_ALPHABET.charAt(byte & 31));
  // A host name begins with a letter in every reading of the rules.
  return `${NAME_ALPHABET.charAt(uniform(suite, 26))}${chars.join('')}`;
}

/** A positive number of exactly 16 bytes: longer than 64 bits, shorter than the 20 bytes of RFC 5280, 4.1.2.2. */
function randomSerial(suite: NativeSuite): Uint8Array {
  const serial = suite.randomBytes(SERIAL_BYTES);
  serial[0] = ((serial[0] ?? 0) & 0x7f) | 0x40;
  return serial;
}

/** Draw a whole number of [0, below) evenly; `below` is at most 2^32. */
function uniform(suite: NativeSuite, below: number): number {
  const limit = 2 ** 32 - (2 ** 32 % below);
  for (;;) {
    const bytes = suite.randomBytes(4);
    const drawn = new DataView(bytes.buffer, bytes.byteOffset, 4).getUint32(0);
    if (drawn < limit) return drawn % below;
  }
}

// DER: tag, length, content (ITU-T X.690), as far as a certificate needs it (RFC 5280, section 4.1).
const INTEGER = 0x02;
const BIT_STRING = 0x03;
const OCTET_STRING = 0x04;
const UTF8_STRING = 0x0c;
const UTC_TIME = 0x17;
const GENERALIZED_TIME = 0x18;
const SEQUENCE = 0x30;
const SET = 0x31;
const CONTEXT_0 = 0xa0;
const CONTEXT_3 = 0xa3;
const DNS_NAME = 0x82;

const OID_COMMON_NAME: Uint8Array = Uint8Array.of(0x06, 3, 0x55, 0x04, 0x03);
const OID_SUBJECT_ALT_NAME: Uint8Array = Uint8Array.of(0x06, 3, 0x55, 0x1d, 0x11);
const OID_ECDSA_WITH_SHA256: Uint8Array = Uint8Array.of(
  0x06,
  8,
  0x2a,
  0x86,
  0x48,
  0xce,
  0x3d,
  0x04,
  0x03,
  0x02,
);
const ECDSA_WITH_SHA256: Uint8Array = sequence(OID_ECDSA_WITH_SHA256);

function der(tag: number, ...contents: readonly Uint8Array[]): Uint8Array {
  const length = contents.reduce((sum, part) => sum + part.length, 0);
  return Uint8Array.from(Buffer.concat([Uint8Array.of(tag, ...lengthBytes(length)), ...contents]));
}

function lengthBytes(length: number): readonly number[] {
  if (length < 128) return [length];
  return length < 256 ? [0x81, length] : [0x82, length >> 8, length & 255];
}

function sequence(...contents: readonly Uint8Array[]): Uint8Array {
  return der(SEQUENCE, ...contents);
}

function set(...contents: readonly Uint8Array[]): Uint8Array {
  return der(SET, ...contents);
}

/** `magnitude` is big endian, without a leading zero and with its highest bit clear. */
function integer(magnitude: Uint8Array): Uint8Array {
  return der(INTEGER, magnitude);
}

function bitString(content: Uint8Array): Uint8Array {
  return der(BIT_STRING, Uint8Array.of(0), content);
}

/** UTCTime through 2049, GeneralizedTime from 2050 on (RFC 5280, 4.1.2.5). */
function time(at: number): Uint8Array {
  const digits = `${new Date(at).toISOString().replace(/\D/g, '').slice(0, 14)}Z`;
  return digits < '2050' ? der(UTC_TIME, ascii(digits.slice(2))) : der(GENERALIZED_TIME, ascii(digits));
}

function subjectAltName(name: string): Uint8Array {
  return sequence(OID_SUBJECT_ALT_NAME, der(OCTET_STRING, sequence(der(DNS_NAME, ascii(name)))));
}

function ascii(text: string): Uint8Array {
  return Uint8Array.from(text, char => char.charCodeAt(0));
}

function pem(label: string, bytes: Uint8Array): string {
  const lines =
    Buffer.from(bytes)
      .toString('base64')
      .match(/.{1,64}/g) ?? [];
  return [`-----BEGIN ${label}-----`, ...lines, `-----END ${label}-----`, ''].join('\n');
}
