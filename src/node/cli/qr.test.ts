import { createRequire } from 'node:module';
import { expect, test } from 'vitest';
import { named, testHost } from '../../protocol/fixtures.ts';
import { encodeInvite, inviteText, parseInviteText } from '../../protocol/invite.ts';
import { native } from '../native.ts';
import { drawQr, type QrStyle } from './qr.ts';

/** Made by other people than the encoder. */
const decode = createRequire(import.meta.url)('jsqr') as (
  pixels: Uint8ClampedArray,
  width: number,
  height: number,
) => { readonly data: string } | null;
const SCALE = 4;
const host = testHost(native, 'inviter');

function invite(readUrl: string): string {
  const stores = [{ kind: 'https' as const, readUrl, spkiPin: new Uint8Array(0) }];
  const terms = { secret: named(native, 'secret'), expiresAtS: 1_795_478_400, stores };
  return inviteText(
    native,
    encodeInvite(native, { ...terms, identity: host.identity(0), serverId: host.serverId }),
  );
}

/** Photograph a terminal: what is drawn has the colour of the letters, the rest that of the background. */
function photograph(
  lines: readonly string[],
  letters: number,
  background: number,
): ReturnType<typeof decode> {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: what sets colours is what is to be taken away
  const cells = lines.map(line => [...line.replace(/\x1b\[[\d;]*m/g, '')]);
  const margin = 8 * SCALE;
  const width = (cells[0]?.length ?? 0) * SCALE + 2 * margin;
  const height = cells.length * 2 * SCALE + 2 * margin;
  const pixels = new Uint8ClampedArray(width * height * 4).fill(background);
  for (let y = 0; y < cells.length * 2 * SCALE; y += 1) {
    for (let x = 0; x < width - 2 * margin; x += 1) {
      const half = Math.floor(y / SCALE);
      const cell = cells[half >> 1]?.[Math.floor(x / SCALE)] ?? ' ';
      const isDrawn = cell === '\u2588' || cell === (half % 2 === 0 ? '\u2580' : '\u2584');
      pixels.fill(
        isDrawn ? letters : background,
        ((y + margin) * width + x + margin) * 4,
        ((y + margin) * width + x + margin) * 4 + 3,
      );
    }
  }
  for (let at = 3; at < pixels.length; at += 4) pixels[at] = 255;
  return decode(pixels, width, height);
}

const STYLES: readonly (readonly [string, QrStyle, number, number])[] = [
  ['with colour', { colour: true, isLight: false }, 0, 255],
  ['without, on a dark terminal', { colour: false, isLight: false }, 230, 20],
  ['without, on a light terminal', { colour: false, isLight: true }, 20, 230],
];

test.each(STYLES)(
  'somebody else’s decoder reads what is drawn %s, and it is the invite (IN-004~2)',
  (_, style, letters, background) => {
    for (const url of [
      'https://store.example.org/host.claw',
      `https://store.example.org/${'a/'.repeat(90)}`,
    ]) {
      const text = invite(url);
      const lines = drawQr(text, style);
      const read = photograph(lines, letters, background)?.data ?? '';
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
