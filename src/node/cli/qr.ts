/** Draws a text as a QR code on a terminal (spec/08-devices.md, 8.1). */
import encodeQR from 'qr';

/** Modules around the code: what scanners need at least. */
const BORDER = 2;
const SIDE_MAX_FOR_24_LINES = 47;

/** How to draw. */
export interface QrStyle {
  /** With escape sequences that set black on white, whatever the terminal's colours are. */
  readonly colour: boolean;
  /** Without colour: light modules are drawn, as a dark terminal needs it; true draws the dark ones, for a light one. */
  readonly isLight: boolean;
}

/** Draw letters of the alphanumeric mode, in capitals; two rows of modules in each line, so that it fits 80x24 if it can. */
export function drawQr(text: string, { colour, isLight }: QrStyle): readonly string[] {
  const options = { ecc: 'low', encoding: 'alphanumeric' } as const;
  const upper = text.toUpperCase();
  const wide = encodeQR(upper, 'raw', { ...options, border: BORDER });
  // A thinner border is still read, and a code that scrolls away is not.
  const modules =
    wide.length > SIDE_MAX_FOR_24_LINES ? encodeQR(upper, 'raw', { ...options, border: 1 }) : wide;
  const isDrawn = (row: number, column: number): boolean => {
    const isDark = modules[row]?.[column] ?? false;
    return colour || isLight ? isDark : !isDark && row < modules.length;
  };
  const lines: string[] = [];
  for (let row = 0; row < modules.length; row += 2) {
    const cells = modules.map(
      (_, column) => BLOCKS[(isDrawn(row, column) ? 2 : 0) + (isDrawn(row + 1, column) ? 1 : 0)],
    );
    lines.push(colour ? `\x1b[30;107m${cells.join('')}\x1b[0m` : cells.join(''));
  }
  return lines;
}

/** By upper and lower half. */
const BLOCKS = [' ', '\u2584', '\u2580', '\u2588'] as const;
