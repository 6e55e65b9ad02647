/** Reads QR codes off a terminal. For tests only. */
import { createRequire } from 'node:module';
import { stripVTControlCharacters } from 'node:util';

/** Made by other people than the encoder. */
const decode = createRequire(import.meta.url)('jsqr') as (
  pixels: Uint8ClampedArray,
  width: number,
  height: number,
) => { readonly data: string } | null;
const SCALE = 4;

/** Photograph a terminal and read the QR code on it, empty for none: what is drawn has the colour of the letters, the rest that of the background. */
export function photograph(lines: readonly string[], letters: number = 230, background: number = 20): string {
  const cells = lines.map(line => [...stripVTControlCharacters(line)]);
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
  return decode(pixels, width, height)?.data ?? '';
}
