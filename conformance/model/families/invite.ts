import { ascii, concat, EMPTY, hex, stream, unhex, utf8, zeros } from '../bytes.ts';
import * as cast from '../cast.ts';
import type { Flag } from '../flags.ts';
import {
  ALPHABET,
  BUNDLE_BYTES_MAX,
  BUNDLE_MAGIC,
  base32,
  bundle,
  DROPPED,
  expired,
  INVITE_BYTES_MAX,
  inviteText,
  judgeInvite,
  PREFIX,
  readInvite,
} from '../invite.ts';
import { inviteChecksum, inviteKeys } from '../labels.ts';
import { lengthField, varintField } from '../protobuf.ts';
import { attempt } from '../refusal.ts';
import {
  ADA_INVITE,
  EXPIRES_S,
  encodeInvite,
  HTTPS,
  HTTPS_PINNED,
  type InviteFields,
  LOCAL,
  MEGA,
  STORE_BOUNDS,
  shownInvite,
} from '../samples.ts';
import { type Family, family, type Vector } from '../vector.ts';

function written(id: string, note: string, bytes: Uint8Array, flags: readonly Flag[]): Vector {
  const invite = judgeInvite(bytes);
  const keys = inviteKeys(invite.secret);
  return {
    id: `invite/write/${id}`,
    note,
    req: ['IN-004~2', 'IN-005~1', 'KD-001~1'],
    flags,
    phase: 'parse',
    input: { what: 'write', invite: hex(bytes) },
    output: {
      text: inviteText(bytes),
      fields: shownInvite(invite),
      static_secret: hex(keys.secretKey),
      static_public: hex(keys.publicKey),
      psk: hex(keys.psk),
      gate_key: hex(keys.gateKey),
      file_key: hex(keys.fileKey),
    },
    debug: { checksum: hex(inviteChecksum(bytes)) },
  };
}

/** A text or bundle as a person hands it over: the model says what comes of it. */
function read(
  id: string,
  note: string,
  given: string | Uint8Array,
  flags: readonly Flag[],
  req = 'IN-005~1',
): Vector {
  const bytes = typeof given === 'string' ? utf8(given) : given;
  const outcome = attempt(() => readInvite(bytes));
  const input =
    typeof given === 'string' ? { what: 'read', text: given } : { what: 'read bundle', bundle: hex(given) };
  const common = { id: `invite/read/${id}`, note, req: [req], flags, phase: 'parse', input } as const;
  if ('refusal' in outcome) {
    return { ...common, error: outcome.refusal.code, debug: { why: outcome.refusal.detail } };
  }
  const { invite, file } = outcome.value;
  const fields = shownInvite(invite);
  return { ...common, output: file === undefined ? { fields } : { fields, connection_file: hex(file) } };
}

function positives(): Vector[] {
  const many = [HTTPS, HTTPS_PINNED, LOCAL, MEGA, HTTPS, HTTPS_PINNED, LOCAL, MEGA];
  const succeeded = {
    identity: cast.identity(1).publicKey,
    serverId: cast.SERVER_ID,
    secret: cast.inviteSecret('bob'),
  };
  const filler = INVITE_BYTES_MAX - ADA_INVITE.length - 4;
  const longest = concat(ADA_INVITE, lengthField(900, stream('later', filler)));
  return [
    written('plain', 'One store.', ADA_INVITE, ['known-answer']),
    written(
      'no-store',
      'No store: it comes in a bundle, or the host is told otherwise.',
      encodeInvite({ stores: [] }),
      ['known-answer', 'count'],
    ),
    written(
      'all-stores',
      'Eight stores of all kinds: as many as there may be.',
      encodeInvite({ stores: many }),
      ['count', 'boundary'],
    ),
    written(
      'after-succession',
      'A host whose identity was replaced: the server id no longer derives from it.',
      encodeInvite(succeeded),
      ['succession'],
    ),
    written('latest', 'The latest expiry there can be.', encodeInvite({ expiresAtS: 2 ** 32 - 1 }), [
      'big-number',
    ]),
    written('unknown-field', 'A field of a later version.', concat(ADA_INVITE, varintField(15, 7)), [
      'unknown-field',
    ]),
    written(
      'unknown-store',
      'A store of a kind of a later version, empty to this reader.',
      concat(ADA_INVITE, lengthField(6, lengthField(9, ascii('later')))),
      ['store-kind', 'unknown-field'],
    ),
    written('longest', 'Exactly 2,048 bytes.', longest, ['boundary', 'unknown-field']),
    written(
      'duplicate-field',
      'The expiry stands twice: the last one counts.',
      concat(ADA_INVITE, varintField(5, EXPIRES_S + 60)),
      ['duplicate-field'],
    ),
  ];
}

