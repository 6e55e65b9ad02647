import { expect, test } from 'vitest';
import { named, testHost } from '../../protocol/fixtures.ts';
import { encodeInvite, inviteText, parseInviteText } from '../../protocol/invite.ts';
import { native } from '../native.ts';
import { drawQr, type QrStyle } from './qr.ts';
import { photograph } from './testing/photograph.ts';

const host = testHost(native, 'inviter');

function invite(readUrl: string): string {
  const stores = [{ kind: 'https' as const, readUrl, spkiPin: new Uint8Array(0) }];
  const terms = { secret: named(native, 'secret'), expiresAtS: 1_795_478_400, stores };
  return inviteText(
    native,
    encodeInvite(native, { ...terms, identity: host.identity(0), serverId: host.serverId }),
  );
}

const STYLES: readonly (readonly [string, QrStyle, number, number])[] = [
  ['with colour', { colour: true, isLight: false }, 0, 255],
  ['without, on a dark terminal', { colour: false, isLight: false }, 230, 20],
  ['without, on a light terminal', { colour: false, isLight: true }, 20, 230],
];

test.each(STYLES)(
  'the decoder of somebody else reads what is drawn %s, and it is the invite (IN-004~2)',
  (_, style, letters, background) => {
    for (const url of [
      'https://store.example.org/host.claw',
      `https://store.example.org/${'a/'.repeat(90)}`,
    ]) {
      const text = invite(url);
      const lines = drawQr(text, style);
      const read = photograph(lines, letters, background);
      expect(read).toBe(text.toUpperCase());
      expect(parseInviteText(native, read)).toMatchObject({ stores: [{ readUrl: url }] });
    }
  },
);

test('an invite with one store fits a terminal of 80x24', () => {
  const lines = drawQr(invite('https://store.example.org/host.claw'), { colour: false, isLight: false });
  expect(lines.length).toBeLessThanOrEqual(24);
  expect(Math.max(...lines.map(line => line.length))).toBeLessThanOrEqual(80);
});
