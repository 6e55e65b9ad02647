/** Makes text from others harmless for a terminal: it can be read, and do nothing. Chapter: spec/11-chat.md. */

/** Controls, and the invisible characters that reorder or hide what stands around them. */
const HARMFUL =
  // biome-ignore lint/suspicious/noControlCharactersInRegex: these are what is looked for
  /[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u061c\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb]/gu;

/** Show each harmful character as what it is, such as `<1b>`; line feeds and tabs stay. */
export function harmless(text: string): string {
  return text.replace(HARMFUL, found => `<${(found.codePointAt(0) ?? 0).toString(16).padStart(2, '0')}>`);
}

/** The same on one line: for names, and wherever a second line would look like somebody else's. */
export function harmlessLine(text: string): string {
  return harmless(text).replaceAll('\n', '<0a>').replaceAll('\t', ' ');
}