function writings(): Vector[] {
  const text = inviteText(ADA_INVITE);
  const body = text.slice(PREFIX.length);
  const grouped = body.replace(/(.{5})/g, '$1-');
  const alike = body.replace(/0/g, 'O').replace(/1/g, 'I');
  const req = 'IN-004~2';
  const everyDropped = [...DROPPED].map(point => String.fromCodePoint(point)).join('');
  return [
    read('upper-case', 'Written in capitals.', text.toUpperCase(), ['letter-case'], req),
    read('grouped', 'With hyphens every five letters.', `${PREFIX}-${grouped}`, ['letter-case'], req),
    read(
      'wrapped',
      'Broken into lines by a mail program, with all six kinds of white space.',
      ` \t${text.slice(0, 4)}\r\n${text.slice(4, 70)}\v\f${text.slice(70)}\n`,
      ['letter-case'],
      req,
    ),
    read('look-alikes', 'O for 0 and I for 1.', PREFIX + alike, ['look-alikes'], req),
    read('look-alike-l', 'l for 1.', PREFIX + body.replace(/1/g, 'l'), ['look-alikes'], req),
    read('prefix-look-alike', 'The prefix is not read that way.', `ciawchat1${body}`, ['look-alikes'], req),
    read('prefix-digit', 'Nor is its last letter.', `clawchatl${body}`, ['look-alikes'], req),
    read('no-break-space', 'U+00A0 behind it.', `${text}\u00a0`, ['letter-case'], req),
    read('byte-order-mark', 'U+FEFF before it.', `\ufeff${text}`, ['letter-case'], req),
    read('quoted', 'Quoted by a person who writes well.', `\u201c${text}\u201d.`, ['letter-case'], req),
    read(
      'chat-marks',
      'Quoted and in bold type by a chat program.',
      `> *${text.slice(0, 60)}*\n> *${text.slice(60)}*`,
      ['letter-case'],
      req,
    ),
    read(
      'all-dropped',
      'Every code point that is dropped, in its middle.',
      `${text.slice(0, 33)}${everyDropped}${text.slice(33)}`,
      ['letter-case'],
      req,
    ),
    read('full-width', 'U+FF11 is no digit 1.', text.replace('1', '\uff11'), ['letter-case'], req),
    read('underline', 'U+2017 is not dropped.', `${text}\u2017`, ['letter-case'], req),
    read('kelvin', 'U+212A is no letter k.', text.replace('k', '\u212a'), ['letter-case'], req),
    read(
      'long-dash',
      'A hyphen that a program made longer: U+2013.',
      `${text.slice(0, 20)}\u2013${text.slice(20)}`,
      ['letter-case'],
      req,
    ),
  ];
}

