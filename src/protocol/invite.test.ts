import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { native } from '../node/native.ts';
import { asciiBytes } from '../wire/bytes.ts';
import { BASE32, decodeLetters, encodeLetters } from './base-letters.ts';
import type { Store } from './connection-record.ts';
import { codeName, isFault } from './fault.ts';
import { named, testHost } from './fixtures.ts';
import {
  encodeBundle,
  encodeInvite,
  inviteText,
  parseInvite,
  parseInviteInput,
  parseInviteText,
} from './invite.ts';

const host = testHost(native, 'inviter');
const stores: Store[] = [{ kind: 'https', readUrl: 'https://files.example/a', spkiPin: new Uint8Array(0) }];
const terms = { secret: named(native, 'secret'), expiresAtS: 1_795_478_400, stores };
const bytes = encodeInvite(native, { ...terms, identity: host.identity(0), serverId: host.serverId });
const text = inviteText(native, bytes);

function code(of: string): string {
  const invite = parseInviteText(native, of);
  return isFault(invite) ? codeName(invite.code) : 'read';
}

describe('an invite (IN-004~2, IN-005~1)', () => {
  it('says whom to trust, and leaves out what derives', () => {
    const invite = parseInviteText(native, text);
    if (isFault(invite)) throw new Error(invite.detail);
    expect(invite.trust).toEqual(host.trust(0, false));
    const later = encodeInvite(native, { ...terms, identity: host.identity(2), serverId: host.serverId });
    expect(later.length).toBe(bytes.length + 34);
    expect(parseInvite(native, later)).toMatchObject({ trust: host.trust(2, false), stores });
  });

  it('is refused for each letter that is another one, lost, or doubled', () => {
    const seen = new Map<string, number>();
    const note = (of: string): void => void seen.set(code(of), (seen.get(code(of)) ?? 0) + 1);
    for (let i = 0; i < text.length; i += 1) {
      const other = text[i] === 'q' ? 'r' : 'q';
      note(text.slice(0, i) + other + text.slice(i + 1));
      note(text.slice(0, i) + text.slice(i + 1));
      note(text.slice(0, i) + text.slice(i, i + 1) + text.slice(i));
    }
    expect(seen.get('read')).toBeUndefined();
    expect([...seen.keys()].sort()).toEqual(['INVITE_CHECKSUM', 'INVITE_MALFORMED']);
  });

  it('is read however it was typed', () => {
    fc.assert(
      fc.property(fc.array(fc.nat(9), { minLength: text.length, maxLength: text.length }), how => {
        const typed = [...text].map((letter, i) => {
          const isBody = i >= 'clawchat1'.length;
          const forms = [
            letter,
            letter.toUpperCase(),
            `${letter}-`,
            ` ${letter}\n`,
            isBody && letter === '0' ? 'O' : isBody && letter === '1' ? 'I' : letter,
            isBody && letter === '1' ? 'l' : letter,
            `${letter}\u2013`,
            `\u00a0${letter}\u200b`,
            `\u201c${letter}\u201d`,
            `\n> *${letter}*`,
          ];
          return forms[how[i] ?? 0] ?? letter;
        });
        const whole = parseInviteInput(native, new TextEncoder().encode(typed.join('')));
        return code(typed.join('')) === 'read' && !isFault(whole);
      }),
    );
  });

  it('never throws, nor does a bundle (ER-001~1)', () => {
    fc.assert(fc.property(fc.string(), of => code(`clawchat1${of}`) !== 'read'));
    fc.assert(fc.property(fc.uint8Array(), of => isFault(parseInviteInput(native, of))));
    const start = asciiBytes('ClawChat bundle 1\n');
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 80 }), of =>
        isFault(parseInviteInput(native, Uint8Array.from([...start, ...of]))),
      ),
    );
  });
});

describe('a bundle (IN-007~1)', () => {
  it('carries the invite and the file', () => {
    const file = new Uint8Array(4096).fill(5);
    const read = parseInviteInput(native, encodeBundle(bytes, file));
    if (isFault(read)) throw new Error(read.detail);
    expect(read.invite.bytes).toEqual(bytes);
    expect(read.connectionFile).toEqual(file);
    expect(parseInviteInput(native, asciiBytes(`  ${text}\n`))).toMatchObject({ connectionFile: undefined });
  });
});

describe('base32', () => {
  it('reads what it writes, and exactly one text for each value', () => {
    fc.assert(
      fc.property(
        fc.uint8Array(),
        of => Buffer.compare(decodeLetters(BASE32, encodeLetters(BASE32, of)) ?? new Uint8Array(1), of) === 0,
      ),
    );
    fc.assert(
      fc.property(fc.string({ unit: fc.constantFrom(...'0123456789abcdefghjkmnpqrstvwxyzU ') }), of => {
        const decoded = decodeLetters(BASE32, of);
        return decoded === undefined || encodeLetters(BASE32, decoded) === of;
      }),
    );
  });
});
