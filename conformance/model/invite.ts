/** Invites as text and in bundles (spec/08-devices.md, 8.1). */
import { type Invite, InviteBundleSchema, InviteSchema } from '../../src/gen/clawchat/v1/invite_pb.ts';
import { ascii, concat, equal, u8 } from './bytes.ts';
import { inviteChecksum, serverId } from './labels.ts';
import { decode, lengthField } from './protobuf.ts';
import { demand } from './refusal.ts';
import { brokenStoreRule } from './stores.ts';

/** The table of 8.1, as ranges of code points. */
const DROPPED_RANGES: readonly (readonly [number, number?])[] = [
  ...([
    [0x09, 0x0d],
    [0x20],
    [0x85],
    [0xa0],
    [0x2000, 0x200a],
    [0x2028, 0x2029],
    [0x202f],
    [0x205f],
    [0x3000],
  ] as const),
  ...([[0xad], [0x200b, 0x200f], [0x2060], [0xfeff]] as const),
  ...([[0x2d], [0x2010, 0x2015], [0x2212], [0xfe58], [0xfe63], [0xff0d]] as const),
  ...([[0x22], [0x27], [0x60], [0xab], [0xbb], [0x2018, 0x201f], [0x2039, 0x203a]] as const),
  ...([[0x2a], [0x5f], [0x3e], [0x2e], [0x2c]] as const),
];
export const DROPPED: ReadonlySet<number> = new Set(
  DROPPED_RANGES.flatMap(([first, last = first]) =>
    Array.from({ length: last - first + 1 }, (_, i) => first + i),
  ),
);

const ALPHABET = '0123456789abcdefghjkmnpqrstvwxyz';
const PREFIX = 'clawchat1';
export const INVITE_BYTES_MAX = 2048;
export const BUNDLE_BYTES_MAX = 266_240;
export const BUNDLE_MAGIC: Uint8Array = ascii('ClawChat bundle 1\n');

/** Write bytes in Crockford's base32, lower case, the last letter filled with zero bits. */
export function base32(bytes: Uint8Array): string {
  const bits = [...bytes].map(byte => byte.toString(2).padStart(8, '0')).join('');
  const letters = bits.match(/.{1,5}/g) ?? [];
  return letters.map(five => ALPHABET.charAt(Number.parseInt(five.padEnd(5, '0'), 2))).join('');
}

/** The text of an invite: prefix, bytes, checksum. */
export function inviteText(invite: Uint8Array): string {
  return PREFIX + base32(concat(invite, inviteChecksum(invite)));
}

/** What is left of a pasted text before it is decoded. */
function normalize(text: string): string {
  return [...text]
    .filter(letter => !DROPPED.has(letter.codePointAt(0) ?? 0))
    .join('')
    .replace(/[A-Z]/g, letter => letter.toLowerCase());
}

/** Read the text of an invite and answer the bytes of the Invite, not yet judged. */
export function decodeText(text: string): Uint8Array {
  const plain = normalize(text);
  demand(plain.startsWith(PREFIX), 'INVITE_MALFORMED', 'no prefix');
  const letters = plain.slice(PREFIX.length).replace(/o/g, '0').replace(/[il]/g, '1');
  let bits = '';
  for (const letter of letters) {
    const value = ALPHABET.indexOf(letter);
    demand(value >= 0, 'INVITE_MALFORMED', 'a letter outside the alphabet');
    bits += value.toString(2).padStart(5, '0');
  }
  const whole = Math.floor(bits.length / 8);
  const left = bits.slice(whole * 8);
  demand(left.length < 5, 'INVITE_MALFORMED', 'a letter too many');
  demand(!left.includes('1'), 'INVITE_MALFORMED', 'left-over bits that are not zero');
  demand(whole >= 4, 'INVITE_MALFORMED', 'too short for a checksum');
  const bytes = concat(
    ...Array.from({ length: whole }, (_, i) => u8(Number.parseInt(bits.slice(i * 8, i * 8 + 8), 2))),
  );
  const invite = bytes.slice(0, whole - 4);
  demand(equal(bytes.slice(whole - 4), inviteChecksum(invite)), 'INVITE_CHECKSUM', 'checksum');
  return invite;
}

/** Judge the bytes of an Invite. */
export function judgeInvite(bytes: Uint8Array): Invite {
  demand(bytes.length <= INVITE_BYTES_MAX, 'INVITE_MALFORMED', 'too long');
  const invite = decode(InviteSchema, bytes);
  demand(invite !== undefined, 'INVITE_MALFORMED', 'does not parse');
  demand(invite.version === 1, 'VERSION_UNSUPPORTED', 'version');
  demand(invite.secret.length === 32, 'INVITE_MALFORMED', 'secret');
  demand(invite.identity.length === 32, 'INVITE_MALFORMED', 'identity');
  demand([0, 32].includes(invite.serverId.length), 'INVITE_MALFORMED', 'server_id');
  const broken = brokenStoreRule(invite.stores);
  demand(broken === undefined, 'INVITE_MALFORMED', broken ?? '');
  return invite;
}

/** The server id that an invite means. */
export function serverIdOf(invite: Invite): Uint8Array {
  return invite.serverId.length === 0 ? serverId(invite.identity) : invite.serverId;
}

/** Say whether an invite has ended by a clock (IN-006~1). */
export function expired(invite: Invite, nowMs: number): boolean {
  return nowMs > invite.expiresAtS * 1000;
}

/** Write a bundle. */
export function bundle(invite: Uint8Array, connectionFile: Uint8Array): Uint8Array {
  return concat(BUNDLE_MAGIC, lengthField(1, invite), lengthField(2, connectionFile));
}

/** Read a bundle: the judged invite and the connection file, not yet read. */
function readBundle(bytes: Uint8Array): { readonly invite: Invite; readonly file: Uint8Array } {
  const magic = bytes.slice(0, BUNDLE_MAGIC.length);
  demand(equal(magic, BUNDLE_MAGIC), 'VERSION_UNSUPPORTED', 'another kind of bundle');
  const body = bytes.slice(BUNDLE_MAGIC.length);
  demand(body.length <= BUNDLE_BYTES_MAX, 'INVITE_MALFORMED', 'bundle too long');
  const parsed = decode(InviteBundleSchema, body);
  demand(parsed !== undefined, 'INVITE_MALFORMED', 'bundle does not parse');
  demand(parsed.invite.length > 0, 'INVITE_MALFORMED', 'bundle without invite');
  demand(parsed.connectionFile.length > 0, 'INVITE_MALFORMED', 'bundle without file');
  return { invite: judgeInvite(parsed.invite), file: parsed.connectionFile };
}

/** Read whatever a person hands over: a bundle or a text (both as bytes). */
export function readInvite(input: Uint8Array): { readonly invite: Invite; readonly file?: Uint8Array } {
  const start = Buffer.from(input.slice(0, 16)).toString('latin1');
  if (start === 'ClawChat bundle ') return readBundle(input);
  return { invite: judgeInvite(decodeText(Buffer.from(input).toString('utf8'))) };
}

export { ALPHABET, PREFIX };