function damagedTexts(): Vector[] {
  const text = inviteText(ADA_INVITE);
  const letters = (at: number, ...with_: string[]): string =>
    text.slice(0, at) + with_.join('') + text.slice(at + with_.length);
  const other = (at: number): string => ALPHABET.charAt((ALPHABET.indexOf(text.charAt(at)) + 1) % 32);
  // The letter in which the middle byte of each field lies.
  const places: readonly (readonly [string, number])[] = [
    ['version', 1],
    ['secret', 20],
    ['identity', 54],
    ['expiry', 72],
    ['stores', 90],
    ['checksum', ADA_INVITE.length + 1],
  ];
  const swapAt = [...text].findIndex((letter, i) => i > 30 && letter !== text.charAt(i + 1));
  const cuts = [0, 5, 9, 10, 15, 16, 40, text.length - 7, text.length - 2, text.length - 1];
  const bytes = concat(ADA_INVITE, inviteChecksum(ADA_INVITE));
  const lastBits = ALPHABET.indexOf(text.charAt(text.length - 1));
  return [
    ...places.map(([field, byte]) => {
      const at = PREFIX.length + Math.floor((byte * 8) / 5);
      return read(`letter/${field}`, `One letter of ${field} is another.`, letters(at, other(at)), [
        'bit-flip',
      ]);
    }),
    read(
      'letters-swapped',
      'Two neighbouring letters changed places.',
      letters(swapAt, text.charAt(swapAt + 1), text.charAt(swapAt)),
      ['reorder'],
    ),
    ...cuts.map(to => read(`cut/${to}`, `The first ${to} letters.`, text.slice(0, to), ['truncation'])),
    read('extended', 'A letter too many.', `${text}0`, ['extension', 'leftover-bits']),
    read('extended-8', 'Eight letters, which are five bytes, too many.', `${text}00000000`, ['extension']),
    read(
      'leftover-bits',
      'A bit at the end that carries nothing is one.',
      text.slice(0, -1) + ALPHABET.charAt(lastBits | 1),
      ['leftover-bits'],
    ),
    read('letter-u', 'The letter u is not in the alphabet.', letters(40, 'u'), ['character-set']),
    read('sign', 'Nor is an equals sign.', `${text}=`, ['character-set']),
    read('other-prefix', 'A prefix of a later version.', `clawchat2${text.slice(9)}`, ['version-first']),
    read('no-prefix', 'Without the prefix.', text.slice(9), ['truncation']),
    read('link', 'As a link.', `clawchat://${text}`, ['character-set']),
    read('empty', 'Nothing at all.', '', ['truncation']),
    read('three-bytes', 'Three bytes, too few for a checksum.', PREFIX + base32(zeros(3)), ['truncation']),
    read(
      'zero-bytes',
      'Nothing but the checksum of nothing: a message without fields, so of version 0.',
      inviteText(EMPTY),
      ['truncation', 'version-first'],
    ),
    read(
      'checksum-first',
      'Too long, and with a wrong checksum: the checksum is looked at first.',
      PREFIX + base32(concat(ADA_INVITE, zeros(2100))),
      ['order-of-steps'],
    ),
    read(
      'letter-before-checksum',
      'A foreign letter, and a wrong checksum: the letter is looked at first.',
      `${PREFIX}u${base32(bytes).slice(1)}`,
      ['order-of-steps'],
    ),
  ];
}

function brokenInvites(): Vector[] {
  const of = (fields: InviteFields): string => inviteText(encodeInvite(fields));
  const tooLong = concat(
    ADA_INVITE,
    lengthField(900, stream('later', INVITE_BYTES_MAX - ADA_INVITE.length - 3)),
  );
  const badText = lengthField(6, lengthField(1, lengthField(1, unhex('2fff'))));
  return [
    read('rule/version-0', 'No version.', of({ version: 0 }), ['version-first']),
    read('rule/version-2', 'A later version.', of({ version: 2 }), ['version-first']),
    read(
      'rule/version-2-other-rules',
      'A later version, in which a secret has 16 bytes: its version is what is reported.',
      of({ version: 2, secret: zeros(16) }),
      ['version-first', 'order-of-steps'],
    ),
    ...[0, 31, 33].flatMap(length => [
      read(`rule/secret-${length}`, `A secret of ${length} bytes.`, of({ secret: zeros(length) }), [
        'length',
      ]),
      read(`rule/identity-${length}`, `An identity of ${length} bytes.`, of({ identity: zeros(length) }), [
        'length',
      ]),
    ]),
    ...[1, 31, 33].map(length =>
      read(`rule/server-id-${length}`, `A server id of ${length} bytes.`, of({ serverId: zeros(length) }), [
        'length',
      ]),
    ),
    read('rule/stores-9', 'Nine stores.', of({ stores: Array.from({ length: 9 }, () => HTTPS) }), ['count']),
    ...STORE_BOUNDS.map(([id, note, store]) =>
      read(`rule/${id}`, note, of({ stores: [store] }), ['boundary', 'length']),
    ),
    read('rule/2049-bytes', 'One byte too long.', inviteText(tooLong), ['boundary']),
    read('rule/cut-field', 'The last field is cut off.', inviteText(ADA_INVITE.slice(0, -1)), ['truncation']),
    read('rule/not-utf-8', 'A path that is no UTF-8.', inviteText(concat(ADA_INVITE, badText)), ['utf-8']),
    read('rule/no-message', 'Bytes that are no message.', inviteText(unhex('ffffffffffffffffffffff')), [
      'truncation',
    ]),
  ];
}

