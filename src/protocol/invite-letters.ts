/** What is dropped and folded of the text of an invite, before its letters are read (spec/08-devices.md, 8.1). */

/** White space, what cannot be seen, dashes, quotation marks, and the marks of chat programs: the table of 8.1. */
const DROPPED =
  /[\t-\r \u0085\u00a0\u2000-\u200a\u2028\u2029\u202f\u205f\u3000]|[\u00ad\u200b-\u200f\u2060\ufeff]|[-\u2010-\u2015\u2212\ufe58\ufe63\uff0d]|["'`\u00ab\u00bb\u2018-\u201f\u2039\u203a]|[*_>.,]/g;

/** Drop what is only there for the eye, and fold upper case of ASCII. @impl IN-004~2 */
export function foldText(text: string): string {
  return text.replace(DROPPED, '').replace(/[A-Z]+/g, letters => letters.toLowerCase());
}

/** Read the letters that people confuse as the digits they meant. @impl IN-004~2 */
export function foldConfusable(text: string): string {
  return text.replace(/o/g, '0').replace(/[il]/g, '1');
}
