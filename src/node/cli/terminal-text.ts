/** Makes text from others harmless for a terminal: it can be read, and do nothing. Chapter: spec/11-chat.md. */

/** Controls, and the invisible characters that reorder or hide what stands around them. */
const HARMFUL =
  // biome-ignore lint/suspicious/noControlCharactersInRegex: these are what is looked for
  // biome-ignore lint/suspicious/noMisleadingCharacterClass: each is looked for by itself
  /[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f\u3164\ufeff\uffa0\ufff9-\ufffb\u{1bca0}-\u{1bca3}\u{1d173}-\u{1d17a}\u{e0000}-\u{e0fff}\p{Cs}]/gu;
/** More marks on one letter than any script has: they would be drawn over the lines above. */
const HEAPED = /(\p{M}{4})(\p{M}+)/gu;

/** Show each harmful character as what it is, such as `<1b>`; line feeds and tabs stay. */
export function harmless(text: string): string {
  return text
    .replace(HARMFUL, named)
    .replace(HEAPED, (_all, kept: string, heap: string) => kept + named(heap));
}

/** A character as its number, such as `<1b>`. */
export function named(found: string): string {
  return `<${(found.codePointAt(0) ?? 0).toString(16).padStart(2, '0')}>`;
}

/** The same on one line: for names, and wherever a second line would look like somebody else's. */
export function harmlessLine(text: string): string {
  return harmless(text).replaceAll('\n', '<0a>').replaceAll('\t', ' ');
}

/** Letters of other scripts, and pairs, that look like these: enough for names, and no more than that. */
const LOOKS: Readonly<Record<string, string>> = {
  а: 'a',
  ɑ: 'a',
  α: 'a',
  е: 'e',
  ε: 'e',
  ҽ: 'e',
  о: 'o',
  ο: 'o',
  σ: 'o',
  օ: 'o',
  '0': 'o',
  р: 'p',
  ρ: 'p',
  с: 'c',
  ϲ: 'c',
  у: 'y',
  γ: 'y',
  ү: 'y',
  х: 'x',
  χ: 'x',
  і: 'i',
  ı: 'i',
  ι: 'i',
  ӏ: 'i',
  l: 'i',
  '1': 'i',
  '|': 'i',
  '!': 'i',
  ј: 'j',
  ѕ: 's',
  ԁ: 'd',
  ɡ: 'g',
  һ: 'h',
  հ: 'h',
  к: 'k',
  κ: 'k',
  м: 'm',
  н: 'h',
  η: 'n',
  п: 'n',
  ո: 'n',
  т: 't',
  τ: 't',
  υ: 'u',
  ս: 'u',
  ν: 'v',
  ѵ: 'v',
  ω: 'w',
  ѡ: 'w',
  ԝ: 'w',
  в: 'b',
  β: 'b',
  ь: 'b',
  ғ: 'f',
  ƒ: 'f',
  г: 'r',
  ß: 'b',
  '5': 's',
  $: 's',
  '3': 'e',
  '4': 'a',
  '@': 'a',
};
const PAIRS: readonly (readonly [string, string])[] = [
  ['rn', 'm'],
  ['vv', 'w'],
];

/**
 * Give what a name looks like: names with the same skeleton can be taken for each other. It is for comparing, and says
 * nothing to anybody.
 */
export function skeleton(name: string): string {
  const plain = name
    .normalize('NFKD')
    .replace(/[\p{M}\p{Cf}\p{Z}\p{P}]/gu, letter => (letter in LOOKS ? letter : ''));
  const folded = [...plain.toLowerCase().normalize('NFKD')].map(letter => LOOKS[letter] ?? letter).join('');
  return PAIRS.reduce((text, [pair, letter]) => text.replaceAll(pair, letter), folded);
}

/** Say who of these people can be taken for another one: ids by which they are to be told apart. */
export function confusable(names: ReadonlyMap<string, string>): ReadonlySet<string> {
  const bySkeleton = new Map<string, string[]>();
  for (const [id, name] of names) {
    const looks = skeleton(name);
    bySkeleton.set(looks, [...(bySkeleton.get(looks) ?? []), id]);
  }
  return new Set([...bySkeleton.values()].filter(ids => ids.length > 1).flat());
}

const ZERO = /^[\p{M}\p{Cf}]/u;
const WIDE =
  /^[\u1100-\u115f\u2e80-\u303e\u3041-\u33ff\u3400-\u4dbf\u4e00-\u9fff\ua000-\ua4cf\uac00-\ud7a3\uf900-\ufaff\ufe30-\ufe6f\uff00-\uff60\uffe0-\uffe6\u{1f300}-\u{1faff}\u{20000}-\u{3fffd}]/u;

/** How many columns a text takes. */
export function columns(text: string): number {
  let width = 0;
  for (const letter of text) {
    if (ZERO.test(letter)) continue;
    width += WIDE.test(letter) ? 2 : 1;
  }
  return width;
}

/** Give the beginning of a text that takes at most so many columns. */
export function cut(text: string, width: number): string {
  let [at, used] = [0, 0];
  for (const letter of text) {
    used += columns(letter);
    if (used > width) return text.slice(0, at);
    at += letter.length;
  }
  return text;
}

/** Break a text into lines of at most `width` columns, between words where that is possible. */
export function wrap(text: string, width: number): readonly string[] {
  const limit = Math.max(width, 4);
  return text
    .replaceAll('\t', '  ')
    .split('\n')
    .flatMap(line => wrapLine(line, limit));
}

function wrapLine(line: string, limit: number): readonly string[] {
  const lines: string[] = [];
  let [at, used] = ['', 0];
  const begin = (): void => {
    [at, used] = ['', 0];
  };
  for (const word of line.split(/(?<= )/u)) {
    if (used + columns(word.trimEnd()) > limit && at !== '') {
      lines.push(at.trimEnd());
      begin();
    }
    for (const letter of word) {
      const wide = columns(letter);
      if (used + wide > limit && letter !== ' ') {
        lines.push(at);
        begin();
      }
      at += letter;
      used += wide;
    }
  }
  lines.push(at.trimEnd());
  return lines;
}