function bundles(): Vector[] {
  const file = stream('in place of a connection file', 48);
  const good = bundle(ADA_INVITE, file);
  const req = 'IN-007~1';
  const of = (id: string, note: string, bytes: Uint8Array, flags: readonly Flag[]): Vector =>
    read(`bundle/${id}`, note, bytes, flags, req);
  const room = BUNDLE_BYTES_MAX - (good.length - BUNDLE_MAGIC.length);
  const broken = encodeInvite({ secret: zeros(31) });
  return [
    of('plain', 'A bundle. What is in place of the connection file is not read here.', good, [
      'known-answer',
    ]),
    of('unknown-field', 'With a field of a later version.', concat(good, varintField(3, 1)), [
      'unknown-field',
    ]),
    of('later', 'A bundle of a later version.', concat(ascii('ClawChat bundle 2\n'), good.slice(18)), [
      'version-first',
    ]),
    of(
      'crlf',
      'The line feed became two characters.',
      concat(good.slice(0, 17), ascii('\r\n'), good.slice(18)),
      ['character-set'],
    ),
    of('magic-only', 'Nothing behind the 18 bytes.', BUNDLE_MAGIC, ['truncation']),
    of('magic-cut', 'The 18 bytes are cut: this is not even a text.', BUNDLE_MAGIC.slice(0, 15), [
      'truncation',
    ]),
    of('no-invite', 'Without an invite.', bundle(EMPTY, file), ['length']),
    of('no-file', 'Without a file.', bundle(ADA_INVITE, EMPTY), ['length']),
    of('cut', 'The last byte is missing.', good.slice(0, -1), ['truncation']),
    of('broken-invite', 'An invite that breaks a rule.', bundle(broken, file), ['length']),
    of('later-invite', 'An invite of a later version.', bundle(encodeInvite({ version: 2 }), file), [
      'version-first',
    ]),
    sized('bundle/longest', 'Exactly as long as allowed.', room),
    sized('bundle/too-long', 'One byte longer.', room + 1),
  ];
}

/** A bundle whose connection file is a stream, so that the vector stays short. */
function sized(id: string, note: string, more: number): Vector {
  // Two more bytes are the length of the larger file, which takes three bytes in place of one.
  const length = 48 + more - 2;
  const outcome = attempt(() => readInvite(bundle(ADA_INVITE, stream('a long file', length))));
  const input = {
    what: 'read bundle',
    invite: hex(ADA_INVITE),
    connection_file: { stream: 'a long file', length },
  };
  const common = {
    id: `invite/read/${id}`,
    note,
    req: ['IN-007~1'],
    flags: ['boundary'],
    phase: 'parse',
    input,
  } as const;
  if ('refusal' in outcome) return { ...common, error: outcome.refusal.code };
  return { ...common, output: { fields: shownInvite(outcome.value.invite) } };
}

function expiry(): Vector[] {
  const invite = judgeInvite(ADA_INVITE);
  return [-1, 0, 1].map(offset => {
    const nowMs = EXPIRES_S * 1000 + offset;
    const common = {
      id: `invite/expiry/${offset < 0 ? 'before' : offset === 0 ? 'at' : 'after'}`,
      note: `The clock shows the expiry${offset < 0 ? ' less a' : offset > 0 ? ' and one' : ' to the'} millisecond.`,
      req: ['IN-006~1'],
      flags: ['clock', 'boundary'],
      phase: 'time',
      input: { what: 'expiry', text: inviteText(ADA_INVITE), now_ms: nowMs },
    } as const;
    return expired(invite, nowMs)
      ? { ...common, error: 'INVITE_EXPIRED' }
      : { ...common, output: { expired: false } };
  });
}

/** Make the family. */
export function invite(): Family {
  return family(
    'invite',
    ['spec/08-devices.md#81-invites'],
    'Invites: "write" turns an encoded Invite into text and keys, "read" and "read bundle" take what a person hands over, "expiry" judges by a clock.',
    [...positives(), ...writings(), ...damagedTexts(), ...brokenInvites(), ...bundles(), ...expiry()],
  );
}
